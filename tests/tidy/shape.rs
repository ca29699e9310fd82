//! Module docs, length and names.

use crate::Violation;
use crate::source::{Layers, line_of};
use crate::tree::File;

/// Most lines of a Rust file.
const FILE_LINES: usize = 600;
/// Most lines of a function outside tests.
const FUNCTION_LINES: usize = 60;
/// Fewest words of a module doc.
const DOC_WORDS: usize = 4;

/// A file of the product that does not open with a module doc of at least a sentence.
pub fn undocumented(file: &File) -> Option<Violation> {
    if !file.path.starts_with("crates/") {
        return None;
    }
    let doc: Vec<&str> = file.text.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let doc = doc.join(" ");
    let sentence = doc.split_whitespace().count() >= DOC_WORDS && doc.contains(['.', ':']);
    let what = if doc.is_empty() { "opens without a module doc" } else { "its module doc is no sentence" };
    let instead = "say in `//!` what it is for, what it must never do, and where its format comes from";
    (!sentence).then(|| Violation::new(format!("{}:1", file.path), what, instead))
}

/// Files and functions that are too long.
pub fn too_long(file: &File) -> Vec<Violation> {
    let lines = file.text.lines().count();
    let instead = format!("split it by what its parts are for; {FILE_LINES} is the most");
    let long_file =
        (lines > FILE_LINES).then(|| Violation::new(&file.path, format!("{lines} lines"), instead));
    let layers = Layers::of(&file.text);
    let tests = layers.test_lines();
    let functions = layers.functions().into_iter().filter_map(|function| {
        let (first, last) = (*function.lines.start(), *function.lines.end());
        let length = last + 1 - first;
        let in_test = is_test_file(&file.path) || tests.iter().any(|lines| lines.contains(&first));
        (length > FUNCTION_LINES && !in_test).then(|| {
            let what = format!("function `{}` has {length} lines", function.name);
            let instead = format!("name its steps and let each be a function; {FUNCTION_LINES} is the most");
            Violation::new(format!("{}:{first}", file.path), what, instead)
        })
    });
    long_file.into_iter().chain(functions).collect()
}

/// Names that say nothing.
pub fn vague_names(file: &File) -> Vec<Violation> {
    let stem = |part: &str| part.strip_suffix(".rs").unwrap_or(part).to_owned();
    let vague = file.path.split('/').map(stem).find(|part| VAGUE.contains(&part.as_str()));
    let path = vague.map(|part| {
        Violation::new(&file.path, format!("a module named `{part}`"), "name it after what it holds")
    });
    let code = Layers::of(&file.text).code;
    let getters = code.match_indices("fn get_").map(|(at, _)| {
        let place = format!("{}:{}", file.path, line_of(&code, at));
        Violation::new(place, "a function named `get_…`", "name it after what it gives")
    });
    path.into_iter().chain(getters).collect()
}

/// Whether a whole file is test code.
pub fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "tests.rs"))
}

const VAGUE: [&str; 8] = ["utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"];

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    #[test]
    fn a_file_without_a_module_doc_is_named() {
        for bad in [
            "",
            "use a::b;\n",
            "// A comment, and no more.\n",
            "//! Keys.\n",
            "//!\n//!\n",
            "\n//! What it is for.\n",
        ] {
            let found = undocumented(&file("crates/a/src/b.rs", bad));
            assert_eq!(found.map(|v| v.place).as_deref(), Some("crates/a/src/b.rs:1"), "{bad:?}");
        }
        assert_eq!(undocumented(&file("crates/a/src/b.rs", "//! What it is for.\n\nuse a::b;\n")), None);
    }

    #[test]
    fn a_long_file_and_a_long_function_are_named() {
        let long = format!(
            "//! Doc.\nfn short() {{}}\nfn long() {{\n{}}}\n",
            "    step();\n".repeat(FUNCTION_LINES - 1)
        );
        let found = too_long(&file("crates/a/src/b.rs", &long));
        let seen: Vec<_> = found.iter().map(|v| (v.place.as_str(), v.what.as_str())).collect();
        assert_eq!(seen, [("crates/a/src/b.rs:3", "function `long` has 61 lines")]);
        assert_eq!(too_long(&file("crates/a/tests/b.rs", &long)), []);
        assert_eq!(
            too_long(&file("crates/a/src/b.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}\n"))),
            []
        );
        let lines = "// a line\n".repeat(FILE_LINES + 1);
        assert_eq!(
            too_long(&file("crates/a/src/b.rs", &lines)).first().map(|v| v.what.as_str()),
            Some("601 lines")
        );
    }

    #[test]
    fn names_that_say_nothing_are_named() {
        let found = vague_names(&file(
            "crates/a/src/utils.rs",
            "fn forget_it() {}\n\nfn get_key() {}\nfn get() {}\n",
        ));
        let places: Vec<_> = found.iter().map(|v| v.place.as_str()).collect();
        assert_eq!(places, ["crates/a/src/utils.rs", "crates/a/src/utils.rs:3"]);
    }
}
