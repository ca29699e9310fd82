//! Every field of every report, as an independent decoder read it.

use claims::snp::{GuestPolicy, PlatformInfo, Product, Tcb};
use evidence::Evidence;
use evidence::snp::{Report, ReportFields, ReportSigner};
use hex::encode as hex;
use serde_json::{Value, json};

use crate::folder::{GENUINE, load};

#[test]
fn every_field_is_what_the_independent_decoder_read() {
    for vector in load(&GENUINE) {
        let Evidence::SevSnp(snp) = vector.evidence() else { panic!("another kind of evidence") };
        let ours = decode(&snp.report, vector.product());
        let theirs = vector.expected["report"].as_object().unwrap();
        for (name, expected) in theirs {
            assert_eq!(&ours[name], expected, "{}: {name}", vector.name);
        }
        assert_eq!(ours.as_object().unwrap().len(), theirs.len());
        assert_eq!(snp.report.as_bytes().as_slice(), vector.report);
    }
}

/// The report in the words of `expected.json`.
fn decode(report: &Report, product: Product) -> Value {
    let fields = report.fields();
    let signature = report.signature_be();
    let (r, s) = signature.split_at(48);
    json!({
        "version": fields.version,
        "guest_svn": fields.guest_svn,
        "policy": policy(fields.policy),
        "family_id": hex(fields.family_id),
        "image_id": hex(fields.image_id),
        "vmpl": fields.vmpl,
        "signature_algo": fields.signature_algorithm,
        "current_tcb": tcb(fields.current_tcb, product),
        "platform_info": platform(fields.platform),
        "key_info": key_info(fields),
        "report_data": hex(fields.report_data.0),
        "measurement": hex(fields.measurement.0),
        "host_data": hex(fields.host_data),
        "id_key_digest": hex(fields.id_key_digest),
        "author_key_digest": hex(fields.author_key_digest),
        "report_id": hex(fields.report_id),
        "report_id_ma": hex(fields.report_id_ma),
        "reported_tcb": tcb(fields.reported_tcb, product),
        "cpuid": fields.cpuid.map(|c| json!({"family": c.family, "model": c.model, "stepping": c.stepping})),
        "chip_id": hex(fields.chip_id.0),
        "committed_tcb": tcb(fields.committed_tcb, product),
        "current_version": version(fields.current_firmware),
        "committed_version": version(fields.committed_firmware),
        "launch_tcb": tcb(fields.launch_tcb, product),
        "launch_mit_vector": fields.launch_mit_vector,
        "current_mit_vector": fields.current_mit_vector,
        "signature_r_be_hex": hex(r),
        "signature_s_be_hex": hex(s),
        // Parsing refuses anything else.
        "reserved_all_zero": true,
        "sha256": hex(crypto::sha256(&[report.as_bytes()])),
    })
}

fn policy(policy: GuestPolicy) -> Value {
    json!({
        "raw_hex": format!("{:#x}", policy.0),
        "abi_minor": policy.abi_minor(),
        "abi_major": policy.abi_major(),
        "smt": policy.smt_allowed(),
        "reserved1_bit17": u8::from(policy.bit(17)),
        "migrate_ma": policy.migrate_ma_allowed(),
        "debug": policy.debug_allowed(),
        "single_socket": policy.single_socket(),
        "cxl_allow": policy.cxl_allowed(),
        "mem_aes_256_xts": policy.mem_aes_256_xts(),
        "rapl_dis": policy.rapl_disabled(),
        "ciphertext_hiding_dram": policy.ciphertext_hiding(),
        "page_swap_disable": policy.page_swap_disabled(),
        "reserved_63_26": policy.0 >> 26,
    })
}

fn platform(platform: PlatformInfo) -> Value {
    json!({
        "raw_hex": format!("{:#x}", platform.0),
        "smt_en": platform.smt(),
        "tsme_en": platform.tsme(),
        "ecc_en": platform.ecc(),
        "rapl_dis": platform.rapl_disabled(),
        "ciphertext_hiding_dram_en": platform.ciphertext_hiding(),
        "alias_check_complete": platform.alias_check_complete(),
        "bit6_iommu_write_safe": platform.iommu_write_safe(),
        "tio_en": platform.tio(),
        "reserved_63_8": platform.unknown_bits() >> 8,
    })
}

fn key_info(fields: &ReportFields) -> Value {
    let (code, name) = match fields.key_info.signer() {
        ReportSigner::Vcek => (0, "VCEK"),
        ReportSigner::Vlek => (1, "VLEK"),
        ReportSigner::None => (7, "NONE"),
        ReportSigner::Reserved(code) => (code, "reserved"),
    };
    json!({
        "raw": fields.key_info.0,
        "author_key_en": fields.key_info.author_key_enabled(),
        "mask_chip_key": fields.key_info.chip_key_masked(),
        "signing_key": code,
        "signing_key_name": name,
        "reserved_31_5": fields.key_info.reserved_bits(),
    })
}

fn tcb(raw: [u8; 8], product: Product) -> Value {
    let tcb = Tcb::from_report_bytes(raw, product);
    let mut value = json!({
        "raw_hex": hex(raw),
        "bootloader": tcb.bootloader,
        "tee": tcb.tee,
        "snp": tcb.snp,
        "microcode": tcb.microcode,
        "reserved_zero": tcb.to_report_bytes() == raw,
    });
    if let Some(fmc) = tcb.fmc {
        value.as_object_mut().unwrap().insert("fmc".into(), fmc.into());
    }
    value
}

fn version((major, minor, build): (u8, u8, u8)) -> String {
    format!("{major}.{minor}.{build}")
}
