//! One request in flight for each key, and a short memory of those that failed.
//!
//! Whoever asks for what is already asked for waits for that answer. If who asked first goes away, the next in line
//! asks. Both memories are bounded: flights by their askers, failures by [`MAX_FAILURES`], of which the oldest give way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claims::UnixTime;
use tokio::sync::OnceCell;

use crate::find_error::FindError;
use crate::service::MAX_WAIT;
use crate::sources::{Found, Wanted};

type Outcome = Result<Found, Arc<FindError>>;
type Cell = Arc<OnceCell<Outcome>>;

/// What is under way, and what failed just now.
#[derive(Debug)]
pub(crate) struct Flights {
    flying: Mutex<HashMap<Wanted, Cell>>,
    failed: Mutex<Failures>,
    absent_s: u64,
}

/// Failures, and the order in which they came.
#[derive(Debug, Default)]
struct Failures {
    by_name: HashMap<Wanted, Failed>,
    order: VecDeque<Wanted>,
}

/// One failure, and from when to when it is given again.
#[derive(Debug)]
struct Failed {
    at: UnixTime,
    until: UnixTime,
    error: Arc<FindError>,
}

impl Flights {
    /// That there is no such thing is remembered for `absent_s` seconds.
    pub(crate) fn new(absent_s: u64) -> Self {
        Self { flying: Mutex::default(), failed: Mutex::default(), absent_s }
    }

    /// The outcome of `ask`, of somebody else's that is under way, or of one that failed just now.
    pub(crate) async fn join<F: Future<Output = Outcome>>(
        &self,
        name: &Wanted,
        now: UnixTime,
        ask: impl FnOnce() -> F,
    ) -> Outcome {
        if let Some(error) = self.failed_before(name, now) {
            return Err(error);
        }
        let cell = Arc::clone(lock(&self.flying).entry(name.clone()).or_default());
        let flight = Flight { flights: self, name, cell };
        let outcome = flight.cell.get_or_init(ask).await.clone();
        if let Err(error) = &outcome {
            self.remember(name, error, now);
        }
        outcome
    }

    fn failed_before(&self, name: &Wanted, now: UnixTime) -> Option<Arc<FindError>> {
        let failed = lock(&self.failed);
        let known = failed.by_name.get(name)?;
        // A clock that was put back must not keep a failure for ever.
        (known.at <= now && now < known.until).then(|| Arc::clone(&known.error))
    }

    fn remember(&self, name: &Wanted, error: &Arc<FindError>, now: UnixTime) {
        let kept_s = match error.retry_after() {
            _ if error.is_unasked() => return,
            None if error.is_absent() => self.absent_s,
            wait => wait.unwrap_or(MAX_WAIT).min(MAX_WAIT).as_secs(),
        };
        let failed = Failed { at: now, until: now.plus(kept_s), error: Arc::clone(error) };
        lock(&self.failed).put(name, failed);
    }
}

impl Failures {
    fn put(&mut self, name: &Wanted, failed: Failed) {
        if self.by_name.insert(name.clone(), failed).is_some() {
            self.order.retain(|known| known != name);
        }
        self.order.push_back(name.clone());
        if self.order.len() > MAX_FAILURES
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_name.remove(&oldest);
        }
    }
}

/// One asker's hold on a flight; the last one that lets go takes it off the list.
struct Flight<'a> {
    flights: &'a Flights,
    name: &'a Wanted,
    cell: Cell,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flying = lock(&self.flights.flying);
        // Two holders: the list and this one. Nobody can join in between, as that takes the list's lock.
        let over = self.cell.initialized() || Arc::strong_count(&self.cell) <= 2;
        if over && flying.get(self.name).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell)) {
            flying.remove(self.name);
        }
    }
}

/// A thread that panicked while it held the lock left the map whole: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Most failures that are remembered.
const MAX_FAILURES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use claims::ChipId;
    use claims::snp::Product;
    use tokio::sync::Notify;

    use super::*;
    use crate::VcekName;
    use crate::find_error::Failure;

    const NOW: UnixTime = UnixTime(1_790_000_000);

    fn name(chip: u8) -> Wanted {
        let name = VcekName::new(Product::Milan, &ChipId([chip; 64]), [4, 0, 0, 0, 0, 0, 24, 219]);
        Wanted::Vcek(name.unwrap())
    }

    fn found() -> Outcome {
        Ok(Found { certificates: vec![vec![7]], source: "a test".to_owned() })
    }

    fn failed(failure: Failure) -> Outcome {
        let failures = vec![("a test".to_owned(), failure)];
        Err(Arc::new(FindError { wanted: "x".to_owned(), failures }))
    }

    #[tokio::test]
    async fn many_askers_are_one_request() {
        let (flights, asked, answer) = (Flights::new(600), AtomicUsize::new(0), Notify::new());
        let (flights, asked, answer, name) = (&flights, &asked, &answer, &name(1));
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            answer.notified().await;
            found()
        };
        let all = async { tokio::join!(flights.join(name, NOW, ask), flights.join(name, NOW, ask)) };
        let (outcomes, ()) = tokio::join!(all, async {
            tokio::task::yield_now().await;
            answer.notify_one();
        });
        assert!(outcomes.0.is_ok() && outcomes.1.is_ok());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(lock(&flights.flying).is_empty());
    }

    #[tokio::test]
    async fn the_next_in_line_asks_if_the_first_goes_away() {
        let (flights, name) = (Flights::new(600), name(1));
        let first = flights.join(&name, NOW, std::future::pending);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(5), first).await.is_err());
        assert!(lock(&flights.flying).is_empty());
        assert!(flights.join(&name, NOW, || async { found() }).await.is_ok());
    }

    #[tokio::test]
    async fn a_failure_is_remembered_for_a_while_and_for_its_own_key() {
        let flights = Flights::new(600);
        for (chip, failure, kept_s) in
            [(1, Failure::Absent, 600), (4, Failure::Refused("no chain".to_owned()), 60)]
        {
            assert!(flights.join(&name(chip), NOW, || async { failed(failure) }).await.is_err());
            let later = NOW.plus(kept_s - 1);
            assert!(flights.join(&name(chip), later, || async { found() }).await.is_err());
            assert!(flights.join(&name(chip), NOW.plus(kept_s), || async { found() }).await.is_ok());
            assert!(flights.join(&name(chip), UnixTime(NOW.0 - 1), || async { found() }).await.is_ok());
        }
        assert!(flights.join(&name(2), NOW, || async { found() }).await.is_ok());

        let busy = Failure::Busy { status: 429, wait: std::time::Duration::from_secs(3) };
        assert!(flights.join(&name(3), NOW, || async { failed(busy) }).await.is_err());
        assert!(flights.join(&name(3), NOW.plus(2), || async { found() }).await.is_err());
        assert!(flights.join(&name(3), NOW.plus(3), || async { found() }).await.is_ok());
    }

    #[tokio::test]
    async fn what_was_not_asked_is_not_known() {
        let (flights, wait) = (Flights::new(600), std::time::Duration::from_secs(9));
        for unasked in [Failure::Crowded { limit: 1 }, Failure::TooOften { per_minute: 1, wait }] {
            assert!(flights.join(&name(1), NOW, || async { failed(unasked) }).await.is_err());
        }
        assert!(flights.join(&name(1), NOW, || async { found() }).await.is_ok());
    }

    #[tokio::test]
    async fn strangers_cannot_fill_the_memory() {
        let flights = Flights::new(600);
        let name = |i: usize| {
            let mut chip = ChipId([1; 64]);
            chip.0[..8].copy_from_slice(&i.to_le_bytes());
            Wanted::Vcek(VcekName::new(Product::Milan, &chip, [4, 0, 0, 0, 0, 0, 24, 219]).unwrap())
        };
        for i in 0..MAX_FAILURES + 5 {
            let _absent = flights.join(&name(i), NOW, || async { failed(Failure::Absent) }).await;
        }
        let failed = lock(&flights.failed);
        let kept = |i| failed.by_name.contains_key(&name(i));
        assert_eq!((failed.by_name.len(), kept(4), kept(5)), (MAX_FAILURES, false, true));
    }
}
