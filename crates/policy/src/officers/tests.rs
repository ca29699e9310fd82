//! Signatures of officers: made here as OpenSSH makes them, altered field by field, and one that it made itself.

use crypto::Ed25519SigningKey;

use super::*;

const NAMESPACE: &str = "keyfast-bundle";

fn field(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// An officer with a key of this seed; `hardware` as a security key.
struct Signer {
    key: Ed25519SigningKey,
    name: &'static str,
    hardware: bool,
}

/// What goes into a signature, to be altered.
struct Parts {
    version: u32,
    namespace: &'static str,
    reserved: &'static str,
    hash: &'static str,
    flags: u8,
}

const GOOD: Parts = Parts { version: 1, namespace: NAMESPACE, reserved: "", hash: "sha512", flags: 1 };

impl Signer {
    fn new(seed: u8, name: &'static str, hardware: bool) -> Self {
        Self { key: Ed25519SigningKey::from_seed(&[seed; 32]).unwrap(), name, hardware }
    }

    fn kind(&self) -> &'static str {
        if self.hardware { HARDWARE } else { PLAIN }
    }

    fn blob(&self) -> Vec<u8> {
        let application = if self.hardware { field(b"ssh:") } else { Vec::new() };
        [field(self.kind().as_bytes()), field(&self.key.public()), application].concat()
    }

    fn line(&self) -> String {
        format!("{} {} {}", self.kind(), STANDARD.encode(self.blob()), self.name)
    }

    fn sign(&self, message: &[u8], parts: &Parts) -> String {
        let digest = match parts.hash {
            "sha512" => crypto::sha512(&[message]).to_vec(),
            _ => crypto::sha256(&[message]).to_vec(),
        };
        let head = [
            field(parts.namespace.as_bytes()),
            field(parts.reserved.as_bytes()),
            field(parts.hash.as_bytes()),
        ];
        let signed = [&MAGIC[..], &head.concat(), &field(&digest)].concat();
        let (signed, tail) = match self.hardware {
            false => (signed, Vec::new()),
            true => {
                let tail = [&[parts.flags][..], &7u32.to_be_bytes()].concat();
                let (application, message) = (crypto::sha256(&[b"ssh:"]), crypto::sha256(&[&signed]));
                ([&application[..], &tail, &message].concat(), tail)
            }
        };
        let signature = [field(self.kind().as_bytes()), field(&self.key.sign(&signed)), tail].concat();
        let version = parts.version.to_be_bytes();
        armored(&[&MAGIC[..], &version, &field(&self.blob()), &head.concat(), &field(&signature)].concat())
    }
}

fn armored(blob: &[u8]) -> String {
    format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(blob))
}

/// A text with spaces behind it, this long.
fn padded(text: &str, bytes: usize) -> String {
    text.to_owned() + &" ".repeat(bytes - text.len())
}

fn three() -> [Signer; 3] {
    [Signer::new(1, "alice", false), Signer::new(2, "bob", true), Signer::new(3, "carol", false)]
}

fn officers(required: usize) -> Officers {
    Officers::new(required, &three().map(|signer| signer.line())).unwrap()
}

#[test]
fn enough_officers_sign_each_with_one_vote() {
    let [alice, bob, carol] = three();
    let [a, b, c] = [&alice, &bob, &carol].map(|signer| signer.sign(b"m", &GOOD));
    let verify = |required, armored: String| officers(required).verify(NAMESPACE, b"m", &armored);
    assert_eq!(verify(2, format!("{b}\n{a}")), Ok(vec!["alice".into(), "bob".into()]));
    assert_eq!(verify(3, format!("{a}{b}{c}")).map(|by| by.len()), Ok(3));
    let few = |by: &[&str]| SignatureError::TooFew {
        required: 2,
        by: by.iter().map(|n| (*n).to_owned()).collect(),
    };
    assert_eq!(verify(2, format!("{a}{a}")), Err(few(&["alice"])));
    let stranger = Signer::new(9, "mallory", false).sign(b"m", &GOOD);
    assert_eq!(verify(2, format!("{stranger}{c}")), Err(few(&["carol"])));
    assert_eq!(verify(2, String::new()), Err(few(&[])));
    let told = |by: &[&str]| few(by).to_string();
    assert_eq!(told(&[]), "signed by 0 of the 2 officers that must sign");
    assert_eq!(told(&["alice", "bob"]), "signed by 2 of the 2 officers that must sign: alice, bob");
    // A key that another signs in the name of is not its own.
    let forged =
        Signer { key: Ed25519SigningKey::from_seed(&[9; 32]).unwrap(), ..Signer::new(1, "alice", false) };
    assert_eq!(verify(1, forged.sign(b"m", &GOOD)), Err(SignatureError::TooFew { required: 1, by: vec![] }));
}

#[test]
fn one_wrong_signature_of_an_officer_spoils_all() {
    for signer in three() {
        let good = signer.sign(b"m", &GOOD);
        let wrong = Err(SignatureError::Wrong { name: signer.name.into() });
        assert_eq!(officers(1).verify(NAMESPACE, b"n", &good), wrong);
        let other = Parts { namespace: "keyfast-references", ..GOOD };
        let error = officers(1).verify(NAMESPACE, b"m", &signer.sign(b"m", &other)).unwrap_err();
        assert!(
            matches!(&error, SignatureError::Namespace { got, .. } if got == "keyfast-references"),
            "{error}"
        );
        let sha256 = signer.sign(b"m", &Parts { hash: "sha256", ..GOOD });
        assert_eq!(officers(1).verify(NAMESPACE, b"m", &sha256).map(|by| by.len()), Ok(1));
        assert_eq!(
            officers(1).verify(NAMESPACE, b"m", &signer.sign(b"m", &Parts { hash: "md5", ..GOOD })),
            wrong
        );
        let untouched = signer.sign(b"m", &Parts { flags: 0, ..GOOD });
        assert_eq!(
            officers(1).verify(NAMESPACE, b"m", &untouched).is_ok(),
            !signer.hardware,
            "{}",
            signer.name
        );
    }
}

#[test]
fn a_strangers_namespace_moves_no_cursor() {
    let [alice, ..] = three();
    let parts = Parts { namespace: "\u{1b}[2Jelse", ..GOOD };
    let error = officers(1).verify(NAMESPACE, b"m", &alice.sign(b"m", &parts)).unwrap_err().to_string();
    assert!(error.starts_with("`alice` signed for `\\u{1b}[2Jelse`: expected `keyfast-bundle`"), "{error}");
}

#[test]
fn what_is_no_signature_is_named() {
    let [alice, ..] = three();
    let what = |armored: &str| match officers(1).verify(NAMESPACE, b"m", armored) {
        Err(SignatureError::Malformed { number, what }) => (number, what),
        other => panic!("{other:?}"),
    };
    let good = alice.sign(b"m", &GOOD);
    assert_eq!(what(&format!("{good}hello")), (2, "it does not begin as one"));
    assert_eq!(what(&format!("hello {good}")), (1, "there is something before it"));
    assert_eq!(what(BEGIN), (1, "it has no end"));
    assert_eq!(what(&format!("{BEGIN}!{END}")), (1, "it is not base64"));
    assert_eq!(what(&armored(b"SSHSIh")), (1, "it does not begin with SSHSIG"));
    assert_eq!(what(&alice.sign(b"m", &Parts { version: 2, ..GOOD })), (1, "its version is not 1"));
    assert_eq!(
        what(&alice.sign(b"m", &Parts { reserved: "x", ..GOOD })),
        (1, "its reserved field is not empty")
    );
    let blob = STANDARD.decode(good.lines().nth(1).unwrap()).unwrap();
    for len in 0..blob.len() {
        let cut = officers(1).verify(NAMESPACE, b"m", &armored(&blob[..len]));
        assert!(matches!(cut, Err(SignatureError::Malformed { number: 1, .. })), "{len}");
    }
    assert_eq!(what(&armored(&[&blob[..], &[0]].concat())), (1, "there is something behind it"));
}

/// Those of a hardware key that say how it was touched are signed as well.
#[test]
fn no_bit_of_a_signature_can_be_changed() {
    let officers = officers(1);
    for signer in three() {
        let good = signer.sign(b"m", &GOOD);
        let blob = STANDARD.decode(good.lines().nth(1).unwrap()).unwrap();
        for bit in 0..blob.len() * 8 {
            let mut flipped = blob.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let verified = officers.verify(NAMESPACE, b"m", &armored(&flipped));
            assert!(verified.is_err(), "{}, bit {bit}", signer.name);
        }
    }
}

#[test]
fn no_more_is_looked_at_than_64_signatures_in_262144_bytes() {
    let [alice, ..] = three();
    let good = alice.sign(b"m", &GOOD);
    let verify = |armored: &str| officers(1).verify(NAMESPACE, b"m", armored);
    assert_eq!(verify(&good.repeat(64)), Ok(vec!["alice".into()]));
    assert_eq!(verify(&good.repeat(65)), Err(SignatureError::TooMany));
    assert_eq!(verify(&padded(&good, 262_144)), Ok(vec!["alice".into()]));
    assert_eq!(verify(&padded(&good, 262_145)), Err(SignatureError::TooMany));
    let told = "too many signatures to look at: expected at most 64 in 262144 bytes";
    assert_eq!(SignatureError::TooMany.to_string(), told);
}

#[test]
fn what_cannot_be_officers_is_refused() {
    let new = |required, lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        Officers::new(required, &lines).unwrap_err()
    };
    let [alice, bob, _] = three().map(|signer| signer.line());
    assert_eq!(new(0, &[&alice]), OfficersError::Required { keys: 1, required: 0 });
    assert_eq!(new(3, &[&alice, &bob]), OfficersError::Required { keys: 2, required: 3 });
    let again = alice.replace("alice", "eve");
    let repeated = OfficersError::Repeated { one: "alice".into(), other: "eve".into() };
    assert_eq!(new(1, &[&alice, &again]), repeated);
    let what = |line: &str| match new(1, &[&bob, line]) {
        OfficersError::Key { number: 2, what } => what,
        other => panic!("{other}"),
    };
    assert_eq!(what(""), "the line is empty");
    assert_eq!(what("ssh-ed25519"), "the key is missing");
    assert_eq!(what("ssh-ed25519 ! x"), "the key is not base64");
    assert_eq!(what(alice.strip_suffix(" alice").unwrap()), "the name is missing");
    assert_eq!(what(&alice.replacen(PLAIN, "ssh-rsa", 1)), "the kind is not that of the key");
    let rsa = [field(b"ssh-rsa"), field(&[1; 32])].concat();
    assert_eq!(what(&format!("ssh-rsa {} x", STANDARD.encode(rsa))), "the kind of key is not known here");
    let longer = [field(PLAIN.as_bytes()), field(&[1; 32]), vec![0]].concat();
    assert_eq!(what(&format!("{PLAIN} {} x", STANDARD.encode(longer))), "there is something behind it");
    let short = [field(PLAIN.as_bytes()), field(&[1; 31])].concat();
    assert_eq!(what(&format!("{PLAIN} {} x", STANDARD.encode(short))), "an Ed25519 key has 32 bytes");
    assert!(Officers::new(1, &[padded(&alice, 4096)]).is_ok());
    let too_long = OfficersError::Key { number: 1, what: "the line is too long" };
    assert_eq!(Officers::new(1, &[padded(&alice, 4097)]).unwrap_err(), too_long);
}

/// Made by OpenSSH: `ssh-keygen -t ed25519`, then `ssh-keygen -Y sign -n keyfast-bundle` of "message" and a newline.
#[test]
fn what_openssh_signs_verifies() {
    let officers = Officers::new(1, &[OPENSSH_KEY.to_owned()]).unwrap();
    assert_eq!(officers.verify(NAMESPACE, b"message\n", OPENSSH_SIGNATURE), Ok(vec!["alice".to_owned()]));
    assert!(officers.verify(NAMESPACE, b"message", OPENSSH_SIGNATURE).is_err());
}

const OPENSSH_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINj6mpUhpnXZJrcA/BEW1be3dPipC5cMBC3hGxcuZI26 alice";
const OPENSSH_SIGNATURE: &str = "\
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg2PqalSGmddkmtwD8ERbVt7d0+K
kLlwwELeEbFy5kjboAAAAOa2V5ZmFzdC1idW5kbGUAAAAAAAAABnNoYTUxMgAAAFMAAAAL
c3NoLWVkMjU1MTkAAABA3R92kxERJUghSZx5v91/96r7mN+N92DK9Qz+D718gxUQYCa+gT
tKAheIo64n+nfOhkEKLzx0lgZ7RdfP1pKoCw==
-----END SSH SIGNATURE-----
";

#[test]
fn the_kind_of_a_key_is_told_of_its_signature() {
    for (hardware, kind) in [(false, "ssh-ed25519"), (true, "sk-ssh-ed25519@openssh.com")] {
        let armored = Signer::new(1, "alice", hardware).sign(b"m", &GOOD);
        assert_eq!(Officers::kind_of_key(&armored).as_deref(), Some(kind));
        assert!(Officers::KINDS.contains(&kind));
    }
    for none in ["", "hello", "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"] {
        assert_eq!(Officers::kind_of_key(none), None, "{none}");
    }
}
