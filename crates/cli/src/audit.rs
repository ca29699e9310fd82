//! `keyfast audit`: reading the broker's log, and what was decided, why, and on what.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use claims::RequestId;
use claims::leaf::LeafKind;
use clap::Subcommand;
use journal::audit::verify_directory;
use policy::{Reason, ReasonKind};
use tlog::note::VerifierKey;
use wire::admin::{ExplainedReason, Explanation, MissingDecisions, Status};

use crate::admin::{Admin, AdminError};
use crate::dev::Layout;
use crate::evidence::Style;
use crate::file::read_if_there;
use crate::output::{complain, say, stdout};
use crate::past::{self, PastError, Span};
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
        /// Print the decision as a case for `keyfast policy test`; =N for answer N, from 0, of a request with several
        #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, conflicts_with = "json")]
        case: Option<Option<usize>>,
    },
    /// Export past decisions with what they were decided on, a line of JSON each
    #[command(
        long_about = "Export past decisions with what they were decided on, a line of JSON each, for `keyfast policy replay \
        --from` on a machine without a broker.\n\nThe lines say what guests are, \
        from which addresses they came and which keys they asked for; there is no key in them."
    )]
    Decisions {
        /// Which.
        #[command(flatten)]
        span: Span,
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
    /// Past decisions cannot be had.
    #[error(transparent)]
    Past(#[from] PastError),
    /// There is no case of a decision.
    #[error(transparent)]
    Case(#[from] policy::case::CaseError),
    /// A request has several answers, or not this one.
    #[error("the request has {got} answers; name one with --case=N, from 0 to {}", got.saturating_sub(1))]
    WhichAnswer {
        /// How many.
        got: usize,
    },
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
        Command::Explain { request, case: Some(which), .. } => print_case(admin, *request, *which),
        Command::Decisions { span } => export(admin, *span),
        Command::Explain { request, json, case: None } => explain(admin, *request, *json, &mut stdout()),
        Command::Verify { dir, key } => verify(admin, dir.as_deref(), key.clone()),
    }
}

/// Prints what the broker decided for a request, and why.
///
/// # Errors
/// [`AuditFailure::Admin`] if it does not say, or knows nothing of it.
pub(crate) fn explain(
    admin: &Admin,
    request: RequestId,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), AuditFailure> {
    let explanation: Explanation = admin.fetch(&format!("/admin/v1/explain/{request}"))?;
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&explanation).unwrap_or_default())?;
    } else {
        print_explanation(&explanation, out)?;
    }
    Ok(())
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
    say!("log         {}", key.name());
    say!("directory   {}", dir.display());
    say!("entries     {}", report.checkpoint.size);
    for (kind, count) in LeafKind::ALL.into_iter().zip(report.entries).filter(|(_, count)| *count > 0) {
        say!("  {:<15} {count}", kind.name());
    }
    say!("root        {}", report.checkpoint.root);
    say!("verified    every entry and tile that the checkpoint needs, and its signature");
    Ok(())
}

/// Prints the only answer, or the one that was named, as a case.
fn print_case(admin: &Admin, request: RequestId, which: Option<usize>) -> Result<(), AuditFailure> {
    let decisions = past::of_request(admin, request)?;
    let decision = match (which, decisions.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(at), all) => all.get(at),
    };
    let decision = decision.ok_or(AuditFailure::WhichAnswer { got: decisions.len() })?;
    Ok(stdout().write_all(decision.case_file()?.as_bytes())?)
}

fn export(admin: &Admin, span: Span) -> Result<(), AuditFailure> {
    // Not `output::stdout`: a reader that has gone away needs no more pages from the broker.
    let mut out = io::BufWriter::new(io::stdout().lock());
    let exported = past::of_broker(admin, span, |decision| {
        Ok::<(), AuditFailure>(writeln!(out, "{}", decision.to_line()?)?)
    });
    let exported = exported.and_then(|missing| Ok(out.flush().map(|()| missing)?));
    let missing = match exported {
        Err(AuditFailure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        exported => exported?,
    };
    let MissingDecisions { refused, without_claims } = missing;
    if refused > 0 {
        complain!(
            "keyfast: not among them: {refused} refused before any policy, whose evidence was not believed"
        );
    }
    if without_claims > 0 {
        complain!("keyfast: not among them: {without_claims} older than the claims that are kept");
    }
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
        if let Some(policy) = &answer.policy {
            writeln!(out, "policy    {policy}")?;
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
