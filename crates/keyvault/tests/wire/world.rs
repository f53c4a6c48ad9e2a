//! A vault with its authority, in memory, and a client that asks it.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use keyvault::{Challenge, KeyVault, Now, Settings, VaultDefinition};
use serde_json::Value;
use store::rows::{DefinitionKind, Origin};
use store::{CACHE_BYTES, Entropy, MemoryAudit, MemoryStore, Records, Write};
use vault::{Keyring, ObjectId, Pattern, Permissions, Policy, Seed, VaultName};

use crate::schema;

/// 15 January 2027, in Unix seconds.
pub(crate) const START: i64 = 1_800_000_000;
pub(crate) const HOST: &str = "dev.vault.localhost:8443";
pub(crate) const AUTHORITY: &str = "localhost:8443";

pub(crate) struct World {
    pub(crate) vault: KeyVault<MemoryStore>,
    pub(crate) records: Arc<Records<MemoryStore>>,
    pub(crate) store: MemoryStore,
    pub(crate) audit: Arc<MemoryAudit>,
    pub(crate) now: i64,
}

/// A client of one app.
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) object_id: ObjectId,
    pub(crate) token: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl World {
    /// The vaults `dev`, which challenges for `adfs`, and `other`, which challenges for the tenant.
    pub(crate) fn new() -> Self {
        let store = MemoryStore::new();
        let keyring = Keyring::new(1, &Seed::new(&[5; 32]));
        let records = Arc::new(Records::new(store.clone(), keyring, Arc::new(Counting::default()), CACHE_BYTES));
        let audit = Arc::new(MemoryAudit::default());
        let vault = run(KeyVault::open(Arc::clone(&records), &settings(), audit.clone(), at(START))).unwrap();
        let world = Self { vault, records, store, audit, now: START };
        world.define(DefinitionKind::Vault, "dev", &VaultDefinition::default());
        world.define(
            DefinitionKind::Vault,
            "other",
            &VaultDefinition { challenge: Challenge::Tenant, ..VaultDefinition::default() },
        );
        world
    }

    /// The same store, opened by the next process.
    pub(crate) fn restarted(self) -> Self {
        let store = self.store.reopen();
        let keyring = Keyring::new(1, &Seed::new(&[5; 32]));
        let entropy = Arc::new(Counting(AtomicU64::new(1 << 32)));
        let records = Arc::new(Records::new(store.clone(), keyring, entropy, CACHE_BYTES));
        let vault = run(KeyVault::open(Arc::clone(&records), &settings(), self.audit.clone(), at(self.now))).unwrap();
        Self { vault, records, store, audit: self.audit, now: self.now }
    }

    pub(crate) fn define<T: serde::Serialize>(&self, kind: DefinitionKind, name: &str, body: &T) {
        let write = self.records.define(kind, name, Origin::Admin, None, body, None);
        run(self.records.commit(vec![write])).unwrap();
        run(self.vault.reload_directory()).unwrap();
    }

    /// The same in place of what was defined before.
    pub(crate) fn redefine<T: serde::Serialize>(&self, kind: DefinitionKind, name: &str, body: &T) {
        run(self.records.commit(vec![Write::RemoveDefinition { kind, name: name.to_owned() }])).unwrap();
        self.define(kind, name, body);
    }

    pub(crate) fn now(&self) -> Now {
        at(self.now)
    }

    /// An app without a policy, and its token.
    pub(crate) fn app(&self, name: &str) -> Client {
        let issued = run(self.vault.create_app(name, None, self.now())).unwrap();
        let mut client = Client {
            id: issued.app.client_id.to_string(),
            secret: issued.client_secret.expose_str().unwrap().to_owned(),
            object_id: issued.app.object_id.clone(),
            token: String::new(),
        };
        client.token = self.token(&client);
        client
    }

    /// An app that may do everything in the vault `dev`.
    pub(crate) fn owner(&self) -> Client {
        let client = self.app("owner");
        self.policy("owner", "dev", &client, &["all"], &[]);
        client
    }

    pub(crate) fn policy(&self, name: &str, vault: &str, client: &Client, permissions: &[&str], names: &[&str]) {
        let policy = Policy {
            vault: VaultName::parse(vault).unwrap(),
            app: client.object_id.clone(),
            permissions: Permissions::parse(permissions.iter().copied()).unwrap(),
            names: names.iter().map(|name| Pattern::parse(name).unwrap()).collect(),
        };
        self.define(DefinitionKind::Policy, name, &policy);
    }

    /// A fresh token for Azure's own resource, as a flow asks for it.
    pub(crate) fn token(&self, client: &Client) -> String {
        let answer = self.token_request(&format!(
            "client_id={}&client_secret={}&grant_type=client_credentials&scope=https://vault.azure.net/.default",
            client.id, client.secret
        ));
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn token_request(&self, form: &str) -> Answer {
        let request = Request::post("/adfs/oauth2/v2.0/token")
            .header("host", AUTHORITY)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::copy_from_slice(form.as_bytes()))
            .unwrap();
        self.send(request)
    }

    /// A request to the vault `dev` with a token, and with a body of JSON where there is one.
    pub(crate) fn ask(&self, client: &Client, method: &str, path_and_query: &str, body: &str) -> Answer {
        self.ask_with(&client.token, method, path_and_query, body)
    }

    pub(crate) fn ask_with(&self, token: &str, method: &str, path_and_query: &str, body: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path_and_query)
            .header("host", HOST)
            .header("authorization", format!("Bearer {token}"))
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap();
        self.send(request)
    }

    pub(crate) fn set(&self, client: &Client, name: &str, value: &str) -> Answer {
        let body = serde_json::json!({ "value": value }).to_string();
        let answer = self.ask(client, "PUT", &format!("/secrets/{name}?api-version=7.4"), &body);
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer
    }

    /// Sends a request, and holds the answer against what every answer must be.
    pub(crate) fn send(&self, request: Request<Bytes>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let to_vault = request.headers().get("host").is_some_and(|host| host == HOST);
        let answer = self.send_unchecked(request);
        if to_vault {
            schema::check(&method, &path, &answer);
            for (name, value) in VAULT_HEADERS {
                assert_eq!(answer.headers.get(name).map(|found| found.to_str().unwrap()), Some(value), "{name}");
            }
        }
        assert_eq!(answer.headers.get_all("x-ms-request-id").iter().count(), 1);
        assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
        answer
    }

    pub(crate) fn send_unchecked(&self, request: Request<Bytes>) -> Answer {
        let peer: IpAddr = "192.0.2.7".parse().unwrap();
        Answer::from(run(self.vault.answer(request, self.now(), Some(peer))))
    }
}

/// What stands in every answer of a vault.
const VAULT_HEADERS: [(&str, &str); 9] = [
    ("cache-control", "no-cache"),
    ("pragma", "no-cache"),
    ("expires", "-1"),
    ("content-type", "application/json; charset=utf-8"),
    ("strict-transport-security", "max-age=31536000;includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-ms-keyvault-region", "local"),
    ("x-ms-keyvault-service-version", "1.9.0.0"),
    ("x-ms-keyvault-network-info", "conn_type=Ipv4;addr=192.0.2.7;act_addr_fam=InterNetwork;"),
];

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let body = match parts.status {
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Value::Null,
            _ => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")),
        };
        Self { status: parts.status, headers: parts.headers, body, text }
    }
}

impl Answer {
    /// The code, the inner code and the message of a vault's error.
    pub(crate) fn error(&self) -> (&str, Option<&str>, &str) {
        let error = &self.body["error"];
        (error["code"].as_str().unwrap(), error["innererror"]["code"].as_str(), error["message"].as_str().unwrap())
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        domain: "vault.localhost:8443".to_owned(),
        authority: "https://localhost:8443".to_owned(),
        region: "local".to_owned(),
    }
}

pub(crate) fn at(unix_seconds: i64) -> Now {
    Now { unix_ms: unix_seconds * 1000 }
}

/// Runs a future that waits for nothing outside of it.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::yield_now();
    }
}

/// Bytes that differ each time and are the same in each run.
#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let mut z = self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}
