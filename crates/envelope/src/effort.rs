//! [`Effort`]: how many workers, and who is told of their progress; [`Summary`]: what they did.

use core::fmt;
use core::num::NonZeroUsize;
use std::thread;

/// How a message is worked on.
pub struct Effort<'a> {
    /// Most threads at work, the caller's included. Fewer work where their buffers would take too much memory.
    pub workers: NonZeroUsize,
    /// Called by any worker, from several at once, with the plaintext bytes that it has just done.
    pub progress: Option<&'a (dyn Fn(u64) + Sync)>,
}

impl Effort<'_> {
    pub(crate) fn report(&self, bytes: usize) {
        if let Some(progress) = self.progress {
            progress(bytes as u64);
        }
    }
}

impl Default for Effort<'_> {
    /// As many workers as there are cores; nobody is told.
    fn default() -> Self {
        Self { workers: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN), progress: None }
    }
}

impl fmt::Debug for Effort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Effort({} workers)", self.workers)
    }
}

/// What was encrypted or decrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of plaintext.
    pub plaintext: u64,
    /// The public key that verified the signature, a compressed point on P-384; `None` without one.
    pub signer: Option<[u8; 49]>,
}
