//! The grammar of Secure Key Release policies: JSON in, authorities with trees of claim conditions out.
//!
//! From "Azure Key Vault secure key release policy grammar": a policy is `version` and an `anyOf` of authorities, each
//! with an `anyOf` or `allOf` of conditions, which nest. A condition is `{"claim": C, "equals": V}`, or in the older form
//! `{"claim": C, "condition": "equals", "value": V}`. The grammar names other operators, and Azure defines none of them so
//! far. A policy comes bare, or as Key Vault keeps it: base64url in `data` of a key's `release_policy`.
//!
//! Nothing is guessed: what is not of this grammar is a problem with its place, and all problems are told at once. Text,
//! nesting and number of conditions are bounded before anything is made of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::json::Json;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A JSON path such as `$.anyOf[0].allOf[1].equals`.
    pub place: String,
    /// What is wrong, and what was expected.
    pub message: String,
}

/// A policy as written.
#[derive(Debug)]
pub struct Document {
    /// Key Vault keeps it so that it can never be changed.
    pub immutable: bool,
    /// The authorities, in their order; one and the same may be there several times.
    pub authorities: Vec<Authority>,
}

/// A service whose tokens are taken, and what such a token must say.
#[derive(Debug)]
pub struct Authority {
    /// Where it stands.
    pub place: String,
    /// Its URL in lower case, without a slash at its end.
    pub url: String,
    /// What its tokens must say.
    pub asks: Node,
}

/// A condition.
#[derive(Debug)]
pub enum Node {
    /// All of these.
    All(Vec<Node>),
    /// At least one of these.
    Any(Vec<Node>),
    /// A claim has a value.
    Claim(ClaimCondition),
}

/// A claim and the value that it must have.
#[derive(Debug)]
pub struct ClaimCondition {
    /// Where it stands.
    pub place: String,
    /// Where its value stands.
    pub value_place: String,
    /// The claim's name, with dots between the names of objects.
    pub claim: String,
    /// The value.
    pub value: Value,
}

/// The value of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string. Azure compares numbers and booleans as strings too.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A boolean.
    Truth(bool),
}

/// As in JSON, in printable ASCII.
impl core::fmt::Display for Value {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{}\"", printable(text)),
            Self::Number(number) => write!(f, "{number}"),
            Self::Truth(truth) => write!(f, "{truth}"),
        }
    }
}

/// A text of somebody else's, cut to a bound, without anything that moves a cursor or ends a line.
pub fn printable(text: &str) -> String {
    let escaped = text.chars().take(MAX_SHOWN).flat_map(char::escape_default).collect::<String>();
    let more = if text.chars().nth(MAX_SHOWN).is_some() { "..." } else { "" };
    escaped.replace("\\'", "'") + more
}

/// Reads a policy, bare or in its wrapper.
///
/// # Errors
/// Everything that is wrong with it; at least one.
pub fn parse(text: &str) -> Result<Document, Vec<Problem>> {
    let json = from_text("$", text)?;
    let (immutable, decoded) = match data(&json)? {
        Some((immutable, text)) => (immutable, from_text("$", &text)?),
        None => (false, json),
    };
    let mut reader = Reader::default();
    let authorities = reader.policy(&decoded);
    if reader.problems.is_empty() { Ok(Document { immutable, authorities }) } else { Err(reader.problems) }
}

fn from_text(place: &str, text: &str) -> Result<Json, Vec<Problem>> {
    let wrong = |message: String| vec![Problem { place: place.to_owned(), message }];
    if text.len() > MAX_TEXT {
        return Err(wrong(format!("too long: expected at most {MAX_TEXT} bytes, got {}", text.len())));
    }
    // Windows PowerShell begins its files with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text).map_err(|error| wrong(format!("not JSON: {error}")))
}

/// The policy's text and whether it is immutable, if this is what Key Vault keeps it in: a key, or its release policy, as
/// the REST API or `az` prints it.
fn data(json: &Json) -> Result<Option<(bool, String)>, Vec<Problem>> {
    let wrappers = ["release_policy", "releasePolicy"];
    let wrapper = wrappers.iter().find_map(|name| Some((*name, json.member(name)?)));
    let (base, wrapper) = wrapper.map_or(("$".to_owned(), json), |(name, own)| (format!("$.{name}"), own));
    let encodings = ["data", "encodedPolicy"];
    let Some((name, encoded)) = encodings.iter().find_map(|name| Some((*name, wrapper.member(name)?))) else {
        let bare = base == "$";
        let missing = Problem { place: base, message: "expected `data`, the policy in base64url".to_owned() };
        return if bare { Ok(None) } else { Err(vec![missing]) };
    };
    let place = format!("{base}.{name}");
    let wrong = |message: &str| vec![Problem { place: place.clone(), message: message.to_owned() }];
    let Json::Text(encoded) = encoded else {
        return Err(wrong(&format!("expected base64url, got {}", encoded.kind())));
    };
    let url_safe = encoded.trim_end_matches('=').replace('+', "-").replace('/', "_");
    let bytes = URL_SAFE_NO_PAD.decode(url_safe).map_err(|_| wrong("not base64url"))?;
    let immutable = wrapper.member("immutable") == Some(&Json::Truth(true));
    String::from_utf8(bytes)
        .map(|text| Some((immutable, text)))
        .map_err(|_| wrong("what it encodes is not UTF-8"))
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    conditions: usize,
}

impl Reader {
    fn wrong(&mut self, place: &str, message: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { place: place.to_owned(), message: message.into() });
        }
    }

    fn policy(&mut self, json: &Json) -> Vec<Authority> {
        let Some(members) = self.members(json, "$", &["version", "anyOf", "allOf"], "a policy") else {
            return Vec::new();
        };
        match members.iter().find(|(name, _)| *name == "version") {
            Some((_, Json::Text(version))) if VERSIONS.contains(&version.as_str()) => {}
            Some((_, Json::Text(version))) => {
                let got = printable(version);
                self.wrong("$.version", format!("expected one of {}, got `{got}`", VERSIONS.join(", ")));
            }
            Some((_, other)) => self.wrong("$.version", format!("expected a string, got {}", other.kind())),
            None => self.wrong("$", "expected `version`"),
        }
        let Some((word, authorities)) = self.one_group(&members, "$") else { return Vec::new() };
        let place = format!("$.{word}");
        let authorities = self.array(authorities, &place);
        if word == "allOf" && authorities.len() > 1 {
            self.wrong(&place, "a token is of one authority alone; expected `anyOf`");
        }
        let all = authorities.iter().enumerate();
        all.filter_map(|(at, json)| self.authority(json, &format!("{place}[{at}]"))).collect()
    }

    fn authority(&mut self, json: &Json, place: &str) -> Option<Authority> {
        let members = self.members(json, place, &["authority", "anyOf", "allOf"], "an authority")?;
        let url = match members.iter().find(|(name, _)| *name == "authority") {
            Some((_, Json::Text(url))) => {
                let normal = normal_url(url);
                if normal.is_none() {
                    let got = printable(url);
                    self.wrong(
                        &format!("{place}.authority"),
                        format!("expected the https URL of an attestation provider, got `{got}`"),
                    );
                }
                normal
            }
            Some((_, other)) => {
                self.wrong(&format!("{place}.authority"), format!("expected a URL, got {}", other.kind()));
                None
            }
            None => {
                self.wrong(place, "expected `authority`");
                None
            }
        };
        let asks = self.group(&members, place, 1)?;
        Some(Authority { place: place.to_owned(), url: url?, asks })
    }

    fn condition(&mut self, json: &Json, place: &str, depth: usize) -> Option<Node> {
        self.conditions = self.conditions.saturating_add(1);
        if self.conditions == MAX_CONDITIONS.saturating_add(1) {
            self.wrong(place, format!("too many conditions: expected at most {MAX_CONDITIONS}"));
        }
        if self.conditions > MAX_CONDITIONS {
            return None;
        }
        if json.member("claim").is_some() {
            return self.claim(json, place);
        }
        let members = self.members(json, place, &["anyOf", "allOf"], "a condition")?;
        self.group(&members, place, depth)
    }

    /// The `anyOf` or `allOf` among these members.
    fn group(&mut self, members: &[(&str, &Json)], place: &str, depth: usize) -> Option<Node> {
        let (word, conditions) = self.one_group(members, place)?;
        let place = format!("{place}.{word}");
        if depth > MAX_DEPTH {
            self.wrong(
                &place,
                format!("nested too deep: expected at most {MAX_DEPTH} of `anyOf` and `allOf`"),
            );
            return None;
        }
        let conditions = self.array(conditions, &place).iter().enumerate();
        let deeper = depth.saturating_add(1);
        let nodes: Vec<Option<Node>> =
            conditions.map(|(at, json)| self.condition(json, &format!("{place}[{at}]"), deeper)).collect();
        let nodes = nodes.into_iter().collect::<Option<Vec<Node>>>()?;
        Some(if word == "anyOf" { Node::Any(nodes) } else { Node::All(nodes) })
    }

    fn one_group<'a>(&mut self, members: &[(&'a str, &'a Json)], place: &str) -> Option<(&'a str, &'a Json)> {
        let mut groups = members.iter().filter(|(name, _)| ["anyOf", "allOf"].contains(name));
        match (groups.next(), groups.next()) {
            (Some(group), None) => Some(*group),
            _ => {
                self.wrong(place, "expected either `anyOf` or `allOf`");
                None
            }
        }
    }

    fn claim(&mut self, json: &Json, place: &str) -> Option<Node> {
        let known = ["claim", "equals", "condition", "value"];
        let members = self.members(json, place, &known, "a condition")?;
        let member = |name| members.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let claim = match member("claim") {
            Some(Json::Text(claim)) if !claim.is_empty() => claim.clone(),
            _ => {
                self.wrong(&format!("{place}.claim"), "expected a claim's name");
                return None;
            }
        };
        let (word, value) = match (member("equals"), member("condition"), member("value")) {
            (Some(value), None, None) => ("equals", value),
            (None, Some(Json::Text(word)), Some(value)) if word == "equals" => ("value", value),
            (None, Some(word), Some(_)) => {
                let got = if let Json::Text(word) = word { printable(word) } else { word.kind().to_owned() };
                self.wrong(&format!("{place}.condition"), only_equals(&got));
                return None;
            }
            _ => {
                self.wrong(place, "expected either `equals`, or `condition` and `value`");
                return None;
            }
        };
        let value_place = format!("{place}.{word}");
        let value = match value {
            Json::Text(text) => Value::Text(text.clone()),
            Json::Truth(truth) => Value::Truth(*truth),
            Json::Number(number) if number.as_i64().is_some() => Value::Number(number.as_i64()?),
            other => {
                let got = other.kind();
                self.wrong(
                    &value_place,
                    format!("expected a string, a whole number or a boolean, got {got}"),
                );
                return None;
            }
        };
        Some(Node::Claim(ClaimCondition { place: place.to_owned(), value_place, claim, value }))
    }

    /// An object's members, each known and there once.
    fn members<'a>(
        &mut self,
        json: &'a Json,
        place: &str,
        known: &[&str],
        what: &str,
    ) -> Option<Vec<(&'a str, &'a Json)>> {
        let Json::Object(members) = json else {
            self.wrong(place, format!("expected {what}, got {}", json.kind()));
            return None;
        };
        let before = self.problems.len();
        for (at, (name, _)) in members.iter().enumerate() {
            let there = format!("{place}.{}", printable(name));
            if OPERATORS.contains(&name.as_str()) && known.contains(&"equals") {
                self.wrong(&there, only_equals(name));
            } else if !known.contains(&name.as_str()) {
                self.wrong(&there, format!("{what} has no such member: expected {}", known.join(", ")));
            } else if members.iter().take(at).any(|(other, _)| other == name) {
                self.wrong(&there, "there twice, and readers differ about which of two counts");
            }
        }
        let sound = self.problems.len() == before;
        sound.then(|| members.iter().map(|(name, value)| (name.as_str(), value)).collect())
    }

    fn array<'a>(&mut self, json: &'a Json, place: &str) -> &'a [Json] {
        match json {
            Json::Array(items) if !items.is_empty() => return items,
            Json::Array(_) => self.wrong(place, "is empty: expected at least one"),
            other => self.wrong(place, format!("expected an array, got {}", other.kind())),
        }
        &[]
    }
}

fn only_equals(got: &str) -> String {
    format!("no such comparison: Azure defines `equals` alone so far, got `{got}`")
}

/// Scheme and host in lower case, without the default port and slashes at the end.
fn normal_url(url: &str) -> Option<String> {
    let url = url.trim_end_matches('/').to_ascii_lowercase();
    let host = url.strip_prefix("https://")?;
    let host = host.strip_suffix(":443").unwrap_or(host);
    let possible = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b':');
    let sound = (1..=MAX_HOST).contains(&host.len()) && host.bytes().all(possible);
    sound.then(|| format!("https://{host}"))
}

/// What the grammar names besides `equals`.
const OPERATORS: [&str; 8] = [
    "notEquals",
    "less",
    "lessOrEquals",
    "lessOrEqual",
    "greater",
    "greaterOrEquals",
    "greaterOrEqual",
    "exists",
];
/// The versions that samples and the reference show; they differ in nothing.
const VERSIONS: [&str; 3] = ["1.0.0", "1.0", "0.2"];
/// Most bytes of a policy, or of what it comes in.
pub const MAX_TEXT: usize = 256 * 1024;
/// Most groups within groups.
const MAX_DEPTH: usize = 12;
/// Most conditions and groups.
const MAX_CONDITIONS: usize = 4096;
/// Most problems that are told.
const MAX_PROBLEMS: usize = 64;
/// Most bytes of a host's name, with its port.
const MAX_HOST: usize = 261;
/// Most characters of somebody else's text that are printed.
const MAX_SHOWN: usize = 200;

#[cfg(test)]
mod tests;
