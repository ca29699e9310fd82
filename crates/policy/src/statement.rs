//! [`BundleStatement`]: what policy officers sign: which texts, in which order of versions, and what was proven of them.
//!
//! `bundle.toml` beside the policies. It decides nothing: the texts that a broker loads must have the digest that stands
//! here, and the signatures are over these bytes.

use std::collections::BTreeSet;

use claims::PolicyDigest;
use serde::{Deserialize, Serialize};

use crate::printable::printable;

/// What officers sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleStatement {
    /// Of this format: 1.
    version: u64,
    /// Counts up; a broker does not go back.
    pub serial: u64,
    /// The bundle's digest, reference values and all: 64 hexadecimal digits.
    digest: String,
    /// The digest of schema and policies alone: 64 hexadecimal digits.
    rules: String,
    /// The policies, by their files' names without `.cedar`: for officers, who compare the digests with their own files.
    pub policies: Vec<String>,
    /// What was proven of exactly these texts, if anything was.
    pub proof: Option<ProofRecord>,
}

/// What `keyfast policy prove` showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofRecord {
    /// The solver and its version.
    pub solver: String,
    /// When, RFC 3339.
    pub at: String,
    /// Properties that hold for every request.
    pub held: Vec<String>,
    /// Properties that do not, each with a counterexample at the time.
    pub failed: Vec<String>,
}

impl ProofRecord {
    /// What every bundle must prove, besides that each of its rules can apply and that none errs.
    pub const INVARIANTS: [&str; 18] = [
        "never/debug",
        "never/migration-agent",
        "never/simulated-with-real-key",
        "never/without-floor",
        "never/without-mitigations",
        "never/revoked-product",
        "never/denied-chip",
        "never/denied-provider",
        "never/without-identity",
        "never/without-os",
        "never/host-vtpm-with-kek",
        "never/guest-vouched-key",
        "never/unknown-paravisor",
        "never/tcb-under-floor-fmc",
        "never/tcb-under-floor-bootloader",
        "never/tcb-under-floor-tee",
        "never/tcb-under-floor-snp",
        "never/tcb-under-floor-microcode",
    ];

    /// The name of the property that a rule can apply.
    pub fn applies(rule: &str) -> String {
        format!("applies: {rule}")
    }

    /// The name of the property that a rule never errs.
    pub fn never_errs(rule: &str) -> String {
        format!("never errs: {rule}")
    }

    /// The first thing that must hold of a bundle with these rules and that this does not show.
    pub fn lacks<'a>(&self, rules: impl IntoIterator<Item = &'a str>) -> Option<String> {
        let of_rules = rules.into_iter().flat_map(|rule| [Self::applies(rule), Self::never_errs(rule)]);
        let mut all = Self::INVARIANTS.into_iter().map(str::to_owned).chain(of_rules);
        all.find(|id| !self.held.contains(id))
    }
}

/// Why a text is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// It is longer than is read.
    #[error("too long for a bundle's statement: expected at most {MAX_TEXT} bytes, got {got}")]
    TooLong {
        /// Bytes given.
        got: usize,
    },
    /// It is no TOML of this shape.
    #[error("not a bundle's statement: {}", printable(message))]
    Malformed {
        /// What is wrong, with line and column.
        message: String,
    },
    /// A policy has a name that is none, or stands there twice: each file is read once.
    #[error(
        "a policy in a bundle's statement has the name `{}`: expected names of files, each once",
        printable(name)
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Another version of the format.
    #[error("unknown version of a bundle's statement: expected 1, got {got}")]
    Version {
        /// What was found.
        got: u64,
    },
}

impl BundleStatement {
    /// The file's name, beside the policies.
    pub const FILE: &'static str = "bundle.toml";
    /// The file of its signatures.
    pub const SIGNATURES: &'static str = "bundle.toml.sig";
    /// What they are signatures for.
    pub const NAMESPACE: &'static str = "keyfast-bundle";
    /// The file of the reference values' signatures.
    pub const REFERENCE_SIGNATURES: &'static str = "reference-values.toml.sig";
    /// What those are for.
    pub const REFERENCE_NAMESPACE: &'static str = "keyfast-references";

    /// About the texts of these digests: the whole bundle's, and that of its rules alone.
    pub fn new(
        serial: u64,
        policies: Vec<String>,
        (digest, rules): (PolicyDigest, PolicyDigest),
        proof: Option<ProofRecord>,
    ) -> Self {
        Self { version: 1, serial, digest: digest.to_string(), rules: rules.to_string(), policies, proof }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn parse(text: &str) -> Result<Self, StatementError> {
        if text.len() > MAX_TEXT {
            return Err(StatementError::TooLong { got: text.len() });
        }
        let statement: Self =
            toml::from_str(text).map_err(|error| StatementError::Malformed { message: error.to_string() })?;
        if statement.version != 1 {
            return Err(StatementError::Version { got: statement.version });
        }
        let mut seen = BTreeSet::new();
        for name in &statement.policies {
            if name.is_empty() || name.contains('/') || !seen.insert(name) {
                return Err(StatementError::Name { name: name.clone() });
            }
        }
        Ok(statement)
    }

    /// The file.
    ///
    /// # Errors
    /// [`StatementError::Malformed`] if a number is too large for TOML.
    pub fn to_text(&self) -> Result<String, StatementError> {
        toml::to_string(self).map_err(|error| StatementError::Malformed { message: error.to_string() })
    }

    /// Whether it is about a bundle with these digests: the whole, or the rules alone.
    pub fn is_about(&self, digest: PolicyDigest, rules: PolicyDigest, whole: bool) -> bool {
        self.rules == rules.to_string() && (!whole || self.digest == digest.to_string())
    }
}

/// Most bytes of a statement.
const MAX_TEXT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_comes_back_and_is_about_its_texts_alone() {
        let [digest, rules, other] = [1, 2, 3].map(|byte| PolicyDigest([byte; 32]));
        let proof = ProofRecord {
            solver: "cvc5 1.0".to_owned(),
            at: "2026-11-22T00:00:00Z".to_owned(),
            held: vec!["never/debug".to_owned()],
            failed: Vec::new(),
        };
        let policies = vec!["operators".to_owned(), "snp-production".to_owned()];
        let statement = BundleStatement::new(7, policies, (digest, rules), Some(proof));
        assert_eq!(BundleStatement::parse(&statement.to_text().unwrap()), Ok(statement.clone()));
        assert!(statement.is_about(digest, rules, true) && statement.is_about(other, rules, false));
        assert!(!statement.is_about(other, rules, true) && !statement.is_about(digest, other, false));
    }

    #[test]
    fn a_record_lacks_the_first_thing_that_it_does_not_show() {
        let invariants = || ProofRecord::INVARIANTS.map(str::to_owned);
        let record = |held: Vec<String>| {
            let (solver, at) = ("cvc5 1.0".to_owned(), "2026-11-22T00:00:00Z".to_owned());
            ProofRecord { solver, at, held, failed: Vec::new() }
        };
        let shown = |more: &[&str]| {
            let more = more.iter().map(|id| (*id).to_owned());
            record(invariants().into_iter().chain(more).collect()).lacks(["a/permit"])
        };
        assert_eq!(record(invariants()[1..].to_vec()).lacks([]), Some(invariants()[0].clone()));
        assert_eq!(record(invariants().to_vec()).lacks([]), None);
        assert_eq!(shown(&[]).as_deref(), Some("applies: a/permit"));
        assert_eq!(shown(&["applies: a/permit"]).as_deref(), Some("never errs: a/permit"));
        assert_eq!(shown(&["applies: a/permit", "never errs: a/permit"]), None);
    }

    #[test]
    fn what_is_none_is_refused() {
        let digest = PolicyDigest([0; 32]);
        let text = BundleStatement::new(1, Vec::new(), (digest, digest), None).to_text().unwrap();
        let later = BundleStatement::parse(&text.replace("version = 1", "version = 2"));
        assert_eq!(later, Err(StatementError::Version { got: 2 }));
        let extra = BundleStatement::parse(&format!("{text}extra = 1\n")).unwrap_err();
        assert!(extra.to_string().contains("unknown field `extra`"), "{extra}");
        for (names, wrong) in [("['a', 'b', 'a']", "a"), ("['a', '../a']", "../a"), ("['']", "")] {
            let named =
                BundleStatement::parse(&text.replace("policies = []", &format!("policies = {names}")));
            assert_eq!(named, Err(StatementError::Name { name: wrong.to_owned() }));
        }
        let padded = |bytes: usize| text.clone() + &" ".repeat(bytes - text.len());
        assert!(BundleStatement::parse(&padded(65_536)).is_ok());
        let long = BundleStatement::parse(&padded(65_537)).unwrap_err();
        assert_eq!(long, StatementError::TooLong { got: 65_537 });
        assert!(long.to_string().ends_with("expected at most 65536 bytes, got 65537"), "{long}");
    }
}
