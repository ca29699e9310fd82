//! `keyfast-agent decrypt`: a file, with a DEK that the broker unwraps or a KEK that it releases.

use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use ::keys::{Dek, OpenedContent};
use claims::{KeyId, Operation, VersionSelector};
use clap::{Args, ValueEnum};
use envelope::{Effort, Header, KeyName, Sink, Source};
use indicatif::{ProgressBar, ProgressStyle};
use wire::Unwrap;

use crate::config::Config;
use crate::failure::Failure;
use crate::session::Wanted;
use crate::shell;

/// Decrypt a file that was encrypted to one of the broker's keys
#[derive(Debug, Args)]
#[command(long_about = "Decrypt a file that was encrypted to one of the broker's keys.\n\n\
    The file says which key; the broker decides whether this guest may use it. The output gets its name only when \
    everything verified. A pipe sees data before that: look at the exit code.\n\n\
    What the file says of its sender is worth nothing: anyone can encrypt to a public key.")]
pub struct Decrypt {
    /// The encrypted file; `-` for standard input
    input: PathBuf,
    /// Where the plaintext goes; `-` for standard output
    #[arg(long, short)]
    output: PathBuf,
    /// Let the broker unwrap the data key, or ask for the key itself
    #[arg(long, value_enum, default_value_t = Via::Unwrap)]
    via: Via,
    /// Use this key of those that the file is encrypted to
    #[arg(long)]
    key: Option<KeyId>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Via {
    /// The key stays with the broker
    Unwrap,
    /// The key comes here, if it may leave the broker
    Release,
}

pub(super) fn run(config: &Config, args: &Decrypt) -> Result<(), Failure> {
    let data = |source| Failure::Data { path: args.input.clone(), source };
    let mut source = open(&args.input)?;
    let header = Header::read(&mut source).map_err(data)?;
    let name = choose(&header, args)?;
    let dek = obtain_dek(config, args, &header, &name)?;
    let sink = create(&args.output)?;
    let bar = bar(source.remaining());
    let progress = |bytes| bar.inc(bytes);
    let effort = Effort { progress: Some(&progress), ..Effort::default() };
    let summary = envelope::decrypt(source, sink, &header, &dek, &effort).map_err(data)?;
    bar.finish_and_clear();
    tracing::info!(key = %name, bytes = summary.plaintext, "decrypted");
    Ok(())
}

/// The first of the broker's keys in the header, or the one that was named.
fn choose(header: &Header, args: &Decrypt) -> Result<KeyName, Failure> {
    let fits = |name: &KeyName| match (name.key(), &args.key) {
        (Some((found, _)), Some(wanted)) => found == *wanted,
        (found, None) => found.is_some(),
        (None, Some(_)) => false,
    };
    header.key_names().find(fits).ok_or_else(|| {
        let wanted =
            args.key.as_ref().map_or("any key of a broker".to_owned(), |key| format!("the key `{key}`"));
        Failure::Usage(format!("`{}` is not encrypted to {wanted}", args.input.display()))
    })
}

fn obtain_dek(config: &Config, args: &Decrypt, header: &Header, name: &KeyName) -> Result<Dek, Failure> {
    let data = |source| Failure::Data { path: args.input.clone(), source };
    let (key, version) = name.key().ok_or_else(|| Failure::Internal("a key without a name".to_owned()))?;
    let wrapped = header.wrapped_dek(name).map_err(|e| data(e.into()))?;
    let (operation, unwrap) = match args.via {
        Via::Release => (Operation::Release, None),
        Via::Unwrap => {
            let (wrapped, context) = (wrapped.wrapped.clone(), wrapped.context.clone());
            (
                Operation::Unwrap,
                Some(Unwrap { algorithm: wrapped_algorithm(header, name)?, wrapped, context }),
            )
        }
    };
    let wanted = Wanted { operation, key, version: VersionSelector::Exact(version), unwrap };
    let opened = shell::obtain(config, &[wanted])?.pop().map(|opened| opened.content);
    match opened {
        Some(OpenedContent::Dek(dek)) => Ok(dek),
        Some(OpenedContent::Kek(kek)) => header.unwrap_dek(name, &kek).map_err(data),
        _ => Err(Failure::Internal("the answer holds no key".to_owned())),
    }
}

fn wrapped_algorithm(header: &Header, name: &KeyName) -> Result<claims::UnwrapAlgorithm, Failure> {
    header.wrapped_dek(name).map(|wrapped| wrapped.algorithm).map_err(|e| Failure::Internal(e.to_string()))
}

fn open(path: &Path) -> Result<Source<'static>, Failure> {
    let file = |source| Failure::File { path: path.to_owned(), source };
    if path == Path::new("-") {
        return Ok(Source::stream(std::io::stdin()));
    }
    Source::file(File::open(path).map_err(file)?).map_err(file)
}

fn create(path: &Path) -> Result<Sink<'static>, Failure> {
    if path == Path::new("-") {
        return Ok(Sink::stream(std::io::stdout()));
    }
    Sink::create(path).map_err(|source| Failure::File { path: path.to_owned(), source })
}

/// A bar where standard error is a terminal, else nothing.
fn bar(length: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("decrypting {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
