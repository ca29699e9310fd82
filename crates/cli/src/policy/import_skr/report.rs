//! What a translation changes, for people and as JSON: authorities, what is stricter, dropped or missing, which reference
//! values it needs, and what an author here would add.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use skr::condition::{Condition, Guard, Test};
use skr::{Effect, Finding, Rule, Token, Translation};

use crate::evidence::wrap;

/// One finding for all places where the same is found.
#[derive(Debug, Serialize)]
struct Found {
    effect: Effect,
    condition: Option<String>,
    places: Vec<String>,
    why: String,
}

/// Reference values that rules need, and how many there are that they would take.
#[derive(Debug, Serialize)]
pub struct Needed {
    /// The kind, as reference values name it.
    pub kind: &'static str,
    /// How many are active or retiring.
    pub granted: usize,
}

/// The report.
#[derive(Debug)]
pub struct Report {
    authorities: Vec<String>,
    found: Vec<Found>,
    needed: Vec<Needed>,
    advice: Vec<&'static str>,
    rules: Vec<String>,
}

impl Report {
    /// Puts it together. `granted` says how many reference values of a kind are active or retiring.
    pub fn new(
        translation: &Translation,
        rules: &[Rule],
        ids: Vec<String>,
        for_one_key: bool,
        granted: impl Fn(&str) -> usize,
    ) -> Self {
        let needed = needs(rules).into_iter().map(|kind| Needed { kind, granted: granted(kind) });
        Self {
            authorities: translation.authorities.clone(),
            found: found(&translation.findings),
            needed: needed.collect(),
            advice: advice(rules, for_one_key, translation.immutable),
            rules: ids,
        }
    }

    /// How many findings have this effect.
    pub fn count(&self, effect: Effect) -> usize {
        self.found.iter().filter(|found| found.effect == effect).count()
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "rules": self.rules,
            "authorities": self.authorities,
            "findings": self.found,
            "reference_values": self.needed,
            "to_add": self.advice,
        })
    }

    /// For people, in lines that end before column 100.
    ///
    /// # Errors
    /// Whatever `out` says.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let count = self.authorities.len();
        let word = if count == 1 { "authority" } else { "authorities" };
        writeln!(out, "{count} {word} without a counterpart: the broker verifies evidence itself")?;
        for authority in &self.authorities {
            lines(out, 2, authority)?;
        }
        for effect in [Effect::Missing, Effect::Nobody, Effect::Looser, Effect::Dropped, Effect::Stricter] {
            let of_effect: Vec<&Found> = self.found.iter().filter(|found| found.effect == effect).collect();
            if !of_effect.is_empty() {
                writeln!(out, "\n{}", heading(effect))?;
            }
            of_effect.into_iter().try_for_each(|found| found.print(out))?;
        }
        if !self.needed.is_empty() {
            writeln!(out, "\nreference values that it needs")?;
        }
        for Needed { kind, granted } in &self.needed {
            let none = if *granted == 0 { ": until one is listed, nobody is permitted" } else { "" };
            lines(out, 2, &format!("[[{kind}]], {granted} active or retiring{none}"))?;
        }
        if !self.advice.is_empty() {
            writeln!(out, "\nwhat the policy does not ask, and one of Keyfast's would")?;
        }
        self.advice.iter().try_for_each(|advice| item(out, advice))
    }
}

impl Found {
    /// The condition, or what there is of it, with the rest below it.
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let more = self.places.len().saturating_sub(1);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let place = self.places.first().map(|first| format!("{first}{more}"));
        let all = self.condition.iter().chain(&place).chain([&self.why]);
        all.enumerate().try_for_each(|(at, text)| lines(out, if at == 0 { 2 } else { 4 }, text))
    }
}

fn lines(out: &mut dyn Write, indent: usize, text: &str) -> io::Result<()> {
    let columns = COLUMNS.saturating_sub(indent);
    wrap(text, columns).iter().try_for_each(|line| writeln!(out, "{:indent$}{line}", ""))
}

fn item(out: &mut dyn Write, text: &str) -> io::Result<()> {
    let mut mark = '-';
    for line in wrap(text, COLUMNS.saturating_sub(4)) {
        writeln!(out, "  {mark} {line}")?;
        mark = ' ';
    }
    Ok(())
}

fn heading(effect: Effect) -> &'static str {
    match effect {
        Effect::Missing => "missing: nothing stands for it, and without it rules would be looser",
        Effect::Nobody => "met by nobody: a rule would permit no guest",
        Effect::Looser => "LOOSER: left out, so that rules permit what the policy did not",
        Effect::Dropped => "dropped: an alternative that nobody gets in by any more",
        Effect::Stricter => "stricter: what stands for it asks more",
    }
}

/// The same condition with the same fate once, with all its places.
fn found(findings: &[Finding]) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    for finding in findings {
        let same = all.iter_mut().find(|other| {
            other.effect == finding.effect && other.condition == finding.condition && other.why == finding.why
        });
        match same {
            Some(other) => {
                let place = finding.place.iter().filter(|place| !other.places.contains(place));
                let place: Vec<String> = place.cloned().collect();
                other.places.extend(place);
            }
            None => all.push(Found {
                effect: finding.effect,
                condition: finding.condition.clone(),
                places: finding.place.iter().cloned().collect(),
                why: finding.why.clone(),
            }),
        }
    }
    all
}

/// The kinds of reference values that rules hold guests against.
fn needs(rules: &[Rule]) -> Vec<&'static str> {
    let known = |claim: &'static str| {
        let test = move |condition: &Condition| condition.test == Test::Known(claim);
        rules.iter().any(|rule| rule.asks.mentions(&test))
    };
    let database = known("principal.tpm.boot.db") || known("principal.tpm.boot.dbx");
    let all = [
        ("paravisor", rules.iter().any(Rule::needs_vtpm)),
        ("measurement", known("principal.snp.measurement")),
        ("database", database),
    ];
    all.into_iter().filter(|(_, needed)| *needed).map(|(kind, _)| kind).collect()
}

/// What an author here would add.
fn advice(rules: &[Rule], for_one_key: bool, immutable: bool) -> Vec<&'static str> {
    let all = |wanted: &dyn Fn(&Condition) -> bool| rules.iter().all(|rule| rule.asks.asks(wanted));
    let is =
        |claim: &'static str, value: bool| all(&move |condition| condition.test == Test::Is(claim, value));
    let one_of = |claims: &'static [&'static str]| {
        all(&move |condition| {
            let named = matches!(condition.test, Test::Equal(..) | Test::OneOf(..) | Test::Known(_));
            named && condition.test.claim().is_some_and(|claim| claims.contains(&claim))
        })
    };
    let levels = |claim: &'static str| all(&move |condition| condition.test.claim() == Some(claim));
    let vtpm = has_vtpm;
    let asked = [
        (is("principal.snp.policy.debug_allowed", false), DEBUG),
        (is("principal.snp.policy.migrate_ma_allowed", false), MIGRATION),
        (TCB.iter().all(|claim| levels(claim)), FLOOR),
        (rules.iter().all(is_someones), IDENTITY),
        (rules.iter().all(vtpm) || levels("principal.snp.vmpl"), VMPL),
        (one_of(&["principal.snp.measurement"]) || rules.iter().all(vtpm), MEASUREMENT),
        (!rules.iter().any(Rule::needs_vtpm), CHAIN),
        (for_one_key, EVERY_KEY),
        (!immutable, IMMUTABLE),
    ];
    let lacking = asked.into_iter().filter(|(asked, _)| !asked && !rules.is_empty());
    lacking.map(|(_, advice)| advice).collect()
}

/// Whether whoever a rule permits has a vTPM in a known paravisor.
fn has_vtpm(rule: &Rule) -> bool {
    let behind = |condition: &Condition| condition.guard.is_some_and(|guard| guard.includes(Guard::Vtpm));
    rule.token == Token::Machine || rule.asks.asks(&behind)
}

/// Whether a rule sets its guests apart from another tenant's. The ID key does not: on Azure it is Azure's. Nor does
/// HOST_DATA where a paravisor runs, which is launched without.
fn is_someones(rule: &Rule) -> bool {
    let vtpm = has_vtpm(rule);
    rule.asks.asks(&|condition| {
        let named = matches!(condition.test, Test::Equal(..) | Test::OneOf(..));
        named
            && match condition.test.claim() {
                Some("principal.tpm.azure.vm_id" | "principal.snp.report_id") => true,
                Some("principal.snp.host_data") => !vtpm,
                _ => false,
            }
    })
}

/// The versions that a report is signed for.
const TCB: [&str; 4] = [
    "principal.snp.reported_tcb.bootloader",
    "principal.snp.reported_tcb.tee",
    "principal.snp.reported_tcb.snp",
    "principal.snp.reported_tcb.microcode",
];

const DEBUG: &str = "a forbid when `principal has snp && principal.snp.policy.debug_allowed`: the host can read a guest \
    that it may debug";
const MIGRATION: &str = "a forbid when `principal has snp && principal.snp.policy.migrate_ma_allowed`: a migration agent \
    can take the guest's memory away";
const FLOOR: &str = "a floor under the platform's versions: `principal.snp.processor has tcb_floor`, and `reported_tcb` \
    and `launch_tcb` not below it, as in snp-azure-vtpm.cedar";
const IDENTITY: &str = "whose guest it is: `principal.tpm.azure.vm_id`, or `principal.snp.host_data` where there is no \
    paravisor, among reference values; the same image runs other tenants' machines";
const VMPL: &str =
    "`principal.snp.vmpl == 0`: a report of a lower privilege level says nothing about the higher ones";
const MEASUREMENT: &str =
    "what it runs: `principal.snp.measurement` among reference values; as it is, any image will do";
const CHAIN: &str = "what it booted: `principal.tpm.pcrs.pcr4` and `pcr7` among reference values; the report covers the \
    paravisor alone";
const EVERY_KEY: &str = "for which key: in Azure a policy is one key's. Make these rules a key's own (`keyfast keys policy \
    KEY --version N --set FILE`), or name the key with --key; as they are, a broker has them for every key";
const IMMUTABLE: &str =
    "that nobody changes it: in Azure this policy is immutable, as a key's own is here with --immutable";
/// Columns of a report.
const COLUMNS: usize = 98;
