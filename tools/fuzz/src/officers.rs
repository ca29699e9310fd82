//! What officers write and sign: public keys, signatures, statements, reference values, cases in TOML.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::Ed25519SigningKey;
use policy::{BundleStatement, Manifest, Officers};

use crate::NOW;
use crate::told::{all_told, told};
use crate::toml_case::File;

/// Reference values: each is possible, and stands among its kind once; policies that load, load beside them.
pub fn reference_values(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let manifest = match Manifest::parse(text) {
        Ok(manifest) => manifest,
        Err(errors) => return all_told(&errors, text),
    };
    let values = manifest.values(NOW);
    for (at, value) in values.iter().enumerate() {
        assert_eq!(Manifest::impossible(value.kind, &value.value), None);
        let same = |other: &policy::ReferenceValue| (other.kind, &other.value) == (value.kind, &value.value);
        assert!(!values.iter().take(at).any(same), "{} twice", value.value);
        assert!(Manifest::states().any(|state| state == value.state));
    }
}

/// A bundle's statement: there may be several ways to write it, and one that is ours.
pub fn bundle_statement(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    match BundleStatement::parse(text) {
        Ok(statement) => {
            let own = statement.to_text();
            assert_eq!(own.and_then(|own| BundleStatement::parse(&own)), Ok(statement));
        }
        Err(error) => told(&error),
    }
}

/// A line with an officer's public key: an officer has one vote, whatever the line calls them.
pub fn officer_key(data: &[u8]) {
    let Ok(line) = core::str::from_utf8(data) else { return };
    let officers = match Officers::new(1, &[line.to_owned()]) {
        Ok(officers) => officers,
        Err(error) => return told(&error),
    };
    let mut words = line.split_whitespace();
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let bytes = STANDARD.decode(blob).unwrap_or_default();
    assert_eq!(STANDARD.encode(&bytes), blob);
    assert!(bytes.get(4..).is_some_and(|rest| rest.starts_with(kind.as_bytes())));
    assert!(Officers::new(2, &[line.to_owned(), format!("{line} again")]).is_err());
    assert!(officers.verify(BundleStatement::NAMESPACE, MESSAGE, "").is_err());
}

/// Signatures of officers: none verifies but the genuine ones, bit for bit.
pub fn officer_signatures(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let genuine = genuine_signatures();
    let keys: Vec<String> = signers().iter().map(Signer::line).collect();
    let Ok(officers) = Officers::new(1, &keys) else { panic!("no officers") };
    match officers.verify(BundleStatement::NAMESPACE, MESSAGE, text) {
        Ok(names) => {
            let blocks: Vec<String> = text.split(BEGIN).skip(1).map(body).collect();
            assert!(
                names.iter().all(|name| genuine.iter().any(|(by, one)| by == name && blocks.contains(one)))
            );
        }
        Err(error) => told(&error),
    }
}

/// The base64 of a block.
fn body(block: &str) -> String {
    let (body, _) = block.split_once(END).unwrap_or_default();
    body.split_whitespace().collect()
}

/// The shape of a case in TOML.
pub fn case_toml(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Err(error) = toml::from_str::<File>(text) {
        told(&error.message());
    }
}

/// An officer whose private key is known to everybody, plain or of hardware.
pub struct Signer {
    key: Ed25519SigningKey,
    name: &'static str,
    hardware: bool,
}

/// Two officers.
pub fn signers() -> [Signer; 2] {
    let signer = |seed: u8, name, hardware| {
        let key = Ed25519SigningKey::from_seed(&[seed; 32]).unwrap_or_else(|error| panic!("{error}"));
        Signer { key, name, hardware }
    };
    [signer(1, "alice", false), signer(2, "bob", true)]
}

impl Signer {
    /// The line with the public key.
    pub fn line(&self) -> String {
        format!("{} {} {}", self.kind(), STANDARD.encode(self.blob()), self.name)
    }

    fn kind(&self) -> &'static str {
        if self.hardware { "sk-ssh-ed25519@openssh.com" } else { "ssh-ed25519" }
    }

    fn blob(&self) -> Vec<u8> {
        let application = if self.hardware { field(b"ssh:") } else { Vec::new() };
        [field(self.kind().as_bytes()), field(&self.key.public()), application].concat()
    }

    /// What is between the lines of an armored signature of [`MESSAGE`], in base64.
    fn sign(&self, hash: &str) -> String {
        let digest = match hash {
            "sha512" => crypto::sha512(&[MESSAGE]).to_vec(),
            _ => crypto::sha256(&[MESSAGE]).to_vec(),
        };
        let head =
            [field(BundleStatement::NAMESPACE.as_bytes()), field(b""), field(hash.as_bytes())].concat();
        let mut signed = [&b"SSHSIG"[..], &head, &field(&digest)].concat();
        // A touch, and the seventh signature.
        let tail: &[u8] = if self.hardware { &[1, 0, 0, 0, 7] } else { &[] };
        if self.hardware {
            let (application, message) = (crypto::sha256(&[b"ssh:"]), crypto::sha256(&[&signed]));
            signed = [&application[..], tail, &message].concat();
        }
        let signature = [&field(self.kind().as_bytes())[..], &field(&self.key.sign(&signed)), tail].concat();
        let version = 1_u32.to_be_bytes();
        STANDARD.encode([b"SSHSIG", &version[..], &field(&self.blob()), &head, &field(&signature)].concat())
    }
}

/// Who signed, and the signature between its armor's lines: all that there are of [`MESSAGE`].
pub fn genuine_signatures() -> Vec<(&'static str, String)> {
    let both = |signer: &Signer| ["sha512", "sha256"].map(|hash| (signer.name, signer.sign(hash)));
    signers().iter().flat_map(both).collect()
}

/// A signature in its armor.
pub fn armored(body: &str) -> String {
    format!("{BEGIN}\n{body}\n{END}\n")
}

fn field(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&len.to_be_bytes(), bytes].concat()
}

/// What the officers signed.
const MESSAGE: &[u8] = b"version = 1\n";
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
