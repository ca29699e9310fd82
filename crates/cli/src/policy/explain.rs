//! `keyfast policy explain`: what policies decide for one case, or for the guest of evidence, and what the nearest permit
//! lacks; and of a request that a broker decided, what `keyfast audit explain` says. Reasons have the same words everywhere.

mod of_evidence;

use std::io::Write;
use std::path::{Path, PathBuf};

use claims::RequestId;
use clap::Args;
use policy::{Bundle, Evaluation, Reason, nearest};
use serde_json::json;

use super::PolicyFailure;
use super::cases::{self, Case};
use super::diagnostics::{self, Sources};
use super::folder::{Chosen, FolderError};
use crate::admin::Admin;
use crate::audit;
use crate::evidence::{Style, Tone, wrap};
use of_evidence::OfEvidence;

/// What `--help` says.
pub const ABOUT: &str = "Say what is decided, condition by condition, and what is missing for the nearest permit.\n\n\
    Of a case, a file whose name ends in .toml or .json: it describes a guest, or an operator's act. One in `cases/NAME` is \
    put to `NAME.cedar` with the reference values of its directory, unless told otherwise.\n\n\
    Of evidence, any other file that `keyfast evidence verify` takes: it is verified, and its guest asks for a key that is \
    made for such guests, as a case with `evidence = \"FILE\"` says it where more than the options below is to be said. \
    Name the policies, or all of the directory count.\n\n\
    Of a request that the broker decided, by its id: as `keyfast audit explain`.\n\n\
    Exit code 0: permitted, or told what the broker decided; 1: denied, or the evidence is refused; 2: it cannot be judged.";

/// Arguments of `keyfast policy explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// A case, as `keyfast policy test` runs them (what it expects is not looked at), evidence, or the id of a request
    #[arg(value_name = "CASE|EVIDENCE|REQUEST")]
    what: PathBuf,
    #[command(flatten)]
    chosen: Chosen,
    /// Reference values; those of the case, `cases/NAME/reference-values.toml`, if not given
    #[arg(long, value_name = "FILE")]
    references: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    of_evidence: OfEvidence,
}

pub fn run(admin: &Admin, args: &Explain, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    if let Some(request) = request(&args.what) {
        let only = !args.chosen.is_named() && args.references.is_none() && args.of_evidence.is_empty();
        let told = |()| audit::explain(admin, request, args.json, out).map_err(PolicyFailure::from);
        return only.then_some(()).ok_or(PolicyFailure::DecidedAlready { request }).and_then(told);
    }
    let is_case = args.what.extension().is_some_and(|ending| ending == "toml" || ending == "json");
    let (case, chosen, own) = if is_case {
        let (case, folder) = read(&args.what)?;
        if !args.of_evidence.is_empty() {
            return Err(PolicyFailure::CaseSaysIt { path: args.what.clone() });
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        (case, args.chosen.or(&name), Some(folder.join(Bundle::REFERENCES)))
    } else {
        (Case::Guest(Box::new(args.of_evidence.case(&args.what)?)), args.chosen.clone(), None)
    };
    let policies = chosen.policies()?;
    let references = args.references.clone().or_else(|| own.filter(|own| own.is_file()));
    let empty = match &references {
        Some(references) => chosen.bundle_with(references)?,
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

/// The id of a request, unless a file has this name.
fn request(what: &Path) -> Option<RequestId> {
    what.to_str().filter(|_| !what.exists())?.parse().ok()
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
