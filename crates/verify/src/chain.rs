//! Steps 5 to 9 of verifying a report ([`crate::snp`]): root, intermediate and leaf.
//!
//! Roots come from the [`TrustAnchors`](crate::TrustAnchors) alone. Signatures are checked from the root downwards,
//! so that no key of the sender's choosing is ever used.

use core::fmt;

use claims::UnixTime;
use claims::snp::Product;
use crypto::P384PublicKey;
use x509_cert::name::Name;

use crate::anchors::Anchor;
use crate::certificate::{
    COMMON_NAME, Certificate, CertificateError, ORGANIZATION, ORGANIZATIONAL_UNIT, Window, attribute,
};
use crate::check::Check;
use crate::leaf::LeafFacts;
use crate::snp::OnCheck;

/// A place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// AMD's root key of a product.
    Ark,
    /// AMD's intermediate key of a product.
    Ask,
    /// The chip's key.
    Vcek,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ark => "ARK",
            Self::Ask => "ASK",
            Self::Vcek => "VCEK",
        })
    }
}

/// Certificates that form no chain to a trusted root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// One of the certificates cannot be read.
    #[error("certificate {index} of those supplied: {source}")]
    Certificate {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        source: CertificateError,
    },
    /// None of the certificates has a key of an elliptic curve.
    #[error(
        "no VCEK certificate: expected one with an elliptic-curve key among those supplied, got {got} others"
    )]
    NoLeaf {
        /// How many certificates there were.
        got: usize,
    },
    /// The leaf's issuer is not among the certificates.
    #[error("no certificate of the VCEK's issuer: expected one of subject `{issuer}` among those supplied")]
    NoIntermediate {
        /// The common name of the issuer.
        issuer: String,
    },
    /// No trust anchor has the name that the intermediate's issuer has.
    #[error("no trusted root named `{issuer}`: expected one of the pinned roots as the ASK's issuer")]
    NoAnchor {
        /// The common name of the issuer.
        issuer: String,
    },
    /// A signature by another key than the issuer's.
    #[error(
        "the {certificate} is not signed by the trusted key of `{issuer}`: its signature does not verify"
    )]
    Signature {
        /// Whose signature.
        certificate: Role,
        /// The common name of the issuer whose key was tried.
        issuer: String,
    },
    /// A signature algorithm that AMD does not use.
    #[error(
        "signature algorithm of the {certificate} not supported: expected RSASSA-PSS with SHA-384, MGF1-SHA-384 \
         and a 48-byte salt, got {got}"
    )]
    SignatureAlgorithm {
        /// Whose signature.
        certificate: Role,
        /// The algorithm found.
        got: String,
    },
    /// The certificate is not valid yet.
    #[error("the {certificate} is not valid yet: expected a time from {not_before} on, got {now}")]
    NotYetValid {
        /// Whose window.
        certificate: Role,
        /// Its start.
        not_before: UnixTime,
        /// The time asked about.
        now: UnixTime,
    },
    /// The certificate is not valid any more.
    #[error("the {certificate} has expired: expected a time up to {not_after}, got {now}")]
    Expired {
        /// Whose window.
        certificate: Role,
        /// Its end.
        not_after: UnixTime,
        /// The time asked about.
        now: UnixTime,
    },
    /// An attribute of the subject is another than AMD gives.
    #[error("wrong {attribute} in the subject of the {certificate}: expected `{expected}`, got `{got}`")]
    Name {
        /// Whose subject.
        certificate: Role,
        /// CN, O or OU.
        attribute: &'static str,
        /// What AMD gives.
        expected: String,
        /// What stands there; empty if nothing does, or several do.
        got: String,
    },
    /// An issuer's certificate that is none of a CA.
    #[error("the {certificate} is no CA: expected basicConstraints with CA:TRUE and keyUsage keyCertSign")]
    NotCa {
        /// Whose certificate.
        certificate: Role,
    },
    /// A leaf that says to be a CA.
    #[error("the VCEK says that it is a CA: expected no basicConstraints with CA:TRUE")]
    LeafIsCa,
    /// A key that cannot be what it should.
    #[error("unsuitable key in the {certificate}: expected {expected}, got {got}")]
    Key {
        /// Whose key.
        certificate: Role,
        /// What kind of key it takes.
        expected: &'static str,
        /// What was found.
        got: String,
    },
    /// An extension of AMD's that every VCEK has.
    #[error("the VCEK lacks the extension {name}")]
    ExtensionMissing {
        /// AMD's name for it.
        name: &'static str,
    },
    /// An extension whose contents are not what AMD's text says.
    #[error("malformed extension {name} in the VCEK: got {}", crate::error::hex(.got))]
    ExtensionMalformed {
        /// AMD's name for it.
        name: &'static str,
        /// What stands there.
        got: Vec<u8>,
    },
    /// A chip id of a length that the product does not have.
    #[error("wrong length of the hwID in the VCEK: expected {expected} bytes, got {got}")]
    HwidLength {
        /// Bytes that the product has.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// A product that has no root here.
    #[error("product of the VCEK not supported: expected Milan, Genoa or Turin, got `{got}`")]
    UnknownProduct {
        /// The productName found.
        got: String,
    },
    /// A leaf of one product under the root of another.
    #[error("the VCEK is of another product than its root: expected {expected}, got {got}")]
    Product {
        /// The root's product.
        expected: Product,
        /// The leaf's.
        got: Product,
    },
}

/// A chain whose signatures, names and extensions were checked. Its windows are checked at each use.
#[derive(Debug)]
pub(crate) struct VerifiedChain {
    pub(crate) product: Product,
    pub(crate) simulated: bool,
    pub(crate) facts: LeafFacts,
    pub(crate) key: P384PublicKey,
    windows: [(Role, Window); 3],
}

impl VerifiedChain {
    /// Step 7: every certificate is valid at `now`.
    pub(crate) fn check_windows(&self, now: UnixTime) -> Result<(), ChainError> {
        for (certificate, Window { not_before, not_after }) in self.windows {
            if now < not_before {
                return Err(ChainError::NotYetValid { certificate, not_before, now });
            }
            if now > not_after {
                return Err(ChainError::Expired { certificate, not_after, now });
            }
        }
        Ok(())
    }

    /// When the first of the certificates expires.
    pub(crate) fn not_after(&self) -> UnixTime {
        let [(_, a), (_, b), (_, c)] = self.windows;
        a.not_after.min(b.not_after).min(c.not_after)
    }
}

/// Verifies a leaf under one of `issuers` under one of `anchors`, all but the windows.
pub(crate) fn verify(
    leaf: &Certificate,
    issuers: &[Certificate],
    anchors: &[Anchor],
    on_check: &mut OnCheck<'_>,
) -> Result<VerifiedChain, ChainError> {
    // 5, 6: the signatures, from a trusted root down.
    let (ask, anchor) = find_path(leaf, issuers, anchors)?;
    on_check(Check::Anchor, format_args!("{}, told by its key", common_name(ask.issuer())));
    on_check(Check::Anchor, format_args!("sha-256 {}", anchor.fingerprint));
    on_check(
        Check::Chain,
        format_args!("ARK -> {} -> {}", common_name(ask.subject()), common_name(leaf.subject())),
    );

    // 8: names, CA flags, and the kind of the leaf's key. The root's were checked when it became an anchor.
    let product = anchor.product;
    check_subject(Role::Ask, ask, &format!("SEV-{product}"))?;
    check_ca(Role::Ask, ask)?;
    if leaf.is_ca() {
        return Err(ChainError::LeafIsCa);
    }
    let key = leaf_key(leaf)?;

    // 9: the leaf is of the kind that the report names; only VCEKs get here.
    check_subject(Role::Vcek, leaf, "SEV-VCEK")?;
    on_check(Check::Names, format_args!("SEV-{product}, SEV-VCEK, CA flags, P-384"));

    let facts = LeafFacts::read(leaf)?;
    if facts.product != product {
        return Err(ChainError::Product { expected: product, got: facts.product });
    }
    let ark_window = anchor.certificate.window();
    let windows = [(Role::Ark, ark_window), (Role::Ask, ask.window()), (Role::Vcek, leaf.window())];
    Ok(VerifiedChain { product, simulated: anchor.simulated, facts, key, windows })
}

/// The intermediate that signed the leaf, and the root that signed the intermediate.
///
/// There may be several of one name (AMD replaced Genoa's ASK); the error is the first one's.
fn find_path<'a>(
    leaf: &Certificate,
    issuers: &'a [Certificate],
    anchors: &'a [Anchor],
) -> Result<(&'a Certificate, &'a Anchor), ChainError> {
    check_algorithm(Role::Vcek, leaf)?;
    let mut refused = None;
    for ask in issuers.iter().filter(|issuer| issuer.subject() == leaf.issuer()) {
        match find_anchor(ask, anchors).and_then(|anchor| check_leaf_signature(leaf, ask).map(|()| anchor)) {
            Ok(anchor) => return Ok((ask, anchor)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| ChainError::NoIntermediate { issuer: common_name(leaf.issuer()) }))
}

fn find_anchor<'a>(ask: &Certificate, anchors: &'a [Anchor]) -> Result<&'a Anchor, ChainError> {
    check_algorithm(Role::Ask, ask)?;
    let issuer = common_name(ask.issuer());
    let mut named = anchors.iter().filter(|anchor| anchor.certificate.subject() == ask.issuer()).peekable();
    if named.peek().is_none() {
        return Err(ChainError::NoAnchor { issuer });
    }
    let signed = named.find(|anchor| ask.is_signed_by(&anchor.key));
    signed.ok_or(ChainError::Signature { certificate: Role::Ask, issuer })
}

/// For an intermediate that a trusted root signed.
fn check_leaf_signature(leaf: &Certificate, ask: &Certificate) -> Result<(), ChainError> {
    let certificate = Role::Ask;
    let (expected, got) = ("an RSA key of 2048 to 8192 bits", "another".to_owned());
    let key = ask.rsa_key().ok_or(ChainError::Key { certificate, expected, got })?;
    if leaf.is_signed_by(&key) {
        return Ok(());
    }
    Err(ChainError::Signature { certificate: Role::Vcek, issuer: common_name(leaf.issuer()) })
}

fn check_algorithm(certificate: Role, parsed: &Certificate) -> Result<(), ChainError> {
    match parsed.other_algorithm() {
        None => Ok(()),
        Some(got) => Err(ChainError::SignatureAlgorithm { certificate, got }),
    }
}

fn leaf_key(leaf: &Certificate) -> Result<P384PublicKey, ChainError> {
    let wrong = |got| ChainError::Key { certificate: Role::Vcek, expected: "a key on P-384", got };
    let point = leaf.p384_point().map_err(wrong)?;
    P384PublicKey::from_sec1(point).map_err(|_| wrong("no point of the curve".to_owned()))
}

/// Checks CN, O and OU of a subject.
pub(crate) fn check_subject(
    certificate: Role,
    parsed: &Certificate,
    common_name: &str,
) -> Result<(), ChainError> {
    for (name, oid, expected) in [
        ("CN", COMMON_NAME, common_name),
        ("O", ORGANIZATION, "Advanced Micro Devices"),
        ("OU", ORGANIZATIONAL_UNIT, "Engineering"),
    ] {
        let got = attribute(parsed.subject(), oid).unwrap_or_default();
        if got != expected {
            let (expected, got) = (expected.to_owned(), got.to_owned());
            return Err(ChainError::Name { certificate, attribute: name, expected, got });
        }
    }
    Ok(())
}

/// Checks that a certificate may stand above others.
pub(crate) fn check_ca(certificate: Role, parsed: &Certificate) -> Result<(), ChainError> {
    let is_ca = parsed.is_ca() && parsed.may_sign_certificates();
    if is_ca { Ok(()) } else { Err(ChainError::NotCa { certificate }) }
}

/// The common name, for messages; empty where there is none.
pub(crate) fn common_name(name: &Name) -> String {
    attribute(name, COMMON_NAME).unwrap_or_default().chars().take(64).collect()
}
