//! Which VCEK is meant, and what it is called where: at AMD's key distribution service (AMD publication 57230), at
//! Azure's cache of it, and in a directory.
//!
//! The name is the key: the same product, chip and TCB have the same VCEK for ever, though AMD issues its certificate
//! with new dates.

use core::fmt;

use claims::ChipId;
use claims::snp::{Product, Tcb};

use crate::Authority;
use crate::vlek::tcb_name;

/// A chip's key at one TCB.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VcekName {
    product: Product,
    /// 64 bytes; on Turin 8.
    hwid: Vec<u8>,
    tcb: Tcb,
}

impl VcekName {
    /// The key that signs reports of this chip with this REPORTED_TCB (8 bytes as they stand in the report).
    ///
    /// `None` where there is no such key: the chip id is masked, or longer than the product's, or a reserved byte of
    /// the TCB is set.
    pub fn new(product: Product, chip: &ChipId, reported_tcb: [u8; 8]) -> Option<Self> {
        let tcb = Tcb::from_report_bytes(reported_tcb, product);
        let (hwid, rest) = chip.0.split_at_checked(hwid_len(product))?;
        let whole = rest.iter().all(|byte| *byte == 0) && tcb.to_report_bytes() == reported_tcb;
        (!chip.is_zero() && whole).then(|| Self { product, hwid: hwid.to_vec(), tcb })
    }

    /// The key of a chip whose id has exactly the product's length, 64 bytes or on Turin 8. `None` for another length,
    /// an id of zeros, or a TCB of another product.
    pub fn of_hwid(product: Product, hwid: &[u8], tcb: Tcb) -> Option<Self> {
        let mut chip = ChipId([0; ChipId::LEN]);
        chip.0.get_mut(..hwid.len())?.copy_from_slice(hwid);
        let fits = hwid.len() == hwid_len(product) && tcb.fmc.is_some() == (product == Product::Turin);
        Self::new(product, &chip, tcb.to_report_bytes()).filter(|_| fits)
    }

    /// The authority that issues its certificate.
    pub fn authority(&self) -> Authority {
        Authority::ask(self.product)
    }

    /// The product.
    pub fn product(&self) -> Product {
        self.product
    }

    /// The chip: 64 bytes, on Turin 8.
    pub fn hwid(&self) -> &[u8] {
        &self.hwid
    }

    /// The TCB that the key is derived for.
    pub fn tcb(&self) -> Tcb {
        self.tcb
    }

    /// Whether this is the key of this product, chip and TCB, the last two as a certificate has them.
    pub fn is(&self, product: Product, hwid: &[u8], tcb: [u8; 8]) -> bool {
        self.product == product && self.hwid == hwid && self.tcb.to_report_bytes() == tcb
    }

    /// Path and query at a server shaped like AMD's.
    pub(crate) fn kds_path(&self) -> String {
        let Tcb { fmc, bootloader, tee, snp, microcode } = self.tcb;
        let fmc = fmc.map(|fmc| format!("fmcSPL={fmc:02}&")).unwrap_or_default();
        format!(
            "/vcek/v1/{}/{}?{fmc}blSPL={bootloader:02}&teeSPL={tee:02}&snpSPL={snp:02}&ucodeSPL={microcode:02}",
            self.product,
            hex::encode(&self.hwid),
        )
    }

    /// Path and query at Azure's cache: all 64 bytes of CHIP_ID, and REPORTED_TCB as one number.
    pub(crate) fn azure_path(&self) -> String {
        let (chip, tcb) = self.azure_id();
        format!("/SevSnpVM/certificates/{chip}/{tcb}?api-version=2020-10-15-preview")
    }

    /// Path and query at the metadata service of an Azure machine (trusted hardware identity management).
    pub(crate) fn thim_path(&self) -> String {
        let (chip, tcb) = self.azure_id();
        format!("/metadata/THIM/amd/certification?platformId={chip}&tcbVersion={tcb}")
    }

    fn azure_id(&self) -> (String, String) {
        let chip = format!("{:0<128}", hex::encode(&self.hwid));
        (chip, format!("{:x}", u64::from_le_bytes(self.tcb.to_report_bytes())))
    }

    /// Where its certificate lies in a directory, in DER.
    pub(crate) fn file(&self) -> String {
        let folder = Authority::ask(self.product).folder();
        format!("{folder}/{}/{}.der", hex::encode(&self.hwid), tcb_name(self.tcb))
    }
}

impl fmt::Display for VcekName {
    /// Product, the first eight bytes of the chip's id, TCB.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chip = hex::encode(self.hwid.get(..8).unwrap_or_default());
        write!(f, "the VCEK of {} chip {chip}…, {}", self.product, self.tcb)
    }
}

/// Bytes of a chip's id that count.
fn hwid_len(product: Product) -> usize {
    match product {
        Product::Milan | Product::Genoa => 64,
        Product::Turin => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genoa() -> VcekName {
        VcekName::new(Product::Genoa, &ChipId([0xab; 64]), [10, 0, 0, 0, 0, 0, 23, 84]).unwrap()
    }

    fn turin() -> VcekName {
        let mut chip = ChipId([0; 64]);
        chip.0[..8].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 0xff]);
        VcekName::new(Product::Turin, &chip, [1, 2, 3, 4, 0, 0, 0, 0x80]).unwrap()
    }

    #[test]
    fn the_paths_are_amds_and_azures() {
        let chip = "ab".repeat(64);
        let query = "blSPL=10&teeSPL=00&snpSPL=23&ucodeSPL=84";
        assert_eq!(genoa().kds_path(), format!("/vcek/v1/Genoa/{chip}?{query}"));
        let azure = format!("/SevSnpVM/certificates/{chip}/541700000000000a?api-version=2020-10-15-preview");
        assert_eq!(genoa().azure_path(), azure);
        let thim = format!("/metadata/THIM/amd/certification?platformId={chip}&tcbVersion=541700000000000a");
        assert_eq!(genoa().thim_path(), thim);
        assert_eq!(genoa().file(), format!("vcek/Genoa/{chip}/bl10-tee0-snp23-ucode84.der"));
    }

    #[test]
    fn turin_has_a_short_id_and_an_fmc() {
        let query = "fmcSPL=01&blSPL=02&teeSPL=03&snpSPL=04&ucodeSPL=128";
        assert_eq!(turin().kds_path(), format!("/vcek/v1/Turin/01020304050607ff?{query}"));
        assert_eq!(turin().file(), "vcek/Turin/01020304050607ff/fmc1-bl2-tee3-snp4-ucode128.der");
        assert!(
            turin()
                .azure_path()
                .starts_with(&format!("/SevSnpVM/certificates/01020304050607ff{:0<112}/", ""))
        );
    }

    #[test]
    fn what_names_no_key_is_refused() {
        let tcb = [10, 0, 0, 0, 0, 0, 23, 84];
        assert_eq!(VcekName::new(Product::Genoa, &ChipId([0; 64]), tcb), None);
        assert_eq!(VcekName::new(Product::Turin, &ChipId([1; 64]), [1, 2, 3, 4, 0, 0, 0, 5]), None);
        assert_eq!(VcekName::new(Product::Genoa, &ChipId([1; 64]), [10, 0, 1, 0, 0, 0, 23, 84]), None);
        let tcb = Tcb::from_report_bytes(tcb, Product::Genoa);
        assert_eq!(VcekName::of_hwid(Product::Genoa, &[0xab; 64], tcb), Some(genoa()));
        assert_eq!(VcekName::of_hwid(Product::Genoa, &[0xab; 8], tcb), None);
        assert_eq!(VcekName::of_hwid(Product::Turin, &[0xab; 8], tcb), None);
        assert_eq!(VcekName::of_hwid(Product::Milan, &[0xab; 65], tcb), None);
    }
}
