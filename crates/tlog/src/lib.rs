//! A transparency log's arithmetic: Merkle proofs, tiles, checkpoints and signed notes.
//!
//! Shared by the broker, which keeps the log, and by agents and auditors, who check it. In reading order:
//!
//! | what | type | source |
//! |-|-|-|
//! | hashes of entries and nodes | [`Hash`], [`leaf_hash`], [`node_hash`] | RFC 6962, 2.1 (RFC 9162, 2.1.1) |
//! | a growing tree in O(log n) memory | [`Frontier`] | |
//! | "this leaf is in this tree", "this tree extends that one" | [`verify_inclusion`], [`verify_consistency`] | RFC 9162, 2.1.3 and 2.1.4 |
//! | the same, made | [`prove_inclusion`], [`prove_consistency`] over a [`NodeSource`] | |
//! | the tree as files | [`Tile`], [`TileBuilder`] | C2SP tlog-tiles |
//! | a tree's size and root, signed | [`Checkpoint`], [`note`], [`witness`] | C2SP tlog-checkpoint, signed-note, tlog-cosignature |
//!
//! This crate must never touch a file, a socket or a clock, and never trusts a text whose signature it has not
//! checked.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod checkpoint;
mod frontier;
mod hash;
mod name;
pub mod note;
mod proof;
mod prove;
mod tile;
mod tile_builder;
pub mod witness;

pub use checkpoint::{Checkpoint, CheckpointError, VerifiedCheckpoint};
pub use frontier::Frontier;
pub use hash::{Hash, commitment, digest, empty_root, entry, leaf_hash, node_hash};
pub use name::{BadKey, KeyName};
pub use proof::{
    ConsistencyProof, InclusionProof, MAX_PROOF, ProofError, verify_consistency, verify_inclusion,
};
pub use prove::{LeafNodes, NodeSource, TileNodes, prove_consistency, prove_inclusion, root};
pub use tile::{Bundle, TILE_WIDTH, Tile, TileError, TileKind, decode_hashes, encode_hashes};
pub use tile_builder::TileBuilder;
