//! From the hand-built flow to Vestal: the recipe's flow is imported, `serve` is started on the result, and whoever read
//! the token from their key vault goes on doing so. A second Vestal plays the key vault, a certified OAuth server the API.

use std::process::Command;

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
    assert!(stderr.contains("nothing was written") && !stderr.contains("FLOW_CLIENT_SECRET"), "{stderr}");
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
            import.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
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
