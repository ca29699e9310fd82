//! The attestation key and the endorsement key of a [`Tpm`], certificates, and credentials.
//!
//! | key | where |
//! |-|-|
//! | endorsement key | by the first template of [`endorsement::TEMPLATES`] that the TPM has a certificate for, else L-1: at its handle if it is there, else made again, which gives the same key |
//! | attestation key | a child of it, made once, at a persistent handle: restricted, RSASSA, SHA-256 |
//!
//! What is found at a handle is compared before it is used, and never replaced.

use tss_esapi::constants::SessionType;
use tss_esapi::handles::{AuthHandle, KeyHandle, PersistentTpmHandle, SessionHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::dynamic_handles::Persistent;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::resource_handles::{Hierarchy, Provision};
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{EncryptedSecret, HashScheme, IdObject, Public, RsaScheme, SymmetricDefinition};

use super::TpmError;
use super::device::{Tpm, sized_public};
use super::endorsement::{self, Template};
use crate::activate::{MAX_CERTIFICATE, MAX_CERTIFICATES, MAX_SECRET};
use crate::{Credential, TpmKeys};

impl Tpm {
    /// Makes the attestation key, and keeps it at this handle.
    pub(super) fn make_ak(&mut self, handle: u32) -> Result<(), TpmError> {
        let during = || TpmError::during("make the attestation key");
        let public = endorsement::ak_template().map_err(during())?;
        let (parent, template) = self.endorsement_key()?;
        let made = self.under(template, |context| context.create(parent, public, None, None, None, None));
        let made = made.map_err(during())?;
        let (private, public) = (made.out_private, made.out_public);
        let loaded = self.under(template, |context| context.load(parent, private, public));
        let loaded = loaded.map_err(during())?;
        let place = Persistent::Persistent(PersistentTpmHandle::new(handle).map_err(during())?);
        let kept = self.context.execute_with_session(Some(AuthSession::Password), |context| {
            context.evict_control(Provision::Owner, loaded.into(), place)
        });
        kept.map(drop)
            .map_err(TpmError::during("keep the attestation key, which takes an empty owner password"))
    }

    /// The attestation key at this handle, if it is fit for quotes.
    pub(super) fn own_ak(&mut self, handle: u32) -> Result<(KeyHandle, Public), TpmError> {
        let (key, public, _) = self.key(handle)?;
        check_ak(&public).map_err(|expected| TpmError::OtherKey { handle, expected })?;
        Ok((key, public))
    }

    /// The keys and certificates that a broker enrols.
    pub(super) fn keys(&mut self, ak_handle: u32) -> Result<TpmKeys, TpmError> {
        let ((ek, template), ak) = (self.endorsement_key()?, self.child_ak(ak_handle)?.1);
        let (ek, _, _) = self.context.read_public(ek).map_err(TpmError::during("give a key"))?;
        Ok(TpmKeys {
            ak: sized_public(&ak)?,
            ek: sized_public(&ek)?,
            certificates: self.certificates(template)?,
        })
    }

    /// TPM2_ActivateCredential, under the endorsement key's policy.
    pub(super) fn activate(&mut self, ak_handle: u32, credential: &Credential) -> Result<Vec<u8>, TpmError> {
        let during = || TpmError::during("open the credential");
        let blob = IdObject::try_from(contents(&credential.blob)).map_err(during())?;
        let seed = EncryptedSecret::try_from(contents(&credential.encrypted_seed)).map_err(during())?;
        let ((ek, template), ak) = (self.endorsement_key()?, self.own_ak(ak_handle)?.0);
        let opened = match self.policy_session(template).map_err(during())? {
            None => self.context.execute_with_sessions(
                (Some(AuthSession::Password), Some(AuthSession::Password), None),
                |context| context.activate_credential(ak, ek, blob, seed),
            ),
            Some(session) => self.with_policy(session, |context| {
                let sessions = (Some(AuthSession::Password), Some(session), None);
                context.execute_with_sessions(sessions, |context| {
                    context.activate_credential(ak, ek, blob, seed)
                })
            }),
        };
        let secret = opened.map_err(during())?.value().to_vec();
        if !(1..=MAX_SECRET).contains(&secret.len()) {
            let (expected, got) = (format!("1 to {MAX_SECRET} bytes"), secret.len().to_string());
            return Err(TpmError::Answer { what: "length of a secret", expected, got });
        }
        Ok(secret)
    }

    /// Does something with the endorsement key: under its policy, or with its empty password.
    fn under<T>(
        &mut self,
        template: &Template,
        work: impl FnOnce(&mut tss_esapi::Context) -> tss_esapi::Result<T>,
    ) -> tss_esapi::Result<T> {
        match self.policy_session(template)? {
            None => self.context.execute_with_session(Some(AuthSession::Password), work),
            Some(session) => self.with_policy(session, |context| {
                context.execute_with_session(Some(session), |context| work(context))
            }),
        }
    }

    /// A session for the endorsement key's policy, if its template has no password.
    fn policy_session(&mut self, template: &Template) -> tss_esapi::Result<Option<AuthSession>> {
        if template.has_password() {
            return Ok(None);
        }
        self.context.execute_without_session(|context| {
            let hash = HashingAlgorithm::Sha256;
            let cipher = SymmetricDefinition::AES_128_CFB;
            context.start_auth_session(None, None, None, SessionType::Policy, cipher, hash)
        })
    }

    /// Does something under PolicySecret of the endorsement hierarchy, and ends the session.
    fn with_policy<T>(
        &mut self,
        session: AuthSession,
        work: impl FnOnce(&mut tss_esapi::Context) -> tss_esapi::Result<T>,
    ) -> tss_esapi::Result<T> {
        let object = SessionHandle::from(session).into();
        self.context.execute_with_temporary_object(object, |context, _| {
            let policy = PolicySession::try_from(session)?;
            let hierarchy = AuthHandle::Endorsement;
            let (nonce, parameters, reference) = Default::default();
            context.execute_with_session(Some(AuthSession::Password), |context| {
                context.policy_secret(policy, hierarchy, nonce, parameters, reference, None)
            })?;
            work(context)
        })
    }

    /// As [`Self::own_ak`]; and the key is a child of the endorsement key, as enrolment takes it to be.
    fn child_ak(&mut self, handle: u32) -> Result<(KeyHandle, Public), TpmError> {
        let (parent, _) = self.endorsement_key()?;
        let read = self.context.read_public(parent).map_err(TpmError::during("give a key"))?;
        let (key, public, qualified) = self.key(handle)?;
        check_ak(&public).map_err(|expected| TpmError::OtherKey { handle, expected })?;
        let (_, name, _) = self.context.read_public(key).map_err(TpmError::during("give a key"))?;
        let digest = crypto::sha256(&[read.2.value(), name.value()]);
        if qualified != [&SHA256.to_be_bytes()[..], &digest].concat() {
            return Err(TpmError::OtherKey { handle, expected: "a child of the endorsement key" });
        }
        Ok((key, public))
    }

    /// The endorsement key, loaded, and its template: the first that the TPM has a certificate for, else L-1.
    fn endorsement_key(&mut self) -> Result<(KeyHandle, &'static Template), TpmError> {
        let during = || TpmError::during("give its endorsement key");
        let [low_rsa, ..] = &endorsement::TEMPLATES;
        let mut template = low_rsa;
        for one in endorsement::TEMPLATES.iter().rev() {
            if self.has(one.certificate)? {
                template = one;
            }
        }
        let public = template.public().map_err(during())?;
        if self.has(template.handle)? {
            let (key, found, _) = self.key(template.handle)?;
            if endorsement::is_of_template(&found, &public) {
                return Ok((key, template));
            }
        }
        let made = self.context.execute_with_session(Some(AuthSession::Password), |context| {
            context.create_primary(Hierarchy::Endorsement, public, None, None, None, None)
        });
        made.map(|made| (made.key_handle, template)).map_err(during())
    }

    /// The endorsement key's certificate and those above it, as far as the TPM has them.
    fn certificates(&mut self, template: &Template) -> Result<Vec<Vec<u8>>, TpmError> {
        let Some(own) = self.index(template.certificate, MAX_CERTIFICATE)? else { return Ok(Vec::new()) };
        let mut certificates = vec![first_element(&own).unwrap_or(&own).to_vec()];
        // One chain may be spread over the indices.
        let mut chain = Vec::new();
        for index in CHAIN {
            match self.index(index, MAX_CERTIFICATE)? {
                Some(part) => chain.extend(part),
                None => break,
            }
        }
        let mut rest = chain.as_slice();
        while let Some(issuer) = first_element(rest).filter(|_| certificates.len() < MAX_CERTIFICATES) {
            certificates.push(issuer.to_vec());
            rest = rest.get(issuer.len()..).unwrap_or_default();
        }
        Ok(certificates)
    }
}

/// What an attestation key must be, and the first thing that this one is not.
fn check_ak(public: &Public) -> Result<(), &'static str> {
    let Public::Rsa { object_attributes: has, name_hashing_algorithm: hash, parameters, .. } = public else {
        return Err("an rsa key");
    };
    let attested = has.fixed_tpm() && has.fixed_parent() && has.sensitive_data_origin();
    if !(attested && has.restricted() && has.sign_encrypt()) || has.decrypt() {
        return Err("a restricted signing key that was made in the tpm and stays there");
    }
    let scheme = RsaScheme::RsaSsa(HashScheme::new(HashingAlgorithm::Sha256));
    if parameters.key_bits() != RsaKeyBits::Rsa2048
        || parameters.rsa_scheme() != scheme
        || *hash != HashingAlgorithm::Sha256
    {
        return Err("rsassa of 2048 bits with sha256");
    }
    Ok(())
}

/// A TPM2B without its length, which is checked where it comes from.
fn contents(sized: &[u8]) -> Vec<u8> {
    sized.get(2..).unwrap_or_default().to_vec()
}

/// The DER sequence that the bytes start with, without what is behind it: indices are often longer than what they hold.
fn first_element(bytes: &[u8]) -> Option<&[u8]> {
    let [0x30, 0x82, high, low, ..] = bytes else { return None };
    bytes.get(..usize::from(u16::from_be_bytes([*high, *low])).saturating_add(4))
}

const SHA256: u16 = 0x000b;
/// Where the certificates above it are (the same, 2.2.1.5.2), as many indices as are read.
const CHAIN: std::ops::RangeInclusive<u32> = 0x01c0_0100..=0x01c0_0103;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_ends_where_it_says() {
        assert_eq!(first_element(b"\x30\x82\x00\x01ab"), Some(&b"\x30\x82\x00\x01a"[..]));
        for none in [&b""[..], b"\x30\x82\x00", b"\x30\x82\x00\x02a", b"\x31\x82\x00\x01a", b"\x30\x01a"] {
            assert_eq!(first_element(none), None, "{none:?}");
        }
    }
}
