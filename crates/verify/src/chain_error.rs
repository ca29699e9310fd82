//! Why certificates form no chain to a trusted root (checks 5 to 9 of [`crate::snp`], and the extensions that 10 to 12
//! need).

use core::fmt;

use claims::UnixTime;
use claims::snp::{Product, SigningKey};

use crate::certificate::CertificateError;
use crate::check::Check;

/// A place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// AMD's root key of a product.
    Ark,
    /// AMD's intermediate key of a product, for the keys of its chips.
    Ask,
    /// AMD's intermediate key of a product, for the keys that it lends to cloud providers.
    Asvk,
    /// The chip's key.
    Vcek,
    /// A cloud provider's key.
    Vlek,
}

impl Role {
    /// The endorsement key of a kind.
    pub(crate) fn of_leaf(kind: SigningKey) -> Self {
        match kind {
            SigningKey::Vcek => Self::Vcek,
            SigningKey::Vlek => Self::Vlek,
        }
    }

    /// The intermediate above an endorsement key of a kind.
    pub(crate) fn of_issuer(kind: SigningKey) -> Self {
        match kind {
            SigningKey::Vcek => Self::Ask,
            SigningKey::Vlek => Self::Asvk,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ark => "ARK",
            Self::Ask => "ASK",
            Self::Asvk => "ASVK",
            Self::Vcek => "VCEK",
            Self::Vlek => "VLEK",
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
        "no VCEK or VLEK certificate: expected one with an elliptic-curve key among those supplied, got {got} \
         others"
    )]
    NoLeaf {
        /// How many certificates there were.
        got: usize,
    },
    /// The leaf's issuer is not among the certificates.
    #[error(
        "no certificate of the {certificate}'s issuer: expected one of subject `{issuer}` among those supplied"
    )]
    NoIntermediate {
        /// Whose issuer.
        certificate: Role,
        /// The common name of the issuer.
        issuer: String,
    },
    /// No trust anchor has the name that the intermediate's issuer has.
    #[error(
        "no trusted root named `{issuer}`: expected one of the pinned roots as the {certificate}'s issuer"
    )]
    NoAnchor {
        /// Whose issuer.
        certificate: Role,
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
    /// A leaf that says to be no endorsement key.
    #[error("wrong CN in the subject of the leaf: expected `SEV-VCEK` or `SEV-VLEK`, got `{got}`")]
    LeafName {
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
    #[error("the {certificate} says that it is a CA: expected no basicConstraints with CA:TRUE")]
    LeafIsCa {
        /// Whose certificate.
        certificate: Role,
    },
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
    /// An extension of AMD's that every certificate of the kind has.
    #[error("the {certificate} lacks the extension {name}")]
    ExtensionMissing {
        /// Whose certificate.
        certificate: Role,
        /// AMD's name for it.
        name: &'static str,
    },
    /// An extension whose contents are not what AMD's text says.
    #[error("malformed extension {name} in the {certificate}: got {}", crate::error::hex(.got))]
    ExtensionMalformed {
        /// Whose certificate.
        certificate: Role,
        /// AMD's name for it.
        name: &'static str,
        /// What stands there.
        got: Vec<u8>,
    },
    /// An extension of AMD's that belongs to the other kind of endorsement key.
    #[error("the {certificate} has the extension {name}, which only a {owner} has")]
    ExtensionUnexpected {
        /// Whose certificate.
        certificate: Role,
        /// AMD's name for it.
        name: &'static str,
        /// Whose it should be.
        owner: Role,
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
    #[error("product of the {certificate} not supported: expected Milan, Genoa or Turin, got `{got}`")]
    UnknownProduct {
        /// Whose product.
        certificate: Role,
        /// The productName found.
        got: String,
    },
    /// A leaf of one product under the root of another.
    #[error("the {certificate} is of another product than its root: expected {expected}, got {got}")]
    Product {
        /// Whose product.
        certificate: Role,
        /// The root's product.
        expected: Product,
        /// The leaf's.
        got: Product,
    },
}

impl ChainError {
    /// Which check of [`crate::snp`] failed.
    pub fn check(&self) -> Check {
        match self {
            Self::NoAnchor { .. } | Self::Signature { certificate: Role::Ask | Role::Asvk, .. } => {
                Check::Anchor
            }
            Self::Certificate { .. }
            | Self::NoLeaf { .. }
            | Self::NoIntermediate { .. }
            | Self::Signature { .. }
            | Self::SignatureAlgorithm { .. } => Check::Chain,
            Self::NotYetValid { .. } | Self::Expired { .. } => Check::Validity,
            Self::Name { .. }
            | Self::LeafName { .. }
            | Self::NotCa { .. }
            | Self::LeafIsCa { .. }
            | Self::Key { .. } => Check::Names,
            Self::ExtensionMissing { name, .. }
            | Self::ExtensionMalformed { name, .. }
            | Self::ExtensionUnexpected { name, .. } => extension_check(name),
            Self::HwidLength { .. } => Check::Chip,
            Self::UnknownProduct { .. } | Self::Product { .. } => Check::Product,
        }
    }
}

/// The check that needs an extension of AMD's.
fn extension_check(name: &str) -> Check {
    match name {
        "productName" => Check::Product,
        "hwID" | "CSP_ID" => Check::Chip,
        _ => Check::Tcb,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_fails_the_check_that_needs_it() {
        let certificate = Role::Vcek;
        for (name, check) in [
            ("productName", Check::Product),
            ("hwID", Check::Chip),
            ("CSP_ID", Check::Chip),
            ("snp", Check::Tcb),
            ("reserved (spl4)", Check::Tcb),
        ] {
            assert_eq!(ChainError::ExtensionMissing { certificate, name }.check(), check);
            assert_eq!(ChainError::ExtensionMalformed { certificate, name, got: vec![5] }.check(), check);
            assert_eq!(
                ChainError::ExtensionUnexpected { certificate, name, owner: Role::Vlek }.check(),
                check
            );
        }
    }

    #[test]
    fn a_role_is_called_what_amd_calls_it() {
        let all = [Role::Ark, Role::Ask, Role::Asvk, Role::Vcek, Role::Vlek].map(|role| role.to_string());
        assert_eq!(all, ["ARK", "ASK", "ASVK", "VCEK", "VLEK"]);
    }
}
