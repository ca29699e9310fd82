//! The TPM back end against a TPM of somebody else's making: `swtpm`, with certificates of its local CA, driven by
//! `tpm2-tools` where something else than this crate has to do it. What it gives is verified as a broker does.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod altered;
mod azure;
mod broker;
mod event_log;
mod hostile;
mod keys;
mod quotes;
mod swtpm;
