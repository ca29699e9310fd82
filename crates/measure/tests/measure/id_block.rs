//! ID blocks: equal to what virtee/sev expects of its test keys, and each byte of the signed parts counts.

use claims::Measurement;
use claims::snp::GuestPolicy;
use crypto::P384SigningKey;
use measure::id_block::{IdAuth, IdBlock, IdBlockError};
use measure::{PublicKeyError, SnpPublicKey};
use proptest::prelude::*;

use crate::vectors;

/// From virtee/sev, `tests/id-block.rs`: the launch measurement, and the digests of its two keys.
const MEASUREMENT: &str =
    "a14d638341e5674628fe1e02fbedebe5e5ab4faf1dd72d8966068e615bb99efd13d214b35c231715b38e263dc6059745";
const ID_KEY_DIGEST: &str =
    "59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df3b0dbbdcbae5fe27677a644820773fe2";
const AUTHOR_KEY_DIGEST: &str =
    "eed81169fb0cb5e0ec34794f128fd4e0c4a46f67c65a1adfa81fcb24bcc088c272369b7ffc3eb2b6af6a4284a1b36c5f";

fn block() -> IdBlock {
    let measurement: Measurement = MEASUREMENT.parse().unwrap();
    let policy = GuestPolicy(0x30000);
    IdBlock { measurement, family_id: [0; 16], image_id: [0; 16], guest_svn: 0, policy }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// PEM with this label, by an encoder of the test's own.
fn pem(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (index, chunk) in der.chunks(3).enumerate() {
        let number = chunk.iter().chain(&[0, 0]).take(3).fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
        for digit in 0..4 {
            let shown = digit <= chunk.len();
            text.push(if shown { DIGITS[number >> (18 - 6 * digit) & 63].into() } else { '=' });
        }
        if index % 16 == 15 {
            text.push('\n');
        }
    }
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", text.trim_end())
}

/// The public half of a private key: its SubjectPublicKeyInfo, whose point ends a P-384 private key's DER.
fn public_half(private: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(private.to_vec()).unwrap();
    let base64: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let digit = |c: u8| {
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|d| *d == c)
    };
    let bits: Vec<usize> = base64.bytes().filter_map(digit).collect();
    let der: Vec<u8> = bits
        .chunks(4)
        .flat_map(|four| {
            let number = four.iter().chain(&[0, 0]).take(4).fold(0, |n, digit| n << 6 | digit);
            [(number >> 16) as u8, (number >> 8) as u8, number as u8].into_iter().take(four.len() - 1)
        })
        .collect();
    spki(&der[der.len() - 97..])
}

fn spki(point: &[u8]) -> Vec<u8> {
    let head = [
        0x30, 0x76, 0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22, 3,
        0x62, 0,
    ];
    [&head[..], point].concat()
}

fn public_key(private: &str) -> Option<SnpPublicKey> {
    let file = vectors::read(&format!("snp/measurement/idblock/{private}"))?;
    assert_eq!(SnpPublicKey::from_pem(&file).unwrap_err(), PublicKeyError::Private);
    Some(SnpPublicKey::from_pem(pem("PUBLIC KEY", &public_half(&file)).as_bytes()).unwrap())
}

#[test]
fn the_vectors_keys_have_their_digests() {
    let expected =
        [("virtee_test_id_key.pem", ID_KEY_DIGEST), ("virtee_test_auth_key.pem", AUTHOR_KEY_DIGEST)];
    for (file, digest) in expected {
        if let Some(key) = public_key(file) {
            assert_eq!(hex(&key.digest()), digest, "{file}");
        }
    }
    for file in ["id_key_test.pem", "author_key_test.pem"] {
        if let Some(key) = public_key(file) {
            assert_eq!(SnpPublicKey::parse(key.encoded()).unwrap().digest(), key.digest());
        }
    }
}

#[test]
fn the_vectors_block_is_laid_out_as_expected() {
    let ids = "00".repeat(32);
    let expected = format!("{MEASUREMENT}{ids}01000000000000000000030000000000");
    assert_eq!(hex(&block().encode()), expected);
    assert_eq!(IdBlock::parse(&block().encode()), Ok(block()));
}

#[test]
fn the_vectors_authentication_is_of_its_keys_and_signed() {
    let Some(bytes) = vectors::read("snp/measurement/idblock/virtee_test_auth_block.bin") else {
        return;
    };
    let auth = IdAuth::parse(&bytes).unwrap();
    assert_eq!(hex(&auth.id_key().digest()), ID_KEY_DIGEST);
    assert_eq!(hex(&auth.author_key().unwrap().digest()), AUTHOR_KEY_DIGEST);
    let id = vectors::read("snp/measurement/idblock/virtee_test_id_sig.bin").unwrap();
    let author = vectors::read("snp/measurement/idblock/virtee_test_auth_sig.bin").unwrap();
    assert_eq!((&bytes[0x40..0x240], &bytes[0x680..0x880]), (&id[..], &author[..]));
    assert_eq!(auth.verify(&block()), Ok(()));
}

/// An authentication by keys of the test's own.
struct Author {
    id: P384SigningKey,
    author: P384SigningKey,
}

impl Author {
    fn new() -> Self {
        Self { id: P384SigningKey::generate().unwrap(), author: P384SigningKey::generate().unwrap() }
    }

    /// Firmware's layout of a key.
    fn key(key: &P384SigningKey) -> Vec<u8> {
        let point = key.public_sec1();
        let mut bytes = vec![0; 0x404];
        bytes[0] = 2;
        for i in 0..48 {
            (bytes[4 + i], bytes[76 + i]) = (point[48 - i], point[96 - i]);
        }
        bytes
    }

    fn signature(key: &P384SigningKey, message: &[u8]) -> Vec<u8> {
        let fixed = key.sign_fixed(message).unwrap();
        let mut bytes = vec![0; 512];
        for i in 0..48 {
            (bytes[i], bytes[72 + i]) = (fixed[47 - i], fixed[95 - i]);
        }
        bytes
    }

    fn sign(&self, block: &IdBlock, with_author: bool) -> Vec<u8> {
        let id_key = Self::key(&self.id);
        let mut bytes = vec![0; 4096];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &[1]);
        put(0x40, &Self::signature(&self.id, &block.encode()));
        put(0x240, &id_key);
        if with_author {
            put(4, &[1]);
            put(0x680, &Self::signature(&self.author, &id_key));
            put(0x880, &Self::key(&self.author));
        }
        bytes
    }
}

#[test]
fn an_author_key_is_optional() {
    let author = Author::new();
    let auth = IdAuth::parse(&author.sign(&block(), false)).unwrap();
    assert!(auth.author_key().is_none());
    assert_eq!(auth.verify(&block()), Ok(()));
    assert!(IdAuth::parse(&author.sign(&block(), true)).unwrap().verify(&block()).is_ok());
}

#[test]
fn each_signature_is_checked() {
    let (author, other) = (Author::new(), Author::new());
    let mixed = |at: std::ops::Range<usize>| {
        let mut bytes = author.sign(&block(), true);
        bytes[at.clone()].copy_from_slice(&other.sign(&block(), true)[at]);
        IdAuth::parse(&bytes).unwrap().verify(&block()).unwrap_err()
    };
    let (id_key, author_key) = ("ID key", "author key");
    let block_not_signed = IdBlockError::Signature { key: id_key, what: "ID block" };
    let key_not_signed = IdBlockError::Signature { key: author_key, what: id_key };
    assert_eq!(mixed(0x040..0x240), block_not_signed);
    assert_eq!(mixed(0x240..0x644), block_not_signed);
    assert_eq!(mixed(0x680..0x880), key_not_signed);
    assert_eq!(mixed(0x880..0xc84), key_not_signed);
    assert_eq!(mixed(0x040..0x644), key_not_signed);

    let auth = IdAuth::parse(&author.sign(&block(), true)).unwrap();
    for bit in (0..IdBlock::LEN * 8).filter(|bit| !(640..672).contains(bit)) {
        let mut bytes = block().encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let altered = IdBlock::parse(&bytes).unwrap();
        assert_eq!(altered.encode(), bytes);
        assert_eq!(auth.verify(&altered), Err(block_not_signed.clone()), "bit {bit}");
    }
}

#[test]
fn what_firmware_would_refuse_is_refused() {
    let bytes = Author::new().sign(&block(), true);
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        IdAuth::parse(&bytes).unwrap_err()
    };
    assert_eq!(changed(0, 0), IdBlockError::Algorithm { key: "ID key", got: 0 });
    assert_eq!(changed(4, 2), IdBlockError::Algorithm { key: "author key", got: 2 });
    assert_eq!(changed(4, 0), IdBlockError::Reserved { start: 0x680, end: 0xc84 });
    let reserved = [
        (0x008, 0x008, 0x040),
        (0x03f, 0x008, 0x040),
        (0x644, 0x644, 0x680),
        (0x67f, 0x644, 0x680),
        (0xc84, 0xc84, 0x1000),
        (0xfff, 0xc84, 0x1000),
        (0x040 + 48, 0x070, 0x088),
        (0x040 + 71, 0x070, 0x088),
        (0x040 + 120, 0x0b8, 0x240),
        (0x23f, 0x0b8, 0x240),
        (0x680 + 48, 0x6b0, 0x6c8),
        (0x87f, 0x6f8, 0x880),
    ];
    for (at, start, end) in reserved {
        assert_eq!(changed(at, 1), IdBlockError::Reserved { start, end }, "{at:#x}");
    }
    let key =
        |at: usize, key, source| assert_eq!(changed(at, 9), IdBlockError::Key { key, source }, "{at:#x}");
    key(0x240, "ID key", PublicKeyError::Curve { got: 9 });
    key(0x240 + 4 + 48, "ID key", PublicKeyError::Reserved { at: 52 });
    key(0x240 + 76 + 71, "ID key", PublicKeyError::Reserved { at: 147 });
    key(0x643, "ID key", PublicKeyError::Reserved { at: 0x403 });
    key(0x881, "author key", PublicKeyError::Curve { got: 0x902 });
    let flipped = changed(0x244, bytes[0x244] ^ 1);
    assert_eq!(flipped, IdBlockError::Key { key: "ID key", source: PublicKeyError::Point });

    let length = |what, expected, got| IdBlockError::Length { what, expected, got };
    assert_eq!(IdAuth::parse(&bytes[1..]).unwrap_err(), length("ID authentication", 4096, 4095));
    assert_eq!(IdBlock::parse(&[0; 97]), Err(length("ID block", 96, 97)));
    assert_eq!(IdBlock::parse(&[0; 96]), Err(IdBlockError::Version { got: 0 }));
}

#[test]
fn only_the_public_half_of_a_p384_key_is_taken() {
    let key = P384SigningKey::generate().unwrap();
    let der = key.public_spki().unwrap();
    let refused = |label: &str, der: &[u8]| SnpPublicKey::from_pem(pem(label, der).as_bytes()).unwrap_err();
    assert_eq!(spki(&key.public_sec1()), der);
    assert!(SnpPublicKey::from_pem(pem("PUBLIC KEY", &der).as_bytes()).is_ok());
    for label in ["PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        assert_eq!(refused(label, &der), PublicKeyError::Private);
    }
    assert_eq!(refused("CERTIFICATE", &der), PublicKeyError::NotPem);
    assert_eq!(refused("PUBLIC KEY", &der[1..]), PublicKeyError::NotPem);
    assert_eq!(SnpPublicKey::from_pem(&der).unwrap_err(), PublicKeyError::NotPem);
    let mut p256 = der.clone();
    p256[19] ^= 1;
    assert_eq!(refused("PUBLIC KEY", &p256), PublicKeyError::NotP384);
    let mut elsewhere = der.clone();
    elsewhere[60] ^= 1;
    assert_eq!(refused("PUBLIC KEY", &elsewhere), PublicKeyError::Point);
    let compressed = key.public_sec1_compressed().unwrap();
    let head = [
        0x30, 0x46, 0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22, 3,
        50, 0,
    ];
    assert_eq!(refused("PUBLIC KEY", &[&head[..], &compressed].concat()), PublicKeyError::Point);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        block in proptest::collection::vec(any::<u8>(), 96),
        auth in proptest::collection::vec(any::<u8>(), 4096),
        file in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let _ = (IdBlock::parse(&block), IdAuth::parse(&auth), SnpPublicKey::from_pem(&file));
    }
}
