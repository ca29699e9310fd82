//! `keyfast evidence`: shows what evidence says, and verifies it against AMD's roots, without a broker.
//!
//! `show` believes nothing and says so. `verify` runs the checks that the broker runs, prints each with what was
//! compared, and never takes a root from the directory it is given.

mod fields;
mod quote;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use claims::{EvidenceKind, UnixTime};
use clap::{Args, Subcommand};
use evidence::{Evidence, EvidenceError, MAX_EVIDENCE};
use serde_json::{Map, Value};
use verify::{
    Authenticated, Check, Endorsements, EndorsementsError, PemError, TrustAnchors, VerifyError,
    authenticate_with, certificates_from_file,
};

/// What to do with evidence.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print every field of evidence. Nothing is verified.
    Show(ShowArgs),
    /// Verify evidence against AMD's roots, and print each check.
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
    /// Directory with the chip's certificate (VCEK) and its issuer's (ASK), in DER or PEM, under any names. A root
    /// (ARK) among them is not believed: AMD's roots are part of this program.
    #[arg(long, value_name = "DIR")]
    certs: Option<PathBuf>,
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
    /// There are too many certificates, or too large ones.
    #[error(transparent)]
    Endorsements(#[from] EndorsementsError),
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
        Command::Verify(args) => verify(args, out),
    }
}

fn show(args: &ShowArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let evidence = read_evidence(&args.file, args.kind)?;
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

fn verify(args: &VerifyArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let evidence = read_evidence(&args.file, args.kind)?;
    let mut endorsements = Endorsements::from_evidence(&evidence);
    if let Some(directory) = &args.certs {
        endorsements = endorsements.merge(read_certificates(directory, out)?)?;
    }
    let now = args.at.map_or_else(clock, Ok)?;
    let mut checks: Vec<(Check, String)> = Vec::new();
    let result =
        authenticate_with(evidence, &endorsements, &TrustAnchors::amd(), now, &mut |check, compared| {
            checks.push((check, compared.to_string()));
        });
    checks.sort_by_key(|(check, _)| check.number());
    for (check, compared) in checks {
        writeln!(out, "{:>2}  {:<22}  {compared}", check.number(), check.title())?;
    }
    print_authenticated(&result?, now, out)
}

fn print_authenticated(
    authenticated: &Authenticated,
    now: UnixTime,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let root = if authenticated.simulated() { "a simulated root" } else { "AMD's root" };
    if let Some(snp) = authenticated.snp() {
        writeln!(out, "\nauthenticated: {} at {now}, under {root}", snp.product)?;
        writeln!(out, "  measurement\n    {}", snp.measurement)?;
        writeln!(out, "  reported tcb    {}", snp.reported_tcb)?;
    }
    if let Some(tpm) = authenticated.tpm() {
        writeln!(out, "  tpm key         {}", tpm.ak_binding.name())?;
        let indices: Vec<_> = tpm.pcrs.keys().map(u8::to_string).collect();
        writeln!(out, "  pcrs            {}: {}", tpm.bank, indices.join(", "))?;
    }
    writeln!(out, "  os binding      {}", authenticated.os_binding().name())?;
    writeln!(out, "  guest identity  {}", authenticated.guest_identity().name())?;
    if let Some(snp) = authenticated.snp() {
        let debugging = if snp.policy.debug_allowed() { "allowed" } else { "not allowed" };
        writeln!(out, "  debugging       {debugging}")?;
    }
    writeln!(out, "  certificates    valid until {}", authenticated.not_after())?;
    writeln!(
        out,
        "\nGenuine says nothing of fresh or wanted: a broker also checks its challenge and its policy."
    )?;
    Ok(())
}

/// Reads a file as evidence of this kind.
fn read_evidence(path: &Path, kind: EvidenceKind) -> Result<Evidence, Failure> {
    let bytes = read_bounded(path, MAX_EVIDENCE)?;
    Ok(Evidence::parse(kind, &bytes)?)
}

/// The certificates of a directory's files. A file that holds none is named and passed over.
fn read_certificates(directory: &Path, out: &mut dyn Write) -> Result<Endorsements, Failure> {
    let unreadable = |source| Failure::Read { path: directory.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if paths.len() == MAX_FILES {
            return Err(Failure::TooManyFiles { path: directory.to_owned(), limit: MAX_FILES });
        }
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        match certificates_from_file(&read_bounded(&path, MAX_CERTIFICATE_FILE)?) {
            Ok(certificates) => all.extend(certificates),
            Err(PemError::Neither) => (),
            Err(error) => writeln!(out, "    not used: `{}`: {error}", path.display())?,
        }
    }
    Ok(Endorsements::from_certificates(all)?)
}

fn read_bounded(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let unreadable = |source| Failure::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > limit {
        return Err(Failure::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

fn parse_time(text: &str) -> Result<UnixTime, &'static str> {
    UnixTime::parse(text).ok_or("not a time; use 2026-11-22T09:30:00Z, 2026-11-22 or seconds since 1970")
}

fn clock() -> Result<UnixTime, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(|since| UnixTime(since.as_secs())).map_err(|_| Failure::Clock)
}

/// Most files that are looked at in a directory of certificates.
const MAX_FILES: usize = 64;
/// Most bytes of a file in a directory of certificates.
const MAX_CERTIFICATE_FILE: usize = 256 * 1024;
