//! `keyfast-agent enrol`: make the broker know this guest's TPM beforehand.

use clap::Args;

use crate::config::Config;
use crate::failure::Failure;
use crate::shell;

/// Enrol the attestation key of this guest's TPM; asking for keys does it too, where it is needed
#[derive(Debug, Args)]
pub struct Enrol {}

pub(super) fn run(config: &Config, _args: &Enrol) -> Result<(), Failure> {
    let enrolled = shell::enrol(config)?;
    let name: String = enrolled.ak_name.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{name} until {}", enrolled.until);
    Ok(())
}
