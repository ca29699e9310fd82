//! Encrypted files, as an agent reads them: their writer may be anybody.

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use claims::{KeyKind, KeyVersion};
use envelope::{Effort, Header, KeyName, Sink, Source, decrypt};
use keys::Kek;
use secret::SecretBytes;

/// The KEK of the seeds, `fuzz/1`.
static KEK: LazyLock<Option<Kek>> = LazyLock::new(kek);

/// An AES KEK that is no secret.
pub fn kek() -> Option<Kek> {
    Kek::from_bytes(KeyKind::Aes256, SecretBytes::from_vec(vec![7; 32])).ok()
}

/// What it is called in a message; `None` never.
pub fn key_name() -> Option<KeyName> {
    Some(KeyName::of(&"fuzz".parse().ok()?, KeyVersion(1)))
}

/// A header and its data keys.
pub fn header(data: &[u8]) {
    let Ok(header) = Header::read(&mut Source::stream(data)) else { return };
    for name in header.key_names() {
        let _any = header.wrapped_dek(&name);
        if let Some(kek) = KEK.as_ref() {
            let _any = header.unwrap_dek(&name, kek);
        }
    }
}

/// A whole message. Few inputs come past the header, whose data key is bound to it: those are read to their end.
pub fn message(data: &[u8]) {
    let (Some(kek), Some(name)) = (KEK.as_ref(), key_name()) else { return };
    let mut source = Source::stream(data);
    let Ok(header) = Header::read(&mut source) else { return };
    let Ok(dek) = header.unwrap_dek(&name, kek) else { return };
    let effort = Effort { workers: NonZeroUsize::MIN, progress: None };
    let read = decrypt(source, Sink::stream(std::io::sink()), &header, &dek, &effort);
    assert!(read.is_err() || read.is_ok_and(|summary| summary.plaintext <= data.len() as u64));
}
