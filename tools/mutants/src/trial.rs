//! Runs tests: once to see which places each reaches, and then, for each change, those that reach it.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::copy::Copy;
use crate::failure::Failure;

/// A test, and what it reaches.
pub(crate) struct Test {
    program: PathBuf,
    folder: PathBuf,
    name: String,
    took: Duration,
    reached: BTreeSet<usize>,
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A test fails.
    Noticed,
    /// A test does not end.
    Endless,
    /// Tests reach it, and none fails.
    Missed,
    /// No test reaches it.
    Unreached,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Noticed => "noticed",
            Self::Endless => "endless",
            Self::Missed => "missed",
            Self::Unreached => "unreached",
        })
    }
}

/// Every test, tried alone and without any change.
pub(crate) fn reaching(copy: &Copy, also: &[String], jobs: usize) -> Result<Vec<Test>, Failure> {
    let mut all = Vec::new();
    for (program, folder) in copy.tests(also)? {
        let output = test(&program, &folder).arg("--list").output();
        let output = output.map_err(Failure::start(&program.to_string_lossy()))?;
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
        all.extend(names.map(|name| (program.clone(), folder.clone(), name.to_owned())));
    }
    let reached = copy.scratch.join("reached");
    let _ = fs::remove_dir_all(&reached);
    fs::create_dir_all(&reached).map_err(Failure::file(&reached))?;
    let numbered: Vec<_> = all.into_iter().enumerate().collect();
    side_by_side(jobs, numbered, |(number, (program, folder, name))| {
        let note = reached.join(number.to_string());
        let since = Instant::now();
        let mut command = test(&program, &folder);
        command.args(["--exact", &name]).env("MUTANTS_REACHED", &note);
        let status = command.status().map_err(Failure::start(&name))?;
        if !status.success() {
            return Err(Failure::Fails { test: name });
        }
        let took = since.elapsed();
        let reached = fs::read_to_string(&note).unwrap_or_default();
        let reached = reached.lines().filter_map(|line| line.parse().ok()).collect();
        Ok(Test { program, folder, name, took, reached })
    })
}

/// Tries each of these changes.
pub(crate) fn run(
    tests: &[Test],
    numbers: Vec<usize>,
    jobs: usize,
) -> Result<Vec<(usize, Outcome)>, Failure> {
    let (all, done) = (numbers.len(), AtomicUsize::new(0));
    side_by_side(jobs, numbers, |number| {
        let reaching: Vec<&Test> = tests.iter().filter(|test| test.reached.contains(&number)).collect();
        let outcome = tried(number, &reaching)?;
        let done = done.fetch_add(1, Relaxed).saturating_add(1);
        if done.is_multiple_of(TOLD_EVERY) {
            eprintln!("{done} of {all} tried");
        }
        Ok((number, outcome))
    })
}

/// The quick ones first: mostly one of these fails, and the others need not be run.
fn tried(number: usize, tests: &[&Test]) -> Result<Outcome, Failure> {
    if tests.is_empty() {
        return Ok(Outcome::Unreached);
    }
    for (least, most) in [(Duration::ZERO, QUICK), (QUICK, SLOW), (SLOW, Duration::MAX)] {
        let mut programs: BTreeMap<&Path, Vec<&Test>> = BTreeMap::new();
        for test in tests.iter().filter(|test| (least..most).contains(&test.took)) {
            programs.entry(&test.program).or_default().push(test);
        }
        for (program, tests) in programs {
            let Some(first) = tests.first() else { continue };
            let took: Duration = tests.iter().map(|test| test.took).sum();
            let limit = took.saturating_mul(10).saturating_add(Duration::from_secs(20));
            // It ends the processes that a test has started, too.
            let mut command = Command::new("timeout");
            command.arg(limit.as_secs().to_string()).arg(program).arg("--exact");
            command.args(tests.iter().map(|test| &test.name)).env("MUTANTS_CHOSEN", number.to_string());
            let status = quiet(&mut command, &first.folder).status().map_err(Failure::start("timeout"))?;
            match status.code() {
                Some(0) => {}
                Some(TIMED_OUT) => return Ok(Outcome::Endless),
                _ => return Ok(Outcome::Noticed),
            }
        }
    }
    Ok(Outcome::Missed)
}

const QUICK: Duration = Duration::from_millis(500);
const SLOW: Duration = Duration::from_secs(15);
/// How often progress is told.
const TOLD_EVERY: usize = 50;
/// The exit code of `timeout` for what did not end.
const TIMED_OUT: i32 = 124;

fn test(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    quiet(&mut command, folder).stdout(Stdio::piped());
    command
}

/// Random tests are many small ones; a change that they notice is noticed by some hundreds.
fn quiet<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command.current_dir(folder).env("KEYFAST_PROPERTY_CASES", "300");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// Does something for each, `jobs` at a time, and returns what came of it in the same order; the first error, if any.
fn side_by_side<T: Send, R: Send>(
    jobs: usize,
    all: Vec<T>,
    each: impl Fn(T) -> Result<R, Failure> + Sync,
) -> Result<Vec<R>, Failure> {
    let next = AtomicUsize::new(0);
    let waiting: Vec<Mutex<Option<T>>> = all.into_iter().map(|one| Mutex::new(Some(one))).collect();
    let done: Vec<Mutex<Option<Result<R, Failure>>>> = waiting.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        while let Some((waiting, done)) = {
            let at = next.fetch_add(1, Relaxed);
            waiting.get(at).zip(done.get(at))
        } {
            let taken = waiting.lock().ok().and_then(|mut one| one.take());
            let result = taken.map(&each);
            if let Ok(mut done) = done.lock() {
                *done = result;
            }
        }
    };
    std::thread::scope(|scope| (0..jobs.max(1)).for_each(|_| drop(scope.spawn(work))));
    done.into_iter().filter_map(|one| one.into_inner().ok().flatten()).collect()
}
