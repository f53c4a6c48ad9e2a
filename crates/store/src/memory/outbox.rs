//! The deliveries, and for each target the order in which they come due. A simulation moves thousands of them: what is
//! due is found without looking at all.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use renewal::Wall;

use crate::rows::{DeliveryRow, TokenId};

/// Which delivery: token and target.
pub(super) type DeliveryKey = (TokenId, String);

#[derive(Default)]
pub(super) struct Outbox {
    rows: BTreeMap<DeliveryKey, DeliveryRow>,
    /// By target, those that an instant can make due. It follows from the rows.
    waiting: BTreeMap<String, Waiting>,
    /// By target, those that are behind. It follows from the rows.
    behind: BTreeMap<String, BTreeSet<(Wall, TokenId)>>,
}

#[derive(Default)]
struct Waiting {
    by_due: BTreeSet<(Wall, TokenId)>,
    by_urgency: BTreeSet<(Wall, Wall, TokenId)>,
}

impl Outbox {
    pub(super) fn get(&self, token: TokenId, target: &str) -> Option<&DeliveryRow> {
        self.rows.get(&(token, target.to_owned()))
    }

    /// Inserts, replaces or removes. Answers what stood there.
    pub(super) fn set(&mut self, key: DeliveryKey, row: Option<DeliveryRow>) -> Option<DeliveryRow> {
        let before = self.rows.remove(&key);
        if let Some(before) = &before {
            self.wait(before, false);
        }
        if let Some(row) = row {
            self.wait(&row, true);
            self.rows.insert(key, row);
        }
        before
    }

    pub(super) fn after(&self, after: Option<(TokenId, &str)>, limit: usize) -> Vec<DeliveryRow> {
        let start = after.map_or(Unbounded, |(token, target)| Excluded((token, target.to_owned())));
        self.rows.range((start, Unbounded)).take(limit).map(|(_, row)| row.clone()).collect()
    }

    pub(super) fn of_token(&self, token: TokenId) -> Vec<DeliveryRow> {
        let from_first = self.rows.range((token, String::new())..);
        from_first.take_while(|((of, _), _)| *of == token).map(|(_, row)| row.clone()).collect()
    }

    pub(super) fn due(&self, target: &str, now: Wall, limit: usize) -> Vec<DeliveryRow> {
        let Some(waiting) = self.waiting.get(target).filter(|waiting| waiting.is_any_due(now)) else {
            return Vec::new();
        };
        let due = waiting.by_urgency.iter().filter(|(_, due, _)| *due <= now);
        due.take(limit).filter_map(|(_, _, token)| self.get(*token, target).cloned()).collect()
    }

    pub(super) fn next_due(&self, target: &str, now: Wall) -> Option<Wall> {
        let later = (Excluded((now, TokenId([u8::MAX; 16]))), Unbounded);
        self.waiting.get(target)?.by_due.range(later).next().map(|(due, _)| *due)
    }

    pub(super) fn behind(
        &self,
        target: &str,
        after: Option<(Wall, TokenId)>,
        until: Wall,
        limit: usize,
    ) -> Vec<DeliveryRow> {
        let start = after.map_or(Unbounded, Excluded);
        let behind = self.behind.get(target).into_iter().flat_map(|behind| behind.range((start, Unbounded)));
        let long = behind.take_while(|(since, _)| *since <= until).take(limit);
        long.filter_map(|(_, token)| self.get(*token, target).cloned()).collect()
    }

    fn wait(&mut self, row: &DeliveryRow, waits: bool) {
        if row.behind != Wall::NEVER {
            let behind = self.behind.entry(row.target.clone()).or_default();
            let entry = (row.behind, row.token);
            _ = if waits { behind.insert(entry) } else { behind.remove(&entry) };
        }
        if row.due == Wall::NEVER {
            return;
        }
        let waiting = self.waiting.entry(row.target.clone()).or_default();
        if waits {
            waiting.by_due.insert((row.due, row.token));
            waiting.by_urgency.insert(urgency(row));
        } else {
            waiting.by_due.remove(&(row.due, row.token));
            waiting.by_urgency.remove(&urgency(row));
        }
    }
}

impl Waiting {
    fn is_any_due(&self, now: Wall) -> bool {
        self.by_due.first().is_some_and(|(due, _)| *due <= now)
    }
}

/// The order in which due deliveries come.
fn urgency(row: &DeliveryRow) -> (Wall, Wall, TokenId) {
    (row.expiry, row.due, row.token)
}
