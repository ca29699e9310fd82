//! `verify::authenticate` against the bare signature verifications in it: of a genuine report with its chain cached and
//! cold, and of an Azure guest's bundle; and an event log, parsed, replayed and turned into facts, against its hashes.

use std::path::{Path, PathBuf};

use claims::tpm::{Digest, HashAlgorithm};
use claims::{EvidenceKind, snp::Product};
use crypto::{P384PublicKey, RsaPrivateKey, RsaScheme};
use evidence::Evidence;
use evidence::tpm::{Event, EventLog, PcrValue, log::EV_NO_ACTION};
use simtee::vtpm::{VTpm, evidence as parts, log::BootSpec};
use simtee::{GuestSpec, SimHost};
use verify::tpm::boot::appraise;
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
    report.heading("verify: evidence, against the bare signature verifications and hashes in it");
    for name in REPORTS {
        let dir = vectors().join("snp").join(name);
        if !dir.is_dir() {
            report.note(&format!("{name} left out: no such vector; set KEYFAST_VECTORS."));
            continue;
        }
        one(report, name, &dir, if cli.quick { 40 } else { 400 })?;
        cold(report, name, &dir, if cli.quick { 4 } else { 40 })?;
    }
    azure(report, if cli.quick { 40 } else { 400 })?;
    log(report, if cli.quick { 40 } else { 400 })
}

/// A chain that was never seen: parsed, three signatures, names, extensions. The roots were read when the program
/// started.
fn cold(report: &mut Report, name: &str, dir: &Path, rounds: usize) -> Result<(), Failed> {
    let bytes = std::fs::read(dir.join("report.bin"))?;
    let (endorsements, now) = (Endorsements::from_certificates(endorsements::read_directory(dir)?)?, now());
    let Evidence::SevSnp(snp) = Evidence::parse(EvidenceKind::SevSnp, &bytes)? else {
        return Err("evidence of another kind".into());
    };
    let (signed, signature) = (snp.report.signed_bytes(), snp.report.signature_be());
    let leaf = leaf_key(&std::fs::read(dir.join("vcek.der"))?)?;
    let authority = RsaPrivateKey::generate(4096)?;
    let rsa_signature = authority.sign_pss_sha384(signed)?;
    let (mut whole, mut bare) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        let fresh: Vec<TrustAnchors> = (0..BATCH).map(|_| TrustAnchors::amd()).collect();
        let (whole_s, verified) = cpu_of(|| {
            fresh.iter().try_for_each(|anchors| {
                let evidence = Evidence::parse(EvidenceKind::SevSnp, &bytes)?;
                authenticate(evidence, &endorsements, anchors, now)?;
                Ok::<_, Failed>(())
            })
        });
        verified?;
        let (bare_s, verified) = cpu_of(|| {
            (0..BATCH).try_for_each(|_| {
                leaf.verify_fixed(signed, &signature)?;
                authority.public().verify_pss_sha384(signed, &rsa_signature)?;
                authority.public().verify_pss_sha384(signed, &rsa_signature)
            })
        });
        verified?;
        whole.push(whole_s / 32.0);
        bare.push(bare_s / 32.0);
    }
    report.plain(&format!("{name}: bare, two RSA-4096-PSS and one P-384, CPU"), micros(bare.median()));
    report.plain(&format!("{name}: parse + authenticate, chain cold, CPU"), micros(whole.median()));
    let label = format!("{name}: chain cold / its bare signatures");
    report.target(&label, whole.median_ratio(&bare), Target::AtMost(1.5), times);
    Ok(())
}

/// An Azure guest's evidence: HCL blob, report, quote and event log, of a simulated host whose chain is cached.
fn azure(report: &mut Report, rounds: usize) -> Result<(), Failed> {
    let host = SimHost::generate(Product::Genoa, now())?;
    let anchors = TrustAnchors::none().with_simulated(host.ark_der(), host.ark_sha256())?;
    let mut vtpm = VTpm::generate()?;
    vtpm.boot(&BootSpec::new("bench"));
    let runtime = parts::runtime_data(&vtpm, "baefd3e1-184b-4c4c-ab88-0bdad260505f")?;
    let guest = host.launch(&GuestSpec::new(Product::Genoa, "bench"))?;
    let signed = guest.sign(guest.report(&parts::runtime_report_data(&runtime)))?;
    let quote = vtpm.quote(&vtpm.quote_spec(&[7; 32], 0xffff)?, 0xffff)?;
    let bytes = parts::azure(&parts::hcl(&signed, &runtime), &parts::certificates(&guest), &quote);
    let parse = || Evidence::parse(EvidenceKind::AzureVtpm, &bytes);
    let endorsements = Endorsements::from_evidence(&parse()?);
    let parsed = parse()?;
    let snp = parsed.snp().ok_or("no report")?;
    let (signed, signature) = (snp.report.signed_bytes(), snp.report.signature_be());
    let leaf = leaf_key(&guest.chain().vek)?;
    let ak = RsaPrivateKey::generate(2048)?;
    let rsa_signature = ak.sign(RsaScheme::Pkcs1Sha256, &quote.attest)?;
    let (mut whole, mut bare) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        let (whole_s, verified) = cpu_of(|| {
            (0..BATCH).try_for_each(|_| {
                authenticate(parse()?, &endorsements, &anchors, now())?;
                Ok::<_, Failed>(())
            })
        });
        verified?;
        let (bare_s, verified) = cpu_of(|| {
            (0..BATCH).try_for_each(|_| {
                leaf.verify_fixed(signed, &signature)?;
                ak.public().verify(RsaScheme::Pkcs1Sha256, &quote.attest, &rsa_signature)
            })
        });
        verified?;
        whole.push(whole_s / 32.0);
        bare.push(bare_s / 32.0);
    }
    report.plain("Azure bundle: bare P-384 and RSA-2048, CPU", micros(bare.median()));
    report.plain("Azure bundle: parse + authenticate, chain cached, CPU", micros(whole.median()));
    report.plain("Azure bundle: parse + authenticate / bare", times(whole.median_ratio(&bare)));
    Ok(())
}

/// A genuine log of 37 events (36 and the one that describes it), against one SHA-256 of all its bytes and one of 64 bytes for each event.
fn log(report: &mut Report, rounds: usize) -> Result<(), Failed> {
    let path = vectors().join("tpm/qemu-ovmf/tcg-snakeoil-uki/eventlog.bin");
    let Ok(bytes) = std::fs::read(&path) else {
        report.note("the event log left out: no such vector; set KEYFAST_VECTORS.");
        return Ok(());
    };
    let bank = HashAlgorithm::Sha256;
    let parsed = EventLog::parse(&bytes)?;
    let (events, quoted) = (parsed.events.len(), replayed(&parsed));
    let (mut parsing, mut whole, mut bare) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..rounds {
        let (parse_s, logs) =
            cpu_of(|| (0..BATCH).map(|_| EventLog::parse(&bytes)).collect::<Result<Vec<_>, _>>());
        let logs = logs?;
        let (facts_s, facts) =
            cpu_of(|| logs.iter().try_for_each(|log| appraise(log, bank, &quoted).map(drop)));
        facts?;
        let (bare_s, ()) = cpu_of(|| {
            for _ in 0..BATCH {
                std::hint::black_box(crypto::sha256(&[&bytes]));
                (0..events).for_each(|_| _ = std::hint::black_box(crypto::sha256(&[&[0; 64]])));
            }
        });
        parsing.push(parse_s / 32.0);
        whole.push((parse_s + facts_s) / 32.0);
        bare.push(bare_s / 32.0);
    }
    report.plain(&format!("{events}-event log: its bare hashes, CPU"), micros(bare.median()));
    report.plain(&format!("{events}-event log: parsed, CPU"), micros(parsing.median()));
    report.plain(&format!("{events}-event log: parsed, replayed, facts, CPU"), micros(whole.median()));
    report.plain(&format!("{events}-event log: whole / bare hashes"), times(whole.median_ratio(&bare)));
    Ok(())
}

/// The values that a log leads to, of the PCRs that it extends.
fn replayed(log: &EventLog) -> Vec<PcrValue> {
    let bank = HashAlgorithm::Sha256;
    let value = |index: u8| {
        let of_pcr = |event: &&Event| event.pcr == u32::from(index) && event.kind != EV_NO_ACTION;
        let digests = log.events.iter().filter(of_pcr).filter_map(|event| event.digest(bank));
        let last = digests.fold(None, |pcr: Option<[u8; 32]>, digest| {
            Some(crypto::sha256(&[&pcr.unwrap_or([0; 32]), digest]))
        });
        last.map(|pcr| PcrValue { bank, index, value: Digest(pcr.to_vec()) })
    };
    (0..16).filter_map(value).collect()
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
