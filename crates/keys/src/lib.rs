//! KEKs and DEKs: what both ends do with them, and how a guest gets to hold one.
//!
//! The guest's way: [`RecipientSecret`] (made here) and the broker's answers become [`Receipted`] once every
//! receipt fits, and only [`open`] turns those into keys. The broker's way to a KEK is in `release`. Owners
//! encrypt to the public key in a [`Descriptor`].
//!
//! This crate must never fetch, store or log a key, and never opens a sealed key without its receipt.

mod dek;
mod descriptor;
mod identity;
mod kek;
mod receipt;
mod recipient;
mod sealed;

pub use dek::Dek;
pub use descriptor::{Descriptor, DescriptorError, MAX_DESCRIPTOR};
pub use identity::{IdentityError, verify_identity};
pub use kek::{Kek, KeyError, commitment};
pub use receipt::{Answer, LogHead, LogTrust, Receipt, ReceiptError, Receipted};
pub use recipient::{OpenError, Opened, OpenedContent, RecipientSecret, open};
pub use sealed::{Payload, SealedKey};
