//! A copy of the tree, whose one crate has all of its changes compiled in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use syn::visit_mut::VisitMut as _;

use crate::change::{Change, Genre};
use crate::failure::Failure;
use crate::places::Places;
use crate::rewrite::Rewrite;

/// The copy, and where its builds go.
pub(crate) struct Copy {
    /// The crate that is changed.
    pub(crate) name: String,
    root: PathBuf,
    /// For what is not the copy itself.
    pub(crate) scratch: PathBuf,
    target: PathBuf,
    /// The crate's sources as they were, by their paths in the tree.
    sources: BTreeMap<String, String>,
}

/// What could be compiled.
pub(crate) struct Compiled {
    /// The changes in the build.
    pub(crate) numbers: BTreeSet<usize>,
    /// How many do not compile in their own right.
    pub(crate) meaningless: usize,
    /// Those that this way of compiling them all cannot have.
    pub(crate) left: BTreeSet<usize>,
}

/// The function that every change asks.
const CHOSEN: &str = include_str!("chosen.rs");

impl Copy {
    /// Copies what git knows of, or would, of the tree around the current directory.
    pub(crate) fn make(name: &str, target: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(target).map_err(Failure::file(target))?;
        let target = target.canonicalize().map_err(Failure::file(target))?;
        let (root, scratch) = (target.join(name).join("tree"), target.join(name));
        let mut sources = BTreeMap::new();
        for file in tracked()? {
            let text = match fs::read(&file) {
                Ok(text) => text,
                // Deleted, and not yet committed.
                Err(_) => continue,
            };
            if file.starts_with(&format!("crates/{name}/src/")) {
                let text = String::from_utf8(text).map_err(|error| Failure::said(&file, error))?;
                sources.insert(file, text);
                continue;
            }
            let copied = root.join(&file);
            if fs::read(&copied).is_ok_and(|old| old == text) {
                continue;
            }
            if let Some(folder) = copied.parent() {
                fs::create_dir_all(folder).map_err(Failure::file(folder))?;
            }
            fs::copy(&file, &copied).map_err(Failure::file(&copied))?;
        }
        Ok(Self { name: name.to_owned(), root, scratch, target: target.join("target"), sources })
    }

    /// Rewrites the crate with as many changes as compile.
    pub(crate) fn compile(&self, changes: &[Change]) -> Result<Compiled, Failure> {
        let opaque = changes.iter().enumerate().filter(|(_, change)| change.returns_opaque());
        let mut left: BTreeSet<usize> = opaque.map(|(number, _)| number).collect();
        let mut meaningless = BTreeSet::new();
        loop {
            let out: BTreeSet<usize> = left.union(&meaningless).copied().collect();
            let (numbers, places) = self.rewrite(changes, &out)?;
            let blamed = self.blamed(changes, &places)?;
            if blamed.is_empty() {
                left.extend(
                    (0..changes.len())
                        .filter(|number| !numbers.contains(number) && !meaningless.contains(number)),
                );
                return Ok(Compiled { numbers, meaningless: meaningless.len(), left });
            }
            meaningless.extend(blamed);
        }
    }

    /// Writes the sources with all changes but those left out.
    fn rewrite(
        &self,
        changes: &[Change],
        out: &BTreeSet<usize>,
    ) -> Result<(BTreeSet<usize>, BTreeMap<&str, Places>), Failure> {
        let mut numbers = BTreeSet::new();
        let mut places = BTreeMap::new();
        let library = format!("crates/{}/src/lib.rs", self.name);
        for (file, text) in &self.sources {
            let wrong =
                |error: syn::Error| Failure::Source { path: file.clone(), message: error.to_string() };
            let mut source = syn::parse_file(text).map_err(wrong)?;
            let here = changes.iter().enumerate().filter(|(_, change)| change.file == *file);
            let mut rewrite = Rewrite::of(here.filter(|(number, _)| !out.contains(number)));
            rewrite.visit_file_mut(&mut source);
            numbers.append(&mut rewrite.done);
            if *file == library {
                source.items.extend(syn::parse_file(CHOSEN).map_err(wrong)?.items);
            }
            let text = prettyplease::unparse(&source);
            let path = self.root.join(file);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(Failure::file(folder))?;
            }
            fs::write(&path, &text).map_err(Failure::file(&path))?;
            places.insert(file.as_str(), Places::of(&syn::parse_file(&text).map_err(wrong)?));
        }
        Ok((numbers, places))
    }

    /// The changes because of which it does not compile.
    fn blamed(
        &self,
        changes: &[Change],
        places: &BTreeMap<&str, Places>,
    ) -> Result<BTreeSet<usize>, Failure> {
        let output = self.cargo(&["check", "--lib", "-p", &self.name, "--message-format=json"]).output();
        let output = output.map_err(Failure::start("cargo"))?;
        if output.status.success() {
            return Ok(BTreeSet::new());
        }
        let mut blamed = BTreeSet::new();
        let errors = messages(&output.stdout).filter_map(|message| message.message);
        for error in errors.filter(|said| said.level == "error") {
            let no_arm = error.code.is_some_and(|code| code.code == "E0004");
            for span in error.spans.iter().filter(|span| span.is_primary) {
                let Some(places) = places.get(span.file_name.as_str()) else { continue };
                // A match that no longer has an arm for everything.
                let is_arm = |number: &usize| {
                    changes.get(*number).is_some_and(|change| change.genre == Genre::MatchArm)
                };
                if no_arm {
                    blamed.extend(places.in_match(span.line_start).into_iter().filter(is_arm));
                } else {
                    blamed.extend(places.at(span.line_start));
                }
            }
        }
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        if blamed.is_empty() { Err(Failure::Blameless { said: said() }) } else { Ok(blamed) }
    }

    /// Builds the crate's tests, and these of the package `tests`: programs, and where to run them.
    pub(crate) fn tests(&self, also: &[String]) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
        let mut commands = vec![vec!["test", "--no-run", "--message-format=json", "-p", &self.name]];
        for name in also {
            commands.push(vec!["test", "--no-run", "--message-format=json", "-p", "tests", "--test", name]);
        }
        let mut programs = Vec::new();
        for command in commands {
            let output = self.cargo(&command).output().map_err(Failure::start("cargo"))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(Failure::Command { command: format!("cargo {}", command.join(" ")), said });
            }
            let built = messages(&output.stdout)
                .filter(|message| message.profile.is_some_and(|profile| profile.test));
            for message in built {
                let folder = message.manifest_path.as_deref().and_then(Path::parent).map(Path::to_owned);
                programs.extend(message.executable.zip(folder));
            }
        }
        Ok(programs)
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }
}

/// Every file of the tree, but those that git ignores.
fn tracked() -> Result<Vec<String>, Failure> {
    let output = Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).output();
    let output = output.map_err(Failure::start("git"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::Command { command: "git ls-files".to_owned(), said });
    }
    let text = String::from_utf8(output.stdout).map_err(|error| Failure::said("git", error))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// What cargo says, a line of JSON each.
fn messages(output: &[u8]) -> impl Iterator<Item = Message> {
    output.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

/// Of the compiler, or about what was built.
#[derive(Deserialize)]
struct Message {
    message: Option<Said>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Said {
    level: String,
    code: Option<Code>,
    spans: Vec<SaidOf>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct SaidOf {
    file_name: String,
    line_start: usize,
    is_primary: bool,
}

#[derive(Clone, Copy, Deserialize)]
struct Profile {
    test: bool,
}
