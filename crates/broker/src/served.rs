//! What was served of late: answers with a permit, counted for each guest and each key, for policies that bound them.
//!
//! Kept in memory for an hour, to ten minutes, in bounded space. Counts of what was answered may be too high and never
//! too low: what finds no place of its own is counted for everybody without one. Requests that are decided at the same time
//! do not see each other. A broker that starts has seen nothing, and each replica
//! counts what it served itself.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

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

impl Served {
    /// What was served until now.
    pub fn recent(&self, guest: &Launch, key: &KeyId, now: UnixTime) -> Recent {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Recent { guest: counts.guests.count(guest, now), key: counts.keys.count(key, now) }
    }

    /// Counts answers that are recorded.
    pub fn add(&self, guest: &Launch, keys: &[KeyId], now: UnixTime) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            counts.guests.add(guest, now);
            counts.keys.add(key, now);
        }
    }
}

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

    fn add(&mut self, key: &K, now: UnixTime) {
        self.forget(now);
        let number = now.0 / WINDOW_S;
        if self.0.back().is_none_or(|window| window.number < number) {
            self.0.push_back(Window { number, counts: HashMap::new(), others: 0 });
        }
        let Some(window) = self.0.back_mut() else { return };
        let has_room = window.counts.len() < MAX_NAMES || window.counts.contains_key(key);
        let count = if has_room { window.counts.entry(key.clone()).or_default() } else { &mut window.others };
        *count = count.saturating_add(1);
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

    #[test]
    fn an_answer_counts_for_its_guest_and_its_key_for_an_hour() {
        let (served, start) = (Served::default(), UnixTime(6000));
        let (one, other) = (Launch(vec![1]), Launch(vec![2]));
        served.add(&one, &[key(0), key(1)], start);
        served.add(&other, &[key(0)], start.plus(WINDOW_S));
        assert_eq!(served.recent(&one, &key(0), start.plus(3600)), Recent { guest: 2, key: 2 });
        assert_eq!(served.recent(&other, &key(1), start.plus(3600)), Recent { guest: 1, key: 1 });
        assert_eq!(served.recent(&one, &key(0), start.plus(4200)), Recent { guest: 0, key: 1 });
        assert_eq!(served.recent(&other, &key(0), start.plus(4800)), Recent::default());
    }

    #[test]
    fn what_finds_no_place_is_counted_for_all_without_one() {
        let (mut windows, now) = (Windows::default(), UnixTime(0));
        (0..MAX_NAMES + 3).for_each(|n| windows.add(&n, now));
        assert_eq!(windows.count(&0, now), 1);
        assert_eq!(windows.count(&(MAX_NAMES + 1), now), 3);
        assert_eq!(windows.0.iter().map(|window| window.counts.len()).sum::<usize>(), MAX_NAMES);
    }
}
