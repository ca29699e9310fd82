//! `keyfast policy fmt`: lays policies out in one way. A file that does not parse is left as it is.

use std::io::Write;

use clap::Args;

use super::PolicyFailure;
use super::diagnostics::{self, Sources};
use super::folder::{Chosen, FolderError};
use crate::evidence::Style;
use crate::output::write_public;

/// Arguments of `keyfast policy fmt`.
#[derive(Debug, Args)]
pub struct Fmt {
    #[command(flatten)]
    chosen: Chosen,
    /// Change nothing, and fail if something is laid out otherwise
    #[arg(long)]
    check: bool,
}

pub fn run(args: &Fmt, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let mut files = 0usize;
    for file in args.chosen.policies()? {
        let laid_out = match policy::format(&file.file_name(), &file.text) {
            Ok(text) => text,
            Err(errors) => {
                let sources = Sources::from([(file.file_name(), file.text.as_str())]);
                diagnostics::print(errors.problems(), &sources, Style::of_stdout(), out)?;
                let dir = args.chosen.dir.clone();
                return Err(PolicyFailure::Wrong { problems: errors.iter().count(), dir });
            }
        };
        if laid_out == file.text {
            continue;
        }
        files = files.saturating_add(1);
        writeln!(out, "{}", file.path.display())?;
        if !args.check {
            write_public(&file.path, laid_out.as_bytes())
                .map_err(|source| FolderError::Write { path: file.path.clone(), source })?;
        }
    }
    if args.check && files > 0 { Err(PolicyFailure::Layout { files }) } else { Ok(()) }
}
