//! `keyfast reference list`: the values, floors and revocations with their state now, for people or programs.

use std::io::Write;

use clap::Args;
use policy::{Manifest, PlatformValue, ReferenceValue};
use serde_json::json;

use super::{ManifestFile, Place, ReferenceFailure, one_of, processors, short};
use crate::output::{now, write_wrapped_table};

/// Arguments of `keyfast reference list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only of this kind: measurement, pcr, chip, ..., tcb_floor or revoked
    #[arg(long, value_parser = parse_any_kind)]
    kind: Option<String>,
    /// Only in this state now: trial, active, retiring, expired or denied
    #[arg(long, value_parser = parse_any_state)]
    state: Option<String>,
    /// Print JSON, with whole values
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl List {
    fn asks_for(&self, kind: &str, state: &str) -> bool {
        self.kind.as_deref().is_none_or(|asked| asked == kind)
            && self.state.as_deref().is_none_or(|asked| asked == state)
    }
}

pub fn run(args: &List, out: &mut dyn Write) -> Result<(), ReferenceFailure> {
    let file = ManifestFile::read(&args.place)?;
    let mut values = file.manifest.values(now());
    values.retain(|value| args.asks_for(value.kind, value.state));
    let mut platforms = file.manifest.platforms(now());
    platforms.retain(|value| args.asks_for(value.kind, value.state));
    let serial = file.manifest.serial();
    if args.json {
        let values: Vec<_> = values.iter().map(as_json).collect();
        let platforms: Vec<_> = platforms.iter().map(processors::as_json).collect();
        let whole = json!({ "serial": serial, "values": values, "processors": platforms });
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&whole).unwrap_or_default())?);
    }
    let mut told = Vec::new();
    let of_processors = Manifest::platform_kinds();
    if !args.kind.as_deref().is_some_and(|kind| of_processors.contains(&kind)) {
        print_values(&values, out)?;
        writeln!(out)?;
        told.push(counted(values.len(), "value"));
    }
    if !platforms.is_empty() {
        let row = |value| (processors::cells(value), processors::says_all(value));
        let rows: Vec<_> = platforms.iter().map(row).collect();
        write_wrapped_table(&["KIND", "PROCESSOR", "STATE", "SAYS"], &rows, out)?;
        writeln!(out)?;
    }
    for (kind, name) in of_processors.into_iter().zip(["floor", "revocation"]) {
        let count = platforms.iter().filter(|value: &&PlatformValue| value.kind == kind).count();
        if count > 0 || args.kind.as_deref() == Some(kind) {
            told.push(counted(count, name));
        }
    }
    Ok(writeln!(out, "{}; serial {serial} of {}", told.join(", "), args.place.path().display())?)
}

fn print_values(values: &[ReferenceValue], out: &mut dyn Write) -> std::io::Result<()> {
    let date = |time: Option<claims::UnixTime>| time.map_or("-".to_owned(), |time| time.to_string());
    let row = |value: &ReferenceValue| {
        let cells =
            [value.kind.to_owned(), short(&value.value), value.state.to_owned(), date(value.valid_until)];
        (cells.to_vec(), vec![value.name.clone()])
    };
    let rows: Vec<_> = values.iter().map(row).collect();
    write_wrapped_table(&["KIND", "VALUE", "STATE", "UNTIL", "NAME"], &rows, out)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn parse_any_kind(text: &str) -> Result<String, String> {
    one_of(text, Manifest::kinds().chain(Manifest::platform_kinds()))
}

fn parse_any_state(text: &str) -> Result<String, String> {
    one_of(text, Manifest::states())
}

fn as_json(value: &ReferenceValue) -> serde_json::Value {
    json!({
        "kind": value.kind,
        "value": value.value,
        "name": value.name,
        "state": value.state,
        "origin": value.origin,
        "valid_from": value.valid_from.map(|time| time.to_string()),
        "valid_until": value.valid_until.map(|time| time.to_string()),
    })
}
