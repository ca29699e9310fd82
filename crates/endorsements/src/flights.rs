//! One request in flight for each key, and a short memory of those that failed.
//!
//! Whoever asks for what is already asked for waits for that answer. If who asked first goes away, the next in line
//! asks. Both memories are bounded: flights by their askers, failures by [`MAX_FAILURES`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claims::UnixTime;
use tokio::sync::OnceCell;

use crate::find_error::FindError;
use crate::sources::Found;
use crate::{VcekName, service::MAX_WAIT};

type Outcome = Result<Found, Arc<FindError>>;
type Cell = Arc<OnceCell<Outcome>>;

/// What is under way, and what failed just now.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    flying: Mutex<HashMap<VcekName, Cell>>,
    failed: Mutex<HashMap<VcekName, (UnixTime, Arc<FindError>)>>,
}

impl Flights {
    /// The outcome of `ask`, of somebody else's that is under way, or of one that failed just now.
    pub(crate) async fn join<F: Future<Output = Outcome>>(
        &self,
        name: &VcekName,
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

    fn failed_before(&self, name: &VcekName, now: UnixTime) -> Option<Arc<FindError>> {
        let failed = lock(&self.failed);
        let (at, error) = failed.get(name)?;
        let kept_s = error.retry_after().unwrap_or(MAX_WAIT).min(MAX_WAIT).as_secs();
        // A clock that was put back must not keep a failure for ever.
        (*at <= now && now < at.plus(kept_s)).then(|| Arc::clone(error))
    }

    fn remember(&self, name: &VcekName, error: &Arc<FindError>, now: UnixTime) {
        let mut failed = lock(&self.failed);
        if failed.len() >= MAX_FAILURES && !failed.contains_key(name) {
            failed.clear();
        }
        failed.insert(name.clone(), (now, Arc::clone(error)));
    }
}

/// One asker's hold on a flight; the last one that lets go takes it off the list.
struct Flight<'a> {
    flights: &'a Flights,
    name: &'a VcekName,
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

/// Most failures that are remembered; beyond, all are forgotten.
const MAX_FAILURES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use claims::ChipId;
    use claims::snp::Product;
    use tokio::sync::Notify;

    use super::*;
    use crate::find_error::Failure;

    const NOW: UnixTime = UnixTime(1_790_000_000);

    fn name(chip: u8) -> VcekName {
        VcekName::new(Product::Milan, &ChipId([chip; 64]), [4, 0, 0, 0, 0, 0, 24, 219]).unwrap()
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
        let (flights, asked, answer) = (Flights::default(), AtomicUsize::new(0), Notify::new());
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
        let (flights, name) = (Flights::default(), name(1));
        let first = flights.join(&name, NOW, std::future::pending);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(5), first).await.is_err());
        assert!(lock(&flights.flying).is_empty());
        assert!(flights.join(&name, NOW, || async { found() }).await.is_ok());
    }

    #[tokio::test]
    async fn a_failure_is_remembered_for_a_while_and_for_its_own_key() {
        let flights = Flights::default();
        let absent = || async { failed(Failure::Absent) };
        assert!(flights.join(&name(1), NOW, absent).await.is_err());
        assert!(flights.join(&name(1), NOW.plus(59), || async { found() }).await.is_err());
        assert!(flights.join(&name(2), NOW, || async { found() }).await.is_ok());
        assert!(flights.join(&name(1), NOW.plus(60), || async { found() }).await.is_ok());
        assert!(flights.join(&name(1), UnixTime(NOW.0 - 1), || async { found() }).await.is_ok());

        let busy = Failure::Busy { status: 429, wait: std::time::Duration::from_secs(3) };
        assert!(flights.join(&name(3), NOW, || async { failed(busy) }).await.is_err());
        assert!(flights.join(&name(3), NOW.plus(2), || async { found() }).await.is_err());
        assert!(flights.join(&name(3), NOW.plus(3), || async { found() }).await.is_ok());
    }

    #[tokio::test]
    async fn strangers_cannot_fill_the_memory() {
        let flights = Flights::default();
        for i in 0..=MAX_FAILURES {
            let mut chip = ChipId([1; 64]);
            chip.0[..8].copy_from_slice(&i.to_le_bytes());
            let name = VcekName::new(Product::Milan, &chip, [4, 0, 0, 0, 0, 0, 24, 219]).unwrap();
            let _absent = flights.join(&name, NOW, || async { failed(Failure::Absent) }).await;
        }
        assert_eq!(lock(&flights.failed).len(), 1);
    }
}
