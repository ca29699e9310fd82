//! What `keyfast policy explain` asks about evidence: it is verified as `keyfast evidence verify` does, and its guest asks
//! for a key that is made for such guests.

use std::path::Path;

use claims::{KeyId, Operation, RingId, UnixTime};
use clap::Args;
use policy::case::Case;

use super::super::PolicyFailure;
use super::super::prove::now;
use super::super::simulated::{Asked, guest_of_evidence};
use crate::evidence::Trust;

/// What is asked about evidence, and what it is verified with.
#[derive(Debug, PartialEq, Args)]
#[command(next_help_heading = "For evidence")]
pub struct OfEvidence {
    #[command(flatten)]
    trust: Trust,
    /// When it asks, and as of when it is verified: 2026-11-22, 2026-11-22T09:30:00Z, or seconds since 1970 [default:
    /// now]
    #[arg(long, value_name = "TIME", value_parser = crate::past::time)]
    at: Option<UnixTime>,
    /// What the guest asks for: unwrap, release, secret or renew [default: unwrap]
    #[arg(long)]
    operation: Option<Operation>,
    /// Of which key [default: db]
    #[arg(long)]
    key: Option<KeyId>,
    /// The key's ring [default: default]
    #[arg(long)]
    ring: Option<RingId>,
}

impl OfEvidence {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        let Self { trust, at, operation, key, ring } = self;
        *trust == Trust::default() && at.is_none() && operation.is_none() && key.is_none() && ring.is_none()
    }

    /// The guest with this evidence, as a case.
    ///
    /// # Errors
    /// As of [`guest_of_evidence`].
    pub fn case(&self, file: &Path) -> Result<Case, PolicyFailure> {
        let Self { trust, at, operation, key, ring } = self;
        let asked = Asked { operation: *operation, key: key.clone(), ring: ring.clone() };
        guest_of_evidence(file, trust, at.unwrap_or_else(now), asked)
    }
}
