//! What the process asks of the system for itself.

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use crate::client::VaultClient;
use crate::process::{Dev, Folder, admin, behind, dev, until};

#[test]
fn clients_that_hoard_connections_leave_renewals_and_the_control_socket_alone() {
    let folder = Folder::new();
    let dev = Dev::ready(behind(&["sh", "-c", "ulimit -n 250; exec \"$@\"", "sh"], &dev(&folder, 6)), &folder);
    let vault = VaultClient::new(&dev);
    assert_eq!(vault.set("before", "them").status, 200);
    let url: url::Url = dev.var("VESTAL_VAULT_URL").parse().expect("a URL");
    let port = url.port().expect("it was given a free one");
    // Until the system lets nobody wait any more.
    let connect = |_| TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_millis(200));
    let hoard: Vec<TcpStream> = (0..300).map(connect).map_while(Result::ok).collect();
    let generation = || {
        let token = admin(&folder, &["token", "show", dev.token_name(), "--json"], "");
        let token: serde_json::Value = serde_json::from_str(&token).expect("it prints JSON");
        token["generation"].as_u64().expect("a number")
    };
    let before = generation();
    until("a second renewal", || (generation() >= before + 2).then_some(()));
    drop(hoard);
    let (_, _, log) = dev.running.stop();
    assert!(!log.contains("open files"), "there were files enough for everything:\n{log}");
}

#[test]
fn no_core_dump_is_left() {
    let folder = Folder::new();
    let dev = Dev::start(&folder);
    let limits = fs::read_to_string(format!("/proc/{}/limits", dev.running.id())).expect("anybody may read it");
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).expect("it has a limit");
    let numbers: Vec<&str> = line.split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "{line}");
}
