//! Rules 1 to 3 of a log ([`super`]): types by PCR, separators, the end of boot services, actions.

use std::collections::BTreeSet;

use claims::tpm::{Digest, HashAlgorithm};
use evidence::tpm::{Event, EventLog};

use super::BootError;
use super::event::*;

/// Where the log has got to.
#[derive(Default)]
pub(super) struct State {
    separated: BTreeSet<u32>,
    exit_invoked: bool,
    /// ExitBootServices was called and succeeded.
    pub(super) exited: bool,
}

/// Checks every event in its place.
pub(super) fn check(log: &EventLog, bank: HashAlgorithm) -> Result<State, BootError> {
    let mut state = State::default();
    let events = log.events.iter().enumerate().filter(|(_, event)| extends(event));
    for (at, event) in events.filter(|(_, event)| event.pcr <= LAST_PCR) {
        state.step(at, event, bank)?;
    }
    match (0..=LAST_FIRMWARE_PCR).find(|pcr| !state.separated.contains(pcr)) {
        Some(pcr) => Err(BootError::SeparatorMissing { pcr }),
        None => Ok(state),
    }
}

impl State {
    fn step(&mut self, at: usize, event: &Event, bank: HashAlgorithm) -> Result<(), BootError> {
        let Event { pcr, kind, .. } = *event;
        if !belongs(pcr, kind) {
            return Err(BootError::EventType { event: at, pcr, kind });
        }
        if pcr > LAST_FIRMWARE_PCR {
            return Ok(());
        }
        if self.exited {
            return Err(BootError::AfterExit { event: at, pcr });
        }
        match kind {
            EV_SEPARATOR => self.separator(at, event, bank)?,
            _ if self.separated.contains(&pcr) && CLOSED.contains(&pcr) => {
                return Err(BootError::AfterSeparator { event: at, pcr });
            }
            EV_EFI_ACTION => self.action(at, event, bank)?,
            EV_OMIT_BOOT_DEVICE_EVENTS if event.data != OMITTED => {
                return Err(BootError::Action { event: at, pcr });
            }
            EV_OMIT_BOOT_DEVICE_EVENTS if !is_proven(event, bank) => {
                return Err(BootError::Unproven { event: at, pcr });
            }
            _ => (),
        }
        Ok(())
    }

    fn separator(&mut self, at: usize, event: &Event, bank: HashAlgorithm) -> Result<(), BootError> {
        let pcr = event.pcr;
        if event.data != [0; 4] {
            let shown = event.data.iter().copied().take(64).collect();
            return Err(BootError::Separator { event: at, pcr, got: Digest(shown) });
        }
        if !is_proven(event, bank) {
            return Err(BootError::Unproven { event: at, pcr });
        }
        if !self.separated.insert(pcr) {
            return Err(BootError::SeparatorRepeated { event: at, pcr });
        }
        Ok(())
    }

    fn action(&mut self, at: usize, event: &Event, bank: HashAlgorithm) -> Result<(), BootError> {
        if !is_proven(event, bank) {
            return Err(BootError::Unproven { event: at, pcr: event.pcr });
        }
        match (event.pcr, event.data.as_slice()) {
            (7, DEBUG_MODE) => return Err(BootError::DebugMode { event: at }),
            (4, CALLING | RETURNING) | (7, NO_DMA_PROTECTION) => (),
            // Here stand facts, which a sender would like to pass off as words that mean nothing.
            (pcr @ (4 | 7), _) => return Err(BootError::Action { event: at, pcr }),
            (5, EXIT_INVOKED) => self.exit_invoked = true,
            (5, EXIT_FAILED) => self.exit_invoked = false,
            (5, EXIT_SUCCEEDED) => self.exited = self.exit_invoked,
            _ => (),
        }
        Ok(())
    }
}

/// Whether a PCR may have an event of this type (section 3.3.4; PCRs 8 and up are the operating system's, whose loaders
/// use few types).
fn belongs(pcr: u32, kind: u32) -> bool {
    let everywhere = matches!(kind, EV_SEPARATOR | EV_EFI_ACTION);
    everywhere
        || match pcr {
            0 => matches!(
                kind,
                EV_POST_CODE
                    | EV_POST_CODE2
                    | EV_S_CRTM_CONTENTS
                    | EV_S_CRTM_VERSION
                    | EV_NONHOST_CODE
                    | EV_NONHOST_INFO
                    | EV_EFI_PLATFORM_FIRMWARE_BLOB
                    | EV_EFI_PLATFORM_FIRMWARE_BLOB2
                    | EV_EFI_HANDOFF_TABLES
                    | EV_EFI_HANDOFF_TABLES2
                    | EV_EFI_HCRTM_EVENT
            ),
            1 => matches!(
                kind,
                EV_CPU_MICROCODE
                    | EV_PLATFORM_CONFIG_FLAGS
                    | EV_TABLE_OF_DEVICES
                    | EV_NONHOST_CONFIG
                    | EV_NONHOST_INFO
                    | EV_EFI_VARIABLE_BOOT
                    | EV_EFI_VARIABLE_BOOT2
                    | EV_EFI_VARIABLE_DRIVER_CONFIG
                    | EV_EFI_HANDOFF_TABLES
                    | EV_EFI_HANDOFF_TABLES2
            ),
            2 => matches!(
                kind,
                EV_EFI_BOOT_SERVICES_APPLICATION
                    | EV_EFI_BOOT_SERVICES_DRIVER
                    | EV_EFI_RUNTIME_SERVICES_DRIVER
                    | EV_EFI_PLATFORM_FIRMWARE_BLOB
                    | EV_EFI_PLATFORM_FIRMWARE_BLOB2
                    | EV_EFI_SPDM_FIRMWARE_BLOB
            ),
            3 => matches!(kind, EV_EFI_VARIABLE_DRIVER_CONFIG | EV_EFI_SPDM_FIRMWARE_CONFIG),
            4 => matches!(kind, EV_EFI_BOOT_SERVICES_APPLICATION | EV_OMIT_BOOT_DEVICE_EVENTS),
            5 => matches!(kind, EV_EFI_GPT_EVENT | EV_EFI_GPT_EVENT2 | EV_EFI_VARIABLE_BOOT | EV_EVENT_TAG),
            6 => matches!(kind, EV_COMPACT_HASH),
            7 => matches!(kind, EV_EFI_VARIABLE_DRIVER_CONFIG | EV_EFI_VARIABLE_AUTHORITY),
            _ => matches!(kind, EV_IPL | EV_EVENT_TAG | EV_COMPACT_HASH),
        }
}

const LAST_PCR: u32 = 15;
const LAST_FIRMWARE_PCR: u32 = 7;
/// PCRs that firmware is done with at the separator.
const CLOSED: [u32; 4] = [0, 2, 3, 6];
const OMITTED: &[u8] = b"BOOT ATTEMPTS OMITTED";
const CALLING: &[u8] = b"Calling EFI Application from Boot Option";
const RETURNING: &[u8] = b"Returning from EFI Application from Boot Option";
const NO_DMA_PROTECTION: &[u8] = b"DMA Protection Disabled";
const DEBUG_MODE: &[u8] = b"UEFI Debug Mode";
const EXIT_INVOKED: &[u8] = b"Exit Boot Services Invocation";
const EXIT_FAILED: &[u8] = b"Exit Boot Services Returned with Failure";
const EXIT_SUCCEEDED: &[u8] = b"Exit Boot Services Returned with Success";
