//! Merkle proofs, checkpoints and signed notes of a transparency log.
