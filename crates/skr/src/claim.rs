//! The claims of Microsoft Azure Attestation, and what stands for each here.
//!
//! Two kinds of token have them. One about a virtual machine (`/attest/AzureGuest`) holds what the TPM's quote says at its
//! top, and what the SEV-SNP report says under `x-ms-isolation-tee`. One about a report alone (`/attest/SevSnpVm`) has
//! that at its top. Names and values are those of Microsoft's sample tokens and of "Claim sets" in its documentation;
//! digests are lower-case hexadecimal, the ids of machines UUIDs in capitals.
//!
//! What stands for a claim must never hold for a guest that Azure would give a token without that claim. Where that is in
//! doubt, the claim has no counterpart.

use crate::condition::{Condition, Guard, Test};
use crate::grammar::{ClaimCondition, Problem, Value};

/// A kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Token {
    /// About a virtual machine: a report of its paravisor, and the quote of its vTPM.
    Machine,
    /// About a report.
    Report,
}

/// What a condition comes to here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// This condition. The text says how it is stricter, if it is.
    Asks(Condition, Option<&'static str>),
    /// Every token has it, whatever the guest.
    Always,
    /// No guest of Keyfast's has it.
    Never(&'static str),
    /// Nothing here stands for it.
    Unknown(&'static str),
}

/// A condition, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The only kind of token that has the claim; `None` if either may.
    pub token: Option<Token>,
    /// What it comes to.
    pub meaning: Meaning,
}

/// Reads a condition.
///
/// # Errors
/// A value that the claim never has.
pub fn read(condition: &ClaimCondition) -> Result<Reading, Problem> {
    let problem = |expected: String| Problem {
        place: condition.value_place.clone(),
        message: format!("never the value of this claim: expected {expected}, got {}", condition.value),
    };
    reading(&condition.claim, &condition.value).map_err(problem)
}

/// What stands for a claim with a value, or what value was expected.
fn reading(claim: &str, value: &Value) -> Result<Reading, String> {
    if let Some(own) = claim.strip_prefix("x-ms-isolation-tee.") {
        return Ok(Reading { token: Some(Token::Machine), meaning: of_report(own, value)? });
    }
    let machine = |meaning| Ok(Reading { token: Some(Token::Machine), meaning });
    let report = |meaning| Ok(Reading { token: Some(Token::Report), meaning });
    match claim {
        "x-ms-attestation-type" if text(value) == Some("azurevm") => {
            machine(Meaning::Asks(Condition::behind(Guard::Vtpm, Test::Nothing), None))
        }
        "x-ms-attestation-type" if text(value) != Some("sevsnpvm") => {
            Ok(Reading { token: None, meaning: Meaning::Never(ANOTHER_TEE) })
        }
        "secureboot" => machine(secure_boot(truth(value)?)),
        "x-ms-ver" if text(value) == Some("1.0") => Ok(Reading { token: None, meaning: Meaning::Always }),
        "x-ms-ver" => Err("\"1.0\"".to_owned()),
        _ if claim.starts_with("x-ms-sgx-")
            || claim.starts_with("x-ms-tdx-")
            || claim.starts_with("tdx_") =>
        {
            Ok(Reading { token: None, meaning: Meaning::Never(ANOTHER_TEE) })
        }
        _ => match claim.strip_prefix("x-ms-azurevm-") {
            Some(own) => machine(of_machine(own, value)?),
            None if of_report_alone(claim) => report(of_report(claim, value)?),
            None => Ok(Reading { token: None, meaning: Meaning::Unknown(of_token(claim)) }),
        },
    }
}

/// Whether a claim at the top of a token is of a token about a report.
fn of_report_alone(claim: &str) -> bool {
    ["x-ms-sevsnpvm-", "x-ms-runtime.vm-configuration."].iter().any(|prefix| claim.starts_with(prefix))
        || ["x-ms-attestation-type", "x-ms-compliance-status"].contains(&claim)
}

/// Why a claim about the token has no counterpart.
fn of_token(claim: &str) -> &'static str {
    match claim {
        "x-ms-policy-hash" => {
            "names the attestation policy of a provider in Azure, which nothing here evaluates"
        }
        "x-ms-policy-signer" => "names who signed the attestation policy of a provider in Azure",
        _ if claim == "x-ms-runtime" || claim.starts_with("x-ms-runtime.") => RUNTIME,
        _ => UNHEARD,
    }
}

/// Claims of a quote and its event log, without `x-ms-azurevm-`.
fn of_machine(claim: &str, value: &Value) -> Result<Meaning, String> {
    Ok(match claim {
        "vmid" => azure(Test::Equal(VM_ID, vm_id(value)?)),
        "dbvalidated" => database(Guard::Db, "principal.tpm.boot.db", truth(value)?),
        "dbxvalidated" => database(Guard::Dbx, "principal.tpm.boot.dbx", truth(value)?),
        "attested-pcrs" => Meaning::Unknown("is a list, and Azure compares no lists"),
        _ => Meaning::Unknown(BOOT),
    })
}

/// The claim that a Secure Boot database is one that Microsoft knows.
fn database(guard: Guard, claim: &'static str, validated: bool) -> Meaning {
    if validated {
        Meaning::Asks(Condition::behind(guard, Test::Known(claim)), Some(KNOWN_DATABASE))
    } else {
        Meaning::Unknown(
            "asks for a database that Microsoft does not know, and nothing here says which it knows",
        )
    }
}

fn secure_boot(on: bool) -> Meaning {
    let test = Test::Is("principal.tpm.boot.secure_boot", on);
    Meaning::Asks(Condition::behind(Guard::SecureBoot, test), None)
}

/// Claims of an SEV-SNP report and of what it binds.
fn of_report(claim: &str, value: &Value) -> Result<Meaning, String> {
    let plain = |test| Meaning::Asks(Condition::plain(test), None);
    if let Some(own) = claim.strip_prefix("x-ms-runtime.vm-configuration.") {
        return of_configuration(own, value);
    }
    let Some(own) = claim.strip_prefix("x-ms-sevsnpvm-") else {
        return Ok(match claim {
            "x-ms-attestation-type" if text(value) == Some("sevsnpvm") => plain(Test::Nothing),
            "x-ms-attestation-type" => Meaning::Never(ANOTHER_TEE),
            "x-ms-compliance-status" => compliance(text(value).unwrap_or_default()),
            _ if claim == "x-ms-runtime" || claim.starts_with("x-ms-runtime.") => Meaning::Unknown(RUNTIME),
            _ => Meaning::Unknown(UNHEARD),
        });
    };
    if let Some((_, left, kind, digits)) = BYTES.iter().find(|(name, ..)| *name == own) {
        let digits = hexadecimal(value, *digits)?;
        return Ok(plain(Test::Equal(left, format!("{kind}::\"{digits}\""))));
    }
    if let Some((_, left, max)) = NUMBERS.iter().find(|(name, ..)| *name == own) {
        let test = Test::Equal(left, number(value, *max)?.to_string());
        let taken = left.starts_with("principal.snp.reported_tcb").then_some(REPORTED);
        return Ok(Meaning::Asks(Condition::plain(test), taken));
    }
    if let Some((_, left)) = TRUTHS.iter().find(|(name, _)| *name == own) {
        return Ok(plain(Test::Is(left, truth(value)?)));
    }
    Ok(match own {
        "idkeydigest" => key_digest(Guard::IdKey, "id_key", "principal.snp.id_key", value)?,
        "authorkeydigest" => key_digest(Guard::AuthorKey, "author_key", "principal.snp.author_key", value)?,
        "reportdata" => {
            hexadecimal(value, 128)?;
            Meaning::Unknown("is what a report answers: here that is the broker's own challenge")
        }
        _ => Meaning::Unknown(UNHEARD),
    })
}

/// The digest of a key that signed the launch's ID block: zeros say that there was none.
fn key_digest(
    guard: Guard,
    member: &'static str,
    claim: &'static str,
    value: &Value,
) -> Result<Meaning, String> {
    let digits = hexadecimal(value, 96)?;
    let condition = if digits.bytes().all(|digit| digit == b'0') {
        Condition::plain(Test::Absent("principal.snp", member))
    } else {
        Condition::behind(guard, Test::Equal(claim, format!("IdKey::\"{digits}\"")))
    };
    Ok(Meaning::Asks(condition, None))
}

fn compliance(status: &str) -> Meaning {
    match status {
        "azure-compliant-cvm" => {
            Meaning::Asks(Condition::behind(Guard::Vtpm, Test::Nothing), Some(KNOWN_PARAVISOR))
        }
        "azure-compliant-uvm" | "azure-signed-katacc-uvm" => {
            let known = Test::Known("principal.snp.measurement");
            Meaning::Asks(Condition::behind(Guard::Report, known), Some(KNOWN_MEASUREMENT))
        }
        _ => Meaning::Unknown("is a verdict of Azure's that nothing here stands for"),
    }
}

/// What the paravisor says of the machine's configuration.
fn of_configuration(claim: &str, value: &Value) -> Result<Meaning, String> {
    Ok(match claim {
        "secure-boot" => azure(Test::Is("principal.tpm.azure.secure_boot", truth(value)?)),
        "console-enabled" => azure(Test::Is("principal.tpm.azure.console_enabled", truth(value)?)),
        "vmUniqueId" => azure(Test::Equal(VM_ID, vm_id(value)?)),
        "tpm-persisted" => {
            let test = Test::Is("principal.tpm.azure.tpm_persisted", truth(value)?);
            Meaning::Asks(Condition::behind(Guard::TpmPersisted, test), None)
        }
        "tpm-enabled" if truth(value)? => Meaning::Asks(Condition::behind(Guard::Vtpm, Test::Nothing), None),
        "tpm-enabled" => Meaning::Never("a machine without a vTPM has no evidence that Keyfast takes"),
        _ => Meaning::Unknown("is a part of the machine's configuration that Keyfast does not read"),
    })
}

fn azure(test: Test) -> Meaning {
    Meaning::Asks(Condition::behind(Guard::Azure, test), None)
}

fn text(value: &Value) -> Option<&str> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Truth(truth) => Ok(*truth),
        Value::Text(text) if text == "true" => Ok(true),
        Value::Text(text) if text == "false" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

fn number(value: &Value, max: u32) -> Result<u32, String> {
    let number = match value {
        Value::Number(number) => u32::try_from(*number).ok(),
        Value::Text(text) => text.parse().ok().filter(|number: &u32| number.to_string() == *text),
        Value::Truth(_) => None,
    };
    number.filter(|number| *number <= max).ok_or_else(|| format!("a whole number from 0 to {max}"))
}

fn hexadecimal(value: &Value, digits: usize) -> Result<String, String> {
    let sound =
        text(value).filter(|text| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit()));
    sound.map(str::to_ascii_lowercase).ok_or_else(|| format!("{digits} hexadecimal digits"))
}

fn vm_id(value: &Value) -> Result<String, String> {
    let lengths = [8, 4, 4, 4, 12];
    let sound = |text: &&str| {
        let groups: Vec<&str> = text.split('-').collect();
        groups.iter().map(|group| group.len()).eq(lengths)
            && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let id = text(value).filter(sound).map(str::to_ascii_lowercase);
    id.map(|id| format!("VmId::\"{id}\"")).ok_or_else(|| "a UUID".to_owned())
}

/// Claims that are bytes: name, claim here, its type, hexadecimal digits.
const BYTES: [(&str, &str, &str, usize); 5] = [
    ("hostdata", "principal.snp.host_data", "HostData", 64),
    ("launchmeasurement", "principal.snp.measurement", "Measurement", 96),
    ("familyId", "principal.snp.family_id", "FamilyId", 32),
    ("imageId", "principal.snp.image_id", "ImageId", 32),
    ("reportid", "principal.snp.report_id", "ReportId", 64),
];

/// Claims that are numbers: name, claim here, the largest.
const NUMBERS: [(&str, &str, u32); 6] = [
    ("guestsvn", "principal.snp.guest_svn", u32::MAX),
    ("vmpl", "principal.snp.vmpl", 3),
    ("bootloader-svn", "principal.snp.reported_tcb.bootloader", 255),
    ("tee-svn", "principal.snp.reported_tcb.tee", 255),
    ("snpfw-svn", "principal.snp.reported_tcb.snp", 255),
    ("microcode-svn", "principal.snp.reported_tcb.microcode", 255),
];

/// Claims that are true or false: name, claim here.
const TRUTHS: [(&str, &str); 3] = [
    ("is-debuggable", "principal.snp.policy.debug_allowed"),
    ("migration-allowed", "principal.snp.policy.migrate_ma_allowed"),
    ("smt-allowed", "principal.snp.policy.smt_allowed"),
];

const VM_ID: &str = "principal.tpm.azure.vm_id";

const ANOTHER_TEE: &str = "is of a kind of evidence that Keyfast does not verify: no guest of its has this";
const RUNTIME: &str =
    "is what the guest put into the token itself; here its keys are bound to the broker's challenge";
const UNHEARD: &str = "is no claim that stands for something here";
const BOOT: &str = "is what Azure reads from the boot log; here a known boot chain says what runs: \
    `principal.tpm.pcrs.pcr4` and `pcr7`, or `pcr11` for a unified kernel image";
/// Why a verdict of Azure's needs a known paravisor.
pub const KNOWN_PARAVISOR: &str =
    "which measurements that covers, Azure does not publish: a known paravisor stands for it";
const KNOWN_MEASUREMENT: &str =
    "which measurements that covers, Azure decides: a known launch measurement stands for it";
const KNOWN_DATABASE: &str =
    "which databases that covers, Azure does not publish: a known database stands for it";
const REPORTED: &str = "taken as REPORTED_TCB, and as this version alone: the next firmware is refused, where a TCB \
    floor would let it in";

#[cfg(test)]
mod tests;
