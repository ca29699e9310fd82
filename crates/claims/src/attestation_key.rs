//! An attestation key that was enrolled: what the broker keeps of it, and what its journal says.

use crate::UnixTime;
use crate::tpm::{AkBinding, ObjectName};

/// An attestation key that is believed, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationKey {
    /// Its Name, which covers its attributes.
    pub name: ObjectName,
    /// What vouches for it: [`AkBinding::EkCertificate`] or [`AkBinding::Enrolled`].
    pub binding: AkBinding,
    /// Name of the endorsement key that it was activated with; `None` where an operator enrolled it.
    pub ek: Option<ObjectName>,
    /// Whether what vouches for it is simulated.
    pub simulated: bool,
    /// The last second at which it is believed.
    pub not_after: UnixTime,
    /// Whether it is believed still: a key that was withdrawn stays known, so that it is not enrolled again by itself.
    pub believed: bool,
}

/// What a TPM says of its own past, with a quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmCounters {
    /// Name of the attestation key that signed the quote.
    pub ak: ObjectName,
    /// TPMS_CLOCK_INFO.resetCount.
    pub resets: u32,
    /// TPMS_CLOCK_INFO.restartCount.
    pub restarts: u32,
    /// TPMS_CLOCK_INFO.clock, in milliseconds.
    pub clock_ms: u64,
}

impl TpmCounters {
    /// What of these is earlier than `kept`, an older quote's: `resetCount`, `restartCount` or `clock`; `None` if
    /// nothing is. Quotes may come in another order than they were made, `slack_ms` apart; a reset may set the clock
    /// back a little, so it counts only between quotes of one run.
    pub fn went_back(&self, kept: &Self, slack_ms: u64) -> Option<&'static str> {
        let run = (self.resets, self.restarts);
        if self.resets < kept.resets {
            return Some("resetCount");
        }
        if run < (kept.resets, kept.restarts) {
            return Some("restartCount");
        }
        let same_run = run == (kept.resets, kept.restarts);
        (same_run && self.clock_ms.saturating_add(slack_ms) < kept.clock_ms).then_some("clock")
    }

    /// The later of each, to be kept.
    #[must_use]
    pub fn later(self, kept: &Self) -> Self {
        let order = |of: &Self| (of.resets, of.restarts, of.clock_ms);
        if order(&self) >= order(kept) { self } else { kept.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(resets: u32, restarts: u32, clock_ms: u64) -> TpmCounters {
        let ak = format!("000b{}", "5a".repeat(32)).parse().unwrap();
        TpmCounters { ak, resets, restarts, clock_ms }
    }

    #[test]
    fn a_tpm_that_was_put_back_shows() {
        let kept = counters(3, 2, 60_000);
        for (now, went_back) in [
            (counters(3, 2, 60_000), None),
            (counters(3, 2, 50_000), None),
            (counters(3, 2, 49_999), Some("clock")),
            (counters(3, 1, 90_000), Some("restartCount")),
            (counters(2, 9, 90_000), Some("resetCount")),
            (counters(3, 3, 0), None),
            (counters(4, 0, 0), None),
        ] {
            assert_eq!(now.went_back(&kept, 10_000), went_back, "{now:?}");
        }
    }

    #[test]
    fn the_latest_is_kept_whatever_comes_last() {
        let (early, late) = (counters(3, 2, 50_000), counters(3, 2, 60_000));
        assert_eq!(early.clone().later(&late), late);
        assert_eq!(late.clone().later(&early), late);
        assert_eq!(counters(4, 0, 0).later(&late), counters(4, 0, 0));
    }
}
