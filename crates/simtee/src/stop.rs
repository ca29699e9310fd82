//! [`Stop`]: one word to all threads that wait for connections.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};

/// Ends what waits on it, now and later. Copies are the same one.
#[derive(Clone)]
pub struct Stop(Arc<(UnixStream, UnixStream)>);

/// What a thread waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The file has something to read, or an end.
    Ready,
    /// It is time to end.
    Stopped,
}

impl Stop {
    /// Nothing is stopped yet.
    ///
    /// # Errors
    /// What the system says if it gives no pair of sockets.
    pub fn new() -> io::Result<Self> {
        UnixStream::pair().map(|pair| Self(Arc::new(pair)))
    }

    /// Stops; doing so again changes nothing.
    pub fn trigger(&self) {
        // Fails only where it was shut down before, which is what is wanted.
        let _ = self.0.0.shutdown(Shutdown::Both);
    }

    /// Waits until `file` can be read or [`Self::trigger`] was called; where both are so, it is [`Woken::Stopped`].
    pub(crate) fn wait_for(&self, file: &impl AsFd) -> io::Result<Woken> {
        let (file, stop) = (file.as_fd(), self.0.1.as_fd());
        let mut both =
            [PollFd::from_borrowed_fd(stop, PollFlags::IN), PollFd::from_borrowed_fd(file, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut both, None))?;
        let [stop, _] = &both;
        Ok(if stop.revents().is_empty() { Woken::Ready } else { Woken::Stopped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_reaches_every_copy_and_stays() {
        let (stop, (quiet, _other)) = (Stop::new().unwrap(), UnixStream::pair().unwrap());
        let waiting = {
            let (stop, quiet) = (stop.clone(), quiet.try_clone().unwrap());
            std::thread::spawn(move || stop.wait_for(&quiet).unwrap())
        };
        stop.trigger();
        assert_eq!(waiting.join().unwrap(), Woken::Stopped);
        assert_eq!(stop.wait_for(&quiet).unwrap(), Woken::Stopped);
    }

    #[test]
    fn something_to_read_wakes() {
        use std::io::Write;
        let (stop, (quiet, mut other)) = (Stop::new().unwrap(), UnixStream::pair().unwrap());
        other.write_all(b"x").unwrap();
        assert_eq!(stop.wait_for(&quiet).unwrap(), Woken::Ready);
    }
}
