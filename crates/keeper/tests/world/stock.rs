//! Thousands of tokens at once, renewed already, in a world that renews no more.

use std::sync::Arc;
use std::time::Duration;

use keeper::{Clock, DeliverTo};
use renewal::{Expiry, Lifetime, Standing, Wall};
use secret::Secret;
use store::rows::DeliveryRow;
use store::{Attempt, MemoryStore, Outcome, Promotion, Records, Token};

use super::{Counting, World, keyring};

/// How many tokens are declared in one transaction.
const BATCH: usize = 500;

/// How long they live.
const DAY: Duration = Duration::from_secs(86_400);

impl World {
    /// Stocks tokens of generation 1, each of which is due at once at its target. `urgency` says, in seconds from now, when
    /// what the target holds in place of the token dies.
    pub fn stock(&mut self, tokens: &[(String, DeliverTo, i64)]) {
        let now = self.clock.now();
        for batch in tokens.chunks(BATCH) {
            let mut writes = Vec::new();
            for (name, deliver, _) in batch {
                writes.extend(self.declaration(name, "a lane", vec![deliver.clone()], false));
            }
            self.wait(|records| async move { records.commit(writes).await.expect("stored") });
            for (name, deliver, urgency) in batch {
                let (token, records) = (self.token(name), Arc::clone(&self.records));
                self.obtain(&records, &token);
                let known = self.delivery(name, &deliver.target);
                let row = DeliveryRow { expiry: Wall(now.wall.0 + urgency * 1000), ..known.row.clone() };
                let write = self.records.delivery_write(&known, row, &known.state);
                self.wait(|records| async move { records.commit(vec![write]).await.expect("stored") });
            }
        }
    }

    /// A renewal that the courier's records don't know of yet, as between its commit and the instant at which whoever
    /// made it goes on.
    pub fn renew_unnoticed(&mut self, name: &str) {
        let token = self.token(name);
        let others = Records::new(self.records.store().clone(), keyring(), Arc::new(Counting::from(1 << 32)), 1 << 20);
        self.obtain(&others, &token);
    }

    /// What a renewal leaves behind.
    fn obtain(&mut self, records: &Records<MemoryStore>, token: &Token) {
        let moment = self.clock.now();
        let standing = Standing {
            generation: token.standing.generation + 1,
            obtained: Some(moment),
            lifetime: Some(Lifetime::Known(DAY)),
            expiry: Some(Expiry::after(moment, DAY)),
            due: moment.wall.plus(DAY / 2),
            ..token.standing.clone()
        };
        let number = standing.generation;
        let outcome = Outcome::Renewed {
            generation: Some(number),
            lifetime: Some(DAY.as_secs()),
            lifetime_source: "answer".into(),
            note: String::new(),
        };
        let attempt = Attempt {
            number,
            started: moment.wall.0,
            took: 1,
            outcome,
            status: Some(200),
            request_id: None,
            next_due: standing.due.0,
            repeats: 0,
            last_repeat: None,
        };
        let value = Secret::from(format!("{} of {}", standing.generation, token.row.name.folded()));
        self.wait(|_| async {
            let promotion = Promotion {
                token,
                standing: &standing,
                fence: 0,
                value: &value,
                same_value: false,
                written_by: "example",
                attempt: &attempt,
                keep_versions: 5,
                delivers: true,
                now: moment.wall.unix_seconds(),
            };
            records.promote(&promotion).await.expect("stored");
        });
    }
}
