//! What no bundle should ever permit, and what an author adds to it.

use serde::Deserialize;

use crate::{Never, Who};

/// An author's properties that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorsError {
    /// No TOML of this shape.
    #[error("not a list of properties: {message}")]
    Malformed {
        /// What is wrong, with line and column.
        message: String,
    },
    /// Another version of the format.
    #[error("unknown version: expected 1, got {got}")]
    Version {
        /// What was found.
        got: u64,
    },
    /// Two properties have one name.
    #[error("the name `{id}` is taken; rename one")]
    Repeated {
        /// The name.
        id: String,
    },
}

/// What must hold of every bundle.
pub fn invariants() -> Vec<Never> {
    let never = |(id, doc, when): (&str, &str, &str)| Never {
        id: id.to_owned(),
        doc: doc.to_owned(),
        who: Who::Guests,
        when: when.to_owned(),
    };
    INVARIANTS.into_iter().map(never).chain(TCB_PARTS.into_iter().map(under_floor)).collect()
}

/// Reads an author's own, `attestation-policies/proofs.toml`:
///
/// ```toml
/// version = 1
///
/// [[never]]
/// id = "ours/no-milan"
/// doc = "we have no Milan machines left"
/// when = 'principal has snp && principal.snp.product == Product::"Milan"'
///
/// [[never]]
/// id = "ours/one-way"
/// doc = "whoever is on call takes keys out of service, and never puts one back"
/// who = "operators"
/// when = 'principal in OperatorGroup::"on-call" && action == Action::"enable"'
/// ```
///
/// # Errors
/// [`AuthorsError`]; whether a condition is Cedar, and holds of anything, shows when it is proven.
pub fn authors(text: &str) -> Result<Vec<Never>, AuthorsError> {
    let file: File =
        toml::from_str(text).map_err(|error| AuthorsError::Malformed { message: error.to_string() })?;
    if file.version != 1 {
        return Err(AuthorsError::Version { got: file.version });
    }
    let mut ids: Vec<String> = invariants().into_iter().map(|never| never.id).collect();
    for never in &file.never {
        if ids.contains(&never.id) {
            return Err(AuthorsError::Repeated { id: never.id.clone() });
        }
        ids.push(never.id.clone());
    }
    Ok(file.never)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u64,
    #[serde(default)]
    never: Vec<Never>,
}

fn under_floor(part: &str) -> Never {
    Never {
        id: format!("never/tcb-under-floor-{part}"),
        doc: format!("{part} of a genuine guest's platform is not older than its floor"),
        who: Who::Guests,
        when: format!(
            "!principal.simulated && principal has snp && principal.snp.processor has tcb_floor && \
             principal.snp.reported_tcb.{part} < principal.snp.processor.tcb_floor.{part}"
        ),
    }
}

const TCB_PARTS: [&str; 5] = ["fmc", "bootloader", "tee", "snp", "microcode"];

const INVARIANTS: [(&str, &str, &str); 13] = [
    (
        "never/debug",
        "a guest that its host may debug has no secrets from it",
        "principal has snp && principal.snp.policy.debug_allowed",
    ),
    (
        "never/migration-agent",
        "a migration agent can take the guest's memory to a place that nobody attested",
        "principal has snp && principal.snp.policy.migrate_ma_allowed",
    ),
    (
        "never/simulated-with-real-key",
        "a simulated guest proves nothing",
        "principal.simulated && !resource.for_simulation",
    ),
    (
        "never/without-floor",
        "a genuine guest's processor has a floor, or nobody looked at how old it may be",
        "!principal.simulated && principal has snp && !(principal.snp.processor has tcb_floor)",
    ),
    (
        "never/without-mitigations",
        "a genuine guest's processor has the mitigations that the reference values ask of it",
        "!principal.simulated && principal has snp && principal.snp.processor has mitigations && \
         !(principal.snp has current_mitigations && \
         principal.snp.current_mitigations.containsAll(principal.snp.processor.mitigations))",
    ),
    (
        "never/revoked-product",
        "a revoked product proves nothing, whatever its versions are",
        "principal has snp && principal.snp.processor.revoked",
    ),
    (
        "never/denied-chip",
        "a processor that the reference values deny gets nothing",
        "principal has snp && principal.snp has chip && principal.snp.chip in ReferenceState::\"denied\"",
    ),
    (
        "never/denied-provider",
        "a provider that the reference values deny gets nothing",
        "principal has snp && principal.snp has csp && principal.snp.csp in ReferenceState::\"denied\"",
    ),
    (
        "never/without-identity",
        "something sets a genuine guest apart from another tenant's",
        "!principal.simulated && principal.guest_identity == GuestIdentity::\"none\"",
    ),
    (
        "never/without-os",
        "the evidence of a genuine guest reaches its operating system",
        "!principal.simulated && principal.os_binding == OsBinding::\"none\"",
    ),
    (
        "never/host-vtpm-with-kek",
        "a host's vTPM says nothing against its host: only keys tagged host=trusted go there",
        "!principal.simulated && principal.os_binding == OsBinding::\"host-vtpm\" && \
         !(resource.hasTag(\"host\") && resource.getTag(\"host\") == \"trusted\")",
    ),
    (
        "never/guest-vouched-key",
        "an attestation key that only the guest names is nobody's",
        "principal.evidence != EvidenceKind::\"sev-snp\" && \
         principal has tpm && principal.tpm.ak_binding == AkBinding::\"guest-vouched\"",
    ),
    (
        "never/unknown-paravisor",
        "whatever runs a vTPM in the confidential context is known, or any guest could make one up",
        "principal.evidence != EvidenceKind::\"sev-snp\" && \
         principal has tpm && principal.tpm.ak_binding == AkBinding::\"in-tee\" && \
         !(principal.tpm has paravisor && \
         principal.tpm.paravisor in [ReferenceState::\"active\", ReferenceState::\"retiring\"])",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Brokers that ask for a proof know them by these names.
    #[test]
    fn what_a_record_must_show_is_all_of_them() {
        let ids: Vec<String> = invariants().into_iter().map(|never| never.id).collect();
        assert_eq!(ids, policy::ProofRecord::INVARIANTS);
    }

    #[test]
    fn an_authors_properties_are_read_and_names_are_unique() {
        let one = "version = 1\n[[never]]\nid = 'ours'\ndoc = 'd'\nwhen = 'principal.simulated'\n";
        assert_eq!(authors(one).unwrap().first().map(|never| never.who), Some(Who::Guests));
        let act = one.replace("when", "who = 'operators'\nwhen");
        assert_eq!(authors(&act).unwrap().first().map(|never| never.who), Some(Who::Operators));
        let twice = format!("{one}[[never]]\nid = 'never/debug'\ndoc = 'd'\nwhen = 'true'\n");
        assert_eq!(authors(&twice), Err(AuthorsError::Repeated { id: "never/debug".to_owned() }));
        assert_eq!(authors("version = 2"), Err(AuthorsError::Version { got: 2 }));
        let unknown = authors("version = 1\n[[always]]\n").unwrap_err().to_string();
        assert!(unknown.contains("unknown field `always`") && unknown.contains("line 2"), "{unknown}");
    }
}
