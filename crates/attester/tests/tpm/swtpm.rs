//! A `swtpm` in a directory of its own, manufactured with an endorsement certificate.
//!
//! One test at a time has TPMs: libtss2 opens its sockets without close-on-exec, so that a tool which another test starts
//! would inherit a connection, and the TPM at its end would wait for that tool.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use attester::{Tcti, TpmAttester, TpmPlaces};

/// More than any of these exchanges takes.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Where these tests have the attestation key.
pub const AK_HANDLE: u32 = 0x8101_4b46;

/// A running TPM.
pub struct Swtpm {
    dir: tempfile::TempDir,
    process: Child,
    port: u16,
    // Last, so that the TPM is gone when the next test starts its own.
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Swtpm {
    /// A TPM with PCRs of SHA-256, as it was manufactured: in every test the same one.
    pub fn start() -> Self {
        static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
        let turn = turn();
        let made = MADE.get_or_init(|| manufactured("sha256")).path();
        let dir = tempfile::tempdir().unwrap();
        for part in ["state", "ca"] {
            fs::create_dir(dir.path().join(part)).unwrap();
            for file in fs::read_dir(made.join(part)).unwrap().map(Result::unwrap) {
                fs::copy(file.path(), dir.path().join(part).join(file.file_name())).unwrap();
            }
        }
        Self::run(dir, Some(turn))
    }

    /// A TPM with these banks.
    pub fn with_banks(banks: &str) -> Self {
        let turn = turn();
        Self::run(manufactured(banks), Some(turn))
    }

    /// Another TPM in the same test.
    pub fn another(&self) -> Self {
        Self::run(manufactured("sha256"), None)
    }

    fn run(dir: tempfile::TempDir, turn: Option<MutexGuard<'static, ()>>) -> Self {
        let (process, port) = run(dir.path());
        Self { dir, process, port, _turn: turn }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// How it is reached; no event log.
    pub fn places(&self) -> TpmPlaces {
        let tcti = Tcti::Swtpm { host: [127, 0, 0, 1].into(), port: self.port };
        TpmPlaces { tcti, ak_handle: AK_HANDLE, event_log: None, ..TpmPlaces::default() }
    }

    pub fn attester(&self) -> TpmAttester {
        TpmAttester::tpm(self.places(), LIMIT).unwrap()
    }

    /// The CA above its endorsement certificate, in DER.
    pub fn issuer(&self) -> Vec<u8> {
        let pem = fs::read(self.path("ca/issuercert.pem")).unwrap();
        verify::certificates_from_file(&pem).unwrap().remove(0)
    }

    /// The CA above that one, in DER.
    pub fn root(&self) -> Vec<u8> {
        let pem = fs::read(self.path("ca/swtpm-localca-rootca-cert.pem")).unwrap();
        verify::certificates_from_file(&pem).unwrap().remove(0)
    }

    /// A certificate of the same CA for an endorsement key on P-256 with these coordinates, in DER.
    pub fn certificate_on_p256(&self, x: &[u8], y: &[u8]) -> Vec<u8> {
        configure_ca(self.dir.path());
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let path = |name: &str| self.path(name).display().to_string();
        let made = Command::new("swtpm_localca")
            .args(["--type", "ek", "--tpm2", "--vmid", "keyfast", "--dir", &path("")])
            .args(["--ek", &format!("x={},y={},id=secp256r1", hex(x), hex(y))])
            .args(["--tpm-spec-family", "2.0", "--tpm-spec-level", "0", "--tpm-spec-revision", "164"])
            .args([
                "--tpm-manufacturer",
                "id:00001014",
                "--tpm-model",
                "swtpm",
                "--tpm-version",
                "id:20191023",
            ])
            .arg("--decryption")
            .args(["--configfile", &path("ca.conf"), "--optsfile", &path("ca.options")])
            .output()
            .unwrap_or_else(|error| panic!("{MISSING}: `swtpm_localca`: {error}"));
        let said = [made.stdout, made.stderr].concat();
        assert!(made.status.success(), "swtpm_localca: {}", String::from_utf8_lossy(&said));
        fs::read(self.path("ek.cert")).unwrap()
    }

    /// Puts a certificate into an NV index, as its vendor does.
    pub fn store(&self, index: u32, certificate: &[u8]) {
        fs::write(self.path("certificate"), certificate).unwrap();
        let len = certificate.len();
        self.tool(&format!("tpm2_nvdefine {index:#x} -C o -s {len} -a ownerread|ownerwrite"));
        self.tool(&format!("tpm2_nvwrite {index:#x} -C o -i certificate"));
    }

    /// Runs a tool in the directory, and empties the TPM's slots behind it.
    pub fn tool(&self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let output = self.command(&words);
        assert!(output.0, "{line}: {}", output.1);
        self.command(&["tpm2_flushcontext", "-t"]);
    }

    fn command(&self, words: &[&str]) -> (bool, String) {
        let tcti = self.places().tcti.to_string();
        let output = Command::new(words[0])
            .args(&words[1..])
            .current_dir(self.dir.path())
            .env("TPM2TOOLS_TCTI", tcti)
            .output()
            .unwrap_or_else(|error| panic!("{MISSING}: `{}`: {error}", words[0]));
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Extends PCRs of the SHA-256 bank with digests, in this order.
    pub fn extend(&self, digests: impl IntoIterator<Item = (u32, Vec<u8>)>) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let specs = digests.into_iter().map(|(pcr, digest)| format!("{pcr}:sha256={}", hex(&digest)));
        let words = ["tpm2_pcrextend".to_owned()].into_iter().chain(specs).collect::<Vec<_>>();
        self.tool(&words.join(" "));
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two ports that follow each other and are free: commands, and control.
pub fn two_ports() -> (TcpListener, TcpListener) {
    for _ in 0..100 {
        let first = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let next = first.local_addr().unwrap().port().checked_add(1);
        if let Some(Ok(second)) = next.map(|port| TcpListener::bind(("127.0.0.1", port))) {
            return (first, second);
        }
    }
    panic!("no two free ports that follow each other")
}

/// Makes endorsement key, certificate, and the CA that signs it.
fn manufactured(banks: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let path = |name: &str| dir.join(name).display().to_string();
    fs::create_dir(dir.join("ca")).unwrap();
    fs::create_dir(dir.join("state")).unwrap();
    configure_ca(dir);
    let setup = [
        "create_certs_tool = /usr/bin/swtpm_localca".to_owned(),
        format!("create_certs_tool_config = {}", path("ca.conf")),
        format!("create_certs_tool_options = {}", path("ca.options")),
    ];
    fs::write(dir.join("setup.conf"), setup.join("\n") + "\n").unwrap();
    let state = path("state");
    let made = Command::new("swtpm_setup")
        .args(["--tpm2", "--create-ek-cert", "--overwrite", "--vmid", "keyfast", "--pcr-banks", banks])
        .args(["--tpmstate", &state, "--config", &path("setup.conf")])
        .output()
        .unwrap_or_else(|error| panic!("{MISSING}: `swtpm_setup`: {error}"));
    let said = [made.stdout, made.stderr].concat();
    assert!(made.status.success(), "swtpm_setup: {}", String::from_utf8_lossy(&said));
    directory
}

/// Tells `swtpm_localca` where the CA of this directory is.
fn configure_ca(dir: &Path) {
    let path = |name: &str| dir.join(name).display().to_string();
    let ca = [
        format!("statedir = {}", path("ca")),
        format!("signingkey = {}", path("ca/signkey.pem")),
        format!("issuercert = {}", path("ca/issuercert.pem")),
        format!("certserial = {}", path("ca/certserial")),
    ];
    let options = "--platform-manufacturer keyfast\n--platform-version 1\n--platform-model test\n";
    fs::write(dir.join("ca.conf"), ca.join("\n") + "\n").unwrap();
    fs::write(dir.join("ca.options"), options).unwrap();
}

/// Waits until no other test has a TPM.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(dir: &Path) -> (Child, u16) {
    for _ in 0..5 {
        let (first, second) = two_ports();
        let port = first.local_addr().unwrap().port();
        let control = second.local_addr().unwrap().port();
        drop((first, second));
        let mut process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", dir.join("state").display())])
            .args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1")])
            .args(["--ctrl", &format!("type=tcp,port={control},bindaddr=127.0.0.1")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{MISSING}: `swtpm`: {error}"));
        let until = Instant::now() + LIMIT;
        while Instant::now() < until && process.try_wait().unwrap().is_none() {
            if is_listening(port) && is_listening(control) {
                return (process, port);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Somebody else took a port in between.
        let _ = process.kill();
        let _ = process.wait();
    }
    panic!("swtpm did not start")
}

/// Whether somebody listens, without connecting: a connection would be the TPM's only one.
fn is_listening(port: u16) -> bool {
    let wanted = format!("0100007F:{port:04X} 00000000:0000 0A");
    fs::read_to_string("/proc/net/tcp").unwrap().lines().any(|line| line.contains(&wanted))
}

const MISSING: &str = "these tests need swtpm, swtpm-tools and tpm2-tools, which tools/setup installs";
