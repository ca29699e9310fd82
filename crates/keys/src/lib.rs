//! KEKs and DEKs: what both ends do with them, and how a guest gets to hold one.
//!
//! The guest's way: [`RecipientSecret`] (made here) and the broker's answers become [`Receipted`] once every
//! receipt fits, and only [`open`] turns those into keys. The broker's way to a KEK is in `release`.
//!
//! This crate must never fetch, store or log a key, and never opens a sealed key without its receipt.

mod dek;
mod kek;

pub use dek::Dek;
pub use kek::{Kek, KeyError, commitment};
