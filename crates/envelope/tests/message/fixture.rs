//! What the tests of this crate share: a KEK, and messages made and opened with it.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::Path;

use claims::KeyKind;
use envelope::file::AtomicFile;
use envelope::{
    Effort, EncryptionContext, Error, FrameLen, Header, KeyName, Options, Signature, Sink, Source, Wrapping,
    WrappingKey,
};
use keys::{Dek, Kek};

/// A KEK and its name.
pub struct Fixture {
    pub kek: Kek,
    pub name: KeyName,
}

impl Fixture {
    pub fn new() -> Self {
        Self { kek: Kek::generate(KeyKind::Aes256).unwrap(), name: KeyName::new("keyfast", "db/1").unwrap() }
    }

    pub fn wrapping(&self) -> Wrapping<'_> {
        Wrapping { name: self.name.clone(), key: WrappingKey::Kek(&self.kek) }
    }

    /// A message in memory.
    pub fn seal(&self, plaintext: &[u8], options: &Options<'_>) -> Vec<u8> {
        let mut message = Vec::new();
        let (source, sink) = (Source::stream(plaintext), Sink::stream(&mut message));
        envelope::encrypt(source, sink, options, &[self.wrapping()], &workers(1)).unwrap();
        message
    }

    /// A message's data key.
    pub fn dek(&self, message: &[u8]) -> Dek {
        let header = Header::read(&mut Source::stream(message)).unwrap();
        header.unwrap_dek(&self.name, &self.kek).unwrap()
    }

    /// Opens a message that is at hand.
    pub fn open(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut source = Source::stream(message);
        let header = Header::read(&mut source)?;
        let dek = header.unwrap_dek(&self.name, &self.kek)?;
        let mut plaintext = Vec::new();
        envelope::decrypt(source, Sink::stream(&mut plaintext), &header, &dek, &workers(2))?;
        Ok(plaintext)
    }
}

/// Opens a message with a data key that is at hand, into a file.
pub fn open_to_file(message: &[u8], dek: &Dek, path: &Path) -> Result<(), Error> {
    let mut source = Source::stream(message);
    let header = Header::read(&mut source)?;
    let sink = Sink::file(AtomicFile::create(path).unwrap());
    envelope::decrypt(source, sink, &header, dek, &workers(1)).map(drop)
}

pub fn workers(workers: usize) -> Effort<'static> {
    Effort { workers: NonZeroUsize::new(workers).unwrap(), progress: None }
}

/// Options of both suites, with this frame length and a context.
pub fn both_suites(frame_len: u32) -> [Options<'static>; 2] {
    [Signature::None, Signature::OneTime].map(|signature| {
        let pairs =
            [("volume", "a"), ("tenant", "é")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let context = EncryptionContext::new(pairs).unwrap();
        Options { signature, context, frame_len: FrameLen::new(frame_len).unwrap() }
    })
}

/// Bytes without a period that frames could hide.
pub fn bytes(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// The names in a directory.
pub fn names(directory: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    fs::read_dir(directory).unwrap().map(|entry| name(entry.unwrap())).collect()
}

/// A file with these bytes, opened for reading.
pub fn file(directory: &Path, name: &str, bytes: &[u8]) -> File {
    fs::write(directory.join(name), bytes).unwrap();
    File::open(directory.join(name)).unwrap()
}
