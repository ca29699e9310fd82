//! Floors and revocations: which counts when, whom guests are warned of, and what is refused and where.

use super::super::References;
use super::*;

const FLOOR: &str = "fmc = 0\nbootloader = 1\ntee = 2\nsnp = 3\nmicrocode = 4\n";
const OWN: CpuId = CpuId { family: 25, model: 17, stepping: 1 };
const CPUID: &str = "cpuid = { family = 25, model = 17, stepping = 1 }\n";
const GENOA: Processor = (Product::Genoa, None);
/// Three times, and how the file says them.
const TIMES: [UnixTime; 3] = [UnixTime(1_795_339_800), UnixTime(1_795_392_000), UnixTime(1_795_478_400)];
const DATES: [&str; 3] = ["2026-11-22T09:30:00Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"];

fn platforms(text: &str) -> Platforms {
    References::parse(&format!("version = 1\n{text}")).unwrap_or_else(|errors| panic!("{errors}")).platforms
}

/// A floor of Genoa with this version of SNP.
fn floor(snp: u8, rest: &str) -> String {
    let floor = FLOOR.replace("snp = 3", &format!("snp = {snp}"));
    format!("[[tcb_floor]]\nproduct = \"Genoa\"\n{floor}{rest}\n")
}

fn revoked(rest: &str) -> String {
    format!("[[revoked]]\nproduct = \"Genoa\"\nwhy = \"keys are out\"\n{rest}\n")
}

/// The only thing that is wrong, and its line.
fn error(text: &str) -> (usize, String) {
    let errors = References::parse(&format!("version = 1\n{text}")).err().expect("an error");
    let [error] = &errors.iter().collect::<Vec<_>>()[..] else { panic!("{errors}") };
    (error.at.unwrap().line, error.problem.to_string())
}

/// The version of SNP that is asked for at each of these times and the second before.
fn asked(platforms: &Platforms, processor: Processor) -> [[Option<u8>; 2]; 3] {
    let snp = |now: UnixTime| platforms.floor(processor, now.into()).map(|floor| floor.tcb.snp);
    TIMES.map(|time| [snp(UnixTime(time.0 - 1)), snp(time)])
}

/// Whether it is revoked, likewise.
fn revocations(platforms: &Platforms, processor: Processor) -> [[bool; 2]; 3] {
    let revoked = |now: UnixTime| platforms.is_revoked(processor, now.into());
    TIMES.map(|time| [revoked(UnixTime(time.0 - 1)), revoked(time)])
}

#[test]
fn a_processor_has_its_own_floor_or_that_of_its_product() {
    let both = platforms(&(floor(3, "") + &floor(9, CPUID)));
    let snp = |product, cpuid| both.floor((product, cpuid), TIMES[0].into()).map(|floor| floor.tcb.snp);
    assert_eq!(snp(Product::Genoa, Some(OWN)), Some(9));
    assert_eq!(snp(Product::Genoa, Some(CpuId { stepping: 2, ..OWN })), Some(3));
    assert_eq!(snp(Product::Genoa, None), Some(3));
    assert_eq!(snp(Product::Milan, Some(OWN)), None);
}

#[test]
fn a_floor_is_announced_before_it_comes_into_force() {
    let [warn, deny, _] = DATES;
    let dated = floor(9, &format!("warn_from = {warn}\ndeny_from = {deny}"));
    // In either order of the file.
    for text in [dated.clone() + &floor(3, ""), floor(3, "") + &dated] {
        let platforms = platforms(&text);
        let expected = [[Some(3), Some(3)], [Some(3), Some(9)], [Some(9), Some(9)]];
        assert_eq!(asked(&platforms, GENOA), expected);
        let announced = |now| platforms.announced(GENOA, now);
        assert_eq!(announced(UnixTime(TIMES[0].0 - 1)), []);
        assert_eq!((announced(TIMES[0]), announced(TIMES[1])), (vec![TIMES[1]], vec![]));
        assert_eq!(platforms.announced((Product::Milan, None), TIMES[0]), []);
        assert!(!platforms.tries(GENOA, TIMES[0]), "it comes by itself");
    }
    // A first floor that is not in force yet leaves the processor without one.
    assert!(platforms(&dated).floor(GENOA, TIMES[0].into()).is_none());
}

#[test]
fn a_floor_has_an_end_and_a_state() {
    let [first, second, third] = DATES;
    // Each in the place of the one before, and none in that of the last.
    let ends = floor(3, &format!("valid_until = {second}\nstate = \"retiring\""))
        + &floor(4, &format!("deny_from = {first}\nvalid_until = {second}"))
        + &floor(5, &format!("deny_from = {second}\nvalid_until = {third}\norigin = \"AMD\""));
    let expected = [[Some(3), Some(4)], [Some(4), Some(5)], [Some(5), None]];
    assert_eq!(asked(&platforms(&ends), GENOA), expected);
    // What is expired is never one, beside another or alone; and nobody is warned of it.
    let beside =
        platforms(&(floor(3, "") + &floor(9, "state = \"expired\"") + &floor(8, "state = \"expired\"")));
    assert_eq!(asked(&beside, GENOA), [[Some(3); 2]; 3]);
    let alone = platforms(&floor(9, "state = \"expired\""));
    assert_eq!(asked(&alone, GENOA), [[None; 2]; 3]);
    assert!(!alone.tries(GENOA, TIMES[0]));
    assert!(alone.floor(GENOA, View { at: TIMES[0], trials: true }).is_none());
}

#[test]
fn a_floor_on_trial_is_one_only_where_trials_count() {
    let [first, _, third] = DATES;
    let tried = floor(9, &format!("state = \"trial\"\nwarn_from = {first}\nvalid_until = {third}"));
    for text in [tried.clone() + &floor(3, ""), floor(3, "") + &tried] {
        let platforms = platforms(&text);
        assert_eq!(asked(&platforms, GENOA), [[Some(3); 2]; 3]);
        let tries =
            TIMES.map(|time| [platforms.tries(GENOA, UnixTime(time.0 - 1)), platforms.tries(GENOA, time)]);
        assert_eq!(tries, [[false, true], [true, true], [true, false]]);
        let trials = |at| platforms.floor(GENOA, View { at, trials: true }).map(|floor| floor.tcb.snp);
        assert_eq!(TIMES.map(trials), [Some(9), Some(9), Some(3)]);
        assert_eq!(TIMES.map(|time| platforms.announced(GENOA, time)), [[]; 3].map(Vec::from));
    }
    // Without a date guests are warned at once. That of a product is none of a processor that has its own.
    let own = platforms(&(floor(9, "state = \"trial\"") + &floor(3, CPUID)));
    assert!(own.tries(GENOA, UnixTime(0)));
    let snp =
        |processor| own.floor(processor, View { at: TIMES[0], trials: true }).map(|floor| floor.tcb.snp);
    assert_eq!((snp(GENOA), snp((Product::Genoa, Some(OWN)))), (Some(9), Some(3)));
}

#[test]
fn no_floor_ends_to_bring_an_older_one_back() {
    let [first, second, third] = DATES;
    let until = |date: &str| format!("valid_until = {date}");
    let own = |rest: &str| floor(9, &format!("{CPUID}{rest}"));
    for (text, line) in [
        // An older one without an end, and one that ends later.
        (floor(9, &format!("deny_from = {first}\nvalid_until = {second}")) + &floor(3, ""), 3),
        (floor(3, &until(third)) + &floor(9, &format!("deny_from = {first}\nvalid_until = {second}")), 11),
        // That of the product.
        (own(&until(second)) + &floor(3, ""), 3),
    ] {
        assert_eq!(error(&text), (line, UNCOVERS.to_owned()), "{text}");
    }
    for text in [
        // Who says so with a floor that begins then, means it.
        floor(3, "")
            + &floor(9, &format!("deny_from = {first}\nvalid_until = {second}"))
            + &floor(3, &format!("deny_from = {second}")),
        // What has been replaced brings nothing back, nor what never was in force.
        floor(3, &until(third)) + &floor(9, &format!("deny_from = {first}")),
        floor(3, "") + &floor(9, &format!("state = \"trial\"\nvalid_until = {second}")),
        own(&until(second)) + &floor(3, &until(first)),
    ] {
        platforms(&text);
    }
}

#[test]
fn a_product_or_one_processor_of_it_is_revoked() {
    let own = (Product::Genoa, Some(OWN));
    let is_revoked = |platforms: &Platforms, processor| platforms.is_revoked(processor, TIMES[0].into());
    let one = platforms(&revoked(CPUID));
    assert!(is_revoked(&one, own) && !is_revoked(&one, GENOA));
    assert!(!is_revoked(&one, (Product::Milan, Some(OWN))));
    let all = platforms(&revoked(""));
    assert!(is_revoked(&all, own) && is_revoked(&all, GENOA));
    let twice = revoked("") + &revoked("state = \"expired\"");
    assert_eq!(error(&twice), (7, "this processor is revoked already".to_owned()));
}

#[test]
fn a_revocation_has_dates_and_a_state() {
    let [first, second, _] = DATES;
    let dated =
        platforms(&revoked(&format!("valid_from = {first}\nvalid_until = {second}\norigin = \"us\"")));
    assert_eq!(revocations(&dated, GENOA), [[false, true], [true, false], [false, false]]);
    let announced = |now| dated.announced(GENOA, now);
    assert_eq!(announced(UnixTime(0)), [TIMES[0]], "as soon as it is known");
    assert_eq!((announced(TIMES[0]), announced(TIMES[1])), (vec![], vec![]));
    let tried = platforms(&revoked(&format!("state = \"trial\"\nvalid_until = {second}")));
    assert_eq!(revocations(&tried, GENOA), [[false; 2]; 3]);
    assert_eq!(TIMES.map(|time| tried.tries(GENOA, time)), [true, false, false]);
    let trials = |at| tried.is_revoked(GENOA, View { at, trials: true });
    assert_eq!(TIMES.map(trials), [true, false, false]);
    // One that is expired leaves another in force.
    let expired = platforms(&(revoked("state = \"expired\"") + &revoked(CPUID)));
    assert!(!expired.is_revoked(GENOA, View { at: TIMES[0], trials: true }));
    assert!(expired.is_revoked((Product::Genoa, Some(OWN)), TIMES[0].into()));
}

#[test]
fn of_a_processors_own_floor_and_revocation_the_first_is_announced_first() {
    let [warn, second, third] = DATES;
    let text = floor(9, &format!("warn_from = {warn}\ndeny_from = {third}"))
        + &revoked(&format!("valid_from = {second}"));
    assert_eq!(platforms(&text).announced(GENOA, TIMES[0]), [TIMES[1], TIMES[2]]);
}

#[test]
fn what_nobody_could_say_the_state_of_is_refused() {
    let [first, second, _] = DATES;
    let line = |message: &str| (3, message.to_owned());
    for (rest, message) in [
        ("mitigations = [64]".to_owned(), "a mitigation is no bit of a vector: expected 0 to 63"),
        (format!("warn_from = {first}"), "warn_from must be before deny_from"),
        (format!("warn_from = {first}\ndeny_from = {first}"), "warn_from must be before deny_from"),
        (format!("deny_from = {second}\nvalid_until = {second}"), "deny_from must be before valid_until"),
        (
            format!("state = \"trial\"\nwarn_from = {second}\nvalid_until = {first}"),
            "warn_from must be before valid_until",
        ),
        ("state = \"denied\"".to_owned(), "a floor is trial, active, retiring or expired"),
        (format!("state = \"trial\"\ndeny_from = {first}"), TRIED_FLOOR),
        (format!("state = \"expired\"\ndeny_from = {first}"), EXPIRED_FLOOR),
        (format!("state = \"expired\"\nwarn_from = {first}"), EXPIRED_FLOOR),
        (format!("state = \"expired\"\nvalid_until = {first}"), EXPIRED_FLOOR),
    ] {
        assert_eq!(error(&floor(3, &rest)), line(message), "{rest}");
    }
    for (rest, message) in [
        (format!("valid_from = {first}\nvalid_until = {first}"), "valid_from must be before valid_until"),
        ("state = \"denied\"".to_owned(), "a revocation is trial, active or expired"),
        ("state = \"retiring\"".to_owned(), "a revocation is trial, active or expired"),
        (format!("state = \"trial\"\nvalid_from = {first}"), TRIED_REVOCATION),
        (format!("state = \"expired\"\nvalid_from = {first}"), EXPIRED_REVOCATION),
        (format!("state = \"expired\"\nvalid_until = {first}"), EXPIRED_REVOCATION),
    ] {
        assert_eq!(error(&revoked(&rest)), line(message), "{rest}");
    }
    for (state, date) in [("active", ""), ("trial", ""), ("retiring", ""), ("active", first)] {
        let date = if date.is_empty() { String::new() } else { format!("deny_from = {date}\n") };
        let one = floor(3, &format!("{date}state = \"{state}\""));
        let second = one.lines().count() + 3;
        assert_eq!(
            error(&(one.clone() + &one)),
            (second, "a floor for this processor is given already".to_owned())
        );
    }
    let bits = platforms(&floor(3, "mitigations = [0, 63]"));
    let bits = bits.floor(GENOA, TIMES[0].into()).map(|floor| floor.mitigations.clone());
    assert_eq!(bits, Some(vec![0, 63]));
    let (at, message) = error(&floor(3, "").replace("Genoa", "genoa"));
    assert_eq!((at, message.as_str()), (3, "not a product; use Milan, Genoa or Turin"));
}
