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
    let (command_line, initrd) = boot_options(&events(9), bank);
    let sections = sections(&events(11), bank);
    let phases = BOOT_PHASES.iter().take(phases).map(|phase| (*phase).to_owned());
    BootClaims {
        secure_boot: has(7).then_some(variables.enabled),
        pk,
        kek,
        db,
        dbx,
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
