//! The directory of policies: schema, reference values, `*.cedar`, cases.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use policy::{Bundle, LoadErrors, Policy};

/// Which policies.
#[derive(Clone, Debug, Args)]
pub struct Chosen {
    /// Policies, by their files' names without `.cedar`; all of the directory if none is named
    names: Vec<String>,
    /// The directory of policies
    #[arg(long, default_value = "attestation-policies", env = "KEYFAST_POLICIES", value_name = "DIR")]
    pub dir: PathBuf,
}

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A file or directory cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than anything that belongs there.
    #[error("`{}` is too large: expected at most {MAX_TEXT} bytes", path.display())]
    TooLarge {
        /// Which one.
        path: PathBuf,
    },
    /// A file is not text.
    #[error("`{}` is not UTF-8", path.display())]
    NotText {
        /// Which one.
        path: PathBuf,
    },
    /// There is no policy.
    #[error("no policy in `{}`: expected files that end in .cedar; name the directory with --dir", dir.display())]
    NoPolicy {
        /// The directory.
        dir: PathBuf,
    },
    /// Cases would be put to other reference values than they were made with.
    #[error("`{}` holds other reference values than these guests are built under; name another directory", path.display())]
    OtherReferences {
        /// The file.
        path: PathBuf,
    },
    /// A file is no case.
    #[error("`{}`: {source}", path.display())]
    Case {
        /// The file.
        path: PathBuf,
        /// Why.
        source: policy::case::CaseError,
    },
}

/// A policy file.
pub struct PolicyFile {
    /// Without `.cedar`.
    pub name: String,
    pub path: PathBuf,
    pub text: String,
}

impl PolicyFile {
    /// The name in a bundle.
    pub fn file_name(&self) -> String {
        format!("{}.cedar", self.name)
    }
}

impl Chosen {
    /// These policies of a directory; all if none is named.
    pub fn of(dir: &Path, names: &[String]) -> Self {
        Self { names: names.to_vec(), dir: dir.to_owned() }
    }

    /// The files, in order of their names.
    pub fn policies(&self) -> Result<Vec<PolicyFile>, FolderError> {
        let mut names = self.names.clone();
        if names.is_empty() {
            names.extend(
                list(&self.dir)?
                    .into_iter()
                    .filter_map(|name| name.strip_suffix(".cedar").map(str::to_owned)),
            );
        }
        if names.is_empty() {
            return Err(FolderError::NoPolicy { dir: self.dir.clone() });
        }
        let file = |name: String| {
            let path = self.dir.join(format!("{name}.cedar"));
            Ok(PolicyFile { text: read(&path)?, name, path })
        };
        names.into_iter().map(file).collect()
    }

    /// Whether policies are named, and with that taken together.
    pub fn is_named(&self) -> bool {
        !self.names.is_empty()
    }

    /// This policy, if none is named and there is such a file.
    pub fn or(&self, name: &str) -> Self {
        let is_there = self.names.is_empty() && self.dir.join(format!("{name}.cedar")).is_file();
        if is_there { Self { names: vec![name.to_owned()], ..self.clone() } } else { self.clone() }
    }

    /// The same choice in another directory.
    pub fn in_directory(&self, dir: &Path) -> Self {
        Self { dir: dir.to_owned(), ..self.clone() }
    }

    /// The schema and the reference values of the directory, without a policy.
    pub fn empty_bundle(&self) -> Result<Bundle, FolderError> {
        self.bundle_with(&self.dir.join(Bundle::REFERENCES))
    }

    /// These policies with the schema and the reference values of the directory.
    pub fn bundle(&self, policies: &[PolicyFile]) -> Result<Bundle, FolderError> {
        let empty = self.empty_bundle()?;
        Ok(policies.iter().fold(empty, |all, file| all.with_policy(file.file_name(), &file.text)))
    }

    /// One policy with the reference values of its cases.
    pub fn with_its_cases(&self, file: &PolicyFile) -> Result<Result<Policy, LoadErrors>, FolderError> {
        let bundle = self.bundle_with(&self.cases(&file.name).join(Bundle::REFERENCES))?;
        Ok(Policy::load(bundle.with_policy(file.file_name(), &file.text)))
    }

    /// The directory of a policy's cases.
    pub fn cases(&self, policy: &str) -> PathBuf {
        self.dir.join("cases").join(policy)
    }

    /// The schema of the directory and these reference values, without a policy.
    pub fn bundle_with(&self, references: &Path) -> Result<Bundle, FolderError> {
        Ok(Bundle::new(read(&self.dir.join(Bundle::SCHEMA))?, read(references)?))
    }
}

/// The names in a directory, in order; none if it is not there.
pub fn list(dir: &Path) -> Result<Vec<String>, FolderError> {
    let failed = |source| FolderError::Read { path: dir.to_owned(), source };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// A text of at most [`MAX_TEXT`] bytes.
pub fn read(path: &Path) -> Result<String, FolderError> {
    let file = fs::File::open(path).map_err(|source| FolderError::Read { path: path.to_owned(), source })?;
    read_from(path, file)
}

/// The same of standard input, if the path is `-`.
pub fn read_or_input(path: &Path) -> Result<String, FolderError> {
    if path == Path::new("-") { read_from(path, io::stdin().lock()) } else { read(path) }
}

fn read_from(path: &Path, file: impl Read) -> Result<String, FolderError> {
    let failed = |source| FolderError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    file.take(MAX_TEXT.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_TEXT) {
        return Err(FolderError::TooLarge { path: path.to_owned() });
    }
    String::from_utf8(bytes).map_err(|_| FolderError::NotText { path: path.to_owned() })
}

/// Most bytes of a file: what a broker takes for reference values.
const MAX_TEXT: u64 = 64 * 1024 * 1024;
