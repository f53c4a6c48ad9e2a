//! One function says how much life is left, and it is never more than either clock says.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use renewal::{Boot, Expiry, Jump, Moment, Remaining, Wall, jump, remaining};

fn at(wall: i64, boot: u64) -> Moment {
    Moment { wall: Wall(wall), boot: Boot { id: 7, ms: boot } }
}

#[test]
fn an_expiry_is_rounded_down_to_a_whole_second_on_both_clocks() {
    let expiry = Expiry::after(at(1_000_400, 5_000), Duration::from_secs(60));
    assert_eq!(expiry.wall, Wall(1_060_000));
    assert_eq!(expiry.boot, Some(Boot { id: 7, ms: 64_600 }));
}

#[test]
fn the_clock_that_leaves_less_life_rules() {
    let expiry = Expiry::after(at(1_000_000, 0), Duration::from_secs(60));
    assert_eq!(remaining(at(1_010_000, 10_000), expiry), Remaining(50_000));
    assert_eq!(remaining(at(1_010_000, 55_000), expiry), Remaining(5_000), "wall set back: boot time rules");
    assert_eq!(remaining(at(1_055_000, 10_000), expiry), Remaining(5_000), "wall set ahead: wall time rules");
}

#[test]
fn boot_time_of_another_boot_means_nothing() {
    let expiry = Expiry::after(at(1_000_000, 900_000), Duration::from_secs(60));
    let rebooted = Moment { wall: Wall(1_010_000), boot: Boot { id: 8, ms: 5_000_000 } };
    assert_eq!(remaining(rebooted, expiry), Remaining(50_000));
}

#[test]
fn a_jump_is_seen_in_both_directions_and_not_across_a_reboot() {
    let before = at(1_000_000, 10_000);
    assert_eq!(jump(before, at(1_001_000, 11_000)), None);
    assert_eq!(jump(before, at(1_003_000, 11_000)), None, "two seconds are no jump yet");
    assert_eq!(jump(before, at(1_003_001, 11_000)), Some(Jump { ahead_ms: 2_001 }));
    assert_eq!(jump(before, at(998_000, 11_000)), Some(Jump { ahead_ms: -3_000 }));
    assert_eq!(jump(before, Moment { wall: Wall(0), boot: Boot { id: 8, ms: 0 } }), None);
}

fn moment() -> impl Strategy<Value = Moment> {
    (any::<i64>(), 0..3_u64, any::<u64>()).prop_map(|(wall, id, ms)| Moment { wall: Wall(wall), boot: Boot { id, ms } })
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(5905), ..ProptestConfig::default() })]

    #[test]
    fn no_clock_and_no_length_overflows(
        (t0, now) in (moment(), moment()),
        (life, earlier) in (any::<u64>(), any::<u64>()),
    ) {
        let expiry = Expiry::after(t0, Duration::from_secs(life)).earlier_by(Duration::from_millis(earlier));
        let left = remaining(now, expiry);
        prop_assert!(left.left() <= left.distance());
        let _ = (jump(t0, now), now.since(t0), now.wall.since(t0.wall), now.wall.unix_seconds());
    }

    #[test]
    fn a_correction_for_skew_never_moves_an_expiry_later(
        (t0, now) in (moment(), moment()),
        (life, by) in (0..1_000_000_u64, any::<u32>()),
    ) {
        let expiry = Expiry::after(t0, Duration::from_secs(life));
        let corrected = expiry.earlier_by(Duration::from_millis(u64::from(by)));
        prop_assert!(remaining(now, corrected) <= remaining(now, expiry));
    }

    #[test]
    fn life_left_is_never_more_than_the_wall_clock_says((t0, now) in (moment(), moment()), life in any::<u32>()) {
        let expiry = Expiry::after(t0, Duration::from_secs(u64::from(life)));
        prop_assert!(remaining(now, expiry).0 <= expiry.wall.0.saturating_sub(now.wall.0));
    }
}
