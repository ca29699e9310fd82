//! Banned calls and words, each with its replacement.

use crate::Violation;
use crate::shape::is_test_file;
use crate::source::{Layers, line_of, words};
use crate::tree::File;

/// Where a ban holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// In every Rust file, tests included.
    Everywhere,
    /// In every Rust file but those of [`UNSAFE`] and [`COUNTING`].
    OutsideUnsafe,
    /// In the product's code but for [`SHELLS`].
    BelowShells,
    /// In the crates without a binary.
    Libraries,
    /// In the crates that do no I/O.
    WithoutIo,
}

/// Files and folders whose code meets the world: it reads the clock and passes it down, or bounds its own I/O by it.
const SHELLS: [&str; 6] = [
    "crates/agent/src/shell.rs",
    "crates/attester/src/deadline.rs",
    "crates/broker/src/main.rs",
    "crates/broker/src/public.rs",
    "crates/cli/src/",
    "crates/simtee/src/main.rs",
];

/// The crates with a binary: they print, and read their environment.
const BINARIES: [&str; 4] = ["agent", "broker", "cli", "simtee"];

/// The crates that may hold `unsafe`.
const UNSAFE: [&str; 2] = ["secret", "attester"];

/// A test's own allocator, which no crate can offer.
const COUNTING: &str = "crates/evidence/tests/allocations.rs";

/// The crates that do no I/O.
const WITHOUT_IO: [&str; 10] =
    ["claims", "crypto", "evidence", "measure", "verify", "policy", "keys", "tlog", "journal", "wire"];

const NOW: &str = "take `now` as an argument; only the shells listed in `tests/tidy/words.rs` read a clock";
const PRINT: &str = "return the text, or log it with `tracing`; only binaries print";
const ENVIRONMENT: &str = "take the value as an argument; only binaries read their environment";
const IO: &str = "take bytes or a reader as an argument; this crate does no I/O";

/// A call or word, where it is banned, and what to do instead.
const BANNED: [(&str, Reach, &str); 19] = [
    ("todo!", Reach::Everywhere, "write it, or leave it out"),
    ("unimplemented!", Reach::Everywhere, "write it, or leave it out"),
    ("dbg!", Reach::Everywhere, "assert it in a test"),
    ("#[ignore", Reach::Everywhere, "make the test pass, or delete it"),
    (
        "unsafe",
        Reach::OutsideUnsafe,
        "use what `secret` and `attester` offer, or a safe crate such as `rustix`",
    ),
    ("SystemTime::now", Reach::BelowShells, NOW),
    ("Instant::now", Reach::BelowShells, NOW),
    ("Utc::now", Reach::BelowShells, NOW),
    ("print!", Reach::Libraries, PRINT),
    ("println!", Reach::Libraries, PRINT),
    ("eprint!", Reach::Libraries, PRINT),
    ("eprintln!", Reach::Libraries, PRINT),
    ("env::var", Reach::Libraries, ENVIRONMENT),
    ("env::var_os", Reach::Libraries, ENVIRONMENT),
    ("env::vars", Reach::Libraries, ENVIRONMENT),
    ("process::exit", Reach::Libraries, "return an error; only a `main` ends the process"),
    ("std::fs", Reach::WithoutIo, IO),
    ("std::net", Reach::WithoutIo, IO),
    ("tokio", Reach::WithoutIo, IO),
];

/// Banned calls in a Rust file.
pub fn banned(file: &File) -> Vec<Violation> {
    let layers = Layers::of(&file.text);
    let tests = layers.test_lines();
    let found = BANNED.into_iter().flat_map(|(word, reach, instead)| {
        let lines = words(&layers.code, word).map(|at| line_of(&layers.code, at));
        let in_tests = |line: &usize| tests.iter().any(|lines| lines.contains(line));
        let held = lines.filter(|line| holds(reach, &file.path, in_tests(line)));
        let violation = |line| Violation::new(format!("{}:{line}", file.path), format!("`{word}`"), instead);
        held.map(violation).collect::<Vec<_>>()
    });
    found.collect()
}

/// Whether a ban holds at a line of this file.
fn holds(reach: Reach, path: &str, in_tests: bool) -> bool {
    let of_crate = |names: &[&str]| names.iter().any(|name| path.starts_with(&format!("crates/{name}/")));
    let product = path.starts_with("crates/") && !is_test_file(path) && !in_tests;
    match reach {
        Reach::Everywhere => true,
        Reach::OutsideUnsafe => !of_crate(&UNSAFE) && path != COUNTING,
        Reach::BelowShells => product && !SHELLS.iter().any(|shell| path.starts_with(shell)),
        Reach::Libraries => product && !of_crate(&BINARIES),
        Reach::WithoutIo => product && of_crate(&WITHOUT_IO),
    }
}

/// Comments that put work off.
pub fn unfinished(file: &File) -> Vec<Violation> {
    let comments = Layers::of(&file.text).comments;
    let found = ["TODO", "FIXME", "XXX", "HACK"].into_iter().flat_map(|word| {
        let places = words(&comments, word).map(|at| format!("{}:{}", file.path, line_of(&comments, at)));
        let instead = "do it, or file it where work is planned";
        places.map(|place| Violation::new(place, format!("`{word}`"), instead)).collect::<Vec<_>>()
    });
    found.collect()
}

/// Paths of one machine, and hosts of package registries, in any text file but a lock.
pub fn local(file: &File) -> Vec<Violation> {
    if file.path.ends_with("Cargo.lock") {
        return Vec::new();
    }
    let folders = LOCAL_FOLDERS.into_iter().map(|name| {
        (
            format!("/{name}/"),
            "a path of one machine",
            "start from the manifest's folder, an argument or a setting",
        )
    });
    let hosts = REGISTRIES.into_iter().map(|(name, domain)| {
        let instead = "let the package manager's own configuration say where packages come from";
        (format!("{name}.{domain}"), "the host of a package registry", instead)
    });
    let found = folders.chain(hosts).flat_map(|(needle, what, instead)| {
        let at = file.text.match_indices(&needle).map(|(at, _)| at);
        let at = at.filter(|at| !needle.starts_with('/') || starts_a_path(&file.text, *at));
        let place = |at| format!("{}:{}", file.path, line_of(&file.text, at));
        at.map(|at| Violation::new(place(at), format!("{what}, `{needle}`"), instead)).collect::<Vec<_>>()
    });
    found.collect()
}

/// Whether the `/` at this position begins an absolute path: nothing of a path stands before it.
fn starts_a_path(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default().chars().next_back();
    !before.is_some_and(|c| {
        c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | ')' | '~' | '/' | '>' | '*')
    })
}

/// Folders at the root of somebody's machine.
const LOCAL_FOLDERS: [&str; 4] = ["work", "root", "farm", "home"];

/// Hosts of package registries, in two parts so that this file names none.
const REGISTRIES: [(&str, &str); 8] = [
    ("static.crates", "io"),
    ("index.crates", "io"),
    ("crates", "io/"),
    ("pypi", "org"),
    ("files.pythonhosted", "org"),
    ("deb.debian", "org"),
    ("archive.ubuntu", "com"),
    ("registry.npmjs", "org"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rule: fn(&File) -> Vec<Violation>, path: &str, text: &str) -> Vec<String> {
        let file = File { path: path.into(), text: text.into() };
        rule(&file).into_iter().map(|v| format!("{} {}", v.place, v.what)).collect()
    }

    #[test]
    fn every_banned_word_bites_where_its_ban_holds() {
        for (word, reach, _) in BANNED {
            let path = "crates/claims/src/a.rs";
            let text = format!("fn f() {{\n    {word}(x);\n}}\n");
            let bites = found(banned, path, &text);
            assert!(bites.contains(&format!("{path}:2 `{word}`")), "{word} {reach:?}: {bites:?}");
        }
    }

    #[test]
    fn words_in_comments_strings_and_longer_words_do_not_count() {
        let text = "// todo!()\nfn f() { g(\"dbg!(x)\"); is_unsafe(); }\n#![deny(unsafe_code)]\n";
        assert!(found(banned, "crates/claims/src/a.rs", text).is_empty());
    }

    #[test]
    fn tests_may_print_and_read_the_clock_but_not_be_ignored() {
        let text =
            "#[cfg(test)]\nmod tests {\n    #[ignore]\n    fn f() { println!(); Instant::now(); }\n}\n";
        assert_eq!(found(banned, "crates/claims/src/a.rs", text), ["crates/claims/src/a.rs:3 `#[ignore`"]);
        let text = "fn f() { println!(); Instant::now(); }\n";
        assert!(found(banned, "crates/claims/tests/a.rs", text).is_empty());
        assert!(found(banned, "tests/e2e/main.rs", text).is_empty());
    }

    #[test]
    fn a_shell_reads_the_clock_and_nothing_below_it_does() {
        let text = "fn f() { SystemTime::now(); }\n";
        assert!(found(banned, "crates/broker/src/public.rs", text).is_empty());
        assert_eq!(found(banned, "crates/broker/src/session.rs", text).len(), 1);
    }

    #[test]
    fn unsafe_code_has_two_homes() {
        let text = "fn f() { unsafe { g() } }\n";
        assert!(found(banned, "crates/secret/src/a.rs", text).is_empty());
        assert!(found(banned, COUNTING, text).is_empty());
        assert_eq!(found(banned, "crates/evidence/src/lib.rs", text).len(), 1);
        assert_eq!(found(banned, "crates/store/tests/a.rs", text), ["crates/store/tests/a.rs:1 `unsafe`"]);
    }

    #[test]
    fn work_put_off_is_found_in_comments_only() {
        let text = format!("/// {}: check it\nfn f() {{ g(\"TODO\"); }}\n", "TODO");
        assert_eq!(found(unfinished, "crates/a/src/b.rs", &text), ["crates/a/src/b.rs:1 `TODO`"]);
    }

    #[test]
    fn paths_of_one_machine_and_registry_hosts_are_found_in_any_text() {
        let text = format!("see\n`/{}/main`\nand {}.{}\n", "work", "pypi", "org");
        let expected = [
            format!("README.md:2 a path of one machine, `/{}/`", "work"),
            format!("README.md:3 the host of a package registry, `{}.{}`", "pypi", "org"),
        ];
        assert_eq!(found(local, "README.md", &text), expected);
        assert!(
            found(local, "README.md", &format!("tests/{0}/x, a frame{0}/x and ~/{0}/x\n", "work")).is_empty()
        );
        assert!(found(local, "Cargo.lock", &text).is_empty());
    }
}
