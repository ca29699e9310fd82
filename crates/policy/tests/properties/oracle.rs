//! A second opinion: Cedar by itself, on whole guests.
//!
//! Guests are written as JSON here, in full, and stand beside every reference value; some are held against the schema.
//! Rules are parsed by Cedar alone. Nothing is left out that no rule reads, and nothing is kept from one request to the next.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision, Effect, Entities, Entity, EntityId, EntityUid, PolicyId, PolicySet,
    Request, RestrictedExpression, Schema,
};
use claims::snp::{SnpClaims, Tcb};
use claims::tpm::{AkBinding, BootClaims, DatabaseEntries, Digest, TpmClaims};
use claims::{ClaimsRecord, KeyAttributes, KeyKind, Operation, UnixTime, VersionSelector};
use policy::Circumstances;
use serde_json::{Map, Value, json};

use crate::guests::Asked;
use crate::references::{PARTS, References};
use crate::rules::Plan;

/// Cedar with one bundle's rules.
pub struct Oracle {
    schema: Schema,
    set: PolicySet,
    references: References,
}

/// What it says.
#[derive(Debug, PartialEq, Eq)]
pub enum Opinion {
    /// A condition outside of policy holds the key back.
    Locked,
    /// These rules err.
    Erring(Vec<String>),
    /// These permit it.
    Permit(Vec<String>),
    /// These forbid it; none, if nothing permits it.
    Deny(Vec<String>),
}

impl Oracle {
    pub fn new(plan: &Plan, schema: &Schema) -> Self {
        let mut set = PolicySet::new();
        for rule in plan.rules() {
            let parsed = cedar_policy::Policy::parse(Some(PolicyId::new(&rule.id)), rule.text()).unwrap();
            assert_eq!(parsed.effect(), if rule.permit { Effect::Permit } else { Effect::Forbid });
            set.add(parsed).unwrap();
        }
        Self { schema: schema.clone(), set, references: plan.references.clone() }
    }

    /// `checked`: Cedar holds what it is given against the schema.
    pub fn ask(&self, asked: &Asked, checked: bool) -> Opinion {
        if locked(asked) {
            return Opinion::Locked;
        }
        let processor =
            asked.record.snp.as_ref().map(|snp| self.processor(snp)).unwrap_or(json!({ "revoked": false }));
        let ring = uid("KeyRing", asked.key.ring.as_str());
        let tags = asked.key.tags.iter().map(|(name, value)| (name.clone(), expression(&json!(value))));
        let key_name = uid("Key", asked.key.id.as_str());
        let entities = [
            Entity::new(uid("Guest", "somebody"), members(&guest(&asked.record)), HashSet::new()),
            Entity::new(uid("Processor", "theirs"), members(&processor), HashSet::new()),
            Entity::new_with_tags(key_name.clone(), members(&key(&asked.key)), [ring], tags)
                .map_err(|error| panic!("{error}")),
        ];
        let entities = entities.map(Result::unwrap).into_iter().chain(self.known(asked.circumstances.now));
        let schema = checked.then_some(&self.schema);
        let entities = Entities::from_entities(entities, schema).unwrap();
        let action = uid("Action", asked.request.operation.name());
        let context = Context::from_pairs(members(&context(&asked.circumstances))).unwrap();
        let request = Request::new(uid("Guest", "somebody"), action, key_name, context, schema).unwrap();
        let response = Authorizer::new().is_authorized(&request, &self.set, &entities);
        let sorted = |mut ids: Vec<String>| {
            ids.sort();
            ids
        };
        let errors = response.diagnostics().errors().map(|error| match error {
            cedar_policy::AuthorizationError::PolicyEvaluationError(error) => error.policy_id().to_string(),
        });
        let errors = sorted(errors.collect());
        let rules = sorted(response.diagnostics().reason().map(ToString::to_string).collect());
        match response.decision() {
            _ if !errors.is_empty() => Opinion::Erring(errors),
            Decision::Allow => Opinion::Permit(rules),
            Decision::Deny => Opinion::Deny(rules),
        }
    }

    /// Every reference value.
    fn known(&self, now: UnixTime) -> impl Iterator<Item = Entity> {
        self.references.entries.iter().map(move |entry| {
            let state = uid("ReferenceState", References::state_at(entry, now));
            Entity::new_no_attrs(uid(entry.kind, &entry.value), HashSet::from([state]))
        })
    }

    fn processor(&self, snp: &SnpClaims) -> Value {
        let product = snp.product.name();
        let floor = self.references.floor(product, snp.cpuid.map(|cpuid| cpuid.stepping));
        let by_name = |parts: [u8; 5]| -> Value {
            PARTS.into_iter().zip(parts).map(|(part, value)| (part.to_owned(), json!(value))).collect()
        };
        json!({
            "revoked": self.references.revoked.contains(&product),
            "mitigations": floor.map(|_| self.references.mitigations.clone()).filter(|bits| !bits.is_empty()),
            "tcb_floor": floor.map(by_name),
        })
    }
}

/// The locks, as they are documented.
pub fn locked(Asked { record, request, key, .. }: &Asked) -> bool {
    let secret = key.kind == KeyKind::Secret;
    let unfit = match request.operation {
        Operation::Renew => false,
        Operation::Secret => !secret || !key.operations.contains(&Operation::Secret),
        other => secret || !key.operations.contains(&other),
    };
    let other_version = match request.version {
        VersionSelector::Latest => false,
        VersionSelector::Exact(version) => version != key.version,
    };
    request.key != key.id
        || other_version
        || !key.enabled
        || unfit
        || record.suite < key.suite_floor
        || record.simulated != key.for_simulation
}

fn guest(record: &ClaimsRecord) -> Value {
    json!({
        "evidence": name("EvidenceKind", record.evidence.name()),
        "simulated": record.simulated,
        "snp_fresh": record.snp_fresh,
        "os_binding": name("OsBinding", record.os_binding.name()),
        "guest_identity": name("GuestIdentity", record.guest_identity.name()),
        "config": bytes("Config", &record.config.0),
        "suite": name("Suite", record.suite.name()),
        "snp": record.snp.as_ref().map(snp),
        "tpm": record.tpm.as_ref().map(|tpm| quote(tpm, record.snp.as_ref())),
    })
}

fn snp(snp: &SnpClaims) -> Value {
    let mut all = json!({
        "version": snp.version,
        "product": name("Product", snp.product.name()),
        "cpuid": snp.cpuid.map(|c| json!({ "family": c.family, "model": c.model, "stepping": c.stepping })),
        "processor": name("Processor", "theirs"),
        "measurement": bytes("Measurement", &snp.measurement.0),
        "host_data": bytes("HostData", &snp.host_data),
        "id_key": snp.id_key_digest.map(|digest| bytes("IdKey", &digest)),
        "author_key": snp.author_key_digest.map(|digest| bytes("IdKey", &digest)),
        "family_id": bytes("FamilyId", &snp.family_id),
        "image_id": bytes("ImageId", &snp.image_id),
        "guest_svn": snp.guest_svn,
        "vmpl": snp.vmpl,
        "policy": guest_policy(snp.policy.0),
        "platform": platform(snp.platform.0),
        "reported_tcb": tcb(snp.reported_tcb),
        "committed_tcb": tcb(snp.committed_tcb),
        "current_tcb": tcb(snp.current_tcb),
        "launch_tcb": tcb(snp.launch_tcb),
        "current_firmware": firmware(snp.current_firmware),
        "committed_firmware": firmware(snp.committed_firmware),
    });
    let uncommitted = (snp.committed_tcb, snp.committed_firmware) != (snp.current_tcb, snp.current_firmware);
    let more = json!({
        "launch_mitigations": snp.launch_mit_vector.map(bits),
        "current_mitigations": snp.current_mit_vector.map(bits),
        "provisional_firmware": uncommitted,
        "signing_key": name("SigningKey", snp.signing_key.name()),
        "chip": snp.chip_id.map(|chip| bytes("Chip", &chip.0)),
        "csp": snp.csp_id.as_ref().map(|csp| name("Csp", csp)),
        "crl_issued": snp.crl_issued.map(datetime),
        "report_id": bytes("ReportId", &snp.report_id),
    });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// AMD SEV-SNP ABI 1.58, table 9.
fn guest_policy(policy: u64) -> Value {
    let bit = |bit: u64| policy >> bit & 1 == 1;
    json!({
        "abi_minor": policy & 255, "abi_major": policy >> 8 & 255, "smt_allowed": bit(16),
        "migrate_ma_allowed": bit(18), "debug_allowed": bit(19), "single_socket": bit(20), "cxl_allowed": bit(21),
        "mem_aes_256_xts": bit(22), "rapl_disabled": bit(23), "ciphertext_hiding": bit(24),
        "page_swap_disabled": bit(25),
    })
}

/// The same, table 24.
fn platform(platform: u64) -> Value {
    let bit = |bit: u64| platform >> bit & 1 == 1;
    json!({
        "smt": bit(0), "tsme": bit(1), "ecc": bit(2), "rapl_disabled": bit(3), "ciphertext_hiding": bit(4),
        "alias_check_complete": bit(5), "iommu_write_safe": bit(6), "tio": bit(7), "unknown_bits": platform > 255,
        "bits": bits(platform),
    })
}

fn quote(tpm: &TpmClaims, snp: Option<&SnpClaims>) -> Value {
    let pcrs: Map<_, _> =
        tpm.pcrs.iter().map(|(i, value)| (format!("pcr{i}"), bytes("Pcr", &value.0))).collect();
    let paravisor = snp.filter(|_| tpm.ak_binding == AkBinding::InTee);
    json!({
        "ak_binding": name("AkBinding", tpm.ak_binding.name()),
        "ak": tpm.ak_name.as_ref().map(|ak| bytes("AkName", &ak.to_bytes())),
        "bank": name("PcrBank", tpm.bank.name()),
        "pcrs": pcrs,
        "clock_ms": tpm.clock_ms.min(i64::MAX as u64),
        "reset_count": tpm.reset_count,
        "restart_count": tpm.restart_count,
        "safe": tpm.safe,
        "firmware_version": bytes_text(&tpm.firmware_version.to_be_bytes()),
        "boot": tpm.boot.as_ref().map(boot),
        "paravisor": paravisor.map(|snp| bytes("Paravisor", &snp.measurement.0)),
        "azure": tpm.paravisor.as_ref().map(|azure| json!({
            "vm_id": name("VmId", &azure.vm_id),
            "secure_boot": azure.secure_boot,
            "console_enabled": azure.console_enabled,
            "tpm_persisted": azure.tpm_persisted,
        })),
    })
}

fn boot(boot: &BootClaims) -> Value {
    let database = |digest: Option<claims::Sha256Digest>| digest.map(|digest| bytes("Database", &digest.0));
    let measured = |digest: &Digest| bytes("Measured", &digest.0);
    // `.profile` is a section without a member.
    let known = boot.sections.iter().filter(|(name, _)| name != ".profile");
    let sections: Map<_, _> = known.map(|(name, digest)| (name[1..].to_owned(), measured(digest))).collect();
    json!({
        "secure_boot": boot.secure_boot,
        "pk": database(boot.pk),
        "kek": database(boot.kek),
        "db": database(boot.db),
        "dbx": database(boot.dbx),
        "db_entries": boot.db_entries.as_ref().map(entries),
        "dbx_entries": boot.dbx_entries.as_ref().map(entries),
        "applications": boot.applications.iter().map(measured).collect::<Vec<_>>(),
        "sections": sections,
        "section_names": boot.sections.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "phase": boot.phases.last().map(|phase| name("BootPhase", phase)),
        "command_line": boot.command_line.as_ref().map(measured),
        "initrd": boot.initrd.as_ref().map(measured),
        "boot_services_exited": boot.boot_services_exited,
    })
}

fn entries(entries: &DatabaseEntries) -> Value {
    let set = |digests: &[claims::Sha256Digest]| -> Vec<Value> {
        digests.iter().map(|digest| bytes("DatabaseEntry", &digest.0)).collect()
    };
    json!({ "certificates": set(&entries.certificates), "hashes": set(&entries.hashes) })
}

fn key(key: &KeyAttributes) -> Value {
    json!({
        "version": key.version.0,
        "kind": name("KeyKind", &key.kind.to_string()),
        "origin": name("Origin", key.origin.name()),
        "for_simulation": key.for_simulation,
        "exportable": key.operations.contains(&Operation::Release),
        "region": key.region.as_ref().map(|region| name("Region", region.as_str())),
        "suite_floor": name("Suite", key.suite_floor.name()),
        "created_at": datetime(key.created_at),
    })
}

fn tcb(tcb: Tcb) -> Value {
    json!({
        "fmc": tcb.fmc.unwrap_or(0), "bootloader": tcb.bootloader, "tee": tcb.tee, "snp": tcb.snp,
        "microcode": tcb.microcode,
    })
}

fn firmware((major, minor, build): (u8, u8, u8)) -> Value {
    json!({ "major": major, "minor": minor, "build": build })
}

fn bits(vector: u64) -> Value {
    (0..64).filter(|bit| vector >> bit & 1 == 1).collect::<Vec<u64>>().into()
}

fn bytes(kind: &str, bytes: &[u8]) -> Value {
    name(kind, &bytes_text(bytes))
}

fn bytes_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name(kind: &str, id: &str) -> Value {
    json!({ "__entity": { "type": kind, "id": id } })
}

fn datetime(time: UnixTime) -> Value {
    json!({ "__extn": { "fn": "datetime", "arg": time.to_string() } })
}

fn context(circumstances: &Circumstances) -> Value {
    let Circumstances { now, evidence_age_s, network, recent } = circumstances;
    // A mapped address is the one that it stands for.
    let network = network.map(|address| address.to_string().replace("::ffff:", ""));
    json!({
        "now": datetime(*now),
        "evidence_age": { "__extn": { "fn": "duration", "arg": format!("{evidence_age_s}s") } },
        "network": network.map(|address| json!({ "__extn": { "fn": "ip", "arg": address } })),
        "recent": { "guest": recent.guest, "key": recent.key },
    })
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.parse().unwrap(), EntityId::new(id))
}

/// The members of a record, without those that are `null`.
fn members(record: &Value) -> HashMap<String, RestrictedExpression> {
    let members = record.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
    members.map(|(name, value)| (name.clone(), expression(value))).collect()
}

/// JSON in Cedar's terms, with Cedar's escapes for what JSON has not.
fn expression(value: &Value) -> RestrictedExpression {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    match value {
        Value::Bool(truth) => RestrictedExpression::new_bool(*truth),
        Value::Number(number) => RestrictedExpression::new_long(number.as_i64().unwrap()),
        Value::String(text) => RestrictedExpression::new_string(text.clone()),
        Value::Array(items) => RestrictedExpression::new_set(items.iter().map(expression)),
        Value::Object(escape) if escape.contains_key("__entity") => {
            let name = &escape["__entity"];
            RestrictedExpression::new_entity_uid(uid(&text(name, "type"), &text(name, "id")))
        }
        Value::Object(escape) if escape.contains_key("__extn") => {
            let (function, argument) = (text(&escape["__extn"], "fn"), text(&escape["__extn"], "arg"));
            match function.as_str() {
                "datetime" => RestrictedExpression::new_datetime(argument),
                "duration" => RestrictedExpression::new_duration(argument),
                _ => RestrictedExpression::new_ip(argument),
            }
        }
        _ => RestrictedExpression::new_record(members(value)).unwrap(),
    }
}
