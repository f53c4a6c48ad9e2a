//! Managed tokens: what a write of one may change.

use renewal::Wall;

use super::Opener;
use super::facts::Facts as _;
use super::sample::{attempt, claim, insert, name, replace, sealed, token, token_id, vault, vault_named};
use crate::rows::TokenRow;
use crate::{CommitError, Store, Write};

/// An id is taken once, and a secret has one token at most.
pub async fn a_token_is_inserted_once_by_id_and_by_name(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1))]).await.expect("the store is empty");
    let same_id = TokenRow { id: token_id(1), ..token(2) };
    assert_eq!(store.commit(vec![insert(same_id)]).await, Err(CommitError::Conflict));
    let same_name = TokenRow { name: name("TOKEN-1"), ..token(2) };
    assert_eq!(store.commit(vec![insert(same_name)]).await, Err(CommitError::Conflict));
    let elsewhere = TokenRow { vault: vault_named("fabrikam"), name: name("token-1"), ..token(2) };
    store.commit(vec![insert(elsewhere)]).await.expect("another vault's secret is another secret");

    assert_eq!(store.token(token_id(1)).await.expect("a read").facts(), token(1).facts());
    let of_name = store.token_of(&vault(), &name("Token-1")).await.expect("a read").expect("it has a token");
    assert_eq!(of_name.facts(), token(1).facts());
    assert!(store.token_of(&vault(), &name("token-2")).await.expect("a read").is_none());
}

/// A token that somebody changed in the meantime is not changed over.
pub async fn a_token_is_replaced_only_from_the_record_it_was_made_from(opener: &impl Opener) {
    let store = opener.fresh().await;
    let first = token(1);
    let second = TokenRow { due: Wall(7), expiry: Wall(9), generation: 1, sealed: sealed(2), ..token(1) };
    let third = TokenRow { lane: "other".to_owned(), sealed: sealed(3), ..token(1) };
    let absent = store.commit(vec![replace(&first, second.clone())]).await;
    assert_eq!(absent, Err(CommitError::Conflict), "nothing is there to replace");
    store.commit(vec![insert(first.clone())]).await.expect("the store is empty");
    store.commit(vec![replace(&first, second.clone())]).await.expect("the first stands");
    assert_eq!(store.commit(vec![replace(&first, third)]).await, Err(CommitError::Conflict), "the second stands");
    assert_eq!(store.token(token_id(1)).await.expect("a read").facts(), second.facts());
}

/// A token may move to another secret that has none, and to no other.
pub async fn a_token_takes_no_name_that_another_has(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1)), insert(token(2))]).await.expect("the store is empty");
    let onto = TokenRow { name: name("token-2"), sealed: sealed(9), ..token(1) };
    assert_eq!(store.commit(vec![replace(&token(1), onto)]).await, Err(CommitError::Conflict));
    let moved = TokenRow { name: name("token-3"), sealed: sealed(9), ..token(1) };
    store.commit(vec![replace(&token(1), moved)]).await.expect("the name is free");
    assert!(store.token_of(&vault(), &name("token-1")).await.expect("a read").is_none());
    let found = store.token_of(&vault(), &name("token-3")).await.expect("a read").expect("it has the token");
    assert_eq!(found.id, token_id(1));
}

/// The same generation may be written again, a later one too, an earlier one never.
pub async fn a_generation_never_goes_back(opener: &impl Opener) {
    let store = opener.fresh().await;
    let fifth = TokenRow { generation: 5, ..token(1) };
    store.commit(vec![insert(fifth.clone())]).await.expect("the store is empty");
    let fourth = TokenRow { generation: 4, sealed: sealed(4), ..token(1) };
    assert_eq!(store.commit(vec![replace(&fifth, fourth)]).await, Err(CommitError::Conflict));
    let again = TokenRow { sealed: sealed(5), ..fifth.clone() };
    store.commit(vec![replace(&fifth, again.clone())]).await.expect("it didn't go back");
    let seventh = TokenRow { generation: 7, sealed: sealed(7), ..token(1) };
    store.commit(vec![replace(&again, seventh)]).await.expect("it went up");
    let stored = store.token(token_id(1)).await.expect("a read").expect("it is there");
    assert_eq!(stored.generation, 7);
}

/// Only a claim sets them: a written row's own fence and lease are not looked at.
pub async fn a_write_sets_neither_fence_nor_lease(opener: &impl Opener) {
    let store = opener.fresh().await;
    let boastful = TokenRow { fence: 40, leased: true, ..token(1) };
    store.commit(vec![insert(boastful)]).await.expect("the store is empty");
    assert_eq!(store.token(token_id(1)).await.expect("a read").facts(), token(1).facts());

    store.claim(claim(&token(1))).await.expect("a claim").expect("nobody has it");
    let modest = TokenRow { fence: 0, leased: false, sealed: sealed(2), ..token(1) };
    store.commit(vec![replace(&token(1), modest.clone())]).await.expect("the first stands");
    let expected = TokenRow { fence: 1, leased: true, ..modest };
    assert_eq!(store.token(token_id(1)).await.expect("a read").facts(), expected.facts());
}

/// A removed token is gone with its history, its name is free, and it is no longer due.
pub async fn a_removed_token_takes_its_attempts_along(opener: &impl Opener) {
    let store = opener.fresh().await;
    let batch = vec![
        insert(token(1)),
        insert(token(2)),
        Write::Attempt(attempt(1, 1)),
        Write::Attempt(attempt(1, 2)),
        Write::Attempt(attempt(2, 1)),
    ];
    store.commit(batch).await.expect("the store is empty");
    store.commit(vec![Write::RemoveToken(token_id(1))]).await.expect("it is there");
    store.commit(vec![Write::RemoveToken(token_id(1))]).await.expect("it may be gone already");
    assert!(store.token(token_id(1)).await.expect("a read").is_none());
    assert!(store.attempts(token_id(1), None, 9).await.expect("a read").is_empty());
    assert_eq!(store.attempts(token_id(2), None, 9).await.expect("a read").len(), 1);
    assert_eq!(store.due(Wall(1), 9).await.expect("a read").facts(), vec![token(2)].facts());
    let heir = TokenRow { name: name("token-1"), ..token(3) };
    store.commit(vec![insert(heir)]).await.expect("the name is free");
}

/// A due time comes forward; a sooner one stays; a secret without a token is no error.
pub async fn hastening_only_brings_forward(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(TokenRow { due: Wall(100), ..token(1) })]).await.expect("the store is empty");
    let hasten = |secret: &str, due| vec![Write::Hasten { vault: vault(), name: name(secret), due: Wall(due) }];
    for (asked, expected) in [(150, 100), (50, 50), (70, 50)] {
        store.commit(hasten("Token-1", asked)).await.expect("a token is there");
        let row = store.token(token_id(1)).await.expect("a read").expect("it is there");
        let wanted = TokenRow { due: Wall(expected), ..token(1) };
        assert_eq!(row.facts(), wanted.facts(), "hastened to {asked}");
    }
    assert_eq!(store.due(Wall(50), 9).await.expect("a read").len(), 1);
    store.commit(hasten("nothing", 1)).await.expect("no token is no error");
}

/// What a person paused, no write to its secret wakes.
pub async fn hastening_leaves_a_paused_token_alone(opener: &impl Opener) {
    let store = opener.fresh().await;
    let paused = TokenRow { due: Wall::NEVER, ..token(1) };
    store.commit(vec![insert(paused.clone())]).await.expect("the store is empty");
    let hasten = Write::Hasten { vault: vault(), name: name("token-1"), due: Wall(1) };
    store.commit(vec![hasten]).await.expect("it changes nothing");
    assert_eq!(store.token(token_id(1)).await.expect("a read").facts(), paused.facts());
}
