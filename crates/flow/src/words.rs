//! Texts of a flow, made fit to stand in a sentence: a name in a file can hold anything.

/// How many characters of a name are shown.
const SHOWN: usize = 120;

/// The text on one line, without control characters, cut where it is long.
pub(crate) fn plain(text: &str) -> String {
    let mut shown: String =
        text.chars().map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c }).take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown.trim().to_owned()
}

/// Characters that turn the direction of what follows, or can't be seen: they make one name look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `1 action`, `2 actions`; a thousand is `1,000`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// A number with a comma after each three digits.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Seconds in the words of people: `7 days`, `1 hour 30 minutes`, `59 minutes 30 seconds`.
pub(crate) fn period(seconds: u64) -> String {
    let mut left = seconds;
    let mut parts = Vec::new();
    for (size, one, many) in
        [(86_400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes"), (1, "second", "seconds")]
    {
        if left >= size {
            parts.push(count(left / size, one, many));
            left %= size;
        }
    }
    if parts.is_empty() { "0 seconds".to_owned() } else { parts.join(" ") }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn series(names: &[String], last: &str) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_a_terminal_or_run_on() {
        assert_eq!(plain("a\u{1b}[31mb\nc\u{202e}"), "a [31mb c");
        assert_eq!(plain(&"x".repeat(500)).chars().count(), SHOWN + 1);
    }

    #[test]
    fn numbers_and_periods_are_said_as_people_say_them() {
        assert_eq!(count(1, "action", "actions"), "1 action");
        assert_eq!(count(1_234_567, "action", "actions"), "1,234,567 actions");
        assert_eq!(period(604_740), "6 days 23 hours 59 minutes");
        assert_eq!(period(0), "0 seconds");
        assert_eq!(series(&["a".into(), "b".into(), "c".into()], "and"), "a, b and c");
    }
}
