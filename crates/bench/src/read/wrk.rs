//! The load: wrk, on a core of its own.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::read::Target;
use crate::{Failure, LOAD_CORE, machine, process};

/// What one run of wrk found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Requests answered in each second.
    pub(crate) per_second: f64,
    /// Half of the requests took no longer, in milliseconds.
    pub(crate) p50: f64,
    /// 99 of 100 requests took no longer, in milliseconds.
    pub(crate) p99: f64,
    /// Processor time of the server for each request, in microseconds; the kernel's handling of packets is only in part
    /// counted as the server's.
    pub(crate) server_time: f64,
    /// How much of one core processes had that are neither server nor load, 0 to the number of cores.
    pub(crate) strangers: f64,
}

/// How hard to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: u32,
    pub(crate) length: Duration,
}

/// The command, as a person would type it. Secrets in headers are left out.
pub(crate) fn spelled(load: Load, target: &Target) -> String {
    let mut text = format!("taskset --cpu-list {LOAD_CORE} wrk {}", arguments(load).join(" "));
    for (name, value) in &target.headers {
        let value = if target.is_credential(name) { "…" } else { value };
        let _ = write!(text, " --header '{name}: {value}'");
    }
    let _ = write!(text, " '{}'", target.url());
    text
}

/// Asks for `length`, and reads what wrk says. An answer other than 2xx, or a broken connection, fails the run.
pub(crate) fn run(wrk: &Path, load: Load, target: &Target) -> Result<Run, Failure> {
    let mut command = process::on_core(LOAD_CORE, wrk);
    command.args(arguments(load));
    for (name, value) in &target.headers {
        command.arg("--header").arg(format!("{name}: {value}"));
    }
    command.arg(target.url());
    let before = Usage::now(target.process);
    let output = command.output().map_err(|error| format!("wrk could not be started: {error}"))?;
    let used = Usage::now(target.process).since(&before);
    if !output.status.success() {
        return Err(format!("wrk failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let requests = number_before(&text, " requests in ").ok_or_else(|| unread(&text))?;
    if let Some(problem) = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors")) {
        return Err(format!("{}: {}", target.url(), problem.trim()).into());
    }
    let figure = |key: &str| {
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(key));
        line.map(str::trim).ok_or_else(|| unread(&text))
    };
    Ok(Run {
        per_second: figure("Requests/sec:")?.parse()?,
        p50: milliseconds(figure("50%")?).ok_or_else(|| unread(&text))?,
        p99: milliseconds(figure("99%")?).ok_or_else(|| unread(&text))?,
        server_time: used.server.as_secs_f64() * 1e6 / requests.max(1.0),
        strangers: used.strangers(),
    })
}

fn arguments(load: Load) -> Vec<String> {
    vec![
        "--threads=1".to_owned(),
        format!("--connections={}", load.connections),
        format!("--duration={}s", load.length.as_secs().max(1)),
        "--latency".to_owned(),
    ]
}

fn unread(text: &str) -> Failure {
    format!("wrk said something else than expected:\n{text}").into()
}

/// The number that stands right before these words.
fn number_before(text: &str, words: &str) -> Option<f64> {
    text.split_once(words)?.0.split_whitespace().next_back()?.parse().ok()
}

/// wrk writes `402.00us`, `1.20ms`, `1.01s`.
fn milliseconds(text: &str) -> Option<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Some(number.parse::<f64>().ok()? * factor);
        }
    }
    None
}

/// Processor time, so that a figure taken beside other work shows it.
struct Usage {
    at: Instant,
    all: Duration,
    server: Duration,
    children: Duration,
}

impl Usage {
    fn now(server: u32) -> Self {
        Self {
            at: Instant::now(),
            all: machine::processor_time_of_all(),
            server: machine::processor_time(Some(server)),
            children: machine::processor_time_of_children(),
        }
    }

    fn since(&self, before: &Self) -> UsedBetween {
        UsedBetween {
            wall: self.at - before.at,
            all: self.all.saturating_sub(before.all),
            server: self.server.saturating_sub(before.server),
            load: self.children.saturating_sub(before.children),
        }
    }
}

struct UsedBetween {
    wall: Duration,
    all: Duration,
    server: Duration,
    load: Duration,
}

impl UsedBetween {
    fn strangers(&self) -> f64 {
        self.all.saturating_sub(self.server + self.load).as_secs_f64() / self.wall.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_of_wrk_are_read() {
        assert_eq!(
            ["402.00us", "1.20ms", "1.01s", "7"].map(milliseconds),
            [Some(0.402), Some(1.2), Some(1010.0), None]
        );
    }

    #[test]
    fn the_count_of_requests_is_read() {
        assert_eq!(number_before("  1511 requests in 10.00s, 2.21GB read", " requests in "), Some(1511.0));
    }
}
