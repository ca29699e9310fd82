//! Unified kernel images: PCR 4, 9 and 11 as a machine measured them, and what an image cannot decide.

use std::io::Cursor;

use measure::uki::{StubVersion, UkiError, UkiParts, Undecided};
use measure::{Bank, Digests, Pcr};
use proptest::prelude::*;

use crate::image::Image;
use crate::vectors;

const FOLDER: &str = "tpm/qemu-ovmf/tcg-snakeoil-uki";

/// The digests of the log's events for one PCR (TCG PC Client, 10.2: crypto-agile, SHA-256 and SHA-384).
fn logged(log: &[u8], pcr: u32) -> Vec<Digests> {
    let number = |at: usize| u32::from_le_bytes(log[at..at + 4].try_into().unwrap());
    let mut at = 32 + number(28) as usize;
    let mut found = Vec::new();
    while at < log.len() {
        assert_eq!(number(at + 8), 2, "two banks");
        let (sha256, sha384) = (at + 14, at + 48);
        if number(at) == pcr {
            let sha256 = log[sha256..sha256 + 32].try_into().unwrap();
            found.push(Digests { sha256, sha384: log[sha384..sha384 + 48].try_into().unwrap() });
        }
        at = sha384 + 48;
        at += 4 + number(at) as usize;
    }
    found
}

/// The image itself is not among the vectors: its own hash and those of kernel and initrd come from the log, the
/// rest from what is known of it.
#[test]
fn a_boots_values_follow_from_the_images_parts() {
    let read = |file: &str| vectors::read(&format!("{FOLDER}/{file}"));
    let Some(log) = read("eventlog.bin") else {
        return;
    };
    let (pcr4, pcr9, pcr11) = (logged(&log, 4), logged(&log, 9), logged(&log, 11));
    let line = read("cmdline.txt").unwrap().trim_ascii_end().to_vec();
    let sections = vec![
        (".linux", pcr11[1]),
        (".osrel", Digests::of(&[b"ID=cckr\nVERSION_ID=1\n"])),
        (".cmdline", Digests::of(&[&line])),
        (".initrd", pcr9[1]),
    ];
    let (stub, command_line) = (StubVersion::new(252).unwrap(), Some(line));
    let parts = UkiParts {
        stub,
        authenticode: pcr4[2],
        signing_adds: 0,
        sections,
        command_line,
        pcr_signature: false,
    };

    let events = |pcr: u32| parts.events().into_iter().filter(move |event| event.pcr == pcr);
    for (pcr, logged) in [(4, pcr4), (9, pcr9), (11, pcr11)] {
        assert_eq!(events(pcr).map(|event| event.digests).collect::<Vec<_>>(), logged, "pcr {pcr}");
    }
    let pcrs = String::from_utf8(read("pcrs.txt").unwrap()).unwrap();
    for bank in [Bank::Sha256, Bank::Sha384] {
        for index in [4, 9, 11] {
            let line = format!("{bank} {index} {}", parts.pcr(index, bank).unwrap());
            assert!(pcrs.lines().any(|found| found == line), "{line}");
        }
        assert_eq!(parts.pcr(12, bank), None);
    }
}

const MAGIC: &[u8] = b"#### LoaderInfo: systemd-stub 252.39-1~deb12u2 ####\0";
const LINE: &[u8] = b"console=ttyS0 quiet";

/// Sections in another order than they are measured in, with some that are not measured.
fn sections() -> Vec<(&'static str, &'static [u8])> {
    vec![
        (".text", &[1; 600]),
        (".sdmagic", MAGIC),
        (".initrd", &[4; 1000]),
        (".uname", b"6.12"),
        (".cmdline", LINE),
        (".osrel", b"ID=x\n"),
        (".linux", &[3; 3000]),
    ]
}

fn read(image: &Image, stub: Option<u16>) -> Result<UkiParts, UkiError> {
    UkiParts::read(&mut Cursor::new(image.file()), stub.map(|major| StubVersion::new(major).unwrap()))
}

fn with(section: &'static str, data: &'static [u8]) -> Image {
    let mut sections = sections();
    sections.retain(|(name, _)| *name != section);
    sections.push((section, data));
    Image::new(&sections)
}

fn without(section: &str) -> Image {
    let mut sections = sections();
    sections.retain(|(name, _)| *name != section);
    Image::new(&sections)
}

fn extended(events: &[&[u8]]) -> Pcr {
    let digests = events.iter().map(|event| Digests::of(&[event]));
    digests.fold(Pcr::new(Bank::Sha256), |pcr, digests| pcr.extended(&digests))
}

#[test]
fn an_image_is_measured_as_the_stub_does() {
    let parts = read(&Image::new(&sections()), None).unwrap();
    assert_eq!(parts.stub.major(), 252);
    let expected = extended(&[
        b".linux\0",
        &[3; 3000],
        b".osrel\0",
        b"ID=x\n",
        b".cmdline\0",
        LINE,
        b".initrd\0",
        &[4; 1000],
    ]);
    assert_eq!(parts.pcr(11, Bank::Sha256), Some(expected));
    let line: Vec<u8> = LINE.iter().flat_map(|byte| [*byte, 0]).chain([0, 0]).collect();
    assert_eq!(parts.pcr(9, Bank::Sha256), Some(extended(&[&line, &[4; 1000]])));

    let mut pcr = extended(&[b"Calling EFI Application from Boot Option", &[0; 4]]);
    pcr = pcr.extended(&parts.authenticode);
    assert_eq!(parts.pcr(4, Bank::Sha256), Some(pcr));
}

#[test]
fn a_later_stub_measures_more() {
    let measured = |stub| read(&Image::new(&sections()), Some(stub)).unwrap().sections;
    let names = |stub| measured(stub).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(252), [".linux", ".osrel", ".cmdline", ".initrd"]);
    assert_eq!(names(254), [".linux", ".osrel", ".cmdline", ".initrd", ".uname"]);
    for got in [0, 251, 253, 259] {
        assert!(matches!(StubVersion::new(got), Err(UkiError::Stub { got: found }) if found == got));
    }
    let order: Vec<&str> = StubVersion::new(258).unwrap().measured().collect();
    let expected = ".linux .osrel .cmdline .initrd .ucode .splash .dtb .uname .sbat .pcrpkey .profile .dtbauto \
                    .hwids .efifw";
    assert_eq!(order.join(" "), expected);
}

#[test]
fn a_section_goes_on_in_zeros_as_far_as_in_memory() {
    let mut image = Image::new(&sections());
    image.sections[6].1 = 5000;
    let zeros = [&[3; 3000][..], &[0; 2000]].concat();
    let linux = read(&image, None).unwrap().digests(".linux");
    assert_eq!(linux, Some(Digests::of(&[&zeros])));

    image.sections[6].1 = 100;
    assert_eq!(read(&image, None).unwrap().digests(".linux"), Some(Digests::of(&[&[3; 100]])));

    let limit = 256 * 1024 * 1024;
    let got = 3072 + 256 * 1024 * 1024 + 1;
    image.sections[6].1 = got;
    let error = read(&image, None).unwrap_err();
    assert!(
        matches!(error, UkiError::Stretched { name: ".linux", got: g, limit: l } if (g, l) == (got, limit))
    );
}

#[test]
fn what_an_image_does_not_decide_has_no_value() {
    let undecided = |image: Image, stub| {
        let parts = read(&image, Some(stub)).unwrap();
        assert_eq!(parts.pcr(9, Bank::Sha256).is_none(), parts.undecided().is_some());
        assert!(parts.pcr(4, Bank::Sha256).is_some() && parts.pcr(11, Bank::Sha256).is_some());
        parts.undecided()
    };
    assert_eq!(undecided(Image::new(&sections()), 252), None);
    assert_eq!(undecided(Image::new(&sections()), 256), None);
    assert_eq!(undecided(without(".cmdline"), 252), Some(Undecided::NoCommandLine));
    assert_eq!(undecided(with(".cmdline", b"\0quiet"), 252), Some(Undecided::NoCommandLine));
    for line in [&b"quiet\n"[..], b" quiet", b"a\tb", b"\xff"] {
        assert_eq!(undecided(with(".cmdline", line), 252), Some(Undecided::CommandLine));
    }
    assert_eq!(undecided(with(".cmdline", b"quiet\0\n"), 252), None);
    for name in [".pcrsig", ".pcrpkey"] {
        assert_eq!(undecided(with(name, b"{}"), 252), Some(Undecided::AddedToInitrd(name)));
    }
    assert_eq!(undecided(with(".ucode", b"u"), 255), None);
    assert_eq!(undecided(with(".ucode", b"u"), 256), Some(Undecided::AddedToInitrd(".ucode")));
    assert_eq!(undecided(Image::new(&sections()), 257), Some(Undecided::AddedToInitrd(".osrel")));
}

#[test]
fn signatures_of_pcr_11_do_not_change_it() {
    let pcr = |image: Image| read(&image, None).unwrap().pcr(11, Bank::Sha384);
    assert_eq!(pcr(with(".pcrsig", b"{}")), pcr(Image::new(&sections())));
    assert_ne!(pcr(with(".pcrpkey", b"{}")), pcr(Image::new(&sections())));
}

#[test]
fn other_images_are_refused() {
    assert!(matches!(read(&without(".linux"), None), Err(UkiError::NoKernel)));
    assert!(matches!(read(&without(".sdmagic"), None), Err(UkiError::StubMissing)));
    assert!(read(&without(".sdmagic"), Some(252)).is_ok());
    for magic in [&b"systemd-boot 252"[..], b"systemd-stub ", b"systemd-stub 99999999"] {
        assert!(matches!(read(&with(".sdmagic", magic), None), Err(UkiError::StubMissing)));
    }
    assert!(matches!(read(&with(".sdmagic", b"systemd-stub 251"), None), Err(UkiError::Stub { got: 251 })));
    let twice = [&sections()[..], &[(".osrel", b"ID=y\n")]].concat();
    assert!(matches!(read(&Image::new(&twice), None), Err(UkiError::Repeated { name: ".osrel" })));
    let long = &[b'a'; 64 * 1024 + 1];
    let limit = 64 * 1024;
    let error = read(&with(".cmdline", long), None).unwrap_err();
    assert!(matches!(error, UkiError::CommandLine { limit: l, got } if l == limit && got == limit + 1));
    let not_pe = UkiParts::read(&mut Cursor::new(b"#!/bin/sh"), None);
    assert!(matches!(not_pe, Err(UkiError::Pe(_))));
}

proptest! {
    // An image may ask for a few hundred MiB of zeros to be hashed.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_altered_image_is_measured_or_refused(
        changes in proptest::collection::vec((0_usize..1024, any::<u8>()), 1..10),
    ) {
        let mut file = Image::new(&sections()).file();
        for (at, byte) in changes {
            file[at] = byte;
        }
        if let Ok(parts) = UkiParts::read(&mut Cursor::new(file), None) {
            prop_assert!(parts.pcr(11, Bank::Sha256).is_some());
        }
    }
}
