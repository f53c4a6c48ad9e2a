//! The one place that reads a clock.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use renewal::{Boot, Moment, Wall};

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// Names this boot of the machine. Where the kernel doesn't tell (not Linux), it names this process, so that boot
/// times are never compared across a restart that might have been a reboot.
static BOOT_ID: LazyLock<u64> = LazyLock::new(|| {
    let told = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let text = if told.trim().is_empty() { format!("{}-{:?}", std::process::id(), SystemTime::now()) } else { told };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.trim().as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_ref()[..8]);
    u64::from_be_bytes(first)
});

/// The time now, on the wall and since boot (`CLOCK_BOOTTIME`, which counts suspend).
pub fn now() -> Moment {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let boot_ms = u64::try_from(boot.tv_sec).unwrap_or(0) * 1000 + u64::try_from(boot.tv_nsec).unwrap_or(0) / 1_000_000;
    Moment { wall: Wall(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)), boot: Boot { id: *BOOT_ID, ms: boot_ms } }
}

/// The wall clock in Unix seconds.
pub fn unix_seconds() -> i64 {
    now().wall.unix_seconds()
}

impl keeper::Clock for SystemClock {
    fn now(&self) -> Moment {
        now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The operating system's random bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl store::Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // AWS-LC aborts the process itself where the system has no entropy to give; there is no error to handle.
        aws_lc_rs::rand::fill(buffer).expect("the operating system gives random bytes");
    }
}
