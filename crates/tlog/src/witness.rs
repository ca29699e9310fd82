//! Cosignatures: a witness says that it has seen this checkpoint, and when, and nothing that contradicts it
//! (C2SP tlog-cosignature, Ed25519, `cosignature/v1`).

use core::fmt;
use core::str::FromStr;

use claims::UnixTime;

use crate::name::NamedKey;
use crate::note::{self, NoteError, VerifiedNote};
use crate::{BadKey, KeyName};

/// A witness's public key (signature type 0x04). Never taken for a log's: the types differ.
#[derive(Clone, Debug)]
pub struct WitnessKey(NamedKey);

/// A witness has seen a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// Which witness.
    pub witness: KeyName,
    /// When it signed, by its own clock.
    pub time: UnixTime,
}

impl WitnessKey {
    /// Names a public key.
    ///
    /// # Errors
    /// [`BadKey::Crypto`] if it is none.
    pub fn new(name: KeyName, public: &[u8; 32]) -> Result<Self, BadKey> {
        NamedKey::new(name, COSIGNATURE_V1, public).map(Self)
    }

    /// Its name.
    pub fn name(&self) -> &KeyName {
        &self.0.name
    }

    /// Its id, which tells keys of one name apart; no proof of anything.
    pub fn id(&self) -> u32 {
        self.0.id
    }
}

impl FromStr for WitnessKey {
    type Err = BadKey;

    /// Reads `name+hash+key`.
    fn from_str(text: &str) -> Result<Self, BadKey> {
        NamedKey::parse(text, COSIGNATURE_V1).map(Self)
    }
}

/// `name+hash+key`.
impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What each of these witnesses says of a note; those that say nothing are left out.
pub(crate) fn cosignatures(
    note: &VerifiedNote<'_>,
    witnesses: &[WitnessKey],
) -> Result<Vec<Cosignature>, NoteError> {
    let one = |WitnessKey(key): &WitnessKey| {
        note.signature_of(key).map(|signature| cosignature(note, key, signature))
    };
    witnesses.iter().filter_map(one).collect()
}

fn cosignature(note: &VerifiedNote<'_>, key: &NamedKey, bytes: &[u8]) -> Result<Cosignature, NoteError> {
    let bad = || NoteError::BadSignature { name: key.name.clone(), id: key.id };
    let (time, signature) = bytes.split_first_chunk::<8>().ok_or_else(bad)?;
    let time = u64::from_be_bytes(*time);
    if i64::try_from(time).is_err() {
        return Err(bad());
    }
    note::check(key, cosigned(time, note.text()).as_bytes(), signature)?;
    Ok(Cosignature { witness: key.name.clone(), time: UnixTime(time) })
}

/// What a witness signs: a header, the time in seconds since 1970, and the checkpoint's text.
fn cosigned(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// Signature type of an Ed25519 cosignature.
const COSIGNATURE_V1: u8 = 0x04;
