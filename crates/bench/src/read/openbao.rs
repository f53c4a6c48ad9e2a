//! OpenBao: KV v2 on raft, with an audit file as Vestal has one, or without any.
//!
//! It is asked with two tokens: the root token, for which it decides nothing, and one that a policy lets read this
//! secret, as Vestal's reader may.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::read::{NAME, Target, ask};
use crate::{Failure, SERVER_CORE, process};

/// How long it may take to become ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and how it is asked with each token.
pub(crate) struct OpenBao {
    pub(crate) server: process::Background,
    pub(crate) as_root: Target,
    pub(crate) by_policy: Target,
}

/// Starts a server in the folder, whose audit goes to a file where `audited`, and gives it the value to serve.
pub(crate) fn start(program: &Path, folder: &Path, audited: bool, value: &str) -> Result<OpenBao, Failure> {
    let (api, cluster) = (ask::free_port()?, ask::free_port()?);
    let configuration = write_configuration(folder, api, cluster, audited)?;
    let mut command = process::on_core(SERVER_CORE, program);
    command.arg("server").arg(format!("-config={}", configuration.display())).env("GOMAXPROCS", "1");
    let log = folder.join("openbao.log");
    let server = process::Background::start_logged(command, &log)?;
    let address = format!("127.0.0.1:{api}");
    let tokens = set_up(&address, value).map_err(|error| format!("OpenBao: {error}; see {}", log.display()))?;
    let process = server.id();
    let target = |token: String| Target {
        scheme: "http".to_owned(),
        address: address.clone(),
        path: format!("/v1/secret/data/{NAME}"),
        headers: vec![("X-Vault-Token".to_owned(), token)],
        process,
    };
    Ok(OpenBao { server, as_root: target(tokens.root), by_policy: target(tokens.reader) })
}

fn write_configuration(folder: &Path, api: u16, cluster: u16, audited: bool) -> Result<PathBuf, Failure> {
    let data = folder.join("raft");
    fs::create_dir_all(&data)?;
    let mut text = format!(
        "api_addr = \"http://127.0.0.1:{api}\"\n\
         cluster_addr = \"http://127.0.0.1:{cluster}\"\n\
         ui = false\n\
         log_level = \"warn\"\n\
         storage \"raft\" {{\n  path = \"{}\"\n  node_id = \"bench\"\n}}\n\
         listener \"tcp\" {{\n  address = \"127.0.0.1:{api}\"\n  tls_disable = true\n}}\n",
        data.display()
    );
    if audited {
        let file = folder.join("audit.log");
        text +=
            &format!("audit \"file\" \"file\" {{\n  options {{\n    file_path = \"{}\"\n  }}\n}}\n", file.display());
    }
    let file = folder.join("openbao.hcl");
    fs::write(&file, text)?;
    Ok(file)
}

struct Tokens {
    root: String,
    reader: String,
}

/// Makes the server ready and writes the secret. The tokens that may read it.
fn set_up(address: &str, value: &str) -> Result<Tokens, Failure> {
    let begun = Instant::now();
    let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
    let keys = until_done(begun, || call(address, None, "PUT", "/v1/sys/init", &shares))?;
    let root = text_at(&keys, "/root_token")?;
    let key = json!({ "key": text_at(&keys, "/keys/0")? });
    call(address, None, "PUT", "/v1/sys/unseal", &key)?;
    let as_root =
        |method: &str, path: &str, body: &Value| until_done(begun, || call(address, Some(&root), method, path, body));
    as_root("POST", "/v1/sys/mounts/secret", &json!({ "type": "kv", "options": { "version": "2" } }))?;
    as_root("POST", &format!("/v1/secret/data/{NAME}"), &json!({ "data": { "value": value } }))?;
    let policy = format!("path \"secret/data/{NAME}\" {{ capabilities = [\"read\"] }}");
    as_root("PUT", "/v1/sys/policies/acl/reader", &json!({ "policy": policy }))?;
    let made = as_root("POST", "/v1/auth/token/create", &json!({ "policies": ["reader"], "ttl": "24h" }))?;
    let reader = text_at(&made, "/auth/client_token")?;
    let read = call(address, Some(&reader), "GET", &format!("/v1/secret/data/{NAME}"), &Value::Null)?;
    if read.pointer("/data/data/value").and_then(Value::as_str) == Some(value) {
        Ok(Tokens { root, reader })
    } else {
        Err("the secret that was written doesn't come back".into())
    }
}

fn until_done(begun: Instant, mut call: impl FnMut() -> Result<Value, Failure>) -> Result<Value, Failure> {
    loop {
        match call() {
            Err(_) if begun.elapsed() < PATIENCE => sleep(Duration::from_millis(100)),
            result => return result,
        }
    }
}

fn call(address: &str, token: Option<&str>, method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
    let mut headers = vec![("Host", address), ("Content-Type", "application/json")];
    headers.extend(token.map(|token| ("X-Vault-Token", token)));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = ask::ask(address, method, path, &headers, body.as_bytes())?;
    match (answer.status, answer.body.is_empty()) {
        (200..300, true) => Ok(Value::Null),
        (200..300, false) => Ok(serde_json::from_slice(&answer.body)?),
        (status, _) => {
            Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&answer.body).trim()).into())
        }
    }
}

fn text_at(value: &Value, pointer: &str) -> Result<String, Failure> {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| format!("its answer has no {pointer}").into())
}
