//! Firmware, images, ID blocks: see [`fuzz::measure`].
#![no_main]

fuzz::targets! {
    id_auth => fuzz::measure::id_auth,
    id_block => fuzz::measure::id_block,
    ovmf => fuzz::measure::ovmf,
    pe_image => fuzz::measure::pe_image,
    public_key_pem => fuzz::measure::public_key_pem,
    signature_lists => fuzz::measure::signature_lists,
    uki => fuzz::measure::uki,
}
