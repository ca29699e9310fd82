//! `keyfast policy replay`: what policies would have decided about guests that a broker has decided about. Reads and
//! reports; no broker changes by it.

use std::io::{self, Write};
use std::path::PathBuf;

use claims::UnixTime;
use clap::Args;
use policy::Policy;
use policy::case::{CaseError, Decision};
use serde_json::json;
use wire::admin::MissingDecisions;

use super::folder::Chosen;
use super::tally::{Change, Tally};
use super::{PolicyFailure, plural, prove};
use crate::admin::Admin;
use crate::evidence::{Style, Tone, wrap};
use crate::past::{self, PastError, Span};

/// Arguments of `keyfast policy replay`.
#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    span: Span,
    /// Decisions that `keyfast audit decisions` exported, in place of the broker's
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Decide as if it were this time: what expires until then denies
    #[arg(long, value_name = "TIME", value_parser = past::time)]
    at: Option<UnixTime>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why nothing was replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayFailure {
    /// Past decisions cannot be had.
    #[error(transparent)]
    Past(#[from] PastError),
    /// The claims of one cannot be read.
    #[error("leaf {leaf} cannot be replayed: {source}")]
    Claims {
        /// The leaf that records it.
        leaf: u64,
        /// Why.
        source: CaseError,
    },
    /// There is none.
    #[error("no decision by policy to replay")]
    Nothing,
}

pub fn run(admin: &Admin, args: &Replay, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let policy = prove::load(&args.chosen, out).map_err(PolicyFailure::not_judged)?;
    let mut tally = Tally::default();
    let missing = replay(admin, args, &policy, &mut tally)?;
    if args.json {
        writeln!(out, "{:#}", as_json(&policy, &tally, missing))?;
    } else {
        print(&policy, &tally, missing, Style::of_stdout(), out)?;
    }
    match (tally.replayed, tally.changed()) {
        (0, _) => Err(ReplayFailure::Nothing.into()),
        (_, 0) => Ok(()),
        (all, changed) => Err(PolicyFailure::Otherwise { changed, all }),
    }
}

fn replay(
    admin: &Admin,
    args: &Replay,
    policy: &Policy,
    tally: &mut Tally,
) -> Result<Option<MissingDecisions>, ReplayFailure> {
    let mut add = |decision: &Decision| {
        let claims = |source| ReplayFailure::Claims { leaf: decision.leaf(), source };
        tally.add(policy, decision, args.at).map_err(claims)
    };
    let Some(path) = &args.from else {
        return past::of_broker(admin, args.span, |decision| add(&decision)).map(Some);
    };
    past::of_file(path, |line, decision: Decision| {
        let wrong = |source| PastError::Line { path: path.clone(), line, source };
        if args.span.has(decision.now().map_err(wrong)?) { add(&decision) } else { Ok(()) }
    })?;
    Ok(None)
}

fn print(
    policy: &Policy,
    tally: &Tally,
    missing: Option<MissingDecisions>,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "candidate   {}", policy.digest())?;
    let span = tally.times.map(|(first, last)| format!(", {first} to {last}")).unwrap_or_default();
    writeln!(
        out,
        "replayed    {} {}{span}",
        tally.replayed,
        plural(tally.replayed, "decision", "decisions")
    )?;
    for line in not_replayed(tally, missing) {
        writeln!(out, "            {line}")?;
    }
    for (was_permitted, head) in [(true, "would be denied"), (false, "would be permitted")] {
        let changes: Vec<&Change> = tally.changes().filter(|c| c.was_permitted == was_permitted).collect();
        if changes.is_empty() {
            continue;
        }
        let count: usize = changes.iter().map(|change| change.count).sum();
        let tone = if was_permitted { Tone::Bad } else { Tone::Open };
        writeln!(out, "\n{}: {count}", style.paint(tone, head))?;
        changes.iter().try_for_each(|change| print_change(change, out))?;
    }
    writeln!(out, "\nas before   {}", tally.as_before)?;
    if tally.other_reasons > 0 {
        writeln!(out, "            {} of them denied for another reason", tally.other_reasons)?;
    }
    Ok(())
}

/// What was not replayed, and why, a line each.
fn not_replayed(tally: &Tally, missing: Option<MissingDecisions>) -> Vec<String> {
    let codes = tally.not_by_policy.iter();
    let mut lines: Vec<String> = codes.map(|(code, n)| format!("not by policy: {n} {code}")).collect();
    let MissingDecisions { refused, without_claims } =
        missing.unwrap_or(MissingDecisions { refused: 0, without_claims: 0 });
    if refused > 0 {
        lines.push(format!("before any policy: {refused} refused, whose evidence was not believed"));
    }
    if without_claims > 0 {
        lines.push(format!("without claims: {without_claims} older than what is kept"));
    }
    lines
}

fn print_change(change: &Change, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    let mut row = |name: &str, text: &str| {
        let mut name = name;
        for line in wrap(text, COLUMNS) {
            writeln!(out, "  {name:<10}  {line}")?;
            name = "";
        }
        Ok::<(), io::Error>(())
    };
    row("count", &change.count.to_string())?;
    row("image", &change.image)?;
    row("key", &change.key)?;
    let (denies, permits) = if change.was_permitted { ("denied by", "was by") } else { ("was denied", "by") };
    row(permits, &change.permits.join(", "))?;
    row(denies, &change.reason.rule)?;
    let reason = &change.reason;
    for (name, text) in
        [("condition", &reason.condition), ("wanted", &reason.wanted), ("found", &reason.found)]
    {
        if !text.is_empty() {
            row(name, text)?;
        }
    }
    let mut name = "requests";
    for request in &change.requests {
        row(name, request)?;
        name = "";
    }
    Ok(())
}

fn as_json(policy: &Policy, tally: &Tally, missing: Option<MissingDecisions>) -> serde_json::Value {
    let changes: Vec<_> = tally.changes().map(change_as_json).collect();
    json!({
        "digest": policy.digest().to_string(),
        "replayed": tally.replayed,
        "not_by_policy": tally.not_by_policy,
        "refused": missing.map(|missing| missing.refused),
        "without_claims": missing.map(|missing| missing.without_claims),
        "as_before": tally.as_before,
        "denied_for_another_reason": tally.other_reasons,
        "changed": tally.changed(),
        "changes": changes,
    })
}

fn change_as_json(change: &Change) -> serde_json::Value {
    let decision = |permitted| if permitted { "permit" } else { "deny" };
    let reason = &change.reason;
    json!({
        "was": decision(change.was_permitted),
        "would_be": decision(!change.was_permitted),
        "image": change.image,
        "key": change.key,
        "count": change.count,
        "requests": change.requests,
        "permitted_by": change.permits,
        "denied_by": {
            "rule": reason.rule,
            "condition": reason.condition,
            "wanted": reason.wanted,
            "found": reason.found,
        },
    })
}

/// Columns behind the names of rows.
const COLUMNS: usize = 84;
