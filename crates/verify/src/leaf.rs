//! What a VCEK certificate says about its chip, in AMD's own extensions (AMD publication 57230).

use claims::snp::Product;
use der::Decode;
use der::asn1::{Ia5StringRef, ObjectIdentifier, OctetStringRef};
use evidence::snp::ReportFields;

use crate::certificate::Certificate;
use crate::chain::ChainError;
use crate::product::{self, Component};

/// The extensions of a VCEK, all of them present; to be believed once the chain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeafFacts {
    /// From productName, cut at the stepping (`Milan-B0`).
    pub(crate) product: Product,
    /// The TCB that the key was derived for, in the layout of the product's reports.
    pub(crate) tcb: [u8; 8],
    /// The chip: 64 bytes, on Turin 8.
    pub(crate) hwid: Vec<u8>,
}

impl LeafFacts {
    pub(crate) fn read(leaf: &Certificate) -> Result<Self, ChainError> {
        let product = read_product(leaf)?;
        let mut tcb = [0; 8];
        for (byte, component) in tcb.iter_mut().zip(product::components(product)) {
            *byte = read_component(leaf, component)?;
        }
        Ok(Self { product, tcb, hwid: read_hwid(leaf, product)? })
    }

    /// Whether the report is of the same chip.
    pub(crate) fn is_chip_of(&self, report: &ReportFields) -> bool {
        report.chip_id.0.starts_with(&self.hwid)
    }

    /// Whether chip and TCB are the report's: how one leaf is chosen among several. It replaces no check.
    pub(crate) fn fits(&self, report: &ReportFields) -> bool {
        self.is_chip_of(report) && self.tcb == report.reported_tcb
    }
}

/// An IA5String: `Genoa`, or with a stepping `Milan-B0`.
fn read_product(leaf: &Certificate) -> Result<Product, ChainError> {
    let der = required(leaf, product::PRODUCT_NAME, "productName")?;
    let malformed = || ChainError::ExtensionMalformed { name: "productName", got: der.to_vec() };
    let text = Ia5StringRef::from_der(der).map_err(|_| malformed())?;
    let name = text.as_str().split_once('-').map_or(text.as_str(), |(product, _stepping)| product);
    name.parse().map_err(|_| ChainError::UnknownProduct { got: text.as_str().to_owned() })
}

/// A DER INTEGER from 0 to 255; from 128 on it has a leading zero byte.
fn read_component(leaf: &Certificate, component: &Component) -> Result<u8, ChainError> {
    let der = required(leaf, component.oid, component.name)?;
    u8::from_der(der).map_err(|_| ChainError::ExtensionMalformed { name: component.name, got: der.to_vec() })
}

/// Raw bytes; older text of AMD's wraps them in an OCTET STRING, which is two bytes longer.
fn read_hwid(leaf: &Certificate, product: Product) -> Result<Vec<u8>, ChainError> {
    let expected = product::hwid_len(product);
    let bytes = required(leaf, product::HWID, "hwID")?;
    let wrapped = || <&OctetStringRef>::from_der(bytes).map(OctetStringRef::as_bytes).ok();
    let hwid = Some(bytes).filter(|raw| raw.len() == expected).or_else(wrapped);
    let hwid = hwid.filter(|hwid| hwid.len() == expected);
    hwid.map(<[u8]>::to_vec).ok_or(ChainError::HwidLength { expected, got: bytes.len() })
}

fn required<'a>(
    leaf: &'a Certificate,
    oid: ObjectIdentifier,
    name: &'static str,
) -> Result<&'a [u8], ChainError> {
    leaf.extension(oid).ok_or(ChainError::ExtensionMissing { name })
}
