//! What every machine's claims keep to, and every request's circumstances, though the schema's types say less: numbers
//! that fit their fields, claims that come together or not at all.
//!
//! The proofs do not assume any of it. It tells a guest that a machine may show from one that none can, and is asked
//! for in a second search, after a first one has found that a property does not hold. Names of bytes are not among it:
//! the solver makes names up, and such a name stands for any value that no policy names.

use cedar_policy::{Authorizer, Decision, Entities, PolicyId, PolicySet, Request};
use policy::Limit;

use crate::Reads;
use crate::prover::{ProveError, failed};

/// The relations that this request breaks, in words; those alone that are about what is read.
pub(crate) fn broken(
    request: &Request,
    entities: &Entities,
    reads: &Reads,
) -> Result<Vec<String>, ProveError> {
    let mut all = Vec::new();
    let is_guests = request.principal().is_some_and(|uid| uid.type_name().to_string() == "Guest");
    for (words, condition) in relations().into_iter().filter(|_| is_guests) {
        if !reads.covers(&condition)? {
            continue;
        }
        let text = format!("permit (principal is Guest, action, resource is Key) when {{ {condition} }};");
        let policy = cedar_policy::Policy::parse(Some(PolicyId::new("relation")), text).map_err(failed)?;
        let set = PolicySet::from_policies([policy]).map_err(failed)?;
        if Authorizer::new().is_authorized(request, &set, entities).decision() != Decision::Allow {
            all.push(words);
        }
    }
    Ok(all)
}

/// All of it that touches what is read, as conditions.
///
/// # Errors
/// [`ProveError`] if one is no Cedar, which is a mistake in this file.
pub fn any_machine(reads: &Reads) -> Result<Vec<String>, ProveError> {
    let mut all = Vec::new();
    for (_, condition) in relations() {
        // A set of all bits costs the solver more than everything else here.
        if !condition.contains(".containsAll(") && reads.touches(&condition)? {
            all.push(format!("principal is Guest && resource is Key && ({condition})"));
        }
    }
    Ok(all)
}

/// Each in words, and as a condition that holds of every request that there can be.
fn relations() -> Vec<(String, String)> {
    let bits = format!("[{}]", (0..64).map(|bit: u8| bit.to_string()).collect::<Vec<_>>().join(", "));
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |words: &str, guard: &str, condition: &str| {
        let condition = if guard.is_empty() {
            condition.to_owned()
        } else {
            format!("if {guard} then ({condition}) else true")
        };
        let condition = condition.replace("BITS", &bits);
        all.push((words.to_owned(), condition));
    };
    for (words, guard, condition) in RELATIONS {
        add(words, guard, condition);
    }
    for Limit { path, least, most } in Limit::all() {
        let condition = format!("{path} >= {least} && {path} <= {most}");
        add(&format!("{path} is {least} to {most}"), guard(&path), &condition);
    }
    for tcb in ["reported_tcb", "committed_tcb", "current_tcb", "launch_tcb"] {
        let fmc = format!("principal.snp.product == Product::\"Turin\" || principal.snp.{tcb}.fmc == 0");
        add(&format!("fmc of {tcb} is 0 but on Turin"), "principal has snp", &fmc);
    }
    all
}

/// What to ask before reading a path.
fn guard(path: &str) -> &'static str {
    let guards = [
        ("principal.snp.processor.tcb_floor.", "principal has snp && principal.snp.processor has tcb_floor"),
        ("principal.snp.", "principal has snp"),
        ("principal.tpm.", "principal has tpm"),
    ];
    guards.into_iter().find(|(head, _)| path.starts_with(head)).map_or("", |(_, guard)| guard)
}

/// In words; where it can be asked; what holds there.
const RELATIONS: [(&str, &str, &str); 15] = [
    (
        "evidence of kind sev-snp is a report, of kind tpm a quote, of the others both",
        "",
        "(principal.evidence == EvidenceKind::\"tpm\") == !(principal has snp) && \
         (principal.evidence == EvidenceKind::\"sev-snp\") == !(principal has tpm)",
    ),
    (
        "os_binding follows from the kind of evidence, and for sev-snp from the key that signed",
        "",
        "if principal.evidence == EvidenceKind::\"sev-snp\" then \
         (if principal has snp then principal.os_binding == (if principal.snp.signing_key == SigningKey::\"vlek\" \
         then OsBinding::\"none\" else OsBinding::\"launch\") else false) \
         else principal.os_binding == (if principal.evidence == EvidenceKind::\"tpm\" \
         then OsBinding::\"host-vtpm\" else OsBinding::\"in-tee-vtpm\")",
    ),
    (
        "guest_identity is `enrolled` for tpm and `vm-id` for azure-vtpm",
        "",
        "(principal.evidence == EvidenceKind::\"azure-vtpm\") == (principal.guest_identity == GuestIdentity::\"vm-id\") && \
         (principal.evidence != EvidenceKind::\"tpm\" || principal.guest_identity == GuestIdentity::\"enrolled\")",
    ),
    (
        "guest_identity is `id-key` if and only if a report names an ID key, but for azure-vtpm",
        "principal.evidence != EvidenceKind::\"azure-vtpm\"",
        "(if principal has snp then principal.snp has id_key else false) == \
         (principal.guest_identity == GuestIdentity::\"id-key\")",
    ),
    (
        "only a guest of kind svsm or tpm is set apart by an enrolled key, and only one of kind sev-snp by nothing",
        "",
        "(principal.guest_identity != GuestIdentity::\"enrolled\" || \
         principal.evidence == EvidenceKind::\"svsm\" || principal.evidence == EvidenceKind::\"tpm\") && \
         (principal.guest_identity != GuestIdentity::\"none\" || principal.evidence == EvidenceKind::\"sev-snp\")",
    ),
    (
        "cpuid is in reports from version 3 on, and there alone",
        "principal has snp",
        "(principal.snp.version >= 3) == (principal.snp has cpuid)",
    ),
    (
        "the mitigations are in reports from version 5 on, and there alone",
        "principal has snp",
        "(principal.snp.version >= 5) == (principal.snp has launch_mitigations) && \
         (principal.snp.version >= 5) == (principal.snp has current_mitigations)",
    ),
    (
        "launch_mitigations are bits 0 to 63",
        "principal has snp && principal.snp has launch_mitigations",
        "BITS.containsAll(principal.snp.launch_mitigations)",
    ),
    (
        "current_mitigations are bits 0 to 63",
        "principal has snp && principal.snp has current_mitigations",
        "BITS.containsAll(principal.snp.current_mitigations)",
    ),
    (
        "the report below a vTPM is of VMPL 0",
        "principal has snp && principal has tpm",
        "principal.snp.vmpl == 0",
    ),
    (
        "a provider is named if and only if its VLEK signed",
        "principal has snp",
        "(principal.snp.signing_key == SigningKey::\"vlek\") == (principal.snp has csp)",
    ),
    (
        "how a vTPM's key is believed follows from the kind of evidence",
        "principal has tpm",
        "(principal.evidence != EvidenceKind::\"tpm\") == (principal.tpm.ak_binding == AkBinding::\"in-tee\") && \
         principal.tpm.ak_binding != AkBinding::\"guest-vouched\"",
    ),
    (
        "what runs a vTPM is named if and only if it runs in the confidential context",
        "principal has tpm",
        "(principal.tpm.ak_binding == AkBinding::\"in-tee\") == (principal.tpm has paravisor)",
    ),
    ("evidence_age is not negative", "", "context.evidence_age >= duration(\"0s\")"),
    (
        "a secret is not exportable: it wraps nothing",
        "",
        "resource.kind != KeyKind::\"secret\" || !resource.exportable",
    ),
];
