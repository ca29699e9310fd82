//! Reference values: dates, floors, what is refused and where.

use super::*;
use crate::load_error::Position;

const NOW: UnixTime = UnixTime(1_800_000_000);
const FLOOR: &str = "fmc = 0\nbootloader = 1\ntee = 2\nsnp = 3\nmicrocode = 4\n";

fn error(text: &str) -> (Option<Position>, String) {
    let errors = References::parse(text).err().expect("an error");
    let [error] = &errors.iter().collect::<Vec<_>>()[..] else { panic!("{errors}") };
    (error.at, error.problem.to_string())
}

#[test]
fn a_processor_has_its_own_floor_or_that_of_its_product() {
    let cpuid = "cpuid = { family = 25, model = 17, stepping = 1 }";
    let text = format!(
        "version = 1\n[[tcb_floor]]\nproduct = \"Genoa\"\n{FLOOR}\
         [[tcb_floor]]\nproduct = \"Genoa\"\n{cpuid}\n{}",
        FLOOR.replace('3', "9")
    );
    let references = References::parse(&text).unwrap();
    let own = CpuId { family: 25, model: 17, stepping: 1 };
    let snp = |product, cpuid| references.tcb_floor(product, cpuid, NOW).map(|floor| floor.tcb.snp);
    assert_eq!(snp(Product::Genoa, Some(own)), Some(9));
    assert_eq!(snp(Product::Genoa, Some(CpuId { stepping: 2, ..own })), Some(3));
    assert_eq!(snp(Product::Genoa, None), Some(3));
    assert_eq!(snp(Product::Milan, Some(own)), None);
}

#[test]
fn values_are_counted_by_state() {
    let value = |digit: &str, state: &str| {
        let value = digit.repeat(96);
        format!("[[measurement]]\nvalue = \"{value}\"\nname = \"{digit}\"\nstate = \"{state}\"\n")
    };
    let text =
        format!("version = 1\n{}{}{}", value("a", "active"), value("b", "retiring"), value("c", "expired"));
    let references = References::parse(&text).unwrap();
    assert_eq!(references.count(ValueKind::Measurement, &[State::Active, State::Retiring], NOW), 2);
    assert_eq!(references.count(ValueKind::HostData, &State::ALL, NOW), 0);
    assert_eq!(
        references.find(ValueKind::Measurement, &"c".repeat(96)).map(|k| k.state(NOW)),
        Some(State::Expired)
    );
}

#[test]
fn a_value_counts_within_its_dates_and_what_is_denied_always_is() {
    let value = |digit: &str, state: &str, dates: &str| {
        let value = digit.repeat(96);
        format!("[[measurement]]\nvalue = \"{value}\"\nname = \"n\"\nstate = \"{state}\"\n{dates}\n")
    };
    let dates = "valid_from = 2026-11-22T09:30:00Z\nvalid_until = 2026-11-23T00:00:00Z\norigin = \"ci\"";
    let text = format!(
        "version = 1\nserial = 7\n{}{}{}{}",
        value("a", "active", dates),
        value("b", "denied", dates),
        value("c", "expired", dates),
        value("d", "trial", dates)
    );
    let references = References::parse(&text).unwrap();
    assert_eq!(references.serial(), 7);
    let (from, until) = (UnixTime(1_795_339_800), UnixTime(1_795_392_000));
    let states = |now: UnixTime| {
        ["a", "b", "c", "d"].map(|digit| {
            references.find(ValueKind::Measurement, &digit.repeat(96)).map(|known| known.state(now).name())
        })
    };
    let before = UnixTime(from.0 - 1);
    assert_eq!(states(before), ["trial", "denied", "expired", "trial"].map(Some));
    assert_eq!(states(from), ["active", "denied", "expired", "trial"].map(Some));
    assert_eq!(states(UnixTime(until.0 - 1)), ["active", "denied", "expired", "trial"].map(Some));
    assert_eq!(states(until), ["expired", "denied", "expired", "expired"].map(Some));
    let active = |now| references.count(ValueKind::Measurement, &[State::Active], now);
    assert_eq!((active(before), active(from), active(until)), (0, 1, 0));
}

#[test]
fn a_value_with_one_date_counts_by_it_and_only_one_without_stays_as_it_is() {
    let (date, at) = ("2026-11-22T09:30:00Z", UnixTime(1_795_339_800));
    let before = UnixTime(at.0 - 1);
    for (dates, stays, states, active) in [
        (String::new(), true, ["active", "active"], [1, 1]),
        (format!("valid_from = {date}"), false, ["trial", "active"], [0, 1]),
        (format!("valid_until = {date}"), false, ["active", "expired"], [1, 0]),
    ] {
        let value = "a".repeat(96);
        let text =
            format!("[[measurement]]\nvalue = \"{value}\"\nname = \"n\"\nstate = \"active\"\n{dates}\n");
        let references = References::parse(&format!("version = 1\n{text}")).unwrap();
        let known = references.find(ValueKind::Measurement, &value).unwrap();
        assert_eq!((known.stays(), [before, at].map(|now| known.state(now).name())), (stays, states));
        let count = |now| references.count(ValueKind::Measurement, &[State::Active], now);
        assert_eq!([before, at].map(count), active, "{dates}");
    }
}

#[test]
fn a_floor_is_announced_before_it_comes_into_force() {
    let floor = |snp: u8, dates: &str| {
        let floor = FLOOR.replace("snp = 3", &format!("snp = {snp}"));
        format!("[[tcb_floor]]\nproduct = \"Genoa\"\n{floor}{dates}\n")
    };
    let dated = "warn_from = 2026-11-22T09:30:00Z\ndeny_from = 2026-11-23T00:00:00Z";
    let (warn, deny) = (UnixTime(1_795_339_800), UnixTime(1_795_392_000));
    // In either order of the file.
    for text in [floor(9, dated) + &floor(3, ""), floor(3, "") + &floor(9, dated)] {
        let references = References::parse(&format!("version = 1\n{text}")).unwrap();
        let snp = |now| references.tcb_floor(Product::Genoa, None, now).map(|floor| floor.tcb.snp);
        assert_eq!((snp(UnixTime(deny.0 - 1)), snp(deny)), (Some(3), Some(9)));
        let announced = |now| references.announced(Product::Genoa, None, now);
        assert_eq!(announced(UnixTime(warn.0 - 1)), None);
        assert_eq!((announced(warn), announced(deny)), (Some(deny), None));
        assert_eq!(references.announced(Product::Milan, None, warn), None);
    }
    // A first floor that is not in force yet leaves the processor without one.
    let references = References::parse(&format!("version = 1\n{}", floor(9, dated))).unwrap();
    assert!(references.tcb_floor(Product::Genoa, None, warn).is_none());
}

#[test]
fn a_product_or_one_processor_of_it_is_revoked() {
    let revoked =
        |cpuid: &str| format!("[[revoked]]\nproduct = \"Milan\"\nwhy = \"keys are out\"\n{cpuid}\n");
    let own = CpuId { family: 25, model: 1, stepping: 1 };
    let cpuid = "cpuid = { family = 25, model = 1, stepping = 1 }";
    let one = References::parse(&format!("version = 1\n{}", revoked(cpuid))).unwrap();
    assert!(one.is_revoked(Product::Milan, Some(own)) && !one.is_revoked(Product::Milan, None));
    assert!(!one.is_revoked(Product::Genoa, Some(own)));
    let all = References::parse(&format!("version = 1\n{}", revoked(""))).unwrap();
    assert!(all.is_revoked(Product::Milan, Some(own)) && all.is_revoked(Product::Milan, None));
    let (at, message) = error(&format!("version = 1\n{}{}", revoked(""), revoked("")));
    assert_eq!((at.unwrap().line, message.as_str()), (7, "this processor is revoked already"));
}

#[test]
fn dates_and_bits_that_cannot_be_are_refused() {
    let value = format!("value = \"{}\"\nname = \"n\"\nstate = \"active\"\n", "a".repeat(96));
    let (at, message) =
        error(&format!("version = 1\n[[measurement]]\n{value}valid_from = 2026-11-22T09:30:00\n"));
    assert_eq!((at.unwrap().line, message.split_once(':').unwrap().0), (6, "not a time in UTC"));
    let until = "2026-11-22T09:30:00Z";
    for (from, refused) in
        [("2026-11-22T09:29:59Z", false), ("2026-11-22T09:30:00Z", true), ("2026-11-22T09:30:01Z", true)]
    {
        let dates = format!("valid_from = {from}\nvalid_until = {until}\n");
        for kind in ValueKind::ALL {
            // A value of its kind, whatever that is made of.
            let value =
                ["ab".repeat(48), "ab".repeat(32), "ab".repeat(64), format!("000b{}", "ab".repeat(32))]
                    .into_iter()
                    .chain(["0a1b2c3d-0123-4567-89ab-0123456789ab".to_owned()])
                    .find(|value| impossible_value(kind.type_name(), value).is_none())
                    .unwrap();
            let table = kind.table();
            let text = format!("[[{table}]]\nvalue = \"{value}\"\nname = \"n\"\nstate = \"active\"\n{dates}");
            let text = format!("version = 1\n{text}");
            if refused {
                let (at, message) = error(&text);
                let place = Some(Position { line: 3, column: 9 });
                assert_eq!(
                    (at, message.as_str()),
                    (place, "valid_from must be before valid_until"),
                    "{table}"
                );
            } else {
                assert!(References::parse(&text).is_ok(), "{table}");
            }
        }
    }
    let floor = format!("version = 1\n[[tcb_floor]]\nproduct = \"Genoa\"\n{FLOOR}");
    let (_, message) = error(&format!("{floor}mitigations = [64]\n"));
    assert_eq!(message, "a mitigation is no bit of a vector: expected 0 to 63");
    let last = References::parse(&format!("{floor}mitigations = [0, 63]\n")).unwrap();
    let bits = last.tcb_floor(Product::Genoa, None, NOW).map(|floor| floor.mitigations.clone());
    assert_eq!(bits, Some(vec![0, 63]));
    let warn = "warn_from = 2026-11-22T09:30:00Z\n";
    for deny in ["", "deny_from = 2026-11-22T09:30:00Z\n"] {
        let (_, message) = error(&format!("{floor}{warn}{deny}"));
        assert_eq!(message, "warn_from must be before deny_from");
    }
}

#[test]
fn what_is_not_well_formed_is_refused_with_its_place() {
    let place = |line, column| Some(Position { line, column });
    let value = |hex: &str| format!("[[measurement]]\nvalue = \"{hex}\"\nname = \"n\"\nstate = \"active\"\n");
    let upper = format!("version = 1\n{}", value(&"A".repeat(96)));
    assert_eq!(error(&upper), (place(3, 9), "not 96 lower-case hexadecimal digits".to_owned()));
    let twice = format!("version = 1\n{}{}", value(&"a".repeat(96)), value(&"a".repeat(96)));
    assert_eq!(error(&twice), (place(7, 9), "this value is listed already, as `n`".to_owned()));
    assert_eq!(error("version = 2\n"), (place(1, 11), "unknown version: expected 1, got 2".to_owned()));
    let floor = format!("[[tcb_floor]]\nproduct = \"Milan\"\n{FLOOR}");
    let (at, message) = error(&format!("version = 1\n{floor}{floor}"));
    assert_eq!((at.unwrap().line, message.as_str()), (10, "a floor for this processor is given already"));
    let (at, message) = error(&format!("version = 1\n[[tcb_floor]]\nproduct = \"milan\"\n{FLOOR}"));
    assert_eq!((at.unwrap().line, message.as_str()), (3, "not a product; use Milan, Genoa or Turin"));
    for wrong in
        ["", "version = 1\nextra = 1\n", "version = 1\n[[tcb_floor]]\nproduct = \"Milan\"\nsnp = 300\n"]
    {
        assert!(References::parse(wrong).is_err(), "{wrong}");
    }
}
