//! Why an event log was not believed.

use claims::tpm::{Digest, HashAlgorithm};

/// A log that breaks a rule, or does not explain what was quoted. Events are counted from 0, without the one that
/// describes the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// The log has no digests of the bank that was quoted.
    #[error(
        "the log has no digests of {expected}: {}",
        if *.crypto_agile { "its firmware does not extend that bank" } else { "it is of the older format with sha1 only" }
    )]
    Bank {
        /// The quoted bank.
        expected: HashAlgorithm,
        /// Whether the log is of the newer format.
        crypto_agile: bool,
    },
    /// An event of a type that this PCR has not.
    #[error("event {event} of type {kind:#010x} does not belong in pcr {pcr}")]
    EventType {
        /// Which event.
        event: usize,
        /// Its PCR.
        pcr: u32,
        /// Its type.
        kind: u32,
    },
    /// A separator that reports an error, or is none.
    #[error("separator of pcr {pcr} (event {event}) reports an error: expected 00000000, got {got}")]
    Separator {
        /// Which event.
        event: usize,
        /// Its PCR.
        pcr: u32,
        /// Its data.
        got: Digest,
    },
    /// A second separator.
    #[error("pcr {pcr} has a second separator (event {event}): expected one")]
    SeparatorRepeated {
        /// Which event.
        event: usize,
        /// Its PCR.
        pcr: u32,
    },
    /// No separator.
    #[error("pcr {pcr} has no separator: expected one; the firmware's part of the boot did not end")]
    SeparatorMissing {
        /// The PCR.
        pcr: u32,
    },
    /// Firmware measures nothing more here.
    #[error("event {event} extends pcr {pcr} behind its separator: expected nothing there")]
    AfterSeparator {
        /// Which event.
        event: usize,
        /// Its PCR.
        pcr: u32,
    },
    /// Firmware is gone.
    #[error("event {event} extends pcr {pcr} behind the end of boot services: expected nothing there")]
    AfterExit {
        /// Which event.
        event: usize,
        /// Its PCR.
        pcr: u32,
    },
    /// An action that firmware does not report in this PCR, so that something else may hide behind it.
    #[error("event {event} in pcr {pcr} is no action that firmware reports there")]
    Action {
        /// Which event.
        event: usize,
        /// Its PCR.
        pcr: u32,
    },
    /// The data are not what was digested.
    #[error(
        "event {event} in pcr {pcr} says something else than it measured: its digest is not that of its data"
    )]
    Unproven {
        /// Which event.
        event: usize,
        /// Its PCR.
        pcr: u32,
    },
    /// The firmware can be debugged.
    #[error("the firmware is in debug mode (event {event}): expected no `UEFI Debug Mode` in pcr 7")]
    DebugMode {
        /// Which event.
        event: usize,
    },
    /// PCR 7 does not begin with the Secure Boot variables.
    #[error("wrong order of the secure boot variables: expected `{expected}` next in pcr 7, got {got}")]
    VariableOrder {
        /// The variable that is due.
        expected: &'static str,
        /// What stands there.
        got: String,
    },
    /// A variable whose data cannot be read.
    #[error("event {event} is no secure boot variable: expected {expected}")]
    Variable {
        /// Which event.
        event: usize,
        /// What it should be.
        expected: &'static str,
    },
    /// Code ran whose signer is not in db.
    #[error("event {event} names an authority that is not in db")]
    Authority {
        /// Which event.
        event: usize,
    },
    /// StartupLocality in the wrong place, or of a value that does not exist.
    #[error(
        "wrong startup locality (event {event}): expected 0, 3 or 4, once, in front of pcr 0's first event"
    )]
    StartupLocality {
        /// Which event.
        event: usize,
    },
    /// The events do not lead to the quoted value.
    #[error(
        "the events of pcr {pcr} do not lead to its quoted value in the bank {bank}: expected {expected}, got {got}"
    )]
    Replay {
        /// The PCR.
        pcr: u8,
        /// The bank.
        bank: HashAlgorithm,
        /// The quoted value.
        expected: Digest,
        /// What the events give.
        got: Digest,
    },
}
