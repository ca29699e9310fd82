//! Frames: a message's body in pieces that are encrypted one by one.
//!
//! Layout (AWS Encryption SDK, "Message format reference", framed data; numbers big-endian): number from 1 (4
//! bytes), nonce (12), ciphertext of exactly the frame length, tag (16). The last: `ffffffff`, number, nonce,
//! length (4), ciphertext of 0 to the frame length, tag. The nonce is the number behind eight zeros ("IV
//! reference"). The associated data is the message id, a label, the number, and the length in eight bytes ("Body
//! AAD reference").
//!
//! So a frame cannot be moved, dropped, repeated, renumbered, cut, or made the last.

use crypto::{Aes256Gcm, NONCE_LEN, TAG_LEN};

use crate::error::Inside;
use crate::{MessageError, UsageError};

/// Plaintext bytes in every frame of a message but the last: 1 to 4 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLen(u32);

impl FrameLen {
    /// Longest frame that is read or written, in bytes. Other implementations allow more; memory sets the bound.
    pub const MAX: u32 = 4 * 1024 * 1024;

    /// Takes a number of bytes.
    ///
    /// # Errors
    /// [`UsageError::FrameLength`] unless it is 1 to [`Self::MAX`].
    pub fn new(bytes: u32) -> Result<Self, UsageError> {
        let allowed = (1..=Self::MAX).contains(&bytes);
        if allowed { Ok(Self(bytes)) } else { Err(UsageError::FrameLength { got: bytes }) }
    }

    /// The number of bytes.
    pub fn value(self) -> u32 {
        self.0
    }

    /// The number of bytes, for slices.
    pub(crate) fn bytes(self) -> usize {
        self.0 as usize
    }
}

impl Default for FrameLen {
    /// 64 KiB, the least processor time of those measured. 16 KiB to 1 MiB differ by less than a tenth; 4 KiB take a
    /// sixth more.
    fn default() -> Self {
        Self(64 * 1024)
    }
}

/// Seals and opens the frames of one message.
pub(crate) struct Frames {
    pub(crate) message_id: [u8; 32],
    pub(crate) frame_len: FrameLen,
    pub(crate) aead: Aes256Gcm,
}

/// What [`Frames::open`] found in a run of frames.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Bytes that the frames took.
    pub(crate) body: usize,
    /// Plaintext bytes that they gave.
    pub(crate) plaintext: usize,
    /// Whether the last frame of the message was among them.
    pub(crate) last: bool,
}

impl Frames {
    /// Bytes of a frame that is not the last.
    pub(crate) fn regular_len(frame_len: FrameLen) -> usize {
        frame_len.bytes().saturating_add(REGULAR_OVERHEAD)
    }

    /// Opens up to `count` frames, numbered from `first`, until the last of the message. `out` has room for `count`
    /// frame lengths.
    pub(crate) fn open(
        &self,
        first: u32,
        count: u32,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<Opened, MessageError> {
        let (mut rest, mut room) = (input, out);
        let mut opened = Opened { body: 0, plaintext: 0, last: false };
        for step in 0..count {
            let sequence = first.checked_add(step).ok_or(MessageError::TooManyFrames)?;
            let frame = Frame::parse(sequence, self.frame_len, rest)?;
            let len = frame.ciphertext.len();
            let too_long = MessageError::FinalFrameLength { max: self.frame_len.0, got: u32::MAX };
            let (plaintext, after) = room.split_at_mut_checked(len).ok_or(too_long)?;
            let aad = Aad::new(&self.message_id, frame.last, sequence, len);
            let result =
                self.aead.open_to(nonce(sequence), aad.bytes(), frame.ciphertext, frame.tag, plaintext);
            result.map_err(|_| MessageError::FrameTag { sequence })?;
            opened.plaintext = opened.plaintext.saturating_add(len);
            opened.last = frame.last;
            (rest, room) = (frame.rest, after);
            if frame.last {
                break;
            }
        }
        opened.body = input.len().saturating_sub(rest.len());
        Ok(opened)
    }

    /// Seals `plaintext` as frames numbered from `first`; if it is the end of the message, the last frame holds
    /// what the others leave, at least one byte unless there is none. Gives the bytes written to `out`.
    pub(crate) fn seal(
        &self,
        first: u32,
        plaintext: &[u8],
        last: bool,
        out: &mut [u8],
    ) -> Result<usize, crate::Error> {
        let room = out.len();
        let (mut rest, mut out, mut sequence) = (plaintext, out, Some(first));
        loop {
            let final_frame = last && rest.len() <= self.frame_len.bytes();
            if rest.is_empty() && !final_frame {
                return Ok(room.saturating_sub(out.len()));
            }
            let number =
                sequence.filter(|n| final_frame || *n != LAST_MARK).ok_or(UsageError::TooManyFrames)?;
            let (piece, after) = rest.split_at(rest.len().min(self.frame_len.bytes()));
            out = self.seal_one(number, piece, final_frame, out)?;
            if final_frame {
                return Ok(room.saturating_sub(out.len()));
            }
            (rest, sequence) = (after, number.checked_add(1));
        }
    }

    /// Seals one frame and gives the room that is left.
    fn seal_one<'o>(
        &self,
        sequence: u32,
        plaintext: &[u8],
        last: bool,
        out: &'o mut [u8],
    ) -> Result<&'o mut [u8], crypto::Error> {
        let no_room =
            crypto::Error::Length { what: "room for a frame", expected: plaintext.len(), got: out.len() };
        let mut put = Put(out);
        if last {
            put.copy(&LAST_MARK.to_be_bytes()).ok_or(no_room)?;
        }
        put.copy(&sequence.to_be_bytes()).ok_or(no_room)?;
        put.copy(&nonce(sequence)).ok_or(no_room)?;
        if last {
            let len = u32::try_from(plaintext.len()).map_err(|_| no_room)?;
            put.copy(&len.to_be_bytes()).ok_or(no_room)?;
        }
        let ciphertext = put.copy(plaintext).ok_or(no_room)?;
        let aad = Aad::new(&self.message_id, last, sequence, plaintext.len());
        let tag = self.aead.seal(nonce(sequence), aad.bytes(), ciphertext)?;
        put.copy(&tag).ok_or(no_room)?;
        Ok(put.0)
    }
}

/// One frame of the input.
struct Frame<'a> {
    last: bool,
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_LEN],
    rest: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes the frame of this number off the front of `input`.
    fn parse(sequence: u32, frame_len: FrameLen, input: &'a [u8]) -> Result<Self, MessageError> {
        let truncated = MessageError::Truncated { inside: Inside::Frame(sequence) };
        let number = |bytes: &'a [u8]| {
            let (number, rest) = bytes.split_first_chunk().ok_or(truncated.clone())?;
            Ok((u32::from_be_bytes(*number), rest))
        };
        let (mut got, mut rest) = number(input)?;
        let last = got == LAST_MARK;
        if last {
            (got, rest) = number(rest)?;
        }
        if got != sequence {
            return Err(MessageError::Sequence { expected: sequence, got });
        }
        let (found, mut rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(truncated.clone())?;
        if *found != nonce(sequence) {
            return Err(MessageError::FrameNonce { sequence });
        }
        let mut len = frame_len.0;
        if last {
            (len, rest) = number(rest)?;
        }
        if len > frame_len.0 {
            return Err(MessageError::FinalFrameLength { max: frame_len.0, got: len });
        }
        let (ciphertext, rest) = rest.split_at_checked(len as usize).ok_or(truncated.clone())?;
        let (tag, rest) = rest.split_first_chunk().ok_or(truncated)?;
        Ok(Self { last, ciphertext, tag, rest })
    }
}

/// Copies pieces into a buffer, one behind the other; what is left of it is the field.
struct Put<'o>(&'o mut [u8]);

impl<'o> Put<'o> {
    /// The place of the copy; `None`, and nothing copied, if there is no room.
    fn copy(&mut self, piece: &[u8]) -> Option<&'o mut [u8]> {
        let (place, rest) = core::mem::take(&mut self.0).split_at_mut_checked(piece.len())?;
        place.copy_from_slice(piece);
        self.0 = rest;
        Some(place)
    }
}

/// The associated data of a frame, on the stack.
struct Aad {
    bytes: [u8; AAD_MAX],
    len: usize,
}

impl Aad {
    fn new(message_id: &[u8; 32], last: bool, sequence: u32, len: usize) -> Self {
        let label: &[u8] =
            if last { b"AWSKMSEncryptionClient Final Frame" } else { b"AWSKMSEncryptionClient Frame" };
        let mut bytes = [0; AAD_MAX];
        let mut put = Put(&mut bytes);
        for part in [message_id, label, &sequence.to_be_bytes(), &(len as u64).to_be_bytes()] {
            put.copy(part);
        }
        let len = AAD_MAX.saturating_sub(put.0.len());
        Self { bytes, len }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The nonce of a frame: its number, big-endian, behind zeros. The header's is all zeros, and no frame is 0.
fn nonce(sequence: u32) -> [u8; NONCE_LEN] {
    let [a, b, c, d] = sequence.to_be_bytes();
    [0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
}

/// What stands where the number would, in the last frame.
const LAST_MARK: u32 = u32::MAX;
/// Number, nonce and tag.
const REGULAR_OVERHEAD: usize = 4 + NONCE_LEN + TAG_LEN;
/// How much longer the last frame can be than the others: its mark and its length.
pub(crate) const LAST_EXTRA: usize = 4 + 4;
/// Message id, the longer label, number and length.
const AAD_MAX: usize = 32 + 34 + 4 + 8;
