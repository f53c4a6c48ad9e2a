//! Azure as it is on a bad day: a second Vestal plays it, and a proxy stands between.

mod contract;
mod faults;
mod identity_endpoint;
mod kill;
pub(crate) mod proxy;
mod sign_in;
mod wire;

use std::path::PathBuf;

use serde_json::Value;

use self::proxy::Proxy;
use crate::certificate::Certificate;
use crate::oidc::free_port;
use crate::process::{Dev, Folder, Running, admin, dev, says_ready, until, vestal};

/// The Vestal that plays Azure, the proxy in front of it, and the Vestal that renews at home.
pub(crate) struct Stage {
    theirs: Folder,
    pub(crate) azure: Dev,
    pub(crate) proxy: Proxy,
    pub(crate) folder: Folder,
    pub(crate) config: PathBuf,
    /// Variables that the Vestal that renews finds.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// The credential of a target whose app registration has a client secret.
const CLIENT_SECRET: &str = r#"kind = "client-secret"
tenant = "adfs"
client_id = "{client_id}"
client_secret = { vault = "home", secret = "azure-client-secret" }"#;

impl Stage {
    /// The API's tokens live for so many seconds. `extra` are further settings of the delivery.
    pub(crate) fn set(lifetime: u32, extra: &str) -> Self {
        Self::signing_in(CLIENT_SECRET, lifetime, extra)
    }

    /// The same with another credential, in which `{client_id}` stands for that of the Vestal that plays Azure.
    fn signing_in(credential: &str, lifetime: u32, extra: &str) -> Self {
        let (theirs, folder) = (Folder::new(), Folder::new());
        let mut command = dev(&theirs, lifetime);
        command.arg("--json");
        let azure = Dev::ready(command, &theirs);
        let certificate = Certificate::new(&folder);
        let ca = theirs.data().join("tls/ca.pem");
        let proxy = Proxy::start(&azure, &ca, &certificate);
        let sandbox = azure.fact("sandbox");
        let sandbox_port =
            sandbox.trim_start_matches("https://localhost:").split('/').next().expect("a port").to_owned();
        std::fs::create_dir(folder.path().join("tokens")).expect("a folder can be made");
        let config = folder.write(
            "vestal.toml",
            &format!(
                r#"
[server]
listen = "127.0.0.1:{own}"
[observe]
listen = "127.0.0.1:0"
[store]
data = "{data}"
[outbound]
allow = ["localhost:{sandbox_port}", "localhost:{port}", "dev.vault.localhost:{port}"]
ca = ["{ca}", "{proxy_ca}"]
[vault.home]
[target.azure]
kind = "azure-key-vault"
url = "https://dev.vault.localhost:{port}"
authority = "https://localhost:{port}"
[target.azure.credential]
{credential}
[target.files]
kind = "file"
folder = "{files}"
[provider.api]
extends = "generic"
token_url = "{sandbox}"
[token.delivered-token]
vault = "home"
provider = "api"
client_id = {{ vault = "home", secret = "client-id" }}
client_secret = {{ vault = "home", secret = "client-credentials" }}
deliver = [{{ to = "azure"{extra} }}, {{ to = "files" }}]
"#,
                own = free_port(),
                data = folder.data().display(),
                ca = ca.display(),
                proxy_ca = certificate.authority.display(),
                port = proxy.port,
                credential = credential.replace("{client_id}", azure.var("AZURE_CLIENT_ID")),
                files = folder.path().join("tokens").display(),
            ),
        );
        Self { theirs, azure, proxy, folder, config, environment: Vec::new() }
    }

    /// Starts the Vestal that renews, without its credentials.
    pub(crate) fn serve(&self) -> Running {
        self.serve_with(&[]).0
    }

    /// The same with more arguments; with it, the line in which it says that it is ready.
    pub(crate) fn serve_with(&self, arguments: &[&str]) -> (Running, String) {
        let mut command = vestal(&self.folder);
        command.arg("serve").arg("--config").arg(&self.config).args(arguments).envs(self.environment.clone());
        let serve = Running::start(&mut command);
        let ready = serve.line(says_ready);
        (serve, ready)
    }

    /// Gives it its credentials, as the Vestal that plays Azure has them.
    pub(crate) fn give_credentials(&self) {
        admin(&self.folder, &["secret", "set", "azure-client-secret"], self.azure.var("AZURE_CLIENT_SECRET"));
        for name in ["client-id", "client-credentials"] {
            admin(&self.folder, &["secret", "set", name], &admin(&self.theirs, &["get", name], ""));
        }
    }

    /// The newest generation at home.
    fn generation(&self) -> u64 {
        let token = json(&admin(&self.folder, &["token", "show", "delivered-token", "--json"], ""));
        token["generation"].as_u64().unwrap_or_default()
    }

    /// Makes a new generation, whatever the schedule says.
    pub(crate) fn renew(&self) {
        admin(&self.folder, &["token", "renew", "delivered-token"], "");
    }

    /// How the delivery to Azure stands.
    fn delivery(&self) -> Value {
        let token = json(&admin(&self.folder, &["token", "show", "delivered-token", "--json"], ""));
        let deliveries = token["deliveries"].as_array().cloned().unwrap_or_default();
        deliveries.into_iter().find(|delivery| delivery["target"] == "azure").unwrap_or(Value::Null)
    }

    /// The generations in the key vault, the oldest first; with each, whether it is enabled.
    fn held(&self) -> Vec<(u64, bool)> {
        let listed = json(&admin(&self.theirs, &["secret", "list", "--json"], ""));
        if !listed.as_array().expect("a list").iter().any(|secret| secret["name"] == "delivered-token") {
            return Vec::new();
        }
        let secret = json(&admin(&self.theirs, &["secret", "show", "delivered-token", "--json"], ""));
        let mut held: Vec<(String, u64, bool)> = secret["versions"]
            .as_array()
            .expect("versions")
            .iter()
            .map(|version| {
                let generation = version["tags"]["vestal-generation"].as_str().and_then(|text| text.parse().ok());
                let created = version["created"].as_str().expect("it tells when").to_owned();
                (created, generation.unwrap_or_default(), version["enabled"] == true)
            })
            .collect();
        // What was made within one second is in no order that Key Vault tells.
        held.sort();
        held.into_iter().map(|(_, generation, enabled)| (generation, enabled)).collect()
    }

    /// Waits until the key vault holds what is newest at home, and looks at how it came there: no generation twice, and
    /// none after a newer one.
    pub(crate) fn until_delivered(&self) -> Vec<(u64, bool)> {
        let held = until("the newest generation is delivered", || {
            let held = self.held();
            let newest = held.last()?.0;
            (newest == self.generation() && self.delivery()["state"] == "delivered").then_some(held)
        });
        let generations: Vec<u64> = held.iter().map(|(generation, _)| *generation).collect();
        let mut sorted = generations.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(generations, sorted, "each generation once, and in their order");
        held
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
