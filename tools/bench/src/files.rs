//! The files that are decrypted: one in the envelope's format, one of age, one of bare AES-256-GCM frames; all of the
//! same plaintext length, and all in the page cache once written.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use claims::{KeyId, KeyKind, KeyVersion};
use crypto::RsaPublicKey;
use envelope::{Effort, FrameLen, KeyName, Options, Sink, Source, Wrapping, WrappingKey};
use keys::Kek;

use crate::Failed;

/// Bytes that are no text and do not compress, without end until `left` is 0.
pub struct Noise {
    left: u64,
    state: u64,
}

impl Noise {
    /// So many bytes.
    pub fn new(len: u64) -> Self {
        Self { left: len, state: 0x9e37_79b9_7f4a_7c15 }
    }
}

impl Read for Noise {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        for word in out.get_mut(..len).unwrap_or_default().chunks_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            let bytes = self.state.to_le_bytes();
            word.copy_from_slice(bytes.get(..word.len()).unwrap_or_default());
        }
        self.left = self.left.saturating_sub(len as u64);
        Ok(len)
    }
}

/// A message in the envelope's format, suite 0x0478.
pub struct Message {
    /// Where it is.
    pub path: PathBuf,
    /// A key of ours that opens it.
    pub local: Kek,
    /// What that key is called in it.
    pub local_name: KeyName,
}

impl Message {
    /// Encrypts `len` bytes to version 1 of a broker's key, and to a key of ours.
    pub fn write(dir: &Path, len: u64, key: &KeyId, public: &RsaPublicKey) -> Result<Self, Failed> {
        let (local, local_name) = (Kek::generate(KeyKind::Aes256)?, KeyName::new("bench", "local")?);
        let wrapping = [
            Wrapping { name: KeyName::of(key, KeyVersion(1)), key: WrappingKey::Rsa(public) },
            Wrapping { name: local_name.clone(), key: WrappingKey::Kek(&local) },
        ];
        let path = dir.join("message.kf");
        let source = Source::stream(Noise::new(len));
        envelope::encrypt(source, Sink::create(&path)?, &Options::default(), &wrapping, &Effort::default())?;
        Ok(Self { path, local, local_name })
    }
}

/// The same length encrypted by age, to an X25519 key.
pub struct AgeFile {
    path: PathBuf,
    identity: PathBuf,
}

impl AgeFile {
    /// Encrypts `len` bytes; `None` if age is not installed.
    pub fn write(dir: &Path, len: u64) -> Result<Option<Self>, Failed> {
        let (path, identity) = (dir.join("message.age"), dir.join("age.key"));
        let Ok(made) = Command::new("age-keygen").arg("-o").arg(&identity).output() else { return Ok(None) };
        let recipient = Command::new("age-keygen").arg("-y").arg(&identity).output()?;
        if !made.status.success() || !recipient.status.success() {
            return Err("age-keygen failed".into());
        }
        let recipient = String::from_utf8(recipient.stdout)?;
        let mut age = Command::new("age");
        let mut age = age.args(["-r", recipient.trim(), "-o"]).arg(&path).stdin(Stdio::piped()).spawn()?;
        let mut stdin = age.stdin.take().ok_or("age without a standard input")?;
        std::io::copy(&mut std::io::BufReader::with_capacity(1 << 20, Noise::new(len)), &mut stdin)?;
        stdin.flush()?;
        drop(stdin);
        if age.wait()?.success() { Ok(Some(Self { path, identity })) } else { Err("age failed".into()) }
    }

    /// `age -d` to /dev/null.
    pub fn decrypt(&self) -> Result<(), Failed> {
        let status = Command::new("age")
            .args(["-d", "-i"])
            .arg(&self.identity)
            .arg(&self.path)
            .stdout(Stdio::null())
            .status()?;
        if status.success() { Ok(()) } else { Err("age -d failed".into()) }
    }
}

/// Frames of bare AES-256-GCM, each a ciphertext and its tag, numbered by their nonces.
pub struct BareFrames {
    file: File,
    key: LessSafeKey,
    frame: usize,
    frames: usize,
}

/// Frames that are read at once: as the envelope does.
const FRAMES_READ: usize = 4;
const TAG: usize = 16;

impl BareFrames {
    /// Writes `len` bytes in frames of the length that the envelope uses.
    pub fn write(dir: &Path, len: u64) -> Result<Self, Failed> {
        let frame = usize::try_from(FrameLen::default().value())?;
        let frames = usize::try_from(len)? / frame;
        let unbound = UnboundKey::new(&AES_256_GCM, &[5; 32]).map_err(|_| "no key")?;
        let path = dir.join("message.bare");
        let mut out = std::io::BufWriter::with_capacity(1 << 20, File::create(&path)?);
        let (key, mut noise) = (LessSafeKey::new(unbound), Noise::new(len));
        for number in 0..frames {
            let mut bytes = vec![0; frame];
            noise.read_exact(&mut bytes)?;
            let sealed = key.seal_in_place_append_tag(nonce(number), Aad::empty(), &mut bytes);
            sealed.map_err(|_| "cannot seal")?;
            out.write_all(&bytes)?;
        }
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        Ok(Self { file: File::open(&path)?, key, frame, frames })
    }

    /// Plaintext bytes.
    pub fn len(&self) -> u64 {
        self.frame as u64 * self.frames as u64
    }

    /// Opens every frame, each worker those that it reads.
    pub fn decrypt(&self, workers: usize) -> Result<(), Failed> {
        self.by_all(workers, &vec![0; self.read_len()], |first, sealed, room| {
            self.file.read_exact_at(sealed, (first * (self.frame + TAG)) as u64)?;
            self.open(first, sealed, room)
        })
    }

    /// Opens as many frames that are in the core's own cache: no reads.
    pub fn decrypt_cached(&self, workers: usize) -> Result<(), Failed> {
        let mut kept = vec![0; self.read_len()];
        self.file.read_exact_at(&mut kept, 0)?;
        self.by_all(workers, &kept, |_, sealed, room| self.open(0, sealed, room))
    }

    fn read_len(&self) -> usize {
        FRAMES_READ * (self.frame + TAG)
    }

    /// All workers do `work` on their own copy of `sealed`, which has room for what is read at once.
    fn by_all(
        &self,
        workers: usize,
        sealed: &[u8],
        work: impl Fn(usize, &mut [u8], &mut [u8]) -> Result<(), Failed> + Sync,
    ) -> Result<(), Failed> {
        let next = AtomicUsize::new(0);
        let worker = || -> Result<(), Failed> {
            let mut sealed = sealed.to_vec();
            let mut room = vec![0; self.frame];
            loop {
                let first = next.fetch_add(FRAMES_READ, Ordering::Relaxed);
                let count = self.frames.saturating_sub(first).min(FRAMES_READ);
                if count == 0 {
                    return Ok(());
                }
                let sealed = sealed.get_mut(..count * (self.frame + TAG)).unwrap_or_default();
                work(first, sealed, &mut room)?;
            }
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..workers).map(|_| scope.spawn(worker)).collect();
            worker()?;
            let joined = |other: std::thread::ScopedJoinHandle<'_, Result<(), Failed>>| {
                other.join().unwrap_or_else(|_| Err("a worker ended early".into()))
            };
            others.into_iter().try_for_each(joined)
        })
    }

    fn open(&self, first: usize, sealed: &[u8], room: &mut [u8]) -> Result<(), Failed> {
        for (number, sealed) in (first..).zip(sealed.chunks_exact(self.frame + TAG)) {
            let (ciphertext, tag) = sealed.split_at(self.frame);
            let opened = self.key.open_separate_gather(nonce(number), Aad::empty(), ciphertext, tag, room);
            opened.map_err(|_| "a bare frame does not open")?;
        }
        Ok(())
    }
}

fn nonce(number: usize) -> Nonce {
    let mut bytes = [0; 12];
    bytes.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
    Nonce::assume_unique_for_key(bytes)
}
