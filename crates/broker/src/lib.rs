//! the key broker.
