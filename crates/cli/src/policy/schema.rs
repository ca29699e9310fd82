//! Reads the words of a policy schema, which Cedar's own parser drops: for each declaration and member, what `///` says
//! above it. Knows one layout, a declaration or member on each line; a line that it does not know is an error, never
//! left out. What the types mean is Cedar's to say.

use std::collections::BTreeMap;

/// A schema's declarations, by name.
#[derive(Debug)]
pub struct Schema {
    declarations: BTreeMap<String, Declaration>,
}

/// An entity, a type or an action.
#[derive(Debug)]
pub struct Declaration {
    pub doc: String,
    pub what: What,
}

/// What is declared.
#[derive(Debug, PartialEq, Eq)]
pub enum What {
    /// A closed set of entities, in order.
    Values(Vec<String>),
    /// Entities named by bytes or a word; whether reference values give them states.
    Named { has_states: bool },
    /// Entities or records with members.
    Members(Vec<Member>),
    /// An action, and what it applies to: `("principal", "Guest")` and the like; nothing for a group of actions.
    Action(Vec<(String, String)>),
}

/// A member of a record.
#[derive(Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub optional: bool,
    pub doc: String,
    pub kind: Kind,
}

/// A member's type.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    Named(String),
    Record(Vec<Member>),
}

/// A line that is not laid out as expected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "line {line} is not understood: expected one declaration or one member on each line, with `///` above it, at most \
     {MAX_DEPTH} records in each other"
)]
pub struct Misread {
    /// Counted from 1.
    pub line: usize,
}

/// One claim that a policy may read.
#[derive(Debug, PartialEq, Eq)]
pub struct Claim {
    /// As a policy writes it: `principal.snp.vmpl`.
    pub path: String,
    /// Its type; "record" for one without a name.
    pub kind: String,
    /// What a policy must ask before it reads the claim: `principal has snp`.
    pub ask_first: Option<String>,
    pub doc: String,
    /// The type of what its path begins with: `Guest`.
    pub of: String,
}

impl Schema {
    /// Reads a schema's text.
    pub fn parse(text: &str) -> Result<Self, Misread> {
        Reader { lines: text.lines(), line: 0, doc: Vec::new() }.schema()
    }

    /// The declaration of this name.
    pub fn get(&self, name: &str) -> Option<&Declaration> {
        self.declarations.get(name)
    }

    /// All declarations, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Declaration)> {
        self.declarations.iter().map(|(name, declaration)| (name.as_str(), declaration))
    }

    /// What rules speak of (`principal`, `resource`, `context`), and their types, as far as these have claims.
    pub fn roots(&self) -> Vec<(&str, &str)> {
        let mut roots = Vec::new();
        for (_, declaration) in self.iter() {
            let What::Action(applies_to) = &declaration.what else { continue };
            for (root, kind) in applies_to {
                let known = roots.contains(&(root.as_str(), kind.as_str()));
                if !known && !self.members(kind).is_empty() {
                    roots.push((root, kind));
                }
            }
        }
        let rank = |root| ["principal", "resource", "context"].iter().position(|known| *known == root);
        roots.sort_by_key(|(root, kind)| (rank(*root), *kind));
        roots
    }

    /// All claims of one root, members below the record that they are of.
    pub fn claims(&self, root: &str, kind: &str) -> Vec<Claim> {
        let mut claims = Vec::new();
        self.expand((root, kind), root, None, self.members(kind), 0, &mut claims);
        claims
    }

    fn members(&self, kind: &str) -> &[Member] {
        match self.get(kind).map(|declaration| &declaration.what) {
            Some(What::Members(members)) => members,
            _ => &[],
        }
    }

    fn expand(
        &self,
        (root, of): (&str, &str),
        path: &str,
        ask_first: Option<&str>,
        members: &[Member],
        depth: usize,
        claims: &mut Vec<Claim>,
    ) {
        for member in members.iter().filter(|_| depth < MAX_DEPTH) {
            let path = format!("{path}.{}", member.name);
            let below = path.strip_prefix(root).unwrap_or(&path).trim_start_matches('.');
            // It asks for all that is above as well.
            let asked = member.optional.then(|| format!("{root} has {below}"));
            let ask_first = asked.as_deref().or(ask_first);
            let (kind, members) = match &member.kind {
                Kind::Named(kind) => (kind.as_str(), self.members(kind)),
                Kind::Record(members) => ("record", members.as_slice()),
            };
            claims.push(Claim {
                path: path.clone(),
                kind: kind.to_owned(),
                ask_first: ask_first.map(str::to_owned),
                doc: member.doc.clone(),
                of: of.to_owned(),
            });
            self.expand((root, of), &path, ask_first, members, depth.saturating_add(1), claims);
        }
    }
}

/// Most records in each other.
const MAX_DEPTH: usize = 8;

struct Reader<'a> {
    lines: std::str::Lines<'a>,
    /// The number of the line that was read last.
    line: usize,
    /// What `///` said above the line that comes.
    doc: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn schema(mut self) -> Result<Schema, Misread> {
        let mut declarations = BTreeMap::new();
        while let Some(line) = self.next_line() {
            let (name, what) = self.declaration(line).ok_or(Misread { line: self.line })?;
            let doc = std::mem::take(&mut self.doc).join(" ");
            let what = match what {
                Some(what) => what,
                None => What::Members(self.members(0)?),
            };
            declarations.insert(name.to_owned(), Declaration { doc, what });
        }
        Ok(Schema { declarations })
    }

    /// The next line that is neither empty nor a comment; what `///` says is kept.
    fn next_line(&mut self) -> Option<&'a str> {
        loop {
            let line = self.lines.next()?.trim();
            self.line = self.line.saturating_add(1);
            match line.strip_prefix("///") {
                Some(doc) => self.doc.push(doc.trim()),
                None if line.is_empty() || line.starts_with("//") => {}
                None => return Some(line),
            }
        }
    }

    /// A declaration's name, and what it is, or nothing where members follow.
    fn declaration(&self, line: &'a str) -> Option<(&'a str, Option<What>)> {
        let (keyword, rest) = line.split_once(' ')?;
        if let Some(head) = rest.strip_suffix(" = {") {
            let name = head.split_once(" in [").map_or(head, |(name, _)| name);
            return ["entity", "type"].contains(&keyword).then_some((name, None));
        }
        let (name, rest) = match rest.strip_suffix(';')?.split_once(' ') {
            Some((name, rest)) => (name, rest),
            None => (rest.strip_suffix(';')?, ""),
        };
        let what = match keyword {
            "entity" if rest.is_empty() => What::Named { has_states: false },
            "entity" if rest == "in [ReferenceState]" => What::Named { has_states: true },
            "entity" => What::Values(values(rest.strip_prefix("enum [")?.strip_suffix(']')?)?),
            "action" => What::Action(action(rest)?),
            _ => return None,
        };
        Some((name.trim_matches('"'), Some(what)))
    }

    /// Members up to the end of their record.
    fn members(&mut self, depth: usize) -> Result<Vec<Member>, Misread> {
        let mut members = Vec::new();
        while let Some(line) = self.next_line().filter(|_| depth < MAX_DEPTH) {
            if ["};", "},", "} tags String;"].contains(&line) {
                return Ok(members);
            }
            let (name, kind) = line.split_once(": ").ok_or(Misread { line: self.line })?;
            let doc = std::mem::take(&mut self.doc).join(" ");
            let kind = match kind.strip_suffix(',') {
                Some(kind) => Kind::Named(kind.to_owned()),
                None if kind == "{" => Kind::Record(self.members(depth.saturating_add(1))?),
                None => return Err(Misread { line: self.line }),
            };
            let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
            members.push(Member { name: name.to_owned(), optional, doc, kind });
        }
        Err(Misread { line: self.line })
    }
}

/// `"a", "b"`.
fn values(text: &str) -> Option<Vec<String>> {
    text.split(", ").map(|value| Some(value.strip_prefix('"')?.strip_suffix('"')?.to_owned())).collect()
}

/// What an action applies to: `in [manage] appliesTo { principal: Guest, resource: Key }`, of which either may be missing.
fn action(rest: &str) -> Option<Vec<(String, String)>> {
    let rest = match rest.strip_prefix("in [") {
        Some(group) => group.split_once(']')?.1.trim_start(),
        None => rest,
    };
    if rest.is_empty() {
        return Some(Vec::new());
    }
    applies_to(rest.strip_prefix("appliesTo { ")?.strip_suffix(" }")?)
}

/// `principal: Guest, resource: Key`.
fn applies_to(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |pair: &str| pair.split_once(": ").map(|(root, kind)| (root.to_owned(), kind.to_owned()));
    text.split(", ").map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "// ---- words ----\n\n/// Which.\nentity Which enum [\"a\", \"b\"];\n/// Bytes,\n/// two.\n\
        entity Two in [ReferenceState];\nentity Plain;\n/// Part.\ntype Part = {\n  /// Number.\n  number: Long,\n};\n\
        /// A guest.\nentity Guest in [Plain] = {\n  /// The part.\n  part?: Part,\n  /// More.\n  more: {\n    /// Deep.\n    \
        deep?: Two,\n  },\n} tags String;\n/// All.\naction all;\n/// Go.\naction \"go-on\" in [all] appliesTo { principal: Guest, \
        resource: Plain, context: Part };\n";

    #[test]
    fn claims_are_listed_with_their_words_and_what_to_ask() {
        let schema = Schema::parse(SMALL).unwrap();
        assert_eq!(schema.roots(), [("principal", "Guest"), ("context", "Part")]);
        assert_eq!(schema.get("all").unwrap().what, What::Action(Vec::new()));
        assert_eq!(schema.get("go-on").unwrap().doc, "Go.");
        let claims = schema.claims("principal", "Guest");
        let rows: Vec<_> = claims
            .iter()
            .map(|c| {
                (c.path.as_str(), c.kind.as_str(), c.ask_first.as_deref().unwrap_or("-"), c.doc.as_str())
            })
            .collect();
        assert_eq!(
            rows,
            [
                ("principal.part", "Part", "principal has part", "The part."),
                ("principal.part.number", "Long", "principal has part", "Number."),
                ("principal.more", "record", "-", "More."),
                ("principal.more.deep", "Two", "principal has more.deep", "Deep."),
            ]
        );
        let two = schema.get("Two").unwrap();
        assert_eq!((two.doc.as_str(), &two.what), ("Bytes, two.", &What::Named { has_states: true }));
        assert_eq!(schema.get("Plain").unwrap().what, What::Named { has_states: false });
        assert_eq!(schema.get("Which").unwrap().what, What::Values(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn a_line_of_another_layout_is_named_and_nothing_is_left_out() {
        for (wrong, line) in [
            ("entity A in [B];", 1),
            ("entity A enum [a];", 1),
            ("namespace N {", 1),
            ("\nentity A", 2),
            ("action a = {", 1),
            ("action a in b;", 1),
            ("action a in [b] appliesTo {};", 1),
            ("type T = {\n  a: Long, b: Long\n};", 2),
            ("type T = {\n  a,\n};", 2),
            ("type T = {\n  a: Long,\n", 2),
        ] {
            assert_eq!(Schema::parse(wrong).unwrap_err(), Misread { line }, "{wrong}");
        }
    }

    #[test]
    fn records_in_each_other_are_bounded() {
        let nested =
            |depth: usize| format!("type T = {{\n{}{}}};\n", "a: {\n".repeat(depth), "},\n".repeat(depth));
        assert!(Schema::parse(&nested(MAX_DEPTH - 1)).is_ok());
        assert!(Schema::parse(&nested(MAX_DEPTH)).is_err());
        assert!(Schema::parse(&nested(1_000_000)).is_err());
        // A type that holds itself, which Cedar refuses, is listed to the same depth.
        let endless = Schema::parse("type T = {\n  t: T,\n};\n").unwrap();
        assert_eq!(endless.claims("principal", "T").len(), MAX_DEPTH);
    }
}
