//! Verifying an SEV-SNP report: the eighteen checks, by the numbers that errors, tests and `keyfast evidence verify`
//! use (AMD SEV-SNP ABI 1.58, table 23; AMD publication 57230 for certificates and lists).
//!
//! These are made here, on every report:
//!
//! 1. exact length; version 2, 3 or 5, or 4 in the layout of 3 where the operator believes it; others by number;
//! 2. reserved bytes, bit 17 of the policy, reserved bits of KEY_INFO (`evidence`); reserved bytes of the four TCB
//!    versions (here, as their layout is the product's);
//! 3. the requester is a guest: VMPL 0 to 3. A report that the host asked for (0xffffffff) holds no report data;
//! 4. the signature, over the bytes that came;
//! 5. the root is one of ours, by its key;
//! 6. root signed intermediate signed leaf, RSASSA-PSS with SHA-384 and a 48-byte salt, nothing else;
//! 7. all three valid now;
//! 8. names, CA flags, a leaf key on P-384; a VCEK under an ASK, a VLEK under an ASVK;
//! 9. the leaf is of the kind that KEY_INFO names; an unsigned report is refused, and one whose key is masked;
//! 10. the leaf's TCB extensions, all of them, are REPORTED_TCB, part by part in the product's layout, never as an
//!     integer;
//! 11. a VCEK's hardware id is CHIP_ID (8 bytes on Turin), and a VLEK has a CSP_ID and no hardware id. A masked chip
//!     id (zeros) under a VCEK is refused: its signature alone would tell the chip, but the report would say one
//!     thing and its key another, and whoever lists chips could not tell the two apart;
//! 12. the CPU (from version 3 on) and the leaf's product name are of the root's product;
//! 13. no certificate was revoked ([`CrlPolicy`](crate::CrlPolicy));
//! 15. the TCB versions are in order.
//!
//! These are a policy's, on the claims that come out, because only its author can say what is good enough:
//!
//! 14. floors of the TCB, for each product and processor model by itself, on the reported and the launch version;
//! 16. debugging and migration agents;
//! 17. measurement, host data, ID and author key (an author key only where AUTHOR_KEY_EN is set), VMPL, chips and
//!     cloud providers; report data before that, by [`Authenticated::bind`](crate::Authenticated::bind);
//! 18. bits of PLATFORM_INFO, unknown ones too, mitigation vectors (absent before version 5), and a product that is
//!     given up as a whole.
//!
//! They run cheapest first and the signature last; all must pass, so the order only chooses which error is told.

use claims::snp::{SnpClaims, Tcb};
use claims::{EvidenceKind, GuestIdentity, OsBinding, UnixTime};
use evidence::snp::{ReportFields, SnpEvidence};

use crate::binding::Binding;
use crate::chain::VerifiedChain;
use crate::check::{Check, OnCheck};
use crate::leaf::Holder;
use crate::report;
use crate::revocation::ListWindow;
use crate::{Authenticated, Endorsements, TrustAnchors, VerifyError};

/// Runs the checks.
pub(crate) fn authenticate(
    evidence: &SnpEvidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixTime,
    on_check: &mut OnCheck<'_>,
) -> Result<Authenticated, VerifyError> {
    let fields = evidence.report.fields();
    report::layout(fields.version, anchors, on_check)?; // 1; parsing did the rest of it, and of 2
    report::requester(fields, on_check)?; // 3
    let kind = report::signed(fields)?; // 9, the report's side
    let chain = anchors.chain_for(fields, endorsements, now, on_check)?; // 5, 6, 8
    report::signer(kind, &chain, on_check)?; // 9, the leaf's side
    validity(&chain, now, on_check)?; // 7: at each use, never from the cache
    let list = revocation(&chain, endorsements, anchors, now, on_check)?; // 13: the same
    report::product(fields, &chain, on_check)?; // 12
    report::reserved(fields, &chain, on_check)?; // 2
    report::tcb(fields, &chain, on_check)?; // 10
    report::chip(fields, &chain, on_check)?; // 11
    report::order(fields, &chain, on_check)?; // 15
    report::signature(&evidence.report, &chain, on_check)?; // 4

    let list_end = list.filter(|_| anchors.requires_crl()).map(|list| list.next_update);
    Ok(Authenticated {
        kind: EvidenceKind::SevSnp,
        simulated: chain.simulated,
        os_binding: os_binding(&chain),
        guest_identity: guest_identity(fields),
        snp: Some(claims(fields, &chain, list)),
        tpm: None,
        quoted: None,
        binding: Binding::Report(fields.report_data),
        not_after: list_end.map_or(chain.not_after(), |end| end.min(chain.not_after())),
    })
}

/// 7: all three certificates are valid.
pub(crate) fn validity(
    chain: &VerifiedChain,
    now: UnixTime,
    on_check: &mut OnCheck<'_>,
) -> Result<(), VerifyError> {
    chain.check_windows(now)?;
    on_check(Check::Validity, format_args!("all three certificates at {now}, until {}", chain.not_after()));
    Ok(())
}

/// 13: nothing of it was revoked, as far as the lists say; `None` where there is no valid one and none is required.
pub(crate) fn revocation(
    chain: &VerifiedChain,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixTime,
    on_check: &mut OnCheck<'_>,
) -> Result<Option<ListWindow>, VerifyError> {
    let list = anchors.check_revocation(chain, endorsements, now)?;
    if let Some(ListWindow { this_update, next_update }) = list {
        let text = format_args!("not on the list of {this_update}, which ends {next_update}");
        on_check(Check::Revocation, text);
    }
    Ok(list)
}

/// The claims of a report under a verified chain.
fn claims(fields: &ReportFields, chain: &VerifiedChain, list: Option<ListWindow>) -> SnpClaims {
    let tcb = |bytes| Tcb::from_report_bytes(bytes, chain.product);
    let author_key = fields.key_info.author_key_enabled().then_some(fields.author_key_digest);
    let csp_id = match &chain.facts.holder {
        Holder::Chip { .. } => None,
        Holder::Csp { id } => Some(id.clone()),
    };
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
        signing_key: chain.facts.kind(),
        chip_id: Some(fields.chip_id).filter(|chip| !chip.is_zero()),
        csp_id,
        crl_issued: list.map(|list| list.this_update),
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
/// nothing in the report says: under a VCEK it rests on whoever put the measurement among the reference values. Under
/// a VLEK a cloud provider launched the guest, and the one that is known to load VLEKs (AWS) measures its firmware
/// alone, the same for every tenant: nothing says which operating system runs.
fn os_binding(chain: &VerifiedChain) -> OsBinding {
    match chain.facts.holder {
        Holder::Chip { .. } => OsBinding::Launch,
        Holder::Csp { .. } => OsBinding::None,
    }
}
