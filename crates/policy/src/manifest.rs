//! [`Manifest`]: the reference values of a file, for the tools that show and change it. Decides nothing.

use claims::{ClaimsRecord, UnixTime};

use crate::load_error::LoadErrors;
use crate::references::{Known, References, State, ValueKind};
use crate::subject::referable_of;
use crate::vocabulary::impossible_value;

/// Reference values as they stand in a file.
pub struct Manifest(References);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceValue {
    /// The table that it stands in: `measurement`, `pcr`, ...
    pub kind: &'static str,
    /// As policies name it.
    pub value: String,
    /// For people.
    pub name: String,
    /// At the time asked about: `trial`, `active`, `retiring`, `expired` or `denied`.
    pub state: &'static str,
    /// Who or what says so.
    pub origin: Option<String>,
    /// Before it the value is on trial at most.
    pub valid_from: Option<UnixTime>,
    /// From then on it is expired.
    pub valid_until: Option<UnixTime>,
}

impl Manifest {
    /// Reads the file.
    ///
    /// # Errors
    /// Everything that is wrong with it, with places.
    pub fn parse(text: &str) -> Result<Self, LoadErrors> {
        References::parse(text).map(Self)
    }

    /// Its serial number; 0 if it has none.
    pub fn serial(&self) -> u64 {
        self.0.serial()
    }

    /// All values as they are at this time, by kind in the order of the documentation, then by name.
    pub fn values(&self, now: UnixTime) -> Vec<ReferenceValue> {
        let mut values: Vec<_> =
            self.0.values().map(|(kind, value, known)| shown(kind, value, known, now)).collect();
        let place = |kind: &str| Self::kinds().position(|k| k == kind);
        values.sort_by(|a, b| (place(a.kind), &a.name, &a.value).cmp(&(place(b.kind), &b.name, &b.value)));
        values
    }

    /// The values that a guest shows and this file knows, as (kind, value).
    pub fn seen_on(&self, record: &ClaimsRecord) -> Vec<(&'static str, String)> {
        let known = |(kind, value): &(ValueKind, String)| self.0.find(*kind, value).is_some();
        let seen = referable_of(record).into_iter().filter(known);
        seen.map(|(kind, value)| (kind.table(), value)).collect()
    }

    /// The kinds of values, by the names of their tables.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        ValueKind::ALL.into_iter().map(ValueKind::table)
    }

    /// The states that a value can be given.
    pub fn states() -> impl Iterator<Item = &'static str> {
        State::ALL.into_iter().map(State::name)
    }

    /// What a value of this kind would have to be, if `value` can never be one; `None` if it can.
    pub fn impossible(kind: &str, value: &str) -> Option<&'static str> {
        match ValueKind::ALL.into_iter().find(|k| k.table() == kind) {
            Some(kind) => impossible_value(kind.type_name(), value),
            None => Some("of a kind of reference value"),
        }
    }
}

fn shown(kind: ValueKind, value: &str, known: &Known, now: UnixTime) -> ReferenceValue {
    ReferenceValue {
        kind: kind.table(),
        value: value.to_owned(),
        name: known.name.clone(),
        state: known.state(now).name(),
        origin: known.origin.clone(),
        valid_from: known.states.from,
        valid_until: known.states.until,
    }
}
