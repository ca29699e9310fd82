//! the keyfast command.
