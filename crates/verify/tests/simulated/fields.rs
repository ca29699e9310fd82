//! Every byte of the signed part of a report, raised by one and *signed again*: it becomes that claim and no other, or
//! it is refused, with the exact error.

use claims::ReportData;
use claims::snp::{CpuId, GuestPolicy, PlatformInfo, Product, SnpClaims, Tcb};
use evidence::snp::ReportError;
use evidence::{Evidence, EvidenceError};
use simtee::GuestSpec;
use verify::{Endorsements, Role, VerifyError, authenticate};

use crate::machine::{NOW, host, trust};

/// What a byte that was raised by one should come to.
enum Comes {
    /// To these claims, given its place in the field.
    Claim(fn(&mut SnpClaims, usize)),
    /// To an error of parsing, given its place in the report and its value.
    Malformed(fn(usize, u8) -> ReportError),
    /// To an error of verifying, given its place in the field and its value.
    Refused(fn(usize, u8) -> VerifyError),
    /// To nothing: no claim is made of it.
    Nothing,
}

use Comes::{Claim, Malformed, Nothing, Refused};

/// The signed part, field by field: where it starts, what it is. It ends where the next one starts.
const FIELDS: [(usize, Comes); 47] = [
    (0x000, Refused(|_, _| VerifyError::Version4)),
    (0x001, Malformed(|at, got| ReportError::Version { got: 3 | u32::from(got) << (8 * at) })),
    (0x004, Claim(|snp, at| snp.guest_svn += 1 << (8 * at))),
    (0x008, Claim(|snp, at| snp.policy.0 += 1 << (8 * at))),
    (0x00a, Malformed(|_, _| ReportError::PolicyBit17 { got: 0x0004_0101 })),
    (0x00b, Claim(|snp, _| snp.policy.0 += 1 << 24)),
    (0x00c, Malformed(|at, _| ReportError::PolicyReserved { got: 1 << (8 * (at - 8)) })),
    (0x010, Claim(|snp, at| snp.family_id[at] += 1)),
    (0x020, Claim(|snp, at| snp.image_id[at] += 1)),
    (0x030, Claim(|snp, _| snp.vmpl += 1)),
    (0x031, Refused(|at, got| VerifyError::Vmpl { got: u32::from(got) << (8 * (at + 1)) })),
    (0x034, Malformed(|at, _| ReportError::SignatureAlgorithm { got: 1 + (1 << (8 * (at - 0x34))) })),
    (0x038, Claim(|snp, at| raise(&mut snp.current_tcb, at))),
    (0x03a, Refused(|at, got| reserved("current", at + 2, got))),
    (0x03e, Claim(|snp, at| raise(&mut snp.current_tcb, at + 6))),
    (0x040, Claim(|snp, at| snp.platform.0 += 1 << (8 * at))),
    (0x048, Claim(|snp, _| snp.author_key_digest = Some([0x16; 48]))),
    (0x049, Malformed(|at, _| ReportError::KeyInfoReserved { got: 1 << (8 * (at - 0x48)) })),
    (
        0x04c,
        Malformed(|offset, got| ReportError::Reserved { offset, field: "after the key information", got }),
    ),
    (0x050, Claim(|snp, at| snp.report_data.0[at] += 1)),
    (0x090, Claim(|snp, at| snp.measurement.0[at] = snp.measurement.0[at].wrapping_add(1))),
    (0x0c0, Claim(|snp, at| snp.host_data[at] = snp.host_data[at].wrapping_add(1))),
    (0x0e0, Claim(|snp, at| snp.id_key_digest.as_mut().unwrap()[at] += 1)),
    // AUTHOR_KEY_EN is clear.
    (0x110, Nothing),
    (0x140, Claim(|snp, at| snp.report_id[at] = snp.report_id[at].wrapping_add(1))),
    // REPORT_ID_MA: migration agents are refused by policy, on POLICY.
    (0x160, Nothing),
    (0x180, Refused(|at, got| other_tcb(["bootloader", "tee"][at], got))),
    (0x182, Refused(|at, got| reserved("reported", at + 2, got))),
    (0x186, Refused(|at, got| other_tcb(["snp", "microcode"][at], got))),
    (0x188, Refused(|_, _| VerifyError::UnknownCpu { family: 0x1a, model: 0x12 })),
    (0x189, Claim(|snp, _| snp.cpuid.as_mut().unwrap().model += 1)),
    (0x18a, Claim(|snp, _| snp.cpuid.as_mut().unwrap().stepping += 1)),
    (0x18b, Malformed(|offset, got| ReportError::Reserved { offset, field: "after the cpuid", got })),
    (0x1a0, Refused(other_chip)),
    (0x1e0, Refused(|at, got| above_current(["bootloader", "tee"][at], got))),
    (0x1e2, Refused(|at, got| reserved("committed", at + 2, got))),
    (0x1e6, Refused(|at, got| above_current(["snp", "microcode"][at], got))),
    (0x1e8, Claim(|snp, at| raise_version(&mut snp.current_firmware, at))),
    (0x1eb, Malformed(|offset, got| reserved_after(offset, "after the current firmware version", got))),
    (0x1ec, Refused(newer_firmware)),
    (0x1ef, Malformed(|offset, got| reserved_after(offset, "after the committed firmware version", got))),
    (0x1f0, Claim(|snp, at| raise(&mut snp.launch_tcb, at))),
    (0x1f2, Refused(|at, got| reserved("launch", at + 2, got))),
    (0x1f6, Claim(|snp, at| raise(&mut snp.launch_tcb, at + 6))),
    (0x1f8, Claim(|snp, at| *snp.launch_mit_vector.as_mut().unwrap() += 1 << (8 * at))),
    (0x200, Claim(|snp, at| *snp.current_mit_vector.as_mut().unwrap() += 1 << (8 * at))),
    (0x208, Malformed(|offset, got| reserved_after(offset, "end of the signed part", got))),
];

/// A guest whose fields can all be raised by one.
fn spec() -> GuestSpec {
    GuestSpec {
        version: 3,
        guest_svn: 0x0102_0304,
        policy: GuestPolicy(0x0003_0101),
        family_id: [0x11; 16],
        image_id: [0x12; 16],
        platform: PlatformInfo(0x0102_0304_0506_0708),
        id_key_digest: [0x15; 48],
        cpuid: CpuId { family: 0x19, model: 0x12, stepping: 1 },
        ..GuestSpec::new(Product::Genoa, "fields").tcb(TCB)
    }
}

const TCB: Tcb = Tcb { fmc: None, bootloader: 3, tee: 4, snp: 0x17, microcode: 0x54 };

fn raise(tcb: &mut Tcb, byte: usize) {
    let mut bytes = tcb.to_report_bytes();
    bytes[byte] += 1;
    *tcb = Tcb::from_report_bytes(bytes, Product::Genoa);
}

/// Build, minor and major stand in this order in a report.
fn raise_version((major, minor, build): &mut (u8, u8, u8), byte: usize) {
    *[build, minor, major][byte] += 1;
}

fn reserved(field: &'static str, byte: usize, got: u8) -> VerifyError {
    VerifyError::TcbReserved { field, byte, product: Product::Genoa, got }
}

fn reserved_after(offset: usize, field: &'static str, got: u8) -> ReportError {
    ReportError::Reserved { offset, field, got }
}

fn other_tcb(component: &'static str, raised: u8) -> VerifyError {
    VerifyError::Tcb { certificate: Role::Vcek, component, expected: raised, got: raised - 1 }
}

fn above_current(component: &'static str, got: u8) -> VerifyError {
    VerifyError::TcbOrder { component, lower: "committed", higher: "current", limit: got - 1, got }
}

fn newer_firmware(byte: usize, _: u8) -> VerifyError {
    let limit = spec().current_firmware;
    let mut got = limit;
    raise_version(&mut got, byte);
    VerifyError::FirmwareOrder { limit, got }
}

fn other_chip(byte: usize, raised: u8) -> VerifyError {
    let got = host(Product::Genoa).chip_id().0.to_vec();
    let mut expected = got.clone();
    expected[byte] = raised;
    VerifyError::Chip { expected, got }
}

#[test]
fn every_signed_byte_raised_by_one_and_signed_again_comes_to_what_it_should() {
    let host = host(Product::Genoa);
    let anchors = trust(&host);
    let mut spec = spec();
    // Version 5 for the mitigation vectors; version 3, raised by one, is 4.
    for version in [3, 5] {
        spec.version = version;
        let guest = host.launch(&spec).unwrap();
        let plain = || {
            let mut report = guest.report(&ReportData([7; 64]));
            report.put(simtee::field::AUTHOR_KEY_DIGEST, [0x16; 48]);
            report
        };
        let parse = |bytes: &[u8]| Evidence::parse(claims::EvidenceKind::SevSnp, bytes);
        let usual = parse(&guest.evidence(&guest.sign(plain()).unwrap())).unwrap();
        let endorsements = Endorsements::from_evidence(&usual);
        let claims = authenticate(usual, &endorsements, &anchors, NOW).unwrap().snp().unwrap().clone();
        let ends = FIELDS.iter().skip(1).map(|(start, _)| *start).chain([0x2a0]);
        for ((start, comes), end) in FIELDS.iter().zip(ends) {
            // Of version 3 the version alone, of version 5 the rest.
            if (*start < 4) != (version == 3) {
                continue;
            }
            for at in *start..end {
                let mut report = plain();
                let byte = &mut report.bytes_mut()[at];
                *byte = byte.wrapping_add(1);
                let raised = *byte;
                let result = match parse(&guest.sign(report).unwrap()) {
                    Ok(evidence) => Ok(authenticate(evidence, &endorsements, &anchors, NOW)),
                    Err(error) => Err(error),
                };
                let mut expected = claims.clone();
                let expected = match comes {
                    Claim(change) => {
                        change(&mut expected, at - start);
                        Ok(Ok(expected))
                    }
                    Nothing => Ok(Ok(expected)),
                    Refused(error) => Ok(Err(error(at - start, raised))),
                    Malformed(error) => Err(EvidenceError::Report(error(at, raised))),
                };
                let got =
                    result.map(|result| result.map(|authenticated| authenticated.snp().unwrap().clone()));
                assert_eq!(got, expected, "byte {at:#x}");
            }
        }
    }
}
