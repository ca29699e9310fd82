//! PE images: the Authenticode hash covers what it should, each defect has its error, and no bytes make a panic.

use std::io::Cursor;

use measure::{Digests, PeError, PeImage};
use proptest::prelude::*;

use crate::image::{CHECKSUM, DIRECTORY, HEADERS, Image, TABLE, padded, put};

fn image() -> Image {
    Image { rest: vec![7; 40], ..Image::new(&[(".text", &[1; 700]), (".data", &[2; 512]), (".bss", &[])]) }
}

fn parse(file: &[u8]) -> Result<PeImage, PeError> {
    PeImage::read(&mut Cursor::new(file)).unwrap()
}

fn authenticode(file: &[u8]) -> Digests {
    parse(file).unwrap().authenticode(&mut Cursor::new(file)).unwrap()
}

#[test]
fn the_hash_covers_all_but_checksum_and_certificates() {
    let file = image().file();
    let parts = [&file[..CHECKSUM], &file[CHECKSUM + 4..DIRECTORY], &file[DIRECTORY + 8..]];
    assert_eq!(authenticode(&file), Digests::of(&parts));

    let signed = Image { certificates: vec![9; 64], checksum: 1, ..image() }.file();
    assert_eq!(authenticode(&signed), authenticode(&file));

    for at in (0..file.len()).step_by(7) {
        let mut altered = file.clone();
        altered[at] ^= 1;
        let skipped = (CHECKSUM..CHECKSUM + 4).contains(&at) || (DIRECTORY..DIRECTORY + 8).contains(&at);
        if let Ok(parsed) = parse(&altered) {
            let hash = parsed.authenticode(&mut Cursor::new(&altered)).unwrap();
            assert_eq!(hash == authenticode(&file), skipped, "{at:#x}");
        }
    }
}

#[test]
fn sections_are_hashed_in_the_order_of_the_file() {
    let file = image().file();
    let mut swapped = file.clone();
    let (first, second) = (file[TABLE..TABLE + 40].to_vec(), file[TABLE + 40..TABLE + 80].to_vec());
    put(&mut swapped, TABLE, &second);
    put(&mut swapped, TABLE + 40, &first);
    let parts = [&swapped[..CHECKSUM], &swapped[CHECKSUM + 4..DIRECTORY], &swapped[DIRECTORY + 8..]];
    assert_eq!(authenticode(&swapped), Digests::of(&parts));
}

#[test]
fn an_image_without_a_certificate_entry_is_hashed_whole() {
    let mut file = image().file();
    put(&mut file, 0x80 + 24 + 108, &4_u32.to_le_bytes());
    assert_eq!(authenticode(&file), Digests::of(&[&file[..CHECKSUM], &file[CHECKSUM + 4..]]));
}

#[test]
fn sections_are_read_as_they_were_written() {
    let parsed = parse(&image().file()).unwrap();
    let found: Vec<_> =
        parsed.sections().iter().map(|s| (s.name.as_str(), s.virtual_len, s.file.clone())).collect();
    let end = HEADERS as u64 + padded(&[1; 700]).len() as u64;
    let expected = [
        (".text", 700, HEADERS as u64..end),
        (".data", 512, end..end + 512),
        (".bss", 0, end + 512..end + 512),
    ];
    assert_eq!(found, expected);
}

#[test]
fn other_files_are_refused() {
    let file = image().file();
    let changed = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        put(&mut file, at, bytes);
        parse(&file).unwrap_err()
    };
    assert_eq!(parse(b"").unwrap_err(), PeError::NotPe { expected: "`MZ` at its start" });
    let elsewhere = PeError::NotPe { expected: "`PE` where the DOS header says" };
    assert_eq!(parse(b"MZ").unwrap_err(), elsewhere);
    assert_eq!(changed(0x3c, &[0xff; 4]), elsewhere);
    let optional = PeError::NotPe { expected: "an optional header of PE32 or PE32+" };
    assert_eq!(changed(0x80 + 24, &[7]), optional);
    assert_eq!(parse(&file[..0x80 + 10]).unwrap_err(), PeError::Headers { what: "the COFF header" });
}

#[test]
fn headers_lie_within_what_they_say() {
    let file = image().file();
    let changed = |at: usize, number: u32, len: usize| {
        let mut file = file.clone();
        put(&mut file, at, &number.to_le_bytes()[..len]);
        parse(&file).unwrap_err()
    };
    let headers = |what| PeError::Headers { what };
    let size = 0x80 + 24 + 60;
    assert_eq!(changed(size, TABLE as u32 + 119, 4), headers("the section table"));
    assert_eq!(changed(size, u32::MAX, 4), headers("the section table"));
    assert_eq!(changed(0x80 + 20, 60, 2), headers("SizeOfHeaders"));
    assert_eq!(changed(0x80 + 20, 64, 2), headers("the checksum"));
    assert_eq!(changed(0x80 + 20, 100, 2), headers("the number of data directories"));
    assert_eq!(changed(0x80 + 20, 148, 2), headers("the certificate table's entry"));
    assert_eq!(changed(0x80 + 20, 0xffff, 2), headers("the section table"));
    assert_eq!(changed(0x86, 97, 2), PeError::TooMany { limit: 96, got: 97 });
    assert_eq!(changed(0x86, 96, 2), headers("the section table"));
    assert_eq!(changed(TABLE, u32::MAX, 4), PeError::Name { index: 0 });
    assert_eq!(changed(TABLE + 2, 0, 1), PeError::Name { index: 0 });
}

#[test]
fn sections_lie_in_the_file_and_apart() {
    let file = Image { certificates: vec![9; 64], ..image() }.file();
    let end = file.len() as u64 - 64;
    let outside = |name: &str| PeError::Outside { name: name.to_owned(), start: HEADERS as u64, end };
    let overlap = |first: &str, second: &str, place| {
        let (first, second) = (first.to_owned(), second.to_owned());
        PeError::Overlap { first, second, place }
    };
    let changed = |section: usize, field: usize, number: u32| {
        let mut file = file.clone();
        put(&mut file, TABLE + 40 * section + 8 + 4 * field, &number.to_le_bytes());
        parse(&file).unwrap_err()
    };
    assert_eq!(changed(0, 3, HEADERS as u32 - 1), outside(".text"));
    assert_eq!(changed(1, 2, 512 + 40 + 1), outside(".data"));
    assert_eq!(changed(1, 2, u32::MAX), outside(".data"));
    assert_eq!(changed(1, 3, u32::MAX), outside(".data"));
    assert_eq!(changed(0, 2, 1025), overlap(".text", ".data", "the file"));
    assert_eq!(changed(1, 3, HEADERS as u32), overlap(".text", ".data", "the file"));
    assert_eq!(changed(0, 0, 0x1001), overlap(".text", ".data", "memory"));
    assert_eq!(changed(1, 1, 0xfff), overlap(".data", ".text", "memory"));
}

#[test]
fn certificates_end_the_file() {
    let file = Image { certificates: vec![9; 64], ..image() }.file();
    let (end, place) = (file.len() as u64, file.len() as u32 - 64);
    for (offset, len) in [(place, 63), (place - 1, 64), (place, u32::MAX), (u32::MAX, 64), (0, 64)] {
        let mut file = file.clone();
        put(&mut file, DIRECTORY, &offset.to_le_bytes());
        put(&mut file, DIRECTORY + 4, &len.to_le_bytes());
        assert_eq!(parse(&file).unwrap_err(), PeError::Certificates { end, offset, len });
    }
    let truncated = &file[..file.len() - 1];
    assert!(matches!(parse(truncated), Err(PeError::Certificates { .. })));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2048), len in any::<u64>()) {
        let _ = PeImage::parse(&bytes, len);
    }

    #[test]
    fn an_altered_image_is_hashed_or_refused(
        changes in proptest::collection::vec((0_usize..HEADERS, any::<u8>()), 1..10),
    ) {
        let mut file = Image { certificates: vec![9; 64], ..image() }.file();
        for (at, byte) in changes {
            file[at] = byte;
        }
        if let Ok(parsed) = parse(&file) {
            prop_assert!(parsed.authenticode(&mut Cursor::new(&file)).is_ok());
        }
    }
}
