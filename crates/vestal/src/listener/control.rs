//! The control socket: the listener for processes of this machine, run by the same user.

use super::connection::{self, Protocol};
use super::source::Sources;
use super::{Accept, BindError, Limits, Listening, Peer, accept_all};
use bytes::Bytes;
use http::{Request, Response};
use rustix::process::geteuid;
use std::fs::{self, Permissions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{UnixListener, UnixStream};

/// A Unix socket that only our own user may speak to (and root, who can do anything to us anyway).
pub struct ControlListener {
    socket: UnixListener,
    path: PathBuf,
}

impl ControlListener {
    /// Opens the socket at `path`, mode 0600. One that a dead process has left there is taken away first.
    ///
    /// # Errors
    /// Where a live process listens there, where something else lies there, or where it can't be made.
    pub async fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |error: io::Error, next_step: &str| BindError::new(&path.display(), error, next_step);
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(failed(
                    io::Error::from(io::ErrorKind::AlreadyExists),
                    "something that isn't a socket lies there: move it away",
                ));
            }
            Ok(_) => match UnixStream::connect(path).await {
                Ok(_) => {
                    return Err(failed(
                        io::Error::from(io::ErrorKind::AddrInUse),
                        "another Vestal runs on this data folder: stop it, or use another folder",
                    ));
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(|error| failed(error, "remove it by hand"))?;
                }
                Err(error) => return Err(failed(error, "see who it belongs to, and remove it if nobody uses it")),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error, "let the user that Vestal runs as use the folder")),
        }
        let socket = UnixListener::bind(path).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => {
                failed(error, "a socket's path has at most 107 bytes: use a data folder with a shorter one")
            }
            _ => failed(error, "let the user that Vestal runs as write to the folder"),
        })?;
        // Until this line the folder's own mode keeps others out, and each peer's user is checked in any case.
        fs::set_permissions(path, Permissions::from_mode(0o600))
            .map_err(|error| failed(error, "use a data folder on a file system with permissions"))?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves until `stop` completes, as [`super::Listener::serve`] does, and takes the socket away.
    pub async fn serve<S, F>(self, limits: Limits, service: S, stop: impl Future<Output = ()>)
    where
        S: Fn(Request<Bytes>, Peer) -> F + Clone + Send + 'static,
        F: Future<Output = Response<Bytes>> + Send + 'static,
    {
        let us = geteuid().as_raw();
        let handle = |(stream, user): (UnixStream, u32), listening: Listening| {
            let service = service.clone();
            async move {
                if user != us && user != 0 {
                    tracing::warn!("user {user} tried to use the control socket, which is for user {us} alone");
                    return;
                }
                let peer = Peer::Process { user };
                connection::serve(stream, Protocol::Http1, peer, limits, service, listening).await;
            }
        };
        let place = self.path.display().to_string();
        let sources = Sources::new(limits.connections, Arc::default());
        accept_all(&self, handle, &place, limits, &sources, None, stop).await;
        // Left behind it would do no harm: the next start takes it away.
        drop(fs::remove_file(&self.path));
    }
}

impl Accept for ControlListener {
    type Connection = (UnixStream, u32);

    async fn accept(&self) -> io::Result<Self::Connection> {
        let (stream, _) = self.socket.accept().await?;
        let user = stream.peer_cred()?.uid();
        Ok((stream, user))
    }

    /// All are of our own user, who may do as he likes with us.
    fn source(_: &Self::Connection) -> Option<IpAddr> {
        None
    }
}
