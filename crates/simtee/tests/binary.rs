//! `keyfast-simtee` as its users start it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use simtee::control::{Reply, Request, call};

fn serve(dir: &Path) -> (Child, [String; 2]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast-simtee"));
    command.args(["serve", "--product", "Turin", "--log-format", "json", "--dir"]).arg(dir);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let lines = [lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap()];
    (child, lines)
}

/// Ends the process by a signal; its exit code and its log.
fn end(mut child: Child, signal: Signal) -> (Option<i32>, String) {
    kill_process(Pid::from_child(&child), signal).unwrap();
    let mut log = String::new();
    child.stderr.as_mut().unwrap().read_to_string(&mut log).unwrap();
    (child.wait().unwrap().code(), log)
}

#[test]
fn a_signal_ends_it_cleanly_and_the_next_start_is_the_same_host() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("host");
    let control = dir.join("control.sock");
    let (first, lines) = serve(&dir);
    assert_eq!(lines[0], format!("control {}", control.display()));
    let fingerprint = std::fs::read_to_string(dir.join("ark.sha256")).unwrap();
    assert_eq!(lines[1], format!("ark-sha256 {}", fingerprint.trim_end()));
    assert!(matches!(call(&control, &Request::Status {}), Ok(Reply::Status(s)) if s.product == "Turin"));
    let (code, log) = end(first, Signal::TERM);
    assert_eq!(code, Some(0), "{log}");
    assert!(log.lines().all(|line| line.starts_with('{')), "{log}");
    assert!(!control.exists());

    let (second, again) = serve(&dir);
    assert_eq!(again, lines);
    assert_eq!(end(second, Signal::INT).0, Some(0));
}

#[test]
fn what_it_cannot_do_has_its_exit_code() {
    let run = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_keyfast-simtee")).args(args).output().unwrap();
    assert_eq!(run(&["serve"]).status.code(), Some(2));
    assert_eq!(run(&["serve", "--dir", "/tmp", "--product", "Rome"]).status.code(), Some(2));
    let no_directory = run(&["serve", "--dir", "/dev/null/host"]);
    assert_eq!(no_directory.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&no_directory.stderr).contains("/dev/null/host"));
    assert!(String::from_utf8_lossy(&run(&["serve", "--help"]).stdout).contains("control.sock"));
}
