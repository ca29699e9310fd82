//! `keyfast evidence`: shows what evidence says, and verifies it against AMD's roots, without a broker.
//!
//! `show` believes nothing and says so. `verify` makes the checks that the broker makes, prints each with what was
//! compared, those after the first that fails too, and never takes a root from the directory it is given.

mod fields;
mod files;
mod quote;
mod style;
mod verify_command;

pub(crate) use style::{Style, Tone, wrap};

use std::io::{self, Write};
use std::path::PathBuf;

use claims::{EvidenceKind, UnixTime};
use clap::{Args, Subcommand};
use evidence::EvidenceError;
use serde_json::{Map, Value};
use verify::{AnchorError, EndorsementsError, VerifyError};

/// What to do with evidence.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print every field of evidence. Nothing is verified.
    Show(ShowArgs),
    /// Verify evidence against AMD's roots, and print each check by its number.
    Verify(VerifyArgs),
}

/// Arguments of `keyfast evidence show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The evidence: an SNP report of 1184 bytes, or one with its certificate table.
    file: PathBuf,
    /// Print JSON, with the same names.
    #[arg(long)]
    json: bool,
    /// Kind of evidence.
    #[arg(long, default_value = "sev-snp")]
    kind: EvidenceKind,
}

/// Arguments of `keyfast evidence verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The evidence: an SNP report of 1184 bytes, or one with its certificate table.
    file: PathBuf,
    /// Directory with the certificate of the key that signed (VCEK or VLEK) and its issuer's (ASK or ASVK), in DER or
    /// PEM, under any names. A root (ARK) among them is not believed: AMD's roots are part of this program.
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
    /// A revocation list of a root, in DER, as AMD publishes it; may be given several times.
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// Believe evidence only under a valid revocation list of its root, issued at most so many days ago [default: 60].
    #[arg(long, value_name = "DAYS", num_args = 0..=1, require_equals = true, default_missing_value = "60")]
    require_crl: Option<u64>,
    /// A simulated root's certificate, in DER or PEM: what it vouches for is shown as simulated.
    #[arg(long, value_name = "FILE")]
    simulated_root: Option<PathBuf>,
    /// Believe reports of version 4, read in the layout of version 3: AMD has not published one.
    #[arg(long)]
    accept_version_4: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// At which time the certificates must be valid: `2026-11-22T09:30:00Z`, `2026-11-22` or seconds since 1970
    /// [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<UnixTime>,
    /// Kind of evidence.
    #[arg(long, default_value = "sev-snp")]
    kind: EvidenceKind,
}

/// Why evidence was not shown or not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A file or directory cannot be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is larger than anything that belongs there.
    #[error("`{}` is too large: expected at most {limit} bytes", .path.display())]
    TooLarge {
        /// Which one.
        path: PathBuf,
        /// Most bytes allowed.
        limit: usize,
    },
    /// A directory has more files than certificates could need.
    #[error("too many files in `{}`: expected at most {limit}", .path.display())]
    TooManyFiles {
        /// Which directory.
        path: PathBuf,
        /// Most files allowed.
        limit: usize,
    },
    /// The clock is before 1970.
    #[error("the system's clock is before 1970; give a time with --at")]
    Clock,
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// The bytes are no evidence.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// There are too many certificates, or too large ones, or a revocation list is none.
    #[error(transparent)]
    Endorsements(#[from] EndorsementsError),
    /// The file given as a simulated root is none.
    #[error("`{}`: {reason}", .path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The simulated root cannot be one.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// The evidence is not believed.
    #[error("not authenticated: {0}")]
    Refused(#[from] VerifyError),
}

impl Failure {
    /// The process's exit code: 1 for evidence that is refused, 2 for what keeps it from being judged.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Evidence(_) | Self::Refused(_) => 1,
            _ => 2,
        }
    }
}

/// Runs the command, with its result on standard output.
///
/// # Errors
/// [`Failure`]; its exit code says whether the evidence is to blame.
pub fn run(command: &Command) -> Result<(), Failure> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Show(args) => show(args, out),
        Command::Verify(args) => verify_command::run(args, style::Style::of_stdout(), out),
    }
}

fn show(args: &ShowArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let evidence = files::read_evidence(&args.file, args.kind)??;
    let rows = evidence.snp().map(fields::rows).into_iter().flatten().chain(quote::rows(&evidence));
    let rows: Vec<_> = rows.collect();
    if args.json {
        let fields: Map<String, Value> =
            rows.into_iter().map(|row| (row.name.to_owned(), row.value)).collect();
        writeln!(out, "{:#}", Value::Object(fields))?;
        return Ok(());
    }
    writeln!(out, "{} evidence, not verified\n", evidence.kind())?;
    rows.iter().try_for_each(|row| row.print(out))?;
    Ok(())
}

fn parse_time(text: &str) -> Result<UnixTime, &'static str> {
    UnixTime::parse(text).ok_or("not a time; use 2026-11-22T09:30:00Z, 2026-11-22 or seconds since 1970")
}
