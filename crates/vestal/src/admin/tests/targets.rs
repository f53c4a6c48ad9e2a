//! Targets, as the operator sees them.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{CREDENTIAL, World, instant};
use crate::clock;

/// Delivers to the world's targets until the sender is dropped.
fn carry(world: &World) -> oneshot::Sender<()> {
    let (stop, stopped) = oneshot::channel::<()>();
    let courier = Arc::clone(world.engine.courier());
    tokio::spawn(async move { courier.run(async { drop(stopped.await) }).await });
    stop
}

/// A world with one token, which is delivered to a folder that isn't there yet.
async fn delivering() -> World {
    let world = World::new().await;
    let folder = world.folder.path().join("tokens");
    let text = world.token_file();
    let deliver = format!(
        "deliver = [{{ to = \"Files\", name = \"there\" }}]\n[target.Files]\nkind = \"file\"\nfolder = \"{}\"\n",
        folder.display()
    );
    world.apply(&format!("{text}{deliver}")).await;
    world
}

/// The target, once it is as wanted.
async fn once(world: &World, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let detail = world.get("/targets/files").await;
        if wanted(&detail) {
            return detail;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_target_is_shown_with_how_it_is_and_what_each_token_came_to() {
    let mut world = delivering().await;
    let detail = world.get("/targets/FILES").await;
    assert_eq!((&detail["name"], &detail["kind"]), (&json!("files"), &json!("file")));
    assert_eq!((&detail["state"], &detail["since"]), (&json!("not called yet"), &Value::Null));
    assert_eq!((&detail["deliveries"], &detail["delivered"]), (&json!(1), &json!(0)));
    assert_eq!(detail["tokens"][0]["state"], "no token yet");
    assert_eq!(detail["pace"]["burst"], 100);

    world.set("credential", CREDENTIAL).await;
    world.keep();
    world.done("POST", "/tokens/contoso/api-token/renew?wait=60", Value::Null).await;
    let _carrying = carry(&world);
    let failing = once(&world, |detail| detail["failing"] == 1).await;
    assert_eq!(failing["delivered"], 0);
    let words = failing["last_error"]["words"].as_str().expect("words");
    assert!(words.contains("tokens"), "it names the folder: {words}");
    assert!(instant(&failing["last_error"]["at"]) <= clock::now().wall.0);
    assert!(failing["worst_lag_seconds"].is_u64() && failing["next_try"].is_string(), "{failing}");
    assert_eq!(failing["tokens"][0]["failure"], failing["last_error"]["words"]);

    std::fs::create_dir(world.folder.path().join("tokens")).expect("a folder");
    world.done("POST", "/tokens/contoso/api-token/deliver", Value::Null).await;
    let detail = once(&world, |detail| detail["delivered"] == 1).await;
    assert_eq!((&detail["state"], &detail["failing"]), (&json!("reachable"), &json!(0)));
    assert!(instant(&detail["since"]) <= instant(&detail["last_success"]), "{detail}");
    assert!(detail["last_error"].is_object(), "what is over is still told");
    assert_eq!(detail["worst_lag_seconds"], Value::Null);
    let token = &detail["tokens"][0];
    assert_eq!(
        (&token["vault"], &token["token"], &token["name"]),
        (&json!("contoso"), &json!("api-token"), &json!("there"))
    );
    assert_eq!((&token["state"], &token["lag_seconds"]), (&json!("delivered"), &Value::Null));
    assert!(token["generation"].as_u64() >= Some(1));
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_left_the_configuration_fails_nowhere() {
    let mut world = delivering().await;
    world.set("credential", CREDENTIAL).await;
    world.keep();
    world.done("POST", "/tokens/contoso/api-token/renew?wait=60", Value::Null).await;
    let _carrying = carry(&world);
    once(&world, |detail| detail["failing"] == 1).await;
    world.stop_keeping().await;
    let folder = world.folder.path().join("tokens");
    let target = format!("[target.Files]\nkind = \"file\"\nfolder = \"{}\"\n", folder.display());
    world.apply(&format!("{}\n{target}", super::FILE)).await;
    let detail = once(&world, |detail| detail["failing"] == 0).await;
    assert_eq!(detail["tokens"], json!([]), "{detail}");
    world.stop().await;
}

#[tokio::test]
async fn a_target_that_is_not_there_is_not_shown() {
    let world = delivering().await;
    let words = world.refused("GET", "/targets/azure", Value::Null, 404, "not-found").await;
    assert!(words.contains("no target azure") && words.contains("vestal target list"), "{words}");
    world.apply(super::FILE).await;
    world.refused("GET", "/targets/files", Value::Null, 404, "not-found").await;
}

#[tokio::test]
async fn a_delivery_whose_row_was_changed_from_outside_is_shown_as_unreadable() {
    let world = delivering().await;
    let records = world.engine.records();
    let known = records.deliveries_of(world.token().await.row.id).await.unwrap().remove(0).row;
    let row = store::rows::DeliveryRow { sealed: vault::Sealed::pending(), ..known.clone() };
    let write = store::Write::Delivery { row, replaces: Some(known.sealed.tag()) };
    records.commit(vec![write]).await.unwrap();
    let detail = world.get("/targets/files").await;
    assert_eq!(detail["tokens"][0]["state"], "unreadable");
    assert!(detail["tokens"][0]["failure"].as_str().unwrap().contains("can't be opened"), "{detail}");
}

#[tokio::test]
async fn the_versions_that_a_token_will_make_are_foreseen_once_its_lifetime_was_seen() {
    let mut world = World::new().await;
    let text = world.token_file();
    let azure = "deliver = [{ to = \"azure\", name = \"there\" }]\n[target.azure]\nkind = \"azure-key-vault\"\n\
                 url = \"https://contoso.vault.azure.net\"\ncredential = { kind = \"azure-cli\" }\n";
    world.apply(&format!("{text}{azure}")).await;
    let before = world.get("/tokens/contoso/api-token").await;
    assert_eq!(before["deliveries"][0]["versions_a_year"], Value::Null, "no lifetime was seen");
    assert!(!before["warnings"].to_string().contains("back up"), "{before}");

    world.set("credential", CREDENTIAL).await;
    world.keep();
    world.done("POST", "/tokens/contoso/api-token/renew?wait=60", Value::Null).await;
    let detail = world.get("/tokens/contoso/api-token").await;
    let delivery = &detail["deliveries"][0];
    // One of an hour, renewed half-way.
    assert!((17_000..18_000).contains(&delivery["versions_a_year"].as_u64().expect("it is known")), "{delivery}");
    let days = (instant(&delivery["no_backup_from"]) - clock::now().wall.0) / 86_400_000;
    assert!((9..=11).contains(&days), "{delivery}");
    let words = detail["warnings"].to_string();
    let day = &delivery["no_backup_from"].as_str().expect("an instant")[..10];
    assert!(words.contains("which there in azure has on about") && words.contains(day), "{words}");
    assert!(words.contains("an estimate from the 0 that Vestal made by now and about 18,000 a year"), "{words}");
    world.stop().await;
}

#[tokio::test]
async fn the_end_of_what_a_target_is_called_with_is_shown_with_the_target_and_the_token() {
    let world = World::new().await;
    let text = world.token_file();
    let azure = "deliver = [{ to = \"azure\", name = \"there\" }]\n[target.azure]\nkind = \"azure-key-vault\"\n\
                 url = \"https://contoso.vault.azure.net\"\n\
                 credential = { kind = \"client-secret\", tenant = \"11111111-2222-3333-4444-555555555555\", \
                 client_id = \"11111111-2222-3333-4444-555555555555\", \
                 client_secret = { vault = \"contoso\", secret = \"proof\" } }\n";
    world.apply(&format!("{text}{azure}")).await;
    let end = in_days(5);
    world.done("PUT", "/vaults/contoso/secrets/proof", json!({ "value": "hush", "expires": end })).await;
    let target = world.get("/targets/azure").await;
    assert_eq!((&target["proof"]["source"], &target["proof"]["expires"]), (&json!("contoso/proof"), &json!(end)));
    let words = world.get("/tokens/contoso/api-token").await["warnings"].to_string();
    assert!(words.contains("credential for azure ends on") && words.contains("secret set contoso/proof"), "{words}");
}

/// An instant in so many days.
fn in_days(days: i64) -> String {
    let instant = crate::admin::wire::UtcTime::from_unix_seconds(clock::unix_seconds() + days * 86_400);
    serde_json::to_value(instant).expect("JSON").as_str().expect("text").to_owned()
}
