//! Recorded sessions of `keyfast policy`: what is typed, what is printed, and the exit code, for good and for bad input.
//!
//! A session is a text file in `sessions/`. Lines of `= FILE` begin a file that the session finds in its directory, lines
//! of `$ ...` are typed, what follows is printed (standard output, then standard error) up to `[exit N]`. The directory
//! also holds the shipped schema, reference values, policies and cases, twice (`attestation-policies` and `proposed`), and
//! past decisions (`decisions.jsonl`). Milliseconds at the end of a line are `N ms`. `KEYFAST_RECORD=1` writes anew what is
//! printed; read the difference before you keep it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// A command and what it prints.
struct Step {
    typed: String,
    printed: String,
}

/// Comments and files as they stand, and the steps.
struct Session {
    head: String,
    files: Vec<(String, String)>,
    steps: Vec<Step>,
}

impl Session {
    fn parse(text: &str) -> Self {
        let (mut head, mut files, mut steps) =
            (String::new(), Vec::<(String, String)>::new(), Vec::<Step>::new());
        for line in text.split_inclusive('\n') {
            if let Some(typed) = line.strip_prefix("$ ") {
                steps.push(Step { typed: typed.trim_end().to_owned(), printed: String::new() });
            } else if let Some(step) = steps.last_mut() {
                step.printed.push_str(line);
            } else {
                head.push_str(line);
                match (line.strip_prefix("= "), files.last_mut()) {
                    (Some(name), _) => files.push((name.trim_end().to_owned(), String::new())),
                    (None, Some((_, text))) => text.push_str(line),
                    (None, None) => {}
                }
            }
        }
        Self { head, files, steps }
    }

    /// Runs every step in a directory of its own; the session as it went.
    fn run(&self) -> String {
        let dir = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../attestation-policies");
        for name in ["attestation-policies", "proposed"] {
            copy(&shipped, &dir.path().join(name));
        }
        let decisions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decisions.jsonl");
        fs::copy(decisions, dir.path().join("decisions.jsonl")).unwrap();
        for (name, text) in &self.files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let steps =
            self.steps.iter().map(|step| format!("$ {}\n{}", step.typed, run(&step.typed, dir.path())));
        self.head.clone() + &steps.collect::<Vec<_>>().join("\n")
    }
}

/// Commands, each with the output of the one before as its input, the first with a file if it ends in `< FILE`; what they
/// say as errors, and what the last prints.
fn run(typed: &str, dir: &Path) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(dir.to_str().unwrap(), "DIR");
    let (mut printed, mut errors, mut code) = (Vec::new(), String::new(), None);
    for command in typed.split(" | ") {
        let (command, file) = command.split_once(" < ").unwrap_or((command, ""));
        if !file.is_empty() {
            printed = fs::read(dir.join(file)).unwrap();
        }
        let mut words = command.split(' ');
        assert_eq!(words.next(), Some("keyfast"), "{typed}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
        command.args(words).current_dir(dir);
        command.env("KEYFAST_SIMTEE_KEYS", concat!(env!("CARGO_TARGET_TMPDIR"), "/simtee-keys"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        // What it does not read is lost, as in a pipe.
        let _closed = running.stdin.take().unwrap().write_all(&printed);
        let output = running.wait_with_output().unwrap();
        errors.push_str(&text(&output.stderr));
        (printed, code) = (output.stdout, output.status.code());
    }
    format!("{}{errors}[exit {}]\n", untimed(&text(&printed)), code.unwrap())
}

/// The text without how long anything took.
fn untimed(text: &str) -> String {
    let line = |line: &str| {
        let rest = line.strip_suffix(" ms\n").map(|head| head.trim_end_matches(|c: char| c.is_ascii_digit()));
        rest.map_or_else(|| line.to_owned(), |rest| format!("{rest}N ms\n"))
    };
    text.split_inclusive('\n').map(line).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Runs the session of this file.
fn check(path: &Path) {
    let recorded = fs::read_to_string(path).unwrap();
    let session = Session::parse(&recorded);
    assert!(!session.steps.is_empty(), "{}: nothing is typed", path.display());
    let went = session.run();
    if std::env::var_os("KEYFAST_RECORD").is_some() {
        fs::write(path, &went).unwrap();
    } else {
        assert_eq!(recorded, went, "{}", path.display());
    }
    for line in Session::parse(&went).steps.iter().flat_map(|step| step.printed.lines()) {
        // A line of a policy, of JSON, or of an error that names files is as long as it is.
        let ours = !line.contains('"') && !line.starts_with("keyfast: ") && !line.starts_with("error: ");
        assert!(!ours || line.chars().count() <= 100, "{}: over 100 columns: {line}", path.display());
    }
}

#[test]
fn sessions_go_as_they_are_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions");
    let paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(paths.len() > 8, "{} sessions", paths.len());
    let left = Mutex::new(paths.iter());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(path) = { left.lock().unwrap().next() } {
                    check(path);
                }
            });
        }
    });
}

#[test]
fn a_session_is_read_as_it_is_written() {
    let text = "# about\n= p/a.cedar\nrule;\n$ keyfast x\nout\n[exit 0]\n\n$ keyfast y\n[exit 1]\n";
    let session = Session::parse(text);
    assert_eq!(session.files, [("p/a.cedar".to_owned(), "rule;\n".to_owned())]);
    let steps: Vec<_> = session.steps.iter().map(|step| (&step.typed[..], &step.printed[..])).collect();
    assert_eq!(steps, [("keyfast x", "out\n[exit 0]\n\n"), ("keyfast y", "[exit 1]\n")]);
}
