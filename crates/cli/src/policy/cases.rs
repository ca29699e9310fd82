//! The cases of a policy, read from its directory: JSON (`policy::case`), and TOML with simulated guests, with evidence
//! (`simulated`), or with operators (`acts`).

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use claims::snp::Product;
use claims::{KeyId, Suite};
use policy::case::{Case as GuestCase, CaseError, Expect};
use policy::{Evaluation, Policy};
use simtee::control::GuestRequest;

use super::acts::ActCase;
use super::folder::{self, FolderError};
use super::simulated;

/// A case and where it comes from.
pub struct CaseFile {
    /// `deny/debug`, without `.json` or `.toml`.
    pub name: String,
    pub case: Case,
}

/// A case, of either kind.
#[derive(Clone, Debug)]
pub enum Case {
    /// A guest asks for a key.
    Guest(Box<GuestCase>),
    /// An operator acts.
    Act(ActCase),
}

impl Case {
    /// What it is about, in a sentence.
    pub fn about(&self) -> &str {
        match self {
            Self::Guest(case) => &case.about,
            Self::Act(case) => &case.about,
        }
    }

    /// What must be decided.
    pub fn expect(&self) -> &Expect {
        match self {
            Self::Guest(case) => &case.expect,
            Self::Act(case) => &case.expect,
        }
    }

    /// What a policy decides.
    pub fn evaluate(&self, policy: &Policy) -> Evaluation {
        match self {
            Self::Guest(case) => case.evaluate(policy, None),
            Self::Act(case) => case.evaluate(policy),
        }
    }

    /// What each condition of a policy comes to, as [`Policy::outcomes`] says.
    pub fn outcomes(&self, policy: &Policy) -> Vec<Option<bool>> {
        match self {
            Self::Guest(case) => policy.outcomes(&case.record, &case.request, &case.key, &case.circumstances),
            Self::Act(case) => case.outcomes(policy),
        }
    }

    /// Everything but what it is about and what it expects: two cases with the same are the same question.
    pub fn asked(&self) -> String {
        match self {
            Self::Guest(case) => {
                format!("{:?}", (&case.record, &case.request, &case.key, &case.circumstances))
            }
            Self::Act(case) => case.asked(),
        }
    }
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
        let folder = whole.parent().unwrap_or(Path::new(""));
        return toml(&text, folder).map_err(|source| FolderError::Case { path: whole, source });
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
    let parsed = GuestCase::parse(&text, base);
    match (parsed, unread.into_inner()) {
        (Ok(case), _) => Ok(Case::Guest(Box::new(case))),
        (Err(_), Some(error)) => Err(error),
        (Err(source), None) => Err(FolderError::Case { path: whole, source }),
    }
}

/// A case with an operator in it is about an act, every other about a guest.
fn toml(text: &str, folder: &Path) -> Result<Case, CaseError> {
    let is_act = text.lines().any(|line| line.trim() == "[operator]");
    if is_act {
        ActCase::parse(text).map(Case::Act)
    } else {
        simulated::parse(text, folder).map(|case| Case::Guest(Box::new(case)))
    }
}

/// What the guest of a case in TOML asks of a simulated host, as [`simulated::launch_request`] says.
pub(crate) fn guest(path: &Path, name: KeyId) -> Result<(GuestRequest, Product, Suite), FolderError> {
    simulated::launch_request(&folder::read(path)?, name)
        .map_err(|source| FolderError::Case { path: path.to_owned(), source })
}

/// Whether a case expects something else than its directory says.
pub fn misplaced(file: &CaseFile) -> bool {
    let permits = matches!(file.case.expect(), Expect::Permit(_));
    permits != file.name.starts_with("permit/")
}
