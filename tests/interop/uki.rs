//! PCR 4 and 11 of unified kernel images that other people's tools made: `objcopy` and systemd's stub, signed by
//! `sbsign`. The Authenticode hash is the one that the signature names, PCR 11 what `systemd-measure` calculates.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use measure::uki::UkiParts;
use measure::{Bank, Pcr};
use tempfile::TempDir;

/// A stub, a place for files, and a key that signs.
struct Tools {
    directory: TempDir,
    stub: PathBuf,
}

/// What goes into an image, beside what its stub has: sections whose lengths end nowhere in particular.
fn sections() -> [(&'static str, Vec<u8>); 5] {
    let filled = |len: usize, by: usize| (0..len).map(|i| (i * by + i / 251) as u8).collect();
    [
        ("osrel", b"ID=x\nVERSION_ID=1\n".to_vec()),
        ("uname", b"6.12.0-1-amd64".to_vec()),
        ("cmdline", b"console=ttyS0 root=/dev/vda1 quiet".to_vec()),
        ("initrd", filled(100_001, 7)),
        ("linux", filled(70_003, 3)),
    ]
}

impl Tools {
    fn new() -> Self {
        let architecture = if cfg!(target_arch = "aarch64") { "aa64" } else { "x64" };
        let stub = PathBuf::from(format!("/usr/lib/systemd/boot/efi/linux{architecture}.efi.stub"));
        assert!(stub.exists(), "{MISSING}: {}", stub.display());
        let tools = Self { directory: tempfile::tempdir().unwrap(), stub };
        for (name, contents) in sections() {
            fs::write(tools.path(name), contents).unwrap();
        }
        let subject = ["-subj", "/CN=test", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem"];
        tools.run("openssl", &[&["req", "-x509", "-newkey", "rsa:2048", "-nodes"][..], &subject].concat());
        tools
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What a program prints that runs where the files are.
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let run = Command::new(program).args(arguments).current_dir(self.directory.path()).output();
        let output = run.unwrap_or_else(|error| panic!("{MISSING}: `{program}`: {error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// An image of the stub and these sections, behind what the stub occupies.
    fn image(&self, name: &str) {
        let stub = self.stub.to_str().unwrap();
        let mut arguments = Vec::new();
        let mut place = self.end_of_stub();
        for (section, contents) in sections() {
            arguments.extend(["--add-section".to_owned(), format!(".{section}={section}")]);
            arguments.extend(["--change-section-vma".to_owned(), format!(".{section}={place:#x}")]);
            place = (place + contents.len() as u64).next_multiple_of(PAGE);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain([stub, name]).collect();
        self.run("objcopy", &arguments);
    }

    /// The first page behind the stub's sections: `objdump` prints a section's size and place as its third and fourth
    /// words.
    fn end_of_stub(&self) -> u64 {
        let printed = self.run("objdump", &["-h", self.stub.to_str().unwrap()]);
        let end = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [number, _, size, place, _, _, _] = words[..] else { return None };
            number.parse::<u32>().ok()?;
            Some(u64::from_str_radix(size, 16).ok()? + u64::from_str_radix(place, 16).ok()?)
        };
        printed.lines().filter_map(end).max().unwrap().next_multiple_of(PAGE)
    }

    /// Signs an image, and gives the digest that the signature is of, in hexadecimal.
    fn sign(&self, image: &str, signed: &str) -> String {
        self.run("sbsign", &["--key", "key.pem", "--cert", "cert.pem", "--output", signed, image]);
        self.run("sbverify", &["--cert", "cert.pem", signed]);
        self.run("sbattach", &["--detach", "signature", signed]);
        self.run("sbattach", &["--attach", "signature", signed]);
        let printed = self.run("openssl", &["asn1parse", "-inform", "DER", "-in", "signature"]);
        let (_, indirect_data) = printed.split_once(SPC_PE_IMAGE_DATA).unwrap();
        let (_, digest) = indirect_data.split_once("[HEX DUMP]:").unwrap();
        digest.lines().next().unwrap().to_lowercase()
    }

    fn read(&self, image: &str) -> UkiParts {
        UkiParts::read(&mut File::open(self.path(image)).unwrap(), None).unwrap()
    }

    /// Appends bytes, so that the file is this much longer than a multiple of 8.
    fn lengthen(&self, image: &str, rest: usize) {
        let mut file = fs::read(self.path(image)).unwrap();
        file.resize(file.len().next_multiple_of(8) + rest, 0x5a);
        fs::write(self.path(image), file).unwrap();
    }

    /// PCR 11 as `systemd-measure` calculates it, before any phase of the boot. Which sections count, it knows itself.
    fn pcr_11(&self, bank: Bank) -> Option<String> {
        let program = "/usr/lib/systemd/systemd-measure";
        if !Path::new(program).exists() {
            return None;
        }
        let stub = self.stub.to_str().unwrap();
        self.run("objcopy", &["-O", "binary", "--only-section", ".sbat", stub, "sbat"]);
        let known = self.run(program, &["--help"]);
        let named = sections().map(|(name, _)| name).into_iter().chain(["sbat"]);
        let of_section = |name: &str| Some(format!("--{name}=")).filter(|option| known.contains(option));
        let options = named.filter_map(|name| Some(format!("{}{name}", of_section(name)?)));
        let bank = ["--phase=".to_owned(), format!("--bank={}", bank.name())];
        let options: Vec<String> = ["calculate".to_owned()].into_iter().chain(options).chain(bank).collect();
        let printed = self.run(program, &options.iter().map(String::as_str).collect::<Vec<_>>());
        Some(printed.lines().find(|line| line.starts_with("11:"))?.split_once('=')?.1.to_owned())
    }
}

fn sha256(parts: &UkiParts) -> String {
    hex::encode(parts.authenticode.of_bank(Bank::Sha256))
}

fn pcr(parts: &UkiParts, index: u32) -> String {
    parts.pcr(index, Bank::Sha256).as_ref().map(Pcr::to_string).unwrap()
}

#[test]
fn the_hash_is_the_one_that_was_signed_and_signing_does_not_change_it() {
    let tools = Tools::new();
    tools.image("image");
    tools.lengthen("image", 0);
    let unsigned = tools.read("image");
    assert_eq!(sha256(&unsigned), tools.sign("image", "signed"));
    assert_eq!(unsigned.signing_adds, 0);
    let lengths = ["image", "signed"].map(|name| fs::metadata(tools.path(name)).unwrap().len());
    assert!(lengths[1] > lengths[0] + 1000);
    assert_eq!(tools.read("signed"), unsigned);

    // Other contents of a section have another hash, which the signature is not of.
    fs::write(tools.path("cmdline"), "console=ttyS0 root=/dev/vda1 debug").unwrap();
    tools.image("other");
    tools.lengthen("other", 0);
    let other = tools.read("other");
    assert_ne!(sha256(&other), sha256(&unsigned));
    assert_eq!(sha256(&other), tools.sign("other", "signed"));
}

#[test]
fn what_a_signing_tool_adds_is_told_and_changes_the_hash() {
    let tools = Tools::new();
    tools.image("image");
    tools.lengthen("image", 3);
    let unsigned = tools.read("image");
    let digest = tools.sign("image", "signed");
    let signed = tools.read("signed");
    assert_eq!((unsigned.signing_adds, signed.signing_adds), (5, 0));
    assert_eq!(sha256(&signed), digest);
    assert_ne!(pcr(&unsigned, 4), pcr(&signed, 4));
    assert_eq!(pcr(&unsigned, 11), pcr(&signed, 11));

    let zeros = [fs::read(tools.path("image")).unwrap(), vec![0; 5]].concat();
    fs::write(tools.path("image"), zeros).unwrap();
    assert_eq!(pcr(&tools.read("image"), 4), pcr(&signed, 4));
}

#[test]
fn pcr_11_is_what_systemd_measure_calculates() {
    let tools = Tools::new();
    tools.image("image");
    let parts = tools.read("image");
    for bank in [Bank::Sha256, Bank::Sha384] {
        match tools.pcr_11(bank) {
            Some(expected) => assert_eq!(parts.pcr(11, bank).unwrap().to_string(), expected),
            // Later releases have it in a package that is not everywhere of one name.
            None => assert!(parts.stub.major() > 255, "{MISSING}: systemd-measure"),
        }
    }
}

const MISSING: &str =
    "these tests need openssl, sbsigntool, systemd and systemd-boot-efi, which tools/setup installs";
/// The object identifier in front of the digest, in what Authenticode signs.
const SPC_PE_IMAGE_DATA: &str = ":1.3.6.1.4.1.311.2.1.15";
/// Bytes that sections begin at a multiple of.
const PAGE: u64 = 4096;
