//! Reference values: dates, what is refused and where. Floors have tests of their own.

use super::*;
use crate::load_error::Position;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn error(text: &str) -> (Option<Position>, String) {
    let errors = References::parse(text).err().expect("an error");
    let [error] = &errors.iter().collect::<Vec<_>>()[..] else { panic!("{errors}") };
    (error.at, error.problem.to_string())
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
fn dates_that_cannot_be_are_refused() {
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
    for wrong in
        ["", "version = 1\nextra = 1\n", "version = 1\n[[tcb_floor]]\nproduct = \"Milan\"\nsnp = 300\n"]
    {
        assert!(References::parse(wrong).is_err(), "{wrong}");
    }
}
