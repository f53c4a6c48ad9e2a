//! Entries as lines of JSON.

use std::io::Write;

use jiff::Timestamp;
use serde::Deserialize;

use super::pending::Unpacked;

/// Writes lines, and counts them.
pub(super) struct Lines {
    /// The number of the last line.
    last: u64,
    text: Vec<u8>,
    second: Second,
}

/// The second that was last written. A batch has one or two, so that each is made into a date once.
struct Second {
    unix: i64,
    text: String,
}

impl Lines {
    /// Goes on after the line of this number.
    pub(super) fn after(last: u64) -> Self {
        Self { last, text: Vec::new(), second: Second { unix: i64::MIN, text: String::new() } }
    }

    /// The number of the last line.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The lines of the last batch.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The last batch was not written: its numbers are given again.
    pub(super) fn forget(&mut self, last: u64) {
        self.last = last;
    }

    /// Writes a batch, after a line for the gap before it, if there is one.
    pub(super) fn begin<'a>(&mut self, lost: u64, entries: impl Iterator<Item = Unpacked<'a>>) {
        self.text.clear();
        let mut lost = Some(lost).filter(|lost| *lost > 0);
        for entry in entries {
            if let Some(lost) = lost.take() {
                self.last += lost;
                self.start(entry.unix_ms);
                self.raw(",\"operation\":\"AuditGap\",\"lost\":");
                self.raw(&lost.to_string());
                self.raw("}\n");
            }
            self.entry(&entry);
        }
    }

    fn entry(&mut self, entry: &Unpacked<'_>) {
        self.start(entry.unix_ms);
        if let Some(app) = entry.app {
            self.member("app", app);
        }
        self.member("operation", entry.operation);
        for (member, text) in [("vault", entry.vault), ("name", entry.name)] {
            if !text.is_empty() {
                self.member(member, text);
            }
        }
        if let Some(version) = entry.version {
            self.raw(",\"version\":\"");
            for byte in version.as_bytes() {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                self.text.push(DIGITS[usize::from(byte >> 4)]);
                self.text.push(DIGITS[usize::from(byte & 15)]);
            }
            self.raw("\"");
        }
        self.member("outcome", entry.outcome.word());
        if let Some(peer) = entry.peer {
            write!(self.text, ",\"peer\":\"{peer}\"").expect("a vector takes every byte");
        }
        self.raw("}\n");
    }

    /// The next number, and the time.
    fn start(&mut self, unix_ms: i64) {
        self.last += 1;
        let unix = unix_ms.div_euclid(1000);
        if self.second.unix != unix {
            let time = Timestamp::from_second(unix).unwrap_or_default();
            self.second = Second { unix, text: time.strftime("%Y-%m-%dT%H:%M:%S").to_string() };
        }
        let (seq, second, thousandths) = (self.last, &self.second.text, unix_ms.rem_euclid(1000));
        write!(self.text, "{{\"seq\":{seq},\"time\":\"{second}.{thousandths:03}Z\"")
            .expect("a vector takes every byte");
    }

    fn member(&mut self, name: &str, text: &str) {
        self.raw(",\"");
        self.raw(name);
        self.raw("\":");
        serde_json::to_writer(&mut self.text, text).expect("a vector takes every byte");
    }

    fn raw(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }
}

/// The number of a line, if it is one of ours.
pub(super) fn number_of(line: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
    }
    serde_json::from_slice::<Numbered>(line).ok().map(|line| line.seq)
}

#[cfg(test)]
mod tests {
    use store::AuditOutcome;
    use vault::VersionId;

    use super::*;

    fn entry<'a>(name: &'a str, app: Option<&'a str>) -> Unpacked<'a> {
        Unpacked {
            unix_ms: 1_800_000_000_007,
            app,
            operation: "SecretGet",
            vault: "dev",
            name,
            version: app.map(|_| VersionId([0x0a; 16])),
            outcome: AuditOutcome::NotFound,
            peer: app.map(|_| "2001:db8::1".parse().unwrap()),
        }
    }

    #[test]
    fn a_line_has_what_is_known_and_escapes_it() {
        let mut lines = Lines::after(6);
        lines.begin(0, [entry("a\"\n", Some("reader")), entry("", None)].into_iter());
        assert_eq!(
            core::str::from_utf8(lines.text()).unwrap(),
            "{\"seq\":7,\"time\":\"2027-01-15T08:00:00.007Z\",\"app\":\"reader\",\"operation\":\"SecretGet\",\
             \"vault\":\"dev\",\"name\":\"a\\\"\\n\",\"version\":\"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\",\
             \"outcome\":\"not-found\",\"peer\":\"2001:db8::1\"}\n\
             {\"seq\":8,\"time\":\"2027-01-15T08:00:00.007Z\",\"operation\":\"SecretGet\",\"vault\":\"dev\",\
             \"outcome\":\"not-found\"}\n"
        );
        let first = lines.text().split(|byte| *byte == b'\n').next().unwrap();
        assert_eq!(number_of(first), Some(7));
        assert_eq!(number_of(b"{\"seq\":\"7\"}"), None);
    }

    #[test]
    fn lost_entries_use_up_their_numbers() {
        let mut lines = Lines::after(3);
        lines.begin(4, [entry("a", None)].into_iter());
        let text = core::str::from_utf8(lines.text()).unwrap();
        assert!(text.starts_with("{\"seq\":8,") && text.contains("\"lost\":4}\n{\"seq\":9,"), "{text}");
        lines.forget(3);
        assert_eq!(lines.last(), 3);
    }
}
