//! The files of the workspace, read once: what every rule about text works on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A text file: its path from the workspace root with `/` between the parts, and its content.
#[derive(Clone, Debug)]
pub struct File {
    /// `crates/keys/src/kek.rs`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// Every text file of the tree, and the path of every other one.
#[derive(Debug, Default)]
pub struct Tree {
    /// Text files.
    pub files: Vec<File>,
    /// Every path: of text files, of others and of folders.
    pub paths: BTreeSet<String>,
}

impl Tree {
    /// Reads the tree that this test was compiled from, leaving out what a build, an editor or git keeps there.
    pub fn load() -> Self {
        let mut tree = Self::default();
        tree.read_folder(&root(), "");
        tree
    }

    /// A made-up tree of `(path, text)`.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            let folders = path.match_indices('/').map(|(at, _)| path.split_at(at).0.to_owned());
            tree.paths.extend(folders);
            tree.paths.insert((*path).to_owned());
            tree.files.push(File { path: (*path).to_owned(), text: (*text).to_owned() });
        }
        tree
    }

    /// The Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The files with this ending.
    pub fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(ending))
    }

    fn read_folder(&mut self, folder: &Path, path: &str) {
        let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && is_foreign(&name) {
                continue;
            }
            self.paths.insert(path.clone());
            if is_folder {
                self.read_folder(&entry.path(), &path);
            } else if let Some(text) = read_text(&entry.path()) {
                self.files.push(File { path, text });
            }
        }
    }
}

/// The folder of the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// Folders that hold nobody's source: build output, and hidden ones but for CI's.
fn is_foreign(name: &str) -> bool {
    let hidden = name.starts_with('.') && name != ".ci";
    hidden || matches!(name, "target" | "node_modules" | "__pycache__" | "venv" | "corpus" | "artifacts")
}

/// The text of a file of at most [`LONGEST`] bytes of UTF-8.
fn read_text(path: &Path) -> Option<String> {
    let short = fs::metadata(path).is_ok_and(|data| data.is_file() && data.len() <= LONGEST);
    if short { fs::read_to_string(path).ok() } else { None }
}

/// In bytes; what is longer is data.
const LONGEST: u64 = 1 << 20;
