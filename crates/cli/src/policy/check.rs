//! `keyfast policy check`: loads a bundle as a broker does, and prints all that is wrong with it.

use std::io::Write;

use clap::Args;
use policy::{Bundle, LoadErrors, Policy};
use serde_json::json;

use super::diagnostics::{self, Sources};
use super::folder::{self, Chosen};
use super::{PolicyFailure, sarif};
use crate::evidence::Style;

/// Arguments of `keyfast policy check`.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    chosen: Chosen,
    /// Print JSON, for editors
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// Print SARIF 2.1.0, for code review
    #[arg(long)]
    sarif: bool,
}

pub fn run(args: &Check, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let dir = &args.chosen.dir;
    let policies = args.chosen.policies()?;
    let schema = folder::read(&dir.join(Bundle::SCHEMA))?;
    let references = folder::read(&dir.join(Bundle::REFERENCES))?;
    let empty = Bundle::new(&schema, &references);
    let bundle = policies.iter().fold(empty, |all, file| all.with_policy(file.file_name(), &file.text));
    let loaded = Policy::load(bundle);
    let errors = loaded.as_ref().err();
    if args.sarif {
        writeln!(out, "{:#}", sarif::sarif(errors, &dir.to_string_lossy()))?;
    } else if args.json {
        let problems = errors.map_or_else(|| json!([]), diagnostics::json);
        let digest = loaded.as_ref().ok().map(|policy| policy.digest().to_string());
        writeln!(out, "{:#}", json!({ "digest": digest, "problems": problems }))?;
    } else {
        let files = policies.iter().map(|file| (file.file_name(), file.text.as_str()));
        let others = [(Bundle::SCHEMA, schema.as_str()), (Bundle::REFERENCES, references.as_str())];
        let others = others.map(|(name, text)| (name.to_owned(), text));
        let sources: Sources<'_> = files.chain(others).collect();
        match &loaded {
            Err(errors) => diagnostics::print(errors, &sources, Style::of_stdout(), out)?,
            Ok(policy) => {
                writeln!(out, "rules    {}", policy.rules().count())?;
                writeln!(out, "digest   {}", policy.digest())?;
            }
        }
    }
    match errors.map(LoadErrors::iter) {
        None => Ok(()),
        Some(found) => Err(PolicyFailure::Wrong { problems: found.count(), dir: dir.clone() }),
    }
}
