//! What the kernel tells of the machine and of processes: the part of a figure that isn't ours.

use std::fs;
use std::process::Command;
use std::time::Duration;

/// The kernel counts processor time in hundredths of a second for every program, whatever its own clock
/// (`USER_HZ`, proc(5)).
const TICK: Duration = Duration::from_millis(10);

/// The machine in one line: processor, cores, memory, kernel.
pub(crate) fn description() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = value_of(&processors, "model name").unwrap_or("unknown processor");
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let memory = kilobytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal") >> 20;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, {memory} GiB, Linux {}", kernel.trim())
}

/// The first line of what a program says of its version.
pub(crate) fn version_of(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or("version unknown").trim().to_owned()
}

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// What it has now (`VmRSS`).
    pub(crate) resident: u64,
    /// The part of that which is no file's (`RssAnon`): the rest is code, which the kernel can drop and read again.
    pub(crate) anonymous: u64,
    /// The most it ever had (`VmHWM`).
    pub(crate) peak: u64,
}

impl Memory {
    /// Of the process with this id, or of this one.
    pub(crate) fn of(process: Option<u32>) -> Self {
        let status = fs::read_to_string(format!("{}/status", folder(process))).unwrap_or_default();
        Self {
            resident: kilobytes(&status, "VmRSS"),
            anonymous: kilobytes(&status, "RssAnon"),
            peak: kilobytes(&status, "VmHWM"),
        }
    }
}

/// Processor time that a process has used: its own code and the kernel's on its behalf.
pub(crate) fn processor_time(process: Option<u32>) -> Duration {
    ticks(&fs::read_to_string(format!("{}/stat", folder(process))).unwrap_or_default(), 11..13)
}

/// Processor time that this process has used by now, to the nanosecond: what an idle one uses is less than a tick.
pub(crate) fn exact_processor_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let on_processor = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(on_processor.sum())
}

/// Processor time of this process's children that have ended.
pub(crate) fn processor_time_of_children() -> Duration {
    ticks(&fs::read_to_string("/proc/self/stat").unwrap_or_default(), 13..15)
}

/// Processor time of each of this process's threads, by name. Those of one name are added up.
pub(crate) fn processor_time_by_thread() -> Vec<(String, Duration)> {
    let mut threads: Vec<(String, Duration)> = Vec::new();
    for thread in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or("", |(name, _)| name);
        let time = ticks(&stat, 11..13);
        match threads.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += time,
            None => threads.push((name.to_owned(), time)),
        }
    }
    threads
}

/// Processor time of all processes together. The kernel's handling of network packets isn't in it: it is nobody's.
pub(crate) fn processor_time_of_all() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace();
    // user, nice, system
    TICK * fields.skip(1).take(3).filter_map(|field| field.parse::<u32>().ok()).fold(0, u32::saturating_add)
}

fn folder(process: Option<u32>) -> String {
    process.map_or_else(|| "/proc/self".to_owned(), |id| format!("/proc/{id}"))
}

/// Fields of a `stat` file, counted behind the program's name, which may hold anything.
fn ticks(stat: &str, fields: std::ops::Range<usize>) -> Duration {
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let wanted = behind_name.split_whitespace().skip(fields.start).take(fields.len());
    TICK * wanted.filter_map(|field| field.parse::<u32>().ok()).fold(0, u32::saturating_add)
}

fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':')).map(str::trim)
}

fn kilobytes(text: &str, key: &str) -> u64 {
    value_of(text, key).and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_does_not_shift_the_fields() {
        let stat = "17 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 50 7 3 20 0";
        assert_eq!(ticks(stat, 11..13), Duration::from_secs(2));
        assert_eq!(ticks(stat, 13..15), Duration::from_millis(100));
    }

    #[test]
    fn memory_of_a_running_process_is_told() {
        let memory = Memory::of(None);
        assert!(memory.anonymous > 0 && memory.resident >= memory.anonymous && memory.peak >= memory.resident);
    }
}
