//! What certificates are judged by before they are kept or shown: roots, revocation lists, the time.
//!
//! The checks are `verify`'s. A list counts here however old it is, and none is required: how old is too old, brokers say.

use claims::UnixTime;
use endorsements::{Authority, DirectoryError, Store};
use verify::{
    ChainError, EndorsedIssuer, EndorsedKey, Endorsements, EndorsementsError, RevocationError, Role,
    TrustAnchors, VerifyError, endorsed_issuer, endorsed_key, endorsed_root, signed_list,
};

use super::{Failure, Roots, clock};

/// Roots, lists and the time.
pub(super) struct Trust {
    pub(super) anchors: TrustAnchors,
    lists: Endorsements,
    pub(super) now: UnixTime,
}

/// Why certificates vouch for nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unverified {
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    Endorsements(#[from] EndorsementsError),
}

impl Unverified {
    /// Which certificate of the chain a list names, and since when it is revoked.
    pub(super) fn revoked(&self) -> Option<(Role, UnixTime)> {
        match self {
            Self::Verify(VerifyError::Revocation(RevocationError::Revoked {
                certificate, since, ..
            })) => Some((*certificate, *since)),
            _ => None,
        }
    }

    /// Whether none of the certificates has the issuer's name.
    pub(super) fn is_without_issuer(&self) -> bool {
        matches!(self, Self::Verify(VerifyError::Chain(ChainError::NoIntermediate { .. })))
    }
}

impl Trust {
    /// These roots, no lists, this machine's clock.
    pub(super) fn now(roots: &Roots) -> Result<Self, Failure> {
        Ok(Self { anchors: roots.anchors()?, lists: Endorsements::default(), now: clock()? })
    }

    /// With lists in DER, besides those that are there.
    pub(super) fn with_lists(self, lists: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, Failure> {
        let lists = self.lists.with_crls(lists).map_err(Failure::Lists)?;
        Ok(Self { lists, ..self })
    }

    /// Those lists of a directory that one of the roots signed. Another, or what is none, is as if it were not there.
    pub(super) fn lists_of(&self, store: &Store) -> impl Iterator<Item = Result<Vec<u8>, DirectoryError>> {
        let lists = Authority::all().filter_map(|authority| store.crl(authority).transpose());
        lists.filter(|list| !list.as_ref().is_ok_and(|der| signed_list(der, &self.anchors).is_err()))
    }

    /// The key that certificates vouch for.
    pub(super) fn key<'a>(
        &self,
        certificates: impl IntoIterator<Item = &'a Vec<u8>>,
    ) -> Result<EndorsedKey, Unverified> {
        Ok(endorsed_key(&self.beside(certificates)?, &self.anchors, self.now)?)
    }

    /// The intermediate of an authority that certificates vouch for.
    pub(super) fn issuer<'a>(
        &self,
        certificates: impl IntoIterator<Item = &'a Vec<u8>>,
        Authority { kind, product }: Authority,
    ) -> Result<EndorsedIssuer, Unverified> {
        Ok(endorsed_issuer(&self.beside(certificates)?, (kind, product), &self.anchors, self.now)?)
    }

    /// The root whose certificate this is; `None` for one that somebody else issued.
    pub(super) fn root(&self, der: &[u8]) -> Option<Result<EndorsedIssuer, Unverified>> {
        Some(endorsed_root(der, &self.lists, &self.anchors, self.now)?.map_err(Unverified::from))
    }

    fn beside<'a>(
        &self,
        certificates: impl IntoIterator<Item = &'a Vec<u8>>,
    ) -> Result<Endorsements, EndorsementsError> {
        Endorsements::from_certificates(certificates.into_iter().cloned())?.merge(self.lists.clone())
    }
}
