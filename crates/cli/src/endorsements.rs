//! `keyfast endorsements`: certificates of chips for brokers without a network, fetched here and carried there.
//!
//! Nothing is written that does not verify under AMD's roots, which are part of this program; whoever reads it later
//! verifies it again.

mod fetch;
mod import;
mod list;
mod trust;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use claims::{Sha256Digest, UnixTime};
use clap::{Args, Subcommand};
use endorsements::{Authority, DirectoryError, FindError, read_file};
use verify::{AnchorError, EndorsementsError, ListError, TrustAnchors, VerifyError};

/// Subcommands of `keyfast endorsements`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch the certificate of a chip's key, or revocation lists, from AMD, Azure or a mirror, into a directory
    #[command(
        long_about = "Fetch the certificate (VCEK) of the key that signs a chip's reports, and its issuer's, into a \
        directory that brokers read.\n\n\
        The key is named by a report, alone or in evidence of a vTPM (Azure's too), or by product, chip id and TCB: \
        another TCB has another key. What comes is verified under AMD's roots before it is written. A key that is in \
        the directory is not asked for again, unless a revocation list there names its issuer; its certificate does \
        not change but for its dates. AMD answers seldom \
        for the same key, so this waits as it is asked to. A cloud provider's key (VLEK) is given to nobody but the \
        provider: its certificate comes with the evidence, or from `import`, and only the chain above it is fetched \
        here.\n\n\
        With --crl the revocation lists of the product's root come along; --crl alone fetches lists and nothing else. \
        A broker takes up newer ones in its directory without a restart.\n\n\
        For a site without a network, run this elsewhere, carry the directory there, and name it in the broker's \
        configuration: `[endorsements]`, `directory = \"...\"`.",
        after_help = "Examples:\n  \
        keyfast endorsements fetch --report report.bin --dir endorsements\n  \
        keyfast endorsements fetch --report azure-evidence.bin --dir endorsements --from azure-cache,kds\n  \
        keyfast endorsements fetch --product Genoa --chip 0a1b... \\\n    \
        --tcb bootloader=10,tee=0,snp=27,microcode=88 --dir endorsements\n  \
        keyfast endorsements fetch --crl --product Genoa --dir endorsements"
    )]
    Fetch(fetch::Fetch),
    /// Verify files of certificates and revocation lists, and put them into a directory as brokers look for them
    #[command(
        long_about = "Verify files of certificates and revocation lists, DER or PEM, and put them into a directory \
        under the names that brokers look for.\n\n\
        Give the certificate of each chip's (VCEK) or cloud provider's key (VLEK) and those of their issuers (ASK, \
        ASVK), in any order; or those of issuers alone. Unless each key's certificate has its issuer's among the \
        files, or in the directory, up to one of AMD's roots, nothing is written. A root among the files is not \
        believed, and not written.\n\n\
        A revocation list must be signed by one of AMD's roots. It is put beside both chains of its product, and \
        never in the place of a newer one. Whether it is too old, brokers say. Nothing is written either if a \
        certificate is on a list, however old, among the files or in the directory; one that was there before stays, \
        and `list` says that it was revoked.",
        after_help = "Examples:\n  \
        keyfast endorsements import vcek.der cert_chain.pem --dir endorsements\n  \
        keyfast endorsements import genoa.crl --dir endorsements"
    )]
    Import(import::Import),
    /// List the certificates and revocation lists of a directory, and whether they verify now
    List(list::List),
}

/// Whose certificates are kept: AMD's root keys vouch for them, or one of a simulated host.
#[derive(Debug, Args)]
struct Roots {
    /// Also believe the root of a simulated host: its certificate, DER or PEM
    #[arg(long, value_name = "FILE", requires = "simulated_root_sha256")]
    simulated_root: Option<PathBuf>,
    /// SHA-256 of that certificate in DER
    #[arg(long, value_name = "HEX", requires = "simulated_root")]
    simulated_root_sha256: Option<Sha256Digest>,
}

/// Why certificates were not fetched, imported or listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A file cannot be used.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error(transparent)]
    Contents(#[from] DirectoryError),
    /// The simulated root is none.
    #[error(transparent)]
    Root(#[from] AnchorError),
    /// The file given as the simulated root does not hold one certificate.
    #[error("`{}` holds {got} certificates: expected one, the simulated root's", path.display())]
    RootFile {
        /// The file.
        path: PathBuf,
        /// Certificates found.
        got: usize,
    },
    /// The report's key cannot be told.
    #[error("`{}`: {reason}", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Product, chip id and TCB name no key.
    #[error("no such key: {0}")]
    NoSuchKey(&'static str),
    /// An address is none.
    #[error(transparent)]
    Address(#[from] endorsements::WebUrlError),
    /// No source had the certificate.
    #[error(transparent)]
    NotFound(#[from] Arc<FindError>),
    /// Certificates do not verify.
    #[error("`{}` does not verify: {reason}; nothing was written", path.display())]
    Unverified {
        /// The file.
        path: PathBuf,
        /// The first thing that is wrong.
        reason: String,
    },
    /// There is nothing to import.
    #[error(
        "nothing to import: expected certificates of VCEKs, VLEKs, ASKs or ASVKs, or revocation lists, under a \
         trusted root"
    )]
    NothingToImport,
    /// A newer revocation list is there.
    #[error(
        "`{}` is older than the revocation list of {authority} in the directory: expected one issued at {kept} or \
         later, got {got}; nothing was written",
        path.display()
    )]
    OlderList {
        /// The file.
        path: PathBuf,
        /// Beside whose chain the newer one is.
        authority: Authority,
        /// When that one was issued.
        kept: UnixTime,
        /// When this one was.
        got: UnixTime,
    },
    /// A service gave a revocation list that does not verify.
    #[error("the revocation list of {authority} does not verify: {source}")]
    List {
        /// Whose.
        authority: Authority,
        /// What is wrong with it.
        source: ListError,
    },
    /// More revocation lists than are looked at.
    #[error(transparent)]
    Lists(EndorsementsError),
    /// The clock is before 1970.
    #[error("the system's clock is before 1970; set it right, since certificates are valid for a time")]
    Clock,
}

impl Failure {
    /// The process's exit code: 1 for what does not verify, 4 for files, 2 for what keeps it from being judged.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unverified { .. } | Self::Report { .. } | Self::List { .. } | Self::OlderList { .. } => 1,
            Self::NotFound(error) if refused(error) => 1,
            Self::File { .. } | Self::Contents(_) => 4,
            _ => 2,
        }
    }
}

fn refused(error: &FindError) -> bool {
    error.failures.iter().any(|(_, failure)| matches!(failure, endorsements::Failure::Refused(_)))
}

/// Runs the command, with its result on standard output.
///
/// # Errors
/// [`Failure`]; its exit code says what is to blame.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Fetch(args) => fetch::run(args),
        Command::Import(args) => import::run(args),
        Command::List(args) => list::run(args),
    }
}

impl Roots {
    fn anchors(&self) -> Result<TrustAnchors, Failure> {
        let anchors = TrustAnchors::amd();
        let (Some(path), Some(sha256)) = (&self.simulated_root, self.simulated_root_sha256) else {
            return Ok(anchors);
        };
        let certificates = read_file(path)?;
        let [root] = certificates.as_slice() else {
            return Err(Failure::RootFile { path: path.clone(), got: certificates.len() });
        };
        Ok(anchors.with_simulated(root, sha256)?)
    }
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    move |source| Failure::File { action, path: path.to_owned(), source }
}

/// A file of evidence, as far as evidence goes.
fn read_evidence(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let most = u64::try_from(evidence::MAX_EVIDENCE).unwrap_or(u64::MAX);
    let file = File::open(path).map_err(file_error("read", path))?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(file_error("read", path))?;
    Ok(bytes)
}

fn clock() -> Result<UnixTime, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(|since| UnixTime(since.as_secs())).map_err(|_| Failure::Clock)
}

/// A report that names no key.
fn bad_report(path: &Path) -> impl FnOnce(VerifyError) -> Failure {
    move |error| Failure::Report { path: path.to_owned(), reason: error.to_string() }
}
