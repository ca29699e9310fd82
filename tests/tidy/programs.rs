//! What tests start is there on a fresh machine: `tools/setup` asks for it, or every Debian has it.

use crate::Violation;
use crate::source::line_of;
use crate::tree::Tree;

/// Where a program is asked for before it is installed.
const SETUP: &str = "tools/setup";
/// On every machine that can clone and build.
const EVERYWHERE: [&str; 3] = ["bash", "kill", "sh"];
/// How a program is started by its name.
const START: &str = "Command::new(\"";

/// Programs that code and tests start by name, and that the set-up does not look for.
pub fn not_set_up(tree: &Tree) -> Vec<Violation> {
    let setup = tree.files.iter().find(|file| file.path == SETUP);
    let words: Vec<&str> = setup.iter().flat_map(|file| file.text.split_whitespace()).collect();
    let mut found = Vec::new();
    for file in tree.rust().filter(|file| ["crates/", "tests/"].iter().any(|at| file.path.starts_with(at))) {
        for (at, _) in file.text.match_indices(START) {
            let rest = file.text.get(at + START.len()..).unwrap_or_default();
            let program = rest.split('"').next().unwrap_or_default();
            if !EVERYWHERE.contains(&program) && !words.contains(&program) && !program.ends_with('\\') {
                let place = format!("{}:{}", file.path, line_of(&file.text, at));
                found.push(Violation::new(
                    place,
                    format!("starts `{program}`"),
                    "have tools/setup ask for it",
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_nobody_installs_is_named() {
        let code = "fn f() {\n    Command::new(\"swtpm\"); Command::new(\"swtpm_setup\"); Command::new(\"sh\");\n}\n";
        let setup = "command -v swtpm >/dev/null || echo swtpm\n";
        let tree = Tree::of(&[("crates/a/tests/b.rs", code), ("tools/bench/src/c.rs", code), (SETUP, setup)]);
        let expected =
            Violation::new("crates/a/tests/b.rs:2", "starts `swtpm_setup`", "have tools/setup ask for it");
        assert_eq!(not_set_up(&tree), [expected]);
        assert_eq!(not_set_up(&Tree::of(&[("tests/b.rs", code)])).len(), 2);
    }
}
