//! Reading a message's body.
//!
//! 1. The data key is the one that the header commits to, compared in constant time.
//! 2. The header's tag.
//! 3. Every frame: number, nonce, length, tag (`frame`).
//! 4. The footer's length, and that nothing follows the message.
//! 5. In a signed suite, the signature over all before it.
//! 6. Only then the output gets its name.
//!
//! Source: AWS Encryption SDK, "How the AWS Encryption SDK works" and "Message format reference".

use std::os::unix::fs::FileExt;

use crypto::Sha384;
use keys::Dek;

use crate::error::Inside;
use crate::frame::{Frames, LAST_EXTRA, Opened};
use crate::pipeline::{self, End, Slot};
use crate::{Effort, Error, FrameLen, Header, MessageError, Sink, Source, Summary};

/// Decrypts the body that `source` stands at; `header` was read from it, `dek` was unwrapped from `header`.
///
/// Memory is bounded by 40 MiB of buffers, whatever the message says of itself.
///
/// # Errors
/// [`MessageError::Commitment`] if `dek` is another key; [`MessageError`]s for whatever does not verify; [`Error::Read`],
/// [`Error::Write`]. On any of them a file gets no name, and a stream has seen a part of the plaintext at most.
pub fn decrypt(
    source: Source<'_>,
    mut sink: Sink<'_>,
    header: &Header,
    dek: &Dek,
    effort: &Effort<'_>,
) -> Result<Summary, Error> {
    let aead = header.verify(dek)?;
    let frames = Frames { message_id: header.message_id(), frame_len: header.frame_len(), aead };
    let layout = Layout::of(header);
    let chunks = source.into_chunks(layout.step(), layout.overlap());

    let (file, stream) = sink.ends();
    let work = |index, slot: &mut Slot| {
        let last = layout.open_chunk(&frames, index, slot)?;
        let opened = slot.output.filled();
        let position = layout.position(index);
        if let Some(file) = file {
            file.write_all_at(opened, position).map_err(Error::Write)?;
        }
        effort.report(opened.len());
        let end = position.saturating_add(opened.len() as u64);
        Ok(last.then_some(End { plaintext: end, output: end }))
    };
    let mut tail = Tail { signed: header.signer_key().map(|key| (hash_of(header), key)), stream };
    let needs_order = tail.signed.is_some() || tail.stream.is_some();
    let mut in_order = |slot: &Slot| tail.accept(slot);
    let end = pipeline::run(&chunks, layout.room(), effort, &work, needs_order.then_some(&mut in_order))?;
    sink.finish(end.output)?;
    Ok(Summary { plaintext: end.plaintext, signer: header.signer().copied() })
}

/// How many frames make a chunk, and where chunks are.
pub(crate) struct Layout {
    frame_len: FrameLen,
    signed: bool,
    /// Frames in a chunk.
    pub(crate) count: u32,
}

impl Layout {
    pub(crate) fn of(header: &Header) -> Self {
        let frame_len = header.frame_len();
        let count = CHUNK.checked_div(frame_len.value()).unwrap_or(1).max(1);
        Self { frame_len, signed: header.suite().is_signed(), count }
    }

    /// The number of a chunk's first frame.
    pub(crate) fn first_frame(&self, index: u64) -> Option<u32> {
        u32::try_from(index.checked_mul(u64::from(self.count))?.checked_add(1)?).ok()
    }

    /// Bytes of a chunk's frames in the message.
    pub(crate) fn step(&self) -> usize {
        Frames::regular_len(self.frame_len).saturating_mul(self.count as usize)
    }

    /// Plaintext bytes of a chunk.
    pub(crate) fn room(&self) -> usize {
        self.frame_len.bytes().saturating_mul(self.count as usize)
    }

    /// Bytes that this many of plaintext take in frames, at most.
    pub(crate) fn sealed_len(&self, plaintext: usize) -> usize {
        let frames = plaintext.div_ceil(self.frame_len.bytes().max(1)).max(1);
        let overhead = Frames::regular_len(self.frame_len).saturating_sub(self.frame_len.bytes());
        plaintext.saturating_add(frames.saturating_mul(overhead)).saturating_add(LAST_EXTRA)
    }

    /// What follows a chunk's frames and can belong to it: the last frame is longer, the footer stands behind it,
    /// and one byte more shows that something follows the message.
    fn overlap(&self) -> usize {
        let footer = if self.signed { FOOTER_MAX } else { 0 };
        LAST_EXTRA.saturating_add(footer).saturating_add(1)
    }

    /// Where a chunk's plaintext begins.
    pub(crate) fn position(&self, index: u64) -> u64 {
        index.saturating_mul(self.room() as u64)
    }

    /// Steps 3 and 4 for one chunk.
    fn open_chunk(&self, frames: &Frames, index: u64, slot: &mut Slot) -> Result<bool, MessageError> {
        let first = self.first_frame(index).ok_or(MessageError::TooManyFrames)?;
        let mut opened = Opened { body: 0, plaintext: 0, last: false };
        let Slot { input, output, .. } = slot;
        let room = self.room().min(input.filled().len());
        output.fill(room, |room| {
            opened = frames.open(first, self.count, input.filled(), room)?;
            Ok(opened.plaintext)
        })?;
        slot.body = opened.body;
        if opened.last {
            let rest = slot.input.filled().get(opened.body..).unwrap_or_default();
            slot.signature = read_footer(self.signed, rest)?;
        }
        Ok(opened.last)
    }
}

/// Reads what follows the last frame: a signature where there is one, and nothing else.
fn read_footer(signed: bool, rest: &[u8]) -> Result<Option<Vec<u8>>, MessageError> {
    if !signed {
        return if rest.is_empty() { Ok(None) } else { Err(MessageError::TrailingBytes) };
    }
    let truncated = MessageError::Truncated { inside: Inside::Footer };
    let (len, rest) = rest.split_first_chunk().ok_or(truncated.clone())?;
    let got = u16::from_be_bytes(*len);
    if !(SIGNATURE_MIN..=SIGNATURE_MAX).contains(&got) {
        return Err(MessageError::SignatureLength { got });
    }
    match rest.split_at_checked(usize::from(got)) {
        None => Err(truncated),
        Some((signature, [])) => Ok(Some(signature.to_vec())),
        Some(_) => Err(MessageError::TrailingBytes),
    }
}

fn hash_of(header: &Header) -> Sha384 {
    let mut hash = Sha384::new();
    hash.update(&header.to_bytes());
    hash
}

/// What needs the chunks in order: the hash that was signed, and a stream.
struct Tail<'a, 's> {
    signed: Option<(Sha384, &'a crypto::P384PublicKey)>,
    stream: Option<&'a mut (dyn std::io::Write + Send + 's)>,
}

impl Tail<'_, '_> {
    /// Step 5 once the signature is there, and before a stream gets the chunk that it stands behind.
    fn accept(&mut self, slot: &Slot) -> Result<(), Error> {
        if let Some((hash, key)) = &mut self.signed {
            hash.update(slot.input.filled().get(..slot.body).unwrap_or_default());
            if let Some(signature) = &slot.signature {
                let verified = key.verify_der_digest(&hash.clone().finish(), signature);
                verified.map_err(|_| MessageError::Signature)?;
            }
        }
        match &mut self.stream {
            Some(stream) => stream.write_all(slot.output.filled()).map_err(Error::Write),
            None => Ok(()),
        }
    }
}

/// Plaintext bytes that a chunk is to have: buffers then fit a core's second-level cache.
const CHUNK: u32 = 256 * 1024;
/// The shortest ECDSA signature in DER: two integers of one byte.
const SIGNATURE_MIN: u16 = 8;
/// The longest ECDSA signature on P-384 in DER: two integers of 49 bytes.
const SIGNATURE_MAX: u16 = 104;
/// The footer: the signature's length, and the signature.
const FOOTER_MAX: usize = 2 + SIGNATURE_MAX as usize;
