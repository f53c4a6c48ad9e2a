//! A client of the vault that sends exactly what a test says, and hides nothing of the answer.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::process::Dev;

/// HTTP over TLS, to hosts of loopback, trusting one authority's certificates.
pub(crate) struct Client {
    runtime: Runtime,
    http: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// The answer's JSON, which must have come with 200.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }
}

impl Client {
    /// Trusts the certificates of the PEM file alone. The hosts are found on loopback without asking anybody.
    pub(crate) fn trusting(authority: &str, urls: &[&str]) -> Self {
        let pem = fs::read(authority).unwrap_or_else(|error| panic!("{authority}: {error}"));
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).expect("the file holds certificates");
        let mut builder = reqwest::Client::builder().no_proxy().tls_certs_only(certificates);
        for url in urls {
            let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, url.port().unwrap_or(443)));
            builder = builder.resolve(url.host_str().expect("it names a host"), address);
        }
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        Self { runtime, http: builder.build().expect("a client can be made") }
    }

    /// Sends one request, as it is.
    pub(crate) fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_send(method, url, headers, body).unwrap_or_else(|error| panic!("{method} {url}: {error:?}"))
    }

    /// The same where the server may be gone.
    pub(crate) fn try_send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method.parse().expect("a method"), url).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.runtime.block_on(async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok(Answer { status, headers, text: response.text().await? })
        })
    }

    /// A token request as a flow writes it: values put into the form as they are, not encoded.
    pub(crate) fn token_request(&self, dev: &Dev, id: &str, secret: &str) -> Answer {
        let url = format!("{}/{}/oauth2/v2.0/token", dev.var("AZURE_AUTHORITY_HOST"), dev.var("AZURE_TENANT_ID"));
        let body = format!(
            "client_id={id}&client_secret={secret}&grant_type=client_credentials&scope=https://vault.azure.net/.default"
        );
        self.send("POST", &url, &[("content-type", "application/x-www-form-urlencoded")], &body)
    }
}

/// A client of `vestal dev` that holds an access token for its vault.
pub(crate) struct VaultClient {
    pub(crate) client: Client,
    vault: String,
    bearer: String,
}

impl VaultClient {
    /// As the app that may do everything.
    pub(crate) fn new(dev: &Dev) -> Self {
        Self::of(dev, dev.var("AZURE_CLIENT_ID"), dev.var("AZURE_CLIENT_SECRET"))
    }

    /// As the app with this id and secret.
    pub(crate) fn of(dev: &Dev, id: &str, secret: &str) -> Self {
        let vault = dev.var("VESTAL_VAULT_URL").trim_end_matches('/').to_owned();
        let client = Client::trusting(dev.var("NODE_EXTRA_CA_CERTS"), &[&vault, dev.var("AZURE_AUTHORITY_HOST")]);
        let token = client.token_request(dev, id, secret).ok();
        let bearer = token["access_token"].as_str().expect("a token answer has an access_token").to_owned();
        Self { client, vault, bearer }
    }

    /// The access token that this client shows with each request.
    pub(crate) fn bearer(&self) -> &str {
        &self.bearer
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.try_send(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    pub(crate) fn try_send(&self, method: &str, path: &str, body: &str) -> Result<Answer, reqwest::Error> {
        let bearer = format!("Bearer {}", self.bearer);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let headers = if body.is_empty() { &headers[..1] } else { &headers[..] };
        self.client.try_send(method, &format!("{}{path}", self.vault), headers, body)
    }

    /// The secret's newest version: its value, id and attributes.
    pub(crate) fn get(&self, name: &str) -> Value {
        self.send("GET", &format!("/secrets/{name}?api-version=7.4"), "").ok()
    }

    pub(crate) fn set(&self, name: &str, value: &str) -> Answer {
        let body = serde_json::json!({ "value": value }).to_string();
        self.send("PUT", &format!("/secrets/{name}?api-version=7.4"), &body)
    }

    /// The version ids of a secret, all pages of them.
    pub(crate) fn versions(&self, name: &str) -> Vec<String> {
        let mut ids = Vec::new();
        let mut next = Some(format!("/secrets/{name}/versions?api-version=7.4"));
        while let Some(path) = next {
            let page = self.send("GET", &path, "").ok();
            ids.extend(page["value"].as_array().expect("a page is a list").iter().map(version_of));
            next = page["nextLink"].as_str().and_then(|link| link.strip_prefix(&self.vault)).map(str::to_owned);
        }
        ids
    }
}

/// The version id at the end of a secret's id.
pub(crate) fn version_of(secret: &Value) -> String {
    let id = secret["id"].as_str().unwrap_or_else(|| panic!("no id: {secret}"));
    id.rsplit('/').next().expect("an id has a last part").to_owned()
}
