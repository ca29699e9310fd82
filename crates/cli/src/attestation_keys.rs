//! `keyfast attestation-keys`: which TPMs' keys a broker believes, and taking that back.

use std::io::Read;
use std::path::PathBuf;

use claims::tpm::ObjectName;
use clap::{Args, Subcommand};
use wire::admin::{AttestationKey, EnrolAttestationKey};

use crate::admin::{Admin, AdminError};
use crate::output::table;

/// Subcommands of `keyfast attestation-keys`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List them: what vouches for each, and until when
    List,
    /// Believe a key by an operator's word
    #[command(
        long_about = "Believe a key by an operator's word.\n\nFor TPMs without a certificate, and to take back a key \
        that was withdrawn. The file is the public area as `tpm2_readpublic -o` writes it (TPM2B_PUBLIC). The key must \
        be a restricted signing key that cannot leave its TPM; that the file came from that TPM is what you vouch for."
    )]
    Enrol(Enrol),
    /// Believe a key no longer; what was released stays released
    Withdraw {
        /// Its Name, as `list` prints it
        name: ObjectName,
    },
}

/// Arguments of `keyfast attestation-keys enrol`.
#[derive(Debug, Args)]
pub struct Enrol {
    /// The public area
    file: PathBuf,
    /// The TPM is simulated: keys made for simulation are for it, and no others
    #[arg(long)]
    simulation: bool,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationKeysError {
    /// The broker did not do it.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The file could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too long.
    #[error("`{}` is too long for a public area: expected at most {MAX_PUBLIC} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// Runs one subcommand.
///
/// # Errors
/// [`AttestationKeysError`].
pub fn run(admin: &Admin, command: &Command) -> Result<(), AttestationKeysError> {
    match command {
        Command::List => print(&admin.fetch::<Vec<AttestationKey>>(PATH)?),
        Command::Enrol(enrol) => {
            let request = EnrolAttestationKey { public: read(enrol)?, simulation: enrol.simulation };
            print(&[admin.send(PATH, &request)?]);
        }
        Command::Withdraw { name } => print(&[admin.send(&format!("{PATH}/{name}/withdraw"), &())?]),
    }
    Ok(())
}

/// The public area in hexadecimal.
fn read(enrol: &Enrol) -> Result<String, AttestationKeysError> {
    let path = || enrol.file.clone();
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&enrol.file)
        .and_then(|file| file.take(MAX_PUBLIC.saturating_add(1)).read_to_end(&mut bytes));
    read.map_err(|source| AttestationKeysError::Read { path: path(), source })?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_PUBLIC) {
        return Err(AttestationKeysError::TooLong { path: path() });
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A Name is longer than a line of a table would bear beside the rest, so it stands last.
fn print(keys: &[AttestationKey]) {
    let row = |key: &AttestationKey| {
        vec![
            key.binding.clone(),
            if key.simulated { "simulated" } else { "genuine" }.to_owned(),
            if key.believed { "believed" } else { "withdrawn" }.to_owned(),
            key.not_after.get(..10).unwrap_or(&key.not_after).to_owned(),
            key.name.clone(),
        ]
    };
    table(&["BY", "TPM", "STATE", "UNTIL", "NAME"], &keys.iter().map(row).collect::<Vec<_>>());
}

const PATH: &str = "/admin/v1/attestation-keys";
/// Most bytes of a public area.
const MAX_PUBLIC: u64 = 1024;
