//! One attempt to renew a token: what is done, in which order, and what becomes durable when.
//!
//! ```text
//!   Begin        Claimed            Ready          Exchanged              Promoted
//! ─────────> Claim ──────> OpenCredential ──> Exchange ──> Promote | Settle ──────> Finish
//!              │ ClaimLost       │ Missing        │            │  ▲ StoreFailed: Wait, and again
//!              ▼                 ▼                ▼            ▼  │
//!            Finish            Settle         (Return)      Wait ─┘ Elapsed
//! ```
//!
//! This is the order for grants that are safe to repeat (client credentials). A grant that may have spent its
//! credential lands its answer between `Exchange` and `Promote` and confirms afterwards: two more actions with their inputs,
//! in this machine.
//!
//! What holds, whatever happens:
//!
//! - **A success is never dropped.** Once the provider gave a token, the machine asks for `Promote` until the store has
//!   taken it or somebody else's renewal is in its place. It doesn't call the provider again meanwhile.
//! - **The permit goes back once**, in the step that ends its use: after the exchange, before anything is written.
//! - **The next standing is decided here.** The keeper writes it as it is.

use std::time::Duration;

use crate::action::{Action, AttemptRecord, AttemptResult, End, Report};
use crate::input::{Credential, Input, OutOfTurn};
use crate::outcome::{Answer, Failure, FailureClass, Outcome, Reach};
use crate::permit::Verdict;
use crate::random::Random;
use crate::schedule::{LONGEST_BACKOFF, LONGEST_PROBE_BACKOFF, backoff, deadline};
use crate::standing::{Standing, Terms};
use crate::time::Moment;

/// The longest wait between two tries to write what has been decided.
pub const LONGEST_STORE_WAIT: Duration = Duration::from_secs(30);

/// The state machine of one attempt. Feed it inputs, carry out its actions; see the crate's documentation.
#[derive(Debug)]
pub struct Attempt {
    stage: Stage,
    standing: Standing,
    terms: Terms,
    random: Random,
    started: Option<Moment>,
    fence: u64,
    number: u64,
    longest_backoff: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Ready,
    Claiming,
    Opening,
    Exchanging { sent: Moment },
    Writing(Decided),
    Waiting(Decided),
    Done,
}

/// What is to be made durable, and how often the store has refused it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decided {
    what: What,
    ended: Moment,
    refusals: u32,
    /// The result and the notices of the last write that was asked for.
    report: Report,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Success { sent: Moment, answer: Answer },
    Failure(Failure),
}

impl Attempt {
    /// An attempt for a token that stands so. The seed decides its jitter and its backoff.
    #[must_use]
    pub fn new(standing: Standing, terms: Terms, seed: u64) -> Self {
        let random = Random::new(seed);
        Self {
            stage: Stage::Ready,
            standing,
            terms,
            random,
            started: None,
            fence: 0,
            number: 0,
            longest_backoff: LONGEST_BACKOFF,
        }
    }

    /// Says whether its permit [is a probe](crate::Permit::is_probe) of a lane's open breaker. A probe that fails is made
    /// again within [`LONGEST_PROBE_BACKOFF`], so that the end of an outage is noticed by then.
    #[must_use]
    pub fn as_probe(self, probe: bool) -> Self {
        let longest_backoff = if probe { LONGEST_PROBE_BACKOFF } else { LONGEST_BACKOFF };
        Self { longest_backoff, ..self }
    }

    /// Takes one input and says what to do next.
    ///
    /// # Errors
    /// [`OutOfTurn`] where the input answers nothing that was asked; the machine is unchanged.
    pub fn handle(&mut self, now: Moment, input: Input) -> Result<Vec<Action>, OutOfTurn> {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        let (next, actions) = match (stage, input) {
            (Stage::Ready, Input::Begin) => {
                self.started = Some(now);
                let lease = self.deadline().saturating_mul(2);
                let claim = Action::Claim { parent_generation: self.standing.generation, lease };
                (Stage::Claiming, vec![claim])
            }
            (Stage::Claiming, Input::Claimed { fence, attempt }) => {
                self.fence = fence;
                self.number = attempt;
                (Stage::Opening, vec![Action::OpenCredential])
            }
            (Stage::Claiming, Input::ClaimLost) => (Stage::Done, unused(End::ClaimLost)),
            (Stage::Claiming, Input::StoreFailed) => (Stage::Done, unused(End::NotClaimed)),
            (Stage::Opening, Input::Credential(credential)) => match credential {
                Credential::Ready => {
                    (Stage::Exchanging { sent: now }, vec![Action::Exchange { deadline: self.deadline() }])
                }
                Credential::Missing => {
                    self.decide(now, What::Failure(without_call(FailureClass::Credential)), Verdict::Unused)
                }
                Credential::Unreadable => {
                    self.decide(now, What::Failure(without_call(FailureClass::Transient)), Verdict::Unused)
                }
            },
            (Stage::Exchanging { sent }, Input::Exchanged(outcome)) => {
                let what = match outcome {
                    Outcome::Success(answer) => What::Success { sent, answer },
                    Outcome::Failure(failure) => What::Failure(failure),
                };
                self.decide(now, what, verdict(outcome))
            }
            (Stage::Writing(decided), Input::Promoted) if decided.is_success() => finish(decided.report),
            (Stage::Writing(decided), Input::Settled) if !decided.is_success() => finish(decided.report),
            (Stage::Writing(decided), Input::PromoteLost) if decided.is_success() => finish(superseded()),
            (Stage::Writing(decided), Input::SettleLost) if !decided.is_success() => finish(superseded()),
            (Stage::Writing(decided), Input::Changed(standing)) => {
                if standing.generation == self.standing.generation {
                    self.standing = *standing;
                    self.write(now, decided)
                } else {
                    finish(superseded())
                }
            }
            (Stage::Writing(mut decided), Input::StoreFailed) => {
                let wait = backoff(decided.refusals, LONGEST_STORE_WAIT, &mut self.random);
                decided.refusals = decided.refusals.saturating_add(1);
                (Stage::Waiting(decided), vec![Action::Wait(wait)])
            }
            (Stage::Waiting(decided), Input::Elapsed) => self.write(now, decided),
            (stage, input) => {
                let error = OutOfTurn { stage: stage.name(), input: input.name() };
                self.stage = stage;
                return Err(error);
            }
        };
        self.stage = next;
        Ok(actions)
    }

    /// Whether the attempt is over: every input is out of turn from now on.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether the machine holds a provider's success that isn't durable yet. While one does, nothing new is started on
    /// that store; a process that stops now loses the answer.
    #[must_use]
    pub fn holds_success(&self) -> bool {
        match &self.stage {
            Stage::Writing(decided) | Stage::Waiting(decided) => decided.is_success(),
            _ => false,
        }
    }

    /// The outcome is known: the permit goes back, and what follows from it is written.
    fn decide(&mut self, now: Moment, what: What, verdict: Verdict) -> (Stage, Vec<Action>) {
        let decided = Decided { what, ended: now, refusals: 0, report: superseded() };
        let (stage, mut actions) = self.write(now, decided);
        actions.insert(0, Action::Return(verdict));
        (stage, actions)
    }

    /// Asks for the write. The next standing is computed for each try, since time has passed and what it builds on may have
    /// changed.
    fn write(&mut self, now: Moment, mut decided: Decided) -> (Stage, Vec<Action>) {
        let (mut standing, result, repeats_last, same_value) = match decided.what {
            What::Success { sent, answer } => {
                let answer = Answer { same_value: answer.same_value && self.standing.obtained.is_some(), ..answer };
                let next = self.standing.renewed(sent, now, answer, self.terms, &mut self.random);
                let result =
                    if answer.same_value { AttemptResult::SameValue } else { AttemptResult::Renewed(next.generation) };
                (next, result, false, answer.same_value)
            }
            What::Failure(failure) => {
                let next = self.standing.failed_within(now, failure, self.longest_backoff, &mut self.random);
                let repeats_last = self.standing.is_repeated_by(failure);
                (next, AttemptResult::Failed(failure.class), repeats_last, false)
            }
        };
        let notices = standing.notices(now, self.terms);
        let record = AttemptRecord {
            attempt: self.number,
            fence: self.fence,
            started: self.started.unwrap_or(now),
            ended: decided.ended,
            result,
            repeats_last,
            next_due: standing.due,
        };
        decided.report = Report { end: End::Recorded(result), notices };
        let standing = Box::new(standing);
        let action = if decided.is_success() {
            Action::Promote { standing, record, same_value }
        } else {
            Action::Settle { standing, record }
        };
        (Stage::Writing(decided), vec![action])
    }

    fn deadline(&self) -> Duration {
        deadline(self.standing.lifetime)
    }
}

impl Decided {
    fn is_success(&self) -> bool {
        matches!(self.what, What::Success { .. })
    }
}

impl Stage {
    fn name(&self) -> &'static str {
        match self {
            Self::Ready => "not begun",
            Self::Claiming => "claiming",
            Self::Opening => "opening its credential",
            Self::Exchanging { .. } => "exchanging",
            Self::Writing(_) => "writing",
            Self::Waiting(_) => "waiting for the store",
            Self::Done => "over",
        }
    }
}

fn verdict(outcome: Outcome) -> Verdict {
    let failure = match outcome {
        Outcome::Success(_) => return Verdict::Success,
        Outcome::Failure(failure) => failure,
    };
    match failure.class {
        FailureClass::Transient | FailureClass::Unknown => Verdict::Failed,
        FailureClass::Throttled => Verdict::Throttled(failure.retry_after),
        FailureClass::Client => Verdict::ClientRefused,
        FailureClass::Consent | FailureClass::Permanent => Verdict::Answered,
        FailureClass::Credential => Verdict::Unused,
    }
}

fn without_call(class: FailureClass) -> Failure {
    Failure { class, reach: Reach::NotSent, retry_after: None, cause: 0 }
}

fn unused(end: End) -> Vec<Action> {
    vec![Action::Return(Verdict::Unused), Action::Finish(Report { end, notices: Vec::new() })]
}

fn superseded() -> Report {
    Report { end: End::Superseded, notices: Vec::new() }
}

fn finish(report: Report) -> (Stage, Vec<Action>) {
    (Stage::Done, vec![Action::Finish(report)])
}
