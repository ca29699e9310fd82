//! A claims record as JSON, in the words of `claims`: for cases, and wherever a record is kept for people.
//!
//! Bytes are lower-case hexadecimal; 64-bit vectors are hexadecimal with `0x`; what is absent is `null`.

use std::str::FromStr;

use claims::snp::{CpuId, GuestPolicy, PlatformInfo, SigningKey, SnpClaims, Tcb};
use claims::tpm::TpmClaims;
use claims::{ClaimsRecord, ParseHexError, UnixTime};
use serde::{Deserialize, Serialize};

use super::tpm_json::TpmJson;
use crate::vocabulary::{GUEST_IDENTITIES, OS_BINDINGS, hex, impossible_csp};

/// A [`ClaimsRecord`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimsJson {
    evidence: String,
    simulated: bool,
    snp_fresh: bool,
    os_binding: String,
    guest_identity: String,
    config: String,
    suite: String,
    #[serde(deserialize_with = "Option::deserialize")]
    snp: Option<SnpJson>,
    // Records that were kept before there were quotes have no such member.
    #[serde(default)]
    tpm: Option<TpmJson>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnpJson {
    version: u32,
    product: String,
    #[serde(deserialize_with = "Option::deserialize")]
    cpuid: Option<CpuJson>,
    measurement: String,
    report_data: String,
    host_data: String,
    #[serde(deserialize_with = "Option::deserialize")]
    id_key_digest: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    author_key_digest: Option<String>,
    family_id: String,
    image_id: String,
    guest_svn: u32,
    vmpl: u32,
    policy: String,
    platform: String,
    reported_tcb: TcbJson,
    committed_tcb: TcbJson,
    current_tcb: TcbJson,
    launch_tcb: TcbJson,
    current_firmware: (u8, u8, u8),
    committed_firmware: (u8, u8, u8),
    #[serde(deserialize_with = "Option::deserialize")]
    launch_mit_vector: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    current_mit_vector: Option<String>,
    signing_key: String,
    #[serde(deserialize_with = "Option::deserialize")]
    chip_id: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    csp_id: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    crl_issued: Option<String>,
    report_id: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CpuJson {
    family: u8,
    model: u8,
    stepping: u8,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TcbJson {
    #[serde(deserialize_with = "Option::deserialize")]
    fmc: Option<u8>,
    bootloader: u8,
    tee: u8,
    snp: u8,
    microcode: u8,
}

impl From<&ClaimsRecord> for ClaimsJson {
    fn from(record: &ClaimsRecord) -> Self {
        Self {
            evidence: record.evidence.name().to_owned(),
            simulated: record.simulated,
            snp_fresh: record.snp_fresh,
            os_binding: record.os_binding.name().to_owned(),
            guest_identity: record.guest_identity.name().to_owned(),
            config: record.config.to_string(),
            suite: record.suite.name().to_owned(),
            snp: record.snp.as_ref().map(SnpJson::from),
            tpm: record.tpm.as_ref().map(TpmJson::from),
        }
    }
}

impl From<&SnpClaims> for SnpJson {
    fn from(snp: &SnpClaims) -> Self {
        let vector = |bits: u64| format!("{bits:#x}");
        let cpu = |CpuId { family, model, stepping }| CpuJson { family, model, stepping };
        Self {
            version: snp.version,
            product: snp.product.name().to_owned(),
            cpuid: snp.cpuid.map(cpu),
            measurement: snp.measurement.to_string(),
            report_data: snp.report_data.to_string(),
            host_data: hex(&snp.host_data),
            id_key_digest: snp.id_key_digest.map(|digest| hex(&digest)),
            author_key_digest: snp.author_key_digest.map(|digest| hex(&digest)),
            family_id: hex(&snp.family_id),
            image_id: hex(&snp.image_id),
            guest_svn: snp.guest_svn,
            vmpl: snp.vmpl,
            policy: vector(snp.policy.0),
            platform: vector(snp.platform.0),
            reported_tcb: snp.reported_tcb.into(),
            committed_tcb: snp.committed_tcb.into(),
            current_tcb: snp.current_tcb.into(),
            launch_tcb: snp.launch_tcb.into(),
            current_firmware: snp.current_firmware,
            committed_firmware: snp.committed_firmware,
            launch_mit_vector: snp.launch_mit_vector.map(vector),
            current_mit_vector: snp.current_mit_vector.map(vector),
            signing_key: snp.signing_key.name().to_owned(),
            chip_id: snp.chip_id.map(|chip| chip.to_string()),
            csp_id: snp.csp_id.clone(),
            crl_issued: snp.crl_issued.map(|time| time.to_string()),
            report_id: hex(&snp.report_id),
        }
    }
}

impl From<Tcb> for TcbJson {
    fn from(Tcb { fmc, bootloader, tee, snp, microcode }: Tcb) -> Self {
        Self { fmc, bootloader, tee, snp, microcode }
    }
}

impl From<TcbJson> for Tcb {
    fn from(TcbJson { fmc, bootloader, tee, snp, microcode }: TcbJson) -> Self {
        Self { fmc, bootloader, tee, snp, microcode }
    }
}

/// The error says which claim is not what it should be.
impl TryFrom<ClaimsJson> for ClaimsRecord {
    type Error = String;

    fn try_from(json: ClaimsJson) -> Result<Self, String> {
        Ok(Self {
            evidence: parse("evidence", &json.evidence)?,
            simulated: json.simulated,
            snp_fresh: json.snp_fresh,
            os_binding: named("os_binding", OS_BINDINGS, |v| v.name(), &json.os_binding)?,
            guest_identity: named("guest_identity", GUEST_IDENTITIES, |v| v.name(), &json.guest_identity)?,
            config: parse("config", &json.config)?,
            suite: parse("suite", &json.suite)?,
            snp: json.snp.map(SnpClaims::try_from).transpose()?,
            tpm: json.tpm.map(TpmClaims::try_from).transpose()?,
        })
    }
}

impl TryFrom<SnpJson> for SnpClaims {
    type Error = String;

    fn try_from(json: SnpJson) -> Result<Self, String> {
        let cpu = |CpuJson { family, model, stepping }| CpuId { family, model, stepping };
        let digest =
            |what: &'static str, text: Option<String>| text.map(|text| bytes::<48>(what, &text)).transpose();
        let bits = |what: &'static str, text: Option<String>| text.map(|t| vector(what, &t)).transpose();
        Ok(Self {
            version: json.version,
            product: parse("product", &json.product)?,
            cpuid: json.cpuid.map(cpu),
            measurement: parse("measurement", &json.measurement)?,
            report_data: parse("report_data", &json.report_data)?,
            host_data: bytes("host_data", &json.host_data)?,
            id_key_digest: digest("id_key_digest", json.id_key_digest)?,
            author_key_digest: digest("author_key_digest", json.author_key_digest)?,
            family_id: bytes("family_id", &json.family_id)?,
            image_id: bytes("image_id", &json.image_id)?,
            guest_svn: json.guest_svn,
            vmpl: json.vmpl,
            policy: GuestPolicy(vector("policy", &json.policy)?),
            platform: PlatformInfo(vector("platform", &json.platform)?),
            reported_tcb: json.reported_tcb.into(),
            committed_tcb: json.committed_tcb.into(),
            current_tcb: json.current_tcb.into(),
            launch_tcb: json.launch_tcb.into(),
            current_firmware: json.current_firmware,
            committed_firmware: json.committed_firmware,
            launch_mit_vector: bits("launch_mit_vector", json.launch_mit_vector)?,
            current_mit_vector: bits("current_mit_vector", json.current_mit_vector)?,
            signing_key: named("signing_key", SIGNING_KEYS, |v| v.name(), &json.signing_key)?,
            chip_id: json.chip_id.map(|chip| parse("chip_id", &chip)).transpose()?,
            csp_id: json.csp_id.map(csp_id).transpose()?,
            crl_issued: json.crl_issued.map(|text| time("crl_issued", &text)).transpose()?,
            report_id: bytes("report_id", &json.report_id)?,
        })
    }
}

/// Reads what has a `FromStr`.
pub(super) fn parse<T: FromStr>(what: &str, text: &str) -> Result<T, String>
where
    T::Err: core::fmt::Display,
{
    text.parse().map_err(|error| format!("`{what}`: {error}, got `{text}`"))
}

/// Reads one of a closed set by its name.
pub(super) fn named<T: Copy, const N: usize>(
    what: &str,
    all: [T; N],
    name: impl Fn(T) -> &'static str,
    text: &str,
) -> Result<T, String> {
    let found = all.into_iter().find(|value| name(*value) == text);
    let names = || all.map(&name).join(", ");
    found.ok_or_else(|| format!("`{what}`: expected one of {}, got `{text}`", names()))
}

/// Reads bytes of a fixed length.
fn bytes<const N: usize>(what: &str, text: &str) -> Result<[u8; N], String> {
    let wrong = |error: ParseHexError| format!("`{what}`: {error}, got `{text}`");
    let length = ParseHexError::Length { expected: N.saturating_mul(2), got: text.len() };
    if text.len() != N.saturating_mul(2) {
        return Err(wrong(length));
    }
    let mut out = [0; N];
    for (at, byte) in out.iter_mut().enumerate() {
        let start = at.saturating_mul(2);
        let pair = text.get(start..start.saturating_add(2)).filter(|pair| !pair.starts_with('+'));
        let parsed = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        *byte = parsed.ok_or_else(|| wrong(ParseHexError::Digit { at: start }))?;
    }
    Ok(out)
}

/// Reads a time.
fn time(what: &str, text: &str) -> Result<UnixTime, String> {
    let expected = "expected a time such as 2026-11-22T09:30:00Z";
    UnixTime::parse(text).ok_or_else(|| format!("`{what}`: {expected}, got `{text}`"))
}

/// Takes a CSP_ID as `verify` does: 1 to 128 printable ASCII characters.
fn csp_id(text: String) -> Result<String, String> {
    match impossible_csp(&text) {
        None => Ok(text),
        Some(expected) => Err(format!("`csp_id`: expected {expected}, got `{}`", text.escape_debug())),
    }
}

/// Reads 64 bits of `0x` and hexadecimal.
pub(super) fn vector(what: &str, text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let parsed = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    parsed.ok_or_else(|| format!("`{what}`: expected 64 bits as `0x` and hexadecimal, got `{text}`"))
}

const SIGNING_KEYS: [SigningKey; 2] = [SigningKey::Vcek, SigningKey::Vlek];
