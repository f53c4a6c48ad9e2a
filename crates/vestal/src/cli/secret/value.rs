//! How a secret's value comes in: typed twice without echo, from standard input, or from a file. Never as an argument,
//! which stands in the shell's history and in the list of processes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::super::input::Input;
use super::super::problem::Problem;

/// The longest value, as of Azure Key Vault.
const MAX_BYTES: u64 = 25_600;
/// So many more are read, so that a line end behind the longest value is no excess.
const LINE_END: u64 = 2;

/// Reads the value: from the file if one is named, from standard input if it is a pipe, and else from a person.
pub(super) fn read(file: Option<&Path>, input: &mut Input) -> Result<Zeroizing<String>, Problem> {
    let value = match (file, input) {
        (Some(path), _) => {
            let unreadable = |error| Problem::unreadable(path, &error);
            from_stream(&mut File::open(path).map_err(unreadable)?, &path.display().to_string())?
        }
        (None, Input::Script(stdin)) => from_stream(stdin, "standard input")?,
        (None, Input::Person(questions)) => {
            let mut ask = |question| {
                questions.hidden(question).map_err(|error| match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => {
                        Problem::failed("given up: nothing was set")
                    }
                    _ => Problem::io("the terminal can't be asked", &error)
                        .help("hand the value in on standard input, or name a file with --file"),
                })
            };
            let first = ask("Value (it is not shown): ")?;
            if *first != *ask("The same again: ")? {
                return Err(Problem::usage("the two are not the same: nothing was set"));
            }
            first
        }
    };
    if value.is_empty() {
        return Err(Problem::usage("the value is empty: nothing was set").help(
            "if that is what you mean, say so with --empty; else see whether the command before the pipe failed",
        ));
    }
    if value.len() as u64 > MAX_BYTES {
        return Err(Problem::usage(format!("the value is longer than {MAX_BYTES} bytes: nothing was set")));
    }
    Ok(value)
}

/// One line end at the end is not part of the value: `echo` and editors add it.
fn from_stream(stream: &mut dyn Read, what: &str) -> Result<Zeroizing<String>, Problem> {
    // Its room is made at once: a buffer that grows would leave copies behind.
    let room = usize::try_from(MAX_BYTES + LINE_END + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    stream
        .take(room as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| Problem::io(format_args!("{what} can't be read"), &error))?;
    let text = bytes.strip_suffix(b"\n").map_or(bytes.as_slice(), |text| text.strip_suffix(b"\r").unwrap_or(text));
    match std::str::from_utf8(text) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Problem::usage(format!("{what} is not UTF-8 text: nothing was set"))
            .help("encode it first, such as with base64, and say so with --content-type")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::exit::Exit;
    use super::super::super::input::Questions;
    use super::*;

    fn piped(bytes: &[u8]) -> Result<String, Exit> {
        let mut input = Input::Script(Box::new(io::Cursor::new(bytes.to_vec())));
        read(None, &mut input).map(|value| value.to_string()).map_err(|problem| problem.exit())
    }

    /// Types these answers, one after the other.
    struct Typist(Vec<&'static str>);

    impl Questions for Typist {
        fn hidden(&mut self, _: &str) -> io::Result<Zeroizing<String>> {
            Ok(Zeroizing::new(self.0.remove(0).to_owned()))
        }

        fn line(&mut self, _: &str) -> io::Result<String> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn typed(answers: &[&'static str]) -> Result<String, Exit> {
        let mut input = Input::Person(Box::new(Typist(answers.to_vec())));
        read(None, &mut input).map(|value| value.to_string()).map_err(|problem| problem.exit())
    }

    #[test]
    fn one_line_end_is_no_part_of_a_value() {
        assert_eq!(piped(b"s3cret").as_deref(), Ok("s3cret"));
        assert_eq!(piped(b"s3cret\n").as_deref(), Ok("s3cret"));
        assert_eq!(piped(b"s3cret\r\n").as_deref(), Ok("s3cret"));
        assert_eq!(piped(b" s3\ncret \n\n").as_deref(), Ok(" s3\ncret \n"));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        assert_eq!(piped(b""), Err(Exit::Usage));
        assert_eq!(piped(b"\n"), Err(Exit::Usage));
        assert_eq!(piped(b"\xff\xfe"), Err(Exit::Usage));
        assert_eq!(piped(&[b'a'; 25_601]), Err(Exit::Usage));
        let mut longest = vec![b'a'; 25_600];
        longest.extend_from_slice(b"\r\n");
        assert_eq!(piped(&longest).map(|value| value.len()), Ok(25_600));
    }

    #[test]
    fn a_typed_value_is_typed_twice() {
        assert_eq!(typed(&["s3cret", "s3cret"]).as_deref(), Ok("s3cret"));
        assert_eq!(typed(&["s3cret", "s3cert"]), Err(Exit::Usage));
        assert_eq!(typed(&["", ""]), Err(Exit::Usage));
    }
}
