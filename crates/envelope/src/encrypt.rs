//! Writing a message.
//!
//! The plaintext is cut into frames; the last holds the rest, at least one byte unless there is none at all. All
//! randomness (data key, message id, signing key, padding) comes from the system.

use std::io::Write;
use std::os::unix::fs::FileExt;

use crypto::{P384SigningKey, Sha384};
use keys::Dek;

use crate::decrypt::Layout;
use crate::edk::EncryptedDataKey;
use crate::frame::Frames;
use crate::header::encode_signer;
use crate::pipeline::{self, End, Slot};
use crate::{
    AlgorithmSuite, Effort, EncryptionContext, Error, FrameLen, Header, MAX_DATA_KEYS, Sink, Source, Summary,
    UsageError, Wrapping,
};

/// What a new message is to be like.
#[derive(Default)]
pub struct Options<'a> {
    /// Whether and how it is signed; decides the suite.
    pub signature: Signature<'a>,
    /// What it is about: authenticated and in clear.
    pub context: EncryptionContext,
    /// Plaintext bytes in a frame.
    pub frame_len: FrameLen,
}

/// How a message is signed.
#[derive(Default)]
pub enum Signature<'a> {
    /// Not at all: suite 0x0478.
    #[default]
    None,
    /// With a key made for this message and then forgotten, as other implementations do: suite 0x0578. It shows
    /// that header and frames are of one hand, not of whose.
    OneTime,
    /// With a key that readers may have pinned: suite 0x0578.
    By(&'a P384SigningKey),
}

/// Encrypts what is left of `source` under a fresh data key, wrapped under each key of `wrapping`.
///
/// # Errors
/// [`UsageError`]s, [`Error::Key`] or [`Error::Crypto`] if a wrapping key cannot be used, [`Error::Read`],
/// [`Error::Write`]. On any of them a file gets no name.
pub fn encrypt(
    source: Source<'_>,
    mut sink: Sink<'_>,
    options: &Options<'_>,
    wrapping: &[Wrapping<'_>],
    effort: &Effort<'_>,
) -> Result<Summary, Error> {
    let (header, frames, signing) = start(options, wrapping)?;
    let layout = Layout::of(&header);
    let head = header.to_bytes();
    sink.put(&head, 0)?;
    let mut hash = signing.is_some().then(Sha384::new);
    if let Some(hash) = &mut hash {
        hash.update(&head);
    }

    // One byte beyond a chunk shows whether it is the last.
    let chunks = source.into_chunks(layout.room(), 1);
    let start = head.len() as u64;
    let (file, mut stream) = sink.ends();
    let work = |index, slot: &mut Slot| {
        let last = seal_chunk(&layout, &frames, index, slot)?;
        let sealed = slot.output.filled();
        let position = index.saturating_mul(layout.step() as u64).saturating_add(start);
        if let Some(file) = file {
            file.write_all_at(sealed, position).map_err(Error::Write)?;
        }
        effort.report(slot.body);
        let plaintext = layout.position(index).saturating_add(slot.body as u64);
        Ok(last.then_some(End { plaintext, output: position.saturating_add(sealed.len() as u64) }))
    };
    let needs_order = hash.is_some() || stream.is_some();
    let mut in_order = |slot: &Slot| accept(&mut hash, &mut stream, slot);
    let room = layout.sealed_len(layout.room());
    let mut end = pipeline::run(&chunks, room, effort, &work, needs_order.then_some(&mut in_order))?;

    if let (Some(hash), Some(signing)) = (hash, signing) {
        let footer = footer(&signing, hash)?;
        sink.put(&footer, end.output)?;
        end.output = end.output.saturating_add(footer.len() as u64);
    }
    sink.finish(end.output)?;
    Ok(Summary { plaintext: end.plaintext, signer: header.signer().copied() })
}

/// Makes the data key, wraps it and makes the header.
fn start<'a>(
    options: &Options<'a>,
    wrapping: &[Wrapping<'_>],
) -> Result<(Header, Frames, Option<SigningKey<'a>>), Error> {
    check_names(wrapping)?;
    let signing = match options.signature {
        Signature::None => None,
        Signature::OneTime => Some(SigningKey::OneTime(P384SigningKey::generate()?)),
        Signature::By(key) => Some(SigningKey::Pinned(key)),
    };
    let (suite, context) = match &signing {
        None => (AlgorithmSuite::Committing, options.context.clone()),
        Some(key) => {
            let point = encode_signer(&key.key().public_sec1_compressed()?);
            (AlgorithmSuite::CommittingSigned, options.context.clone().with_signer(point))
        }
    };
    let dek = Dek::generate()?;
    let encoded = context.encode()?;
    let data_keys = wrapping.iter().map(|key| EncryptedDataKey::wrap(key, &dek, &encoded));
    let data_keys = data_keys.collect::<Result<_, _>>()?;
    let (header, aead) = Header::create(suite, context, data_keys, options.frame_len, &dek)?;
    let frames = Frames { message_id: header.message_id(), frame_len: options.frame_len, aead };
    Ok((header, frames, signing))
}

fn check_names(wrapping: &[Wrapping<'_>]) -> Result<(), UsageError> {
    if wrapping.is_empty() || wrapping.len() > MAX_DATA_KEYS {
        return Err(UsageError::WrappingKeyCount { got: wrapping.len() });
    }
    for (i, one) in wrapping.iter().enumerate() {
        if wrapping.iter().skip(i.saturating_add(1)).any(|other| other.name == one.name) {
            return Err(UsageError::RepeatedKeyName { name: one.name.to_string() });
        }
    }
    Ok(())
}

/// Seals one chunk; whether it is the last shows in what was read.
fn seal_chunk(layout: &Layout, frames: &Frames, index: u64, slot: &mut Slot) -> Result<bool, Error> {
    let first = layout.first_frame(index).ok_or(UsageError::TooManyFrames)?;
    let Slot { input, output, body, .. } = slot;
    let read = input.filled();
    if read.is_empty() && index > 0 {
        return Err(UsageError::InputShrank.into());
    }
    let last = read.len() <= layout.room();
    let plaintext = read.get(..layout.room()).unwrap_or(read);
    *body = plaintext.len();
    let room = layout.sealed_len(plaintext.len());
    output.fill(room, |room| frames.seal(first, plaintext, last, room))?;
    Ok(last)
}

/// What needs the chunks in order: the hash that will be signed, and a stream.
fn accept(
    hash: &mut Option<Sha384>,
    stream: &mut Option<&mut (dyn Write + Send + '_)>,
    slot: &Slot,
) -> Result<(), Error> {
    if let Some(hash) = hash {
        hash.update(slot.output.filled());
    }
    match stream {
        Some(stream) => stream.write_all(slot.output.filled()).map_err(Error::Write),
        None => Ok(()),
    }
}

/// The signature behind its length.
fn footer(signing: &SigningKey<'_>, hash: Sha384) -> Result<Vec<u8>, Error> {
    let signature = signing.key().sign_der_digest(&hash.finish())?;
    let len = u16::try_from(signature.len()).map_err(|_| crypto::Error::Internal { what: "ecdsa sign" })?;
    Ok([&len.to_be_bytes()[..], &signature].concat())
}

enum SigningKey<'a> {
    OneTime(P384SigningKey),
    Pinned(&'a P384SigningKey),
}

impl SigningKey<'_> {
    fn key(&self) -> &P384SigningKey {
        match self {
            Self::OneTime(key) => key,
            Self::Pinned(key) => key,
        }
    }
}
