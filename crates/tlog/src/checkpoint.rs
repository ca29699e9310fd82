//! [`Checkpoint`]: a log's size and root as a text that is signed (C2SP tlog-checkpoint).
//!
//! Three lines: origin, size in decimal, root in base64. Extension lines, which the format allows and advises
//! against, are refused: nothing here would check them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::note::{NoteError, SignedNote, Signer, VerifiedNote, VerifierKey};
use crate::witness::{self, Cosignature, WitnessKey};
use crate::{Hash, KeyName};

/// A log's state: plain data, which proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: KeyName,
    /// Number of leaves.
    pub size: u64,
    /// The tree's root.
    pub root: Hash,
}

/// Why a checkpoint is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The note around it is refused.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A line is missing, malformed, or too many.
    #[error("not a checkpoint: expected {expected}")]
    Malformed {
        /// What its text should have there.
        expected: &'static str,
    },
    /// It is another log's.
    #[error("the checkpoint is of another log: expected `{expected}`, got `{got}`")]
    Origin {
        /// The log asked for.
        expected: KeyName,
        /// The log found.
        got: KeyName,
    },
}

impl Checkpoint {
    /// The text that is signed, its last newline included.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// Reads such a text.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] for any other.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = |expected| CheckpointError::Malformed { expected };
        let text = text.strip_suffix('\n').ok_or(malformed("a newline at the end"))?;
        let mut lines = text.split('\n');
        let origin = lines.next().and_then(|line| line.parse().ok());
        let size = lines.next().and_then(|line| line.parse::<u64>().ok().filter(|n| n.to_string() == line));
        let root = lines.next().filter(|line| line.len() == ROOT_TEXT).and_then(|l| STANDARD.decode(l).ok());
        if lines.next().is_some() {
            return Err(malformed("no extension lines"));
        }
        Ok(Self {
            origin: origin.ok_or(malformed("an origin in its first line"))?,
            size: size.ok_or(malformed("a size in decimal in its second line"))?,
            root: root
                .and_then(|r| r.try_into().ok())
                .map(Hash)
                .ok_or(malformed("a root in its third line"))?,
        })
    }

    /// The signed note.
    ///
    /// # Errors
    /// [`NoteError`] never, for a checkpoint with a valid origin.
    pub fn sign(&self, signer: &Signer) -> Result<Vec<u8>, NoteError> {
        signer.sign(&self.text())
    }
}

/// A checkpoint that a log has signed with a key that the caller named.
pub struct VerifiedCheckpoint<'a> {
    note: VerifiedNote<'a>,
    checkpoint: Checkpoint,
}

impl<'a> VerifiedCheckpoint<'a> {
    /// Checks a signed checkpoint: 1. the note's form, 2. a signature by one of `keys` and none of them wrong,
    /// 3. the text, 4. the origin.
    ///
    /// # Errors
    /// [`CheckpointError`], one for each.
    pub fn open(note: &'a [u8], origin: &KeyName, keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let note = SignedNote::parse(note)?.verify(keys)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != *origin {
            return Err(CheckpointError::Origin { expected: origin.clone(), got: checkpoint.origin });
        }
        Ok(Self { note, checkpoint })
    }

    /// What was signed.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Which of these witnesses have seen it, and when. How many are enough is the caller's to say.
    ///
    /// # Errors
    /// [`CheckpointError::Note`] if one of them has not signed this.
    pub fn cosignatures(&self, witnesses: &[WitnessKey]) -> Result<Vec<Cosignature>, CheckpointError> {
        Ok(witness::cosignatures(&self.note, witnesses)?)
    }
}

/// Characters of a root in base64.
const ROOT_TEXT: usize = 44;
