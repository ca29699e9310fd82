//! `keyfast endorsements list`: what a directory holds, and whether it verifies now, under the revocation lists there;
//! changes nothing.

use std::path::PathBuf;

use claims::UnixTime;
use claims::snp::{Product, SigningKey, Tcb};
use clap::Args;
use endorsements::{Authority, Store, read_file};
use serde_json::{Value, json};
use verify::{Role, signed_list};

use super::trust::{Trust, Unverified};
use super::{Failure, Roots, file_error};
use crate::output::{say, table};

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

/// One file, or one certificate of a chain's, and what it holds or why that is nothing.
struct Row {
    file: PathBuf,
    product: Product,
    kind: Kind,
    held: Result<Held, Refused>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vcek,
    Vlek,
    Ask,
    Asvk,
    Ark,
    Crl,
}

/// What verified: a certificate, or a list with the time of its issue and of the next.
struct Held {
    /// A chip's id in hexadecimal, a cloud provider's, or how many certificates a list names.
    holder: Option<String>,
    /// An issuer's serial number in hexadecimal.
    serial: Option<String>,
    tcb: Option<Tcb>,
    from: UnixTime,
    until: UnixTime,
    simulated: bool,
}

/// What did not verify.
struct Refused {
    reason: String,
    /// Which certificate of the chain was revoked, and since when.
    revoked: Option<(Role, UnixTime)>,
}

impl Refused {
    fn because(reason: impl ToString) -> Self {
        Self { reason: reason.to_string(), revoked: None }
    }
}

impl From<Unverified> for Refused {
    fn from(error: Unverified) -> Self {
        Self { reason: error.to_string(), revoked: error.revoked() }
    }
}

pub(super) fn run(args: &List) -> Result<(), Failure> {
    let (trust, store) = (Trust::now(&args.roots)?, Store::new(&args.dir));
    // A store without a directory is an empty one; somebody who lists it means one that is there.
    std::fs::read_dir(&args.dir).map_err(file_error("list", &args.dir))?;
    // One that cannot be read has a row that says so.
    let lists = trust.lists_of(&store).filter_map(Result::ok).collect::<Vec<_>>();
    let trust = trust.with_lists(lists)?;
    let mut rows = Vec::new();
    for authority in Authority::all() {
        for file in store.keys_of(authority).map_err(file_error("list", &args.dir))? {
            rows.push(key(authority, file, &store, &trust));
        }
        rows.extend(chain(authority, &store, &trust));
        rows.extend(list(authority, &store, &trust));
    }
    if args.json {
        let rows: Vec<Value> = rows.iter().map(to_json).collect();
        say!("{:#}", Value::Array(rows));
        return Ok(());
    }
    let cells: Vec<Vec<String>> = rows.iter().map(to_cells).collect();
    table(&["PRODUCT", "KIND", "HOLDER", "TCB", "FROM", "UNTIL", "VERIFIES"], &cells);
    Ok(())
}

fn key(authority: Authority, file: PathBuf, store: &Store, trust: &Trust) -> Row {
    let certificates = read_file(&file).and_then(|mut certificates| {
        certificates.extend(store.chain(authority)?);
        Ok(certificates)
    });
    let held = certificates.map_err(Refused::because).and_then(|certificates| {
        let key = trust.key(&certificates)?;
        Ok(Held {
            tcb: Some(Tcb::from_report_bytes(key.tcb, key.product)),
            from: key.not_before,
            until: key.not_after,
            simulated: key.simulated,
            holder: Some(key.csp_id.unwrap_or_else(|| hex::encode(&key.hwid))),
            serial: None,
        })
    });
    let kind = if authority.kind == SigningKey::Vcek { Kind::Vcek } else { Kind::Vlek };
    Row { file, product: authority.product, kind, held }
}

/// Each certificate of a chain: AMD has replaced intermediates, and the root may have come along.
fn chain(authority: Authority, store: &Store, trust: &Trust) -> Vec<Row> {
    let ours = if authority.kind == SigningKey::Vcek { Kind::Ask } else { Kind::Asvk };
    let row = |kind, held| Row { file: store.chain_path(authority), product: authority.product, kind, held };
    let certificates = match store.chain(authority) {
        Ok(certificates) => certificates,
        Err(error) => return vec![row(ours, Err(Refused::because(error)))],
    };
    let one = |der: &Vec<u8>| {
        let root = trust.root(der).map(|found| (Kind::Ark, found));
        let (kind, found) = root.unwrap_or_else(|| (ours, trust.issuer([der], authority)));
        let held = found.map_err(Refused::from).map(|issuer| Held {
            holder: None,
            serial: Some(hex::encode(&issuer.serial)),
            tcb: None,
            from: issuer.not_before,
            until: issuer.not_after,
            simulated: issuer.simulated,
        });
        row(kind, held)
    };
    certificates.iter().map(one).collect()
}

/// The revocation list, if there is one. An old one counts against certificates still; how old is too old, brokers say.
fn list(authority: Authority, store: &Store, trust: &Trust) -> Option<Row> {
    let der = store.crl(authority).transpose()?;
    let held = der.map_err(Refused::because).and_then(|der| {
        let list = signed_list(&der, &trust.anchors).map_err(Refused::because)?;
        let (from, until, simulated) = (list.this_update, list.next_update, list.simulated);
        if trust.now < from || until < trust.now {
            return Err(Refused::because(format!("out of its time, {from} to {until}")));
        }
        let holder = Some(format!("{} revoked", list.revoked));
        Ok(Held { holder, serial: None, tcb: None, from, until, simulated })
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
            let root = if held.simulated { "simulated" } else { "yes" };
            let tcb = held.tcb.map_or_else(nothing, tcb);
            [product, kind, holder, tcb, date(held.from), date(held.until), root.to_owned()].to_vec()
        }
        Err(refused) => {
            let reason = match refused.revoked {
                Some((role, since)) if role.to_string() == kind => format!("no: revoked {}", date(since)),
                Some((role, since)) => format!("no: {role} revoked {}", date(since)),
                None => format!("no: `{}`: {}", row.file.display(), refused.reason),
            };
            [product, kind, nothing(), nothing(), nothing(), nothing(), reason].to_vec()
        }
    }
}

fn date(time: UnixTime) -> String {
    time.to_string().chars().take(10).collect()
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
        Err(refused) => {
            add("reason", refused.reason.as_str().into());
            if let Some((_, since)) = refused.revoked {
                add("revoked", since.to_string().into());
            }
        }
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
            Kind::Ask | Kind::Asvk | Kind::Ark | Kind::Crl => None,
        };
        fields.extend(holder.map(|name| (name, self.holder.clone().into())));
        fields.extend(self.serial.as_ref().map(|serial| ("serial", serial.as_str().into())));
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
            Self::Ark => "ark",
            Self::Crl => "crl",
        }
    }
}
