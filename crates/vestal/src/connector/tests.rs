//! The connector against real sockets: a TLS server on loopback that answers as each test says, byte by byte.

use super::*;
use crate::clock::unix_seconds;
use crate::tls::{CertificateSource, LocalAuthority, LocalNames, ServerCertificate};
use oauth::{BodyEnd, HeaderValue, Method};
use secret::Secret;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Long enough for a handshake on a busy machine, short enough to wait for where a test stalls.
const DEADLINE: Duration = Duration::from_secs(3);

const SECRET: &str = "MARKED-client-secret";

/// A provider on loopback, with a certificate for `localhost` and 127.0.0.1.
struct Provider {
    address: SocketAddr,
    authority: CertificateDer<'static>,
    connections: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

impl Provider {
    /// Reads each request and carries out `script` on the open connection; the bytes that were read are given to it.
    async fn start<F>(script: impl Fn(TlsStream<TcpStream>, Vec<u8>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let folder = tempfile::tempdir().expect("a folder");
        let names = LocalNames::new("vault.localhost", "localhost");
        let authority =
            LocalAuthority::open(folder.path(), names, unix_seconds()).unwrap_or_else(|error| panic!("{error}"));
        let authority_certificate = authority.certificate().clone();
        let certificate =
            ServerCertificate::load(CertificateSource::Local(authority)).unwrap_or_else(|error| panic!("{error}"));
        let acceptor = TlsAcceptor::from(certificate.server_config());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let script = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, SeqCst);
                let (acceptor, script) = (acceptor.clone(), script.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let request = read_request(&mut stream).await;
                    script(stream, request).await;
                });
            }
        });
        Self { address, authority: authority_certificate, connections, _folder: folder }
    }

    /// Answers every request with these bytes, and closes.
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<Vec<u8>> = Arc::new(answer.into());
        Self::start(move |mut stream, _| {
            let answer = answer.clone();
            async move {
                // The connector may have hung up by then.
                drop(stream.write_all(&answer).await);
                drop(stream.shutdown().await);
            }
        })
        .await
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/oauth2/token", self.address.port())
    }

    fn rules(&self) -> OutboundRules {
        OutboundRules {
            allow: vec![self.address.to_string().parse().expect("an entry")],
            authorities: vec![self.authority.clone()],
            ..OutboundRules::default()
        }
    }

    fn connector(&self) -> Connector {
        connector(self.rules())
    }

    async fn ask(&self) -> Result<HttpAnswer, SendError> {
        self.connector().send(request(&self.url()), DEADLINE).await
    }
}

fn connector(rules: OutboundRules) -> Connector {
    Connector::new(rules).unwrap_or_else(|error| panic!("{error}"))
}

fn request(url: &str) -> HttpRequest {
    HttpRequest {
        method: Method::Post,
        url: url.parse().expect(url),
        headers: vec![
            ("content-type".into(), HeaderValue::Plain("application/x-www-form-urlencoded".into())),
            ("authorization".into(), HeaderValue::Secret(Secret::from(format!("Basic {SECRET}")))),
        ],
        body: Secret::from(format!("grant_type=client_credentials&client_secret={SECRET}")),
    }
}

async fn read_request(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if head_end.is_some_and(|end| bytes.len() >= end + 4 + announced_length(&bytes[..end])) {
            return bytes;
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return bytes,
            Ok(_) => {}
        }
    }
}

/// How long the head says that the body is; nothing where it doesn't say.
fn announced_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.map_or(0, |length| length.trim().parse().expect("a length"))
}

fn not_sent(result: Result<HttpAnswer, SendError>) -> NotSent {
    match result {
        Err(SendError::NotSent { why, .. }) => why,
        Err(other) => panic!("{other}"),
        Ok(answer) => panic!("an answer: {}", answer.status),
    }
}

fn unknown(result: Result<HttpAnswer, SendError>) -> Unknown {
    match result {
        Err(SendError::Unknown { why, .. }) => why,
        Err(other) => panic!("{other}"),
        Ok(answer) => panic!("an answer: {}", answer.status),
    }
}

fn answer(result: Result<HttpAnswer, SendError>) -> HttpAnswer {
    result.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn an_answer_is_read_whole_with_the_headers_that_matter() {
    let provider = Provider::answering(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nRetry-After: 7\r\nX-Request-Id: abc\r\n\
         Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nX-Other: y\r\nContent-Length: 27\r\n\r\n{\"error\":\"invalid_client\"}\r\n",
    )
    .await;
    let answer = answer(provider.ask().await);
    assert_eq!((answer.status, answer.end), (400, BodyEnd::Whole));
    assert_eq!(answer.body.expose(), b"{\"error\":\"invalid_client\"}\r");
    assert_eq!(answer.headers.content_type.as_deref(), Some("application/json"));
    assert_eq!(answer.headers.retry_after.as_deref(), Some("7"));
    assert_eq!(answer.headers.request_id.as_deref(), Some("abc"));
    assert_eq!(answer.headers.date.as_deref(), Some("Sun, 22 Nov 2026 10:00:00 GMT"));
}

#[tokio::test]
async fn the_request_goes_out_as_it_was_built() {
    let (seen, request_seen) = oneshot::channel();
    let seen = std::sync::Mutex::new(Some(seen));
    let provider = Provider::start(move |mut stream, request| {
        let seen = seen.lock().expect("the lock").take();
        async move {
            drop(stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await);
            drop(seen.expect("one request").send(request));
        }
    })
    .await;
    let url = format!("{}?tenant=1", provider.url());
    let answer = answer(provider.connector().send(request(&url), DEADLINE).await);
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let seen = String::from_utf8(request_seen.await.expect("a request")).expect("text");
    let (head, body) = seen.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<_> = head.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines.remove(0), "post /oauth2/token?tenant=1 http/1.1");
    lines.sort();
    let port = provider.address.port();
    assert_eq!(
        lines,
        [
            "accept-encoding: identity".to_owned(),
            format!("authorization: basic {}", SECRET.to_ascii_lowercase()),
            "connection: close".to_owned(),
            format!("content-length: {}", body.len()),
            "content-type: application/x-www-form-urlencoded".to_owned(),
            format!("host: localhost:{port}"),
            format!("user-agent: {USER_AGENT}"),
        ]
    );
    assert_eq!(body, format!("grant_type=client_credentials&client_secret={SECRET}"));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Provider::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    for status in ["307 Temporary Redirect", "308 Permanent Redirect", "302 Found"] {
        let location = elsewhere.url();
        let provider =
            Provider::answering(format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))
                .await;
        let mut rules = provider.rules();
        rules.allow.extend(elsewhere.rules().allow);
        rules.authorities.push(elsewhere.authority.clone());
        let answer = answer(connector(rules).send(request(&provider.url()), DEADLINE).await);
        assert_eq!(answer.status.to_string(), status[..3]);
        assert_eq!(provider.connections.load(SeqCst), 1);
    }
    assert_eq!(elsewhere.connections.load(SeqCst), 0);
}

/// The environment of a running process can't be changed safely: the test above runs again in a process of its own.
#[tokio::test]
async fn a_proxy_in_the_environment_is_ignored() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", proxy.local_addr().expect("an address"));
    let mut child = tokio::process::Command::new(std::env::current_exe().expect("this test"));
    child.args(["--exact", "connector::tests::an_answer_is_read_whole_with_the_headers_that_matter"]);
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, &url);
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    tokio::select! {
        output = child.output() => {
            let output = output.expect("the test runs");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
        }
        _ = proxy.accept() => panic!("the proxy was called"),
    }
}

#[tokio::test]
async fn an_encoded_body_is_not_decoded() {
    // gzip of "hello", as gzip(1) makes it.
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00";
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", gzip.len()).into_bytes();
    bytes.extend_from_slice(gzip);
    let answer = answer(Provider::answering(bytes).await.ask().await);
    assert_eq!(answer.body.expose(), gzip);
}

#[tokio::test]
async fn a_body_of_the_limit_is_whole_and_one_byte_more_is_cut() {
    for (length, end) in
        [(oauth::BODY_LIMIT, BodyEnd::Whole), (oauth::BODY_LIMIT + 1, BodyEnd::Cut), (10 * 1024 * 1024, BodyEnd::Cut)]
    {
        let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        bytes.resize(bytes.len() + length, b'x');
        let answer = answer(Provider::answering(bytes).await.ask().await);
        assert_eq!((answer.body.len(), answer.end), (oauth::BODY_LIMIT, end), "{length}");
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_and_the_connection_closed() {
    let (closed, hung_up) = oneshot::channel();
    let closed = std::sync::Mutex::new(Some(closed));
    let provider = Provider::start(move |mut stream, _| {
        let closed = closed.lock().expect("the lock").take();
        async move {
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await);
            let chunk = [b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat();
            while stream.write_all(&chunk).await.is_ok() {}
            closed.expect("one request").send(()).expect("the test waits for it");
        }
    })
    .await;
    let answer = answer(provider.ask().await);
    assert_eq!((answer.body.len(), answer.end), (oauth::BODY_LIMIT, BodyEnd::Cut));
    hung_up.await.expect("the connector hung up");
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_handed_on_as_cut_at_the_deadline() {
    let provider = Provider::start(|mut stream, _| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\"").await);
        drop(stream.flush().await);
        std::future::pending::<()>().await;
    })
    .await;
    let answer = answer(provider.ask().await);
    assert_eq!((answer.status, answer.end), (200, BodyEnd::Cut));
    assert_eq!(answer.body.expose(), b"{\"access_token\"");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_handed_on_as_cut() {
    let answer = answer(Provider::answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"acc").await.ask().await);
    assert_eq!((answer.status, answer.end, answer.body.expose()), (200, BodyEnd::Cut, b"{\"acc".as_slice()));
}

#[tokio::test]
async fn an_answer_of_an_old_server_is_whole_by_its_length_or_has_no_confirmed_end() {
    let json = "{\"access_token\":\"t\"}";
    let length = json.len();
    for (head, end) in [
        (format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n"), BodyEnd::Whole),
        (format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"), BodyEnd::Whole),
        (format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", length + 1), BodyEnd::Cut),
        ("HTTP/1.0 200 OK\r\n\r\n".to_owned(), BodyEnd::Unconfirmed),
        ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), BodyEnd::Unconfirmed),
    ] {
        let bytes = format!("{head}{json}");
        let provider = Provider::start(move |mut stream, _| {
            let bytes = bytes.clone();
            async move {
                drop(stream.write_all(bytes.as_bytes()).await);
                drop(stream.flush().await);
                // Closes the connection without TLS's word of the end.
            }
        })
        .await;
        let answer = answer(provider.ask().await);
        assert_eq!((answer.status, answer.end), (200, end), "{head}");
        assert_eq!(answer.body.expose(), json.as_bytes(), "{head}");
    }
    // With that word, the same answer is whole.
    let answer = answer(Provider::answering(format!("HTTP/1.0 200 OK\r\n\r\n{json}")).await.ask().await);
    assert_eq!((answer.end, answer.body.expose()), (BodyEnd::Whole, json.as_bytes()));
}

#[tokio::test]
async fn an_answer_that_never_begins_is_unknown_at_the_deadline() {
    let provider = Provider::start(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    assert_eq!(unknown(provider.ask().await), Unknown::DeadlinePassed(DEADLINE));
}

#[tokio::test]
async fn a_flood_of_headers_is_unknown_and_not_read_to_its_end() {
    let provider = Provider::start(|mut stream, _| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nX-Flood: ").await);
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    assert_eq!(unknown(provider.ask().await), Unknown::HeadTooLarge);
    let many = "X-Flood: y\r\n".repeat(HEADER_COUNT_LIMIT + 1);
    let provider = Provider::answering(format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 0\r\n\r\n")).await;
    assert_eq!(unknown(provider.ask().await), Unknown::HeadTooLarge);
}

#[tokio::test]
async fn a_head_within_the_limit_is_read() {
    let long = "x".repeat(HEAD_LIMIT - 200);
    let provider = Provider::answering(format!("HTTP/1.1 200 OK\r\nX-Long: {long}\r\nContent-Length: 0\r\n\r\n")).await;
    assert_eq!(answer(provider.ask().await).status, 200);
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_unknown() {
    assert_eq!(unknown(Provider::answering("").await.ask().await), Unknown::Closed);
    assert_eq!(unknown(Provider::answering("HTTP/1.1 200 OK\r\nConte").await.ask().await), Unknown::Closed);
    assert_eq!(unknown(Provider::answering("SSH-2.0-OpenSSH\r\n\r\n").await.ask().await), Unknown::NotHttp);
    // Without the word of TLS that it is the end.
    let rude = Provider::start(|stream, _| async move { drop(stream) });
    assert_eq!(unknown(rude.await.ask().await), Unknown::Closed);
}

#[tokio::test]
async fn only_https_without_credentials_is_called() {
    let connector = connector(OutboundRules::default());
    let send = async |url: &str| not_sent(connector.send(request(url), DEADLINE).await);
    assert_eq!(send("http://discord.com/oauth2/token").await, NotSent::NotHttps);
    assert_eq!(send("ftp://discord.com/").await, NotSent::NotHttps);
    assert_eq!(send("https://user:pass@discord.com/").await, NotSent::UrlHasCredentials);
}

#[tokio::test]
async fn a_header_that_http_cannot_carry_is_named_without_its_value() {
    let mut broken = request("https://discord.com/");
    broken.headers.push(("x-key".into(), HeaderValue::Secret(Secret::from(format!("{SECRET}\r\nX-Evil: 1")))));
    let error = connector(OutboundRules::default()).send(broken, DEADLINE).await.err().expect("an error");
    assert_eq!(
        error,
        SendError::NotSent { host: "discord.com:443".into(), why: NotSent::UnsendableHeader("x-key".into()) }
    );
    assert!(!error.to_string().contains(SECRET));
}

#[tokio::test]
async fn a_header_that_carries_the_message_is_nobodys_to_set() {
    for name in ["Host", "content-length", "Transfer-Encoding", "connection"] {
        let mut smuggling = request("https://discord.com/");
        smuggling.headers.push((name.into(), HeaderValue::Plain("chunked".into())));
        let sent = connector(OutboundRules::default()).send(smuggling, DEADLINE).await;
        assert_eq!(not_sent(sent), NotSent::ReservedHeader(name.into()));
    }
}

#[tokio::test]
async fn every_spelling_of_a_denied_address_is_refused() {
    let connector = connector(OutboundRules::default());
    for (host, class) in [
        ("127.0.0.1", AddressClass::Loopback),
        ("2130706433", AddressClass::Loopback),
        ("0x7f000001", AddressClass::Loopback),
        ("0x7f.1", AddressClass::Loopback),
        ("0177.0.0.01", AddressClass::Loopback),
        ("127.1", AddressClass::Loopback),
        ("%31%32%37.0.0.1", AddressClass::Loopback),
        ("①②⑦.⓪.⓪.①", AddressClass::Loopback),
        ("127。0。0。1", AddressClass::Loopback),
        ("127.0.0.1.", AddressClass::Loopback),
        ("[::1]", AddressClass::Loopback),
        ("[::ffff:127.0.0.1]", AddressClass::Loopback),
        ("[0:0:0:0:0:ffff:7f00:1]", AddressClass::Loopback),
        ("0", AddressClass::Unspecified),
        ("[::]", AddressClass::Unspecified),
        ("169.254.169.254", AddressClass::CloudMetadata),
        ("2852039166", AddressClass::CloudMetadata),
        ("0xa9fea9fe", AddressClass::CloudMetadata),
        ("0251.0376.0251.0376", AddressClass::CloudMetadata),
        ("[::ffff:169.254.169.254]", AddressClass::CloudMetadata),
        ("[fd00:ec2::254]", AddressClass::CloudMetadata),
        ("168.63.129.16", AddressClass::CloudMetadata),
        ("[64:ff9b::a9fe:a9fe]", AddressClass::Translated),
        ("[2002:a9fe:a9fe::]", AddressClass::Translated),
        ("10.1.2.3", AddressClass::Private),
        ("167838211", AddressClass::Private),
    ] {
        let sent = connector.send(request(&format!("https://{host}/oauth2/token")), DEADLINE).await;
        match not_sent(sent) {
            NotSent::Denied(denial) => assert_eq!(denial.because, DeniedBecause::Class(class), "{host}"),
            other => panic!("{host}: {other}"),
        }
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_a_denied_address_is_refused_with_the_line_to_add() {
    let provider = Provider::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let rules = || OutboundRules { authorities: vec![provider.authority.clone()], ..OutboundRules::default() };
    let error = connector(rules()).send(request(&provider.url()), DEADLINE).await.err().expect("an error");
    assert!(!error.may_have_been_sent());
    let entry = format!("localhost:{}", provider.address.port());
    assert!(error.to_string().ends_with(&format!("vestal.toml: [outbound] allow = [\"{entry}\"]")), "{error}");
    assert_eq!(provider.connections.load(SeqCst), 0);

    let mut allowing = rules();
    allowing.allow.push(entry.parse().expect("the line that the refusal names"));
    assert_eq!(answer(connector(allowing).send(request(&provider.url()), DEADLINE).await).status, 200);
}

#[tokio::test]
async fn of_a_names_addresses_only_the_permitted_ones_are_called() {
    let provider = Provider::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let forbidden = TcpListener::bind(("127.0.0.2", provider.address.port())).await.expect("the same port");
    let mut connector = provider.connector();
    connector.resolver = Resolver::Fixed(vec![forbidden.local_addr().expect("an address"), provider.address]);
    let sent = tokio::select! {
        sent = connector.send(request(&provider.url()), DEADLINE) => sent,
        _ = forbidden.accept() => panic!("the forbidden address was called"),
    };
    assert_eq!(answer(sent).status, 200);
}

#[tokio::test]
async fn the_next_address_is_called_where_the_first_refuses() {
    let provider = Provider::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let (_reserved, nobody) = closed_port();
    let mut rules = provider.rules();
    rules.allow.push(nobody.to_string().parse().expect("an entry"));
    let mut connector = connector(rules);
    connector.resolver = Resolver::Fixed(vec![nobody, provider.address]);
    assert_eq!(answer(connector.send(request(&provider.url()), DEADLINE).await).status, 200);
    connector.resolver = Resolver::Fixed(vec![nobody]);
    let why = not_sent(connector.send(request(&provider.url()), DEADLINE).await);
    assert_eq!(why, NotSent::NotConnected(format!("{nobody}: connection refused")));
    connector.resolver = Resolver::Fixed(vec![]);
    let why = not_sent(connector.send(request(&provider.url()), DEADLINE).await);
    assert_eq!(why, NotSent::NameNotResolved("it has no address".into()));
}

#[tokio::test]
async fn a_certificate_that_nobody_trusted_signed_is_refused_before_anything_is_sent() {
    let provider = Provider::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let rules = OutboundRules { authorities: vec![], ..provider.rules() };
    let why = not_sent(connector(rules).send(request(&provider.url()), DEADLINE).await);
    match why {
        NotSent::TlsFailed(why) => assert!(why.contains("[outbound] ca"), "{why}"),
        // A machine without any authority of its own.
        NotSent::NoAuthorities(_) => {}
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let provider = Provider::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let mut connector = provider.connector();
    connector.resolver = Resolver::Fixed(vec![provider.address]);
    let url = format!("https://sso.corp.example:{}/", provider.address.port());
    match not_sent(connector.send(request(&url), DEADLINE).await) {
        NotSent::TlsFailed(why) => assert!(why.contains("for another name"), "{why}"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_gets_no_byte_of_the_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("writing");
        let mut heard = Vec::new();
        drop(stream.read_to_end(&mut heard).await);
        heard
    });
    let rules =
        OutboundRules { allow: vec![address.to_string().parse().expect("an entry")], ..OutboundRules::default() };
    let why = not_sent(connector(rules).send(request(&format!("https://{address}/")), DEADLINE).await);
    assert!(matches!(why, NotSent::TlsFailed(_) | NotSent::NoAuthorities(_)), "{why}");
    let heard = server.await.expect("the server");
    assert!(!String::from_utf8_lossy(&heard).contains(SECRET));
}

#[tokio::test]
async fn a_connection_that_is_reset_in_the_handshake_is_told_without_a_number() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let resetting = tokio::spawn(async move {
        // Whoever closes with bytes unread resets the connection.
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.read_u8().await;
    });
    let authority = rcgen::generate_simple_self_signed(["x".to_owned()]).expect("a certificate").cert.der().clone();
    let rules = OutboundRules {
        allow: vec![address.to_string().parse().expect("an entry")],
        authorities: vec![authority],
        ..OutboundRules::default()
    };
    let error = connector(rules).send(request(&format!("https://{address}/")), DEADLINE).await.err().expect("an error");
    let words = error.to_string();
    assert!(words.contains("in the handshake; check the port") && !words.contains("os error"), "{words}");
    resetting.await.expect("it ends");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_not_sent_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let rules = OutboundRules {
        allow: vec![address.to_string().parse().expect("an entry")],
        own_provider: None,
        authorities: vec![
            rcgen::generate_simple_self_signed(["x".to_owned()]).expect("a certificate").cert.der().clone(),
        ],
        ..OutboundRules::default()
    };
    let deadline = Duration::from_millis(300);
    let why = not_sent(connector(rules).send(request(&format!("https://{address}/")), deadline).await);
    assert_eq!(why, NotSent::DeadlinePassed { during: Stage::Handshake, deadline });
}

#[tokio::test]
async fn our_own_provider_is_reached_without_a_line_and_its_authority_counts_for_it_alone() {
    let provider = Provider::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let other = Provider::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let rules = OutboundRules {
        allow: other.rules().allow,
        own_provider: Some(OwnProvider {
            host: "localhost".into(),
            address: provider.address,
            authority: provider.authority.clone(),
        }),
        ..OutboundRules::default()
    };
    let connector = connector(rules);
    assert_eq!(answer(connector.send(request(&provider.url()), DEADLINE).await).status, 200);
    // The same place under another name is no longer our own provider.
    let by_address = format!("https://{}/", provider.address);
    assert!(matches!(not_sent(connector.send(request(&by_address), DEADLINE).await), NotSent::Denied(_)));
    // And its authority vouches for nobody else.
    let why = not_sent(connector.send(request(&other.url()), DEADLINE).await);
    assert!(matches!(why, NotSent::TlsFailed(_) | NotSent::NoAuthorities(_)), "{why}");
}

#[test]
fn an_authority_that_is_none_is_refused_at_the_start() {
    let rules = OutboundRules { authorities: vec![CertificateDer::from(vec![1, 2, 3])], ..OutboundRules::default() };
    let error = Connector::new(rules).err().expect("a refusal").to_string();
    assert!(error.contains("[outbound] ca"), "{error}");
}

/// An address at which nobody listens, and nobody can while the socket lives.
fn closed_port() -> (tokio::net::TcpSocket, SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

#[tokio::test]
async fn a_put_or_post_without_a_body_says_that_it_has_none() {
    use delivery::azure::{Call, Transport as _};
    // RFC 9110, section 8.6: strict servers answer 411 where nothing says so.
    for method in ["PUT", "POST", "PATCH"] {
        let (seen, request_seen) = oneshot::channel();
        let seen = std::sync::Mutex::new(Some(seen));
        let provider = Provider::start(move |mut stream, request| {
            let seen = seen.lock().expect("the lock").take();
            async move {
                drop(stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await);
                drop(seen.expect("one request").send(request));
            }
        })
        .await;
        let transport = TargetTransport::new(Arc::new(provider.connector()), false);
        let call = Call { method, url: provider.url(), headers: Vec::new(), body: Vec::new() };
        assert_eq!(transport.call(call).await.map(|answer| answer.status), Ok(204), "{method}");
        let seen = String::from_utf8(request_seen.await.expect("a request")).expect("text");
        let lengths = seen.lines().filter(|line| line.to_ascii_lowercase().starts_with("content-length:")).count();
        assert_eq!(lengths, 1, "{method}: {seen}");
    }
}

/// A vault that answers one request after the other on a connection, until `last` says that it hangs up instead.
async fn vault_that_goes_on(last: impl Fn(&str) -> bool + Send + Sync + 'static) -> (Provider, Arc<AtomicUsize>) {
    let (requests, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(last));
    let counter = requests.clone();
    let provider = Provider::start(move |mut stream, mut request| {
        let (counter, last) = (counter.clone(), last.clone());
        async move {
            while !request.is_empty() {
                counter.fetch_add(1, SeqCst);
                if last(&String::from_utf8_lossy(&request)) {
                    return;
                }
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await);
                request = read_request(&mut stream).await;
            }
        }
    })
    .await;
    (provider, requests)
}

async fn call(transport: &TargetTransport, method: &'static str, url: &str) -> Result<u16, String> {
    use delivery::azure::{Call, Transport as _};
    let call = Call { method, url: url.to_owned(), headers: Vec::new(), body: Vec::new() };
    transport.call(call).await.map(|answer| answer.status)
}

#[tokio::test]
async fn calls_to_one_target_share_a_connection() {
    let (vault, requests) = vault_that_goes_on(|_| false).await;
    let transport = TargetTransport::new(Arc::new(vault.connector()), false);
    for method in ["GET", "PUT", "GET", "PATCH"] {
        assert_eq!(call(&transport, method, &vault.url()).await, Ok(200));
    }
    assert_eq!((vault.connections.load(SeqCst), requests.load(SeqCst)), (1, 4));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_rested_is_replaced() {
    let vault = Provider::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
    let transport = TargetTransport::new(Arc::new(vault.connector()), false);
    for _ in 0..5 {
        assert_eq!(call(&transport, "GET", &vault.url()).await, Ok(200));
    }
    assert_eq!(vault.connections.load(SeqCst), 5);
}

#[tokio::test]
async fn a_write_that_may_have_arrived_is_not_made_again() {
    let (vault, requests) = vault_that_goes_on(|request| request.starts_with("PUT")).await;
    let transport = TargetTransport::new(Arc::new(vault.connector()), false);
    assert_eq!(call(&transport, "GET", &vault.url()).await, Ok(200));
    let error = call(&transport, "PUT", &vault.url()).await.expect_err("it was closed without an answer");
    assert!(error.contains("no answer was received"), "{error}");
    assert_eq!(requests.load(SeqCst), 2, "the write was sent once");
    // What changes nothing is: the vault hangs up on the first of two.
    let hangs_up = AtomicUsize::new(0);
    let (vault, requests) = vault_that_goes_on(move |_| hangs_up.fetch_add(1, SeqCst) == 1).await;
    let transport = TargetTransport::new(Arc::new(vault.connector()), false);
    for _ in 0..2 {
        assert_eq!(call(&transport, "GET", &vault.url()).await, Ok(200));
    }
    assert_eq!(requests.load(SeqCst), 3);
}
