//! Measures what the project promises to reach, and prints each figure beside its target.
//!
//! Ratios are taken between things that run in turn on the same cores, so that a busy or slow machine changes both;
//! still, let nothing else run. Everything is made for the run: a simulated TEE host, a broker on the loopback
//! address, files in a temporary directory that is removed at the end.
//!
//! This program must never be a test: a figure that misses its target is printed as MISSED, and the exit code is 0.

mod agent_run;
mod clock;
mod decrypt;
mod files;
mod policies;
mod primitives;
mod process;
mod release;
mod report;
mod rig;
mod verifying;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::report::Report;

/// Whatever went wrong: a benchmark has nobody to tell errors apart for.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The command line.
#[derive(Debug, Parser)]
#[command(about = "Measure what the project promises to reach", max_term_width = 100)]
pub struct Cli {
    /// Measure these only
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Fewer rounds and smaller files: a look, not a result
    #[arg(long)]
    quick: bool,
    /// Write the report to tools/bench/RESULTS.md
    #[arg(long)]
    write: bool,
    /// Where temporary files go: some 3 GiB, which must fit the page cache. Default: the system's directory
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Guests that are connected at a time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    connections: u16,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// A genuine report, against one bare signature verification
    Verify,
    /// Decisions, with many rules and reference values
    Policy,
    /// Guests at a broker
    Release,
    /// Data, against age and bare AES-256-GCM
    Decrypt,
    /// The agent's size and memory
    Agent,
    /// The two back ends of `crypto`
    Primitives,
}

impl Cli {
    fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }

    /// A directory for temporary files, removed when dropped.
    fn temporary(&self) -> std::io::Result<tempfile::TempDir> {
        let builder = &mut tempfile::Builder::new();
        let builder = builder.prefix("keyfast-bench-");
        self.dir.as_ref().map_or_else(|| builder.tempdir(), |dir| builder.tempdir_in(dir))
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failed> {
    let mut report = Report::begin(cli.quick);
    if cli.wants(Section::Verify) {
        verifying::run(cli, &mut report)?;
    }
    if cli.wants(Section::Policy) {
        policies::run(cli, &mut report)?;
    }
    if cli.wants(Section::Release) {
        release::run(cli, &mut report)?;
    }
    if cli.wants(Section::Decrypt) || cli.wants(Section::Agent) {
        decrypt::run(cli, &mut report, cli.wants(Section::Decrypt), cli.wants(Section::Agent))?;
    }
    if cli.wants(Section::Primitives) {
        primitives::run(cli, &mut report)?;
    }
    report.end();
    if cli.write {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md");
        std::fs::write(path, report.to_markdown())?;
        println!("written to tools/bench/RESULTS.md");
    }
    Ok(())
}
