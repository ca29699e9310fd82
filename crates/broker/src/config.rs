//! The broker's configuration file: TOML, every field documented, unknown fields refused with their line.
//!
//! Holds no secret: keys are files of their own in the state directory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use claims::Sha256Digest;
use serde::Deserialize;

use crate::endorsing::Endorsing;
use crate::operators::{Account, AccountsError, Operators};
use crate::policies::Signers;
use crate::preflight::Telling;

/// Most bytes of a configuration file.
const MAX_CONFIG: u64 = 64 * 1024;
/// Most connections, or releases at a time, that can be configured.
const MAX_PLACES: usize = 65_536;
/// Most accounts of operators.
const MAX_OPERATORS: usize = 256;

/// What `keyfast-broker serve --config FILE` reads. Paths are relative to the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port that guests reach, such as `0.0.0.0:8443`.
    pub listen: SocketAddr,
    /// The URLs under which guests know this broker; they stand in its signed statement.
    pub urls: Vec<String>,
    /// Directory of keys, database and published log; made with mode 0700.
    pub state: PathBuf,
    /// Unix socket for operators. Default: `admin.sock` in the state directory, which nobody else can enter. Root, and
    /// the account that runs the broker, may connect, and those of `[[operator]]`.
    pub admin_socket: Option<PathBuf>,
    /// Accounts that may connect as well, and what policies call them. Policies say what each may do.
    #[serde(default)]
    pub operator: Vec<Account>,
    /// Directory of attestation policies: schema, policies, reference values.
    pub policies: PathBuf,
    /// Names of the policies in force, without `.cedar`. Nothing named means that everything is denied.
    #[serde(default)]
    pub policy: Vec<String>,
    /// Who must sign the policies, with `keyfast policy sign`. Then whoever runs the broker can admit no image alone.
    pub policy_officers: Option<Signers>,
    /// Who must sign the reference values, with `keyfast reference sign`. Policy officers then answer for the rules
    /// alone.
    pub reference_signers: Option<Signers>,
    /// Whose evidence counts.
    #[serde(default)]
    pub trust: Trust,
    /// Where certificates come from that evidence lacks.
    #[serde(default)]
    pub endorsements: Endorsing,
    /// How long a challenge is good for, in seconds, 5 to 300.
    #[serde(default = "default_challenge_lifetime")]
    pub challenge_lifetime_s: u64,
    /// How long the signed statement is good for, in days.
    #[serde(default = "default_statement_days")]
    pub statement_days: u64,
    /// Most connections at a time; more are turned away.
    #[serde(default = "default_connections")]
    pub max_connections: usize,
    /// Most releases that are verified or wait for their record at a time; beyond it, guests are asked to come
    /// back. 0 serves none: a broker that is being drained.
    #[serde(default = "default_releases")]
    pub max_releases: usize,
    /// What a guest is told that asks what would be decided: `off`, `code`, `known` or `explain`. `known`, unless told
    /// otherwise: the reasons, where the same request would be permitted to the guest as it is, else a code.
    #[serde(default)]
    pub preflight: Telling,
    /// SHA-256 of the file.
    #[serde(skip, default = "no_digest")]
    pub digest: Sha256Digest,
}

/// The roots that evidence may chain to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// AMD's own roots, pinned in the binary.
    #[serde(default = "yes")]
    pub amd: bool,
    /// Evidence is believed only under a revocation list of its root that was issued at most so many days ago. Not
    /// given: a list that is there counts, and none is needed. Lists are read from the directory of `[endorsements]`,
    /// again whenever they change, and fetched where services are named there: when the broker starts, and daily, or
    /// four times in so many days.
    pub crl_max_age_days: Option<u32>,
    /// Roots of the certificates of TPMs' endorsement keys, such as a vendor's. Guests with such a TPM may enrol its
    /// attestation key.
    #[serde(default)]
    pub tpm: Vec<TpmRoot>,
    /// Guests of a secure VM service module (SVSM) may enrol the attestation key of its vTPM, which no certificate
    /// vouches for; it is believed beside an SNP report that names its endorsement key, and nowhere else.
    #[serde(default)]
    pub svsm: bool,
    /// Roots of simulated TEEs. Whatever chains to one is simulated, always.
    #[serde(default)]
    pub simulated: Vec<SimulatedRoot>,
}

/// A root of endorsement certificates.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpmRoot {
    /// The certificate, DER or PEM.
    pub certificate: PathBuf,
    /// Whether its TPMs are simulated, or run as software for tests: then they get the keys that were made for
    /// simulation, and no others.
    pub simulated: bool,
    /// Files with revocation lists of the root and of the issuers below it, DER or PEM; read again as they change.
    #[serde(default)]
    pub crls: Vec<PathBuf>,
    /// An endorsement certificate is believed only under such lists, of each issuer in its chain, that were issued at
    /// most so many days ago. Not given: a list that is there counts, and none is needed.
    pub crl_max_age_days: Option<u32>,
}

impl TpmRoot {
    fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        core::iter::once(&mut self.certificate).chain(&mut self.crls)
    }
}

/// One simulated root.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedRoot {
    /// The certificate, DER or PEM.
    pub certificate: PathBuf,
    /// SHA-256 of its DER form, which it must have.
    pub sha256: String,
}

impl Default for Trust {
    fn default() -> Self {
        Self { amd: true, crl_max_age_days: None, tpm: Vec::new(), svsm: false, simulated: Vec::new() }
    }
}

fn no_digest() -> Sha256Digest {
    Sha256Digest([0; 32])
}
fn yes() -> bool {
    true
}
fn default_challenge_lifetime() -> u64 {
    60
}
fn default_statement_days() -> u64 {
    30
}
fn default_connections() -> usize {
    4096
}
fn default_releases() -> usize {
    512
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any configuration.
    #[error("`{}` is too large for a configuration: expected at most 65536 bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The text is no configuration: what and where.
    #[error("`{}` is not a configuration of keyfast-broker:\n{message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// A value is out of its range.
    #[error("`{field}` in `{}`: {expected}, got {got}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it has.
        got: String,
    },
}

impl Config {
    /// Reads and checks a file; paths in it become relative to the file's directory.
    ///
    /// # Errors
    /// [`ConfigError`], with file, line and column where there is one.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(read)?.len() > MAX_CONFIG {
            return Err(ConfigError::TooLarge { path: path.to_owned() });
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        let syntax =
            |e: toml::de::Error| ConfigError::Syntax { path: path.to_owned(), message: e.to_string() };
        let mut config: Self = toml::from_str(&text).map_err(syntax)?;
        config.check(path)?;
        config.digest = Sha256Digest(crypto::sha256(&[text.as_bytes()]));
        Ok(config.relative_to(path.parent().unwrap_or(Path::new("."))))
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let value = |field, expected, got| ConfigError::Value { path: path.to_owned(), field, expected, got };
        if !(5..=300).contains(&self.challenge_lifetime_s) {
            let got = self.challenge_lifetime_s.to_string();
            return Err(value("challenge_lifetime_s", "expected 5 to 300 seconds", got));
        }
        for (field, got) in [("max_connections", self.max_connections), ("max_releases", self.max_releases)] {
            if got > MAX_PLACES {
                return Err(value(field, "expected 0 to 65536", got.to_string()));
            }
        }
        if self.urls.is_empty() || self.urls.len() > 16 {
            return Err(value("urls", "expected 1 to 16 URLs", self.urls.len().to_string()));
        }
        let signers =
            [("policy_officers", &self.policy_officers), ("reference_signers", &self.reference_signers)];
        for (field, signers) in signers {
            if let Some(Err(error)) = signers.as_ref().map(Signers::officers) {
                let expected = "expected OpenSSH public keys and how many must sign";
                return Err(value(field, expected, error.to_string()));
            }
        }
        if self.operator.len() > MAX_OPERATORS {
            return Err(value("operator", "expected at most 256 accounts", self.operator.len().to_string()));
        }
        let operators = self.operators().map_err(|error| {
            let expected = "expected names and groups of a-z, 0-9, `-`, `_`, `.`, and each account once";
            value("operator", expected, error.to_string())
        })?;
        if operators.has_others() && self.admin_socket.is_none() {
            let expected =
                "expected a path that the accounts of `[[operator]]` reach, such as /run/keyfast/admin.sock";
            return Err(value(
                "admin_socket",
                expected,
                "none, and nobody else enters the state directory".into(),
            ));
        }
        for root in &self.trust.simulated {
            root.digest().map_err(|_| {
                value("trust.simulated.sha256", "expected 64 hexadecimal digits", root.sha256.clone())
            })?;
        }
        Ok(())
    }

    fn relative_to(mut self, base: &Path) -> Self {
        self.state = base.join(&self.state);
        self.policies = base.join(&self.policies);
        self.endorsements = self.endorsements.relative_to(base);
        self.admin_socket = self.admin_socket.map(|path| base.join(path));
        let simulated = self.trust.simulated.iter_mut().map(|root| &mut root.certificate);
        for certificate in simulated.chain(self.trust.tpm.iter_mut().flat_map(TpmRoot::files)) {
            *certificate = base.join(&*certificate);
        }
        self
    }

    /// Who may connect to the management socket.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub fn operators(&self) -> Result<Operators, AccountsError> {
        Operators::new(&self.operator, rustix::process::geteuid().as_raw())
    }

    /// Where operators' commands connect.
    pub fn admin_socket(&self) -> PathBuf {
        self.admin_socket.clone().unwrap_or_else(|| self.state.join("admin.sock"))
    }
}

impl SimulatedRoot {
    /// The fingerprint.
    ///
    /// # Errors
    /// If it is not 64 hexadecimal digits.
    pub fn digest(&self) -> Result<Sha256Digest, claims::ParseHexError> {
        self.sha256.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "listen = '127.0.0.1:0'\nurls = ['https://127.0.0.1:1']\nstate = 's'\npolicies = 'p'\n";

    fn read(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broker.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = read(GOOD).unwrap();
        assert!(config.state.is_absolute() && config.state.ends_with("s"));
        assert!(config.admin_socket().ends_with("s/admin.sock"));
        assert!(config.policy.is_empty(), "without a named policy everything is denied");
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let error = read(&format!("{GOOD}polcy = ['a']\n")).unwrap_err().to_string();
        assert!(error.contains("line 5") && error.contains("unknown field `polcy`"), "{error}");
    }

    #[test]
    fn what_a_preflight_tells_is_one_of_four() {
        assert_eq!(read(GOOD).unwrap().preflight, Telling::Known);
        assert_eq!(read(&format!("{GOOD}preflight = 'off'\n")).unwrap().preflight, Telling::Off);
        let error = read(&format!("{GOOD}preflight = 'all'\n")).unwrap_err().to_string();
        assert!(error.contains("expected one of `off`, `code`, `known`, `explain`"), "{error}");
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        let error = read(&format!("{GOOD}challenge_lifetime_s = 301\n")).unwrap_err().to_string();
        assert!(error.contains("challenge_lifetime_s") && error.contains("got 301"), "{error}");
        let error = read(&format!("{GOOD}max_releases = 65537\n")).unwrap_err().to_string();
        assert!(error.contains("max_releases") && error.contains("got 65537"), "{error}");
    }

    #[test]
    fn operators_are_checked_when_they_are_read() {
        let alice = "[[operator]]\nuid = 1001\nname = 'alice'\ngroups = ['key-officers']\n";
        let reached = format!("admin_socket = '/run/a.sock'\n{GOOD}");
        let found = read(&format!("{reached}{alice}")).unwrap().operators().unwrap().find(1001).unwrap();
        assert_eq!((found.name.as_str(), found.groups.len()), ("alice", 1));
        let error = read(&format!("{GOOD}{alice}")).unwrap_err().to_string();
        assert!(error.contains("`admin_socket`") && error.contains("nobody else enters"), "{error}");
        let error = read(&format!("{reached}{alice}{alice}")).unwrap_err().to_string();
        assert!(error.contains("`operator`") && error.contains("(`alice`) stands there twice"), "{error}");
    }

    #[test]
    fn an_oversized_or_missing_file_is_refused() {
        assert!(matches!(read(&"#".repeat(70_000)), Err(ConfigError::TooLarge { .. })));
        assert!(matches!(Config::read(Path::new("/nonexistent/b.toml")), Err(ConfigError::Read { .. })));
    }
}
