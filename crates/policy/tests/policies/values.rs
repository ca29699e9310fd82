//! Reference values for the tools that show and change them: what is told of a file, and of what a bundle knows.

use claims::UnixTime;
use claims::snp::{CpuId, Product, Tcb};
use policy::{Bundle, KnownValue, Manifest, PlatformSays, PlatformValue, Policy, ReferenceValue};

use crate::bundle::{case, read, shipped_policy};

/// Two images, not in the order of their names, with an owner and an attestation key before and after them.
const VALUES: &str = r#"
version = 1
serial = 7

[[host_data]]
value = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"
name = "our tenant"
state = "active"

[[measurement]]
value = "222222222222222222222222222222222222222222222222222222222222222222222222222222222222222222222222"
name = "web"
state = "active"
origin = "ci"
valid_from = 1970-01-01T00:00:10Z
valid_until = 1970-01-01T00:00:20Z

[[measurement]]
value = "111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111"
name = "web"
state = "denied"

[[measurement]]
value = "333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333"
name = "db"
state = "retiring"
"#;

fn manifest() -> Manifest {
    Manifest::parse(VALUES).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn values_are_listed_by_kind_then_name_then_value_as_they_are_at_a_time() {
    let values = manifest().values(UnixTime(10));
    let listed: Vec<_> = values.iter().map(|v| (v.kind, v.name.as_str(), &v.value[..2], v.state)).collect();
    assert_eq!(
        listed,
        [
            ("measurement", "db", "33", "retiring"),
            ("measurement", "web", "11", "denied"),
            ("measurement", "web", "22", "active"),
            ("host_data", "our tenant", "a1", "active"),
        ]
    );
    let dated = ReferenceValue {
        kind: "measurement",
        value: "22".repeat(48),
        name: "web".to_owned(),
        state: "active",
        origin: Some("ci".to_owned()),
        valid_from: Some(UnixTime(10)),
        valid_until: Some(UnixTime(20)),
    };
    assert_eq!(values[2], dated);
    assert_eq!(manifest().values(UnixTime(20))[2], ReferenceValue { state: "expired", ..dated });
}

#[test]
fn a_guest_is_seen_to_show_exactly_the_values_that_are_known() {
    let mut record = case("snp-production", "permit/known-image.json").record;
    let seen = |kind: &'static str, byte: &str, bytes: usize| (kind, byte.repeat(bytes));
    assert_eq!(manifest().seen_on(&record), [seen("measurement", "11", 48), seen("host_data", "a1", 32)]);
    record.snp.as_mut().unwrap().host_data = [0; 32];
    assert_eq!(manifest().seen_on(&record), [seen("measurement", "11", 48)]);
}

#[test]
fn floors_and_revocations_are_listed_as_they_are_at_a_time() {
    let versions = "fmc = 1\nbootloader = 2\ntee = 3\nsnp = 4\nmicrocode = 5\n";
    let floor =
        |cpuid: &str, rest: &str| format!("[[tcb_floor]]\nproduct = \"Turin\"\n{cpuid}{versions}{rest}\n");
    let own = "cpuid = { family = 26, model = 2, stepping = 1 }\n";
    let text = format!(
        "version = 1\n{}{}{}[[revoked]]\nproduct = \"Milan\"\nwhy = \"w\"\norigin = \"o\"\n\
         valid_from = 1970-01-01T00:00:10Z\nvalid_until = 1970-01-01T00:00:20Z\n",
        floor(own, "warn_from = 1970-01-01T00:00:05Z\ndeny_from = 1970-01-01T00:00:10Z\nmitigations = [7]"),
        floor(own, "state = \"retiring\""),
        floor("", "state = \"trial\"\norigin = \"ci\""),
    );
    let manifest = Manifest::parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let listed = |now| {
        let all = manifest.platforms(UnixTime(now)).into_iter();
        all.map(|v| (v.kind, v.processor(), v.state, v.in_force)).collect::<Vec<_>>()
    };
    let row = |kind, name: &str, state, in_force| (kind, name.to_owned(), state, in_force);
    let (turin, c1) = ("Turin", "Turin 26/2/1");
    let first = [
        row("tcb_floor", turin, "trial", false),
        row("tcb_floor", c1, "retiring", true),
        row("tcb_floor", c1, "trial", false),
        row("revoked", "Milan", "trial", false),
    ];
    assert_eq!(listed(9), first);
    let second = [
        row("tcb_floor", turin, "trial", false),
        row("tcb_floor", c1, "retiring", false),
        row("tcb_floor", c1, "active", true),
        row("revoked", "Milan", "active", true),
    ];
    assert_eq!(listed(10), second);
    assert_eq!(listed(20)[3], row("revoked", "Milan", "expired", false));
    let all = manifest.platforms(UnixTime(10));
    let tcb = Tcb { fmc: Some(1), bootloader: 2, tee: 3, snp: 4, microcode: 5 };
    let whole = PlatformValue {
        kind: "tcb_floor",
        product: Product::Turin,
        cpuid: Some(CpuId { family: 26, model: 2, stepping: 1 }),
        state: "active",
        in_force: true,
        origin: None,
        from: Some(UnixTime(10)),
        until: None,
        says: PlatformSays::Floor { tcb, mitigations: vec![7], warn_from: Some(UnixTime(5)) },
    };
    assert_eq!(all[2], whole);
    let (milan, says) = (&all[3], PlatformSays::Revoked { why: "w".to_owned() });
    assert_eq!((&milan.says, milan.origin.as_deref(), milan.until), (&says, Some("o"), Some(UnixTime(20))));
    assert_eq!(all[0].origin.as_deref(), Some("ci"));
}

#[test]
fn a_guest_is_seen_on_its_processors_own_floor_or_its_products_and_on_every_revocation() {
    let record = case("snp-production", "permit/known-image.json").record;
    let seen = |own: &str, whole: &str, record: &claims::ClaimsRecord| {
        let versions = "fmc = 1\nbootloader = 2\ntee = 3\nsnp = 4\nmicrocode = 5\n";
        let floor = |cpuid: &str| format!("[[tcb_floor]]\nproduct = \"Turin\"\n{cpuid}{versions}");
        let revoked = |cpuid: &str| format!("[[revoked]]\nproduct = \"Turin\"\nwhy = \"w\"\n{cpuid}");
        let text = format!("version = 1\n{}{}{}{}", floor(own), floor(whole), revoked(own), revoked(whole));
        Manifest::parse(&text).unwrap_or_else(|errors| panic!("{errors}")).seen_on(record)
    };
    let cpuid = |stepping: u8| format!("cpuid = {{ family = 26, model = 2, stepping = {stepping} }}\n");
    let (own, name) = (cpuid(1), "Turin 26/2/1");
    let row = |kind: &'static str, name: &str| (kind, name.to_owned());
    let all = [row("tcb_floor", name), row("revoked", name), row("revoked", "Turin")];
    assert_eq!(seen(&own, "", &record), all);
    assert_eq!(seen(&cpuid(9), "", &record), [row("tcb_floor", "Turin"), row("revoked", "Turin")]);
    assert_eq!(seen(&cpuid(9), &cpuid(8), &record), []);
    let mut unsaid = record.clone();
    unsaid.snp.as_mut().unwrap().cpuid = None;
    assert_eq!(seen(&own, "", &unsaid), [row("tcb_floor", "Turin"), row("revoked", "Turin")]);
    unsaid.snp = None;
    assert_eq!(seen(&own, "", &unsaid), []);
}

#[test]
fn the_serial_number_is_that_of_the_file_or_none() {
    assert_eq!((manifest().serial(), Manifest::parse("version = 1").unwrap().serial()), (7, 0));
    let file = "deny-all.cedar";
    let bundle = Bundle::new(read("schema.cedarschema"), VALUES).with_policy(file, read(file));
    assert_eq!(Policy::load(bundle).unwrap_or_else(|errors| panic!("{errors}")).serial(), 7);
}

#[test]
fn kinds_and_states_are_those_of_the_documentation() {
    let kinds: Vec<_> = Manifest::kinds().collect();
    assert_eq!(
        kinds,
        [
            "measurement",
            "host_data",
            "id_key",
            "chip",
            "csp",
            "paravisor",
            "vm_id",
            "pcr",
            "measured",
            "database",
            "ak"
        ]
    );
    assert_eq!(Manifest::platform_kinds(), ["tcb_floor", "revoked"]);
    let states: Vec<_> = Manifest::states().collect();
    assert_eq!(states, ["trial", "active", "retiring", "expired", "denied"]);
}

#[test]
fn a_value_that_can_never_be_is_told_what_it_would_have_to_be() {
    let impossible = |kind: &str, value: &str| Manifest::impossible(kind, value);
    assert_eq!(impossible("measurement", &"0f".repeat(48)), None);
    assert_eq!(impossible("measurement", &"0f".repeat(32)), Some("96 lower-case hexadecimal digits"));
    assert_eq!(impossible("host_data", &"0F".repeat(32)), Some("64 lower-case hexadecimal digits"));
    assert_eq!(impossible("csp", ""), Some("1 to 128 printable ASCII characters"));
    assert_eq!(impossible("vm_id", "x"), Some("a lower-case UUID with its dashes"));
    assert_eq!(impossible("ak", "x"), Some("68, 100 or 132 lower-case hexadecimal digits"));
    assert_eq!(impossible("Measurement", &"0f".repeat(48)), Some("of a kind of reference value"));
}

#[test]
fn a_policy_lists_what_it_knows_under_the_names_of_the_schema() {
    let all = shipped_policy("snp-production").known_values(UnixTime(0));
    let value = |kind, id: String, state| KnownValue { kind, id, state };
    let mut expected = vec![
        value("Measurement", "11".repeat(48), "active"),
        value("Measurement", "22".repeat(48), "retiring"),
        value("Measurement", "33".repeat(48), "trial"),
        value("Measurement", "44".repeat(48), "expired"),
        value("Measurement", "d0".repeat(48), "denied"),
        value("HostData", "a1".repeat(32), "active"),
        value("HostData", "d1".repeat(32), "denied"),
        value("IdKey", "c3".repeat(48), "active"),
        value("IdKey", "d2".repeat(48), "denied"),
        value("Chip", "07".repeat(64), "active"),
        value("Chip", "08".repeat(64), "retiring"),
        value("Chip", "09".repeat(64), "trial"),
        value("Chip", "d3".repeat(64), "denied"),
        value("Csp", "CN=denied.example".to_owned(), "denied"),
    ];
    expected.sort();
    assert_eq!(all, expected);
}
