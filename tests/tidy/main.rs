//! Tidy: what no compiler checks about this tree, as tests.
//!
//! Each rule is a function from the tree, or from a part of it, to [`Violation`]s; each violation says where, what,
//! and what to do instead. Beside every rule stands a test that feeds it a made-up offence, so that a rule which
//! no longer bites is seen. There is no list of pardons: a rule that does not fit is changed here, with a reason.
//!
//! This test must never build the workspace, reach for the network, or write a file.

mod arrows;
mod documents;
mod members;
mod packages;
mod programs;
mod shape;
mod source;
mod tree;
mod words;

use members::Members;
use tree::Tree;

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    /// Path from the workspace root, with the line where there is one: `crates/keys/src/kek.rs:12`.
    place: String,
    /// What stands there.
    what: String,
    /// What to do about it.
    instead: String,
}

impl Violation {
    fn new(place: impl Into<String>, what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into(), instead: instead.into() }
    }
}

/// Fails with every violation, one a line.
#[track_caller]
fn assert_none(violations: Vec<Violation>) {
    let lines: Vec<String> =
        violations.iter().map(|v| format!("  {}: {}; {}", v.place, v.what, v.instead)).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn crates_name_each_other_only_along_the_arrows() {
    assert_none(arrows::undeclared(&Members::load()));
}

#[test]
fn what_must_not_be_reached_is_not_reached() {
    assert_none(arrows::reached(&Members::load()));
}

#[test]
fn only_the_crates_listed_name_a_primitive() {
    assert_none(packages::misplaced(&Members::load()));
}

#[test]
fn no_binary_ships_a_forbidden_package() {
    for binary in packages::SHIPPED {
        assert_none(packages::forbidden(binary, &packages::resolve(binary)));
    }
}

#[test]
fn every_member_takes_the_lints_and_the_metadata_of_the_workspace() {
    assert_none(members::without_workspace_settings(&Members::load()));
}

#[test]
fn every_file_opens_by_saying_what_it_is_for() {
    assert_none(Tree::load().rust().flat_map(shape::undocumented).collect());
}

#[test]
fn files_and_functions_stay_short() {
    let tree = Tree::load();
    assert_none(tree.rust().flat_map(shape::too_long).collect());
}

#[test]
fn names_say_what_a_thing_is() {
    assert_none(Tree::load().rust().flat_map(shape::vague_names).collect());
}

#[test]
fn banned_calls_are_absent() {
    assert_none(Tree::load().rust().flat_map(words::banned).collect());
}

#[test]
fn nothing_is_left_to_do_later() {
    assert_none(Tree::load().rust().flat_map(words::unfinished).collect());
}

#[test]
fn no_file_names_one_machine_or_a_registry() {
    assert_none(Tree::load().files.iter().flat_map(words::local).collect());
}

#[test]
fn links_in_documents_lead_somewhere() {
    assert_none(documents::broken_links(&Tree::load()));
}

#[test]
fn the_documents_a_reader_looks_for_are_there() {
    assert_none(documents::missing(&Tree::load()));
}

#[test]
fn what_tests_start_is_set_up() {
    assert_none(programs::not_set_up(&Tree::load()));
}

#[test]
fn every_policy_has_cases_and_every_case_a_policy() {
    assert_none(documents::policies_without_cases(&Tree::load()));
}
