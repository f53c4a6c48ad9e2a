//! The target in memory: the reference, and the target of tests and simulations.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secret::Secret;
use vault::{MAX_VALUE_BYTES, SecretName};

use crate::target::{Held, Mark, Parcel, Target, TargetAnswer, TargetError, TargetErrorKind, TargetPace};

/// A [`Target`] in memory. It answers at once, forgets all when its last handle is dropped, and fails on demand.
///
/// Its names are those of a Key Vault's secrets, which compare without regard to case. A clone is a second handle of
/// the same target.
#[derive(Clone)]
pub struct MemoryTarget(Arc<Mutex<World>>);

struct World {
    /// By name in lower case; the current version is the last.
    versions: BTreeMap<String, Vec<Version>>,
    made: u64,
    down: Option<TargetError>,
    names_down: BTreeMap<String, TargetErrorKind>,
    disables_down: Option<TargetErrorKind>,
    mishaps: VecDeque<Mishap>,
    calls: TargetCalls,
    pace: TargetPace,
}

struct Version {
    value: Secret,
    facts: MemoryVersion,
}

/// A version of a [`MemoryTarget`], but for its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryVersion {
    /// Its id.
    pub version: String,
    /// Whether readers can get it.
    pub enabled: bool,
    /// When it dies, in Unix seconds.
    pub expires: Option<i64>,
    /// When it was made, in Unix seconds. This target has no clock: a test says it, if it matters.
    pub created: Option<i64>,
    /// What a delivery wrote beside it.
    pub mark: Option<Mark>,
}

/// What happens to one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing is written, and it says so.
    Refused(TargetErrorKind),
    /// Nothing is written, and it asks to be left alone, for so long if it says so.
    Throttled(Option<Duration>),
    /// It is written, but the answer is lost.
    AnswerLost,
    /// It is written, and somebody else writes right after.
    Overtaken,
}

/// How many calls a [`MemoryTarget`] had, those that failed among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetCalls {
    /// Calls of [`Target::read`].
    pub reads: u64,
    /// Calls of [`Target::write`].
    pub writes: u64,
    /// Calls of [`Target::disable`].
    pub disables: u64,
}

impl MemoryTarget {
    /// An empty target that can be written to as fast as anybody likes.
    pub fn new() -> Self {
        let world = World {
            versions: BTreeMap::new(),
            made: 0,
            down: None,
            names_down: BTreeMap::new(),
            disables_down: None,
            mishaps: VecDeque::new(),
            calls: TargetCalls::default(),
            pace: TargetPace { interval: Duration::from_millis(1), burst: 1000, flights: 1000 },
        };
        Self(Arc::new(Mutex::new(world)))
    }

    /// From now on [`Target::pace`] is this.
    pub fn set_pace(&self, pace: TargetPace) {
        self.lock().pace = pace;
    }

    /// While it is down, every call fails so and changes nothing.
    pub fn set_down(&self, down: Option<TargetErrorKind>) {
        self.lock().down = down.map(failure);
    }

    /// While it is throttled, every call fails so and changes nothing, and asks to be left alone for so long.
    pub fn set_throttled(&self, retry_after: Option<Duration>) {
        self.lock().down = Some(TargetError { retry_after, ..failure(TargetErrorKind::Throttled) });
    }

    /// While it is unavailable, every call fails so and changes nothing, and asks to be left alone for so long.
    pub fn set_unavailable(&self, retry_after: Duration) {
        self.lock().down =
            Some(TargetError { retry_after: Some(retry_after), ..failure(TargetErrorKind::Unreachable) });
    }

    /// While a name is down, every call about it fails so and changes nothing; where it is
    /// [`Occupied`](TargetErrorKind::Occupied), reads find nothing and only writes fail, as with a deleted secret.
    pub fn set_name_down(&self, name: &str, down: Option<TargetErrorKind>) {
        let mut world = self.lock();
        match down {
            Some(kind) => world.names_down.insert(folded(name), kind),
            None => world.names_down.remove(&folded(name)),
        };
    }

    /// While this is so, nothing can be disabled, and all else goes on.
    pub fn set_disables_down(&self, down: Option<TargetErrorKind>) {
        self.lock().disables_down = down;
    }

    /// The next write that has no mishap yet has this one. A write that fails since the target or the name is down
    /// takes none.
    pub fn then(&self, mishap: Mishap) {
        self.lock().mishaps.push_back(mishap);
    }

    /// Somebody else makes a version the current one.
    pub fn write_by_hand(&self, name: &str, value: &str) {
        self.lock().put(name, Secret::copy_of(value.as_bytes()), None, None);
    }

    /// Somebody else changes the current version, all but its value. Nothing happens where there is none.
    pub fn alter(&self, name: &str, change: impl FnOnce(&mut MemoryVersion)) {
        if let Some(version) = self.lock().versions.get_mut(&folded(name)).and_then(|versions| versions.last_mut()) {
            change(&mut version.facts);
        }
    }

    /// Somebody else removes the secret with all its versions.
    pub fn remove(&self, name: &str) {
        self.lock().versions.remove(&folded(name));
    }

    /// All versions under a name, the current one last.
    pub fn versions(&self, name: &str) -> Vec<MemoryVersion> {
        let world = self.lock();
        world.versions.get(&folded(name)).into_iter().flatten().map(|version| version.facts.clone()).collect()
    }

    /// The value that a reader gets, faults aside.
    pub fn value(&self, name: &str) -> Option<Secret> {
        let world = self.lock();
        let current = world.versions.get(&folded(name))?.last()?;
        current.facts.enabled.then(|| current.value.duplicate())
    }

    /// The calls so far.
    pub fn calls(&self) -> TargetCalls {
        self.lock().calls
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryTarget {
    fn default() -> Self {
        Self::new()
    }
}

impl Target for MemoryTarget {
    fn admits(&self, name: &str) -> Result<(), String> {
        SecretName::parse(name).map(|_| ()).map_err(|error| error.to_string())
    }

    fn read<'a>(&'a self, name: &'a str) -> TargetAnswer<'a, Option<Held>> {
        Box::pin(async move {
            let mut world = self.lock();
            world.calls.reads += 1;
            match world.up(name) {
                Ok(()) => {}
                Err(error) if error.kind == TargetErrorKind::Occupied => return Ok(None),
                Err(error) => return Err(error),
            }
            let current = world.versions.get(&folded(name)).and_then(|versions| versions.last());
            Ok(current.map(|Version { value, facts }| Held {
                value: facts.enabled.then(|| value.duplicate()),
                version: facts.version.clone(),
                enabled: facts.enabled,
                expires: facts.expires,
                created: facts.created,
                mark: facts.mark.clone(),
            }))
        })
    }

    fn write<'a>(&'a self, name: &'a str, parcel: &'a Parcel) -> TargetAnswer<'a, String> {
        Box::pin(async move {
            let mut world = self.lock();
            world.calls.writes += 1;
            world.up(name)?;
            let unfit = |words| TargetError { words, ..failure(TargetErrorKind::Unfit) };
            self.admits(name).map_err(unfit)?;
            if parcel.value.len() > MAX_VALUE_BYTES {
                return Err(unfit(format!("a secret here has at most {MAX_VALUE_BYTES} bytes")));
            }
            let mishap = world.mishaps.pop_front();
            match mishap {
                Some(Mishap::Refused(kind)) => return Err(failure(kind)),
                Some(Mishap::Throttled(retry_after)) => {
                    return Err(TargetError { retry_after, ..failure(TargetErrorKind::Throttled) });
                }
                Some(Mishap::AnswerLost | Mishap::Overtaken) | None => {}
            }
            let version = world.put(name, parcel.value.duplicate(), parcel.expires, Some(parcel.mark.clone()));
            match mishap {
                Some(Mishap::AnswerLost) => return Err(failure(TargetErrorKind::Unreachable)),
                Some(Mishap::Overtaken) => {
                    world.put(name, Secret::copy_of(b"somebody else's"), None, None);
                }
                _ => {}
            }
            Ok(version)
        })
    }

    fn disable<'a>(&'a self, name: &'a str, version: &'a str) -> TargetAnswer<'a, ()> {
        Box::pin(async move {
            let mut world = self.lock();
            world.calls.disables += 1;
            match world.up(name) {
                Ok(()) => {}
                Err(error) if error.kind == TargetErrorKind::Occupied => return Ok(()),
                Err(error) => return Err(error),
            }
            if let Some(kind) = world.disables_down {
                return Err(failure(kind));
            }
            let versions = world.versions.get_mut(&folded(name)).into_iter().flatten();
            versions.filter(|known| known.facts.version == version).for_each(|known| known.facts.enabled = false);
            Ok(())
        })
    }

    fn pace(&self) -> TargetPace {
        self.lock().pace
    }
}

impl World {
    fn up(&self, name: &str) -> Result<(), TargetError> {
        if let Some(error) = &self.down {
            return Err(error.clone());
        }
        self.names_down.get(&folded(name)).map_or(Ok(()), |kind| Err(failure(*kind)))
    }

    fn put(&mut self, name: &str, value: Secret, expires: Option<i64>, mark: Option<Mark>) -> String {
        self.made += 1;
        let version = format!("{:032x}", self.made);
        let facts = MemoryVersion { version: version.clone(), enabled: true, expires, created: None, mark };
        self.versions.entry(folded(name)).or_default().push(Version { value, facts });
        version
    }
}

fn failure(kind: TargetErrorKind) -> TargetError {
    let words = format!("the target in memory was told to be {}: tell it otherwise", kind.word());
    TargetError { kind, words, retry_after: None }
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::block_on;
    use crate::contract::target::{OpenedTarget, TargetOpener};

    struct InMemory;

    impl TargetOpener for InMemory {
        type Opened = MemoryTarget;

        async fn fresh(&self) -> MemoryTarget {
            MemoryTarget::new()
        }
    }

    impl OpenedTarget for MemoryTarget {
        fn target(&self) -> &dyn Target {
            self
        }

        async fn write_by_hand(&self, name: &str, value: &str) {
            Self::write_by_hand(self, name, value);
        }

        async fn disable_by_hand(&self, name: &str) -> bool {
            self.alter(name, |version| version.enabled = false);
            true
        }

        fn folds_case(&self) -> bool {
            true
        }

        fn unfit_names(&self) -> Vec<String> {
            ["", "a.b", "a/b", "a b", "ü"].iter().map(|name| (*name).to_owned()).chain([("n").repeat(128)]).collect()
        }
    }

    crate::target_contract!(InMemory);

    fn parcel(generation: u64) -> Parcel {
        Parcel {
            value: Secret::copy_of(b"value"),
            expires: Some(9),
            mark: Mark { token: "t".to_owned(), generation },
            provider: "hourly".to_owned(),
            renewed_at: 5,
        }
    }

    fn kind<T>(answer: Result<T, TargetError>) -> Option<TargetErrorKind> {
        answer.err().map(|error| error.kind)
    }

    #[test]
    fn what_is_down_changes_nothing_until_it_is_up() {
        let target = MemoryTarget::new();
        target.set_down(Some(TargetErrorKind::Unreachable));
        assert_eq!(kind(block_on(target.write("a", &parcel(1)))), Some(TargetErrorKind::Unreachable));
        target.set_throttled(Some(Duration::from_secs(7)));
        let throttled = block_on(target.read("a")).err().expect("it is throttled");
        assert_eq!((throttled.kind, throttled.retry_after), (TargetErrorKind::Throttled, Some(Duration::from_secs(7))));
        target.set_down(None);
        assert_eq!(target.versions("a"), []);
        target.set_name_down("A", Some(TargetErrorKind::Occupied));
        assert_eq!(kind(block_on(target.write("a", &parcel(1)))), Some(TargetErrorKind::Occupied));
        assert!(block_on(target.read("a")).expect("a deleted secret isn't there").is_none());
        block_on(target.write("b", &parcel(1))).expect("another name is up");
        target.set_name_down("a", None);
        block_on(target.write("a", &parcel(1))).expect("it is up");
        assert_eq!(target.calls(), TargetCalls { reads: 2, writes: 4, disables: 0 });
    }

    #[test]
    fn a_mishap_befalls_one_write() {
        let target = MemoryTarget::new();
        target.then(Mishap::Refused(TargetErrorKind::Forbidden));
        target.then(Mishap::AnswerLost);
        target.then(Mishap::Overtaken);
        assert_eq!(kind(block_on(target.write("a", &parcel(1)))), Some(TargetErrorKind::Forbidden));
        assert_eq!(target.versions("a"), []);
        assert_eq!(kind(block_on(target.write("a", &parcel(2)))), Some(TargetErrorKind::Unreachable));
        assert_eq!(target.versions("a").len(), 1);
        block_on(target.write("a", &parcel(3))).expect("it is written, and then overtaken");
        let marks: Vec<_> =
            target.versions("a").into_iter().map(|version| version.mark.map(|m| m.generation)).collect();
        assert_eq!(marks, [Some(2), Some(3), None]);
        block_on(target.write("a", &parcel(4))).expect("no mishap is left");
        assert!(target.value("a").is_some_and(|value| value.equals(&parcel(4).value)));
    }
}
