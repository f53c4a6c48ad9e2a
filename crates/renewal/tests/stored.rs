//! What the store keeps reads back as it was.
#![cfg(feature = "serde")]

use std::time::Duration;

use renewal::{
    Answer, Boot, Failure, FailureClass, Lane, LaneLimits, LaneRecord, Lifetime, Moment, Need, PauseReason, Random,
    Reach, Standing, Terms, Verdict, Wall,
};

const NOW: Moment = Moment { wall: Wall(1_800_000_000_000), boot: Boot { id: u64::MAX, ms: 5_000 } };

#[test]
fn a_standing_reads_back_as_it_was_written() {
    let answer =
        Answer { lifetime: Lifetime::Known(Duration::from_millis(3_600_500)), refresh_in: None, same_value: false };
    let mut random = Random::new(1);
    let mut standing = Standing::new(NOW).renewed(NOW, NOW, answer, Terms::default(), &mut random);
    let failure = Failure { class: FailureClass::Consent, reach: Reach::Sent, retry_after: None, cause: u64::MAX };
    standing = standing.failed(NOW, failure, &mut random);
    standing.pause(PauseReason::DefinitionGone);
    standing.notices(NOW, Terms::default());
    assert_eq!(standing.due, Wall::NEVER);
    let written = serde_json::to_string(&standing).expect("a standing can always be written");
    assert_eq!(serde_json::from_str::<Standing>(&written).expect("it was just written"), standing);

    let unvalued = serde_json::to_string(&Standing::new(NOW)).expect("a standing can always be written");
    assert_eq!(serde_json::from_str::<Standing>(&unvalued).expect("it was just written"), Standing::new(NOW));
}

#[test]
fn a_lane_reads_back_as_it_was_written() {
    let mut lane = Lane::new(LaneLimits::default(), NOW);
    let later = Moment { wall: NOW.wall.plus(Duration::from_secs(2)), boot: Boot { ms: 7_000, ..NOW.boot } };
    for verdict in [Verdict::Failed; 5].into_iter().chain([Verdict::ClientRefused]) {
        if let Ok(permit) = lane.permit(later, Need::Mandatory) {
            lane.returned(permit, later, verdict);
        }
    }
    let record = lane.record(later);
    assert!(record.breaker.is_some());
    let written = serde_json::to_string(&record).expect("a record can always be written");
    assert_eq!(serde_json::from_str::<LaneRecord>(&written).expect("it was just written"), record);
}
