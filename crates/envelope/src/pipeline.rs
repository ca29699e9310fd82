//! All workers on one stream of chunks, in bounded memory.
//!
//! A worker takes a slot (its buffers), then the next chunk, then does the chunk's work for itself. Where something
//! must happen in order (hashing, writing to a pipe), finished slots wait until their turn, and whichever worker
//! finishes the chunk that is due carries on with all that wait behind it. Slots are taken before chunks, so the
//! chunk that is due always has one, and no worker waits for another that waits for it.
//!
//! Chunks are numbered as they are taken. A failure stops the taking and not the work in hand, so the failure that
//! is reported is always the earliest in the message, however the threads were scheduled. A worker may find
//! something beyond the last chunk, as where a file grew meanwhile: it is never passed on in order, and its failure
//! is forgotten, but what [`Work`] did with it is for the caller to undo.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::buffer::Buffer;
use crate::error::Inside;
use crate::source::Chunks;
use crate::{Effort, Error, MessageError};

/// The buffers of one chunk.
#[derive(Default)]
pub(crate) struct Slot {
    /// What was read, with its overlap.
    pub(crate) input: Buffer,
    /// What became of it.
    pub(crate) output: Buffer,
    /// How much of the input belongs to this chunk.
    pub(crate) body: usize,
    /// The signature, if the chunk ends the message with one.
    pub(crate) signature: Option<Vec<u8>>,
}

/// Where the input ended, as its last chunk tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Plaintext bytes up to here.
    pub(crate) plaintext: u64,
    /// Output bytes up to here.
    pub(crate) output: u64,
}

/// Does what needs no order; gives the end if this is the last chunk.
pub(crate) type Work<'a> = dyn Fn(u64, &mut Slot) -> Result<Option<End>, Error> + Sync + 'a;
/// Does what needs the chunks in order.
pub(crate) type InOrder<'a> = dyn FnMut(&Slot) -> Result<(), Error> + Send + 'a;

/// Works off `chunks` until the last. `room` is the most bytes that a chunk's output takes.
///
/// # Errors
/// The failure of the earliest chunk.
pub(crate) fn run<'p>(
    chunks: &'p Chunks<'_>,
    room: usize,
    effort: &Effort<'_>,
    work: &'p Work<'_>,
    in_order: Option<&'p mut InOrder<'_>>,
) -> Result<End, Error> {
    let slot_len = chunks.window().saturating_add(room).max(1);
    let fitting = BUDGET.checked_div(slot_len).unwrap_or(1).max(1);
    let workers = effort.workers.get().min(fitting);
    let spare = if in_order.is_some() { workers } else { 0 };
    let unmade = workers.saturating_add(spare).min(fitting);
    let state = State { unmade, ..State::default() };
    let (state, freed, in_order) = (Mutex::new(state), Condvar::new(), in_order.map(Mutex::new));
    let pipeline = Pipeline { chunks, work, in_order, state, freed };

    // A message of one chunk needs no thread.
    pipeline.step();
    if !pipeline.state().stopped() {
        thread::scope(|scope| {
            (1..workers).for_each(|_| drop(scope.spawn(|| pipeline.work_until_stopped())));
            pipeline.work_until_stopped();
        });
    }
    pipeline.state.into_inner().unwrap_or_else(PoisonError::into_inner).outcome()
}

struct Pipeline<'p, 's, 'w, 'o> {
    chunks: &'p Chunks<'s>,
    work: &'p Work<'w>,
    in_order: Option<Mutex<&'p mut InOrder<'o>>>,
    state: Mutex<State>,
    /// Told when a slot becomes free or the pipeline stops.
    freed: Condvar,
}

#[derive(Default)]
struct State {
    free: Vec<Slot>,
    /// Slots that may still be allocated.
    unmade: usize,
    /// Finished chunks that wait for their turn.
    waiting: BTreeMap<u64, Slot>,
    /// The chunk whose turn it is.
    due: u64,
    /// Whether a worker is busy with the chunks whose turn it is. Stays so after a failure.
    draining: bool,
    /// Workers that wait for a slot.
    asleep: usize,
    /// The earliest chunk that was found to be the last, and the end that it told.
    last: Option<(u64, End)>,
    failure: Option<(u64, Error)>,
}

impl State {
    fn stopped(&self) -> bool {
        self.last.is_some() || self.failure.is_some()
    }

    fn fail(&mut self, index: u64, error: Error) {
        if self.failure.as_ref().is_none_or(|(earliest, _)| index < *earliest) {
            self.failure = Some((index, error));
        }
    }

    fn end_at(&mut self, index: u64, end: End) {
        if self.last.is_none_or(|(earliest, _)| index < earliest) {
            self.last = Some((index, end));
        }
    }

    fn outcome(self) -> Result<End, Error> {
        match (self.failure, self.last) {
            (Some((index, error)), last) if last.is_none_or(|(last, _)| index <= last) => Err(error),
            (_, Some((_, end))) => Ok(end),
            (_, None) => Err(MessageError::Truncated { inside: Inside::Frame(1) }.into()),
        }
    }
}

impl Pipeline<'_, '_, '_, '_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work_until_stopped(&self) {
        while self.step() {}
    }

    /// Takes a chunk and does its work; `false` once there is nothing more to take.
    fn step(&self) -> bool {
        let Some(mut slot) = self.take_slot() else { return false };
        let (index, read) = self.chunks.read_next(&mut slot.input);
        slot.body = 0;
        slot.signature = None;
        match read.map_err(Error::Read).and_then(|()| (self.work)(index, &mut slot)) {
            Ok(end) => self.finish(index, slot, end),
            Err(error) => self.fail(index, error),
        }
        true
    }

    /// A free slot, once there is one; `None` once the pipeline stopped.
    fn take_slot(&self) -> Option<Slot> {
        let mut state = self.state();
        while !state.stopped() {
            if let Some(slot) = state.free.pop() {
                return Some(slot);
            }
            if let Some(left) = state.unmade.checked_sub(1) {
                state.unmade = left;
                return Some(Slot::default());
            }
            state.asleep = state.asleep.saturating_add(1);
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep = state.asleep.saturating_sub(1);
        }
        None
    }

    fn fail(&self, index: u64, error: Error) {
        self.state().fail(index, error);
        self.freed.notify_all();
    }

    /// The chunk's own work is done: what needs order follows, now or by the worker before it.
    fn finish(&self, index: u64, slot: Slot, end: Option<End>) {
        let mut state = self.state();
        if let Some(end) = end {
            state.end_at(index, end);
            self.freed.notify_all();
        }
        let Some(in_order) = &self.in_order else {
            state.free.push(slot);
            return;
        };
        state.waiting.insert(index, slot);
        while !state.draining {
            let due = state.due;
            if state.last.is_some_and(|(last, _)| due > last) {
                return;
            }
            let Some(slot) = state.waiting.remove(&due) else { return };
            state.draining = true;
            drop(state);
            let done = in_order.lock().unwrap_or_else(PoisonError::into_inner)(&slot);
            state = self.state();
            if let Err(error) = done {
                state.fail(due, error);
                self.freed.notify_all();
                return;
            }
            state.due = due.saturating_add(1);
            state.draining = false;
            state.free.push(slot);
            if state.asleep > 0 {
                self.freed.notify_one();
            }
        }
    }
}

/// Most bytes in all buffers together.
const BUDGET: usize = 40 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, UsageError};
    use core::num::NonZeroUsize;
    use core::time::Duration;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const STEP: usize = 10;
    const CHUNKS: u64 = 40;

    fn end_if(last: bool, index: u64) -> Option<End> {
        last.then_some(End { plaintext: index, output: 0 })
    }

    /// Chunks whose work takes longest for every third, until the last, behind which others say that they are the
    /// last; `fail` says which fail.
    fn run_until(
        workers: usize,
        fail: impl Fn(u64) -> bool + Sync,
        in_order: &mut InOrder<'_>,
    ) -> Result<End, Error> {
        let chunks = Source::stream(std::io::repeat(7)).into_chunks(STEP, 1);
        let effort = Effort { workers: NonZeroUsize::new(workers).unwrap(), progress: None };
        let work = |index: u64, slot: &mut Slot| {
            thread::sleep(Duration::from_micros(if index.is_multiple_of(3) { 300 } else { 20 }));
            slot.body = usize::try_from(index).unwrap();
            let failed = fail(index).then_some(UsageError::HeaderTooLong { got: slot.body });
            let last = index >= CHUNKS && index.is_multiple_of(2);
            failed.map_or(Ok(end_if(last, index)), |error| Err(error.into()))
        };
        run(&chunks, STEP, &effort, &work, Some(in_order))
    }

    #[test]
    fn what_needs_order_sees_every_chunk_once_and_in_order() {
        for workers in 1..6 {
            let mut seen = Vec::new();
            let mut in_order = |slot: &Slot| {
                seen.push(slot.body as u64);
                Ok(())
            };
            let end = run_until(workers, |_| false, &mut in_order).unwrap();
            assert_eq!(end.plaintext, CHUNKS);
            assert_eq!(seen, (0..=CHUNKS).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_earliest_failure_is_reported_and_those_beyond_the_last_chunk_are_not() {
        for workers in 1..6 {
            let failed = run_until(workers, |index| index >= 9, &mut |_| Ok(())).unwrap_err();
            assert!(matches!(failed, Error::Usage(UsageError::HeaderTooLong { got: 9 })), "{failed}");
            run_until(workers, |index| index > CHUNKS, &mut |_| Ok(())).unwrap();
        }
    }

    #[test]
    fn after_a_failure_in_order_nothing_more_is_passed_on() {
        for workers in 1..6 {
            let calls = AtomicUsize::new(0);
            let mut in_order = |slot: &Slot| {
                calls.fetch_add(1, Ordering::Relaxed);
                if slot.body == 5 { Err(UsageError::InputShrank.into()) } else { Ok(()) }
            };
            let failed = run_until(workers, |_| false, &mut in_order).unwrap_err();
            assert!(matches!(failed, Error::Usage(UsageError::InputShrank)), "{failed}");
            assert_eq!(calls.into_inner(), 6);
        }
    }

    #[test]
    fn of_several_ends_the_earliest_counts_in_whatever_order_they_were_found() {
        let mut state = State::default();
        for index in [11, 3, 7] {
            state.end_at(index, End { plaintext: index, output: 0 });
        }
        state.fail(4, UsageError::InputShrank.into());
        assert_eq!(state.outcome().unwrap().plaintext, 3);
    }

    #[test]
    fn buffers_stay_within_the_budget_whatever_was_asked_for() {
        let chunks = Source::stream(std::io::repeat(7)).into_chunks(BUDGET / 4, 0);
        let slots = Mutex::new(0_usize);
        let effort = Effort { workers: NonZeroUsize::new(64).unwrap(), progress: None };
        let work = |index, slot: &mut Slot| {
            if slot.output.filled().is_empty() {
                *slots.lock().unwrap() += 1;
            }
            slot.output.fill(1, |_| Ok::<_, Error>(1))?;
            Ok(end_if(index == 12, index))
        };
        run(&chunks, BUDGET / 4, &effort, &work, Some(&mut |_| Ok(()))).unwrap();
        assert!(slots.into_inner().unwrap() <= 2);
    }
}
