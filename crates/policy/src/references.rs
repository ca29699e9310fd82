//! Reference values: which measurements and identities are known, and how old a platform may be. Data that
//! policies refer to, kept apart from them, so that a new image touches no rule.
//!
//! The file is TOML: `version = 1`, the manifest's `serial`, then any number of these tables; unknown keys are refused.
//!
//! ```toml
//! [[measurement]]         # also host_data, id_key, chip, csp, paravisor, vm_id, pcr, measured, database, ak
//! value = "…"             # as policies name it: lower-case hexadecimal, but for csp and vm_id
//! name = "web 1.4"
//! state = "active"        # or trial, retiring, expired, denied
//! origin = "…"            # optional: who or what says so
//! valid_from = …          # optional, such as 2026-11-22T09:30:00Z: before it the value is on trial at most
//! valid_until = …         # optional: from then on it is expired
//!
//! [[tcb_floor]]
//! product = "Genoa"
//! cpuid = { family = 25, model = 17, stepping = 1 }   # without it: what no other floor of the product names
//! fmc = 0
//! bootloader = 9
//! tee = 0
//! snp = 27
//! microcode = 86
//! mitigations = [0]       # optional: bits that CURRENT_MIT_VECTOR must have
//! warn_from = …           # optional: from then on guests that the floor will deny are named
//! deny_from = …           # optional: from then on it is the floor, in the place of an earlier one
//! valid_until = …         # optional: from then on it is no floor; none that it took the place of comes back
//! state = "active"        # optional; or trial (names guests, denies none), retiring (as active), expired (never a floor)
//! origin = "…"            # optional
//!
//! [[revoked]]             # whatever its floor
//! product = "Milan"
//! cpuid = { … }           # optional, as above
//! why = "…"
//! state = "active"        # optional; or trial (names guests, denies none), expired (revokes nothing)
//! origin = "…"            # optional
//! valid_from = …          # optional: before it guests are named
//! valid_until = …         # optional: from then on it revokes nothing
//! ```
//!
//! Dates or states of which nobody could say which counts are refused.

mod file;
pub(crate) mod platforms;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use claims::UnixTime;
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use crate::bundle::Bundle;
use crate::load_error::{LoadError, LoadErrors, Problem};
use crate::vocabulary::impossible_value;
use file::{File, Value};
use platforms::{Platforms, ordered};

/// What a reference value is a value of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ValueKind {
    Measurement,
    HostData,
    IdKey,
    Chip,
    Csp,
    Paravisor,
    VmId,
    Pcr,
    Measured,
    Database,
    Ak,
}

impl ValueKind {
    pub(crate) const ALL: [Self; 11] = [
        Self::Measurement,
        Self::HostData,
        Self::IdKey,
        Self::Chip,
        Self::Csp,
        Self::Paravisor,
        Self::VmId,
        Self::Pcr,
        Self::Measured,
        Self::Database,
        Self::Ak,
    ];

    /// The name of its tables in the file.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Measurement => "measurement",
            Self::HostData => "host_data",
            Self::IdKey => "id_key",
            Self::Chip => "chip",
            Self::Csp => "csp",
            Self::Paravisor => "paravisor",
            Self::VmId => "vm_id",
            Self::Pcr => "pcr",
            Self::Measured => "measured",
            Self::Database => "database",
            Self::Ak => "ak",
        }
    }

    /// The name of its type in policies.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Measurement => "Measurement",
            Self::HostData => "HostData",
            Self::IdKey => "IdKey",
            Self::Chip => "Chip",
            Self::Csp => "Csp",
            Self::Paravisor => "Paravisor",
            Self::VmId => "VmId",
            Self::Pcr => "Pcr",
            Self::Measured => "Measured",
            Self::Database => "Database",
            Self::Ak => "AkName",
        }
    }
}

/// What is thought of a reference value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Trial,
    Active,
    Retiring,
    Expired,
    Denied,
}

impl State {
    pub(crate) const ALL: [Self; 5] =
        [Self::Trial, Self::Active, Self::Retiring, Self::Expired, Self::Denied];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trial => "trial",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Expired => "expired",
            Self::Denied => "denied",
        }
    }
}

/// A known value.
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) origin: Option<String>,
    pub(crate) states: Dated,
}

/// A state, and the time that it is for.
#[derive(Clone, Copy)]
pub(crate) struct Dated {
    state: State,
    pub(crate) from: Option<UnixTime>,
    pub(crate) until: Option<UnixTime>,
}

impl Dated {
    /// The state at this time. What is denied or expired is so at any time.
    pub(crate) fn at(self, now: UnixTime) -> State {
        match self.state {
            State::Denied | State::Expired => self.state,
            _ if self.until.is_some_and(|until| now >= until) => State::Expired,
            _ if self.from.is_some_and(|from| now < from) => State::Trial,
            state => state,
        }
    }

    /// Whether it is the same at all times.
    fn stays(self) -> bool {
        self.from.is_none() && self.until.is_none()
    }
}

impl Known {
    /// What is thought of it at this time.
    pub(crate) fn state(&self, now: UnixTime) -> State {
        self.states.at(now)
    }

    /// Whether that is the same at all times.
    pub(crate) fn stays(&self) -> bool {
        self.states.stays()
    }
}

/// The reference values of a bundle, ready for look-ups.
#[derive(Default)]
pub(crate) struct References {
    serial: u64,
    values: HashMap<ValueKind, HashMap<String, Known>>,
    /// Of values that stay as they are.
    counts: HashMap<(ValueKind, State), usize>,
    /// Of the others.
    dated: Vec<(ValueKind, Dated)>,
    pub(crate) platforms: Platforms,
}

impl References {
    /// Reads the file.
    pub(crate) fn parse(text: &str) -> Result<Self, LoadErrors> {
        let file: File = toml::from_str(text).map_err(|error| {
            let offset = error.span().map(|span| span.start);
            problem(text, offset, error.message().to_owned())
        })?;
        let mut references = Self { serial: file.serial, ..Self::default() };
        let mut errors = Vec::new();
        if *file.version.get_ref() != 1 {
            let message = format!("unknown version: expected 1, got {}", file.version.get_ref());
            errors.push(problem(text, Some(file.version.span().start), message));
        }
        let values = [
            file.measurement,
            file.host_data,
            file.id_key,
            file.chip,
            file.csp,
            file.paravisor,
            file.vm_id,
            file.pcr,
            file.measured,
            file.database,
            file.ak,
        ];
        for (kind, values) in ValueKind::ALL.into_iter().zip(values) {
            errors.extend(references.insert_values(text, kind, values));
        }
        errors.extend(references.platforms.insert_floors(text, file.tcb_floor));
        let revoked = file.revoked.into_iter();
        let insert = |revoked| references.platforms.insert_revoked(text, revoked).err().map(|error| *error);
        errors.extend(revoked.filter_map(insert));
        LoadErrors::unless_empty(errors)?;
        Ok(references)
    }

    /// What is known of a value, in lower-case hexadecimal.
    pub(crate) fn find(&self, kind: ValueKind, value: &str) -> Option<&Known> {
        self.values.get(&kind)?.get(value)
    }

    /// The manifest's serial number, which a broker does not let go down.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// All values.
    pub(crate) fn values(&self) -> impl Iterator<Item = (ValueKind, &str, &Known)> {
        let of_kind =
            |kind| self.values.get(&kind).into_iter().flatten().map(move |(v, k)| (kind, v.as_str(), k));
        ValueKind::ALL.into_iter().flat_map(of_kind)
    }

    /// How many values of a kind are in one of these states at this time.
    pub(crate) fn count(&self, kind: ValueKind, states: &[State], now: UnixTime) -> usize {
        let staying = State::ALL
            .into_iter()
            .filter(|state| states.contains(state))
            .filter_map(|state| self.counts.get(&(kind, state)))
            .fold(0, |sum: usize, count| sum.saturating_add(*count));
        let dated = self.dated.iter().filter(|(k, dated)| *k == kind && states.contains(&dated.at(now)));
        staying.saturating_add(dated.count())
    }

    fn insert_values(&mut self, text: &str, kind: ValueKind, values: Vec<Value>) -> Vec<LoadError> {
        let known = self.values.entry(kind).or_default();
        let mut errors = Vec::new();
        for Value { value, name, state, origin, valid_from, valid_until } in values {
            let offset = value.span().start;
            let dates = time(text, valid_from).and_then(|from| Ok((from, time(text, valid_until)?)));
            let (from, until) = match dates {
                Ok(dates) => dates,
                Err(error) => {
                    errors.push(*error);
                    continue;
                }
            };
            if let Err(message) = ordered([("valid_from", from), ("valid_until", until)]) {
                errors.push(problem(text, Some(offset), message));
                continue;
            }
            let value = value.into_inner();
            if let Some(expected) = impossible_value(kind.type_name(), &value) {
                errors.push(problem(text, Some(offset), format!("not {expected}")));
                continue;
            }
            match known.entry(value) {
                Entry::Vacant(entry) => {
                    let states = Dated { state, from, until };
                    entry.insert(Known { name, origin, states });
                    if states.stays() {
                        let count = self.counts.entry((kind, state)).or_default();
                        *count = count.saturating_add(1);
                    } else {
                        self.dated.push((kind, states));
                    }
                }
                Entry::Occupied(entry) => {
                    let message = format!("this value is listed already, as `{}`", entry.get().name);
                    errors.push(problem(text, Some(offset), message));
                }
            }
        }
        errors
    }
}

/// A date, if it is one.
fn time(text: &str, date: Option<Spanned<Datetime>>) -> Result<Option<UnixTime>, Box<LoadError>> {
    let Some(date) = date else { return Ok(None) };
    let no_time = || {
        let message = "not a time in UTC: expected one such as 2026-11-22T09:30:00Z".to_owned();
        Box::new(problem(text, Some(date.span().start), message))
    };
    UnixTime::parse(&date.get_ref().to_string()).ok_or_else(no_time).map(Some)
}

fn problem(text: &str, offset: Option<usize>, message: String) -> LoadError {
    LoadError::at(Bundle::REFERENCES, text, offset, Problem::References { message })
}

#[cfg(test)]
mod tests;
