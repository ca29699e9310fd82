//! Genuine SEV-SNP reports under the crate `sev` and under `evidence` with `verify`: the same verdict and the same
//! value in every field, but for the cases below. Each of these has what both say, and who is right.
//!
//! `sev` checks the signatures of the chain and of the report, and no name, date or extension of the certificates. It
//! is an oracle for fields and signatures; what else `verify` checks is listed in `crates/verify/README.md`.
//!
//! The vectors lie beside the repository (`$KEYFAST_VECTORS`, else `../shared/vectors`). Where they are absent, each
//! test says so and passes.

#[path = "report/anew.rs"]
mod anew;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use claims::snp::{Product, Tcb};
use claims::{EvidenceKind, UnixTime};
use evidence::snp::{Report, ReportError, ReportFields, ReportSigner};
use evidence::{Evidence, EvidenceError};
use serde_json::Value;
use sev::certs::snp::{Chain, Verifiable, ecdsa::Signature};
use sev::firmware::guest::{AttestationReport, Version};
use sev::firmware::host::TcbVersion;
use sev::parser::ByteParser;
use verify::{
    ChainError, Endorsements, Role, TrustAnchors, VerifyError, authenticate, certificates_from_file,
};

/// Signed by a VLEK, of version 2.
const VLEK: &str = "milan-v2-aws-vlek";
/// Its certificate is of another chip.
const OTHER_CHIP: &str = "neg-azure-report-vcek-other-chip";
/// What `sev` says where the signature is not the key's.
const NOT_SIGNED: &str = "VEK does not sign the attestation report: signature::Error { source: None }";

#[test]
fn every_genuine_report_has_the_same_verdict_and_the_same_fields() {
    for vector in vectors().iter().filter(|vector| vector.is_read_by_sev()) {
        let (theirs, ours) = (vector.sev(&vector.report), vector.keyfast(&vector.report));
        let verdicts = (theirs.is_ok(), ours.is_ok());
        let genuine = vector.is_genuine();
        assert_eq!(verdicts, (genuine, genuine), "{}: {theirs:?}, {ours:?}", vector.name);
        vector.assert_same_fields(&vector.report);
    }
}

/// Both refuse. `sev` has only the signature to go by, keyfast says first that the certificate is of another chip,
/// which tells an operator what to mend.
#[test]
fn a_certificate_of_another_chip_is_refused_by_both() {
    let Some(vector) = named(OTHER_CHIP) else { return };
    assert_eq!(vector.sev(&vector.report).unwrap_err().to_string(), NOT_SIGNED);
    let expected = Report::parse(&vector.report).unwrap().fields().chip_id.0.to_vec();
    let hwid = vector.expected["vek"]["extensions"]["hwid"].as_str().unwrap();
    let got = hex::decode(hwid).unwrap();
    let refusal = vector.keyfast(&vector.report).unwrap_err();
    assert_eq!(refusal, Refusal::Verify(VerifyError::Chip { expected, got }));
}

/// Keyfast is right: the report is genuine, and a VLEK's report masks the chip as a rule. `sev` guesses the layout of
/// the TCB versions from the chip where version 2 names no CPU, and refuses to guess here; keyfast takes it from the
/// root that vouches for the report. Nothing else is in its way: with 64 bytes of an id it reads what keyfast reads.
#[test]
fn a_vleks_report_of_version_2_is_read_by_keyfast_alone() {
    let Some(vector) = named(VLEK) else { return };
    assert!(!vector.is_read_by_sev());
    let why = "MASK_CHIP_ID is enabled, preventing the identification of the CPU generation.";
    assert_eq!(vector.sev(&vector.report).unwrap_err().to_string(), why);
    assert_eq!(vector.keyfast(&vector.report), Ok(()));
    let mut named_chip = vector.report.clone();
    named_chip[0x1a0..0x1e0].fill(1);
    vector.assert_same_fields(&named_chip);
    assert_eq!(vector.sev(&named_chip).unwrap_err().to_string(), NOT_SIGNED);
    assert_eq!(vector.chain().verify().unwrap(), &vector.chain().vek);
}

/// Keyfast is right: what is signed cannot be changed, and what is not signed and must be zero is zero. `sev` checks
/// the signature over its own encoding, which has zeros where it did not look: in the reserved bytes of the four TCB
/// versions, which *are* signed, and behind each half of the signature and behind both. Every other byte is refused by
/// both once its lowest bit is flipped.
#[test]
fn reserved_bytes_can_be_changed_under_sev_and_not_here() {
    for vector in vectors().iter().filter(|vector| vector.is_read_by_sev() && vector.is_genuine()) {
        // The chain does not change, and its signatures are the slow ones.
        let chain = vector.chain();
        chain.verify().unwrap();
        for byte in 0..Report::LEN {
            let mut altered = vector.report.clone();
            altered[byte] ^= 1;
            let theirs =
                AttestationReport::from_bytes(&altered).and_then(|report| (&chain.vek, &report).verify());
            let ours = vector.keyfast(&altered).unwrap_err();
            let what = format!("{}: byte {byte:#x}: {theirs:?}, {ours:?}", vector.name);
            let overlooked = vector.overlooked_by_sev(byte);
            assert_eq!(theirs.is_ok(), overlooked.is_some(), "{what}");
            if let Some(refusal) = overlooked {
                assert_eq!(ours, refusal, "{what}");
            }
        }
    }
}

/// Keyfast is right: a key that has ended proves nothing. `sev` asks for no time, so its verdict has none.
#[test]
fn certificates_end_for_keyfast_alone() {
    let Some(vector) = named("genoa-v5-oak") else { return };
    assert!(vector.sev(&vector.report).is_ok());
    let not_after = vector.edge("not_after");
    assert_eq!(vector.keyfast_at(&vector.report, not_after), Ok(()));
    let now = not_after.plus(1);
    let expired = ChainError::Expired { certificate: Role::Vcek, not_after, now };
    assert_eq!(vector.keyfast_at(&vector.report, now), Err(Refusal::Verify(expired.into())));
}

/// Keyfast is right: each of these means a layout or a rule that the reader does not know. `sev` reads them all, an
/// unknown version as 5, and encodes them as they came, so only the signature is against them: firmware that signed
/// such a report would be believed. Bit 17 of the policy it even gives as set where it is not.
#[test]
fn what_the_format_forbids_is_read_by_sev_and_not_here() {
    let Some(vector) = named("genoa-v5-oak") else { return };
    let policy = u64::from_le_bytes(vector.report[0x008..0x010].try_into().unwrap());
    let cleared = policy & !(1 << 17);
    let cases = [
        (0x000, 6, ReportError::Version { got: 6 }),
        (0x00a, vector.report[0x00a] & !2, ReportError::PolicyBit17 { got: cleared }),
        (0x00b, vector.report[0x00b] | 4, ReportError::PolicyReserved { got: 1 << 26 }),
        (0x034, 2, ReportError::SignatureAlgorithm { got: 2 }),
        (0x048, 1 << 5, ReportError::KeyInfoReserved { got: 1 << 5 }),
    ];
    for (offset, value, error) in cases {
        let mut altered = vector.report.clone();
        altered[offset] = value;
        let theirs = AttestationReport::from_bytes(&altered).unwrap();
        assert_eq!(theirs.launch_mit_vector, Some(1), "{error}");
        assert_eq!(theirs.to_bytes().unwrap(), altered[..], "{error}");
        assert_eq!(u64::from(theirs.policy) & 1 << 17, 1 << 17, "{error}");
        assert_eq!(vector.sev(&altered).unwrap_err().to_string(), NOT_SIGNED, "{error}");
        assert_eq!(vector.keyfast(&altered), Err(Refusal::Evidence(error.into())));
    }
}

/// Why keyfast does not believe a report.
#[derive(Debug, PartialEq)]
enum Refusal {
    Evidence(EvidenceError),
    Verify(VerifyError),
}

/// A report, what an independent decoder read in it, and its certificates: leaf, intermediate and root, in DER.
struct Vector {
    name: String,
    report: Vec<u8>,
    expected: Value,
    certificates: [Vec<u8>; 3],
}

/// Every folder with a report, in the order of the names.
fn vectors() -> Vec<Vector> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"));
    let root = std::env::var_os("KEYFAST_VECTORS").map_or_else(beside, PathBuf::from);
    let folders = fs::read_dir(root.join("snp")).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = folders.filter_map(|folder| Vector::read(&folder)).collect();
    if all.is_empty() {
        eprintln!("the vectors are missing and were passed over");
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn named(name: &str) -> Option<Vector> {
    vectors().into_iter().find(|vector| vector.name == name)
}

impl Vector {
    fn read(folder: &Path) -> Option<Self> {
        let report = fs::read(folder.join("report.bin")).ok()?;
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let expected = serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
        let by_vlek = folder.join("vlek.der").exists();
        let (leaf, issuer) = if by_vlek { ("vlek.der", "asvk.pem") } else { ("vcek.der", "ask.pem") };
        let certificates = [leaf, issuer, "ark.pem"].map(|file| {
            let bytes = fs::read(folder.join(file)).unwrap();
            certificates_from_file(&bytes).unwrap().remove(0)
        });
        Some(Self { name, report, expected, certificates })
    }

    /// Whether the certificates are those of the key that signed.
    fn is_genuine(&self) -> bool {
        self.expected["expected"]["report_signature_valid"].as_bool().unwrap()
    }

    /// Not where version 2 masks the chip; the case of the VLEK says why.
    fn is_read_by_sev(&self) -> bool {
        self.report[..4] != [2, 0, 0, 0] || self.report[0x1a0..0x1e0] != [0; 64]
    }

    fn product(&self) -> Product {
        self.expected["product"].as_str().unwrap().parse().unwrap()
    }

    /// First or last second of its leaf certificate.
    fn edge(&self, name: &str) -> UnixTime {
        let text = self.expected["vek"][name].as_str().unwrap();
        UnixTime::parse(&text.replace(' ', "T").replace("+00:00", "Z")).unwrap()
    }

    fn chain(&self) -> Chain {
        let [leaf, issuer, root] = &self.certificates;
        Chain::from_der(root, issuer, leaf).unwrap()
    }

    fn sev(&self, report: &[u8]) -> io::Result<()> {
        (&self.chain(), &AttestationReport::from_bytes(report)?).verify()
    }

    fn keyfast(&self, report: &[u8]) -> Result<(), Refusal> {
        self.keyfast_at(report, self.edge("not_before"))
    }

    fn keyfast_at(&self, report: &[u8], now: UnixTime) -> Result<(), Refusal> {
        let evidence = Evidence::parse(EvidenceKind::SevSnp, report).map_err(Refusal::Evidence)?;
        let endorsements = Endorsements::from_certificates(self.certificates.clone()).unwrap();
        let result = authenticate(evidence, &endorsements, &TrustAnchors::amd(), now);
        result.map(drop).map_err(Refusal::Verify)
    }

    /// What keyfast says of this byte with its lowest bit set, if it is one that `sev` does not look at.
    fn overlooked_by_sev(&self, byte: usize) -> Option<Refusal> {
        let product = self.product();
        let reserved = if product == Product::Turin { 4..7 } else { 2..6 };
        let versions = [(0x038, "current"), (0x180, "reported"), (0x1e0, "committed"), (0x1f0, "launch")];
        for (start, field) in versions {
            if byte >= start && reserved.contains(&(byte - start)) {
                let byte = byte - start;
                let error = VerifyError::TcbReserved { field, byte, product, got: 1 };
                return Some(Refusal::Verify(error));
            }
        }
        let field = match byte {
            0x2d0..0x2e8 => "padding of r",
            0x318..0x330 => "padding of s",
            0x330..0x4a0 => "end of the signature",
            _ => return None,
        };
        Some(Refusal::Evidence(ReportError::Reserved { offset: byte, field, got: 1 }.into()))
    }

    fn assert_same_fields(&self, bytes: &[u8]) {
        let theirs = AttestationReport::from_bytes(bytes).unwrap();
        let ours = Report::parse(bytes).unwrap();
        assert_eq!(theirs, in_words_of_sev(&ours, self.product()), "{}", self.name);
        for (i, (ours, theirs)) in bits(ours.fields(), &theirs).into_iter().enumerate() {
            assert_eq!(ours, theirs, "{}: part {i} of policy, platform and key information", self.name);
        }
    }
}

/// Every field, taken apart and put together by name: one that is new on either side does not compile.
fn in_words_of_sev(report: &Report, product: Product) -> AttestationReport {
    let ReportFields {
        version,
        guest_svn,
        policy,
        family_id,
        image_id,
        vmpl,
        signature_algorithm,
        current_tcb,
        platform,
        key_info,
        report_data,
        measurement,
        host_data,
        id_key_digest,
        author_key_digest,
        report_id,
        report_id_ma,
        reported_tcb,
        cpuid,
        chip_id,
        committed_tcb,
        current_firmware,
        committed_firmware,
        launch_tcb,
        launch_mit_vector,
        current_mit_vector,
    } = report.fields().clone();
    let tcb = |raw| {
        let Tcb { fmc, bootloader, tee, snp, microcode } = Tcb::from_report_bytes(raw, product);
        TcbVersion { fmc, bootloader, tee, snp, microcode }
    };
    let firmware = |(major, minor, build)| Version { major, minor, build };
    AttestationReport {
        version,
        guest_svn,
        policy: policy.0.into(),
        family_id,
        image_id,
        vmpl,
        sig_algo: signature_algorithm,
        current_tcb: tcb(current_tcb),
        plat_info: platform.0.into(),
        key_info: key_info.0.into(),
        report_data: report_data.0,
        measurement: measurement.0,
        host_data,
        id_key_digest,
        author_key_digest,
        report_id,
        report_id_ma,
        reported_tcb: tcb(reported_tcb),
        cpuid_fam_id: cpuid.map(|cpu| cpu.family),
        cpuid_mod_id: cpuid.map(|cpu| cpu.model),
        cpuid_step: cpuid.map(|cpu| cpu.stepping),
        chip_id: chip_id.0,
        committed_tcb: tcb(committed_tcb),
        current: firmware(current_firmware),
        committed: firmware(committed_firmware),
        launch_tcb: tcb(launch_tcb),
        launch_mit_vector,
        current_mit_vector,
        signature: signature(report),
    }
}

/// Little-endian halves in 72 bytes each, as they stand in the report.
fn signature(report: &Report) -> Signature {
    let (mut r, mut s) = (report.signature_be()[..48].to_vec(), report.signature_be()[48..].to_vec());
    for half in [&mut r, &mut s] {
        half.reverse();
        half.resize(72, 0);
    }
    Signature::new(r.try_into().unwrap(), s.try_into().unwrap())
}

/// The parts of policy, platform and key information that have a name on both sides, ours first. Bit 6 of the platform
/// has none in `sev`.
fn bits(ours: &ReportFields, theirs: &AttestationReport) -> [(u64, u64); 21] {
    let (policy, their_policy) = (ours.policy, theirs.policy);
    let (platform, their_platform) = (ours.platform, theirs.plat_info);
    let (key, their_key) = (ours.key_info, theirs.key_info);
    let signer = match key.signer() {
        ReportSigner::Vcek => 0,
        ReportSigner::Vlek => 1,
        ReportSigner::None => 7,
        ReportSigner::Reserved(code) => code,
    };
    let flag = |ours: bool, theirs: bool| (u64::from(ours), u64::from(theirs));
    [
        (policy.abi_minor().into(), their_policy.abi_minor()),
        (policy.abi_major().into(), their_policy.abi_major()),
        flag(policy.smt_allowed(), their_policy.smt_allowed()),
        flag(policy.migrate_ma_allowed(), their_policy.migrate_ma_allowed()),
        flag(policy.debug_allowed(), their_policy.debug_allowed()),
        flag(policy.single_socket(), their_policy.single_socket_required()),
        flag(policy.cxl_allowed(), their_policy.cxl_allowed()),
        flag(policy.mem_aes_256_xts(), their_policy.mem_aes_256_xts()),
        flag(policy.rapl_disabled(), their_policy.rapl_dis()),
        flag(policy.ciphertext_hiding(), their_policy.ciphertext_hiding()),
        flag(policy.page_swap_disabled(), their_policy.page_swap_disabled()),
        flag(platform.smt(), their_platform.smt_enabled()),
        flag(platform.tsme(), their_platform.tsme_enabled()),
        flag(platform.ecc(), their_platform.ecc_enabled()),
        flag(platform.rapl_disabled(), their_platform.rapl_disabled()),
        flag(platform.ciphertext_hiding(), their_platform.ciphertext_hiding_enabled()),
        flag(platform.alias_check_complete(), their_platform.alias_check_complete()),
        flag(platform.tio(), their_platform.tio_enabled()),
        flag(key.author_key_enabled(), their_key.author_key_en()),
        flag(key.chip_key_masked(), their_key.mask_chip_key()),
        (signer.into(), their_key.signing_key().into()),
    ]
}
