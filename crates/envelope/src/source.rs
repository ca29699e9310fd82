//! [`Source`]: where bytes come from, and [`Chunks`]: how all workers take from it at once.
//!
//! A regular file is read at positions, by every worker for itself, so that copying out of the page cache uses all
//! cores; it is not mapped, since a file that is cut short under a mapping kills the process. Everything else is
//! read in order under a lock.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::buffer::Buffer;

/// Where a message, or what is to become one, is read from.
pub struct Source<'a>(Kind<'a>);

enum Kind<'a> {
    File { file: File, position: u64 },
    Stream(Box<dyn Read + Send + 'a>),
}

impl<'a> Source<'a> {
    /// Reads an open file from its current position: a regular one at positions, any other in order.
    ///
    /// # Errors
    /// Whatever the system says of a file that cannot be examined.
    pub fn file(mut file: File) -> io::Result<Self> {
        if !file.metadata()?.is_file() {
            return Ok(Self::stream(file));
        }
        let position = file.stream_position()?;
        Ok(Self(Kind::File { file, position }))
    }

    /// Reads a pipe, a socket or a slice, in order, in large pieces.
    pub fn stream(reader: impl Read + Send + 'a) -> Self {
        Self(Kind::Stream(Box::new(reader)))
    }

    /// Bytes left in a regular file, for a progress bar; it may change.
    pub fn remaining(&self) -> Option<u64> {
        match &self.0 {
            Kind::File { file, position } => Some(file.metadata().ok()?.len().saturating_sub(*position)),
            Kind::Stream(_) => None,
        }
    }

    /// Fills `out`, or as much of it as the input has left, and gives the number of bytes.
    pub(crate) fn read_full(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Stream(reader) => read_full(out, |room, _| reader.read(room)),
            Kind::File { file, position } => {
                let read = read_full(out, |room, done| file.read_at(room, at(*position, done)?))?;
                *position = at(*position, read)?;
                Ok(read)
            }
        }
    }

    /// Cuts what is left into chunks of `step` bytes. Each is read with the `overlap` bytes that follow it.
    pub(crate) fn into_chunks(self, step: usize, overlap: usize) -> Chunks<'a> {
        let kind = match self.0 {
            Kind::File { file, position } => ChunkKind::File { file, position, next: AtomicU64::new(0) },
            Kind::Stream(reader) => {
                ChunkKind::Stream(Mutex::new(Stream { reader, next: 0, overlap: Vec::new(), ended: false }))
            }
        };
        Chunks { kind, step, overlap }
    }
}

/// Chunks of a source, each handed out once, with indices from 0 upwards in the order of the calls.
pub(crate) struct Chunks<'a> {
    kind: ChunkKind<'a>,
    step: usize,
    overlap: usize,
}

enum ChunkKind<'a> {
    File { file: File, position: u64, next: AtomicU64 },
    Stream(Mutex<Stream<'a>>),
}

struct Stream<'a> {
    reader: Box<dyn Read + Send + 'a>,
    next: u64,
    /// What was read beyond the last chunk's step.
    overlap: Vec<u8>,
    ended: bool,
}

impl Chunks<'_> {
    /// Bytes that a chunk has with its overlap.
    pub(crate) fn window(&self) -> usize {
        self.step.saturating_add(self.overlap)
    }

    /// Reads the next chunk and its overlap into `window`; they are short only where the input ends.
    pub(crate) fn read_next(&self, window: &mut Buffer) -> (u64, io::Result<()>) {
        match &self.kind {
            ChunkKind::File { file, position, next } => {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let offset = u64::try_from(self.step).ok().and_then(|step| index.checked_mul(step));
                let start = offset.and_then(|offset| offset.checked_add(*position)).ok_or_else(too_far);
                let read = |start| {
                    let read_at = |room: &mut [u8], done| file.read_at(room, at(start, done)?);
                    window.read(self.window(), again_if_interrupted(read_at))
                };
                (index, start.and_then(read))
            }
            ChunkKind::Stream(stream) => {
                let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                let index = stream.next;
                stream.next = index.saturating_add(1);
                let read = window.read(self.window(), again_if_interrupted(|room, _| stream.read(room)));
                stream.overlap = window.filled().get(self.step..).unwrap_or_default().to_vec();
                (index, read)
            }
        }
    }
}

impl Read for Stream<'_> {
    /// The last chunk's overlap, then what follows it. Touches the input no more once it ended or failed.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let kept = self.overlap.as_slice().read(room)?;
        self.overlap.drain(..kept);
        if kept > 0 || self.ended || room.is_empty() {
            return Ok(kept);
        }
        let read = self.reader.read(room);
        self.ended = match &read {
            Ok(read) => *read == 0,
            Err(error) => error.kind() != io::ErrorKind::Interrupted,
        };
        read
    }
}

/// Reads until `out` is full or the input ends. `read` gets the room that is left and the bytes read before.
fn read_full(out: &mut [u8], read: impl FnMut(&mut [u8], usize) -> io::Result<usize>) -> io::Result<usize> {
    let (mut read, mut done) = (again_if_interrupted(read), 0_usize);
    while let Some(room) = out.get_mut(done..).filter(|room| !room.is_empty()) {
        match read(room, done)? {
            0 => break,
            n => done = done.saturating_add(n),
        }
    }
    Ok(done)
}

/// The same as `read`, called once more whenever a signal interrupted it.
fn again_if_interrupted(
    mut read: impl FnMut(&mut [u8], usize) -> io::Result<usize>,
) -> impl FnMut(&mut [u8], usize) -> io::Result<usize> {
    move |room, done| loop {
        match read(room, done) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn at(position: u64, done: usize) -> io::Result<u64> {
    u64::try_from(done).ok().and_then(|done| position.checked_add(done)).ok_or_else(too_far)
}

fn too_far() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "position beyond what a file can have")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{SeekFrom, Write};

    /// Gives one byte a call, and an error if it is read again after its end.
    struct Trickle(std::vec::IntoIter<u8>, bool);

    impl Read for Trickle {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match self.0.next() {
                Some(byte) => {
                    out[0] = byte;
                    Ok(1)
                }
                None if self.1 => Err(io::Error::other("read after the end")),
                None => {
                    self.1 = true;
                    Ok(0)
                }
            }
        }
    }

    fn windows(source: Source<'_>) -> Vec<Vec<u8>> {
        let chunks = source.into_chunks(4, 2);
        let mut buffer = Buffer::default();
        let mut next = || {
            chunks.read_next(&mut buffer).1.unwrap();
            buffer.filled().to_vec()
        };
        (0..4).map(|_| next()).collect()
    }

    #[test]
    fn a_file_and_a_pipe_give_the_same_chunks() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"--0123456789").unwrap();
        file.seek(SeekFrom::Start(2)).unwrap();
        let expected = [&b"012345"[..], b"456789", b"89", b""].map(<[u8]>::to_vec);
        assert_eq!(windows(Source::file(file).unwrap()), expected);
        let pipe = Trickle(b"0123456789".to_vec().into_iter(), false);
        assert_eq!(windows(Source::stream(pipe)), expected);
    }

    #[test]
    fn chunks_follow_what_was_read_before() {
        let mut source = Source::stream(&b"ab0123"[..]);
        source.read_full(&mut [0; 2]).unwrap();
        assert_eq!(windows(source)[0], b"0123");
    }
}
