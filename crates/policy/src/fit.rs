//! Whether a schema takes what this broker hands to policies.
//!
//! Strict validation promises that a policy does not err as long as requests and entities conform to the schema.
//! They are built by `subject` and not checked again at each decision. So a schema is held against them here:
//! every optional claim present and absent, every closed set with each of its values, every operation.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use cedar_policy::{Entities, Entity, Schema};
use claims::snp::{CpuId, GuestPolicy, PlatformInfo, Product, SigningKey, SnpClaims, Tcb};
use claims::tpm::{
    AkBinding, BOOT_PHASES, BootClaims, DatabaseEntries, Digest, HashAlgorithm, ObjectName, ParavisorClaims,
    TpmClaims,
};
use claims::{
    AttestedRequest, ChipId, ClaimsRecord, ConfigDigest, EvidenceKind, InvalidKeyId, KeyAttributes, KeyId,
    KeyKind, KeyVersion, Measurement, Operation, Origin, ReportData, RingId, Sha256Digest, Suite, UnixTime,
    VersionSelector,
};

use crate::bundle::Bundle;
use crate::cache::Cache;
use crate::circumstances::{Circumstances, Recent};
use crate::load_error::{LoadError, LoadErrors, Problem};
use crate::operators::{Act, Object, Operator};
use crate::reach::Reach;
use crate::references::{References, State, ValueKind};
use crate::subject::{Subjects, Unfit};
use crate::vocabulary::{GUEST_IDENTITIES, OS_BINDINGS, Vocabulary, uid};

/// Checks the schema.
pub(crate) fn check(schema: &Schema) -> Result<(), LoadErrors> {
    let vocabulary = Vocabulary::new().map_err(misfit)?;
    let subjects = Subjects {
        vocabulary,
        references: Arc::new(References::parse(FLOOR)?),
        named: Vec::new(),
        dated: Vec::new(),
        cache: Cache::default(),
        reach: Reach::everything(),
    };
    states(&subjects, schema).map_err(misfit)?;
    (0..TURNS).try_for_each(|turn| probe(&subjects, schema, turn)).map_err(misfit)?;
    acts(&subjects, schema).map_err(misfit)?;
    Ok(())
}

/// Every act, by operators with and without groups.
fn acts(subjects: &Subjects, schema: &Schema) -> Result<(), Unfit> {
    let ak = ObjectName { algorithm: HashAlgorithm::Sha256, digest: Digest(vec![0; 32]) };
    for (turn, act) in Act::ALL.into_iter().enumerate() {
        let key = key(turn).map_err(|error| error.to_string())?;
        let object = match act {
            Act::View | Act::Audit | Act::Load => Object::Broker,
            Act::Enrol | Act::Withdraw => Object::AttestationKey(&ak),
            Act::Create | Act::Import | Act::Enable | Act::Disable | Act::SetPolicy => Object::Key(&key),
        };
        for groups in [BTreeSet::new(), BTreeSet::from(["probes".to_owned()])] {
            let operator = Operator { uid: u32::MAX, name: Operator::unnamed(u32::MAX), groups };
            subjects.act(&operator, act, object, circumstances(turn).now, Some(schema))?;
        }
    }
    Ok(())
}

/// The error of a schema that does not fit.
pub(crate) fn misfit(message: String) -> LoadError {
    LoadError::whole(Bundle::SCHEMA, Problem::Schema { message })
}

/// Every kind of reference value may be in every state.
fn states(subjects: &Subjects, schema: &Schema) -> Result<(), Unfit> {
    for state in State::ALL {
        let parent = uid(&subjects.vocabulary.reference_state, state.name());
        let member =
            |kind| Entity::new_no_attrs(uid(subjects.kind_name(kind), "00"), HashSet::from([parent.clone()]));
        Entities::from_entities(ValueKind::ALL.map(member), Some(schema))
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// One guest, key and operation: optional claims by turns there and not, closed sets by turns with each value.
fn probe(subjects: &Subjects, schema: &Schema, turn: usize) -> Result<(), Unfit> {
    let operation = pick(&Operation::ALL, turn, Operation::Renew);
    let key = key(turn).map_err(|error| error.to_string())?;
    let request =
        AttestedRequest { operation, key: key.id.clone(), version: VersionSelector::Latest, unwrap: None };
    let circumstances = circumstances(turn);
    let at = circumstances.now;
    subjects.subject(&record(turn), &request, &key, &circumstances, at, Some(schema)).map(|_| ())
}

/// The circumstances of a turn.
pub(crate) fn circumstances(turn: usize) -> Circumstances {
    let networks = [None, Some(IpAddr::from([192, 0, 2, 1])), Some(IpAddr::from([0; 16]))];
    Circumstances {
        now: UnixTime(u64::MAX >> 40),
        evidence_age_s: u32::MAX,
        network: pick(&networks, turn, None),
        recent: Recent { guest: u32::MAX, key: 0 },
    }
}

/// The guest of a turn.
pub(crate) fn record(turn: usize) -> ClaimsRecord {
    let every_third = turn % 3;
    ClaimsRecord {
        evidence: pick(&EvidenceKind::ALL, turn, EvidenceKind::SevSnp),
        simulated: true,
        snp_fresh: true,
        os_binding: pick(&OS_BINDINGS, turn, claims::OsBinding::None),
        guest_identity: pick(&GUEST_IDENTITIES, turn, claims::GuestIdentity::None),
        config: ConfigDigest([0; 32]),
        suite: pick(&[Suite::P384, Suite::XWing], turn, Suite::XWing),
        snp: (every_third > 0).then(|| snp(turn, every_third > 1)),
        tpm: (!turn.is_multiple_of(5)).then(|| tpm(turn, turn % 5 > 2)),
    }
}

fn snp(turn: usize, whole: bool) -> SnpClaims {
    let tcb = Tcb { fmc: None, bootloader: 0, tee: 0, snp: u8::MAX, microcode: 0 };
    SnpClaims {
        version: u32::MAX,
        product: pick(&[Product::Milan, Product::Genoa, Product::Turin], turn / 3, Product::Turin),
        cpuid: whole.then_some(CpuId { family: 25, model: 1, stepping: 1 }),
        measurement: Measurement([0; 48]),
        report_data: ReportData([0; 64]),
        host_data: [0; 32],
        id_key_digest: whole.then_some([0; 48]),
        author_key_digest: whole.then_some([1; 48]),
        family_id: [0; 16],
        image_id: [0; 16],
        guest_svn: 0,
        vmpl: 0,
        policy: GuestPolicy(u64::MAX),
        platform: PlatformInfo(u64::MAX),
        reported_tcb: tcb,
        committed_tcb: tcb,
        current_tcb: tcb,
        launch_tcb: tcb,
        current_firmware: (0, 0, 0),
        committed_firmware: (0, 0, 0),
        launch_mit_vector: whole.then_some(u64::MAX),
        current_mit_vector: whole.then_some(0),
        signing_key: pick(&[SigningKey::Vcek, SigningKey::Vlek], turn, SigningKey::Vcek),
        chip_id: whole.then_some(ChipId([0; 64])),
        csp_id: whole.then(|| "CN=provider".to_owned()),
        crl_issued: whole.then_some(UnixTime(0)),
        report_id: [0; 32],
    }
}

fn tpm(turn: usize, whole: bool) -> TpmClaims {
    let bank = pick(&[HashAlgorithm::Sha256, HashAlgorithm::Sha384], turn, HashAlgorithm::Sha256);
    let digest = Digest(vec![0; bank.digest_len()]);
    let pcrs = (0..16).filter(|index| whole || *index < 8).map(|index| (index, digest.clone())).collect();
    TpmClaims {
        ak_binding: pick(&AkBinding::ALL, turn, AkBinding::Enrolled),
        ak_name: whole.then(|| ObjectName { algorithm: bank, digest: digest.clone() }),
        bank,
        pcrs,
        clock_ms: u64::MAX,
        reset_count: u32::MAX,
        restart_count: 0,
        safe: true,
        firmware_version: u64::MAX,
        boot: whole.then(|| boot(turn, &digest)),
        paravisor: whole.then(|| ParavisorClaims {
            vm_id: String::new(),
            secure_boot: true,
            console_enabled: true,
            tpm_persisted: turn.is_multiple_of(2).then_some(true),
        }),
    }
}

fn boot(turn: usize, digest: &Digest) -> BootClaims {
    if turn.is_multiple_of(2) {
        return BootClaims::default();
    }
    let database = Some(Sha256Digest([0; 32]));
    let entries = DatabaseEntries { certificates: vec![Sha256Digest([1; 32])], hashes: Vec::new() };
    BootClaims {
        secure_boot: Some(true),
        pk: database,
        kek: database,
        db: database,
        dbx: database,
        db_entries: Some(entries.clone()),
        dbx_entries: Some(entries),
        applications: vec![digest.clone()],
        sections: [".linux", ".initrd", ".other"].map(|name| (name.to_owned(), digest.clone())).into(),
        phases: vec![pick(&BOOT_PHASES, turn / 2, "final").to_owned()],
        command_line: Some(digest.clone()),
        initrd: Some(digest.clone()),
        boot_services_exited: Some(true),
    }
}

/// The key of a turn.
pub(crate) fn key(turn: usize) -> Result<KeyAttributes, InvalidKeyId> {
    let rsa = [2048, 3072, 4096].map(|bits| KeyKind::Rsa { bits });
    let [small, middle, large] = rsa;
    Ok(KeyAttributes {
        id: "probe".parse::<KeyId>()?,
        version: KeyVersion(u32::MAX),
        kind: pick(&[small, middle, large, KeyKind::Aes256, KeyKind::Secret], turn, KeyKind::Secret),
        origin: pick(&[Origin::Generated, Origin::Imported, Origin::Restored], turn, Origin::Generated),
        operations: BTreeSet::new(),
        for_simulation: true,
        suite_floor: pick(&[Suite::P384, Suite::XWing], turn, Suite::XWing),
        enabled: true,
        revision: 1,
        created_at: UnixTime(0),
        ring: RingId::default(),
        region: turn.is_multiple_of(2).then(|| "probe".parse()).transpose()?,
        release_policy: None,
        tags: BTreeMap::from([("team".to_owned(), "db".to_owned())]),
        commitment: Sha256Digest([0; 32]),
    })
}

fn pick<T: Copy>(values: &[T], turn: usize, otherwise: T) -> T {
    turn.checked_rem(values.len()).and_then(|at| values.get(at)).copied().unwrap_or(otherwise)
}

/// A multiple of the size of each closed set, and of the shapes of the records: none, bare and whole.
pub(crate) const TURNS: usize = 60;

/// A floor for one product, so that processors are seen with and without.
const FLOOR: &str = "version = 1\n[[tcb_floor]]\nproduct = \"Milan\"\n\
    fmc = 0\nbootloader = 0\ntee = 0\nsnp = 0\nmicrocode = 0\nmitigations = [0]\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// How much there is of a report or a quote whose optional claims are all there or all absent.
    fn shape(there: &[bool]) -> &'static str {
        match there {
            [] => "none",
            [first, rest @ ..] if rest.iter().any(|other| other != first) => "some",
            [first, ..] => {
                if *first {
                    "whole"
                } else {
                    "bare"
                }
            }
        }
    }

    /// The shapes of report and quote of a turn's guest.
    fn shapes(turn: usize) -> [&'static str; 2] {
        let ClaimsRecord { snp, tpm, .. } = record(turn);
        let snp = snp.map_or(Vec::new(), |snp| {
            vec![
                snp.cpuid.is_some(),
                snp.id_key_digest.is_some(),
                snp.author_key_digest.is_some(),
                snp.launch_mit_vector.is_some(),
                snp.current_mit_vector.is_some(),
                snp.chip_id.is_some(),
                snp.csp_id.is_some(),
                snp.crl_issued.is_some(),
            ]
        });
        let tpm = tpm.map_or(Vec::new(), |tpm| {
            let pcrs = tpm.pcrs.keys().copied();
            let all = if pcrs.clone().eq(0..16) {
                true
            } else {
                assert!(pcrs.eq(0..8));
                false
            };
            vec![all, tpm.ak_name.is_some(), tpm.boot.is_some(), tpm.paravisor.is_some()]
        });
        [shape(&snp), shape(&tpm)]
    }

    #[test]
    fn reports_and_quotes_are_tried_absent_bare_and_whole_each_beside_each() {
        let reports = ["none", "bare", "whole"].into_iter().cycle();
        let quotes = ["none", "bare", "bare", "whole", "whole"].into_iter().cycle();
        for (turn, (report, quote)) in (0..60).zip(reports.zip(quotes)) {
            assert_eq!(shapes(turn), [report, quote], "turn {turn}");
        }
    }

    #[test]
    fn every_product_and_signing_key_is_tried_with_bare_and_with_whole_reports() {
        let tried = |of: fn(&SnpClaims) -> &'static str| {
            let reports = (0..60).filter_map(|turn| Some((record(turn).snp?, shapes(turn)[0])));
            reports.map(|(snp, shape)| (of(&snp), shape)).collect::<BTreeSet<_>>()
        };
        let each = |names: &[&'static str]| {
            names.iter().flat_map(|name| [(*name, "bare"), (*name, "whole")]).collect::<BTreeSet<_>>()
        };
        assert_eq!(tried(|snp| snp.product.name()), each(&["Milan", "Genoa", "Turin"]));
        assert_eq!(tried(|snp| snp.signing_key.name()), each(&["vcek", "vlek"]));
    }

    #[test]
    fn every_phase_of_the_boot_is_tried() {
        let logs = (0..TURNS).filter_map(|turn| record(turn).tpm?.boot);
        let tried: BTreeSet<_> = logs.filter_map(|boot| boot.phases.last().cloned()).collect();
        assert_eq!(tried, BOOT_PHASES.map(str::to_owned).into());
    }

    #[test]
    fn event_logs_are_tried_that_prove_nothing_and_that_prove_everything() {
        let logs = (0..60).filter_map(|turn| record(turn).tpm?.boot);
        let tried = logs.map(|boot| {
            shape(&[
                boot.secure_boot.is_some(),
                boot.pk.is_some(),
                boot.kek.is_some(),
                boot.db.is_some(),
                boot.dbx.is_some(),
                boot.db_entries.is_some(),
                boot.dbx_entries.is_some(),
                !boot.applications.is_empty(),
                !boot.sections.is_empty(),
                !boot.phases.is_empty(),
                boot.command_line.is_some(),
                boot.initrd.is_some(),
                boot.boot_services_exited.is_some(),
            ])
        });
        assert_eq!(tried.collect::<BTreeSet<_>>(), BTreeSet::from(["bare", "whole"]));
    }
}
