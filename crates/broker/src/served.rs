//! What was served of late: answers with a permit, counted for each guest and each key, for policies that bound them.
//!
//! ```text
//! recent ─▶ policies permit it ─▶ add, if nothing was added meanwhile ─▶ commit ─▶ stays, or take_back if not recorded
//!    ▲                                 │ else decided again, while nobody else adds
//!    └─────────────────────────────────┘
//! ```
//!
//! So an answer is counted when it is decided, and requests that are decided at the same time see each other, as do the
//! requests of one message. Kept in memory for an hour, to ten minutes, in bounded space. Counts of what was answered may
//! be too high and never too low: what finds no place of its own is counted for everybody without one, and what is being
//! recorded is counted already. A broker that starts has seen nothing. A second broker process has a database of its own
//! and counts what it served itself, so of two that have the same key each permits as many as the policy says.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use claims::{ClaimsRecord, KeyId, UnixTime};
use policy::Recent;

/// When and from where a request came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The broker's clock.
    pub now: UnixTime,
    /// The address at the other end of the connection.
    pub network: Option<IpAddr>,
}

/// One launch of a guest, or one attestation key where the evidence has no report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Launch(Vec<u8>);

impl Launch {
    /// Whose evidence this is.
    pub fn of(record: &ClaimsRecord) -> Self {
        let report = record.snp.as_ref().map(|snp| snp.report_id.to_vec());
        let ak = || record.tpm.as_ref()?.ak_name.as_ref().map(|name| name.to_string().into_bytes());
        Self(report.or_else(ak).unwrap_or_default())
    }
}

/// The counts.
#[derive(Debug, Default)]
pub struct Served(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    guests: Windows<Launch>,
    keys: Windows<KeyId>,
}

/// An answer that is counted, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    guest: (Launch, Place),
    key: (KeyId, Place),
}

impl Served {
    /// What was served until now.
    pub fn recent(&self, guest: &Launch, key: &KeyId, now: UnixTime) -> Recent {
        self.lock().recent(guest, key, now)
    }

    /// Decides one request on what was served until now, and counts the answer if it is a permit. Nothing is counted
    /// for this guest or this key between the two: what was decided on counts that are not so any more is decided
    /// again, and then nobody else's answers are counted meanwhile.
    pub fn decide<T>(
        &self,
        (guest, key): (&Launch, &KeyId),
        now: UnixTime,
        decide: impl Fn(Recent) -> T,
        permits: impl Fn(&T) -> bool,
    ) -> (T, Option<Counted>) {
        let seen = self.recent(guest, key, now);
        let mut decided = decide(seen);
        if !permits(&decided) {
            return (decided, None);
        }
        let mut counts = self.lock();
        let found = counts.recent(guest, key, now);
        if found != seen {
            decided = decide(found);
        }
        let counted = permits(&decided).then(|| counts.add(guest, key, now));
        (decided, counted)
    }

    /// Uncounts answers that were not recorded, hence not given.
    pub fn take_back(&self, answers: &[Counted]) {
        let mut counts = self.lock();
        for Counted { guest, key } in answers {
            counts.guests.take_back(&guest.0, guest.1);
            counts.keys.take_back(&key.0, key.1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn recent(&mut self, guest: &Launch, key: &KeyId, now: UnixTime) -> Recent {
        Recent { guest: self.guests.count(guest, now), key: self.keys.count(key, now) }
    }

    fn add(&mut self, guest: &Launch, key: &KeyId, now: UnixTime) -> Counted {
        let places = (self.guests.add(guest, now), self.keys.add(key, now));
        Counted { guest: (guest.clone(), places.0), key: (key.clone(), places.1) }
    }
}

/// Where something was counted: the window's number, and whether under its own name.
type Place = (u64, bool);

/// The last [`WINDOWS`] windows of time in which something was served.
#[derive(Debug)]
struct Windows<K>(VecDeque<Window<K>>);

#[derive(Debug)]
struct Window<K> {
    number: u64,
    counts: HashMap<K, u32>,
    /// For all that found no place.
    others: u32,
}

impl<K> Default for Windows<K> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<K: Clone + Eq + Hash> Windows<K> {
    fn count(&mut self, key: &K, now: UnixTime) -> u32 {
        self.forget(now);
        let of = |window: &Window<K>| window.counts.get(key).copied().unwrap_or(window.others);
        self.0.iter().map(of).fold(0, u32::saturating_add)
    }

    fn add(&mut self, key: &K, now: UnixTime) -> Place {
        self.forget(now);
        let number = now.0 / WINDOW_S;
        if self.0.back().is_none_or(|window| window.number < number) {
            self.0.push_back(Window { number, counts: HashMap::new(), others: 0 });
        }
        let Some(window) = self.0.back_mut() else { return (number, false) };
        let has_room = window.counts.len() < MAX_NAMES || window.counts.contains_key(key);
        let count = if has_room { window.counts.entry(key.clone()).or_default() } else { &mut window.others };
        *count = count.saturating_add(1);
        (window.number, has_room)
    }

    /// A name keeps its place, though nothing is counted there any more: whoever found none must not get one now, with
    /// less than was counted for all without.
    fn take_back(&mut self, key: &K, (number, named): Place) {
        let Some(window) = self.0.iter_mut().find(|window| window.number == number) else { return };
        let count = if named { window.counts.get_mut(key) } else { Some(&mut window.others) };
        count.into_iter().for_each(|count| *count = count.saturating_sub(1));
    }

    fn forget(&mut self, now: UnixTime) {
        let oldest = (now.0 / WINDOW_S).saturating_sub(WINDOWS);
        while self.0.front().is_some_and(|window| window.number < oldest) {
            self.0.pop_front();
        }
    }
}

/// Seconds of a window.
const WINDOW_S: u64 = 600;
/// Whole windows that are kept besides the one that is filling.
const WINDOWS: u64 = 6;
/// Names with a count of their own in each window.
const MAX_NAMES: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> KeyId {
        format!("k{n}").parse().unwrap()
    }

    /// Counts what is permitted whatever was served before.
    fn add(served: &Served, guest: &Launch, keys: &[KeyId], now: UnixTime) -> Vec<Counted> {
        keys.iter().filter_map(|key| served.decide((guest, key), now, |_| (), |()| true).1).collect()
    }

    #[test]
    fn an_answer_counts_for_its_guest_and_its_key_for_an_hour() {
        let (served, start) = (Served::default(), UnixTime(6000));
        let (one, other) = (Launch(vec![1]), Launch(vec![2]));
        add(&served, &one, &[key(0), key(1)], start);
        add(&served, &other, &[key(0)], start.plus(WINDOW_S));
        assert_eq!(served.recent(&one, &key(0), start.plus(3600)), Recent { guest: 2, key: 2 });
        assert_eq!(served.recent(&other, &key(1), start.plus(3600)), Recent { guest: 1, key: 1 });
        assert_eq!(served.recent(&one, &key(0), start.plus(4200)), Recent { guest: 0, key: 1 });
        assert_eq!(served.recent(&other, &key(0), start.plus(4800)), Recent::default());
    }

    #[test]
    fn what_is_denied_or_not_recorded_does_not_count() {
        let (served, now) = (Served::default(), UnixTime(6000));
        let guest = Launch(vec![1]);
        let denied = served.decide((&guest, &key(0)), now, |recent| recent, |_| false);
        assert_eq!(denied, (Recent::default(), None));
        let counted = add(&served, &guest, &[key(0), key(1)], now);
        assert_eq!(served.recent(&guest, &key(1), now), Recent { guest: 2, key: 1 });
        served.take_back(counted.get(1..).unwrap());
        assert_eq!(served.recent(&guest, &key(0), now), Recent { guest: 1, key: 1 });
        assert_eq!(served.recent(&guest, &key(1), now), Recent { guest: 1, key: 0 });
        // By then it is forgotten, and what came later stays.
        let later = now.plus(2 * 3600);
        add(&served, &guest, &[key(0)], later);
        served.take_back(counted.get(..1).unwrap());
        assert_eq!(served.recent(&guest, &key(0), later), Recent { guest: 1, key: 1 });
    }

    #[test]
    fn what_was_decided_on_counts_of_before_is_decided_again() {
        let (served, now) = (Served::default(), UnixTime(6000));
        let guest = Launch(vec![1]);
        let overtaken = |recent: Recent| {
            if recent.guest == 0 {
                add(&served, &guest, &[key(7)], now);
            }
            recent.guest < 1
        };
        assert_eq!(served.decide((&guest, &key(0)), now, overtaken, |permitted| *permitted), (false, None));
        assert_eq!(served.recent(&guest, &key(0), now), Recent { guest: 1, key: 0 });
    }

    #[test]
    fn of_those_who_ask_at_the_same_time_no_more_are_permitted_than_a_bound_says() {
        const THREADS: usize = 8;
        const BOUND: u32 = 3;
        for round in 0..200 {
            let (served, now) = (Served::default(), UnixTime(6000));
            let guest = Launch(vec![1]);
            let together = std::sync::Barrier::new(THREADS);
            let ask = |n: usize| {
                together.wait();
                let decide = |recent: Recent| {
                    std::thread::yield_now();
                    recent.guest < BOUND
                };
                served.decide((&guest, &key(n)), now, decide, |permitted| *permitted).0
            };
            let permitted = std::thread::scope(|scope| {
                let ask = &ask;
                let asking: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || ask(n))).collect();
                asking.into_iter().map(|one| one.join().unwrap()).filter(|yes| *yes).count()
            });
            assert_eq!(permitted, 3, "round {round}");
            assert_eq!(served.recent(&guest, &key(0), now).guest, BOUND);
        }
    }

    #[test]
    fn what_finds_no_place_is_counted_for_all_without_one() {
        let (mut windows, now) = (Windows::default(), UnixTime(0));
        for n in 0..MAX_NAMES + 3 {
            assert_eq!(windows.add(&n, now), (0, n < MAX_NAMES));
        }
        assert_eq!(windows.count(&0, now), 1);
        assert_eq!(windows.count(&(MAX_NAMES + 1), now), 3);
        assert_eq!(windows.0.iter().map(|window| window.counts.len()).sum::<usize>(), MAX_NAMES);
        // A place that is not needed any more is nobody else's.
        windows.take_back(&0, (0, true));
        windows.take_back(&(MAX_NAMES + 2), (0, false));
        assert_eq!(windows.add(&MAX_NAMES, now), (0, false));
        assert_eq!((windows.count(&0, now), windows.count(&(MAX_NAMES + 1), now)), (0, 3));
    }
}
