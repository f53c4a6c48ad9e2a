//! The system's errors in words for people: without numbers, which say nothing to them.

use std::io;

/// What the system says of an error, without its number: `connection refused`.
pub(crate) fn in_words(error: &io::Error) -> String {
    let plain = match error.kind() {
        io::ErrorKind::NotFound => "it isn't there",
        io::ErrorKind::IsADirectory => "it is a folder",
        io::ErrorKind::ConnectionReset => "the other side broke the connection off",
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof => {
            "the other side closed the connection"
        }
        io::ErrorKind::TimedOut => "no answer came in time",
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => "no route leads there",
        _ => "",
    };
    // What doesn't come from the system has words of its own.
    if error.raw_os_error().is_some() && !plain.is_empty() {
        return plain.to_owned();
    }
    let text = error.to_string();
    let resolver = text.strip_prefix("failed to lookup address information: ");
    if resolver.is_none() && error.get_ref().is_some() {
        return text;
    }
    let text = resolver.unwrap_or(&text);
    let text = text.split(" (os error").next().unwrap_or(text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_of_the_system_shows_a_number() {
        for number in 1..=133 {
            let words = in_words(&io::Error::from_raw_os_error(number));
            assert!(!words.contains("os error") && !words.is_empty(), "{number}: {words}");
            assert!(!words.starts_with(char::is_uppercase), "{number}: {words}");
        }
        assert_eq!(in_words(&io::Error::from_raw_os_error(111)), "connection refused");
        assert_eq!(in_words(&io::Error::from_raw_os_error(104)), "the other side broke the connection off");
    }

    #[test]
    fn other_errors_keep_their_words() {
        assert_eq!(in_words(&io::Error::other("The audit is gone")), "The audit is gone");
        let resolver = io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(in_words(&resolver), "name or service not known");
    }
}
