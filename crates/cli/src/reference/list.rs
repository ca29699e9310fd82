//! `keyfast reference list`: the values with their state now, for people or programs.

use std::io::Write;

use clap::Args;
use policy::ReferenceValue;
use serde_json::json;

use super::{ManifestFile, Place, ReferenceFailure, parse_kind, short};
use crate::output::{now, write_table};

/// Arguments of `keyfast reference list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only values of this kind: measurement, pcr, chip, ...
    #[arg(long, value_parser = parse_kind)]
    kind: Option<String>,
    /// Only values in this state now: trial, active, retiring, expired or denied
    #[arg(long)]
    state: Option<String>,
    /// Print JSON, with whole values
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

pub fn run(args: &List, out: &mut dyn Write) -> Result<(), ReferenceFailure> {
    let file = ManifestFile::read(&args.place)?;
    let asked = |value: &ReferenceValue| {
        args.kind.as_deref().is_none_or(|kind| kind == value.kind)
            && args.state.as_deref().is_none_or(|state| state == value.state)
    };
    let mut values = file.manifest.values(now());
    values.retain(asked);
    if args.json {
        let values: Vec<_> = values.iter().map(as_json).collect();
        let whole = json!({ "serial": file.manifest.serial(), "values": values });
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&whole).unwrap_or_default())?);
    }
    let date = |time: Option<claims::UnixTime>| time.map_or("-".to_owned(), |time| time.to_string());
    let row = |value: &ReferenceValue| {
        vec![
            value.kind.to_owned(),
            short(&value.value),
            value.state.to_owned(),
            date(value.valid_until),
            value.name.clone(),
        ]
    };
    let rows: Vec<_> = values.iter().map(row).collect();
    write_table(&["KIND", "VALUE", "STATE", "UNTIL", "NAME"], &rows, out)?;
    let (count, serial) = (values.len(), file.manifest.serial());
    Ok(writeln!(out, "\n{count} values; serial {serial} of {}", args.place.path().display())?)
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
