//! Attestation keys that this broker believes, in memory.
//!
//! Keys that a certificate or an operator vouches for are durable: the store has them, the journal says so, and the
//! transaction of each release checks again that the key is believed still. Keys that are activated only are worth
//! nothing without an SNP report that names their endorsement key; they are kept here, the newest [`MAX_ACTIVATED`] of
//! them, and a guest whose key was forgotten enrols again.

use std::collections::{HashMap, VecDeque};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use claims::AttestationKey;
use claims::tpm::{AkBinding, ObjectName};
use verify::{EnrolledKey, EnrolledKeys, Enrolment};

/// Most keys that are activated only.
pub const MAX_ACTIVATED: usize = 4096;

/// What is known of attestation keys.
#[derive(Debug, Default)]
pub struct AttestationKeys(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    durable: HashMap<ObjectName, AttestationKey>,
    /// In the order in which they were enrolled.
    names: Vec<ObjectName>,
    activated: HashMap<ObjectName, EnrolledKey>,
    newest_last: VecDeque<ObjectName>,
}

impl AttestationKeys {
    /// The keys of these rows, in the order in which they were enrolled.
    pub fn from_rows(rows: Vec<AttestationKey>) -> Self {
        let keys = Self::default();
        rows.into_iter().for_each(|row| keys.put(row));
        keys
    }

    /// A durable key as it is known from now on.
    pub fn put(&self, key: AttestationKey) {
        let mut known = self.write();
        let name = key.name.clone();
        if known.durable.insert(name.clone(), key).is_none() {
            known.names.push(name);
        }
    }

    /// A key that is activated only. The oldest is forgotten where there are too many.
    pub fn put_activated(&self, name: ObjectName, key: EnrolledKey) {
        let mut known = self.write();
        if known.activated.insert(name.clone(), key).is_none() {
            known.newest_last.push_back(name);
        }
        if known.newest_last.len() > MAX_ACTIVATED
            && let Some(oldest) = known.newest_last.pop_front()
        {
            known.activated.remove(&oldest);
        }
    }

    /// What is known durably of the key of this Name.
    pub fn durable(&self, name: &ObjectName) -> Option<AttestationKey> {
        self.read().durable.get(name).cloned()
    }

    /// All durable keys, believed or not, in the order in which they were enrolled.
    pub fn all(&self) -> Vec<AttestationKey> {
        let known = self.read();
        known.names.iter().filter_map(|name| known.durable.get(name)).cloned().collect()
    }

    /// The believed keys of the TPM with this endorsement key, the oldest first.
    pub fn of_tpm(&self, ek: &ObjectName) -> Vec<AttestationKey> {
        let mut all = self.all();
        all.retain(|key| key.believed && key.ek.as_ref() == Some(ek));
        all
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EnrolledKeys for AttestationKeys {
    fn find(&self, ak: &ObjectName) -> Option<EnrolledKey> {
        let known = self.read();
        let Some(key) = known.durable.get(ak) else { return known.activated.get(ak).cloned() };
        let enrolment = match key.binding {
            AkBinding::EkCertificate => Enrolment::EkCertificate,
            AkBinding::Enrolled => Enrolment::Operator,
            AkBinding::InTee | AkBinding::GuestVouched => return None,
        };
        key.believed.then(|| EnrolledKey {
            enrolment,
            ek: key.ek.clone(),
            qualified_name: None,
            simulated: key.simulated,
            not_after: key.not_after,
        })
    }
}

#[cfg(test)]
mod tests {
    use claims::UnixTime;

    use super::*;

    fn name(number: usize) -> ObjectName {
        format!("000b{number:064x}").parse().unwrap()
    }

    fn key(number: usize, believed: bool) -> AttestationKey {
        let (binding, ek) = (AkBinding::EkCertificate, Some(name(0)));
        let not_after = UnixTime(9);
        AttestationKey { name: name(number), binding, ek, simulated: false, not_after, believed }
    }

    #[test]
    fn a_key_that_was_withdrawn_is_not_found_though_it_is_activated_again() {
        let keys = AttestationKeys::from_rows(vec![key(1, true), key(2, false)]);
        let found = keys.find(&name(1)).unwrap();
        assert_eq!((found.enrolment, found.not_after), (Enrolment::EkCertificate, UnixTime(9)));
        let activated = EnrolledKey { enrolment: Enrolment::Activated, ..found };
        keys.put_activated(name(2), activated);
        assert_eq!(keys.find(&name(2)), None);
        keys.put(key(1, false));
        assert_eq!((keys.find(&name(1)), keys.of_tpm(&name(0))), (None, Vec::new()));
        assert_eq!(keys.all(), [key(1, false), key(2, false)]);
    }

    #[test]
    fn the_newest_activated_keys_are_kept() {
        let keys = AttestationKeys::from_rows(vec![key(1, true)]);
        let activated = EnrolledKey { enrolment: Enrolment::Activated, ..keys.find(&name(1)).unwrap() };
        (10..=10 + MAX_ACTIVATED).for_each(|n| keys.put_activated(name(n), activated.clone()));
        assert_eq!(keys.find(&name(10)), None);
        assert_eq!(keys.find(&name(11)), Some(activated.clone()));
        assert_eq!(keys.find(&name(10 + MAX_ACTIVATED)), Some(activated));
    }
}
