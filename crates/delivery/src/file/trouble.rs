//! What went wrong with a file, in words for people.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use store::{TargetError, TargetErrorKind};

/// All that is to be delivered there waits.
pub(super) fn unreachable(words: String) -> TargetError {
    TargetError { kind: TargetErrorKind::Unreachable, words, retry_after: None }
}

/// A right is missing.
pub(super) fn forbidden(words: String) -> TargetError {
    TargetError { kind: TargetErrorKind::Forbidden, words, retry_after: None }
}

/// Something stands there that Vestal doesn't replace.
pub(super) fn occupied(words: String) -> TargetError {
    TargetError { kind: TargetErrorKind::Occupied, words, retry_after: None }
}

/// It can't be held there.
pub(super) fn unfit(words: String) -> TargetError {
    TargetError { kind: TargetErrorKind::Unfit, words, retry_after: None }
}

/// What is done when a file is looked at, which takes another right than all else.
pub(super) const READ: &str = "read";

/// What the system's refusal to do something, such as `write`, with a file means.
pub(super) fn of_system(what: &str, path: &Path, error: &io::Error) -> TargetError {
    let path = path.display();
    match Errno::from_io_error(error) {
        Some(Errno::ACCESS | Errno::PERM) if what == READ => forbidden(format!(
            "Vestal's user, {}, may not read {path}, and so can't see what is there: remove it, or let that user read it",
            rustix::process::geteuid()
        )),
        Some(Errno::ACCESS | Errno::PERM) => forbidden(format!(
            "Vestal's user may not {what} {path}: give user {} the right to write in that folder",
            rustix::process::geteuid()
        )),
        Some(Errno::NOSPC | Errno::DQUOT) => unreachable(format!(
            "there is no room on the disk to {what} {path}: make some; it is tried again by itself"
        )),
        Some(Errno::FBIG) => unreachable(format!(
            "the limit to the size of Vestal's files leaves no room to {what} {path}: raise it; it is tried again"
        )),
        Some(Errno::ROFS) => unreachable(format!(
            "Vestal can't {what} {path}, since its file system can only be read: mount it writable; it is tried again"
        )),
        Some(Errno::LOOP) => symbolic_link(&path),
        Some(Errno::ISDIR | Errno::NXIO | Errno::NODEV) => no_file(&path),
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            unreachable(format!("Vestal could not {what} {path}: {text}; it is tried again"))
        }
    }
}

/// It would lead elsewhere.
fn symbolic_link(path: &impl core::fmt::Display) -> TargetError {
    occupied(format!(
        "{path} is a symbolic link, and Vestal neither reads nor writes through one: remove it, or give the delivery \
         another `name`"
    ))
}

/// It is a folder, a pipe, a socket or a device.
pub(super) fn no_file(path: &impl core::fmt::Display) -> TargetError {
    occupied(format!("{path} is no ordinary file: remove it, or give the delivery another `name`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_the_system_has_its_words() {
        let words = |errno: Errno| {
            let error = of_system("write", Path::new("/run/tokens/a"), &errno.into());
            assert!(error.words.contains("/run/tokens/a") && !error.words.contains("os error"), "{error}");
            error
        };
        assert_eq!(words(Errno::ACCESS).kind, TargetErrorKind::Forbidden);
        assert!(words(Errno::ACCESS).words.contains("the right to write in that folder"));
        let unread = of_system(READ, Path::new("/run/tokens/a"), &Errno::ACCESS.into());
        assert!(unread.words.contains("may not read /run/tokens/a") && !unread.words.contains("write"), "{unread}");
        assert_eq!(words(Errno::NOSPC).kind, TargetErrorKind::Unreachable);
        assert!(words(Errno::NOSPC).words.contains("no room"));
        assert!(words(Errno::ROFS).words.contains("mount it writable"));
        assert_eq!(
            words(Errno::IO).words,
            "Vestal could not write /run/tokens/a: Input/output error; it is tried again"
        );
        assert_eq!(words(Errno::LOOP).kind, TargetErrorKind::Occupied);
        for number in 1..=133 {
            let error = of_system("write", Path::new("/x"), &io::Error::from_raw_os_error(number));
            assert!(!error.words.contains("os error"), "{error}");
        }
    }
}
