//! "Did you mean …?"

/// The known word that somebody most probably meant, if one is near enough: letters left out, doubled, swapped or
/// mistyped, a third of the word at most.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    let (distance, best) = known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&word, &known.to_lowercase().replace('-', "_")), known))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= (word.len().max(best.len()) / 3).max(1)).then_some(best)
}

/// Words for a sentence: `` `a`, `b` and `c` ``.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.pop() {
        None => "none".to_owned(),
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} and {last}", words.join(", ")),
    }
}

/// The word with `a` or `an`.
pub(super) fn with_article(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["client_id", "client_secret", "vault", "scope"];
        assert_eq!(nearest("clientid", known), Some("client_id"));
        assert_eq!(nearest("client-secret", known), Some("client_secret"));
        assert_eq!(nearest("scopes", known), Some("scope"));
        assert_eq!(nearest("vualt", known), Some("vault"));
        assert_eq!(nearest("interval", known), None);
    }

    #[test]
    fn words_are_listed_as_in_a_sentence() {
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed([]), "none");
    }
}
