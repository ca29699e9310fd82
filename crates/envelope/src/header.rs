//! [`Header`]: everything before the first frame.
//!
//! Layout (AWS Encryption SDK, "Message format reference", header version 2; numbers big-endian): version 2 (1
//! byte), suite (2), message id (32), context length (2) and context, number of encrypted data keys (2) and for
//! each the lengths (2) and bytes of provider, information and ciphertext, content type (1), frame length (4), key
//! commitment (32). Then the tag (16) of AES-256-GCM over nothing, with a nonce of zeros and all of that as
//! associated data.
//!
//! Bounds come first: no field is read, and nothing allocated for it, once the header would pass
//! [`crate::MAX_HEADER`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use crypto::{Aes256Gcm, NONCE_LEN, P384PublicKey, TAG_LEN};
use keys::{Dek, Kek};

use crate::context::put_len;
use crate::edk::EncryptedDataKey;
use crate::error::Inside;
use crate::{
    AlgorithmSuite, EncryptionContext, Error, FrameLen, KeyName, MAX_DATA_KEYS, MAX_HEADER, MessageError,
    Source, UsageError, WrappedDek,
};

/// A message's header as it was read. Nothing in it is authentic until [`crate::decrypt`] succeeded.
#[derive(Debug)]
pub struct Header {
    suite: AlgorithmSuite,
    message_id: [u8; 32],
    context: EncryptionContext,
    data_keys: Vec<EncryptedDataKey>,
    frame_len: FrameLen,
    commitment: [u8; 32],
    signer: Option<Signer>,
    /// All bytes but the tag.
    body: Vec<u8>,
    tag: [u8; TAG_LEN],
}

impl Header {
    /// Reads a header; `source` then stands at the first frame.
    ///
    /// # Errors
    /// [`Error::Read`], and [`MessageError`]s for whatever is malformed, unsupported or too large.
    pub fn read(source: &mut Source<'_>) -> Result<Self, Error> {
        let mut intake = Intake { source, read: Vec::with_capacity(512) };
        let [version] = intake.array()?;
        if version != VERSION {
            return Err(MessageError::Version { got: version }.into());
        }
        let suite = AlgorithmSuite::from_code(u16::from_be_bytes(intake.array()?))?;
        let message_id = intake.array()?;
        let context = EncryptionContext::decode(&intake.counted()?)?;
        let data_keys = read_data_keys(&mut intake)?;
        let frame_len = read_frame_len(&mut intake)?;
        let commitment = intake.array()?;
        let (body, tag) = intake.finish()?;
        let signer = Signer::of(suite, &context)?;
        Ok(Self { suite, message_id, context, data_keys, frame_len, commitment, signer, body, tag })
    }

    /// The suite.
    pub fn suite(&self) -> AlgorithmSuite {
        self.suite
    }

    /// The encryption context, the signer's public key included.
    pub fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// The public key that the message says it is signed by: a compressed point on P-384, 49 bytes. It proves an
    /// origin only where it equals a key that the caller pinned.
    pub fn signer(&self) -> Option<&[u8; 49]> {
        self.signer.as_ref().map(|signer| &signer.point)
    }

    /// Plaintext bytes in every frame but the last.
    pub fn frame_len(&self) -> FrameLen {
        self.frame_len
    }

    /// The keys that the data key is wrapped under, those of keyrings unknown here left out.
    pub fn key_names(&self) -> impl Iterator<Item = KeyName> {
        self.data_keys.iter().filter_map(EncryptedDataKey::key_name)
    }

    /// The data key as it is wrapped under the key of this name; the first, if there are several.
    ///
    /// # Errors
    /// [`MessageError::NoDataKeyFor`] with the names that the header has.
    pub fn wrapped_dek(&self, name: &KeyName) -> Result<WrappedDek, MessageError> {
        // Decoding took nothing that encoding refuses.
        let context = || self.context.encode().unwrap_or_default();
        let found = self.data_keys.iter().find_map(|entry| entry.wrapped_under(name, context));
        found.ok_or_else(|| {
            let names: Vec<_> = self.key_names().map(|name| format!("`{name}`")).collect();
            let found = if names.is_empty() { "no known keyring".to_owned() } else { names.join(", ") };
            MessageError::NoDataKeyFor { wanted: name.to_string(), found }
        })
    }

    /// Unwraps the data key with a KEK that is at hand.
    ///
    /// # Errors
    /// As [`Self::wrapped_dek`]; [`Error::Key`] if the KEK does not open it.
    pub fn unwrap_dek(&self, name: &KeyName, kek: &Kek) -> Result<Dek, Error> {
        let entry = self.wrapped_dek(name)?;
        Ok(kek.unwrap_dek(entry.algorithm, &entry.wrapped, &entry.context)?)
    }

    /// Makes the header of a new message, and the key that its frames are under.
    pub(crate) fn create(
        suite: AlgorithmSuite,
        context: EncryptionContext,
        data_keys: Vec<EncryptedDataKey>,
        frame_len: FrameLen,
        dek: &Dek,
    ) -> Result<(Self, Aes256Gcm), Error> {
        let message_id = crypto::random_array()?;
        let signer = Signer::of(suite, &context)?;
        let commitment = suite.commitment(dek, &message_id)?;
        let body = vec![];
        let mut header = Self {
            suite,
            message_id,
            context,
            data_keys,
            frame_len,
            commitment,
            signer,
            body,
            tag: [0; TAG_LEN],
        };
        header.body = header.encode()?;
        let aead = suite.aead(dek, &message_id)?;
        header.tag = aead.seal([0; NONCE_LEN], &header.body, &mut [])?;
        Ok((header, aead))
    }

    /// Checks that `dek` is the one committed to, then the tag; gives the key that the frames are under.
    pub(crate) fn verify(&self, dek: &Dek) -> Result<Aes256Gcm, Error> {
        if !crypto::ct_eq(&self.suite.commitment(dek, &self.message_id)?, &self.commitment) {
            return Err(MessageError::Commitment.into());
        }
        let aead = self.suite.aead(dek, &self.message_id)?;
        let opened = aead.open([0; NONCE_LEN], &self.body, &mut [], &self.tag);
        opened.map_err(|_| MessageError::HeaderTag)?;
        Ok(aead)
    }

    pub(crate) fn message_id(&self) -> [u8; 32] {
        self.message_id
    }

    pub(crate) fn signer_key(&self) -> Option<&P384PublicKey> {
        self.signer.as_ref().map(|signer| &signer.key)
    }

    /// All bytes, as they stand in the message.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [self.body.as_slice(), &self.tag].concat()
    }

    /// Lays out all but the tag.
    fn encode(&self) -> Result<Vec<u8>, UsageError> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.suite.code().to_be_bytes());
        out.extend_from_slice(&self.message_id);
        put_counted(&mut out, &self.context.encode()?)?;
        put_len(&mut out, self.data_keys.len())?;
        for entry in &self.data_keys {
            put_counted(&mut out, entry.provider.as_bytes())?;
            put_counted(&mut out, &entry.information)?;
            put_counted(&mut out, &entry.ciphertext)?;
        }
        out.push(FRAMED);
        out.extend_from_slice(&self.frame_len.value().to_be_bytes());
        out.extend_from_slice(&self.commitment);
        let got = out.len().saturating_add(TAG_LEN);
        if got > MAX_HEADER { Err(UsageError::HeaderTooLong { got }) } else { Ok(out) }
    }
}

/// The public key that a signed message carries in its context.
#[derive(Debug)]
struct Signer {
    point: [u8; 49],
    key: P384PublicKey,
}

impl Signer {
    /// The key of a signed suite; an unsigned one must have none, or a stripped signature would go unnoticed.
    fn of(suite: AlgorithmSuite, context: &EncryptionContext) -> Result<Option<Self>, MessageError> {
        let wrong = |defect| MessageError::SignerKey { defect };
        match (suite.is_signed(), context.signer()) {
            (false, None) => Ok(None),
            (false, Some(_)) => Err(wrong("there, but the suite has no signature")),
            (true, None) => Err(wrong("missing")),
            (true, Some(text)) => {
                let point = BASE64.decode(text).map_err(|_| wrong("not base64"))?;
                let point = <[u8; 49]>::try_from(point).map_err(|_| wrong("not 49 bytes long"))?;
                let key = P384PublicKey::from_sec1(&point).map_err(|_| wrong("not a point on P-384"))?;
                Ok(Some(Self { point, key }))
            }
        }
    }
}

/// Encodes a signer's compressed point as the context carries it.
pub(crate) fn encode_signer(point: &[u8]) -> String {
    BASE64.encode(point)
}

fn read_data_keys(intake: &mut Intake<'_, '_>) -> Result<Vec<EncryptedDataKey>, Error> {
    let count = u16::from_be_bytes(intake.array()?);
    if count == 0 || usize::from(count) > MAX_DATA_KEYS {
        return Err(MessageError::DataKeyCount { got: count }.into());
    }
    let read = |index| {
        let provider = String::from_utf8(intake.counted()?);
        let provider = provider.map_err(|_| MessageError::DataKeyProvider { index })?;
        Ok(EncryptedDataKey { provider, information: intake.counted()?, ciphertext: intake.counted()? })
    };
    (0..usize::from(count)).map(read).collect()
}

fn read_frame_len(intake: &mut Intake<'_, '_>) -> Result<FrameLen, Error> {
    match intake.array()? {
        [FRAMED] => {}
        [NOT_FRAMED] => return Err(MessageError::NotFramed.into()),
        [got] => return Err(MessageError::ContentType { got }.into()),
    }
    let got = u32::from_be_bytes(intake.array()?);
    Ok(FrameLen::new(got).map_err(|_| MessageError::FrameLength { got })?)
}

/// Takes fields off a source and keeps what it took, up to [`MAX_HEADER`] bytes.
struct Intake<'s, 'a> {
    source: &'s mut Source<'a>,
    read: Vec<u8>,
}

impl Intake<'_, '_> {
    /// A field of a fixed length.
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut field = [0; N];
        self.take(&mut field)?;
        Ok(field)
    }

    /// A field behind its length.
    fn counted(&mut self) -> Result<Vec<u8>, Error> {
        let len = usize::from(u16::from_be_bytes(self.array()?));
        self.check_room(len)?;
        let mut field = vec![0; len];
        self.take(&mut field)?;
        Ok(field)
    }

    /// All that was taken, and the tag that follows it.
    fn finish(mut self) -> Result<(Vec<u8>, [u8; TAG_LEN]), Error> {
        let body = self.read.clone();
        Ok((body, self.array()?))
    }

    fn take(&mut self, field: &mut [u8]) -> Result<(), Error> {
        self.check_room(field.len())?;
        let read = self.source.read_full(field).map_err(Error::Read)?;
        if read < field.len() {
            return Err(MessageError::Truncated { inside: Inside::Header }.into());
        }
        self.read.extend_from_slice(field);
        Ok(())
    }

    fn check_room(&self, len: usize) -> Result<(), MessageError> {
        let fits = self.read.len().saturating_add(len) <= MAX_HEADER;
        if fits { Ok(()) } else { Err(MessageError::HeaderTooLong) }
    }
}

fn put_counted(out: &mut Vec<u8>, field: &[u8]) -> Result<(), UsageError> {
    put_len(out, field.len())?;
    out.extend_from_slice(field);
    Ok(())
}

const VERSION: u8 = 2;
const NOT_FRAMED: u8 = 1;
const FRAMED: u8 = 2;
