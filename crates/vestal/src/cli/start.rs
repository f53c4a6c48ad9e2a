//! `dev` and `serve`: the commands that become the running Vestal themselves.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::folder::{CONFIG_FILE, DEV_FOLDER};
use super::problem::Problem;
use super::session::Session;
use super::{Entries, output::Output};
use crate::config::{Period, PeriodError};
use crate::sandbox::Faults;

/// What `vestal dev` is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct DevOptions {
    /// The data folder.
    pub dir: PathBuf,
    /// Where the vaults and the authority listen; port 0 takes a free port.
    pub listen: SocketAddr,
    /// How long the sandbox's tokens live.
    pub lifetime: Duration,
    /// How the sandbox misbehaves.
    pub faults: Faults,
    /// Print one JSON object a line.
    pub json: bool,
}

/// What `vestal serve` is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// The configuration file.
    pub config: PathBuf,
    /// Print one JSON object a line.
    pub json: bool,
}

#[derive(Args)]
#[command(before_help = "\
Examples:
  vestal dev                                       on ./.vestal and 127.0.0.1:8443
  vestal dev --listen 127.0.0.1:0 --lifetime 10s   on a free port, with a renewal every 5 s
  vestal dev --sandbox-fail 0.2                    to watch the retries")]
#[command(after_help = "\
Next, in another shell: `vestal token list`; or `set -a; . ./.vestal/dev.env; set +a`, and any Azure SDK.
Stopped and started again it goes on where it was.")]
pub(super) struct DevArguments {
    /// Where the vaults and the authority listen; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// How long the sandbox's tokens live
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = some_time)]
    lifetime: Period,
    /// The share of the sandbox's answers that are errors (500), from 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0")]
    sandbox_fail: Share,
    /// How late the sandbox answers, such as 2s or 300ms
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    sandbox_delay: Option<Duration>,
    /// The share of the sandbox's answers that say `too many requests` (429), from 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0")]
    sandbox_throttle: Share,
}

#[derive(Args)]
#[command(before_help = "\
Examples:
  vestal serve                         ./vestal.toml
  vestal serve --config prod.toml")]
#[command(after_help = "\
What credentials are missing is said at the start, each with the command that sets it. A token that never had a value
raises no alert for them before it was tried three times: half an hour after the last change.
SIGHUP reads the file's definitions again. What says how the process runs is read at its start alone.
Next: `vestal secret set NAME` for each secret that the file names, then `vestal token list`.")]
pub(super) struct ServeArguments {}

pub(super) fn dev(arguments: DevArguments, session: &mut Session, entries: &Entries) -> Result<(), Problem> {
    if session.said.config.is_some() {
        return Err(
            Problem::usage("`vestal dev` has no configuration file").help("`vestal serve --config FILE` runs one")
        );
    }
    let DevArguments { listen, lifetime, sandbox_fail, sandbox_delay, sandbox_throttle } = arguments;
    if sandbox_fail.0 + sandbox_throttle.0 > 1.0 {
        return Err(Problem::usage("--sandbox-fail and --sandbox-throttle are more than all answers together")
            .help("make them 1 at most in sum"));
    }
    let well_behaved = Faults::default();
    let faults = Faults {
        fail: sandbox_fail.0,
        limit: sandbox_throttle.0,
        slow: if sandbox_delay.is_some() { 1.0 } else { 0.0 },
        delay: sandbox_delay.unwrap_or(well_behaved.delay),
        ..well_behaved
    };
    let dir = session.said.folder.clone().unwrap_or_else(|| PathBuf::from(DEV_FOLDER));
    let options = DevOptions { dir, listen, lifetime: lifetime.duration(), faults, json: session.json };
    (entries.dev)(options, &session.output)
}

pub(super) fn serve(session: &mut Session, entries: &Entries) -> Result<(), Problem> {
    if session.said.on_command_line().is_some() {
        return Err(Problem::usage("`vestal serve` takes its data folder from the configuration, not from --dir")
            .help("write it there: `[store]`, `data = \"…\"`"));
    }
    let config = session.said.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_FILE));
    (entries.serve)(ServeOptions { config, json: session.json }, &session.output)
}

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Share(f64);

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Self).ok_or("a share is a number from 0 to 1, such as 0.2")
    }
}

/// A length of time to the millisecond, as nothing else here needs it.
fn delay(text: &str) -> Result<Duration, String> {
    let millis = text.trim().strip_suffix("ms").and_then(|number| number.trim().parse::<u32>().ok());
    match (millis, text.parse::<Period>()) {
        (Some(millis), _) => Ok(Duration::from_millis(u64::from(millis))),
        (None, Ok(period)) => Ok(period.duration()),
        (None, Err(PeriodError::NotWholeSeconds)) => Err("write parts of a second as milliseconds: 300ms".to_owned()),
        (None, Err(error)) => Err(error.to_string()),
    }
}

fn some_time(text: &str) -> Result<Period, String> {
    let period: Period = text.parse().map_err(|error: PeriodError| error.to_string())?;
    if period.seconds() == 0 { Err("a token lives for one second at least".to_owned()) } else { Ok(period) }
}

/// What starts a running Vestal.
pub type Entry<Options> = fn(Options, &Output) -> Result<(), Problem>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_may_be_shorter_than_a_second() {
        for (text, ms) in [("300ms", 300), ("2s", 2_000), ("1m 30s", 90_000), (" 5 ms", 5), ("1500ms", 1_500)] {
            assert_eq!(delay(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["300", "0.3", "-5ms", "ms", ""] {
            assert!(delay(text).is_err(), "{text}");
        }
        assert!(delay("1s 300ms").expect_err("two units").contains("300ms"));
    }
}
