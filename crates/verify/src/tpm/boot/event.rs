//! Event types, and what can be read off an event (TCG PC Client Platform Firmware Profile 1.06, section 10.4).

use claims::tpm::HashAlgorithm;
use evidence::tpm::Event;
pub(super) use evidence::tpm::utf16;

use super::super::ak::digest;

pub(super) const EV_POST_CODE: u32 = 0x01;
pub(super) const EV_NO_ACTION: u32 = 0x03;
pub(super) const EV_SEPARATOR: u32 = 0x04;
pub(super) const EV_EVENT_TAG: u32 = 0x06;
pub(super) const EV_S_CRTM_CONTENTS: u32 = 0x07;
pub(super) const EV_S_CRTM_VERSION: u32 = 0x08;
pub(super) const EV_CPU_MICROCODE: u32 = 0x09;
pub(super) const EV_PLATFORM_CONFIG_FLAGS: u32 = 0x0a;
pub(super) const EV_TABLE_OF_DEVICES: u32 = 0x0b;
pub(super) const EV_COMPACT_HASH: u32 = 0x0c;
pub(super) const EV_IPL: u32 = 0x0d;
pub(super) const EV_NONHOST_CODE: u32 = 0x0f;
pub(super) const EV_NONHOST_CONFIG: u32 = 0x10;
pub(super) const EV_NONHOST_INFO: u32 = 0x11;
pub(super) const EV_OMIT_BOOT_DEVICE_EVENTS: u32 = 0x12;
pub(super) const EV_POST_CODE2: u32 = 0x13;
pub(super) const EV_EFI_VARIABLE_DRIVER_CONFIG: u32 = 0x8000_0001;
pub(super) const EV_EFI_VARIABLE_BOOT: u32 = 0x8000_0002;
pub(super) const EV_EFI_BOOT_SERVICES_APPLICATION: u32 = 0x8000_0003;
pub(super) const EV_EFI_BOOT_SERVICES_DRIVER: u32 = 0x8000_0004;
pub(super) const EV_EFI_RUNTIME_SERVICES_DRIVER: u32 = 0x8000_0005;
pub(super) const EV_EFI_GPT_EVENT: u32 = 0x8000_0006;
pub(super) const EV_EFI_ACTION: u32 = 0x8000_0007;
pub(super) const EV_EFI_PLATFORM_FIRMWARE_BLOB: u32 = 0x8000_0008;
pub(super) const EV_EFI_HANDOFF_TABLES: u32 = 0x8000_0009;
pub(super) const EV_EFI_PLATFORM_FIRMWARE_BLOB2: u32 = 0x8000_000a;
pub(super) const EV_EFI_HANDOFF_TABLES2: u32 = 0x8000_000b;
pub(super) const EV_EFI_VARIABLE_BOOT2: u32 = 0x8000_000c;
pub(super) const EV_EFI_GPT_EVENT2: u32 = 0x8000_000d;
pub(super) const EV_EFI_HCRTM_EVENT: u32 = 0x8000_0010;
pub(super) const EV_EFI_VARIABLE_AUTHORITY: u32 = 0x8000_00e0;
pub(super) const EV_EFI_SPDM_FIRMWARE_BLOB: u32 = 0x8000_00e1;
pub(super) const EV_EFI_SPDM_FIRMWARE_CONFIG: u32 = 0x8000_00e2;

/// Whether the event's data are what it measured, in this bank.
pub(super) fn is_proven(event: &Event, bank: HashAlgorithm) -> bool {
    event.digest(bank).is_some_and(|found| found == digest(bank, &[&event.data]).0)
}

/// Whether the event extends anything.
pub(super) fn extends(event: &Event) -> bool {
    event.kind != EV_NO_ACTION
}

/// UEFI_VARIABLE_DATA: the vendor's GUID, name and contents.
pub(super) fn variable(data: &[u8]) -> Option<([u8; 16], String, &[u8])> {
    evidence::tpm::UefiVariable::parse(data).map(|found| (found.vendor, found.name, found.contents))
}
