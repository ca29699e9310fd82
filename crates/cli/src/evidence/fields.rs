//! The fields of an SNP report as rows: for people in columns, for programs as JSON.
//!
//! Nothing here is verified, and nothing here may say that it is.

use std::io::{self, Write};

use claims::snp::{GuestPolicy, PlatformInfo, Product, Tcb};
use evidence::snp::{Guid, Report, ReportFields, ReportSigner, SnpEvidence};
use serde_json::{Value, json};
use verify::product_of_cpu;

/// A field: its name, its value as JSON has it, and what people read besides.
pub struct Row {
    /// What it is called, the same in both outputs.
    pub name: &'static str,
    /// Its value; bytes in hexadecimal.
    pub value: Value,
    note: String,
    /// What people read in place of the value, where that is an object.
    text: Option<String>,
    /// Lines that people read in place of the value, below the name.
    lines: Vec<String>,
}

impl Row {
    /// A list: programs read the value, people these lines below the name.
    pub fn below(name: &'static str, value: impl Into<Value>, lines: Vec<String>) -> Self {
        Self { name, value: value.into(), note: String::new(), text: None, lines }
    }

    /// Prints the row within 100 columns; long strings go on below each other.
    ///
    /// # Errors
    /// The output's own.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        if !self.lines.is_empty() {
            writeln!(out, "{}", self.name)?;
            return self.lines.iter().try_for_each(|line| print_below(line, out));
        }
        let text = match &self.value {
            _ if self.text.is_some() => self.text.clone().unwrap_or_default(),
            Value::String(text) => text.clone(),
            Value::Bool(set) => if *set { "yes" } else { "no" }.to_owned(),
            Value::Null => "-".to_owned(),
            Value::Array(items) if items.is_empty() => "none".to_owned(),
            Value::Array(items) => items.iter().map(certificate_text).collect::<Vec<_>>().join(", "),
            other => other.to_string(),
        };
        let note = if self.note.is_empty() || self.value.is_null() {
            String::new()
        } else {
            format!("  ({})", self.note)
        };
        let (mut name, mut rest) = (self.name, text.as_str());
        while rest.len() > WIDEST_VALUE
            && let Some((line, more)) = rest.split_at_checked(VALUE_COLUMNS)
        {
            writeln!(out, "{name:<NAME_COLUMNS$}  {line}")?;
            (name, rest) = ("", more);
        }
        let last = format!("{name:<NAME_COLUMNS$}  {rest}{note}");
        if last.chars().count() > COLUMNS {
            let bare = format!("{name:<NAME_COLUMNS$}  {rest}");
            return writeln!(out, "{}\n{:NAME_COLUMNS$}{note}", bare.trim_end(), "");
        }
        if !rest.is_empty() || !name.is_empty() {
            writeln!(out, "{}", last.trim_end())?;
        }
        Ok(())
    }
}

pub(super) fn row(name: &'static str, value: impl Into<Value>) -> Row {
    noted(name, value, "")
}

pub(super) fn noted(name: &'static str, value: impl Into<Value>, note: impl Into<String>) -> Row {
    Row { name, value: value.into(), note: note.into(), text: None, lines: Vec::new() }
}

/// Every field of the report, in the order of the report, then the certificates.
pub fn rows(snp: &SnpEvidence) -> Vec<Row> {
    let mut all = report_rows(&snp.report);
    all.push(certificates_row(snp));
    all
}

/// Every field of a report, in its order.
pub fn report_rows(report: &Report) -> Vec<Row> {
    let fields = report.fields();
    let mut all = vec![row("version", fields.version), row("guest_svn", fields.guest_svn)];
    all.extend(policy_rows(fields.policy));
    all.extend([
        row("family_id", hex::encode(fields.family_id)),
        row("image_id", hex::encode(fields.image_id)),
        noted(
            "vmpl",
            fields.vmpl,
            if fields.vmpl == Report::HOST_VMPL { "requested by the host" } else { "" },
        ),
        noted("signature_algorithm", fields.signature_algorithm, "ECDSA P-384 with SHA-384"),
    ]);
    all.push(tcb_row("current_tcb", fields.current_tcb, fields));
    all.extend(platform_rows(fields.platform));
    all.extend(key_rows(fields));
    all.extend([
        row("report_data", hex::encode(fields.report_data)),
        noted("measurement", hex::encode(fields.measurement), "SHA-384"),
        row("host_data", hex::encode(fields.host_data)),
        noted("id_key_digest", hex::encode(fields.id_key_digest), "SHA-384"),
        noted("author_key_digest", hex::encode(fields.author_key_digest), "SHA-384"),
        row("report_id", hex::encode(fields.report_id)),
        row("report_id_ma", hex::encode(fields.report_id_ma)),
    ]);
    all.push(tcb_row("reported_tcb", fields.reported_tcb, fields));
    all.extend(cpu_rows(fields));
    all.push(row("chip_id", hex::encode(fields.chip_id)));
    all.push(tcb_row("committed_tcb", fields.committed_tcb, fields));
    all.extend([
        noted("current_firmware", firmware(fields.current_firmware), "major.minor.build"),
        noted("committed_firmware", firmware(fields.committed_firmware), "major.minor.build"),
    ]);
    all.push(tcb_row("launch_tcb", fields.launch_tcb, fields));
    all.extend([
        row("launch_mit_vector", fields.launch_mit_vector.map(|bits| format!("{bits:#x}"))),
        row("current_mit_vector", fields.current_mit_vector.map(|bits| format!("{bits:#x}"))),
    ]);
    let signature = report.signature_be();
    let (r, s) = signature.split_at(48);
    all.extend([
        noted("signature_r", hex::encode(r), "big-endian"),
        noted("signature_s", hex::encode(s), "big-endian"),
    ]);
    all
}

fn policy_rows(policy: GuestPolicy) -> [Row; 11] {
    [
        row("policy", format!("{:#x}", policy.0)),
        noted("policy.abi", format!("{}.{}", policy.abi_major(), policy.abi_minor()), "lowest allowed"),
        row("policy.smt_allowed", policy.smt_allowed()),
        row("policy.migrate_ma_allowed", policy.migrate_ma_allowed()),
        noted(
            "policy.debug_allowed",
            policy.debug_allowed(),
            if policy.debug_allowed() { "the host can read this guest" } else { "" },
        ),
        row("policy.single_socket", policy.single_socket()),
        row("policy.cxl_allowed", policy.cxl_allowed()),
        row("policy.mem_aes_256_xts", policy.mem_aes_256_xts()),
        row("policy.rapl_disabled", policy.rapl_disabled()),
        row("policy.ciphertext_hiding", policy.ciphertext_hiding()),
        row("policy.page_swap_disabled", policy.page_swap_disabled()),
    ]
}

fn platform_rows(platform: PlatformInfo) -> [Row; 10] {
    [
        row("platform", format!("{:#x}", platform.0)),
        row("platform.smt", platform.smt()),
        row("platform.tsme", platform.tsme()),
        row("platform.ecc", platform.ecc()),
        row("platform.rapl_disabled", platform.rapl_disabled()),
        row("platform.ciphertext_hiding", platform.ciphertext_hiding()),
        row("platform.alias_check_complete", platform.alias_check_complete()),
        row("platform.iommu_write_safe", platform.iommu_write_safe()),
        row("platform.tio", platform.tio()),
        noted("platform.unknown_bits", format!("{:#x}", platform.unknown_bits()), "bits 63:8"),
    ]
}

fn key_rows(fields: &ReportFields) -> [Row; 4] {
    let signer = match fields.key_info.signer() {
        ReportSigner::Vcek => "vcek".to_owned(),
        ReportSigner::Vlek => "vlek".to_owned(),
        ReportSigner::None => "none".to_owned(),
        ReportSigner::Reserved(code) => format!("reserved {code}"),
    };
    [
        row("key_info", format!("{:#x}", fields.key_info.0)),
        row("key_info.author_key_enabled", fields.key_info.author_key_enabled()),
        row("key_info.chip_key_masked", fields.key_info.chip_key_masked()),
        row("key_info.signing_key", signer),
    ]
}

fn cpu_rows(fields: &ReportFields) -> [Row; 2] {
    let cpu = fields.cpuid.map(|cpu| format!("{:02x}/{:02x}/{:02x}", cpu.family, cpu.model, cpu.stepping));
    let product = fields.cpuid.map(|cpu| product_of_cpu(cpu).map_or("unknown", Product::name));
    [noted("cpuid", cpu, "family/model/stepping, hexadecimal"), noted("product", product, "by cpuid")]
}

/// A TCB version, in the layout that the CPU suggests: for programs its parts, for people its bytes as well.
fn tcb_row(name: &'static str, raw: [u8; 8], fields: &ReportFields) -> Row {
    let product = fields.cpuid.and_then(product_of_cpu).unwrap_or(Product::Milan);
    let tcb = Tcb::from_report_bytes(raw, product);
    let Tcb { fmc, bootloader, tee, snp, microcode } = tcb;
    let parts =
        json!({ "fmc": fmc, "bootloader": bootloader, "tee": tee, "snp": snp, "microcode": microcode });
    Row { text: Some(hex::encode(raw)), ..noted(name, parts, tcb.to_string()) }
}

fn firmware((major, minor, build): (u8, u8, u8)) -> String {
    format!("{major}.{minor}.{build}")
}

/// The certificates that came along, as objects of `name` and `bytes`.
fn certificates_row(snp: &SnpEvidence) -> Row {
    let name = |guid: Guid| guid.name().map_or_else(|| guid.to_string(), str::to_owned);
    let found = snp.certificates.iter().map(|(guid, der)| json!({ "name": name(guid), "bytes": der.len() }));
    row("certificates", found.collect::<Vec<Value>>())
}

fn certificate_text(certificate: &Value) -> String {
    let part = |name: &str| certificate.get(name).map(Value::to_string).unwrap_or_default();
    format!("{} {} bytes", part("name").trim_matches('"'), part("bytes"))
}

/// A line below a name, broken where it does not fit.
fn print_below(line: &str, out: &mut dyn Write) -> io::Result<()> {
    let characters: Vec<char> = line.chars().collect();
    let mut pieces = characters.chunks(COLUMNS.saturating_sub(2));
    pieces.try_for_each(|piece| writeln!(out, "  {}", piece.iter().collect::<String>()))
}

/// Columns of a terminal that people have.
const COLUMNS: usize = 100;
const NAME_COLUMNS: usize = 30;
/// Columns of a piece of a value: 32 bytes in hexadecimal.
const VALUE_COLUMNS: usize = 64;
/// Columns of a value that stays whole: a Name.
const WIDEST_VALUE: usize = 68;
