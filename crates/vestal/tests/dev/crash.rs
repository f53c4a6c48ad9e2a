//! kill -9 and what is left afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::client::{VaultClient, version_of};
use crate::process::{Dev, Folder, dev, until};

/// A sandbox that thinks for two seconds about each token of eight: half of the time a renewal is under way.
fn slow(folder: &Folder) -> Dev {
    let mut command = dev(folder, 8);
    command.args(["--sandbox-delay", "2s"]);
    Dev::ready(command, folder)
}

#[test]
fn nothing_that_was_acknowledged_is_gone_after_a_kill_in_mid_renewal_and_the_schedule_goes_on() {
    let folder = Folder::new();
    let mut acknowledged: Vec<(String, String)> = Vec::new();
    let mut versions: Vec<String> = Vec::new();
    let mut expiry = 0;
    // Each round is killed at another point: before the renewal, while the provider thinks, right after it has answered.
    for (round, wait) in [0, 1_500, 3_000, 3_900, 4_700].into_iter().enumerate() {
        let dev = slow(&folder);
        let vault = VaultClient::new(&dev);
        let name = dev.token_name();

        for (name, value) in &acknowledged {
            assert_eq!(vault.get(name)["value"], value.as_str(), "{name} is as it was acknowledged");
        }
        let now = vault.versions(name);
        for version in &versions {
            assert!(now.contains(version), "version {version} of the token is gone in round {round}");
        }

        // It goes on by itself: a newer token comes, and none that expires earlier.
        let known = vault.get(name);
        let renewed = until("the next renewal", || {
            let secret = vault.get(name);
            (secret["id"] != known["id"]).then_some(secret)
        });
        let renewed_expiry = renewed["attributes"]["exp"].as_i64().expect("a managed token has an exp");
        assert!(renewed_expiry > expiry, "a later generation expires later");
        expiry = renewed_expiry;

        // Then a busy writer, and no warning.
        // It has signed in before: on a busy machine that could take longer than the process has to live.
        let writing = VaultClient::new(&dev);
        let written = AtomicBool::new(false);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut done = Vec::new();
                for number in 0.. {
                    let (name, value) = (format!("written-{round}-{number}"), format!("value {number} of {round}"));
                    let body = serde_json::json!({ "value": value }).to_string();
                    let path = format!("/secrets/{name}?api-version=7.4");
                    match writing.try_send("PUT", &path, &body) {
                        Ok(answer) if answer.status == 200 => {
                            done.push((name, value));
                            written.store(true, Ordering::Release);
                        }
                        Ok(answer) => panic!("{answer:?}"),
                        Err(_) => return done,
                    }
                    thread::sleep(Duration::from_millis(20));
                }
                done
            });
            until("the first write", || written.load(Ordering::Acquire).then_some(()));
            thread::sleep(Duration::from_millis(wait));
            versions = vault.versions(name);
            assert!(versions.contains(&version_of(&renewed)));
            dev.running.signal(Signal::KILL);
            acknowledged.extend(writer.join().expect("the writer goes on until the process is gone"));
        });
        assert!(!acknowledged.is_empty());
    }
    let dev = slow(&folder);
    let vault = VaultClient::new(&dev);
    for (name, value) in &acknowledged {
        assert_eq!(vault.get(name)["value"], value.as_str(), "{name} is as it was acknowledged");
    }
}

#[test]
fn stopped_and_started_again_it_is_the_same_vault_on_the_same_schedule() {
    let folder = Folder::new();
    // A life so long that nothing is due in between.
    let start = || Dev::ready(dev(&folder, 600), &folder);
    let first = start();
    let vault = VaultClient::new(&first);
    vault.set("kept", "a value").ok();
    let token = vault.get(first.token_name());
    let (status, _, stderr) = first.running.stop();
    assert!(status.success(), "a person who stops it has done nothing wrong: {status} {stderr}");

    let again = start();
    for name in ["AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "VESTAL_READER_CLIENT_SECRET"] {
        assert_eq!(first.env[name], again.env[name], "{name} goes on");
    }
    let vault = VaultClient::new(&again);
    assert_eq!(vault.get("kept")["value"], "a value");
    let now = vault.get(again.token_name());
    assert_eq!(
        version_of(&now),
        version_of(&token),
        "a token with most of its life before it is not renewed by a start"
    );
    assert_eq!(now["attributes"], token["attributes"]);
}
