//! No secret shows where none belongs: everything that Vestal prints and keeps is searched for every secret there is.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::azure_faults::Stage;
use crate::azure_faults::proxy::{Fault, Seen};
use crate::client::VaultClient;
use crate::process::{Dev, Folder, admin, dev, until};

/// Where secrets are at home: the environment for clients, and the key that seals the store.
const HOMES: &[&str] = &["dev.env", "key"];

#[test]
fn no_secret_shows_in_any_output_log_error_metric_or_file() {
    let folder = Folder::new();
    let mut command = dev(&folder, 6);
    // Everything that can be said is said.
    command.env("RUST_LOG", "trace").env("VESTAL_LOG", "trace").args(["--json", "--sandbox-fail", "0.3"]);
    let dev = Dev::ready(command, &folder);
    let vault = VaultClient::new(&dev);
    let mut secrets = Secrets::default();
    secrets.add("the client secret of the app that may do everything", dev.var("AZURE_CLIENT_SECRET"));
    secrets.add("the client secret of the reader", dev.var("VESTAL_READER_CLIENT_SECRET"));
    secrets.add("an access token of the vault", vault.bearer());
    let key = fs::read_to_string(folder.data().join("key")).expect("the key file is text");
    secrets.add("the key of the store", key.split_whitespace().last().expect("it holds a key"));

    // Secrets by every way that takes some, the wrong ones among them: an error may not repeat what it was sent.
    let mut answers = Vec::new();
    let marked = "marked-Secret+value/with=all&kinds?of \"characters\" \\ äöü 4711";
    secrets.add("a value that was set", marked);
    vault.set("marked", marked).ok();
    let stray = "stray-secret-of-a-broken-request-0815";
    secrets.add("a value in a request that was refused", stray);
    answers.push(vault.set("not_a_name", stray));
    answers.push(vault.send("PUT", "/secrets/broken?api-version=7.4", &format!("{{\"value\": \"{stray}\"")));
    answers.push(vault.send("PUT", "/secrets/broken?api-version=7.4", &format!("{{\"value\": [\"{stray}\"]}}")));
    answers.push(vault.send("PUT", "/secrets/broken?api-version=0.0", &format!("{{\"value\": \"{stray}\"}}")));
    answers.push(vault.client.token_request(&dev, dev.var("AZURE_CLIENT_ID"), stray));
    answers.push(vault.client.token_request(&dev, stray, stray));
    let url = format!("{}/secrets/client-id?api-version=7.4", dev.var("VESTAL_VAULT_URL"));
    for bearer in [stray.to_owned(), format!("{}x", vault.bearer())] {
        answers.push(vault.client.send("GET", &url, &[("authorization", &format!("Bearer {bearer}"))], ""));
    }
    // A backup of it, here and with the command line, what is refused of one, and what comes back.
    let text = vault.send("POST", "/secrets/marked/backup?api-version=7.4", "").ok().to_string();
    let file = folder.path().join("marked.backup").display().to_string();
    let mut shown = vec![admin(&folder, &["secret", "backup", "marked", "--out", &file], "")];
    answers.push(vault.send("POST", "/secrets/restore?api-version=7.4", &text));
    answers.push(vault.send("POST", "/secrets/restore?api-version=7.4", &text.replacen("KV", stray, 1)));
    answers.push(vault.send("POST", "/secrets/restore?api-version=7.4", &format!("{{\"value\":[\"{stray}\"]}}")));
    let long = format!("{{\"value\": \"{}\"}}", stray.repeat(10_000));
    let url_of_restore = format!("{}/secrets/restore?api-version=7.4", dev.var("VESTAL_VAULT_URL"));
    answers.push(vault.client.send("POST", &url_of_restore, &[("authorization", &format!("Bearer {stray}"))], &long));
    assert_eq!(answers.last().map(|answer| answer.status), Some(401), "it is to sign in again");
    shown.push(vault.send("DELETE", "/secrets/marked?api-version=7.4", "").ok().to_string());
    shown.push(vault.send("GET", "/deletedsecrets/marked?api-version=7.4", "").ok().to_string());
    shown.push(admin(&folder, &["secret", "list", "--deleted", "--json"], ""));
    answers.push(vault.set("marked", stray));
    shown.push(admin(&folder, &["secret", "purge", "marked", "--yes", "--json"], ""));
    shown.push(vault.send("POST", "/secrets/restore?api-version=7.4", &text).ok().to_string());
    shown.push(text);
    let reader = VaultClient::of(&dev, dev.var("VESTAL_READER_CLIENT_ID"), dev.var("VESTAL_READER_CLIENT_SECRET"));
    secrets.add("an access token of the reader", reader.bearer());
    answers.push(reader.send("GET", "/secrets/client-credentials?api-version=7.4", ""));
    for answer in &answers {
        assert!((400..=499).contains(&answer.status), "{answer:?}");
    }

    // The provider's client secret, and the tokens of some generations.
    secrets.add("the client secret for the provider", &value_of(&vault, "client-credentials"));
    for generation in 0..3 {
        let token = value_of(&vault, dev.token_name());
        secrets.add("a generation of the managed token", &token);
        until("the next generation", || (value_of(&vault, dev.token_name()) != token).then_some(generation));
    }

    let mut haystacks: Vec<(String, Vec<u8>)> = Vec::new();
    for (number, answer) in answers.iter().enumerate() {
        haystacks.push((format!("refused answer {number}"), format!("{answer:?}").into_bytes()));
    }
    haystacks.extend(
        shown.into_iter().map(|text| ("what was said of a deleted secret or its backup".to_owned(), text.into_bytes())),
    );
    haystacks.push((file.clone(), fs::read(&file).expect("it is written")));
    for page in ["/metrics", "/healthz", "/readyz"] {
        let answer = vault.client.send("GET", &format!("{}{page}", dev.observe()), &[], "");
        assert_eq!(answer.status, 200, "{answer:?}");
        haystacks.push((page.to_owned(), answer.text.into_bytes()));
    }
    for command in [
        &["status", "--json"][..],
        &["token", "list"],
        &["token", "show", dev.token_name()],
        &["token", "history", dev.token_name(), "--json"],
        &["secret", "list", "--json"],
        &["secret", "show", "client-credentials"],
        &["app", "list", "--json"],
        &["policy", "list"],
    ] {
        haystacks.push((command.join(" "), admin(&folder, command, "").into_bytes()));
    }
    for name in ["environ", "cmdline"] {
        let path = format!("/proc/{}/{name}", dev.running.id());
        match fs::read(&path) {
            Ok(bytes) => haystacks.push((path, bytes)),
            // Only root may look into it.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{path}: {error}"),
        }
    }
    files_below(&folder.data(), &mut haystacks);
    let (_, stdout, stderr) = dev.running.stop();
    assert!(stderr.len() + stdout.len() > 1_000, "at TRACE there is much to search");
    haystacks.push(("stdout".into(), stdout.into_bytes()));
    haystacks.push(("stderr".into(), stderr.into_bytes()));
    files_below(&folder.data(), &mut haystacks);

    let found: Vec<_> = haystacks.iter().flat_map(|(place, bytes)| secrets.in_bytes(place, bytes)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The same of a Vestal that delivers: to a vault that plays Azure, on a bad day, and into a folder.
#[test]
fn no_secret_shows_in_any_output_of_a_vestal_that_delivers() {
    let mut stage = Stage::set(600, ", disable_superseded = true");
    stage.environment = ["RUST_LOG", "VESTAL_LOG"].map(|variable| (variable, "trace".to_owned())).to_vec();
    let text = "what-Azure-says-and-nobody-must-see-5f1d0a7e";
    let refusal = |inner: &str| {
        let error = serde_json::json!({ "code": text, "message": text, "innererror": { "code": inner, "text": text } });
        serde_json::json!({ "error": error, "error_description": text })
    };
    let mut secrets = Secrets::default();
    secrets.add("what Azure says", text);
    secrets.add("the client secret at Azure", stage.azure.var("AZURE_CLIENT_SECRET"));
    let stray = "stray-secret-that-azure-does-not-know-0815";
    secrets.add("a client secret that Azure refuses", stray);

    let (serve, ready) = stage.serve_with(&["--json"]);
    for (status, inner) in [(403, "ForbiddenByRbac"), (409, "ObjectIsBeingDeleted"), (500, ""), (429, "")] {
        stage.proxy.rule(1, Fault::Answer(status, Vec::new(), refusal(inner)), |seen| seen.is_delivery("PUT"));
    }
    stage.proxy.rule(1, Fault::Answer(503, Vec::new(), refusal("")), Seen::is_sign_in);
    stage.give_credentials();
    let folder = stage.folder.path().join("tokens");
    for _ in 0..3 {
        stage.until_delivered();
        let token = fs::read_to_string(folder.join("delivered-token")).expect("it is delivered");
        secrets.add("a generation of the token", &token);
        stage.renew();
    }
    // Its client secret is changed to a wrong one, when Azure wants it again.
    stage.until_delivered();
    admin(&stage.folder, &["secret", "set", "azure-client-secret"], stray);
    stage.proxy.rule(1, Fault::Answer(401, Vec::new(), refusal("")), |seen| seen.is_delivery("GET"));
    stage.renew();
    assert!(serve.stderr.wait(|line| line.contains("AADSTS7000215")).is_some(), "{}", serve.stderr.text());
    admin(&stage.folder, &["secret", "set", "azure-client-secret"], stage.azure.var("AZURE_CLIENT_SECRET"));
    stage.until_delivered();
    let last = fs::read_to_string(folder.join("delivered-token")).expect("it is delivered");
    secrets.add("the last generation of the token", &last);
    // Somebody's own value, by hand: it is repaired, and is no more for everybody's eyes than the token.
    let by_hand = "by-hand-in-the-folder-4711";
    secrets.add("what somebody wrote by hand", by_hand);
    fs::write(folder.join("delivered-token"), by_hand).expect("the folder is ours");
    admin(&stage.folder, &["token", "deliver", "delivered-token"], "");
    stage.until_delivered();
    for seen in stage.proxy.seen() {
        if let Some(token) = seen.headers.get("authorization").and_then(|header| header.strip_prefix("Bearer ")) {
            secrets.add("an access token of Azure", token);
        }
    }

    let mut haystacks: Vec<(String, Vec<u8>)> = Vec::new();
    let facts: serde_json::Value = serde_json::from_str(ready.trim_start_matches("ready ")).expect("it says JSON");
    let metrics = format!("{}/metrics", facts["observe"].as_str().expect("it says where metrics are"));
    let client = VaultClient::new(&stage.azure).client;
    haystacks.push((metrics.clone(), client.send("GET", &metrics, &[], "").text.into_bytes()));
    for command in [
        &["token", "show", "delivered-token"][..],
        &["token", "show", "delivered-token", "--json"],
        &["token", "deliver", "delivered-token", "--json"],
        &["token", "history", "delivered-token", "--json"],
        &["target", "list", "--json"],
        &["target", "show", "azure"],
        &["target", "show", "azure", "--json"],
        &["target", "show", "files", "--json"],
    ] {
        haystacks.push((command.join(" "), admin(&stage.folder, command, "").into_bytes()));
    }
    // The file of a token holds the token. All else that stands beside it doesn't.
    files_below(stage.folder.path(), &mut haystacks);
    haystacks.retain(|(place, _)| !place.ends_with("/tokens/delivered-token"));
    assert!(
        haystacks.iter().any(|(place, _)| place.ends_with(".delivered-token.vestal.json")),
        "its sidecar is searched"
    );
    let (_, stdout, stderr) = serve.stop();
    assert!(stderr.len() > 1_000, "at TRACE there is much to search");
    haystacks.push(("stdout".into(), stdout.into_bytes()));
    haystacks.push(("stderr".into(), stderr.into_bytes()));
    files_below(&stage.folder.data(), &mut haystacks);

    let found: Vec<_> = haystacks.iter().flat_map(|(place, bytes)| secrets.in_bytes(place, bytes)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_secret_is_found_in_every_form_that_is_searched_for() {
    let mut secrets = Secrets::default();
    secrets.add("it", "s3cret/with+chars&more?");
    let url: String = url::form_urlencoded::byte_serialize(b"s3cret/with+chars&more?").collect();
    let mut forms = vec!["s3cret/with+chars&more?".to_owned(), url];
    for before in ["", "u", "user:"] {
        let whole = format!("{before}s3cret/with+chars&more?{before}");
        forms.push(STANDARD_NO_PAD.encode(&whole));
        forms.push(URL_SAFE_NO_PAD.encode(&whole));
    }
    for form in forms {
        assert_eq!(secrets.in_bytes("here", format!("before {form} after").as_bytes()).len(), 1, "{form}");
    }
    assert!(secrets.in_bytes("here", b"nothing of the kind").is_empty());
}

fn value_of(vault: &VaultClient, name: &str) -> String {
    vault.get(name)["value"].as_str().expect("a secret has a value").to_owned()
}

/// All files below the folder, but for those where secrets are at home.
fn files_below(folder: &Path, haystacks: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder can be read").flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if HOMES.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            files_below(&path, haystacks);
        } else if path.is_file() {
            haystacks.push((path.display().to_string(), fs::read(&path).expect("a file can be read")));
        }
    }
}

/// What is searched for, in every form that it may have taken on its way.
#[derive(Default)]
struct Secrets(Vec<(&'static str, Vec<String>)>);

impl Secrets {
    fn add(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= 16, "{what} is so short that it could be found by chance");
        let mut forms = vec![secret.to_owned(), url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()];
        // As JSON has it inside a string, without the quotes around it.
        forms.push(serde_json::json!(secret).to_string().trim_matches('"').to_owned());
        // Base64 of a longer text that has the secret in it depends on how many bytes stand before it, by threes. The
        // characters at both ends depend on the neighbours too, and are left out.
        for before in 0..3 {
            let whole = [vec![0; before], secret.as_bytes().to_vec()].concat();
            for encoded in [STANDARD_NO_PAD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                let first = if before == 0 { 0 } else { before + 1 };
                forms.push(encoded[first..whole.len() * 8 / 6].to_owned());
            }
        }
        forms.sort();
        forms.dedup();
        self.0.push((what, forms));
    }

    /// A line for each secret that is in there.
    fn in_bytes(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        // Bytes that are no text become marks, which are in no secret.
        let text = String::from_utf8_lossy(bytes);
        let found = self.0.iter().filter(|(_, forms)| forms.iter().any(|form| text.contains(form.as_str())));
        found.map(|(what, _)| format!("{place} shows {what}")).collect()
    }
}
