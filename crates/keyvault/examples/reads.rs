//! How long a read from memory takes, without a network: `cargo run --release -p keyvault --example reads`.
//!
//! It reads one secret of 1.2 kB again and again, through the path of every read: token cache, policy, opening the
//! record, JSON and headers. The audit takes entries and drops them. An argument sets the number of reads, which is
//! for counting instructions: `valgrind --tool=callgrind …/reads 2000`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use keyvault::{KeyVault, Now, Settings, VaultDefinition};
use store::rows::{DefinitionKind, Origin};
use store::{Audit, AuditEntry, AuditWrite, CACHE_BYTES, Entropy, MemoryStore, Records};
use vault::{Keyring, Permissions, Policy, Seed, VaultName};

const NOW: Now = Now { unix_ms: 1_800_000_000_000 };

struct NoAudit;

impl Audit for NoAudit {
    fn read(&self, _entry: &AuditEntry<'_>) {}

    fn write(&self, _entry: &AuditEntry<'_>) -> AuditWrite<'_> {
        Box::pin(std::future::ready(Ok(())))
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the system has random bytes");
    }
}

#[expect(clippy::print_stdout, reason = "an example shows its result")]
fn main() {
    let reads: u32 = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().expect("a number of reads"));
    let keyring = Keyring::new(1, &Seed::new(&[5; 32]));
    let records = Arc::new(Records::new(MemoryStore::new(), keyring, Arc::new(SystemEntropy), CACHE_BYTES));
    let settings = Settings {
        domain: "vault.localhost:8443".to_owned(),
        authority: "https://localhost:8443".to_owned(),
        region: "local".to_owned(),
    };
    let vault = run(KeyVault::open(Arc::clone(&records), &settings, Arc::new(NoAudit), NOW)).expect("a new vault");
    let issued = run(vault.create_app("reader", None, NOW)).expect("a new app");
    let policy = Policy {
        vault: VaultName::parse("dev").expect("a name"),
        app: issued.app.object_id.clone(),
        permissions: Permissions::ALL,
        names: Vec::new(),
    };
    let define = [
        records.define(DefinitionKind::Vault, "dev", Origin::Admin, None, &VaultDefinition::default(), None),
        records.define(DefinitionKind::Policy, "reader", Origin::Admin, None, &policy, None),
    ];
    run(records.commit(define.into())).expect("a store in memory takes writes");
    run(vault.reload_directory()).expect("a directory");
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=https://vault.azure.net/.default",
        issued.app.client_id,
        issued.client_secret.expose_str().unwrap_or_default(),
    );
    let request = Request::post("/adfs/oauth2/v2.0/token").header("host", "localhost:8443");
    let answer = run(vault.answer(request.body(form.into()).expect("a request"), NOW, None));
    let answer: serde_json::Value = serde_json::from_slice(answer.body()).expect("JSON");
    let authorization = format!("Bearer {}", answer["access_token"].as_str().expect("a token"));

    let request = |method: &str, body: String| {
        Request::builder()
            .method(method)
            .uri("/secrets/discord-api-oauth-token?api-version=7.4")
            .header("host", "dev.vault.localhost:8443")
            .header("authorization", &authorization)
            .body(Bytes::from(body))
            .expect("a request")
    };
    let value = "0123456789abcdef".repeat(75);
    run(vault.answer(request("PUT", format!("{{\"value\":\"{value}\"}}")), NOW, None));
    run(vault.answer(request("GET", String::new()), NOW, None));

    let (parts, _) = request("GET", String::new()).into_parts();
    let peer = Some([127, 0, 0, 1].into());
    let begin = Instant::now();
    let mut bytes = 0;
    for _ in 0..reads {
        let answer = vault.answer_now(&parts.method, &parts.uri, &parts.headers, NOW, peer);
        bytes += answer.expect("a read from memory").body().len();
    }
    let took = begin.elapsed();
    println!("{reads} reads, {:?} each, {} bytes each", took / reads, bytes / reads as usize);
}

fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::yield_now();
    }
}
