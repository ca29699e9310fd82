//! An event log as rows. Nothing of it is verified: types and digests are what the log says.

use evidence::tpm::{Event, EventLog};
use serde_json::{Value, json};

use super::fields::{Row, noted, row};

/// Whether bytes begin as a log does: with an event of PCR 0 and of a type that has a name.
pub fn begins(bytes: &[u8]) -> bool {
    let kind = bytes.strip_prefix(&[0; 4]).and_then(|rest| rest.first_chunk::<4>());
    let kind = kind.map(|kind| u32::from_le_bytes(*kind));
    bytes.len() >= SHORTEST_EVENT && NAMES.iter().any(|(known, _)| Some(*known) == kind)
}

/// Format and algorithms of a log, and with `events` a line for each event.
pub fn rows(log: &EventLog, events: bool) -> Vec<Row> {
    let format = if log.crypto_agile { "crypto-agile" } else { "sha1 only" };
    let algorithms: Vec<&str> = log.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    let mut rows =
        vec![noted("log_format", format, algorithms.join(", ")), row("log_events", log.events.len())];
    if events {
        let numbered = || log.events.iter().enumerate();
        let json: Vec<Value> = numbered().map(|(at, event)| event_json(at, event)).collect();
        rows.push(Row::below("events", json, numbered().map(|(at, event)| line(at, event)).collect()));
    }
    rows
}

fn event_json(at: usize, event: &Event) -> Value {
    let digest = |(algorithm, digest): &(claims::tpm::HashAlgorithm, Vec<u8>)| {
        (algorithm.name().to_owned(), Value::from(hex::encode(digest)))
    };
    json!({
        "event": at,
        "pcr": event.pcr,
        "type": name(event.kind),
        "digests": Value::Object(event.digests.iter().map(digest).collect()),
        "data": hex::encode(&event.data),
    })
}

/// Number, PCR, type, and as much of the best digest as fits into 100 columns.
fn line(at: usize, event: &Event) -> String {
    let digest = event.digests.iter().max_by_key(|(algorithm, _)| algorithm.digest_len());
    let digest: String = digest.map(|(_, digest)| hex::encode(digest)).unwrap_or_default();
    let shown: String = digest.chars().take(DIGEST_COLUMNS).collect();
    let more = if shown.len() < digest.len() { "..." } else { "" };
    format!("{at:>4}  {:>2}  {:<32}  {shown}{more}", event.pcr, name(event.kind))
}

/// The type's name (TCG PC Client Platform Firmware Profile 1.06, table 27), else its number.
fn name(kind: u32) -> String {
    let known = NAMES.iter().find(|(number, _)| *number == kind);
    known.map_or_else(|| format!("{kind:#010x}"), |(_, name)| (*name).to_owned())
}

const DIGEST_COLUMNS: usize = 50;
/// Bytes of a TCG_PCR_EVENT without data.
const SHORTEST_EVENT: usize = 32;

const NAMES: [(u32, &str); 34] = [
    (0x01, "EV_POST_CODE"),
    (0x03, "EV_NO_ACTION"),
    (0x04, "EV_SEPARATOR"),
    (0x05, "EV_ACTION"),
    (0x06, "EV_EVENT_TAG"),
    (0x07, "EV_S_CRTM_CONTENTS"),
    (0x08, "EV_S_CRTM_VERSION"),
    (0x09, "EV_CPU_MICROCODE"),
    (0x0a, "EV_PLATFORM_CONFIG_FLAGS"),
    (0x0b, "EV_TABLE_OF_DEVICES"),
    (0x0c, "EV_COMPACT_HASH"),
    (0x0d, "EV_IPL"),
    (0x0e, "EV_IPL_PARTITION_DATA"),
    (0x0f, "EV_NONHOST_CODE"),
    (0x10, "EV_NONHOST_CONFIG"),
    (0x11, "EV_NONHOST_INFO"),
    (0x12, "EV_OMIT_BOOT_DEVICE_EVENTS"),
    (0x13, "EV_POST_CODE2"),
    (0x8000_0001, "EV_EFI_VARIABLE_DRIVER_CONFIG"),
    (0x8000_0002, "EV_EFI_VARIABLE_BOOT"),
    (0x8000_0003, "EV_EFI_BOOT_SERVICES_APPLICATION"),
    (0x8000_0004, "EV_EFI_BOOT_SERVICES_DRIVER"),
    (0x8000_0005, "EV_EFI_RUNTIME_SERVICES_DRIVER"),
    (0x8000_0006, "EV_EFI_GPT_EVENT"),
    (0x8000_0007, "EV_EFI_ACTION"),
    (0x8000_0008, "EV_EFI_PLATFORM_FIRMWARE_BLOB"),
    (0x8000_0009, "EV_EFI_HANDOFF_TABLES"),
    (0x8000_000a, "EV_EFI_PLATFORM_FIRMWARE_BLOB2"),
    (0x8000_000b, "EV_EFI_HANDOFF_TABLES2"),
    (0x8000_000c, "EV_EFI_VARIABLE_BOOT2"),
    (0x8000_000d, "EV_EFI_GPT_EVENT2"),
    (0x8000_0010, "EV_EFI_HCRTM_EVENT"),
    (0x8000_00e0, "EV_EFI_VARIABLE_AUTHORITY"),
    (0x8000_00e1, "EV_EFI_SPDM_FIRMWARE_BLOB"),
];
