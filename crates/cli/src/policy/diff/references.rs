//! Two files of reference values, compared value by value. They have been loaded before, so this reads their tables as
//! they are, whatever fields they have.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `added`, `removed`, `raised`, `lowered`, or the field that differs.
    pub what: String,
    /// `measurement`, `floor`, ...
    pub kind: String,
    /// The value, or the processor.
    pub value: String,
    /// Its name, the new one; empty for a floor.
    pub name: String,
    /// What it is now, or was and is.
    pub detail: String,
}

impl Change {
    /// Whether decisions can depend on it: words are for people, and a warning denies nothing.
    pub fn matters(&self) -> bool {
        !["name", "origin", "why", "warn_from"].contains(&self.what.as_str())
    }
}

/// What differs, in order of kinds and values; an error if one is no TOML.
pub fn compare(old: &str, new: &str) -> Result<Vec<Change>, toml::de::Error> {
    let (old, new) = (entries(&old.parse()?), entries(&new.parse()?));
    let mut changes = Vec::new();
    for (place, was) in &old {
        match new.get(place) {
            None => changes.push(whole("removed", place, was)),
            Some(is) => changes.extend(fields(place, was, is)),
        }
    }
    changes.extend(
        new.iter().filter(|(place, _)| !old.contains_key(*place)).map(|(p, is)| whole("added", p, is)),
    );
    changes.sort_by(|a, b| (&a.kind, &a.value, &a.what).cmp(&(&b.kind, &b.value, &b.what)));
    Ok(changes)
}

/// Kind, and the value or the processor.
type Place = (String, String);

/// Every entry of every list of tables, without what it is found by.
fn entries(file: &Table) -> BTreeMap<Place, Table> {
    let mut entries = BTreeMap::new();
    for (kind, list) in file {
        let tables = list.as_array().into_iter().flatten().filter_map(Value::as_table);
        for table in tables {
            let (place, rest) = match kind.as_str() {
                FLOOR => processor("floor", table),
                REVOKED => processor(REVOKED, table),
                kind => value(kind, table),
            };
            entries.insert(place, rest);
        }
    }
    entries
}

fn value(kind: &str, table: &Table) -> (Place, Table) {
    let mut rest = table.clone();
    let value = rest.remove("value").map(|value| show(&value)).unwrap_or_default();
    ((kind.to_owned(), value), rest)
}

/// A floor or a revocation is found by its processor, and a floor by the date from which it denies, and whether it is on
/// trial or expired: a processor may have several.
fn processor(kind: &str, table: &Table) -> (Place, Table) {
    let mut rest = table.clone();
    let mut place = rest.remove("product").map(|product| show(&product)).unwrap_or_default();
    if let Some(Value::Table(cpu)) = rest.remove("cpuid") {
        let number = |field: &str| cpu.get(field).map(show).unwrap_or_default();
        place += &format!(" {}/{}/{}", number("family"), number("model"), number("stepping"));
    }
    if let Some(from) = rest.remove("deny_from") {
        place += &format!(" from {}", show(&from));
    }
    match rest.get("state").and_then(Value::as_str) {
        // What it is if nothing is said.
        Some("active") => drop(rest.remove("state")),
        // These stand beside one that is in force.
        Some(state @ ("trial" | "expired")) if kind == "floor" => place += &format!(" {state}"),
        _ => {}
    }
    ((kind.to_owned(), place), rest)
}

fn whole(what: &str, (kind, value): &Place, table: &Table) -> Change {
    let told = table.iter().filter(|(field, _)| *field != "name");
    let told = told.map(|(field, value)| match field.as_str() {
        "state" => show(value),
        field => format!("{field} {}", show(value)),
    });
    let detail = told.collect::<Vec<_>>().join(", ");
    Change { what: what.to_owned(), kind: kind.clone(), value: value.clone(), name: name(table), detail }
}

fn fields((kind, value): &Place, was: &Table, is: &Table) -> Vec<Change> {
    let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
    names.sort();
    names.dedup();
    let change = |field: &String| {
        let (old, new) = (was.get(field), is.get(field));
        let absent = if field == "state" { "active" } else { "none" };
        let shown = |value: Option<&Value>| value.map_or_else(|| absent.to_owned(), show);
        let what = match (old, new) {
            (Some(Value::Integer(old)), Some(Value::Integer(new))) if kind == "floor" && old < new => {
                "raised"
            }
            (Some(Value::Integer(_)), Some(Value::Integer(_))) if kind == "floor" => "lowered",
            _ => field.as_str(),
        };
        let part = if kind == "floor" { format!("{field} ") } else { String::new() };
        let detail = format!("{part}{} -> {}", shown(old), shown(new));
        let (kind, value) = (kind.clone(), value.clone());
        Change { what: what.to_owned(), kind, value, name: name(is), detail }
    };
    names.into_iter().filter(|field| was.get(*field) != is.get(*field)).map(change).collect()
}

fn name(table: &Table) -> String {
    table.get("name").map(show).unwrap_or_default()
}

/// A value without the quotes of TOML.
fn show(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

const FLOOR: &str = "tcb_floor";
const REVOKED: &str = "revoked";

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(old: &str, new: &str) -> Vec<String> {
        let told = |c: Change| {
            format!("{} {} {} ({}) {} {}", c.what, c.kind, c.value, c.name, c.detail, c.matters())
        };
        compare(old, new).unwrap().into_iter().map(told).collect()
    }

    #[test]
    fn values_come_go_and_change_their_state() {
        let entry = |value: &str, name: &str, state: &str| {
            format!("[[measurement]]\nvalue = \"{value}\"\nname = \"{name}\"\nstate = \"{state}\"\n")
        };
        let old = entry("aa", "a", "active") + &entry("bb", "b", "active") + &entry("cc", "c", "trial");
        let new = entry("cc", "see", "trial")
            + "# moved\n"
            + &entry("bb", "b", "expired")
            + &entry("dd", "d", "active");
        let expected = [
            "removed measurement aa (a) active true",
            "state measurement bb (b) active -> expired true",
            "name measurement cc (see) c -> see false",
            "added measurement dd (d) active true",
        ];
        assert_eq!(changes(&old, &new), expected);
        assert_eq!(changes(&old, &old.replace('\n', "\n\n")), Vec::<String>::new());
        let dated = new.replace("state = \"expired\"", "state = \"expired\"\nuntil = \"2027-01-01\"");
        assert_eq!(changes(&new, &dated), ["until measurement bb (b) none -> 2027-01-01 true"]);
    }

    #[test]
    fn floors_are_raised_and_lowered_for_each_processor() {
        let floor = |cpuid: &str, snp: u8, microcode: u8| {
            format!(
                "[[tcb_floor]]\nproduct = \"Genoa\"\n{cpuid}fmc = 0\nsnp = {snp}\nmicrocode = {microcode}\n"
            )
        };
        let own = "cpuid = { family = 25, model = 17, stepping = 1 }\n";
        let old = floor("", 27, 80) + &floor(own, 27, 86);
        let new = floor("", 27, 80) + &floor(own, 28, 0x55);
        let expected = [
            "lowered floor Genoa 25/17/1 () microcode 86 -> 85 true",
            "raised floor Genoa 25/17/1 () snp 27 -> 28 true",
        ];
        assert_eq!(changes(&old, &new), expected);
        assert_eq!(
            changes(&old, &floor("", 27, 80)),
            ["removed floor Genoa 25/17/1 () fmc 0, microcode 86, snp 27 true"]
        );
    }

    #[test]
    fn dated_floors_stand_beside_each_other_and_words_are_no_difference_in_meaning() {
        let floor = |from: &str, snp: u8| {
            format!("[[tcb_floor]]\nproduct = \"Milan\"\n{from}snp = {snp}\nmitigations = [{snp}]\n")
        };
        let old = floor("", 3);
        let new = floor("", 3) + &floor("warn_from = 2026-12-01\ndeny_from = 2027-01-01\n", 4);
        let added = "added floor Milan from 2027-01-01 () mitigations [4], snp 4, warn_from 2026-12-01 true";
        assert_eq!(changes(&old, &new), [added]);
        let warned = new.replace("2026-12-01", "2026-12-24");
        let expected = "warn_from floor Milan from 2027-01-01 () warn_from 2026-12-01 -> 2026-12-24 false";
        assert_eq!(changes(&new, &warned), [expected]);
        let mitigated = old.replace("[3]", "[3, 4]");
        assert_eq!(changes(&old, &mitigated), ["mitigations floor Milan () mitigations [3] -> [3, 4] true"]);
        let revoked = |why: &str| format!("[[revoked]]\nproduct = \"Milan\"\nwhy = \"{why}\"\n");
        assert_eq!(changes("", &revoked("a")), ["added revoked Milan () why a true"]);
        assert_eq!(changes(&revoked("a"), &revoked("b")), ["why revoked Milan () a -> b false"]);
    }

    #[test]
    fn states_of_floors_and_revocations_are_compared_and_active_is_what_they_are_anyway() {
        let floor =
            |snp: u8, rest: &str| format!("[[tcb_floor]]\nproduct = \"Milan\"\nsnp = {snp}\n{rest}\n");
        let old = floor(3, "") + &floor(9, "state = \"trial\"");
        assert_eq!(
            changes(&old, &old.replace("snp = 3", "snp = 3\nstate = \"active\"")),
            Vec::<String>::new()
        );
        let retiring = old.replace("snp = 3", "snp = 3\nstate = \"retiring\"\norigin = \"o\"");
        let expected = [
            "origin floor Milan () origin none -> o false",
            "state floor Milan () state active -> retiring true",
        ];
        assert_eq!(changes(&old, &retiring), expected);
        let raised = old.replace("snp = 9", "snp = 10");
        assert_eq!(changes(&old, &raised), ["raised floor Milan trial () snp 9 -> 10 true"]);
        assert_eq!(
            changes(&old, &old.replace("trial", "expired")),
            [
                "added floor Milan expired () snp 9, expired true",
                "removed floor Milan trial () snp 9, trial true"
            ]
        );
        let revoked = |rest: &str| format!("[[revoked]]\nproduct = \"Milan\"\nwhy = \"w\"\n{rest}\n");
        let ended = revoked("valid_until = 2027-01-01T00:00:00Z");
        let expected = ["valid_until revoked Milan () none -> 2027-01-01T00:00:00Z true"];
        assert_eq!(changes(&revoked(""), &ended), expected);
        let expected = ["state revoked Milan () active -> expired true"];
        assert_eq!(changes(&revoked(""), &revoked("state = \"expired\"")), expected);
    }
}
