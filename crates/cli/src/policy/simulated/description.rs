//! A guest that a solver found, as a case in TOML.

use std::path::Path;

use claims::{ChipId, UnixTime};
use policy::case::{Case, CaseError};
use prove::{Candidates, Counterexample, Reads};
use serde_json::Value;

use super::family::{Family, TCBS};

/// A case, line by line: what is out of the ordinary about the guest, the request, the key and the circumstances.
#[derive(Clone, Debug)]
pub struct Description {
    now: UnixTime,
    family: String,
    /// (table, line).
    lines: Vec<(&'static str, String)>,
    /// The processor, which a case in TOML cannot choose: for guests of other roots.
    chip: Option<ChipId>,
}

impl Description {
    /// What a case must say for a guest of this family, so that its evidence comes to these claims as far as they are
    /// read.
    pub fn of(family: &Family, found: &Counterexample, candidates: &Candidates, reads: &Reads) -> Self {
        let mut all = Self {
            now: family.usual.circumstances.now,
            family: family.lines.clone(),
            lines: vec![("request", format!("operation = {}", quoted(&found.action)))],
            chip: chip(&found.request.guest).filter(|_| reads.reads("principal.snp.chip")),
        };
        all.guest(&family.usual, &found.request.guest, reads);
        all.lines.extend(key_lines(found, candidates, reads));
        all.context(found, reads);
        all
    }

    /// Each line that may be left out, left out.
    pub fn shorter(&self) -> impl Iterator<Item = Self> {
        let without = |at: usize| {
            let mut other = self.clone();
            other.lines.remove(at);
            other
        };
        (0..self.lines.len()).map(without)
    }

    /// Its lines, each with the table that it stands in, table by table.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        TABLES.into_iter().flat_map(|table| {
            let family = self.family.lines().filter(move |_| table == "guest");
            let own = self.lines.iter().filter(move |(of, _)| *of == table).map(|(_, line)| line.as_str());
            family.chain(own).map(move |line| (table, line))
        })
    }

    /// The processor that the solver chose.
    pub fn chip(&self) -> Option<ChipId> {
        self.chip
    }

    /// The whole case.
    pub fn to_text(&self, about: &str, expect: &str) -> String {
        let mut text = format!("about = {}\nnow = {}\n", quoted(about), quoted(&self.now.to_string()));
        for table in TABLES {
            let lines: Vec<&str> =
                self.lines().filter(|(of, _)| *of == table).map(|(_, line)| line).collect();
            if !lines.is_empty() {
                text.push_str(&format!("\n[{table}]\n{}\n", lines.join("\n")));
            }
        }
        text + "\n[expect]\n" + expect + "\n"
    }

    /// Launches the guest and has it verified.
    ///
    /// # Errors
    /// [`CaseError`] if there is no such guest.
    pub fn build(&self) -> Result<Case, CaseError> {
        super::parse(&self.to_text("", "permit = []"), Path::new("."))
    }

    fn add(&mut self, table: &'static str, line: String) {
        self.lines.push((table, line));
    }

    fn guest(&mut self, usual: &Case, claims: &Value, reads: &Reads) {
        let at = |path: &str| claims.pointer(path).filter(|_| reads.reads(&dotted(path)));
        let name = |path: &str| at(path)?.pointer("/__entity/id")?.as_str();
        for (path, key) in [
            ("/snp/measurement", "measurement"),
            ("/snp/host_data", "host_data"),
            ("/snp/id_key", "id_key"),
            ("/snp/author_key", "author_key"),
            ("/config", "config"),
            ("/suite", "suite"),
        ] {
            if let Some(name) = name(path) {
                self.add("guest", format!("{key} = {}", quoted(name)));
            }
        }
        if let Some(provider) = name("/snp/csp") {
            self.family = self
                .family
                .lines()
                .filter(|line| !line.starts_with("provider"))
                .fold(String::new(), |all, line| all + line + "\n");
            self.add("guest", format!("provider = {}", quoted(provider)));
        }
        for (path, key) in
            [("/snp/policy/debug_allowed", "debug"), ("/snp/policy/migrate_ma_allowed", "migration_agent")]
        {
            if at(path).and_then(Value::as_bool) == Some(true) {
                self.add("guest", format!("{key} = true"));
            }
        }
        if let (Some(vmpl), Some(_)) = (at("/snp/vmpl").and_then(Value::as_i64), &usual.record.snp) {
            self.add("guest", format!("vmpl = {vmpl}"));
        }
        let is_turin =
            usual.record.snp.as_ref().is_some_and(|snp| snp.product == claims::snp::Product::Turin);
        for part in ["fmc", "bootloader", "tee", "snp", "microcode"] {
            let value = TCBS.iter().find_map(|tcb| at(&format!("/snp/{tcb}/{part}")));
            if let Some(value) = value.and_then(Value::as_i64).filter(|_| is_turin || part != "fmc") {
                self.add("guest", format!("tcb.{part} = {value}"));
            }
        }
        let vectors = ["/snp/current_mitigations", "/snp/launch_mitigations"];
        if let Some(Value::Array(bits)) = vectors.iter().find_map(|path| at(path)) {
            let mut bits: Vec<i64> = bits.iter().filter_map(Value::as_i64).collect();
            bits.sort_unstable();
            self.add("guest", format!("mitigations = {bits:?}"));
        }
    }

    fn context(&mut self, found: &Counterexample, reads: &Reads) {
        let request = &found.request;
        if let Some(ms) = request.evidence_age_ms.filter(|_| reads.reads("context.evidence_age")) {
            self.add("context", format!("evidence_age_s = {}", seconds(ms).0));
        }
        if let Some(network) = request.network.as_deref().filter(|_| reads.reads("context.network")) {
            let address = network.trim_start_matches("ip(\"").trim_end_matches("\")");
            let address = address.split_once('/').map_or(address, |(address, _)| address);
            self.add("context", format!("network = {}", quoted(address)));
        }
        let [guest, key] = request.recent;
        if let (Some(guest), Some(key), true) = (guest, key, reads.reads("context.recent")) {
            let count = |name: &str, count: i64| {
                if reads.reads(&format!("context.recent.{name}")) { count } else { 0 }
            };
            let (guest, key) = (count("guest", guest), count("key", key));
            self.add("context", format!("recent = {{ guest = {guest}, key = {key} }}"));
        }
    }
}

/// What a case must say about the key: lines of the tables `request` and `key`.
pub(in crate::policy) fn key_lines(
    found: &Counterexample,
    candidates: &Candidates,
    reads: &Reads,
) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let mut add = |table: &'static str, line: String| lines.push((table, line));
    let key = &found.request.key;
    let attribute = |name: &str| {
        key.pointer(&format!("/attrs/{name}")).filter(|_| reads.reads(&format!("resource.{name}")))
    };
    let name = |value: &Value| Some(value.pointer("/__entity/id")?.as_str()?.to_owned());
    if let Some(id) = key.pointer("/uid/id").and_then(Value::as_str) {
        add("request", format!("key = {}", quoted(id)));
    }
    for (attribute, key) in [
        (attribute("kind"), "kind"),
        (attribute("origin"), "origin"),
        (attribute("suite_floor"), "suite_floor"),
        (attribute("region"), "region"),
    ] {
        if let Some(name) = attribute.and_then(name) {
            add("key", format!("{key} = {}", quoted(&name)));
        }
    }
    if let Some(version) = attribute("version").and_then(Value::as_i64) {
        add("key", format!("version = {version}"));
    }
    if attribute("for_simulation").and_then(Value::as_bool) == Some(false) {
        add("key", "simulation = false".to_owned());
    }
    if let Some(exportable) = attribute("exportable").and_then(Value::as_bool) {
        let is_secret =
            attribute("kind").and_then(name).as_deref() == Some("secret") || found.action == "secret";
        let operations = match (is_secret, exportable) {
            (true, _) => "[\"secret\"]",
            (false, true) => "[\"unwrap\", \"release\"]",
            (false, false) => "[\"unwrap\"]",
        };
        add("key", format!("operations = {operations}"));
    }
    if let Some(ms) = found.request.created_at_ms.filter(|_| reads.reads("resource.created_at")) {
        add("key", format!("created_at = {}", quoted(&seconds(ms).to_string())));
    }
    let rings = key.get("parents").and_then(Value::as_array).into_iter().flatten();
    // The solver may put a key into rings that nobody names as well.
    let is_named =
        |ring: &&str| candidates.names("KeyRing").any(|known| known == *ring && known != "default");
    let ring = rings.filter_map(|ring| ring.get("id")?.as_str()).find(is_named);
    if let Some(ring) = ring {
        add("key", format!("ring = {}", quoted(ring)));
    }
    for (tag, value) in key.get("tags").and_then(Value::as_object).into_iter().flatten() {
        if let Some(value) = value.as_str() {
            add("key", format!("tags.{} = {}", quoted(tag), quoted(value)));
        }
    }
    lines
}

fn chip(claims: &Value) -> Option<ChipId> {
    let name = claims.pointer("/snp/chip/__entity/id")?.as_str()?;
    let bytes = hex::decode(name).ok()?;
    Some(ChipId(bytes.try_into().ok()?))
}

/// A JSON pointer among the guest's claims, as a path in Cedar.
fn dotted(pointer: &str) -> String {
    format!("principal{}", pointer.replace('/', "."))
}

/// A string in TOML.
pub(in crate::policy) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Milliseconds since 1970, or of an age. What is below zero is zero.
fn seconds(ms: i64) -> UnixTime {
    UnixTime(u64::try_from(ms.div_euclid(1000)).unwrap_or(0))
}

const TABLES: [&str; 4] = ["guest", "request", "key", "context"];
