//! Claims, leases and fences.

use renewal::Wall;

use super::facts::Facts as _;
use super::sample::{claim, insert, replace, sealed, token, token_id};
use super::{Opener, all};
use crate::rows::TokenRow;
use crate::{Claim, CommitError, Lease, Store, Write};

/// The fence goes up by one with each claim, and nobody else gets the token while the lease lives.
pub async fn a_claim_raises_the_fence_and_takes_the_lease(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1))]).await.expect("the store is empty");
    for fence in 1..=3 {
        let lease = store.claim(claim(&token(1))).await.expect("a claim");
        assert_eq!(lease, Some(Lease { token: token_id(1), fence }));
        assert_eq!(store.claim(claim(&token(1))).await, Ok(None), "the lease lives");
        let row = store.token(token_id(1)).await.expect("a read").expect("it is there");
        assert_eq!(row.facts(), TokenRow { fence, leased: true, ..token(1) }.facts());
        store.release(Lease { token: token_id(1), fence }, Wall(0)).await.expect("a release");
    }
    assert_eq!(store.claim(Claim { token: token_id(2), parent: 0 }).await, Ok(None), "there is no such token");
}

/// A claim says where it starts from; a token that was renewed since is not renewed again for it.
pub async fn a_claim_from_another_generation_fails(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(TokenRow { generation: 4, ..token(1) })]).await.expect("the store is empty");
    for parent in [0, 3, 5] {
        assert_eq!(store.claim(Claim { token: token_id(1), parent }).await, Ok(None), "from {parent}");
    }
    let row = store.token(token_id(1)).await.expect("a read").expect("it is there");
    assert_eq!((row.fence, row.leased), (0, false), "a failed claim changes nothing");
    assert!(store.claim(Claim { token: token_id(1), parent: 4 }).await.expect("a claim").is_some());
}

/// Claims that race: one lease, one fence.
pub async fn of_many_claims_at_once_one_wins(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1)), insert(token(2))]).await.expect("the store is empty");
    let claims = (0..200).map(|number| store.claim(claim(&token(1 + number % 2))));
    let answers = all(claims).await;
    let leases: Vec<Lease> = answers.into_iter().filter_map(|answer| answer.expect("a claim")).collect();
    let of = |number| leases.iter().filter(move |lease| lease.token == token_id(number)).map(|lease| lease.fence);
    assert!(of(1).eq([1]) && of(2).eq([1]), "{leases:?}");
}

/// The next process finds the token free, under a fence that goes on.
pub async fn a_lease_ends_with_its_epoch(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1))]).await.expect("the store is empty");
    let old = store.claim(claim(&token(1))).await.expect("a claim").expect("nobody has it");

    let store = opener.reopen(store).await;
    let row = store.token(token_id(1)).await.expect("a read").expect("it is there");
    assert_eq!((row.fence, row.leased), (1, false));
    assert_eq!(store.due(Wall(0), 9).await.expect("a read").len(), 1);
    store.release(old, Wall(77)).await.expect("a release");
    let row = store.token(token_id(1)).await.expect("a read").expect("it is there");
    assert_eq!(row.due, Wall(0), "a dead lease gives nothing back");
    let new = store.claim(claim(&token(1))).await.expect("a claim").expect("the lease died with its process");
    assert_eq!(new.fence, 2);

    let store = opener.reopen(store).await;
    assert!(store.claim(claim(&token(1))).await.expect("a claim").is_some(), "and so each time");
}

/// After a release the token waits for the due time that the release named.
pub async fn a_release_ends_the_lease_and_sets_the_due_time(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1))]).await.expect("the store is empty");
    let lease = store.claim(claim(&token(1))).await.expect("a claim").expect("nobody has it");
    store.release(lease, Wall(50)).await.expect("a release");
    let row = store.token(token_id(1)).await.expect("a read").expect("it is there");
    assert_eq!(row.facts(), TokenRow { due: Wall(50), fence: 1, ..token(1) }.facts());
    assert_eq!(store.next_due(Wall(0)).await, Ok(Some(Wall(50))));
    assert!(store.due(Wall(49), 9).await.expect("a read").is_empty());
    assert_eq!(store.due(Wall(50), 9).await.expect("a read").len(), 1);
}

/// Whoever lost the lease gives nothing back.
pub async fn a_release_of_another_lease_changes_nothing(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1))]).await.expect("the store is empty");
    let first = store.claim(claim(&token(1))).await.expect("a claim").expect("nobody has it");
    store.release(first, Wall(10)).await.expect("a release");
    store.release(first, Wall(99)).await.expect("a second release");
    let row = store.token(token_id(1)).await.expect("a read").expect("it is there");
    assert_eq!(row.due, Wall(10), "it was given back already");

    store.claim(claim(&token(1))).await.expect("a claim").expect("nobody has it");
    store.release(first, Wall(99)).await.expect("a release by the earlier holder");
    let row = store.token(token_id(1)).await.expect("a read").expect("it is there");
    assert_eq!((row.due, row.leased), (Wall(10), true), "the second holder keeps it");
    store.release(Lease { token: token_id(2), fence: 1 }, Wall(0)).await.expect("no such token is no error");
}

/// A pause that comes while an attempt is under way outlasts it.
pub async fn a_paused_token_stays_paused_when_its_lease_is_released(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1))]).await.expect("the store is empty");
    let lease = store.claim(claim(&token(1))).await.expect("a claim").expect("nobody has it");
    let paused = TokenRow { due: Wall::NEVER, sealed: sealed(2), ..token(1) };
    store.commit(vec![replace(&token(1), paused)]).await.expect("the first stands");
    store.release(lease, Wall(1)).await.expect("a release");
    let row = store.token(token_id(1)).await.expect("a read").expect("it is there");
    assert_eq!((row.due, row.leased), (Wall::NEVER, false));
}

/// A write that doesn't name the living lease leaves it.
pub async fn a_write_ends_only_the_lease_that_it_names(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1))]).await.expect("the store is empty");
    let mut old = token(1);
    store.claim(claim(&old)).await.expect("a claim").expect("nobody has it");
    for (number, releases, leased) in [(2, None, true), (3, Some(2), true), (4, Some(0), true), (5, Some(1), false)] {
        let row = TokenRow { sealed: sealed(number), ..token(1) };
        let write = Write::Token { row: row.clone(), replaces: Some(old.sealed.tag()), releases };
        store.commit(vec![write]).await.expect("it follows the last");
        let stored = store.token(token_id(1)).await.expect("a read").expect("it is there");
        assert_eq!((stored.fence, stored.leased), (1, leased), "releases {releases:?}");
        old = row;
    }
    assert!(store.claim(claim(&old)).await.expect("a claim").is_some());
}

/// A lease ends with the batch that releases it, or not at all.
pub async fn a_refused_batch_ends_no_lease(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1)), insert(token(2))]).await.expect("the store is empty");
    store.claim(claim(&token(1))).await.expect("a claim").expect("nobody has it");
    let row = TokenRow { generation: 1, sealed: sealed(9), ..token(1) };
    let release = Write::Token { row, replaces: Some(token(1).sealed.tag()), releases: Some(1) };
    assert_eq!(store.commit(vec![release, insert(token(2))]).await, Err(CommitError::Conflict));
    assert_eq!(store.claim(claim(&token(1))).await, Ok(None), "the lease lives");
    assert_eq!(store.due(Wall(0), 9).await.expect("a read").facts(), vec![token(2)].facts());
}
