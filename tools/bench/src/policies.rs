//! Decisions of `policy` with many rules and many reference values, and what it takes to load them.
//!
//! The bundle is that of a broker with tenants: the shipped policies for genuine guests, once for each of five tenants
//! and for keys with that tenant's tag only, and those for development: 22 files. Reference values are made up, but for
//! those of the guest.

use std::fmt::Write;
use std::path::PathBuf;

use policy::case::Case;
use policy::{Bundle, Evaluation, Policy};

use crate::clock::{Samples, cpu_of, process_cpu_of};
use crate::report::{Report, Target, micros, seconds, times};
use crate::{Cli, Failed};

/// Policies that each tenant has a copy of.
const FOR_TENANTS: [&str; 4] = ["snp-production", "snp-azure-vtpm", "snp-svsm", "tpm-measured-boot"];
/// Policies that there is one of.
const FOR_ALL: [&str; 2] = ["simulated-development", "simulated-vtpm"];
/// How many tenants there are; the last is the guest's.
const TENANTS: usize = 5;
/// How many reference values, of which the first is the measure of the others.
const VALUES: [usize; 3] = [100, 10_000, 100_000];
/// Decisions that one measurement covers.
const BATCH: usize = 32;

/// Measures loading and deciding.
pub fn run(cli: &Cli, report: &mut Report) -> Result<(), Failed> {
    report.heading("policy: 22 files of 54 rules, the shipped policies of five tenants");
    let mut policies = Vec::new();
    for values in VALUES {
        policies.push(load(cli, report, values)?);
    }
    let case = case()?;
    let mut denied = case.clone();
    denied.record.snp.iter_mut().for_each(|snp| snp.vmpl = 1);
    let (mut permits, mut denials) = (vec![Samples::default(); 3], vec![Samples::default(); 3]);
    for _ in 0..if cli.quick { 40 } else { 400 } {
        for ((policy, permits), denials) in policies.iter().zip(&mut permits).zip(&mut denials) {
            permits.push(decide(policy, &case, true)?);
            denials.push(decide(policy, &denied, false)?);
        }
    }
    figures(report, &permits, &denials);
    Ok(())
}

fn figures(report: &mut Report, permits: &[Samples], denials: &[Samples]) {
    let (Some(few), Some(many), Some(most)) = (permits.first(), permits.get(1), permits.get(2)) else {
        return;
    };
    let target = Target::AtMost(25e-6);
    report.target("a permit, 10,000 reference values, CPU", many.median(), target, micros);
    let ratio = Target::AtMost(1.5);
    report.target("  with 100,000 / with 100", most.median_ratio(few), ratio, times);
    let (Some(few), Some(many), Some(most)) = (denials.first(), denials.get(1), denials.get(2)) else {
        return;
    };
    report.plain("a denial and its reasons, 10,000, CPU", micros(many.median()));
    report.plain("  with 100,000 / with 100", times(most.median_ratio(few)));
    report.note(
        "A permit is Policy::evaluate from the claims to the rules that permit: the locks, the guest in Cedar's terms, and \
         Cedar. One guest by turns under each bundle, one clock and one key, as the requests of a second have.",
    );
}

/// Seconds for one decision.
fn decide(policy: &Policy, case: &Case, permits: bool) -> Result<f64, Failed> {
    let (seconds, found) = cpu_of(|| {
        (0..BATCH).all(|_| {
            let found = policy.evaluate(&case.record, &case.request, &case.key, &case.circumstances);
            matches!(found, Evaluation::Permit { .. }) == permits
        })
    });
    if found { Ok(seconds / 32.0) } else { Err("the bundle decides otherwise than it should".into()) }
}

fn load(cli: &Cli, report: &mut Report, values: usize) -> Result<Policy, Failed> {
    let bundle = bundle(values)?;
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

/// The bundle with so many reference values.
fn bundle(values: usize) -> Result<Bundle, Failed> {
    let mut references = read("cases/snp-production/reference-values.toml")?;
    for number in 0..values {
        let digest = hex(&crypto::sha512(&[&number.to_be_bytes()]));
        let kinds = [("measurement", 96), ("host_data", 64), ("id_key", 96), ("chip", 128), ("pcr", 64)];
        let (kind, len) = kinds.get(number % kinds.len()).copied().unwrap_or_default();
        let value = digest.get(..len).unwrap_or_default();
        write!(references, "[[{kind}]]\nvalue = \"{value}\"\nname = \"n{number}\"\nstate = \"active\"\n")?;
    }
    let mut bundle = Bundle::new(read("schema.cedarschema")?, references);
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
