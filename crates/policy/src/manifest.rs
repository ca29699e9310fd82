//! [`Manifest`]: the reference values of a file, for the tools that show and change it. Decides nothing.

use claims::snp::{CpuId, Product, Tcb};
use claims::{ClaimsRecord, UnixTime};

use crate::load_error::LoadErrors;
use crate::references::platforms::{Platforms, Processor};
use crate::references::{Dated, Known, References, State, ValueKind};
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

/// What the file says of processors: a floor, or a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformValue {
    /// The table that it stands in: `tcb_floor` or `revoked`.
    pub kind: &'static str,
    /// The product.
    pub product: Product,
    /// The processor, if not all of the product are meant.
    pub cpuid: Option<CpuId>,
    /// At the time asked about: `trial`, `active`, `retiring` or `expired`.
    pub state: &'static str,
    /// Whether guests are held to it at that time: of a processor's floors to the newest alone.
    pub in_force: bool,
    /// Who or what says so.
    pub origin: Option<String>,
    /// From then on it is in force.
    pub from: Option<UnixTime>,
    /// From then on it is expired.
    pub until: Option<UnixTime>,
    /// What it says.
    pub says: PlatformSays,
}

/// What the file says of a processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformSays {
    /// The oldest versions that are good enough.
    Floor {
        /// Each component by itself.
        tcb: Tcb,
        /// Bits of the mitigation vector that must be set, 0 to 63.
        mitigations: Vec<u8>,
        /// From then on guests that it will deny are named.
        warn_from: Option<UnixTime>,
    },
    /// It is not to be trusted, whatever its versions are.
    Revoked {
        /// For people.
        why: String,
    },
}

impl PlatformValue {
    /// The processor as `Genoa 25/17/1` (family, model, stepping), or the product alone.
    pub fn processor(&self) -> String {
        processor_name((self.product, self.cpuid))
    }
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

    /// All floors and revocations as they are at this time: floors first, by processor, then by their dates.
    pub fn platforms(&self, now: UnixTime) -> Vec<PlatformValue> {
        let platforms = &self.0.platforms;
        let mut floors = floors(platforms, now);
        let mut revoked: Vec<_> = platforms
            .revoked
            .iter()
            .map(|(processor, revocation)| {
                let says = PlatformSays::Revoked { why: revocation.why.clone() };
                let in_force = revocation.states.in_force(now);
                said(*processor, (revocation.states, in_force), revocation.origin.clone(), says, now)
            })
            .collect();
        for all in [&mut floors, &mut revoked] {
            all.sort_by_key(|value| (value.processor(), value.from));
        }
        floors.extend(revoked);
        floors
    }

    /// The values that a guest shows and this file knows, as (kind, value); and with floors and revocations the
    /// processors that these are about, as [`PlatformValue::processor`] names them. A floor of a product as a whole is
    /// about processors that no other names.
    pub fn seen_on(&self, record: &ClaimsRecord) -> Vec<(&'static str, String)> {
        let known = |(kind, value): &(ValueKind, String)| self.0.find(*kind, value).is_some();
        let seen = referable_of(record).into_iter().filter(known);
        let mut seen: Vec<_> = seen.map(|(kind, value)| (kind.table(), value)).collect();
        let Some(snp) = &record.snp else { return seen };
        let Platforms { floors, revoked } = &self.0.platforms;
        let processors = [(snp.product, snp.cpuid), (snp.product, None)];
        let floor = processors.iter().find(|processor| floors.contains_key(processor));
        seen.extend(floor.map(|processor| (FLOOR, processor_name(*processor))));
        let revocations = processors.iter().filter(|processor| revoked.contains_key(processor));
        seen.extend(revocations.map(|processor| (REVOKED, processor_name(*processor))));
        seen.dedup();
        seen
    }

    /// The kinds of what the file says of processors, by the names of their tables.
    pub fn platform_kinds() -> [&'static str; 2] {
        [FLOOR, REVOKED]
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

/// Every floor of every processor, in no order.
fn floors(platforms: &Platforms, now: UnixTime) -> Vec<PlatformValue> {
    let all = platforms.floors.iter().flat_map(|(of, floors)| floors.iter().map(|floor| (*of, floor)));
    let shown = all.map(|(processor, floor)| {
        let in_force = platforms.floor(processor, now.into()).is_some_and(|it| core::ptr::eq(it, floor));
        let (tcb, mitigations) = (floor.tcb, floor.mitigations.clone());
        let says = PlatformSays::Floor { tcb, mitigations, warn_from: floor.warn_from };
        said(processor, (floor.states, in_force), floor.origin.clone(), says, now)
    });
    shown.collect()
}

fn said(
    (product, cpuid): Processor,
    (states, in_force): (Dated, bool),
    origin: Option<String>,
    says: PlatformSays,
    now: UnixTime,
) -> PlatformValue {
    let kind = match says {
        PlatformSays::Floor { .. } => FLOOR,
        PlatformSays::Revoked { .. } => REVOKED,
    };
    let (from, until) = (states.from, states.until);
    PlatformValue { kind, product, cpuid, state: states.at(now).name(), in_force, origin, from, until, says }
}

fn processor_name((product, cpuid): Processor) -> String {
    match cpuid {
        None => product.to_string(),
        Some(CpuId { family, model, stepping }) => format!("{product} {family}/{model}/{stepping}"),
    }
}

const FLOOR: &str = "tcb_floor";
const REVOKED: &str = "revoked";
