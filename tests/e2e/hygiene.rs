//! Nothing secret in logs, messages, files that others read, arguments or environments.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claims::Operation;
use keys::{Kek, OpenedContent};

use crate::guest::{Guest, wanted};
use crate::setup::{Run, Setup, shared, wait_until};

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.file_type().unwrap() {
            kind if kind.is_dir() => files(&entry.path()),
            kind if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}

/// A secret, in every spelling in which it might leak.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let debug = format!("{secret:?}");
    let hex = hex::encode(secret);
    let texts = [hex.to_uppercase(), hex, STANDARD.encode(secret), debug.trim_matches(['[', ']']).to_owned()];
    texts.into_iter().map(String::into_bytes).chain([secret.to_vec()]).collect()
}

#[track_caller]
fn assert_absent(what: &str, bytes: &[u8], secrets: &[Vec<u8>]) {
    for secret in secrets {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "a secret is in {what}");
    }
}

/// Imports a secret through standard input, with everything logged.
fn import(setup: &Setup, key: &str, secret: &[u8]) -> Run {
    let mut command = setup.command("keyfast");
    command.args(["keys", "import", key, "--simulation"]).env("KEYFAST_LOG", "trace");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(secret).unwrap();
    Run::from(child.wait_with_output().unwrap()).success()
}

/// What the broker, the host and the agent are given and say; the broker of the shared set-up logs everything.
#[test]
fn no_secret_is_in_any_log_message_file_argument_or_environment() {
    let setup = shared();
    let secret = hex::encode(crypto::random_array::<24>().unwrap()).into_bytes();
    let said = import(setup, "hygiene", &secret);
    let guest = Guest::new(setup, "hygiene");
    let held =
        guest.ask(setup, vec![wanted(Operation::Release, "aes"), wanted(Operation::Release, "db")]).unwrap();
    let mut secrets = spellings(&secret);
    for answer in held.outcome.answers {
        let OpenedContent::Kek(kek) = answer.unwrap().content else { panic!("no KEK") };
        let bytes = kek.to_bytes().expose();
        secrets.extend(spellings(bytes));
        // Of an RSA key, its first prime and what follows would do as well.
        if matches!(kek, Kek::Rsa(_)) {
            let middle = bytes.len() / 2;
            secrets.extend(spellings(&bytes[middle..middle + 64]));
        }
    }
    let encrypted = setup.encrypt("db", b"data", "hygiene", &[]);
    let (output, plain) = (setup.path("hygiene.secret"), setup.path("hygiene.plain"));
    let agent = |arguments: &[&str]| {
        let mut command = setup.command("keyfast");
        command
            .args(["dev", "guest", "hygiene", "--", "keyfast-agent"])
            .args(arguments)
            .env("KEYFAST_LOG", "trace");
        Run::from(command.output().unwrap()).success()
    };
    let runs = [
        said,
        agent(&["secret", "hygiene", "-o", output.to_str().unwrap()]),
        agent(&["decrypt", &encrypted, "--via", "release", "-o", plain.to_str().unwrap()]),
        agent(&["--log-format", "json", "decrypt", &encrypted, "-o", plain.to_str().unwrap()]),
        setup.keyfast(&["keys", "list"]).success(),
        setup.keyfast(&["dev", "status"]).success(),
    ];
    assert_eq!(fs::read(&output).unwrap(), secret, "the guest has it");
    for run in runs {
        assert_absent("standard output", run.stdout.as_bytes(), &secrets);
        assert_absent("standard error", run.stderr.as_bytes(), &secrets);
    }
    let size = || crate::journal::published(&setup.journal()).size;
    let before = size();
    setup.guest("hygiene", &[], &["renew", "aes"]).success();
    wait_until("everything is published", || size() > before);
    let all = files(&setup.dev(""));
    for name in ["keyfast-broker.log", "keyfast-simtee.log", "keyfast.sqlite", "checkpoint"] {
        assert!(all.iter().any(|path| path.ends_with(name)), "{name} was looked at");
    }
    for path in all {
        // A file of the log's may be replaced meanwhile.
        let Ok(bytes) = fs::read(&path) else { continue };
        assert_absent(&path.display().to_string(), &bytes, &secrets);
    }
    for process in ["keyfast-broker", "keyfast-simtee"] {
        let proc = PathBuf::from(format!("/proc/{}", setup.pid(process)));
        assert_absent("arguments", &fs::read(proc.join("cmdline")).unwrap(), &secrets);
        // Of a process that is not dumpable, nobody but root may read it at all.
        if let Ok(environment) = fs::read(proc.join("environ")) {
            assert_absent("the environment", &environment, &secrets);
        }
    }
    let broker = PathBuf::from(format!("/proc/{}", setup.pid("keyfast-broker")));
    let limits = fs::read_to_string(broker.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}

#[test]
fn files_that_hold_a_secret_are_the_owners_alone() {
    let setup = shared();
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    let private = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.contains(".key")
            || name.starts_with("keyfast.sqlite")
            || name.ends_with(".toml") && path.starts_with(setup.dev("guests"))
    };
    let found: Vec<_> = files(&setup.dev("")).into_iter().filter(private).collect();
    let named = |name: &str| found.iter().any(|path| path.ends_with(name));
    for name in [
        "identity.key",
        "journal.key",
        "challenge.key",
        "root.key",
        "tls.key",
        "ca.key",
        "ark.key.der",
        "ask.key.der",
        "chip.key",
        "keyfast.sqlite",
    ] {
        assert!(named(name), "{name}");
    }
    for path in found.iter().filter(|path| !path.ends_with("altered.toml")) {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    for directory in ["", "broker", "simtee", "simtee/guests"] {
        assert_eq!(mode(&setup.dev(directory)), 0o700, "{directory}");
    }
    for socket in ["broker/admin.sock", "simtee/control.sock"] {
        assert_eq!(mode(&setup.dev(socket)), 0o600, "{socket}");
    }
}
