//! `keyfast audit`: reading the broker's log, and why something was decided.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use claims::RequestId;
use clap::Subcommand;
use journal::audit::verify_directory;
use policy::{Reason, ReasonKind};
use tlog::note::VerifierKey;
use wire::admin::{ExplainedReason, Explanation, Status};

use crate::admin::{Admin, AdminError};
use crate::dev::Layout;
use crate::evidence::Style;
use crate::file::read_if_there;
use crate::policy::print_reasons;

/// Most bytes of a file of the published log.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Subcommands of `keyfast audit`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say why a request was permitted, denied or refused
    #[command(
        long_about = "Say why a request was permitted, denied or refused: for each condition that decided, what \
        was wanted and what was found.\n\nThe guest's error message names the request."
    )]
    Explain {
        /// The request, 32 hexadecimal digits
        request: RequestId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Verify a published log: every entry, tile and the signed checkpoint
    #[command(long_about = "Verify a published log: every entry, every tile, and the signed checkpoint.\n\n\
        The first file that is wrong is named, and the entry in it.")]
    Verify {
        /// The directory that the broker publishes to (`journal` in its state directory); that of the development
        /// set-up if not given
        dir: Option<PathBuf>,
        /// The log's verifier key, `name+hash+key`; asked of the broker if not given
        #[arg(long)]
        key: Option<VerifierKey>,
    },
}

/// Why an audit did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditFailure {
    /// The broker did not answer.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The key that the broker named is none.
    #[error("the broker names a verifier key that is none: {0}")]
    Key(#[from] tlog::BadKey),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// The log is not what was signed.
    #[error("the log in `{}` does not verify: {reason}", dir.display())]
    Log {
        /// Where it is published.
        dir: PathBuf,
        /// The first thing that is wrong, and where.
        reason: String,
    },
}

impl AuditFailure {
    /// The exit code: 1 if the log does not verify, 2 if it could not be looked at.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Log { .. }) { 1 } else { 2 }
    }
}

/// Runs one subcommand.
///
/// # Errors
/// [`AuditFailure`].
pub fn run(admin: &Admin, command: &Command) -> Result<(), AuditFailure> {
    match command {
        Command::Explain { request, json } => {
            let explanation: Explanation = admin.fetch(&format!("/admin/v1/explain/{request}"))?;
            if *json {
                println!("{}", serde_json::to_string_pretty(&explanation).unwrap_or_default());
            } else {
                print_explanation(&explanation, &mut io::stdout().lock())?;
            }
            Ok(())
        }
        Command::Verify { dir, key } => verify(admin, dir.as_deref(), key.clone()),
    }
}

fn verify(admin: &Admin, dir: Option<&Path>, key: Option<VerifierKey>) -> Result<(), AuditFailure> {
    let dir = dir.map_or_else(|| Layout::from_environment().broker_state().join("journal"), Path::to_owned);
    let key = match key {
        Some(key) => key,
        None => admin.fetch::<Status>("/admin/v1/status")?.journal_key.parse()?,
    };
    let report = verify_directory(
        |path| read_if_there(&dir.join(path), MAX_FILE),
        key.name(),
        std::slice::from_ref(&key),
    )
    .map_err(|error| AuditFailure::Log { dir: dir.clone(), reason: error.to_string() })?;
    println!("log         {}", key.name());
    println!("directory   {}", dir.display());
    println!("entries     {}", report.checkpoint.size);
    println!("root        {}", report.checkpoint.root);
    println!("verified    every entry and tile that the checkpoint needs, and its signature");
    Ok(())
}

fn print_explanation(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "request   {}", explanation.request)?;
    writeln!(out, "at        {}", explanation.at)?;
    for answer in &explanation.answers {
        writeln!(out)?;
        writeln!(out, "{}   {}", answer.outcome, answer.asked)?;
        writeln!(out, "code      {}", answer.code)?;
        if let Some(leaf) = answer.leaf {
            writeln!(out, "leaf      {leaf}")?;
        }
        let reasons: Vec<Reason> = answer.reasons.iter().map(reason).collect();
        print_reasons(&reasons, Style::of_stdout(), out)?;
    }
    Ok(())
}

/// The reason as policies give it; what is no policy's stands as a lock.
fn reason(told: &ExplainedReason) -> Reason {
    let kind = ReasonKind::ALL.into_iter().find(|kind| kind.name() == told.kind).unwrap_or(ReasonKind::Lock);
    let ExplainedReason { rule, doc, condition, wanted, found, .. } = told.clone();
    Reason { kind, rule, doc, condition, wanted, found }
}
