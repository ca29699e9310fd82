//! Changes a crate in one place at a time, and sees whether its tests notice.
//!
//! `cargo mutants` knows the changes: operators, match arms, what a function returns. It builds the crate anew for each,
//! which takes hours. Here all of them are compiled into one copy of the crate, where an environment variable chooses one,
//! and each is tried with those tests alone that ever reach its place.
//!
//! What cannot be compiled so (constants, functions that return an `impl Trait`) is counted as left, and listed.
//!
//! This must never write outside of its folder in `target`.

mod change;
mod copy;
mod failure;
mod places;
mod rewrite;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::change::Change;
use crate::copy::Copy;
use crate::failure::Failure;
use crate::trial::Outcome;

/// Changes a crate in one place at a time, and sees whether its tests notice
#[derive(Parser)]
#[command(name = "mutants")]
struct Arguments {
    /// The crate, such as `verify`
    #[arg(value_name = "CRATE")]
    name: String,

    /// Try only the changes whose name contains this, such as `src/chain.rs`
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// Try with these tests of the package `tests` too, such as `vectors`
    #[arg(long, value_name = "TEST")]
    also: Vec<String>,

    /// Changes tried side by side
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,

    /// Where to work
    #[arg(long, value_name = "DIR", default_value = "target/mutants")]
    target: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(all_noticed) => ExitCode::from(if all_noticed { 0 } else { 2 }),
        Err(failure) => {
            eprintln!("mutants: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every change that could be tried was noticed.
fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let changes = change::list(&arguments.name)?;
    let copy = Copy::make(&arguments.name, &arguments.target)?;
    let compiled = copy.compile(&changes)?;
    let tests = trial::reaching(&copy, &arguments.also, arguments.jobs)?;
    println!("{} changes, {} compiled, {} tests", changes.len(), compiled.numbers.len(), tests.len());

    let is_asked = |change: &Change| arguments.only.as_ref().is_none_or(|text| change.name.contains(text));
    let numbers: Vec<usize> = compiled.numbers.iter().copied().collect();
    let asked = numbers.into_iter().filter(|number| changes.get(*number).is_some_and(is_asked)).collect();
    let outcomes = trial::run(&tests, asked, arguments.jobs)?;
    for (number, outcome) in &outcomes {
        if let (Outcome::Missed | Outcome::Unreached, Some(change)) = (outcome, changes.get(*number)) {
            println!("{outcome:9}  {}", change.name);
        }
    }
    for number in &compiled.left {
        if let Some(change) = changes.get(*number).filter(|change| is_asked(change)) {
            println!("left       {}", change.name);
        }
    }
    let count = |wanted: Outcome| outcomes.iter().filter(|(_, outcome)| *outcome == wanted).count();
    println!(
        "{}: {} changes tried: {} noticed by a test, {} by a test that no longer ends, {} reached and not noticed, \
         {} not reached; {} without a meaning to the compiler, {} left",
        arguments.name,
        outcomes.len(),
        count(Outcome::Noticed),
        count(Outcome::Endless),
        count(Outcome::Missed),
        count(Outcome::Unreached),
        compiled.meaningless,
        compiled.left.len(),
    );
    Ok(count(Outcome::Missed) == 0 && count(Outcome::Unreached) == 0)
}
