//! Signatures of policy officers, by OpenSSH: `ssh-keygen -Y sign` makes them, with a key in a file, in an agent or in
//! hardware, and asks for its passphrase or touch itself. No private key comes into this process.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use policy::Officers;

use crate::output::write_public;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignFailure {
    /// A file cannot be used.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// OpenSSH is not there.
    #[error("cannot run ssh-keygen: {0}; install OpenSSH's client (`apt-get install openssh-client`)")]
    NoOpenSsh(io::Error),
    /// There is no such key.
    #[error("cannot use the key `{}`: {source}; {EXPECTED}", key.display())]
    NoKey {
        /// The key.
        key: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No broker takes signatures by such a key.
    #[error("`{}` is a key of kind `{kind}`; {EXPECTED}", key.display())]
    OtherKind {
        /// The key.
        key: PathBuf,
        /// Its kind, in OpenSSH's words.
        kind: String,
    },
    /// OpenSSH did not sign.
    #[error("ssh-keygen did not sign with `{}`: {said}; {EXPECTED}", key.display())]
    Refused {
        /// The key.
        key: PathBuf,
        /// Its last words.
        said: String,
    },
}

/// Signs a file for this namespace, and adds the signature to those in `signatures`.
pub fn sign(file: &Path, signatures: &Path, namespace: &str, key: &Path) -> Result<(), SignFailure> {
    let signed = File::open(file).map_err(failed(file))?;
    is_there(key).map_err(|source| SignFailure::NoKey { key: key.to_owned(), source })?;
    let output = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
        .arg(key)
        .stdin(Stdio::from(signed))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .map_err(SignFailure::NoOpenSsh)?;
    if !output.status.success() || output.stdout.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = match said.lines().last().unwrap_or("nothing was said") {
            // Its words are about the public half, which it looks for last.
            line if line.starts_with("Couldn't load public key") => "it holds no key".to_owned(),
            line => line.to_owned(),
        };
        return Err(SignFailure::Refused { key: key.to_owned(), said });
    }
    if let Some(kind) = Officers::kind_of_key(&String::from_utf8_lossy(&output.stdout))
        && !Officers::KINDS.contains(&kind.as_str())
    {
        return Err(SignFailure::OtherKind { key: key.to_owned(), kind });
    }
    let mut all = read_if_there(signatures)?;
    all.extend(&output.stdout);
    write_public(signatures, &all).map_err(failed(signatures))
}

/// That there is such a file, or the public half of a key in an agent beside that name, as ssh-keygen looks for them.
fn is_there(key: &Path) -> io::Result<()> {
    let mut public = key.as_os_str().to_owned();
    public.push(".pub");
    match fs::metadata(key) {
        Err(_) if Path::new(&public).is_file() => Ok(()),
        found => found.map(drop),
    }
}

/// Removes signatures that are of other bytes now; says so if there were any.
pub fn outdated(signatures: &Path, out: &mut dyn Write) -> Result<(), SignFailure> {
    match fs::remove_file(signatures) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(SignFailure::File { path: signatures.to_owned(), source }),
        Ok(()) => writeln!(out, "removed   {}, whose signatures were of other bytes", signatures.display())
            .map_err(failed(signatures)),
    }
}

fn read_if_there(path: &Path) -> Result<Vec<u8>, SignFailure> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(failed(path)),
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> SignFailure {
    move |source| SignFailure::File { path: path.to_owned(), source }
}

const EXPECTED: &str = "expected an SSH key, Ed25519 (`ssh-keygen -t ed25519`): the private one, or the public half of one in an agent";
