//! Tests of the module above it.
