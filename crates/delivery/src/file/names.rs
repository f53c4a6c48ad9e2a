//! What a token's file is called, and what stands beside it.
//!
//! What stands beside a token begins with a dot, which no token's name does, and each kind has an ending of its own: no
//! two names meet.

/// The longest name. With what is put around it, it is well below the 255 bytes that file systems hold.
const LONGEST_NAME: usize = 127;

/// Whether a file can have this name: that of a secret in a Key Vault, and `_` and `.` inside.
///
/// # Errors
/// The rule, in words.
pub fn file_name_fits(name: &str) -> Result<(), &'static str> {
    let fits = (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits {
        Ok(())
    } else {
        Err("a file's name is 1 to 127 letters, digits and `-`, `_`, `.`, and doesn't begin with a dot")
    }
}

/// The file that whoever writes in the folder holds locked.
pub(super) const LOCK: &str = ".vestal.lock";

/// What says whose a token's file is.
pub(super) fn sidecar(name: &str) -> String {
    format!(".{name}.vestal.json")
}

/// A token's next file, before it takes its place.
pub(super) fn next_value(name: &str) -> String {
    format!(".{name}.vestal.new")
}

/// The next sidecar, before it takes its place.
pub(super) fn next_sidecar(name: &str) -> String {
    format!(".{name}.vestal.json.new")
}

/// Whether it is one of those that wait to take their place.
pub(super) fn is_next(file: &[u8]) -> bool {
    file.starts_with(b".") && (file.ends_with(b".vestal.new") || file.ends_with(b".vestal.json.new"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_folder_and_apart_from_what_stands_beside() {
        for name in ["a", "hourly-token", "hourly.token", "Hourly_Token", "a..b", "-", "a.vestal.json"] {
            assert_eq!(file_name_fits(name), Ok(()), "{name}");
            for beside in [sidecar(name), next_value(name), next_sidecar(name), LOCK.to_owned()] {
                assert!(file_name_fits(&beside).is_err(), "{beside}");
            }
            assert!(is_next(next_value(name).as_bytes()) && is_next(next_sidecar(name).as_bytes()));
            assert!(!is_next(sidecar(name).as_bytes()) && !is_next(name.as_bytes()) && !is_next(LOCK.as_bytes()));
        }
        for name in ["", ".", "..", ".a", "a/b", "../a", "/a", "a\0", "a\n", "ä", "a b", &"n".repeat(128)] {
            assert!(file_name_fits(name).is_err(), "{name:?}");
        }
    }
}
