//! Carries out one attempt: each action of [`renewal::Attempt`] against the store and the provider.

use core::time::Duration;
use std::sync::Arc;

use oauth::{HttpRequest, Provider};
use renewal::{
    Action, Attempt, AttemptRecord, AttemptResult, Change, Credential, End, Input, Moment, Notice, Pacing, Standing,
    Terms, Wall,
};
use secret::Secret;
use store::rows::TokenRow;
use store::{CommitError, Outcome, Promotion, RecordError, Store, Token, Write};

use crate::definition::{Source, TokenDefinition};
use crate::exchange::{self, NoCredential, Told};
use crate::keeper::{Held, Keeper};
use crate::lanes;
use crate::port::{Clock, Event, Http, Observer};

/// How far apart the tokens of a recovered lane are spread when the number that waits isn't known yet.
const KICK_PAGE: usize = 500;

/// What an attempt holds between its actions.
struct Course {
    token: Token,
    permit: Option<Held>,
    request: Option<HttpRequest>,
    value: Option<Secret>,
    told: Told,
    attempt: Option<store::Attempt>,
    /// The lane works again.
    recovered: bool,
}

impl<S: Store, C: Clock, H: Http, O: Observer> Keeper<S, C, H, O> {
    /// Makes one attempt to renew the token, from claim to history. Errors of the store end it early where nothing was
    /// spent; a success is held until it is durable. Whether it came to its proper end: if not, its lease still lives.
    pub(crate) async fn attempt(&self, row: TokenRow, permit: Held) -> bool {
        let (lane, id, generation) = (row.lane.clone(), row.id, row.generation);
        let token = match self.records.open_token(row) {
            Ok(token) => token,
            Err(error) => {
                self.give_back(&lane, permit, renewal::Verdict::Unused).await;
                self.observer.trouble(&error.to_string());
                self.put_off(id, generation).await;
                return true;
            }
        };
        let definition = self.definition(&token).await;
        let terms = definition.as_ref().map(|(definition, provider)| terms(definition, provider)).unwrap_or_default();
        let mut machine = Attempt::new(token.standing.clone(), terms, self.seed()).as_probe(permit.permit.is_probe());
        let mut course = Course {
            token,
            permit: Some(permit),
            request: None,
            value: None,
            told: Told::default(),
            attempt: None,
            recovered: false,
        };
        let mut input = Some(Input::Begin);
        while let Some(now_known) = input.take() {
            let actions = match machine.handle(self.clock.now(), now_known) {
                Ok(actions) => actions,
                Err(error) => {
                    self.observer.trouble(&error.to_string());
                    break;
                }
            };
            for action in actions {
                if let Some(answer) = self.carry_out(action, &mut course, definition.as_ref()).await {
                    input = Some(answer);
                }
            }
        }
        if let Some(permit) = course.permit.take() {
            self.give_back(&lane, permit, renewal::Verdict::Unused).await;
        }
        if course.recovered {
            self.kick(&lane).await;
        }
        machine.is_over()
    }

    async fn carry_out(
        &self,
        action: Action,
        course: &mut Course,
        definition: Result<&(TokenDefinition, Arc<Provider>), &String>,
    ) -> Option<Input> {
        match action {
            Action::Claim { parent_generation, .. } => {
                Some(match self.records.claim(course.token.row.id, parent_generation).await {
                    Ok(Some(lease)) => {
                        course.token.row.fence = lease.fence;
                        Input::Claimed { fence: lease.fence, attempt: lease.fence }
                    }
                    Ok(None) => Input::ClaimLost,
                    Err(error) => {
                        self.observer.trouble(&error.to_string());
                        self.rest();
                        Input::StoreFailed
                    }
                })
            }
            Action::OpenCredential => {
                let opened = match definition {
                    Ok((definition, provider)) => exchange::request(self, definition, provider).await,
                    Err(words) => Err(NoCredential::Missing(words.clone())),
                };
                let (credential, words) = match opened {
                    Ok(request) => {
                        course.request = Some(request);
                        (Credential::Ready, String::new())
                    }
                    Err(NoCredential::Missing(words)) => (Credential::Missing, words),
                    Err(NoCredential::Unreadable(words)) => (Credential::Unreadable, words),
                };
                course.told.words = words;
                Some(Input::Credential(credential))
            }
            Action::Exchange { deadline } => {
                let (request, Ok((definition, provider))) = (course.request.take()?, definition) else {
                    return None;
                };
                Some(self.exchange(course, request, definition, provider, deadline).await)
            }
            Action::Return(verdict) => {
                if let Some(permit) = course.permit.take() {
                    course.recovered |= self.give_back(&course.token.row.lane, permit, verdict).await;
                }
                None
            }
            Action::Promote { standing, record, same_value } => {
                Some(self.promote(course, &standing, record, same_value, definition.ok()).await)
            }
            Action::Settle { standing, record } => Some(self.settle(course, &standing, record).await),
            Action::Wait(length) => {
                self.clock.sleep(length).await;
                Some(Input::Elapsed)
            }
            Action::Finish(report) => {
                if let (End::Recorded(_), Some(attempt)) = (report.end, &course.attempt) {
                    let owner = definition.ok().and_then(|(definition, _)| definition.owner.as_deref());
                    self.tell(&course.token, owner, Some(attempt), &report.notices);
                }
                None
            }
        }
    }

    async fn exchange(
        &self,
        course: &mut Course,
        request: HttpRequest,
        definition: &TokenDefinition,
        provider: &Provider,
        deadline: Duration,
    ) -> Input {
        let answer = self.http.send(request, deadline).await;
        // Read after the answer: somebody may have written the secret meanwhile.
        let current = self.records.current(&course.token.row.vault, &course.token.row.name).await.ok();
        let seen_last = course.token.standing.lifetime.and_then(renewal::Lifetime::known);
        let now = self.clock.now();
        let exchanged = exchange::read(&self.records, definition, provider, current.as_deref(), seen_last, answer, now);
        if let renewal::Outcome::Failure(failure) = &exchanged.outcome
            && failure.class == renewal::FailureClass::Client
        {
            for source in [&definition.client_id, &definition.client_secret] {
                if let Source::Secret { vault, name } = source {
                    self.targets.doubt(vault, name);
                }
            }
        }
        course.told = exchanged.told;
        course.value = exchanged.value;
        Input::Exchanged(exchanged.outcome)
    }

    async fn promote(
        &self,
        course: &mut Course,
        standing: &Standing,
        record: AttemptRecord,
        same_value: bool,
        definition: Option<&(TokenDefinition, Arc<Provider>)>,
    ) -> Input {
        let keep_versions = definition.map_or(crate::KEEP_VERSIONS, |(definition, _)| definition.keep_versions);
        let delivers = definition.is_some_and(|(definition, _)| !definition.deliver.is_empty());
        let attempt = history_row(&record, &course.told);
        let Some(value) = &course.value else { return Input::PromoteLost };
        let result = self
            .records
            .promote(&Promotion {
                token: &course.token,
                standing,
                fence: record.fence,
                value,
                same_value,
                written_by: "vestal",
                attempt: &attempt,
                keep_versions,
                delivers,
                now: self.clock.now().wall.unix_seconds(),
            })
            .await;
        match result {
            Ok(()) => {
                course.token.standing = standing.clone();
                course.attempt = Some(attempt);
                if delivers {
                    self.targets.knock();
                }
                Input::Promoted
            }
            Err(CommitError::Conflict) => {
                let input = self.reread(course, record.fence, Input::Promoted, Input::PromoteLost).await;
                if input == Input::Promoted {
                    course.attempt = Some(attempt);
                }
                input
            }
            Err(CommitError::Store(error)) => {
                self.observer.trouble(&format!("a new token can't be stored and is held in memory: {error}"));
                Input::StoreFailed
            }
        }
    }

    async fn settle(&self, course: &mut Course, standing: &Standing, record: AttemptRecord) -> Input {
        let id = course.token.row.id;
        let mut attempt = history_row(&record, &course.told);
        if record.repeats_last
            && let Ok(last) = self.records.attempts(id, None, 1).await
            && let Some(last) = last.into_iter().next()
            && last.outcome == attempt.outcome
        {
            attempt = store::Attempt {
                repeats: last.repeats + 1,
                last_repeat: Some(attempt.started),
                next_due: attempt.next_due,
                ..last
            };
        }
        let mut writes: Vec<Write> = self.records.attempt_writes(id, &attempt);
        writes.push(self.records.token_write(&course.token, standing, Some(record.fence)));
        match self.records.commit(writes).await {
            Ok(()) => {
                course.token.standing = standing.clone();
                course.attempt = Some(attempt);
                Input::Settled
            }
            Err(CommitError::Conflict) => self.reread(course, record.fence, Input::Settled, Input::SettleLost).await,
            Err(CommitError::Store(error)) => {
                self.observer.trouble(&format!("a failed attempt can't be stored: {error}"));
                Input::StoreFailed
            }
        }
    }

    /// The token was changed under the attempt. Decides again over it as it is now, unless the change was this
    /// attempt's own write, whose answer was lost, or somebody else's renewal.
    async fn reread(&self, course: &mut Course, fence: u64, ours: Input, lost: Input) -> Input {
        let before = course.token.standing.generation;
        match self.records.token(course.token.row.id).await {
            Ok(token) => {
                let (same_claim, released) = (token.row.fence == fence, !token.row.leased);
                let moved = token.row.generation != before;
                course.token = token;
                match (same_claim, released) {
                    // Our claim's lease is ended by our own write alone.
                    (true, true) => ours,
                    (false, _) => lost,
                    (true, false) if moved => lost,
                    (true, false) => Input::Changed(Box::new(course.token.standing.clone())),
                }
            }
            Err(RecordError::NotFound) => lost,
            Err(_) => Input::StoreFailed,
        }
    }

    /// Gives a permit back and stores what that changed of the lane. Whether the lane works again.
    async fn give_back(&self, lane: &str, permit: Held, verdict: renewal::Verdict) -> bool {
        let (change, record) = self.lanes.returned(lane, permit.permit, verdict, self.clock.now());
        if let Some(record) = record {
            // A lane that isn't stored only costs a few calls after a restart.
            let _ = self.records.commit(vec![self.records.lane_write(lane, lanes::open_at(&record), &record)]).await;
        }
        change == Change::Recovered
    }

    /// Brings the lane's waiting tokens forward: the provider works again.
    pub(crate) async fn kick(&self, lane: &str) {
        let mut after = None;
        let mut waiting = Vec::new();
        while let Ok(page) = self.records.store().tokens(after, KICK_PAGE).await {
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            waiting.extend(page.into_iter().filter(|row| row.lane == lane && row.due != Wall::NEVER));
        }
        let count = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        let spread = self.lanes.spread(lane, count);
        for row in waiting {
            let Ok(token) = self.records.open_token(row) else {
                continue;
            };
            let mut random = renewal::Random::new(self.seed());
            let mut standing = token.standing.clone();
            if standing.kick(self.clock.now(), spread, &mut random) {
                // Somebody who changed it at the same time knows better.
                let _ = self.records.commit(vec![self.records.token_write(&token, &standing, None)]).await;
            }
        }
        self.wake();
    }

    /// Tells the observer what became of a token.
    pub(crate) fn tell(
        &self,
        token: &Token,
        owner: Option<&str>,
        attempt: Option<&store::Attempt>,
        notices: &[Notice],
    ) {
        let now: Moment = self.clock.now();
        self.observer.observe(&Event {
            vault: &token.row.vault,
            name: &token.row.name,
            owner,
            attempt,
            life_left: token.standing.remaining(now).map(|left| left.0),
            state: token.standing.state(now),
            generation: token.standing.generation,
            notices,
        });
    }
}

/// What is asked of a token by its operator and its provider.
pub(crate) fn terms(definition: &TokenDefinition, provider: &Provider) -> Terms {
    Terms {
        pacing: pacing_of(provider),
        promise: Duration::from_secs(definition.promise.unwrap_or(0)),
        uncertainty: Duration::ZERO,
    }
}

/// The pace that a provider asks for.
pub fn pacing_of(provider: &Provider) -> Pacing {
    Pacing { kills_previous: provider.renewal.kills_previous, floor: provider.renewal.floor.unwrap_or_default() }
}

fn history_row(record: &AttemptRecord, told: &Told) -> store::Attempt {
    let outcome = match record.result {
        AttemptResult::Renewed(generation) => Outcome::Renewed {
            generation: Some(generation),
            lifetime: told.lifetime,
            lifetime_source: told.lifetime_source.clone(),
            note: told.words.clone(),
        },
        AttemptResult::SameValue => Outcome::Renewed {
            generation: None,
            lifetime: told.lifetime,
            lifetime_source: told.lifetime_source.clone(),
            note: told.words.clone(),
        },
        AttemptResult::Failed(class) => {
            Outcome::Failed { class: class.name().to_owned(), error: told.error.clone(), words: told.words.clone() }
        }
    };
    let took = record.ended.since(record.started);
    store::Attempt {
        number: record.attempt,
        started: record.started.wall.0,
        took: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        outcome,
        status: told.status,
        request_id: told.request_id.clone(),
        next_due: record.next_due.0,
        repeats: 0,
        last_repeat: None,
    }
}
