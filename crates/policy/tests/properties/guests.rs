//! Random guests, keys and requests, out of so few values that guests and rules often agree.

use std::collections::{BTreeMap, BTreeSet};

use claims::snp::{CpuId, GuestPolicy, PlatformInfo, Product, SigningKey, SnpClaims, Tcb};
use claims::tpm::{
    AkBinding, BootClaims, DatabaseEntries, Digest, HashAlgorithm, ObjectName, ParavisorClaims, TpmClaims,
};
use claims::{
    AttestedRequest, ChipId, ClaimsRecord, ConfigDigest, EvidenceKind, GuestIdentity, KeyAttributes, KeyKind,
    KeyVersion, Measurement, Operation, Origin, OsBinding, ReportData, Sha256Digest, Suite, UnixTime,
    VersionSelector,
};
use policy::{Circumstances, Recent};

use crate::numbers::Numbers;

/// What one decision is about.
#[derive(Clone, Debug)]
pub struct Asked {
    pub record: ClaimsRecord,
    pub request: AttestedRequest,
    pub key: KeyAttributes,
    pub circumstances: Circumstances,
}

pub const OS_BINDINGS: [OsBinding; 4] =
    [OsBinding::Launch, OsBinding::InTeeVtpm, OsBinding::HostVtpm, OsBinding::None];
pub const IDENTITIES: [GuestIdentity; 5] = [
    GuestIdentity::HostData,
    GuestIdentity::IdKey,
    GuestIdentity::VmId,
    GuestIdentity::Enrolled,
    GuestIdentity::None,
];
pub const PRODUCTS: [Product; 3] = [Product::Milan, Product::Genoa, Product::Turin];
pub const KINDS: [KeyKind; 5] = [
    KeyKind::Rsa { bits: 2048 },
    KeyKind::Rsa { bits: 3072 },
    KeyKind::Rsa { bits: 4096 },
    KeyKind::Aes256,
    KeyKind::Secret,
];
pub const ORIGINS: [Origin; 3] = [Origin::Generated, Origin::Imported, Origin::Restored];
pub const CSPS: [&str; 3] = ["CN=cc-us-east-2.amazonaws.com", "CN=one", "CN=two"];
pub const VM_IDS: [&str; 3] = [
    "0a1b2c3d-0123-4567-89ab-000000000001",
    "0a1b2c3d-0123-4567-89ab-000000000002",
    "0a1b2c3d-0123-4567-89ab-000000000003",
];
pub const REGIONS: [&str; 2] = ["eu-central-1", "us-east-2"];
pub const RINGS: [&str; 2] = ["default", "payments"];
pub const PHASES: [&str; 4] = ["enter-initrd", "leave-initrd", "sysinit", "ready"];
pub const SECTIONS: [&str; 5] = ["linux", "osrel", "cmdline", "initrd", "profile"];
/// How many different bytes there are of each kind.
pub const VALUES: u8 = 4;

fn digest(numbers: &mut Numbers, first: u8) -> Digest {
    Digest(vec![first + numbers.byte(VALUES); 32])
}

fn sha256(numbers: &mut Numbers, first: u8) -> Sha256Digest {
    Sha256Digest([first + numbers.byte(VALUES); 32])
}

/// `Some` so many times of a hundred.
fn perhaps<T>(numbers: &mut Numbers, percent: u64, make: impl FnOnce(&mut Numbers) -> T) -> Option<T> {
    numbers.chance(percent).then(|| make(numbers))
}

/// A guest of any kind; now and then one whose parts do not fit its kind.
pub fn record(numbers: &mut Numbers) -> ClaimsRecord {
    let evidence = *numbers.pick(&EvidenceKind::ALL);
    let odd = numbers.chance(10);
    let has_snp = if odd { numbers.chance(50) } else { evidence != EvidenceKind::Tpm };
    let has_tpm = if odd { numbers.chance(50) } else { evidence != EvidenceKind::SevSnp };
    ClaimsRecord {
        evidence,
        simulated: numbers.chance(15),
        snp_fresh: numbers.chance(70),
        os_binding: *numbers.pick(&OS_BINDINGS),
        guest_identity: *numbers.pick(&IDENTITIES),
        config: ConfigDigest([numbers.byte(VALUES); 32]),
        suite: if numbers.chance(80) { Suite::XWing } else { Suite::P384 },
        snp: has_snp.then(|| snp(numbers)),
        tpm: has_tpm.then(|| tpm(numbers, evidence)),
    }
}

pub fn snp(numbers: &mut Numbers) -> SnpClaims {
    let product = *numbers.pick(&PRODUCTS);
    let current = tcb(numbers, product);
    let committed = if numbers.chance(60) { current } else { tcb(numbers, product) };
    let firmware = (1, 50 + numbers.byte(4), numbers.byte(4));
    let vlek = numbers.chance(30);
    SnpClaims {
        version: 2 + u32::from(numbers.byte(4)),
        product,
        cpuid: perhaps(numbers, 70, cpuid),
        measurement: Measurement([0x10 + numbers.byte(VALUES); 48]),
        report_data: ReportData([0; 64]),
        host_data: [0x20 + numbers.byte(VALUES); 32],
        id_key_digest: perhaps(numbers, 50, |n| [0x30 + n.byte(VALUES); 48]),
        author_key_digest: perhaps(numbers, 30, |n| [0x30 + n.byte(VALUES); 48]),
        family_id: [numbers.byte(VALUES); 16],
        image_id: [numbers.byte(VALUES); 16],
        guest_svn: u32::from(numbers.byte(5)),
        vmpl: u32::from(numbers.byte(4)),
        policy: GuestPolicy(0x3_0000 | (numbers.any() & 0x03fd_0f0f)),
        platform: PlatformInfo(numbers.any() & numbers.any() & 0x8000_0000_0000_03ff),
        reported_tcb: tcb(numbers, product),
        committed_tcb: committed,
        current_tcb: current,
        launch_tcb: tcb(numbers, product),
        current_firmware: firmware,
        committed_firmware: if numbers.chance(70) { firmware } else { (1, 49, 0) },
        launch_mit_vector: perhaps(numbers, 50, |n| n.below(16)),
        current_mit_vector: perhaps(numbers, 50, |n| n.below(16)),
        signing_key: if vlek { SigningKey::Vlek } else { SigningKey::Vcek },
        chip_id: perhaps(numbers, 60, |n| ChipId([0x40 + n.byte(VALUES); 64])),
        csp_id: perhaps(numbers, 40, |n| (*n.pick(&CSPS)).to_owned()),
        crl_issued: perhaps(numbers, 60, |n| UnixTime(NOW.0 - n.below(60) * DAY)),
        report_id: [numbers.byte(VALUES); 32],
    }
}

fn tcb(numbers: &mut Numbers, product: Product) -> Tcb {
    let fmc = (product == Product::Turin).then(|| numbers.byte(4));
    let mut part = || 2 + numbers.byte(6);
    Tcb { fmc, bootloader: part(), tee: part(), snp: part(), microcode: part() }
}

fn cpuid(numbers: &mut Numbers) -> CpuId {
    CpuId { family: 25, model: 17, stepping: 1 + numbers.byte(2) }
}

pub fn tpm(numbers: &mut Numbers, evidence: EvidenceKind) -> TpmClaims {
    let in_tee = matches!(evidence, EvidenceKind::AzureVtpm | EvidenceKind::Svsm) && numbers.chance(80);
    let azure = evidence == EvidenceKind::AzureVtpm;
    TpmClaims {
        ak_binding: if in_tee { AkBinding::InTee } else { *numbers.pick(&AkBinding::ALL) },
        ak_name: perhaps(numbers, if azure { 5 } else { 90 }, |n| ObjectName {
            algorithm: HashAlgorithm::Sha256,
            digest: digest(n, 0x50),
        }),
        bank: HashAlgorithm::Sha256,
        pcrs: (0..16).filter_map(|i| Some((i, perhaps(numbers, 70, |n| digest(n, 0x60))?))).collect(),
        clock_ms: if numbers.chance(2) { u64::MAX } else { numbers.below(100_000) },
        reset_count: u32::from(numbers.byte(10)),
        restart_count: u32::from(numbers.byte(4)),
        safe: numbers.chance(80),
        firmware_version: numbers.below(4),
        boot: perhaps(numbers, 75, boot),
        paravisor: perhaps(numbers, if azure { 90 } else { 5 }, azure_claims),
    }
}

fn azure_claims(numbers: &mut Numbers) -> ParavisorClaims {
    ParavisorClaims {
        vm_id: (*numbers.pick(&VM_IDS)).to_owned(),
        secure_boot: numbers.chance(70),
        console_enabled: numbers.chance(30),
        tpm_persisted: perhaps(numbers, 60, |n| n.chance(50)),
    }
}

fn boot(numbers: &mut Numbers) -> BootClaims {
    let measured = |numbers: &mut Numbers| digest(numbers, 0x70);
    let section = |numbers: &mut Numbers| {
        let name = format!(".{}", numbers.pick(&SECTIONS));
        (name, measured(numbers))
    };
    let sections: BTreeMap<String, Digest> = (0..numbers.below(5)).map(|_| section(numbers)).collect();
    BootClaims {
        secure_boot: perhaps(numbers, 80, |n| n.chance(80)),
        pk: perhaps(numbers, 60, |n| sha256(n, 0x80)),
        kek: perhaps(numbers, 60, |n| sha256(n, 0x80)),
        db: perhaps(numbers, 60, |n| sha256(n, 0x80)),
        dbx: perhaps(numbers, 60, |n| sha256(n, 0x80)),
        db_entries: perhaps(numbers, 60, database_entries),
        dbx_entries: perhaps(numbers, 60, database_entries),
        applications: (0..numbers.below(3)).map(|_| measured(numbers)).collect(),
        sections: sections.into_iter().collect(),
        phases: PHASES.iter().take(numbers.index(5)).map(|phase| (*phase).to_owned()).collect(),
        command_line: perhaps(numbers, 60, measured),
        initrd: perhaps(numbers, 60, measured),
        boot_services_exited: perhaps(numbers, 60, |n| n.chance(80)),
    }
}

fn database_entries(numbers: &mut Numbers) -> DatabaseEntries {
    let mut digests = || (0..numbers.below(3)).map(|_| sha256(numbers, 0x90)).collect();
    DatabaseEntries { certificates: digests(), hashes: digests() }
}

/// A guest, a key and what it asks of it; the locks mostly let it pass.
pub fn asked(numbers: &mut Numbers) -> Asked {
    let record = record(numbers);
    let operation = *numbers.pick(&Operation::ALL);
    let (key, request) = wanted(numbers, operation, &record);
    Asked { record, request, key, circumstances: circumstances(numbers) }
}

fn circumstances(numbers: &mut Numbers) -> Circumstances {
    let addresses = ["10.0.0.7", "10.1.2.3", "::ffff:10.0.0.7", "192.0.2.1", "2001:db8::1"];
    Circumstances {
        now: UnixTime(NOW.0 + numbers.below(30) * DAY),
        evidence_age_s: u32::from(numbers.byte(120)),
        network: perhaps(numbers, 70, |n| n.pick(&addresses).parse().unwrap()),
        recent: Recent { guest: u32::from(numbers.byte(8)), key: u32::from(numbers.byte(8)) },
    }
}

fn wanted(
    numbers: &mut Numbers,
    operation: Operation,
    record: &ClaimsRecord,
) -> (KeyAttributes, AttestedRequest) {
    let id = numbers.pick(&["db", "disk", "web"]).parse().unwrap();
    let fitting = if operation == Operation::Secret { KeyKind::Secret } else { *numbers.pick(&KINDS[..4]) };
    let fits = numbers.chance(97);
    let all: BTreeSet<Operation> = Operation::ALL.into();
    let key = KeyAttributes {
        id,
        version: KeyVersion(1 + u32::from(numbers.byte(3))),
        kind: if fits { fitting } else { *numbers.pick(&KINDS) },
        origin: *numbers.pick(&ORIGINS),
        operations: if numbers.chance(97) { all } else { BTreeSet::new() },
        for_simulation: record.simulated == numbers.chance(97),
        suite_floor: if numbers.chance(20) { Suite::XWing } else { Suite::P384 },
        enabled: numbers.chance(98),
        revision: 1,
        created_at: UnixTime(NOW.0 - numbers.below(400) * DAY),
        ring: numbers.pick(&RINGS).parse().unwrap(),
        region: perhaps(numbers, 60, |n| n.pick(&REGIONS).parse().unwrap()),
        release_policy: None,
        tags: tags(numbers),
        commitment: Sha256Digest([0; 32]),
    };
    let other = numbers.chance(2);
    let request = AttestedRequest {
        operation,
        key: if other { "other".parse().unwrap() } else { key.id.clone() },
        version: match numbers.below(20) {
            0 => VersionSelector::Exact(KeyVersion(1)),
            1..=5 => VersionSelector::Exact(key.version),
            _ => VersionSelector::Latest,
        },
        unwrap: None,
    };
    (key, request)
}

fn tags(numbers: &mut Numbers) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    for name in ["team", "host"] {
        if numbers.chance(60) {
            tags.insert(name.to_owned(), (*numbers.pick(&["db", "web", "trusted"])).to_owned());
        }
    }
    tags
}

/// Another guest than this one in up to four places, or in all.
pub fn neighbour(numbers: &mut Numbers, like: &Asked) -> Asked {
    if numbers.chance(15) {
        return asked(numbers);
    }
    let mut near = like.clone();
    for _ in 0..numbers.below(5) {
        change(numbers, &mut near);
    }
    near
}

/// Takes one part from another guest.
fn change(numbers: &mut Numbers, near: &mut Asked) {
    let other = asked(numbers);
    let (into, from) = (&mut near.record, other.record);
    match numbers.below(15) {
        0 => into.evidence = from.evidence,
        1 => into.snp_fresh = from.snp_fresh,
        2 => into.os_binding = from.os_binding,
        3 => into.guest_identity = from.guest_identity,
        4 => into.config = from.config,
        5 => into.snp = from.snp,
        6 => into.tpm = from.tpm,
        7 => near.circumstances = other.circumstances,
        8 => (near.key.version, near.key.tags) = (other.key.version, other.key.tags),
        9 => (near.key.origin, near.key.created_at) = (other.key.origin, other.key.created_at),
        10 => (near.key.ring, near.key.region) = (other.key.ring, other.key.region),
        11 | 12 => change_report(numbers, &mut into.snp, from.snp),
        _ => change_quote(numbers, &mut into.tpm, from.tpm),
    }
}

fn change_report(numbers: &mut Numbers, into: &mut Option<SnpClaims>, from: Option<SnpClaims>) {
    let (Some(into), Some(from)) = (into, from) else { return };
    match numbers.below(16) {
        0 => (into.product, into.cpuid) = (from.product, from.cpuid),
        1 => into.measurement = from.measurement,
        2 => into.host_data = from.host_data,
        3 => into.id_key_digest = from.id_key_digest,
        4 => into.author_key_digest = from.author_key_digest,
        5 => into.vmpl = from.vmpl,
        6 => into.policy = from.policy,
        7 => into.platform = from.platform,
        8 => into.reported_tcb = from.reported_tcb,
        9 => (into.current_tcb, into.committed_tcb) = (from.current_tcb, from.committed_tcb),
        10 => into.launch_tcb = from.launch_tcb,
        11 => into.current_mit_vector = from.current_mit_vector,
        12 => (into.signing_key, into.csp_id) = (from.signing_key, from.csp_id),
        13 => into.chip_id = from.chip_id,
        14 => into.crl_issued = from.crl_issued,
        _ => into.current_firmware = from.current_firmware,
    }
}

fn change_quote(numbers: &mut Numbers, into: &mut Option<TpmClaims>, from: Option<TpmClaims>) {
    let (Some(into), Some(from)) = (into, from) else { return };
    match numbers.below(6) {
        0 => (into.ak_binding, into.ak_name) = (from.ak_binding, from.ak_name),
        1 => into.pcrs = from.pcrs,
        2 => into.boot = from.boot,
        3 => into.paravisor = from.paravisor,
        4 => into.safe = from.safe,
        _ => (into.clock_ms, into.reset_count) = (from.clock_ms, from.reset_count),
    }
}

/// The guest without one optional claim, for each that it has.
pub fn removals(record: &ClaimsRecord) -> Vec<(String, ClaimsRecord)> {
    let mut all = Vec::new();
    let mut without = |what: &str, remove: &dyn Fn(&mut ClaimsRecord)| {
        let mut less = record.clone();
        remove(&mut less);
        if less != *record {
            all.push((what.to_owned(), less));
        }
    };
    without("snp", &|r| r.snp = None);
    without("tpm", &|r| r.tpm = None);
    if record.snp.is_some() {
        let mut without = |what, remove: fn(&mut SnpClaims)| {
            without(what, &|r| r.snp.iter_mut().for_each(remove));
        };
        without("cpuid", |snp| snp.cpuid = None);
        without("id_key", |snp| snp.id_key_digest = None);
        without("author_key", |snp| snp.author_key_digest = None);
        without("launch_mitigations", |snp| snp.launch_mit_vector = None);
        without("current_mitigations", |snp| snp.current_mit_vector = None);
        without("chip", |snp| snp.chip_id = None);
        without("csp", |snp| snp.csp_id = None);
        without("crl_issued", |snp| snp.crl_issued = None);
    }
    for index in 0..16 {
        without(&format!("pcr{index}"), &|r| {
            r.tpm.iter_mut().for_each(|tpm| drop(tpm.pcrs.remove(&index)));
        });
    }
    let mut without_fact = |what, remove: fn(&mut TpmClaims)| {
        without(what, &|r| r.tpm.iter_mut().for_each(remove));
    };
    without_fact("ak", |tpm| tpm.ak_name = None);
    without_fact("boot", |tpm| tpm.boot = None);
    without_fact("azure", |tpm| tpm.paravisor = None);
    without_fact("azure.tpm_persisted", |tpm| {
        tpm.paravisor.iter_mut().for_each(|azure| azure.tpm_persisted = None);
    });
    let mut without_boot = |what, remove: fn(&mut BootClaims)| {
        without(what, &|r| r.tpm.iter_mut().filter_map(|tpm| tpm.boot.as_mut()).for_each(remove));
    };
    without_boot("secure_boot", |boot| boot.secure_boot = None);
    without_boot("pk", |boot| boot.pk = None);
    without_boot("kek", |boot| boot.kek = None);
    without_boot("db", |boot| boot.db = None);
    without_boot("dbx", |boot| boot.dbx = None);
    without_boot("db_entries", |boot| boot.db_entries = None);
    without_boot("dbx_entries", |boot| boot.dbx_entries = None);
    without_boot("phase", |boot| boot.phases.clear());
    without_boot("a section", |boot| drop(boot.sections.pop()));
    without_boot("command_line", |boot| boot.command_line = None);
    without_boot("initrd", |boot| boot.initrd = None);
    without_boot("boot_services_exited", |boot| boot.boot_services_exited = None);
    all
}

/// The middle of the times that guests ask at, a midnight.
const NOW: UnixTime = UnixTime(1_795_305_600);
/// Seconds.
const DAY: u64 = 86_400;
