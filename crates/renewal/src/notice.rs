//! What the owner of a token is told, and when: each thing once an episode.
//!
//! An episode ends with [`Notice::Recovered`]. What has been told is part of the [`Standing`], so a restart repeats
//! nothing.

use crate::outcome::FailureClass;
use crate::schedule::{Lifetime, PromiseTooLong, VERIFY_EVERY, check_promise, urgent};
use crate::standing::{Standing, Terms, Told};
use crate::state::{PauseReason, WireState};
use crate::time::{Moment, Remaining};

/// How many attempts may find no credential before the owner of a token that never had a value is told: whoever has just
/// declared it is about to write its client id and its client secret, and each of the two is followed by an attempt.
/// Where nobody does, the next attempts are a quarter of an hour apart.
const ATTEMPTS_BEFORE_CREDENTIALS: u32 = 2;

/// Something the owner should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Renewals fail: more than once while the token is urgent, or once for a reason that waiting won't cure; for want of a
    /// credential, where the token never had a value, only from the third time on. Told a second
    /// time in an episode only when the second kind follows the first. A token without a value is urgent; one whose
    /// lifetime is a guess is by that guess, and one that doesn't expire once its daily look is a day late.
    Failing {
        /// What the last attempt failed with.
        class: FailureClass,
        /// Failures since the last success.
        failures: u32,
        /// The life left, where there is an expiry.
        left: Option<Remaining>,
    },
    /// Little life is left, for whatever reason: failures, a pause, a queue.
    Expiring {
        /// The life left; not positive where the token is dead already.
        left: Remaining,
    },
    /// A token that was failing or expiring is fresh again.
    Recovered,
    /// The lifetime that the provider gave leaves no room for the promise. Told when it turns out, and again only after
    /// it has held in between.
    PromiseTooLong(PromiseTooLong),
}

impl Notice {
    /// The word for it, as alerts and metrics carry it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Failing { .. } => "failing",
            Self::Expiring { .. } => "expiring",
            Self::Recovered => "recovered",
            Self::PromiseTooLong(_) => "promise too long",
        }
    }
}

impl Standing {
    /// What the owner is to be told now and hasn't been, and marks it as told. Send the notices once this standing is
    /// durable: a crash in between loses a notice that the next look doesn't repeat, while the other order would send
    /// one twice.
    ///
    /// An [`Attempt`](crate::Attempt) calls this by itself; the keeper calls it when only time has passed. A token whose
    /// secret or definition is gone tells nothing.
    pub fn notices(&mut self, now: Moment, terms: Terms) -> Vec<Notice> {
        let mut notices = Vec::new();
        if self.paused.contains(&PauseReason::SecretDeleted) || self.paused.contains(&PauseReason::DefinitionGone) {
            return notices;
        }
        let promise =
            self.lifetime.and_then(Lifetime::known).map(|life| check_promise(terms.promise, life, terms.pacing));
        match promise {
            Some(Err(too_long)) if !self.told.promise => {
                self.told.promise = true;
                notices.push(Notice::PromiseTooLong(too_long));
            }
            Some(Ok(())) => self.told.promise = false,
            Some(Err(_)) | None => {}
        }
        if let Some(last) = self.last_failure
            && !self.awaits_its_first_credentials()
        {
            let refused = last.class.alerts_at_once() && !self.told.refused;
            let failing = self.failures > 1 && self.is_alarming(now) && !self.told.failing && !self.told.refused;
            if refused || failing {
                self.told.failing = true;
                self.told.refused |= refused;
                notices.push(Notice::Failing { class: last.class, failures: self.failures, left: self.remaining(now) });
            }
        }
        match self.remaining(now) {
            Some(left) if self.is_urgent(now) && !self.told.expiring => {
                self.told.expiring = true;
                notices.push(Notice::Expiring { left });
            }
            _ => {}
        }
        let in_episode = self.told.failing || self.told.refused || self.told.expiring;
        let well = self.failures == 0 && !self.needs_consent && self.wire_state(now) == WireState::Fresh;
        if in_episode && well {
            self.told = Told { promise: self.told.promise, ..Told::default() };
            notices.push(Notice::Recovered);
        }
        notices
    }

    fn awaits_its_first_credentials(&self) -> bool {
        self.obtained.is_none()
            && self.failures <= ATTEMPTS_BEFORE_CREDENTIALS
            && self.last_failure.is_some_and(|last| last.class == FailureClass::Credential)
    }

    fn is_alarming(&self, now: Moment) -> bool {
        let (None, Some(obtained)) = (self.expiry, self.obtained) else {
            return self.is_urgent(now);
        };
        let calm = match self.lifetime.and_then(Lifetime::length) {
            Some(guess) => guess.saturating_sub(urgent(guess)),
            None => VERIFY_EVERY * 2,
        };
        now.since(obtained) >= calm
    }
}
