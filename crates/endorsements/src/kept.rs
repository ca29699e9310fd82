//! What is at hand without asking anybody: the operator's directory, and what was kept of services' answers.

use std::sync::Arc;

use claims::snp::{Product, Tcb};

use crate::find_error::Failure;
use crate::sources::{Found, Judge, Wanted, check};
use crate::{Authority, DirectoryError, Store};

/// Two stores, in the order in which they are looked into.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Never written.
    pub(crate) directory: Option<Store>,
    /// Written with what has verified.
    pub(crate) cache: Option<Store>,
}

impl Kept {
    pub(crate) fn places(&self) -> impl Iterator<Item = &Store> {
        self.directory.iter().chain(&self.cache)
    }

    /// What verifies, or what came of each place; the certificate of one may have its issuer in the other.
    pub(crate) fn find(&self, wanted: &Wanted, judge: &Judge<'_>) -> Result<Found, Vec<(String, Failure)>> {
        let mut failures = Vec::new();
        for place in self.places() {
            let source = format!("`{}`", place.root().display());
            let failure = match self.certificates(place, wanted) {
                Ok(certificates) if certificates.is_empty() => Failure::Absent,
                Ok(certificates) => match check(wanted, certificates, source.clone(), judge) {
                    Ok(found) => return Ok(found),
                    Err(failure) => failure,
                },
                Err(error) => Failure::File(Arc::new(error)),
            };
            failures.push((source, failure));
        }
        Err(failures)
    }

    fn certificates(&self, place: &Store, wanted: &Wanted) -> Result<Vec<Vec<u8>>, DirectoryError> {
        match wanted {
            Wanted::Vcek(name) => {
                let vcek = place.vcek(name)?;
                let with_chain = |vcek| std::iter::once(vcek).chain(self.chain(name.authority())).collect();
                Ok(vcek.map(with_chain).unwrap_or_default())
            }
            Wanted::Chain(authority) => place.chain(*authority),
        }
    }

    /// The issuers that both places have; a file of theirs that is none is as if it were not there, and is replaced in
    /// time.
    pub(crate) fn chain(&self, authority: Authority) -> impl Iterator<Item = Vec<u8>> {
        self.places().flat_map(move |place| place.chain(authority).unwrap_or_default())
    }

    /// As [`Store::vleks_at`], in both places.
    pub(crate) fn vleks_at(&self, product: Product, tcb: Tcb) -> Vec<Vec<u8>> {
        self.places().flat_map(|place| place.vleks_at(product, tcb)).collect()
    }

    /// Writes what has verified. A cache that cannot be written costs a request the next time, and nothing else.
    pub(crate) fn keep(&self, wanted: &Wanted, found: &Found) {
        let Some(cache) = &self.cache else { return };
        let (authority, chain) = match wanted {
            Wanted::Vcek(name) => {
                let Some((vcek, chain)) = found.certificates.split_first() else { return };
                let _unwritten = cache.put_vcek(name, vcek);
                (name.authority(), chain)
            }
            Wanted::Chain(authority) => (*authority, found.certificates.as_slice()),
        };
        if !chain.is_empty() && cache.chain(authority).unwrap_or_default() != chain {
            let _unwritten = cache.put_chain(authority, chain);
        }
    }
}
