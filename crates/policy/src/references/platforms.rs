//! What the reference values say of processors: how old their firmware may be, and which are not to be trusted. Each says
//! so in its time: a floor that has ended never gives way to an older one, so nothing opens by itself.

use std::collections::HashMap;

use claims::UnixTime;
use claims::snp::{CpuId, Product, Tcb};
use toml::Spanned;

use super::file::{Cpu, Floor, Revoked};
use super::{Dated, State, problem, time};
use crate::load_error::LoadError;

/// A product, or one model and stepping of it.
pub(crate) type Processor = (Product, Option<CpuId>);

/// What of the reference values counts.
#[derive(Clone, Copy)]
pub(crate) struct View {
    /// The time that they are read at.
    pub(crate) at: UnixTime,
    /// Whether floors and revocations on trial count as if they were in force.
    pub(crate) trials: bool,
}

impl From<UnixTime> for View {
    fn from(at: UnixTime) -> Self {
        Self { at, trials: false }
    }
}

/// The oldest versions that are good enough, and when.
pub(crate) struct TcbFloor {
    pub(crate) tcb: Tcb,
    /// Bits, 0 to 63.
    pub(crate) mitigations: Vec<u8>,
    pub(crate) origin: Option<String>,
    pub(crate) warn_from: Option<UnixTime>,
    pub(crate) states: Dated,
}

/// That a processor is not to be trusted, and when.
pub(crate) struct Revocation {
    pub(crate) why: String,
    pub(crate) origin: Option<String>,
    pub(crate) states: Dated,
}

/// All floors and revocations.
#[derive(Default)]
pub(crate) struct Platforms {
    /// In order of the dates from which they deny.
    pub(crate) floors: HashMap<Processor, Vec<TcbFloor>>,
    pub(crate) revoked: HashMap<Processor, Revocation>,
}

impl Dated {
    pub(crate) fn in_force(self, now: UnixTime) -> bool {
        matches!(self.at(now), State::Active | State::Retiring)
    }

    /// Whether somebody has still to say that it shall be in force.
    fn on_trial(self, now: UnixTime) -> bool {
        self.state == State::Trial && self.at(now) == State::Trial
    }

    /// When it comes into force by itself, if it is not yet.
    fn ahead(self, now: UnixTime) -> Option<UnixTime> {
        // What somebody has still to put in force has no such date.
        self.from.filter(|_| self.at(now) == State::Trial)
    }

    fn counts(self, view: View) -> bool {
        self.in_force(view.at) || (view.trials && self.on_trial(view.at))
    }
}

impl TcbFloor {
    fn warns(&self, now: UnixTime) -> bool {
        self.warn_from.is_some_and(|from| from <= now)
    }
}

impl Platforms {
    /// The floor for a processor: the newest that is in force of its own ones, else of its product's. One on trial, if
    /// such count, stands in for it.
    pub(crate) fn floor(&self, (product, cpuid): Processor, view: View) -> Option<&TcbFloor> {
        self.floors_of(product, cpuid).find_map(|floors| {
            let tried = floors.iter().find(|floor| view.trials && floor.states.on_trial(view.at));
            tried.or_else(|| floors.iter().rev().find(|floor| floor.states.in_force(view.at)))
        })
    }

    /// Whether a processor is revoked, whatever its versions.
    pub(crate) fn is_revoked(&self, (product, cpuid): Processor, view: View) -> bool {
        self.revocations_of(product, cpuid).any(|revocation| revocation.states.counts(view))
    }

    /// When the next floor or revocation of this processor comes into force that guests are to be warned of now.
    pub(crate) fn announced(&self, (product, cpuid): Processor, now: UnixTime) -> Vec<UnixTime> {
        let next = |floor: &TcbFloor| floor.states.ahead(now).filter(|_| floor.warns(now));
        let floor = self.floors_of(product, cpuid).find_map(|floors| floors.iter().find_map(next));
        let revoked = self.revocations_of(product, cpuid).filter_map(|revoked| revoked.states.ahead(now));
        let mut times: Vec<UnixTime> = floor.into_iter().chain(revoked).collect();
        times.sort();
        times
    }

    /// Whether guests on this processor are to be warned of a floor or a revocation on trial.
    pub(crate) fn tries(&self, (product, cpuid): Processor, now: UnixTime) -> bool {
        let warns =
            |floor: &TcbFloor| floor.states.on_trial(now) && floor.warn_from.is_none_or(|from| from <= now);
        self.floors_of(product, cpuid).flatten().any(warns)
            || self.revocations_of(product, cpuid).any(|revoked| revoked.states.on_trial(now))
    }

    /// A processor's own floors, then its product's.
    fn floors_of(&self, product: Product, cpuid: Option<CpuId>) -> impl Iterator<Item = &Vec<TcbFloor>> {
        let own = cpuid.and_then(|cpuid| self.floors.get(&(product, Some(cpuid))));
        own.into_iter().chain(self.floors.get(&(product, None)))
    }

    fn revocations_of(&self, product: Product, cpuid: Option<CpuId>) -> impl Iterator<Item = &Revocation> {
        let own = cpuid.and_then(|cpuid| self.revoked.get(&(product, Some(cpuid))));
        own.into_iter().chain(self.revoked.get(&(product, None)))
    }

    /// Takes floors in, and says what is wrong with them.
    pub(super) fn insert_floors(&mut self, text: &str, floors: Vec<Floor>) -> Vec<LoadError> {
        let (mut errors, mut ends) = (Vec::new(), Vec::new());
        for floor in floors {
            let offset = floor.product.span().start;
            match self.insert_floor(text, floor) {
                Err(error) => errors.push(*error),
                Ok((processor, dated)) => {
                    ends.extend(dated.until.map(|until| (offset, processor, dated, until)))
                }
            }
        }
        let uncovering = ends.into_iter().filter(|(_, processor, dated, until)| {
            dated.state != State::Trial && self.uncovers(*processor, *dated, *until)
        });
        errors.extend(uncovering.map(|(offset, ..)| problem(text, Some(offset), UNCOVERS.to_owned())));
        errors
    }

    /// Whether the end of a floor puts one in force again that it was in the place of.
    fn uncovers(&self, processor: Processor, dated: Dated, until: UnixTime) -> bool {
        let Some(next) = self.floor(processor, until.into()) else { return false };
        let own = self.floors.get(&processor).into_iter().flatten();
        let later = own.filter(|floor| floor.states.from > dated.from);
        !later.into_iter().any(|floor| core::ptr::eq(floor, next))
    }

    fn insert_floor(&mut self, text: &str, floor: Floor) -> Result<(Processor, Dated), Box<LoadError>> {
        let (product, offset) = product(text, &floor.product)?;
        let wrong = |message: &str| Box::new(problem(text, offset, message.to_owned()));
        let Floor { fmc, bootloader, tee, snp, microcode, mitigations, state, origin, .. } = floor;
        if mitigations.iter().any(|bit| *bit > 63) {
            return Err(wrong("a mitigation is no bit of a vector: expected 0 to 63"));
        }
        let (warn_from, from) = (time(text, floor.warn_from)?, time(text, floor.deny_from)?);
        let until = time(text, floor.valid_until)?;
        let states = Dated { state, from, until };
        let is_dated = warn_from.or(from).or(until).is_some();
        match state {
            State::Denied => return Err(wrong("a floor is trial, active, retiring or expired")),
            State::Expired if is_dated => return Err(wrong(EXPIRED_FLOOR)),
            State::Trial if from.is_some() => return Err(wrong(TRIED_FLOOR)),
            State::Trial => {
                ordered([("warn_from", warn_from), ("valid_until", until)]).map_err(|m| wrong(&m))?
            }
            _ if warn_from.is_some() && from.is_none() => {
                return Err(wrong("warn_from must be before deny_from"));
            }
            _ => ordered([("warn_from", warn_from), ("deny_from", from)])
                .and_then(|()| ordered([("deny_from", from), ("valid_until", until)]))
                .map_err(|message| wrong(&message))?,
        }
        let processor = (product, floor.cpuid.map(Cpu::id));
        let floors = self.floors.entry(processor).or_default();
        // An expired one is kept for people alone.
        let same = |other: &TcbFloor| {
            let (others, ours) = (other.states.state, states.state);
            let tried = (others == State::Trial) == (ours == State::Trial);
            tried && other.states.from == from && ![others, ours].contains(&State::Expired)
        };
        if floors.iter().any(same) {
            return Err(wrong("a floor for this processor is given already"));
        }
        let tcb = Tcb { fmc: Some(fmc), bootloader, tee, snp, microcode };
        let place = floors.partition_point(|other| other.states.from < from);
        floors.insert(place, TcbFloor { tcb, mitigations, origin, warn_from, states });
        Ok((processor, states))
    }

    /// Takes a revocation in.
    pub(super) fn insert_revoked(&mut self, text: &str, revoked: Revoked) -> Result<(), Box<LoadError>> {
        let (product, offset) = product(text, &revoked.product)?;
        let wrong = |message: &str| Box::new(problem(text, offset, message.to_owned()));
        let (from, until) = (time(text, revoked.valid_from)?, time(text, revoked.valid_until)?);
        let states = Dated { state: revoked.state, from, until };
        match states.state {
            State::Denied | State::Retiring => return Err(wrong("a revocation is trial, active or expired")),
            State::Expired if !states.stays() => return Err(wrong(EXPIRED_REVOCATION)),
            State::Trial if from.is_some() => return Err(wrong(TRIED_REVOCATION)),
            _ => ordered([("valid_from", from), ("valid_until", until)]).map_err(|m| wrong(&m))?,
        }
        let processor = (product, revoked.cpuid.map(Cpu::id));
        let Revoked { why, origin, .. } = revoked;
        match self.revoked.insert(processor, Revocation { why, origin, states }) {
            Some(_) => Err(wrong("this processor is revoked already")),
            None => Ok(()),
        }
    }
}

/// A product by its name, and where it stands.
fn product(text: &str, name: &Spanned<String>) -> Result<(Product, Option<usize>), Box<LoadError>> {
    let offset = Some(name.span().start);
    let wrong = |message: &str| Box::new(problem(text, offset, message.to_owned()));
    Ok((name.get_ref().parse().map_err(wrong)?, offset))
}

/// That the first of two dates is before the second, where both are given.
pub(super) fn ordered([first, second]: [(&str, Option<UnixTime>); 2]) -> Result<(), String> {
    match (first, second) {
        ((first, Some(from)), (second, Some(until))) if from >= until => {
            Err(format!("{first} must be before {second}"))
        }
        _ => Ok(()),
    }
}

const UNCOVERS: &str = "at the end of this floor an older one, or that of the product, would be in force again: expected \
                        that one to end no later, or a floor with deny_from at that time";
const EXPIRED_FLOOR: &str = "an expired floor is never in force: expected no dates; to end one at a time, let it be active with valid_until";
const TRIED_FLOOR: &str = "a floor on trial denies nothing: expected no deny_from, or state active";
const EXPIRED_REVOCATION: &str = "an expired revocation is never in force: expected no dates; to end one at a time, let \
                                  it be active with valid_until";
const TRIED_REVOCATION: &str =
    "a revocation on trial denies nothing: expected no valid_from, or state active";

#[cfg(test)]
mod tests;
