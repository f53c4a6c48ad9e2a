//! Secrets and their versions.

use super::Opener;
use super::facts::Facts as _;
use super::sample::{name, put, put_over, sealed, secret, vault, vault_named, version, version_id};
use crate::rows::{SecretRow, VersionRow};
use crate::{CommitError, Store, StoreError, Write};

/// A secret that somebody changed in the meantime is not changed over, and a new one replaces none.
pub async fn a_secret_is_replaced_only_from_the_record_it_was_made_from(opener: &impl Opener) {
    let store = opener.fresh().await;
    assert!(store.current(&vault(), &name("api")).await.expect("a read").is_none());
    let (first, other) = (secret("api", 1), secret("api", 7));
    let second = SecretRow { changed: 9, keep_versions: Some(25), ..secret("api", 2) };
    let row = VersionRow { enabled: false, not_before: Some(-5), expires: None, ..version("api", 2) };
    let absent = store.commit(vec![put_over(&first, second.clone())]).await;
    assert_eq!(absent, Err(CommitError::Conflict), "nothing is there to replace");

    store.commit(vec![put(first.clone()), Write::Version(version("api", 1))]).await.expect("the store is empty");
    assert_eq!(store.commit(vec![put(other.clone())]).await, Err(CommitError::Conflict), "the first stands");
    let batch = vec![Write::Version(row.clone()), put_over(&first, second.clone())];
    store.commit(batch).await.expect("the first stands");
    let late = store.commit(vec![put_over(&first, other)]).await;
    assert_eq!(late, Err(CommitError::Conflict), "the second stands");

    let current = store.current(&vault(), &name("api")).await.expect("a read");
    assert_eq!(current.facts(), Some((second, row)).facts());
    assert!(store.current(&vault_named("fabrikam"), &name("api")).await.expect("a read").is_none());
}

/// A secret that names a version which isn't there was not written so. It is never shown as absent, and hides no other.
pub async fn a_secret_whose_current_version_is_gone_is_damaged(opener: &impl Opener) {
    let store = opener.fresh().await;
    store.commit(vec![put(secret("api", 1))]).await.expect("the store is empty");
    assert!(matches!(store.current(&vault(), &name("api")).await, Err(StoreError::Damaged(_))));
    store.commit(vec![put(secret("zoo", 2)), Write::Version(version("zoo", 2))]).await.expect("it is new");
    let gone = VersionRow::damaged(vault(), name("api"), version_id(1));
    let listed = store.secrets(&vault(), None, 9).await.expect("a read");
    assert_eq!(listed.facts(), vec![(secret("api", 1), gone), (secret("zoo", 2), version("zoo", 2))].facts());
}

/// A version's id is taken once in each secret.
pub async fn a_version_is_inserted_once(opener: &impl Opener) {
    let store = opener.fresh().await;
    let taken = version("api", 1);
    store.commit(vec![Write::Version(taken.clone())]).await.expect("the store is empty");
    let other = VersionRow { sealed: sealed(9), ..taken.clone() };
    assert_eq!(store.commit(vec![Write::Version(other)]).await, Err(CommitError::Conflict));
    let stored = store.version(&vault(), &name("api"), version_id(1)).await.expect("a read");
    assert_eq!(stored.facts(), taken.facts());
    store.commit(vec![Write::Version(version("other", 1))]).await.expect("another secret may have the id");
    let elsewhere = VersionRow { vault: vault_named("fabrikam"), ..taken };
    store.commit(vec![Write::Version(elsewhere)]).await.expect("another vault may have it");
}

/// A version that somebody changed in the meantime is not changed over.
pub async fn a_version_is_amended_only_from_the_record_it_was_made_from(opener: &impl Opener) {
    let store = opener.fresh().await;
    let first = version("api", 1);
    let second = VersionRow { enabled: false, sealed: sealed(2), ..first.clone() };
    let third = VersionRow { expires: None, sealed: sealed(3), ..first.clone() };
    let amend =
        |row: &VersionRow, from: &VersionRow| Write::AmendVersion { row: row.clone(), replaces: from.sealed.tag() };
    assert_eq!(store.commit(vec![amend(&second, &first)]).await, Err(CommitError::Conflict), "nothing is there");
    store.commit(vec![Write::Version(first.clone())]).await.expect("the store is empty");
    store.commit(vec![amend(&second, &first)]).await.expect("the first stands");
    assert_eq!(store.commit(vec![amend(&third, &first)]).await, Err(CommitError::Conflict), "the second stands");
    let stored = store.version(&vault(), &name("api"), version_id(1)).await.expect("a read");
    assert_eq!(stored.facts(), second.facts());
}

/// However a name is written, it is the same secret; rows carry it in lower case.
pub async fn names_compare_without_case_and_come_back_folded(opener: &impl Opener) {
    let store = opener.fresh().await;
    let batch = vec![put(secret("Api-Key", 1)), Write::Version(version("aPI-kEY", 1))];
    store.commit(batch).await.expect("the store is empty");
    let (row, current) =
        store.current(&vault(), &name("API-KEY")).await.expect("a read").expect("the case doesn't matter");
    assert_eq!((row.name.as_written(), current.name.as_written()), ("api-key", "api-key"));
    assert_eq!(store.commit(vec![put(secret("api-key", 2))]).await, Err(CommitError::Conflict));
    let over = put_over(&secret("Api-Key", 1), SecretRow { sealed: sealed(5), ..secret("api-key", 1) });
    store.commit(vec![over]).await.expect("it replaces");
    assert_eq!(store.secrets(&vault(), None, 9).await.expect("a read").len(), 1);
    let again = vec![Write::Version(version("API-key", 1))];
    assert_eq!(store.commit(again).await, Err(CommitError::Conflict));
}

/// Versions go in the order in which they came; the current one stays, wherever it stands in that order.
pub async fn the_oldest_versions_go_and_the_current_one_stays(opener: &impl Opener) {
    let store = opener.fresh().await;
    // Neither the id nor the second of their making tells in which order they came.
    let ids = [7, 3, 9, 1, 5];
    let mut batch: Vec<_> = ids.iter().map(|id| Write::Version(version("api", *id))).collect();
    batch.push(Write::Version(version("other", 1)));
    batch.push(put(secret("api", 7)));
    store.commit(batch).await.expect("the store is empty");
    let keep = |keep| vec![Write::KeepVersions { vault: vault(), name: name("Api"), keep }];
    let ids = async || {
        let rows = store.versions(&vault(), &name("api"), None, 99).await.expect("a read");
        rows.iter().map(|row| u128::from_be_bytes(row.version.0)).collect::<Vec<_>>()
    };

    store.commit(keep(5)).await.expect("it deletes nothing");
    assert_eq!(ids().await, [1, 3, 5, 7, 9]);
    store.commit(keep(3)).await.expect("it deletes two");
    assert_eq!(ids().await, [1, 5, 7], "7 is the oldest and the current one");
    store.commit(keep(1)).await.expect("it deletes two");
    assert_eq!(ids().await, [7]);
    store.commit(vec![Write::KeepVersions { vault: vault(), name: name("nothing"), keep: 1 }]).await.expect("no-op");
    assert!(store.version(&vault(), &name("other"), version_id(1)).await.expect("a read").is_some());
}
