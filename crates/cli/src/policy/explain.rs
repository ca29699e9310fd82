//! `keyfast policy explain`: what policies decide for one case, and what the nearest permit lacks. `keyfast audit
//! explain` prints its reasons with the same words.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use policy::{Bundle, Evaluation, Reason, nearest};
use serde_json::json;

use super::PolicyFailure;
use super::cases::{self, Case};
use super::diagnostics::{self, Sources};
use super::folder::{Chosen, FolderError};
use crate::evidence::{Style, Tone, wrap};

/// Arguments of `keyfast policy explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The case: a file as `keyfast policy test` runs them; what it expects is not looked at
    case: PathBuf,
    #[command(flatten)]
    chosen: Chosen,
    /// Reference values; those of the case, `cases/NAME/reference-values.toml`, if not given
    #[arg(long, value_name = "FILE")]
    references: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Explain, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let (case, folder) = read(&args.case)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let chosen = args.chosen.or(&name);
    let policies = chosen.policies()?;
    let own = folder.join(Bundle::REFERENCES);
    let empty = match &args.references {
        Some(references) => chosen.bundle_with(references)?,
        None if own.is_file() => chosen.bundle_with(&own)?,
        None => chosen.empty_bundle()?,
    };
    let bundle = policies.iter().fold(empty, |all, file| all.with_policy(file.file_name(), &file.text));
    let policy = match policy::Policy::load(bundle) {
        Ok(policy) => policy,
        Err(errors) => {
            let sources: Sources<'_> =
                policies.iter().map(|file| (file.file_name(), file.text.as_str())).collect();
            diagnostics::print(errors.problems(), &sources, Style::of_stdout(), out)?;
            let dir = args.chosen.dir.clone();
            return Err(PolicyFailure::Wrong { problems: errors.iter().count(), dir });
        }
    };
    let evaluation = case.evaluate(&policy);
    if args.json {
        writeln!(out, "{:#}", as_json(&evaluation))?;
    } else {
        print(&evaluation, Style::of_stdout(), out)?;
    }
    if matches!(evaluation, Evaluation::Permit { .. }) { Ok(()) } else { Err(PolicyFailure::Denied) }
}

/// A case by its path, and the directory of its policy's cases, where bases are looked for: `cases/NAME` of
/// `cases/NAME/deny/debug.json`.
fn read(path: &Path) -> Result<(Case, PathBuf), FolderError> {
    let absolute = std::path::absolute(path);
    let absolute = absolute.map_err(|source| FolderError::Read { path: path.to_owned(), source })?;
    let folder = absolute.parent().and_then(Path::parent).unwrap_or(&absolute).to_owned();
    let below = absolute.strip_prefix(&folder).unwrap_or(&absolute);
    Ok((cases::one(&folder, &below.to_string_lossy())?, folder))
}

fn as_json(evaluation: &Evaluation) -> serde_json::Value {
    match evaluation {
        Evaluation::Permit { rules } => json!({ "decision": "permit", "rules": rules }),
        Evaluation::Deny(denial) => json!({
            "decision": "deny",
            "code": denial.code.as_str(),
            "reasons": denial.reasons,
            "nearest": nearest(&denial.reasons),
        }),
    }
}

fn print(evaluation: &Evaluation, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let denial = match evaluation {
        Evaluation::Permit { rules } => {
            return writeln!(out, "{} by {}", style.paint(Tone::Good, "permitted"), rules.join(", "));
        }
        Evaluation::Deny(denial) => denial,
    };
    writeln!(out, "{}: {}", style.paint(Tone::Bad, "denied"), denial.code.as_str())?;
    print_reasons(&denial.reasons, style, out)
}

/// Each condition with what was wanted and found, under its rule, and what the nearest permit lacks.
pub(crate) fn print_reasons(reasons: &[Reason], style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let mut rule = "";
    for reason in reasons {
        writeln!(out)?;
        if reason.rule != rule {
            rule = &reason.rule;
            writeln!(out, "{rule}")?;
            for line in wrap(&reason.doc, COLUMNS).iter().filter(|line| !line.is_empty()) {
                writeln!(out, "  {}", style.paint(Tone::Aside, line))?;
            }
        }
        for (name, text) in
            [("condition", &reason.condition), ("wanted", &reason.wanted), ("found", &reason.found)]
        {
            let mut name = name;
            for line in wrap(text, COLUMNS.saturating_sub(12)) {
                writeln!(out, "  {name:<10}  {line}")?;
                name = "";
            }
        }
    }
    let lines = nearest(reasons).map(|text| wrap(&text, COLUMNS)).unwrap_or_default();
    if !lines.is_empty() {
        writeln!(out)?;
    }
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

const COLUMNS: usize = 98;
