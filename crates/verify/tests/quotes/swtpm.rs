//! Against a TPM of somebody else's making: `swtpm`, driven by `tpm2-tools`. Fails where they are not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use claims::EvidenceKind;
use evidence::Evidence;
use evidence::tpm::Public;
use simtee::vtpm::evidence::sections;
use verify::TrustAnchors;
use verify::tpm::credential::Enrolling;

use crate::simulated::{challenge, extra_data, transcript};
use crate::table::{NOW, Table, activated, check};

/// A running TPM in a directory of its own.
pub struct Tpm {
    directory: PathBuf,
    process: Child,
}

impl Tpm {
    /// One for the test of this name.
    pub fn start(test: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("keyfast-swtpm-{}-{test}", std::process::id()));
        let path = directory.display();
        let tools = Command::new("tpm2_createek").arg("--version").stdout(Stdio::null()).status();
        tools.unwrap_or_else(|error| panic!("`tpm2_createek`: {error}; run tools/setup"));
        fs::create_dir_all(&directory).unwrap();
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={path}")])
            .args(["--server", &format!("type=unixio,path={path}/s")])
            .args(["--ctrl", &format!("type=unixio,path={path}/s.ctrl")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("`swtpm`: {error}; run tools/setup"));
        let tpm = Self { directory, process };
        let until = Instant::now() + Duration::from_secs(30);
        while !tpm.path("s").exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        tpm
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    pub fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.path(file)).unwrap()
    }

    /// Runs a tool in the directory, and empties the TPM's slots behind it.
    pub fn run(&self, line: &str) -> bool {
        let done = self.tool(line);
        self.tool("tpm2_flushcontext -t");
        done
    }

    pub fn tool(&self, line: &str) -> bool {
        let mut words = line.split(' ');
        let output = Command::new(words.next().unwrap())
            .args(words)
            .current_dir(&self.directory)
            .env("TPM2TOOLS_TCTI", format!("swtpm:path={}", self.path("s").display()))
            .output()
            .unwrap();
        output.status.success()
    }

    /// Whether the TPM opens a credential, and what it finds in it.
    fn activate(&self, credential: &[u8]) -> Option<Vec<u8>> {
        let out = self.path("opened");
        fs::write(self.path("credential"), credential).unwrap();
        assert!(self.tool("tpm2_startauthsession --policy-session -S session.ctx"));
        assert!(self.tool("tpm2_policysecret -S session.ctx -c e"));
        let opened = self.tool(
            "tpm2_activatecredential -c ak.ctx -C ek.ctx -i credential -o opened -P session:session.ctx",
        );
        self.tool("tpm2_flushcontext session.ctx");
        self.tool("tpm2_flushcontext -t");
        let secret = opened.then(|| fs::read(&out).unwrap());
        remove(&out);
        secret
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

#[test]
fn a_tpm_opens_our_credentials_and_its_quotes_answer_our_challenge() {
    let tpm = Tpm::start("enrolment");
    assert!(tpm.run("tpm2_createek -c ek.ctx -G rsa -u ek.pub"));
    assert!(tpm.run("tpm2_createak -C ek.ctx -c ak.ctx -G rsa -s rsassa -g sha256 -u ak.pub -n ak.name"));
    let public = |file| Public::parse_sized(&tpm.read(file)).unwrap();
    let (ak, ek) = (public("ak.pub"), public("ek.pub"));
    let enrolling = Enrolling::without_certificate(&ak, &ek).unwrap();
    assert_eq!(enrolling.ak_name().to_bytes(), tpm.read("ak.name"));

    // The file of `tpm2-tools`: magic, version, then both structures.
    let file = |blob: &[u8], seed: &[u8]| [&[0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1], blob, seed].concat();
    let credential = enrolling.credential(b"a secret for this tpm").unwrap();
    let opened = tpm.activate(&file(&credential.blob, &credential.encrypted_seed));
    assert_eq!(opened.as_deref(), Some(&b"a secret for this tpm"[..]));
    // Made for another key's Name, it stays shut.
    let other = crate::simulated::booted();
    let other = Public::parse(&other.ak_public().unwrap()).unwrap();
    let wrong = Enrolling::without_certificate(&other, &ek).unwrap().credential(b"secret").unwrap();
    assert_eq!(tpm.activate(&file(&wrong.blob, &wrong.encrypted_seed)), None);

    let transcript = transcript(EvidenceKind::Tpm);
    let extra: String = extra_data(&transcript, &[]).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(
        tpm.run(&format!("tpm2_quote -c ak.ctx -l sha256:0,7,16 -q {extra} -m q.msg -s q.sig -g sha256"))
    );
    let values: Vec<u8> = [0, 7, 16].iter().flat_map(|i| [&[0, 0x0b, *i][..], &[0; 32]].concat()).collect();
    let (ak_bytes, quote, signature) = (tpm.read("ak.pub"), tpm.read("q.msg"), tpm.read("q.sig"));
    let parts = sections(&[(5, &ak_bytes), (6, &quote), (7, &signature), (8, &values)]);
    let evidence = Evidence::parse(EvidenceKind::Tpm, &parts).unwrap();
    let qualified = Some(enrolling.qualified_name().clone());
    let table = Table(vec![(enrolling.ak_name().clone(), activated(enrolling.ek_name().clone(), qualified))]);
    let authenticated = check(evidence, &TrustAnchors::none(), &table, NOW).unwrap();
    let claims = authenticated.bind(challenge(), &transcript, NOW).unwrap();
    assert!(claims.record().tpm.as_ref().unwrap().pcrs.is_empty(), "nothing was measured");
}

#[test]
fn a_tpm_opens_our_credentials_for_a_key_on_a_curve() {
    let tpm = Tpm::start("curve");
    assert!(tpm.run("tpm2_createek -c ek.ctx -G ecc -u ek.pub"));
    assert!(tpm.run("tpm2_createak -C ek.ctx -c ak.ctx -G rsa -s rsassa -g sha256 -u ak.pub -n ak.name"));
    let public = |file| Public::parse_sized(&tpm.read(file)).unwrap();
    let enrolling = Enrolling::without_certificate(&public("ak.pub"), &public("ek.pub")).unwrap();
    let file = |blob: &[u8], seed: &[u8]| [&[0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1], blob, seed].concat();
    // Each has a point of its own, one in 128 of which has a coordinate that begins with a zero.
    for secret in [&b"a secret for this tpm"[..], &[7; 32]] {
        let made = enrolling.credential(secret).unwrap();
        assert_eq!(tpm.activate(&file(&made.blob, &made.encrypted_seed)).as_deref(), Some(secret));
    }
}
