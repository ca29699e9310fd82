//! `keyfast endorsements list`: what a directory holds, and whether it verifies now; changes nothing.

use std::path::PathBuf;

use claims::UnixTime;
use claims::snp::{Product, Tcb};
use clap::Args;
use endorsements::{Store, read_file};
use serde_json::{Value, json};
use verify::TrustAnchors;

use super::{Failure, Roots, clock, file_error, vouched};
use crate::output::table;

/// Arguments of `keyfast endorsements list`.
#[derive(Debug, Args)]
pub struct List {
    /// The directory
    dir: PathBuf,
    /// Print JSON, with whole chip ids
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    roots: Roots,
}

/// One certificate, or why it is none.
struct Row {
    file: PathBuf,
    product: Product,
    key: Result<Key, String>,
}

struct Key {
    chip: String,
    tcb: Tcb,
    from: UnixTime,
    until: UnixTime,
    simulated: bool,
}

pub(super) fn run(args: &List) -> Result<(), Failure> {
    let (anchors, now, store) = (args.roots.anchors()?, clock()?, Store::new(&args.dir));
    // A store without a directory is an empty one; somebody who lists it means one that is there.
    std::fs::read_dir(&args.dir).map_err(file_error("list", &args.dir))?;
    let files = store.vceks().map_err(file_error("list", &args.dir))?;
    let rows: Vec<Row> =
        files.into_iter().map(|(product, file)| row(product, file, &store, &anchors, now)).collect();
    if args.json {
        let rows: Vec<Value> = rows.iter().map(to_json).collect();
        println!("{:#}", Value::Array(rows));
        return Ok(());
    }
    let cells: Vec<Vec<String>> = rows.iter().map(to_cells).collect();
    table(&["PRODUCT", "KIND", "CHIP", "TCB", "VALID FROM", "UNTIL", "VERIFIES"], &cells);
    Ok(())
}

fn row(product: Product, file: PathBuf, store: &Store, anchors: &TrustAnchors, now: UnixTime) -> Row {
    let certificates = read_file(&file).and_then(|mut certificates| {
        certificates.extend(store.chain(product)?);
        Ok(certificates)
    });
    let key = certificates.map_err(|e| e.to_string()).and_then(|certificates| {
        let key = vouched(&certificates, anchors, now).map_err(|e| e.to_string())?;
        Ok(Key {
            chip: hex::encode(&key.hwid),
            tcb: Tcb::from_report_bytes(key.tcb, key.product),
            from: key.not_before,
            until: key.not_after,
            simulated: key.simulated,
        })
    });
    Row { file, product, key }
}

/// Of the chip's id the first eight bytes: enough to tell chips apart.
fn to_cells(row: &Row) -> Vec<String> {
    let (product, kind) = (row.product.to_string(), "VCEK".to_owned());
    match &row.key {
        Ok(key) => {
            let chip: String = key.chip.chars().take(16).collect();
            let date = |time: UnixTime| time.to_string().chars().take(10).collect::<String>();
            let root = if key.simulated { "simulated" } else { "yes" };
            let cells = [product, kind, chip, tcb(key.tcb), date(key.from), date(key.until), root.to_owned()];
            cells.to_vec()
        }
        Err(reason) => {
            let nothing = || "-".to_owned();
            let reason = format!("no: `{}`: {reason}", row.file.display());
            [product, kind, nothing(), nothing(), nothing(), nothing(), reason].to_vec()
        }
    }
}

fn tcb(tcb: Tcb) -> String {
    let Tcb { fmc, bootloader, tee, snp, microcode } = tcb;
    let fmc = fmc.map(|fmc| format!("{fmc}.")).unwrap_or_default();
    format!("{fmc}{bootloader}.{tee}.{snp}.{microcode}")
}

fn to_json(row: &Row) -> Value {
    let (file, product) = (row.file.display().to_string(), row.product.name());
    match &row.key {
        Ok(key) => {
            let Tcb { fmc, bootloader, tee, snp, microcode } = key.tcb;
            json!({
                "file": file, "product": product, "kind": "vcek", "chip": key.chip,
                "tcb": { "fmc": fmc, "bootloader": bootloader, "tee": tee, "snp": snp, "microcode": microcode },
                "not_before": key.from.to_string(), "not_after": key.until.to_string(),
                "verifies": true, "simulated": key.simulated,
            })
        }
        Err(reason) => {
            json!({ "file": file, "product": product, "kind": "vcek", "verifies": false, "reason": reason })
        }
    }
}
