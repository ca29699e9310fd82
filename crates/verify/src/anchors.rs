//! Whom the broker believes, and under what conditions: AMD's roots, simulated ones that an operator added by
//! fingerprint, revocation lists as the operator requires them.

use std::sync::Arc;

use claims::snp::Product;
use claims::{Sha256Digest, UnixTime};
use crypto::RsaPublicKey;
use evidence::snp::ReportFields;

use crate::Endorsements;
use crate::cache::Cache;
use crate::certificate::{COMMON_NAME, Certificate, CertificateError, attribute};
use crate::chain::{self, VerifiedChain, check_ca, check_subject};
use crate::chain_error::{ChainError, Role};
use crate::check::{Check, OnCheck};
use crate::crl::Crl;
use crate::leaf::{self, LeafFacts};
use crate::revocation::{self, CrlPolicy, ListWindow, RevocationError, SignerCache};

/// The roots, what the operator demands besides, and the chains that were verified under them.
///
/// A root gets in here and nowhere else; none ever comes from evidence.
#[derive(Debug)]
pub struct TrustAnchors {
    anchors: Vec<Anchor>,
    crl_policy: CrlPolicy,
    version_4: bool,
    cache: Cache<VerifiedChain>,
    crl_signers: SignerCache,
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
        Self {
            anchors: Vec::new(),
            crl_policy: CrlPolicy::default(),
            version_4: false,
            cache: Cache::default(),
            crl_signers: Cache::default(),
        }
    }

    /// Demands revocation lists, or not. Applies to every root, simulated ones too.
    #[must_use]
    pub fn with_crl_policy(self, crl_policy: CrlPolicy) -> Self {
        Self { crl_policy, ..self }
    }

    /// Believes reports of version 4, read in the layout of version 3.
    ///
    /// AMD has published no text on version 4. Milan firmware 1.55.31 writes it, and other verifiers read it so; a
    /// report of that version whose further bytes are not zero is refused as malformed in any case.
    #[must_use]
    pub fn with_report_version_4(self) -> Self {
        Self { version_4: true, ..self }
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

    /// As [`Self::with_simulated`], for a certificate that an operator hands over itself, so that there is no
    /// fingerprint to compare it with. It serves who looks at evidence; a broker names roots by fingerprint.
    ///
    /// # Errors
    /// As [`Self::with_simulated`], but for the fingerprint.
    pub fn with_simulated_unpinned(self, ark_der: &[u8]) -> Result<Self, AnchorError> {
        self.with_simulated(ark_der, Sha256Digest(crypto::sha256(&[ark_der])))
    }

    /// Every root: its product, whether it is simulated, and the SHA-256 of its certificate.
    pub fn roots(&self) -> impl Iterator<Item = (Product, bool, Sha256Digest)> {
        self.anchors.iter().map(|anchor| (anchor.product, anchor.simulated, anchor.fingerprint))
    }

    /// Whether reports of version 4 are believed.
    pub(crate) fn believes_version_4(&self) -> bool {
        self.version_4
    }

    /// Steps 5, 6, 8 and 9: a chain for this report, from the cache or verified here. Its windows, and what was
    /// revoked, are for the caller to check at each use.
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
            for check in [Check::Anchor, Check::Chain, Check::Names] {
                on_check(check, format_args!("verified before"));
            }
            return Ok(chain);
        }
        let (leaf, issuers) = sort(endorsements, report, now)?;
        self.verified_chain(&leaf, &issuers, on_check)
    }

    /// The chain of a leaf, from the cache or verified here. Its windows, and what was revoked, are for the caller.
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

    /// Step 13: what the lists at hand say of the chain; the window of the list that speaks for it.
    pub(crate) fn check_revocation(
        &self,
        chain: &VerifiedChain,
        endorsements: &Endorsements,
        now: UnixTime,
    ) -> Result<Option<ListWindow>, RevocationError> {
        let rules = (&self.crl_signers, self.crl_policy);
        revocation::check(chain, self.place_of(chain.root), endorsements.crls(), rules, now)
    }

    /// Of step 13 what needs no report: none of these serial numbers, under the root of this fingerprint, is on a list.
    pub(crate) fn check_unlisted(
        &self,
        root: Sha256Digest,
        serials: &[(Role, Box<[u8]>)],
        endorsements: &Endorsements,
    ) -> Result<(), RevocationError> {
        revocation::check_unlisted(serials, self.place_of(root), endorsements.crls(), &self.crl_signers)
    }

    /// The roots, and which of them has this fingerprint; none is at a place behind them.
    fn place_of(&self, root: Sha256Digest) -> (&[Anchor], usize) {
        let place = self.anchors.iter().position(|anchor| anchor.fingerprint == root);
        (&self.anchors, place.unwrap_or(usize::MAX))
    }

    /// The root that signed an intermediate.
    pub(crate) fn above(&self, role: Role, intermediate: &Certificate) -> Result<&Anchor, ChainError> {
        chain::find_anchor(role, intermediate, &self.anchors)
    }

    /// The root that signed a revocation list.
    pub(crate) fn signer_of(&self, crl: &Crl) -> Option<&Anchor> {
        self.anchors.get(revocation::signer(crl, &self.anchors, &self.crl_signers)?)
    }

    /// Whether evidence is believed only under a revocation list.
    pub(crate) fn requires_crl(&self) -> bool {
        matches!(self.crl_policy, CrlPolicy::Required { .. })
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
        let facts = leaf::kind(leaf).and_then(|kind| LeafFacts::read(leaf, kind));
        let is_kind = facts.as_ref().is_ok_and(|facts| report.key_info.signer().key() == Some(facts.kind()));
        (is_kind, facts.is_ok_and(|facts| facts.fits(report)), leaf.window().contains(now))
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
