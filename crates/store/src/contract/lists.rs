//! Lists, pages, and the tables that have no rules of their own.

use renewal::Wall;

use super::Opener;
use super::facts::Facts as _;
use super::sample::{
    attempt, definition, insert, keyring, lane, name, put, sealed, secret, token, token_id, vault, vault_named,
    version, version_id,
};
use crate::rows::{AttemptRow, DefinitionKind, DefinitionRow, KeyringRow, LaneRow, Origin, SecretRow, VersionRow};
use crate::{CommitError, Store, Write};

/// By folded name, each with its current version, one vault alone.
pub async fn secrets_come_in_order_and_in_pages(opener: &impl Opener) {
    let store = opener.fresh().await;
    let written = ["b2", "A1", "c-3", "a-1", "a", "B10"];
    let mut batch = Vec::new();
    for (number, written) in (1..).zip(written) {
        batch.extend([Write::Version(version(written, number)), put(secret(written, number))]);
    }
    let elsewhere = vault_named("fabrikam");
    batch.push(Write::Version(VersionRow { vault: elsewhere.clone(), ..version("other", 1) }));
    batch.push(put(SecretRow { vault: elsewhere, ..secret("other", 1) }));
    store.commit(batch).await.expect("the store is empty");

    let expected = ["a", "a-1", "a1", "b10", "b2", "c-3"];
    for page in [1, 2, 4, 6, 50] {
        let mut names = Vec::new();
        loop {
            let after = names.last().cloned();
            let rows = store.secrets(&vault(), after.as_ref(), page).await.expect("a read");
            assert!(rows.len() <= page, "{} rows in a page of {page}", rows.len());
            assert!(rows.iter().all(|(secret, version)| secret.current == version.version));
            if rows.is_empty() {
                break;
            }
            names.extend(rows.into_iter().map(|(secret, _)| secret.name));
        }
        assert!(names.iter().map(|name| name.as_written()).eq(expected), "pages of {page}");
    }
    let rest = store.secrets(&vault(), Some(&name("A-ZZZ")), 9).await.expect("a read");
    assert_eq!(rest.len(), 4, "what a page starts after need not exist");
    assert!(store.secrets(&vault(), None, 0).await.expect("a read").is_empty());
}

/// By id, of one secret alone.
pub async fn versions_come_in_order_and_in_pages(opener: &impl Opener) {
    let store = opener.fresh().await;
    let ids = [40, 10, 50, 20, 30];
    let mut batch: Vec<_> = ids.iter().map(|id| Write::Version(version("api", *id))).collect();
    batch.push(Write::Version(version("api-2", 15)));
    store.commit(batch).await.expect("the store is empty");
    for page in [1, 2, 5, 50] {
        let mut seen = Vec::new();
        loop {
            let rows = store.versions(&vault(), &name("api"), seen.last().copied(), page).await.expect("a read");
            assert!(rows.len() <= page, "{} rows in a page of {page}", rows.len());
            if rows.is_empty() {
                break;
            }
            seen.extend(rows.into_iter().map(|row| row.version));
        }
        assert!(seen.into_iter().eq([10, 20, 30, 40, 50].map(version_id)), "pages of {page}");
    }
    let rest = store.versions(&vault(), &name("api"), Some(version_id(25)), 9).await.expect("a read");
    assert_eq!(rest.len(), 3, "what a page starts after need not exist");
}

/// By id.
pub async fn tokens_come_in_order_and_in_pages(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit([4, 1, 5, 2, 3].map(|number| insert(token(number))).into()).await.expect("the store is empty");
    for page in [1, 2, 5, 50] {
        let mut seen = Vec::new();
        loop {
            let rows = store.tokens(seen.last().copied(), page).await.expect("a read");
            assert!(rows.len() <= page, "{} rows in a page of {page}", rows.len());
            if rows.is_empty() {
                break;
            }
            seen.extend(rows.into_iter().map(|row| row.id));
        }
        assert!(seen.into_iter().eq((1..=5).map(token_id)), "pages of {page}");
    }
}

/// Newest first; a page ends before the number that it is told.
pub async fn attempts_come_newest_first_and_in_pages(opener: &impl Opener) {
    let store = opener.fresh().await;
    let mut batch: Vec<_> = [3, 300, 2, 70_000, 1].map(|number| Write::Attempt(attempt(1, number))).into();
    batch.push(Write::Attempt(attempt(2, 9)));
    store.commit(batch).await.expect("the store is empty");
    for page in [1, 2, 5, 50] {
        let mut seen: Vec<u64> = Vec::new();
        loop {
            let rows = store.attempts(token_id(1), seen.last().copied(), page).await.expect("a read");
            assert!(rows.len() <= page, "{} rows in a page of {page}", rows.len());
            if rows.is_empty() {
                break;
            }
            seen.extend(rows.into_iter().map(|row| row.number));
        }
        assert_eq!(seen, [70_000, 300, 3, 2, 1], "pages of {page}");
    }
    let all = store.attempts(token_id(1), Some(u64::MAX), 9).await.expect("a read");
    assert_eq!(all.len(), 5, "every number is below the largest");
}

/// A repeated failure is counted on the row of the first.
pub async fn an_attempt_is_inserted_or_replaced(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1)), Write::Attempt(attempt(1, 1))]).await.expect("the store is empty");
    let again = AttemptRow { started: Wall(99), sealed: sealed(9), ..attempt(1, 1) };
    store.commit(vec![Write::Attempt(again.clone()), Write::Attempt(attempt(1, 2))]).await.expect("no rule is broken");
    let rows = store.attempts(token_id(1), None, 9).await.expect("a read");
    assert_eq!(rows.facts(), vec![attempt(1, 2), again].facts());
}

/// The newest stay, however they came; other tokens keep theirs.
pub async fn the_oldest_attempts_go(opener: &impl Opener) {
    let store = opener.fresh().await;
    let mut batch = vec![insert(token(1))];
    batch.extend([5, 9, 2, 7, 4].map(|number| Write::Attempt(attempt(1, number))));
    batch.extend([1, 2, 3].map(|number| Write::Attempt(attempt(2, number))));
    store.commit(batch).await.expect("the store is empty");
    let keep = |token, keep| Write::KeepAttempts { token: token_id(token), keep };
    let numbers = async |token| {
        let rows = store.attempts(token_id(token), None, 99).await.expect("a read");
        rows.iter().map(|row| row.number).collect::<Vec<_>>()
    };

    store.commit(vec![keep(1, 5)]).await.expect("it deletes nothing");
    assert_eq!(numbers(1).await, [9, 7, 5, 4, 2]);
    store.commit(vec![Write::Attempt(attempt(1, 11)), keep(1, 3)]).await.expect("it deletes three");
    assert_eq!(numbers(1).await, [11, 9, 7]);
    store.commit(vec![Write::Attempt(attempt(1, 11)), keep(1, 3)]).await.expect("it deletes nothing");
    assert_eq!(numbers(1).await, [11, 9, 7]);
    assert_eq!(numbers(2).await, [3, 2, 1]);
    store.commit(vec![keep(2, 1)]).await.expect("a history may be there without its token");
    assert_eq!(numbers(2).await, [3]);
    store.commit(vec![insert(token(2)), Write::Attempt(attempt(2, 4)), keep(2, 2)]).await.expect("the token is new");
    assert_eq!(numbers(2).await, [4, 3]);
    store.commit(vec![keep(1, 0), keep(8, 0)]).await.expect("it deletes all");
    assert!(numbers(1).await.is_empty());
}

/// By key. A token's lane has no row until one is written.
pub async fn lanes_are_inserted_and_replaced(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1))]).await.expect("the store is empty");
    assert!(store.lanes().await.expect("a read").is_empty());
    store.commit(vec![Write::Lane(lane("b", 1)), Write::Lane(lane("a", 2))]).await.expect("they are new");
    let again = LaneRow { sealed: sealed(77), ..lane("b", 3) };
    store.commit(vec![Write::Lane(again.clone())]).await.expect("it replaces");
    assert_eq!(store.lanes().await.expect("a read").facts(), vec![lane("a", 2), again].facts());
    store.commit(vec![Write::RemoveToken(token_id(1)), Write::Lane(lane("lane", 4))]).await.expect("no rule is broken");
    assert_eq!(store.lanes().await.expect("a read").len(), 3);
}

/// By name within a kind; one that left the file is listed too.
pub async fn definitions_are_inserted_replaced_and_removed(opener: &impl Opener) {
    use DefinitionKind::{App, Policy};
    let store = opener.fresh().await;
    let batch = vec![
        Write::Definition(definition(App, "zeta", 1)),
        Write::Definition(definition(App, "Alpha", 2)),
        Write::Definition(definition(Policy, "alpha", 3)),
    ];
    store.commit(batch).await.expect("the store is empty");
    let gone = DefinitionRow { removed: Some(5), origin: Origin::Admin, ..definition(App, "zeta", 4) };
    store.commit(vec![Write::Definition(gone.clone())]).await.expect("it replaces");
    let apps = store.definitions(App).await.expect("a read");
    assert_eq!(apps.facts(), vec![definition(App, "Alpha", 2), gone].facts());
    assert!(store.definition(App, "alpha").await.expect("a read").is_none(), "names are told apart by case");
    let policy = store.definition(Policy, "alpha").await.expect("a read");
    assert_eq!(policy.facts(), Some(definition(Policy, "alpha", 3)).facts());

    let remove = || vec![Write::RemoveDefinition { kind: App, name: "zeta".to_owned() }];
    store.commit(remove()).await.expect("it is there");
    store.commit(remove()).await.expect("it may be gone already");
    assert_eq!(store.definitions(App).await.expect("a read").len(), 1);
    assert!(store.definition(App, "zeta").await.expect("a read").is_none());
}

/// A definition that somebody changed in the meantime is not changed over, and a new one replaces none.
pub async fn a_definition_is_amended_only_from_the_record_it_was_made_from(opener: &impl Opener) {
    let store = opener.fresh().await;
    let row = |number| definition(DefinitionKind::Vault, "contoso", number);
    let amend = |number, from: Option<u64>| {
        vec![Write::AmendDefinition { row: row(number), replaces: from.map(|from| sealed(from).tag()) }]
    };
    assert_eq!(store.commit(amend(1, Some(7))).await, Err(CommitError::Conflict), "nothing is there");
    store.commit(amend(1, None)).await.expect("the store is empty");
    assert_eq!(store.commit(amend(2, None)).await, Err(CommitError::Conflict), "the first stands");
    store.commit(amend(2, Some(1))).await.expect("the first stands");
    assert_eq!(store.commit(amend(3, Some(1))).await, Err(CommitError::Conflict), "the second stands");
    let stored = store.definition(DefinitionKind::Vault, "contoso").await.expect("a read");
    assert_eq!(stored.facts(), Some(row(2)).facts());
}

/// By term.
pub async fn keyring_terms_are_inserted_and_replaced(opener: &impl Opener) {
    let store = opener.fresh().await;
    let again = KeyringRow { term: 2, wrapped: vec![9] };
    let batch = vec![keyring(u32::MAX), keyring(2), keyring(1), Write::Keyring(again.clone())];
    store.commit(batch).await.expect("no rule is broken");
    let rows = store.keyring().await.expect("a read");
    assert!(rows.iter().map(|row| row.term).eq([1, 2, u32::MAX]));
    assert_eq!(rows[1], again);
}
