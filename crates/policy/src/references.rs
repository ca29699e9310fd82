//! Reference values: which measurements and identities are known, and how old a platform may be. Data that
//! policies refer to, kept apart from them, so that a new image touches no rule.
//!
//! The file is TOML: `version = 1`, then any number of these tables; unknown keys are refused.
//!
//! ```toml
//! [[measurement]]         # also host_data, id_key, chip, csp, paravisor, vm_id, pcr, measured, database, ak
//! value = "…"             # as policies name it: lower-case hexadecimal, but for csp and vm_id
//! name = "web 1.4"
//! state = "active"        # or trial, retiring, expired
//!
//! [[tcb_floor]]
//! product = "Genoa"
//! cpuid = { family = 25, model = 17, stepping = 1 }   # without it: what no other floor of the product names
//! fmc = 0
//! bootloader = 9
//! tee = 0
//! snp = 27
//! microcode = 86
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use claims::snp::{CpuId, Product, Tcb};
use serde::Deserialize;
use toml::Spanned;

use crate::bundle::Bundle;
use crate::load_error::{LoadError, LoadErrors, Problem};
use crate::vocabulary::impossible_value;

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
}

impl State {
    pub(crate) const ALL: [Self; 4] = [Self::Trial, Self::Active, Self::Retiring, Self::Expired];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trial => "trial",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Expired => "expired",
        }
    }
}

/// A known value.
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) state: State,
}

/// The reference values of a bundle, ready for look-ups.
#[derive(Default)]
pub(crate) struct References {
    values: HashMap<ValueKind, HashMap<String, Known>>,
    counts: HashMap<(ValueKind, State), usize>,
    floors: HashMap<(Product, Option<CpuId>), Tcb>,
}

impl References {
    /// Reads the file.
    pub(crate) fn parse(text: &str) -> Result<Self, LoadErrors> {
        let file: File = toml::from_str(text).map_err(|error| {
            let offset = error.span().map(|span| span.start);
            problem(text, offset, error.message().to_owned())
        })?;
        let mut references = Self::default();
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
        errors.extend(file.tcb_floor.into_iter().filter_map(|floor| references.insert_floor(text, floor)));
        LoadErrors::unless_empty(errors)?;
        Ok(references)
    }

    /// What is known of a value, in lower-case hexadecimal.
    pub(crate) fn find(&self, kind: ValueKind, value: &str) -> Option<&Known> {
        self.values.get(&kind)?.get(value)
    }

    /// How many values of a kind are in one of these states.
    pub(crate) fn count(&self, kind: ValueKind, states: &[State]) -> usize {
        State::ALL
            .into_iter()
            .filter(|state| states.contains(state))
            .filter_map(|state| self.counts.get(&(kind, state)))
            .sum()
    }

    /// The floor for a processor: its own, else that of the product.
    pub(crate) fn tcb_floor(&self, product: Product, cpuid: Option<CpuId>) -> Option<Tcb> {
        let own = cpuid.and_then(|cpuid| self.floors.get(&(product, Some(cpuid))));
        own.or_else(|| self.floors.get(&(product, None))).copied()
    }

    fn insert_values(&mut self, text: &str, kind: ValueKind, values: Vec<Value>) -> Vec<LoadError> {
        let known = self.values.entry(kind).or_default();
        let mut errors = Vec::new();
        for Value { value, name, state } in values {
            let offset = value.span().start;
            let value = value.into_inner();
            if let Some(expected) = impossible_value(kind.type_name(), &value) {
                errors.push(problem(text, Some(offset), format!("not {expected}")));
                continue;
            }
            match known.entry(value) {
                Entry::Vacant(entry) => {
                    entry.insert(Known { name, state });
                    let count = self.counts.entry((kind, state)).or_default();
                    *count = count.saturating_add(1);
                }
                Entry::Occupied(entry) => {
                    let message = format!("this value is listed already, as `{}`", entry.get().name);
                    errors.push(problem(text, Some(offset), message));
                }
            }
        }
        errors
    }

    fn insert_floor(&mut self, text: &str, floor: Floor) -> Option<LoadError> {
        let offset = Some(floor.product.span().start);
        let product = match floor.product.get_ref().parse::<Product>() {
            Ok(product) => product,
            Err(message) => return Some(problem(text, offset, message.to_owned())),
        };
        let cpuid = floor.cpuid.map(|Cpu { family, model, stepping }| CpuId { family, model, stepping });
        let Floor { fmc, bootloader, tee, snp, microcode, .. } = floor;
        let tcb = Tcb { fmc: Some(fmc), bootloader, tee, snp, microcode };
        let repeated = self.floors.insert((product, cpuid), tcb).is_some();
        repeated.then(|| problem(text, offset, "a floor for this processor is given already".to_owned()))
    }
}

fn problem(text: &str, offset: Option<usize>, message: String) -> LoadError {
    LoadError::at(Bundle::REFERENCES, text, offset, Problem::References { message })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<u64>,
    #[serde(default)]
    measurement: Vec<Value>,
    #[serde(default)]
    host_data: Vec<Value>,
    #[serde(default)]
    id_key: Vec<Value>,
    #[serde(default)]
    chip: Vec<Value>,
    #[serde(default)]
    csp: Vec<Value>,
    #[serde(default)]
    paravisor: Vec<Value>,
    #[serde(default)]
    vm_id: Vec<Value>,
    #[serde(default)]
    pcr: Vec<Value>,
    #[serde(default)]
    measured: Vec<Value>,
    #[serde(default)]
    database: Vec<Value>,
    #[serde(default)]
    ak: Vec<Value>,
    #[serde(default)]
    tcb_floor: Vec<Floor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    value: Spanned<String>,
    name: String,
    state: State,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Floor {
    product: Spanned<String>,
    cpuid: Option<Cpu>,
    fmc: u8,
    bootloader: u8,
    tee: u8,
    snp: u8,
    microcode: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cpu {
    family: u8,
    model: u8,
    stepping: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_error::Position;

    const FLOOR: &str = "fmc = 0\nbootloader = 1\ntee = 2\nsnp = 3\nmicrocode = 4\n";

    fn error(text: &str) -> (Option<Position>, String) {
        let errors = References::parse(text).err().expect("an error");
        let [error] = &errors.iter().collect::<Vec<_>>()[..] else { panic!("{errors}") };
        (error.at, error.problem.to_string())
    }

    #[test]
    fn a_processor_has_its_own_floor_or_that_of_its_product() {
        let cpuid = "cpuid = { family = 25, model = 17, stepping = 1 }";
        let text = format!(
            "version = 1\n[[tcb_floor]]\nproduct = \"Genoa\"\n{FLOOR}\
             [[tcb_floor]]\nproduct = \"Genoa\"\n{cpuid}\n{}",
            FLOOR.replace('3', "9")
        );
        let references = References::parse(&text).unwrap();
        let own = CpuId { family: 25, model: 17, stepping: 1 };
        let snp = |product, cpuid| references.tcb_floor(product, cpuid).map(|floor| floor.snp);
        assert_eq!(snp(Product::Genoa, Some(own)), Some(9));
        assert_eq!(snp(Product::Genoa, Some(CpuId { stepping: 2, ..own })), Some(3));
        assert_eq!(snp(Product::Genoa, None), Some(3));
        assert_eq!(snp(Product::Milan, Some(own)), None);
    }

    #[test]
    fn values_are_counted_by_state() {
        let value = |digit: &str, state: &str| {
            let value = digit.repeat(96);
            format!("[[measurement]]\nvalue = \"{value}\"\nname = \"{digit}\"\nstate = \"{state}\"\n")
        };
        let text = format!(
            "version = 1\n{}{}{}",
            value("a", "active"),
            value("b", "retiring"),
            value("c", "expired")
        );
        let references = References::parse(&text).unwrap();
        assert_eq!(references.count(ValueKind::Measurement, &[State::Active, State::Retiring]), 2);
        assert_eq!(references.count(ValueKind::HostData, &State::ALL), 0);
        assert_eq!(
            references.find(ValueKind::Measurement, &"c".repeat(96)).map(|k| k.state),
            Some(State::Expired)
        );
    }

    #[test]
    fn what_is_not_well_formed_is_refused_with_its_place() {
        let place = |line, column| Some(Position { line, column });
        let value =
            |hex: &str| format!("[[measurement]]\nvalue = \"{hex}\"\nname = \"n\"\nstate = \"active\"\n");
        let upper = format!("version = 1\n{}", value(&"A".repeat(96)));
        assert_eq!(error(&upper), (place(3, 9), "not 96 lower-case hexadecimal digits".to_owned()));
        let twice = format!("version = 1\n{}{}", value(&"a".repeat(96)), value(&"a".repeat(96)));
        assert_eq!(error(&twice), (place(7, 9), "this value is listed already, as `n`".to_owned()));
        assert_eq!(error("version = 2\n"), (place(1, 11), "unknown version: expected 1, got 2".to_owned()));
        let floor = format!("[[tcb_floor]]\nproduct = \"Milan\"\n{FLOOR}");
        let (at, message) = error(&format!("version = 1\n{floor}{floor}"));
        assert_eq!((at.unwrap().line, message.as_str()), (10, "a floor for this processor is given already"));
        let (at, message) = error(&format!("version = 1\n[[tcb_floor]]\nproduct = \"milan\"\n{FLOOR}"));
        assert_eq!((at.unwrap().line, message.as_str()), (3, "not a product; use Milan, Genoa or Turin"));
        for wrong in
            ["", "version = 1\nextra = 1\n", "version = 1\n[[tcb_floor]]\nproduct = \"Milan\"\nsnp = 300\n"]
        {
            assert!(References::parse(wrong).is_err(), "{wrong}");
        }
    }
}
