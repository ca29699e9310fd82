//! [`Bundle`]: everything a decision rests on besides the request, as texts with names.

use claims::{Fields, PolicyDigest};

use crate::load_error::{LoadError, Problem};

/// Schema, reference values and policies, as read by the caller.
///
/// Its digest stands in the journal's leaf of every decision, so that it is known under which rules a key was released.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub(crate) schema: String,
    pub(crate) references: String,
    pub(crate) policies: Vec<(String, String)>,
}

impl Bundle {
    /// The name of the schema in errors and in the digest.
    pub const SCHEMA: &'static str = "schema.cedarschema";
    /// The name of the reference values in errors and in the digest.
    pub const REFERENCES: &'static str = "reference-values.toml";

    /// A bundle without policies: the schema in Cedar's schema language and the reference values in TOML.
    pub fn new(schema: impl Into<String>, references: impl Into<String>) -> Self {
        Self { schema: schema.into(), references: references.into(), policies: Vec::new() }
    }

    /// Adds one file of policies under its name, such as `snp-production.cedar`. Order does not matter.
    #[must_use]
    pub fn with_policy(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.policies.push((name.into(), text.into()));
        self
    }

    /// SHA-256 of `keyfast/1 policy bundle`, schema, reference values, and name and text of each policy file in
    /// order of names, each length-prefixed ([`Fields`]).
    pub fn digest(&self) -> PolicyDigest {
        let head = Fields::labelled("keyfast/1 policy bundle")
            .bytes(self.schema.as_bytes())
            .bytes(self.references.as_bytes());
        PolicyDigest(crypto::sha256(&[&self.with_files(head).finish()]))
    }

    /// The same of `keyfast/1 policy rules`, without the reference values.
    pub fn rules_digest(&self) -> PolicyDigest {
        let head = Fields::labelled("keyfast/1 policy rules").bytes(self.schema.as_bytes());
        PolicyDigest(crypto::sha256(&[&self.with_files(head).finish()]))
    }

    fn with_files(&self, head: Fields) -> Fields {
        let mut policies: Vec<_> = self.policies.iter().collect();
        policies.sort();
        let file = |fields: Fields, (name, text): &(String, String)| {
            fields.bytes(name.as_bytes()).bytes(text.as_bytes())
        };
        policies.into_iter().fold(head, file)
    }

    /// Whether there is something to load, and no more of it than a broker should parse.
    pub(crate) fn check_bounds(&self) -> Vec<LoadError> {
        let mut errors = Vec::new();
        if self.policies.is_empty() {
            errors.push(LoadError::whole("policies", Problem::Empty));
        }
        if self.policies.len() > MAX_FILES {
            let (max, got) = (MAX_FILES, self.policies.len());
            errors.push(LoadError::whole("policies", Problem::TooMany { what: "policy files", max, got }));
        }
        let mut measure = |name: &str, max: usize, got: usize| {
            if got > max {
                errors.push(LoadError::whole(name, Problem::TooLong { max, got }));
            }
        };
        measure(Self::SCHEMA, MAX_POLICY_TEXT, self.schema.len());
        measure(Self::REFERENCES, MAX_REFERENCES_TEXT, self.references.len());
        self.policies.iter().for_each(|(name, text)| measure(name, MAX_POLICY_TEXT, text.len()));
        errors.extend(self.repeated_names());
        errors
    }

    fn repeated_names(&self) -> impl Iterator<Item = LoadError> {
        let mut names: Vec<&String> = self.policies.iter().map(|(name, _)| name).collect();
        names.sort();
        let repeated = names.windows(2).filter_map(|pair| match pair {
            [a, b] if a == b => Some((*a).clone()),
            _ => None,
        });
        repeated.map(|name| LoadError::whole(&name, Problem::RepeatedFile)).collect::<Vec<_>>().into_iter()
    }
}

/// Most bytes of a policy file, and of the schema.
const MAX_POLICY_TEXT: usize = 256 * 1024;
/// Most bytes of the reference values: some 200,000 of them.
const MAX_REFERENCES_TEXT: usize = 64 * 1024 * 1024;
/// Most policy files of a bundle.
const MAX_FILES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(policies: &[(&str, &str)]) -> PolicyDigest {
        let empty = Bundle::new("schema", "references");
        policies.iter().fold(empty, |bundle, (name, text)| bundle.with_policy(*name, *text)).digest()
    }

    #[test]
    fn the_digest_covers_every_text_and_name_and_no_order() {
        let whole = digest(&[("a", "1"), ("b", "2")]);
        assert_eq!(whole, digest(&[("b", "2"), ("a", "1")]));
        for other in
            [&[("a", "1")][..], &[("a", "2"), ("b", "2")], &[("a", "1"), ("c", "2")], &[("a", "1b2")]]
        {
            assert_ne!(whole, digest(other), "{other:?}");
        }
        assert_ne!(Bundle::new("s", "r").digest(), Bundle::new("s", "q").digest());
        assert_ne!(Bundle::new("s", "r").digest(), Bundle::new("t", "r").digest());
        assert_ne!(Bundle::new("sr", "").digest(), Bundle::new("s", "r").digest());
        let rules =
            |references: &str, text: &str| Bundle::new("s", references).with_policy("a", text).rules_digest();
        assert_eq!(rules("r", "1"), rules("q", "1"));
        assert_ne!(rules("r", "1"), rules("r", "2"));
    }

    #[test]
    fn an_empty_or_oversized_bundle_is_refused_before_it_is_parsed() {
        let problems = |bundle: Bundle| -> Vec<Problem> {
            bundle.check_bounds().into_iter().map(|error| error.problem).collect()
        };
        let spaces = |bytes: usize| " ".repeat(bytes);
        assert_eq!(problems(Bundle::new("", "")), [Problem::Empty]);
        let one = |schema, references| Bundle::new(schema, references).with_policy("a", spaces(262_144));
        assert_eq!(problems(one(spaces(262_144), spaces(67_108_864))), []);
        let too_long = |max| Problem::TooLong { max, got: max + 1 };
        assert_eq!(problems(Bundle::new("", "").with_policy("a", spaces(262_145))), [too_long(262_144)]);
        assert_eq!(
            problems(one(spaces(262_145), spaces(67_108_865))),
            [too_long(262_144), too_long(67_108_864)]
        );
        assert_eq!(
            problems(Bundle::new("", "").with_policy("a", "").with_policy("a", "")),
            [Problem::RepeatedFile]
        );
        let files = |count| (0..count).fold(Bundle::new("", ""), |b, i| b.with_policy(i.to_string(), ""));
        assert_eq!(problems(files(256)), []);
        let too_many = Problem::TooMany { what: "policy files", max: 256, got: 257 };
        assert_eq!(problems(files(257)), [too_many]);
    }
}
