//! A target in memory that fails on demand.

use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secret::Secret;
use store::{Held, Mark, Parcel, Target, TargetAnswer, TargetError, TargetErrorKind, TargetPace};

/// What a write does that the test has a say in.
pub enum Mishap {
    /// Nothing happens, and it says so.
    Refused(TargetErrorKind),
    /// It is done, but the answer is lost.
    AnswerLost,
    /// Somebody else writes right after.
    Overtaken,
}

/// A target that each test uses a part of.
#[derive(Clone)]
pub struct Shelf(Arc<Mutex<Inner>>);

struct Inner {
    versions: BTreeMap<String, Vec<Version>>,
    mishaps: VecDeque<Mishap>,
    down: Option<TargetErrorKind>,
    made: u64,
    reads: u64,
    writes: u64,
    pace: TargetPace,
}

/// A version on the shelf.
#[derive(Clone)]
pub struct Version {
    pub id: String,
    pub value: String,
    pub enabled: bool,
    pub expires: Option<i64>,
    pub mark: Option<Mark>,
}

impl Shelf {
    pub fn new() -> Self {
        let pace = TargetPace { interval: Duration::from_millis(10), burst: 100, flights: 8 };
        let inner = Inner {
            versions: BTreeMap::new(),
            mishaps: VecDeque::new(),
            down: None,
            made: 0,
            reads: 0,
            writes: 0,
            pace,
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// From now on every call fails so, or none does.
    pub fn down(&self, kind: Option<TargetErrorKind>) {
        self.lock().down = kind;
    }

    /// The next write has this mishap.
    pub fn then(&self, mishap: Mishap) {
        self.lock().mishaps.push_back(mishap);
    }

    pub fn pace(&self, pace: TargetPace) {
        self.lock().pace = pace;
    }

    /// Somebody else writes.
    pub fn by_hand(&self, name: &str, value: &str) {
        self.lock().put(name, value.to_owned(), None, None);
    }

    /// The secret is gone, with all its versions.
    pub fn remove(&self, name: &str) {
        self.lock().versions.remove(name);
    }

    /// Changes the current version.
    pub fn alter(&self, name: &str, change: impl FnOnce(&mut Version)) {
        let mut inner = self.lock();
        change(inner.versions.get_mut(name).and_then(|versions| versions.last_mut()).expect("it is there"));
    }

    /// All versions, the current one last.
    pub fn versions(&self, name: &str) -> Vec<Version> {
        self.lock().versions.get(name).cloned().unwrap_or_default()
    }

    /// The value that a reader gets.
    pub fn value(&self, name: &str) -> Option<String> {
        self.versions(name).last().filter(|version| version.enabled).map(|version| version.value.clone())
    }

    /// How many reads and writes there were.
    pub fn calls(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.reads, inner.writes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().expect("one thread")
    }
}

impl Inner {
    fn put(&mut self, name: &str, value: String, expires: Option<i64>, mark: Option<Mark>) -> String {
        self.made += 1;
        let id = format!("v{}", self.made);
        let version = Version { id: id.clone(), value, enabled: true, expires, mark };
        self.versions.entry(name.to_owned()).or_default().push(version);
        id
    }

    fn up(&self) -> Result<(), TargetError> {
        self.down.map_or(Ok(()), |kind| Err(failure(kind)))
    }
}

fn failure(kind: TargetErrorKind) -> TargetError {
    TargetError { kind, words: format!("the shelf is {}", kind.word()), retry_after: None }
}

fn answer<'a, T: Send + 'a>(answer: Result<T, TargetError>) -> TargetAnswer<'a, T> {
    Box::pin(ready(answer))
}

impl Target for Shelf {
    fn admits(&self, name: &str) -> Result<(), String> {
        if name.contains('!') { Err("a name here has no `!`".to_owned()) } else { Ok(()) }
    }

    fn read<'a>(&'a self, name: &'a str) -> TargetAnswer<'a, Option<Held>> {
        let mut inner = self.lock();
        inner.reads += 1;
        answer(inner.up().map(|()| {
            let version = inner.versions.get(name)?.last()?;
            Some(Held {
                value: version.enabled.then(|| Secret::copy_of(version.value.as_bytes())),
                version: version.id.clone(),
                enabled: version.enabled,
                expires: version.expires,
                created: None,
                mark: version.mark.clone(),
            })
        }))
    }

    fn write<'a>(&'a self, name: &'a str, parcel: &'a Parcel) -> TargetAnswer<'a, String> {
        let mut inner = self.lock();
        inner.writes += 1;
        if let Err(error) = inner.up() {
            return answer(Err(error));
        }
        let mishap = inner.mishaps.pop_front();
        if let Some(Mishap::Refused(kind)) = mishap {
            return answer(Err(failure(kind)));
        }
        let value = parcel.value.expose_str().expect("text").to_owned();
        let id = inner.put(name, value, parcel.expires, Some(parcel.mark.clone()));
        match mishap {
            Some(Mishap::AnswerLost) => answer(Err(failure(TargetErrorKind::Unreachable))),
            Some(Mishap::Overtaken) => {
                inner.put(name, "somebody else's".to_owned(), None, None);
                answer(Ok(id))
            }
            _ => answer(Ok(id)),
        }
    }

    fn disable<'a>(&'a self, name: &'a str, version: &'a str) -> TargetAnswer<'a, ()> {
        let mut inner = self.lock();
        answer(inner.up().map(|()| {
            let versions = inner.versions.get_mut(name).into_iter().flatten();
            versions.filter(|known| known.id == version).for_each(|known| known.enabled = false);
        }))
    }

    fn pace(&self) -> TargetPace {
        self.lock().pace
    }
}
