//! What the certificate of an endorsement key says about its holder, in AMD's own extensions (AMD publication 57230;
//! the CSP_ID as genuine VLEKs have it).

use claims::snp::{Product, SigningKey};
use der::Decode;
use der::asn1::{Ia5StringRef, ObjectIdentifier, OctetStringRef};
use evidence::snp::{ReportFields, ReportSigner};

use crate::certificate::{COMMON_NAME, Certificate, attribute};
use crate::chain_error::{ChainError, Role};
use crate::product::{self, Component};

/// The extensions of a VCEK or VLEK, all of them present; to be believed once the chain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeafFacts {
    /// From productName, cut at the stepping (`Milan-B0`).
    pub(crate) product: Product,
    /// The TCB that the key was derived for, in the layout of the product's reports.
    pub(crate) tcb: [u8; 8],
    /// Whose key it is.
    pub(crate) holder: Holder,
}

/// Who holds an endorsement key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// One chip: a VCEK. Its id has 64 bytes, on Turin 8.
    Chip { hwid: Vec<u8> },
    /// All chips of a cloud provider: a VLEK.
    Csp { id: String },
}

impl LeafFacts {
    pub(crate) fn read(leaf: &Certificate, kind: SigningKey) -> Result<Self, ChainError> {
        let from = Leaf { certificate: leaf, role: Role::of_leaf(kind) };
        let product = from.product()?;
        let mut tcb = [0; 8];
        for (byte, component) in tcb.iter_mut().zip(product::components(product)) {
            *byte = from.component(component)?;
        }
        let holder = match kind {
            SigningKey::Vcek => Holder::Chip { hwid: from.hwid(product)? },
            SigningKey::Vlek => Holder::Csp { id: from.csp_id()? },
        };
        Ok(Self { product, tcb, holder })
    }

    /// Which kind of key it is.
    pub(crate) fn kind(&self) -> SigningKey {
        match self.holder {
            Holder::Chip { .. } => SigningKey::Vcek,
            Holder::Csp { .. } => SigningKey::Vlek,
        }
    }

    /// Whether kind, chip and TCB are the report's: how one leaf is chosen among several. It replaces no check.
    pub(crate) fn fits(&self, report: &ReportFields) -> bool {
        let is_holder = match (&self.holder, report.key_info.signer()) {
            (Holder::Chip { hwid }, ReportSigner::Vcek) => report.chip_id.0.starts_with(hwid),
            (Holder::Csp { .. }, ReportSigner::Vlek) => true,
            _ => false,
        };
        is_holder && self.tcb == report.reported_tcb
    }
}

/// Which kind of endorsement key a certificate says to be of, by its common name.
pub(crate) fn kind(leaf: &Certificate) -> Result<SigningKey, ChainError> {
    let got = attribute(leaf.subject(), COMMON_NAME).unwrap_or_default();
    let kind = [SigningKey::Vcek, SigningKey::Vlek].into_iter().find(|kind| common_name(*kind) == got);
    kind.ok_or_else(|| ChainError::LeafName { got: got.chars().take(64).collect() })
}

/// The common name of endorsement keys of a kind.
pub(crate) fn common_name(kind: SigningKey) -> &'static str {
    match kind {
        SigningKey::Vcek => "SEV-VCEK",
        SigningKey::Vlek => "SEV-VLEK",
    }
}

/// A certificate whose extensions are read, and what errors call it.
#[derive(Clone, Copy)]
struct Leaf<'a> {
    certificate: &'a Certificate,
    role: Role,
}

impl<'a> Leaf<'a> {
    /// An IA5String: `Genoa`, or with a stepping `Milan-B0`.
    fn product(self) -> Result<Product, ChainError> {
        let text = self.text(product::PRODUCT_NAME, "productName")?;
        let name = text.split_once('-').map_or(text.as_str(), |(product, _stepping)| product);
        let unknown = |_| ChainError::UnknownProduct { certificate: self.role, got: text.clone() };
        name.parse().map_err(unknown)
    }

    /// A DER INTEGER from 0 to 255; from 128 on it has a leading zero byte.
    fn component(self, component: &Component) -> Result<u8, ChainError> {
        let der = self.required(component.oid, component.name)?;
        u8::from_der(der).map_err(|_| self.malformed(component.name, der))
    }

    /// Raw bytes; older text of AMD's wraps them in an OCTET STRING, which is two bytes longer.
    fn hwid(self, product: Product) -> Result<Vec<u8>, ChainError> {
        self.without(product::CSP_ID, "CSP_ID", Role::Vlek)?;
        let expected = product::hwid_len(product);
        let bytes = self.required(product::HWID, "hwID")?;
        let wrapped = || <&OctetStringRef>::from_der(bytes).map(OctetStringRef::as_bytes).ok();
        let hwid = Some(bytes).filter(|raw| raw.len() == expected).or_else(wrapped);
        let hwid = hwid.filter(|hwid| hwid.len() == expected);
        hwid.map(<[u8]>::to_vec).ok_or(ChainError::HwidLength { expected, got: bytes.len() })
    }

    /// An IA5String of 1 to [`MAX_CSP_ID`] printable characters, such as `CN=cc-us-east-2.amazonaws.com`.
    fn csp_id(self) -> Result<String, ChainError> {
        self.without(product::HWID, "hwID", Role::Vcek)?;
        let text = self.text(product::CSP_ID, "CSP_ID")?;
        let is_printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if text.is_empty() || text.len() > MAX_CSP_ID || !is_printable {
            let der = self.required(product::CSP_ID, "CSP_ID")?;
            return Err(self.malformed("CSP_ID", der));
        }
        Ok(text)
    }

    fn text(self, oid: ObjectIdentifier, name: &'static str) -> Result<String, ChainError> {
        let der = self.required(oid, name)?;
        let text = Ia5StringRef::from_der(der).map_err(|_| self.malformed(name, der))?;
        Ok(text.as_str().to_owned())
    }

    fn required(self, oid: ObjectIdentifier, name: &'static str) -> Result<&'a [u8], ChainError> {
        let missing = ChainError::ExtensionMissing { certificate: self.role, name };
        self.certificate.extension(oid).ok_or(missing)
    }

    fn without(self, oid: ObjectIdentifier, name: &'static str, owner: Role) -> Result<(), ChainError> {
        match self.certificate.extension(oid) {
            None => Ok(()),
            Some(_) => Err(ChainError::ExtensionUnexpected { certificate: self.role, name, owner }),
        }
    }

    fn malformed(self, name: &'static str, got: &[u8]) -> ChainError {
        ChainError::ExtensionMalformed { certificate: self.role, name, got: got.to_vec() }
    }
}

/// Most characters of a CSP_ID.
const MAX_CSP_ID: usize = 128;
