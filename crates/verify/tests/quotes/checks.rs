//! One case for each way in which a quote, its key or its log can be wrong: altered, then signed or measured properly, so
//! that the check is reached, and its exact error.

use claims::tpm::{Digest, HashAlgorithm};
use claims::{EvidenceKind, UnixTime};
use evidence::Evidence;
use evidence::tpm::Public;
use simtee::vtpm::log::{
    BootSpec, GLOBAL, IMAGE_SECURITY, SEPARATOR, VARIABLE_DRIVER_CONFIG, event, variable,
};
use simtee::vtpm::{Quote, QuoteSpec, VTpm, evidence as parts};
use verify::tpm::boot::BootError;
use verify::tpm::credential::{EnrolError, Enrolling};
use verify::tpm::name_of;
use verify::{TpmVerifyError, TrustAnchors, VerifyError};

use crate::simulated::{BITS, boot, booted, object_name, quoted, table, verify};
use crate::table::{NOW, Table, activated, check};

fn refusal(vtpm: &VTpm, quote: &Quote) -> TpmVerifyError {
    match verify(vtpm, quote).unwrap_err() {
        VerifyError::Tpm(error) => error,
        other => panic!("{other}"),
    }
}

/// A quote without a log that says this about these named values.
fn quote_of(values: &[(u16, u8, Vec<u8>)], alter: impl FnOnce(&mut QuoteSpec)) -> Quote {
    let vtpm = booted();
    let mut spec = vtpm.quote_spec(&[7; 32], BITS).unwrap();
    spec.pcr_digest =
        crypto::sha256(&values.iter().map(|(_, _, value)| &value[..]).collect::<Vec<_>>()).to_vec();
    alter(&mut spec);
    let mut quote = vtpm.quote(&spec, BITS).unwrap();
    let named =
        values.iter().flat_map(|(bank, index, value)| [&bank.to_be_bytes()[..], &[*index], value].concat());
    quote.pcrs = named.collect();
    quote.log.clear();
    quote
}

#[test]
fn banks_stand_in_the_order_that_was_signed() {
    let values = [(0x0c, 0, vec![1; 48]), (0x0b, 0, vec![2; 32])];
    let right = quote_of(&values, |spec| spec.selection = vec![(0x0c, 1), (0x0b, 1)]);
    assert_eq!(verify(booted(), &right).unwrap().tpm().unwrap().pcrs[&0], Digest(vec![2; 32]));
    let turned = quote_of(&values, |spec| spec.selection = vec![(0x0b, 1), (0x0c, 1)]);
    let (expected, got) = ("sha256:0+sha384:0".to_owned(), "sha384:0+sha256:0".to_owned());
    assert_eq!(refusal(booted(), &turned), TpmVerifyError::Selection { expected, got });
}

#[test]
fn values_that_were_not_selected_are_refused_and_missing_ones() {
    let value = |index| (0x0b, index, vec![index; 32]);
    let more = quote_of(&[value(0), value(11)], |spec| spec.selection = vec![(0x0b, 1)]);
    let (expected, got) = ("sha256:0".to_owned(), "sha256:0,11".to_owned());
    assert_eq!(refusal(booted(), &more), TpmVerifyError::Selection { expected, got });
    let none = quote_of(&[], |spec| spec.selection = vec![(0x0b, 1)]);
    let (expected, got) = ("sha256:0".to_owned(), String::new());
    assert_eq!(refusal(booted(), &none), TpmVerifyError::Selection { expected, got });
}

#[test]
fn sha1_is_refused_alone_and_beside_another_bank() {
    let sha1 = quote_of(&[(0x04, 0, vec![1; 20])], |spec| spec.selection = vec![(0x04, 1)]);
    assert_eq!(refusal(booted(), &sha1), TpmVerifyError::Sha1Bank);
    let values = [(0x0b, 0, vec![2; 32]), (0x04, 0, vec![1; 20])];
    let both = quote_of(&values, |spec| spec.selection = vec![(0x0b, 1), (0x04, 1)]);
    assert_eq!(refusal(booted(), &both), TpmVerifyError::Sha1Bank);
}

#[test]
fn a_bank_without_claims_is_refused_by_name() {
    let sha512 = quote_of(&[(0x0d, 0, vec![1; 64])], |spec| spec.selection = vec![(0x0d, 1)]);
    assert_eq!(refusal(booted(), &sha512), TpmVerifyError::NoBank { got: HashAlgorithm::Sha512 });
}

#[test]
fn the_digest_is_of_the_signatures_hash() {
    let values = [(0x0b, 0, vec![1; 32])];
    let sha384 = crypto::sha384(&[&[1; 32]]).to_vec();
    let other = quote_of(&values, |spec| {
        spec.selection = vec![(0x0b, 1)];
        spec.pcr_digest.clone_from(&sha384);
    });
    let got = Digest(crypto::sha256(&[&[1; 32]]).to_vec());
    assert_eq!(refusal(booted(), &other), TpmVerifyError::PcrDigest { expected: Digest(sha384), got });
}

#[test]
fn what_software_resets_and_what_holds_nothing_is_no_claim() {
    let value = |index: u8| (0x0b, index, vec![if index == 4 { 0 } else { index + 1 }; 32]);
    let all: Vec<_> = (0..24).map(value).collect();
    let quote = quote_of(&all, |spec| spec.selection = vec![(0x0b, 0xff_ffff)]);
    let authenticated = verify(booted(), &quote).unwrap();
    let claimed: Vec<u8> = authenticated.tpm().unwrap().pcrs.keys().copied().collect();
    assert_eq!(claimed, [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
}

#[test]
fn an_enrolment_ends() {
    let vtpm = booted();
    let mut table = table(vtpm);
    let (name, not_after) = (table.0[0].0.clone(), UnixTime(NOW.0 - 1));
    table.0[0].1.not_after = not_after;
    let bytes = parts::tpm(&vtpm.ak_public().unwrap(), &quoted(vtpm));
    let evidence = || Evidence::parse(EvidenceKind::Tpm, &bytes).unwrap();
    let error = check(evidence(), &TrustAnchors::none(), &table, NOW).unwrap_err();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::AkExpired { name, not_after, now: NOW }));
    assert!(check(evidence(), &TrustAnchors::none(), &table, not_after).is_ok());
}

/// The refusal of a quote beside this public area, which is enrolled.
fn key_refusal(public: &[u8]) -> TpmVerifyError {
    let name = name_of(&Public::parse(public).unwrap());
    let evidence = Evidence::parse(EvidenceKind::Tpm, &parts::tpm(public, &quoted(booted()))).unwrap();
    let table = Table(vec![(name.clone(), activated(name, None))]);
    match check(evidence, &TrustAnchors::none(), &table, NOW).unwrap_err() {
        VerifyError::Tpm(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn keys_that_are_none_of_their_kind_are_refused_though_enrolled() {
    let good = booted().ak_public().unwrap();
    let mut stated = good.clone();
    stated[16..18].copy_from_slice(&3072_u16.to_be_bytes());
    let expected = "a modulus of as many bits as stated";
    assert_eq!(key_refusal(&stated), TpmVerifyError::AkKey { expected });
    let short = [&good[..16], &1024_u16.to_be_bytes(), &[0; 4], &[0, 128], &[0xc1; 128]].concat();
    let expected = "an rsa key of 2048 bits or more";
    assert_eq!(key_refusal(&short), TpmVerifyError::AkKey { expected });

    let ecc = |curve: u8, hash: u8, len: u8| {
        let head = [0, 0x23, 0, 0x0b, 0, 5, 0, 0x72, 0, 0, 0, 0x10, 0, 0x18, 0, hash, 0, curve, 0, 0x10];
        let number = [&[0, len][..], &vec![1; len.into()]].concat();
        [&head[..], &number, &number].concat()
    };
    let no_point = TpmVerifyError::AkKey { expected: "a point on its curve" };
    assert_eq!(key_refusal(&ecc(3, 0x0b, 32)), no_point);
    assert_eq!(key_refusal(&ecc(4, 0x0c, 48)), no_point);
    assert_eq!(key_refusal(&ecc(3, 0x0b, 33)), no_point);
    for (curve, hash, got) in
        [(3, 0x0c, "ecdsa with sha384 on p-256"), (4, 0x0b, "ecdsa with sha256 on p-384")]
    {
        assert_eq!(key_refusal(&ecc(curve, hash, 32)), TpmVerifyError::AkScheme { got: got.to_owned() });
    }
}

#[test]
fn a_keys_name_covers_its_attributes() {
    let good = booted().ak_public().unwrap();
    let mut unrestricted = good.clone();
    unrestricted[5] ^= 1;
    assert_ne!(object_name(&good), object_name(&unrestricted));
    let evidence = Evidence::parse(EvidenceKind::Tpm, &parts::tpm(&unrestricted, &quoted(booted()))).unwrap();
    let name = object_name(&unrestricted);
    let error = check(evidence, &TrustAnchors::none(), &table(booted()), NOW).unwrap_err();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::AkUnknown { name }));
}

/// A Name without a digest would be every such key's.
#[test]
fn a_key_named_by_sha1_is_refused_though_enrolled() {
    let mut sha1 = booted().ak_public().unwrap();
    sha1[2..4].copy_from_slice(&4_u16.to_be_bytes());
    let error = TpmVerifyError::AkName { got: HashAlgorithm::Sha1 };
    assert_eq!(key_refusal(&sha1), error);
    let public = |bytes: &[u8]| Public::parse(bytes).unwrap();
    let enrol = Enrolling::without_certificate(&public(&sha1), &public(&booted().ek_public().unwrap()));
    assert_eq!(enrol.unwrap_err(), EnrolError::Ak(error));
}

#[test]
fn an_exponent_that_encrypts_nothing_is_refused() {
    for exponent in [1_u32, 2, 65536] {
        let mut public = booted().ak_public().unwrap();
        public[18..22].copy_from_slice(&exponent.to_be_bytes());
        let expected = "an rsa key of 2048 bits or more";
        assert_eq!(key_refusal(&public), TpmVerifyError::AkKey { expected }, "{exponent}");
    }
}

/// Boots, lets `alter` change the log, and extends the PCRs anew by what it then says.
fn measured(alter: impl FnOnce(&mut Vec<Vec<u8>>)) -> VTpm {
    let mut vtpm = boot(&BootSpec::new("web"));
    alter(&mut vtpm.log.events);
    vtpm.pcrs = [[0; 32]; 24];
    for event in vtpm.log.events.clone() {
        vtpm.extend(event[0], event[14..46].try_into().unwrap());
    }
    vtpm
}

fn log_refusal(alter: impl FnOnce(&mut Vec<Vec<u8>>)) -> BootError {
    let vtpm = measured(alter);
    match refusal(&vtpm, &quoted(&vtpm)) {
        TpmVerifyError::Boot(error) => error,
        other => panic!("{other}"),
    }
}

/// An event whose digest is that of its data.
fn proven(pcr: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    event(pcr, kind, crypto::sha256(&[data]), data)
}

/// Where the separator of a PCR stands.
fn separator(events: &[Vec<u8>], pcr: u8) -> usize {
    events.iter().position(|event| event[0] == pcr && event[4..8] == SEPARATOR.to_le_bytes()).unwrap()
}

#[test]
fn firmware_measures_nothing_behind_its_separators() {
    for (pcr, kind) in [(0, 8), (2, 0x8000_0004), (3, VARIABLE_DRIVER_CONFIG), (6, 0x0c)] {
        let mut at = 0;
        let error = log_refusal(|events| {
            at = separator(events, pcr) + 1;
            events.insert(at, proven(pcr.into(), kind, b"too late"));
        });
        assert_eq!(error, BootError::AfterSeparator { event: at, pcr: pcr.into() });
    }
    for pcr in 0..8 {
        let error = log_refusal(|events| {
            let at = separator(events, pcr);
            events.remove(at);
        });
        assert_eq!(error, BootError::SeparatorMissing { pcr: pcr.into() });
    }
}

#[test]
fn secure_boot_variables_stand_in_their_order_once_each() {
    // SecureBoot, PK, KEK, db and dbx are events 1 to 5.
    let turned = log_refusal(|events| events.swap(2, 3));
    assert_eq!(turned, BootError::VariableOrder { expected: "PK", got: "`KEK`".to_owned() });
    let absent = log_refusal(|events| drop(events.remove(5)));
    let got = "an event of type 0x00000004".to_owned();
    assert_eq!(absent, BootError::VariableOrder { expected: "dbx", got });
    let vendor = log_refusal(|events| {
        events[1] = proven(7, VARIABLE_DRIVER_CONFIG, &variable(IMAGE_SECURITY, "SecureBoot", &[1]));
    });
    assert_eq!(vendor, BootError::VariableOrder { expected: "SecureBoot", got: "`SecureBoot`".to_owned() });
    let long = log_refusal(|events| {
        events[1] = proven(7, VARIABLE_DRIVER_CONFIG, &variable(GLOBAL, "SecureBoot", &[1, 0]));
    });
    assert_eq!(long, BootError::Variable { event: 1, expected: "SecureBoot to be one byte, 0 or 1" });
    let broken = log_refusal(|events| events[1] = proven(7, VARIABLE_DRIVER_CONFIG, b"no variable"));
    assert_eq!(broken, BootError::Variable { event: 1, expected: "guid, name and contents" });
    let expected = "none behind the separator, and none of the five twice";
    let five = ["SecureBoot", "PK", "KEK", "db", "dbx"].map(|name| (6, name));
    for (at, name) in [&five[..], &[(7, "BootOrder")]].concat() {
        let again = log_refusal(|events| {
            events.insert(at, proven(7, VARIABLE_DRIVER_CONFIG, &variable(GLOBAL, name, &[1])));
        });
        assert_eq!(again, BootError::Variable { event: at, expected });
    }
    // Another one in front of the separator is the firmware's own business, as long as it says what it measured.
    let audit = variable(GLOBAL, "AuditMode", &[0]);
    let more = measured(|events| events.insert(6, proven(7, VARIABLE_DRIVER_CONFIG, &audit)));
    assert_eq!(
        verify(&more, &quoted(&more)).unwrap().tpm().unwrap().boot.as_ref().unwrap().secure_boot,
        Some(true)
    );
    let error = log_refusal(|events| events.insert(6, event(7, VARIABLE_DRIVER_CONFIG, [1; 32], &audit)));
    assert_eq!(error, BootError::Unproven { event: 6, pcr: 7 });
}

#[test]
fn an_authority_that_signed_what_ran_is_in_db() {
    const AUTHORITY: u32 = 0x8000_00e0;
    let authority = |contents: &[u8]| proven(7, AUTHORITY, &variable(IMAGE_SECURITY, "db", contents));
    let (owner, certificate) = ([0x6b; 16], b"a certificate");
    let entry = [&owner[..], certificate].concat();
    let entry_len = u32::try_from(entry.len()).unwrap();
    let list =
        |len: u32| [&[0xa1; 16][..], &len.to_le_bytes(), &[0; 4], &entry_len.to_le_bytes(), &entry].concat();
    let db = |events: &mut Vec<Vec<u8>>, contents: &[u8]| {
        events[4] = proven(7, VARIABLE_DRIVER_CONFIG, &variable(IMAGE_SECURITY, "db", contents));
    };
    let whole = list(28 + entry_len);
    for contents in [&entry[..], certificate] {
        let within = measured(|events| {
            db(events, &whole);
            events.insert(7, authority(contents));
        });
        assert!(verify(&within, &quoted(&within)).is_ok());
    }
    // Parts of an entry, the owner alone, several entries' worth of bytes: none of these signed anything.
    for contents in [&b"another"[..], b"", &entry[1..], &certificate[1..], &owner, &whole] {
        let error = log_refusal(|events| {
            db(events, &whole);
            events.insert(7, authority(contents));
        });
        assert_eq!(error, BootError::Authority { event: 7 });
    }
    // A db that is no list has no entries.
    for broken in [list(29 + entry_len), entry.clone()] {
        let error = log_refusal(|events| {
            db(events, &broken);
            events.insert(7, authority(&entry));
        });
        assert_eq!(error, BootError::Authority { event: 7 });
    }
}

/// Types are words of the log's sender: events that say what is wrong must not pass for events that say nothing.
#[test]
fn no_event_hides_under_another_type() {
    const ACTION: u32 = 0x8000_0007;
    const OMIT: u32 = 0x12;
    let relabel = |event: &mut Vec<u8>, kind: u32| event[4..8].copy_from_slice(&kind.to_le_bytes());
    // An application whose hashed bytes stand there as an action's words, and as a note that attempts were omitted.
    let evil = b"MZ and so on, as Authenticode hashes it";
    for kind in [ACTION, OMIT] {
        let mut at = 0;
        let error = log_refusal(|events| {
            at = separator(events, 4) + 1;
            events.insert(at, proven(4, kind, evil));
        });
        assert_eq!(error, BootError::Action { event: at, pcr: 4 });
    }
    // All that firmware measured into PCR 7 as actions, and what the operating system would like to have been measured
    // behind it. The order between PCRs is the sender's too, so that it stands in front of the end of boot services.
    let error = log_refusal(|events| {
        let good: Vec<_> = events.iter().filter(|event| event[0] == 7).cloned().collect();
        events[1] = proven(7, VARIABLE_DRIVER_CONFIG, &variable(GLOBAL, "SecureBoot", &[0]));
        for event in events.iter_mut().filter(|event| event[0] == 7) {
            relabel(event, ACTION);
        }
        let end = events.len() - 2;
        events.splice(end..end, good);
    });
    assert_eq!(error, BootError::Action { event: 1, pcr: 7 });
    // What firmware says there is taken.
    let right = measured(|events| {
        events.insert(1, proven(7, ACTION, b"DMA Protection Disabled"));
        let at = events.len() - 2;
        events.insert(at, proven(4, ACTION, b"Returning from EFI Application from Boot Option"));
        events.insert(at, proven(4, OMIT, b"BOOT ATTEMPTS OMITTED"));
    });
    assert!(verify(&right, &quoted(&right)).is_ok());
}

#[test]
fn an_action_says_what_it_measured() {
    for (kind, words) in [(0x8000_0007, &b"Calling EFI Application"[..]), (0x12, b"BOOT ATTEMPTS OMITTED")] {
        let error = log_refusal(|events| events.insert(0, event(4, kind, [1; 32], words)));
        assert_eq!(error, BootError::Unproven { event: 0, pcr: 4 });
    }
}

/// What a boot loader measures, as EV_IPL, belongs to the operating system's PCRs.
#[test]
fn a_loaders_events_are_in_none_of_the_firmwares_pcrs() {
    const IPL: u32 = 0x0d;
    for pcr in 0..=7 {
        let error = log_refusal(|events| events.insert(0, proven(pcr, IPL, b"grub_cmd")));
        assert_eq!(error, BootError::EventType { event: 0, pcr, kind: IPL });
    }
    let above = measured(|events| (8..=15).for_each(|pcr| events.push(proven(pcr, IPL, b"grub_cmd"))));
    assert!(verify(&above, &quoted(&above)).is_ok());
}

#[test]
fn boot_services_ended_only_where_the_firmware_says_that_they_did() {
    let exited = |vtpm: VTpm| {
        let authenticated = verify(&vtpm, &quoted(&vtpm)).unwrap();
        authenticated.tpm().unwrap().boot.as_ref().unwrap().boot_services_exited
    };
    assert_eq!(exited(measured(|_| ())), Some(true));
    assert_eq!(exited(measured(|events| drop(events.pop()))), Some(false));
    let without_call = measured(|events| {
        let last = events.len() - 2;
        events.remove(last);
    });
    assert_eq!(exited(without_call), Some(false));
    // A call that failed is over: success takes another one.
    let action = |words: &str| proven(5, 0x8000_0007, words.as_bytes());
    let failed = || action("Exit Boot Services Returned with Failure");
    let after_failure = measured(|events| {
        let success = events.len() - 1;
        events.insert(success, failed());
    });
    assert_eq!(exited(after_failure), Some(false));
    let called_again = measured(|events| {
        let success = events.len() - 1;
        events.splice(success..success, [failed(), action("Exit Boot Services Invocation")]);
    });
    assert_eq!(exited(called_again), Some(true));
}
