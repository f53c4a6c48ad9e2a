//! A batch is written whole, durably, or not at all.

use super::facts::Facts as _;
use super::sample::{
    attempt, definition, insert, keyring, lane, name, put, put_over, secret, token, token_id, vault, version,
};
use super::{Opener, all};
use crate::rows::DefinitionKind;
use crate::{CommitError, Store, Write};

/// A conflict at the end of a batch leaves nothing of what stood before it.
pub async fn a_batch_is_written_whole_or_not_at_all(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![Write::Version(version("taken", 1))]).await.expect("the store is empty");
    let batch = vec![
        put(secret("fresh", 1)),
        Write::Version(version("fresh", 1)),
        insert(token(1)),
        Write::Lane(lane("lane", 5)),
        Write::Attempt(attempt(1, 1)),
        Write::Definition(definition(DefinitionKind::Token, "contoso/token-1", 1)),
        keyring(1),
        Write::Version(version("taken", 1)),
    ];
    assert_eq!(store.commit(batch).await, Err(CommitError::Conflict));

    assert!(store.current(&vault(), &name("fresh")).await.expect("a read").is_none());
    assert!(store.versions(&vault(), &name("fresh"), None, 9).await.expect("a read").is_empty());
    assert!(store.token(token_id(1)).await.expect("a read").is_none());
    assert!(store.token_of(&vault(), &name("token-1")).await.expect("a read").is_none());
    assert!(store.lanes().await.expect("a read").is_empty());
    assert!(store.attempts(token_id(1), None, 9).await.expect("a read").is_empty());
    assert!(store.definitions(DefinitionKind::Token).await.expect("a read").is_empty());
    assert!(store.keyring().await.expect("a read").is_empty());
    assert_eq!(store.next_due(renewal::Wall(-1)).await, Ok(None));
}

/// What a refused batch replaced or deleted stands again as it was.
pub async fn a_refused_batch_brings_back_what_it_deleted(opener: &impl Opener) {
    let store = opener.fresh().await;
    let policy = definition(DefinitionKind::Policy, "reader", 1);
    let before = vec![
        put(secret("api", 3)),
        Write::Version(version("api", 1)),
        Write::Version(version("api", 2)),
        Write::Version(version("api", 3)),
        insert(token(1)),
        Write::Attempt(attempt(1, 1)),
        Write::Attempt(attempt(1, 2)),
        Write::Lane(lane("lane", 5)),
        Write::Definition(policy.clone()),
    ];
    store.commit(before).await.expect("the store is empty");
    let batch = vec![
        put_over(&secret("api", 3), secret("api", 2)),
        Write::KeepVersions { vault: vault(), name: name("api"), keep: 1 },
        Write::KeepAttempts { token: token_id(1), keep: 1 },
        Write::Hasten { vault: vault(), name: name("token-1"), due: renewal::Wall(-7) },
        Write::RemoveToken(token_id(1)),
        Write::Lane(lane("lane", 6)),
        Write::RemoveDefinition { kind: DefinitionKind::Policy, name: "reader".to_owned() },
        Write::Version(version("api", 3)),
        Write::Version(version("api", 3)),
    ];
    assert_eq!(store.commit(batch).await, Err(CommitError::Conflict));

    let versions = store.versions(&vault(), &name("api"), None, 9).await.expect("a read");
    assert_eq!(versions.facts(), vec![version("api", 1), version("api", 2), version("api", 3)].facts());
    let (row, _) = store.current(&vault(), &name("api")).await.expect("a read").expect("it is there");
    assert_eq!(row.facts(), secret("api", 3).facts());
    assert_eq!(store.token(token_id(1)).await.expect("a read").facts(), token(1).facts());
    assert_eq!(store.token_of(&vault(), &name("token-1")).await.expect("a read").facts(), token(1).facts());
    let attempts = store.attempts(token_id(1), None, 9).await.expect("a read");
    assert_eq!(attempts.facts(), vec![attempt(1, 2), attempt(1, 1)].facts());
    assert_eq!(store.lanes().await.expect("a read").facts(), vec![lane("lane", 5)].facts());
    let definitions = store.definitions(DefinitionKind::Policy).await.expect("a read");
    assert_eq!(definitions.facts(), vec![policy].facts());
}

/// Writes of a batch take effect one after the other.
pub async fn a_batch_sees_its_own_earlier_writes(opener: &impl Opener) {
    let store = opener.fresh().await;
    let (first, mut second) = (version("api", 1), version("api", 1));
    second.sealed = super::sample::sealed(2);
    let replaces = first.sealed.tag();
    let batch = vec![Write::Version(first), Write::AmendVersion { row: second.clone(), replaces }];
    store.commit(batch).await.expect("the version was inserted just before");
    let stored = store.version(&vault(), &name("api"), second.version).await.expect("a read");
    assert_eq!(stored.facts(), second.facts());

    let twice = vec![Write::Version(version("api", 2)), Write::Version(version("api", 2))];
    assert_eq!(store.commit(twice).await, Err(CommitError::Conflict));
    let again = vec![insert(token(1)), Write::RemoveToken(token_id(1)), insert(token(1))];
    store.commit(again).await.expect("the token was removed in between");
}

/// A batch without a write conflicts with nothing.
pub async fn an_empty_batch_is_written(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(Vec::new()).await.expect("there is nothing to conflict with");
}

/// A row of every table is the same in the next epoch.
pub async fn what_was_acknowledged_outlives_the_process(opener: &impl Opener) {
    let store = opener.fresh().await;
    let app = definition(DefinitionKind::App, "reader", 7);
    let batch = vec![
        put(secret("api", 1)),
        Write::Version(version("api", 1)),
        insert(token(1)),
        Write::Lane(lane("lane", 5)),
        Write::Attempt(attempt(1, 1)),
        Write::Definition(app.clone()),
        keyring(1),
    ];
    store.commit(batch).await.expect("the store is empty");

    let store = opener.reopen(store).await;
    let current = store.current(&vault(), &name("api")).await.expect("a read");
    assert_eq!(current.facts(), (secret("api", 1), version("api", 1)).facts());
    assert_eq!(store.token(token_id(1)).await.expect("a read").facts(), token(1).facts());
    assert_eq!(store.lanes().await.expect("a read").facts(), vec![lane("lane", 5)].facts());
    assert_eq!(store.attempts(token_id(1), None, 9).await.expect("a read").facts(), vec![attempt(1, 1)].facts());
    let definition = store.definition(DefinitionKind::App, "reader").await.expect("a read");
    assert_eq!(definition.facts(), app.facts());
    assert_eq!(store.keyring().await.expect("a read").len(), 1);
}

/// Many commits in flight: each is written or refused for its own sake, whatever stands beside it.
pub async fn commits_in_flight_together_are_each_whole(opener: &impl Opener) {
    const COMMITS: u64 = 300;
    let store = opener.fresh().await;
    store.commit(vec![Write::Version(version("taken", 1))]).await.expect("the store is empty");
    let commits = (0..COMMITS).map(|number| {
        let mut batch = vec![insert(token(number)), Write::Attempt(attempt(number, 1))];
        if number % 3 == 0 {
            batch.push(Write::Version(version("taken", 1)));
        }
        store.commit(batch)
    });
    for (number, answer) in (0..).zip(all(commits).await) {
        let conflicts = number % 3 == 0;
        assert_eq!(answer, if conflicts { Err(CommitError::Conflict) } else { Ok(()) }, "commit {number}");
        let token = store.token(token_id(number)).await.expect("a read");
        let attempts = store.attempts(token_id(number), None, 9).await.expect("a read");
        assert_eq!((token.is_none(), attempts.is_empty()), (conflicts, conflicts), "commit {number}");
    }
}

/// A probe changes nothing that can be read.
pub async fn a_probe_is_taken_where_writes_are(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![insert(token(1))]).await.expect("the store is empty");
    store.probe().await.expect("the store takes writes");
    let tokens = store.tokens(None, 9).await.expect("a read");
    assert_eq!(tokens.facts(), vec![token(1)].facts());
}
