//! Each check of `verify::snp`, reached on its own: a simulated machine states something else than it should, signs
//! it properly, and the exact error names what and why.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod anchors;
mod bind;
mod chain;
mod endorsed;
mod examine;
mod fields;
mod limits;
mod machine;
mod report;
mod revocation;
mod swaps;
mod vlek;
