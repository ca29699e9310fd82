//! Certificates and revocation lists by themselves, without a report: whose they are, and which key a report needs.
//!
//! For whoever looks for them, keeps them or carries them. Nothing here makes evidence count: a report that
//! passed [`precheck`] is as unproven as before, and every certificate is verified again with the report it is for.

use claims::snp::{Product, SigningKey};
use claims::{ChipId, Sha256Digest, TranscriptHash, UnixTime};
use evidence::Evidence;

use crate::binding::Binding;
use crate::certificate::Certificate;
use crate::chain::{check_ca, check_subject, common_name, issuer_name};
use crate::crl::Crl;
use crate::leaf::{self, Holder};
use crate::{
    ChainError, CrlError, Endorsements, EnrolledKeys, RevocationError, Role, TrustAnchors, VerifyError,
    report, tpm,
};

/// The key that must have signed a report, if anything in the report is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededKey {
    /// VCEK or VLEK.
    pub kind: SigningKey,
    /// The product by the report's CPU; where the version names none, every product that it may be, likeliest first.
    pub products: Vec<Product>,
    /// CHIP_ID. Zero under a VLEK.
    pub chip_id: ChipId,
    /// REPORTED_TCB, 8 bytes as they stand in the report.
    pub reported_tcb: [u8; 8],
}

/// A key whose certificate has a chain to a trusted root, all valid at the time that was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndorsedKey {
    /// The root's product.
    pub product: Product,
    /// Whether the root is a simulated one.
    pub simulated: bool,
    /// VCEK or VLEK.
    pub kind: SigningKey,
    /// The chip: 64 bytes, on Turin 8; empty for a provider's key.
    pub hwid: Vec<u8>,
    /// The cloud provider, for a provider's key.
    pub csp_id: Option<String>,
    /// The TCB that the key is derived for, 8 bytes in the layout of the product's reports.
    pub tcb: [u8; 8],
    /// When the key's certificate starts to be valid.
    pub not_before: UnixTime,
    /// When the first certificate of the chain expires.
    pub not_after: UnixTime,
}

/// An intermediate whose certificate a trusted root signed, or a root, all valid at the time that was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndorsedIssuer {
    /// The root's product.
    pub product: Product,
    /// Whether the root is a simulated one.
    pub simulated: bool,
    /// Its serial number, big-endian without leading zeros, by which revocation lists name it.
    pub serial: Vec<u8>,
    /// When its certificate starts to be valid.
    pub not_before: UnixTime,
    /// When its certificate expires.
    pub not_after: UnixTime,
}

/// A revocation list that a trusted root signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedList {
    /// The root's product.
    pub product: Product,
    /// Whether the root is a simulated one.
    pub simulated: bool,
    /// SHA-256 of the root's certificate.
    pub root: Sha256Digest,
    /// When it was issued.
    pub this_update: UnixTime,
    /// When the next one is due, at the latest.
    pub next_update: UnixTime,
    /// How many certificates it names.
    pub revoked: usize,
}

/// Bytes that are no revocation list of a trusted root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// No list that could be relied on.
    #[error(transparent)]
    Crl(#[from] CrlError),
    /// Nobody's that is trusted.
    #[error(transparent)]
    Signer(#[from] RevocationError),
}

/// The checks of evidence that need no certificate: that a guest asked, that a key signed, that the host masks nothing,
/// that the CPU is of a product with a root; and where a quote comes with the report, those of the quote and of what
/// the report says of its key, which must be in `enrolled` where it counts only then. Cheap, and no proof of anything: a
/// stranger's evidence may pass.
///
/// # Errors
/// [`VerifyError`], the first check that failed; [`VerifyError::Unsupported`] for evidence without a report.
pub fn precheck(
    evidence: &Evidence,
    enrolled: &dyn EnrolledKeys,
    now: UnixTime,
) -> Result<NeededKey, VerifyError> {
    let without = VerifyError::Unsupported { kind: evidence.kind() };
    let fields = evidence.snp().ok_or(without)?.report.fields();
    report::requester(fields, &mut |_, _| ())?;
    let kind = report::signed(fields)?;
    if kind == SigningKey::Vcek && fields.chip_id.is_zero() {
        return Err(VerifyError::ChipIdMasked);
    }
    let products = match fields.cpuid {
        Some(cpu) => vec![report::supported_product(cpu)?],
        // Version 2 is of firmware from before Turin.
        None => vec![Product::Milan, Product::Genoa],
    };
    match evidence {
        Evidence::AzureVtpm(azure) => tpm::azure::precheck(azure)?,
        Evidence::Svsm(svsm) => tpm::svsm::precheck(svsm, enrolled, now)?,
        _ => (),
    }
    let (chip_id, reported_tcb) = (fields.chip_id, fields.reported_tcb);
    Ok(NeededKey { kind, products, chip_id, reported_tcb })
}

/// Whether evidence carries `hash`, that of the transcript it should answer, at each place where its kind does
/// (`crates/evidence/SPEC.md`, section 3). As with [`precheck`], nothing is proven by it.
///
/// # Errors
/// [`VerifyError::Bind`], with what was found; [`VerifyError::Unsupported`] for a kind that is not known here.
pub fn answers(evidence: &Evidence, hash: TranscriptHash) -> Result<(), VerifyError> {
    let binding = Binding::of(evidence).ok_or(VerifyError::Unsupported { kind: evidence.kind() })?;
    Ok(binding.check(hash)?)
}

/// Verifies certificates by themselves, at `now`: the one of a VCEK or VLEK, under an intermediate among them, under one of
/// `anchors`. What was verified before costs no RSA.
///
/// Revocation lists among `endorsements` count against the chain, however old they are; none is required.
///
/// # Errors
/// [`VerifyError::Chain`], as with a report; [`VerifyError::Revocation`] if a list names one of the chain.
pub fn endorsed_key(
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<EndorsedKey, VerifyError> {
    let (mut leaves, mut issuers) = (Vec::new(), Vec::new());
    for (index, der) in endorsements.certificates().enumerate() {
        let parsed = Certificate::parse(der).map_err(|source| ChainError::Certificate { index, source })?;
        if parsed.has_ec_key() { leaves.push(parsed) } else { issuers.push(parsed) }
    }
    let leaf = leaves.first().ok_or(ChainError::NoLeaf { got: issuers.len() })?;
    // A chain that was verified before would do without; who keeps these certificates needs them whole.
    if !issuers.iter().any(|issuer| issuer.subject() == leaf.issuer()) {
        let certificate = Role::of_leaf(leaf::kind(leaf)?);
        return Err(ChainError::NoIntermediate { certificate, issuer: common_name(leaf.issuer()) }.into());
    }
    let chain = anchors.verified_chain(leaf, &issuers, &mut |_, _| ())?;
    chain.check_windows(now)?;
    anchors.check_unlisted(chain.root, &chain.serials, endorsements)?;
    let (hwid, csp_id) = match &chain.facts.holder {
        Holder::Chip { hwid } => (hwid.clone(), None),
        Holder::Csp { id } => (Vec::new(), Some(id.clone())),
    };
    Ok(EndorsedKey {
        product: chain.product,
        simulated: chain.simulated,
        kind: chain.facts.kind(),
        hwid,
        csp_id,
        tcb: chain.facts.tcb,
        not_before: leaf.window().not_before,
        not_after: chain.not_after(),
    })
}

/// Verifies the certificate of an intermediate by itself, at `now`: the first of `endorsements` that is of this product
/// and above endorsement keys of this kind, under one of `anchors`, and that no list among them names.
///
/// # Errors
/// As [`endorsed_key`]; [`ChainError::NoIntermediate`] where there is none of that name.
pub fn endorsed_issuer(
    endorsements: &Endorsements,
    (kind, product): (SigningKey, Product),
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<EndorsedIssuer, VerifyError> {
    let (role, name) = (Role::of_issuer(kind), issuer_name(kind, product));
    let mut refused = None;
    for (index, der) in endorsements.certificates().enumerate() {
        let parsed = Certificate::parse(der).map_err(|source| ChainError::Certificate { index, source })?;
        if common_name(parsed.subject()) != name {
            continue;
        }
        match issuer(role, &name, &parsed, endorsements, anchors, now) {
            Ok(found) => return Ok(found),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let none = ChainError::NoIntermediate { certificate: Role::of_leaf(kind), issuer: name };
    Err(refused.unwrap_or(none.into()))
}

/// Verifies a root's certificate that came along with others, at `now`: `None` for one that somebody else issued. It becomes
/// no root by that, and no chain needs it; this is for who says what a file holds.
///
/// # Errors
/// [`VerifyError::Chain`] for a root that is none of `anchors`, or out of its window; [`VerifyError::Revocation`] if one of
/// `lists` names it.
pub fn endorsed_root(
    der: &[u8],
    lists: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Option<Result<EndorsedIssuer, VerifyError>> {
    let parsed = Certificate::parse(der).ok().filter(|parsed| parsed.subject() == parsed.issuer())?;
    let name = common_name(parsed.subject());
    Some(issuer(Role::Ark, &name, &parsed, lists, anchors, now))
}

/// `parsed` under the root that signed it, which is its own where it is a root's.
fn issuer(
    role: Role,
    name: &str,
    parsed: &Certificate,
    lists: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<EndorsedIssuer, VerifyError> {
    let anchor = anchors.above(role, parsed)?;
    check_subject(role, parsed, name)?;
    check_ca(role, parsed)?;
    let (product, simulated, window) = (anchor.product, anchor.simulated, parsed.window());
    window.check(role, now)?;
    anchor.certificate.window().check(Role::Ark, now)?;
    let serials = [(Role::Ark, anchor.certificate.serial()), (role, parsed.serial())];
    let serials = serials.map(|(role, serial)| (role, serial.into()));
    anchors.check_unlisted(anchor.fingerprint, &serials, lists)?;
    let serial = parsed.serial().to_vec();
    Ok(EndorsedIssuer {
        product,
        simulated,
        serial,
        not_before: window.not_before,
        not_after: window.not_after,
    })
}

/// Reads a revocation list and finds the root among `anchors` that signed it. Its window is for the caller to compare.
///
/// # Errors
/// [`ListError`]: no list that could be relied on, or nobody's that is trusted.
pub fn signed_list(der: &[u8], anchors: &TrustAnchors) -> Result<SignedList, ListError> {
    let crl = Crl::parse(der)?;
    let issuer = common_name(crl.issuer());
    let Some(anchor) = anchors.signer_of(&crl) else {
        return Err(RevocationError::Signature { issuer }.into());
    };
    if !anchor.certificate.may_sign_crls() {
        return Err(RevocationError::NotCrlSigner { issuer }.into());
    }
    Ok(SignedList {
        product: anchor.product,
        simulated: anchor.simulated,
        root: anchor.fingerprint,
        this_update: crl.this_update,
        next_update: crl.next_update,
        revoked: crl.len(),
    })
}

/// Whether a certificate is one of an endorsement key, by the kind of its key; an issuer's has an RSA key.
///
/// # Errors
/// What the certificate's parser says.
pub fn is_leaf(der: &[u8]) -> Result<bool, crate::CertificateError> {
    Certificate::parse(der).map(|parsed| parsed.has_ec_key())
}
