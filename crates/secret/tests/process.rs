//! `harden_process` changes the whole process, so each case runs in a child: this test binary again, told by an
//! environment variable which part to play.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::process::Command;

use rustix::process::{DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use secret::{Hardening, MemoryLock, harden_process};

const PART: &str = "KEYFAST_TEST_HARDENING";
const LIMIT: u64 = 64 * 1024;

/// Whether this is the child; else runs the test of this name again as one, and checks that it passed.
fn in_child(test: &str) -> bool {
    if std::env::var_os(PART).is_some() {
        return true;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", test, "--nocapture"]).env(PART, test).output().unwrap();
    let log =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("");
    assert!(output.status.success() && log.contains("1 passed"), "the child failed:\n{log}");
    false
}

/// The number in a line of `/proc/self/status` or `/proc/self/limits`.
fn field(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).expect("a line of that name");
    line.split_whitespace().find_map(|word| word.parse().ok()).expect("a number")
}

/// Allocates and touches more than any finite limit used here.
fn memory_is_still_to_be_had() -> bool {
    let mut large = vec![0_u8; 64 << 20];
    large.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    large.iter().step_by(4096).all(|byte| *byte == 1)
}

fn no_core_and_not_dumpable(hardening: &Hardening) {
    assert!(hardening.no_core_file && hardening.undumpable, "{hardening}");
    assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
    assert_eq!(field("/proc/self/limits", "Max core file size"), 0);
    assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
}

fn drop_ipc_lock() {
    let held = capabilities(None).unwrap();
    let effective = held.effective.difference(CapabilitySet::IPC_LOCK);
    let permitted = held.permitted.difference(CapabilitySet::IPC_LOCK);
    set_capabilities(None, CapabilitySets { effective, permitted, ..held }).unwrap();
}

#[test]
fn hardening_closes_core_dumps_and_says_what_became_of_memory() {
    if !in_child("hardening_closes_core_dumps_and_says_what_became_of_memory") {
        return;
    }
    let hardening = harden_process();
    no_core_and_not_dumpable(&hardening);
    let locked = field("/proc/self/status", "VmLck");
    assert_eq!(hardening.memory == MemoryLock::Locked, locked > 0, "{hardening}, VmLck {locked} kB");
    assert!(memory_is_still_to_be_had());
    assert_eq!(harden_process(), hardening, "a second call changes nothing");
}

#[test]
fn memory_is_not_locked_under_a_limit_that_would_break_allocation() {
    if !in_child("memory_is_not_locked_under_a_limit_that_would_break_allocation") {
        return;
    }
    drop_ipc_lock();
    setrlimit(Resource::Memlock, Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) }).unwrap();
    let hardening = harden_process();
    no_core_and_not_dumpable(&hardening);
    assert_eq!(hardening.memory, MemoryLock::Limited { limit: LIMIT });
    assert_eq!(field("/proc/self/status", "VmLck"), 0);
    assert!(memory_is_still_to_be_had());
}

#[test]
fn a_soft_limit_below_an_unlimited_hard_one_is_raised() {
    if !in_child("a_soft_limit_below_an_unlimited_hard_one_is_raised") {
        return;
    }
    let unlimited = Rlimit { current: Some(LIMIT), maximum: None };
    if setrlimit(Resource::Memlock, unlimited).is_err() {
        eprintln!("passed over: only root may raise the hard limit");
        return;
    }
    drop_ipc_lock();
    assert_eq!(harden_process().memory, MemoryLock::Locked);
    assert!(field("/proc/self/status", "VmLck") > 0);
    assert!(memory_is_still_to_be_had());
}
