//! Documents lead somewhere, and policies come with cases.

use std::collections::BTreeSet;

use crate::Violation;
use crate::source::line_of;
use crate::tree::{File, Tree};

/// What a reader, or a tool, looks for by name.
const EXPECTED: [&str; 8] = [
    "ARCHITECTURE.md",
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "crates/wire/SPEC.md",
    "deny.toml",
    ".ci/run",
];

/// The folder of the policies.
const POLICIES: &str = "attestation-policies";

/// Documents that are not there.
pub fn missing(tree: &Tree) -> Vec<Violation> {
    let absent = EXPECTED.into_iter().filter(|path| !tree.paths.contains(*path));
    absent
        .map(|path| Violation::new(path, "is not there", "write it: readers and tools look for it"))
        .collect()
}

/// Links in Markdown files whose file, folder or heading does not exist.
pub fn broken_links(tree: &Tree) -> Vec<Violation> {
    tree.ending(".md").flat_map(|file| broken_links_in(file, tree)).collect()
}

fn broken_links_in(file: &File, tree: &Tree) -> Vec<Violation> {
    let text = without_code(&file.text);
    let broken = text.match_indices("](").filter_map(|(at, _)| {
        let target = text.get(at + 2..)?.split([')', ' ']).next()?;
        let elsewhere = target.contains("://") || target.starts_with("mailto:");
        (!elsewhere && !leads_somewhere(target, file, tree)).then(|| {
            let place = format!("{}:{}", file.path, line_of(&text, at));
            Violation::new(place, format!("a link to `{target}`"), "link to a file and heading that exist")
        })
    });
    broken.collect()
}

fn leads_somewhere(target: &str, from: &File, tree: &Tree) -> bool {
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() { Some(from.path.clone()) } else { resolve(&from.path, path) };
    let Some(path) = path.filter(|path| path.is_empty() || tree.paths.contains(path)) else {
        return false;
    };
    let Some(anchor) = anchor.filter(|_| path.ends_with(".md")) else {
        return true;
    };
    let headings = tree.files.iter().filter(|file| file.path == path).flat_map(|file| headings(&file.text));
    headings.collect::<BTreeSet<_>>().contains(anchor)
}

/// A relative link's path from the root, or `None` if it leaves the tree.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchors of a document's headings: lower case, letters and digits, `-` for each space.
fn headings(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    lines.map(anchor).collect()
}

/// The text with code, fenced or between backticks, blank, so that its lines keep their numbers.
fn without_code(text: &str) -> String {
    let mut fenced = false;
    let line = |line: &str| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        if fenced || fence { String::new() } else { without_spans(line) }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn without_spans(line: &str) -> String {
    let parts = line.split('`').enumerate();
    parts.map(|(i, part)| if i % 2 == 0 { part } else { "code" }).collect()
}

/// Policies without cases that they permit and deny, and cases without a policy.
///
/// A policy is `attestation-policies/**/NAME.cedar`; its cases are the files in
/// `attestation-policies/cases/NAME/permit` and `…/deny`. A policy that has no `permit` needs only the latter.
pub fn policies_without_cases(tree: &Tree) -> Vec<Violation> {
    let policies: Vec<&File> =
        tree.ending(".cedar").filter(|file| file.path.starts_with(&format!("{POLICIES}/"))).collect();
    let absent = policies.iter().flat_map(|policy| {
        let wanted = if permits(&policy.text) { ["permit", "deny"].as_slice() } else { &["deny"] };
        let folders = wanted.iter().map(|outcome| format!("{POLICIES}/cases/{}/{outcome}", name(policy)));
        let empty =
            folders.filter(|folder| !tree.paths.iter().any(|path| path.starts_with(&format!("{folder}/"))));
        let violation =
            |folder| Violation::new(&policy.path, format!("has no case in `{folder}`"), "add one");
        empty.map(violation).collect::<Vec<_>>()
    });
    let names: BTreeSet<&str> = policies.iter().map(|policy| name(policy)).collect();
    let cases = tree.paths.iter().filter_map(|path| {
        let name = path.strip_prefix(POLICIES)?.strip_prefix("/cases/")?;
        (!name.contains('/') && !name.contains('.') && !names.contains(name)).then_some(path)
    });
    let orphans =
        cases.map(|path| Violation::new(path, "holds cases of no policy", "name it after one, or delete it"));
    absent.chain(orphans).collect()
}

/// A policy's file name without its ending.
fn name(policy: &File) -> &str {
    let file = policy.path.rsplit('/').next().unwrap_or_default();
    file.strip_suffix(".cedar").unwrap_or(file)
}

/// Whether a policy's text, comments aside, has a rule that permits.
fn permits(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with("permit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(violations: Vec<Violation>) -> Vec<String> {
        violations.into_iter().map(|v| format!("{} {}", v.place, v.what)).collect()
    }

    #[test]
    fn a_link_to_nowhere_is_named_with_its_line() {
        let text = "# Title\n[a](docs/a.md) [b](docs/b.md)\n[c](docs/a.md#part-two) [d](docs/a.md#part-three)\n\
                    [e](https://e.example) [f](#title) [g](../up) `[h](h.md)`\n```\n[i](i.md)\n```\n[j](docs)";
        let tree = Tree::of(&[("README.md", text), ("docs/a.md", "## Part, two\n[up](../README.md)\n")]);
        let expected = [
            "README.md:2 a link to `docs/b.md`",
            "README.md:3 a link to `docs/a.md#part-three`",
            "README.md:4 a link to `../up`",
        ];
        assert_eq!(places(broken_links(&tree)), expected);
    }

    #[test]
    fn a_document_that_is_not_there_is_named() {
        let there: Vec<(&str, &str)> = EXPECTED.iter().map(|path| (*path, "")).collect();
        assert_eq!(missing(&Tree::of(&there)), []);
        let (_, all_but_first) = there.split_first().unwrap();
        assert_eq!(places(missing(&Tree::of(all_but_first))), ["ARCHITECTURE.md is not there"]);
    }

    #[test]
    fn policies_and_cases_belong_together() {
        let tree = Tree::of(&[
            (
                "attestation-policies/a.cedar",
                "// permit nothing\npermit (principal is Guest, action, resource);",
            ),
            (
                "attestation-policies/none.cedar",
                "// permit nothing\nforbid (principal is Guest, action, resource);",
            ),
            ("attestation-policies/cases/a/permit/one.toml", ""),
            ("attestation-policies/cases/none/deny/one.toml", ""),
            ("attestation-policies/cases/gone/deny/one.toml", ""),
        ]);
        let expected = [
            "attestation-policies/a.cedar has no case in `attestation-policies/cases/a/deny`",
            "attestation-policies/cases/gone holds cases of no policy",
        ];
        assert_eq!(places(policies_without_cases(&tree)), expected);
    }
}
