//! What a policy can read of a guest and a key: paths, what to ask for first, and what this guest has there.

use claims::Sha256Digest;
use claims::snp::SnpClaims;
use claims::tpm::{AkBinding, BootClaims, DatabaseEntries, Digest, TpmClaims};
use policy::Circumstances;

use crate::guests::{
    Asked, CSPS, IDENTITIES, KINDS, ORIGINS, OS_BINDINGS, PHASES, PRODUCTS, REGIONS, RINGS, VALUES, VM_IDS,
};
use crate::references::PARTS;

/// One claim.
pub struct Claim {
    pub path: String,
    /// In this order.
    pub guards: Vec<String>,
    pub value: Value,
}

/// What is found there; `None` where it is absent.
pub enum Value {
    Truth(Option<bool>),
    Number(Option<i64>),
    Name {
        kind: &'static str,
        found: Option<String>,
        all: Vec<String>,
    },
    /// Numbers of the bits that are set.
    Bits(Vec<u64>),
    Names {
        kind: &'static str,
        found: Vec<String>,
        all: Vec<String>,
    },
    SectionNames(Vec<String>),
    Text {
        found: Option<String>,
        all: &'static [&'static str],
    },
    /// A ring that a key is in, among all.
    Within(String, Vec<String>),
}

impl Value {
    pub fn is_there(&self) -> bool {
        match self {
            Self::Truth(found) => found.is_some(),
            Self::Number(found) => found.is_some(),
            Self::Name { found, .. } => found.is_some(),
            Self::Text { found, .. } => found.is_some(),
            Self::Within(..) => true,
            Self::Bits(found) => !found.is_empty(),
            Self::Names { found, .. } | Self::SectionNames(found) => !found.is_empty(),
        }
    }
}

/// Whether reference values are kept for a type.
pub fn has_states(kind: &str) -> bool {
    const STATEFUL: [&str; 11] = [
        "Measurement",
        "HostData",
        "IdKey",
        "Chip",
        "Csp",
        "Paravisor",
        "VmId",
        "Pcr",
        "Measured",
        "Database",
        "AkName",
    ];
    STATEFUL.contains(&kind)
}

/// All of a guest's, and a key's.
pub fn claims(asked: &Asked) -> Vec<Claim> {
    let mut all = Vec::with_capacity(160);
    top(asked, &mut all);
    key(asked, &mut all);
    context(&asked.circumstances, &mut all);
    let record = &asked.record;
    report(record.snp.as_ref(), &mut all);
    quote(record.tpm.as_ref(), &mut all);
    let in_tee = record.tpm.as_ref().is_some_and(|tpm| tpm.ak_binding == AkBinding::InTee);
    let paravisor = record.snp.as_ref().filter(|_| in_tee).map(|snp| snp.measurement.to_string());
    let value = Value::Name { kind: "Paravisor", found: paravisor, all: bytes(0x10, 48) };
    all.push(within("tpm", Some("paravisor"), "paravisor", value));
    all
}

fn top(asked: &Asked, all: &mut Vec<Claim>) {
    let record = &asked.record;
    let mut add = |name: &str, value| {
        all.push(Claim { path: format!("principal.{name}"), guards: Vec::new(), value });
    };
    let kinds = ["sev-snp", "tpm", "azure-vtpm", "svsm"].map(ToOwned::to_owned).into();
    add("evidence", name("EvidenceKind", record.evidence.name(), kinds));
    add("simulated", Value::Truth(Some(record.simulated)));
    add("snp_fresh", Value::Truth(Some(record.snp_fresh)));
    let bindings = OS_BINDINGS.map(|b| b.name().to_owned()).into();
    add("os_binding", name("OsBinding", record.os_binding.name(), bindings));
    let identities = IDENTITIES.map(|i| i.name().to_owned()).into();
    add("guest_identity", name("GuestIdentity", record.guest_identity.name(), identities));
    add("config", name("Config", &record.config.to_string(), bytes(0, 32)));
    add("suite", name("Suite", record.suite.name(), vec!["p384".into(), "x-wing".into()]));
}

fn key(asked: &Asked, all: &mut Vec<Claim>) {
    let key = &asked.key;
    let mut add = |path: &str, guards: Vec<String>, value| {
        all.push(Claim { path: path.to_owned(), guards, value });
    };
    add("resource.version", Vec::new(), Value::Number(Some(i64::from(key.version.0))));
    let kinds = KINDS.map(|kind| kind.to_string()).into();
    add("resource.kind", Vec::new(), name("KeyKind", &key.kind.to_string(), kinds));
    let origins = ORIGINS.map(|origin| origin.name().to_owned()).into();
    add("resource.origin", Vec::new(), name("Origin", key.origin.name(), origins));
    add("resource.for_simulation", Vec::new(), Value::Truth(Some(key.for_simulation)));
    let ids = ["db", "disk", "web"].map(ToOwned::to_owned).into();
    add("resource", Vec::new(), name("Key", key.id.as_str(), ids));
    add("resource.exportable", Vec::new(), Value::Truth(Some(key.is_exportable())));
    let regions = REGIONS.map(ToOwned::to_owned).into();
    let region = key.region.as_ref().map(|region| region.as_str().to_owned());
    let region = Value::Name { kind: "Region", found: region, all: regions };
    add("resource.region", vec!["resource has region".to_owned()], region);
    let rings = RINGS.map(ToOwned::to_owned).into();
    add("resource", Vec::new(), Value::Within(key.ring.as_str().to_owned(), rings));
    for tag in ["team", "host"] {
        let value = Value::Text { found: key.tags.get(tag).cloned(), all: &["db", "web", "trusted"] };
        add(&format!("resource.getTag(\"{tag}\")"), vec![format!("resource.hasTag(\"{tag}\")")], value);
    }
}

fn context(circumstances: &Circumstances, all: &mut Vec<Claim>) {
    let mut add = |path: &str, value| all.push(Claim { path: path.to_owned(), guards: Vec::new(), value });
    add("context.recent.guest", Value::Number(Some(circumstances.recent.guest.into())));
    add("context.recent.key", Value::Number(Some(circumstances.recent.key.into())));
    let age = i64::from(circumstances.evidence_age_s);
    add("context.evidence_age.toSeconds()", Value::Number(Some(age)));
    let v4 = circumstances.network.map(|network| network.to_canonical().is_ipv4());
    let guards = vec!["context has network".to_owned()];
    all.push(Claim {
        path: "context.network.isIpv4()".to_owned(),
        guards: guards.clone(),
        value: Value::Truth(v4),
    });
    let near = circumstances.network.map(|network| network.to_canonical().to_string().starts_with("10.0."));
    let path = "context.network.isInRange(ip(\"10.0.0.0/16\"))".to_owned();
    all.push(Claim { path, guards, value: Value::Truth(near) });
}

fn report(snp: Option<&SnpClaims>, all: &mut Vec<Claim>) {
    let mut add = |path: &str, guard: Option<&str>, value| all.push(within("snp", guard, path, value));
    let text = |read: &dyn Fn(&SnpClaims) -> Option<String>| snp.and_then(read);
    add("version", None, number(snp, |snp| snp.version));
    let products = PRODUCTS.map(|product| product.name().to_owned()).into();
    let product = text(&|snp| Some(snp.product.name().to_owned()));
    add("product", None, Value::Name { kind: "Product", found: product, all: products });
    add("cpuid.stepping", Some("cpuid"), number_in(snp, |snp| snp.cpuid.map(|c| c.stepping.into())));
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let bytes_of = |kind, first, len, found| Value::Name { kind, found, all: bytes(first, len) };
    add("measurement", None, bytes_of("Measurement", 0x10, 48, text(&|s| Some(hex(&s.measurement.0)))));
    add("host_data", None, bytes_of("HostData", 0x20, 32, text(&|s| Some(hex(&s.host_data)))));
    let id_key = text(&|s| Some(hex(&s.id_key_digest?)));
    add("id_key", Some("id_key"), bytes_of("IdKey", 0x30, 48, id_key));
    let author = text(&|s| Some(hex(&s.author_key_digest?)));
    add("author_key", Some("author_key"), bytes_of("IdKey", 0x30, 48, author));
    add("family_id", None, bytes_of("FamilyId", 0, 16, text(&|s| Some(hex(&s.family_id)))));
    add("image_id", None, bytes_of("ImageId", 0, 16, text(&|s| Some(hex(&s.image_id)))));
    add("report_id", None, bytes_of("ReportId", 0, 32, text(&|s| Some(hex(&s.report_id)))));
    add("chip", Some("chip"), bytes_of("Chip", 0x40, 64, text(&|s| Some(hex(&s.chip_id?.0)))));
    let csp =
        Value::Name { kind: "Csp", found: text(&|s| s.csp_id.clone()), all: CSPS.map(Into::into).into() };
    add("csp", Some("csp"), csp);
    let keys = vec!["vcek".into(), "vlek".into()];
    let key = text(&|s| Some(s.signing_key.name().to_owned()));
    add("signing_key", None, Value::Name { kind: "SigningKey", found: key, all: keys });
    add("guest_svn", None, number(snp, |snp| snp.guest_svn));
    add("vmpl", None, number(snp, |snp| snp.vmpl));
    add("current_firmware.minor", None, number(snp, |snp| snp.current_firmware.1.into()));
    add("committed_firmware.build", None, number(snp, |snp| snp.committed_firmware.2.into()));
    for (i, part) in PARTS.into_iter().enumerate() {
        let of = |snp: &SnpClaims| {
            let t = snp.launch_tcb;
            [t.fmc.unwrap_or(0), t.bootloader, t.tee, t.snp, t.microcode][i].into()
        };
        add(&format!("launch_tcb.{part}"), None, number(snp, of));
    }
    flags(snp, &mut add);
}

fn flags(snp: Option<&SnpClaims>, add: &mut impl FnMut(&str, Option<&str>, Value)) {
    let mut flag = |path: &str, read: fn(&SnpClaims) -> bool| add(path, None, Value::Truth(snp.map(read)));
    flag("policy.debug_allowed", |snp| snp.policy.debug_allowed());
    flag("policy.migrate_ma_allowed", |snp| snp.policy.migrate_ma_allowed());
    flag("policy.smt_allowed", |snp| snp.policy.smt_allowed());
    flag("policy.page_swap_disabled", |snp| snp.policy.page_swap_disabled());
    flag("platform.smt", |snp| snp.platform.smt());
    flag("platform.alias_check_complete", |snp| snp.platform.alias_check_complete());
    flag("platform.unknown_bits", |snp| snp.platform.unknown_bits() != 0);
    flag("provisional_firmware", SnpClaims::is_provisional);
    let bits = |vector: Option<u64>| (0..64).filter(|b| vector.unwrap_or(0) >> b & 1 == 1).collect();
    add("platform.bits", None, Value::Bits(bits(snp.map(|snp| snp.platform.0))));
    let launch = snp.and_then(|snp| snp.launch_mit_vector);
    add("launch_mitigations", Some("launch_mitigations"), Value::Bits(bits(launch)));
    let current = snp.and_then(|snp| snp.current_mit_vector);
    add("current_mitigations", Some("current_mitigations"), Value::Bits(bits(current)));
}

fn quote(tpm: Option<&TpmClaims>, all: &mut Vec<Claim>) {
    let mut add = |path: &str, guard: Option<&str>, value| all.push(within("tpm", guard, path, value));
    let bindings = AkBinding::ALL.map(|b| b.name().to_owned()).into();
    let binding = tpm.map(|tpm| tpm.ak_binding.name().to_owned());
    add("ak_binding", None, Value::Name { kind: "AkBinding", found: binding, all: bindings });
    let ak = tpm.and_then(|tpm| tpm.ak_name.as_ref()).map(ToString::to_string);
    let names = bytes(0x50, 32).into_iter().map(|digest| format!("000b{digest}")).collect();
    add("ak", Some("ak"), Value::Name { kind: "AkName", found: ak, all: names });
    add("safe", None, Value::Truth(tpm.map(|tpm| tpm.safe)));
    add("reset_count", None, Value::Number(tpm.map(|tpm| i64::from(tpm.reset_count))));
    let clock = tpm.map(|tpm| i64::try_from(tpm.clock_ms).unwrap_or(i64::MAX));
    add("clock_ms", None, Value::Number(clock));
    let firmware = tpm.map(|tpm| format!("{:016x}", tpm.firmware_version));
    add("firmware_version", None, Value::Text { found: firmware, all: &["0000000000000001", "ff"] });
    for index in [0, 4, 7, 11] {
        let found = tpm.and_then(|tpm| tpm.pcrs.get(&index)).map(ToString::to_string);
        let value = Value::Name { kind: "Pcr", found, all: bytes(0x60, 32) };
        let guards = vec!["principal has tpm".to_owned(), format!("principal.tpm.pcrs has pcr{index}")];
        all.push(Claim { path: format!("principal.tpm.pcrs.pcr{index}"), guards, value });
    }
    azure(tpm, all);
    boot(tpm.and_then(|tpm| tpm.boot.as_ref()), all);
}

fn azure(tpm: Option<&TpmClaims>, all: &mut Vec<Claim>) {
    let azure = tpm.and_then(|tpm| tpm.paravisor.as_ref());
    let mut add = |path: &str, value| all.push(within("tpm", Some("azure"), path, value));
    let vm_id = azure.map(|azure| azure.vm_id.clone());
    add("azure.vm_id", Value::Name { kind: "VmId", found: vm_id, all: VM_IDS.map(Into::into).into() });
    add("azure.console_enabled", Value::Truth(azure.map(|azure| azure.console_enabled)));
    let persisted = Value::Truth(azure.and_then(|azure| azure.tpm_persisted));
    let mut claim = within("tpm", Some("azure"), "azure.tpm_persisted", persisted);
    claim.guards.push("principal.tpm.azure has tpm_persisted".to_owned());
    all.push(claim);
}

type Digests = fn(&DatabaseEntries) -> &[Sha256Digest];

fn certificates(entries: &DatabaseEntries) -> &[Sha256Digest] {
    &entries.certificates
}

fn hashes(entries: &DatabaseEntries) -> &[Sha256Digest] {
    &entries.hashes
}

fn boot(boot: Option<&BootClaims>, all: &mut Vec<Claim>) {
    let mut add = |name: &str, optional: bool, value| {
        let mut claim = within("tpm", Some("boot"), &format!("boot.{name}"), value);
        if optional {
            claim.guards.push(format!("principal.tpm.boot has {name}"));
        }
        all.push(claim);
    };
    add("secure_boot", true, Value::Truth(boot.and_then(|boot| boot.secure_boot)));
    add("boot_services_exited", true, Value::Truth(boot.and_then(|boot| boot.boot_services_exited)));
    let database = |found: Option<Sha256Digest>| Value::Name {
        kind: "Database",
        found: found.map(|d| d.to_string()),
        all: bytes(0x80, 32),
    };
    add("pk", true, database(boot.and_then(|boot| boot.pk)));
    add("db", true, database(boot.and_then(|boot| boot.db)));
    add("dbx", true, database(boot.and_then(|boot| boot.dbx)));
    let measured = |found: Option<&Digest>| Value::Name {
        kind: "Measured",
        found: found.map(ToString::to_string),
        all: bytes(0x70, 32),
    };
    add("command_line", true, measured(boot.and_then(|boot| boot.command_line.as_ref())));
    add("initrd", true, measured(boot.and_then(|boot| boot.initrd.as_ref())));
    let phase = boot.and_then(|boot| boot.phases.last().cloned());
    let phases = PHASES.map(str::to_owned).to_vec();
    add("phase", true, Value::Name { kind: "BootPhase", found: phase, all: phases });
    let found = boot.map(|boot| boot.applications.iter().map(ToString::to_string).collect());
    let all_measured = bytes(0x70, 32);
    let applications = Value::Names { kind: "Measured", found: found.unwrap_or_default(), all: all_measured };
    add("applications", false, applications);
    let names = boot.map(|boot| boot.sections.iter().map(|(name, _)| name.clone()).collect());
    add("section_names", false, Value::SectionNames(names.unwrap_or_default()));
    for (name, entries) in [
        ("db_entries", boot.and_then(|boot| boot.db_entries.as_ref())),
        ("dbx_entries", boot.and_then(|boot| boot.dbx_entries.as_ref())),
    ] {
        for (set, of) in [("certificates", certificates as Digests), ("hashes", hashes)] {
            let found = entries.map(|entries| of(entries).iter().map(ToString::to_string).collect());
            let value = Value::Names {
                kind: "DatabaseEntry",
                found: found.unwrap_or_default(),
                all: bytes(0x90, 32),
            };
            let mut claim = within("tpm", Some("boot"), &format!("boot.{name}.{set}"), value);
            claim.guards.push(format!("principal.tpm.boot has {name}"));
            all.push(claim);
        }
    }
    for section in ["linux", "initrd"] {
        let own = |(name, _): &&(String, Digest)| name.strip_prefix('.') == Some(section);
        let found = boot.and_then(|boot| boot.sections.iter().find(own)).map(|(_, digest)| digest);
        let mut claim = within("tpm", Some("boot"), &format!("boot.sections.{section}"), measured(found));
        claim.guards.push(format!("principal.tpm.boot.sections has {section}"));
        all.push(claim);
    }
}

/// A claim of a record that is optional, itself perhaps optional in it.
fn within(record: &str, guard: Option<&str>, path: &str, value: Value) -> Claim {
    let mut guards = vec![format!("principal has {record}")];
    guards.extend(guard.map(|name| format!("principal.{record} has {name}")));
    Claim { path: format!("principal.{record}.{path}"), guards, value }
}

fn name(kind: &'static str, found: &str, all: Vec<String>) -> Value {
    Value::Name { kind, found: Some(found.to_owned()), all }
}

fn number(snp: Option<&SnpClaims>, read: impl Fn(&SnpClaims) -> u32) -> Value {
    Value::Number(snp.map(|snp| i64::from(read(snp))))
}

fn number_in(snp: Option<&SnpClaims>, read: impl Fn(&SnpClaims) -> Option<u32>) -> Value {
    Value::Number(snp.and_then(read).map(i64::from))
}

/// The bytes that guests have, as policies name them.
fn bytes(first: u8, len: usize) -> Vec<String> {
    (0..VALUES).map(|i| format!("{:02x}", first + i).repeat(len)).collect()
}
