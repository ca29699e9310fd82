//! A Unix socket of this process: bound for its owner only, served by a few threads, removed at the end.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::SimError;
use crate::stop::{Stop, Woken};

/// A bound socket; dropping it removes its file.
pub(crate) struct Listener {
    path: PathBuf,
    listener: UnixListener,
}

impl Listener {
    /// Binds `path`, mode 0600, in place of a socket that an earlier process left there.
    ///
    /// The caller holds the lock of the directory, so nobody else listens.
    pub(crate) fn bind(path: &Path) -> Result<Self, SimError> {
        remove_stale(path).map_err(SimError::io("remove the old socket", path))?;
        let listener = UnixListener::bind(path).map_err(SimError::io("listen at", path))?;
        let bound = Self { path: path.to_owned(), listener };
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(SimError::io("restrict", path))?;
        bound.listener.set_nonblocking(true).map_err(SimError::io("listen at", path))?;
        Ok(bound)
    }

    /// Where it listens.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Hands each connection to `handle`, at most [`MAX_CONNECTIONS`] and one at a time, until `stop`.
    ///
    /// Returns once every connection is done, so `handle` must bound its time.
    pub(crate) fn serve(&self, stop: &Stop, handle: impl Fn(UnixStream) + Sync) {
        let busy = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            while let Some(stream) = self.next(stop) {
                let (handle, busy) = (&handle, &busy);
                if busy.load(Ordering::Relaxed) >= MAX_CONNECTIONS {
                    handle(stream);
                    continue;
                }
                busy.fetch_add(1, Ordering::Relaxed);
                scope.spawn(move || {
                    handle(stream);
                    busy.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
    }

    /// The next connection; `None` once it is time to end.
    fn next(&self, stop: &Stop) -> Option<UnixStream> {
        loop {
            let accepted = match stop.wait_for(&self.listener) {
                Ok(Woken::Stopped) => return None,
                Ok(Woken::Ready) => self.listener.accept(),
                Err(error) => Err(error),
            };
            match accepted.and_then(|(stream, _)| stream.set_nonblocking(false).map(|()| stream)) {
                Ok(stream) => return Some(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::warn!(socket = %self.path.display(), %error, "cannot accept a connection");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Err(error) = remove_stale(&self.path) {
            tracing::warn!(socket = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Connections of one socket that have a thread each; one more is served by the accepting thread itself.
const MAX_CONNECTIONS: usize = 16;
/// How long to wait after a failure to accept, such as too many open files.
const PAUSE: Duration = Duration::from_millis(50);
