//! A Python of the test's own, with the packages in it that keyfast is compared with.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

/// The virtual environment's interpreter. Made once below the target directory, and again when the pinned packages
/// change.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-python");
    let stamp = environment.join("installed.txt");
    let python = environment.join("bin/python");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS) {
        return python;
    }
    create(&environment);
    install(&python);
    fs::write(stamp, REQUIREMENTS).unwrap();
    python
});

/// Has a script of this folder do each job, in order.
pub fn run(script: &str, jobs: &[Value]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(script);
    let mut command = Command::new(PYTHON.as_path());
    let piped = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(jobs).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the Python side failed; its words are above");
    let outcomes: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcomes.len(), jobs.len());
    outcomes
}

fn create(environment: &Path) {
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment).output();
    let made = made.unwrap_or_else(|e| {
        panic!("cannot run python3 ({e}): install the Debian packages python3 and python3-venv")
    });
    assert!(
        made.status.success(),
        "python3 cannot make a virtual environment: install the Debian package python3-venv\n{}{}",
        String::from_utf8_lossy(&made.stdout),
        String::from_utf8_lossy(&made.stderr)
    );
}

fn install(python: &Path) {
    let requirements = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/requirements.txt");
    let pip =
        ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--requirement"];
    let installed = Command::new(python).args(pip).arg(requirements).output().unwrap();
    assert!(
        installed.status.success(),
        "pip cannot install the packages of {requirements}; they come from the Python package index:\n{}",
        String::from_utf8_lossy(&installed.stderr)
    );
}

/// Every package, pinned.
const REQUIREMENTS: &str = include_str!("requirements.txt");
