//! A TPM's claims as JSON: digests and names in lower-case hexadecimal, PCRs by their index.

use std::collections::BTreeMap;

use claims::Sha256Digest;
use claims::tpm::{AkBinding, BootClaims, DatabaseEntries, Digest, ParavisorClaims, TpmClaims};
use serde::{Deserialize, Serialize};

use super::claims_json::{named, parse, vector};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TpmJson {
    ak_binding: String,
    #[serde(deserialize_with = "Option::deserialize")]
    ak_name: Option<String>,
    bank: String,
    pcrs: BTreeMap<u8, String>,
    clock_ms: u64,
    reset_count: u32,
    restart_count: u32,
    safe: bool,
    firmware_version: String,
    #[serde(deserialize_with = "Option::deserialize")]
    boot: Option<BootJson>,
    #[serde(deserialize_with = "Option::deserialize")]
    paravisor: Option<ParavisorJson>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BootJson {
    #[serde(default)]
    secure_boot: Option<bool>,
    #[serde(default)]
    pk: Option<String>,
    #[serde(default)]
    kek: Option<String>,
    #[serde(default)]
    db: Option<String>,
    #[serde(default)]
    dbx: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    db_entries: Option<EntriesJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dbx_entries: Option<EntriesJson>,
    applications: Vec<String>,
    sections: Vec<(String, String)>,
    phases: Vec<String>,
    #[serde(default)]
    command_line: Option<String>,
    #[serde(default)]
    initrd: Option<String>,
    #[serde(default)]
    boot_services_exited: Option<bool>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntriesJson {
    certificates: Vec<String>,
    hashes: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParavisorJson {
    vm_id: String,
    secure_boot: bool,
    console_enabled: bool,
    #[serde(default)]
    tpm_persisted: Option<bool>,
}

impl From<&TpmClaims> for TpmJson {
    fn from(tpm: &TpmClaims) -> Self {
        Self {
            ak_binding: tpm.ak_binding.name().to_owned(),
            ak_name: tpm.ak_name.as_ref().map(ToString::to_string),
            bank: tpm.bank.name().to_owned(),
            pcrs: tpm.pcrs.iter().map(|(index, value)| (*index, value.to_string())).collect(),
            clock_ms: tpm.clock_ms,
            reset_count: tpm.reset_count,
            restart_count: tpm.restart_count,
            safe: tpm.safe,
            firmware_version: format!("{:#x}", tpm.firmware_version),
            boot: tpm.boot.as_ref().map(BootJson::from),
            paravisor: tpm.paravisor.as_ref().map(ParavisorJson::from),
        }
    }
}

impl From<&BootClaims> for BootJson {
    fn from(boot: &BootClaims) -> Self {
        let database = |digest: Option<Sha256Digest>| digest.map(|digest| digest.to_string());
        let digest = |digest: &Digest| digest.to_string();
        Self {
            secure_boot: boot.secure_boot,
            pk: database(boot.pk),
            kek: database(boot.kek),
            db: database(boot.db),
            dbx: database(boot.dbx),
            db_entries: boot.db_entries.as_ref().map(EntriesJson::from),
            dbx_entries: boot.dbx_entries.as_ref().map(EntriesJson::from),
            applications: boot.applications.iter().map(digest).collect(),
            sections: boot.sections.iter().map(|(name, value)| (name.clone(), digest(value))).collect(),
            phases: boot.phases.clone(),
            command_line: boot.command_line.as_ref().map(digest),
            initrd: boot.initrd.as_ref().map(digest),
            boot_services_exited: boot.boot_services_exited,
        }
    }
}

impl From<&DatabaseEntries> for EntriesJson {
    fn from(entries: &DatabaseEntries) -> Self {
        let texts = |digests: &[Sha256Digest]| digests.iter().map(ToString::to_string).collect();
        Self { certificates: texts(&entries.certificates), hashes: texts(&entries.hashes) }
    }
}

impl From<&ParavisorClaims> for ParavisorJson {
    fn from(claims: &ParavisorClaims) -> Self {
        let ParavisorClaims { vm_id, secure_boot, console_enabled, tpm_persisted } = claims.clone();
        Self { vm_id, secure_boot, console_enabled, tpm_persisted }
    }
}

/// The error says which claim is not what it should be.
impl TryFrom<TpmJson> for TpmClaims {
    type Error = String;

    fn try_from(json: TpmJson) -> Result<Self, String> {
        let pcr = |(index, value): (u8, String)| Ok::<_, String>((index, parse("pcrs", &value)?));
        Ok(Self {
            ak_binding: named("ak_binding", AkBinding::ALL, |v| v.name(), &json.ak_binding)?,
            ak_name: json.ak_name.map(|name| parse("ak_name", &name)).transpose()?,
            bank: parse("bank", &json.bank)?,
            pcrs: json.pcrs.into_iter().map(pcr).collect::<Result<_, _>>()?,
            clock_ms: json.clock_ms,
            reset_count: json.reset_count,
            restart_count: json.restart_count,
            safe: json.safe,
            firmware_version: vector("firmware_version", &json.firmware_version)?,
            boot: json.boot.map(BootClaims::try_from).transpose()?,
            paravisor: json.paravisor.map(ParavisorClaims::from),
        })
    }
}

impl TryFrom<BootJson> for BootClaims {
    type Error = String;

    fn try_from(json: BootJson) -> Result<Self, String> {
        let database = |what: &'static str, text: Option<String>| {
            text.map(|text| parse::<Sha256Digest>(what, &text)).transpose()
        };
        let digest = |what: &'static str, text: Option<String>| {
            text.map(|text| parse::<Digest>(what, &text)).transpose()
        };
        let section = |(name, value): (String, String)| Ok::<_, String>((name, parse("sections", &value)?));
        let applications = json.applications.iter().map(|value| parse("applications", value));
        Ok(Self {
            secure_boot: json.secure_boot,
            pk: database("pk", json.pk)?,
            kek: database("kek", json.kek)?,
            db: database("db", json.db)?,
            dbx: database("dbx", json.dbx)?,
            db_entries: json.db_entries.map(DatabaseEntries::try_from).transpose()?,
            dbx_entries: json.dbx_entries.map(DatabaseEntries::try_from).transpose()?,
            applications: applications.collect::<Result<_, _>>()?,
            sections: json.sections.into_iter().map(section).collect::<Result<_, _>>()?,
            phases: json.phases,
            command_line: digest("command_line", json.command_line)?,
            initrd: digest("initrd", json.initrd)?,
            boot_services_exited: json.boot_services_exited,
        })
    }
}

impl TryFrom<EntriesJson> for DatabaseEntries {
    type Error = String;

    fn try_from(json: EntriesJson) -> Result<Self, String> {
        let digests = |what: &'static str, texts: &[String]| {
            texts.iter().map(|text| parse(what, text)).collect::<Result<Vec<Sha256Digest>, _>>()
        };
        Ok(Self {
            certificates: digests("certificates", &json.certificates)?,
            hashes: digests("hashes", &json.hashes)?,
        })
    }
}

impl From<ParavisorJson> for ParavisorClaims {
    fn from(json: ParavisorJson) -> Self {
        let ParavisorJson { vm_id, secure_boot, console_enabled, tpm_persisted } = json;
        Self { vm_id, secure_boot, console_enabled, tpm_persisted }
    }
}

#[cfg(test)]
mod tests {
    use claims::ClaimsRecord;

    use crate::case::ClaimsJson;
    use crate::fit::record;

    #[test]
    fn every_shape_of_a_record_comes_back() {
        for turn in 0..60 {
            let text = serde_json::to_string(&ClaimsJson::from(&record(turn))).unwrap();
            let json: ClaimsJson = serde_json::from_str(&text).unwrap();
            assert_eq!(ClaimsRecord::try_from(json), Ok(record(turn)), "{turn}");
        }
    }

    #[test]
    fn a_record_from_before_there_were_quotes_has_none() {
        let mut json = serde_json::to_value(ClaimsJson::from(&record(0))).unwrap();
        json.as_object_mut().unwrap().remove("tpm").unwrap();
        let json: ClaimsJson = serde_json::from_value(json).unwrap();
        assert_eq!(ClaimsRecord::try_from(json).unwrap().tpm, None);
    }
}
