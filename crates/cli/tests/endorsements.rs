//! `keyfast endorsements` without a network: which certificates are let into a directory, and what is said of those there.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use claims::snp::Product;
use claims::{ReportData, UnixTime};
use simtee::{GuestSpec, SimHost, field};

/// A host that is a day old.
fn host(product: Product) -> SimHost {
    static KEYS: OnceLock<Arc<simtee::HostKeys>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| Arc::new(simtee::kept_keys!().unwrap()));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    SimHost::with_keys(Arc::clone(keys), product, UnixTime(now - 86_400)).unwrap()
}

/// A folder of its own for each test, empty.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("endorsements").join(test);
    let _absent = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs `keyfast endorsements` in a folder; exit code, standard output and standard error.
fn keyfast(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
    let output = command.current_dir(folder).arg("endorsements").args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn fails(folder: &Path, args: &[&str], expected: &str) {
    let (code, stdout, stderr) = keyfast(folder, args);
    assert_eq!((code, stdout.as_str(), stderr.trim_end()), (Some(1), "", expected), "{args:?}");
}

/// Before anybody is asked for a certificate, which there cannot be.
#[test]
fn a_report_of_venice_is_refused_by_its_name() {
    let (folder, host) = (folder("venice"), host(Product::Turin));
    let guest = host.launch(&GuestSpec::new(Product::Turin, "web")).unwrap();
    let mut report = guest.report(&ReportData([7; 64]));
    report.put(field::CPUID, [0x1a, 0x50, 0]);
    fs::write(folder.join("venice.bin"), guest.sign(report).unwrap()).unwrap();
    let expected = "keyfast: `venice.bin`: Venice is not supported: expected a model of Milan, Genoa or Turin, got \
                    family 0x1a, model 0x50";
    fails(&folder, &["fetch", "--report", "venice.bin", "--dir", "kept"], expected);
    assert!(!folder.join("kept").exists());
}
