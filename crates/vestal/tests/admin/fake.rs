//! A running Vestal that gives the answers that it was told, one after the other, and notes what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

pub(crate) struct Fake {
    folder: TempDir,
    stopping: Arc<AtomicBool>,
    serving: JoinHandle<Vec<String>>,
}

impl Fake {
    pub(crate) fn start(answers: Vec<(u16, String)>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let listener = UnixListener::bind(folder.path().join("control.sock")).expect("its path is short");
        let stopping = Arc::new(AtomicBool::new(false));
        let stopped = stopping.clone();
        let serving = thread::spawn(move || {
            let mut answers = answers.into_iter();
            let mut requests = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let mut stream = stream.expect("a connection can be accepted");
                requests.push(request(&mut stream));
                // An answer that nobody thought of shows up as one. Status 0 is none: it hangs up.
                let (status, body) = answers.next().unwrap_or((500, String::new()));
                if status == 0 {
                    continue;
                }
                let head = format!("HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n\r\n", body.len());
                // A client that hangs up has its reasons.
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
            }
            requests
        });
        Self { folder, stopping, serving }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it was asked: method and path in a line, and the body.
    pub(crate) fn stop(self) -> Vec<String> {
        self.stopping.store(true, Ordering::SeqCst);
        drop(UnixStream::connect(self.folder.path().join("control.sock")));
        self.serving.join().expect("it does not panic")
    }
}

fn request(stream: &mut UnixStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).expect("a request has a first line");
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).expect("headers end with an empty line");
        match header.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().expect("a length is a number");
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body is as long as it says");
    let first = first.trim_end().trim_end_matches(" HTTP/1.1");
    let body = String::from_utf8(body).expect("a body is JSON");
    if body.is_empty() { format!("{first}\n") } else { format!("{first}\n{body}\n") }
}
