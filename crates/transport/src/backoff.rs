//! How long to wait before the next attempt: exponential with full jitter, so that ten thousand guests that boot
//! at once do not come back at once.

use std::time::Duration;

/// Counts failed attempts. Randomness is handed in, and nothing sleeps here.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits between 0 and `base` after the first failure, twice that after each further one, up to `cap`.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    /// Counts a failure and says how long to wait.
    ///
    /// `random` is uniform over all values. `retry_after` is what the server asked for; it is waited for in full,
    /// and the jitter comes on top, but never longer than `cap`: a false server must not put a guest to sleep. So
    /// the longest wait is twice `cap`.
    pub fn after_failure(&mut self, random: u64, retry_after: Option<Duration>) -> Duration {
        let doubled = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let window = self.base.saturating_mul(doubled).min(self.cap);
        retry_after.unwrap_or_default().min(self.cap).saturating_add(share(window, random))
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// `window` times `random` / 2^64.
fn share(window: Duration, random: u64) -> Duration {
    let nanos = u128::from(u64::try_from(window.as_nanos()).unwrap_or(u64::MAX));
    let scaled = nanos.saturating_mul(u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = u64::MAX;
    const HALF: u64 = 1 << 63;

    fn secs(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn the_window_doubles_up_to_the_cap_and_starts_over() {
        let mut backoff = Backoff::new(secs(1), secs(10));
        let waits: Vec<_> = (0..40).map(|_| backoff.after_failure(HALF, None).as_millis()).collect();
        assert_eq!(waits.get(..6).unwrap(), [500, 1000, 2000, 4000, 5000, 5000]);
        assert!(waits.iter().skip(4).all(|w| *w == 5000));
        backoff.reset();
        assert_eq!(backoff.after_failure(HALF, None).as_millis(), 500);
    }

    #[test]
    fn jitter_covers_the_whole_window() {
        assert_eq!(Backoff::new(secs(8), secs(8)).after_failure(0, None), Duration::ZERO);
        let longest = Backoff::new(secs(8), secs(8)).after_failure(MAX, None);
        assert!(longest < secs(8) && longest > Duration::from_millis(7999));
    }

    #[test]
    fn a_server_is_heard_but_cannot_put_a_guest_to_sleep() {
        assert_eq!(Backoff::new(secs(1), secs(60)).after_failure(HALF, Some(secs(30))).as_millis(), 30_500);
        assert_eq!(Backoff::new(secs(1), secs(60)).after_failure(0, Some(Duration::MAX)), secs(60));
        let mut long = Backoff::new(Duration::MAX, Duration::MAX);
        assert_eq!(long.after_failure(MAX, Some(Duration::MAX)), Duration::MAX);
    }
}
