//! Extensions of endorsement keys: AMD's arc 1.3.6.1.4.1.3704.1 (AMD, VCEK Certificate and KDS Interface
//! Specification, publication 57230; order and encoding as genuine certificates have them).

use claims::snp::{Product, Tcb};

use crate::{Extension, der};

/// structVersion: 0, on Turin 1.
pub const STRUCT_VERSION: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 1];
/// productName.
pub const PRODUCT_NAME: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 2];
/// SPL of the bootloader.
pub const BOOTLOADER_SPL: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 3, 1];
/// SPL of the TEE.
pub const TEE_SPL: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 3, 2];
/// SPL of the SNP firmware.
pub const SNP_SPL: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 3, 3];
/// Reserved SPL; Turin has none.
pub const SPL_4: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 3, 4];
/// Reserved SPL.
pub const SPL_5: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 3, 5];
/// Reserved SPL.
pub const SPL_6: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 3, 6];
/// Reserved SPL.
pub const SPL_7: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 3, 7];
/// SPL of the microcode.
pub const MICROCODE_SPL: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 3, 8];
/// SPL of the FMC; Turin only.
pub const FMC_SPL: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 3, 9];
/// hwID: raw bytes, 64 or, on Turin, 8.
pub const HWID: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 4];

/// CSP_ID: an IA5String that names the cloud provider; VLEKs only.
pub const CSP_ID: &[u32] = &[1, 3, 6, 1, 4, 1, 3704, 1, 5];

/// What a VCEK certificate of this chip at this TCB carries, in AMD's order.
pub(crate) fn vcek_extensions(product: Product, tcb: Tcb, hwid: &[u8]) -> Vec<Extension> {
    let name = match product {
        Product::Milan => "Milan-B0",
        other => other.name(),
    };
    let mut all = extensions(product, name, tcb);
    all.push(Extension { oid: HWID, critical: false, value: hwid.to_vec() });
    all
}

/// What a VLEK certificate of this cloud provider at this TCB carries, in AMD's order.
pub(crate) fn vlek_extensions(product: Product, tcb: Tcb, csp_id: &str) -> Vec<Extension> {
    let mut all = extensions(product, product.name(), tcb);
    all.push(Extension { oid: CSP_ID, critical: false, value: der::ia5(csp_id) });
    all
}

/// What stands before the holder.
fn extensions(product: Product, name: &str, tcb: Tcb) -> Vec<Extension> {
    let extension = |oid, value| Extension { oid, critical: false, value };
    let number = |oid, value: u8| extension(oid, der::integer(value.into()));
    let version = if product == Product::Turin { 1 } else { 0 };
    let mut all = vec![number(STRUCT_VERSION, version), extension(PRODUCT_NAME, der::ia5(name))];
    all.extend(tcb.fmc.map(|fmc| number(FMC_SPL, fmc)));
    all.extend([number(BOOTLOADER_SPL, tcb.bootloader), number(TEE_SPL, tcb.tee)]);
    let reserved = [number(SPL_5, 0), number(SPL_6, 0), number(SPL_7, 0)];
    match product {
        Product::Turin => all.extend(std::iter::once(number(SNP_SPL, tcb.snp)).chain(reserved)),
        _ => {
            all.push(number(SPL_4, 0));
            all.extend(reserved.into_iter().chain([number(SNP_SPL, tcb.snp)]));
        }
    }
    all.push(number(MICROCODE_SPL, tcb.microcode));
    all
}
