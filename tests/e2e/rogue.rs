//! A broker that lies, with the real one's own TLS and journal keys: no guest believes it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::setup::{Run, Setup, shared};

/// A process of `rogue-broker` that ends with this.
struct Rogue {
    process: Child,
    url: String,
}

impl Rogue {
    fn up(setup: &Setup, trick: &str) -> Self {
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_rogue-broker"))
            .arg("--state")
            .arg(setup.dev("broker"))
            .args(["--broker", &setup.url(), trick])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("https://"), "the rogue did not start: {url}");
        Self { process, url: url.trim_end().to_owned() }
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// Decrypts through a rogue; there must be no output. Gives the error without its beginning.
#[track_caller]
fn refused(trick: &str, via: &str, earlier: usize) -> String {
    let setup = shared();
    let rogue = Rogue::up(setup, trick);
    let name = format!("rogue{}-{via}", trick.replace("--", "-"));
    let encrypted = setup.encrypt("db", b"what the guest must not believe", &name, &[]);
    let output = setup.path(&format!("{name}.out"));
    let decrypt = |output: &str| -> Run {
        setup.guest(
            &name,
            &["--broker-url", &rogue.url],
            &["decrypt", &encrypted, "--via", via, "-o", output],
        )
    };
    for _ in 0..earlier {
        decrypt(setup.path(&format!("{name}.earlier")).to_str().unwrap()).success();
    }
    let before = earlier > 0;
    let run = decrypt(output.to_str().unwrap());
    assert!(!output.exists(), "{run}");
    assert_eq!(run.code, Some(7), "{run}");
    let kept = setup.dev("guests").join(&name).join("state/checkpoint").exists();
    assert_eq!(kept, before, "nothing of a refused answer is kept");
    let message = run.stderr.trim_end().strip_prefix("keyfast-agent: refusing the broker: ");
    message.unwrap_or_else(|| panic!("{run}")).to_owned()
}

const NOT_LOGGED: &str = "the release of `db` is not in the broker's log: ";

/// Asserts a message of this beginning, two different hashes, and this end.
#[track_caller]
fn assert_wrong_root(message: &str) {
    let rest = message.strip_prefix(NOT_LOGGED).unwrap_or_else(|| panic!("{message}"));
    let roots = rest.strip_prefix("the proof does not lead to the tree root: expected ");
    let roots = roots
        .and_then(|rest| rest.strip_suffix("; the key is refused"))
        .unwrap_or_else(|| panic!("{message}"));
    let (expected, got) = roots.split_once(", got ").unwrap();
    assert!(expected.len() == 64 && got.len() == 64 && expected != got, "{message}");
}

#[test]
fn a_release_that_is_left_out_of_the_log_is_refused() {
    assert_wrong_root(&refused("--omit", "release", 0));
    assert_wrong_root(&refused("--omit", "unwrap", 0));
}

#[test]
fn a_log_from_before_the_release_is_refused() {
    let message = refused("--old-checkpoint", "release", 0);
    let rest = message.strip_prefix(NOT_LOGGED).unwrap_or_else(|| panic!("{message}"));
    let rest = rest.strip_prefix("leaf ").and_then(|rest| rest.strip_suffix(" leaves; the key is refused"));
    let (index, size) = rest.and_then(|rest| rest.split_once(" is beyond a tree of ")).unwrap();
    assert!(index.parse::<u64>().unwrap() >= size.parse().unwrap(), "{message}");
}

#[test]
fn a_planted_key_under_a_genuine_receipt_is_refused() {
    assert_wrong_root(&refused("--plant", "release", 0));
    assert_wrong_root(&refused("--plant", "unwrap", 0));
}

#[test]
fn a_planted_key_is_refused_even_if_the_log_has_it() {
    let message = refused("--plant-logged", "release", 0);
    assert_eq!(message, "the key sealed as `db` is not the one that the log commits to; refuse this broker");
}

#[test]
fn a_receipt_of_an_earlier_release_is_refused() {
    assert_wrong_root(&refused("--replay-receipt", "release", 1));
}

#[test]
fn another_version_than_the_one_asked_for_is_refused() {
    assert_eq!(refused("--swap-version", "release", 0), "wrong version of `db`: expected 1, got 2");
}

#[test]
fn a_statement_of_another_identity_is_refused() {
    let message = refused("--false-statement", "release", 0);
    let end = format!(": expected {}", shared().identity());
    let got = message.strip_prefix("the statement is of broker ").and_then(|rest| rest.strip_suffix(&end));
    assert_eq!(got.unwrap_or_else(|| panic!("{message}")).len(), 64);
}

#[test]
fn a_tls_key_that_is_not_in_the_statement_is_refused() {
    let message = refused("--foreign-tls", "release", 0);
    let rest = message.strip_prefix("the TLS key ").unwrap_or_else(|| panic!("{message}"));
    let (key, rest) = rest.split_at(64);
    assert!(key.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(rest, " is not in the broker's statement 1: someone stands in between");
}

#[test]
fn a_dek_that_is_not_the_files_does_not_decrypt_it() {
    // A broker whose journal key is misused may answer `unwrap` with a key of its own; the file's commitment shows it.
    let setup = shared();
    let rogue = Rogue::up(setup, "--plant-logged");
    let encrypted = setup.encrypt("db", b"data", "rogue-dek", &[]);
    let output = setup.path("rogue-dek.out");
    let arguments = ["decrypt", &encrypted, "--via", "unwrap", "-o", output.to_str().unwrap()];
    let run = setup.guest("rogue-dek", &["--broker-url", &rogue.url], &arguments);
    assert_eq!(run.code, Some(8), "{run}");
    assert!(run.stderr.contains("commit"), "{run}");
    assert!(!output.exists());
}
