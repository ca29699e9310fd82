//! `keyfast measure uki`: PCR 4, 9 and 11 of a machine that boots a unified kernel image, from the image.

use std::path::PathBuf;

use clap::Args;
use measure::Bank;
use measure::uki::{BootEvent, StubVersion, UkiParts};
use serde_json::{Value, json};

use super::table::Table;
use super::{MeasureFailure, files};

/// What `--help` says.
pub const ABOUT: &str = "PCR 4, 9 and 11 of a machine that boots a unified kernel image (UKI), from the image.\n\n\
    PCR 4 is the image as firmware measures it, if firmware starts it first, from a boot option and with no loader \
    before it. PCR 11 is its sections as systemd-stub measures them; phases of the boot extend it later. PCR 9 is \
    the command line and the initrd as the kernel measures them, where the image alone decides these.\n\n\
    The same values for a SHA-384 bank, for a program:\n  \
    keyfast measure uki linux.efi --bank sha384 --json\n\n\
    If a machine shows other values: --events lists what each is made of, to compare with the machine's event log \
    (tpm2_eventlog /sys/kernel/security/tpm0/binary_bios_measurements). Distributions change their stubs at times; \
    --stub takes another version's list of sections.";

/// Arguments of `keyfast measure uki`.
#[derive(Debug, Args)]
pub struct UkiArgs {
    /// The image, as it lies on the EFI system partition, signature and all
    file: PathBuf,
    /// The bank of PCRs: sha256 or sha384
    #[arg(long, default_value = "sha256")]
    bank: Bank,
    /// systemd-stub's major version, 252 or 254 to 258, instead of the one that the image names
    #[arg(long, value_name = "VERSION", value_parser = parse_stub)]
    stub: Option<StubVersion>,
    /// Print each event as well; JSON always has them
    #[arg(long)]
    events: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Measures.
pub fn measure(args: &UkiArgs) -> Result<Table, MeasureFailure> {
    let mut file = files::open_bounded(&args.file)?;
    let parts = UkiParts::read(&mut file, args.stub)
        .map_err(|source| MeasureFailure::Image { path: args.file.clone(), source })?;
    let pcr = |index| parts.pcr(index, args.bank).map(|pcr| pcr.to_string());
    let undecided = parts.undecided().map(|why| why.to_string());
    let digest = |name| parts.digests(name).map(|found| hex::encode(found.of_bank(args.bank)));
    let sections: Vec<&str> = parts.sections.iter().map(|(name, _)| *name).collect();
    let line = parts.command_line.as_ref().map(|line| String::from_utf8_lossy(line).into_owned());
    let mut table = Table::default()
        .row("bank", args.bank.name())
        .noted("pcr4", pcr(4), "firmware")
        .noted("pcr9", pcr(9), if undecided.is_some() { "not decided by the image" } else { "kernel" })
        .noted("pcr11", pcr(11), "systemd-stub")
        .row("authenticode", hex::encode(parts.authenticode.of_bank(args.bank)))
        .row("kernel", digest(".linux"))
        .row("initrd", digest(".initrd"))
        .row("command_line", line)
        .row("stub", parts.stub.major())
        .noted("sections", sections, "in the order in which they are measured");
    if args.events || args.json {
        let events = parts.events().into_iter().map(|event| event_value(&event, args));
        table = table.row("events", events.collect::<Vec<Value>>());
    }
    if let added @ 1.. = parts.signing_adds {
        table = table.note(format!(
            "PCR 4 is this file's. A signing tool adds {added} bytes of zeros to it: measure the signed file."
        ));
    }
    Ok(match undecided {
        Some(why) => table.note(format!("No PCR 9: {why}.")),
        None => table,
    })
}

/// An event: for programs an object, for people a line within 100 columns where the bank allows it.
fn event_value(event: &BootEvent, args: &UkiArgs) -> Value {
    let (pcr, what) = (event.pcr, &event.what);
    let digest = hex::encode(event.digests.of_bank(args.bank));
    if args.json {
        return json!({ "pcr": pcr, "what": what, "digest": digest });
    }
    let short: String = what.chars().take(24).collect();
    format!("{pcr:>2}  {short:<24}  {digest}").into()
}

fn parse_stub(text: &str) -> Result<StubVersion, String> {
    let major = text.parse().map_err(|_| "not a version; use its major number, such as 252".to_owned())?;
    StubVersion::new(major).map_err(|error| error.to_string())
}
