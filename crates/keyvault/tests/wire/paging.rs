//! Lists, page by page.

use std::sync::{Arc, Mutex};

use http::StatusCode;
use store::rows::VersionRow;
use store::{Store as _, Write};
use vault::{SecretName, VaultName};

use crate::world::{Answer, Client, World, run};

/// The items of every page, as a client follows `nextLink`; `checked` sees each page.
fn follow(world: &World, client: &Client, first: &str, mut checked: impl FnMut(&Answer)) -> Vec<serde_json::Value> {
    let mut items = Vec::new();
    let mut path = first.to_owned();
    for _ in 0..100 {
        let page = world.ask_with(&client.token, "GET", &path, "");
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        checked(&page);
        items.extend(page.body["value"].as_array().unwrap().iter().cloned());
        let Some(next) = page.body["nextLink"].as_str() else {
            return items;
        };
        path = next.strip_prefix("https://dev.vault.localhost:8443").unwrap().to_owned();
    }
    panic!("the pages never end");
}

fn tails(items: &[serde_json::Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn sixty_secrets_come_in_pages_of_at_most_25() {
    let world = World::new();
    let owner = world.owner();
    let mut names: Vec<_> = (0..60).map(|number| format!("Secret-{number:02}")).collect();
    for name in names.iter().rev() {
        world.set(&owner, name, "v");
    }
    let mut sizes = Vec::new();
    let items = follow(&world, &owner, "/secrets?api-version=7.4", |page| {
        sizes.push(page.body["value"].as_array().unwrap().len());
    });
    assert_eq!(sizes, [25, 25, 10]);
    names.sort();
    assert_eq!(tails(&items), names);
    assert!(items[0].get("value").is_none());
    assert_eq!(items[0]["id"], "https://dev.vault.localhost:8443/secrets/Secret-00", "no version");

    for (max, pages) in [(1, 60), (7, 9), (20, 3), (25, 3)] {
        let mut seen = 0;
        let items = follow(&world, &owner, &format!("/secrets?api-version=7.4&maxresults={max}"), |page| {
            seen += 1;
            if let Some(next) = page.body["nextLink"].as_str() {
                assert!(next.contains(&format!("&maxresults={max}")) && next.contains("?api-version=7.4&$skiptoken="));
            }
        });
        assert_eq!((items.len(), seen), (60, pages), "maxresults={max}");
    }
}

#[test]
fn sixty_versions_come_in_the_order_of_their_ids() {
    let world = World::new();
    let owner = world.owner();
    let mut versions: Vec<_> = (0..60)
        .map(|number| {
            let set = world.set(&owner, "A", &number.to_string());
            set.body["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
        })
        .collect();
    versions.sort();
    world.set(&owner, "b", "another secret's");
    let items = follow(&world, &owner, "/secrets/a/versions?api-version=2025-07-01", |page| {
        if let Some(next) = page.body["nextLink"].as_str() {
            assert!(
                next.starts_with("https://dev.vault.localhost:8443/secrets/A/versions?api-version=2025-07-01&$skip")
            );
        }
    });
    assert_eq!(tails(&items), versions);
    assert_eq!(items[0]["id"], format!("https://dev.vault.localhost:8443/secrets/A/{}", versions[0]));
}

#[test]
fn a_next_link_survives_the_changes_that_sdks_make_to_it() {
    let world = World::new();
    let owner = world.owner();
    for number in 0..3 {
        world.set(&owner, &format!("s{number}"), "v");
    }
    let first = world.ask(&owner, "GET", "/secrets?api-version=7.4&maxresults=2", "");
    let next = first.body["nextLink"].as_str().unwrap();
    let (_, query) = next.split_once('?').unwrap();
    for query in [
        query.replace('$', "%24"),
        query.replace("7.4", "2026-04-01"),
        query.replace("api-version", "api%2Dversion"),
        query.split('&').rev().collect::<Vec<_>>().join("&"),
    ] {
        let page = world.ask_with(&owner.token, "GET", &format!("/secrets/?{query}"), "");
        assert_eq!(tails(page.body["value"].as_array().unwrap()), ["s2"], "{query}");
    }
}

#[test]
fn a_page_goes_on_for_its_own_list_and_reader_alone() {
    let world = World::new();
    let owner = world.owner();
    let other = world.app("other");
    world.policy("other", "dev", &other, &["list"], &[]);
    for number in 0..3 {
        world.set(&owner, &format!("s{number}"), "v");
        world.set(&owner, "versions", "v");
    }
    let first = world.ask(&owner, "GET", "/secrets?api-version=7.4&maxresults=1", "");
    let token = first.body["nextLink"].as_str().unwrap().split("skiptoken=").nth(1).unwrap().split('&').next().unwrap();
    for (client, path) in [(&other, "/secrets"), (&owner, "/secrets/versions/versions")] {
        let page = world.ask(client, "GET", &format!("{path}?api-version=7.4&$skiptoken={token}"), "");
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{path}");
    }
    // Over a restart the client goes on.
    let path = format!("/secrets?api-version=7.4&$skiptoken={token}");
    let world = world.restarted();
    assert_eq!(tails(world.ask(&owner, "GET", &path, "").body["value"].as_array().unwrap()), ["s1", "s2", "versions"]);
}

#[test]
fn a_version_that_does_not_open_keeps_nothing_else_out_of_a_list() {
    let world = World::new();
    let owner = world.owner();
    for (name, value) in [("a", "one"), ("b", "two"), ("b", "three"), ("c", "four")] {
        world.set(&owner, name, value);
    }
    let vault = VaultName::parse("dev").unwrap();
    let row = |name: &str| run(world.store.current(&vault, &SecretName::parse(name).unwrap())).unwrap().unwrap();
    // Somebody has put the body of one secret in the place of another's.
    let [(_, other), (_, damaged)] = ["a", "b"].map(row);
    let replaces = damaged.sealed.tag();
    let row = VersionRow { sealed: other.sealed, ..damaged };
    run(world.store.commit(vec![Write::AmendVersion { row, replaces }])).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&told);
    world.records.on_damage(move |words| hears.lock().unwrap().push(words.to_owned()));

    assert_eq!(tails(&follow(&world, &owner, "/secrets?api-version=7.4", |_| {})), ["a", "c"]);
    assert_eq!(follow(&world, &owner, "/secrets/b/versions?api-version=7.4", |_| {}).len(), 1);
    assert_eq!(world.ask(&owner, "GET", "/secrets/b?api-version=7.4", "").status, StatusCode::SERVICE_UNAVAILABLE);
    let told = told.lock().unwrap();
    assert!(told.len() == 2 && told.iter().all(|words| words.contains('b')), "{told:?}");
}
