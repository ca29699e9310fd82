//! The agent's configuration file: TOML, part of the measured image, unknown fields refused with their line.
//!
//! Its SHA-256 stands in every transcript, so that a policy can ask for a certain configuration. It holds no secret.

use std::path::{Path, PathBuf};

use attester::{Choice, Places};
use claims::{BrokerId, ConfigDigest, Suite};
use serde::Deserialize;
use tlog::witness::WitnessKey;

use crate::attesting::Attesting;

/// Most bytes of a configuration file.
const MAX_CONFIG: u64 = 64 * 1024;

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    broker: Option<BrokerSection>,
    #[serde(default)]
    attester: Attesting,
    #[serde(default = "default_suite")]
    suite: String,
    state: Option<PathBuf>,
    #[serde(default)]
    witnesses: WitnessSection,
    #[serde(default = "default_wait")]
    wait_s: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BrokerSection {
    urls: Vec<String>,
    identity: String,
    successor: Option<String>,
    statement: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WitnessSection {
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    quorum: usize,
}

fn default_suite() -> String {
    Suite::XWing.name().to_owned()
}
fn default_wait() -> u64 {
    30
}

/// What the agent knows before it talks to anyone.
#[derive(Debug)]
pub struct Config {
    /// Where brokers answer, in order of preference.
    pub urls: Vec<String>,
    /// SHA-256 of the identity key of the only broker that is believed.
    pub broker: BrokerId,
    /// The one identity that may follow it.
    pub successor: Option<BrokerId>,
    /// A signed statement that came with the image; a newer one is asked for and kept in `state`.
    pub statement: Option<PathBuf>,
    /// Which attester is asked.
    pub attester: Choice,
    /// Where attesters are.
    pub places: Places,
    /// The suite that keys are sealed with.
    pub suite: Suite,
    /// Directory for the last checkpoint and statement; without it nothing is kept between runs.
    pub state: Option<PathBuf>,
    /// Witnesses whose cosignatures count.
    pub witnesses: Vec<WitnessKey>,
    /// How many of them a checkpoint needs.
    pub quorum: usize,
    /// How long to try to reach a broker, in seconds.
    pub wait_s: u64,
    /// SHA-256 of the file.
    pub digest: ConfigDigest,
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
    #[error("`{}` is not a configuration of keyfast-agent:\n{message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// A value does not parse.
    #[error("`{field}` in `{}`: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
}

impl Config {
    /// Where the file is if nobody says.
    pub const PATH: &str = "/etc/keyfast/agent.toml";

    /// Reads and checks a file; paths in it become relative to the file's directory.
    ///
    /// # Errors
    /// [`ConfigError`], with file, line and column where there is one.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let (file, digest) = File::read(path)?;
        file.into_config(base_of(path), digest).map_err(|wrong| value(path, wrong))
    }

    /// Who is asked for evidence and where it is, for those who talk to no broker: the file need not name one. Where
    /// there is no file at [`Self::PATH`], the machine is looked at.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_attester(path: &Path) -> Result<(Choice, Places), ConfigError> {
        let absent = path == Path::new(Self::PATH) && !path.exists();
        let attesting = if absent { Attesting::default() } else { File::read(path)?.0.attester };
        attesting.read(base_of(path)).map_err(|wrong| value(path, wrong))
    }
}

fn base_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn value(path: &Path, (field, message): (&'static str, String)) -> ConfigError {
    ConfigError::Value { path: path.to_owned(), field, message }
}

impl File {
    fn read(path: &Path) -> Result<(Self, ConfigDigest), ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(read)?.len() > MAX_CONFIG {
            return Err(ConfigError::TooLarge { path: path.to_owned() });
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        let syntax =
            |e: toml::de::Error| ConfigError::Syntax { path: path.to_owned(), message: e.to_string() };
        let digest = ConfigDigest(crypto::sha256(&[text.as_bytes()]));
        Ok((toml::from_str(&text).map_err(syntax)?, digest))
    }

    fn into_config(self, base: &Path, digest: ConfigDigest) -> Result<Config, (&'static str, String)> {
        let id = |field, text: &str| text.parse::<BrokerId>().map_err(|e| (field, e.to_string()));
        let suite = self.suite.parse().map_err(|e: &str| ("suite", e.to_owned()))?;
        let witness = |key: &String| key.parse::<WitnessKey>().map_err(|e| ("witnesses.keys", e.to_string()));
        let witnesses: Vec<WitnessKey> = self.witnesses.keys.iter().map(witness).collect::<Result<_, _>>()?;
        if self.witnesses.quorum > witnesses.len() {
            let message = format!(
                "expected at most {} (the keys given), got {}",
                witnesses.len(),
                self.witnesses.quorum
            );
            return Err(("witnesses.quorum", message));
        }
        let broker = self.broker.ok_or(("broker", "expected a section with urls and identity".to_owned()))?;
        if broker.urls.is_empty() {
            return Err(("broker.urls", "expected at least one URL, got none".to_owned()));
        }
        let (attester, places) = self.attester.read(base)?;
        Ok(Config {
            broker: id("broker.identity", &broker.identity)?,
            successor: broker.successor.as_deref().map(|s| id("broker.successor", s)).transpose()?,
            urls: broker.urls,
            statement: broker.statement.map(|path| base.join(path)),
            attester,
            places,
            suite,
            state: self.state.map(|path| base.join(path)),
            witnesses,
            quorum: self.witnesses.quorum,
            wait_s: self.wait_s,
            digest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    fn good() -> String {
        let id = "ab".repeat(32);
        format!(
            "[broker]\nurls = ['https://127.0.0.1:1']\nidentity = '{id}'\n[attester]\nsocket = 'a.sock'\n"
        )
    }

    #[test]
    fn the_preferred_suite_is_the_default() {
        assert_eq!(read(&good()).unwrap().suite, Suite::XWing);
    }

    #[test]
    fn a_change_of_the_file_changes_its_digest() {
        let other = read(&format!("# a comment\n{}", good())).unwrap();
        assert_ne!(read(&good()).unwrap().digest, other.digest);
    }

    #[test]
    fn without_a_word_on_attesters_the_machine_is_looked_at() {
        let config = read(good().split_once("[attester]").unwrap().0).unwrap();
        assert_eq!((config.attester, config.places.socket), (Choice::Auto, None));
    }

    #[test]
    fn who_only_collects_evidence_needs_no_broker_and_no_file() {
        let attester = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("agent.toml");
            std::fs::write(&path, text).unwrap();
            Config::read_attester(&path)
                .map(|(choice, places)| (choice, places.socket == Some(dir.path().join("s"))))
        };
        assert_eq!(attester("[attester]\nuse = 'socket'\nsocket = 's'\n").unwrap(), (Choice::Socket, true));
        assert_eq!(attester(&good()).unwrap(), (Choice::Auto, false));
        for (text, expected) in
            [("[atester]\n", "unknown field `atester`"), ("[attester]\nuse = 'x'\n", "`attester.use`")]
        {
            let error = attester(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        // No file is a mistake, unless it is the one that nobody named.
        let elsewhere = Config::read_attester(Path::new("/nowhere/agent.toml"));
        assert!(matches!(elsewhere, Err(ConfigError::Read { .. })));
        if !Path::new(Config::PATH).exists() {
            let (choice, places) = Config::read_attester(Path::new(Config::PATH)).unwrap();
            assert_eq!((choice, places.socket), (Choice::Auto, None));
        }
    }

    #[test]
    fn wrong_values_are_named() {
        for (text, field) in [
            (format!("suite = 'rot13'\n{}", good()), "suite"),
            (good().replace("abab", "xyxy"), "broker.identity"),
            (good().replace("'https://127.0.0.1:1'", ""), "broker.urls"),
            (format!("{}use = 'tpm0'\n", good()), "attester.use"),
            (format!("{}[witnesses]\nquorum = 1\n", good()), "witnesses.quorum"),
            ("[attester]\nsocket = 'a.sock'\n".to_owned(), "broker"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{field}` in ")), "{error}");
        }
        let error = read(&format!("{}extra = 1\n", good())).unwrap_err().to_string();
        assert!(error.contains("line 6") && error.contains("unknown field `extra`"), "{error}");
    }
}
