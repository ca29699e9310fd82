//! A TPM's quote in Cedar's terms.

use cedar_policy::RestrictedExpression;
use claims::ClaimsRecord;
use claims::tpm::{AkBinding, BootClaims, DatabaseEntries, ParavisorClaims, TpmClaims};

use super::{Attributes, Unfit, long, name, truth, unfit};
use crate::reach::{BOOT, Reach};
use crate::references::ValueKind;
use crate::vocabulary::{Vocabulary, hex};

/// The launch measurement of what runs the guest's vTPM, if a report binds one.
pub(super) fn paravisor(record: &ClaimsRecord) -> Option<String> {
    let in_tee = record.tpm.as_ref().is_some_and(|tpm| tpm.ak_binding == AkBinding::InTee);
    record.snp.as_ref().filter(|_| in_tee).map(|snp| hex(&snp.measurement.0))
}

/// What of a quote reference values are kept for.
pub(super) fn referable(record: &ClaimsRecord) -> Vec<(ValueKind, String)> {
    let Some(tpm) = &record.tpm else { return Vec::new() };
    let all = |kind: ValueKind, names: Vec<String>| names.into_iter().map(move |name| (kind, name));
    let mut measured = Vec::new();
    let mut databases = Vec::new();
    if let Some(boot) = &tpm.boot {
        let sections = boot.sections.iter().map(|(_, digest)| digest);
        let digests = boot.applications.iter().chain(sections).chain(&boot.command_line).chain(&boot.initrd);
        measured.extend(digests.map(ToString::to_string));
        let found = [boot.pk, boot.kek, boot.db, boot.dbx].into_iter().flatten();
        databases.extend(found.map(|digest| digest.to_string()));
    }
    all(ValueKind::Paravisor, paravisor(record).into_iter().collect())
        .chain(all(ValueKind::Pcr, tpm.pcrs.values().map(ToString::to_string).collect()))
        .chain(all(ValueKind::Measured, measured))
        .chain(all(ValueKind::Database, databases))
        .chain(all(ValueKind::Ak, tpm.ak_name.iter().map(ToString::to_string).collect()))
        .chain(all(ValueKind::VmId, tpm.paravisor.iter().map(|azure| azure.vm_id.clone()).collect()))
        .collect()
}

/// The record `tpm`.
pub(super) fn tpm(
    v: &Vocabulary,
    reach: &Reach,
    tpm: &TpmClaims,
    paravisor: Option<String>,
) -> Result<RestrictedExpression, Unfit> {
    let pcr = |(index, value): (&u8, &claims::tpm::Digest)| {
        (format!("pcr{index}"), name(&v.pcr, &value.to_string()))
    };
    let clock = i64::try_from(tpm.clock_ms).unwrap_or(i64::MAX);
    record_of([
        ("ak_binding", Some(name(&v.ak_binding, tpm.ak_binding.name()))),
        ("ak", tpm.ak_name.as_ref().map(|ak| name(&v.ak_name, &ak.to_string()))),
        ("bank", Some(name(&v.pcr_bank, tpm.bank.name()))),
        ("pcrs", Some(RestrictedExpression::new_record(tpm.pcrs.iter().map(pcr)).map_err(unfit)?)),
        ("clock_ms", Some(RestrictedExpression::new_long(clock))),
        ("reset_count", Some(long(tpm.reset_count))),
        ("restart_count", Some(long(tpm.restart_count))),
        ("safe", Some(truth(tpm.safe))),
        ("firmware_version", Some(text(format!("{:016x}", tpm.firmware_version)))),
        ("boot", tpm.boot.as_ref().map(|facts| boot(v, reach, facts)).transpose()?),
        ("paravisor", paravisor.map(|measurement| name(&v.paravisor, &measurement))),
        ("azure", tpm.paravisor.as_ref().map(|claims| azure(v, claims)).transpose()?),
    ])
}

fn boot(v: &Vocabulary, reach: &Reach, boot: &BootClaims) -> Result<RestrictedExpression, Unfit> {
    // Hundreds, and few rules ask.
    let read = |name, found: &Option<DatabaseEntries>| {
        let found = found.as_ref().filter(|_| reach.reads(BOOT, name));
        found.map(|found| entries(v, found)).transpose()
    };
    let database = |digest: claims::Sha256Digest| name(&v.database, &digest.to_string());
    let measured = |digest: &claims::tpm::Digest| name(&v.measured, &digest.to_string());
    let sections = boot.sections.iter().filter_map(|(section, digest)| {
        let known = SECTIONS.iter().find(|known| section.strip_prefix('.') == Some(**known))?;
        Some(((*known).to_owned(), measured(digest)))
    });
    let names = boot.sections.iter().map(|(section, _)| text(section.clone()));
    record_of([
        ("secure_boot", boot.secure_boot.map(truth)),
        ("pk", boot.pk.map(database)),
        ("kek", boot.kek.map(database)),
        ("db", boot.db.map(database)),
        ("dbx", boot.dbx.map(database)),
        (DATABASE_ENTRIES[0], read(DATABASE_ENTRIES[0], &boot.db_entries)?),
        (DATABASE_ENTRIES[1], read(DATABASE_ENTRIES[1], &boot.dbx_entries)?),
        ("applications", Some(RestrictedExpression::new_set(boot.applications.iter().map(measured)))),
        ("sections", Some(RestrictedExpression::new_record(sections).map_err(unfit)?)),
        ("section_names", Some(RestrictedExpression::new_set(names))),
        ("phase", boot.phases.last().map(|phase| name(&v.boot_phase, phase))),
        ("command_line", boot.command_line.as_ref().map(measured)),
        ("initrd", boot.initrd.as_ref().map(measured)),
        ("boot_services_exited", boot.boot_services_exited.map(truth)),
    ])
}

fn entries(v: &Vocabulary, entries: &DatabaseEntries) -> Result<RestrictedExpression, Unfit> {
    let set = |digests: &[claims::Sha256Digest]| {
        let names = digests.iter().map(|digest| name(&v.database_entry, &hex(&digest.0)));
        Some(RestrictedExpression::new_set(names))
    };
    record_of([("certificates", set(&entries.certificates)), ("hashes", set(&entries.hashes))])
}

fn azure(v: &Vocabulary, claims: &ParavisorClaims) -> Result<RestrictedExpression, Unfit> {
    record_of([
        ("vm_id", Some(name(&v.vm_id, &claims.vm_id))),
        ("secure_boot", Some(truth(claims.secure_boot))),
        ("console_enabled", Some(truth(claims.console_enabled))),
        ("tpm_persisted", claims.tpm_persisted.map(truth)),
    ])
}

/// A record of those members that there are.
fn record_of<const N: usize>(
    members: [(&str, Option<RestrictedExpression>); N],
) -> Result<RestrictedExpression, Unfit> {
    let present = members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    RestrictedExpression::new_record(present.collect::<Attributes>()).map_err(unfit)
}

fn text(text: String) -> RestrictedExpression {
    RestrictedExpression::new_string(text)
}

/// What the schema calls the entries of db and of dbx.
pub(crate) const DATABASE_ENTRIES: [&str; 2] = ["db_entries", "dbx_entries"];
/// Sections that the schema has members for, without their dot.
const SECTIONS: [&str; 10] =
    ["linux", "osrel", "cmdline", "initrd", "ucode", "splash", "dtb", "uname", "sbat", "pcrpkey"];
