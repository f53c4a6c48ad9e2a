//! Questions to the person at the terminal, also such whose answer is not shown.
//!
//! The answer to those is read key by key: the terminal's own line editing ends a line at 4,096 bytes, where a secret may
//! have 25,600, and its Ctrl-C would end this process with the terminal still silent.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::input::Questions;

/// The longest answer. More is refused, not cut.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The terminal that the process belongs to. It is spoken to by itself, so that standard output stays free for results.
pub(super) struct Terminal;

impl Questions for Terminal {
    fn hidden(&mut self, question: &str) -> io::Result<Zeroizing<String>> {
        let mut keys = open()?;
        let silence = Silence::begin(keys.try_clone()?)?;
        keys.write_all(question.as_bytes())?;
        let mut keyboard = keys.try_clone()?;
        let answer = hidden_line(|| {
            let mut key = [0];
            Ok((keyboard.read(&mut key)? == 1).then_some(key[0]))
        });
        drop(silence);
        // The person's own line end was not shown either.
        keys.write_all(b"\n")?;
        answer
    }

    fn line(&mut self, question: &str) -> io::Result<String> {
        open()?.write_all(question.as_bytes())?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

/// A terminal that shows nothing and hands over each key, until this is dropped.
struct Silence {
    terminal: File,
    before: Termios,
}

impl Silence {
    fn begin(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        // What was typed before the question is no answer to it.
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // Where this fails there is no terminal any more.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// A line, of keys that come one by one; `None` where no more come.
fn hidden_line(mut key: impl FnMut() -> io::Result<Option<u8>>) -> io::Result<Zeroizing<String>> {
    // Its room is made at once: a buffer that grows would leave copies behind.
    let mut line = Zeroizing::new(String::with_capacity(MAX_ANSWER_BYTES));
    let mut character = Zeroizing::new(Vec::with_capacity(4));
    loop {
        match key()? {
            None | Some(b'\n' | b'\r') => break,
            Some(CTRL_C | CTRL_BACKSLASH) => return Err(io::ErrorKind::Interrupted.into()),
            Some(CTRL_D) if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(BACKSPACE | DELETE) => drop(line.pop()),
            Some(CTRL_U) => line.clear(),
            Some(byte) => {
                character.push(byte);
                match std::str::from_utf8(&character) {
                    Ok(whole) => line.push_str(whole),
                    // The rest of the character is to come.
                    Err(error) if error.error_len().is_none() => continue,
                    Err(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "what was typed is not UTF-8")),
                }
                character.clear();
            }
        }
        if line.len() > MAX_ANSWER_BYTES - 4 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what was typed is too long"));
        }
    }
    Ok(line)
}

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const CTRL_U: u8 = 21;
const CTRL_BACKSLASH: u8 = 28;
const DELETE: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Result<String, io::ErrorKind> {
        let mut keys = keys.iter().copied();
        hidden_line(|| Ok(keys.next())).map(|line| line.to_string()).map_err(|error| error.kind())
    }

    #[test]
    fn a_hidden_line_can_be_corrected() {
        assert_eq!(typed(b"s3cret\nand more").as_deref(), Ok("s3cret"));
        assert_eq!(typed(b"s3x\x7fcret\r").as_deref(), Ok("s3cret"));
        assert_eq!(typed(b"wrong\x15s3cret\n").as_deref(), Ok("s3cret"));
        assert_eq!(typed("grü\x08ün\n".as_bytes()).as_deref(), Ok("grün"));
        assert_eq!(typed(b"tabs\tstay\n").as_deref(), Ok("tabs\tstay"));
        assert_eq!(typed(b"no line end").as_deref(), Ok("no line end"));
    }

    #[test]
    fn a_hidden_line_can_be_given_up() {
        assert_eq!(typed(b"s3cr\x03"), Err(io::ErrorKind::Interrupted));
        assert_eq!(typed(b"\x04"), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(typed(b"\xff\n"), Err(io::ErrorKind::InvalidData));
        assert_eq!(typed(&[b'a'; MAX_ANSWER_BYTES]), Err(io::ErrorKind::InvalidData));
    }
}
