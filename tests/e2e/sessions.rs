//! Recorded sessions with a broker that runs: what is typed, what is printed, and the exit code, for good and bad input.
//!
//! A session is a text file in `sessions/`: `$ COMMAND`, what it prints (standard output, then standard error), and
//! `[exit N]`. What differs from run to run is replaced: `DIR` is the set-up's directory, `REQUEST` a request id (typed, it
//! is the last that was printed), `TIME` a time, `DIGEST` a bundle's. `next.efi` is an image to boot next; `alice`, `bob`
//! and `mallory` are SSH keys, and `old` one of another kind. `restart-with LINE` restarts the broker with this line at
//! the top of its configuration, in which `alice.pub` stands for that key. `KEYFAST_RECORD=1` writes anew what is printed;
//! read the difference before you keep it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::preflight::image;
use crate::setup::Setup;

#[test]
fn sessions_go_as_they_are_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/sessions");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let recorded = fs::read_to_string(&path).unwrap();
        let went = went(&recorded);
        if std::env::var_os("KEYFAST_RECORD").is_some() {
            fs::write(&path, &went).unwrap();
        } else {
            assert_eq!(recorded, went, "{}", path.display());
        }
        // An error is one line, as long as it is.
        let is_error = |line: &&str| {
            line.contains("keyfast-agent: ") || line.starts_with("error: ") || line.starts_with("keyfast: ")
        };
        for line in went.lines().filter(|line| !line.starts_with(['$', '#']) && !is_error(line)) {
            assert!(line.chars().count() <= 100, "{}: over 100 columns: {line}", path.display());
        }
        seen += 1;
    }
    assert!(seen > 0, "no sessions");
}

/// Types the commands of a session in a set-up of its own.
fn went(recorded: &str) -> String {
    let setup = Setup::up();
    image(&setup, "next.efi", b"kernel 2");
    for (name, kind) in [("alice", "ed25519"), ("bob", "ed25519"), ("mallory", "ed25519"), ("old", "ecdsa")] {
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", kind, "-N", "", "-C", name, "-f"]).arg(setup.path(name));
        assert!(make.status().unwrap().success());
    }
    let head: String = recorded.split_inclusive('\n').take_while(|line| !line.starts_with("$ ")).collect();
    let mut last_request = String::new();
    let typed = recorded.lines().filter_map(|line| line.strip_prefix("$ "));
    let steps: Vec<String> = typed
        .map(|typed| {
            let line = typed.replace("REQUEST", &last_request);
            let (program, arguments) = line.split_once(' ').unwrap();
            if program == "restart-with" {
                setup.reconfigure(|config| format!("{}\n{config}", with_keys(&setup, arguments)));
                return format!("$ {typed}\n[exit 0]\n");
            }
            let output = setup.command(program).args(arguments.split(' ')).output().unwrap();
            let printed = [output.stdout, output.stderr].concat();
            let printed =
                String::from_utf8(printed).unwrap().replace(setup.path("").to_str().unwrap(), "DIR/");
            if let Some(request) = requests(&printed).last() {
                last_request = (*request).to_owned();
            }
            format!("$ {typed}\n{}[exit {}]\n", masked(&printed), output.status.code().unwrap())
        })
        .collect();
    head + &steps.join("\n")
}

/// The line with keys for the names of their files.
fn with_keys(setup: &Setup, line: &str) -> String {
    ["alice.pub", "bob.pub", "mallory.pub"].into_iter().fold(line.to_owned(), |line, name| {
        line.replace(name, fs::read_to_string(setup.path(name)).unwrap().trim())
    })
}

/// Words of 32 hexadecimal digits.
fn requests(printed: &str) -> Vec<&str> {
    let words = printed.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit())).collect()
}

/// How lines begin that end with the digest of a bundle.
const OF_BUNDLES: [&str; 4] = ["policy ", "digest ", "before ", "in force "];

fn masked(printed: &str) -> String {
    let mut text = printed.to_owned();
    let last_words = printed
        .lines()
        .filter(|line| OF_BUNDLES.iter().any(|begin| line.starts_with(begin)))
        .filter_map(|line| line.split(' ').next_back());
    for digest in last_words.filter(|word| word.len() == 64) {
        text = text.replace(digest, "DIGEST");
    }
    for request in requests(printed) {
        text = text.replace(request, "REQUEST");
    }
    let words: Vec<&str> = printed.split_whitespace().collect();
    for time in words.into_iter().filter(|word| word.len() == 20 && word.ends_with('Z') && word.contains("T"))
    {
        text = text.replace(time, "TIME");
    }
    text
}
