//! Attestation keys that were enrolled: looked up by Name, kept by whoever calls.

use claims::UnixTime;
use claims::tpm::ObjectName;

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
