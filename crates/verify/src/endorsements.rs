//! Certificates and revocation lists that somebody supplied: the host, a directory, AMD's key distribution service.
//!
//! Untrusted, whoever it was. An ARK among them never becomes a root, and no certificate is parsed before it is
//! needed. Revocation lists never come from the evidence: its sender would choose the list that suits.

use std::sync::Arc;

use evidence::Evidence;
use evidence::snp::{CertificateTable, Guid};

use crate::crl::{Crl, CrlError};

/// Certificates in DER (VCEKs, VLEKs, ASKs, ASVKs, and whatever else came along), and revocation lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endorsements {
    certificates: Vec<Vec<u8>>,
    crls: Vec<Arc<Crl>>,
}

/// More than any chain needs, or a revocation list that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndorsementsError {
    /// Too many certificates.
    #[error("too many certificates: expected at most {limit}")]
    TooMany {
        /// Most certificates allowed.
        limit: usize,
    },
    /// One of them is too long.
    #[error("certificate {index} too large: expected at most {limit} bytes, got {got}")]
    TooLarge {
        /// Which one, from 0.
        index: usize,
        /// Most bytes allowed.
        limit: usize,
        /// Bytes given.
        got: usize,
    },
    /// Too many revocation lists.
    #[error("too many revocation lists: expected at most {limit}")]
    TooManyCrls {
        /// Most lists allowed.
        limit: usize,
    },
    /// One of the lists cannot be relied on.
    #[error("revocation list {index} of those supplied: {source}")]
    Crl {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        source: CrlError,
    },
}

impl Endorsements {
    /// Most certificates at once.
    pub const MAX_CERTIFICATES: usize = 16;
    /// Most revocation lists at once.
    pub const MAX_CRLS: usize = 16;
    /// Most bytes of one revocation list.
    pub const MAX_CRL_LEN: usize = Crl::MAX_LEN;
    /// Most bytes of one certificate.
    pub const MAX_CERTIFICATE_LEN: usize = CertificateTable::MAX_ENTRY_LEN;

    /// Takes certificates in DER, in any order.
    ///
    /// # Errors
    /// [`EndorsementsError::TooMany`] above 16 different ones; [`EndorsementsError::TooLarge`] above 16 KiB each.
    pub fn from_certificates(der: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, EndorsementsError> {
        let mut all = Self::default();
        for (index, certificate) in der.into_iter().enumerate() {
            let (limit, got) = (Self::MAX_CERTIFICATE_LEN, certificate.len());
            if got > limit {
                return Err(EndorsementsError::TooLarge { index, limit, got });
            }
            all.push(certificate)?;
        }
        Ok(all)
    }

    /// The VCEK, VLEK and ASK of an extended report's table. Its ARK is left out: it could only mislead a reader.
    pub fn from_evidence(evidence: &Evidence) -> Self {
        evidence.snp().map(|snp| Self::from_table(&snp.certificates)).unwrap_or_default()
    }

    /// As [`Self::from_evidence`], of a table by itself.
    pub fn from_table(table: &CertificateTable) -> Self {
        let found = [Guid::VCEK, Guid::VLEK, Guid::ASK].into_iter().filter_map(|guid| table.find(guid));
        Self { certificates: found.map(<[u8]>::to_vec).collect(), crls: Vec::new() }
    }

    /// Adds the operator's revocation lists in DER, in any order and of any root. Which of them count is decided with
    /// each chain (check 13 of [`crate::snp`]).
    ///
    /// # Errors
    /// [`EndorsementsError::TooManyCrls`] above 16 different ones; [`EndorsementsError::Crl`] for one that is no
    /// complete, signed list of an end.
    pub fn with_crls(mut self, der: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, EndorsementsError> {
        for (index, der) in der.into_iter().enumerate() {
            let crl = Crl::parse(&der).map_err(|source| EndorsementsError::Crl { index, source })?;
            self.push_crl(Arc::new(crl))?;
        }
        Ok(self)
    }

    /// These certificates and lists, then those of `other` that are not among them.
    ///
    /// # Errors
    /// [`EndorsementsError::TooMany`] above 16 different certificates, [`EndorsementsError::TooManyCrls`] above 16
    /// different lists.
    pub fn merge(mut self, other: Self) -> Result<Self, EndorsementsError> {
        other.certificates.into_iter().try_for_each(|certificate| self.push(certificate))?;
        other.crls.into_iter().try_for_each(|crl| self.push_crl(crl))?;
        Ok(self)
    }

    /// The certificates in DER, in the order in which they came.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates.iter().map(Vec::as_slice)
    }

    /// The revocation lists.
    pub(crate) fn crls(&self) -> impl Iterator<Item = &Crl> {
        self.crls.iter().map(Arc::as_ref)
    }

    fn push_crl(&mut self, crl: Arc<Crl>) -> Result<(), EndorsementsError> {
        if self.crls.contains(&crl) {
            return Ok(());
        }
        if self.crls.len() == Self::MAX_CRLS {
            return Err(EndorsementsError::TooManyCrls { limit: Self::MAX_CRLS });
        }
        self.crls.push(crl);
        Ok(())
    }

    fn push(&mut self, certificate: Vec<u8>) -> Result<(), EndorsementsError> {
        if self.certificates.contains(&certificate) {
            return Ok(());
        }
        if self.certificates.len() == Self::MAX_CERTIFICATES {
            return Err(EndorsementsError::TooMany { limit: Self::MAX_CERTIFICATES });
        }
        self.certificates.push(certificate);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_lengths_are_bounded() {
        let many = (0..17).map(|i| vec![i]);
        assert_eq!(Endorsements::from_certificates(many), Err(EndorsementsError::TooMany { limit: 16 }));
        let (limit, got) = (16 * 1024, 16 * 1024 + 1);
        let error = EndorsementsError::TooLarge { index: 1, limit, got };
        assert_eq!(Endorsements::from_certificates([vec![0], vec![0; got]]), Err(error));
    }

    #[test]
    fn the_same_certificate_counts_once() {
        let one = Endorsements::from_certificates(vec![vec![7]; 40]).unwrap();
        let both = one.clone().merge(Endorsements::from_certificates([vec![7], vec![8]]).unwrap()).unwrap();
        assert_eq!(both.certificates().collect::<Vec<_>>(), [[7], [8]]);
    }
}
