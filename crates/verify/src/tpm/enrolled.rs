//! Attestation keys that were enrolled: looked up by Name, kept by whoever calls.

use claims::UnixTime;
use claims::tpm::{AkBinding, ObjectName};
use evidence::tpm::Public;

use super::TpmVerifyError;
use super::ak::telling_name;
use crate::Check;
use crate::check::OnCheck;

/// A table of enrolled attestation keys.
pub trait EnrolledKeys {
    /// What is known of the key of this Name, or `None`.
    fn find(&self, ak: &ObjectName) -> Option<EnrolledKey>;
}

/// What enrolment left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolledKey {
    /// How the key came to be believed.
    pub enrolment: Enrolment,
    /// Name of the endorsement key that it was activated with, if it was.
    pub ek: Option<ObjectName>,
    /// The key's qualified Name, where its parents are known ([`crate::tpm::qualified_name`]).
    pub qualified_name: Option<ObjectName>,
    /// Whether the endorsement key's root, or whoever enrolled the key, says that it is a simulated one.
    pub simulated: bool,
    /// The last second at which the key is believed: the endorsement certificate's end, for one.
    pub not_after: UnixTime,
}

/// How a key came to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolment {
    /// Its TPM opened a credential for an endorsement key whose certificate leads to a root of the operator's.
    EkCertificate,
    /// An operator said so.
    Operator,
    /// Its TPM opened a credential for an endorsement key that nothing vouches for. Worth nothing by itself: an SNP
    /// report may vouch for that key.
    Activated,
}

/// The empty table.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEnrolledKeys;

impl EnrolledKeys for NoEnrolledKeys {
    fn find(&self, _ak: &ObjectName) -> Option<EnrolledKey> {
        None
    }
}

/// A key that is enrolled.
pub(super) struct Trusted {
    pub(super) name: ObjectName,
    pub(super) binding: AkBinding,
    pub(super) known: EnrolledKey,
}

/// 9: the key of this public area is enrolled, and still is. `in_tee` says that a report
/// names its endorsement key, so that a key counts that is activated only.
pub(super) fn trust(
    ak: &Public,
    enrolled: &dyn EnrolledKeys,
    in_tee: bool,
    now: UnixTime,
    on_check: &mut OnCheck<'_>,
) -> Result<Trusted, TpmVerifyError> {
    let name = telling_name(ak)?;
    let Some(known) = enrolled.find(&name) else {
        return Err(TpmVerifyError::AkUnknown { name });
    };
    if now > known.not_after {
        return Err(TpmVerifyError::AkExpired { name, not_after: known.not_after, now });
    }
    let (binding, how) = match known.enrolment {
        Enrolment::EkCertificate => (AkBinding::EkCertificate, "activated with a certified endorsement key"),
        Enrolment::Operator => (AkBinding::Enrolled, "enrolled by an operator"),
        Enrolment::Activated if in_tee => (AkBinding::InTee, "activated with an endorsement key"),
        Enrolment::Activated => return Err(TpmVerifyError::AkUnvouched { name }),
    };
    on_check(Check::KeyTrust, format_args!("{name}, {how}"));
    let binding = if in_tee { AkBinding::InTee } else { binding };
    Ok(Trusted { name, binding, known })
}
