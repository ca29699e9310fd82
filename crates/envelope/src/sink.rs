//! [`Sink`]: where bytes go.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::Error;
use crate::file::AtomicFile;

/// Where a message, or its plaintext, is written to.
pub struct Sink<'a>(Kind<'a>);

enum Kind<'a> {
    File(AtomicFile),
    Stream(Box<dyn Write + Send + 'a>),
}

impl<'a> Sink<'a> {
    /// Writes at positions by all workers at once; the final name comes when everything verified.
    pub fn file(file: AtomicFile) -> Self {
        Self(Kind::File(file))
    }

    /// Writes a pipe, a socket or a buffer in order.
    ///
    /// Its reader sees frames, each of them authentic, before the rest of the message was looked at: an error
    /// afterwards means that they are not the whole. The end of a signed message is held back until its signature
    /// verified.
    pub fn stream(writer: impl Write + Send + 'a) -> Self {
        Self(Kind::Stream(Box::new(writer)))
    }

    /// What fits `path`: a device or a named pipe that exists is written in order, a file is replaced as a whole
    /// (through a symbolic link, its target).
    ///
    /// # Errors
    /// Whatever the system says, of [`AtomicFile::create`] or of opening the device.
    pub fn create(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(found) if found.is_file() => Ok(Self::file(AtomicFile::create(&fs::canonicalize(path)?)?)),
            Ok(_) => Ok(Self::stream(File::options().write(true).open(path)?)),
            Err(_) => Ok(Self::file(AtomicFile::create(path)?)),
        }
    }

    /// Writes `bytes` and nothing else to what [`Self::create`] makes of `path`.
    ///
    /// # Errors
    /// Whatever the system says; a file has its old contents then.
    pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
        match Self::create(path)?.0 {
            Kind::File(mut file) => {
                file.write_all(bytes)?;
                file.commit()
            }
            Kind::Stream(mut device) => {
                device.write_all(bytes)?;
                device.flush()
            }
        }
    }

    /// The two ways of writing: at positions, or in order.
    pub(crate) fn ends(&mut self) -> (Option<&File>, Option<&mut (dyn Write + Send + 'a)>) {
        match &mut self.0 {
            Kind::File(file) => (Some(file.as_file()), None),
            Kind::Stream(writer) => (None, Some(writer.as_mut())),
        }
    }

    /// Writes what comes before or behind the chunks; a file, at `position`.
    pub(crate) fn put(&mut self, bytes: &[u8], position: u64) -> Result<(), Error> {
        let put = match &mut self.0 {
            Kind::File(file) => file.as_file().write_all_at(bytes, position),
            Kind::Stream(writer) => writer.write_all(bytes),
        };
        put.map_err(Error::Write)
    }

    /// Everything verified: the file, cut to its `len` bytes, gets its name; the stream is flushed.
    pub(crate) fn finish(self, len: u64) -> Result<(), Error> {
        let finish = match self.0 {
            // A worker may have written beyond the end before another one found it.
            Kind::File(file) => file.as_file().set_len(len).and_then(|()| file.commit()),
            Kind::Stream(mut writer) => writer.flush(),
        };
        finish.map_err(Error::Write)
    }
}
