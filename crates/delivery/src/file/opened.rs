//! The folder, opened: what is done with its files, one system call after the other.

use std::ffi::CStr;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, CWD, Dir, FlockOperation, Mode, OFlags, fchmod, fchown, flock, fsync, openat, renameat, unlinkat,
};
use rustix::io::Errno;
use store::TargetError;
use zeroize::Zeroizing;

use super::owner::Owner;
use super::{FileSettings, names, trouble};

/// The folder, opened for one call. All is done relative to it.
pub(super) struct OpenFolder<'a> {
    fd: OwnedFd,
    settings: &'a FileSettings,
}

/// What a file holds.
pub(super) struct Content {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) file: Metadata,
}

impl<'a> OpenFolder<'a> {
    /// Opens the folder and sees that nobody can put other files in the place of ours.
    pub(super) fn open(settings: &'a FileSettings) -> Result<Self, TargetError> {
        let path = settings.folder.display();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(CWD, &settings.folder, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT => trouble::unreachable(format!(
                "the folder {path} isn't there: make it, owned by Vestal's user and not writable for everybody; it is \
                 looked for again"
            )),
            Errno::NOTDIR | Errno::LOOP => trouble::unreachable(format!(
                "{path} is no folder, or a symbolic link to one: name a folder by its own path"
            )),
            _ => trouble::of_system("open", &settings.folder, &errno.into()),
        })?;
        let stat =
            rustix::fs::fstat(&fd).map_err(|errno| trouble::of_system("open", &settings.folder, &errno.into()))?;
        let we_are = rustix::process::geteuid().as_raw();
        if stat.st_uid != we_are && stat.st_uid != 0 {
            return Err(trouble::forbidden(format!(
                "the folder {path} belongs to user {}, who could replace tokens there: give it to Vestal's user, {we_are}, \
                 or to root",
                stat.st_uid
            )));
        }
        if Mode::from_raw_mode(stat.st_mode).contains(Mode::WOTH) {
            return Err(trouble::forbidden(format!(
                "everybody can write in the folder {path}, and so replace tokens there: `chmod o-w {path}`"
            )));
        }
        Ok(Self { fd, settings })
    }

    /// Waits until nobody else writes there: another Vestal, or another target with the same folder. Where the file
    /// system knows no locks, nothing keeps them apart but that nobody sets it up so.
    pub(super) fn lock(&self) -> Result<Option<OwnedFd>, TargetError> {
        let failed = |errno: Errno| trouble::of_system("lock", &self.path(names::LOCK), &errno.into());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let lock = openat(&self.fd, names::LOCK, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        loop {
            match flock(&lock, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Some(lock)),
                Err(Errno::INTR) => {}
                Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK | Errno::INVAL) => return Ok(None),
                Err(errno) => return Err(failed(errno)),
            }
        }
    }

    /// Removes what a process that ended in the middle of a write left. The lock is held: nobody is in the middle of one.
    pub(super) fn sweep(&self) -> Result<(), TargetError> {
        let failed = |errno: Errno| trouble::of_system("look through", &self.settings.folder, &errno.into());
        for entry in Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name: &CStr = entry.file_name();
            if names::is_next(name.to_bytes()) {
                match unlinkat(&self.fd, name, AtFlags::empty()) {
                    // A folder of that name is nobody's leftover, and is in the way of one token at most.
                    Ok(()) | Err(Errno::NOENT | Errno::ISDIR | Errno::PERM) => {}
                    Err(errno) => return Err(failed(errno)),
                }
            }
        }
        Ok(())
    }

    /// A file's content, or its first bytes, one more than `most`, where it is larger. `None` where there is no file.
    pub(super) fn content(&self, name: &str, most: usize) -> Result<Option<Content>, TargetError> {
        let failed = |error: &io::Error| trouble::of_system(trouble::READ, &self.path(name), error);
        // Not to wait for the other end of a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed(&errno.into())),
        };
        let metadata = file.metadata().map_err(|error| failed(&error))?;
        if !metadata.is_file() {
            return Err(trouble::no_file(&self.path(name).display()));
        }
        // One byte more than is ever read, so that the buffer is never moved and nothing is left behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(most + 2));
        file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        Ok(Some(Content { bytes, file: metadata }))
    }

    /// Makes a new file with this content and brings it to the disk. It is never open to more than it is to be in the
    /// end: first the group, then the mode, then the user, who may be one that we can't act for.
    pub(super) fn create(&self, name: &str, content: &[u8], mode: Mode, owner: Owner) -> Result<(), TargetError> {
        let failed = |error: &io::Error| trouble::of_system("write", &self.path(name), error);
        self.remove(name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| failed(&errno.into()))?;
        let mut file = File::from(fd);
        file.write_all(content).map_err(|error| failed(&error))?;
        if owner.group.is_some() {
            fchown(&file, None, owner.group).map_err(|errno| self.not_given(name, errno))?;
        }
        fchmod(&file, mode).map_err(|errno| failed(&errno.into()))?;
        if owner.user.is_some() {
            fchown(&file, owner.user, None).map_err(|errno| self.not_given(name, errno))?;
            self.still_readable(name)?;
        }
        file.sync_all().map_err(|error| failed(&error))
    }

    /// Refuses to give a file away for good: what is delivered is read back, now and at each look.
    fn still_readable(&self, name: &str) -> Result<(), TargetError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(_) => Ok(()),
            Err(Errno::ACCESS) => Err(trouble::forbidden(format!(
                "Vestal's user, {}, could not read back what it gives to user {} in {}: let the group read \
                 (`mode = \"0640\"`) and set `group` to one that Vestal's user is in, or give the service the capability \
                 CAP_DAC_READ_SEARCH beside CAP_CHOWN",
                rustix::process::geteuid(),
                self.settings.owner.as_deref().unwrap_or("as it is"),
                self.settings.folder.display()
            ))),
            Err(errno) => Err(trouble::of_system(trouble::READ, &self.path(name), &errno.into())),
        }
    }

    /// Removes a file that waits to take its place, if it is there.
    pub(super) fn remove(&self, next: &str) -> Result<(), TargetError> {
        match unlinkat(&self.fd, next, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(trouble::of_system("remove", &self.path(next), &errno.into())),
        }
    }

    /// A prepared file takes its place.
    pub(super) fn put(&self, next: &str, name: &str) -> Result<(), TargetError> {
        let failed = |errno: Errno| trouble::of_system("replace", &self.path(name), &errno.into());
        renameat(&self.fd, next, &self.fd, name).map_err(failed)?;
        match fsync(&self.fd) {
            // Some file systems bring a folder to the disk as they see fit, and can't be asked to.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            Err(errno) => Err(failed(errno)),
        }
    }

    fn not_given(&self, name: &str, errno: Errno) -> TargetError {
        if errno != Errno::PERM {
            return trouble::of_system("give away", &self.path(name), &errno.into());
        }
        let FileSettings { folder, owner, group, .. } = self.settings;
        let (owner, group) = (owner.as_deref().unwrap_or("as it is"), group.as_deref().unwrap_or("as it is"));
        trouble::forbidden(format!(
            "Vestal's user, {}, may not give files in {} away (user: {owner}, group: {group}): give the service the \
             capability CAP_CHOWN, or leave `owner` out and make Vestal's user a member of the group",
            rustix::process::geteuid(),
            folder.display()
        ))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.settings.folder.join(name)
    }
}
