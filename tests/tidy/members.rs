//! The members of the workspace and what their manifests name, from `cargo metadata` without resolving anything.

use std::collections::BTreeSet;
use std::fs;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::{Violation, tree};

/// One member.
#[derive(Debug, Default)]
pub struct Member {
    /// The package's name.
    pub name: String,
    /// Its manifest, from the workspace root.
    pub manifest: String,
    /// The manifest's text.
    pub text: String,
    /// Names of the packages that its code is built from: normal and build dependencies, optional ones included.
    pub names: BTreeSet<String>,
}

/// All members.
#[derive(Debug)]
pub struct Members(pub Vec<Member>);

impl Members {
    /// Those of the workspace that this test was compiled from.
    #[expect(clippy::expect_used, reason = "without metadata no rule can be checked")]
    pub fn load() -> Self {
        let mut command = MetadataCommand::new();
        command.manifest_path(tree::root().join("Cargo.toml")).no_deps();
        let metadata = command.exec().expect("`cargo metadata` answers");
        Self(metadata.packages.iter().map(Member::of).collect())
    }

    /// The members under `crates/`: those that the arrows bind.
    pub fn crates(&self) -> impl Iterator<Item = &Member> {
        self.0.iter().filter(|member| member.manifest.starts_with("crates/"))
    }

    /// Made-up crates, each with what it names.
    #[cfg(test)]
    pub fn of(crates: &[(&str, &[&str])]) -> Self {
        let member = |(name, names): &(&str, &[&str])| Member {
            name: (*name).to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            text: names.iter().fold("[dependencies]\n".to_owned(), |text, name| text + name + " = \"1\"\n"),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        Self(crates.iter().map(member).collect())
    }
}

impl Member {
    fn of(package: &Package) -> Self {
        let root = tree::root();
        let path = package.manifest_path.as_std_path();
        let built_from = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
        Self {
            name: package.name.to_string(),
            manifest: path.strip_prefix(&root).unwrap_or(path).to_string_lossy().into_owned(),
            text: fs::read_to_string(path).unwrap_or_default(),
            names: built_from.map(|d| d.name.clone()).collect(),
        }
    }

    /// Where the manifest names a package: `crates/keys/Cargo.toml:14`.
    pub fn place_of(&self, package: &str) -> String {
        let names = |line: &str| {
            let rest = line.strip_prefix(package);
            rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        };
        match self.text.lines().position(names) {
            Some(line) => format!("{}:{}", self.manifest, line + 1),
            None => self.manifest.clone(),
        }
    }
}

/// Members that do not take lints, edition, licence and the rest from the workspace.
pub fn without_workspace_settings(members: &Members) -> Vec<Violation> {
    let missing = |member: &Member| -> Vec<Violation> {
        let manifest: toml::Table = member.text.parse().unwrap_or_default();
        let table = |name: &str| manifest.get(name).and_then(toml::Value::as_table);
        let inherits = |table: Option<&toml::Table>| {
            table.and_then(|t| t.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
        };
        let key = |name: &&str| {
            let value = table("package").and_then(|package| package.get(*name));
            !inherits(value.and_then(toml::Value::as_table))
        };
        let lints = (!inherits(table("lints"))).then(|| "`[lints] workspace = true`".to_owned());
        let keys = INHERITED.iter().filter(|name| key(name)).map(|name| format!("`{name}.workspace = true`"));
        let violation = |what| Violation::new(&member.manifest, format!("lacks {what}"), "add it");
        lints.into_iter().chain(keys).map(violation).collect()
    };
    members.0.iter().flat_map(missing).collect()
}

/// What the root manifest says once for all.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_with_lints_of_its_own_is_named() {
        let package = INHERITED.iter().fold("[package]\n".to_owned(), |t, k| t + k + ".workspace = true\n");
        let member =
            |text: String| Member { manifest: "crates/a/Cargo.toml".into(), text, ..Member::default() };
        let bad = Members(vec![member(format!("{package}[lints.clippy]\ntodo = \"allow\"\n"))]);
        let found = without_workspace_settings(&bad);
        assert_eq!(
            found,
            [Violation::new("crates/a/Cargo.toml", "lacks `[lints] workspace = true`", "add it")]
        );
        let good = Members(vec![member(format!("{package}[lints]\nworkspace = true\n"))]);
        assert_eq!(without_workspace_settings(&good), []);
    }

    #[test]
    fn every_member_is_seen() {
        let members = Members::load();
        assert!(members.crates().any(|member| member.name == "claims"));
        assert!(members.0.iter().any(|member| member.name == "tests"));
        let keys = members.crates().find(|member| member.name == "keys").unwrap();
        assert!(
            keys.names.contains("crypto") && keys.place_of("crypto").starts_with("crates/keys/Cargo.toml:")
        );
    }
}
