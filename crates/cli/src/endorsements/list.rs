//! `keyfast endorsements list`: what a directory holds, and whether it verifies now; changes nothing.

use std::path::PathBuf;

use claims::UnixTime;
use claims::snp::{Product, SigningKey, Tcb};
use clap::Args;
use endorsements::{Authority, Store, read_file};
use serde_json::{Value, json};
use verify::{TrustAnchors, signed_list};

use super::{Failure, Roots, clock, file_error, vouched, vouched_issuer};
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

/// One file, and what it holds or why that is nothing.
struct Row {
    file: PathBuf,
    product: Product,
    kind: Kind,
    held: Result<Held, String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vcek,
    Vlek,
    Ask,
    Asvk,
    Crl,
}

/// What verified: a certificate, or a list with the time of its issue and of the next.
struct Held {
    /// A chip's id in hexadecimal, a cloud provider's, or how many certificates a list names.
    holder: Option<String>,
    tcb: Option<Tcb>,
    from: UnixTime,
    until: UnixTime,
    simulated: bool,
}

pub(super) fn run(args: &List) -> Result<(), Failure> {
    let (anchors, now, store) = (args.roots.anchors()?, clock()?, Store::new(&args.dir));
    // A store without a directory is an empty one; somebody who lists it means one that is there.
    std::fs::read_dir(&args.dir).map_err(file_error("list", &args.dir))?;
    let mut rows = Vec::new();
    for authority in Authority::all() {
        for file in store.keys_of(authority).map_err(file_error("list", &args.dir))? {
            rows.push(key(authority, file, &store, &anchors, now));
        }
        rows.extend(issuer(authority, &store, &anchors, now));
        rows.extend(list(authority, &store, &anchors, now));
    }
    if args.json {
        let rows: Vec<Value> = rows.iter().map(to_json).collect();
        println!("{:#}", Value::Array(rows));
        return Ok(());
    }
    let cells: Vec<Vec<String>> = rows.iter().map(to_cells).collect();
    table(&["PRODUCT", "KIND", "HOLDER", "TCB", "FROM", "UNTIL", "VERIFIES"], &cells);
    Ok(())
}

fn key(authority: Authority, file: PathBuf, store: &Store, anchors: &TrustAnchors, now: UnixTime) -> Row {
    let certificates = read_file(&file).and_then(|mut certificates| {
        certificates.extend(store.chain(authority)?);
        Ok(certificates)
    });
    let held = certificates.map_err(|e| e.to_string()).and_then(|certificates| {
        let key = vouched(&certificates, anchors, now).map_err(|e| e.to_string())?;
        Ok(Held {
            tcb: Some(Tcb::from_report_bytes(key.tcb, key.product)),
            from: key.not_before,
            until: key.not_after,
            simulated: key.simulated,
            holder: Some(key.csp_id.unwrap_or_else(|| hex::encode(&key.hwid))),
        })
    });
    let kind = if authority.kind == SigningKey::Vcek { Kind::Vcek } else { Kind::Vlek };
    Row { file, product: authority.product, kind, held }
}

/// The intermediate, if there is one.
fn issuer(authority: Authority, store: &Store, anchors: &TrustAnchors, now: UnixTime) -> Option<Row> {
    let chain = store.chain(authority);
    if chain.as_ref().is_ok_and(Vec::is_empty) {
        return None;
    }
    let held = chain.map_err(|e| e.to_string()).and_then(|chain| {
        let issuer = vouched_issuer(&chain, authority, anchors, now).map_err(|e| e.to_string())?;
        let (from, until, simulated) = (issuer.not_before, issuer.not_after, issuer.simulated);
        Ok(Held { holder: None, tcb: None, from, until, simulated })
    });
    let kind = if authority.kind == SigningKey::Vcek { Kind::Ask } else { Kind::Asvk };
    Some(Row { file: store.chain_path(authority), product: authority.product, kind, held })
}

/// The revocation list, if there is one. An old one counts against certificates still; how old is too old, brokers say.
fn list(authority: Authority, store: &Store, anchors: &TrustAnchors, now: UnixTime) -> Option<Row> {
    let der = store.crl(authority).transpose()?;
    let held = der.map_err(|e| e.to_string()).and_then(|der| {
        let list = signed_list(&der, anchors).map_err(|e| e.to_string())?;
        let (from, until, simulated) = (list.this_update, list.next_update, list.simulated);
        if now < from || until < now {
            return Err(format!("out of its time, {from} to {until}"));
        }
        Ok(Held { holder: Some(format!("{} revoked", list.revoked)), tcb: None, from, until, simulated })
    });
    Some(Row { file: store.crl_path(authority), product: authority.product, kind: Kind::Crl, held })
}

/// Of a chip's id the first eight bytes: enough to tell chips apart.
fn to_cells(row: &Row) -> Vec<String> {
    let (product, kind) = (row.product.to_string(), row.kind.name().to_uppercase());
    let nothing = || "-".to_owned();
    match &row.held {
        Ok(held) => {
            let holder = held.holder.as_deref().map_or_else(nothing, |holder| shown(row.kind, holder));
            let date = |time: UnixTime| time.to_string().chars().take(10).collect::<String>();
            let root = if held.simulated { "simulated" } else { "yes" };
            let tcb = held.tcb.map_or_else(nothing, tcb);
            [product, kind, holder, tcb, date(held.from), date(held.until), root.to_owned()].to_vec()
        }
        Err(reason) => {
            let reason = format!("no: `{}`: {reason}", row.file.display());
            [product, kind, nothing(), nothing(), nothing(), nothing(), reason].to_vec()
        }
    }
}

fn shown(kind: Kind, holder: &str) -> String {
    if kind == Kind::Vcek { holder.chars().take(16).collect() } else { holder.to_owned() }
}

fn tcb(tcb: Tcb) -> String {
    let Tcb { fmc, bootloader, tee, snp, microcode } = tcb;
    let fmc = fmc.map(|fmc| format!("{fmc}.")).unwrap_or_default();
    format!("{fmc}{bootloader}.{tee}.{snp}.{microcode}")
}

fn to_json(row: &Row) -> Value {
    let (file, product, kind) = (row.file.display().to_string(), row.product.name(), row.kind.name());
    let mut json = json!({ "file": file, "product": product, "kind": kind, "verifies": row.held.is_ok() });
    let mut add =
        |name: &str, value: Value| json.as_object_mut().map(|all| all.insert(name.to_owned(), value));
    match &row.held {
        Ok(held) => {
            for (name, value) in held.fields(row.kind) {
                add(name, value);
            }
        }
        Err(reason) => _ = add("reason", reason.as_str().into()),
    }
    json
}

impl Held {
    fn fields(&self, kind: Kind) -> Vec<(&'static str, Value)> {
        let [from, until] =
            if kind == Kind::Crl { ["this_update", "next_update"] } else { ["not_before", "not_after"] };
        let mut fields = vec![
            (from, self.from.to_string().into()),
            (until, self.until.to_string().into()),
            ("simulated", self.simulated.into()),
        ];
        let holder = match kind {
            Kind::Vcek => Some("chip"),
            Kind::Vlek => Some("csp_id"),
            Kind::Ask | Kind::Asvk | Kind::Crl => None,
        };
        fields.extend(holder.map(|name| (name, self.holder.clone().into())));
        if let Some(Tcb { fmc, bootloader, tee, snp, microcode }) = self.tcb {
            let tcb = json!({ "fmc": fmc, "bootloader": bootloader, "tee": tee, "snp": snp, "microcode": microcode });
            fields.push(("tcb", tcb));
        }
        fields
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Vcek => "vcek",
            Self::Vlek => "vlek",
            Self::Ask => "ask",
            Self::Asvk => "asvk",
            Self::Crl => "crl",
        }
    }
}
