//! `keyfast evidence pack`: the loose files of a quote, put into the container that guests send.
//!
//! Nothing is verified but that the container parses: what comes out is as trustworthy as what went in.

use std::io::Write;
use std::path::{Path, PathBuf};

use claims::EvidenceKind;
use clap::Args;
use evidence::tpm::Attest;
use evidence::{Evidence, Tag, encode_sections};

use super::files::{read, read_public};
use super::{Failure, pcr_values};
use crate::output::write_public;

/// What `--help` says.
pub const ABOUT: &str = "Put the files of a quote into one file of evidence, as guests send it.\n\n\
    Which kind it is follows from what is given: with --hcl Azure's, with --manifest a service module's, else a bare \
    TPM's. It can then be shown and verified, without a broker.";

/// The line above the options, which would be too long with each in full.
pub const USAGE: &str =
    "keyfast evidence pack --attest FILE --signature FILE --pcrs FILE [OPTIONS] --output FILE";

/// Examples below them.
pub const EXAMPLES: &str = "A quote by tpm2-tools:\n  \
    tpm2_quote -c ak.ctx -l sha256:0,1,2,3,4,5,6,7 -q $EXTRA -m q.msg -s q.sig -o q.pcrs\n  \
    keyfast evidence pack --attest q.msg --signature q.sig --pcrs q.pcrs --ak-public ak.pub \\\n    \
    --log /sys/kernel/security/tpm0/binary_bios_measurements -o evidence.bin\n  \
    keyfast evidence verify --ak-public ak.pub evidence.bin";

/// Arguments of `keyfast evidence pack`.
#[derive(Debug, Args)]
pub struct PackArgs {
    /// The quote: TPMS_ATTEST, as `tpm2_quote -m` writes it
    #[arg(long, value_name = "FILE")]
    attest: PathBuf,
    /// Its signature: TPMT_SIGNATURE, as `tpm2_quote -s` writes it
    #[arg(long, value_name = "FILE")]
    signature: PathBuf,
    /// The PCR values: what `tpm2_quote -o` or `tpm2_pcrread -o` writes, or what `tpm2_pcrread` prints
    #[arg(long, value_name = "FILE")]
    pcrs: PathBuf,
    /// The attestation key: TPM2B_PUBLIC, as `tpm2_createak -u` writes it
    #[arg(long, value_name = "FILE", required_unless_present = "hcl", conflicts_with = "hcl")]
    ak_public: Option<PathBuf>,
    /// The event log, as the kernel shows it
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Azure's blob, from NV index 0x01400001
    #[arg(long, value_name = "FILE", conflicts_with = "manifest")]
    hcl: Option<PathBuf>,
    /// The report of a service module, 1184 bytes
    #[arg(long, value_name = "FILE", requires = "manifest")]
    report: Option<PathBuf>,
    /// The manifest of its vTPM: the endorsement key's TPMT_PUBLIC
    #[arg(long, value_name = "FILE", requires = "report")]
    manifest: Option<PathBuf>,
    /// The certificate table that came with the report
    #[arg(long, value_name = "FILE")]
    certificates: Option<PathBuf>,
    /// Where to write the evidence
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`]; nothing is written unless the evidence parses.
pub fn run(args: &PackArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let kind = match (&args.hcl, &args.manifest) {
        (Some(_), _) => EvidenceKind::AzureVtpm,
        (None, Some(_)) => EvidenceKind::Svsm,
        (None, None) => EvidenceKind::Tpm,
    };
    let bytes = container(args)?;
    Evidence::parse(kind, &bytes)?;
    write_public(&args.output, &bytes).map_err(Failure::Output)?;
    writeln!(out, "{}: {kind} evidence, {} bytes", args.output.display(), bytes.len())?;
    Ok(())
}

fn container(args: &PackArgs) -> Result<Vec<u8>, Failure> {
    let attest = read(&args.attest)?;
    let parsed = Attest::parse(&attest).map_err(|error| Failure::Part {
        path: args.attest.clone(),
        expected: "a quote's TPMS_ATTEST, as tpm2_quote -m writes it",
        error: error.into(),
    })?;
    let pcrs = pcr_values::named(&read(&args.pcrs)?, &parsed.fields().selection);
    let pcrs = pcrs.ok_or_else(|| Failure::PcrFile { path: args.pcrs.clone() })?;
    let optional = |path: &Option<PathBuf>| path.as_deref().map(read).transpose();
    let mut parts = vec![
        (Tag::Report, optional(&args.report)?),
        (Tag::Hcl, optional(&args.hcl)?),
        (Tag::Certificates, optional(&args.certificates)?),
        (Tag::Manifest, optional(&args.manifest)?),
        (Tag::Ak, args.ak_public.as_deref().map(sized_public).transpose()?),
    ];
    parts.extend([
        (Tag::Quote, Some(attest)),
        (Tag::Signature, Some(read(&args.signature)?)),
        (Tag::Pcrs, Some(pcrs)),
        (Tag::EventLog, optional(&args.log)?),
    ]);
    let present = parts.iter().filter_map(|(tag, part)| Some((*tag, part.as_deref()?)));
    Ok(encode_sections(&present.collect::<Vec<_>>()))
}

/// TPM2B_PUBLIC of a key, however the file has it.
fn sized_public(path: &Path) -> Result<Vec<u8>, Failure> {
    let public = read_public(path)?;
    let len = u16::try_from(public.as_bytes().len()).unwrap_or(u16::MAX);
    Ok([&len.to_be_bytes()[..], public.as_bytes()].concat())
}
