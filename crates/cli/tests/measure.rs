//! `keyfast measure` as people and programs see it: what it prints, how wide, and with which exit code it ends.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use firmware::Firmware;
use image::Image;

#[path = "../../measure/tests/measure/firmware.rs"]
mod firmware;
#[path = "../../measure/tests/measure/image.rs"]
mod image;

/// Files to measure, in a directory that goes away.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let sections: [(&str, &[u8]); 5] = [
            (".sdmagic", b"#### LoaderInfo: systemd-stub 252.39-1 ####"),
            (".linux", &[3; 3000]),
            (".osrel", b"ID=x\n"),
            (".cmdline", b"quiet"),
            (".initrd", &[4; 1000]),
        ];
        files.write("ovmf.fd", &Firmware::amd_sev().image());
        files.write("kernel", &[1; 70_000]);
        files.write("initrd", &[2; 300_000]);
        files.write("uki.efi", &Image::new(&sections).file());
        files
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
        command.arg("measure").args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// What it prints, if it succeeds.
    fn printed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same as JSON.
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.printed(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Exit code and message of a refusal, and that nothing was printed.
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        assert_eq!(output.stdout, b"");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

const SNP: [&str; 7] = ["snp", "--ovmf", "ovmf.fd", "--vcpus", "2", "--vcpu-type", "EPYC-Milan"];
const BLOCK: [&str; 3] = [
    "id-block",
    "--measurement",
    "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
];

#[test]
fn people_and_programs_are_told_the_same() {
    let files = Files::new();
    let kernel = [&SNP[..], &["--kernel", "kernel", "--initrd", "initrd", "--append", "-v quiet"]].concat();
    for arguments in [&SNP[..], &kernel, &BLOCK, &["uki", "uki.efi"], &["uki", "uki.efi", "--bank", "sha384"]]
    {
        let text = files.printed(arguments);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        for (name, value) in files.json(arguments).as_object().unwrap() {
            let hidden = name == "events" || name == "id_block";
            assert!(hidden || text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
            let told = value.as_str().is_none_or(|value| text.contains(value));
            assert!(hidden || told, "{name}: {text}");
        }
    }
    assert_ne!(files.json(&SNP)["measurement"], files.json(&kernel)["measurement"]);
    assert!(files.printed(&SNP).ends_with("covers the firmware, and not the operating system.\n"));
}

#[test]
fn events_are_what_the_registers_are_made_of() {
    let files = Files::new();
    let measured = files.json(&["uki", "uki.efi"]);
    let events = measured["events"].as_array().unwrap();
    let pcrs: Vec<u64> = events.iter().map(|event| event["pcr"].as_u64().unwrap()).collect();
    assert_eq!(pcrs, [4, 4, 4, 11, 11, 11, 11, 11, 11, 11, 11, 9, 9]);
    assert_eq!(events[2]["digest"], measured["authenticode"]);
    assert_eq!(events[12]["digest"], measured["initrd"]);
    assert!(files.printed(&["uki", "uki.efi", "--events"]).contains("  9  initrd "));

    assert!(!files.printed(&["uki", "uki.efi"]).contains("PCR 4 is this file's"));
    let longer = [fs::read(files.path("uki.efi")).unwrap(), vec![7]].concat();
    files.write("longer.efi", &longer);
    let note =
        "\nPCR 4 is this file's. A signing tool adds 7 bytes of zeros to it: measure the signed file.\n";
    assert!(files.printed(&["uki", "longer.efi"]).ends_with(note));

    let later = files.printed(&["uki", "uki.efi", "--stub", "257"]);
    assert!(later.contains("pcr9          -  (not decided by the image)"), "{later}");
    assert!(later.ends_with("\nNo PCR 9: the stub adds .osrel to the initrd.\n"), "{later}");
}

#[test]
fn a_block_is_written_read_and_not_believed_unsigned() {
    let files = Files::new();
    files.printed(
        &[&BLOCK[..], &["--image-id", &"07".repeat(16), "--guest-svn", "3", "--output", "block"]].concat(),
    );
    assert_eq!(fs::read(files.path("block")).unwrap().len(), 96);
    let read = files.json(&["id-block", "--block", "block"]);
    assert_eq!((&read["guest_svn"], &read["image_id"]), (&3.into(), &"07".repeat(16).into()));
    assert_eq!(read["id_key_digest"], Value::Null);

    // QEMU's form of it, over several lines.
    let base64 = read["id_block"].as_str().unwrap();
    let (first, second) = base64.split_at(76);
    files.write("block.base64", format!("{first}\n{second}\n").as_bytes());
    assert_eq!(files.json(&["id-block", "--block", "block.base64"]), read);

    let (code, message) = files.refused(&["id-block", "--block", "block", "--auth", "block"]);
    assert_eq!(code, 4);
    assert!(
        message.contains("wrong length of the ID authentication: expected 4096 bytes, got 96"),
        "{message}"
    );
}

#[test]
fn a_refusal_names_the_file_and_what_to_do() {
    let files = Files::new();
    files.write("key.pem", b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n");
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let (found, message) = files.refused(arguments);
        assert!(found == code && message.contains(words), "{found}: {message}");
    };
    refused(&["snp", "--ovmf", "none", "--vcpus", "1"], 4, "cannot read `none`");
    refused(&["snp", "--ovmf", "kernel", "--vcpus", "1"], 4, "`kernel`: wrong size of the firmware");
    refused(&["snp", "--ovmf", "ovmf.fd", "--vcpus", "1"], 2, "the vCPU's type is not given");
    refused(&[&SNP[..], &["--initrd", "initrd"]].concat(), 2, "--kernel");
    refused(&[&BLOCK[..], &["--id-key", "key.pem"]].concat(), 4, "`openssl pkey -in KEY -pubout`");
    refused(&["id-block"], 2, "--measurement");
    let huge = fs::File::create(files.path("huge")).unwrap();
    huge.set_len(4 * 1024 * 1024 * 1024 + 1).unwrap();
    refused(&["uki", "huge"], 4, "`huge` is too large: expected at most 4294967296 bytes");
    refused(&["uki", "kernel"], 4, "`kernel`: not a PE image");
    refused(&["uki", "uki.efi", "--stub", "251"], 2, "expected 252, or 254 to 258");
}

#[test]
fn help_shows_an_example_within_a_hundred_columns() {
    let files = Files::new();
    for command in ["snp", "id-block", "uki"] {
        let help = files.printed(&[command, "--help"]);
        assert!(help.contains(&format!("\n  keyfast measure {command} ")), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}

#[test]
fn what_is_measured_becomes_a_reference_value_in_one_pipe() {
    let files = Files::new();
    let place = files.path("policies");
    fs::create_dir(&place).unwrap();
    let manifest = place.join("reference-values.toml");
    fs::write(&manifest, "version = 1\n").unwrap();
    let add = |measured: &str, name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
        command.args(["reference", "add", "--name", name, "--dir"]).arg(&place);
        let mut running = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        running.stdin.take().unwrap().write_all(measured.as_bytes()).unwrap();
        let output = running.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let (uki, snp) = (files.json(&["uki", "uki.efi"]), files.json(&SNP));
    let said = add(&files.printed(&["uki", "uki.efi"]), "web-1.5");
    assert_eq!(said.lines().filter(|line| line.starts_with("added     pcr  ")).count(), 3, "{said}");
    add(&snp.to_string(), "db-7");
    let again = add(&files.printed(&["uki", "uki.efi", "--json"]), "web-1.5");
    assert!(again.lines().all(|line| line.starts_with("is there  pcr  ")), "{again}");
    let values = policy::Manifest::parse(&fs::read_to_string(&manifest).unwrap()).unwrap();
    assert_eq!(values.serial(), 2);
    let known: Vec<_> =
        values.values(claims::UnixTime(0)).into_iter().map(|v| (v.kind, v.name, v.value)).collect();
    let pcr = |n| ("pcr", format!("web-1.5 pcr{n}"), uki[format!("pcr{n}")].as_str().unwrap().to_owned());
    let measurement = ("measurement", "db-7".to_owned(), snp["measurement"].as_str().unwrap().to_owned());
    assert_eq!(known, [measurement, pcr(11), pcr(4), pcr(9)]);
}
