//! Alerts to a webhook: one POST of JSON each, through the connector.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use oauth::{HeaderValue, HttpRequest, Method};
use secret::Secret;
use store::{RecordError, Records, Store};
use url::Url;

use super::deliver::Failure;
use super::message::Alert;
use crate::config::{HomeSecret, Webhook, WebhookUrl};
use crate::connector::Connector;

/// How long one POST may take, from the name's resolution to the answer.
const POST_LIMIT: Duration = Duration::from_secs(10);

/// Reads the secret that holds an address, or says in words why it can't.
pub(super) type ReadSecret = Box<dyn Fn(HomeSecret) -> BoxFuture<'static, Result<Secret, String>> + Send + Sync>;

/// A webhook. No Debug: it may know the address.
pub(super) struct Hook {
    address: Webhook,
    connector: Arc<Connector>,
    read_secret: ReadSecret,
}

impl Hook {
    pub(super) fn new(address: Webhook, connector: Arc<Connector>, read_secret: ReadSecret) -> Self {
        Self { address, connector, read_secret }
    }

    /// Posts the alert once.
    pub(super) async fn post(&self, alert: &Alert) -> Result<String, Failure> {
        let url = self.url().await?;
        let host = shown(&url);
        let plain = |name: &str, value: &str| (name.to_owned(), HeaderValue::Plain(value.to_owned()));
        let request = HttpRequest {
            method: Method::Post,
            url,
            headers: vec![plain("content-type", "application/json"), plain("accept", "*/*")],
            body: Secret::new(alert.json()),
        };
        let answer = self.connector.send(request, POST_LIMIT).await.map_err(|error| Failure::new(error.to_string()))?;
        match answer.status {
            200..=299 => Ok(format!("was posted to {host}")),
            status => Err(Failure {
                words: refused(&host, status),
                again_after: answer.headers.retry_after.as_deref().and_then(seconds),
            }),
        }
    }

    /// The address, read anew each time where it is a secret: it may have been changed.
    async fn url(&self) -> Result<Url, Failure> {
        let reference = match &self.address {
            Webhook::Url(url) => return Ok(url.expose().clone()),
            Webhook::Secret(reference) => reference,
        };
        let secret = (self.read_secret)(reference.clone()).await.map_err(Failure::new)?;
        // The reason is one of a few fixed sentences: nothing of the value is in it.
        let url: Result<WebhookUrl, &str> = match secret.expose_str() {
            Some(text) => text.trim().parse(),
            None => Err("it is no text"),
        };
        let name = name_of(reference);
        url.map(|url| url.expose().clone()).map_err(|why| {
            Failure::new(format!("the secret {name} holds no address ({why}): run `vestal secret set {name}`"))
        })
    }
}

/// Reads addresses from the vaults.
pub(super) fn secrets_of<S: Store>(records: Arc<Records<S>>) -> ReadSecret {
    Box::new(move |reference| {
        let records = Arc::clone(&records);
        Box::pin(async move { read_secret(&records, &reference).await })
    })
}

async fn read_secret<S: Store>(records: &Records<S>, reference: &HomeSecret) -> Result<Secret, String> {
    let name = name_of(reference);
    let set_it = format!("run `vestal secret set {name}`");
    let unreadable =
        |error: RecordError| format!("the webhook's address can't be read from the secret {name}: {error}");
    let current = match records.current(&reference.vault, &reference.secret).await {
        Ok(current) => current,
        Err(RecordError::NotFound) => {
            return Err(format!(
                "the webhook's address is to come from the secret {name}, which isn't there: {set_it}"
            ));
        }
        Err(error) => return Err(unreadable(error)),
    };
    if !current.version.enabled {
        return Err(format!("the secret {name} with the webhook's address is disabled: enable it, or {set_it}"));
    }
    records.body(&current.version).map(|body| body.value).map_err(unreadable)
}

fn name_of(reference: &HomeSecret) -> String {
    format!("{}/{}", reference.vault, reference.secret)
}

/// What may be shown of an address.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or("a URL without a host");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn refused(host: &str, status: u16) -> String {
    let next_step = match status {
        300..=399 => "redirects are not followed: write the address that it leads to into [alert] webhook",
        401 | 403 | 404 | 410 => {
            "the address is not, or no longer, good: make a new one there, and put it into [alert] webhook or its secret"
        }
        408 | 425 | 429 => "it takes no more for now",
        500..=599 => "see whether it reports an outage",
        _ => "it doesn't take Vestal's JSON: put a program that translates into [alert] command",
    };
    format!("{host} answered {status}; {next_step}")
}

/// `Retry-After` in seconds; a date there is left alone, since our own waits are as good.
fn seconds(retry_after: &str) -> Option<Duration> {
    retry_after.trim().parse().ok().map(Duration::from_secs)
}
