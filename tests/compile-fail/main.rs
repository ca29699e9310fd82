//! Every way around the way of a key is a program that does not compile.
//!
//! Each file in `cases/` tries one, and the compiler's answer is recorded beside it, so that a case cannot fail for
//! another reason than its own. `way.rs` takes the same steps honestly and does compile. To record anew after a
//! change, run the test with `KEYFAST_RECORD=1` and read the difference.
//!
//! Compilers word their answers differently from release to release. Under another than [`RECORDED_BY`] the cases
//! still must not compile, with the recorded errors at the recorded places; only the wording is not compared.
//!
//! The cases are compiled against what was built for this test: nothing is built anew for them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, io};

/// The compiler whose words are recorded.
const RECORDED_BY: &str = "rustc 1.95.";

#[test]
fn no_way_around_compiles() {
    let words_count = is_recorded_by().unwrap();
    let cases = with_ending(&folder().join("cases"), "rs").unwrap();
    assert!(cases.len() > 15, "{} cases", cases.len());
    for case in cases {
        let output = compiled(&case).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{} compiles:\n{errors}", case.display());
        let answer = case.with_extension("stderr");
        if env::var_os("KEYFAST_RECORD").is_some() {
            fs::write(&answer, &*errors).unwrap();
        }
        let recorded = fs::read_to_string(&answer).unwrap();
        assert!(!places(&recorded).is_empty(), "{}: no error at a place", answer.display());
        if words_count {
            assert_eq!(recorded, errors, "{}", case.display());
        } else {
            assert_eq!(places(&recorded), places(&errors), "{}", case.display());
        }
    }
}

#[test]
fn every_case_has_its_answer_recorded() {
    let stems = |ending| -> Vec<PathBuf> {
        let files = with_ending(&folder().join("cases"), ending).unwrap().into_iter();
        files.map(|file| file.with_extension("")).collect()
    };
    assert_eq!(stems("rs"), stems("stderr"));
}

/// What the compiler says to a case: a line for each error, `FILE:LINE:COLUMN: error[CODE]: what is wrong`.
fn compiled(case: &Path) -> io::Result<Output> {
    let (way, libraries) = way()?;
    let naming = |what: &str, path: &Path| {
        let mut named = OsString::from(what);
        named.push(path);
        named
    };
    let mut rustc = compiler();
    rustc.args([
        "--edition=2024",
        "--crate-type=bin",
        "--emit=metadata",
        "--error-format=short",
        "-Awarnings",
    ]);
    rustc.arg("--out-dir").arg(env!("CARGO_TARGET_TMPDIR"));
    rustc.arg("-L").arg(naming("dependency=", &libraries)).arg("--extern").arg(naming("way=", &way));
    rustc.arg(Path::new("cases").join(case.file_name().unwrap_or_default())).current_dir(folder()).output()
}

/// The library of `way.rs`, and the folder that it and all that it needs lie in. There may be several, built with other
/// features: the one that this test came with is no newer than this test, and of those the newest has the newest source.
fn way() -> io::Result<(PathBuf, PathBuf)> {
    let test = env::current_exe()?;
    let built = fs::metadata(&test)?.modified()?;
    let folder = test.parent().map(Path::to_owned).unwrap_or_default();
    let mut newest = None;
    for library in with_ending(&folder, "rlib")? {
        let name = library.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("libway-") {
            let modified = fs::metadata(&library)?.modified()?;
            newest = newest.max((modified <= built).then_some((modified, library)));
        }
    }
    let missing = || io::Error::other(format!("no `libway-*.rlib` in `{}`", folder.display()));
    newest.map(|(_, way)| (way, folder.clone())).ok_or_else(missing)
}

fn compiler() -> Command {
    Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

fn is_recorded_by() -> io::Result<bool> {
    let output = compiler().arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).starts_with(RECORDED_BY))
}

/// `FILE:LINE:COLUMN` and `[CODE]`, if it has one, of each error.
fn places(errors: &str) -> Vec<(&str, &str)> {
    fn place(line: &str) -> Option<(&str, &str)> {
        let (place, what) = line.split_once(": error")?;
        let code = what.split_once(": ").map_or("", |(code, _)| code);
        Some((place, code))
    }
    errors.lines().filter_map(place).collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder with an ending, sorted.
fn with_ending(folder: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    let mut files: Vec<_> =
        entries?.into_iter().filter(|file| file.extension() == Some(OsStr::new(ending))).collect();
    files.sort();
    Ok(files)
}
