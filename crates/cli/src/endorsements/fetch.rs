//! `keyfast endorsements fetch`: asks services for the certificate of a key that a report or a person names, and for
//! revocation lists, and keeps nothing that does not verify.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use claims::snp::{Product, SigningKey, Tcb};
use claims::{EvidenceKind, UnixTime};
use clap::Args;
use endorsements::{Authority, FindError, Found, Service, Shape, Sources, Store, VcekName, Wanted, WebUrl};
use evidence::azure::HclBlob;
use evidence::{Evidence, EvidenceError};
use verify::{NoEnrolledKeys, TrustAnchors, precheck, signed_list};

use super::trust::Trust;
use super::{Failure, Roots, bad_report, clock, file_error, read_evidence};
use crate::output::say;

/// Arguments of `keyfast endorsements fetch`.
#[derive(Debug, Args)]
pub struct Fetch {
    /// A report of the chip, with or without a certificate table; evidence of another kind that holds one
    /// (azure-vtpm, svsm); or Azure's HCL blob. Of a report signed by a VLEK, whose certificate only comes with the
    /// evidence, the chain above it is fetched
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["product", "chip", "tcb"],
        required_unless_present_any = ["chip", "crl"]
    )]
    report: Option<PathBuf>,
    /// Milan, Genoa (Bergamo and Siena too) or Turin
    #[arg(long)]
    product: Option<Product>,
    /// The chip's id in hexadecimal: 64 bytes, on Turin 8
    #[arg(long, value_name = "HEX", value_parser = parse_hex, requires_all = ["product", "tcb"])]
    chip: Option<Hex>,
    /// The reported TCB: `bootloader=10,tee=0,snp=27,microcode=88`, on Turin also `fmc=1`
    #[arg(long, value_name = "PARTS", value_parser = parse_tcb, requires_all = ["product", "chip"])]
    tcb: Option<Tcb>,
    /// The directory to fill, and to look in first
    #[arg(long, short)]
    dir: PathBuf,
    /// Whom to ask, in this order: kds (AMD's), azure-cache (for Azure's chips), azure-thim (from an Azure machine)
    #[arg(long, value_name = "SOURCES", value_delimiter = ',', default_value = "kds")]
    from: Vec<Shape>,
    /// Another address for the first of these, such as a mirror's; http:// will do, as certificates prove themselves
    #[arg(long, value_name = "URL")]
    url: Option<WebUrl>,
    /// Also fetch the revocation lists of the product's root; without a key, those of `--product`, or of all
    #[arg(long)]
    crl: bool,
    /// How long to try each source, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    patience: u16,
    #[command(flatten)]
    roots: Roots,
}

/// Bytes written in hexadecimal.
#[derive(Clone, Debug)]
struct Hex(Vec<u8>);

fn parse_hex(text: &str) -> Result<Hex, String> {
    hex::decode(text).map(Hex).map_err(|e| e.to_string())
}

/// All four parts, on Turin five, each once.
fn parse_tcb(text: &str) -> Result<Tcb, String> {
    let mut parts: [(&str, Option<u8>); 5] =
        [("bootloader", None), ("tee", None), ("snp", None), ("microcode", None), ("fmc", None)];
    for part in text.split(',') {
        let (name, value) =
            part.split_once('=').ok_or_else(|| format!("`{part}` is not of the form part=SPL"))?;
        let slot = parts.iter_mut().find(|(known, slot)| *known == name && slot.is_none());
        let (_, slot) = slot.ok_or_else(|| format!("`{name}` is no part of a TCB, or stands there twice"))?;
        *slot = Some(value.parse().map_err(|_| format!("`{value}` is not a number from 0 to 255"))?);
    }
    let [(_, bootloader), (_, tee), (_, snp), (_, microcode), (_, fmc)] = parts;
    match (bootloader, tee, snp, microcode) {
        (Some(bootloader), Some(tee), Some(snp), Some(microcode)) => {
            Ok(Tcb { fmc, bootloader, tee, snp, microcode })
        }
        _ => {
            Err("a part is missing: expected bootloader, tee, snp and microcode, on Turin also fmc"
                .to_owned())
        }
    }
}

pub(super) fn run(args: &Fetch) -> Result<(), Failure> {
    let (wanted, trust, store) = (wanted(args)?, Trust::now(&args.roots)?, Store::new(&args.dir));
    // What a list there names is as if it were not there: an issuer that took its place is asked for.
    let lists = trust.lists_of(&store).collect::<Result<Vec<_>, _>>()?;
    let trust = trust.with_lists(lists)?;
    let sources = sources(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(file_error("ask for", &args.dir))?;
    let mut products: Vec<Product> = args.product.into_iter().collect();
    if !wanted.is_empty() {
        let (found_as, found) = runtime.block_on(find(&wanted, &sources, &trust))?;
        print(&found_as, &found, &trust);
        products = vec![authority(&found_as).product];
        written(&store, &found_as)?;
    }
    if args.crl {
        let all = products.is_empty();
        let lists = Authority::all().filter(|authority| all || products.contains(&authority.product));
        runtime.block_on(fetch_lists(lists, &sources, &store, &trust.anchors, trust.now))?;
    }
    Ok(())
}

/// A cache that cannot be written is no error to a broker; here it is the whole point.
fn written(store: &Store, wanted: &Wanted) -> Result<(), Failure> {
    let is_there = match wanted {
        Wanted::Vcek(name) => store.vcek(name)?.is_some(),
        Wanted::Chain(authority) => !store.chain(*authority)?.is_empty(),
    };
    let source = std::io::Error::other("the certificate was found and could not be kept");
    if is_there { Ok(()) } else { Err(file_error("write in", store.root())(source)) }
}

/// Each list that is published, verified and written; an error if none is.
async fn fetch_lists(
    authorities: impl Iterator<Item = Authority>,
    sources: &Sources,
    store: &Store,
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<(), Failure> {
    let (mut written, mut absent) = (0_usize, None);
    for authority in authorities {
        let der = match sources.crl(authority, now).await {
            Ok(der) => der,
            Err(error) if error.is_absent() => {
                absent = absent.or(Some(error));
                continue;
            }
            Err(error) => return Err(Arc::new(error).into()),
        };
        let refused = |source| Failure::List { authority, source };
        let list = signed_list(&der, anchors).map_err(refused)?;
        let path = store.put_crl(authority, &der).map_err(file_error("write in", store.root()))?;
        say!("list     {}", path.display());
        say!("         issued {}, next one due {}", list.this_update, list.next_update);
        written = written.saturating_add(1);
    }
    match absent {
        Some(error) if written == 0 => Err(Arc::new(error).into()),
        _ => Ok(()),
    }
}

fn authority(wanted: &Wanted) -> Authority {
    match wanted {
        Wanted::Vcek(name) => name.authority(),
        Wanted::Chain(authority) => *authority,
    }
}

/// What may be meant: a report of version 2 does not say which product it is of.
fn wanted(args: &Fetch) -> Result<Vec<Wanted>, Failure> {
    let Some(path) = &args.report else {
        let (Some(product), Some(Hex(chip)), Some(tcb)) = (args.product, &args.chip, args.tcb) else {
            return Ok(Vec::new());
        };
        let name = VcekName::of_hwid(product, chip, tcb);
        let unfit = "the chip id has 64 bytes, on Turin 8, not all zero; and only Turin has an fmc, always";
        return Ok(vec![Wanted::Vcek(name.ok_or(Failure::NoSuchKey(unfit))?)]);
    };
    let report = |reason: String| Failure::Report { path: path.clone(), reason };
    let evidence = report_alone(&read_evidence(path)?).map_err(|e| report(e.to_string()))?;
    let needed = precheck(&evidence, &NoEnrolledKeys, clock()?);
    let needed = needed.map_err(bad_report(path))?;
    let products = needed.products.iter().copied();
    if needed.kind == SigningKey::Vlek {
        return Ok(products.map(|product| Wanted::Chain(Authority::asvk(product))).collect());
    }
    let name = |product| VcekName::new(product, &needed.chip_id, needed.reported_tcb);
    let names: Vec<_> = products.filter_map(name).map(Wanted::Vcek).collect();
    if names.is_empty() {
        return Err(report("no key can have its chip id and reported tcb".to_owned()));
    }
    Ok(names)
}

/// The report in evidence of any kind, or in an HCL blob by itself, as if it had come alone: that names the key.
/// Whether a quote beside it is right, nobody asks here.
fn report_alone(bytes: &[u8]) -> Result<Evidence, EvidenceError> {
    if bytes.starts_with(HclBlob::MAGIC) {
        let blob = HclBlob::parse(bytes)?;
        return Evidence::parse(EvidenceKind::SevSnp, blob.report.as_bytes());
    }
    let evidence = Evidence::parse(Evidence::recognise(bytes).unwrap_or(EvidenceKind::SevSnp), bytes)?;
    match evidence.snp() {
        Some(snp) => Evidence::parse(EvidenceKind::SevSnp, snp.report.as_bytes()),
        None => Ok(evidence),
    }
}

fn sources(args: &Fetch) -> Result<Sources, Failure> {
    let patience = Duration::from_secs(args.patience.into());
    let sources = Sources::none(patience, u64::from(std::process::id()));
    let mut sources = sources.with_cache(Store::new(&args.dir));
    let mut other = args.url.clone();
    for shape in &args.from {
        let url = match other.take() {
            Some(url) => url,
            None => shape.usual_url().parse()?,
        };
        sources = sources.with_service(Service::new(*shape, url));
    }
    Ok(sources)
}

/// The first of these that a source knows.
async fn find(wanted: &[Wanted], sources: &Sources, trust: &Trust) -> Result<(Wanted, Found), Failure> {
    let judge = |wanted: &Wanted, certificates: &[Vec<u8>]| match wanted {
        Wanted::Vcek(name) => match trust.key(certificates) {
            Ok(key) if name.is(key.product, &key.hwid, key.tcb) => Ok(()),
            Ok(_) => Err("a certificate of another key".to_owned()),
            Err(reason) => Err(reason.to_string()),
        },
        Wanted::Chain(authority) => {
            trust.issuer(certificates, *authority).map(drop).map_err(|e| e.to_string())
        }
    };
    let mut last: Option<Arc<FindError>> = None;
    for one in wanted {
        match sources.find(one, trust.now, &judge).await {
            Ok(found) => return Ok((one.clone(), found)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or(Failure::NoSuchKey("none was named"), Failure::NotFound))
}

fn print(wanted: &Wanted, found: &Found, trust: &Trust) {
    let valid = match wanted {
        Wanted::Vcek(_) => {
            trust.key(&found.certificates).map(|key| (key.not_before, key.not_after, key.simulated)).ok()
        }
        Wanted::Chain(authority) => trust
            .issuer(&found.certificates, *authority)
            .map(|issuer| (issuer.not_before, issuer.not_after, issuer.simulated))
            .ok(),
    };
    say!("key      {wanted}");
    say!("source   {}", found.source);
    if let Some((from, until, simulated)) = valid {
        say!("valid    {from} to {until}");
        say!("root     {}", if simulated { "a simulated one" } else { "AMD's" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tcb_names_each_part_once() {
        let tcb = Tcb { fmc: None, bootloader: 10, tee: 0, snp: 27, microcode: 88 };
        assert_eq!(parse_tcb("bootloader=10,tee=0,snp=27,microcode=88"), Ok(tcb));
        assert_eq!(
            parse_tcb("microcode=88,fmc=1,bootloader=10,tee=0,snp=27"),
            Ok(Tcb { fmc: Some(1), ..tcb })
        );
        for bad in ["", "tee", "tee=0", "tee=0,tee=0", "spl=1", "tee=256", "tee=-1"] {
            assert!(parse_tcb(bad).is_err(), "{bad}");
        }
    }
}
