//! Certificates by themselves, without a report: which key they vouch for, and which key a report needs.
//!
//! For whoever looks for certificates, keeps them or carries them. Nothing here makes evidence count: a report that
//! passed [`precheck`] is as unproven as before, and every certificate is verified again with the report it is for.

use claims::snp::{Product, SigningKey};
use claims::{ChipId, TranscriptHash, UnixTime};
use evidence::Evidence;

use crate::binding::Binding;
use crate::certificate::Certificate;
use crate::chain::common_name;
use crate::leaf::{self, Holder};
use crate::{BindError, ChainError, Endorsements, Role, TrustAnchors, VerifyError, product, report, tpm};

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
    /// The TCB that the key is derived for, 8 bytes in the layout of the product's reports.
    pub tcb: [u8; 8],
    /// When the key's certificate starts to be valid.
    pub not_before: UnixTime,
    /// When the first certificate of the chain expires.
    pub not_after: UnixTime,
}

/// The checks of evidence that need no certificate: that a guest asked, that a key signed, that the host masks nothing,
/// that the CPU is of a product with a root; of a vTPM's, what the report binds, and Azure's quote under its key. Cheap,
/// and no proof of anything: a stranger's evidence may pass. What it answers, [`precheck_answer`] compares.
///
/// # Errors
/// [`VerifyError`], the first check that failed; [`VerifyError::Unsupported`] for evidence without a report.
pub fn precheck(evidence: &Evidence) -> Result<NeededKey, VerifyError> {
    let snp = evidence.snp().ok_or(VerifyError::Unsupported { kind: evidence.kind() })?;
    let fields = snp.report.fields();
    report::requester(fields, &mut |_, _| ())?;
    match evidence {
        Evidence::AzureVtpm(azure) => tpm::azure::precheck(azure)?,
        Evidence::Svsm(_) => tpm::azure::requester(fields, evidence.kind(), &mut |_, _| ())?,
        _ => (),
    }
    let kind = report::signed(fields)?;
    if kind == SigningKey::Vcek && fields.chip_id.is_zero() {
        return Err(VerifyError::ChipIdMasked);
    }
    let products = match fields.cpuid {
        Some(cpu) => {
            let (family, model) = (cpu.family, cpu.model);
            vec![product::of_cpu(cpu).ok_or(VerifyError::UnknownCpu { family, model })?]
        }
        // Version 2 is of firmware from before Turin.
        None => vec![Product::Milan, Product::Genoa],
    };
    let (chip_id, reported_tcb) = (fields.chip_id, fields.reported_tcb);
    Ok(NeededKey { kind, products, chip_id, reported_tcb })
}

/// Whether evidence answers the transcript of this hash (SHA-512), as far as it says itself: what
/// [`Authenticated::bind`](crate::Authenticated::bind) compares, before anything is authenticated.
///
/// # Errors
/// [`BindError`], what it answers instead.
pub fn precheck_answer(evidence: &Evidence, transcript: TranscriptHash) -> Result<(), BindError> {
    Binding::of(evidence).map_or(Ok(()), |binding| binding.check(transcript))
}

/// Verifies certificates by themselves, at `now`: the one of a VCEK or VLEK, under an intermediate among them, under one of
/// `anchors`. What was verified before costs no RSA.
///
/// # Errors
/// [`ChainError`], as with a report.
pub fn endorsed_key(
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<EndorsedKey, ChainError> {
    let (mut leaves, mut issuers) = (Vec::new(), Vec::new());
    for (index, der) in endorsements.certificates().enumerate() {
        let parsed = Certificate::parse(der).map_err(|source| ChainError::Certificate { index, source })?;
        if parsed.has_ec_key() { leaves.push(parsed) } else { issuers.push(parsed) }
    }
    let leaf = leaves.first().ok_or(ChainError::NoLeaf { got: issuers.len() })?;
    // A chain that was verified before would do without; who keeps these certificates needs them whole.
    if !issuers.iter().any(|issuer| issuer.subject() == leaf.issuer()) {
        let certificate = Role::of_leaf(leaf::kind(leaf)?);
        return Err(ChainError::NoIntermediate { certificate, issuer: common_name(leaf.issuer()) });
    }
    let chain = anchors.verified_chain(leaf, &issuers, &mut |_, _| ())?;
    chain.check_windows(now)?;
    Ok(EndorsedKey {
        product: chain.product,
        simulated: chain.simulated,
        kind: chain.facts.kind(),
        hwid: match &chain.facts.holder {
            Holder::Chip { hwid } => hwid.clone(),
            Holder::Csp { .. } => Vec::new(),
        },
        tcb: chain.facts.tcb,
        not_before: leaf.window().not_before,
        not_after: chain.not_after(),
    })
}

/// Whether a certificate is one of an endorsement key, by the kind of its key; an issuer's has an RSA key.
///
/// # Errors
/// What the certificate's parser says.
pub fn is_leaf(der: &[u8]) -> Result<bool, crate::CertificateError> {
    Certificate::parse(der).map(|parsed| parsed.has_ec_key())
}
