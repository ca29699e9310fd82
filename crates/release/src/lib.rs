//! the sole opener of wrapped KEKs.
