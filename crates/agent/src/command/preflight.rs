//! `keyfast-agent preflight`: what the broker would decide about this guest, or about its next boot.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use claims::{KeyId, Operation, UnwrapAlgorithm, VersionSelector};
use clap::Args;
use evidence::Evidence;
use measure::SignatureLists;
use measure::uki::{StubVersion, UkiParts};
use wire::{Prediction, Unwrap, Verdict};

use super::verdicts::{Asked, Report};
use crate::config::Config;
use crate::failure::Failure;
use crate::foresee::{Foreseen, foresee};
use crate::session::Wanted;
use crate::shell;

/// Ask what the broker would decide, about this guest or about its next boot; no key comes
#[derive(Debug, Args)]
#[command(
    long_about = "Ask what the broker would decide, about this guest as it is or about its next boot.\n\n\
    The guest attests itself as for a key. The broker evaluates its policies, writes a trial into its journal, and \
    answers in words: no key is opened or sent. How much it tells of its reasons is its operator's to configure.\n\n\
    Before an update is installed:\n  \
    keyfast-agent preflight disk --next /boot/efi/EFI/Linux/new.efi\n\n\
    For the next boot the guest needs a TPM and its event log, in which firmware started one unified kernel image. PCR \
    4, 9 and 11 are worked out as `keyfast measure uki` does, PCR 11 at the phase that the boot has now. Everything else \
    stays as it is now."
)]
pub struct Preflight {
    /// What to ask about: KEY, which is unwrap:KEY, or release:KEY, secret:KEY, renew:KEY
    #[arg(required = true, value_name = "REQUEST")]
    requests: Vec<Asked>,
    /// The unified kernel image (UKI) that is to boot next
    #[arg(long, value_name = "UKI")]
    next: Option<PathBuf>,
    /// systemd-stub's major version, 252 or 254 to 258, instead of the one that the image names
    #[arg(long, value_name = "VERSION", requires = "next", value_parser = stub)]
    stub: Option<StubVersion>,
    /// The whole contents that dbx will have: EFI signature lists (.esl), not a signed update
    #[arg(long, value_name = "FILE")]
    dbx: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: &Config, args: &Preflight) -> Result<(), Failure> {
    let foreseen = next_boot(config, args)?;
    let wanted: Vec<Wanted> = args.requests.iter().map(wanted).collect();
    let prediction = foreseen.as_ref().map(|foreseen| &foreseen.prediction);
    let response = shell::preflight(config, &wanted, prediction)?;
    let report = Report {
        requests: &args.requests,
        about: about(args),
        foreseen: foreseen.as_ref(),
        response: &response,
    };
    let written = if args.json { report.json(&mut io::stdout()) } else { report.print(&mut io::stdout()) };
    written.map_err(|source| Failure::File { path: PathBuf::from("-"), source })?;
    let denied = response.verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Deny(_))).count();
    let (asked, request) = (response.verdicts.len(), response.request_id);
    if denied == 0 { Ok(()) } else { Err(Failure::WouldDeny { denied, asked, request }) }
}

/// What the next boot would change, if that is asked about.
fn next_boot(config: &Config, args: &Preflight) -> Result<Option<Foreseen>, Failure> {
    if args.next.is_none() && args.dbx.is_none() {
        return Ok(None);
    }
    let image = args.next.as_ref().map(|path| read_image(path, args.stub)).transpose()?;
    let contents = args.dbx.as_ref().map(|path| read_dbx(path)).transpose()?;
    let dbx = match (&args.dbx, &contents) {
        (Some(path), Some(bytes)) => {
            let wrong = |source| Failure::Dbx { path: path.clone(), source };
            Some(SignatureLists::parse(bytes).map_err(wrong)?)
        }
        _ => None,
    };
    let (kind, bytes) = shell::present(config)?;
    let evidence = Evidence::parse(kind, &bytes)
        .map_err(|error| Failure::Internal(format!("this guest's own evidence cannot be read: {error}")))?;
    Ok(Some(foresee(&evidence, image.as_ref(), dbx.as_ref())?))
}

fn read_image(path: &Path, stub: Option<StubVersion>) -> Result<UkiParts, Failure> {
    let unread = |source| Failure::File { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unread)?;
    if file.metadata().map_err(unread)?.len() > MAX_IMAGE {
        return Err(unread(io::Error::new(io::ErrorKind::FileTooLarge, "more than 4 GiB")));
    }
    UkiParts::read(&mut file, stub).map_err(|source| Failure::Image { path: path.to_owned(), source })
}

fn read_dbx(path: &Path) -> Result<Vec<u8>, Failure> {
    let unread = |source| Failure::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unread)?;
    file.take(MAX_DBX.saturating_add(1)).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() > Prediction::MAX_DBX {
        return Err(unread(io::Error::new(io::ErrorKind::FileTooLarge, "more than 64 KiB")));
    }
    Ok(bytes)
}

fn about(args: &Preflight) -> String {
    let name = |path: &PathBuf| path.display().to_string();
    let parts: Vec<String> = [("image", &args.next), ("dbx", &args.dbx)]
        .into_iter()
        .filter_map(|(what, path)| Some(format!("{what} {}", name(path.as_ref()?))))
        .collect();
    if parts.is_empty() {
        "this guest as it is".to_owned()
    } else {
        format!("the next boot: {}", parts.join(", "))
    }
}

/// A request, with a stand-in for a wrapped DEK where one belongs: the broker opens nothing for a preflight.
fn wanted(asked: &Asked) -> Wanted {
    let stand_in =
        || Unwrap { algorithm: UnwrapAlgorithm::RsaOaep256, wrapped: vec![0], context: Vec::new() };
    Wanted {
        operation: asked.operation,
        key: asked.key.clone(),
        version: VersionSelector::Latest,
        unwrap: (asked.operation == Operation::Unwrap).then(stand_in),
    }
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (operation, key) = text.split_once(':').unwrap_or(("unwrap", text));
        let operation = Operation::ALL.into_iter().find(|known| known.name() == operation);
        let operation = operation.ok_or("not an operation; use unwrap, release, secret or renew")?;
        let key: KeyId = key.parse().map_err(|error: claims::InvalidKeyId| error.to_string())?;
        Ok(Self { operation, key })
    }
}

fn stub(text: &str) -> Result<StubVersion, String> {
    let major = text.parse().map_err(|_| "not a version; use its major number, such as 252".to_owned())?;
    StubVersion::new(major).map_err(|error| error.to_string())
}

/// Most bytes of an image: firmware loads it below 4 GiB.
const MAX_IMAGE: u64 = 4 * 1024 * 1024 * 1024;
/// Most bytes of a dbx: what a prediction takes.
const MAX_DBX: u64 = Prediction::MAX_DBX as u64;
