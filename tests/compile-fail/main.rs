//! Every way around the way of a key is a program that does not compile.
//!
//! Each file in `cases/` tries one, and the compiler's answer is recorded beside it, so that a case cannot fail for
//! another reason than its own. `way.rs` takes the same steps honestly and does compile. To record anew after a
//! change, read the difference and run `TRYBUILD=overwrite cargo test -p compile-fail`.
//!
//! Compilers word their answers differently from release to release. Under another than [`RECORDED_BY`] the cases
//! still must not compile, with the recorded error codes; only the wording is not compared.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The compiler whose words are recorded.
const RECORDED_BY: &str = "rustc 1.95.";

/// Set for the run under another compiler: the folder with a copy of the cases.
const COPY: &str = "KEYFAST_COMPILE_FAIL_COPY";

#[test]
fn no_way_around_compiles() {
    if let Some(copy) = env::var_os(COPY) {
        return trybuild::TestCases::new().compile_fail(Path::new(&copy).join("*.rs"));
    }
    if compiler().starts_with(RECORDED_BY) {
        return trybuild::TestCases::new().compile_fail("cases/*.rs");
    }
    let copy = copy_of_cases().unwrap();
    let status = Command::new(env::current_exe().unwrap())
        .args(["--exact", "no_way_around_compiles"])
        .envs([(OsStr::new(COPY), copy.as_os_str()), (OsStr::new("TRYBUILD"), OsStr::new("overwrite"))])
        .status();
    assert!(status.unwrap().success(), "a case compiles");
    assert_eq!(codes(&copy).unwrap(), codes(&cases()).unwrap());
}

#[test]
fn every_case_has_its_answer_recorded() {
    let stems = |ending: &str| -> Vec<PathBuf> {
        let files = files(&cases()).unwrap().into_iter();
        let mut stems: Vec<_> = files.filter(|f| f.extension() == Some(OsStr::new(ending))).collect();
        stems.iter_mut().for_each(|file| {
            file.set_extension("");
        });
        stems
    };
    assert_eq!(stems("rs"), stems("stderr"));
}

/// `rustc 1.95.0 (…)`.
fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// Copies the cases without their answers to where this test may write.
fn copy_of_cases() -> io::Result<PathBuf> {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile-fail");
    fs::create_dir_all(&copy)?;
    for old in files(&copy)? {
        fs::remove_file(old)?;
    }
    for case in files(&cases())?.iter().filter(|file| file.extension() == Some(OsStr::new("rs"))) {
        fs::copy(case, copy.join(case.file_name().unwrap_or_default()))?;
    }
    Ok(copy)
}

/// The error codes of each answer in a folder, in order.
fn codes(folder: &Path) -> io::Result<BTreeMap<String, Vec<String>>> {
    let answers = files(folder)?.into_iter().filter(|file| file.extension() == Some(OsStr::new("stderr")));
    let codes = |file: PathBuf| {
        let text = fs::read_to_string(&file)?;
        let codes = text.lines().filter(|line| line.starts_with("error"));
        let codes = codes.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect();
        Ok((file.file_name().unwrap_or_default().to_string_lossy().into_owned(), codes))
    };
    answers.map(codes).collect()
}

/// The files of a folder, sorted.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    let mut files = entries?;
    files.sort();
    Ok(files)
}
