//! A real Azure Key Vault, through the code that deliveries go through. `cargo xtask azure` runs it, and nothing else does,
//! since it needs somebody's vault. `docs/azure.md` says what to set.
//!
//! It writes secrets whose names begin with `vestal-live-`, with worthless values. It can't delete them, having no such
//! right, and leaves them disabled. What Azure did is printed, so that a run is a report.

#![expect(clippy::print_stdout, reason = "a report for the person at the terminal")]

mod place;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use secret::Secret;
use store::{Held, Mark, Parcel, Target, TargetErrorKind};

use crate::place::{now, vault};

/// A token's life.
const HOUR: i64 = 3600;

/// How far Azure's clock may be from ours before a test says so.
const SKEW: i64 = 120;

/// How long 429 is provoked at most.
const PROVOKED: Duration = Duration::from_secs(60);

/// How many calls are under way at once to provoke it.
const AT_ONCE: usize = 200;

/// A name that nobody had yet.
fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let process = std::process::id();
    format!("vestal-live-{}-{process}-{}", now(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn parcel(value: &str, generation: u64, expires: Option<i64>) -> Parcel {
    Parcel {
        value: Secret::copy_of(value.as_bytes()),
        expires,
        mark: Mark { token: "0123456789abcdef0123456789abcdef".to_owned(), generation },
        provider: "vestal-live".to_owned(),
        renewed_at: now(),
    }
}

async fn read(vault: &dyn Target, name: &str) -> Held {
    vault.read(name).await.unwrap_or_else(|error| panic!("{error}")).expect("it was written")
}

async fn write(vault: &dyn Target, name: &str, parcel: &Parcel) -> String {
    vault.write(name, parcel).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Leaves nothing behind that anybody could read.
async fn disable_current(vault: &dyn Target, name: &str) {
    let current = read(vault, name).await.version;
    vault.disable(name, &current).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn it_signs_in_and_finds_nothing_under_a_fresh_name() {
    let held = vault().read(&fresh_name()).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(held.is_none());
}

#[tokio::test]
async fn what_is_written_is_read_back_at_once_with_its_end_and_its_mark() {
    let (vault, name) = (vault(), fresh_name());
    let expires = now() + HOUR;
    let version = write(&vault, &name, &parcel("worthless 1", 1, Some(expires))).await;
    let held = read(&vault, &name).await;
    assert_eq!(held.version, version);
    assert!(held.enabled);
    assert_eq!(held.value.as_ref().and_then(Secret::expose_str), Some("worthless 1"));
    assert_eq!(held.expires, Some(expires));
    assert_eq!(held.mark.map(|mark| mark.generation), Some(1));
    let skew = held.created.expect("Azure tells when") - now();
    println!("Azure's clock minus ours: {skew} s");
    assert!(skew.abs() < SKEW, "set this machine's clock: it is {skew} s off");
    disable_current(&vault, &name).await;
}

#[tokio::test]
async fn a_later_version_supersedes_and_the_one_before_can_be_disabled() {
    let (vault, name) = (vault(), fresh_name());
    let first = write(&vault, &name, &parcel("worthless 1", 1, Some(now() + HOUR))).await;
    let second = write(&vault, &name, &parcel("worthless 2", 2, None)).await;
    assert_ne!(first, second);
    vault.disable(&name, &first).await.unwrap_or_else(|error| panic!("{error}"));
    let held = read(&vault, &name).await;
    assert_eq!((held.version.as_str(), held.enabled, held.expires), (second.as_str(), true, None));
    disable_current(&vault, &name).await;
}

#[tokio::test]
async fn a_disabled_secret_is_told_as_such_and_written_over() {
    let (vault, name) = (vault(), fresh_name());
    write(&vault, &name, &parcel("worthless 1", 1, None)).await;
    disable_current(&vault, &name).await;
    let held = read(&vault, &name).await;
    assert!(!held.enabled && held.value.is_none());
    write(&vault, &name, &parcel("worthless 2", 2, None)).await;
    assert!(read(&vault, &name).await.enabled);
    disable_current(&vault, &name).await;
}

#[tokio::test]
async fn an_end_that_is_past_is_taken_and_readable() {
    let (vault, name) = (vault(), fresh_name());
    let past = now() - HOUR;
    match vault.write(&name, &parcel("worthless 1", 1, Some(past))).await {
        Ok(_) => {
            let held = read(&vault, &name).await;
            assert_eq!(held.expires, Some(past));
            println!("a secret whose `exp` is past is taken, and can be read: {}", held.value.is_some());
            disable_current(&vault, &name).await;
        }
        Err(error) => panic!("Azure refuses an `exp` that is past, which docs/azure.md says it takes: {error}"),
    }
}

#[tokio::test]
async fn the_longest_name_and_the_largest_value_are_taken() {
    let vault = vault();
    let name = format!("{}-{}", fresh_name(), "x".repeat(127));
    let name = &name[..127];
    write(&vault, name, &parcel(&"v".repeat(25_600), 1, None)).await;
    assert_eq!(read(&vault, name).await.value.map(|value| value.expose().len()), Some(25_600));
    disable_current(&vault, name).await;
}

/// Everybody else who uses the vault feels this one, so it is asked for by a variable of its own.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_calls_are_answered_with_429_and_perhaps_retry_after() {
    if std::env::var_os("VESTAL_AZURE_THROTTLE").is_none() {
        println!("not provoked: set VESTAL_AZURE_THROTTLE=1, in a vault that nobody else uses");
        return;
    }
    let (vault, name) = (vault(), fresh_name());
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < PROVOKED {
        let answers = futures_util::future::join_all((0..AT_ONCE).map(|_| vault.read(&name))).await;
        calls += answers.len();
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            assert_eq!(error.kind, TargetErrorKind::Throttled, "{error}");
            let seconds = start.elapsed().as_secs_f64();
            println!("429 after {calls} calls in {seconds:.1} s; Retry-After: {:?}", error.retry_after);
            return;
        }
    }
    println!("no 429 for {calls} calls in {} s", PROVOKED.as_secs());
}
