//! Firmware images as hostile bytes: each defect has its own error, and no image makes the parser panic.

use measure::{Ovmf, OvmfError, Section, SectionKind};
use proptest::prelude::*;

use crate::firmware::Firmware;

fn refusal(image: &[u8]) -> OvmfError {
    Ovmf::parse(image).unwrap_err()
}

fn with_sections(sections: &[(u32, u32, u32)]) -> Result<usize, OvmfError> {
    let firmware = Firmware { sections: sections.to_vec(), ..Firmware::amd_sev() };
    Ovmf::parse(&firmware.image()).map(|parsed| parsed.sections().len())
}

#[test]
fn an_image_is_read_as_it_was_written() {
    let image = Firmware::amd_sev().image();
    let parsed = Ovmf::parse(&image).unwrap();
    assert_eq!((parsed.reset_eip(), parsed.hash_table()), (Some(0x80_b004), Some(0x81_0c00)));
    assert_eq!((parsed.base(), parsed.image()), (0xffff_d000, &image[..]));
    assert_eq!(parsed.sections().len(), 7);
    let hashes = Section { gpa: 0x81_0000, len: 0x1000, kind: SectionKind::KernelHashes };
    assert_eq!(parsed.sections()[5], hashes);
}

#[test]
fn an_image_is_a_bounded_number_of_pages() {
    let limit = 64 * 1024 * 1024;
    for got in [0, 1, 4095, 4097, limit + 4096] {
        assert_eq!(refusal(&vec![0; got]), OvmfError::Size { limit, got });
    }
    assert_eq!(refusal(&[0; 4096]), OvmfError::NoTable);
}

/// The footer is 50 bytes from the end: its length, then its GUID.
#[test]
fn a_table_must_fit_and_be_made_of_entries() {
    let image = Firmware::amd_sev().image();
    let footer = image.len() - 50;
    let with_length = |len: u16| {
        let mut image = image.clone();
        image[footer..footer + 2].copy_from_slice(&len.to_le_bytes());
        refusal(&image)
    };
    let whole = u16::from_le_bytes([image[footer], image[footer + 1]]);
    assert_eq!(with_length(17), OvmfError::Table { left: 17 });
    assert_eq!(with_length(u16::MAX), OvmfError::Table { left: 65535 - 18 });
    assert_eq!(with_length(whole - 1), OvmfError::Table { left: 39 });
    assert_eq!(with_length(whole + 1), OvmfError::Table { left: 1 });
    assert_eq!(with_length(18), OvmfError::Missing { what: "SEV metadata" });

    let mut image = image.clone();
    image[footer + 2] ^= 1;
    assert_eq!(refusal(&image), OvmfError::NoTable);
}

#[test]
fn metadata_lies_in_the_image_and_is_of_a_known_version() {
    let image = Firmware::amd_sev().image();
    let start = image.len() - 1024;
    let change = |at: usize, number: u32| {
        let mut image = image.clone();
        image[at..at + 4].copy_from_slice(&number.to_le_bytes());
        refusal(&image)
    };
    let place = image.windows(4).rposition(|window| window == 1024_u32.to_le_bytes()).unwrap();
    for from_end in [0, 3, 15, 12 * 7, 3 * 4096 + 1, u32::MAX] {
        assert_eq!(change(place, from_end), OvmfError::Metadata, "{from_end}");
    }
    assert_eq!(change(start, 0), OvmfError::Metadata);
    assert_eq!(change(start + 4, 16 + 12 * 7 - 1), OvmfError::Metadata);
    assert_eq!(change(start + 8, 2), OvmfError::Metadata);
    assert_eq!(change(start + 12, 65), OvmfError::TooMany { limit: 64, got: 65 });
    assert_eq!(change(start + 12, u32::MAX), OvmfError::TooMany { limit: 64, got: u32::MAX });
    assert_eq!(change(start + 16 + 12 + 8, 5), OvmfError::Kind { index: 1, got: 5 });
}

#[test]
fn sections_are_whole_pages() {
    let refused = |gpa, got, code, kind, expected| {
        let error = OvmfError::SectionSize { index: 0, kind, expected, got, gpa };
        assert_eq!(with_sections(&[(gpa, got, code)]), Err(error));
    };
    refused(0x1000, 0, 1, SectionKind::Memory, "whole pages");
    refused(0x1000, 0x1001, 1, SectionKind::Memory, "whole pages");
    refused(0x1001, 0x1000, 4, SectionKind::CallingArea, "whole pages");
    refused(0x1000, 0x2000, 2, SectionKind::Secrets, "one page");
    refused(0x1000, 0x2000, 3, SectionKind::Cpuid, "one page");
    refused(0x1000, 0x2000, 0x10, SectionKind::KernelHashes, "one page");
}

#[test]
fn sections_lie_beside_each_other_and_below_the_image() {
    assert_eq!(with_sections(&[(0, 0x2000, 1), (0x2000, 0x1000, 1)]), Ok(2));
    for gpa in [0x1000, 0x2000] {
        let sections = [(0x1000, 0x2000, 1), (0x8000, 0x1000, 1), (gpa, 0x1000, 3)];
        assert_eq!(with_sections(&sections), Err(OvmfError::Overlap { index: 2, gpa }));
    }
    let base = 0xffff_d000;
    assert_eq!(with_sections(&[(base - 0x1000, 0x1000, 1)]), Ok(1));
    for gpa in [base, base + 0x2000] {
        assert_eq!(with_sections(&[(gpa, 0x1000, 1)]), Err(OvmfError::Overlap { index: 0, gpa }));
    }
}

#[test]
fn sections_cannot_keep_the_calculation_busy() {
    let quarter = 64 * 1024 * 1024;
    let mut sections: Vec<_> = (0..4).map(|i| (i * quarter, quarter, 1)).collect();
    assert_eq!(with_sections(&sections), Ok(4));
    sections.push((4 * quarter, 0x1000, 1));
    assert_eq!(with_sections(&sections), Err(OvmfError::TooLarge { limit: 4 * u64::from(quarter) }));
}

proptest! {
    #[test]
    fn any_page_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 4096)) {
        let _ = Ovmf::parse(&bytes);
    }

    #[test]
    fn an_altered_image_is_read_or_refused(
        changes in proptest::collection::vec((0_usize..1024, any::<u8>()), 1..8),
    ) {
        let mut image = Firmware { pages: 1, ..Firmware::amd_sev() }.image();
        let start = image.len() - 1024;
        for (at, byte) in changes {
            image[start + at] = byte;
        }
        let _ = Ovmf::parse(&image);
    }
}
