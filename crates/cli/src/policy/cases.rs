//! The cases of a policy, read from its directory: JSON (`policy::case`), and TOML with simulated guests (`simulated`).

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use policy::case::{Case, Expect};

use super::folder::{self, FolderError};
use super::simulated;

/// A case and where it comes from.
pub struct CaseFile {
    /// `deny/debug`, without `.json` or `.toml`.
    pub name: String,
    pub case: Case,
}

/// All cases of a policy, permits first, in order of their names. A permit among the denials, or the other way round,
/// is told by [`misplaced`].
pub fn all(cases: &Path) -> Result<Vec<CaseFile>, FolderError> {
    let mut all = Vec::new();
    for folder in ["permit", "deny"] {
        for file in folder::list(&cases.join(folder))? {
            let stem = file.strip_suffix(".json").or_else(|| file.strip_suffix(".toml"));
            let Some(stem) = stem else { continue };
            let case = one(cases, &format!("{folder}/{file}"))?;
            all.push(CaseFile { name: format!("{folder}/{stem}"), case });
        }
    }
    Ok(all)
}

/// One case, by its path below the directory of the policy's cases.
pub fn one(cases: &Path, path: &str) -> Result<Case, FolderError> {
    let whole: PathBuf = cases.join(path);
    let text = folder::read(&whole)?;
    if path.ends_with(".toml") {
        return simulated::parse(&text).map_err(|source| FolderError::Case { path: whole, source });
    }
    // What kept the base from being read says more than that there is none.
    let unread = RefCell::new(None);
    let base = |base: &str| match folder::read(&cases.join(base)) {
        Ok(text) => Some(text),
        Err(error) => {
            unread.replace(Some(error));
            None
        }
    };
    let parsed = Case::parse(&text, base);
    match (parsed, unread.into_inner()) {
        (Ok(case), _) => Ok(case),
        (Err(_), Some(error)) => Err(error),
        (Err(source), None) => Err(FolderError::Case { path: whole, source }),
    }
}

/// Whether a case expects something else than its directory says.
pub fn misplaced(file: &CaseFile) -> bool {
    let permits = matches!(file.case.expect, Expect::Permit(_));
    permits != file.name.starts_with("permit/")
}
