//! What every [`Store`] must do, as checks that a store's own crate runs.
//!
//! Each check is an async function, named for what it holds, that panics where the store breaks it. It opens its
//! stores with an [`Opener`]. No runtime is named: whoever runs the checks drives them, for which [`block_on`] is
//! enough unless the store needs a runtime of its own.
//!
//! ```ignore
//! store::store_contract!(MyOpener);                  // one #[test] a check
//! store::store_contract!(MyOpener, run_on_tokio);    // the same, driven by run_on_tokio(future)
//! ```
//!
//! [`model`] goes further than examples can: it leads a store and the [`MemoryStore`](crate::MemoryStore) through the
//! same random history, and compares all that can be seen of them.

mod batches;
mod claims;
mod deleted;
mod deliveries;
mod facts;
mod lists;
pub mod model;
pub mod sample;
mod schedule;
mod secrets;
pub mod target;
mod tokens;

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;
use std::thread::Thread;

pub use batches::*;
pub use claims::*;
pub use deleted::*;
pub use deliveries::*;
pub use lists::*;
pub use model::random_histories_agree_with_the_memory_store;
pub use schedule::*;
pub use secrets::*;
pub use tokens::*;

use crate::Store;

/// Opens the stores that the checks are about.
pub trait Opener {
    /// The store.
    type Store: Store;

    /// A new, empty store in its first epoch, apart from all others.
    fn fresh(&self) -> impl Future<Output = Self::Store>;

    /// Ends the process that has the store open, and opens the same data as the next one: the next epoch.
    fn reopen(&self, store: Self::Store) -> impl Future<Output = Self::Store>;
}

/// Makes a `#[test]` of each check. The first argument is an expression whose value is an [`Opener`]; the second, the
/// function that drives a check's future, is [`block_on`] where it isn't given.
#[macro_export]
macro_rules! store_contract {
    ($opener:expr) => {
        $crate::store_contract!($opener, $crate::contract::block_on);
    };
    ($opener:expr, $run:path) => {
        $crate::store_contract! { @checks $opener, $run;
            a_batch_is_written_whole_or_not_at_all
            a_refused_batch_brings_back_what_it_deleted
            a_batch_sees_its_own_earlier_writes
            an_empty_batch_is_written
            what_was_acknowledged_outlives_the_process
            commits_in_flight_together_are_each_whole
            a_probe_is_taken_where_writes_are
            a_secret_is_replaced_only_from_the_record_it_was_made_from
            a_secret_whose_current_version_is_gone_is_damaged
            a_version_is_inserted_once
            a_version_is_amended_only_from_the_record_it_was_made_from
            names_compare_without_case_and_come_back_folded
            the_oldest_versions_go_and_the_current_one_stays
            a_deleted_secret_keeps_its_versions_and_its_name
            a_deleted_secret_is_recovered_or_purged
            deleted_secrets_come_in_order_and_in_pages
            a_token_is_inserted_once_by_id_and_by_name
            a_token_is_replaced_only_from_the_record_it_was_made_from
            a_token_takes_no_name_that_another_has
            a_generation_never_goes_back
            a_write_sets_neither_fence_nor_lease
            a_removed_token_takes_its_attempts_along
            hastening_only_brings_forward
            hastening_leaves_a_paused_token_alone
            a_claim_raises_the_fence_and_takes_the_lease
            a_claim_from_another_generation_fails
            of_many_claims_at_once_one_wins
            a_lease_ends_with_its_epoch
            a_release_ends_the_lease_and_sets_the_due_time
            a_release_of_another_lease_changes_nothing
            a_paused_token_stays_paused_when_its_lease_is_released
            a_write_ends_only_the_lease_that_it_names
            a_refused_batch_ends_no_lease
            due_tokens_come_earliest_expiry_first_within_their_lane
            each_lane_gives_no_more_than_asked_for
            a_few_due_tokens_are_found_among_many
            many_due_tokens_give_those_with_the_earliest_expiry
            a_closed_lane_is_not_due_until_it_opens
            a_paused_token_is_never_due
            a_leased_token_is_not_due
            a_token_that_changed_its_lane_is_due_in_the_new_one
            next_due_is_the_next_instant_that_changes_the_answer
            next_due_waits_for_closed_lanes
            next_due_forgets_leased_paused_and_removed_tokens
            secrets_come_in_order_and_in_pages
            versions_come_in_order_and_in_pages
            tokens_come_in_order_and_in_pages
            attempts_come_newest_first_and_in_pages
            an_attempt_is_inserted_or_replaced
            the_oldest_attempts_go
            lanes_are_inserted_and_replaced
            a_delivery_is_inserted_once_and_replaced_only_from_its_record
            deliveries_come_in_order_and_in_pages
            asking_makes_every_delivery_of_a_token_due
            an_answer_to_an_earlier_request_leaves_the_later_one_due
            due_deliveries_come_most_urgent_first_and_by_target
            what_is_behind_is_so_since_the_first_time_that_it_was
            a_removed_token_takes_its_deliveries_along
            definitions_are_inserted_replaced_and_removed
            a_definition_is_amended_only_from_the_record_it_was_made_from
            keyring_terms_are_inserted_and_replaced
            random_histories_agree_with_the_memory_store
        }
    };
    (@checks $opener:expr, $run:path; $($check:ident)*) => {
        $(
            #[test]
            fn $check() {
                $run($crate::contract::$check(&$opener));
            }
        )*
    };
}

/// Drives a future on the calling thread, which sleeps while the future waits.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Drives all futures at once. The answers stand in the order of the futures.
pub async fn all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    enum Slot<F, T> {
        Waiting(Pin<Box<F>>),
        Answered(T),
    }

    let mut slots: Vec<_> = futures.into_iter().map(|future| Slot::Waiting(Box::pin(future))).collect();
    poll_fn(|context| {
        let mut waiting = false;
        for slot in &mut slots {
            if let Slot::Waiting(future) = slot {
                match future.as_mut().poll(context) {
                    Poll::Ready(answer) => *slot = Slot::Answered(answer),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let answers = slots.into_iter().map(|slot| match slot {
        Slot::Answered(answer) => answer,
        Slot::Waiting(_) => unreachable!("the loop above ends when all have answered"),
    });
    answers.collect()
}

#[cfg(test)]
mod tests {
    /// A check that the macro forgets would run nowhere.
    #[test]
    fn every_check_is_in_the_macro() {
        let sources = [
            include_str!("contract/batches.rs"),
            include_str!("contract/secrets.rs"),
            include_str!("contract/deleted.rs"),
            include_str!("contract/tokens.rs"),
            include_str!("contract/claims.rs"),
            include_str!("contract/schedule.rs"),
            include_str!("contract/lists.rs"),
            include_str!("contract/model.rs"),
        ];
        let listed = include_str!("contract.rs");
        let checks = sources.iter().flat_map(|source| source.split("\npub async fn ").skip(1));
        let mut seen = 0;
        for check in checks.filter_map(|rest| Some(rest.split_once("(opener: &impl Opener) {")?.0)) {
            // A function with further arguments is none, and what follows it up to the next check no name.
            if check.contains('(') {
                continue;
            }
            assert!(listed.contains(&format!("            {check}\n")), "{check} is missing in store_contract!");
            seen += 1;
        }
        assert!(seen > 40, "only {seen} checks were found in the sources");
    }
}
