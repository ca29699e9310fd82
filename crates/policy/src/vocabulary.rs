//! The names that the schema gives to things, and which names of things can occur at all.
//!
//! `attestation-policies/schema.cedarschema` says the same in Cedar; a bundle whose schema does not take what is
//! built here does not load (see `load`).

use cedar_policy::{EntityId, EntityTypeName, EntityUid, ParseErrors};
use claims::{GuestIdentity, KeyId, OsBinding};

use crate::operators::Operator;

macro_rules! vocabulary {
    ($($field:ident: $name:literal,)*) => {
        /// Cedar's entity types, parsed once.
        pub(crate) struct Vocabulary {
            $(pub(crate) $field: EntityTypeName,)*
        }

        impl Vocabulary {
            /// Parses the names. They are constants: an error is a mistake in this file.
            pub(crate) fn new() -> Result<Self, String> {
                let parse = |name: &str| name.parse().map_err(|error: ParseErrors| error.to_string());
                Ok(Self { $($field: parse($name)?,)* })
            }
        }
    };
}

vocabulary! {
    action: "Action",
    ak_binding: "AkBinding",
    ak_name: "AkName",
    boot_phase: "BootPhase",
    broker: "Broker",
    chip: "Chip",
    config: "Config",
    csp: "Csp",
    database: "Database",
    database_entry: "DatabaseEntry",
    evidence_kind: "EvidenceKind",
    family_id: "FamilyId",
    guest: "Guest",
    guest_identity: "GuestIdentity",
    host_data: "HostData",
    id_key: "IdKey",
    image_id: "ImageId",
    key: "Key",
    key_kind: "KeyKind",
    key_ring: "KeyRing",
    measured: "Measured",
    measurement: "Measurement",
    operator: "Operator",
    operator_group: "OperatorGroup",
    origin: "Origin",
    os_binding: "OsBinding",
    paravisor: "Paravisor",
    pcr: "Pcr",
    pcr_bank: "PcrBank",
    processor: "Processor",
    product: "Product",
    reference_state: "ReferenceState",
    region: "Region",
    report_id: "ReportId",
    signing_key: "SigningKey",
    suite: "Suite",
    vm_id: "VmId",
}

/// An entity's full name.
pub(crate) fn uid(kind: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// What a name in a policy would have to be, if it is one that can never occur; `None` if it can.
///
/// The validator has checked enumerated types and actions by then. What is left is names of bytes and of keys,
/// where a wrong case would silently match nothing, and entities that policies have no business to name.
pub(crate) fn impossible_name(literal: &EntityUid) -> Option<&'static str> {
    let name: &str = literal.id().unescaped();
    let kind = literal.type_name().to_string();
    if ["Key", "KeyRing", "Region", "OperatorGroup"].contains(&kind.as_str()) {
        return name.parse::<KeyId>().is_err().then_some("a name: a-z, 0-9, `-`, `_`, `.`");
    }
    if kind == "Operator" {
        let known = name.parse::<KeyId>().is_ok() || Operator::unnamed_uid(name).is_some();
        return (!known).then_some("a name (a-z, 0-9, `-`, `_`, `.`), or an account such as `uid 1000`");
    }
    if UNNAMED.contains(&kind.as_str()) {
        return Some("a test of its claims: it has no name of its own");
    }
    impossible_value(&kind, name)
}

/// What a value of this type would have to be, if it is one that can never occur.
pub(crate) fn impossible_value(kind: &str, name: &str) -> Option<&'static str> {
    match kind {
        "Csp" => return impossible_csp(name),
        "VmId" => return impossible_vm_id(name),
        _ => {}
    }
    let (_, digits, expected) = BYTES.iter().find(|(bytes, _, _)| *bytes == kind)?;
    let is_hex = name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (!is_hex || !digits.contains(&name.len())).then_some(expected)
}

/// What a vmUniqueId would have to be.
fn impossible_vm_id(name: &str) -> Option<&'static str> {
    let groups: Vec<&str> = name.split('-').collect();
    let is_hex = |group: &&str| group.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let possible = lengths == [8, 4, 4, 4, 12] && groups.iter().all(is_hex);
    (!possible).then_some("a lower-case UUID with its dashes")
}

/// What a CSP_ID would have to be, if it is one that `verify` never lets through.
pub(crate) fn impossible_csp(name: &str) -> Option<&'static str> {
    let possible = (1..=128).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (!possible).then_some("1 to 128 printable ASCII characters")
}

/// Types of bytes, with the lengths of their names and what those are.
const BYTES: [(&str, &[usize], &str); 14] = [
    ("Measurement", &[96], "96 lower-case hexadecimal digits"),
    ("Paravisor", &[96], "96 lower-case hexadecimal digits"),
    ("HostData", &[64], "64 lower-case hexadecimal digits"),
    ("IdKey", &[96], "96 lower-case hexadecimal digits"),
    ("Chip", &[128], "128 lower-case hexadecimal digits"),
    ("FamilyId", &[32], "32 lower-case hexadecimal digits"),
    ("ImageId", &[32], "32 lower-case hexadecimal digits"),
    ("ReportId", &[64], "64 lower-case hexadecimal digits"),
    ("Config", &[64], "64 lower-case hexadecimal digits"),
    ("Pcr", &[64, 96], "64 or 96 lower-case hexadecimal digits"),
    ("Measured", &[64, 96], "64 or 96 lower-case hexadecimal digits"),
    ("Database", &[64], "64 lower-case hexadecimal digits"),
    ("DatabaseEntry", &[64], "64 lower-case hexadecimal digits"),
    ("AkName", &[68, 100, 132], "68, 100 or 132 lower-case hexadecimal digits"),
];

/// Types of entities that have a placeholder for a name.
const UNNAMED: [&str; 3] = ["Broker", "Guest", "Processor"];

/// Every [`OsBinding`].
pub(crate) const OS_BINDINGS: [OsBinding; 4] =
    [OsBinding::Launch, OsBinding::InTeeVtpm, OsBinding::HostVtpm, OsBinding::None];

/// Every [`GuestIdentity`].
pub(crate) const GUEST_IDENTITIES: [GuestIdentity; 5] = [
    GuestIdentity::HostData,
    GuestIdentity::IdKey,
    GuestIdentity::VmId,
    GuestIdentity::Enrolled,
    GuestIdentity::None,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_wrong_case_or_length_can_never_occur() {
        let possible = |kind: &str, name: &str| impossible_name(&uid(&kind.parse().unwrap(), name)).is_none();
        assert!(possible("Measurement", &"0f".repeat(48)));
        assert!(!possible("Measurement", &"0F".repeat(48)));
        assert!(!possible("Measurement", &"0f".repeat(32)));
        assert!(possible("HostData", &"0f".repeat(32)));
        assert!(possible("Csp", "CN=cc-us-east-2.amazonaws.com"));
        assert!(possible("Csp", "x") && possible("Csp", &"x".repeat(128)));
        assert!(!possible("Csp", "") && !possible("Csp", "CN=\n") && !possible("Csp", &"x".repeat(129)));
        assert!(possible("Pcr", &"0f".repeat(32)) && possible("Pcr", &"0f".repeat(48)));
        assert!(!possible("Pcr", &"0f".repeat(20)) && !possible("AkName", &"0f".repeat(32)));
        assert!(possible("VmId", "0a1b2c3d-0123-4567-89ab-0123456789ab"));
        assert!(!possible("VmId", "0A1B2C3D-0123-4567-89AB-0123456789AB") && !possible("VmId", "0a1b2c3d"));
        assert!(possible("Key", "db-1") && !possible("Key", "DB"));
        assert!(possible("Operator", "alice") && possible("Operator", "uid 0"));
        assert!(!possible("Operator", "Alice") && !possible("Operator", "uid 01"));
        assert!(!possible("Operator", "uid x") && !possible("Operator", "uid 4294967296"));
        assert!(possible("OperatorGroup", "on-call") && !possible("OperatorGroup", "uid 0"));
        assert!(!possible("Guest", "web") && !possible("Processor", "Milan"));
        assert!(possible("Product", "whatever the validator let through"));
    }
}
