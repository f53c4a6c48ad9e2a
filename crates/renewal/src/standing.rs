//! What is remembered of a token between attempts, and how each event changes it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::outcome::{Answer, Failure, FailureClass};
use crate::random::Random;
use crate::schedule::{
    LONGEST_BACKOFF, Lifetime, Margins, Pacing, SHORTEST_BACKOFF, SHORTEST_GAP, backoff, backoff_cap, renew_at,
    retry_after, slow_retry, verify_at,
};
use crate::state::{PauseReason, TokenState, WireState};
use crate::time::{Expiry, Moment, Remaining, Wall, remaining};

/// What is asked of a token, by its operator and its provider. Read from the definition for each attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// The provider's pace.
    pub pacing: Pacing,
    /// The life a reader is sure to find left; zero for no promise.
    pub promise: Duration,
    /// How far our clock may be off; zero until it is measured.
    pub uncertainty: Duration,
}

/// The last failure of a row of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LastFailure {
    /// Its class.
    pub class: FailureClass,
    /// [`Failure::cause`].
    pub cause: u64,
}

/// What the owner has been told in the current episode, so that each is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Told {
    /// That its renewals fail.
    pub failing: bool,
    /// That they fail for a reason that waiting won't cure ([`FailureClass::alerts_at_once`]).
    pub refused: bool,
    /// That little life is left.
    pub expiring: bool,
    /// That its promise can't hold.
    pub promise: bool,
}

/// How a managed token stands: all that scheduling remembers about it, and never its value.
///
/// Kept in the token's record. Changed only by the methods here and by an [`Attempt`](crate::Attempt), whose next
/// standing takes effect when the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Standing {
    /// How many times the token has been renewed. Only goes up; 0 before the first value.
    pub generation: u64,
    /// The instant before the request that obtained the current value was sent; `None` before the first value.
    pub obtained: Option<Moment>,
    /// How long the current value lives, as told when it was obtained.
    pub lifetime: Option<Lifetime>,
    /// When the current value dies; `None` where that is not known, not ever, or there is no value.
    pub expiry: Option<Expiry>,
    /// The thresholds of danger for the current value.
    pub margins: Margins,
    /// When the next attempt is to be made; [`Wall::NEVER`] where only a person can help.
    pub due: Wall,
    /// Attempts failed since the last success.
    pub failures: u32,
    /// `k` of the backoff. Follows `failures`, but starts anew after an outage.
    pub step: u32,
    /// The last failure since the last success.
    pub last_failure: Option<LastFailure>,
    /// The provider wants a person's consent.
    pub needs_consent: bool,
    /// Why the token isn't renewed; empty where it is.
    pub paused: BTreeSet<PauseReason>,
    /// What the owner has been told.
    pub told: Told,
}

impl Standing {
    /// A token without a value, due at once.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        Self {
            generation: 0,
            obtained: None,
            lifetime: None,
            expiry: None,
            margins: Margins::default(),
            due: now.wall,
            failures: 0,
            step: 0,
            last_failure: None,
            needs_consent: false,
            paused: BTreeSet::new(),
            told: Told::default(),
        }
    }

    /// The life left; `None` where there is no expiry.
    #[must_use]
    pub fn remaining(&self, now: Moment) -> Option<Remaining> {
        self.expiry.map(|expiry| remaining(now, expiry))
    }

    /// How the token stands, for people. The first that holds: paused, needs consent, expired, expiring, retrying, due,
    /// fresh. A token that never had a value is due, or retrying once an attempt has failed.
    #[must_use]
    pub fn state(&self, now: Moment) -> TokenState {
        if !self.paused.is_empty() {
            return TokenState::Paused;
        }
        if self.needs_consent {
            return TokenState::NeedsConsent;
        }
        match self.wire_state(now) {
            WireState::Expired if self.obtained.is_some() => TokenState::Expired,
            WireState::Expiring => TokenState::Expiring,
            WireState::Expired | WireState::Fresh => {
                if self.failures > 0 {
                    TokenState::Retrying
                } else if self.obtained.is_none() || self.due <= now.wall {
                    TokenState::Due
                } else {
                    TokenState::Fresh
                }
            }
        }
    }

    /// What a reader is told. A value without an expiry is fresh; no value at all is expired.
    #[must_use]
    pub fn wire_state(&self, now: Moment) -> WireState {
        match self.remaining(now) {
            _ if self.obtained.is_none() => WireState::Expired,
            Some(left) if left.is_within(self.margins.hard_stop) => WireState::Expired,
            Some(left) if left.is_within(self.margins.urgent) => WireState::Expiring,
            Some(_) | None => WireState::Fresh,
        }
    }

    /// Whether the token is to be renewed before all others of its lane: little life left, none, or no value yet.
    #[must_use]
    pub fn is_urgent(&self, now: Moment) -> bool {
        self.wire_state(now) != WireState::Fresh
    }

    /// Whether the token has reached its mandatory window: a reader may wait for a flight under way, and a paused lane
    /// lets one attempt through for it.
    #[must_use]
    pub fn is_mandatory(&self, now: Moment) -> bool {
        self.remaining(now).is_some_and(|left| left.is_within(self.margins.mandatory))
    }

    /// Whether an attempt is to be made now.
    #[must_use]
    pub fn is_due(&self, now: Moment) -> bool {
        self.paused.is_empty() && !self.needs_consent && self.due <= now.wall
    }

    /// What due tokens are ordered by, first things first: the expiry; the epoch for a token that never had a value; the
    /// assumed end where the lifetime is a guess; [`Wall::NEVER`] for one that doesn't expire.
    #[must_use]
    pub fn order(&self) -> Wall {
        match (self.expiry, self.obtained) {
            (Some(expiry), _) => expiry.wall,
            (None, None) => Wall::EPOCH,
            (None, Some(obtained)) => {
                self.lifetime.and_then(Lifetime::length).map_or(Wall::NEVER, |life| obtained.wall.plus(life))
            }
        }
    }

    /// The standing after a success. `sent` is the instant before the request went out, `now` the present one, which may be
    /// much later where the store couldn't take the answer.
    ///
    /// The same value again keeps its generation, and where its end hasn't moved also the margins of its real lifetime.
    /// A token that is dead on arrival is kept like any other, but the next attempt waits as after a failure, so that a
    /// provider that hands out such tokens isn't asked in a hot loop.
    #[must_use]
    pub fn renewed(&self, sent: Moment, now: Moment, answer: Answer, terms: Terms, random: &mut Random) -> Self {
        let expiry = answer.lifetime.known().map(|life| Expiry::after(sent, life));
        let life = match expiry {
            Some(expiry) => Some(expiry.wall.since(sent.wall)),
            None => answer.lifetime.length(),
        };
        let planned = match life {
            Some(life) => renew_at(sent.wall, life, answer.refresh_in, terms.pacing, terms.promise, random),
            None => verify_at(sent.wall, random),
        };
        // Where the wall clock was set back meanwhile, the boot clock knows how much of the wait is over.
        let still_to_wait = planned.since(sent.wall).saturating_sub(now.since(sent));
        let gap = if answer.same_value { SHORTEST_BACKOFF } else { SHORTEST_GAP };
        let mut next = Self {
            generation: self.generation.saturating_add(u64::from(!answer.same_value)),
            obtained: Some(sent),
            lifetime: Some(answer.lifetime),
            expiry,
            margins: Margins::default(),
            due: planned.min(now.wall.plus(still_to_wait)).max(now.wall.plus(gap)),
            failures: 0,
            step: 0,
            last_failure: None,
            needs_consent: false,
            paused: self.paused.clone(),
            told: self.told,
        };
        if let Some(expiry) = expiry {
            let life = expiry.wall.since(sent.wall);
            next.margins = Margins::new(life, expiry.wall.since(planned), terms.promise, terms.uncertainty);
        }
        if answer.same_value && next.ends_with(self) {
            next.obtained = self.obtained;
            next.lifetime = self.lifetime;
            next.margins = self.margins;
        }
        if next.wire_state(now) == WireState::Expired {
            let wait = backoff(self.step, backoff_cap(next.remaining(now)), random);
            next.step = self.step.saturating_add(1);
            next.due = next.due.max(now.wall.plus(wait));
        }
        next
    }

    /// The standing after a failure: what each class does to the due time stands at [`FailureClass`]. The value, its
    /// expiry and its generation stay as they are.
    #[must_use]
    pub fn failed(&self, now: Moment, failure: Failure, random: &mut Random) -> Self {
        self.failed_within(now, failure, LONGEST_BACKOFF, random)
    }

    /// [`failed`](Self::failed), with no backoff longer than `longest`.
    pub(crate) fn failed_within(&self, now: Moment, failure: Failure, longest: Duration, random: &mut Random) -> Self {
        let left = self.remaining(now);
        let cap = backoff_cap(left).min(longest);
        let wait = match failure.class {
            FailureClass::Consent => None,
            FailureClass::Permanent | FailureClass::Credential => Some(slow_retry(left, random)),
            FailureClass::Client => Some(backoff(self.step, cap, random)),
            FailureClass::Transient | FailureClass::Throttled | FailureClass::Unknown => {
                Some(match failure.retry_after {
                    Some(asked) => retry_after(asked, left),
                    None => backoff(self.step, cap, random),
                })
            }
        };
        Self {
            due: wait.map_or(Wall::NEVER, |wait| now.wall.plus(wait)),
            failures: self.failures.saturating_add(1),
            step: self.step.saturating_add(1),
            last_failure: Some(LastFailure { class: failure.class, cause: failure.cause }),
            needs_consent: self.needs_consent || failure.class == FailureClass::Consent,
            ..self.clone()
        }
    }

    /// Whether `failure` only repeats the last one of the row.
    #[must_use]
    pub fn is_repeated_by(&self, failure: Failure) -> bool {
        self.last_failure == Some(LastFailure { class: failure.class, cause: failure.cause })
    }

    /// Stops renewing for `reason`. Reads go on.
    pub fn pause(&mut self, reason: PauseReason) {
        self.paused.insert(reason);
    }

    /// Lifts one reason to pause; another may still hold. What became due meanwhile is due now.
    pub fn resume(&mut self, reason: PauseReason) {
        self.paused.remove(&reason);
    }

    /// Makes the token due now, with the backoff starting anew: somebody asked for it, its definition or its credential
    /// changed, or another wrote a version of its secret. A token that needs consent, or is paused, stays so.
    pub fn renew_now(&mut self, now: Moment) {
        self.step = 0;
        if !self.needs_consent {
            self.due = self.due.min(now.wall);
        }
    }

    /// A person has acted on a token that needs consent: it is due now.
    pub fn consent_given(&mut self, now: Moment) {
        self.needs_consent = false;
        self.renew_now(now);
    }

    /// The lane works again after an outage: a token that waits to be tried again starts its backoff anew, and does so
    /// within `spread` ([`Lane::spread`](crate::Lane::spread)) from now, at its own moment of it. Returns whether anything
    /// changed; a token that failed for reasons of its own ([`FailureClass::Permanent`] and the like) isn't touched.
    pub fn kick(&mut self, now: Moment, spread: Duration, random: &mut Random) -> bool {
        let waits = self.last_failure.is_some_and(|last| match last.class {
            FailureClass::Transient | FailureClass::Throttled | FailureClass::Client | FailureClass::Unknown => true,
            FailureClass::Consent | FailureClass::Permanent | FailureClass::Credential => false,
        });
        if !waits || self.needs_consent {
            return false;
        }
        let due = self.due.min(now.wall.plus(random.up_to(spread)));
        let changed = due != self.due || self.step != 0;
        self.due = due;
        self.step = 0;
        changed
    }

    /// Computes the due time and the expiry again after the clock jumped. `before` is the last moment before the jump, under
    /// the same boot. What was still to wait then, less what the boot clock says has passed, is the most that is still to
    /// wait now; and the expiry by the wall clock lies no further off than the one by the boot clock, so that it is
    /// right after a reboot too. Both only ever move earlier: a wall clock set ahead shortens the life ([`remaining`]),
    /// so there the due time stands.
    pub fn after_jump(&mut self, before: Moment, now: Moment) {
        if self.due != Wall::NEVER {
            let still_to_wait = self.due.since(before.wall).saturating_sub(now.since(before));
            self.due = self.due.min(now.wall.plus(still_to_wait));
        }
        if let (Some(left), Some(expiry)) = (self.remaining(now), &mut self.expiry) {
            expiry.wall = expiry.wall.min(Wall(now.wall.0.saturating_add(left.0)).floor_to_second());
        }
    }

    /// Whether the value ends when that of `other` does, to within two seconds (both ends are rounded, and answers travel).
    fn ends_with(&self, other: &Self) -> bool {
        match (self.expiry, other.expiry) {
            (Some(ours), Some(theirs)) => ours.wall.0.abs_diff(theirs.wall.0) <= 2000,
            _ => false,
        }
    }
}
