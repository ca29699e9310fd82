//! the versioned messages of the release protocol.
