//! Every tamper tool changes what it says, and nothing else.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::sync::{Arc, OnceLock};

use claims::snp::{CpuId, GuestPolicy, PlatformInfo, Product, Tcb};
use claims::{Measurement, ReportData, UnixTime};
use crypto::{P384PublicKey, P384SigningKey, RsaPublicKey};
use simtee::{Guest, GuestSpec, HostKeys, REPORT_LEN, SIGNED_LEN, SimHost, field, flip_bit};

const NOW: UnixTime = UnixTime(1_790_000_000);
const REPORT_DATA: ReportData = ReportData([0x5a; 64]);
const PRODUCTS: [Product; 3] = [Product::Milan, Product::Genoa, Product::Turin];

fn keys() -> Arc<HostKeys> {
    static KEYS: OnceLock<Arc<HostKeys>> = OnceLock::new();
    Arc::clone(KEYS.get_or_init(|| Arc::new(simtee::kept_keys!().unwrap())))
}

fn host(product: Product) -> SimHost {
    SimHost::with_keys(keys(), product, NOW).unwrap()
}

fn launch(product: Product) -> Guest {
    host(product).launch(&GuestSpec::new(product, "web")).unwrap()
}

/// Whether the report's signature is by this key.
fn signed_by(report: &[u8], key: &P384SigningKey) -> bool {
    let mut signature = [0; 96];
    signature[..48].copy_from_slice(&report[0x2a0..0x2d0]);
    signature[48..].copy_from_slice(&report[0x2e8..0x318]);
    signature[..48].reverse();
    signature[48..].reverse();
    let key = P384PublicKey::from_sec1(&key.public_sec1()).unwrap();
    key.verify_fixed(&report[..SIGNED_LEN], &signature).is_ok()
}

/// The offsets at which two byte strings of one length differ.
fn differences(a: &[u8], b: &[u8]) -> Vec<usize> {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect()
}

/// Offsets and values of AMD's table 23, written out a second time.
#[test]
fn a_report_has_every_field_in_its_genuine_place() {
    let spec = GuestSpec {
        version: 5,
        guest_svn: 0x0102_0304,
        policy: GuestPolicy(0x1122_3344_5566_7788),
        family_id: [0x11; 16],
        image_id: [0x12; 16],
        vmpl: 3,
        platform: PlatformInfo(0x67),
        measurement: Measurement([0x13; 48]),
        host_data: [0x14; 32],
        id_key_digest: [0x15; 48],
        author_key_digest: Some([0x16; 48]),
        report_id: [0x17; 32],
        reported_tcb: Tcb { fmc: None, bootloader: 1, tee: 2, snp: 3, microcode: 4 },
        committed_tcb: Tcb { fmc: None, bootloader: 5, tee: 6, snp: 7, microcode: 8 },
        current_tcb: Tcb { fmc: None, bootloader: 9, tee: 10, snp: 11, microcode: 12 },
        launch_tcb: Tcb { fmc: None, bootloader: 13, tee: 14, snp: 15, microcode: 16 },
        cpuid: CpuId { family: 0x19, model: 0x11, stepping: 2 },
        csp_id: None,
        mask_chip_id: false,
        current_firmware: (1, 58, 3),
        committed_firmware: (1, 57, 2),
        launch_mit_vector: 0x0b,
        current_mit_vector: 0x3f,
    };
    let host = host(Product::Genoa);
    let guest = host.launch(&spec).unwrap();
    let mut report = guest.report(&REPORT_DATA);
    let report = report.bytes_mut();
    let chip = host.chip_id();
    let table: [(usize, &[u8]); 28] = [
        (0x000, &[5, 0, 0, 0]),
        (0x004, &[4, 3, 2, 1]),
        (0x008, &[0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]),
        (0x010, &[0x11; 16]),
        (0x020, &[0x12; 16]),
        (0x030, &[3, 0, 0, 0]),
        (0x034, &[1, 0, 0, 0]),
        (0x038, &[9, 10, 0, 0, 0, 0, 11, 12]),
        (0x040, &[0x67, 0, 0, 0, 0, 0, 0, 0]),
        (0x048, &[1, 0, 0, 0]),
        (0x04c, &[0; 4]),
        (0x050, &REPORT_DATA.0),
        (0x090, &[0x13; 48]),
        (0x0c0, &[0x14; 32]),
        (0x0e0, &[0x15; 48]),
        (0x110, &[0x16; 48]),
        (0x140, &[0x17; 32]),
        (0x160, &[0xff; 32]),
        (0x180, &[1, 2, 0, 0, 0, 0, 3, 4]),
        (0x188, &[0x19, 0x11, 2]),
        (0x18b, &[0; 21]),
        (0x1a0, &chip.0),
        (0x1e0, &[5, 6, 0, 0, 0, 0, 7, 8]),
        (0x1e8, &[3, 58, 1, 0, 2, 57, 1, 0]),
        (0x1f0, &[13, 14, 0, 0, 0, 0, 15, 16]),
        (0x1f8, &[0x0b, 0, 0, 0, 0, 0, 0, 0]),
        (0x200, &[0x3f, 0, 0, 0, 0, 0, 0, 0]),
        (0x208, &[0; REPORT_LEN - 0x208]),
    ];
    let mut end = 0;
    for (offset, bytes) in table {
        assert_eq!(offset, end, "the table has no gap");
        end += bytes.len();
        assert_eq!(report[offset..end], *bytes, "at {offset:#x}");
    }
    assert_eq!(end, REPORT_LEN);
}

#[test]
fn older_versions_leave_later_fields_zero() {
    let of = |version| {
        let spec = GuestSpec { version, ..GuestSpec::new(Product::Milan, "web") };
        let guest = host(Product::Milan).launch(&spec).unwrap();
        let bytes = *guest.report(&REPORT_DATA).bytes_mut();
        (field::CPUID.read(&bytes), field::CURRENT_MIT_VECTOR.read(&bytes)[0])
    };
    assert_eq!(of(2), ([0; 3], 0));
    assert_eq!(of(3), ([0x19, 1, 1], 0));
    assert_eq!(of(5), ([0x19, 1, 1], 0x3f));
}

#[test]
fn evidence_is_a_signed_report_and_its_chain() {
    for product in PRODUCTS {
        let (host, spec) = (host(product), GuestSpec::new(product, "web"));
        let guest = host.launch(&spec).unwrap();
        let evidence = guest.attest(&REPORT_DATA).unwrap();
        assert!(signed_by(&evidence, &host.vcek(spec.reported_tcb).unwrap()), "{product}");
        assert_eq!(evidence[REPORT_LEN..], guest.chain().table().encode());
        assert_eq!(guest.chain().ark, host.ark_der());
        let hwid_len = if product == Product::Turin { 8 } else { 64 };
        let hwid = &host.chip_id().0[..hwid_len];
        assert!(guest.chain().vek.windows(hwid_len).any(|window| window == hwid), "{product}");
        assert!(host.chip_id().0[hwid_len..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_field_altered_before_signing_is_signed_and_alone() {
    let guest = launch(Product::Milan);
    let key = host(Product::Milan).vcek(GuestSpec::default_tcb(Product::Milan)).unwrap();
    let plain = guest.sign(guest.report(&REPORT_DATA)).unwrap();
    let mut report = guest.report(&REPORT_DATA);
    report.put(field::VMPL, [3, 0, 0, 0]);
    report.bytes_mut()[0x183] = 1;
    let altered = guest.sign(report).unwrap();
    assert!(signed_by(&altered, &key));
    assert_eq!(differences(&plain[..SIGNED_LEN], &altered[..SIGNED_LEN]), [0x30, 0x183]);
}

#[test]
fn a_bit_altered_after_signing_breaks_the_signature() {
    let guest = launch(Product::Milan);
    let key = host(Product::Milan).vcek(GuestSpec::default_tcb(Product::Milan)).unwrap();
    let report = guest.sign(guest.report(&REPORT_DATA)).unwrap();
    let mut altered = report;
    flip_bit(&mut altered, 0x90 * 8).unwrap();
    assert_eq!(differences(&report, &altered), [0x90]);
    assert!(signed_by(&report, &key) && !signed_by(&altered, &key));
}

#[test]
fn debug_and_tcb_change_their_fields_only() {
    let (host, plain) = (host(Product::Milan), GuestSpec::new(Product::Milan, "web"));
    let report = |spec: &GuestSpec| *host.launch(spec).unwrap().report(&REPORT_DATA).bytes_mut();
    let debug = plain.clone().debug(true);
    assert_eq!(differences(&report(&plain), &report(&debug)), [0x0a]);
    assert_eq!(report(&debug.debug(false)), report(&plain));
    let old = Tcb { snp: 5, ..plain.reported_tcb };
    assert_eq!(differences(&report(&plain), &report(&plain.clone().tcb(old))), [0x3e, 0x186, 0x1e6, 0x1f6]);
    let masked = GuestSpec { mask_chip_id: true, ..plain.clone() };
    assert_eq!(report(&masked)[0x1a0..0x1e0], [0; 64]);
}

#[test]
fn a_vcek_belongs_to_one_chip_one_product_and_one_tcb() {
    let tcb = GuestSpec::default_tcb(Product::Milan);
    let public = |host: &SimHost, tcb| host.vcek(tcb).unwrap().public_sec1();
    let milan = host(Product::Milan);
    assert_eq!(public(&milan, tcb), public(&milan, tcb));
    assert_ne!(public(&milan, tcb), public(&milan, Tcb { snp: 1, ..tcb }));
    assert_ne!(public(&milan, tcb), public(&host(Product::Genoa), tcb));
    let other_chip = Arc::new(keys().with_other_chip().unwrap());
    let other = SimHost::with_keys(other_chip, Product::Milan, NOW).unwrap();
    assert_ne!(public(&milan, tcb), public(&other, tcb));
    assert_ne!(milan.chip_id(), other.chip_id());
}

#[test]
fn two_hosts_have_different_roots() {
    let (ours, theirs) = (host(Product::Milan), SimHost::generate(Product::Milan, NOW).unwrap());
    assert_ne!(ours.ark_sha256(), theirs.ark_sha256());
    assert_ne!(ours.chip_id(), theirs.chip_id());
}

#[test]
fn an_unaltered_chain_keeps_the_roots_one_certificate() {
    let host = host(Product::Genoa);
    let mut spec = host.chain_spec(GuestSpec::default_tcb(Product::Genoa)).unwrap();
    assert!(spec.vek.set_integer(simtee::amd::SNP_SPL, 0x80));
    assert!(spec.vek.set_product_name("Milan-B0"));
    assert!(spec.vek.remove_extension(simtee::amd::HWID));
    assert!(!spec.vek.remove_extension(simtee::amd::HWID));
    assert!(!spec.vek.set_integer(simtee::amd::FMC_SPL, 1));
    let chain = host.issue(&spec).unwrap();
    assert_eq!((chain.ark.as_slice(), chain.ask.as_slice()), (host.ark_der(), host.ask_der()));
    spec.ark.not_after = NOW;
    assert_ne!(host.issue(&spec).unwrap().ark, host.ark_der());
}

#[test]
fn each_certificate_is_signed_by_whom_it_says() {
    let host = host(Product::Turin);
    let tcb = GuestSpec::default_tcb(Product::Turin);
    let genuine = host.chain_spec(tcb).unwrap();
    let (ark, ask) = (&genuine.ark.spki, &genuine.ask.spki);
    assert!(verifies(host.ark_der(), ark) && verifies(host.ask_der(), ark));
    let mut spec = genuine.clone();
    let chain = host.issue(&spec).unwrap();
    assert!(verifies(&chain.vek, ask) && !verifies(&chain.vek, ark));
    spec.vek.signer = simtee::Signer::Ark;
    assert!(verifies(&host.issue(&spec).unwrap().vek, ark));
}

/// Whether a certificate's signature is by this key, whatever it says about it.
fn verifies(certificate: &[u8], spki: &[u8]) -> bool {
    // SEQUENCE with a two-byte length, and in it TBSCertificate with another; the signature is the last 512 bytes.
    let tbs_len = usize::from(u16::from_be_bytes([certificate[6], certificate[7]])) + 4;
    let (tbs, signature) = (&certificate[4..4 + tbs_len], &certificate[certificate.len() - 512..]);
    RsaPublicKey::from_spki(spki).unwrap().verify_pss_sha384(tbs, signature).is_ok()
}
