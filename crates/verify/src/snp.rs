//! Verifying an SEV-SNP report: the twelve checks, by the numbers that errors, tests and `keyfast evidence verify`
//! use (AMD SEV-SNP ABI 1.58, table 23; AMD publication 57230 for the certificates).
//!
//! 1. exact length, version from the list (`evidence`);
//! 2. reserved bytes, bit 17 of the policy, reserved bits of KEY_INFO (`evidence`); reserved bytes of the four TCB
//!    versions (here, as their layout is the product's);
//! 3. the requester is a guest: VMPL 0 to 3;
//! 4. the signature, over the bytes that came;
//! 5. the root is one of ours, by its key;
//! 6. root signed intermediate signed leaf, RSASSA-PSS with SHA-384 and a 48-byte salt, nothing else;
//! 7. all three valid now;
//! 8. names, CA flags, a leaf key on P-384;
//! 9. the leaf is of the kind that KEY_INFO names; an unsigned report is refused;
//! 10. the leaf's TCB extensions, all of them, are REPORTED_TCB, part by part in the product's layout;
//! 11. the leaf's hardware id is CHIP_ID;
//! 12. the CPU (from version 3 on) and the leaf's product name are of the root's product.
//!
//! They run cheapest first and the signature last; all must pass, so the order only chooses which error is told.
//! What is *good enough* (debug, versions, measurements, VMPL 0) is for policy, on the claims that come out.

use core::fmt;

use claims::snp::{SigningKey, SnpClaims, Tcb};
use claims::{EvidenceKind, GuestIdentity, OsBinding, UnixTime};
use evidence::snp::{Report, ReportFields, ReportSigner, SnpEvidence};

use crate::authenticated::Binding;
use crate::chain::VerifiedChain;
use crate::check::Check;
use crate::product;
use crate::{Authenticated, Endorsements, TrustAnchors, VerifyError};

/// Told of each check that passed, and of what was compared.
pub(crate) type OnCheck<'a> = dyn FnMut(Check, fmt::Arguments<'_>) + 'a;

/// Runs the checks.
pub(crate) fn authenticate(
    evidence: &SnpEvidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixTime,
    on_check: &mut OnCheck<'_>,
) -> Result<Authenticated, VerifyError> {
    let (report, fields) = (&evidence.report, evidence.report.fields());
    // 1, 2: parsing did them.
    on_check(Check::Layout, format_args!("{} bytes, version {}", Report::LEN, fields.version));
    check_requester(fields, on_check)?; // 3
    check_signer(fields, on_check)?; // 9, and the leaf's side of it in the chain
    let chain = anchors.chain_for(fields, endorsements, now, on_check)?; // 5 to 9
    check_product(fields, &chain, on_check)?; // 12
    check_tcb_layout(fields, &chain, on_check)?; // 2
    check_tcb(fields, &chain, on_check)?; // 10
    check_chip(fields, &chain, on_check)?; // 11
    let verified = chain.key.verify_fixed(report.signed_bytes(), &report.signature_be()); // 4
    verified.map_err(|_| VerifyError::Signature)?;
    on_check(Check::Signature, format_args!("ECDSA P-384 with SHA-384 over bytes 0x000 to 0x29f"));

    Ok(Authenticated {
        kind: EvidenceKind::SevSnp,
        simulated: chain.simulated,
        os_binding: OS_BINDING,
        guest_identity: guest_identity(fields),
        snp: Some(claims(fields, &chain)),
        tpm: None,
        binding: Binding::Report(fields.report_data),
        not_after: chain.not_after(),
    })
}

/// 3: a guest asked, at a VMPL that exists.
fn check_requester(fields: &ReportFields, on_check: &mut OnCheck<'_>) -> Result<(), VerifyError> {
    match fields.vmpl {
        0..=3 => on_check(Check::Vmpl, format_args!("a guest at vmpl {}", fields.vmpl)),
        Report::HOST_VMPL => return Err(VerifyError::HostRequested),
        got => return Err(VerifyError::Vmpl { got }),
    }
    Ok(())
}

/// 9: a VCEK signed.
fn check_signer(fields: &ReportFields, on_check: &mut OnCheck<'_>) -> Result<(), VerifyError> {
    if fields.key_info.chip_key_masked() {
        return Err(VerifyError::ChipKeyMasked);
    }
    match fields.key_info.signer() {
        ReportSigner::Vcek => on_check(Check::Signer, format_args!("the report names a VCEK")),
        ReportSigner::Vlek => return Err(VerifyError::VlekUnsupported),
        ReportSigner::None => return Err(VerifyError::NotSigned),
        ReportSigner::Reserved(got) => return Err(VerifyError::ReservedSigner { got }),
    }
    Ok(())
}

/// 12: the CPU is of the root's product. Version 2 does not name the CPU; the leaf's productName still counts.
fn check_product(
    fields: &ReportFields,
    chain: &VerifiedChain,
    on_check: &mut OnCheck<'_>,
) -> Result<(), VerifyError> {
    let expected = chain.product;
    let Some(cpu) = fields.cpuid else {
        on_check(
            Check::Product,
            format_args!("{expected} by root and certificate; this version names no cpu"),
        );
        return Ok(());
    };
    match product::of_cpu(cpu) {
        Some(got) if got == expected => (),
        Some(got) => return Err(VerifyError::Product { expected, got }),
        None => return Err(VerifyError::UnknownCpu { family: cpu.family, model: cpu.model }),
    }
    let (family, model, stepping) = (cpu.family, cpu.model, cpu.stepping);
    on_check(Check::Product, format_args!("{expected}; cpu {family:02x}/{model:02x}/{stepping:02x}"));
    Ok(())
}

/// 2: the reserved bytes of each TCB version, now that the layout is known.
fn check_tcb_layout(
    fields: &ReportFields,
    chain: &VerifiedChain,
    on_check: &mut OnCheck<'_>,
) -> Result<(), VerifyError> {
    let product = chain.product;
    for (field, bytes) in [
        ("current", fields.current_tcb),
        ("reported", fields.reported_tcb),
        ("committed", fields.committed_tcb),
        ("launch", fields.launch_tcb),
    ] {
        let mut parts = bytes.into_iter().zip(product::components(product)).enumerate();
        if let Some((byte, (got, _))) = parts.find(|(_, (got, part))| part.is_reserved() && *got != 0) {
            return Err(VerifyError::TcbReserved { field, byte, product, got });
        }
    }
    on_check(Check::Reserved, format_args!("all zero, those of the four tcb versions of {product} too"));
    Ok(())
}

/// 10: the leaf's TCB is the reported one, part by part.
fn check_tcb(
    fields: &ReportFields,
    chain: &VerifiedChain,
    on_check: &mut OnCheck<'_>,
) -> Result<(), VerifyError> {
    let pairs = fields.reported_tcb.into_iter().zip(chain.facts.tcb);
    let mut parts = pairs.zip(product::components(chain.product));
    if let Some(((expected, got), part)) = parts.find(|((expected, got), _)| expected != got) {
        return Err(VerifyError::Tcb { component: part.name, expected, got });
    }
    let tcb = Tcb::from_report_bytes(chain.facts.tcb, chain.product);
    on_check(Check::Tcb, format_args!("{tcb}, as reported"));
    Ok(())
}

/// 11: the leaf is of the chip that the report names.
fn check_chip(
    fields: &ReportFields,
    chain: &VerifiedChain,
    on_check: &mut OnCheck<'_>,
) -> Result<(), VerifyError> {
    if fields.chip_id.is_zero() {
        return Err(VerifyError::ChipIdMasked);
    }
    let (product, hwid) = (chain.product, &chain.facts.hwid);
    let len = product::hwid_len(product);
    let (id, tail) = fields.chip_id.0.split_at_checked(len).unwrap_or((&fields.chip_id.0, &[]));
    if id != hwid.as_slice() {
        return Err(VerifyError::Chip { expected: id.to_vec(), got: hwid.clone() });
    }
    if tail.iter().any(|byte| *byte != 0) {
        return Err(VerifyError::ChipIdTail { product, len });
    }
    on_check(Check::Chip, format_args!("hwID of the VCEK, {len} bytes, as reported"));
    Ok(())
}

/// The claims of a report under a verified chain.
fn claims(fields: &ReportFields, chain: &VerifiedChain) -> SnpClaims {
    let tcb = |bytes| Tcb::from_report_bytes(bytes, chain.product);
    let author_key = fields.key_info.author_key_enabled().then_some(fields.author_key_digest);
    SnpClaims {
        version: fields.version,
        product: chain.product,
        cpuid: fields.cpuid,
        measurement: fields.measurement,
        report_data: fields.report_data,
        host_data: fields.host_data,
        id_key_digest: id_key(fields),
        author_key_digest: author_key,
        family_id: fields.family_id,
        image_id: fields.image_id,
        guest_svn: fields.guest_svn,
        vmpl: fields.vmpl,
        policy: fields.policy,
        platform: fields.platform,
        reported_tcb: tcb(fields.reported_tcb),
        committed_tcb: tcb(fields.committed_tcb),
        current_tcb: tcb(fields.current_tcb),
        launch_tcb: tcb(fields.launch_tcb),
        current_firmware: fields.current_firmware,
        committed_firmware: fields.committed_firmware,
        launch_mit_vector: fields.launch_mit_vector,
        current_mit_vector: fields.current_mit_vector,
        signing_key: SigningKey::Vcek,
        chip_id: Some(fields.chip_id),
        report_id: fields.report_id,
    }
}

/// ID_KEY_DIGEST is zero where the launch had no ID block.
fn id_key(fields: &ReportFields) -> Option<[u8; 48]> {
    fields.id_key_digest.iter().any(|byte| *byte != 0).then_some(fields.id_key_digest)
}

/// What sets this guest apart: the key that signed its ID block, else what the host set at launch.
fn guest_identity(fields: &ReportFields) -> GuestIdentity {
    if id_key(fields).is_some() {
        GuestIdentity::IdKey
    } else if fields.host_data.iter().any(|byte| *byte != 0) {
        GuestIdentity::HostData
    } else {
        GuestIdentity::None
    }
}

/// How far a plain SNP report reaches: to what the launch measured, and no further.
///
/// That is the operating system only where the launch measured it (direct boot with hashes of kernel, initrd and
/// command line, a unified image, a paravisor that is the whole guest). Whether this measurement is of such a launch,
/// nothing in the report says: it rests on whoever put the measurement among the reference values. Platforms that
/// measure firmware alone (AWS) must not have their measurements listed as launches.
const OS_BINDING: OsBinding = OsBinding::Launch;
