//! Messages that another implementation wrote, opened here.
//!
//! Made with the PyPI package aws-encryption-sdk 4.0.7 (`tests/interop/esdk.py`): a raw AES keyring whose key is the
//! bytes 0 to 31, namespace `keyfast`, name `known/1`, frames of 128 bytes, one context pair.

use claims::KeyKind;
use envelope::{AlgorithmSuite, Effort, Header, KeyName, Sink, Source};
use keys::Kek;
use secret::SecretBytes;

fn opens(message: &str, suite: AlgorithmSuite, signer: Option<&str>) {
    let message = hex::decode(message).unwrap();
    let mut source = Source::stream(&message[..]);
    let header = Header::read(&mut source).unwrap();
    assert_eq!(header.suite(), suite);
    assert_eq!(header.frame_len().value(), 128);
    assert_eq!(header.context().value("purpose"), Some("known answer"));
    let kek = Kek::from_bytes(KeyKind::Aes256, SecretBytes::from_vec((0..32).collect())).unwrap();
    let dek = header.unwrap_dek(&KeyName::new("keyfast", "known/1").unwrap(), &kek).unwrap();
    let mut plaintext = Vec::new();
    let summary =
        envelope::decrypt(source, Sink::stream(&mut plaintext), &header, &dek, &Effort::default()).unwrap();
    assert_eq!(String::from_utf8(plaintext).unwrap(), "only an attested guest reads this. ".repeat(4));
    assert_eq!(summary.signer.map(hex::encode).as_deref(), signer);
}

#[test]
fn a_message_of_suite_0478_opens() {
    opens(UNSIGNED, AlgorithmSuite::Committing, None);
}

#[test]
fn a_message_of_suite_0578_opens() {
    opens(SIGNED, AlgorithmSuite::CommittingSigned, Some(SIGNER));
}

/// Suite 0x0478, 417 bytes.
const UNSIGNED: &str = "\
    0204789f5986af2fb8c0d0330e918e6f15263fb4f2f323775fa32cb1222c9092b921dd001900010007707572706f7365000c6b6e\
    6f776e20616e73776572000100076b657966617374001b6b6e6f776e2f31000000800000000c43bee71c1bd72d0e853dca730030\
    1d74b8828a40ba3a027798bb69890bbc928eb171d81317a8bcc90d945b65f12ac0ccac5a5df7cebb53980d5e492f719602000000\
    8044d03deff1bb76e99ad4f52c217576b1446a8a7518b7840ebf2ea11386edb2501dc25b74b8a78c8a6dd420eaf3b84782000000\
    0100000000000000000000000189f4ad1719bcd33180fafe127c6d2b08806c67a9077fc550d0dc443a461e86eec739774bf9b287\
    aa4f4a35386e93411b7cbb24101ba30922806ed5a80bd9b531b847a3f490fecff75f18f272c5304c0bd77b6bcf0256f1eb953a5f\
    8ee969a1e42e49ccfc49f54a3b357ef4ea4098f494d531eabf1d68186d248f311f179d0bcee3e22c2bc3acdd10aa876f62619b67\
    3dffffffff000000020000000000000000000000020000000cc4738b9518c4713a8c4b591de266eea54f21b0b371031d28e30b55\
    ea";
/// Suite 0x0578, 615 bytes.
const SIGNED: &str = "\
    020578686117b9ebdabfc6f4130f19d238c1a449d25b2185091a4692b52668aec8dd300076000200156177732d63727970746f2d\
    7075626c69632d6b6579004441375878544332416c547851627451695a33656e795a46635861637a6b725a5235716e646f2b5831\
    4539686771684e4c4c486b7941565974344a6d675777305a52413d3d0007707572706f7365000c6b6e6f776e20616e7377657200\
    0100076b657966617374001b6b6e6f776e2f31000000800000000c9a8b7f398270cd6cf2280835003005def01eab49674ee77788\
    aea0f7427c152cb3c364092d0c02b96b3e534f3f5853eceaa0ba04b7ee25adb3a2a9f861ce0200000080da9785b2aa8724512468\
    e80b923d54d76a33f29491411d010a64c4d4cd3107b3a947ef00b4b24b1d2b1e890e89eed8b80000000100000000000000000000\
    000192ca7eec9ac8b362e121a183d48aeaeab5fbe7d7d2fc495fdfa01b2a5bf3aa32c1ead5352b55a73e2080bfe0bb24597117e9\
    feac83d656fbf800fa293173ab95663214c30f798e5517b0afea1984e60b24ec60c16cc6ea9ce62bd29969f4a10be03102f25094\
    525c89f7cb5bdde90f1cff6c13108f0f67b9c420be9e2b3e32b22b3e9f660d77803fe5dc619ac686de46ffffffff000000020000\
    000000000000000000020000000c492b618c81e73e8ed2811bd20f28d48e35301e509db0162b865c7a3c0067306502301da5a0f7\
    4ddc61127baf04254f5378fe5e0432d7aff90ee6edc26a908d57ef6f34064fcbb88a1a702731dea132b0cd45023100d0adf33f6f\
    82a4c1d76c12c8f007ac6c59192e8411550dadc629faba33d9d8b619abee416906dd6137deea10aa3ef66c";
/// The key in the context of the second, a compressed point.
const SIGNER: &str =
    "03b5f14c2d80953c506ed4226777a7c9915c5da73392b651e6a9dda3e5f513d860aa134b2c793201562de099a05b0d1944";
