//! What `keyfast evidence verify` says of evidence that is authenticated.

use std::io::Write;

use claims::UnixTime;
use claims::snp::SnpClaims;
use claims::tpm::{AkBinding, BootClaims, TpmClaims};
use serde_json::{Value, json};
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

/// The claims, for programs.
pub fn json(authenticated: &Authenticated) -> Value {
    let snp = authenticated.snp();
    let tpm = authenticated.tpm();
    json!({
        "evidence": authenticated.evidence().name(),
        "simulated": authenticated.simulated(),
        "os_binding": authenticated.os_binding().name(),
        "guest_identity": authenticated.guest_identity().name(),
        "product": snp.map(|snp| snp.product.name()),
        "measurement": snp.map(|snp| snp.measurement.to_string()),
        "reported_tcb": snp.map(|snp| snp.reported_tcb.to_string()),
        "debug_allowed": snp.map(|snp| snp.policy.debug_allowed()),
        "provisional_firmware": snp.map(SnpClaims::is_provisional),
        "signing_key": snp.map(|snp| snp.signing_key.name()),
        "chip_id": snp.and_then(|snp| snp.chip_id).map(|chip| chip.to_string()),
        "csp_id": snp.and_then(|snp| snp.csp_id.clone()),
        "crl_issued": snp.and_then(|snp| snp.crl_issued).map(|time| time.to_string()),
        "ak_binding": tpm.map(|tpm| tpm.ak_binding.name()),
        "ak_name": tpm.and_then(|tpm| tpm.ak_name.as_ref()).map(ToString::to_string),
        "vm_id": tpm.and_then(|tpm| tpm.paravisor.as_ref()).map(|paravisor| paravisor.vm_id.clone()),
        "pcr_bank": tpm.map(|tpm| tpm.bank.name()),
        "pcrs": tpm.map(|tpm| {
            let pcr = |(index, value): (&u8, &claims::tpm::Digest)| (index.to_string(), value.to_string().into());
            Value::Object(tpm.pcrs.iter().map(pcr).collect())
        }),
        "boot": tpm.and_then(|tpm| tpm.boot.as_ref()).map(boot_json),
        "not_after": authenticated.not_after().to_string(),
    })
}

fn boot_json(boot: &BootClaims) -> Value {
    let section = |(name, digest): &(String, claims::tpm::Digest)| json!([name, digest.to_string()]);
    let text = |digest: &claims::tpm::Digest| digest.to_string();
    json!({
        "secure_boot": boot.secure_boot,
        "pk": boot.pk.map(|digest| digest.to_string()),
        "kek": boot.kek.map(|digest| digest.to_string()),
        "db": boot.db.map(|digest| digest.to_string()),
        "dbx": boot.dbx.map(|digest| digest.to_string()),
        "applications": boot.applications.iter().map(text).collect::<Vec<_>>(),
        "sections": boot.sections.iter().map(section).collect::<Vec<_>>(),
        "command_line": boot.command_line.as_ref().map(text),
        "initrd": boot.initrd.as_ref().map(text),
        "phases": boot.phases,
        "boot_services_exited": boot.boot_services_exited,
    })
}

const TEXT_COLUMNS: usize = 64;
