//! What `keyfast evidence verify` says of evidence that is authenticated.

use std::io::{self, Write};

use claims::snp::SnpClaims;
use claims::tpm::{AkBinding, DatabaseEntries, TpmClaims};
use claims::{ClaimsRecord, ConfigDigest, Suite, UnixTime};
use policy::case::ClaimsJson;
use serde_json::Value;
use verify::Authenticated;

use super::Failure;
use super::style::{Style, Tone, wrap};

/// Prints it, within 100 columns.
pub fn print(
    authenticated: &Authenticated,
    now: UnixTime,
    style: Style,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let verdict = style.paint(Tone::Good, "authenticated");
    let root = if authenticated.simulated() { "a simulated root" } else { "AMD's root" };
    match authenticated.snp() {
        Some(snp) => writeln!(out, "\n{verdict}: {} at {now}, under {root}", snp.product)?,
        None => writeln!(out, "\n{verdict}: {} at {now}", authenticated.evidence())?,
    }
    if let Some(snp) = authenticated.snp() {
        print_snp(snp, style, out)?;
    }
    if let Some(tpm) = authenticated.tpm() {
        print_tpm(tpm, style, out)?;
    }
    writeln!(out, "  os binding      {}", authenticated.os_binding().name())?;
    writeln!(out, "  guest identity  {}", authenticated.guest_identity().name())?;
    let what = if authenticated.snp().is_some() { "certificates" } else { "enrolment" };
    writeln!(out, "  {what:<14}  valid until {}", authenticated.not_after())?;
    let aside = "Genuine says nothing of fresh or wanted: a broker also checks its challenge and its policy.";
    writeln!(out, "\n{}", style.paint(Tone::Aside, aside))?;
    Ok(())
}

fn print_snp(snp: &SnpClaims, style: Style, out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "  measurement\n    {}", snp.measurement)?;
    writeln!(out, "  reported tcb    {}", snp.reported_tcb)?;
    let (tone, debugging) =
        if snp.policy.debug_allowed() { (Tone::Bad, "allowed") } else { (Tone::Good, "not allowed") };
    writeln!(out, "  debugging       {}", style.paint(tone, debugging))?;
    for (index, line) in snp.csp_id.iter().flat_map(|csp_id| wrap(csp_id, TEXT_COLUMNS)).enumerate() {
        writeln!(out, "  {:<14}  {line}", if index == 0 { "provider" } else { "" })?;
    }
    Ok(())
}

fn print_tpm(tpm: &TpmClaims, style: Style, out: &mut dyn Write) -> Result<(), Failure> {
    let name = tpm.ak_binding.name();
    match tpm.ak_binding {
        // No broker enrolled it: whoever typed the command did.
        AkBinding::Enrolled => {
            let own =
                style.paint(Tone::Open, "by you, on this command line; a broker asks its own enrolments");
            writeln!(out, "  tpm key         {name} {own}")?;
        }
        _ => writeln!(out, "  tpm key         {name}")?,
    }
    if let Some(paravisor) = &tpm.paravisor {
        writeln!(out, "  vm id           {}", paravisor.vm_id)?;
    }
    let indices: Vec<_> = tpm.pcrs.keys().map(u8::to_string).collect();
    writeln!(out, "  pcrs            {}: {}", tpm.bank, indices.join(", "))?;
    let Some(boot) = &tpm.boot else { return Ok(()) };
    let (tone, secure_boot) = match boot.secure_boot {
        Some(true) => (Tone::Good, "on"),
        Some(false) => (Tone::Bad, "off"),
        None => (Tone::Open, "not known"),
    };
    writeln!(out, "  secure boot     {}", style.paint(tone, secure_boot))?;
    for (name, entries) in [("db", &boot.db_entries), ("dbx", &boot.dbx_entries)] {
        if let Some(entries) = entries {
            writeln!(out, "  {name:<14}  {}", counted(entries))?;
        }
    }
    for (index, digest) in boot.applications.iter().enumerate() {
        writeln!(out, "  {:<14}  {digest}", if index == 0 { "applications" } else { "" })?;
    }
    let sections: Vec<&str> = boot.sections.iter().map(|(name, _)| name.as_str()).collect();
    if !sections.is_empty() {
        writeln!(out, "  image sections  {}", sections.join(", "))?;
    }
    if !boot.phases.is_empty() {
        writeln!(out, "  phases          {}", boot.phases.join(", "))?;
    }
    Ok(())
}

fn counted(DatabaseEntries { certificates, hashes }: &DatabaseEntries) -> String {
    format!("certificates: {}, hashes of images: {}", certificates.len(), hashes.len())
}

/// The claims, for programs: as `guest` in a case of policies has them, so that they can be put into one. What a guest
/// says beside its evidence nobody said here: `suite` and `config` are what a case has that does not name them.
pub fn json(authenticated: &Authenticated) -> Result<Value, Failure> {
    let record = record(authenticated, ConfigDigest([0; 32]), Suite::XWing);
    Ok(serde_json::to_value(ClaimsJson::from(&record)).map_err(io::Error::from)?)
}

/// The claims as policies get them, of a guest that would have asked with this configuration and suite.
pub fn record(authenticated: &Authenticated, config: ConfigDigest, suite: Suite) -> ClaimsRecord {
    ClaimsRecord {
        evidence: authenticated.evidence(),
        simulated: authenticated.simulated(),
        snp_fresh: authenticated.snp_fresh(),
        os_binding: authenticated.os_binding(),
        guest_identity: authenticated.guest_identity(),
        config,
        suite,
        snp: authenticated.snp().cloned(),
        tpm: authenticated.tpm().cloned(),
    }
}

const TEXT_COLUMNS: usize = 64;
