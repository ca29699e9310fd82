//! A Unix stream that is done by a given instant, however slowly its peer drips, and though nobody accepts it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// A stream whose reads and writes all end by one instant, with [`io::ErrorKind::TimedOut`] if need be.
pub struct DeadlineStream {
    stream: UnixStream,
    deadline: Instant,
}

impl DeadlineStream {
    /// Bounds everything that is done on `stream` from now on.
    pub fn new(stream: UnixStream, limit: Duration) -> Self {
        Self { stream, deadline: deadline_after(limit) }
    }

    /// Connects to the listener at `path`; connecting counts towards `limit`.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if the listener's queue stays full; else what the system says.
    pub fn connect(path: &Path, limit: Duration) -> io::Result<Self> {
        let deadline = deadline_after(limit);
        Ok(Self { stream: connect_by(path, deadline)?, deadline })
    }

    /// Tells the peer that nothing more comes.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish_writing(&self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write)
    }

    /// All that the peer sends, or its first `limit` + 1 bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if it does not come to an end in time; else what the system says.
    pub fn read_at_most(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        self.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for DeadlineStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(remaining(self.deadline)?))?;
        self.stream.read(buf).map_err(as_timeout)
    }
}

impl Write for DeadlineStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(remaining(self.deadline)?))?;
        self.stream.write(buf).map_err(as_timeout)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Connects without blocking: a full queue at the listener is tried again until the deadline.
fn connect_by(path: &Path, deadline: Instant) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    loop {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        match connect(&socket, &address) {
            Ok(()) => {
                let stream = UnixStream::from(socket);
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(rustix::io::Errno::AGAIN) => std::thread::sleep(remaining(deadline)?.min(RETRY_AFTER)),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// What is left until the deadline.
fn remaining(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A socket's own timeout is reported as "would block".
fn as_timeout(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// The instant `limit` from now; a limit beyond the clock's range is cut to a day.
fn deadline_after(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).or_else(|| now.checked_add(Duration::from_secs(86_400))).unwrap_or(now)
}

const RETRY_AFTER: Duration = Duration::from_millis(10);
