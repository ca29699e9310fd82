//! What an event log proves (TCG PC Client Platform Firmware Profile 1.06, sections 3.3 and 10).
//!
//! The log comes from whoever sends the evidence: its events, their types and their words are claims of a stranger. It
//! counts where its digests replay into quoted PCRs, and then a fact is one only where a digest *proves* it:
//!
//! 1. the log has digests of the claimed bank, and every event in PCRs 0 to 15 is of a type that its PCR may have;
//! 2. PCRs 0 to 7 have one separator each, of zeros; behind it nothing more in PCRs 0, 2, 3 and 6; behind a successful
//!    ExitBootServices nothing more in PCRs 0 to 7;
//! 3. events whose data are what was digested (separators, actions, Secure Boot variables) are held against it; in PCRs 4
//!    and 7 actions are none but those that firmware reports there, as types are the sender's words and nothing that makes
//!    a fact may hide under one that does not;
//! 4. PCR 7 begins with SecureBoot, PK, KEK, db and dbx, each once, in front of the separator; authorities are in db;
//! 5. StartupLocality stands in front of the first event of PCR 0, once, and is 0, 3 or 4;
//! 6. every quoted PCR from 0 to 15 replays to its quoted value, in every bank that the log and the quote share; one without
//!    events to the value that it started with. PCR 10 belongs to the kernel (IMA) and is not looked at; PCR 11 may have
//!    gone on by systemd's boot phases, in their order; PCR 15, which systemd extends by itself, may hold anything if the
//!    log has no events of it;
//! 7. facts: Secure Boot, its databases and what they hold from PCR 7, digests of boot applications from PCR 4, sections of a unified
//!    kernel image from PCR 11 where names and contents alternate and each name is proven by its digest, command line and
//!    initial ramdisk from PCR 9 where there is nothing else in it.
//!
//! The order within a PCR is proven; that between PCRs is the sender's, so no fact rests on it.
//!
//! Boot applications, sections and the two digests of PCR 9 are facts by their place in the order, not by their labels,
//! because an operating system can extend a PCR further and append to the log: policies compare whole lists. So can one
//! that was started without an image, and then PCRs 9 and 11 hold what it likes: sections, command line and initial
//! ramdisk count beside the boot application that measures them, and never without it.

mod error;
mod event;
mod facts;
mod grammar;
mod replay;
mod secure_boot;

use std::collections::BTreeSet;

use claims::tpm::{BootClaims, HashAlgorithm};
use evidence::tpm::{EventLog, PcrValue, Quote};

use super::TpmVerifyError;
use super::quote::VerifiedQuote;
use crate::Check;
use crate::check::OnCheck;

pub use error::BootError;
pub use secure_boot::database_entries;

/// The facts of a quote's log, if it has one.
pub(super) fn of_quote(
    quote: &Quote,
    verified: &VerifiedQuote,
    on_check: &mut OnCheck<'_>,
) -> Result<Option<BootClaims>, TpmVerifyError> {
    let Some(log) = &quote.log else { return Ok(None) };
    let facts = appraise(log, verified.bank, quote.pcrs.values())?;
    let events = log.events.len();
    let secure_boot = match facts.secure_boot {
        Some(true) => "secure boot on",
        Some(false) => "secure boot off",
        None => "secure boot not known, as pcr 7 was not quoted",
    };
    on_check(Check::EventLog, format_args!("{events} events lead to the quoted values; {secure_boot}"));
    Ok(Some(facts))
}

/// The facts that a log proves, given PCR values that were quoted; `bank` is the one that facts are taken from.
///
/// # Errors
/// [`BootError`], the first rule of the list above that the log breaks.
pub fn appraise(log: &EventLog, bank: HashAlgorithm, quoted: &[PcrValue]) -> Result<BootClaims, BootError> {
    if !log.algorithms.contains(&bank) {
        return Err(BootError::Bank { expected: bank, crypto_agile: log.crypto_agile });
    }
    let state = grammar::check(log, bank)?; // 1 to 3
    let variables = secure_boot::check(log)?; // 4
    let phases = replay::check(log, quoted)?; // 5, 6
    let proven: BTreeSet<u8> =
        quoted.iter().filter(|value| value.bank == bank).map(|value| value.index).collect();
    Ok(facts::of(log, bank, &proven, state, variables, phases)) // 7
}
