//! `keyfast evidence`: shows what evidence says, and verifies it against AMD's roots, without a broker.
//!
//! `show` believes nothing and says so. `verify` runs the checks that the broker runs, prints each with what was
//! compared, and never takes a root from the directory it is given.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use claims::snp::{GuestPolicy, PlatformInfo, Product, Tcb};
use claims::{EvidenceKind, UnixTime};
use clap::{Args, Subcommand};
use evidence::snp::{Report, ReportFields, ReportSigner, SnpEvidence};
use evidence::{Evidence, EvidenceError, MAX_EVIDENCE};
use serde_json::{Map, Value};
use verify::{
    Authenticated, Check, Endorsements, EndorsementsError, PemError, TrustAnchors, VerifyError,
    authenticate_with, certificates_from_file, product_of_cpu,
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
    let rows = match &evidence {
        Evidence::SevSnp(snp) => rows(snp),
        other => return Err(EvidenceError::Unsupported { kind: other.kind() }.into()),
    };
    if args.json {
        let fields: Map<String, Value> =
            rows.into_iter().map(|row| (row.name.to_owned(), row.value)).collect();
        writeln!(out, "{:#}", Value::Object(fields))?;
        return Ok(());
    }
    writeln!(out, "sev-snp report, not verified\n")?;
    rows.iter().try_for_each(|row| row.print(out))
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
    let snp = authenticated.snp();
    let root = if authenticated.simulated() { "a simulated root" } else { "AMD's root" };
    writeln!(out, "\nauthenticated: {} at {now}, under {root}", snp.product)?;
    writeln!(out, "  measurement\n    {}", snp.measurement)?;
    writeln!(out, "  reported tcb    {}", snp.reported_tcb)?;
    writeln!(out, "  os binding      {}", authenticated.os_binding().name())?;
    writeln!(out, "  guest identity  {}", authenticated.guest_identity().name())?;
    writeln!(
        out,
        "  debugging       {}",
        if snp.policy.debug_allowed() { "allowed" } else { "not allowed" }
    )?;
    writeln!(out, "  certificates    valid until {}", authenticated.not_after())?;
    writeln!(
        out,
        "\nGenuine says nothing of fresh or wanted: a broker also checks its challenge and its policy."
    )?;
    Ok(())
}

/// Reads a file as evidence. An HCL report says what it is by its first four bytes.
fn read_evidence(path: &Path, kind: EvidenceKind) -> Result<Evidence, Failure> {
    let bytes = read_bounded(path, MAX_EVIDENCE)?;
    let kind = if bytes.starts_with(b"HCLA") { EvidenceKind::AzureVtpm } else { kind };
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

/// A field: its name, its value as JSON has it, and what people read besides.
struct Row {
    name: &'static str,
    value: Value,
    note: String,
}

impl Row {
    /// Prints the row within 100 columns; long strings go on below each other.
    fn print(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let text = match &self.value {
            Value::String(text) => text.clone(),
            Value::Bool(set) => if *set { "yes" } else { "no" }.to_owned(),
            Value::Null => "-".to_owned(),
            other => other.to_string(),
        };
        let note = if self.note.is_empty() { String::new() } else { format!("  ({})", self.note) };
        let (mut name, mut rest) = (self.name, text.as_str());
        while let Some((line, more)) = rest.split_at_checked(VALUE_COLUMNS) {
            writeln!(out, "{name:<NAME_COLUMNS$}  {line}")?;
            (name, rest) = ("", more);
        }
        if !rest.is_empty() || !name.is_empty() {
            writeln!(out, "{}", format!("{name:<NAME_COLUMNS$}  {rest}{note}").trim_end())?;
        }
        Ok(())
    }
}

fn row(name: &'static str, value: impl Into<Value>) -> Row {
    Row { name, value: value.into(), note: String::new() }
}

fn noted(name: &'static str, value: impl Into<Value>, note: impl Into<String>) -> Row {
    Row { name, value: value.into(), note: note.into() }
}

/// Every field of the report, in the order of the report, then the certificates.
fn rows(snp: &SnpEvidence) -> Vec<Row> {
    let fields = snp.report.fields();
    let mut all = vec![row("version", fields.version), row("guest_svn", fields.guest_svn)];
    all.extend(policy_rows(fields.policy));
    all.extend([
        row("family_id", hex::encode(fields.family_id)),
        row("image_id", hex::encode(fields.image_id)),
        noted(
            "vmpl",
            fields.vmpl,
            if fields.vmpl == Report::HOST_VMPL { "requested by the host" } else { "" },
        ),
        noted("signature_algorithm", fields.signature_algorithm, "ECDSA P-384 with SHA-384"),
    ]);
    all.push(tcb_row("current_tcb", fields.current_tcb, fields));
    all.extend(platform_rows(fields.platform));
    all.extend(key_rows(fields));
    all.extend([
        row("report_data", hex::encode(fields.report_data)),
        noted("measurement", hex::encode(fields.measurement), "SHA-384"),
        row("host_data", hex::encode(fields.host_data)),
        noted("id_key_digest", hex::encode(fields.id_key_digest), "SHA-384"),
        noted("author_key_digest", hex::encode(fields.author_key_digest), "SHA-384"),
        row("report_id", hex::encode(fields.report_id)),
        row("report_id_ma", hex::encode(fields.report_id_ma)),
    ]);
    all.push(tcb_row("reported_tcb", fields.reported_tcb, fields));
    all.extend(cpu_rows(fields));
    all.push(row("chip_id", hex::encode(fields.chip_id)));
    all.push(tcb_row("committed_tcb", fields.committed_tcb, fields));
    all.extend([
        noted("current_firmware", firmware(fields.current_firmware), "major.minor.build"),
        noted("committed_firmware", firmware(fields.committed_firmware), "major.minor.build"),
    ]);
    all.push(tcb_row("launch_tcb", fields.launch_tcb, fields));
    all.extend([
        row("launch_mit_vector", fields.launch_mit_vector.map(|bits| format!("{bits:#x}"))),
        row("current_mit_vector", fields.current_mit_vector.map(|bits| format!("{bits:#x}"))),
    ]);
    let signature = snp.report.signature_be();
    let (r, s) = signature.split_at(48);
    all.extend([
        noted("signature_r", hex::encode(r), "big-endian"),
        noted("signature_s", hex::encode(s), "big-endian"),
    ]);
    all.push(certificates_row(snp));
    all
}

fn policy_rows(policy: GuestPolicy) -> [Row; 11] {
    [
        row("policy", format!("{:#x}", policy.0)),
        noted("policy.abi", format!("{}.{}", policy.abi_major(), policy.abi_minor()), "lowest allowed"),
        row("policy.smt_allowed", policy.smt_allowed()),
        row("policy.migrate_ma_allowed", policy.migrate_ma_allowed()),
        noted(
            "policy.debug_allowed",
            policy.debug_allowed(),
            if policy.debug_allowed() { "the host can read this guest" } else { "" },
        ),
        row("policy.single_socket", policy.single_socket()),
        row("policy.cxl_allowed", policy.cxl_allowed()),
        row("policy.mem_aes_256_xts", policy.mem_aes_256_xts()),
        row("policy.rapl_disabled", policy.rapl_disabled()),
        row("policy.ciphertext_hiding", policy.ciphertext_hiding()),
        row("policy.page_swap_disabled", policy.page_swap_disabled()),
    ]
}

fn platform_rows(platform: PlatformInfo) -> [Row; 10] {
    [
        row("platform", format!("{:#x}", platform.0)),
        row("platform.smt", platform.smt()),
        row("platform.tsme", platform.tsme()),
        row("platform.ecc", platform.ecc()),
        row("platform.rapl_disabled", platform.rapl_disabled()),
        row("platform.ciphertext_hiding", platform.ciphertext_hiding()),
        row("platform.alias_check_complete", platform.alias_check_complete()),
        row("platform.iommu_write_safe", platform.iommu_write_safe()),
        row("platform.tio", platform.tio()),
        noted("platform.unknown_bits", format!("{:#x}", platform.unknown_bits()), "bits 63:8"),
    ]
}

fn key_rows(fields: &ReportFields) -> [Row; 4] {
    let signer = match fields.key_info.signer() {
        ReportSigner::Vcek => "vcek".to_owned(),
        ReportSigner::Vlek => "vlek".to_owned(),
        ReportSigner::None => "none".to_owned(),
        ReportSigner::Reserved(code) => format!("reserved {code}"),
    };
    [
        row("key_info", format!("{:#x}", fields.key_info.0)),
        row("key_info.author_key_enabled", fields.key_info.author_key_enabled()),
        row("key_info.chip_key_masked", fields.key_info.chip_key_masked()),
        row("key_info.signing_key", signer),
    ]
}

fn cpu_rows(fields: &ReportFields) -> [Row; 2] {
    let cpu = fields.cpuid.map(|cpu| format!("{:02x}/{:02x}/{:02x}", cpu.family, cpu.model, cpu.stepping));
    let product = fields.cpuid.map(|cpu| product_of_cpu(cpu).map_or("unknown", Product::name));
    [noted("cpuid", cpu, "family/model/stepping, hexadecimal"), noted("product", product, "by cpuid")]
}

/// A TCB version: its bytes, and their parts in the layout that the CPU suggests.
fn tcb_row(name: &'static str, raw: [u8; 8], fields: &ReportFields) -> Row {
    let product = fields.cpuid.and_then(product_of_cpu).unwrap_or(Product::Milan);
    noted(name, hex::encode(raw), Tcb::from_report_bytes(raw, product).to_string())
}

fn firmware((major, minor, build): (u8, u8, u8)) -> String {
    format!("{major}.{minor}.{build}")
}

fn certificates_row(snp: &SnpEvidence) -> Row {
    let name = |guid: evidence::snp::Guid| guid.name().map_or_else(|| guid.to_string(), str::to_owned);
    let found = snp.certificates.iter().map(|(guid, bytes)| format!("{} {} bytes", name(guid), bytes.len()));
    let found: Vec<String> = found.collect();
    row("certificates", if found.is_empty() { "none".to_owned() } else { found.join(", ") })
}

/// Most files that are looked at in a directory of certificates.
const MAX_FILES: usize = 64;
/// Most bytes of a file in a directory of certificates.
const MAX_CERTIFICATE_FILE: usize = 256 * 1024;
const NAME_COLUMNS: usize = 30;
const VALUE_COLUMNS: usize = 64;
