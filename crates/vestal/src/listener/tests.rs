//! The listener on real sockets, by peers that behave and peers that don't.

use super::*;
use crate::clock::unix_seconds;
use crate::tls::{CertificateSource, LocalAuthority, LocalNames, ServerCertificate, crypto_provider};
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls_pki_types::ServerName;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// A running listener.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("it ends");
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }
}

async fn run<S, F>(transport: Transport, limits: Limits, service: S) -> Running
where
    S: Fn(Request<Bytes>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Bytes>> + Send + 'static,
{
    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
    serve(listener, transport, limits, service)
}

fn serve<S, F>(listener: Listener, transport: Transport, limits: Limits, service: S) -> Running
where
    S: Fn(Request<Bytes>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Bytes>> + Send + 'static,
{
    let address = listener.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(listener.serve(transport, limits, service, async {
        stopped.await.expect("the test stops it");
    }));
    Running { address, stop, task }
}

/// Answers with the method, the path, the length of the body, and whether the peer is encrypted.
async fn echo(request: Request<Bytes>, peer: Peer) -> Response<Bytes> {
    let Peer::Network { encrypted, .. } = peer else { panic!("a peer of the network") };
    let text = format!("{} {} {} {encrypted}", request.method(), request.uri().path(), request.body().len());
    Response::new(Bytes::from(text))
}

/// Reads answers until the peer closes.
async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    // A reset by the peer closes too.
    drop(stream.read_to_string(&mut text).await);
    text
}

/// Reads one answer that has a `content-length`.
async fn read_one(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.expect("reading"), 0, "closed early");
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if length == Some(body.len()) {
                return text.into_owned();
            }
        }
    }
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let running = run(Transport::Plain, Limits::default(), echo).await;
    let mut stream = running.connect().await;
    stream.write_all(b"GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\nPOST /three HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /four HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("writing");
    let answers = read_all(&mut stream).await;
    let bodies: Vec<_> =
        answers.split("HTTP/1.1 200 OK").skip(1).map(|it| it.rsplit("\r\n").next().expect("a body")).collect();
    assert_eq!(bodies, ["GET /one 0 false", "GET /two 0 false", "POST /three 5 false", "GET /four 0 false"]);
    running.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_answered_413_and_never_reaches_the_service() {
    let called = Arc::new(Mutex::new(Vec::new()));
    let calls = called.clone();
    let service = move |request: Request<Bytes>, _| {
        calls.lock().expect("the lock").push(request.body().len());
        std::future::ready(Response::new(Bytes::new()))
    };
    let running = run(Transport::Plain, Limits { body: 10, ..Limits::default() }, service).await;
    for (request, status) in [
        ("Content-Length: 10\r\n\r\n0123456789", "200"),
        ("Content-Length: 11\r\n\r\n0123456789a", "413"),
        ("Content-Length: 99999999999\r\n\r\n", "413"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", "200"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n", "413"),
    ] {
        let mut stream = running.connect().await;
        let request = format!("PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{request}");
        stream.write_all(request.as_bytes()).await.expect("writing");
        let answer = read_one(&mut stream).await;
        assert_eq!(&answer[9..12], status, "{request}");
        if status == "413" {
            assert!(answer.contains("{\"error\":{\"code\":\"RequestTooLarge\""), "{answer}");
        }
    }
    assert_eq!(*called.lock().expect("the lock"), [10, 10]);
    running.stop().await;
}

#[tokio::test]
async fn what_is_answered_whatever_its_body_is_reaches_no_service_and_is_read_to_its_end() {
    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
    let listener = listener.limiting_bodies(Arc::new(|head: &mut http::request::Parts, _| match head.uri.path() {
        "/long" => Ok(1 << 20),
        _ => Err(Box::new(Response::builder().status(401).body(Bytes::new()).expect("an answer"))),
    }));
    let running = serve(listener, Transport::Plain, Limits { body: 10, ..Limits::default() }, echo);
    // Longer than what the system takes on its way: who sends it all must not be cut off before.
    let mut stream = running.connect().await;
    for (path, length, status) in [("/refused", 16 << 20, "401"), ("/long", 1 << 20, "200")] {
        let head = format!("PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("writing");
        stream.write_all(&vec![b' '; length]).await.expect("writing");
        let answer = read_one(&mut stream).await;
        assert_eq!(&answer[9..12], status, "{answer}");
    }
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn a_slow_head_is_cut_and_a_slow_body_is_answered_408() {
    let short = Duration::from_millis(100);
    let running = run(Transport::Plain, Limits { head_read: short, body_read: short, ..Limits::default() }, echo).await;
    let mut silent = running.connect().await;
    assert_eq!(read_all(&mut silent).await, "");
    let mut half = running.connect().await;
    half.write_all(b"GET / HTTP/1.1\r\nHost").await.expect("writing");
    assert_eq!(read_all(&mut half).await, "");
    let mut slow = running.connect().await;
    slow.write_all(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n01").await.expect("writing");
    assert_eq!(&read_one(&mut slow).await[9..12], "408");
    running.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_at_work_is_not() {
    let limits = Limits { head_read: Duration::from_millis(50), idle: Duration::from_millis(50), ..Limits::default() };
    let released = Arc::new(Notify::new());
    let release = released.clone();
    let service = move |request: Request<Bytes>, _| {
        let released = released.clone();
        async move {
            if request.uri().path() == "/slow" {
                released.notified().await;
            }
            Response::new(Bytes::new())
        }
    };
    let running = run(Transport::Plain, limits, service).await;
    let mut at_work = running.connect().await;
    at_work.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
    let mut idle = running.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
    // Closed without being asked: the limits have passed for the other connection too.
    assert!(read_all(&mut idle).await.starts_with("HTTP/1.1 200 OK"));
    release.notify_one();
    assert!(read_all(&mut at_work).await.starts_with("HTTP/1.1 200 OK"));
    running.stop().await;
}

#[tokio::test]
async fn a_head_over_the_limits_is_refused() {
    let running = run(Transport::Plain, Limits::default(), echo).await;
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(HEAD_LIMIT));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Many: y\r\n".repeat(HEADER_COUNT_LIMIT + 1));
    for request in [long, many] {
        let mut stream = running.connect().await;
        stream.write_all(request.as_bytes()).await.expect("writing");
        let answer = read_all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    running.stop().await;
}

#[tokio::test]
async fn whoever_asks_and_does_not_read_is_answered_no_further_than_the_system_buffers_and_cut_in_the_end() {
    let short = Duration::from_millis(50);
    let limits = Limits { connections: 1, head_read: short, idle: short, drain: short, ..Limits::default() };
    let answered = Arc::new(AtomicUsize::new(0));
    let service = {
        let answered = answered.clone();
        move |_: Request<Bytes>, _| {
            answered.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Response::new(Bytes::from_static(&[b'x'; 64 * 1024])))
        }
    };
    let running = run(Transport::Plain, limits, service).await;
    let mut stream = running.connect().await;
    // 128 MB of answers, which nobody takes. Writing ends with all written, or with the connection.
    drop(stream.write_all("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2_000).as_bytes()).await);
    // There is room for one connection: this one is served when the other is gone.
    let mut next = running.connect().await;
    next.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
    read_one(&mut next).await;
    let answered = answered.load(Ordering::Relaxed);
    assert!((1..1_000).contains(&answered), "{answered} answers of 2,000 were made for somebody who reads none");
    running.stop().await;
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_for_room() {
    let running = run(Transport::Plain, Limits { connections: 1, ..Limits::default() }, echo).await;
    let mut first = running.connect().await;
    first.write_all(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
    read_one(&mut first).await;
    let mut second = running.connect().await;
    second.write_all(b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
    first.write_all(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
    assert!(read_one(&mut first).await.contains("/first"));
    let mut nothing = [0];
    assert_eq!(second.try_read(&mut nothing).map_err(|error| error.kind()), Err(io::ErrorKind::WouldBlock));
    drop(first);
    assert!(read_one(&mut second).await.contains("/second"));
    running.stop().await;
}

#[tokio::test]
async fn stopping_lets_requests_in_flight_end_and_closes_the_port() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let service = {
        let (entered, release) = (entered.clone(), release.clone());
        move |_: Request<Bytes>, _| {
            let (entered, release) = (entered.clone(), release.clone());
            async move {
                entered.notify_one();
                release.notified().await;
                Response::new(Bytes::from_static(b"done"))
            }
        }
    };
    let running = run(Transport::Plain, Limits::default(), service).await;
    let address = running.address;
    let mut stream = running.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
    entered.notified().await;
    let stopping = tokio::spawn(running.stop());
    release.notify_one();
    assert!(read_all(&mut stream).await.ends_with("done"));
    stopping.await.expect("it stops");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn requests_that_outlast_the_drain_are_cut() {
    let entered = Arc::new(Notify::new());
    let service = {
        let entered = entered.clone();
        move |_: Request<Bytes>, _| {
            entered.notify_one();
            std::future::pending()
        }
    };
    let running =
        run(Transport::Plain, Limits { drain: Duration::from_millis(10), ..Limits::default() }, service).await;
    let mut stream = running.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
    entered.notified().await;
    running.stop().await;
    assert_eq!(read_all(&mut stream).await, "");
}

#[tokio::test]
async fn a_change_comes_to_its_end_though_its_client_hangs_up() {
    for request in ["PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1", "DELETE / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (ended, mut end) = mpsc::unbounded_channel();
        let (has_begun, may_go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        let service = move |_: Request<Bytes>, _| {
            let (begun, go_on, ended) = (Arc::clone(&has_begun), Arc::clone(&may_go_on), ended.clone());
            async move {
                begun.notify_one();
                go_on.notified().await;
                let _ = ended.send(());
                Response::new(Bytes::new())
            }
        };
        let running = run(Transport::Plain, Limits::default(), service).await;
        let mut stream = running.connect().await;
        stream.write_all(request.as_bytes()).await.expect("writing");
        begun.notified().await;
        drop(stream);
        let mut stopping = tokio::spawn(running.stop());
        // With its last connection gone, the listener would stop at once; the change is still under way.
        let early = tokio::time::timeout(Duration::from_millis(50), &mut stopping).await;
        assert!(early.is_err(), "it stopped before the change had ended");
        go_on.notify_one();
        stopping.await.expect("it stops");
        end.try_recv().expect("it had come to its end by then");
    }
}

#[tokio::test]
async fn a_change_that_does_not_end_is_waited_for_no_longer_than_the_limit() {
    let entered = Arc::new(Notify::new());
    let service = {
        let entered = entered.clone();
        move |_: Request<Bytes>, _| {
            entered.notify_one();
            std::future::pending()
        }
    };
    let short = Duration::from_millis(10);
    let running = run(Transport::Plain, Limits { drain: short, changes: short, ..Limits::default() }, service).await;
    let mut stream = running.connect().await;
    stream.write_all(b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
    entered.notified().await;
    running.stop().await;
    assert_eq!(read_all(&mut stream).await, "");
}

#[tokio::test]
async fn one_address_has_half_of_the_connections_and_more_are_closed_at_once() {
    let refused = Arc::new(AtomicU64::new(0));
    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
    let listener = listener.counting_refusals(Arc::clone(&refused));
    let running = serve(listener, Transport::Plain, Limits { connections: 4, ..Limits::default() }, echo);
    let ask = async |stream: &mut TcpStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
        read_one(stream).await;
    };
    let (mut first, mut second) = (running.connect().await, running.connect().await);
    ask(&mut first).await;
    ask(&mut second).await;
    assert_eq!(read_all(&mut running.connect().await).await, "");
    assert_eq!(refused.load(Ordering::Relaxed), 1);
    let elsewhere = tokio::net::TcpSocket::new_v4().expect("a socket");
    elsewhere.bind("127.0.0.2:0".parse().expect("an address")).expect("a port");
    ask(&mut elsewhere.connect(running.address).await.expect("a connection")).await;
    ask(&mut first).await;
    second.shutdown().await.expect("closing");
    assert_eq!(read_all(&mut second).await, "");
    // The listener hears of that end before or after the next beginning.
    loop {
        let mut next = running.connect().await;
        drop(next.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await);
        if read_all(&mut next).await.starts_with("HTTP/1.1 200") {
            break;
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_alone() {
    let service = async |request: Request<Bytes>, _| {
        assert_ne!(request.uri().path(), "/panic", "on purpose");
        Response::new(Bytes::from_static(b"fine"))
    };
    let running = run(Transport::Plain, Limits::default(), move |request, peer| Box::pin(service(request, peer))).await;
    let mut stream = running.connect().await;
    stream.write_all(b"GET /panic HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
    assert_eq!(read_all(&mut stream).await, "");
    let mut stream = running.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
    assert!(read_one(&mut stream).await.ends_with("fine"));
    running.stop().await;
}

/// A listener over TLS, and the settings of a client that trusts it.
async fn run_tls(limits: Limits, folder: &Path) -> (Running, rustls::ClientConfig) {
    let names = LocalNames::new("vault.localhost", "localhost");
    let authority = LocalAuthority::open(folder, names, unix_seconds()).unwrap_or_else(|error| panic!("{error}"));
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).expect("an authority");
    let certificate =
        ServerCertificate::load(CertificateSource::Local(authority)).unwrap_or_else(|error| panic!("{error}"));
    let client = rustls::ClientConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (run(Transport::Tls(certificate.server_config()), limits, echo).await, client)
}

#[tokio::test]
async fn over_tls_http_1_and_2_are_spoken_and_the_certificate_is_for_our_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let (running, client) = run_tls(Limits::default(), folder.path()).await;
    for host in ["localhost", "vault.localhost", "dev.vault.localhost", "127.0.0.1"] {
        for (protocol, version) in [("h2", http::Version::HTTP_2), ("http/1.1", http::Version::HTTP_11)] {
            let mut client = client.clone();
            client.alpn_protocols = vec![protocol.into()];
            let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
            let name = ServerName::try_from(host).expect("a name");
            let stream = connector
                .connect(name, running.connect().await)
                .await
                .unwrap_or_else(|error| panic!("{host}: {error}"));
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
            let stream = TokioIo::new(stream);
            let request =
                Request::put("https://localhost/path").body(Full::new(Bytes::from_static(b"body"))).expect("a request");
            let answer = if version == http::Version::HTTP_2 {
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.expect("a handshake");
                tokio::spawn(connection);
                sender.send_request(request).await
            } else {
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(stream).await.expect("a handshake");
                tokio::spawn(connection);
                sender.send_request(request).await
            };
            let answer = answer.expect("an answer");
            assert_eq!((answer.version(), answer.status()), (version, StatusCode::OK));
            let body = answer.into_body().collect().await.expect("a body").to_bytes();
            assert_eq!(body, "PUT /path 4 true");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_cut_and_others_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (running, client) =
        run_tls(Limits { handshake: Duration::from_secs(2), ..Limits::default() }, folder.path()).await;
    let mut silent = running.connect().await;
    let mut plain = running.connect().await;
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("writing");
    assert_eq!(read_all(&mut silent).await, "");
    assert!(!read_all(&mut plain).await.contains("HTTP/1.1 200"));
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from("localhost").expect("a name");
    connector.connect(name, running.connect().await).await.expect("a handshake");
    running.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_told_with_the_next_step() {
    let first = Listener::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
    let error = Listener::bind(first.local_addr()).await.err().expect("a refusal");
    assert!(error.is_in_use());
    let text = error.to_string();
    let expected = format!("can't listen on {}: ", first.local_addr());
    assert!(text.starts_with(&expected) && text.contains("stop it, or choose another port"), "{text}");
    let elsewhere = Listener::bind("192.0.2.1:8443".parse().expect("an address")).await.err().expect("a refusal");
    assert!(elsewhere.to_string().contains("this machine has no such address"), "{elsewhere}");
}

#[tokio::test]
async fn the_control_socket_is_for_our_own_user_and_is_taken_away_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control.sock");
    let listener = ControlListener::bind(&path).await.expect("a socket");
    assert_eq!(std::fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
    let service = async |_: Request<Bytes>, peer| Response::new(Bytes::from(format!("{peer:?}")));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving =
        tokio::spawn(listener.serve(Limits::default(), move |request, peer| Box::pin(service(request, peer)), async {
            stopped.await.expect("the test stops it");
        }));
    let mut stream = UnixStream::connect(&path).await.expect("a connection");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: vestal\r\n\r\n").await.expect("writing");
    let us = rustix::process::geteuid().as_raw();
    assert!(read_one(&mut stream).await.ends_with(&format!("Process {{ user: {us} }}")));

    let second = ControlListener::bind(&path).await.err().expect("a refusal").to_string();
    assert!(second.contains("another Vestal runs on this data folder"), "{second}");
    stop.send(()).expect("it runs");
    serving.await.expect("it ends");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_a_dead_process_left_is_replaced_and_a_file_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    assert!(path.exists());
    drop(ControlListener::bind(&path).await.expect("a socket in its place"));
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").expect("writing");
    let refused = ControlListener::bind(&file).await.err().expect("a refusal").to_string();
    assert!(refused.contains("something that isn't a socket lies there"), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is still there"), "precious");
    let long = folder.path().join("x".repeat(120));
    let refused = ControlListener::bind(&long).await.err().expect("a refusal").to_string();
    assert!(refused.contains("at most 107 bytes"), "{refused}");
}
