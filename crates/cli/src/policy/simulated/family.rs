//! Guests that a case in TOML can describe, as a solver is told of them: families of guests that are alike but for what
//! a case can choose, and how what it chooses hangs together.
//!
//! What is written here about the verifier's claims is checked each time: a guest that a solver finds is built, and what
//! the verifier makes of it must be decided as the solver says.

use std::path::Path;

use claims::snp::Product;
use claims::{EvidenceKind, UnixTime};
use policy::Policy;
use policy::case::{Case, CaseError};
use prove::{Candidates, ProveError, Reads, alike};

/// A family, by the guest that is as usual in all that its cases can choose.
pub struct Family {
    /// What its cases say of the guest, besides what they choose.
    pub lines: String,
    /// The usual guest, as the verifier sees it.
    pub usual: Case,
}

/// Whose guests are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// A simulated host's.
    Simulated,
    /// A simulated host's, for keys that are not for simulation: the broker's lock holds these back.
    Locked,
    /// AMD's, which nobody has here: guests that would be like these if it vouched for them.
    Genuine,
}

impl Root {
    /// What holds of its guests and their keys.
    pub fn condition(self) -> &'static str {
        match self {
            Self::Simulated => "principal.simulated && resource.for_simulation",
            Self::Locked => "principal.simulated && !resource.for_simulation",
            Self::Genuine => "!principal.simulated && !resource.for_simulation",
        }
    }
}

/// What the cases of all families say of their guests, the most usual first. Where nothing is read that tells families
/// apart, one stands for them.
pub fn families(reads: &Reads) -> Vec<String> {
    let any = |paths: &[&str]| paths.iter().any(|path| reads.reads(path));
    let versions =
        any(&["principal.snp.version", "principal.snp.cpuid", "principal.snp.current_mitigations"])
            || any(&["principal.snp.launch_mitigations"]);
    let providers = any(&[
        "principal.snp.csp",
        "principal.snp.signing_key",
        "principal.snp.chip",
        "principal.os_binding",
    ]);
    let products = any(&["principal.snp.product", "principal.snp.processor", "principal.snp.cpuid"]);
    let take = |all: &[&'static str], told: bool| {
        if told { all.to_vec() } else { all.iter().copied().take(1).collect() }
    };
    let mut all = Vec::new();
    for version in take(&["", "version = 3\n", "version = 2\n"], versions) {
        for provider in take(&["", "provider = \"CN=simulated provider\"\n"], providers) {
            for product in take(&["Genoa", "Turin", "Milan"], products) {
                all.push(format!("kind = \"sev-snp\"\nproduct = \"{product}\"\n{version}{provider}"));
            }
        }
    }
    let boots = ["", "secure_boot = false\n", "image = \"another image\"\n", "without_log = true\n"];
    let boots = take(&boots, any(&["principal.tpm.boot", "principal.tpm.pcrs"]));
    let enrolled = take(&["", "enrolled = \"operator\"\n"], any(&["principal.tpm.ak_binding"]));
    for (kind, enrolled) in [("tpm", &enrolled[..]), ("azure-vtpm", &[""][..]), ("svsm", &[""][..])] {
        for enrolled in enrolled {
            all.extend(boots.iter().map(|boot| format!("kind = \"{kind}\"\n{enrolled}{boot}")));
        }
    }
    all
}

impl Family {
    /// Launches the usual guest.
    ///
    /// # Errors
    /// [`CaseError`] if there is no such guest.
    pub fn launch(lines: String, at: UnixTime) -> Result<Self, CaseError> {
        let text = format!("about = \"\"\nnow = \"{at}\"\n[guest]\n{lines}[expect]\npermit = []\n");
        Ok(Self { lines, usual: super::parse(&text, Path::new("."))? })
    }

    /// What holds of every request that a case can describe with a guest of this family, as far as it touches what is
    /// read; what it asks is then read too.
    ///
    /// # Errors
    /// [`ProveError`] if something here is no Cedar for this schema.
    pub fn conditions(
        &self,
        root: Root,
        policy: &Policy,
        schema: &str,
        candidates: &Candidates,
        reads: &mut Reads,
    ) -> Result<Vec<String>, ProveError> {
        let mut candidates = candidates.clone();
        self.offer(&mut candidates);
        let mut chosen = vec![root.condition().to_owned()];
        if root == Root::Genuine {
            let chip = candidates.one_of("Chip", "principal.snp.chip");
            if self.has_chip() && reads.reads("principal.snp.chip") {
                chosen.push(format!("principal has snp && principal.snp has chip && {chip}"));
            }
        }
        for condition in self.guest(&candidates).into_iter().chain(self.request(&candidates)) {
            // That two TCBs are the same makes no difference where one is not read.
            let both = condition.contains("_tcb.");
            let counts = if both { reads.covers(&condition)? } else { reads.touches(&condition)? };
            if counts {
                chosen.push(condition);
            }
        }
        chosen.iter().try_for_each(|condition| reads.add(condition))?;
        let Case { record, request, key, circumstances, .. } = &self.usual;
        let entities = policy.entities(record, request, key, circumstances).map_err(ProveError::Solver)?;
        let chip = (root == Root::Genuine).then_some("principal.snp.chip");
        let free: Vec<&str> = self.free().chain(chip.filter(|_| self.has_chip())).collect();
        chosen.extend(alike(schema, &entities, &free, &candidates, reads)?);
        let guests = |condition: String| format!("principal is Guest && resource is Key && ({condition})");
        Ok(chosen.into_iter().map(guests).collect())
    }

    fn has_chip(&self) -> bool {
        self.usual.record.snp.as_ref().is_some_and(|snp| snp.chip_id.is_some())
    }

    /// More values to choose from: the usual, and some that nothing knows.
    fn offer(&self, candidates: &mut Candidates) {
        let entities = [
            ("Config", "00".repeat(32)),
            ("Config", "cd".repeat(32)),
            ("HostData", "00".repeat(32)),
            ("IdKey", "ab".repeat(48)),
            ("Measurement", "ab".repeat(48)),
            ("Csp", "CN=another provider".to_owned()),
            ("Key", "db".to_owned()),
            ("KeyRing", "default".to_owned()),
            ("Region", "elsewhere".to_owned()),
        ];
        for (kind, id) in &entities {
            candidates.add(kind, id);
        }
        let Some(snp) = &self.usual.record.snp else { return };
        candidates.add("Measurement", &snp.measurement.to_string());
        candidates.add("HostData", &hex::encode(snp.host_data));
        if let Some(chip) = &snp.chip_id {
            candidates.add("Chip", &hex::encode(chip.0));
        }
        if let Some(provider) = &snp.csp_id {
            candidates.add("Csp", provider);
        }
        // What runs a vTPM is the launch measurement under another name.
        for (from, to) in [("Measurement", "Paravisor"), ("Paravisor", "Measurement")] {
            let ids: Vec<String> = candidates.names(from).map(str::to_owned).collect();
            ids.iter().for_each(|id| candidates.add(to, id));
        }
    }

    /// The claims that a case can choose, or that follow from such.
    fn free(&self) -> impl Iterator<Item = &'static str> {
        let record = &self.usual.record;
        let kind = record.evidence;
        let chooses_vmpl = kind == EvidenceKind::SevSnp;
        let chooses_identity = matches!(kind, EvidenceKind::SevSnp | EvidenceKind::Svsm);
        let snp = record.snp.as_ref();
        let groups = [
            (true, &["principal.simulated", "principal.config", "principal.suite"][..]),
            (snp.is_some(), &REPORT[..]),
            (snp.is_some_and(|snp| snp.csp_id.is_some()), &["principal.snp.csp"][..]),
            (snp.is_some_and(|snp| snp.current_mit_vector.is_some()), &MITIGATIONS[..]),
            (chooses_vmpl, &["principal.snp.vmpl"][..]),
            (chooses_identity, &["principal.guest_identity"][..]),
            (snp.is_some() && record.tpm.is_some(), &["principal.tpm.paravisor"][..]),
        ];
        groups.into_iter().filter(|(is, _)| *is).flat_map(|(_, paths)| paths.iter().copied())
    }

    /// What holds of the guest's free claims.
    fn guest(&self, candidates: &Candidates) -> Vec<String> {
        let mut all = vec![candidates.one_of("Config", "principal.config")];
        let record = &self.usual.record;
        let Some(snp) = &record.snp else { return all };
        let mut of_report = vec![
            candidates.one_of("Measurement", "principal.snp.measurement"),
            candidates.one_of("HostData", "principal.snp.host_data"),
            format!("if principal.snp has id_key then {} else true", id_key(candidates, "id_key")),
            format!("if principal.snp has author_key then {} else true", id_key(candidates, "author_key")),
        ];
        if snp.csp_id.is_some() {
            of_report
                .push(format!("principal.snp has csp && {}", candidates.one_of("Csp", "principal.snp.csp")));
        }
        of_report.extend(tcbs(snp.product));
        if snp.current_mit_vector.is_some() {
            of_report.extend(mitigations());
        }
        match record.evidence {
            EvidenceKind::SevSnp => {
                of_report.push("principal.snp.vmpl >= 0 && principal.snp.vmpl <= 3".to_owned());
                of_report.push(identity("none"));
            }
            EvidenceKind::Svsm => of_report.push(identity("enrolled")),
            EvidenceKind::Tpm | EvidenceKind::AzureVtpm => {}
        }
        if record.tpm.is_some() {
            let same = |id: &str| {
                format!(
                    "principal.snp.measurement == Measurement::\"{id}\" && \
                     principal.tpm.paravisor == Paravisor::\"{id}\""
                )
            };
            let same: Vec<String> = candidates.names("Measurement").map(same).collect();
            let there = "principal has tpm && principal.tpm has paravisor";
            of_report.push(format!("{there} && ({})", same.join(" || ")));
        }
        all.extend(of_report.into_iter().map(|condition| format!("principal has snp && ({condition})")));
        all
    }

    /// What holds of keys and circumstances, and the broker's other locks.
    fn request(&self, candidates: &Candidates) -> Vec<String> {
        let now = self.usual.circumstances.now;
        let secret = "resource.kind == KeyKind::\"secret\"";
        let mut all = vec![
            format!("context.now == datetime(\"{now}\")"),
            "[duration(\"0s\"), duration(\"1s\"), duration(\"30s\"), duration(\"5m\"), duration(\"1h\")]\
             .contains(context.evidence_age)"
                .to_owned(),
            "context.recent.guest >= 0 && context.recent.guest <= 1000000".to_owned(),
            "context.recent.key >= 0 && context.recent.key <= 1000000".to_owned(),
            "if context has network then [ip(\"127.0.0.1\"), ip(\"10.0.0.7\"), ip(\"192.0.2.7\"), ip(\"2001:db8::7\")]\
             .contains(context.network) else true"
                .to_owned(),
            candidates.one_of("Key", "resource"),
            one_ring(candidates),
            "resource.version >= 1 && resource.version <= 1000000".to_owned(),
            format!("action == Action::\"renew\" || (action == Action::\"secret\") == ({secret})"),
            "action != Action::\"release\" || resource.exportable".to_owned(),
            format!("!({secret} && resource.exportable)"),
            "resource.suite_floor == Suite::\"p384\" || principal.suite == Suite::\"x-wing\"".to_owned(),
        ];
        let region = candidates.one_of("Region", "resource.region");
        all.push(format!("if resource has region then {region} else true"));
        let ages = [0, 1, 30, 400].map(|days: u64| {
            let then = UnixTime(now.0.saturating_sub(days.saturating_mul(86_400)));
            format!("datetime(\"{then}\")")
        });
        all.push(format!("[{}].contains(resource.created_at)", ages.join(", ")));
        all
    }
}

/// Zeros stand for none.
fn id_key(candidates: &Candidates, name: &str) -> String {
    let path = format!("principal.snp.{name}");
    format!("{} && {path} != IdKey::\"{}\"", candidates.one_of("IdKey", &path), "00".repeat(48))
}

/// The same in all four, each part in its byte.
fn tcbs(product: Product) -> Vec<String> {
    let top = if product == Product::Turin { 255 } else { 0 };
    let mut all = Vec::new();
    for (at, tcb) in TCBS.iter().enumerate() {
        for (part, top) in [("fmc", top), ("bootloader", 255), ("tee", 255), ("snp", 255), ("microcode", 255)]
        {
            let path = format!("principal.snp.{tcb}.{part}");
            all.push(format!("{path} >= 0 && {path} <= {top}"));
            let others = TCBS.iter().skip(at.saturating_add(1));
            all.extend(others.map(|other| format!("{path} == principal.snp.{other}.{part}")));
        }
    }
    all
}

/// The same in both vectors, and one of a few: a set of all bits to choose from would cost the solver too much.
fn mitigations() -> Vec<String> {
    let has = "principal.snp has launch_mitigations && principal.snp has current_mitigations";
    let current = "principal.snp.current_mitigations";
    vec![
        format!("{has} && principal.snp.launch_mitigations == {current}"),
        format!(
            "{has} && ({current} == [0, 1, 2, 3, 4, 5] || {current} == [0] || {current}.isEmpty() || \
             principal.snp.processor has mitigations && {current} == principal.snp.processor.mitigations)"
        ),
    ]
}

/// The ID key, else HOST_DATA, else `least`.
fn identity(least: &str) -> String {
    let zeros = "00".repeat(32);
    format!(
        "principal.guest_identity == (if principal.snp has id_key then GuestIdentity::\"id-key\" else \
         (if principal.snp.host_data != HostData::\"{zeros}\" then GuestIdentity::\"host-data\" \
         else GuestIdentity::\"{least}\"))"
    )
}

/// A key is in one ring.
fn one_ring(candidates: &Candidates) -> String {
    let rings: Vec<String> =
        candidates.names("KeyRing").map(|id| format!("resource in KeyRing::{id:?}")).collect();
    let only = |at: usize| {
        let one =
            |(other, ring): (usize, &String)| if other == at { ring.clone() } else { format!("!({ring})") };
        format!("({})", rings.iter().enumerate().map(one).collect::<Vec<_>>().join(" && "))
    };
    (0..rings.len()).map(only).collect::<Vec<_>>().join(" || ")
}

/// Claims of a report that every case can choose.
const REPORT: [&str; 10] = [
    "principal.snp.measurement",
    "principal.snp.host_data",
    "principal.snp.id_key",
    "principal.snp.author_key",
    "principal.snp.policy.debug_allowed",
    "principal.snp.policy.migrate_ma_allowed",
    "principal.snp.reported_tcb",
    "principal.snp.committed_tcb",
    "principal.snp.current_tcb",
    "principal.snp.launch_tcb",
];
const MITIGATIONS: [&str; 2] = ["principal.snp.launch_mitigations", "principal.snp.current_mitigations"];
pub(super) const TCBS: [&str; 4] = ["reported_tcb", "committed_tcb", "current_tcb", "launch_tcb"];
