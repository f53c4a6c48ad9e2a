//! The client of the admin API: one request and one answer over the control socket of the running process.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use zeroize::Zeroizing;

use super::exit::Exit;
use super::folder::{Folder, HOW_TO_START, socket};
use super::problem::Problem;
use crate::admin::wire::{Failure, FailureCode, PREFIX};
use crate::system_error::in_words;

/// How long an answer may take that waits for nothing but the store.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest answer: a list of 100,000 tokens has 30 MiB.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// Speaks to one running Vestal.
pub(super) struct Client {
    folder: Folder,
    socket: PathBuf,
    runtime: Runtime,
}

/// A request to be made.
struct Call {
    method: Method,
    path: String,
    body: Option<Bytes>,
    patience: Duration,
}

/// Why there is no answer.
enum Silence {
    /// Nobody could be spoken to.
    Connect(io::Error),
    /// It is somebody else's process: user id of theirs, and ours.
    Foreign { owner: u32, us: u32 },
    /// It hung up, or said what is no HTTP.
    Broken(String),
    /// More than [`MAX_ANSWER_BYTES`].
    TooLong,
    /// Nothing within this time.
    TimedOut(Duration),
}

impl Client {
    /// A client of the process on this folder. Nothing is sent yet.
    pub(super) fn new(folder: Folder) -> Result<Self, Problem> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Problem::io("no event loop can be made", &error))?;
        Ok(Self { socket: socket(&folder.path), folder, runtime })
    }

    /// Asks.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.call(Method::GET, path, None, PATIENCE)
    }

    /// Orders something without saying more.
    pub(super) fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.call(Method::POST, path, None, PATIENCE)
    }

    /// Orders something that itself waits for so long.
    pub(super) fn post_waiting<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> Result<T, Problem> {
        self.call(Method::POST, path, None, PATIENCE + wait)
    }

    /// Orders something, and says what.
    pub(super) fn post_json<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Problem> {
        self.call(Method::POST, path, Some(json(body)?), PATIENCE)
    }

    /// Puts something in its place.
    pub(super) fn put_json<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Problem> {
        self.call(Method::PUT, path, Some(json(body)?), PATIENCE)
    }

    /// Takes something away. The answer is what it was.
    pub(super) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.call(Method::DELETE, path, None, PATIENCE)
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        patience: Duration,
    ) -> Result<T, Problem> {
        let (status, body) = self.exchange(method, path, body, patience)?;
        serde_json::from_slice(&body).map_err(|_| not_understood(status))
    }

    fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        patience: Duration,
    ) -> Result<(StatusCode, Bytes), Problem> {
        let call = Call { method, path: format!("{PREFIX}{path}"), body, patience };
        let silence = |silence| self.explain(silence);
        let (status, body) = self.runtime.block_on(self.answer(call)).map_err(silence)?;
        if status.is_success() { Ok((status, body)) } else { Err(refusal(status, &body)) }
    }

    async fn answer(&self, call: Call) -> Result<(StatusCode, Bytes), Silence> {
        let patience = call.patience;
        let answered = tokio::time::timeout(patience, self.answer_in_time(call)).await;
        answered.unwrap_or(Err(Silence::TimedOut(patience)))
    }

    async fn answer_in_time(&self, call: Call) -> Result<(StatusCode, Bytes), Silence> {
        let stream = UnixStream::connect(&self.socket).await.map_err(Silence::Connect)?;
        let owner = stream.peer_cred().map_err(Silence::Connect)?.uid();
        let us = rustix::process::geteuid().as_raw();
        if !may_trust(owner, us, self.folder.named) {
            return Err(Silence::Foreign { owner, us });
        }
        let broken = |error: &dyn std::error::Error| Silence::Broken(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        // It ends with the answer; what went wrong with it the request tells as well.
        tokio::spawn(connection);
        let mut request = Request::builder().method(call.method).uri(call.path).header("host", "localhost");
        if call.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Full::new(call.body.unwrap_or_default())).map_err(|error| broken(&error))?;
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| if error.is::<LengthLimitError>() { Silence::TooLong } else { broken(&*error) })?;
        Ok((status, body.to_bytes()))
    }

    fn explain(&self, silence: Silence) -> Problem {
        let folder = self.folder.path.display();
        let unreachable = |message: String| Problem::new(Exit::Unreachable, message);
        match silence {
            Silence::Connect(error) => match error.kind() {
                io::ErrorKind::NotFound => {
                    let missing =
                        if self.folder.path.exists() { "it has no control socket" } else { "it does not exist" };
                    unreachable(format!("no Vestal runs on the data folder {folder}: {missing}")).help(HOW_TO_START)
                }
                io::ErrorKind::ConnectionRefused => {
                    unreachable(format!("no Vestal runs on the data folder {folder} any more")).help(HOW_TO_START)
                }
                io::ErrorKind::PermissionDenied => {
                    unreachable(format!("you may not speak to the Vestal on the data folder {folder}"))
                        .help("only the user that it runs as may: run this command as that user")
                }
                _ => unreachable(format!("{} can't be used: {}", self.socket.display(), in_words(&error)))
                    .help("a socket's path has at most 107 bytes; name the data folder with --dir"),
            },
            Silence::Foreign { owner, us } => unreachable(format!(
                "the Vestal on {folder} runs as user {owner}, and you are user {us}: nothing was sent"
            ))
            .help("if that is the one you mean, run this command as that user"),
            Silence::Broken(why) => unreachable(format!("the Vestal on {folder} hung up without an answer ({why})"))
                .help("see on its own output whether it is stopping, and try again"),
            Silence::TimedOut(patience) => {
                unreachable(format!("the Vestal on {folder} gave no answer in {} seconds", patience.as_secs()))
                    .help("see on its own output what holds it up")
            }
            Silence::TooLong => Problem::failed(format!("the answer is longer than {} MiB", MAX_ANSWER_BYTES >> 20))
                .help("ask for less, such as one vault with --vault"),
        }
    }
}

/// Whether secrets may be sent to a process of this user. Root may speak to everybody's, but not to one that merely
/// lies in the current directory: anybody could have put it there.
fn may_trust(owner: u32, us: u32, named: bool) -> bool {
    owner == us || (us == 0 && named)
}

/// The body, wiped when it has been sent: it may hold a secret.
fn json(body: &impl Serialize) -> Result<Bytes, Problem> {
    let body =
        serde_json::to_vec(body).map_err(|error| Problem::failed(format!("it can't be sent as JSON: {error}")))?;
    Ok(Bytes::from_owner(Zeroizing::new(body)))
}

/// A refusal in the running process's own words.
fn refusal(status: StatusCode, body: &[u8]) -> Problem {
    let Ok(Failure { error }) = serde_json::from_slice(body) else {
        return not_understood(status);
    };
    let exit = match error.code {
        FailureCode::BadRequest => Exit::Usage,
        FailureCode::NotFound => Exit::NotFound,
        FailureCode::Conflict | FailureCode::OwnedByFile => Exit::Refused,
        FailureCode::Unavailable => Exit::Failed,
    };
    let problem = Problem::new(exit, error.message);
    match error.help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn not_understood(status: StatusCode) -> Problem {
    Problem::failed(format!("the running Vestal answered ({}) what this program doesn't understand", status.as_u16()))
        .help("they may be of different versions: `vestal --version` shows this one's; restart the one that runs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_to_somebody_elses_process() {
        assert!(may_trust(1000, 1000, false));
        assert!(!may_trust(1000, 1001, true));
        assert!(!may_trust(0, 1000, true));
        assert!(may_trust(1000, 0, true), "root may, where the folder is named");
        assert!(!may_trust(1000, 0, false), "but not where it just lies there");
    }

    #[test]
    fn refusals_keep_their_words_and_get_an_exit_status() {
        let problem = |body: &str| refusal(StatusCode::IM_A_TEAPOT, body.as_bytes());
        let told = problem(r#"{"error":{"code":"owned-by-file","message":"no","help":"edit it"}}"#);
        let Problem::Told { exit, message, help } = told else { panic!("it is told in words") };
        assert_eq!((exit, message.as_str(), help.as_deref()), (Exit::Refused, "no", Some("edit it")));
        for (code, exit) in [
            ("bad-request", Exit::Usage),
            ("not-found", Exit::NotFound),
            ("conflict", Exit::Refused),
            ("unavailable", Exit::Failed),
            ("a-word-of-tomorrow", Exit::Failed),
        ] {
            assert_eq!(problem(&format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#)).exit(), exit, "{code}");
        }
        assert_eq!(problem("<html>").exit(), Exit::Failed);
    }
}
