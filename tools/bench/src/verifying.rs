//! `verify::authenticate` of a genuine report whose chain is cached, against one bare signature verification.

use std::path::{Path, PathBuf};

use claims::EvidenceKind;
use crypto::P384PublicKey;
use evidence::Evidence;
use verify::{Endorsements, TrustAnchors, authenticate};

use crate::clock::{Samples, cpu_of};
use crate::report::{Report, Target, micros, now, times};
use crate::{Cli, Failed};

/// Genuine reports, with their chains, as directories of the vectors.
const REPORTS: [&str; 2] = ["genoa-v5-oak", "milan-v2-baremetal-virtee"];
/// Verifications that one measurement covers.
const BATCH: usize = 32;

/// Measures both, in turn.
pub fn run(cli: &Cli, report: &mut Report) -> Result<(), Failed> {
    report.heading("verify: a genuine report, chain cached, against one bare P-384 verification");
    for name in REPORTS {
        let dir = vectors().join("snp").join(name);
        if !dir.is_dir() {
            report.note(&format!("{name} left out: no such vector; set KEYFAST_VECTORS."));
            continue;
        }
        one(report, name, &dir, if cli.quick { 40 } else { 400 })?;
    }
    Ok(())
}

fn vectors() -> PathBuf {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"));
    std::env::var_os("KEYFAST_VECTORS").map_or_else(beside, PathBuf::from)
}

fn one(report: &mut Report, name: &str, dir: &Path, rounds: usize) -> Result<(), Failed> {
    let bytes = std::fs::read(dir.join("report.bin"))?;
    let endorsements = Endorsements::from_certificates(endorsements::read_directory(dir)?)?;
    let (anchors, now) = (TrustAnchors::amd(), now());
    let parse = || Evidence::parse(EvidenceKind::SevSnp, &bytes);
    let Evidence::SevSnp(snp) = parse()? else { return Err("evidence of another kind".into()) };
    let (signed, signature) = (snp.report.signed_bytes(), snp.report.signature_be());
    let key = leaf_key(&std::fs::read(dir.join("vcek.der"))?)?;
    authenticate(parse()?, &endorsements, &anchors, now)?;

    let (mut parsing, mut whole, mut bare) = (Samples::default(), Samples::default(), Samples::default());
    let mut with_parsing = Samples::default();
    for _ in 0..rounds {
        let (parse_s, parsed) = cpu_of(|| (0..BATCH).map(|_| parse()).collect::<Result<Vec<_>, _>>());
        let parsed = parsed?;
        let (whole_s, verified) = cpu_of(|| {
            parsed.into_iter().try_for_each(|one| authenticate(one, &endorsements, &anchors, now).map(drop))
        });
        verified?;
        let (bare_s, verified) = cpu_of(|| (0..BATCH).try_for_each(|_| key.verify_fixed(signed, &signature)));
        verified?;
        parsing.push(parse_s / 32.0);
        whole.push(whole_s / 32.0);
        with_parsing.push((parse_s + whole_s) / 32.0);
        bare.push(bare_s / 32.0);
    }
    report.plain(&format!("{name}: bare verify_fixed, CPU"), micros(bare.median()));
    report.plain(&format!("{name}: Evidence::parse, CPU"), micros(parsing.median()));
    report.plain(&format!("{name}: authenticate, CPU"), micros(whole.median()));
    let target = Target::AtMost(1.25);
    report.target(&format!("{name}: authenticate / bare"), whole.median_ratio(&bare), target, times);
    let label = format!("{name}: parse + authenticate / bare");
    report.target(&label, with_parsing.median_ratio(&bare), target, times);
    Ok(())
}

/// The point in a certificate's SubjectPublicKeyInfo: the one BIT STRING of 98 bytes that begins as a point does. It
/// is the right one, or nothing verifies under it.
fn leaf_key(certificate: &[u8]) -> Result<P384PublicKey, Failed> {
    const BEFORE: [u8; 4] = [0x03, 0x62, 0x00, 0x04];
    let at = certificate.windows(BEFORE.len()).position(|window| window == BEFORE).ok_or("no P-384 point")?;
    let point = certificate.get(at + 3..at + 100).ok_or("a point cut short")?;
    Ok(P384PublicKey::from_sec1(point)?)
}
