//! Reference values against vectors, and the files that they come from as hostile bytes.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod firmware;
mod id_block;
mod image;
mod launch;
mod ovmf;
mod pe;
mod uki;
mod vectors;
