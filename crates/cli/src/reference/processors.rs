//! Floors and revocations for `keyfast reference list` and `status`, for people or programs. Changes none of them.

use claims::UnixTime;
use claims::snp::Tcb;
use policy::{PlatformSays, PlatformValue};
use serde_json::{Value, json};

/// Kind, processor, state.
pub fn cells(value: &PlatformValue) -> Vec<String> {
    vec![value.kind.to_owned(), value.processor(), value.state.to_owned()]
}

/// The versions and bits that a floor asks for, or why a processor is revoked.
pub fn says(value: &PlatformValue) -> Vec<String> {
    match &value.says {
        PlatformSays::Revoked { why } => vec![why.clone()],
        PlatformSays::Floor { tcb, mitigations, .. } => {
            let bits: Vec<String> = mitigations.iter().map(ToString::to_string).collect();
            let bits = (!bits.is_empty()).then(|| format!("mitigations {}", bits.join(", ")));
            std::iter::once(versions(*tcb)).chain(bits).collect()
        }
    }
}

/// The same with dates and origin, a line each.
pub fn says_all(value: &PlatformValue) -> Vec<String> {
    let warns = match value.says {
        PlatformSays::Floor { warn_from, .. } => warn_from,
        PlatformSays::Revoked { .. } => None,
    };
    let replaced = ["active", "retiring"].contains(&value.state) && !value.in_force;
    let date = |what: &str, time: Option<UnixTime>| time.map(|time| format!("{what} {time}"));
    let more = [
        date("warns from", warns),
        date("denies from", value.from),
        date("until", value.until),
        replaced.then(|| "a later floor is in its place".to_owned()),
        value.origin.as_ref().map(|origin| format!("origin {origin}")),
    ];
    says(value).into_iter().chain(more.into_iter().flatten()).collect()
}

/// Components that are asked for; 0 asks for nothing.
fn versions(tcb: Tcb) -> String {
    let parts = parts(tcb).into_iter().filter(|(_, least)| *least > 0);
    let parts: Vec<String> = parts.map(|(name, least)| format!("{name} {least}")).collect();
    if parts.is_empty() { "any version".to_owned() } else { parts.join(", ") }
}

fn parts(tcb: Tcb) -> [(&'static str, u8); 5] {
    [
        ("fmc", tcb.fmc.unwrap_or(0)),
        ("bootloader", tcb.bootloader),
        ("tee", tcb.tee),
        ("snp", tcb.snp),
        ("microcode", tcb.microcode),
    ]
}

/// All of it, under the names of the file.
pub fn as_json(value: &PlatformValue) -> Value {
    let date = |time: Option<UnixTime>| time.map(|time| time.to_string());
    let cpuid = value.cpuid.map(|c| json!({ "family": c.family, "model": c.model, "stepping": c.stepping }));
    let mut all = json!({
        "kind": value.kind,
        "product": value.product.name(),
        "cpuid": cpuid,
        "state": value.state,
        "in_force": value.in_force,
        "origin": value.origin,
        "valid_until": date(value.until),
    });
    let more = match &value.says {
        PlatformSays::Revoked { why } => json!({ "why": why, "valid_from": date(value.from) }),
        PlatformSays::Floor { tcb, mitigations, warn_from } => {
            let mut floor: Value = parts(*tcb).into_iter().collect();
            merge(
                &mut floor,
                json!({
                    "mitigations": mitigations,
                    "warn_from": date(*warn_from),
                    "deny_from": date(value.from),
                }),
            );
            floor
        }
    };
    merge(&mut all, more);
    all
}

/// Adds the members of one object to another.
pub fn merge(all: &mut Value, more: Value) {
    if let (Value::Object(all), Value::Object(more)) = (all, more) {
        all.extend(more);
    }
}
