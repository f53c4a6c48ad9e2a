//! Every way to sign in, by the official credentials: each ends with a token in the vault. What the Vestal that plays
//! Azure can't judge, the proxy does: it holds the assertion against what Azure's directory asks of one, and puts the
//! client secret in its place.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::{env, fs};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::Stage;
use super::identity_endpoint::{Asked, IdentityEndpoint};
use super::proxy::{Fault, Judge, Refusal, Seen};
use crate::client::VaultClient;
use crate::process::{Running, admin};

const LONG: u32 = 600;

/// Of a client assertion (RFC 7523, section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far an assertion's times may be from the directory's clock, in seconds.
const LEEWAY: u64 = 300;

const CERTIFICATE: &str = r#"kind = "client-certificate"
tenant = "adfs"
client_id = "{client_id}"
certificate = { vault = "home", secret = "azure-certificate" }"#;

impl Stage {
    /// Hands a sign-in on with the client secret in place of the assertion.
    fn with_client_secret(&self) -> impl Fn(&Seen) -> String + Send + Sync + use<> {
        let secret = self.azure.var("AZURE_CLIENT_SECRET").to_owned();
        move |seen| {
            let mut form = seen.form();
            form.retain(|name, _| !name.starts_with("client_assertion"));
            form.insert("client_secret".to_owned(), secret.clone());
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
        }
    }

    /// From now on this judges every sign-in.
    fn judges(&self, judge: Judge) {
        self.proxy.rule(usize::MAX, Fault::Judge(judge), Seen::is_sign_in);
    }

    fn sign_ins(&self) -> usize {
        self.proxy.seen().iter().filter(|seen| seen.is_sign_in()).count()
    }

    /// Where the vault no longer takes the token that Vestal has, it needs another.
    fn spoils_the_token(&self) {
        let refusal = json!({ "error": { "code": "Unauthorized", "message": "" } });
        self.proxy.rule(1, Fault::Answer(401, Vec::new(), refusal), |seen| seen.is_delivery("GET"));
    }
}

fn refused(number: u32) -> Refusal {
    (401, Vec::new(), json!({ "error": "invalid_client", "error_codes": [number], "error_description": "hush" }))
}

/// Unix seconds.
fn now() -> i64 {
    vestal::clock::now().wall.unix_seconds()
}

/// A key that an app registration knows the certificate of.
struct Registered {
    /// Certificate and key.
    pem: String,
    public_key: DecodingKey,
    digest: String,
}

impl Registered {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key can be made");
        let certificate = rcgen::CertificateParams::new(vec!["vestal.example".to_owned()]).expect("it is a name");
        let certificate = certificate.self_signed(&key).expect("it can sign itself");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.der());
        Self {
            pem: certificate.pem() + &key.serialize_pem(),
            public_key: DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes()).expect("it is a key"),
            digest: URL_SAFE_NO_PAD.encode(digest),
        }
    }

    /// Judges an assertion as the directory does whose clock is so far ahead of this machine's.
    fn judge(self, stage: &Stage, ahead: i64) -> Judge {
        let client_id = stage.azure.var("AZURE_CLIENT_ID").to_owned();
        let audience = format!("https://localhost:{}/adfs/oauth2/v2.0/token", stage.proxy.port);
        let hand_on = stage.with_client_secret();
        let used = Mutex::new(BTreeSet::new());
        Arc::new(move |seen| {
            let form = seen.form();
            assert_eq!(form["client_assertion_type"], ASSERTION_TYPE);
            assert!(!form.contains_key("client_secret"), "the assertion alone is what it brings");
            assert_eq!(form["client_id"], client_id);
            let assertion = &form["client_assertion"];
            let header = jsonwebtoken::decode_header(assertion).map_err(|_| refused(50_027))?;
            if header.alg != Algorithm::PS256 || header.x5t_s256.as_ref() != Some(&self.digest) {
                return Err(refused(700_027));
            }
            let mut expected = Validation::new(Algorithm::PS256);
            expected.set_audience(&[&audience]);
            expected.set_issuer(&[&client_id]);
            expected.sub = Some(client_id.clone());
            expected.set_required_spec_claims(&["aud", "exp", "iss", "nbf", "sub"]);
            // By the directory's clock, not by this machine's.
            (expected.validate_exp, expected.validate_nbf) = (false, false);
            let claims = jsonwebtoken::decode::<Value>(assertion, &self.public_key, &expected);
            let claims = claims.map_err(|_| refused(700_027))?.claims;
            let time = |claim: &str| claims[claim].as_i64().expect("it is a number");
            assert!(time("exp") - time("nbf") <= 600, "it lives for ten minutes at most: {claims}");
            let leeway = LEEWAY.cast_signed();
            let theirs = now() + ahead;
            if theirs > time("exp") + leeway || theirs < time("nbf") - leeway {
                let date = azure_date(theirs);
                return Err((401, vec![("date", date)], refused(700_024).2));
            }
            let id = claims["jti"].as_str().expect("it has an id").to_owned();
            assert!(used.lock().expect("nobody panics with it").insert(id), "each assertion is used once");
            Ok(hand_on(seen))
        })
    }
}

fn azure_date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).expect("it is a time");
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[test]
fn a_certificate_signs_an_assertion_that_the_directory_takes() {
    let stage = Stage::signing_in(CERTIFICATE, LONG, "");
    let registered = Registered::new();
    let pem = registered.pem.clone();
    stage.judges(registered.judge(&stage, 0));
    let serve = stage.serve();
    admin(&stage.folder, &["secret", "set", "azure-certificate"], &pem);
    stage.give_credentials();
    stage.until_delivered();
    // Another process signs another assertion.
    drop(serve);
    let _serve = stage.serve();
    stage.renew();
    stage.until_delivered();
    assert_eq!(stage.sign_ins(), 2);
}

#[test]
fn a_certificate_that_the_app_does_not_have_is_told_and_its_cure_is_tried_at_once() {
    let stage = Stage::signing_in(CERTIFICATE, LONG, "");
    let (registered, other) = (Registered::new(), Registered::new());
    let pem = registered.pem.clone();
    stage.judges(registered.judge(&stage, 0));
    let serve = stage.serve();
    admin(&stage.folder, &["secret", "set", "azure-certificate"], &other.pem);
    stage.give_credentials();
    told(&serve, &["AADSTS700027", "upload it at the app's Certificates & secrets"]);
    admin(&stage.folder, &["secret", "set", "azure-certificate"], &pem);
    stage.until_delivered();
}

/// The directory's clock is ten minutes and more ahead: it finds the assertion too old, and Vestal sees by its `Date` that
/// one of the clocks is wrong.
#[test]
fn a_clock_that_is_wrong_is_named_where_an_assertion_is_refused() {
    let stage = Stage::signing_in(CERTIFICATE, LONG, "");
    let registered = Registered::new();
    let pem = registered.pem.clone();
    stage.judges(registered.judge(&stage, 900));
    let serve = stage.serve();
    admin(&stage.folder, &["secret", "set", "azure-certificate"], &pem);
    stage.give_credentials();
    // Fifteen, or fourteen and a half.
    let line = told(&serve, &["AADSTS700024", "This machine's clock is 1", "minutes behind Azure's"]);
    assert!(!line.contains("hush"), "{line}");
}

#[test]
fn a_workload_signs_in_with_the_token_in_its_file_as_it_is_now() {
    let mut stage = Stage::signing_in("kind = \"workload-identity\"", LONG, "");
    let file = stage.folder.write("federated-token", "federated-1");
    stage.environment = vec![
        ("AZURE_TENANT_ID", "adfs".to_owned()),
        ("AZURE_CLIENT_ID", stage.azure.var("AZURE_CLIENT_ID").to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", file.display().to_string()),
    ];
    let (brought, hand_on) = (Arc::<Mutex<Vec<String>>>::default(), stage.with_client_secret());
    let kept = Arc::clone(&brought);
    stage.judges(Arc::new(move |seen| {
        let form = seen.form();
        assert_eq!(form["client_assertion_type"], ASSERTION_TYPE);
        assert!(!form.contains_key("client_secret"));
        kept.lock().expect("nobody panics with it").push(form["client_assertion"].clone());
        Ok(hand_on(seen))
    }));
    let _serve = stage.serve();
    stage.give_credentials();
    stage.until_delivered();
    // Kubernetes puts a new token into the file every hour.
    stage.folder.write("federated-token", "federated-2");
    stage.spoils_the_token();
    stage.renew();
    stage.until_delivered();
    assert_eq!(*brought.lock().expect("nobody panics with it"), ["federated-1", "federated-2"]);
}

/// Whether somebody asks for a token as the official client's description says.
fn asks_rightly(asked: &Asked, stage_port: u16) -> bool {
    let header = |name: &str| asked.headers.get(name).map(String::as_str);
    let query = |name: &str| asked.query.get(name).map(String::as_str);
    asked.method == "GET"
        && header("metadata") == Some("true")
        && query("api-version") == Some("2019-08-01")
        && query("resource") == Some(&format!("https://vault.localhost:{stage_port}"))
}

#[test]
fn an_app_of_app_service_signs_in_with_its_managed_identity() {
    let credential = "kind = \"managed-identity\"\nclient_id = \"user-assigned\"";
    let mut stage = Stage::signing_in(credential, LONG, "");
    let token = VaultClient::new(&stage.azure).bearer().to_owned();
    let port = stage.proxy.port;
    let endpoint = IdentityEndpoint::at("127.0.0.1:0", &token, move |asked| {
        asks_rightly(asked, port)
            && asked.path == "/msi/token"
            && asked.query.get("client_id").is_some_and(|id| id == "user-assigned")
            && asked.headers.get("x-identity-header").is_some_and(|header| header == "the-apps-own")
    });
    stage.environment = vec![
        ("IDENTITY_ENDPOINT", format!("http://{}/msi/token", endpoint.address)),
        ("IDENTITY_HEADER", "the-apps-own".to_owned()),
    ];
    let _serve = stage.serve();
    stage.give_credentials();
    stage.until_delivered();
    assert_eq!((endpoint.asked().len(), stage.sign_ins()), (1, 0), "the endpoint alone is asked for a token");
}

#[test]
fn a_machine_without_an_identity_is_told_so() {
    let mut stage = Stage::signing_in("kind = \"managed-identity\"", LONG, "");
    let endpoint = IdentityEndpoint::at("127.0.0.1:0", "", |_| false);
    stage.environment = vec![
        ("IDENTITY_ENDPOINT", format!("http://{}/msi/token", endpoint.address)),
        ("IDENTITY_HEADER", "the-apps-own".to_owned()),
    ];
    let serve = stage.serve();
    stage.give_credentials();
    told(&serve, &["this machine's managed identity", "set System assigned to On"]);
}

/// The child's part, in a network of its own in which the address of the metadata service is this machine's.
#[test]
#[ignore = "it takes an address for itself: a_virtual_machine_signs_in_with_its_managed_identity runs it in a network of its own"]
fn sign_in_at_the_metadata_service() {
    let stage = Stage::signing_in("kind = \"managed-identity\"", LONG, "");
    let token = VaultClient::new(&stage.azure).bearer().to_owned();
    let port = stage.proxy.port;
    let endpoint = IdentityEndpoint::at("169.254.169.254:80", &token, move |asked| {
        asks_rightly(asked, port)
            && asked.path == "/metadata/identity/oauth2/token"
            && !asked.query.contains_key("client_id")
    });
    let _serve = stage.serve();
    stage.give_credentials();
    stage.until_delivered();
    assert_eq!((endpoint.asked().len(), stage.sign_ins()), (1, 0), "the service alone is asked for a token");
}

#[test]
fn a_virtual_machine_signs_in_with_its_managed_identity() {
    let apart: &[&str] =
        if rustix::process::geteuid().is_root() { &["--net"] } else { &["--net", "--user", "--map-root-user"] };
    let network = "ip link set lo up && ip address add 169.254.169.254/32 dev lo";
    let probe = Command::new("unshare").args(apart).args(["sh", "-c", network]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        println!("no network of one's own can be made here: the test with App Service's endpoint does in its place");
        return;
    }
    let child = Command::new("unshare")
        .args(apart)
        .args(["sh", "-c", &format!("{network} && exec \"$@\""), "sh"])
        .arg(env::current_exe().expect("we run"))
        .args(["--exact", "azure_faults::sign_in::sign_in_at_the_metadata_service", "--ignored", "--nocapture"])
        .output()
        .expect("there is unshare");
    let said = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

/// Puts a program in the place of the Azure CLI.
fn azure_cli(stage: &mut Stage, script: &str) {
    let folder = stage.folder.path().join("bin");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let program = folder.join("az");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("it is ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let path = env::var("PATH").unwrap_or_default();
    stage.environment = vec![("PATH", format!("{}:{path}", folder.display()))];
}

#[test]
fn whoever_is_signed_in_with_the_azure_cli_signs_in() {
    let mut stage = Stage::signing_in("kind = \"azure-cli\"\ntenant = \"adfs\"", LONG, "");
    let token = VaultClient::new(&stage.azure).bearer().to_owned();
    let said = json!({
        "accessToken": token, "expiresOn": "2096-10-02 07:06:40.000000", "expires_on": 4_000_000_000_i64,
        "subscription": "0", "tenant": "adfs", "tokenType": "Bearer",
    });
    let answer = stage.folder.write("az.json", &said.to_string());
    let (answer, asked) = (answer.display().to_string(), stage.folder.path().join("az.asked"));
    azure_cli(&mut stage, &format!("echo \"$@\" >> {}\ncat {answer}", asked.display()));
    let _serve = stage.serve();
    stage.give_credentials();
    stage.until_delivered();
    let asked = fs::read_to_string(asked).expect("it was asked");
    let scope = format!("https://vault.localhost:{}/.default", stage.proxy.port);
    assert_eq!(asked, format!("account get-access-token -o json --scope {scope} --tenant adfs\n"));
}

#[test]
fn what_the_azure_cli_says_is_told_in_words_of_ours_and_its_cure_is_tried() {
    let mut stage = Stage::signing_in("kind = \"azure-cli\"", LONG, "");
    azure_cli(&mut stage, "echo \"ERROR: canary-5f1d0a7e: Please run 'az login' to setup account.\" >&2; exit 1");
    let serve = stage.serve();
    stage.give_credentials();
    let line = told(&serve, &["nobody is signed in with the Azure CLI: run `az login`"]);
    assert!(!line.contains("canary") && !serve.stderr.text().contains("canary"), "{line}");
    drop(serve);
    stage.environment = vec![("PATH", "/nowhere".to_owned())];
    let serve = stage.serve();
    stage.renew();
    told(&serve, &["there is no `az` on the path"]);
}

/// A line of the log with all of this in it, waited for.
fn told(serve: &Running, parts: &[&str]) -> String {
    let line = serve.stderr.wait(|line| parts.iter().all(|part| line.contains(part)));
    line.unwrap_or_else(|| panic!("nobody is told {parts:?}: {}", serve.stderr.text()))
}
