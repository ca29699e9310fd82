//! What differs between products: CPU models, and where the parts of a TCB version stand.
//!
//! Source: AMD SEV-SNP ABI 1.58 (TCB_VERSION, table 23); AMD publication 57230, VCEK certificate and KDS interface
//! specification (extensions), as read off genuine certificates; CPU models as AMD's open tools list them.

use claims::snp::{CpuId, Product};
use der::asn1::ObjectIdentifier;

/// One byte of a TCB version, and the extension of a VCEK or VLEK certificate that repeats it.
pub(crate) struct Component {
    /// What AMD calls it; `reserved` for bytes without a meaning.
    pub(crate) name: &'static str,
    /// The extension, a DER INTEGER from 0 to 255.
    pub(crate) oid: ObjectIdentifier,
}

/// The eight bytes of a TCB version, from the lowest.
pub(crate) fn components(product: Product) -> &'static [Component; 8] {
    match product {
        Product::Milan | Product::Genoa => &MILAN,
        Product::Turin => &TURIN,
    }
}

/// Bytes of the chip's id that count; the rest of CHIP_ID is zero.
pub(crate) fn hwid_len(product: Product) -> usize {
    match product {
        Product::Milan | Product::Genoa => 64,
        Product::Turin => 8,
    }
}

/// What a CPU model belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// A product with a root here.
    Supported(Product),
    /// A product by AMD's name whose layouts AMD has not published, so that nothing of it is read.
    Unsupported(&'static str),
}

/// What a CPU model belongs to, or `None` for one that is not known.
pub(crate) fn family_of_cpu(cpu: CpuId) -> Option<Family> {
    match (cpu.family, cpu.model) {
        (0x19, 0x00..=0x0f) => Some(Family::Supported(Product::Milan)),
        (0x19, 0x10..=0x1f | 0xa0..=0xaf) => Some(Family::Supported(Product::Genoa)),
        (0x1a, 0x00..=0x11) => Some(Family::Supported(Product::Turin)),
        (0x1a, 0x50..=0x57 | 0x90..=0xaf | 0xc0..=0xc7) => Some(Family::Unsupported("Venice")),
        _ => None,
    }
}

/// The product of a CPU model, or `None` for one that has no root here.
pub fn of_cpu(cpu: CpuId) -> Option<Product> {
    match family_of_cpu(cpu) {
        Some(Family::Supported(product)) => Some(product),
        Some(Family::Unsupported(_)) | None => None,
    }
}

/// AMD's arc for the extensions of endorsement keys' certificates.
const fn oid(dotted: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(dotted)
}

/// productName, an IA5String.
pub(crate) const PRODUCT_NAME: ObjectIdentifier = oid("1.3.6.1.4.1.3704.1.2");
/// CSP_ID, an IA5String: the cloud provider that a VLEK was made for.
pub(crate) const CSP_ID: ObjectIdentifier = oid("1.3.6.1.4.1.3704.1.5");
/// hwID, raw bytes.
pub(crate) const HWID: ObjectIdentifier = oid("1.3.6.1.4.1.3704.1.4");

const BOOTLOADER: Component = Component { name: "bootloader", oid: oid("1.3.6.1.4.1.3704.1.3.1") };
const TEE: Component = Component { name: "tee", oid: oid("1.3.6.1.4.1.3704.1.3.2") };
const SNP: Component = Component { name: "snp", oid: oid("1.3.6.1.4.1.3704.1.3.3") };
const RESERVED_4: Component = Component { name: "reserved (spl4)", oid: oid("1.3.6.1.4.1.3704.1.3.4") };
const RESERVED_5: Component = Component { name: "reserved (spl5)", oid: oid("1.3.6.1.4.1.3704.1.3.5") };
const RESERVED_6: Component = Component { name: "reserved (spl6)", oid: oid("1.3.6.1.4.1.3704.1.3.6") };
const RESERVED_7: Component = Component { name: "reserved (spl7)", oid: oid("1.3.6.1.4.1.3704.1.3.7") };
const MICROCODE: Component = Component { name: "microcode", oid: oid("1.3.6.1.4.1.3704.1.3.8") };
const FMC: Component = Component { name: "fmc", oid: oid("1.3.6.1.4.1.3704.1.3.9") };

static MILAN: [Component; 8] =
    [BOOTLOADER, TEE, RESERVED_4, RESERVED_5, RESERVED_6, RESERVED_7, SNP, MICROCODE];
static TURIN: [Component; 8] = [FMC, BOOTLOADER, TEE, SNP, RESERVED_5, RESERVED_6, RESERVED_7, MICROCODE];

impl Component {
    /// Whether the byte has no meaning and must be zero.
    pub(crate) fn is_reserved(&self) -> bool {
        self.name.starts_with("reserved")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_at_the_edges_of_each_product() {
        let product = |family, model| of_cpu(CpuId { family, model, stepping: 0 });
        assert_eq!([product(0x19, 0), product(0x19, 0x0f)], [Some(Product::Milan); 2]);
        for model in [0x10, 0x1f, 0xa0, 0xaf] {
            assert_eq!(product(0x19, model), Some(Product::Genoa));
        }
        assert_eq!([product(0x1a, 0), product(0x1a, 0x11)], [Some(Product::Turin); 2]);
        for (family, model) in
            [(0x19, 0x20), (0x19, 0x9f), (0x19, 0xb0), (0x1a, 0x12), (0x1a, 0x50), (0x17, 1)]
        {
            assert_eq!(product(family, model), None, "{family:#x}/{model:#x}");
        }
    }

    #[test]
    fn a_product_that_is_not_read_is_known_by_its_name() {
        let family = |model| family_of_cpu(CpuId { family: 0x1a, model, stepping: 0 });
        for model in [0x50, 0x57, 0x90, 0xaf, 0xc0, 0xc7] {
            assert_eq!(family(model), Some(Family::Unsupported("Venice")), "{model:#x}");
        }
        for model in [0x12, 0x4f, 0x58, 0x8f, 0xb0, 0xbf, 0xc8, 0xff] {
            assert_eq!(family(model), None, "{model:#x}");
        }
    }
}
