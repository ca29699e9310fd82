//! The fields of a TPM's quote as rows, wherever in evidence it stands, and of the parts that it is made of.
//!
//! Nothing here is verified, and nothing here may say that it is.

use evidence::Evidence;
use evidence::azure::RuntimeData;
use evidence::tpm::{
    Attest, Attributes, KeyFields, PcrSelection, PcrValues, Public, Quote, Signature, SignatureValue,
};
use serde_json::{Value, json};

use super::fields::{Row, noted, row};
use super::log;

/// The fields of the quote, its key and its log; none where the evidence has no quote.
pub fn rows(evidence: &Evidence, events: bool) -> Vec<Row> {
    let (mut rows, quote) = match evidence {
        Evidence::Tpm(tpm) => (Vec::from(key_rows(&tpm.ak)), &tpm.quote),
        Evidence::AzureVtpm(azure) => (Vec::from(runtime_rows(&azure.runtime)), &azure.quote),
        Evidence::Svsm(svsm) => {
            let ek = row("ek_name", verify::tpm::name_of(&svsm.manifest).to_string());
            let key = key_rows(&svsm.ak);
            (std::iter::once(ek).chain(key).collect(), &svsm.quote)
        }
        _ => return Vec::new(),
    };
    rows.extend(quote_rows(quote, events));
    rows
}

/// The runtime data in Azure's blob.
pub fn runtime_rows(runtime: &RuntimeData) -> [Row; 5] {
    let configuration = &runtime.configuration;
    [
        row("vm_id", configuration.vm_id.clone()),
        row("vm_secure_boot", configuration.secure_boot),
        row("vm_console_enabled", configuration.console_enabled),
        row("vm_tpm_persisted", configuration.tpm_persisted),
        noted("vm_ak_modulus", hex::encode(&runtime.ak.modulus), "HCLAkPub"),
    ]
}

/// A key's public area, by the key's Name.
pub fn key_rows(ak: &Public) -> [Row; 4] {
    let fields = ak.fields();
    let kind = match &fields.key {
        KeyFields::Rsa { bits, .. } => format!("rsa-{bits}"),
        KeyFields::Ecc { curve, .. } => format!("{curve:?}").to_lowercase(),
    };
    let scheme = fields.scheme.map(|(scheme, hash)| format!("{} with {hash}", scheme.name()));
    let set = attributes(fields.attributes);
    [
        noted("ak_name", verify::tpm::name_of(ak).to_string(), kind),
        row("ak_scheme", scheme),
        noted("ak_attributes", format!("{:#010x}", fields.attributes.0), set.join(", ")),
        row("ak_restricted", fields.attributes.restricted()),
    ]
}

fn attributes(attributes: Attributes) -> Vec<&'static str> {
    let all = [
        (attributes.fixed_tpm(), "fixedTPM"),
        (attributes.fixed_parent(), "fixedParent"),
        (attributes.sensitive_data_origin(), "sensitiveDataOrigin"),
        (attributes.restricted(), "restricted"),
        (attributes.decrypt(), "decrypt"),
        (attributes.sign(), "sign"),
    ];
    all.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect()
}

fn quote_rows(quote: &Quote, events: bool) -> Vec<Row> {
    let mut rows = attest_rows(&quote.attest);
    rows.extend(signature_rows(&quote.signature));
    rows.push(pcr_row(&quote.pcrs));
    match &quote.log {
        Some(log) => rows.extend(log::rows(log, events)),
        None => rows.push(row("log_events", Value::Null)),
    }
    rows
}

/// What the quote says.
pub fn attest_rows(attest: &Attest) -> Vec<Row> {
    let fields = attest.fields();
    let selection = fields.selection.iter().map(selected).collect::<Vec<_>>();
    vec![
        row("qualified_signer", fields.qualified_signer.to_string()),
        row("extra_data", hex::encode(&fields.extra_data)),
        noted("clock_ms", fields.clock_ms, if fields.safe { "safe" } else { "not safe" }),
        row("reset_count", fields.reset_count),
        row("restart_count", fields.restart_count),
        row("tpm_firmware_version", format!("{:#018x}", fields.firmware_version)),
        row("pcr_selection", selection.join(" ")),
        row("pcr_digest", fields.pcr_digest.to_string()),
    ]
}

fn selected(selection: &PcrSelection) -> String {
    let indices: Vec<String> = selection.indices().map(|index| index.to_string()).collect();
    format!("{}:{}", selection.bank, indices.join(","))
}

/// The signature, its numbers big-endian.
pub fn signature_rows(signature: &Signature) -> Vec<Row> {
    let mut rows = vec![row("quote_scheme", format!("{} with {}", signature.scheme.name(), signature.hash))];
    match &signature.value {
        SignatureValue::Rsa(value) => rows.push(row("quote_signature", hex::encode(value))),
        SignatureValue::Ecdsa { r, s } => {
            rows.push(row("quote_signature_r", hex::encode(r)));
            rows.push(row("quote_signature_s", hex::encode(s)));
        }
    }
    rows
}

fn pcr_row(pcrs: &PcrValues) -> Row {
    let json = |value: &evidence::tpm::PcrValue| json!({ "bank": value.bank.name(), "index": value.index, "value": value.value.to_string() });
    let line = |value: &evidence::tpm::PcrValue| {
        format!("{:<11}  {}", format!("{}:{}", value.bank, value.index), value.value)
    };
    let values = pcrs.values();
    Row::below("pcrs", values.iter().map(json).collect::<Vec<_>>(), values.iter().map(line).collect())
}
