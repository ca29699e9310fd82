//! The `keyfast` command: for key officers, owners of data, auditors, and whoever tries keyfast out.
//!
//! | module | command | talks to |
//! |-|-|-|
//! | [`keys`] | `keyfast keys` | the broker's admin socket |
//! | [`encrypt`] | `keyfast encrypt` | nobody |
//! | [`audit`] | `keyfast audit` | the admin socket, the published log |
//! | [`evidence`] | `keyfast evidence` | nobody |
//! | [`measure`] | `keyfast measure` | nobody |
//! | [`reference`] | `keyfast reference` | files only |
//! | [`endorsements`] | `keyfast endorsements` | AMD, Azure, or a mirror of theirs |
//! | [`policy`] | `keyfast policy` | nobody; `replay` the admin socket |
//! | [`dev`] | `keyfast dev` | processes that it starts |
//!
//! The command holds no key but the public halves that owners encrypt to, and must never print a secret or take one
//! as an argument.

// They panic when their reader has gone away; `output` has what does not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod admin;
pub mod attestation_keys;
pub mod audit;
pub mod dev;
pub mod encrypt;
pub mod endorsements;
pub mod evidence;
pub mod file;
pub mod keys;
pub mod measure;
pub mod output;
pub mod past;
pub mod policy;
mod progress;
pub mod reference;
mod signing;
