//! A process that is killed while it writes.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use delivery::{FileSettings, FileTarget};
use store::Target as _;
use store::contract::block_on;

use super::{InFolder, parcel};

/// Names the folder that a child of this test writes to. Not a setting of anybody's: tests alone know it.
const CHILD_FOLDER: &str = "DELIVERY_TEST_FOLDER";

const ROUNDS: u32 = 40;

/// How much later than in the round before the child is killed. A write takes a few hundred microseconds or more.
const STEP: Duration = Duration::from_micros(23);

/// The child's part: it writes one generation after the other until it is killed.
#[test]
#[ignore = "it never ends: a_kill_at_any_moment_leaves_one_generation_whole runs it and kills it"]
fn write_on_and_on() {
    let folder = env::var_os(CHILD_FOLDER).expect("the parent sets it");
    let target = FileTarget::new(FileSettings { folder: folder.into(), mode: 0o600, owner: None, group: None });
    let held = block_on(target.read("a")).expect("it can be read");
    let last = held.and_then(|held| held.mark).map_or(0, |mark| mark.generation);
    for generation in last + 1.. {
        let value = format!("value-{generation}-").repeat(100);
        block_on(target.write("a", &parcel(&value, generation))).expect("there is room");
        println!("wrote {generation}");
    }
}

#[test]
fn a_kill_at_any_moment_leaves_one_generation_whole() {
    let files = InFolder::new();
    let mut last = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(env::current_exe().expect("we run"))
            .args(["--exact", "kill::write_on_and_on", "--ignored", "--nocapture"])
            .env(CHILD_FOLDER, files.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is this very program");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let told = lines.filter_map(|line| line.split_once("wrote ")?.1.parse().ok());
        let acknowledged: u64 = told.take(2).last().expect("it writes");
        // To be somewhere else in a later write each time.
        let until = Instant::now() + STEP * round;
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        child.kill().expect("it is ours");
        child.wait().expect("it was killed");

        let held = files.read("a").expect("it can be read").expect("it is there");
        let generation = held.mark.expect("what was killed in its writes leaves nobody's value").generation;
        assert!(generation >= acknowledged && acknowledged > last, "{generation}, {acknowledged} after {last}");
        let value = format!("value-{generation}-").repeat(100);
        assert_eq!(held.value.as_ref().and_then(|value| value.expose_str()), Some(value.as_str()));
        assert_eq!(fs::read(files.path("a")).expect("it is there"), value.as_bytes());
        last = acknowledged;
    }
    let next = parcel("the last", u64::MAX);
    files.write("a", &next).expect("there is room");
    assert_eq!(files.files(), [".a.vestal.json", ".vestal.lock", "a"], "nothing is left behind");
}
