//! Nothing: the oracles are in `tests/`.
