//! `keyfast-agent evidence`: what the platform says about this guest, as it would be sent.

use std::io::{self, Write};
use std::path::PathBuf;

use attester::{Choice, Places};
use claims::ReportData;
use clap::Args;
use envelope::Sink;

use crate::failure::Failure;
use crate::shell;

/// Write the platform's evidence about this guest, for `keyfast evidence show`; needs no configuration
///
/// Without a configuration file the machine is looked at, or `--attester` says whom to ask. Of a file that is there, only
/// the section `[attester]` counts.
#[derive(Debug, Args)]
pub struct Evidence {
    /// What the evidence is to carry, 128 hexadecimal digits; zeros if not given
    #[arg(long, value_name = "HEX")]
    report_data: Option<ReportData>,
    /// Where to write it; standard output if not given
    #[arg(long, short)]
    output: Option<PathBuf>,
}

pub(super) fn run(choice: Choice, places: &Places, args: &Evidence) -> Result<(), Failure> {
    let bytes = shell::evidence(choice, places, &args.report_data.unwrap_or(ReportData([0; 64])))?;
    let written = match &args.output {
        None => io::stdout().write_all(&bytes),
        Some(path) => Sink::write_whole(path, &bytes),
    };
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from("-"));
    written.map_err(|source| Failure::File { path, source })
}
