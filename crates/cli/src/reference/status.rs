//! `keyfast reference status`: which guests were seen on which value, from the decisions that a broker keeps, or from an
//! export of them. So it says what withdrawing a value would deny, as far as the past tells.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::PathBuf;

use claims::{ClaimsRecord, UnixTime};
use clap::Args;
use policy::case::Decision;
use policy::{Manifest, PlatformValue, ReferenceValue};
use serde_json::json;

use super::{ManifestFile, Place, ReferenceFailure, processors, short};
use crate::admin::Admin;
use crate::output::{now, write_wrapped_table};
use crate::past::{self, PastError};

/// Where past decisions are.
#[derive(Debug, Args)]
pub struct Seen {
    /// Decisions that `keyfast audit decisions` exported, in place of the broker's
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Guests seen in the last so many days
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    pub days: u32,
}

/// Arguments of `keyfast reference status`.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    seen: Seen,
    /// Print JSON, with whole values
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Who was seen on a value.
#[derive(Default)]
pub struct Uses {
    /// One launch of a guest, or one attestation key, each once.
    guests: HashSet<Vec<u8>>,
    last: Option<UnixTime>,
}

impl Uses {
    /// How many guests.
    pub fn guests(&self) -> usize {
        self.guests.len()
    }

    /// How many, and when the last was seen.
    fn cells(&self) -> [String; 2] {
        let last = self.last.map_or("-".to_owned(), |last| last.to_string());
        [self.guests().to_string(), last]
    }
}

/// Kind and value, and who was seen on it.
pub type Used = HashMap<(&'static str, String), Uses>;

pub fn run(admin: &Admin, args: &Status, out: &mut dyn Write) -> Result<(), ReferenceFailure> {
    let file = ManifestFile::read(&args.place)?;
    let used = args.seen.uses(admin, &file.manifest)?;
    let none = Uses::default();
    let of = |kind, value: String| used.get(&(kind, value)).unwrap_or(&none);
    let values = file.manifest.values(now()).into_iter();
    let values: Vec<(ReferenceValue, &Uses)> = values
        .map(|value| {
            let uses = of(value.kind, value.value.clone());
            (value, uses)
        })
        .collect();
    let platforms = file.manifest.platforms(now()).into_iter();
    let platforms: Vec<(PlatformValue, &Uses)> = platforms
        .map(|value| {
            let uses = of(value.kind, value.processor());
            (value, uses)
        })
        .collect();
    let (serial, days) = (file.manifest.serial(), args.seen.days);
    if args.json {
        let values: Vec<_> = values.iter().map(|(value, uses)| with_uses(as_json(value), uses)).collect();
        let platforms = platforms.iter().map(|(value, uses)| with_uses(processors::as_json(value), uses));
        let platforms: Vec<_> = platforms.collect();
        let whole = json!({ "serial": serial, "days": days, "values": values, "processors": platforms });
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&whole).unwrap_or_default())?);
    }
    let row = |(value, uses): &(ReferenceValue, &Uses)| {
        let mut row = vec![value.kind.to_owned(), short(&value.value), value.state.to_owned()];
        row.extend(uses.cells());
        (row, vec![value.name.clone()])
    };
    let rows: Vec<_> = values.iter().map(row).collect();
    write_wrapped_table(&["KIND", "VALUE", "STATE", "GUESTS", "LAST SEEN", "NAME"], &rows, out)?;
    if !platforms.is_empty() {
        let row = |(value, uses): &(PlatformValue, &Uses)| {
            let cells = processors::cells(value).into_iter().chain(uses.cells()).collect();
            (cells, processors::says(value))
        };
        let rows: Vec<_> = platforms.iter().map(row).collect();
        writeln!(out)?;
        write_wrapped_table(&["KIND", "PROCESSOR", "STATE", "GUESTS", "LAST SEEN", "SAYS"], &rows, out)?;
    }
    Ok(writeln!(out, "\nguests of the last {days} days; serial {serial}")?)
}

fn as_json(value: &ReferenceValue) -> serde_json::Value {
    json!({ "kind": value.kind, "value": value.value, "name": value.name, "state": value.state })
}

fn with_uses(mut value: serde_json::Value, uses: &Uses) -> serde_json::Value {
    let last = uses.last.map(|time| time.to_string());
    processors::merge(&mut value, json!({ "guests": uses.guests(), "last_seen": last }));
    value
}

impl Seen {
    /// Who was seen on each value of a manifest.
    pub fn uses(&self, admin: &Admin, manifest: &Manifest) -> Result<Used, ReferenceFailure> {
        let since = UnixTime(now().0.saturating_sub(u64::from(self.days).saturating_mul(86_400)));
        let mut used = Used::new();
        let mut count = |decision: &Decision| {
            // What no policy decided has nothing to say about values.
            let Ok(case) = decision.case() else { return };
            let at = case.circumstances.now;
            for value in manifest.seen_on(&case.record).into_iter().filter(|_| at >= since) {
                let uses = used.entry(value).or_default();
                uses.guests.insert(guest(&case.record));
                uses.last = uses.last.max(Some(at));
            }
        };
        match &self.from {
            Some(path) => past::of_file(path, |_, decision| {
                count(&decision);
                Ok::<(), PastError>(())
            })?,
            None => {
                past::of_broker(admin, past::Span::from(since), |decision| {
                    count(&decision);
                    Ok::<(), PastError>(())
                })?;
            }
        }
        Ok(used)
    }
}

/// One launch of a guest, by its report; else its attestation key.
fn guest(record: &ClaimsRecord) -> Vec<u8> {
    let report = record.snp.as_ref().map(|snp| snp.report_id.to_vec());
    let ak = || record.tpm.as_ref()?.ak_name.as_ref().map(|name| name.to_string().into_bytes());
    report.or_else(ak).unwrap_or_default()
}
