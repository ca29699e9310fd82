//! Tests of the report's layout: every reserved byte, every refused value, by its exact error.

use super::*;

/// A report of zeros, save what must not be zero.
fn plain(version: u8) -> [u8; Report::LEN] {
    let mut raw = [0; Report::LEN];
    raw[0] = version;
    raw[0x0a] = 0x02;
    raw[0x34] = 1;
    raw
}

fn refusal(raw: &[u8]) -> ReportError {
    Report::parse(raw).unwrap_err()
}

/// Offsets of the bytes that must be zero in a report of this version.
fn reserved(version: u8) -> Vec<usize> {
    let cpuid = if version < 3 { 0x188..0x1a0 } else { 0x18b..0x1a0 };
    let mit = if version < 5 { 0x1f8..0x208 } else { 0..0 };
    let ranges = [
        0x4c..0x50,
        cpuid,
        0x1eb..0x1ec,
        0x1ef..0x1f0,
        mit,
        0x208..0x2a0,
        0x2d0..0x2e8,
        0x318..0x330,
        0x330..0x4a0,
    ];
    ranges.into_iter().flatten().collect()
}

#[test]
fn every_reserved_byte_is_refused_where_it_stands() {
    for version in [2, 3, 4, 5] {
        for at in reserved(version) {
            let mut raw = plain(version);
            raw[at] = 0x80;
            let error = refusal(&raw);
            assert!(
                matches!(error, ReportError::Reserved { offset, got: 0x80, .. } if offset == at),
                "version {version}, byte {at:#x}: {error:?}"
            );
        }
    }
}

#[test]
fn every_other_byte_may_have_another_value() {
    for version in [2, 3, 4, 5] {
        let reserved = reserved(version);
        let judged = [0..4, 0x08..0x10, 0x34..0x38, 0x48..0x4c];
        for at in
            (0..Report::LEN).filter(|at| !reserved.contains(at) && !judged.iter().any(|r| r.contains(at)))
        {
            let mut raw = plain(version);
            raw[at] = 0x80;
            assert!(Report::parse(&raw).is_ok(), "version {version}, byte {at:#x}");
        }
    }
}

#[test]
fn versions_outside_the_list_are_refused_by_number() {
    for got in [0, 1, 6, 7, 0x102, u32::MAX] {
        let mut raw = plain(2);
        raw[..4].copy_from_slice(&got.to_le_bytes());
        assert_eq!(refusal(&raw), ReportError::Version { got });
    }
}

#[test]
fn other_lengths_are_refused() {
    let raw = [&plain(2)[..], &[0]].concat();
    for got in [0, 1, 0x2a0, Report::LEN - 1, Report::LEN + 1] {
        assert_eq!(refusal(&raw[..got]), ReportError::Length { expected: 1184, got });
    }
}

#[test]
fn policy_key_information_and_algorithm_are_judged() {
    let with = |at: usize, value: u8| {
        let mut raw = plain(5);
        raw[at] = value;
        refusal(&raw)
    };
    assert_eq!(with(0x0a, 0x01), ReportError::PolicyBit17 { got: 0x1_0000 });
    assert_eq!(with(0x0b, 0x04), ReportError::PolicyReserved { got: 1 << 26 });
    assert_eq!(with(0x0f, 0x80), ReportError::PolicyReserved { got: 1 << 63 });
    assert_eq!(with(0x48, 0x20), ReportError::KeyInfoReserved { got: 0x20 });
    assert_eq!(with(0x34, 2), ReportError::SignatureAlgorithm { got: 2 });
    assert_eq!(with(0x34, 0), ReportError::SignatureAlgorithm { got: 0 });
}

#[test]
fn the_signature_is_turned_to_big_endian() {
    let mut raw = plain(3);
    (raw[0x2a0], raw[0x2a0 + 47], raw[0x2e8], raw[0x2e8 + 47]) = (1, 2, 3, 4);
    let report = Report::parse(&raw).unwrap();
    let signature = report.signature_be();
    assert_eq!([signature[47], signature[0], signature[95], signature[48]], [1, 2, 3, 4]);
    assert_eq!(report.signed_bytes(), &raw[..0x2a0]);
    assert_eq!(report.as_bytes(), &raw);
}

#[test]
fn firmware_versions_and_mitigation_vectors_are_read_from_their_places() {
    let mut raw = plain(5);
    raw[0x1e8..0x1eb].copy_from_slice(&[61, 55, 1]);
    raw[0x1ec..0x1ef].copy_from_slice(&[60, 54, 2]);
    (raw[0x1f8], raw[0x200], raw[0x188]) = (0x3f, 0x0b, 0x1a);
    let report = Report::parse(&raw).unwrap();
    let fields = report.fields();
    assert_eq!((fields.current_firmware, fields.committed_firmware), ((1, 55, 61), (2, 54, 60)));
    assert_eq!((fields.launch_mit_vector, fields.current_mit_vector), (Some(0x3f), Some(0x0b)));
    assert_eq!(fields.cpuid, Some(CpuId { family: 0x1a, model: 0, stepping: 0 }));
}
