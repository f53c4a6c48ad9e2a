//! A second Vestal plays Azure: credentials are read from its vault, and tokens are delivered there, by the official
//! client and its credentials, over TLS and through the connector.

use serde_json::Value;

use crate::oidc::free_port;
use crate::process::{Dev, Folder, Running, admin, dev, says_ready, until, vestal};

/// The vault that plays Azure's, and its folder.
struct Azure {
    folder: Folder,
    dev: Dev,
}

impl Azure {
    fn start() -> Self {
        let folder = Folder::new();
        let mut command = dev(&folder, 8);
        command.arg("--json");
        let dev = Dev::ready(command, &folder);
        Self { folder, dev }
    }

    fn secret(&self, name: &str) -> Option<Value> {
        let listed: Value = json(&admin(&self.folder, &["secret", "list", "--json"], ""));
        let is_there = listed.as_array().expect("a list").iter().any(|secret| secret["name"] == name);
        is_there.then(|| json(&admin(&self.folder, &["secret", "show", name, "--json"], "")))
    }

    fn value(&self, name: &str) -> String {
        admin(&self.folder, &["get", name], "").trim().to_owned()
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The Vestal that renews at home, with `client` as its identity at the other.
fn configuration(azure: &Azure, folder: &Folder, client_id: &str, extra: &str) -> String {
    let url = azure.dev.var("VESTAL_VAULT_URL");
    let authority = azure.dev.var("AZURE_AUTHORITY_HOST").trim_end_matches('/').to_owned();
    let port = url.rsplit(':').next().expect("a port");
    let sandbox = azure.dev.fact("sandbox");
    let sandbox_port = sandbox.trim_start_matches("https://localhost:").split('/').next().expect("a port").to_owned();
    let (data, ca) = (folder.data(), azure.folder.data().join("tls/ca.pem"));
    format!(
        r#"
[server]
listen = "127.0.0.1:{own}"
[observe]
listen = "127.0.0.1:0"
[store]
data = "{data}"
[outbound]
allow = ["localhost:{sandbox_port}", "localhost:{port}", "dev.vault.localhost:{port}"]
ca = ["{ca}"]
[vault.home]
[target.azure]
kind = "azure-key-vault"
url = "{url}"
authority = "{authority}"
[target.azure.credential]
kind = "client-secret"
tenant = "adfs"
client_id = "{client_id}"
client_secret = {{ vault = "home", secret = "azure-client-secret" }}
[provider.api]
extends = "generic"
token_url = "{sandbox}"
[token.delivered-token]
vault = "home"
provider = "api"
client_id = {{ vault = "azure", secret = "client-id" }}
client_secret = {{ vault = "azure", secret = "client-credentials" }}
deliver = [{{ to = "azure"{extra} }}]
"#,
        own = free_port(),
        data = data.display(),
        ca = ca.display(),
    )
}

fn serve(folder: &Folder, configuration: &str) -> Running {
    let file = folder.write("vestal.toml", configuration);
    let serve = Running::start(vestal(folder).arg("serve").arg("--config").arg(&file));
    serve.line(says_ready);
    serve
}

#[test]
fn credentials_come_from_the_vault_and_every_generation_goes_there_with_its_end() {
    let (azure, folder) = (Azure::start(), Folder::new());
    let client_id = azure.dev.var("AZURE_CLIENT_ID").to_owned();
    let _serve = serve(&folder, &configuration(&azure, &folder, &client_id, ", disable_superseded = true"));
    admin(&folder, &["secret", "set", "azure-client-secret"], azure.dev.var("AZURE_CLIENT_SECRET"));

    let mut generations = Vec::new();
    for _ in 0..5 {
        let secret = until("a generation that was not delivered before", || {
            let secret = azure.secret("delivered-token")?;
            let generation = secret["version"]["tags"]["vestal-generation"].as_str()?.to_owned();
            (!generations.contains(&generation)).then(|| {
                generations.push(generation);
                secret
            })
        });
        assert!(secret["version"]["expires"].is_string(), "it has its end: {secret}");
        let tags = &secret["version"]["tags"];
        assert_eq!(tags["vestal-provider"], "api");
        assert_eq!(tags["vestal-token"].as_str().map(str::len), Some(32), "{tags}");
        assert!(!azure.value("delivered-token").is_empty());
    }
    // One version a generation, none twice, and only the newest can be read.
    until("superseded versions are disabled", || {
        let secret = azure.secret("delivered-token")?;
        let versions = secret["versions"].as_array()?;
        let told: Vec<_> = versions.iter().map(|version| version["tags"]["vestal-generation"].clone()).collect();
        let mut unique = told.clone();
        unique.dedup();
        assert_eq!(told, unique, "no generation is delivered twice");
        (versions.iter().filter(|version| version["enabled"] == true).count() <= 2).then_some(())
    });

    // Somebody writes over it by hand: it is noticed and written again.
    admin(&azure.folder, &["secret", "set", "delivered-token"], "by hand");
    until("the token is back", || (azure.value("delivered-token") != "by hand").then_some(()));
}

#[test]
fn a_credential_that_is_refused_is_told_in_words_and_its_cure_is_tried_at_once() {
    let (azure, folder) = (Azure::start(), Folder::new());
    let client_id = azure.dev.var("AZURE_CLIENT_ID").to_owned();
    let running = serve(&folder, &configuration(&azure, &folder, &client_id, ""));
    admin(&folder, &["secret", "set", "azure-client-secret"], "certainly-wrong");
    let line = running.stderr.wait(|line| line.contains("AADSTS7000215")).expect("the refusal is told");
    assert!(line.contains("copy its Value") && !line.contains("certainly-wrong"), "{line}");
    admin(&folder, &["secret", "set", "azure-client-secret"], azure.dev.var("AZURE_CLIENT_SECRET"));
    until("it is delivered", || azure.secret("delivered-token"));
}

#[test]
fn a_missing_right_is_named_with_the_place_to_give_it() {
    let (azure, folder) = (Azure::start(), Folder::new());
    let issued = json(&admin(&azure.folder, &["app", "create", "half", "--json"], ""));
    let client_id = issued["app"]["client_id"].as_str().expect("a client id").to_owned();
    admin(&azure.folder, &["policy", "set", "half", "--app", "half", "--permissions", "get"], "");
    let running = serve(&folder, &configuration(&azure, &folder, &client_id, ""));
    let secret = issued["client_secret"].as_str().expect("a client secret");
    admin(&folder, &["secret", "set", "azure-client-secret"], secret);
    let line = running.stderr.wait(|line| line.contains("lacks the right Set")).expect("the refusal is told");
    assert!(line.contains("az keyvault set-policy --name dev") && line.contains(&client_id), "{line}");
    assert!(azure.secret("delivered-token").is_none(), "nothing was written");
    admin(&azure.folder, &["policy", "set", "half", "--app", "half", "--permissions", "get,set"], "");
    until("it is delivered", || azure.secret("delivered-token"));
}

#[test]
fn in_shadow_mode_the_flows_secret_is_left_alone_until_it_is_cut_over() {
    let (azure, folder) = (Azure::start(), Folder::new());
    let client_id = azure.dev.var("AZURE_CLIENT_ID").to_owned();
    admin(&azure.folder, &["secret", "set", "delivered-token"], "the flow's");
    let configuration = configuration(&azure, &folder, &client_id, ", check_every = \"1m\"");
    let _serve = serve(&folder, &configuration.replace("deliver = [", "mode = \"shadow\"\ndeliver = ["));
    admin(&folder, &["secret", "set", "azure-client-secret"], azure.dev.var("AZURE_CLIENT_SECRET"));
    until("it is delivered beside the flow's", || azure.secret("delivered-token-vestal"));
    assert_eq!(azure.value("delivered-token"), "the flow's");
    let seen = until("a look at the flow's", || {
        let seen = json(&admin(&folder, &["token", "shadow", "delivered-token", "--json"], ""));
        (seen[0]["looks"] != 0).then_some(seen)
    });
    assert_eq!((seen[0]["flow_tells_expiry"].as_bool(), seen[0]["enough"].as_bool()), (Some(false), Some(false)));
    let cut = json(&admin(&folder, &["token", "cut-over", "delivered-token", "--json"], ""));
    assert_eq!(cut["deliveries"][0]["state"], "delivered", "{cut}");
    assert_ne!(azure.value("delivered-token"), "the flow's");
}
