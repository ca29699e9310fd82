//! Quotes, bare and bound to SNP reports: genuine ones by their vectors, simulated ones altered and signed again.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod azure;
mod boots;
mod enrol;
mod folder;
mod genuine;
mod logs;
mod simulated;
mod svsm;
mod swtpm;
mod table;
mod ticket;
