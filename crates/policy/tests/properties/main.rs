//! What must be so for every bundle, guest and key, tried on random ones.
//!
//! | property | for |
//! |-|-|
//! | Cedar decides the same on whole guests, by itself | every bundle |
//! | an error denies, whatever else permits | every bundle |
//! | order changes neither decision nor reasons | every bundle |
//! | a rule tightened turns no denial into a permit | rules that cannot err |
//! | a claim taken away, a value withdrawn or a floor raised turns no denial into a permit | careful rules |
//!
//! A rule that errs denies, so taking it away may permit. A rule may ask whether a claim is absent, or whether a value
//! is expired; [`rules::Class::Careful`] are those that do not, and the shipped ones are tried apart, in `shipped`.
//!
//! Runs 100,000 guests; `KEYFAST_PROPERTY_CASES` runs more, `KEYFAST_PROPERTY_SEED` others. `tools/properties/run` runs a
//! million.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod claimed;
mod conditions;
mod guests;
mod numbers;
mod oracle;
mod references;
mod rules;
mod shipped;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use policy::{Circumstances, DenialCode, Evaluation, Policy, ReasonKind};

use crate::guests::{Asked, neighbour, removals};
use crate::numbers::Numbers;
use crate::oracle::{Opinion, Oracle};
use crate::rules::{Class, Plan, plan};

/// Guests that one bundle is asked about.
const GUESTS: u64 = 600;

/// How often what came about.
#[derive(Default)]
struct Counts {
    cases: AtomicU64,
    permits: AtomicU64,
    forbidden: AtomicU64,
    errors: AtomicU64,
    locked: AtomicU64,
    removals: AtomicU64,
    tightened_denials: AtomicU64,
    bundles: AtomicU64,
    impossible: AtomicU64,
}

/// A bundle and what it is compared with.
struct Round {
    class: Class,
    plan: Plan,
    policy: Policy,
    oracle: Oracle,
    shuffled: Policy,
    tightened: Option<(&'static str, Plan, Policy)>,
    withdrawn: Option<Policy>,
}

impl Round {
    /// `None` if a rule contradicts itself.
    fn of(
        class: Class,
        plan: Plan,
        tightened: Option<(&'static str, Plan)>,
        numbers: &mut Numbers,
    ) -> Option<Self> {
        let policy = plan.load_if_possible()?;
        let mut backwards = plan.clone();
        backwards.files.reverse();
        assert_eq!(
            backwards.bundle().digest(),
            policy.digest(),
            "the digest tells the order of files\n{plan}"
        );
        let shuffled = plan.shuffled(numbers).load_if_possible()?;
        let tightened = tightened.and_then(|(what, tight)| {
            let policy = tight.load_if_possible()?;
            Some((what, tight, policy))
        });
        let withdrawn = (class == Class::Careful)
            .then(|| Plan { references: plan.references.tightened(numbers), ..plan.clone() });
        let withdrawn = withdrawn.and_then(|less| less.load_if_possible());
        let oracle = Oracle::new(&plan, policy.cedar().0);
        Some(Self { class, plan, policy, oracle, shuffled, tightened, withdrawn })
    }

    /// Everything that must be so about one guest.
    fn check(&self, asked: &Asked, numbers: &mut Numbers, counts: &Counts) -> Result<(), String> {
        let found = evaluate(&self.policy, asked);
        agree(&found, &self.oracle.ask(asked, numbers.chance(5)), counts)?;
        if numbers.chance(25) {
            same(&found, &evaluate(&self.shuffled, asked))?;
        }
        let permitted = matches!(found, Evaluation::Permit { .. });
        let erred = matches!(&found, Evaluation::Deny(denial) if denial.code == DenialCode::EvaluationFailed);
        if permitted || erred {
            // What is permitted may be denied by less; with an error gone, something else may permit.
            return Ok(());
        }
        counts.tightened_denials.fetch_add(1, Relaxed);
        let gained = |what: &str, policy: &Policy, asked: &Asked| match evaluate(policy, asked) {
            Evaluation::Permit { rules } => Err(format!("{what} permits by {rules:?} what was denied")),
            Evaluation::Deny(_) => Ok(()),
        };
        if let Some((what, tight, policy)) = &self.tightened {
            gained(what, policy, asked).map_err(|error| format!("{error}; tightened:\n{tight}"))?;
        }
        if let Some(policy) = &self.withdrawn {
            gained("a value withdrawn or a floor raised", policy, asked)?;
        }
        if self.class == Class::Careful {
            let all = removals(&asked.record);
            if !all.is_empty() {
                let (what, record) = numbers.pick(&all).clone();
                counts.removals.fetch_add(1, Relaxed);
                gained(&format!("{what} taken away"), &self.policy, &Asked { record, ..asked.clone() })?;
            }
            let circumstances = Circumstances { network: None, ..asked.circumstances.clone() };
            gained("the network taken away", &self.policy, &Asked { circumstances, ..asked.clone() })?;
        }
        Ok(())
    }
}

fn evaluate(policy: &Policy, asked: &Asked) -> Evaluation {
    policy.evaluate(&asked.record, &asked.request, &asked.key, &asked.circumstances)
}

/// The decision is Cedar's, for the reasons that Cedar gives; an error denies, and so does a lock.
fn agree(found: &Evaluation, opinion: &Opinion, counts: &Counts) -> Result<(), String> {
    let blamed = |kind: ReasonKind| -> Vec<String> {
        let Evaluation::Deny(denial) = found else { return Vec::new() };
        let rules: BTreeSet<&String> =
            denial.reasons.iter().filter(|reason| reason.kind == kind).map(|reason| &reason.rule).collect();
        rules.into_iter().cloned().collect()
    };
    let code = match found {
        Evaluation::Permit { .. } => None,
        Evaluation::Deny(denial) => Some(denial.code),
    };
    let (agreed, count) = match opinion {
        Opinion::Permit(rules) => (*found == Evaluation::Permit { rules: rules.clone() }, &counts.permits),
        Opinion::Erring(rules) => {
            let erred = code == Some(DenialCode::EvaluationFailed) && blamed(ReasonKind::Error) == *rules;
            (erred, &counts.errors)
        }
        Opinion::Deny(rules) => {
            let denied = code == Some(DenialCode::PolicyDenied) && blamed(ReasonKind::Forbid) == *rules;
            let missed = !rules.is_empty() || !blamed(ReasonKind::NearMiss).is_empty();
            (denied && missed, if rules.is_empty() { &counts.cases } else { &counts.forbidden })
        }
        Opinion::Locked => {
            let other = [None, Some(DenialCode::PolicyDenied), Some(DenialCode::EvaluationFailed)];
            (!other.contains(&code) && !blamed(ReasonKind::Lock).is_empty(), &counts.locked)
        }
    };
    if !agreed {
        return Err(format!("Cedar by itself: {opinion:?}; the policy: {found:?}"));
    }
    if !std::ptr::eq(count, &raw const counts.cases) {
        count.fetch_add(1, Relaxed);
    }
    counts.cases.fetch_add(1, Relaxed);
    Ok(())
}

/// The same decision, and the same reasons in some order.
fn same(one: &Evaluation, other: &Evaluation) -> Result<(), String> {
    let told = |evaluation: &Evaluation| match evaluation {
        Evaluation::Permit { rules } => (None, rules.iter().cloned().collect::<BTreeSet<String>>()),
        Evaluation::Deny(denial) => {
            (Some(denial.code), denial.reasons.iter().map(ToString::to_string).collect())
        }
    };
    let equal = told(one) == told(other);
    equal.then_some(()).ok_or_else(|| format!("in one order: {one:?}\nin another: {other:?}"))
}

/// One bundle of this class and [`GUESTS`] guests.
fn round(seed: u64, number: u64, guests: u64, counts: &Counts) {
    let class = [Class::Careful, Class::Any, Class::Careful, Class::Erring][(number % 4) as usize];
    let mut numbers = Numbers::of(seed, number);
    let (plan, like) = plan(&mut numbers, class);
    let tightened = (class != Class::Erring).then(|| plan.tightened(&mut numbers, &like));
    counts.bundles.fetch_add(1, Relaxed);
    let Some(round) = Round::of(class, plan, tightened, &mut numbers) else {
        counts.impossible.fetch_add(1, Relaxed);
        return;
    };
    for _ in 0..guests {
        let asked = neighbour(&mut numbers, &like);
        let before = numbers.clone();
        if let Err(error) = round.check(&asked, &mut numbers, counts) {
            let (plan, error) = round.shrunk(&asked, &before, error);
            panic!("KEYFAST_PROPERTY_SEED={seed}, round {number}: {error}\n{plan}\n{asked:#?}");
        }
    }
}

impl Round {
    /// As few of the rules as still fail, and how they fail.
    fn shrunk(&self, asked: &Asked, numbers: &Numbers, error: String) -> (Plan, String) {
        let (mut plan, mut error) = (self.plan.clone(), error);
        let mut tight = self.tightened.as_ref().map(|(what, tight, _)| (*what, tight.clone()));
        for id in self.plan.rules().map(|rule| rule.id.clone()) {
            let less = plan.without(&id);
            let less_tight = tight.as_ref().map(|(what, tight)| (*what, tight.without(&id)));
            let empty = |plan: &Plan| plan.files.is_empty();
            if empty(&less) || less_tight.as_ref().is_some_and(|(_, tight)| empty(tight)) {
                continue;
            }
            let mut numbers = numbers.clone();
            let Some(round) = Self::of(self.class, less, less_tight.clone(), &mut numbers.clone()) else {
                continue;
            };
            if let Err(still) = round.check(asked, &mut numbers, &Counts::default()) {
                (plan, tight, error) = (round.plan, less_tight, still);
            }
        }
        (plan, error)
    }
}

/// A number from the environment.
fn setting(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}: not a number: `{text}`")))
}

#[test]
fn decisions_are_cedars_and_never_gain_by_less() {
    let (cases, seed) = (setting("KEYFAST_PROPERTY_CASES", 100_000), setting("KEYFAST_PROPERTY_SEED", 1));
    let (counts, next) = (Counts::default(), AtomicU64::new(0));
    let begun = std::time::Instant::now();
    let guests = GUESTS.min(cases);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while counts.cases.load(Relaxed) < cases {
                    round(seed, next.fetch_add(1, Relaxed), guests, &counts);
                }
            });
        }
    });
    let count = |counter: &AtomicU64| counter.load(Relaxed);
    let (cases, permits) = (count(&counts.cases), count(&counts.permits));
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{cases} cases of {} bundles ({} contradict themselves) in {seconds:.0} s: {permits} permitted, {} forbidden, \
         {} erred, {} locked; {} denials held against a tighter bundle, {} claims taken away",
        count(&counts.bundles),
        count(&counts.impossible),
        count(&counts.forbidden),
        count(&counts.errors),
        count(&counts.locked),
        count(&counts.tightened_denials),
        count(&counts.removals),
    );
    if cases < 20_000 {
        return;
    }
    let share = |counter: &AtomicU64| count(counter) * 100 / cases;
    assert!((15..=70).contains(&share(&counts.permits)), "permits say nothing if all or none are");
    assert!(share(&counts.forbidden) >= 3 && share(&counts.errors) >= 1 && share(&counts.locked) >= 1);
    assert!(share(&counts.tightened_denials) >= 25 && share(&counts.removals) >= 15);
    assert!(count(&counts.impossible) * 4 < count(&counts.bundles));
}
