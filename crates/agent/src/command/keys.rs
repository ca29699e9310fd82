//! `keyfast-agent secret` and `renew`.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use ::keys::OpenedContent;
use claims::{KeyId, Operation, VersionSelector};
use clap::Args;
use envelope::Sink;

use crate::config::Config;
use crate::failure::Failure;
use crate::session::Wanted;
use crate::shell;

/// Get a secret, such as a password or a token
#[derive(Debug, Args)]
pub struct Secret {
    /// The secret's name
    key: KeyId,
    /// Where to write it, with mode 0600; standard output if not given, unless that is a terminal
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// Attest again, and get a receipt and no key
#[derive(Debug, Args)]
pub struct Renew {
    /// The key whose lease is renewed
    key: KeyId,
}

pub(super) fn secret(config: &Config, args: &Secret) -> Result<(), Failure> {
    if args.output.is_none() && io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "standard output is a terminal; pipe the secret on or use --output".to_owned(),
        ));
    }
    let opened = shell::obtain(config, &[wanted(Operation::Secret, &args.key)])?.pop();
    let Some(OpenedContent::Secret(secret)) = opened.map(|opened| opened.content) else {
        return Err(Failure::Internal("the answer holds no secret".to_owned()));
    };
    let written = match &args.output {
        None => io::stdout().write_all(secret.expose()),
        Some(path) => Sink::write_whole(path, secret.expose()),
    };
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from("-"));
    written.map_err(|source| Failure::File { path, source })
}

pub(super) fn renew(config: &Config, args: &Renew) -> Result<(), Failure> {
    shell::obtain(config, &[wanted(Operation::Renew, &args.key)])?;
    tracing::info!(key = %args.key, "renewed");
    Ok(())
}

fn wanted(operation: Operation, key: &KeyId) -> Wanted {
    Wanted { operation, key: key.clone(), version: VersionSelector::Latest, unwrap: None }
}
