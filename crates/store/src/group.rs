//! [`GroupCommit`]: the thread that writes.
//!
//! It takes what waits, writes it as one group, lets the sequencer extend the tree over the group's entries, and
//! answers. While one group is being made durable, the next gathers; so a group is as large as the load asks for,
//! and nobody waits for company.
//!
//! After a failed write it is not known what is on the disk, and after a failed sequencer the tree lags behind the
//! entries. Nothing more is written then; a restart reads what there is.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use claims::leaf::Entry;
use rusqlite::ErrorCode;

use crate::{CommitError, Committed, StorageError, Store, Transaction, write};

/// Why a sequencer could not go on.
pub type SequenceError = Box<dyn std::error::Error + Send + Sync>;

/// Makes something of each group of entries once it is durable: for the journal, proofs and a signed checkpoint.
pub trait Sequencer: Send + 'static {
    /// What it makes. All requests of a group share it.
    type Group: Send + Sync + 'static;

    /// Called in order, once for each group, after it is durable and before anybody is answered.
    ///
    /// `first_index` is the place of the first of `entries`; there may be none.
    ///
    /// # Errors
    /// Whatever keeps it from going on. Nothing more is written then.
    fn sequence(&mut self, first_index: u64, entries: &[Entry]) -> Result<Self::Group, SequenceError>;
}

/// The way to the thread that writes. It ends when this is dropped, after it has written what waits.
#[derive(Debug)]
pub struct GroupCommit<G> {
    jobs: SyncSender<Job<G>>,
    thread: JoinHandle<()>,
}

struct Job<G> {
    transaction: Transaction,
    answer: Box<dyn FnOnce(Result<Committed<G>, CommitError>) + Send>,
}

impl<G: Send + Sync + 'static> GroupCommit<G> {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`io::Error`] if the system gives none.
    pub fn spawn<S: Sequencer<Group = G>>(store: Store, sequencer: S) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(store.options.queue);
        let writer = Writer { store, sequencer, stopped: None };
        let thread = std::thread::Builder::new().name("group-commit".to_owned());
        Ok(Self { jobs, thread: thread.spawn(move || writer.run(&waiting))? })
    }

    /// Hands in a request. `answer` is called once: on the writing thread, or at once with
    /// [`CommitError::Overloaded`] or [`CommitError::Stopped`]. It must not block.
    pub fn submit(
        &self,
        transaction: Transaction,
        answer: impl FnOnce(Result<Committed<G>, CommitError>) + Send + 'static,
    ) {
        match self.jobs.try_send(Job { transaction, answer: Box::new(answer) }) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => (job.answer)(Err(CommitError::Overloaded)),
            Err(TrySendError::Disconnected(job)) => {
                (job.answer)(Err(CommitError::Stopped("its thread has ended".to_owned())));
            }
        }
    }

    /// Writes what waits, ends the thread, and closes the store.
    pub fn shut_down(self) {
        drop(self.jobs);
        // A panic in an answer has been reported by its own thread.
        let _ = self.thread.join();
    }
}

struct Writer<S> {
    store: Store,
    sequencer: S,
    /// Why nothing more is written.
    stopped: Option<String>,
}

impl<S: Sequencer> Writer<S> {
    fn run(mut self, waiting: &Receiver<Job<S::Group>>) {
        while let Ok(first) = waiting.recv() {
            let rest = waiting.try_iter().take(MAX_GROUP.saturating_sub(1));
            let group: Vec<Job<S::Group>> = std::iter::once(first).chain(rest).collect();
            self.handle(group);
        }
    }

    fn handle(&mut self, group: Vec<Job<S::Group>>) {
        if let Some(reason) = &self.stopped {
            return refuse(group, &CommitError::Stopped(reason.clone()));
        }
        let Store { connection, options, .. } = &self.store;
        let written = match write::group(connection, options, group.iter().map(|job| &job.transaction)) {
            Ok(written) => written,
            Err(error) => {
                self.stopped = is_final(&error).then(|| error.to_string());
                return refuse(group, &CommitError::Storage(error));
            }
        };
        match self.sequencer.sequence(written.first_index, &written.entries) {
            Ok(made) => answer(group, written, &Arc::new(made)),
            Err(error) => {
                self.stopped = Some(error.to_string());
                refuse(group, &CommitError::Sequencer(error.to_string()));
            }
        }
    }
}

fn answer<G>(group: Vec<Job<G>>, written: write::Written, made: &Arc<G>) {
    let (mut next, mut entries) = (written.first_index, written.entries.into_iter());
    for (job, outcome) in group.into_iter().zip(written.outcomes) {
        (job.answer)(outcome.map(|count| {
            let own: Vec<Entry> = entries.by_ref().take(count).collect();
            let committed = Committed::new(next, own, Arc::clone(made));
            next = next.saturating_add(count as u64);
            committed
        }));
    }
}

fn refuse<G>(group: Vec<Job<G>>, error: &CommitError) {
    group.into_iter().for_each(|job| (job.answer)(Err(error.clone())));
}

/// Whether it is unclear what is on the disk. A full disk and a busy database undo what they did; a failed write
/// or fsync does not say, and must not be tried again.
fn is_final(error: &StorageError) -> bool {
    let StorageError::Sqlite(error) = error else { return true };
    !matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy))
}

/// Most requests in one group: bounds how long the first of them waits.
const MAX_GROUP: usize = 512;
