//! A software vTPM: an attestation key, an endorsement key, PCRs of the SHA-256 bank, an event log, and quotes.
//!
//! As with reports, what a quote says can be altered *before* it is signed ([`QuoteSpec`], all fields open), the key can
//! be given other attributes ([`KeySpec`]), and anything at all can be signed ([`VTpm::sign`]), so that tests reach every
//! check of the verifier. [`evidence`] puts the parts together for each platform, [`guest`] is a guest with a
//! vTPM, and [`ek`] has the certificates of endorsement keys.
//!
//! The encoder is this crate's own (TCG TPM 2.0 Library 1.59, part 2; TCG PC Client Platform Firmware Profile 1.06).

mod credential;
pub mod ek;
pub mod evidence;
pub mod guest;
pub mod log;

use core::fmt;
use std::sync::Arc;

use crypto::{EcdhCurve, RsaPrivateKey, RsaScheme};

use crate::SimError;
use credential::EndorsementKey;
use log::EventLog;

/// A vTPM's attestation key and endorsement key.
pub struct KeyPair {
    ak: RsaPrivateKey,
    ek: EndorsementKey,
}

/// A vTPM.
pub struct VTpm {
    keys: Arc<KeyPair>,
    /// What the attestation key's public area says besides the key.
    pub ak_spec: KeySpec,
    /// The SHA-256 bank.
    pub pcrs: [[u8; 32]; 24],
    /// The log of what was measured with [`Self::measure`].
    pub log: EventLog,
}

/// What a public area says besides the key. Every value is possible, sensible or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// nameAlg; 0x000b is SHA-256.
    pub name_algorithm: u16,
    /// objectAttributes.
    pub attributes: u32,
    /// Scheme and hash; `None` is TPM_ALG_NULL.
    pub scheme: Option<(u16, u16)>,
}

/// What a quote says, to be altered before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteSpec {
    /// magic; 0xff544347 is a TPM's.
    pub magic: u32,
    /// type; 0x8018 is a quote.
    pub kind: u16,
    /// qualifiedSigner, as a TPM2B_NAME has it.
    pub qualified_signer: Vec<u8>,
    /// extraData.
    pub extra_data: Vec<u8>,
    /// clock in milliseconds, resetCount, restartCount, safe.
    pub clock: (u64, u32, u32, u8),
    /// firmwareVersion.
    pub firmware_version: u64,
    /// Bank and bits of the selection.
    pub selection: Vec<(u16, u32)>,
    /// pcrDigest.
    pub pcr_digest: Vec<u8>,
}

/// A quote's parts, as they stand in evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// TPMS_ATTEST.
    pub attest: Vec<u8>,
    /// TPMT_SIGNATURE.
    pub signature: Vec<u8>,
    /// PCR values with their banks and indices.
    pub pcrs: Vec<u8>,
    /// The event log; empty where none is sent.
    pub log: Vec<u8>,
}

impl KeySpec {
    /// A restricted key for quotes with RSASSA and SHA-256.
    pub fn attestation() -> Self {
        Self { name_algorithm: SHA256, attributes: 0x0005_0072, scheme: Some((RSASSA, SHA256)) }
    }
}

impl KeyPair {
    /// Fresh keys of 2048 bits. Takes a moment.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn generate() -> Result<Self, SimError> {
        let (ak, ek) = (RsaPrivateKey::generate(2048)?, RsaPrivateKey::generate(2048)?);
        Ok(Self { ak, ek: EndorsementKey::Rsa(ek) })
    }

    /// As [`Self::generate`], with an endorsement key on a curve: template L-2 on P-256, H-3 on P-384.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn generate_on(curve: EcdhCurve) -> Result<Self, SimError> {
        Ok(Self { ak: RsaPrivateKey::generate(2048)?, ek: EndorsementKey::generate_on(curve)? })
    }
}

impl VTpm {
    /// A vTPM with fresh keys, PCRs of zeros and an empty log.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn generate() -> Result<Self, SimError> {
        Ok(Self::with_keys(Arc::new(KeyPair::generate()?)))
    }

    /// A vTPM with these keys, as after a reset: PCRs of zeros and an empty log.
    pub fn with_keys(keys: Arc<KeyPair>) -> Self {
        Self { keys, ak_spec: KeySpec::attestation(), pcrs: [[0; 32]; 24], log: EventLog::default() }
    }

    /// The endorsement key as a SubjectPublicKeyInfo in DER.
    pub fn ek_spki(&self) -> &[u8] {
        self.keys.ek.spki()
    }

    /// Extends a PCR without a trace in the log.
    pub fn extend(&mut self, pcr: u8, digest: [u8; 32]) {
        if let Some(value) = self.pcrs.get_mut(usize::from(pcr)) {
            *value = crypto::sha256(&[&*value, &digest]);
        }
    }

    /// Extends a PCR with a digest and logs the event.
    pub fn measure(&mut self, pcr: u8, kind: u32, digest: [u8; 32], data: &[u8]) {
        self.extend(pcr, digest);
        self.log.push(u32::from(pcr), kind, digest, data);
    }

    /// TPMT_PUBLIC of the attestation key.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn ak_public(&self) -> Result<Vec<u8>, SimError> {
        let KeySpec { name_algorithm, attributes, scheme } = self.ak_spec;
        let scheme = scheme.map_or_else(
            || NULL.to_be_bytes().to_vec(),
            |(scheme, hash)| [scheme.to_be_bytes(), hash.to_be_bytes()].concat(),
        );
        let symmetric = NULL.to_be_bytes();
        Ok([
            &RSA.to_be_bytes()[..],
            &name_algorithm.to_be_bytes(),
            &attributes.to_be_bytes(),
            &sized(&[]),
            &symmetric,
            &scheme,
            &rsa_numbers(&self.keys.ak)?,
        ]
        .concat())
    }

    /// TPMT_PUBLIC of the endorsement key (TCG EK Credential Profile 2.5; template L-1, or that of its curve).
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn ek_public(&self) -> Result<Vec<u8>, SimError> {
        self.keys.ek.public()
    }

    /// TPM2_ActivateCredential: the secret of a credential that was made for this endorsement key and the Name of this
    /// attestation key, or `None` (part 1, 24). Takes a TPM2B_ID_OBJECT and a TPM2B_ENCRYPTED_SECRET.
    pub fn activate(&self, blob: &[u8], encrypted_seed: &[u8]) -> Option<Vec<u8>> {
        let name = name(&self.ak_public().ok()?);
        self.keys.ek.open(&name, unsized_bytes(blob)?, unsized_bytes(encrypted_seed)?)
    }

    /// Modulus and exponent of the attestation key, big-endian.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn ak_numbers(&self) -> Result<(Vec<u8>, Vec<u8>), SimError> {
        Ok(self.keys.ak.public().components()?)
    }

    /// What a quote over the PCRs of these bits says, with this extraData.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn quote_spec(&self, extra_data: &[u8], bits: u32) -> Result<QuoteSpec, SimError> {
        Ok(QuoteSpec {
            magic: 0xff54_4347,
            kind: 0x8018,
            qualified_signer: qualified_name(&self.ek_public()?, &self.ak_public()?),
            extra_data: extra_data.to_vec(),
            clock: (60_000, 3, 0, 1),
            firmware_version: 0x2026_1122_0000_0001,
            selection: vec![(SHA256, bits)],
            pcr_digest: crypto::sha256(&self.selected(bits).map(|(_, value)| &value[..]).collect::<Vec<_>>())
                .to_vec(),
        })
    }

    /// Signs a quote; its PCR values are those of `bits`, whatever the quote says.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn quote(&self, spec: &QuoteSpec, bits: u32) -> Result<Quote, SimError> {
        let attest = spec.encode();
        let signature = self.sign(&attest)?;
        let value = |(index, value): (u8, &[u8; 32])| [&SHA256.to_be_bytes()[..], &[index], value].concat();
        let pcrs = self.selected(bits).flat_map(value).collect();
        Ok(Quote { attest, signature, pcrs, log: self.log.encode() })
    }

    /// TPMT_SIGNATURE of anything, by the attestation key with RSASSA and SHA-256.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SimError> {
        let signature = self.keys.ak.sign(RsaScheme::Pkcs1Sha256, message)?;
        Ok([&RSASSA.to_be_bytes()[..], &SHA256.to_be_bytes(), &sized(&signature)].concat())
    }

    fn selected(&self, bits: u32) -> impl Iterator<Item = (u8, &[u8; 32])> {
        let is_selected = move |index: u8| bits.checked_shr(index.into()).unwrap_or(0) & 1 == 1;
        (0_u8..).zip(&self.pcrs).filter(move |(index, _)| is_selected(*index))
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(..)")
    }
}

impl fmt::Debug for VTpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VTpm(..)")
    }
}

impl QuoteSpec {
    /// TPMS_ATTEST.
    pub fn encode(&self) -> Vec<u8> {
        let (clock, resets, restarts, safe) = self.clock;
        let banks = u32::try_from(self.selection.len()).unwrap_or(u32::MAX);
        let selection = self.selection.iter().flat_map(|(bank, bits)| {
            let [low, middle, high, _] = bits.to_le_bytes();
            [&bank.to_be_bytes()[..], &[3, low, middle, high]].concat()
        });
        let selection: Vec<u8> = selection.collect();
        [
            &self.magic.to_be_bytes()[..],
            &self.kind.to_be_bytes(),
            &sized(&self.qualified_signer),
            &sized(&self.extra_data),
            &clock.to_be_bytes(),
            &resets.to_be_bytes(),
            &restarts.to_be_bytes(),
            &[safe],
            &self.firmware_version.to_be_bytes(),
            &banks.to_be_bytes(),
            &selection,
            &sized(&self.pcr_digest),
        ]
        .concat()
    }
}

/// The Name of a public area, with the hash that it states: SHA-384, else SHA-256.
pub fn name(public: &[u8]) -> Vec<u8> {
    match public.get(2..4) {
        Some([0x00, 0x0c]) => [&SHA384.to_be_bytes()[..], &crypto::sha384(&[public])].concat(),
        _ => [&SHA256.to_be_bytes()[..], &crypto::sha256(&[public])].concat(),
    }
}

/// The qualified Name of a key under an endorsement key, each step with the hash of its own Name.
pub fn qualified_name(ek_public: &[u8], ak_public: &[u8]) -> Vec<u8> {
    let parent = qualify(&ENDORSEMENT_HIERARCHY.to_be_bytes(), &name(ek_public));
    qualify(&parent, &name(ak_public))
}

fn qualify(parent: &[u8], name: &[u8]) -> Vec<u8> {
    match name {
        [0x00, 0x0c, ..] => [&SHA384.to_be_bytes()[..], &crypto::sha384(&[parent, name])].concat(),
        _ => [&SHA256.to_be_bytes()[..], &crypto::sha256(&[parent, name])].concat(),
    }
}

/// keyBits, exponent 0 (65537) and modulus.
fn rsa_numbers(key: &RsaPrivateKey) -> Result<Vec<u8>, SimError> {
    let (modulus, _) = key.public().components()?;
    Ok([&2048_u16.to_be_bytes()[..], &0_u32.to_be_bytes(), &sized(&modulus)].concat())
}

/// TPM2B: two bytes of length, then the bytes.
pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes()[..], bytes].concat()
}

/// The contents of a TPM2B that is all there is.
fn unsized_bytes(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    (rest.len() == usize::from(u16::from_be_bytes(*len))).then_some(rest)
}

const RSA: u16 = 0x0001;
const SHA256: u16 = 0x000b;
const SHA384: u16 = 0x000c;
const NULL: u16 = 0x0010;
const RSASSA: u16 = 0x0014;
const ENDORSEMENT_HIERARCHY: u32 = 0x4000_000b;
