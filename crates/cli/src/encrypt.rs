//! `keyfast encrypt`: the owner's side. Encrypts to a key's public half, from a signed descriptor, without contact
//! to the broker; only a guest that policy permits can decrypt.

use std::fs::File;
use std::path::{Path, PathBuf};

use claims::{BrokerId, UnixTime};
use clap::Args;
use envelope::{
    Effort, EncryptionContext, KeyName, Options, Signature, Sink, Source, Wrapping, WrappingKey, encrypt,
};
use keys::Descriptor;
use tlog::note::{SignedNote, VerifierKey};
use wire::{SignedStatement, Statement};

use crate::progress;

/// Arguments of `keyfast encrypt`.
#[derive(Debug, Args)]
#[command(
    long_about = "Encrypt a file to the public half of a broker's key, without contact to the broker.\n\n\
    The descriptor comes from `keyfast keys descriptor`; it counts because the broker pinned with --broker signed \
    for it. The output is a message in the AWS Encryption SDK's format, version 2; `keyfast-agent decrypt` in an \
    attested guest opens it, and nothing else does.\n\n\
    Anyone can encrypt to a public key: the message keeps a secret, and says nothing about where it came from."
)]
pub struct Encrypt {
    /// The file to encrypt; `-` for standard input
    input: PathBuf,
    /// The key's signed descriptor
    #[arg(long, short = 't', value_name = "DESCRIPTOR")]
    to: PathBuf,
    /// The broker's identity, 64 hexadecimal digits; `keyfast dev identity` prints that of a development set-up
    #[arg(long, env = "KEYFAST_BROKER", value_name = "HEX")]
    broker: BrokerId,
    /// Where to write the message; `-` for standard output
    #[arg(long, short)]
    output: PathBuf,
    /// Authenticated label, readable by anyone, such as `dataset=a`; may be given again
    #[arg(long = "context", value_name = "NAME=VALUE", value_parser = parse_pair)]
    context: Vec<(String, String)>,
    /// Add a signature by a key made for this message (suite 0578); it detects changes by guests that can decrypt
    #[arg(long)]
    sign: bool,
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` is not of the form name=value"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Why nothing was encrypted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptFailure {
    /// A file cannot be used.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The descriptor does not count.
    #[error("refusing the descriptor `{}`: {reason}", path.display())]
    Descriptor {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file could not be encrypted.
    #[error("`{}`: {source}", path.display())]
    Encrypt {
        /// The file.
        path: PathBuf,
        /// Why.
        source: envelope::Error,
    },
}

/// Encrypts one file.
///
/// # Errors
/// [`EncryptFailure`]; nothing is left under the output's name then.
pub fn run(args: &Encrypt) -> Result<(), EncryptFailure> {
    let descriptor = verified_descriptor(&args.to, args.broker)?;
    let refuse = |reason: String| EncryptFailure::Descriptor { path: args.to.clone(), reason };
    let public = descriptor.public_key().map_err(|e| refuse(e.to_string()))?;
    let encrypting = |source| EncryptFailure::Encrypt { path: args.input.clone(), source };
    let context = EncryptionContext::new(args.context.iter().cloned()).map_err(|e| encrypting(e.into()))?;
    let signature = if args.sign { Signature::OneTime } else { Signature::None };
    let options = Options { signature, context, ..Options::default() };
    let name = KeyName::of(&descriptor.key, descriptor.version);
    let source = open(&args.input)?;
    let sink = create(&args.output)?;
    let bar = progress::bar("encrypting", source.remaining());
    let progress = |bytes| bar.inc(bytes);
    let effort = Effort { progress: Some(&progress), ..Effort::default() };
    let wrapping = [Wrapping { name, key: WrappingKey::Rsa(&public) }];
    encrypt(source, sink, &options, &wrapping, &effort).map_err(encrypting)?;
    bar.finish_and_clear();
    Ok(())
}

fn open(path: &Path) -> Result<Source<'static>, EncryptFailure> {
    let file = |source| EncryptFailure::File { path: path.to_owned(), source };
    if path == Path::new("-") {
        return Ok(Source::stream(std::io::stdin()));
    }
    Source::file(File::open(path).map_err(file)?).map_err(file)
}

fn create(path: &Path) -> Result<Sink<'static>, EncryptFailure> {
    if path == Path::new("-") {
        return Ok(Sink::stream(std::io::stdout()));
    }
    Sink::create(path).map_err(|source| EncryptFailure::File { path: path.to_owned(), source })
}

/// Reads a descriptor and checks the way from the pinned broker to the key: identity, statement, journal key, note.
fn verified_descriptor(path: &Path, broker: BrokerId) -> Result<Descriptor, EncryptFailure> {
    let read = |source| EncryptFailure::File { path: path.to_owned(), source };
    let refuse = |reason: String| EncryptFailure::Descriptor { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(read)?.len();
    if length > keys::MAX_DESCRIPTOR as u64 {
        return Err(refuse(format!(
            "too large: expected at most {} bytes, got {length}",
            keys::MAX_DESCRIPTOR
        )));
    }
    let bytes = std::fs::read(path).map_err(read)?;
    let note = SignedNote::parse(&bytes).map_err(|e| refuse(e.to_string()))?;
    let descriptor =
        Descriptor::from_unverified_text(note.unverified_text()).map_err(|e| refuse(e.to_string()))?;
    let statement = verified_statement(&descriptor.statement, broker).map_err(refuse)?;
    if descriptor.broker != broker {
        return Err(refuse(format!("it is of broker {}: expected {broker}", descriptor.broker)));
    }
    if let Some(now) = now().filter(|now| statement.expires < *now) {
        return Err(refuse(format!(
            "the broker's statement in it expired at {}, and it is {now}; fetch a new descriptor",
            statement.expires
        )));
    }
    let keys: Vec<VerifierKey> = statement.journal_keys.iter().filter_map(|key| key.parse().ok()).collect();
    note.verify(&keys).map_err(|e| refuse(e.to_string()))?;
    Ok(descriptor)
}

/// The statement inside a descriptor, if the pinned broker signed it.
fn verified_statement(bytes: &[u8], broker: BrokerId) -> Result<Statement, String> {
    let signed: SignedStatement = wire::decode(bytes).map_err(|e| e.to_string())?;
    let message = SignedStatement::signed_bytes(&signed.statement);
    keys::verify_identity(&[broker], &signed.identity, &message, &signed.signature)
        .map_err(|e| e.to_string())?;
    wire::decode(&signed.statement).map_err(|e| e.to_string())
}

fn now() -> Option<UnixTime> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(UnixTime(since.as_secs()))
}
