//! `keyfast endorsements fetch`: asks services for the certificate of a key that a report or a person names, and keeps
//! nothing that does not verify.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use claims::snp::{Product, SigningKey, Tcb};
use claims::{EvidenceKind, UnixTime};
use clap::Args;
use endorsements::{FindError, Found, Service, Shape, Sources, Store, VcekName, WebUrl};
use evidence::Evidence;
use verify::{TrustAnchors, precheck};

use super::{Failure, Roots, bad_report, clock, file_error, read_evidence, vouched};

/// Arguments of `keyfast endorsements fetch`.
#[derive(Debug, Args)]
pub struct Fetch {
    /// A report of the chip, 1184 bytes, with or without a certificate table
    #[arg(long, value_name = "FILE", conflicts_with_all = ["product", "chip", "tcb"], required_unless_present = "chip")]
    report: Option<PathBuf>,
    /// Milan, Genoa (Bergamo and Siena too) or Turin
    #[arg(long, requires_all = ["chip", "tcb"])]
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
    /// Also fetch the revocation list of the product's root; it is verified by whoever reads it
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
    let (names, anchors, now) = (names(args)?, args.roots.anchors()?, clock()?);
    let sources = sources(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(file_error("ask for", &args.dir))?;
    let (name, found) = runtime.block_on(find(&names, &sources, &anchors, now))?;
    print(&name, &found, &anchors, now);
    if args.crl {
        let crl = runtime.block_on(sources.crl(name.product(), now)).map_err(Arc::new)?;
        let path = Store::new(&args.dir).put_crl(name.product(), &crl);
        println!("list     {}", path.map_err(file_error("write in", &args.dir))?.display());
    }
    // A cache that cannot be written is no error to a broker; here it is the whole point.
    match Store::new(&args.dir).vcek(&name)? {
        Some(_) => Ok(()),
        None => {
            let source = std::io::Error::other("the certificate was found and could not be kept");
            Err(file_error("write in", &args.dir)(source))
        }
    }
}

/// What the key may be called: a report of version 2 does not say which product it is of.
fn names(args: &Fetch) -> Result<Vec<VcekName>, Failure> {
    let Some(path) = &args.report else {
        let (Some(product), Some(Hex(chip)), Some(tcb)) = (args.product, &args.chip, args.tcb) else {
            return Err(Failure::NoSuchKey("name a report, or product, chip and tcb"));
        };
        let name = VcekName::of_hwid(product, chip, tcb);
        let unfit = "the chip id has 64 bytes, on Turin 8, not all zero; and only Turin has an fmc, always";
        return Ok(vec![name.ok_or(Failure::NoSuchKey(unfit))?]);
    };
    let report = |reason: String| Failure::Report { path: path.clone(), reason };
    let evidence = Evidence::parse(EvidenceKind::SevSnp, &read_evidence(path)?);
    let needed = precheck(&evidence.map_err(|e| report(e.to_string()))?).map_err(bad_report(path))?;
    if needed.kind == SigningKey::Vlek {
        return Err(report("signed by a VLEK, whose certificate only comes with the evidence".to_owned()));
    }
    let name = |product| VcekName::new(product, &needed.chip_id, needed.reported_tcb);
    let names: Vec<_> = needed.products.iter().filter_map(|product| name(*product)).collect();
    if names.is_empty() {
        return Err(report("no key can have its chip id and reported tcb".to_owned()));
    }
    Ok(names)
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

/// The first of the names that a source knows.
async fn find(
    names: &[VcekName],
    sources: &Sources,
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<(VcekName, Found), Failure> {
    let judge = |name: &VcekName, certificates: &[Vec<u8>]| match vouched(certificates, anchors, now) {
        Ok(key) if name.is(key.product, &key.hwid, key.tcb) => Ok(()),
        Ok(_) => Err("a certificate of another key".to_owned()),
        Err(reason) => Err(reason.to_string()),
    };
    let mut last: Option<Arc<FindError>> = None;
    for name in names {
        match sources.find(name, now, &judge).await {
            Ok(found) => return Ok((name.clone(), found)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or(Failure::NoSuchKey("none was named"), Failure::NotFound))
}

fn print(name: &VcekName, found: &Found, anchors: &TrustAnchors, now: UnixTime) {
    println!("key      {name}");
    println!("source   {}", found.source);
    if let Ok(key) = vouched(&found.certificates, anchors, now) {
        println!("valid    {} to {}", key.not_before, key.not_after);
        println!("root     {}", if key.simulated { "a simulated one" } else { "AMD's" });
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
