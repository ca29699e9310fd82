//! Clocks and the little statistics that the figures need.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// CPU time of the calling thread.
pub fn thread_cpu() -> Duration {
    reading(ClockId::ThreadCPUTime)
}

fn reading(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

/// CPU seconds that `work` takes on this thread.
pub fn cpu_of<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let before = thread_cpu();
    let done = work();
    (thread_cpu().saturating_sub(before).as_secs_f64(), done)
}

/// CPU seconds that `work` takes on all threads of this process, the others of which must be idle.
pub fn process_cpu_of<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let before = reading(ClockId::ProcessCPUTime);
    let done = work();
    (reading(ClockId::ProcessCPUTime).saturating_sub(before).as_secs_f64(), done)
}

/// Seconds that `work` takes.
pub fn wall_of<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let before = Instant::now();
    let done = work();
    (before.elapsed().as_secs_f64(), done)
}

/// Measurements of one thing.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    /// Adds those of another run.
    pub fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value that half of them do not exceed; NaN if there are none.
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// The value that so many of a hundred do not exceed; NaN if there are none.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = sorted.len().saturating_sub(1) * percent.min(100) / 100;
        sorted.get(at).copied().unwrap_or(f64::NAN)
    }

    /// The median of the quotients, pair by pair: what was measured in the same round is compared.
    pub fn median_ratio(&self, other: &Self) -> f64 {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect()).median()
    }
}
