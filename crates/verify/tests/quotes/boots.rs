//! A simulated vTPM's boots, whose logs say more, less or something else than what was measured.

use simtee::vtpm::VTpm;
use simtee::vtpm::log::BootSpec;
use verify::tpm::boot::BootError;
use verify::{TpmVerifyError, VerifyError};

use crate::simulated::{BITS, boot, quoted, verify};

/// The refusal of a boot whose log was altered, over the PCRs that the altered events lead to.
fn boot_refusal(alter: impl FnOnce(&mut VTpm)) -> BootError {
    let mut vtpm = VTpm::generate().unwrap();
    alter(&mut vtpm);
    match verify(&vtpm, &quoted(&vtpm)).unwrap_err() {
        VerifyError::Tpm(TpmVerifyError::Boot(error)) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_log_says_nothing_that_the_quote_does_not() {
    use simtee::vtpm::log::{ACTION, BOOT_SERVICES_APPLICATION, IPL, SEPARATOR};
    let whole = |vtpm: &mut VTpm| vtpm.boot(&BootSpec::new("web"));
    let error = boot_refusal(|vtpm| {
        whole(vtpm);
        vtpm.log.push(11, IPL, [1; 32], b"never measured");
    });
    assert!(matches!(error, BootError::Replay { pcr: 11, .. }));
    let error = boot_refusal(|vtpm| {
        whole(vtpm);
        vtpm.extend(0, [1; 32]);
    });
    assert!(matches!(error, BootError::Replay { pcr: 0, .. }));
    let error = boot_refusal(|vtpm| {
        whole(vtpm);
        vtpm.measure(4, BOOT_SERVICES_APPLICATION, [1; 32], b"after the firmware is gone");
    });
    assert!(matches!(error, BootError::AfterExit { pcr: 4, .. }));
    let error = boot_refusal(|vtpm| {
        vtpm.measure_data(7, ACTION, b"UEFI Debug Mode");
        whole(vtpm);
    });
    assert_eq!(error, BootError::DebugMode { event: 0 });
    let error = boot_refusal(|vtpm| {
        vtpm.measure_data(2, SEPARATOR, &[1, 0, 0, 0]);
        whole(vtpm);
    });
    let got = claims::tpm::Digest(vec![1, 0, 0, 0]);
    assert_eq!(error, BootError::Separator { event: 0, pcr: 2, got });
    let error = boot_refusal(|vtpm| {
        vtpm.measure_data(2, SEPARATOR, &[0; 4]);
        whole(vtpm);
    });
    assert!(matches!(error, BootError::SeparatorRepeated { pcr: 2, .. }));
    let error = boot_refusal(|vtpm| {
        vtpm.measure(4, SEPARATOR, [1; 32], &[0; 4]);
        whole(vtpm);
    });
    assert_eq!(error, BootError::Unproven { event: 0, pcr: 4 });
    let error = boot_refusal(|vtpm| {
        vtpm.measure(4, IPL, [1; 32], b"an application under another type");
        whole(vtpm);
    });
    assert_eq!(error, BootError::EventType { event: 0, pcr: 4, kind: IPL });
}

#[test]
fn secure_boot_is_what_pcr_7_begins_with() {
    use simtee::vtpm::log::{GLOBAL, VARIABLE_DRIVER_CONFIG, variable};
    let on = variable(GLOBAL, "SecureBoot", &[1]);
    // Switched off, and a variable that says otherwise measured later by the operating system.
    let off = BootSpec { secure_boot: vec![0], ..BootSpec::new("web") };
    let booted = boot(&off);
    let facts = verify(&booted, &quoted(&booted)).unwrap();
    assert_eq!(facts.tpm().unwrap().boot.as_ref().unwrap().secure_boot, Some(false));
    let error = boot_refusal(|vtpm| {
        vtpm.boot(&off);
        vtpm.measure_data(7, VARIABLE_DRIVER_CONFIG, &on);
    });
    assert!(matches!(error, BootError::AfterExit { pcr: 7, .. }));
    // The firmware's own event under another type, so that the later one would be the first.
    let error = boot_refusal(|vtpm| {
        vtpm.boot(&off);
        let at = vtpm.log.events.iter().position(|event| event[0] == 7).unwrap();
        vtpm.log.events[at][4..8].copy_from_slice(&0x8000_00e0_u32.to_le_bytes());
    });
    let got = "an event of type 0x800000e0".to_owned();
    assert_eq!(error, BootError::VariableOrder { expected: "SecureBoot", got });
    // Its data changed, and its digest kept.
    let error = boot_refusal(|vtpm| {
        vtpm.boot(&off);
        let at = vtpm.log.events.iter().position(|event| event[0] == 7).unwrap();
        *vtpm.log.events[at].last_mut().unwrap() = 1;
    });
    assert!(matches!(error, BootError::Unproven { pcr: 7, .. }));
    // No PK: not on, whatever the variable says.
    let mut setup = BootSpec::new("web");
    setup.databases[0].clear();
    let booted = boot(&setup);
    let facts = verify(&booted, &quoted(&booted)).unwrap();
    assert_eq!(facts.tpm().unwrap().boot.as_ref().unwrap().secure_boot, Some(false));
}

/// An EFI_SIGNATURE_LIST of entries of one length.
fn list(kind: [u8; 16], entries: &[&[u8]]) -> Vec<u8> {
    let size = entries.first().map_or(17, |entry| 16 + entry.len());
    let sizes = [28 + size * entries.len(), 0, size].map(|size| (size as u32).to_le_bytes()).concat();
    entries.iter().fold([&kind[..], &sizes].concat(), |list, entry| [&list[..], &[9; 16], entry].concat())
}

#[test]
fn what_databases_hold_is_a_fact_where_it_was_quoted_and_can_be_read() {
    use claims::Sha256Digest;
    use claims::tpm::DatabaseEntries;
    use evidence::tpm::SignatureEntry;

    let entries = |vtpm: &VTpm, bits| {
        let quote = vtpm.quote(&vtpm.quote_spec(&[7; 32], bits).unwrap(), bits).unwrap();
        let facts = verify(vtpm, &quote).unwrap().tpm().unwrap().boot.clone().unwrap();
        (facts.db_entries, facts.dbx_entries)
    };
    let (certificate, other) = (&[0x30; 700], &[0x31; 900]);
    let mut spec = BootSpec::new("web");
    spec.databases[2] = [
        list(SignatureEntry::X509, &[other]),
        list(SignatureEntry::X509, &[certificate]),
        list(SignatureEntry::SHA256, &[&[5; 32]]),
        // Digests of other kinds, and of another length under this kind, are not among them.
        list([7; 16], &[&[6; 32]]),
        list(SignatureEntry::SHA256, &[&[6; 31]]),
    ]
    .concat();
    spec.databases[3] = list(SignatureEntry::SHA256, &[&[8; 32], &[4; 32], &[8; 32]]);
    let booted = boot(&spec);
    let mut certificates = [certificate as &[u8], other].map(|der| Sha256Digest(crypto::sha256(&[der])));
    certificates.sort();
    let db = DatabaseEntries { certificates: certificates.into(), hashes: vec![Sha256Digest([5; 32])] };
    let hashes = vec![Sha256Digest([4; 32]), Sha256Digest([8; 32])];
    let dbx = DatabaseEntries { certificates: Vec::new(), hashes };
    assert_eq!(entries(&booted, BITS), (Some(db), Some(dbx)));
    assert_eq!(entries(&booted, BITS & !(1 << 7)), (None, None));

    // No lists, and none at all.
    spec.databases[2] = b"db".to_vec();
    spec.databases[3].clear();
    assert_eq!(entries(&boot(&spec), BITS), (None, Some(DatabaseEntries::default())));
}

#[test]
fn what_an_operating_system_appends_is_no_fact_of_the_boot() {
    use simtee::vtpm::log::{EVENT_TAG, IPL};
    let mut vtpm = boot(&BootSpec::new("evil"));
    let good: Vec<u8> = ".cmdline\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    // A second section of the same name, and a third event in PCR 9: neither is told from the first.
    vtpm.measure(11, IPL, crypto::sha256(&[b".cmdline\0"]), &good);
    vtpm.measure(11, IPL, crypto::sha256(&[b"good command line"]), &good);
    let tagged = [&0x8f3b_22ed_u32.to_le_bytes()[..], &[0; 4]].concat();
    vtpm.measure(9, EVENT_TAG, crypto::sha256(&[b"good command line"]), &tagged);
    let facts = verify(&vtpm, &quoted(&vtpm)).unwrap();
    let facts = facts.tpm().unwrap().boot.clone().unwrap();
    assert!(facts.sections.is_empty());
    assert_eq!((facts.command_line, facts.initrd), (None, None));
}

#[test]
fn phases_lead_on_from_the_log_in_their_order() {
    let phases = |words: &[&str]| {
        let mut vtpm = boot(&BootSpec::new("web"));
        words.iter().for_each(|word| vtpm.extend(11, crypto::sha256(&[word.as_bytes()])));
        verify(&vtpm, &quoted(&vtpm)).map(|done| done.tpm().unwrap().boot.clone().unwrap().phases)
    };
    assert_eq!(phases(&["enter-initrd"]).unwrap(), ["enter-initrd"]);
    assert_eq!(phases(&["enter-initrd", "leave-initrd"]).unwrap().len(), 2);
    for wrong in [&["leave-initrd"][..], &["enter-initrd", "anything"]] {
        let error = phases(wrong).unwrap_err();
        assert!(matches!(error, VerifyError::Tpm(TpmVerifyError::Boot(BootError::Replay { pcr: 11, .. }))));
    }
}

#[test]
fn startup_locality_stands_in_front_once() {
    const NO_ACTION: u32 = 3;
    let locality = |value: u8| [&b"StartupLocality\0"[..], &[value]].concat();
    let mut vtpm = VTpm::generate().unwrap();
    vtpm.pcrs[0][31] = 3;
    vtpm.log.push(0, NO_ACTION, [0; 32], &locality(3));
    vtpm.boot(&BootSpec::new("web"));
    assert!(verify(&vtpm, &quoted(&vtpm)).is_ok());

    for (value, events) in [(1, 1), (3, 2)] {
        let error = boot_refusal(|vtpm| {
            (0..events).for_each(|_| vtpm.log.push(0, NO_ACTION, [0; 32], &locality(value)));
            vtpm.boot(&BootSpec::new("web"));
        });
        assert_eq!(error, BootError::StartupLocality { event: events - 1 });
    }
    let error = boot_refusal(|vtpm| {
        vtpm.boot(&BootSpec::new("web"));
        vtpm.log.push(0, NO_ACTION, [0; 32], &locality(3));
    });
    assert!(matches!(error, BootError::StartupLocality { .. }));
}
