//! A reader of `keyfast` that goes away, as `head` does: nothing is said of it, and the command exits as it would have.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};

/// Nobody reads from it.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// In a directory of its own, with the shipped policies.
fn keyfast(arguments: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
    command.args(arguments).current_dir(dir).env("KEYFAST_DEV", dir.join("dev")).stdin(Stdio::null());
    command.env("KEYFAST_POLICIES", concat!(env!("CARGO_MANIFEST_DIR"), "/../../attestation-policies"));
    command
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["completion", "bash"], 0),
        (&["endorsements", "list", "."], 0),
        (&["endorsements", "list", ".", "--json"], 0),
        (&["reference", "list"], 0),
        (&["reference", "list", "--json"], 0),
        (&["policy", "claims"], 0),
        (&["policy", "check"], 0),
        (&["policy", "test", "tenant-rings"], 0),
        (&["policy", "explain", "nowhere.json"], 2),
        (&["dev", "down"], 0),
        (&["reference", "list", "--dir", "nowhere"], 2),
    ] {
        let read = keyfast(arguments, dir.path()).output().unwrap();
        assert_eq!(read.status.code(), Some(code), "{arguments:?}");
        assert!(!read.stdout.is_empty() || !read.stderr.is_empty(), "{arguments:?} prints nothing");
        let unread_output =
            keyfast(arguments, dir.path()).stdout(unread()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(
            (unread_output.status.code(), &unread_output.stderr),
            (Some(code), &read.stderr),
            "{arguments:?}"
        );
        let mut unread_errors = keyfast(arguments, dir.path());
        let status = unread_errors.stdout(unread()).stderr(unread()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [
        &["endorsements", "list", ".", "--json"][..],
        &["endorsements", "list", "."],
        &["reference", "list"],
        &["dev", "down"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = keyfast(arguments, dir.path()).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = "keyfast: cannot write the output: No space left on device (os error 28)\n";
        assert_eq!(
            (output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()),
            (Some(2), said),
            "{arguments:?}"
        );
    }
}
