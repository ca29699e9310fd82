//! Checking a journal from outside: entries, their records where they are at hand, and the published files,
//! against a signed checkpoint. Whatever is wrong is named by its place.

mod directory;
mod leaves;

pub use directory::{DirectoryError, DirectoryReport, verify_directory};
pub use leaves::{AuditError, AuditedLeaf, verify_leaves};
