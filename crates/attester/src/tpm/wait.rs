//! [`Exchanges`]: one exchange with a TPM at a time, each with an end.
//!
//! The library waits for as long as the TPM takes. So each exchange has a thread and a connection of its own, and
//! whoever asked waits for it no longer than its limit. While a thread still hangs there, nothing else is tried.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::TpmError;
use super::device::Tpm;
use crate::{AttestError, Tcti};

/// The exchanges of one attester with its TPM.
pub(super) struct Exchanges {
    tcti: Tcti,
    busy: Arc<AtomicBool>,
}

impl Exchanges {
    pub(super) fn with(tcti: Tcti) -> Self {
        Self { tcti, busy: Arc::default() }
    }

    /// Connects, has `work` done, and disconnects, within `limit`.
    pub(super) fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&mut Tpm) -> Result<T, TpmError> + Send + 'static,
    ) -> Result<T, AttestError> {
        let timed_out = || AttestError::TimedOut { path: PathBuf::from(self.tcti.to_string()), limit };
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(timed_out());
        }
        let busy = Busy(self.busy.clone());
        let (tcti, (sender, receiver)) = (self.tcti.clone(), sync_channel(1));
        let exchange = move || {
            let done = Tpm::open(&tcti).and_then(|mut tpm| work(&mut tpm));
            drop(busy);
            // If nobody waits any more, nobody is told.
            let _ = sender.send(done);
        };
        let started = std::thread::Builder::new().name("tpm".into()).spawn(exchange);
        started.map_err(|error| AttestError::Device(error.into()))?;
        match receiver.recv_timeout(limit) {
            Ok(done) => done.map_err(|error| AttestError::Device(error.into())),
            Err(RecvTimeoutError::Timeout) => Err(timed_out()),
            Err(RecvTimeoutError::Disconnected) => Err(AttestError::Device(TpmError::BrokeOff.into())),
        }
    }
}

/// Dropped, the TPM is free again.
struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
