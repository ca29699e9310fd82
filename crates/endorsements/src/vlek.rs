//! Which VLEK is meant, and where it lies in a directory.
//!
//! Nobody but its cloud provider gets a VLEK's certificate from AMD, so that it comes with the evidence, or from an
//! operator who has it from there; no service is asked. A report does not say whose VLEK signed it.

use core::fmt;

use claims::snp::{Product, Tcb};

use crate::Authority;

/// A cloud provider's key at one TCB.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VlekName {
    product: Product,
    csp_id: String,
    tcb: Tcb,
}

impl VlekName {
    /// The key of the provider of this CSP_ID. `None` for an empty CSP_ID or one that makes no file's name, or a TCB of
    /// another product.
    pub fn new(product: Product, csp_id: &str, tcb: Tcb) -> Option<Self> {
        let fits = tcb.fmc.is_some() == (product == Product::Turin);
        let named = !csp_id.is_empty() && file_name(csp_id).len() <= MAX_FILE_NAME;
        (fits && named).then(|| Self { product, csp_id: csp_id.to_owned(), tcb })
    }

    /// The product.
    pub fn product(&self) -> Product {
        self.product
    }

    /// Where its certificate lies in a directory, in DER.
    pub(crate) fn file(&self) -> String {
        let folder = Authority::asvk(self.product).folder();
        format!("{folder}/{}/{}.der", file_name(&self.csp_id), tcb_name(self.tcb))
    }
}

impl fmt::Display for VlekName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the VLEK of {} for `{}`, {}", self.product, self.csp_id.escape_debug(), self.tcb)
    }
}

/// What a TCB is called in a directory.
pub(crate) fn tcb_name(tcb: Tcb) -> String {
    let Tcb { fmc, bootloader, tee, snp, microcode } = tcb;
    let fmc = fmc.map(|fmc| format!("fmc{fmc}-")).unwrap_or_default();
    format!("{fmc}bl{bootloader}-tee{tee}-snp{snp}-ucode{microcode}")
}

/// A CSP_ID as a directory's name: letters, digits, `-`, `=`, `_`, and dots but for the first; each other byte as `%`
/// and two digits.
fn file_name(csp_id: &str) -> String {
    let byte = |(at, byte): (usize, u8)| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'=' | b'_' => char::from(byte).to_string(),
        b'.' if at > 0 => ".".to_owned(),
        _ => format!("%{byte:02x}"),
    };
    csp_id.bytes().enumerate().map(byte).collect()
}

/// Most bytes of a directory's name on common file systems.
const MAX_FILE_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    const TCB: Tcb = Tcb { fmc: None, bootloader: 10, tee: 0, snp: 23, microcode: 84 };

    #[test]
    fn a_provider_is_a_directory_below_its_product() {
        let file = |csp_id: &str| VlekName::new(Product::Genoa, csp_id, TCB).map(|name| name.file());
        let aws = "vlek/Genoa/CN=cc-us-east-2.amazonaws.com/bl10-tee0-snp23-ucode84.der";
        assert_eq!(file("CN=cc-us-east-2.amazonaws.com").as_deref(), Some(aws));
        for (csp_id, folder) in [("..", "%2e."), ("a/../b", "a%2f..%2fb"), ("a b%", "a%20b%25")] {
            assert_eq!(file(csp_id), Some(format!("vlek/Genoa/{folder}/bl10-tee0-snp23-ucode84.der")));
        }
        assert_eq!([file(""), file(&"/".repeat(86))], [None, None]);
        assert_eq!(VlekName::new(Product::Turin, "a", TCB), None);
    }
}
