//! A simulated host: one chip and the authorities that vouch for it.
//!
//! Its root is nobody's but its own: a verifier believes it only where an operator added it by fingerprint.

use core::fmt;
use std::sync::Arc;

use claims::snp::{Product, SigningKey, Tcb};
use claims::{ChipId, ReportData, Sha256Digest, UnixTime};
use crypto::{HmacKey, P384SigningKey, RsaPrivateKey};
use zeroize::Zeroizing;

use crate::SimError;
use crate::authority;
use crate::certificate::{CertificateSpec, P384, Signer, ec_spki};
use crate::chain::{Chain, ChainSpec, ark_spec, ask_spec, asvk_spec, vcek_spec, vlek_spec};
use crate::crl::{self, CrlSpec};
use crate::guest::{Guest, GuestSpec};
use crate::report::tcb_bytes;
use crate::vtpm::{VTpm, ek};

/// The secrets of a host: ARK, ASK and ASVK keys (RSA-4096), and the chip's 32 bytes, from which its VCEKs derive.
/// VLEKs derive from the ASVK's key: hosts that share it are of one cloud provider.
pub struct HostKeys {
    pub(crate) ark: RsaPrivateKey,
    pub(crate) ask: RsaPrivateKey,
    pub(crate) asvk: RsaPrivateKey,
    pub(crate) chip: Zeroizing<[u8; 32]>,
}

impl HostKeys {
    /// Fresh keys. Takes a second or more; share them between hosts where only the product differs.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn generate() -> Result<Self, SimError> {
        Self::with_new_chip(Self::authority()?, Self::authority()?, Self::authority()?)
    }

    pub(crate) fn authority() -> Result<RsaPrivateKey, SimError> {
        Ok(RsaPrivateKey::generate(4096)?)
    }

    pub(crate) fn with_new_chip(
        ark: RsaPrivateKey,
        ask: RsaPrivateKey,
        asvk: RsaPrivateKey,
    ) -> Result<Self, SimError> {
        Ok(Self { ark, ask, asvk, chip: Zeroizing::new(crypto::random_array()?) })
    }

    /// The same authorities with another chip under them.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn with_other_chip(&self) -> Result<Self, SimError> {
        let again = |key: &RsaPrivateKey| RsaPrivateKey::from_pkcs8(key.pkcs8().expose());
        Self::with_new_chip(again(&self.ark)?, again(&self.ask)?, again(&self.asvk)?)
    }
}

/// A host of one product, with the certificates of its ARK, ASK and ASVK.
pub struct SimHost {
    keys: Arc<HostKeys>,
    product: Product,
    created: UnixTime,
    ark: Vec<u8>,
    ask: Vec<u8>,
    asvk: Vec<u8>,
    ek_root: Vec<u8>,
}

impl SimHost {
    /// A host with fresh keys, whose certificates are valid from `now` on.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn generate(product: Product, now: UnixTime) -> Result<Self, SimError> {
        Self::with_keys(Arc::new(HostKeys::generate()?), product, now)
    }

    /// A host with these keys, whose certificates are valid from `now` on.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn with_keys(keys: Arc<HostKeys>, product: Product, now: UnixTime) -> Result<Self, SimError> {
        let none = Vec::new;
        let mut host =
            Self { keys, product, created: now, ark: none(), ask: none(), asvk: none(), ek_root: none() };
        host.ark = host.sign(&host.ark_spec())?;
        host.ask = host.sign(&host.ask_spec())?;
        host.asvk = host.sign(&host.asvk_spec())?;
        host.sign_ek_root()?;
        Ok(host)
    }

    /// Signs the certificate of the root above endorsement keys.
    pub(crate) fn sign_ek_root(&mut self) -> Result<(), SimError> {
        self.ek_root = self.sign(&self.ek_root_spec()?)?;
        Ok(())
    }

    /// A host whose certificates of ARK, ASK, ASVK and EK root were issued before.
    pub(crate) fn restore(
        keys: HostKeys,
        product: Product,
        created: UnixTime,
        [ark, ask, asvk, ek_root]: [Vec<u8>; 4],
    ) -> Self {
        Self { keys: Arc::new(keys), product, created, ark, ask, asvk, ek_root }
    }

    /// Which product it plays.
    pub fn product(&self) -> Product {
        self.product
    }

    /// The start of its certificates' validity.
    pub fn created(&self) -> UnixTime {
        self.created
    }

    /// Its keys, for another host.
    pub fn keys(&self) -> &Arc<HostKeys> {
        &self.keys
    }

    /// The root's certificate in DER.
    pub fn ark_der(&self) -> &[u8] {
        &self.ark
    }

    /// The intermediate's certificate in DER.
    pub fn ask_der(&self) -> &[u8] {
        &self.ask
    }

    /// The certificate of the intermediate above VLEKs, in DER.
    pub fn asvk_der(&self) -> &[u8] {
        &self.asvk
    }

    /// The certificate of the root above endorsement keys of vTPMs, in DER.
    pub fn ek_root_der(&self) -> &[u8] {
        &self.ek_root
    }

    /// SHA-256 of [`Self::ark_der`]: what an operator trusts it by.
    pub fn ark_sha256(&self) -> Sha256Digest {
        Sha256Digest(crypto::sha256(&[&self.ark]))
    }

    /// Bytes of [`Self::chip_id`] that count: 64, on Turin 8.
    pub(crate) fn hwid_len(&self) -> usize {
        hwid_len(self.product)
    }

    /// CHIP_ID: 64 bytes; on Turin 8 and zeros.
    pub fn chip_id(&self) -> ChipId {
        let chip = HmacKey::new(&*self.keys.chip);
        let half = |label: &[u8]| chip.tag(&[label, self.product.name().as_bytes()]);
        let (low, high) = (half(b"chip id, low"), half(b"chip id, high"));
        let mut id = [0; ChipId::LEN];
        let len = hwid_len(self.product);
        id.iter_mut().zip(low.into_iter().chain(high)).take(len).for_each(|(to, from)| *to = from);
        ChipId(id)
    }

    /// The chip's signing key at this TCB; another TCB has another, and the same TCB always the same.
    ///
    /// # Errors
    /// [`SimError::TcbLayout`] if the TCB is of another product; [`SimError::Crypto`] if the library fails.
    pub fn vcek(&self, tcb: Tcb) -> Result<P384SigningKey, SimError> {
        self.derive(&HmacKey::new(&*self.keys.chip), [b"vcek, low", b"vcek, high"], tcb)
    }

    /// The cloud provider's signing key at this TCB, the same for all chips under one ASVK.
    ///
    /// # Errors
    /// As [`Self::vcek`].
    pub fn vlek(&self, tcb: Tcb) -> Result<P384SigningKey, SimError> {
        let seed = Zeroizing::new(crypto::sha256(&[b"vlek seed", self.keys.asvk.pkcs8().expose()]));
        self.derive(&HmacKey::new(&*seed), [b"vlek, low", b"vlek, high"], tcb)
    }

    fn derive(
        &self,
        secret: &HmacKey,
        [low, high]: [&[u8]; 2],
        tcb: Tcb,
    ) -> Result<P384SigningKey, SimError> {
        let tcb = tcb_bytes(tcb, self.product)?;
        let part = |label: &[u8]| Zeroizing::new(secret.tag(&[label, self.product.name().as_bytes(), &tcb]));
        key_of_scalar(&part(low), &part(high))
    }

    /// The key above endorsement keys of vTPMs, the same for all hosts under one ARK.
    fn ek_root_key(&self) -> Result<P384SigningKey, SimError> {
        let seed = Zeroizing::new(crypto::sha256(&[b"ek root seed", self.keys.ark.pkcs8().expose()]));
        let secret = HmacKey::new(&*seed);
        let part = |label: &[u8]| Zeroizing::new(secret.tag(&[label]));
        key_of_scalar(&part(b"ek root, low"), &part(b"ek root, high"))
    }

    /// What the root above endorsement keys says.
    fn ek_root_spec(&self) -> Result<CertificateSpec, SimError> {
        Ok(ek::root_spec(self.created, &ec_spki(P384, &self.ek_root_key()?.public_sec1())))
    }

    /// What the certificate of a vTPM's endorsement key says, to be altered or signed as it is ([`Self::sign`]).
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn ek_spec(&self, vtpm: &VTpm) -> Result<CertificateSpec, SimError> {
        let spki = vtpm.ek_spki();
        let [a, b, c, d, ..] = crypto::sha256(&[spki]);
        let serial = u32::from_be_bytes([a, b, c, d]);
        Ok(ek::ek_spec(self.created, &self.ek_root_spec()?.spki, serial.into(), spki))
    }

    /// The certificate of a vTPM's endorsement key, in DER.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn certify_ek(&self, vtpm: &VTpm) -> Result<Vec<u8>, SimError> {
        self.sign(&self.ek_spec(vtpm)?)
    }

    /// What the genuine chain of this chip at this TCB says, to be altered or issued as it is.
    ///
    /// # Errors
    /// As [`Self::vcek`].
    pub fn chain_spec(&self, tcb: Tcb) -> Result<ChainSpec, SimError> {
        let spki = ec_spki(P384, &self.vcek(tcb)?.public_sec1());
        let chip = self.chip_id();
        let hwid = chip.0.get(..hwid_len(self.product)).unwrap_or_default();
        let vek = vcek_spec(self.product, self.created, spki, tcb, hwid);
        Ok(ChainSpec { ark: self.ark_spec(), ask: self.ask_spec(), vek, kind: SigningKey::Vcek })
    }

    /// What the genuine chain of this cloud provider at this TCB says, to be altered or issued as it is.
    ///
    /// # Errors
    /// As [`Self::vcek`].
    pub fn vlek_chain_spec(&self, tcb: Tcb, csp_id: &str) -> Result<ChainSpec, SimError> {
        let spki = ec_spki(P384, &self.vlek(tcb)?.public_sec1());
        let vek = vlek_spec(self.product, self.created, spki, tcb, csp_id);
        Ok(ChainSpec { ark: self.ark_spec(), ask: self.asvk_spec(), vek, kind: SigningKey::Vlek })
    }

    /// Signs a chain. Where ARK and ASK or ASVK are the host's own, unaltered, it is their one certificate, so that
    /// the root's fingerprint stays.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn issue(&self, spec: &ChainSpec) -> Result<Chain, SimError> {
        let own =
            [(self.ark_spec(), &self.ark), (self.ask_spec(), &self.ask), (self.asvk_spec(), &self.asvk)];
        let issue = |spec: &CertificateSpec| match own.iter().find(|(own, _)| own == spec) {
            Some((_, der)) => Ok((*der).clone()),
            None => self.sign(spec),
        };
        let (ark, ask, vek) = (issue(&spec.ark)?, issue(&spec.ask)?, issue(&spec.vek)?);
        Ok(Chain { ark, ask, vek, kind: spec.kind })
    }

    /// What the root's revocation list of this time says, with nothing revoked, to be altered or signed as it is.
    pub fn crl_spec(&self, now: UnixTime) -> CrlSpec {
        let key = authority::authority_key_identifier(self.keys.ark.public().spki());
        crl::crl_spec(self.ark_spec().subject, key, now)
    }

    /// Signs a revocation list.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn sign_crl(&self, spec: &CrlSpec) -> Result<Vec<u8>, SimError> {
        let to_be_signed = spec.to_be_signed();
        let signature = self.signature(spec.signer, &to_be_signed)?;
        Ok(spec.with_signature(to_be_signed, &signature))
    }

    /// Signs one certificate.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn sign(&self, spec: &CertificateSpec) -> Result<Vec<u8>, SimError> {
        let to_be_signed = spec.to_be_signed();
        let signature = self.signature(spec.signer, &to_be_signed)?;
        Ok(spec.with_signature(to_be_signed, &signature))
    }

    /// Launches a guest, with the genuine chain for its reported TCB. Issuing that takes some milliseconds.
    ///
    /// # Errors
    /// As [`Self::vcek`].
    pub fn launch(&self, spec: &GuestSpec) -> Result<Guest, SimError> {
        let report = spec.report(self.product, self.chip_id())?;
        let tcb = spec.reported_tcb;
        let (chain, key) = match &spec.csp_id {
            None => (self.chain_spec(tcb)?, self.vcek(tcb)?),
            Some(csp_id) => (self.vlek_chain_spec(tcb, csp_id)?, self.vlek(tcb)?),
        };
        Ok(Guest::new(report, key, self.issue(&chain)?))
    }

    /// Evidence of a guest that is launched for this one report.
    ///
    /// # Errors
    /// As [`Self::vcek`].
    pub fn attest(&self, spec: &GuestSpec, report_data: &ReportData) -> Result<Vec<u8>, SimError> {
        self.launch(spec)?.attest(report_data)
    }

    fn signature(&self, signer: Signer, message: &[u8]) -> Result<Vec<u8>, SimError> {
        let key = match signer {
            Signer::Ark => &self.keys.ark,
            Signer::Ask => &self.keys.ask,
            Signer::Asvk => &self.keys.asvk,
            Signer::EkRoot => {
                return Ok(self.ek_root_key()?.sign_der_digest(&crypto::sha384(&[message]))?);
            }
        };
        Ok(key.sign_pss_sha384(message)?)
    }

    fn ark_spec(&self) -> CertificateSpec {
        ark_spec(self.product, self.created, self.keys.ark.public().spki())
    }

    fn ask_spec(&self) -> CertificateSpec {
        let (ark, ask) = (self.keys.ark.public().spki(), self.keys.ask.public().spki());
        ask_spec(self.product, self.created, ark, ask)
    }

    fn asvk_spec(&self) -> CertificateSpec {
        let (ark, asvk) = (self.keys.ark.public().spki(), self.keys.asvk.public().spki());
        asvk_spec(self.product, self.created, ark, asvk)
    }
}

impl fmt::Debug for HostKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostKeys(..)")
    }
}

impl fmt::Debug for SimHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimHost({}, ark {})", self.product, self.ark_sha256())
    }
}

/// The P-384 key with this scalar, whose top bit is cleared.
fn key_of_scalar(low: &[u8; 32], high: &[u8; 32]) -> Result<P384SigningKey, SimError> {
    let scalar = high.iter().chain(low.iter());
    let mut key = Zeroizing::new([0; PKCS8_P384_PREFIX.len() + SCALAR_LEN]);
    key.iter_mut().zip(PKCS8_P384_PREFIX.iter().chain(scalar)).for_each(|(to, from)| *to = *from);
    if let Some(top) = key.get_mut(PKCS8_P384_PREFIX.len()) {
        *top &= 0x7f;
    }
    Ok(P384SigningKey::from_pkcs8(&*key)?)
}

/// Bytes of a chip's id that count.
fn hwid_len(product: Product) -> usize {
    match product {
        Product::Milan | Product::Genoa => 64,
        Product::Turin => 8,
    }
}

const SCALAR_LEN: usize = 48;

/// What stands before the scalar in the PKCS #8 form of a P-384 key without its public half (RFC 5208, RFC 5915).
/// The scalar's top bit is cleared, so that it is below the group's order.
const PKCS8_P384_PREFIX: [u8; 32] = *b"\x30\x4e\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
    \x06\x05\x2b\x81\x04\x00\x22\x04\x37\x30\x35\x02\x01\x01\x04\x30";
