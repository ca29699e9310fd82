//! Attestation keys that whoever runs the command vouches for: an operator's enrolment, for this run.

use std::path::PathBuf;

use claims::UnixTime;
use claims::tpm::ObjectName;
use clap::Args;
use verify::tpm::{name_of, qualified_name};
use verify::{EnrolledKey, EnrolledKeys, Enrolment};

use super::Failure;
use super::files::read_public;

/// Whom to believe.
#[derive(Debug, Default, PartialEq, Args)]
pub struct EnrolArgs {
    /// Enrol this attestation key: its TPM2B_PUBLIC, as `tpm2_createak -u` writes it. Quotes of a bare TPM and of a
    /// service module count only under an enrolled key
    #[arg(long, value_name = "FILE")]
    pub(crate) ak_public: Vec<PathBuf>,
    /// Enrol the attestation key of this Name, in hexadecimal, as `tpm2_createak -n` writes it
    #[arg(long, value_name = "NAME")]
    pub(crate) trust_ak: Vec<ObjectName>,
    /// The endorsement key that these attestation keys were activated with, and lie right under: its TPM2B_PUBLIC, as
    /// `tpm2_createek -u` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) ek_public: Option<PathBuf>,
}

/// The table of one run.
pub struct Operators {
    keys: Vec<ObjectName>,
    ek: Option<ObjectName>,
}

impl EnrolArgs {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Failure`] for a file that cannot be read, or holds something else.
    pub fn table(&self) -> Result<Operators, Failure> {
        let mut keys = self.trust_ak.clone();
        for path in &self.ak_public {
            keys.push(name_of(&read_public(path)?));
        }
        let ek = self.ek_public.as_deref().map(read_public).transpose()?;
        Ok(Operators { keys, ek: ek.as_ref().map(name_of) })
    }
}

impl EnrolledKeys for Operators {
    fn find(&self, ak: &ObjectName) -> Option<EnrolledKey> {
        let known = self.keys.contains(ak);
        let below = |ek: &ObjectName| {
            let parent = qualified_name(&ENDORSEMENT_HIERARCHY.to_be_bytes(), ek);
            qualified_name(&parent.to_bytes(), ak)
        };
        known.then(|| EnrolledKey {
            enrolment: Enrolment::Operator,
            ek: self.ek.clone(),
            qualified_name: self.ek.as_ref().map(below),
            simulated: false,
            not_after: UnixTime::END,
        })
    }
}

const ENDORSEMENT_HIERARCHY: u32 = 0x4000_000b;
