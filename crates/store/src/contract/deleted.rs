//! Secrets that are deleted, recovered and purged.

use vault::VaultName;

use super::Opener;
use super::facts::Facts as _;
use super::sample::{name, put, put_over, sealed, secret, vault, vault_named, version, version_id};
use crate::rows::{DeletedSecretRow, SecretRow};
use crate::{CommitError, Store, Write};

fn deleted(of: &str, current: u64, purged_at: i64) -> DeletedSecretRow {
    let secret = SecretRow { sealed: sealed(100 + current), ..secret(of, current) };
    DeletedSecretRow { secret, deleted: 7, purged_at }
}

fn delete(live: &SecretRow, row: &DeletedSecretRow) -> Write {
    Write::DeleteSecret { row: row.clone(), replaces: live.sealed.tag() }
}

/// A deleted secret is no secret, keeps its versions, and its name is taken.
pub async fn a_deleted_secret_keeps_its_versions_and_its_name(opener: &impl Opener) {
    let store = opener.fresh().await;
    let (live, gone) = (secret("api", 2), deleted("Api", 2, 50));
    assert_eq!(store.commit(vec![delete(&live, &gone)]).await, Err(CommitError::Conflict), "nothing is there");
    let batch = vec![put(live.clone()), Write::Version(version("api", 1)), Write::Version(version("api", 2))];
    store.commit(batch).await.expect("the store is empty");
    let other = vec![delete(&secret("api", 1), &gone)];
    assert_eq!(store.commit(other).await, Err(CommitError::Conflict), "it is another record");
    store.commit(vec![delete(&live, &gone)]).await.expect("it is there");

    assert!(store.current(&vault(), &name("api")).await.expect("a read").is_none());
    assert!(store.secrets(&vault(), None, 9).await.expect("a read").is_empty());
    let found = store.deleted_secret(&vault(), &name("API")).await.expect("a read");
    let expected = DeletedSecretRow { secret: SecretRow { name: name("api"), ..gone.secret.clone() }, ..gone.clone() };
    assert_eq!(found.facts(), Some((expected, version("api", 2))).facts());
    assert_eq!(store.versions(&vault(), &name("api"), None, 9).await.expect("a read").len(), 2);
    assert!(store.deleted_secret(&vault_named("fabrikam"), &name("api")).await.expect("a read").is_none());

    assert_eq!(store.commit(vec![put(secret("API", 1))]).await, Err(CommitError::Conflict), "its name is taken");
    assert_eq!(store.commit(vec![put_over(&live, secret("api", 1))]).await, Err(CommitError::Conflict));
    assert_eq!(store.commit(vec![delete(&live, &gone)]).await, Err(CommitError::Conflict), "it was deleted already");
}

/// Recovered, it is what it was; purged, nothing of it is left and its name is free.
pub async fn a_deleted_secret_is_recovered_or_purged(opener: &impl Opener) {
    let store = opener.fresh().await;
    let (live, gone) = (secret("api", 1), deleted("api", 1, 50));
    let replaces = gone.secret.sealed.tag();
    let back = SecretRow { sealed: sealed(300), ..live.clone() };
    let recover = |replaces| vec![Write::RecoverSecret { row: back.clone(), replaces }];
    let purge = |replaces| vec![Write::PurgeSecret { vault: vault(), name: name("API"), replaces }];
    assert_eq!(store.commit(recover(replaces)).await, Err(CommitError::Conflict), "nothing is deleted");
    assert_eq!(store.commit(purge(replaces)).await, Err(CommitError::Conflict), "nothing is deleted");
    let batch = vec![put(live.clone()), Write::Version(version("api", 1)), Write::Version(version("other", 1))];
    store.commit(batch).await.expect("the store is empty");
    store.commit(vec![delete(&live, &gone)]).await.expect("it is there");
    assert_eq!(store.commit(recover(live.sealed.tag())).await, Err(CommitError::Conflict), "it is another record");
    store.commit(recover(replaces)).await.expect("it is deleted");
    let current = store.current(&vault(), &name("api")).await.expect("a read");
    assert_eq!(current.facts(), Some((back.clone(), version("api", 1))).facts());

    store.commit(vec![delete(&back, &gone)]).await.expect("it is back");
    let amended =
        DeletedSecretRow { purged_at: 60, secret: SecretRow { sealed: sealed(400), ..gone.secret.clone() }, ..gone };
    store.commit(vec![Write::AmendDeletedSecret { row: amended.clone(), replaces }]).await.expect("it is deleted");
    assert_eq!(store.commit(purge(replaces)).await, Err(CommitError::Conflict), "it is another record");
    store.commit(purge(amended.secret.sealed.tag())).await.expect("it is deleted");
    assert!(store.deleted_secret(&vault(), &name("api")).await.expect("a read").is_none());
    assert!(store.versions(&vault(), &name("api"), None, 9).await.expect("a read").is_empty());
    assert!(store.version(&vault(), &name("other"), version_id(1)).await.expect("a read").is_some());
    store.commit(vec![put(live), Write::Version(version("api", 1))]).await.expect("its name is free");
}

/// They are listed by name and in pages, and what is to be purged comes in the order of its time.
pub async fn deleted_secrets_come_in_order_and_in_pages(opener: &impl Opener) {
    let store = opener.fresh().await;
    for (of, purged_at) in [("b", 30), ("a", 40), ("c", 20)] {
        let batch = vec![
            put(secret(of, 1)),
            Write::Version(version(of, 1)),
            delete(&secret(of, 1), &deleted(of, 1, purged_at)),
        ];
        store.commit(batch).await.expect("it is new");
    }
    store.commit(vec![put(secret("d", 1)), Write::Version(version("d", 1))]).await.expect("it is new");
    let page = async |after: Option<&str>| {
        let after = after.map(name);
        let rows = store.deleted_secrets(&vault(), after.as_ref(), 2).await.expect("a read");
        rows.iter().map(|(row, _)| row.secret.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(page(None).await, ["a", "b"]);
    assert_eq!(page(Some("B")).await, ["c"]);
    assert!(store.deleted_secrets(&vault_named("fabrikam"), None, 9).await.expect("a read").is_empty());

    let due = async |now| {
        let rows: Vec<(VaultName, _)> = store.to_purge(now, 2).await.expect("a read");
        rows.iter().map(|(_, name)| name.to_string()).collect::<Vec<_>>()
    };
    assert!(due(19).await.is_empty());
    assert_eq!(due(20).await, ["c"]);
    assert_eq!(due(99).await, ["c", "b"]);
}
