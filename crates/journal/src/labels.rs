//! How records begin that had no policy at first: label, broker, policy. `SPEC.md`, section 2, has both layouts.
//!
//! A record without a policy is read as it is, so that the journal of an earlier broker is taken up; none is made.

use claims::{BrokerId, Fields, PolicyDigest};

use crate::RecordError;
use crate::fields::Reader;

/// The labels of one kind of record.
pub(crate) struct Labels {
    /// Of records that name the policy in force.
    pub(crate) with_policy: &'static str,
    /// Of those of earlier brokers, which do not.
    pub(crate) without: &'static str,
}

impl Labels {
    /// Starts a record, in the layout that its policy, or the lack of it, asks for.
    pub(crate) fn begin(&self, broker: &BrokerId, policy: Option<&PolicyDigest>) -> Fields {
        match policy {
            Some(policy) => Fields::labelled(self.with_policy).bytes(&broker.0).bytes(&policy.0),
            None => Fields::labelled(self.without).bytes(&broker.0),
        }
    }

    /// Reads the beginning of a record of either layout.
    pub(crate) fn read<'a>(
        &self,
        record: &'a [u8],
    ) -> Result<(BrokerId, Option<PolicyDigest>, Reader<'a>), RecordError> {
        if let Ok(mut r) = Reader::labelled(record, self.with_policy) {
            let broker = BrokerId(r.array("broker")?);
            return Ok((broker, Some(PolicyDigest(r.array("policy")?)), r));
        }
        let mut r = Reader::labelled(record, self.without)?;
        Ok((BrokerId(r.array("broker")?), None, r))
    }
}
