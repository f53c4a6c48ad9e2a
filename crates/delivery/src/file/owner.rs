//! Whom a file is given to: numbers as they are, names as `/etc/passwd` and `/etc/group` have them.

use std::fs;
use std::path::Path;

use rustix::fs::{Gid, Uid};
use store::TargetError;

use super::{FileSettings, trouble};

/// The most that is read of a list of users or groups.
const LARGEST_LIST_BYTES: u64 = 16 << 20;

/// Whom files are given to; `None` where they stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user: Option<Uid>,
    pub(super) group: Option<Gid>,
}

impl Owner {
    /// Looked up each time, since users come and go while Vestal runs.
    pub(super) fn of(settings: &FileSettings) -> Result<Self, TargetError> {
        let user = settings.owner.as_deref().map(|name| number(name, "user", Path::new("/etc/passwd"))).transpose()?;
        let group = settings.group.as_deref().map(|name| number(name, "group", Path::new("/etc/group"))).transpose()?;
        Ok(Self { user: user.map(Uid::from_raw), group: group.map(Gid::from_raw) })
    }
}

/// The number of a user or group. Both lists have the name first and the number third in each line.
fn number(name: &str, kind: &str, list: &Path) -> Result<u32, TargetError> {
    let unknown = || {
        trouble::forbidden(format!(
            "there is no {kind} `{name}` in {}, so no file can be given to it: add it, or write its number",
            list.display()
        ))
    };
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        // The highest number means "as it is" to the system.
        return name.parse().ok().filter(|number| *number != u32::MAX).ok_or_else(unknown);
    }
    let too_large = fs::metadata(list).is_ok_and(|metadata| metadata.len() > LARGEST_LIST_BYTES);
    let text = fs::read(list).map_err(|error| trouble::of_system(trouble::READ, list, &error))?;
    let text = String::from_utf8_lossy(if too_large { &[] } else { &text });
    let entry = text.lines().map(|line| line.split(':')).find_map(|mut fields| {
        let found = fields.next() == Some(name);
        if found { fields.nth(1) } else { None }
    });
    entry.and_then(|number| number.parse().ok()).filter(|number| *number != u32::MAX).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use store::TargetErrorKind;

    use super::*;

    #[test]
    fn names_are_looked_up_and_numbers_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = folder.path().join("passwd");
        fs::write(&list, "root:x:0:0:root:/root:/bin/sh\n# a note\n+\napp:x:1007:1008::/:/bin/false\nhalf:x\n")
            .expect("it is ours");
        let numbered = |name| number(name, "user", &list);
        assert_eq!(numbered("root"), Ok(0));
        assert_eq!(numbered("app"), Ok(1007));
        assert_eq!(numbered("4711"), Ok(4711));
        for name in ["nobody-here", "half", "+", "ap", "4294967295", "99999999999"] {
            let error = numbered(name).expect_err("it isn't there");
            assert_eq!(error.kind, TargetErrorKind::Forbidden);
            assert!(error.words.contains(name) && error.words.contains("write its number"), "{error}");
        }
    }
}
