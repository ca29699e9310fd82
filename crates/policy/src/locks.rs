//! The conditions outside of policy, which no policy can lift, checked before any is asked.
//!
//! 1. The key handed in is the one that was asked for, in the version that was asked for.
//! 2. It is enabled.
//! 3. It was created for the operation (`renew` is always among them), and the operation fits its kind.
//! 4. The suite of the recipient is at least the key's floor.
//! 5. Simulated guest if and only if key for simulation.
//!
//! A sixth, that claims have not expired, is `decide`'s: a record from a file has no such date.

use claims::{AttestedRequest, ClaimsRecord, KeyAttributes, KeyKind, Operation, UnixTime, VersionSelector};

use crate::reason::{Denial, DenialCode, Reason, ReasonKind};

/// Every lock that holds the key back, or nothing.
pub(crate) fn check(
    record: &ClaimsRecord,
    request: &AttestedRequest,
    key: &KeyAttributes,
) -> Result<(), Denial> {
    let locks = [
        key_id(request, key),
        version(request, key),
        enabled(key),
        operation_allowed(request, key),
        operation_fits(request, key),
        suite(record, key),
        simulated(record, key),
    ];
    let held: Vec<(DenialCode, Reason)> = locks.into_iter().flatten().collect();
    match held.first() {
        None => Ok(()),
        Some((code, _)) => {
            Err(Denial { code: *code, reasons: held.into_iter().map(|(_, reason)| reason).collect() })
        }
    }
}

/// The lock on old claims.
pub(crate) fn fresh(valid_until: UnixTime, now: UnixTime) -> Result<(), Denial> {
    if now <= valid_until {
        return Ok(());
    }
    let found = now.to_string();
    let (code, reason) = held(
        DenialCode::ClaimsExpired,
        "claims count for some minutes after their evidence was verified",
        "now <= claims.valid_until",
        format!("<= {valid_until}"),
        found,
    );
    Err(Denial { code, reasons: vec![reason] })
}

type Lock = Option<(DenialCode, Reason)>;

fn key_id(request: &AttestedRequest, key: &KeyAttributes) -> Lock {
    let doc = "the key is the one that the evidence binds";
    let lock = || held(DenialCode::KeyMismatch, doc, "key.id == request.key", &request.key, &key.id);
    (request.key != key.id).then(lock)
}

fn version(request: &AttestedRequest, key: &KeyAttributes) -> Lock {
    let VersionSelector::Exact(wanted) = request.version else { return None };
    let doc = "the version is the one that the evidence binds";
    let condition = "key.version == request.version";
    (wanted != key.version).then(|| held(DenialCode::VersionMismatch, doc, condition, wanted, key.version))
}

fn enabled(key: &KeyAttributes) -> Lock {
    let doc = "a disabled key goes nowhere";
    (!key.enabled).then(|| held(DenialCode::KeyDisabled, doc, "key.enabled", true, false))
}

fn operation_allowed(request: &AttestedRequest, key: &KeyAttributes) -> Lock {
    let operation = request.operation;
    let allowed = operation == Operation::Renew || key.operations.contains(&operation);
    let doc = "a key serves the operations that it was created for";
    let names: Vec<_> = key.operations.iter().map(|op| op.name()).collect();
    let condition = "request.operation in key.operations";
    let wanted = format!("one of {}, renew", names.join(", "));
    (!allowed).then(|| held(DenialCode::OperationNotAllowed, doc, condition, wanted, operation))
}

fn operation_fits(request: &AttestedRequest, key: &KeyAttributes) -> Lock {
    let is_secret = key.kind == KeyKind::Secret;
    let (fits, wanted) = match request.operation {
        Operation::Renew => (true, ""),
        Operation::Secret => (is_secret, "a key of kind secret"),
        Operation::Unwrap | Operation::Release => (!is_secret, "a key of another kind than secret"),
    };
    let doc = "secrets are handed out as such, and wrap no keys";
    let condition = "request.operation fits key.kind";
    (!fits).then(|| held(DenialCode::OperationUnfit, doc, condition, wanted, key.kind))
}

fn suite(record: &ClaimsRecord, key: &KeyAttributes) -> Lock {
    let doc = "a key is sealed with its floor or better";
    let condition = "guest.suite >= key.suite_floor";
    let wanted = format!(">= {}", key.suite_floor);
    let weak = record.suite < key.suite_floor;
    weak.then(|| held(DenialCode::SuiteTooWeak, doc, condition, wanted, record.suite))
}

fn simulated(record: &ClaimsRecord, key: &KeyAttributes) -> Lock {
    let doc = "simulated guests get keys made for simulation, and nobody else does";
    let condition = "guest.simulated == key.for_simulation";
    let differ = record.simulated != key.for_simulation;
    differ.then(|| held(DenialCode::SimulatedMismatch, doc, condition, key.for_simulation, record.simulated))
}

fn held(
    code: DenialCode,
    doc: &str,
    condition: &str,
    wanted: impl ToString,
    found: impl ToString,
) -> (DenialCode, Reason) {
    let reason = Reason {
        kind: ReasonKind::Lock,
        rule: code.as_str().to_owned(),
        doc: doc.to_owned(),
        condition: condition.to_owned(),
        wanted: wanted.to_string(),
        found: found.to_string(),
    };
    (code, reason)
}
