//! Rule 5 of [`super::ek`]: revocation lists of those who certify endorsement keys (RFC 5280, 5), as an operator hands
//! them in.
//!
//! A list is of the authority that signed it, and names certificates of that authority. As with AMD's lists
//! ([`crate::revocation`]) it counts against a certificate however old it is, and for one only within its window and, where
//! lists are required, while it is young enough. Lists of a part only, which a critical extension marks, are refused.

use der::asn1::ObjectIdentifier;
use x509_cert::name::Name;

use super::ek::EkError;
use crate::chain::common_name;
use crate::crl::{Crl, CrlError};
use crate::revocation::{CrlPolicy, RevocationError, check_times};

/// What an operator has of lists, and demands of them.
#[derive(Debug, Default)]
pub struct EkLists {
    lists: Vec<Crl>,
    policy: CrlPolicy,
}

/// Lists that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EkListsError {
    /// More lists than there are authorities below a root.
    #[error("too many revocation lists: expected at most {limit}, got {got}")]
    TooMany {
        /// Most lists allowed.
        limit: usize,
        /// How many there are.
        got: usize,
    },
    /// One that cannot be read.
    #[error("revocation list {index}: {source}")]
    List {
        /// Which one, from 0.
        index: usize,
        /// Why.
        source: CrlError,
    },
}

/// A certificate's issuer, as far as lists go.
pub(super) struct Issuer<'a, F> {
    pub(super) name: &'a Name,
    /// Whether its key may sign lists.
    pub(super) may_sign: bool,
    /// Whether its key made this signature, by this algorithm, of these bytes.
    pub(super) has_signed: F,
}

impl EkLists {
    /// Most lists.
    pub const MAX: usize = 32;
    /// Most bytes of one.
    pub const MAX_LEN: usize = 128 * 1024;

    /// Reads lists in DER.
    ///
    /// # Errors
    /// [`EkListsError`].
    pub fn parse(lists: &[Vec<u8>], policy: CrlPolicy) -> Result<Self, EkListsError> {
        let (limit, got) = (Self::MAX, lists.len());
        if got > limit {
            return Err(EkListsError::TooMany { limit, got });
        }
        let parse = |(index, der): (usize, &Vec<u8>)| {
            Crl::parse_with(der, Self::MAX_LEN, SCHEMES, |outer, inner| {
                (outer != inner || !super::ek::SCHEMES.contains(&outer.oid)).then(|| outer.oid.to_string())
            })
            .map_err(|source| EkListsError::List { index, source })
        };
        let lists = lists.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { lists, policy })
    }

    /// Checks the certificate at `index` of a chain against the lists that its issuer signed.
    pub(super) fn check(
        &self,
        (index, serial): (usize, &[u8]),
        issuer: &Issuer<'_, impl Fn(ObjectIdentifier, &[u8], &[u8]) -> bool>,
        now: claims::UnixTime,
    ) -> Result<(), EkError> {
        let name = common_name(issuer.name);
        let (mut is_listed, mut refused) = (false, None);
        for crl in self.lists.iter().filter(|crl| crl.issuer() == issuer.name) {
            let (signed, signature) = crl.signed_parts();
            if !(issuer.has_signed)(crl.algorithm(), signed, signature) {
                refused = refused.or(Some(RevocationError::Signature { issuer: name.clone() }));
                continue;
            }
            if let Some(entry) = crl.find(serial) {
                let (serial, since, listed) = (serial.to_vec(), entry.since, crl.this_update);
                return Err(EkError::Revoked { index, serial, since, issuer: name, listed });
            }
            match check_times(crl, self.policy, &name, now) {
                Ok(_) => is_listed = true,
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if is_listed && !issuer.may_sign {
            (is_listed, refused) = (false, Some(RevocationError::NotCrlSigner { issuer: name.clone() }));
        }
        match self.policy {
            CrlPolicy::Required { .. } if !is_listed => {
                let source = refused.unwrap_or(RevocationError::Missing { issuer: name });
                Err(EkError::Lists { index, source })
            }
            _ => Ok(()),
        }
    }
}

/// What a list may be signed with, for people.
const SCHEMES: &str = "rsa pkcs #1 1.5 or ecdsa, with sha-256 or sha-384";
