//! Steps 5, 6, 8 and 9 of verifying a report ([`crate::snp`]): root, intermediate and leaf.
//!
//! A leaf is a VCEK under an ASK or a VLEK under an ASVK, never across. Roots come from the
//! [`TrustAnchors`](crate::TrustAnchors) alone. Signatures are checked from the root downwards, so that no key of the
//! sender's choosing is ever used.

use claims::snp::{Product, SigningKey};
use claims::{Sha256Digest, UnixTime};
use crypto::P384PublicKey;
use x509_cert::name::Name;

use crate::anchors::Anchor;
use crate::certificate::{COMMON_NAME, Certificate, ORGANIZATION, ORGANIZATIONAL_UNIT, Window, attribute};
use crate::chain_error::{ChainError, Role};
use crate::check::Check;
use crate::check::OnCheck;
use crate::leaf::{self, LeafFacts};

/// A chain whose signatures, names and extensions were checked. Its windows, and what was revoked, are checked at
/// each use.
#[derive(Debug)]
pub(crate) struct VerifiedChain {
    pub(crate) product: Product,
    pub(crate) simulated: bool,
    /// SHA-256 of the root's certificate.
    pub(crate) root: Sha256Digest,
    pub(crate) facts: LeafFacts,
    pub(crate) key: P384PublicKey,
    windows: [(Role, Window); 3],
    /// Serial numbers, from the root down.
    pub(crate) serials: [(Role, Box<[u8]>); 3],
}

impl VerifiedChain {
    /// Step 7: every certificate is valid at `now`.
    pub(crate) fn check_windows(&self, now: UnixTime) -> Result<(), ChainError> {
        self.windows.iter().try_for_each(|(certificate, window)| window.check(*certificate, now))
    }

    /// When the first of the certificates expires.
    pub(crate) fn not_after(&self) -> UnixTime {
        let [(_, a), (_, b), (_, c)] = self.windows;
        a.not_after.min(b.not_after).min(c.not_after)
    }
}

/// Verifies a leaf under one of `issuers` under one of `anchors`, all but the windows and what was revoked.
pub(crate) fn verify(
    leaf: &Certificate,
    issuers: &[Certificate],
    anchors: &[Anchor],
    on_check: &mut OnCheck<'_>,
) -> Result<VerifiedChain, ChainError> {
    let kind = leaf::kind(leaf)?;
    let (leaf_role, issuer_role) = (Role::of_leaf(kind), Role::of_issuer(kind));
    // 5, 6: the signatures, from a trusted root down.
    let (issuer, anchor) = find_path(leaf, kind, issuers, anchors)?;
    on_check(Check::Anchor, format_args!("{}, told by its key", common_name(issuer.issuer())));
    on_check(Check::Anchor, format_args!("sha-256 {}", anchor.fingerprint));
    on_check(
        Check::Chain,
        format_args!("ARK -> {} -> {}", common_name(issuer.subject()), common_name(leaf.subject())),
    );

    // 8: names, CA flags, and the kind of the leaf's key. The root's were checked when it became an anchor.
    let product = anchor.product;
    let issuer_name = issuer_name(kind, product);
    check_subject(issuer_role, issuer, &issuer_name)?;
    check_ca(issuer_role, issuer)?;
    if leaf.is_ca() {
        return Err(ChainError::LeafIsCa { certificate: leaf_role });
    }
    let key = leaf_key(leaf_role, leaf)?;
    check_subject(leaf_role, leaf, leaf::common_name(kind))?;
    on_check(Check::Names, format_args!("{issuer_name}, {}, CA flags, P-384", leaf::common_name(kind)));

    // For 10 to 12.
    let facts = LeafFacts::read(leaf, kind)?;
    if facts.product != product {
        return Err(ChainError::Product { certificate: leaf_role, expected: product, got: facts.product });
    }
    let ark = &anchor.certificate;
    let windows = [(Role::Ark, ark.window()), (issuer_role, issuer.window()), (leaf_role, leaf.window())];
    let serials = [(Role::Ark, ark.serial()), (issuer_role, issuer.serial()), (leaf_role, leaf.serial())];
    let serials = serials.map(|(role, serial)| (role, serial.into()));
    let (root, simulated) = (anchor.fingerprint, anchor.simulated);
    Ok(VerifiedChain { product, simulated, root, facts, key, windows, serials })
}

/// The intermediate that signed the leaf, and the root that signed the intermediate.
///
/// There may be several of one name (AMD replaced Genoa's ASK); the error is the first one's.
fn find_path<'a>(
    leaf: &Certificate,
    kind: SigningKey,
    issuers: &'a [Certificate],
    anchors: &'a [Anchor],
) -> Result<(&'a Certificate, &'a Anchor), ChainError> {
    check_algorithm(Role::of_leaf(kind), leaf)?;
    let mut refused = None;
    for issuer in issuers.iter().filter(|issuer| issuer.subject() == leaf.issuer()) {
        let anchor = find_anchor(Role::of_issuer(kind), issuer, anchors);
        match anchor.and_then(|anchor| check_leaf_signature(leaf, kind, issuer).map(|()| anchor)) {
            Ok(anchor) => return Ok((issuer, anchor)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let (certificate, issuer) = (Role::of_leaf(kind), common_name(leaf.issuer()));
    Err(refused.unwrap_or(ChainError::NoIntermediate { certificate, issuer }))
}

/// The root that signed an intermediate.
pub(crate) fn find_anchor<'a>(
    certificate: Role,
    intermediate: &Certificate,
    anchors: &'a [Anchor],
) -> Result<&'a Anchor, ChainError> {
    check_algorithm(certificate, intermediate)?;
    let issuer = common_name(intermediate.issuer());
    let is_named = |anchor: &&Anchor| anchor.certificate.subject() == intermediate.issuer();
    let mut named = anchors.iter().filter(is_named).peekable();
    if named.peek().is_none() {
        return Err(ChainError::NoAnchor { certificate, issuer });
    }
    let signed = named.find(|anchor| intermediate.is_signed_by(&anchor.key));
    signed.ok_or(ChainError::Signature { certificate, issuer })
}

/// For an intermediate that a trusted root signed.
fn check_leaf_signature(
    leaf: &Certificate,
    kind: SigningKey,
    intermediate: &Certificate,
) -> Result<(), ChainError> {
    let certificate = Role::of_issuer(kind);
    let (expected, got) = ("an RSA key of 2048 to 8192 bits", "another".to_owned());
    let key = intermediate.rsa_key().ok_or(ChainError::Key { certificate, expected, got })?;
    if leaf.is_signed_by(&key) {
        return Ok(());
    }
    Err(ChainError::Signature { certificate: Role::of_leaf(kind), issuer: common_name(leaf.issuer()) })
}

fn check_algorithm(certificate: Role, parsed: &Certificate) -> Result<(), ChainError> {
    match parsed.other_algorithm() {
        None => Ok(()),
        Some(got) => Err(ChainError::SignatureAlgorithm { certificate, got }),
    }
}

fn leaf_key(certificate: Role, leaf: &Certificate) -> Result<P384PublicKey, ChainError> {
    let wrong = |got| ChainError::Key { certificate, expected: "a key on P-384", got };
    let point = leaf.p384_point().map_err(wrong)?;
    P384PublicKey::from_sec1(point).map_err(|_| wrong("no point of the curve".to_owned()))
}

/// The common name of the intermediate above endorsement keys of a kind.
pub(crate) fn issuer_name(kind: SigningKey, product: Product) -> String {
    match kind {
        SigningKey::Vcek => format!("SEV-{product}"),
        SigningKey::Vlek => format!("SEV-VLEK-{product}"),
    }
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
