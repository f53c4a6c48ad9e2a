//! Secrets that are deleted, as the operator sees them.

use serde_json::{Value, json};
use store::{Store as _, Write};
use vault::{SecretName, VaultName, VersionId};

use super::World;

const KEY: &str = "/vaults/contoso/secrets/Some-Key";
const DELETED: &str = "/vaults/contoso/deleted-secrets";

#[tokio::test]
async fn a_deleted_secret_that_does_not_open_is_listed_as_unreadable_and_hides_no_other() {
    let world = World::new().await;
    for path in [KEY, "/vaults/contoso/secrets/sound"] {
        world.done("PUT", path, json!({"value": "a-value-of-mine"})).await;
        world.done("DELETE", path, Value::Null).await;
    }
    let records = world.engine.records();
    let (vault, name) = (VaultName::parse("contoso").unwrap(), SecretName::parse("some-key").unwrap());
    let (mut row, _) = records.store().deleted_secret(&vault, &name).await.unwrap().unwrap();
    let replaces = row.secret.sealed.tag();
    row.secret.current = VersionId([7; 16]);
    row.secret.sealed = vault::Sealed::pending();
    records.commit(vec![Write::AmendDeletedSecret { row, replaces }]).await.unwrap();

    let before = world.audit().await.len();
    let list = world.get(DELETED).await;
    assert_eq!(list.as_array().unwrap().len(), 2, "{list}");
    assert_eq!((&list[0]["name"], &list[0]["deleted"]), (&json!("some-key"), &Value::Null));
    assert!(list[0]["unreadable"].as_str().unwrap().contains("doesn't open"), "{list}");
    assert!(list[1]["deleted"].is_string() && list[1].get("unreadable").is_none(), "{list}");
    assert_eq!(world.audit_since(before).await, ["SecretListDeleted contoso - allowed"]);
}

#[tokio::test]
async fn a_purge_that_is_refused_is_told_too() {
    let world = World::new().await;
    world.apply(&super::FILE.replace("[vault.contoso]", "[vault.contoso]\npurge_protection = true")).await;
    world.done("PUT", KEY, json!({"value": "a-value-of-mine"})).await;
    world.done("DELETE", KEY, Value::Null).await;
    let before = world.audit().await.len();
    world.refused("DELETE", &format!("{DELETED}/some-key"), Value::Null, 409, "conflict").await;
    world.refused("DELETE", &format!("{DELETED}/nothing"), Value::Null, 404, "not-found").await;
    let told = world.audit_since(before).await;
    assert_eq!(told, ["SecretPurge contoso some-key refused", "SecretPurge contoso nothing not-found"]);
}
