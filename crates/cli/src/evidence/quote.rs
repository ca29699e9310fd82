//! The fields of a TPM's quote as rows, wherever in evidence it stands.
//!
//! Nothing here is verified, and nothing here may say that it is.

use evidence::Evidence;
use evidence::tpm::{KeyFields, Public, Quote};
use serde_json::json;

use super::fields::{Row, noted, row};

/// The fields of the quote, its key and its log; none where the evidence has no quote.
pub fn rows(evidence: &Evidence) -> Vec<Row> {
    match evidence {
        Evidence::Tpm(tpm) => key_rows(&tpm.ak).into_iter().chain(quote_rows(&tpm.quote)).collect(),
        Evidence::AzureVtpm(azure) => {
            let configuration = &azure.runtime.configuration;
            let rows = [
                row("vm_id", configuration.vm_id.clone()),
                row("vm_secure_boot", configuration.secure_boot),
                row("vm_console_enabled", configuration.console_enabled),
                row("vm_tpm_persisted", configuration.tpm_persisted),
            ];
            rows.into_iter().chain(quote_rows(&azure.quote)).collect()
        }
        Evidence::Svsm(svsm) => key_rows(&svsm.ak).into_iter().chain(quote_rows(&svsm.quote)).collect(),
        _ => Vec::new(),
    }
}

fn key_rows(ak: &Public) -> [Row; 3] {
    let fields = ak.fields();
    let kind = match &fields.key {
        KeyFields::Rsa { bits, .. } => format!("rsa-{bits}"),
        KeyFields::Ecc { curve, .. } => format!("{curve:?}").to_lowercase(),
    };
    let scheme = fields.scheme.map(|(scheme, hash)| format!("{} with {hash}", scheme.name()));
    [
        noted("ak_name", verify::tpm::name_of(ak).to_string(), kind),
        row("ak_scheme", scheme),
        row("ak_restricted", fields.attributes.restricted()),
    ]
}

fn quote_rows(quote: &Quote) -> Vec<Row> {
    let fields = quote.attest.fields();
    let pcrs = quote.pcrs.values().iter().map(|value| {
        let name = format!("{}:{}", value.bank, value.index);
        (name, json!(value.value.to_string()))
    });
    let events = quote.log.as_ref().map(|log| log.events.len());
    vec![
        row("qualified_signer", fields.qualified_signer.to_string()),
        row("extra_data", hex(&fields.extra_data)),
        noted("clock_ms", fields.clock_ms, if fields.safe { "safe" } else { "not safe" }),
        row("reset_count", fields.reset_count),
        row("restart_count", fields.restart_count),
        row("tpm_firmware_version", format!("{:#018x}", fields.firmware_version)),
        row("pcr_digest", fields.pcr_digest.to_string()),
        row("pcrs", serde_json::Value::Object(pcrs.collect())),
        row("log_events", events),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
