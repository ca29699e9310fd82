//! `keyfast policy bundle`, `sign` and `load`: from texts to what officers sign, and to what a broker puts in force.
//!
//! Decides nothing: the broker compares the digests with the texts that it reads, and checks the signatures itself.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use policy::{Bundle, BundleStatement, Policy, ProofRecord};
use wire::admin::PoliciesLoaded;

use super::PolicyFailure;
use super::folder::{self, Chosen, FolderError};
use super::prove::{self, Questions};
use crate::admin::Admin;
use crate::output::{now, write_public};
use crate::signing;

/// Arguments of `keyfast policy bundle`.
#[derive(Debug, Args)]
pub struct Make {
    #[command(flatten)]
    chosen: Chosen,
    /// Its serial number, which must go up, but for the same texts; the next one if not given
    #[arg(long)]
    serial: Option<u64>,
    /// Prove the policies first, and record what was proven
    #[arg(long)]
    prove: bool,
}

/// Arguments of `keyfast policy sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// The directory of policies
    #[arg(long, default_value = "attestation-policies", env = "KEYFAST_POLICIES", value_name = "DIR")]
    dir: PathBuf,
    /// An SSH key, Ed25519: the private one, or the public half of one in an agent
    #[arg(long, short, value_name = "FILE")]
    key: PathBuf,
}

/// Writes `bundle.toml`.
pub fn make(args: &Make, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let policies = args.chosen.policies()?;
    let bundle = args.chosen.bundle(&policies)?;
    let (digest, rules) = (bundle.digest(), bundle.rules_digest());
    let policy = prove::load(&args.chosen, out)?;
    let path = args.chosen.dir.join(BundleStatement::FILE);
    let there = statement_there(&path)?;
    let serial = match (args.serial, there) {
        (None, there) => there.map_or(1, |there| there.serial.saturating_add(1)),
        // A broker takes no other texts under it.
        (Some(serial), Some(there)) if serial <= there.serial && !there.is_about(digest, rules, true) => {
            return Err(PolicyFailure::NotLater { path, serial, there: there.serial });
        }
        (Some(serial), _) => serial,
    };
    let proof = if args.prove { Some(proof(args, &policy, out)?) } else { None };
    let names = policies.iter().map(|file| file.name.clone()).collect();
    let statement = BundleStatement::new(serial, names, (digest, rules), proof);
    let text =
        statement.to_text().map_err(|source| PolicyFailure::Statement { path: path.clone(), source })?;
    let write = |source| FolderError::Write { path: path.clone(), source };
    write_public(&path, text.as_bytes()).map_err(write)?;
    signing::outdated(&args.chosen.dir.join(BundleStatement::SIGNATURES), out)?;
    for file in &policies {
        writeln!(out, "policy    {}", file.name)?;
    }
    writeln!(out, "digest    {digest}")?;
    writeln!(out, "values    serial {}", policy.serial())?;
    writeln!(out, "bundle    serial {serial}, {}", path.display())?;
    match &statement.proof {
        Some(ProofRecord { held, failed, .. }) if !failed.is_empty() => {
            let (failed, held) = (failed.len(), held.len());
            Err(PolicyFailure::NotProven { failed, all: failed.saturating_add(held) })
        }
        _ => Ok(()),
    }
}

/// What was signed, or is to be, until now.
fn statement_there(path: &std::path::Path) -> Result<Option<BundleStatement>, PolicyFailure> {
    let text = match folder::read(path) {
        Err(FolderError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        text => text?,
    };
    let there = BundleStatement::parse(&text);
    let there = there.map_err(|source| PolicyFailure::Statement { path: path.to_owned(), source })?;
    Ok(Some(there))
}

fn proof(args: &Make, policy: &Policy, out: &mut dyn Write) -> Result<ProofRecord, PolicyFailure> {
    let questions = Questions::of(&args.chosen, None)?;
    let all = questions.ask(policy, None, |_, _, _| Ok(()))?;
    let ids = |holds: bool| {
        all.iter()
            .filter(|proven| proven.holds() == holds)
            .map(|proven| proven.id.clone())
            .collect::<Vec<_>>()
    };
    let record = ProofRecord {
        solver: questions.solver()?,
        at: now().to_string(),
        held: ids(true),
        failed: ids(false),
    };
    writeln!(out, "proven    {} hold, {} do not", record.held.len(), record.failed.len())?;
    record.failed.iter().try_for_each(|id| writeln!(out, "fails     {id}"))?;
    Ok(record)
}

/// Adds an officer's signature.
pub fn sign(args: &Sign, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let path = args.dir.join(BundleStatement::FILE);
    let text = folder::read(&path)?;
    let statement = BundleStatement::parse(&text);
    let statement = statement.map_err(|source| PolicyFailure::Statement { path: path.clone(), source })?;
    // Officers answer for the files that they have before them, not for digests that somebody wrote down.
    let chosen = Chosen::of(&args.dir, &statement.policies);
    let policies = chosen.policies()?;
    let bundle = chosen.bundle(&policies)?;
    if !statement.is_about(bundle.digest(), bundle.rules_digest(), true) {
        return Err(PolicyFailure::OtherTexts { path });
    }
    for file in &policies {
        writeln!(out, "policy    {}", file.name)?;
    }
    writeln!(out, "digest    {}", bundle.digest())?;
    let signatures = args.dir.join(BundleStatement::SIGNATURES);
    signing::sign(&path, &signatures, BundleStatement::NAMESPACE, &args.key)?;
    let proof = match &statement.proof {
        None => "nothing proven".to_owned(),
        Some(proof) => format!("{} properties proven, {} not", proof.held.len(), proof.failed.len()),
    };
    Ok(writeln!(out, "signed    serial {}, {proof}; {}", statement.serial, signatures.display())?)
}

/// Has a broker put its policies in force as their files are now.
pub fn load(admin: &Admin, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let loaded: PoliciesLoaded = admin.send("/admin/v1/policy", &())?;
    let PoliciesLoaded { before, policy_digest, rules, serial, references_serial, signed_by } = loaded;
    writeln!(out, "before    {before}")?;
    writeln!(out, "in force  {policy_digest}")?;
    writeln!(out, "rules     {rules}")?;
    writeln!(out, "values    serial {references_serial} of {}", Bundle::REFERENCES)?;
    if !signed_by.is_empty() {
        writeln!(out, "signed    by {}; serial {serial}", signed_by.join(", "))?;
    }
    Ok(())
}
