//! Checks 2 to 4 and 9 to 12: the report against its chain.

use claims::snp::{Product, Tcb};
use claims::{GuestIdentity, OsBinding, ReportData};
use simtee::{GuestSpec, amd, field, flip_bit};
use verify::{Role, TrustAnchors, VerifyError};

use crate::machine::{
    CSP_ID, NOW, VCEK_LIFE, altered_chain, altered_report, check, host, refusal, trust, with_chain,
};

const PRODUCTS: [Product; 3] = [Product::Milan, Product::Genoa, Product::Turin];

#[test]
fn an_honest_guest_of_each_product_and_version_is_authenticated() {
    for product in PRODUCTS {
        let host = host(product);
        for version in [2, 3, 5] {
            let spec = GuestSpec { version, ..GuestSpec::new(product, "test") };
            let bytes = host.attest(&spec, &ReportData([7; 64])).unwrap();
            let authenticated = check(&bytes, &trust(&host), NOW).unwrap();
            let snp = authenticated.snp().unwrap();
            assert!(authenticated.simulated());
            assert_eq!((snp.version, snp.product, snp.reported_tcb), (version, product, spec.reported_tcb));
            assert_eq!((snp.measurement, snp.report_data), (spec.measurement, ReportData([7; 64])));
            assert_eq!(snp.cpuid, (version >= 3).then_some(spec.cpuid));
            assert_eq!(snp.current_mit_vector, (version >= 5).then_some(0x3f));
            assert_eq!(snp.chip_id, Some(host.chip_id()));
            assert_eq!(authenticated.not_after(), host.created().plus(VCEK_LIFE));
        }
    }
}

#[test]
fn every_processor_model_of_a_product_is_taken_and_every_other_is_named() {
    for (product, family, model) in
        [(Product::Genoa, 0x19, 0xa0), (Product::Genoa, 0x19, 0xaf), (Product::Turin, 0x1a, 0x11)]
    {
        let bytes = altered_report(&host(product), |report| _ = report.put(field::CPUID, [family, model, 2]));
        assert!(check(&bytes, &trust(&host(product)), NOW).is_ok());
    }
    let host = host(Product::Milan);
    let cpu = |family, model| {
        refusal(&altered_report(&host, |r| _ = r.put(field::CPUID, [family, model, 1])), &host)
    };
    assert_eq!(cpu(0x19, 0x11), VerifyError::Product { expected: Product::Milan, got: Product::Genoa });
    assert_eq!(cpu(0x1a, 0x02), VerifyError::Product { expected: Product::Milan, got: Product::Turin });
    assert_eq!(cpu(0x1a, 0x60), VerifyError::UnknownCpu { family: 0x1a, model: 0x60 });
}

#[test]
fn a_report_that_no_guest_asked_for_is_refused() {
    let host = host(Product::Genoa);
    let vmpl = |value: u32| altered_report(&host, |report| _ = report.put(field::VMPL, value.to_le_bytes()));
    for value in 0..=3 {
        assert_eq!(check(&vmpl(value), &trust(&host), NOW).unwrap().snp().unwrap().vmpl, value);
    }
    assert_eq!(refusal(&vmpl(4), &host), VerifyError::Vmpl { got: 4 });
    assert_eq!(refusal(&vmpl(u32::MAX), &host), VerifyError::HostRequested);
}

#[test]
fn only_an_endorsement_key_may_have_signed() {
    let host = host(Product::Genoa);
    let signer = |info: u32| {
        refusal(&altered_report(&host, |r| _ = r.put(field::KEY_INFO, info.to_le_bytes())), &host)
    };
    assert_eq!(signer(7 << 2), VerifyError::NotSigned);
    for got in 2..=6 {
        assert_eq!(signer(u32::from(got) << 2), VerifyError::ReservedSigner { got });
    }
    for info in [2, 2 | 1 << 2, 2 | 7 << 2] {
        assert_eq!(signer(info), VerifyError::ChipKeyMasked);
    }
}

#[test]
fn version_4_is_believed_only_where_the_operator_says_so() {
    let host = host(Product::Milan);
    let spec = GuestSpec { version: 4, ..GuestSpec::new(Product::Milan, "test") };
    let bytes = host.attest(&spec, &ReportData([7; 64])).unwrap();
    assert_eq!(refusal(&bytes, &host), VerifyError::Version4);
    let snp = check(&bytes, &trust(&host).with_report_version_4(), NOW).unwrap().snp().unwrap().clone();
    assert_eq!((snp.version, snp.cpuid), (4, Some(spec.cpuid)));
    assert_eq!((snp.launch_mit_vector, snp.current_mit_vector), (None, None));
}

#[test]
fn venice_is_refused_by_its_name() {
    let host = host(Product::Turin);
    for model in [0x50, 0x57, 0x90, 0xaf, 0xc0, 0xc7] {
        let bytes = altered_report(&host, |report| _ = report.put(field::CPUID, [0x1a, model, 0]));
        let expected = VerifyError::UnsupportedProduct { name: "Venice", family: 0x1a, model };
        assert_eq!(refusal(&bytes, &host), expected);
    }
}

#[test]
fn tcb_versions_are_in_order_part_by_part() {
    // Microcode far lower in the version that bounds it, although it is higher as an integer.
    let host = host(Product::Genoa);
    let low = GuestSpec::default_tcb(Product::Genoa);
    let high = Tcb { bootloader: low.bootloader + 1, tee: 1, snp: low.snp + 1, microcode: 0xff, fmc: None };
    let usual = || GuestSpec {
        reported_tcb: low,
        committed_tcb: high,
        ..GuestSpec::new(Product::Genoa, "t").tcb(high)
    };
    let attest = |spec: &GuestSpec| host.attest(spec, &ReportData([7; 64])).unwrap();
    let snp = check(&attest(&usual()), &trust(&host), NOW).unwrap().snp().unwrap().clone();
    assert!(!snp.is_provisional());
    type Part = (&'static str, fn(&mut Tcb) -> &mut u8);
    let parts: [Part; 4] = [
        ("bootloader", |tcb| &mut tcb.bootloader),
        ("tee", |tcb| &mut tcb.tee),
        ("snp", |tcb| &mut tcb.snp),
        ("microcode", |tcb| &mut tcb.microcode),
    ];
    for (component, part) in parts {
        let mut spec = usual();
        let limit = part(&mut spec.reported_tcb).checked_sub(1);
        if let Some(limit) = limit {
            *part(&mut spec.committed_tcb) = limit;
            let (lower, higher, got) = ("reported", "committed", limit + 1);
            let expected = VerifyError::TcbOrder { component, lower, higher, limit, got };
            assert_eq!(refusal(&attest(&spec), &host), expected);
        }
        let mut spec = usual();
        let got = *part(&mut spec.current_tcb);
        *part(&mut spec.current_tcb) = got - 1;
        let (lower, higher) = ("committed", "current");
        let expected = VerifyError::TcbOrder { component, lower, higher, limit: got - 1, got };
        assert_eq!(refusal(&attest(&spec), &host), expected);
    }
}

#[test]
fn committed_firmware_is_not_newer_than_what_runs_and_older_is_provisional() {
    let host = host(Product::Genoa);
    let attest = |current, committed| {
        let usual = GuestSpec::new(Product::Genoa, "test");
        let spec = GuestSpec { current_firmware: current, committed_firmware: committed, ..usual };
        host.attest(&spec, &ReportData([7; 64])).unwrap()
    };
    for (limit, got) in [((1, 58, 3), (1, 58, 4)), ((1, 58, 3), (1, 59, 0)), ((1, 58, 3), (2, 0, 0))] {
        assert_eq!(refusal(&attest(limit, got), &host), VerifyError::FirmwareOrder { limit, got });
    }
    let authenticated = check(&attest((1, 58, 3), (1, 57, 9)), &trust(&host), NOW).unwrap();
    assert!(authenticated.snp().unwrap().is_provisional());
}

#[test]
fn each_part_of_the_tcb_must_be_the_certificates() {
    let milan = [
        "bootloader",
        "tee",
        "reserved (spl4)",
        "reserved (spl5)",
        "reserved (spl6)",
        "reserved (spl7)",
        "snp",
    ];
    let turin = ["fmc", "bootloader", "tee", "snp", "reserved (spl5)", "reserved (spl6)", "reserved (spl7)"];
    for (product, names) in [(Product::Milan, milan), (Product::Genoa, milan), (Product::Turin, turin)] {
        let host = host(product);
        for (byte, component) in names.into_iter().chain(["microcode"]).enumerate() {
            let mut tcb = [0; 8];
            let bytes = altered_report(&host, |report| {
                tcb = field::REPORTED_TCB.read(report.bytes_mut());
                tcb[byte] += 1;
                report.put(field::REPORTED_TCB, tcb);
            });
            let expected = if component.starts_with("reserved") {
                VerifyError::TcbReserved { field: "reported", byte, product, got: 1 }
            } else {
                VerifyError::Tcb {
                    certificate: Role::Vcek,
                    component,
                    expected: tcb[byte],
                    got: tcb[byte] - 1,
                }
            };
            assert_eq!(refusal(&bytes, &host), expected);
        }
    }
}

#[test]
fn each_part_of_the_certificates_tcb_must_be_the_reports() {
    type Part = (&'static [u32], &'static str, fn(Tcb) -> u8);
    let parts: [Part; 5] = [
        (amd::FMC_SPL, "fmc", |tcb| tcb.fmc.unwrap_or(0)),
        (amd::BOOTLOADER_SPL, "bootloader", |tcb| tcb.bootloader),
        (amd::TEE_SPL, "tee", |tcb| tcb.tee),
        (amd::SNP_SPL, "snp", |tcb| tcb.snp),
        (amd::MICROCODE_SPL, "microcode", |tcb| tcb.microcode),
    ];
    let host = host(Product::Turin);
    for (oid, component, part) in parts {
        let expected = part(GuestSpec::default_tcb(Product::Turin));
        let got = expected ^ 0x80;
        let bytes = altered_chain(&host, |spec| assert!(spec.vek.set_integer(oid, got)));
        assert_eq!(
            refusal(&bytes, &host),
            VerifyError::Tcb { certificate: Role::Vcek, component, expected, got }
        );
    }
    for (oid, component) in
        [(amd::SPL_5, "reserved (spl5)"), (amd::SPL_6, "reserved (spl6)"), (amd::SPL_7, "reserved (spl7)")]
    {
        let bytes = altered_chain(&host, |spec| assert!(spec.vek.set_integer(oid, 0xff)));
        assert_eq!(
            refusal(&bytes, &host),
            VerifyError::Tcb { certificate: Role::Vcek, component, expected: 0, got: 0xff }
        );
    }
}

#[test]
fn the_key_of_another_tcb_of_the_same_chip_is_refused() {
    let host = host(Product::Milan);
    let tcb = GuestSpec::default_tcb(Product::Milan);
    let older = Tcb { snp: tcb.snp - 1, ..tcb };
    let bytes = with_chain(&host, host.issue(&host.chain_spec(older).unwrap()).unwrap());
    let expected =
        VerifyError::Tcb { certificate: Role::Vcek, component: "snp", expected: tcb.snp, got: older.snp };
    assert_eq!(refusal(&bytes, &host), expected);
}

#[test]
fn numbers_from_128_on_are_read_as_der_writes_them() {
    for product in PRODUCTS {
        let host = host(product);
        let fmc = (product == Product::Turin).then_some(0xff);
        let tcb = Tcb { fmc, bootloader: 0x80, tee: 0x81, snp: 0xfe, microcode: 0xff };
        let bytes = host.attest(&GuestSpec::new(product, "test").tcb(tcb), &ReportData([7; 64])).unwrap();
        assert_eq!(check(&bytes, &trust(&host), NOW).unwrap().snp().unwrap().reported_tcb, tcb);
    }
}

#[test]
fn reserved_bytes_of_every_tcb_version_must_be_zero() {
    let host = host(Product::Turin);
    for (place, name) in
        [(field::CURRENT_TCB, "current"), (field::COMMITTED_TCB, "committed"), (field::LAUNCH_TCB, "launch")]
    {
        let bytes = altered_report(&host, |report| {
            let mut tcb = place.read(report.bytes_mut());
            tcb[6] = 9;
            report.put(place, tcb);
        });
        let expected = VerifyError::TcbReserved { field: name, byte: 6, product: Product::Turin, got: 9 };
        assert_eq!(refusal(&bytes, &host), expected);
    }
}

#[test]
fn the_chip_must_be_the_certificates() {
    for product in PRODUCTS {
        let host = host(product);
        let len = if product == Product::Turin { 8 } else { 64 };
        let chip = host.chip_id();
        let mut other = chip;
        other.0[len - 1] ^= 1;
        let expected = VerifyError::Chip { expected: other.0[..len].to_vec(), got: chip.0[..len].to_vec() };
        assert_eq!(refusal(&altered_report(&host, |r| _ = r.put(field::CHIP_ID, other.0)), &host), expected);

        let masked = altered_report(&host, |r| _ = r.put(field::CHIP_ID, [0; 64]));
        assert_eq!(refusal(&masked, &host), VerifyError::ChipIdMasked);
    }
}

#[test]
fn a_turin_chip_id_ends_after_eight_bytes() {
    let host = host(Product::Turin);
    let bytes = altered_report(&host, |report| report.bytes_mut()[0x1df] = 1);
    assert_eq!(refusal(&bytes, &host), VerifyError::ChipIdTail { product: Product::Turin, len: 8 });
}

#[test]
fn another_chips_certificate_is_refused() {
    let ours = host(Product::Genoa);
    let keys = std::sync::Arc::new(ours.keys().with_other_chip().unwrap());
    let other = simtee::SimHost::with_keys(keys, Product::Genoa, ours.created()).unwrap();
    let spec = other.chain_spec(GuestSpec::default_tcb(Product::Genoa)).unwrap();
    let bytes = with_chain(&ours, ours.issue(&spec).unwrap());
    let (expected, got) = (ours.chip_id().0.to_vec(), other.chip_id().0.to_vec());
    assert_eq!(refusal(&bytes, &ours), VerifyError::Chip { expected, got });
}

#[test]
fn what_sets_a_guest_apart_is_its_id_key_then_its_host_data_then_nothing() {
    let host = host(Product::Genoa);
    let identity = |id_key: u8, host_data: u8| {
        let bytes = altered_report(&host, |report| {
            report.put(field::ID_KEY_DIGEST, [id_key; 48]).put(field::HOST_DATA, [host_data; 32]);
        });
        let authenticated = check(&bytes, &trust(&host), NOW).unwrap();
        assert_eq!(authenticated.os_binding(), OsBinding::Launch);
        assert_eq!(authenticated.snp().unwrap().id_key_digest, (id_key != 0).then_some([id_key; 48]));
        authenticated.guest_identity()
    };
    assert_eq!(identity(1, 1), GuestIdentity::IdKey);
    assert_eq!(identity(0, 1), GuestIdentity::HostData);
    assert_eq!(identity(0, 0), GuestIdentity::None);
}

#[test]
fn an_author_key_counts_only_where_it_is_enabled() {
    let host = host(Product::Genoa);
    let author = |enabled: u32| {
        let bytes = altered_report(&host, |report| {
            report.put(field::AUTHOR_KEY_DIGEST, [5; 48]).put(field::KEY_INFO, enabled.to_le_bytes());
        });
        check(&bytes, &trust(&host), NOW).unwrap().snp().unwrap().author_key_digest
    };
    assert_eq!((author(1), author(0)), (Some([5; 48]), None));
}

#[test]
fn no_flipped_bit_of_a_chips_report_is_believed() {
    no_flipped_bit_is_believed(Product::Turin, &GuestSpec::new(Product::Turin, "test"));
}

#[test]
fn no_flipped_bit_of_a_providers_report_is_believed() {
    let spec = GuestSpec { version: 3, ..GuestSpec::new(Product::Milan, "test") };
    no_flipped_bit_is_believed(Product::Milan, &spec.at_provider(CSP_ID));
}

fn no_flipped_bit_is_believed(product: Product, spec: &GuestSpec) {
    let host = host(product);
    let anchors = trust(&host).with_report_version_4();
    let bytes = host.attest(spec, &ReportData([7; 64])).unwrap();
    assert_eq!(check(&bytes, &anchors, NOW).unwrap().snp().unwrap().cpuid, Some(spec.cpuid));
    let certificates = check_certificates(&bytes);
    for bit in 0..simtee::REPORT_LEN * 8 {
        let mut altered = bytes[..simtee::REPORT_LEN].to_vec();
        flip_bit(&mut altered, bit).unwrap();
        assert!(!is_believed(&altered, &certificates, &anchors), "bit {bit} of byte {:#x}", bit / 8);
    }
}

fn check_certificates(bytes: &[u8]) -> verify::Endorsements {
    let evidence = evidence::Evidence::parse(claims::EvidenceKind::SevSnp, bytes).unwrap();
    verify::Endorsements::from_evidence(&evidence)
}

fn is_believed(report: &[u8], endorsements: &verify::Endorsements, anchors: &TrustAnchors) -> bool {
    let evidence = evidence::Evidence::parse(claims::EvidenceKind::SevSnp, report);
    evidence.is_ok_and(|evidence| verify::authenticate(evidence, endorsements, anchors, NOW).is_ok())
}
