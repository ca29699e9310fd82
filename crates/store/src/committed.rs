//! [`Committed`]: the proof that entries are durable.

use std::sync::Arc;

use claims::leaf::Entry;

/// Entries that are on the disk, in this order, from this place on.
///
/// Made by the commit thread alone, after `COMMIT` has returned. Not `Clone`: it stands for one request's entries.
#[derive(Debug)]
pub struct Committed<G> {
    first_index: u64,
    entries: Vec<Entry>,
    group: Arc<G>,
}

impl<G> Committed<G> {
    pub(crate) fn new(first_index: u64, entries: Vec<Entry>, group: Arc<G>) -> Self {
        Self { first_index, entries, group }
    }

    /// The place of the first of these entries in the journal.
    pub fn first_index(&self) -> u64 {
        self.first_index
    }

    /// The request's entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the sequencer made of all entries that became durable together.
    pub fn group(&self) -> &Arc<G> {
        &self.group
    }
}
