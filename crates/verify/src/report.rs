//! The checks of a report against its chain, one function for each: 1 to 3, 9 to 12, 15 and 4 of [`crate::snp`].
//!
//! Each tells what it compared where it passes, and has errors of its own where it does not. None of them makes
//! claims.

use claims::snp::{CpuId, Product, SigningKey, Tcb};
use evidence::snp::{Report, ReportFields, ReportSigner};

use crate::chain::VerifiedChain;
use crate::chain_error::Role;
use crate::check::Check;
use crate::check::OnCheck;
use crate::leaf::Holder;
use crate::product::{self, Family};
use crate::{TrustAnchors, VerifyError};

/// 1: parsing saw to length and version; version 4 is the operator's to believe.
pub(crate) fn layout(
    version: u32,
    anchors: &TrustAnchors,
    on_check: &mut OnCheck<'_>,
) -> Result<(), VerifyError> {
    if version == 4 && !anchors.believes_version_4() {
        return Err(VerifyError::Version4);
    }
    on_check(Check::Layout, format_args!("{} bytes, version {version}", Report::LEN));
    Ok(())
}

/// 3: a guest asked, at a VMPL that exists.
pub(crate) fn requester(fields: &ReportFields, on_check: &mut OnCheck<'_>) -> Result<(), VerifyError> {
    match fields.vmpl {
        0..=3 => on_check(Check::Vmpl, format_args!("a guest at vmpl {}", fields.vmpl)),
        Report::HOST_VMPL => return Err(VerifyError::HostRequested),
        got => return Err(VerifyError::Vmpl { got }),
    }
    Ok(())
}

/// 9: the report says that an endorsement key signed it, and which kind.
pub(crate) fn signed(fields: &ReportFields) -> Result<SigningKey, VerifyError> {
    if fields.key_info.chip_key_masked() {
        return Err(VerifyError::ChipKeyMasked);
    }
    match fields.key_info.signer() {
        ReportSigner::Vcek => Ok(SigningKey::Vcek),
        ReportSigner::Vlek => Ok(SigningKey::Vlek),
        ReportSigner::None => Err(VerifyError::NotSigned),
        ReportSigner::Reserved(got) => Err(VerifyError::ReservedSigner { got }),
    }
}

/// 9: the leaf is of the kind that the report names.
pub(crate) fn signer(
    kind: SigningKey,
    chain: &VerifiedChain,
    on_check: &mut OnCheck<'_>,
) -> Result<(), VerifyError> {
    let (expected, got) = (Role::of_leaf(kind), Role::of_leaf(chain.facts.kind()));
    if expected != got {
        return Err(VerifyError::Signer { expected, got });
    }
    on_check(Check::Signer, format_args!("the report names a {expected}"));
    Ok(())
}

/// 12: the CPU is of the root's product. Version 2 does not name the CPU; the leaf's productName still counts.
pub(crate) fn product(
    fields: &ReportFields,
    chain: &VerifiedChain,
    on_check: &mut OnCheck<'_>,
) -> Result<(), VerifyError> {
    let expected = chain.product;
    let Some(cpu) = fields.cpuid else {
        let why = "this version names no cpu";
        on_check(Check::Product, format_args!("{expected} by root and certificate; {why}"));
        return Ok(());
    };
    let (family, model, stepping) = (cpu.family, cpu.model, cpu.stepping);
    let got = supported_product(cpu)?;
    if got != expected {
        return Err(VerifyError::Product { expected, got });
    }
    on_check(Check::Product, format_args!("{expected}; cpu {family:02x}/{model:02x}/{stepping:02x}"));
    Ok(())
}

/// The product of a CPU model; an error that names the product where it is known and has no root here.
pub(crate) fn supported_product(cpu: CpuId) -> Result<Product, VerifyError> {
    let CpuId { family, model, .. } = cpu;
    match product::family_of_cpu(cpu) {
        Some(Family::Supported(product)) => Ok(product),
        Some(Family::Unsupported(name)) => Err(VerifyError::UnsupportedProduct { name, family, model }),
        None => Err(VerifyError::UnknownCpu { family, model }),
    }
}

/// 2: the reserved bytes of each TCB version, now that the layout is known.
pub(crate) fn reserved(
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
pub(crate) fn tcb(
    fields: &ReportFields,
    chain: &VerifiedChain,
    on_check: &mut OnCheck<'_>,
) -> Result<(), VerifyError> {
    let pairs = fields.reported_tcb.into_iter().zip(chain.facts.tcb);
    let mut parts = pairs.zip(product::components(chain.product));
    if let Some(((expected, got), part)) = parts.find(|((expected, got), _)| expected != got) {
        let certificate = Role::of_leaf(chain.facts.kind());
        return Err(VerifyError::Tcb { certificate, component: part.name, expected, got });
    }
    let tcb = Tcb::from_report_bytes(chain.facts.tcb, chain.product);
    on_check(Check::Tcb, format_args!("{tcb}, as reported"));
    Ok(())
}

/// 11: the leaf is of the chip that the report names. A VLEK names a cloud provider instead, which no field of the
/// report does; the chip's id is zero under it as a rule, and is firmware's word where it is not.
pub(crate) fn chip(
    fields: &ReportFields,
    chain: &VerifiedChain,
    on_check: &mut OnCheck<'_>,
) -> Result<(), VerifyError> {
    let (product, len) = (chain.product, product::hwid_len(chain.product));
    let (id, tail) = fields.chip_id.0.split_at_checked(len).unwrap_or((&fields.chip_id.0, &[]));
    match &chain.facts.holder {
        Holder::Chip { .. } if fields.chip_id.is_zero() => return Err(VerifyError::ChipIdMasked),
        Holder::Chip { hwid } if id != hwid.as_slice() => {
            return Err(VerifyError::Chip { expected: id.to_vec(), got: hwid.clone() });
        }
        _ if tail.iter().any(|byte| *byte != 0) => return Err(VerifyError::ChipIdTail { product, len }),
        Holder::Chip { .. } => {
            on_check(Check::Chip, format_args!("hwID of the VCEK, {len} bytes, as reported"));
        }
        Holder::Csp { id } => {
            let named = if fields.chip_id.is_zero() { "no chip is named" } else { "the chip is named" };
            on_check(Check::Chip, format_args!("CSP_ID of the VLEK `{id}`; {named}"));
        }
    }
    Ok(())
}

/// 15: REPORTED_TCB is at most COMMITTED_TCB and that at most CURRENT_TCB, part by part, and so are the firmware's
/// versions. LAUNCH_TCB is not compared: firmware may be taken back to what is committed while a guest runs.
pub(crate) fn order(
    fields: &ReportFields,
    chain: &VerifiedChain,
    on_check: &mut OnCheck<'_>,
) -> Result<(), VerifyError> {
    let committed = ("committed", fields.committed_tcb);
    for (lower, higher) in
        [(("reported", fields.reported_tcb), committed), (committed, ("current", fields.current_tcb))]
    {
        let mut parts = lower.1.into_iter().zip(higher.1).zip(product::components(chain.product));
        if let Some(((got, limit), part)) = parts.find(|((got, limit), _)| got > limit) {
            let (lower, higher) = (lower.0, higher.0);
            return Err(VerifyError::TcbOrder { component: part.name, lower, higher, limit, got });
        }
    }
    let (limit, got) = (fields.current_firmware, fields.committed_firmware);
    if got > limit {
        return Err(VerifyError::FirmwareOrder { limit, got });
    }
    on_check(Check::Order, format_args!("reported <= committed <= current, each part and the firmware"));
    Ok(())
}

/// 4: the leaf's key signed the bytes that came.
pub(crate) fn signature(
    report: &Report,
    chain: &VerifiedChain,
    on_check: &mut OnCheck<'_>,
) -> Result<(), VerifyError> {
    let verified = chain.key.verify_fixed(report.signed_bytes(), &report.signature_be());
    let certificate = Role::of_leaf(chain.facts.kind());
    verified.map_err(|_| VerifyError::Signature { certificate })?;
    on_check(Check::Signature, format_args!("ECDSA P-384 with SHA-384 over bytes 0x000 to 0x29f"));
    Ok(())
}
