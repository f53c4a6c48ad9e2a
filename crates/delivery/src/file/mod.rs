//! A folder of files, one a token: for programs that read their token from a file, as with a secret that is mounted.
//!
//! The file `NAME` holds the value and nothing else, no line end either. Beside it `.NAME.vestal.json` says whose it is
//! and when it dies; [`sidecar`] has its form. Both are replaced by renaming, so that a reader sees the old one or the
//! new one, whole. [`folder`] has the order of the steps, and what a crash between them leaves.
//!
//! A file has no versions: a superseded one is gone with the rename, and there is nothing to disable. Its version's id
//! is made from what it holds.
//!
//! Bringing a file to the disk takes milliseconds, and a disk that hangs, as one across a network may, takes as long as
//! it likes. Therefore a target's work is done in a thread of its own, which waits for the disk in place of the caller's
//! runtime, and takes one thing after the other.

mod folder;
mod names;
mod opened;
mod owner;
mod sidecar;
mod trouble;

use core::time::Duration;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use futures_channel::oneshot;
use store::{Held, Parcel, Target, TargetAnswer, TargetError, TargetPace};

use folder::Folder;
pub use names::file_name_fits;

/// How many calls may wait for the thread. More than are ever under way, unless the disk hangs.
const WAITING: usize = 64;

/// How many deliveries may be under way. They are made one by one: more would only wait.
const FLIGHTS: u32 = 4;

/// A folder of files, as a target.
///
/// The folder is opened anew for each call, and then all is done in what was opened. So a folder that is missing, or was
/// mounted over, is found again without a restart.
pub struct FileTarget {
    settings: FileSettings,
    /// Where the thread takes its work from; `None` until there is some.
    thread: Mutex<Option<SyncSender<Job>>>,
}

/// Which folder, and who may read its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// The folder. It must be there, belong to our user or to root, and not be writable for everybody.
    pub folder: PathBuf,
    /// Each file's mode. A file that everybody could read is refused.
    pub mode: u32,
    /// The user that the files are given to: a name or a number. Ours, if left out; another needs the right to give
    /// files away.
    pub owner: Option<String>,
    /// The group that the files are given to: a name or a number. If left out, what the system gives a new file there.
    pub group: Option<String>,
}

/// A call, on its way to the thread.
enum Job {
    Read { name: String, answer: oneshot::Sender<Result<Option<Held>, TargetError>> },
    Write { name: String, parcel: Parcel, answer: oneshot::Sender<Result<String, TargetError>> },
}

impl FileTarget {
    /// The target. Nothing is looked at before the first call: what is wrong is the answer to that.
    pub fn new(settings: FileSettings) -> Self {
        Self { settings, thread: Mutex::new(None) }
    }

    /// Has the thread do it. Who drops the future before its turn has come has it not done.
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, TargetError>>) -> Job) -> Result<T, TargetError> {
        let (sender, answer) = oneshot::channel();
        self.send(job(sender))?;
        answer.await.unwrap_or_else(|oneshot::Canceled| Err(self.no_thread("ended")))
    }

    fn send(&self, job: Job) -> Result<(), TargetError> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let job = match &*thread {
            None => job,
            Some(sender) => match sender.try_send(job) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => return Err(self.no_thread("waits for the disk")),
                // It panicked. The next one may fare better.
                Err(TrySendError::Disconnected(job)) => job,
            },
        };
        let (sender, jobs) = sync_channel(WAITING);
        let settings = self.settings.clone();
        thread::Builder::new()
            .name("file-target".to_owned())
            .spawn(move || serve(&settings, &jobs))
            .map_err(|_| self.no_thread("can't be started"))?;
        let sent = sender.try_send(job).map_err(|_| self.no_thread("ended"));
        *thread = Some(sender);
        sent
    }

    fn no_thread(&self, what: &str) -> TargetError {
        trouble::unreachable(format!(
            "the folder {} can't be used now: the thread that writes there {what}; it is tried again",
            self.settings.folder.display()
        ))
    }
}

impl Target for FileTarget {
    fn admits(&self, name: &str) -> Result<(), String> {
        file_name_fits(name).map_err(ToOwned::to_owned)
    }

    fn read<'a>(&'a self, name: &'a str) -> TargetAnswer<'a, Option<Held>> {
        Box::pin(self.ask(|answer| Job::Read { name: name.to_owned(), answer }))
    }

    fn write<'a>(&'a self, name: &'a str, parcel: &'a Parcel) -> TargetAnswer<'a, String> {
        Box::pin(self.ask(|answer| Job::Write { name: name.to_owned(), parcel: second(parcel), answer }))
    }

    fn disable<'a>(&'a self, _name: &'a str, _version: &'a str) -> TargetAnswer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn pace(&self) -> TargetPace {
        TargetPace { interval: Duration::from_millis(1), burst: 100, flights: FLIGHTS }
    }
}

/// The thread: serves the calls in their order until the target is dropped.
fn serve(settings: &FileSettings, jobs: &Receiver<Job>) {
    let mut folder = Folder::new(settings);
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Read { name, answer } if !answer.is_canceled() => {
                let _ = answer.send(folder.read(&name));
            }
            Job::Write { name, parcel, answer } if !answer.is_canceled() => {
                let _ = answer.send(folder.write(&name, &parcel));
            }
            // Whoever asked waits no longer.
            Job::Read { .. } | Job::Write { .. } => {}
        }
    }
}

/// The same parcel, for the thread to own.
fn second(parcel: &Parcel) -> Parcel {
    Parcel {
        value: parcel.value.duplicate(),
        expires: parcel.expires,
        mark: parcel.mark.clone(),
        provider: parcel.provider.clone(),
        renewed_at: parcel.renewed_at,
    }
}
