//! Quotes, bare and bound to SNP reports: genuine ones by their vectors, simulated ones altered and signed again.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod azure;
mod boots;
mod checks;
mod ek;
mod ek_lists;
mod enrol;
mod examine;
mod folder;
mod genuine;
mod logs;
mod malformed;
mod pss;
mod published;
mod simulated;
mod svsm;
mod swaps;
mod swtpm;
mod table;
mod ticket;
mod tools;
