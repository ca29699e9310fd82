//! `keyfast policy test`: runs the cases of policies, and says which conditions no case has seen both ways.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::cases::{self, CaseFile};
use super::coverage::Coverage;
use super::diagnostics::{self, Sources};
use super::folder::{Chosen, FolderError, PolicyFile};
use super::junit::{Outcome, Suite, junit};
use super::{PolicyFailure, plural};
use crate::evidence::{Style, Tone, wrap};
use crate::output::write_public;

/// Arguments of `keyfast policy test`.
#[derive(Debug, Args)]
pub struct Test {
    #[command(flatten)]
    chosen: Chosen,
    /// Write outcomes as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Fail if a policy has no cases, or a condition was not seen both to hold and to fail
    #[arg(long)]
    require_coverage: bool,
    /// Print each case
    #[arg(long, short)]
    verbose: bool,
}

pub fn run(args: &Test, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let style = Style::of_stdout();
    let mut suites = Vec::new();
    let (mut uncovered, mut without) = (0usize, 0usize);
    for file in args.chosen.policies()? {
        let files = cases::all(&args.chosen.cases(&file.name))?;
        if files.is_empty() {
            writeln!(out, "{}  {}", file.name, style.paint(Tone::Open, "no cases"))?;
            without = without.saturating_add(1);
            continue;
        }
        let (suite, gaps) = one(args, &file, &files, style, out)?;
        uncovered = uncovered.saturating_add(gaps);
        suites.push(suite);
    }
    if let Some(path) = &args.junit {
        write_public(path, junit(&suites).as_bytes())
            .map_err(|source| FolderError::Write { path: path.clone(), source })?;
    }
    let cases = || suites.iter().flat_map(|suite| &suite.cases);
    let failed = cases().filter(|case| case.failure.is_some()).count();
    match failed {
        0 if args.require_coverage && without > 0 => Err(PolicyFailure::NoCases { without }),
        0 if args.require_coverage && uncovered > 0 => Err(PolicyFailure::Coverage { uncovered }),
        0 => Ok(()),
        failed => Err(PolicyFailure::Cases { failed, all: cases().count() }),
    }
}

/// Runs the cases of one policy; gives the outcomes and how many conditions were not seen both ways.
fn one(
    args: &Test,
    file: &PolicyFile,
    files: &[CaseFile],
    style: Style,
    out: &mut dyn Write,
) -> Result<(Suite, usize), PolicyFailure> {
    let policy = match args.chosen.with_its_cases(file)? {
        Ok(policy) => policy,
        Err(errors) => {
            let sources = Sources::from([(file.file_name(), file.text.as_str())]);
            diagnostics::print(errors.problems(), &sources, style, out)?;
            let dir = args.chosen.dir.clone();
            return Err(PolicyFailure::Wrong { problems: errors.iter().count(), dir });
        }
    };
    let mut coverage = Coverage::new(&policy);
    let mut outcomes = Vec::new();
    for case in files {
        coverage.see(&policy, &case.case);
        let failure = match case.case.expect().compare(&case.case.evaluate(&policy)) {
            _ if cases::misplaced(case) => {
                Some("it expects something else than its directory says".to_owned())
            }
            run => run.err(),
        };
        outcomes.push(Outcome { name: case.name.clone(), about: case.case.about().to_owned(), failure });
    }
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    let gaps = coverage.gaps();
    let seen = coverage.all().saturating_sub(gaps.len());
    let tone = if failed == 0 { Tone::Good } else { Tone::Bad };
    let verdict =
        style.paint(tone, &format!("{} of {} as expected", outcomes.len() - failed, outcomes.len()));
    let conditions = plural(coverage.all(), "condition", "conditions");
    writeln!(out, "{}  {verdict}, {seen} of {} {conditions} seen both ways", file.name, coverage.all())?;
    for outcome in &outcomes {
        print_case(outcome, args.verbose, style, out)?;
    }
    for gap in &gaps {
        let what = style.paint(Tone::Open, gap.what);
        writeln!(out, "  {what}: {}: {}", gap.rule, gap.condition)?;
    }
    Ok((Suite { policy: file.name.clone(), cases: outcomes }, gaps.len()))
}

fn print_case(outcome: &Outcome, verbose: bool, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let Outcome { name, about, failure } = outcome;
    match failure {
        None if verbose => writeln!(out, "  {} {name}: {about}", style.paint(Tone::Good, "ok  ")),
        None => Ok(()),
        Some(failure) => {
            writeln!(out, "  {} {name}: {about}", style.paint(Tone::Bad, "fail"))?;
            failure.lines().try_for_each(|line| print_indented(line, out))
        }
    }
}

/// A line behind seven spaces, broken where it is too long, with every part as far in as it begins.
fn print_indented(line: &str, out: &mut dyn Write) -> std::io::Result<()> {
    let text = line.trim_start();
    let indent = line.len().saturating_sub(text.len()).saturating_add(7);
    let parts = wrap(text, 100usize.saturating_sub(indent));
    parts.iter().try_for_each(|part| writeln!(out, "{:indent$}{part}", ""))
}
