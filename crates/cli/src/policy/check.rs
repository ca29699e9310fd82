//! `keyfast policy check`: loads a bundle as a broker does, and prints all that is wrong with it, or likely a mistake.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use policy::{Bundle, LoadError, LoadErrors, NamedKeys, Policy, Severity};
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
    /// Look names of keys up too, in what `keyfast keys list --json` printed; `-` for standard input
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Exit with code 1 for warnings too
    #[arg(long)]
    deny_warnings: bool,
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
    let keys = args.keys.as_deref().map(named_keys).transpose()?;
    let empty = Bundle::new(&schema, &references);
    let bundle = policies.iter().fold(empty, |all, file| all.with_policy(file.file_name(), &file.text));
    let loaded = Policy::load(bundle.clone());
    let found = match &loaded {
        Err(errors) => Ok(errors.clone().into_problems()),
        Ok(policy) => policy.doubts(&bundle, args.chosen.is_named(), keys.as_ref()),
    };
    let problems: Vec<LoadError> = found.unwrap_or_else(LoadErrors::into_problems);
    if args.sarif {
        writeln!(out, "{:#}", sarif::sarif(&problems, &dir.to_string_lossy()))?;
    } else if args.json {
        let digest = loaded.as_ref().ok().map(|policy| policy.digest().to_string());
        writeln!(out, "{:#}", json!({ "digest": digest, "problems": diagnostics::json(&problems) }))?;
    } else {
        let files = policies.iter().map(|file| (file.file_name(), file.text.as_str()));
        let others = [(Bundle::SCHEMA, schema.as_str()), (Bundle::REFERENCES, references.as_str())];
        let others = others.map(|(name, text)| (name.to_owned(), text));
        let sources: Sources<'_> = files.chain(others).collect();
        diagnostics::print(&problems, &sources, Style::of_stdout(), out)?;
        if let Ok(policy) = &loaded {
            writeln!(out, "rules    {}", policy.rules().count())?;
            writeln!(out, "digest   {}", policy.digest())?;
        }
    }
    let of = |severity| problems.iter().filter(|problem| problem.problem.severity() == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    match (errors, warnings) {
        (0, 0) => Ok(()),
        (0, _) if !args.deny_warnings => Ok(()),
        (0, warnings) => Err(PolicyFailure::Warned { warnings, dir: dir.clone() }),
        (problems, _) => Err(PolicyFailure::Wrong { problems, dir: dir.clone() }),
    }
}

/// The keys of a listing, by what rules can name of them.
fn named_keys(path: &Path) -> Result<NamedKeys, PolicyFailure> {
    let failed = |message: String| PolicyFailure::Keys { path: path.to_owned(), message };
    let keys: Vec<wire::admin::Key> =
        serde_json::from_str(&folder::read_or_input(path)?).map_err(|e| failed(e.to_string()))?;
    let mut named = NamedKeys::default();
    for key in keys {
        named.keys.insert(key.id);
        named.rings.insert(key.ring);
        named.regions.extend(key.region);
    }
    Ok(named)
}
