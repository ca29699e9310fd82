//! [`Officers`]: those whose signatures a bundle, or its reference values, must bear: m of n SSH keys.
//!
//! The signatures are OpenSSH's (`ssh-keygen -Y sign`, PROTOCOL.sshsig), so that officers use the keys that they have,
//! hardware keys too: `ssh-ed25519` and `sk-ssh-ed25519@openssh.com`. Only keys that are listed count, each once, for
//! the namespace that it signed for; a signature by a listed key that does not verify spoils all. Texts are bounded
//! before they are read. Which bytes are signed is the caller's to say.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::Ed25519PublicKey;

use crate::printable::printable;

/// Keys, and how many of them must sign.
#[derive(Clone, Debug)]
pub struct Officers {
    required: usize,
    keys: Vec<Officer>,
}

/// One key.
#[derive(Clone, Debug)]
struct Officer {
    name: String,
    /// As SSH encodes it; what a signature names its key by.
    blob: Vec<u8>,
    key: Ed25519PublicKey,
    /// What a hardware key mixes into what it signs.
    application: Option<Vec<u8>>,
}

/// Keys that cannot be officers'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfficersError {
    /// A line is no public key of a kind that is known here.
    #[error(
        "officer {number} is no key: {what}; expected a line of an OpenSSH public key file, `ssh-ed25519 AAAA... name` or \
         `sk-ssh-ed25519@openssh.com AAAA... name`"
    )]
    Key {
        /// Which line, from 1.
        number: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A key is listed twice: it would be one officer with two votes.
    #[error("the keys of `{one}` and `{other}` are the same")]
    Repeated {
        /// The first.
        one: String,
        /// The second.
        other: String,
    },
    /// More signatures are required than there are keys, or none.
    #[error("impossible number of signatures: expected 1 to {keys}, got {required}")]
    Required {
        /// How many keys there are.
        keys: usize,
        /// How many must sign.
        required: usize,
    },
}

/// Why signatures are not enough.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is more than is looked at.
    #[error("too many signatures to look at: expected at most {MAX_SIGNATURES} in {MAX_TEXT} bytes")]
    TooMany,
    /// A block is no signature.
    #[error("signature {number} is no OpenSSH signature: {what}")]
    Malformed {
        /// Which, from 1.
        number: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// An officer has signed for something else.
    #[error(
        "`{name}` signed for `{}`: expected `{expected}`; sign with `ssh-keygen -Y sign -n {expected}`",
        printable(got)
    )]
    Namespace {
        /// Whose signature.
        name: String,
        /// What it must be for.
        expected: &'static str,
        /// What it is for; anybody may have written that.
        got: String,
    },
    /// An officer has signed other bytes.
    #[error("the signature of `{name}` is not one of these bytes")]
    Wrong {
        /// Whose signature.
        name: String,
    },
    /// Not enough officers have signed.
    #[error("signed by {} of the {required} officers that must sign{}", by.len(), among(by))]
    TooFew {
        /// How many must sign.
        required: usize,
        /// Who has.
        by: Vec<String>,
    },
}

fn among(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}

impl Officers {
    /// The kinds of keys that count, in OpenSSH's words.
    pub const KINDS: [&str; 2] = [PLAIN, HARDWARE];

    /// The kind of the key that the first of these armored signatures names as its own, in OpenSSH's words; `None` if it
    /// is no signature. Nothing is verified.
    pub fn kind_of_key(armored: &str) -> Option<String> {
        let block = blocks(armored).ok()?.into_iter().next()?;
        let public_key = Signature::parse(&block).ok()?.public_key;
        String::from_utf8(Fields(&public_key).string().ok()?.to_vec()).ok()
    }

    /// From lines of OpenSSH public key files.
    ///
    /// # Errors
    /// [`OfficersError`].
    pub fn new(required: usize, lines: &[String]) -> Result<Self, OfficersError> {
        let mut keys: Vec<Officer> = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let number = at.saturating_add(1);
            let officer = Officer::parse(line).map_err(|what| OfficersError::Key { number, what })?;
            if let Some(other) = keys.iter().find(|other| other.key.as_bytes() == officer.key.as_bytes()) {
                let (one, other) = (other.name.clone(), officer.name);
                return Err(OfficersError::Repeated { one, other });
            }
            keys.push(officer);
        }
        if required == 0 || required > keys.len() {
            return Err(OfficersError::Required { keys: keys.len(), required });
        }
        Ok(Self { required, keys })
    }

    /// Who has signed `message` for `namespace`, if they are enough. `armored` is any number of signatures, one after
    /// the other.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(
        &self,
        namespace: &'static str,
        message: &[u8],
        armored: &str,
    ) -> Result<Vec<String>, SignatureError> {
        let mut by = BTreeSet::new();
        for (at, block) in blocks(armored)?.into_iter().enumerate() {
            let malformed = |what| SignatureError::Malformed { number: at.saturating_add(1), what };
            let signature = Signature::parse(&block).map_err(malformed)?;
            let named = self.keys.iter().enumerate().find(|(_, key)| key.blob == signature.public_key);
            let Some((place, officer)) = named else { continue };
            let name = || officer.name.clone();
            if signature.namespace != namespace.as_bytes() {
                let got = String::from_utf8_lossy(&signature.namespace).into_owned();
                return Err(SignatureError::Namespace { name: name(), expected: namespace, got });
            }
            let verified = officer.verify(&signature, message);
            verified.ok_or_else(|| SignatureError::Wrong { name: name() })?;
            by.insert(place);
        }
        let by: Vec<String> =
            by.into_iter().filter_map(|place| self.keys.get(place)).map(|key| key.name.clone()).collect();
        if by.len() < self.required {
            return Err(SignatureError::TooFew { required: self.required, by });
        }
        Ok(by)
    }
}

impl Officer {
    fn parse(line: &str) -> Result<Self, &'static str> {
        if line.len() > MAX_LINE {
            return Err("the line is too long");
        }
        let mut words = line.split_whitespace();
        let kind = words.next().ok_or("the line is empty")?;
        let blob = words.next().ok_or("the key is missing")?;
        let blob = STANDARD.decode(blob).map_err(|_| "the key is not base64")?;
        let name = words.collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            return Err("the name is missing");
        }
        let mut fields = Fields(&blob);
        if fields.string()? != kind.as_bytes() {
            return Err("the kind is not that of the key");
        }
        let public = fields.string()?.try_into().map_err(|_| "an Ed25519 key has 32 bytes")?;
        let key = Ed25519PublicKey::from_bytes(public).map_err(|_| "the key is no point")?;
        let application = match kind {
            PLAIN => None,
            HARDWARE => Some(fields.string()?.to_vec()),
            _ => return Err("the kind of key is not known here"),
        };
        fields.end()?;
        Ok(Self { name, key, application, blob })
    }

    /// `None` if the signature is not this officer's of this message.
    fn verify(&self, signature: &Signature, message: &[u8]) -> Option<()> {
        let digest = match signature.hash.as_slice() {
            b"sha512" => crypto::sha512(&[message]).to_vec(),
            b"sha256" => crypto::sha256(&[message]).to_vec(),
            _ => return None,
        };
        let head = [&signature.namespace[..], &[], &signature.hash, &digest];
        let mut signed = MAGIC.to_vec();
        for field in head {
            signed.extend(u32::try_from(field.len()).ok()?.to_be_bytes());
            signed.extend(field);
        }
        let mut fields = Fields(&signature.signature);
        let kind = fields.string().ok()?;
        let bytes = fields.string().ok()?;
        match &self.application {
            None if kind == PLAIN.as_bytes() => fields.end().ok()?,
            Some(application) if kind == HARDWARE.as_bytes() => {
                let (flags, counter) = (fields.array::<1>().ok()?, fields.array::<4>().ok()?);
                fields.end().ok()?;
                let [bits] = flags;
                if bits & USER_PRESENT == 0 {
                    return None;
                }
                let whole = [crypto::sha256(&[application]), crypto::sha256(&[&signed])];
                let [application, message] = whole;
                signed = [&application[..], &flags, &counter, &message].concat();
            }
            _ => return None,
        }
        self.key.verify(&signed, bytes).ok()
    }
}

/// What an armored block holds.
struct Signature {
    public_key: Vec<u8>,
    namespace: Vec<u8>,
    hash: Vec<u8>,
    signature: Vec<u8>,
}

impl Signature {
    fn parse(blob: &[u8]) -> Result<Self, &'static str> {
        let mut fields = Fields(blob);
        if fields.array::<6>()? != *MAGIC {
            return Err("it does not begin with SSHSIG");
        }
        if u32::from_be_bytes(fields.array()?) != 1 {
            return Err("its version is not 1");
        }
        let public_key = fields.string()?.to_vec();
        let namespace = fields.string()?.to_vec();
        if !fields.string()?.is_empty() {
            return Err("its reserved field is not empty");
        }
        let (hash, signature) = (fields.string()?.to_vec(), fields.string()?.to_vec());
        fields.end()?;
        Ok(Self { public_key, namespace, hash, signature })
    }
}

/// The armored blocks of a text, decoded.
fn blocks(armored: &str) -> Result<Vec<Vec<u8>>, SignatureError> {
    if armored.len() > MAX_TEXT {
        return Err(SignatureError::TooMany);
    }
    let mut blocks = Vec::new();
    let mut rest = armored;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let number = blocks.len().saturating_add(1);
        let malformed = |what| SignatureError::Malformed { number, what };
        if !before.trim().is_empty() {
            return Err(malformed("there is something before it"));
        }
        let (body, after) = after.split_once(END).ok_or_else(|| malformed("it has no end"))?;
        let body: String = body.split_whitespace().collect();
        blocks.push(STANDARD.decode(body).map_err(|_| malformed("it is not base64"))?);
        if blocks.len() > MAX_SIGNATURES {
            return Err(SignatureError::TooMany);
        }
        rest = after;
    }
    if rest.trim().is_empty() {
        return Ok(blocks);
    }
    Err(SignatureError::Malformed {
        number: blocks.len().saturating_add(1),
        what: "it does not begin as one",
    })
}

/// SSH's way to lay fields out: strings behind their lengths, 4 bytes, most significant first.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or("it is cut short")?;
        self.0 = rest;
        Ok(*head)
    }

    fn string(&mut self) -> Result<&'a [u8], &'static str> {
        let len = usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| "it is cut short")?;
        let (head, rest) = self.0.split_at_checked(len).ok_or("it is cut short")?;
        self.0 = rest;
        Ok(head)
    }

    fn end(&self) -> Result<(), &'static str> {
        if self.0.is_empty() { Ok(()) } else { Err("there is something behind it") }
    }
}

const PLAIN: &str = "ssh-ed25519";
const HARDWARE: &str = "sk-ssh-ed25519@openssh.com";
const MAGIC: &[u8; 6] = b"SSHSIG";
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
/// The flag of a hardware key that somebody touched it.
const USER_PRESENT: u8 = 1;
/// Most bytes of a line with a public key.
const MAX_LINE: usize = 4096;
/// Most signatures that are looked at.
const MAX_SIGNATURES: usize = 64;
/// Most bytes of signatures.
const MAX_TEXT: usize = 256 * 1024;

#[cfg(test)]
mod tests;
