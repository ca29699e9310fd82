//! What a guest foresees of its next boot is what the same machine measures once it has booted so.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::io::Cursor;
use std::sync::{Arc, OnceLock};

use agent::foresee::{ForeseeError, foresee};
use claims::EvidenceKind;
use claims::tpm::{BOOT_PHASES, Digest, HashAlgorithm};
use evidence::Evidence;
use image::Image;
use measure::uki::UkiParts;
use measure::{Bank, SignatureLists};
use simtee::vtpm::log::{ACTION, BootSpec, GLOBAL, VARIABLE_DRIVER_CONFIG, variable};
use simtee::vtpm::{KeyPair, VTpm, evidence as parts};
use wire::{PredictedPcr, Prediction};

#[path = "../../measure/tests/measure/image.rs"]
mod image;

const COMMAND_LINE: &str = "root=/dev/vda quiet";

fn vtpm() -> VTpm {
    static KEYS: OnceLock<Arc<KeyPair>> = OnceLock::new();
    VTpm::with_keys(Arc::clone(KEYS.get_or_init(|| Arc::new(KeyPair::generate().unwrap()))))
}

/// The sections of an image in a file, and the image.
fn uki(kernel: &str, sections: &[(&'static str, &[u8])]) -> UkiParts {
    let magic = b"#### LoaderInfo: systemd-stub 252.39-1 ####";
    let all = [&[(".linux", kernel.as_bytes())], sections, &[(".sdmagic", magic)]].concat();
    UkiParts::read(&mut Cursor::new(Image::new(&all).file()), None).unwrap()
}

fn sections() -> [(&'static str, &'static [u8]); 3] {
    [(".osrel", b"ID=test\n"), (".cmdline", COMMAND_LINE.as_bytes()), (".initrd", b"initial ramdisk")]
}

/// What a machine does that boots this image.
fn boot_of(kernel: &str, parts: &UkiParts, dbx: &[u8]) -> BootSpec {
    let [pk, kek, db, _] = BootSpec::new("machine").databases;
    let named = |(name, contents): (&str, &[u8])| (name.to_owned(), contents.to_vec());
    BootSpec {
        databases: [pk, kek, db, dbx.to_vec()],
        applications: vec![parts.authenticode.sha256],
        sections: [(".linux", kernel.as_bytes())].into_iter().chain(sections()).map(named).collect(),
        command_line: COMMAND_LINE.to_owned(),
        initrd: b"initial ramdisk".to_vec(),
        ..BootSpec::new("machine")
    }
}

/// A machine that has booted, and passed these phases.
fn booted(spec: &BootSpec, phases: usize) -> VTpm {
    let mut vtpm = vtpm();
    vtpm.boot(spec);
    for phase in BOOT_PHASES.iter().take(phases) {
        vtpm.extend(11, crypto::sha256(&[phase.as_bytes()]));
    }
    vtpm
}

fn evidence(vtpm: &VTpm, bits: u32) -> Evidence {
    let quote = vtpm.quote(&vtpm.quote_spec(&[0; 32], bits).unwrap(), bits).unwrap();
    Evidence::parse(EvidenceKind::Tpm, &parts::tpm(&vtpm.ak_public().unwrap(), &quote)).unwrap()
}

fn dbx(hash: u8) -> Vec<u8> {
    let head = [28 + 48, 0, 48_u32].map(u32::to_le_bytes).concat();
    [&[7; 16][..], &head, &[8; 16], &[hash; 32]].concat()
}

const ALL: u32 = 0xffff;

#[test]
fn what_is_foreseen_is_what_will_be_measured() {
    let (old, new) = (uki("kernel 1", &sections()), uki("kernel 2", &sections()));
    let (old_dbx, new_dbx) = (dbx(1), dbx(2));
    let lists = SignatureLists::parse(&new_dbx).unwrap();
    for phases in [0, 3, BOOT_PHASES.len()] {
        let now = booted(&boot_of("kernel 1", &old, &old_dbx), phases);
        let then = booted(&boot_of("kernel 2", &new, &new_dbx), phases);
        let foreseen = foresee(&evidence(&now, ALL), Some(&new), Some(&lists)).unwrap();
        assert_eq!(foreseen.notes, Vec::<String>::new());
        let Prediction { bank, pcrs, image, dbx } = foreseen.prediction;
        assert_eq!(bank, HashAlgorithm::Sha256);
        let measured = |index: u8| Some(Digest(then.pcrs[usize::from(index)].to_vec()));
        let all = [4, 7, 9, 11].map(|index| PredictedPcr { index, value: measured(index) });
        assert_eq!(pcrs, all, "{phases} phases");
        // Whatever else the machine measures stays as it is.
        let same = |index: &usize| now.pcrs[*index] == then.pcrs[*index];
        assert_eq!((0..16).filter(|index| !same(index)).collect::<Vec<_>>(), [4, 7, 11]);
        let image = image.unwrap();
        let sha256 = |bytes: &[u8]| Digest(crypto::sha256(&[bytes]).to_vec());
        assert_eq!(image.application.0, new.authenticode.sha256);
        let names: Vec<&str> = image.sections.iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, [".linux", ".osrel", ".cmdline", ".initrd"]);
        assert_eq!(image.sections[0].digest, sha256(b"kernel 2"));
        let line: Vec<u8> = COMMAND_LINE.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        assert_eq!(image.command_line, Some(sha256(&line)));
        assert_eq!(image.initrd, Some(sha256(b"initial ramdisk")));
        assert_eq!(dbx, Some(new_dbx.clone()));
    }
}

#[test]
fn only_what_is_quoted_is_foreseen() {
    let (old, new) = (uki("kernel 1", &sections()), uki("kernel 2", &sections()));
    let now = booted(&boot_of("kernel 1", &old, &dbx(1)), 0);
    let foreseen = foresee(&evidence(&now, 1 << 4 | 1 << 7), Some(&new), None).unwrap();
    let indices: Vec<u8> = foreseen.prediction.pcrs.iter().map(|pcr| pcr.index).collect();
    assert_eq!((indices, foreseen.prediction.dbx), (vec![4], None));
    let pcrs = "4, 9 and 11";
    assert_eq!(foresee(&evidence(&now, 1 << 7), Some(&new), None), Err(ForeseeError::NotQuoted { pcrs }));
    let new_dbx = dbx(2);
    let lists = SignatureLists::parse(&new_dbx).unwrap();
    let pcrs = "7";
    assert_eq!(foresee(&evidence(&now, 1 << 4), None, Some(&lists)), Err(ForeseeError::NotQuoted { pcrs }));
}

#[test]
fn what_an_image_does_not_decide_is_not_guessed() {
    let old = uki("kernel 1", &sections());
    let bare = uki("kernel 2", &[(".initrd", b"initial ramdisk")]);
    let now = booted(&boot_of("kernel 1", &old, &dbx(1)), 0);
    let foreseen = foresee(&evidence(&now, ALL), Some(&bare), None).unwrap();
    assert_eq!(foreseen.prediction.pcrs[1], PredictedPcr { index: 9, value: None });
    let why = "PCR 9 cannot be foreseen: the image has no .cmdline: its boot entry decides the command line. Rules \
        that read it find none.";
    assert_eq!(foreseen.notes, [why]);
    let image = foreseen.prediction.image.unwrap();
    assert_eq!((image.command_line, image.initrd), (None, None));
}

#[test]
fn firmware_that_measures_more_is_followed_and_named() {
    let (old, new) = (uki("kernel 1", &sections()), uki("kernel 2", &sections()));
    let boot = |parts: &UkiParts, kernel: &str| {
        let mut vtpm = vtpm();
        vtpm.measure_data(4, ACTION, b"Booting BCV Device 80h");
        vtpm.boot(&boot_of(kernel, parts, &dbx(1)));
        vtpm
    };
    let (now, then) = (boot(&old, "kernel 1"), boot(&new, "kernel 2"));
    let foreseen = foresee(&evidence(&now, ALL), Some(&new), None).unwrap();
    let value = Some(Digest(then.pcrs[4].to_vec()));
    assert_ne!(value, new.pcr(4, Bank::Sha256).map(|pcr| Digest(pcr.as_bytes().to_vec())));
    assert_eq!(foreseen.prediction.pcrs[0], PredictedPcr { index: 4, value });
    assert!(foreseen.notes[0].starts_with("This firmware measures more into PCR 4"), "{:?}", foreseen.notes);
}

#[test]
fn another_way_to_boot_is_refused() {
    let (old, new) = (uki("kernel 1", &sections()), uki("kernel 2", &sections()));
    let usual = boot_of("kernel 1", &old, &dbx(1));
    let refusal = |vtpm: &VTpm| foresee(&evidence(vtpm, ALL), Some(&new), None).unwrap_err();
    for applications in [Vec::new(), vec![[1; 32], [2; 32]]] {
        let got = applications.len();
        let booted = booted(&BootSpec { applications, ..usual.clone() }, 0);
        assert_eq!(refusal(&booted), ForeseeError::Applications { got });
    }
    for pcr in [4, 9, 11] {
        let mut extended = booted(&usual, 0);
        let got = Digest(extended.pcrs[usize::from(pcr)].to_vec());
        extended.extend(pcr, [7; 32]);
        let expected = Digest(extended.pcrs[usize::from(pcr)].to_vec());
        assert_eq!(refusal(&extended), ForeseeError::Replay { pcr, expected, got });
    }
    let mut unlogged = booted(&usual, 0);
    unlogged.log.events.clear();
    assert_eq!(refusal(&unlogged), ForeseeError::NoLog);
    let report = simtee_report();
    let kind = EvidenceKind::SevSnp;
    assert_eq!(foresee(&report, Some(&new), None), Err(ForeseeError::NoTpm { kind }));
}

fn simtee_report() -> Evidence {
    let keys = simtee::kept_keys!().unwrap();
    let now = claims::UnixTime(1_790_000_000);
    let host = simtee::SimHost::with_keys(keys.into(), claims::snp::Product::Genoa, now).unwrap();
    let guest = host.launch(&simtee::GuestSpec::new(claims::snp::Product::Genoa, "web")).unwrap();
    let report = guest.attest(&claims::ReportData([0; 64])).unwrap();
    Evidence::parse(EvidenceKind::SevSnp, &report).unwrap()
}

#[test]
fn a_dbx_is_replaced_where_the_log_has_one_that_it_measured() {
    let new_dbx = dbx(2);
    let lists = SignatureLists::parse(&new_dbx).unwrap();
    let refusal = |vtpm: &VTpm| foresee(&evidence(vtpm, ALL), None, Some(&lists)).unwrap_err();
    let mut without = vtpm();
    without.measure_data(7, VARIABLE_DRIVER_CONFIG, &variable(GLOBAL, "dbx", b"another vendor's"));
    assert_eq!(refusal(&without), ForeseeError::Dbx { got: 0 });
    let old = uki("kernel 1", &sections());
    let mut twice = booted(&boot_of("kernel 1", &old, &dbx(1)), 0);
    let contents = variable(simtee::vtpm::log::IMAGE_SECURITY, "dbx", &dbx(3));
    twice.measure_data(7, VARIABLE_DRIVER_CONFIG, &contents);
    assert_eq!(refusal(&twice), ForeseeError::Dbx { got: 2 });
    // An event that measured something else than it says is none.
    let mut unproven = vtpm();
    unproven.measure(7, VARIABLE_DRIVER_CONFIG, [5; 32], &contents);
    assert_eq!(refusal(&unproven), ForeseeError::Dbx { got: 0 });
    let mut extended = booted(&boot_of("kernel 1", &old, &dbx(1)), 0);
    extended.extend(7, [7; 32]);
    assert!(matches!(refusal(&extended), ForeseeError::Replay { pcr: 7, .. }));
}
