//! From the hand-built flow to Vestal: the recipe's flow is imported, `serve` is started on the result, and whoever read
//! the token from their key vault goes on doing so. A second Vestal plays the key vault, a certified OAuth server the API.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::certificate::Certificate;
use crate::oidc::{CLIENT_SECRET, Provider, free_port};
use crate::peers::{python, succeeds};
use crate::process::{Dev, Folder, Running, admin, dev, says_ready, until, vestal};

/// The flow as it is exported, but for the addresses and the credentials of those who play along.
const FLOW: &str = include_str!("flow.json");

#[test]
fn the_recipes_flow_is_imported_and_its_readers_find_five_generations_none_of_them_dead() {
    let (theirs, folder) = (Folder::new(), Folder::new());
    let mut command = dev(&theirs, 600);
    command.arg("--json");
    let azure = Dev::ready(command, &theirs);
    let certificate = Certificate::new(&folder);
    let api = Provider::start(&folder, &certificate, 8);
    admin(&theirs, &["secret", "set", "api-client-id"], "vestal-post");
    admin(&theirs, &["secret", "set", "api-client-credentials"], CLIENT_SECRET);

    let (url, authority) = (azure.var("VESTAL_VAULT_URL"), azure.var("AZURE_AUTHORITY_HOST").trim_end_matches('/'));
    let client_secret = azure.var("VESTAL_FLOW_CLIENT_SECRET");
    let flow = FLOW
        .replace("https://api.example.com", &api.url(""))
        .replace("https://login.example.com/TENANT", &format!("{authority}/{}", azure.var("AZURE_TENANT_ID")))
        .replace("https://contoso.vault.azure.net", url)
        .replace("FLOW_CLIENT_ID", azure.var("VESTAL_FLOW_CLIENT_ID"))
        .replace("FLOW_CLIENT_SECRET", client_secret);
    let export = folder.write("flow.json", &flow);

    let config = folder.path().join("vestal.toml");
    let mut import = vestal(&folder);
    import.args(["import", "flow", "--json"]).arg(&export).arg("--out").arg(&config);
    import.args(["--key-vault", &format!("shared_keyvault={url}")]);
    let report: Value = serde_json::from_str(&said(import)).expect("--json prints JSON");
    assert_eq!(report["complete"], true, "{report:#}");
    assert!(!report.to_string().contains(client_secret), "no secret is told");
    let written = std::fs::read_to_string(&config).expect("the configuration is there");
    assert!(!written.contains(client_secret), "no secret is written");

    // What only those who play along need: other ports, other authorities, and addresses on this machine.
    let port = url.rsplit(':').next().expect("a port");
    let surroundings = format!(
        r#"
[server]
listen = "127.0.0.1:{own}"
[observe]
listen = "127.0.0.1:0"
[outbound]
allow = ["localhost:{api}", "localhost:{port}", "dev.vault.localhost:{port}"]
ca = ["{ca}", "{api_ca}"]
"#,
        own = free_port(),
        api = api.port,
        ca = theirs.data().join("tls/ca.pem").display(),
        api_ca = certificate.authority.display(),
    );
    let config = folder.write("vestal.toml", &(written + &surroundings));
    let serve = Running::start(vestal(&folder).arg("serve").arg("--config").arg(&config));
    serve.line(says_ready);

    until("the first delivery", || {
        let listed: Value = serde_json::from_str(&admin(&theirs, &["secret", "list", "--json"], "")).ok()?;
        listed.as_array()?.iter().any(|secret| secret["name"] == "api-oauth-token").then_some(())
    });
    let mut reader = python("reader.py", &folder);
    reader.args(["--versions", "5", "--token", "api-oauth-token"]);
    let summary: Value = serde_json::from_str(&succeeds(reader, &azure)).expect("the reader prints JSON");
    assert_eq!(summary["reads_without_life_left"], 0, "{summary}");
    assert_eq!(summary["every_version_another_token"], true, "{summary}");
    assert!(summary["versions"].as_array().is_some_and(|versions| versions.len() >= 5), "{summary}");

    // What stood in the flow in clear text is in the vault, marked.
    let mut show = vestal(&folder);
    show.arg("--config").arg(&config).args(["secret", "show", "home/dev-sign-in-secret", "--json"]);
    let kept: Value = serde_json::from_str(&said(show)).expect("--json prints JSON");
    assert!(kept["version"]["tags"]["vestal-change-this"].is_string(), "{kept:#}");
}

/// What a command prints; it must end well.
fn said(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

#[test]
fn an_import_that_fails_leaves_no_file() {
    let folder = Folder::new();
    let flow =
        FLOW.replace("https://login.example.com/TENANT", "https://login.microsoftonline.com/contoso.onmicrosoft.com");
    let export = folder.write("flow.json", &flow);
    // Where the data folder would be, there is a file: what stood in clear text can't be kept.
    folder.write("vestal-data", "in the way");
    let config = folder.path().join("vestal.toml");
    let mut import = vestal(&folder);
    import.args(["import", "flow"]).arg(&export).arg("--out").arg(&config);
    import.args(["--key-vault", "shared_keyvault=contoso"]);
    let output = import.output().expect("it can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("no configuration was written") && !stderr.contains("FLOW_CLIENT_SECRET"), "{stderr}");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("it can be listed").flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("toml")), "{left:?}");
}

#[test]
fn of_several_imports_at_once_into_one_file_one_writes_it_and_none_is_lost_in_silence() {
    let folder = Folder::new();
    let flow =
        FLOW.replace("https://login.example.com/TENANT", "https://login.microsoftonline.com/contoso.onmicrosoft.com");
    let export = folder.write("flow.json", &flow);
    let config = folder.path().join("vestal.toml");
    let children: Vec<_> = (0..4)
        .map(|_| {
            let mut import = vestal(&folder);
            import
                .args(["import", "flow", "--key-vault", "shared_keyvault=contoso"])
                .arg(&export)
                .arg("--out")
                .arg(&config);
            import.stdout(Stdio::null()).stderr(Stdio::piped());
            import.spawn().expect("it can be started")
        })
        .collect();
    let ends: Vec<_> = children.into_iter().map(|child| child.wait_with_output().expect("it ends")).collect();
    let done = ends.iter().filter(|end| end.status.success()).count();
    assert_eq!(done, 1, "{ends:?}");
    let text = std::fs::read_to_string(&config).expect("it is there");
    assert!(text.ends_with("deliver = [{ to = \"contoso\" }]\n"), "it is whole: {text}");
    for end in ends.iter().filter(|end| !end.status.success()) {
        assert!(String::from_utf8_lossy(&end.stderr).starts_with("error:"), "{end:?}");
    }
}

/// The recipe's flow as it is exported, with a real authority.
fn exported() -> String {
    FLOW.replace("https://login.example.com/TENANT", "https://login.microsoftonline.com/contoso.onmicrosoft.com")
}

/// Imports the flow of a file in the folder into `vestal.toml` there, with more arguments.
fn import(folder: &Folder, export: &str, more: &[&str]) -> Output {
    let mut import = vestal(folder);
    import.args(["import", "flow"]).arg(folder.path().join(export));
    import.arg("--out").arg(folder.path().join("vestal.toml")).args(more);
    import.output().expect("it can be started")
}

const KNOWN: [&str; 2] = ["--key-vault", "shared_keyvault=contoso"];

#[track_caller]
fn ends(output: &Output, exit: i32, words: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{stderr}");
    assert!(stderr.contains(words), "{stderr}");
    assert!(!stderr.contains("FLOW_CLIENT_SECRET"), "{stderr}");
}

/// The names of what is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("it can be listed");
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_secret_that_was_changed_since_is_never_overwritten_by_the_one_in_the_flow() {
    let folder = Folder::new();
    folder.write("flow.json", &exported());
    ends(&import(&folder, "flow.json", &KNOWN), 0, "contoso-sign-in-secret holds");
    ends(&import(&folder, "flow.json", &[KNOWN[0], KNOWN[1], "--force"]), 0, "held the client secret");
    // As told, somebody gives Vestal another. The configuration is that of a port that is free.
    let config = folder.path().join("vestal.toml");
    let written = std::fs::read_to_string(&config).expect("it is there");
    let listen = format!("[server]\nlisten = \"127.0.0.1:{}\"\n[observe]\nlisten = \"127.0.0.1:0\"\n", free_port());
    folder.write("serve.toml", &(written + &listen));
    let serve = Running::start(vestal(&folder).args(["serve", "--config"]).arg(folder.path().join("serve.toml")));
    serve.line(says_ready);
    let in_vault = || {
        let mut get = vestal(&folder);
        said({
            get.arg("--config").arg(&config).args(["get", "home/contoso-sign-in-secret"]);
            get
        })
    };
    assert_eq!(in_vault().trim(), "FLOW_CLIENT_SECRET");
    // It runs, so that it is asked: first with the same value there, then with the new one.
    ends(&import(&folder, "flow.json", &[KNOWN[0], KNOWN[1], "--force"]), 0, "held the client secret");
    let mut set = vestal(&folder);
    set.arg("--config").arg(&config).args(["secret", "set", "home/contoso-sign-in-secret"]);
    fed(set, "changed-since");
    ends(&import(&folder, "flow.json", &[KNOWN[0], KNOWN[1], "--force"]), 2, "stays as it is");
    assert_eq!(in_vault().trim(), "changed-since");
    serve.signal(Signal::TERM);
    let (status, ..) = serve.stop();
    assert!(status.success(), "{status}");
    // It doesn't run.
    ends(&import(&folder, "flow.json", &[KNOWN[0], KNOWN[1], "--force"]), 2, "stays as it is");
}

#[test]
fn what_cant_be_a_configuration_is_told_of_its_flow_and_action_and_no_file_is_written() {
    let folder = Folder::new();
    // The provider that Vestal knows gives no token without a scope.
    folder.write(
        "flow.json",
        &exported()
            .replace("https://api.example.com/token", "https://discord.com/api/oauth2/token")
            .replace("&scope=api:read", ""),
    );
    let output = import(&folder, "flow.json", &KNOWN);
    ends(&output, 2, "no file was written");
    let report = String::from_utf8_lossy(&output.stdout);
    let line = report.lines().find(|line| line.contains("`scope`")).expect("the report says it");
    assert!(line.starts_with("  - flow, `HTTP_3`: ") && !report.contains("-->"), "{report}");
    assert!(report.contains("Unsafe in the flow"), "the rest of the report is there: {report}");
    assert_eq!(names(folder.path()), ["flow.json"]);
}

#[test]
fn secrets_go_into_the_data_folder_that_is_named_and_the_result_names_it() {
    let folder = Folder::new();
    folder.write("flow.json", &exported());
    let data = folder.path().join("elsewhere");
    let named = data.to_str().expect("it is text");
    ends(&import(&folder, "flow.json", &[KNOWN[0], KNOWN[1], "--dir", named]), 0, "contoso-sign-in-secret holds");
    assert!(data.join("store.sqlite").exists() && !folder.path().join("vestal-data").exists());
    let written = std::fs::read_to_string(folder.path().join("vestal.toml")).expect("it is there");
    assert!(written.contains(&format!("[store]\ndata = {named:?}\n")), "{written}");
}

#[test]
fn nothing_is_begun_where_the_file_cant_be_written_and_a_link_stays_one() {
    let folder = Folder::new();
    folder.write("flow.json", &exported());
    let mut nowhere = vestal(&folder);
    nowhere.args(["import", "flow"]).arg(folder.path().join("flow.json")).args(KNOWN);
    nowhere.arg("--out").arg(folder.path().join("no/such/vestal.toml"));
    ends(&nowhere.output().expect("it can be started"), 1, "nothing was written");
    assert_eq!(names(folder.path()), ["flow.json"]);

    let real = folder.write("real.toml", "");
    std::os::unix::fs::symlink(&real, folder.path().join("vestal.toml")).expect("a link can be made");
    ends(&import(&folder, "flow.json", &[KNOWN[0], KNOWN[1], "--force"]), 0, "taken over");
    assert!(folder.path().join("vestal.toml").is_symlink());
    assert!(std::fs::read_to_string(&real).expect("it is there").contains("[token.api-oauth-token]"));
}

#[test]
fn a_connection_that_no_flow_has_is_told_before_anything_is_written() {
    let folder = Folder::new();
    folder.write("flow.json", &exported());
    let output = import(&folder, "flow.json", &["--key-vault", "shared_keyvalt=contoso"]);
    ends(&output, 2, "no flow reads a secret by the connection `shared_keyvalt`");
    let output = import(&folder, "flow.json", &[KNOWN[0], KNOWN[1], KNOWN[0], "shared_keyvault=other"]);
    ends(&output, 2, "two vaults of `shared_keyvault`");
    assert_eq!(names(folder.path()), ["flow.json"]);
}

/// Gives a command its standard input; it must end well.
fn fed(mut command: Command, input: &str) {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it can be started");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success());
}
