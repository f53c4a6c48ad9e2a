//! A slow round over all tokens, for what only the passing of time brings about: a paused token that runs out, a lane
//! that is closed while its tokens die, and the figures that monitoring reads.

use std::collections::BTreeMap;
use std::time::Duration;

use renewal::{Moment, PauseReason, TokenState, Wall};
use store::{Store, Token};

use crate::attempt::terms;
use crate::keeper::Keeper;
use crate::port::{Clock, Http, Observer};

/// How long the keeper rests between two rounds.
const REST: Duration = Duration::from_secs(15);

/// How many tokens are read at once, and how long it rests between two reads, so that renewals aren't held up.
const PAGE: usize = 250;
const REST_BETWEEN_PAGES: Duration = Duration::from_millis(20);

/// How all tokens stood at the end of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many tokens are in each state that any is in.
    pub states: BTreeMap<TokenState, u64>,
    /// The least life left of any token that has an end, in milliseconds; negative where one is dead.
    pub least_life: Option<i64>,
    /// How many due tokens have waited longer than [`OVERDUE`].
    pub overdue: u64,
}

/// A token that has been due for longer is counted as overdue.
pub const OVERDUE: Duration = Duration::from_secs(60);

impl<S: Store, C: Clock, H: Http, O: Observer> Keeper<S, C, H, O> {
    pub(crate) async fn survey_for_ever(&self) {
        let started = self.clock.now();
        loop {
            if let Some(survey) = self.survey(started).await {
                self.observer.survey(&survey);
            }
            self.clock.sleep(REST).await;
        }
    }

    /// One round. `None` where the store failed a read.
    async fn survey(&self, started: Moment) -> Option<Survey> {
        let mut survey = Survey::default();
        let mut after = None;
        loop {
            let page = self.records.store().tokens(after, PAGE).await.ok()?;
            let Some(last) = page.last() else { return Some(survey) };
            after = Some(last.id);
            let full = page.len() == PAGE;
            for row in page {
                match self.records.open_token(row) {
                    Ok(token) => {
                        self.count(&mut survey, &token);
                        self.notice(token, started).await;
                    }
                    Err(error) => self.observer.trouble(&error.to_string()),
                }
            }
            if !full {
                return Some(survey);
            }
            self.clock.sleep(REST_BETWEEN_PAGES).await;
        }
    }

    fn count(&self, survey: &mut Survey, token: &Token) {
        let now = self.clock.now();
        *survey.states.entry(token.standing.state(now)).or_default() += 1;
        // A token that nobody declares any more is let run out, and alarms nobody.
        let wanted = token.standing.paused.iter().all(|reason| *reason == PauseReason::Person);
        if let Some(left) = token.standing.remaining(now).filter(|_| wanted) {
            survey.least_life = Some(survey.least_life.map_or(left.0, |least| least.min(left.0)));
        }
        if token.row.due != Wall::NEVER && token.row.due.plus(OVERDUE) < now.wall {
            survey.overdue += 1;
        }
    }

    /// Tells the owner what the passing of time alone has brought about.
    async fn notice(&self, token: Token, started: Moment) {
        let now = self.clock.now();
        if token.row.leased || !token.standing.is_urgent(now) || token.standing.told.expiring {
            return;
        }
        // It is about to be tried: after a stop of ours nothing is in danger yet.
        if token.standing.failures == 0 && token.standing.is_due(now) && now.since(started) < OVERDUE {
            return;
        }
        let Ok((definition, provider)) = self.definition(&token).await else {
            return;
        };
        let mut standing = token.standing.clone();
        let notices = standing.notices(now, terms(&definition, &provider));
        if notices.is_empty() {
            return;
        }
        // Told once it is durable that it was told; whoever changed the token meanwhile looks for himself.
        if self.records.commit(vec![self.records.token_write(&token, &standing, None)]).await.is_ok() {
            self.tell(&token, definition.owner.as_deref(), None, &notices);
        }
    }
}
