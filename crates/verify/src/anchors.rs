//! Whom the broker believes: AMD's roots, and simulated ones that an operator added by fingerprint.

use std::sync::Arc;

use claims::snp::Product;
use claims::{Sha256Digest, UnixTime};
use crypto::RsaPublicKey;
use evidence::snp::ReportFields;

use crate::Endorsements;
use crate::cache::ChainCache;
use crate::certificate::{COMMON_NAME, Certificate, CertificateError, attribute};
use crate::chain::{self, ChainError, Role, VerifiedChain, check_ca, check_subject};
use crate::check::Check;
use crate::leaf::LeafFacts;
use crate::snp::OnCheck;

/// The roots, and the chains that were verified under them.
///
/// A root gets in here and nowhere else; none ever comes from evidence.
#[derive(Debug)]
pub struct TrustAnchors {
    anchors: Vec<Anchor>,
    cache: ChainCache,
}

/// One root.
#[derive(Debug)]
pub(crate) struct Anchor {
    pub(crate) product: Product,
    pub(crate) simulated: bool,
    pub(crate) fingerprint: Sha256Digest,
    pub(crate) certificate: Certificate,
    pub(crate) key: RsaPublicKey,
}

/// A root that an operator named and that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// Not the certificate whose fingerprint was given.
    #[error("wrong fingerprint of the simulated root: expected sha-256 {expected}, got {got}")]
    Fingerprint {
        /// The fingerprint in the configuration.
        expected: Sha256Digest,
        /// The certificate's.
        got: Sha256Digest,
    },
    /// Not a certificate.
    #[error("simulated root: {0}")]
    Certificate(#[from] CertificateError),
    /// A certificate that is not made as a root is.
    #[error("simulated root: {0}")]
    Chain(#[from] ChainError),
    /// A name that no product's root has.
    #[error("wrong CN of the simulated root: expected ARK-Milan, ARK-Genoa or ARK-Turin, got `{got}`")]
    Product {
        /// The common name found.
        got: String,
    },
    /// A certificate that somebody else signed.
    #[error("the simulated root is not signed by itself")]
    NotSelfSigned,
    /// AMD's own root, which is not simulated.
    #[error("the simulated root is AMD's own root of {product}; use a root that the simulation made")]
    Genuine {
        /// Whose root it is.
        product: Product,
    },
    /// More roots than anyone needs.
    #[error("too many simulated roots: expected at most {limit}")]
    TooMany {
        /// Most roots allowed.
        limit: usize,
    },
}

impl TrustAnchors {
    /// Most simulated roots.
    pub const MAX_SIMULATED: usize = 16;

    /// AMD's roots of Milan, Genoa and Turin, as this program was built with them.
    pub fn amd() -> Self {
        Self {
            anchors: PINNED.iter().filter_map(|der| Anchor::parse(der, false).ok()).collect(),
            ..Self::none()
        }
    }

    /// No roots: nothing is believed until one is added.
    pub fn none() -> Self {
        Self { anchors: Vec::new(), cache: ChainCache::default() }
    }

    /// Adds a simulated root: `ark_der` is its certificate in DER, `sha256` the SHA-256 of these bytes that the
    /// operator trusts. Whatever it vouches for is simulated, for good.
    ///
    /// # Errors
    /// Each variant of [`AnchorError`], for what its name says.
    pub fn with_simulated(mut self, ark_der: &[u8], sha256: Sha256Digest) -> Result<Self, AnchorError> {
        let got = Sha256Digest(crypto::sha256(&[ark_der]));
        if got != sha256 {
            return Err(AnchorError::Fingerprint { expected: sha256, got });
        }
        let anchor = Anchor::parse(ark_der, true)?;
        if PINNED.iter().any(|der| crypto::sha256(&[der]) == got.0) {
            return Err(AnchorError::Genuine { product: anchor.product });
        }
        if self.anchors.iter().filter(|anchor| anchor.simulated).count() == Self::MAX_SIMULATED {
            return Err(AnchorError::TooMany { limit: Self::MAX_SIMULATED });
        }
        self.anchors.push(anchor);
        Ok(self)
    }

    /// Every root: its product, whether it is simulated, and the SHA-256 of its certificate.
    pub fn roots(&self) -> impl Iterator<Item = (Product, bool, Sha256Digest)> {
        self.anchors.iter().map(|anchor| (anchor.product, anchor.simulated, anchor.fingerprint))
    }

    /// Steps 5 to 9: a chain for this report, valid at `now`, from the cache or verified here.
    pub(crate) fn chain_for(
        &self,
        report: &ReportFields,
        endorsements: &Endorsements,
        now: UnixTime,
        on_check: &mut OnCheck<'_>,
    ) -> Result<Arc<VerifiedChain>, ChainError> {
        let known = endorsements.certificates().filter_map(|der| self.cache.find(der));
        let mut fitting = known.filter(|chain| chain.facts.fits(report) && chain.check_windows(now).is_ok());
        if let Some(chain) = fitting.next() {
            on_check(Check::Chain, format_args!("verified before"));
            on_check(Check::Validity, format_args!("all certificates at {now}"));
            return Ok(chain);
        }
        let (leaf, issuers) = sort(endorsements, report, now)?;
        let chain = self.verified_chain(&leaf, &issuers, on_check)?;
        // 7: at each use, never from the cache.
        chain.check_windows(now)?;
        on_check(Check::Validity, format_args!("ARK, ASK and VCEK at {now}, until {}", chain.not_after()));
        Ok(chain)
    }

    /// The chain of a leaf, from the cache or verified here; its windows are for the caller to check.
    pub(crate) fn verified_chain(
        &self,
        leaf: &Certificate,
        issuers: &[Certificate],
        on_check: &mut OnCheck<'_>,
    ) -> Result<Arc<VerifiedChain>, ChainError> {
        if let Some(chain) = self.cache.find(leaf.der()) {
            return Ok(chain);
        }
        let chain = Arc::new(chain::verify(leaf, issuers, &self.anchors, on_check)?);
        self.cache.insert(leaf.der(), Arc::clone(&chain));
        Ok(chain)
    }
}

/// The leaf that fits the report best, and the certificates that may be its issuers.
///
/// The choice believes nothing: every check is made on whatever is chosen.
fn sort(
    endorsements: &Endorsements,
    report: &ReportFields,
    now: UnixTime,
) -> Result<(Certificate, Vec<Certificate>), ChainError> {
    let (mut leaves, mut issuers) = (Vec::new(), Vec::new());
    for (index, der) in endorsements.certificates().enumerate() {
        let parsed = Certificate::parse(der).map_err(|source| ChainError::Certificate { index, source })?;
        if parsed.has_ec_key() { leaves.push(parsed) } else { issuers.push(parsed) }
    }
    let got = issuers.len();
    let rank = |leaf: &Certificate| {
        let fits = LeafFacts::read(leaf).is_ok_and(|facts| facts.fits(report));
        (fits, leaf.window().contains(now))
    };
    let leaf = leaves.into_iter().max_by_key(rank).ok_or(ChainError::NoLeaf { got })?;
    Ok((leaf, issuers))
}

impl Anchor {
    fn parse(der: &[u8], simulated: bool) -> Result<Self, AnchorError> {
        let certificate = Certificate::parse(der)?;
        let name = attribute(certificate.subject(), COMMON_NAME).unwrap_or_default();
        let product = name.strip_prefix("ARK-").and_then(|product| product.parse().ok());
        let product: Product = product.ok_or_else(|| AnchorError::Product { got: name.to_owned() })?;
        check_subject(Role::Ark, &certificate, name)?;
        check_ca(Role::Ark, &certificate)?;
        let key = certificate.rsa_key().filter(|key| certificate.is_signed_by(key));
        let key =
            key.filter(|_| certificate.other_algorithm().is_none()).ok_or(AnchorError::NotSelfSigned)?;
        let fingerprint = Sha256Digest(crypto::sha256(&[der]));
        Ok(Self { product, simulated, fingerprint, certificate, key })
    }
}

/// AMD's roots; where they come from is in `data/README.md`.
const PINNED: [&[u8]; 3] = [
    include_bytes!("../data/milan-ark.der"),
    include_bytes!("../data/genoa-ark.der"),
    include_bytes!("../data/turin-ark.der"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amd_has_one_root_for_each_product_and_none_is_simulated() {
        let roots: Vec<_> =
            TrustAnchors::amd().roots().map(|(product, simulated, _)| (product, simulated)).collect();
        assert_eq!(roots, [(Product::Milan, false), (Product::Genoa, false), (Product::Turin, false)]);
        assert_eq!(TrustAnchors::none().roots().count(), 0);
    }

    #[test]
    fn a_root_of_amd_cannot_be_added_as_simulated() {
        let sha256 = Sha256Digest(crypto::sha256(&[PINNED[0]]));
        let error = TrustAnchors::none().with_simulated(PINNED[0], sha256).unwrap_err();
        assert_eq!(error, AnchorError::Genuine { product: Product::Milan });
    }

    #[test]
    fn a_root_under_another_fingerprint_is_refused() {
        let expected = Sha256Digest([7; 32]);
        let got = Sha256Digest(crypto::sha256(&[PINNED[1]]));
        let error = TrustAnchors::none().with_simulated(PINNED[1], expected).unwrap_err();
        assert_eq!(error, AnchorError::Fingerprint { expected, got });
    }
}
