//! What to do about what a target holds. Pure: no clock, no store, no call.

use secret::Secret;
use store::{DeliveryState, ForeignChange, Held};

use crate::definition::OnChange;

/// The generation that a target should hold.
pub(crate) struct Ours<'a> {
    /// The token's id, as in a mark.
    pub(crate) token: &'a str,
    pub(crate) generation: u64,
    pub(crate) value: &'a Secret,
    pub(crate) expires: Option<i64>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It holds what it should.
    Keep,
    /// It is to be written, over somebody else's change if there was one.
    Write(Option<ForeignChange>),
    /// Somebody else's change stays.
    Leave(ForeignChange),
    /// It must not be written. Why, and what to do.
    Refuse(String),
}

/// What to do where the target holds `held`, and `delivered` is the generation that it was last seen to hold. Times are in
/// milliseconds.
pub(crate) fn decide(
    state: &DeliveryState,
    delivered: u64,
    held: Option<&Held>,
    ours: &Ours<'_>,
    on_change: OnChange,
    now: i64,
) -> Decision {
    let change = |repaired| ForeignChange { seen_at: now, version: held.map(|held| held.version.clone()), repaired };
    let changed = || match on_change {
        // A newer generation is written in any case: its readers' life depends on it.
        _ if ours.generation > delivered => Decision::Write(Some(change(true))),
        OnChange::Repair => Decision::Write(Some(change(true))),
        OnChange::Report if state.ordered => Decision::Write(Some(change(true))),
        OnChange::Report => Decision::Leave(change(false)),
    };
    let never_delivered = state.version.is_none();
    let Some(held) = held else {
        return if never_delivered { Decision::Write(None) } else { changed() };
    };
    let Some(mark) = &held.mark else {
        // What stood there before the first delivery is what the token takes the place of.
        return if never_delivered { Decision::Write(None) } else { changed() };
    };
    if mark.token != ours.token {
        return Decision::Refuse(
            "another token of Vestal's is delivered there under the same name: give this delivery another `name`, or \
             end the other one"
                .to_owned(),
        );
    }
    if mark.generation > ours.generation {
        return Decision::Refuse(format!(
            "it holds generation {} of this token already, and here it is {}: another Vestal delivers it, or an older \
             backup was restored; end the other one, or renew the token until it is newer",
            mark.generation, ours.generation
        ));
    }
    if mark.generation < ours.generation {
        return Decision::Write(None);
    }
    let same_value = held.value.as_ref().is_some_and(|value| value.equals(ours.value));
    match (held.enabled && same_value, held.expires == ours.expires) {
        (true, true) => Decision::Keep,
        // The same value was given a later end.
        (true, false) => Decision::Write(None),
        (false, _) => changed(),
    }
}

#[cfg(test)]
mod tests {
    use store::Mark;

    use super::*;

    fn held(mark: Option<(&str, u64)>, value: &str) -> Held {
        Held {
            value: Some(Secret::copy_of(value.as_bytes())),
            version: "v1".to_owned(),
            enabled: true,
            expires: Some(100),
            created: None,
            mark: mark.map(|(token, generation)| Mark { token: token.to_owned(), generation }),
        }
    }

    fn decision(delivered: Option<u64>, held: Option<&Held>, on_change: OnChange) -> Decision {
        let value = Secret::copy_of(b"new");
        let ours = Ours { token: "t", generation: 5, value: &value, expires: Some(100) };
        let state = DeliveryState { version: delivered.map(|_| "v1".to_owned()), ..DeliveryState::default() };
        decide(&state, delivered.unwrap_or(0), held, &ours, on_change, 7)
    }

    fn change(version: Option<&str>, repaired: bool) -> ForeignChange {
        ForeignChange { seen_at: 7, version: version.map(ToOwned::to_owned), repaired }
    }

    #[test]
    fn a_first_delivery_takes_the_place_of_what_is_there() {
        for on_change in [OnChange::Repair, OnChange::Report] {
            assert_eq!(decision(None, None, on_change), Decision::Write(None));
            assert_eq!(decision(None, Some(&held(None, "old")), on_change), Decision::Write(None));
        }
    }

    #[test]
    fn what_is_there_already_is_kept() {
        assert_eq!(decision(Some(5), Some(&held(Some(("t", 5)), "new")), OnChange::Repair), Decision::Keep);
        // The record of the delivery was lost, by a crash for one.
        assert_eq!(decision(None, Some(&held(Some(("t", 5)), "new")), OnChange::Repair), Decision::Keep);
    }

    #[test]
    fn an_older_generation_is_replaced_even_if_a_newer_one_was_delivered() {
        assert_eq!(decision(Some(4), Some(&held(Some(("t", 4)), "old")), OnChange::Report), Decision::Write(None));
        // A write of an earlier process arrived late.
        assert_eq!(decision(Some(5), Some(&held(Some(("t", 4)), "old")), OnChange::Report), Decision::Write(None));
    }

    #[test]
    fn a_newer_generation_and_another_token_are_never_overwritten() {
        for (mark, word) in [(("t", 6), "generation 6"), (("other", 1), "another token")] {
            let decision = decision(Some(5), Some(&held(Some(mark), "x")), OnChange::Repair);
            assert!(matches!(&decision, Decision::Refuse(words) if words.contains(word)), "{decision:?}");
        }
    }

    #[test]
    fn somebody_elses_change_is_repaired_or_reported() {
        let by_hand = held(None, "theirs");
        let disabled = Held { enabled: false, value: None, ..held(Some(("t", 5)), "new") };
        let altered = held(Some(("t", 5)), "theirs");
        for found in [Some(&by_hand), Some(&disabled), Some(&altered), None] {
            let version = found.map(|held| held.version.as_str());
            let repaired = Decision::Write(Some(change(version, true)));
            assert_eq!(decision(Some(5), found, OnChange::Repair), repaired);
            assert_eq!(decision(Some(5), found, OnChange::Report), Decision::Leave(change(version, false)));
        }
        let newer = decision(Some(4), Some(&by_hand), OnChange::Report);
        assert_eq!(newer, Decision::Write(Some(change(Some("v1"), true))), "the next generation takes its place");
    }

    #[test]
    fn a_later_end_is_written() {
        let earlier = Held { expires: Some(50), ..held(Some(("t", 5)), "new") };
        assert_eq!(decision(Some(5), Some(&earlier), OnChange::Report), Decision::Write(None));
    }
}
