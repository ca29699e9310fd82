//! Decisions of `policy` with many rules and many reference values, and what it takes to load them.
//!
//! Two bundles: 22 rules, the shipped policies for genuine guests of two platforms; and that of a broker with tenants,
//! which has policies for genuine guests once for each of five tenants and for keys with that tenant's tag only, and
//! those for development: 22 files. Reference values are made up, but for those of the guest.

use std::fmt::Write;
use std::path::PathBuf;

use policy::case::Case;
use policy::{Bundle, Evaluation, Policy};

use crate::clock::{Samples, cpu_of, process_cpu_of};
use crate::primitives::BareVerification;
use crate::report::{Report, Target, micros, seconds, times};
use crate::{Cli, Failed};

/// Policies of a broker for genuine guests on bare metal, on Azure and with TPMs, and for development: 22 rules.
const ONE_OWNER: [&str; 5] =
    ["snp-production", "snp-azure-vtpm", "tpm-measured-boot", "aws-nitro-tpm", "simulated-development"];
/// Policies that each tenant has a copy of.
const FOR_TENANTS: [&str; 4] = ["snp-production", "snp-azure-vtpm", "snp-svsm", "tpm-measured-boot"];
/// Policies that there is one of.
const FOR_ALL: [&str; 2] = ["simulated-development", "simulated-vtpm"];
/// How many tenants there are; the last is the guest's.
const TENANTS: usize = 5;
/// How many reference values, of which the first is the measure of the others.
const VALUES: [usize; 3] = [100, 10_000, 100_000];
/// Decisions that one measurement covers.
const BATCH: u8 = 32;

/// Measures loading and deciding.
pub fn run(cli: &Cli, report: &mut Report) -> Result<(), Failed> {
    report.heading("policy: 22 rules of one owner");
    decisions(cli, report, &one_owner, Some(Target::AtMost(25e-6)))?;
    report.heading("policy: 22 files of 54 rules, the shipped policies of five tenants");
    decisions(cli, report, &tenants, None)?;
    report.note(
        "Prepared: what Cedar takes for a guest it has been told of. From the claims: the locks, the guest in Cedar's \
         terms, and Cedar. One guest by turns under each bundle, one clock and one key, as the requests of a second have.",
    );
    Ok(())
}

/// Samples of one bundle.
#[derive(Default)]
struct Taken {
    prepared: Samples,
    whole: Samples,
    denials: Samples,
}

fn decisions(
    cli: &Cli,
    report: &mut Report,
    bundle: &dyn Fn(usize) -> Result<Bundle, Failed>,
    target: Option<Target>,
) -> Result<(), Failed> {
    let mut policies = Vec::new();
    for values in VALUES {
        policies.push((load(cli, report, &bundle(values)?, values)?, Taken::default()));
    }
    let case = case()?;
    let mut denied = case.clone();
    denied.record.snp.iter_mut().for_each(|snp| snp.vmpl = 1);
    let (verification, mut verified) = (BareVerification::new()?, Samples::default());
    for _ in 0..if cli.quick { 40 } else { 400 } {
        verified.push(verification.seconds()?);
        for (policy, taken) in &mut policies {
            let Case { record, request, key, circumstances, .. } = &case;
            let prepared = policy.prepare(record, request, key, circumstances);
            taken.prepared.push(decide(true, || policy.rules_say(&prepared))?);
            taken.whole.push(decide(true, || policy.evaluate(record, request, key, circumstances))?);
            let denied = || policy.evaluate(&denied.record, request, key, circumstances);
            taken.denials.push(decide(false, denied)?);
        }
    }
    let taken: Vec<Taken> = policies.into_iter().map(|(_, taken)| taken).collect();
    if let [few, many, most] = &taken[..] {
        figures(report, [few, many, most], &verified, target);
    }
    Ok(())
}

fn figures(report: &mut Report, [few, many, most]: [&Taken; 3], verified: &Samples, target: Option<Target>) {
    let label = "a permit, 10,000 reference values, prepared, CPU";
    match target {
        Some(target) => report.target(label, many.prepared.median(), target, micros),
        None => report.plain(label, micros(many.prepared.median())),
    }
    let label = "  of one bare P-384 verification, then and there";
    report.plain(label, times(many.prepared.median_ratio(verified)));
    report.plain("a permit, 10,000 reference values, from the claims, CPU", micros(many.whole.median()));
    let ratio = Target::AtMost(1.5);
    report.target("  with 100,000 / with 100", most.whole.median_ratio(&few.whole), ratio, times);
    report.plain("a denial and its reasons, 10,000, CPU", micros(many.denials.median()));
    report.plain("  with 100,000 / with 100", times(most.denials.median_ratio(&few.denials)));
}

/// Seconds for one decision.
fn decide(permits: bool, decision: impl Fn() -> Evaluation) -> Result<f64, Failed> {
    let as_expected = |_| matches!(decision(), Evaluation::Permit { .. }) == permits;
    let (seconds, found) = cpu_of(|| (0..BATCH).all(as_expected));
    if found {
        Ok(seconds / f64::from(BATCH))
    } else {
        Err("the bundle decides otherwise than it should".into())
    }
}

fn load(cli: &Cli, report: &mut Report, bundle: &Bundle, values: usize) -> Result<Policy, Failed> {
    let mut samples = Samples::default();
    let mut loaded = None;
    for _ in 0..if cli.quick { 1 } else { 5 } {
        let (seconds, policy) = process_cpu_of(|| Policy::load(bundle.clone()));
        loaded = Some(policy.map_err(|errors| errors.to_string())?);
        samples.push(seconds);
    }
    let label = format!("load, {values} reference values, CPU");
    match values {
        0..10_000 => report.plain(&label, seconds(samples.median())),
        _ => report.target(&label, samples.median(), Target::AtMost(1.0), seconds),
    }
    loaded.ok_or_else(|| "nothing was loaded".into())
}

fn one_owner(values: usize) -> Result<Bundle, Failed> {
    ONE_OWNER.into_iter().try_fold(empty(values)?, |bundle, name| {
        let file = format!("{name}.cedar");
        Ok(bundle.with_policy(&file, read(&file)?))
    })
}

fn tenants(values: usize) -> Result<Bundle, Failed> {
    let mut bundle = empty(values)?;
    for name in FOR_ALL {
        let file = format!("{name}.cedar");
        bundle = bundle.with_policy(&file, read(&file)?);
    }
    for tenant in 0..TENANTS {
        for name in FOR_TENANTS {
            let text = for_tenant(&read(&format!("{name}.cedar"))?, name, tenant);
            bundle = bundle.with_policy(format!("tenant-{tenant}-{name}.cedar"), text);
        }
    }
    Ok(bundle)
}

/// A bundle without rules, with so many reference values and those of the guest.
fn empty(values: usize) -> Result<Bundle, Failed> {
    let mut references = read("cases/snp-production/reference-values.toml")?;
    for number in 0..values {
        let digest = hex(&crypto::sha512(&[&number.to_be_bytes()]));
        let kinds = [("measurement", 96), ("host_data", 64), ("id_key", 96), ("chip", 128), ("pcr", 64)];
        let (kind, len) = kinds.get(number % kinds.len()).copied().unwrap_or_default();
        let value = digest.get(..len).unwrap_or_default();
        write!(references, "[[{kind}]]\nvalue = \"{value}\"\nname = \"n{number}\"\nstate = \"active\"\n")?;
    }
    Ok(Bundle::new(read("schema.cedarschema")?, references))
}

/// The same rules under other names, for keys with this tenant's tag.
fn for_tenant(text: &str, name: &str, tenant: usize) -> String {
    let tag =
        format!("when {{ resource.hasTag(\"tenant\") && resource.getTag(\"tenant\") == \"{tenant}\" }}");
    let renamed = text.replace(&format!("@id(\"{name}/"), &format!("@id(\"tenant-{tenant}/{name}/"));
    renamed.replace("\n)\nwhen", &format!("\n)\n{tag}\nwhen"))
}

/// A guest that is permitted, and a key of its tenant.
fn case() -> Result<Case, Failed> {
    let mut case = Case::parse(&read("cases/snp-production/permit/known-image.json")?, |_| None)?;
    case.key.tags.insert("tenant".to_owned(), (TENANTS - 1).to_string());
    Ok(case)
}

fn read(path: &str) -> Result<String, Failed> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../attestation-policies"));
    Ok(std::fs::read_to_string(folder.join(path))?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
