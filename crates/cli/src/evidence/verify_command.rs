//! `keyfast evidence verify`: every check by its number, with what was compared, and then the verdict.
//!
//! The verdict is [`verify::authenticate_enrolled`]'s, the one that the broker acts on; the checks are
//! [`verify::examine`]'s, which goes on after the first that fails. The two never decide for each other.

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use claims::UnixTime;
use evidence::{EvidenceError, Parts};
use serde_json::{Value, json};
use verify::{
    Authenticated, Check, CrlPolicy, Endorsements, Finding, Outcome, TrustAnchors, authenticate_enrolled,
    examine, examine_malformed,
};

use super::files::{add_simulated_root, read_certificates, read_crl, read_evidence};
use super::style::{Style, Tone, wrap};
use super::{Failure, Trust, VerifyArgs, verdict};

/// Runs the command.
///
/// # Errors
/// [`Failure`]; its exit code says whether the evidence is to blame. What was found is printed before.
pub fn run(args: &VerifyArgs, style: Style, out: &mut dyn Write) -> Result<(), Failure> {
    let now = args.at.map_or_else(clock, Ok)?;
    let read = match read_evidence(&args.file, args.trust.kind) {
        Err(failure @ (Failure::NotRecognised { .. } | Failure::Loose { .. })) => {
            print(args, style, now, &[], Err(failure.to_string()), out)?;
            return Err(failure);
        }
        read => read?,
    };
    let evidence = match read.evidence {
        Ok(evidence) => evidence,
        Err(error) => return refuse(args, style, now, (&Parts::read(read.kind, &read.bytes), error), out),
    };
    let endorsements = endorsements(&args.trust, Endorsements::from_evidence(&evidence))?;
    let (anchors, enrolled) = (anchors(&args.trust)?, args.trust.enrol.table()?);
    let findings = examine(&evidence, &endorsements, &anchors, &enrolled, now)?;
    let rows: Vec<Row> = findings.into_iter().map(Row::from).collect();
    let verdict = authenticate_enrolled(evidence, &endorsements, &anchors, &enrolled, now, &mut |_, _| ());
    let said = verdict.as_ref().map_err(ToString::to_string);
    print(args, style, now, &rows, said, out)?;
    verdict?;
    Ok(())
}

/// Tells which checks can be made of bytes that are no evidence, and refuses them whatever comes of it.
fn refuse(
    args: &VerifyArgs,
    style: Style,
    now: UnixTime,
    (parts, error): (&Parts, EvidenceError),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let own = parts.snp.as_ref().map(|snp| Endorsements::from_table(&snp.certificates));
    let endorsements = endorsements(&args.trust, own.unwrap_or_default())?;
    let (anchors, enrolled) = (anchors(&args.trust)?, args.trust.enrol.table()?);
    let findings = examine_malformed(parts, &error, &endorsements, &anchors, &enrolled, now);
    let rows: Vec<Row> = findings.into_iter().map(Row::from).collect();
    let failure = Failure::from(error);
    print(args, style, now, &rows, Err(failure.to_string()), out)?;
    Err(failure)
}

/// The verdict about the evidence of a file, without a word of how it came to be.
///
/// # Errors
/// [`Failure`], as of the command.
pub(crate) fn authenticate(file: &Path, trust: &Trust, now: UnixTime) -> Result<Authenticated, Failure> {
    let evidence = read_evidence(file, trust.kind)?.evidence?;
    let endorsements = endorsements(trust, Endorsements::from_evidence(&evidence))?;
    let (anchors, enrolled) = (anchors(trust)?, trust.enrol.table()?);
    Ok(authenticate_enrolled(evidence, &endorsements, &anchors, &enrolled, now, &mut |_, _| ())?)
}

/// The evidence's own certificates, then those that the operator gives.
fn endorsements(trust: &Trust, own: Endorsements) -> Result<Endorsements, Failure> {
    let mut endorsements = own;
    if let Some(directory) = &trust.certs {
        endorsements = endorsements.merge(read_certificates(directory)?)?;
    }
    let lists: Vec<Vec<u8>> = trust.crl.iter().map(|path| read_crl(path)).collect::<Result<_, _>>()?;
    Ok(endorsements.with_crls(lists)?)
}

fn anchors(trust: &Trust) -> Result<TrustAnchors, Failure> {
    let mut anchors = TrustAnchors::amd();
    if let Some(path) = &trust.simulated_root {
        anchors = add_simulated_root(anchors, path)?;
    }
    if let Some(days) = trust.require_crl {
        anchors = anchors.with_crl_policy(CrlPolicy::Required { max_age_s: days.saturating_mul(DAY) });
    }
    Ok(if trust.accept_version_4 { anchors.with_report_version_4() } else { anchors })
}

/// A check as it is shown.
struct Row {
    check: Check,
    word: &'static Word,
    error: Option<String>,
    compared: Vec<String>,
}

/// An outcome, for people and for programs.
struct Word {
    tone: Tone,
    people: &'static str,
    programs: &'static str,
}

impl From<Finding> for Row {
    fn from(Finding { check, outcome, compared }: Finding) -> Self {
        let (word, error) = match outcome {
            Outcome::Passed => (&PASSED, None),
            Outcome::Failed(error) => (&FAILED, Some(error.to_string())),
            Outcome::Malformed(error) => (&FAILED, Some(error.to_string())),
            Outcome::NotMade => (&NOT_MADE, None),
            Outcome::NotApplicable => (&NOT_APPLICABLE, None),
            Outcome::ForChallenge => (&FOR_CHALLENGE, None),
            Outcome::ForPolicy => (&FOR_POLICY, None),
        };
        Self { check, word, error, compared }
    }
}

fn print(
    args: &VerifyArgs,
    style: Style,
    now: UnixTime,
    rows: &[Row],
    verdict: Result<&Authenticated, String>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if args.json {
        writeln!(out, "{:#}", json(now, rows, &verdict)?)?;
        return Ok(());
    }
    for row in rows {
        print_row(row, style, out)?;
    }
    if let Ok(authenticated) = verdict {
        verdict::print(authenticated, now, style, out)?;
    }
    Ok(())
}

/// Number, title, outcome, what is wrong and what was compared, within 100 columns.
fn print_row(row: &Row, style: Style, out: &mut dyn Write) -> Result<(), Failure> {
    let (number, title) = (row.check.id(), row.check.title());
    let outcome = style.paint(row.word.tone, &format!("{:<6}", row.word.people));
    let mut head = format!("{number:>3} {title:<22}  {outcome}");
    let mut lines: Vec<String> =
        row.error.iter().chain(&row.compared).flat_map(|text| wrap(text, TEXT_COLUMNS)).collect();
    if lines.is_empty() {
        lines.push("not made: it rests on what failed".to_owned());
    }
    for line in lines {
        writeln!(out, "{head}  {line}")?;
        head = " ".repeat(HEAD_COLUMNS);
    }
    Ok(())
}

fn json(now: UnixTime, rows: &[Row], verdict: &Result<&Authenticated, String>) -> Result<Value, Failure> {
    let checks = rows.iter().map(|row| {
        json!({
            "check": row.check.id(),
            "title": row.check.title(),
            "outcome": row.word.programs,
            "error": row.error,
            "compared": row.compared,
        })
    });
    let believed = verdict.as_ref().ok();
    Ok(json!({
        "authenticated": verdict.is_ok(),
        "at": now.to_string(),
        "not_after": believed.map(|authenticated| authenticated.not_after().to_string()),
        "error": verdict.as_ref().err(),
        "checks": checks.collect::<Vec<Value>>(),
        "claims": believed.map(|authenticated| verdict::json(authenticated)).transpose()?,
    }))
}

fn clock() -> Result<UnixTime, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(|since| UnixTime(since.as_secs())).map_err(|_| Failure::Clock)
}

const PASSED: Word = Word { tone: Tone::Good, people: "pass", programs: "pass" };
const FAILED: Word = Word { tone: Tone::Bad, people: "FAIL", programs: "fail" };
const NOT_MADE: Word = Word { tone: Tone::Aside, people: "-", programs: "not-made" };
const NOT_APPLICABLE: Word = Word { tone: Tone::Aside, people: "n/a", programs: "not-applicable" };
const FOR_CHALLENGE: Word = Word { tone: Tone::Open, people: "broker", programs: "challenge" };
const FOR_POLICY: Word = Word { tone: Tone::Open, people: "policy", programs: "policy" };
const DAY: u64 = 86_400;
/// Columns in front of the text: number, title, outcome and the gaps between them.
const HEAD_COLUMNS: usize = 34;
const TEXT_COLUMNS: usize = 64;
