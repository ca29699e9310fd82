//! Rule 7 of a log ([`super`]): what its digests prove.

use std::collections::BTreeSet;

use claims::tpm::{BOOT_PHASES, BootClaims, Digest, HashAlgorithm};
use evidence::tpm::{Event, EventLog};

use super::super::ak::digest;
use super::event::*;
use super::grammar::State;
use super::secure_boot::Variables;

/// The facts of a log that obeys the rules; `proven` are the PCRs that were quoted in the bank, and so replayed.
pub(super) fn of(
    log: &EventLog,
    bank: HashAlgorithm,
    proven: &BTreeSet<u8>,
    state: State,
    variables: Variables,
    phases: usize,
) -> BootClaims {
    let has = |pcr: u8| proven.contains(&pcr);
    let events = |pcr: u8| -> Vec<&Event> {
        let of_pcr = log.events.iter().filter(|event| event.pcr == u32::from(pcr) && extends(event));
        if has(pcr) { of_pcr.collect() } else { Vec::new() }
    };
    let [pk, kek, db, dbx] = variables.digests.map(|contents| has(7).then_some(contents));
    let [db_entries, dbx_entries] = variables.entries.map(|entries| entries.filter(|_| has(7)));
    let (command_line, initrd) = boot_options(&events(9), bank);
    let sections = sections(&events(11), bank);
    let phases = BOOT_PHASES.iter().take(phases).map(|phase| (*phase).to_owned());
    BootClaims {
        secure_boot: has(7).then_some(variables.enabled),
        pk,
        kek,
        db,
        dbx,
        db_entries,
        dbx_entries,
        applications: applications(&events(4), bank),
        phases: if has(11) { phases.collect() } else { Vec::new() },
        sections,
        command_line,
        initrd,
        boot_services_exited: has(5).then_some(state.exited),
    }
}

fn applications(events: &[&Event], bank: HashAlgorithm) -> Vec<Digest> {
    let applications = events.iter().filter(|event| event.kind == EV_EFI_BOOT_SERVICES_APPLICATION);
    applications.filter_map(|event| measured(event, bank)).collect()
}

/// Names and contents by turns, each name proven and there once; else nothing of it is a fact.
fn sections(events: &[&Event], bank: HashAlgorithm) -> Vec<(String, Digest)> {
    let (pairs, rest) = events.as_chunks::<2>();
    let all: Option<Vec<_>> = pairs.iter().map(|[name, contents]| section(name, contents, bank)).collect();
    let all = all.filter(|_| rest.is_empty()).unwrap_or_default();
    let names: BTreeSet<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    if names.len() == all.len() { all } else { Vec::new() }
}

/// A name is measured as ASCII with its NUL, and logged as UTF-16 (systemd-stub).
fn section(name: &Event, contents: &Event, bank: HashAlgorithm) -> Option<(String, Digest)> {
    let text = utf16(&name.data).filter(|_| name.kind == EV_IPL && contents.kind == EV_IPL)?;
    let bare = text.strip_suffix('\0').filter(|bare| bare.is_ascii() && !bare.contains('\0'))?;
    let proven = measured(name, bank)? == digest(bank, &[bare.as_bytes(), &[0]]);
    let same = name.data == contents.data;
    (proven && same).then_some(())?;
    Some((bare.to_owned(), measured(contents, bank)?))
}

/// Command line, then initial ramdisks, as the kernel's stub measures them; nothing else may be in the PCR.
fn boot_options(events: &[&Event], bank: HashAlgorithm) -> (Option<Digest>, Option<Digest>) {
    let tagged = |event: &Event, tag: u32| {
        let is_tagged = event.kind == EV_EVENT_TAG && event.data.starts_with(&tag.to_le_bytes());
        if is_tagged { measured(event, bank) } else { None }
    };
    match events {
        [only] => (tagged(only, LOAD_OPTIONS_TAG), None),
        [options, initrd] => match (tagged(options, LOAD_OPTIONS_TAG), tagged(initrd, INITRD_TAG)) {
            (Some(options), Some(initrd)) => (Some(options), Some(initrd)),
            _ => (None, None),
        },
        _ => (None, None),
    }
}

fn measured(event: &Event, bank: HashAlgorithm) -> Option<Digest> {
    event.digest(bank).map(|measured| Digest(measured.to_vec()))
}

/// Linux, `drivers/firmware/efi/libstub`: LOAD_OPTIONS_EVENT_TAG_ID.
const LOAD_OPTIONS_TAG: u32 = 0x8f3b_22ed;
/// Linux, likewise: INITRD_EVENT_TAG_ID.
const INITRD_TAG: u32 = 0x8f3b_22ec;

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: HashAlgorithm = HashAlgorithm::Sha256;

    fn event(pcr: u32, kind: u32, measured: &[u8], data: &[u8]) -> Event {
        Event { pcr, kind, digests: vec![(SHA256, measured.to_vec())], data: data.to_vec() }
    }

    /// The two events of a section: its name and its contents, as systemd's stub measures them.
    fn pair(name: &str) -> [Event; 2] {
        let data: Vec<u8> = format!("{name}\0").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let measured = crypto::sha256(&[name.as_bytes(), &[0]]);
        [event(11, EV_IPL, &measured, &data), event(11, EV_IPL, &[7; 32], &data)]
    }

    /// The sections of these two events after they were altered.
    fn altered(name: &str, alter: impl FnOnce(&mut [Event; 2])) -> Vec<(String, Digest)> {
        let mut pair = pair(name);
        alter(&mut pair);
        sections(&[&pair[0], &pair[1]], SHA256)
    }

    #[test]
    fn a_section_is_a_proven_name_and_the_contents_behind_it() {
        assert_eq!(altered(".linux", |_| ()), [(".linux".to_owned(), Digest(vec![7; 32]))]);
        let none = [] as [(String, Digest); 0];
        // Either event of another type; a name that is not what was measured; contents that name another section.
        assert_eq!(altered(".linux", |pair| pair[0].kind = EV_EVENT_TAG), none);
        assert_eq!(altered(".linux", |pair| pair[1].kind = EV_EVENT_TAG), none);
        assert_eq!(altered(".linux", |pair| pair[0].digests[0].1[0] ^= 1), none);
        assert_eq!(altered(".linux", |pair| pair[1].data[0] ^= 1), none);
        // Names that are no ASCII, that hold a NUL of their own, or end with none.
        assert_eq!(altered(".lin\u{fc}x", |_| ()), none);
        assert_eq!(altered(".linux\0", |_| ()), none);
        let cut = |pair: &mut [Event; 2]| pair.iter_mut().for_each(|event| event.data.truncate(12));
        assert_eq!(altered(".linux", cut), none);
    }

    #[test]
    fn sections_are_whole_pairs_of_different_names() {
        let (linux, initrd) = (pair(".linux"), pair(".initrd"));
        let count = |events: &[&Event]| sections(events, SHA256).len();
        assert_eq!(count(&[&linux[0], &linux[1], &initrd[0], &initrd[1]]), 2);
        assert_eq!(count(&[&linux[0], &linux[1], &initrd[0]]), 0);
        assert_eq!(count(&[&linux[0], &linux[1], &linux[0], &linux[1]]), 0);
    }

    #[test]
    fn a_command_line_and_a_ramdisk_are_all_that_pcr_9_may_hold() {
        let tagged = |kind: u32, tag: u32, measured: u8| event(9, kind, &[measured; 32], &tag.to_le_bytes());
        let (options, initrd) =
            (tagged(EV_EVENT_TAG, LOAD_OPTIONS_TAG, 1), tagged(EV_EVENT_TAG, INITRD_TAG, 2));
        let (first, second) = (Some(Digest(vec![1; 32])), Some(Digest(vec![2; 32])));
        assert_eq!(boot_options(&[&options], SHA256), (first.clone(), None));
        assert_eq!(boot_options(&[&options, &initrd], SHA256), (first, second));
        let loader = tagged(EV_IPL, LOAD_OPTIONS_TAG, 1);
        for others in [
            &[][..],
            &[&initrd],
            &[&loader],
            &[&loader, &initrd],
            &[&initrd, &options],
            &[&options, &options],
            &[&options, &initrd, &initrd],
        ] {
            assert_eq!(boot_options(others, SHA256), (None, None));
        }
    }
}
