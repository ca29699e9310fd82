//! How much strangers can make this crate ask. Whoever reaches a broker gets a challenge from it, and can make up as
//! many chips as there are numbers: each is a look-up at services, and no cache helps.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use claims::UnixTime;

/// Bounds on look-ups at services. What the directory and the cache have is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most callers that wait for services at a time.
    pub waiting: usize,
    /// Most look-ups a minute; as many can be saved up. Callers who wait for the same key are one look-up.
    pub per_minute: u32,
    /// For how long it is believed that no service knows of a key, in seconds.
    pub absent_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { waiting: 128, per_minute: 120, absent_s: 600 }
    }
}

/// A token bucket: a minute's look-ups saved up, and refilled by the clock that callers bring.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_minute: u64,
    state: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    /// Look-ups that may be made now, in sixtieths: what a second adds is then a whole number.
    sixtieths: u64,
    /// As of when; `None` before the first.
    at: Option<UnixTime>,
}

impl Bucket {
    pub(crate) fn new(per_minute: u32) -> Self {
        let per_minute = u64::from(per_minute);
        let sixtieths = per_minute.saturating_mul(WHOLE);
        Self { per_minute, state: Mutex::new(Level { sixtieths, at: None }) }
    }

    /// Takes one look-up; if there is none, says how long until there is.
    pub(crate) fn take(&self, now: UnixTime) -> Result<(), Duration> {
        let mut level = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was put back adds nothing, and starts anew from there.
        let passed = level.at.map_or(0, |at| now.0.saturating_sub(at.0));
        let refilled = level.sixtieths.saturating_add(passed.saturating_mul(self.per_minute));
        level.sixtieths = refilled.min(self.per_minute.saturating_mul(WHOLE));
        level.at = Some(now);
        match level.sixtieths.checked_sub(WHOLE) {
            Some(rest) => {
                level.sixtieths = rest;
                Ok(())
            }
            None => Err(Duration::from_secs(self.until_next(level.sixtieths))),
        }
    }

    /// Seconds; a minute where none ever comes.
    fn until_next(&self, sixtieths: u64) -> u64 {
        let missing = WHOLE.saturating_sub(sixtieths);
        if self.per_minute == 0 { WHOLE } else { missing.div_ceil(self.per_minute).max(1) }
    }
}

/// Sixtieths of a look-up in one.
const WHOLE: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_790_000_000);

    fn taken(bucket: &Bucket, now: UnixTime, tries: usize) -> usize {
        (0..tries).filter(|_| bucket.take(now).is_ok()).count()
    }

    #[test]
    fn a_minutes_look_ups_are_saved_up_and_no_more() {
        let bucket = Bucket::new(30);
        assert_eq!(taken(&bucket, NOW, 100), 30);
        assert_eq!(bucket.take(NOW), Err(Duration::from_secs(2)));
        assert_eq!(taken(&bucket, NOW.plus(1), 9), 0);
        assert_eq!(taken(&bucket, NOW.plus(2), 9), 1);
        assert_eq!(taken(&bucket, NOW.plus(22), 99), 10);
        assert_eq!(taken(&bucket, NOW.plus(10_000), 99), 30);
    }

    #[test]
    fn a_clock_that_was_put_back_gives_nothing_away() {
        let bucket = Bucket::new(60);
        assert_eq!(taken(&bucket, NOW, 60), 60);
        assert_eq!(taken(&bucket, UnixTime(5), 9), 0);
        assert_eq!(taken(&bucket, UnixTime(8), 9), 3);
    }

    #[test]
    fn of_none_there_is_none() {
        assert_eq!(Bucket::new(0).take(NOW), Err(Duration::from_secs(60)));
        assert_eq!(taken(&Bucket::new(1), NOW, 9), 1);
        assert_eq!(taken(&Bucket::new(u32::MAX), UnixTime(u64::MAX), 9), 9);
    }
}
