//! App registrations and their client secrets.

use http::StatusCode;
use keyvault::{AppError, Replacement};
use store::rows::{DefinitionKind, Origin};

use crate::world::{START, World, run};

fn takes(world: &World, id: &str, secret: &str) -> bool {
    let answer = world.token_request(&format!(
        "client_id={id}&client_secret={secret}&grant_type=client_credentials&scope=https://vault.azure.net/.default"
    ));
    answer.status == StatusCode::OK
}

#[test]
fn a_client_secret_is_replaced_while_the_old_one_is_still_taken() {
    let mut world = World::new();
    let owner = world.owner();
    let replacement = Replacement { old_end: START + 100, new_ends: Some(START + 1000) };
    let issued = run(world.vault.rotate_secret("owner", replacement, world.now())).unwrap();
    let new = issued.client_secret.expose_str().unwrap();
    assert_eq!(issued.app.client_id.as_str(), owner.id);
    assert!(takes(&world, &owner.id, &owner.secret) && takes(&world, &owner.id, new));

    // A third finds no room, unless the others end at once.
    let refused = run(world.vault.rotate_secret("owner", replacement, world.now())).map(|_| ());
    assert_eq!(refused, Err(AppError::TwoSecrets(Some(START + 100))));
    assert!(takes(&world, &owner.id, &owner.secret) && takes(&world, &owner.id, new));

    world.now = START + 100;
    assert!(!takes(&world, &owner.id, &owner.secret) && takes(&world, &owner.id, new));
    world.now = START + 1000;
    assert!(!takes(&world, &owner.id, new));

    let at_once = Replacement { old_end: world.now, new_ends: None };
    let issued = run(world.vault.rotate_secret("owner", at_once, world.now())).unwrap();
    assert_eq!(issued.app.secrets.len(), 1);
    assert!(takes(&world, &owner.id, issued.client_secret.expose_str().unwrap()));
    // A token outlives the secret that it was got with.
    assert_eq!(world.ask(&owner, "GET", "/secrets?api-version=7.4", "").status, StatusCode::OK);
}

#[test]
fn a_client_secret_can_be_removed() {
    let world = World::new();
    let owner = world.owner();
    let app = run(world.vault.apps()).unwrap().remove(0).body;
    assert_eq!(
        run(world.vault.remove_secret("owner", "nothing")).map(|_| ()),
        Err(AppError::NoSuchSecret("nothing".to_owned()))
    );
    run(world.vault.remove_secret("owner", &app.secrets[0].id)).unwrap();
    assert!(!takes(&world, &owner.id, &owner.secret));
}

#[test]
fn client_secrets_are_random_and_nowhere_in_what_is_kept() {
    let world = World::new();
    let (one, two) = (world.app("one"), world.app("two"));
    assert_eq!(one.secret.len(), 43);
    assert_ne!(one.secret, two.secret);
    let kept = serde_json::to_string(&run(world.vault.apps()).unwrap()[0].body).unwrap();
    assert!(!kept.contains(&one.secret));
}

#[test]
fn names_of_apps_are_checked_and_used_once() {
    let world = World::new();
    world.app("a.b_c-1");
    let create = |name: &str| run(world.vault.create_app(name, None, world.now())).map(|_| ());
    assert_eq!(create("a.b_c-1"), Err(AppError::Exists("a.b_c-1".to_owned())));
    for name in ["", "a b", "ä", &"a".repeat(65)] {
        assert_eq!(create(name), Err(AppError::Name(name.to_owned())));
    }
    assert_eq!(run(world.vault.delete_app("nobody")), Err(AppError::NotFound("nobody".to_owned())));
}

#[test]
fn an_app_of_the_configuration_file_is_removed_there() {
    let world = World::new();
    let app = world.vault.new_app("filed");
    let define = |removed, replaces| {
        let write = world.records.define(DefinitionKind::App, "filed", Origin::File, removed, &app, replaces);
        run(world.records.commit(vec![write])).unwrap();
        run(world.vault.reload_directory()).unwrap();
    };
    define(None, None);
    assert_eq!(run(world.vault.delete_app("filed")), Err(AppError::InFile("filed".to_owned())));
    let issued =
        run(world.vault.rotate_secret("filed", Replacement { old_end: START, new_ends: None }, world.now())).unwrap();
    let secret = issued.client_secret.expose_str().unwrap();
    assert!(takes(&world, app.client_id.as_str(), secret));
    // Once it has left the file it does nothing.
    let tag = run(world.vault.apps()).unwrap().remove(0).tag;
    define(Some(START), Some(tag));
    assert!(!takes(&world, app.client_id.as_str(), secret));
}

#[test]
fn deleting_an_app_deletes_the_policies_that_were_made_for_it() {
    let world = World::new();
    world.owner();
    run(world.vault.delete_app("owner")).unwrap();
    let policies = run(world.records.definitions::<vault::Policy>(DefinitionKind::Policy)).unwrap();
    assert!(policies.is_empty() && run(world.vault.apps()).unwrap().is_empty());
}
