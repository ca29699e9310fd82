//! `keyfast evidence`: shows what evidence says, and verifies it against AMD's roots, without a broker.
//!
//! `show` believes nothing and says so. `pack` puts the loose files of a quote together. `verify` makes the checks that the
//! broker makes, prints each with what was compared, those after the first that fails too, and never takes a root from
//! the directory it is given. Files are told by their bytes; what is nothing known is called nothing else.

mod enrolled;
mod fields;
mod files;
mod log;
mod pack;
mod part;
mod pcr_values;
mod quote;
mod style;
mod verdict;
mod verify_command;

pub(crate) use enrolled::EnrolArgs;
pub(crate) use style::{Style, Tone, wrap};
pub(crate) use verdict::record as claims_record;
pub(crate) use verify_command::authenticate;

use std::io::{self, Write};
use std::path::PathBuf;

use claims::{EvidenceKind, UnixTime};
use clap::{Args, Subcommand};
use evidence::{EvidenceError, SectionError};
use serde_json::{Map, Value};
use verify::{AnchorError, EndorsementsError, VerifyError};

use crate::file::FileError;
use part::Format;

/// What to do with evidence.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print every field of evidence, or of a part of it. Nothing is verified
    #[command(long_about = SHOW)]
    Show(ShowArgs),
    /// Verify evidence, and print each check by its number
    #[command(long_about = VERIFY)]
    Verify(VerifyArgs),
    /// Put the files of a quote into one file of evidence
    #[command(long_about = pack::ABOUT, after_help = pack::EXAMPLES, override_usage = pack::USAGE)]
    Pack(pack::PackArgs),
}

const SHOW: &str = "Print every field of evidence. Nothing is verified.\n\n\
    Shown are evidence of every kind, and by themselves: an SNP report, Azure's HCL blob, a quote (TPMS_ATTEST), a \
    signature (TPMT_SIGNATURE), a key (TPM2B_PUBLIC) and an event log. Which it is, the bytes tell.";

const VERIFY: &str = "Verify evidence against AMD's roots and enrolled keys, and print each check by its number.\n\n\
    1 to 18 are the checks of an SNP report, A1 to A3 and V1 to V3 what Azure's and a service module's report binds, \
    T1 to T10 those of a quote. They are made past the first that fails, and on what there is: of Azure's HCL blob by \
    itself those of its report are, though nothing is authenticated without the quote. `policy` and `broker` mark what is for a \
    policy, and for a broker with its challenge; `n/a` what this evidence has nothing of.";

/// Arguments of `keyfast evidence show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The evidence, or a part of it
    file: PathBuf,
    /// Print JSON, with the same names
    #[arg(long)]
    json: bool,
    /// Print the events of a log that came with other things
    #[arg(long)]
    events: bool,
    /// Kind of evidence: sev-snp, tpm, azure-vtpm or svsm [default: what the bytes look like]
    #[arg(long)]
    kind: Option<EvidenceKind>,
}

/// Arguments of `keyfast evidence verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The evidence
    file: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// Print JSON: `claims` is what `guest` is in a case of a policy
    #[arg(long)]
    json: bool,
    /// At which time the certificates must be valid: `2026-11-22T09:30:00Z`, `2026-11-22` or seconds since 1970
    /// [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<UnixTime>,
}

/// What evidence is verified with, and against.
#[derive(Debug, Default, PartialEq, Args)]
pub struct Trust {
    /// Directory with the certificate of the key that signed (VCEK or VLEK) and its issuer's (ASK or ASVK), in DER or
    /// PEM, under any names. A root (ARK) among them is not believed: AMD's roots are part of this program
    #[arg(long, value_name = "DIR")]
    pub(crate) certs: Option<PathBuf>,
    /// A revocation list of a root, in DER, as AMD publishes it; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) crl: Vec<PathBuf>,
    /// Believe evidence only under a valid revocation list of its root, issued at most so many days ago [default: 60]
    #[arg(long, value_name = "DAYS", num_args = 0..=1, require_equals = true, default_missing_value = "60")]
    pub(crate) require_crl: Option<u64>,
    /// A simulated root's certificate, in DER or PEM: what it vouches for is shown as simulated
    #[arg(long, value_name = "FILE")]
    pub(crate) simulated_root: Option<PathBuf>,
    /// Believe reports of version 4, read in the layout of version 3: AMD has not published one
    #[arg(long)]
    pub(crate) accept_version_4: bool,
    /// Kind of evidence: sev-snp, tpm, azure-vtpm or svsm [default: what the bytes look like]
    #[arg(long)]
    pub(crate) kind: Option<EvidenceKind>,
    #[command(flatten)]
    pub(crate) enrol: EnrolArgs,
}

/// Why evidence was not shown or not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A file or directory cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not the part of evidence that it should be.
    #[error("`{}`: {error}; expected {expected}", .path.display())]
    Part {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What is wrong with it.
        error: EvidenceError,
    },
    /// A file holds no PCR values.
    #[error("`{}` has no values of the quoted pcrs: expected what tpm2_quote -o or tpm2_pcrread writes", .path.display())]
    PcrFile {
        /// The file.
        path: PathBuf,
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
    Evidence(EvidenceError),
    /// A file seems to be nothing that is read here.
    #[error("`{}` is not recognised: known are {}", .path.display(), Format::KNOWN)]
    NotRecognised {
        /// The file.
        path: PathBuf,
    },
    /// A file is a part of evidence by itself.
    #[error(
        "`{}` is {} by itself, and no evidence: `keyfast evidence pack` puts the parts of evidence into one file",
        .path.display(), .format.title()
    )]
    Loose {
        /// The file.
        path: PathBuf,
        /// What it is.
        format: Format,
    },
    /// Evidence of several parts lacks one.
    #[error("{0}; `keyfast evidence pack` puts its parts into one file")]
    Incomplete(SectionError),
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

impl From<EvidenceError> for Failure {
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Sections(missing @ SectionError::Missing { .. }) => Self::Incomplete(missing),
            error => Self::Evidence(error),
        }
    }
}

impl Failure {
    /// The process's exit code: 1 for evidence that is refused, 2 for what keeps it from being judged.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Evidence(_)
            | Self::Incomplete(_)
            | Self::Refused(_)
            | Self::NotRecognised { .. }
            | Self::Loose { .. } => 1,
            _ => 2,
        }
    }
}

/// Runs the command, with its result on standard output.
///
/// # Errors
/// [`Failure`]; its exit code says whether the evidence is to blame.
pub fn run(command: &Command) -> Result<(), Failure> {
    let out = &mut crate::output::stdout();
    match command {
        Command::Show(args) => show(args, out),
        Command::Verify(args) => verify_command::run(args, style::Style::of_stdout(), out),
        Command::Pack(args) => pack::run(args, out),
    }
}

fn show(args: &ShowArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let (format, bytes) = files::read_known(&args.file, args.kind)?;
    let part = part::Part::parse(format, &bytes)?;
    let rows = part.rows(args.events);
    if args.json {
        let fields: Map<String, Value> =
            rows.into_iter().map(|row| (row.name.to_owned(), row.value)).collect();
        writeln!(out, "{:#}", Value::Object(fields))?;
        return Ok(());
    }
    writeln!(out, "{}, not verified\n", part.title())?;
    rows.iter().try_for_each(|row| row.print(out))?;
    Ok(())
}

fn parse_time(text: &str) -> Result<UnixTime, &'static str> {
    UnixTime::parse(text).ok_or("not a time; use 2026-11-22T09:30:00Z, 2026-11-22 or seconds since 1970")
}
