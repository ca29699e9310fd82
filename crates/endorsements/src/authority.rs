//! AMD's authorities between a product's root and the keys that sign reports, and what their chains and lists are called
//! where: at AMD's key distribution service (AMD publication 57230) and in a directory.

use core::fmt;

use claims::snp::{Product, SigningKey};

/// The intermediate above a product's endorsement keys of one kind: an ASK above VCEKs, an ASVK above VLEKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// Which keys it stands above.
    pub kind: SigningKey,
    /// Whose.
    pub product: Product,
}

impl Authority {
    /// The ASK, above the keys of chips.
    pub fn ask(product: Product) -> Self {
        Self { kind: SigningKey::Vcek, product }
    }

    /// The ASVK, above the keys that AMD lends to cloud providers.
    pub fn asvk(product: Product) -> Self {
        Self { kind: SigningKey::Vlek, product }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let products = [Product::Milan, Product::Genoa, Product::Turin];
        products.into_iter().flat_map(|product| [Self::ask(product), Self::asvk(product)])
    }

    /// Path of the intermediate and the root, in PEM, at a server shaped like AMD's.
    pub(crate) fn kds_chain_path(self) -> String {
        format!("/{}/v1/{}/cert_chain", self.kind.name(), self.product)
    }

    /// Path of the revocation list at a server shaped like AMD's. Both kinds' lists are the root's.
    pub(crate) fn kds_crl_path(self) -> String {
        format!("/{}/v1/{}/crl", self.kind.name(), self.product)
    }

    /// Where endorsement keys, chain and list lie in a directory.
    pub(crate) fn folder(self) -> String {
        format!("{}/{}", self.kind.name(), self.product)
    }

    /// Where intermediate and root lie in a directory, in PEM.
    pub(crate) fn chain_file(self) -> String {
        format!("{}/cert_chain.pem", self.folder())
    }

    /// Where the revocation list lies in a directory, in DER.
    pub(crate) fn crl_file(self) -> String {
        format!("{}/crl.der", self.folder())
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            SigningKey::Vcek => "ASK",
            SigningKey::Vlek => "ASVK",
        };
        write!(f, "the {name} of {}", self.product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_are_amds() {
        let (ask, asvk) = (Authority::ask(Product::Genoa), Authority::asvk(Product::Turin));
        assert_eq!(ask.kds_chain_path(), "/vcek/v1/Genoa/cert_chain");
        assert_eq!(asvk.kds_chain_path(), "/vlek/v1/Turin/cert_chain");
        assert_eq!([ask.kds_crl_path(), asvk.kds_crl_path()], ["/vcek/v1/Genoa/crl", "/vlek/v1/Turin/crl"]);
        assert_eq!([ask.chain_file(), asvk.crl_file()], ["vcek/Genoa/cert_chain.pem", "vlek/Turin/crl.der"]);
        assert_eq!([ask.to_string(), asvk.to_string()], ["the ASK of Genoa", "the ASVK of Turin"]);
        assert_eq!(Authority::all().count(), 6);
    }
}
