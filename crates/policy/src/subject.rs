//! A guest, a key and a request in Cedar's terms.
//!
//! Only what a decision can reach is handed to Cedar: guest and key, the guest's own bytes with the state that the
//! reference values give them, and whatever a policy names. So a decision costs the same with ten reference values
//! and with a hundred thousand.

pub(crate) mod tpm;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    Context, Entities, Entity, EntityTypeName, EntityUid, EvalResult, Expression, Request, RequestEnv,
    RestrictedExpression, Schema, eval_expression,
};
use claims::snp::{CpuId, GuestPolicy, PlatformInfo, SnpClaims, Tcb};
use claims::{AttestedRequest, ClaimsRecord, KeyAttributes, UnixTime};

use crate::cache::Cache;
use crate::circumstances::{Circumstances, Recent};
use crate::reach::{CONTEXT, Reach};
use crate::references::platforms::View;
use crate::references::{References, ValueKind};
use crate::vocabulary::{Vocabulary, hex, uid};

/// What one decision is about.
pub(crate) struct Subject {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
    /// The time that reference values are read at.
    pub(crate) at: UnixTime,
}

impl Subject {
    /// Who asks, for what, of what; nothing if any of them is unknown, which is none of ours.
    pub(crate) fn env(&self) -> Option<RequestEnv> {
        let (principal, resource) = (self.request.principal()?, self.request.resource()?);
        let (principal, resource) = (principal.type_name().clone(), resource.type_name().clone());
        Some(RequestEnv::new(principal, self.request.action()?.clone(), resource))
    }

    /// What an expression comes to.
    ///
    /// # Errors
    /// What Cedar says if it comes to nothing.
    pub(crate) fn evaluate(&self, expression: &Expression) -> Result<EvalResult, String> {
        eval_expression(&self.request, &self.entities, expression).map_err(|error| error.to_string())
    }
}

/// Why it could not be put in Cedar's terms; a denial.
pub(crate) type Unfit = String;

pub(crate) type Attributes = HashMap<String, RestrictedExpression>;

/// Builds subjects from the vocabulary and the reference values of one bundle.
pub(crate) struct Subjects {
    pub(crate) vocabulary: Vocabulary,
    pub(crate) references: Arc<References>,
    /// Bytes that policies name, with their states, as far as these stay.
    pub(crate) named: Vec<Entity>,
    /// The others.
    pub(crate) dated: Vec<(ValueKind, String)>,
    pub(crate) cache: Cache,
    pub(crate) reach: Reach,
}

impl Subjects {
    /// Puts one request in Cedar's terms, with reference values as they are in this view, such as at a time. With a
    /// schema, checks that it conforms; `fit` shows that all do.
    pub(crate) fn subject(
        &self,
        record: &ClaimsRecord,
        request: &AttestedRequest,
        key: &KeyAttributes,
        circumstances: &Circumstances,
        view: impl Into<View>,
        schema: Option<&Schema>,
    ) -> Result<Subject, Unfit> {
        let view = view.into();
        let action = uid(&self.vocabulary.action, request.operation.name());
        let readable = self.readable(circumstances);
        let context = self.cache.context(&readable, || self.context(&readable))?;
        let guest = self.guest_name();
        let request = Request::new(guest, action, self.key_name(key), context, schema).map_err(unfit)?;
        let entities = self.entities(record, key, view)?;
        let entities = Entities::from_entities(entities, schema).map_err(unfit)?;
        Ok(Subject { request, entities, at: view.at })
    }

    /// What the rules can read of it, and nothing of the rest, so that what they cannot read makes no difference.
    fn readable(&self, whole: &Circumstances) -> Circumstances {
        let reads = |name| self.reach.reads(CONTEXT, name);
        Circumstances {
            now: if reads("now") { whole.now } else { UnixTime(0) },
            evidence_age_s: if reads("evidence_age") { whole.evidence_age_s } else { 0 },
            network: whole.network.filter(|_| reads("network")),
            recent: if reads("recent") { whole.recent } else { Recent::default() },
        }
    }

    fn context(&self, circumstances: &Circumstances) -> Result<Context, Unfit> {
        let Circumstances { now, evidence_age_s, network, recent } = circumstances;
        let recent = record([("guest", long(recent.guest)), ("key", long(recent.key))])?;
        let age = RestrictedExpression::new_duration(format!("{evidence_age_s}s"));
        let mut context = attributes([("now", datetime(*now)), ("evidence_age", age), ("recent", recent)]);
        let address = network.map(|address| RestrictedExpression::new_ip(address.to_canonical().to_string()));
        context.extend(address.map(|address| ("network".to_owned(), address)));
        context.retain(|name, _| self.reach.reads(CONTEXT, name));
        Context::from_pairs(context).map_err(unfit)
    }

    /// The entities that the decision can reach.
    fn entities(&self, record: &ClaimsRecord, key: &KeyAttributes, view: View) -> Result<Vec<Entity>, Unfit> {
        let mut entities = Vec::with_capacity(8 + self.named.len());
        entities.push(Entity::new(self.guest_name(), self.guest(record)?, HashSet::new()).map_err(unfit)?);
        entities.push(self.key_entity(key)?);
        if let Some(snp) = &record.snp {
            let processor = Entity::new(self.processor_name(), self.processor(snp, view)?, HashSet::new());
            entities.push(processor.map_err(unfit)?);
        }
        let known = |(kind, name): (ValueKind, String)| self.known(kind, &name, view.at);
        entities.extend(referable_of(record).into_iter().filter_map(known));
        self.add_named(&mut entities, view.at);
        Ok(entities)
    }

    /// Adds the bytes that policies name, unless they are there.
    pub(crate) fn add_named(&self, entities: &mut Vec<Entity>, now: UnixTime) {
        let dated: Vec<_> =
            self.dated.iter().filter_map(|(kind, name)| self.known(*kind, name, now)).collect();
        for entity in self.named.iter().chain(&dated) {
            if !entities.iter().any(|other| other.uid() == entity.uid()) {
                entities.push(entity.clone());
            }
        }
    }

    /// A key as an entity within its ring.
    pub(crate) fn key_entity(&self, key: &KeyAttributes) -> Result<Entity, Unfit> {
        self.cache.key(key, || self.key(key))
    }

    /// Bytes that have a state at this time, as an entity within it.
    pub(crate) fn known(&self, kind: ValueKind, name: &str, now: UnixTime) -> Option<Entity> {
        let state = self.references.find(kind, name)?.state(now);
        let parent = uid(&self.vocabulary.reference_state, state.name());
        Some(Entity::new_no_attrs(uid(self.kind_name(kind), name), HashSet::from([parent])))
    }

    /// The kind of reference value that is of this type.
    pub(crate) fn kind_of(&self, type_name: &EntityTypeName) -> Option<ValueKind> {
        ValueKind::ALL.into_iter().find(|kind| self.kind_name(*kind) == type_name)
    }

    /// The type of a kind of reference value.
    pub(crate) fn kind_name(&self, kind: ValueKind) -> &EntityTypeName {
        match kind {
            ValueKind::Measurement => &self.vocabulary.measurement,
            ValueKind::HostData => &self.vocabulary.host_data,
            ValueKind::IdKey => &self.vocabulary.id_key,
            ValueKind::Chip => &self.vocabulary.chip,
            ValueKind::Csp => &self.vocabulary.csp,
            ValueKind::Paravisor => &self.vocabulary.paravisor,
            ValueKind::VmId => &self.vocabulary.vm_id,
            ValueKind::Pcr => &self.vocabulary.pcr,
            ValueKind::Measured => &self.vocabulary.measured,
            ValueKind::Database => &self.vocabulary.database,
            ValueKind::Ak => &self.vocabulary.ak_name,
        }
    }

    fn guest_name(&self) -> EntityUid {
        uid(&self.vocabulary.guest, "guest")
    }

    fn processor_name(&self) -> EntityUid {
        uid(&self.vocabulary.processor, "processor")
    }

    pub(crate) fn key_name(&self, key: &KeyAttributes) -> EntityUid {
        uid(&self.vocabulary.key, key.id.as_str())
    }

    fn guest(&self, record: &ClaimsRecord) -> Result<Attributes, Unfit> {
        let v = &self.vocabulary;
        let mut guest = attributes([
            ("evidence", name(&v.evidence_kind, record.evidence.name())),
            ("simulated", truth(record.simulated)),
            ("snp_fresh", truth(record.snp_fresh)),
            ("os_binding", name(&v.os_binding, record.os_binding.name())),
            ("guest_identity", name(&v.guest_identity, record.guest_identity.name())),
            ("config", name(&v.config, &hex(&record.config.0))),
            ("suite", name(&v.suite, record.suite.name())),
        ]);
        if let Some(snp) = &record.snp {
            guest.insert("snp".to_owned(), self.snp(snp)?);
        }
        if let Some(claims) = &record.tpm {
            guest.insert("tpm".to_owned(), tpm::tpm(v, &self.reach, claims, tpm::paravisor(record))?);
        }
        Ok(guest)
    }

    fn snp(&self, snp: &SnpClaims) -> Result<RestrictedExpression, Unfit> {
        let v = &self.vocabulary;
        let mut attributes = attributes([
            ("version", long(snp.version)),
            ("product", name(&v.product, snp.product.name())),
            ("processor", RestrictedExpression::new_entity_uid(self.processor_name())),
            ("measurement", name(&v.measurement, &hex(&snp.measurement.0))),
            ("host_data", name(&v.host_data, &hex(&snp.host_data))),
            ("family_id", name(&v.family_id, &hex(&snp.family_id))),
            ("image_id", name(&v.image_id, &hex(&snp.image_id))),
            ("guest_svn", long(snp.guest_svn)),
            ("vmpl", long(snp.vmpl)),
            ("policy", guest_policy(snp.policy)?),
            ("platform", platform(snp.platform)?),
            ("reported_tcb", tcb(snp.reported_tcb)?),
            ("committed_tcb", tcb(snp.committed_tcb)?),
            ("current_tcb", tcb(snp.current_tcb)?),
            ("launch_tcb", tcb(snp.launch_tcb)?),
            ("current_firmware", firmware(snp.current_firmware)?),
            ("committed_firmware", firmware(snp.committed_firmware)?),
            ("provisional_firmware", truth(snp.is_provisional())),
            ("signing_key", name(&v.signing_key, snp.signing_key.name())),
            ("report_id", name(&v.report_id, &hex(&snp.report_id))),
        ]);
        let optional = [
            ("cpuid", snp.cpuid.map(cpuid).transpose()?),
            ("id_key", snp.id_key_digest.map(|digest| name(&v.id_key, &hex(&digest)))),
            ("author_key", snp.author_key_digest.map(|digest| name(&v.id_key, &hex(&digest)))),
            ("launch_mitigations", snp.launch_mit_vector.map(bits)),
            ("current_mitigations", snp.current_mit_vector.map(bits)),
            ("chip", snp.chip_id.map(|chip| name(&v.chip, &hex(&chip.0)))),
            ("csp", snp.csp_id.as_deref().map(|csp| name(&v.csp, csp))),
            ("crl_issued", snp.crl_issued.map(datetime)),
        ];
        let present = optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        attributes.extend(present);
        attributes.retain(|name, _| self.reach.reads("snp", name));
        RestrictedExpression::new_record(attributes).map_err(unfit)
    }

    fn processor(&self, snp: &SnpClaims, view: View) -> Result<Attributes, Unfit> {
        let (processor, platforms) = ((snp.product, snp.cpuid), &self.references.platforms);
        let is_revoked = platforms.is_revoked(processor, view);
        let mut attributes = attributes([("revoked", truth(is_revoked))]);
        if let Some(floor) = platforms.floor(processor, view) {
            let mitigations = floor.mitigations.iter().map(|bit| long(*bit));
            attributes.insert("tcb_floor".to_owned(), tcb(floor.tcb)?);
            if !floor.mitigations.is_empty() {
                attributes.insert("mitigations".to_owned(), RestrictedExpression::new_set(mitigations));
            }
        }
        Ok(attributes)
    }

    fn key(&self, key: &KeyAttributes) -> Result<Entity, Unfit> {
        let v = &self.vocabulary;
        let mut attributes = attributes([
            ("version", long(key.version.0)),
            ("kind", name(&v.key_kind, &key.kind.to_string())),
            ("origin", name(&v.origin, key.origin.name())),
            ("for_simulation", truth(key.for_simulation)),
            ("exportable", truth(key.is_exportable())),
            ("suite_floor", name(&v.suite, key.suite_floor.name())),
            ("created_at", datetime(key.created_at)),
        ]);
        let region = key.region.as_ref().map(|region| name(&v.region, region.as_str()));
        attributes.extend(region.map(|region| ("region".to_owned(), region)));
        let ring = uid(&v.key_ring, key.ring.as_str());
        let text = |(k, v): (&String, &String)| (k.clone(), RestrictedExpression::new_string(v.clone()));
        let tags: Vec<_> = key.tags.iter().map(text).collect();
        Entity::new_with_tags(self.key_name(key), attributes, [ring], tags).map_err(unfit)
    }
}

/// Whatever a guest shows that reference values are kept for, each once.
pub(crate) fn referable_of(record: &ClaimsRecord) -> Vec<(ValueKind, String)> {
    let mut all = record.snp.as_ref().map(referable).unwrap_or_default();
    all.extend(tpm::referable(record));
    all.sort();
    all.dedup();
    all
}

/// The bytes of a report that reference values are kept for.
fn referable(snp: &SnpClaims) -> Vec<(ValueKind, String)> {
    let always =
        [(ValueKind::Measurement, hex(&snp.measurement.0)), (ValueKind::HostData, hex(&snp.host_data))];
    let keys = [snp.id_key_digest, snp.author_key_digest.filter(|digest| Some(*digest) != snp.id_key_digest)];
    let keys = keys.into_iter().flatten().map(|digest| (ValueKind::IdKey, hex(&digest)));
    let chip = snp.chip_id.map(|chip| (ValueKind::Chip, hex(&chip.0)));
    let csp = snp.csp_id.clone().map(|csp| (ValueKind::Csp, csp));
    always.into_iter().chain(keys).chain(chip).chain(csp).collect()
}

fn tcb(tcb: Tcb) -> Result<RestrictedExpression, Unfit> {
    record([
        ("fmc", long(tcb.fmc.unwrap_or(0))),
        ("bootloader", long(tcb.bootloader)),
        ("tee", long(tcb.tee)),
        ("snp", long(tcb.snp)),
        ("microcode", long(tcb.microcode)),
    ])
}

fn firmware((major, minor, build): (u8, u8, u8)) -> Result<RestrictedExpression, Unfit> {
    record([("major", long(major)), ("minor", long(minor)), ("build", long(build))])
}

fn cpuid(cpuid: CpuId) -> Result<RestrictedExpression, Unfit> {
    record([("family", long(cpuid.family)), ("model", long(cpuid.model)), ("stepping", long(cpuid.stepping))])
}

fn guest_policy(policy: GuestPolicy) -> Result<RestrictedExpression, Unfit> {
    record([
        ("abi_major", long(policy.abi_major())),
        ("abi_minor", long(policy.abi_minor())),
        ("smt_allowed", truth(policy.smt_allowed())),
        ("migrate_ma_allowed", truth(policy.migrate_ma_allowed())),
        ("debug_allowed", truth(policy.debug_allowed())),
        ("single_socket", truth(policy.single_socket())),
        ("cxl_allowed", truth(policy.cxl_allowed())),
        ("mem_aes_256_xts", truth(policy.mem_aes_256_xts())),
        ("rapl_disabled", truth(policy.rapl_disabled())),
        ("ciphertext_hiding", truth(policy.ciphertext_hiding())),
        ("page_swap_disabled", truth(policy.page_swap_disabled())),
    ])
}

fn platform(platform: PlatformInfo) -> Result<RestrictedExpression, Unfit> {
    record([
        ("smt", truth(platform.smt())),
        ("tsme", truth(platform.tsme())),
        ("ecc", truth(platform.ecc())),
        ("rapl_disabled", truth(platform.rapl_disabled())),
        ("ciphertext_hiding", truth(platform.ciphertext_hiding())),
        ("alias_check_complete", truth(platform.alias_check_complete())),
        ("iommu_write_safe", truth(platform.iommu_write_safe())),
        ("tio", truth(platform.tio())),
        ("unknown_bits", truth(platform.unknown_bits() != 0)),
        ("bits", bits(platform.0)),
    ])
}

/// The numbers of the bits that are set.
fn bits(vector: u64) -> RestrictedExpression {
    let set = (0..64u32).filter(|bit| vector.checked_shr(*bit).unwrap_or(0) & 1 == 1);
    RestrictedExpression::new_set(set.map(long))
}

fn long(value: impl Into<u32>) -> RestrictedExpression {
    RestrictedExpression::new_long(i64::from(value.into()))
}

fn truth(value: bool) -> RestrictedExpression {
    RestrictedExpression::new_bool(value)
}

fn name(kind: &EntityTypeName, name: &str) -> RestrictedExpression {
    RestrictedExpression::new_entity_uid(uid(kind, name))
}

pub(crate) fn datetime(time: UnixTime) -> RestrictedExpression {
    RestrictedExpression::new_datetime(time.to_string())
}

pub(crate) fn attributes<const N: usize>(pairs: [(&str, RestrictedExpression); N]) -> Attributes {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn record<const N: usize>(pairs: [(&str, RestrictedExpression); N]) -> Result<RestrictedExpression, Unfit> {
    let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
    RestrictedExpression::new_record(pairs).map_err(unfit)
}

pub(crate) fn unfit(error: impl core::fmt::Display) -> Unfit {
    error.to_string()
}
