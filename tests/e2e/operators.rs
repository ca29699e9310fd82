//! Who may manage a broker: the policies in force say so for each act, and what they refuse is told, journalled, and not
//! done. Each test has a set-up of its own.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

use journal::{Event, Record};

use crate::journal::records;
use crate::setup::{Run, Setup, wait_until};

/// A broker that takes the account of this process for `alice`, in these groups.
fn alice_in(groups: &str) -> Setup {
    let setup = Setup::up();
    setup.create_key("db", &["--simulation"]);
    setup.reconfigure(|config| with_alice(config, groups));
    setup
}

fn with_alice(config: &str, groups: &str) -> String {
    let uid = fs::metadata("/proc/self").unwrap().uid();
    format!("{config}\n[[operator]]\nuid = {uid}\nname = \"alice\"\ngroups = [{groups}]\n")
}

/// What a refused command says.
fn refused(run: &Run) -> String {
    assert_ne!(run.code, Some(0), "{run}");
    assert_eq!(run.stdout, "", "{run}");
    run.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn leaves(setup: &Setup, kind: &str) -> u64 {
    let shown = setup.keyfast(&["audit", "verify"]).success().stdout;
    let line = shown.lines().find_map(|line| line.trim().strip_prefix(kind));
    line.map_or(0, |count| count.trim().parse().unwrap_or_else(|_| panic!("{shown}")))
}

#[test]
fn an_auditor_sees_and_changes_nothing() {
    let setup = alice_in("\"auditors\"");
    let listed = setup.keyfast(&["keys", "list"]).success().stdout;
    assert!(listed.contains("db"), "{listed}");
    let disable: &[&str] = &["keys", "disable", "db", "--version", "1"];
    for (command, act) in [
        (&["keys", "create", "mine"][..], "create Key::\"mine\""),
        (disable, "disable Key::\"db\""),
        (&["policy", "load"], "load the broker"),
    ] {
        let told = refused(&setup.keyfast(command));
        assert!(
            told.contains(&format!("`alice` may not {act}: would be permitted by `operators/")),
            "{told}"
        );
    }
    setup.keyfast(&["dev", "guest", "g", "--", "keyfast-agent", "renew", "db"]).success();
    assert!(!setup.keyfast(&["keys", "list"]).success().stdout.contains("mine"));
}

#[test]
fn what_is_refused_is_a_leaf_and_what_is_permitted_names_its_actor() {
    let setup = alice_in("\"key-officers\"");
    let before = leaves(&setup, "act-denied");
    let told = refused(&setup.keyfast(&["policy", "load"]));
    assert!(told.contains("`alice` may not load the broker"), "{told}");
    refused(&setup.keyfast(&["audit", "decisions"]));
    setup.create_key("mine", &["--simulation"]);
    wait_until("the log is published", || leaves(&setup, "act-denied") == before + 2);
    // The next start checks every leaf, of this kind as well.
    setup.reconfigure(str::to_owned);
    assert!(setup.keyfast(&["keys", "list"]).success().stdout.contains("mine"));
}

#[test]
fn refused_acts_beyond_a_bound_are_told_and_counted_and_fill_no_log() {
    let setup = alice_in("");
    let before = refused_acts(&setup).0;
    let told = refused(&setup.keyfast(&["keys", "list"]));
    let mut admin = UnixStream::connect(setup.dev("broker/admin.sock")).unwrap();
    for _ in 0..80 {
        let head = "GET /admin/v1/keys HTTP/1.1\r\nhost: broker\r\n\r\n";
        admin.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 13];
        admin.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 403 ");
        read_body(&mut admin);
    }
    assert_eq!(refused(&setup.keyfast(&["keys", "list"])), told, "the same is told of what is only counted");
    // The last counts are summed when a broker ends.
    setup.end_broker("-TERM");
    let (leaves, counted) = refused_acts(&setup);
    // A minute may end meanwhile, and the bound begins anew.
    assert_eq!(leaves + counted - before, 82);
    assert!(counted >= 1, "{leaves} leaves, {before} of them before");
}

/// How many refused acts are leaves of their own, and how many are counted only.
fn refused_acts(setup: &Setup) -> (u64, u64) {
    let (mut leaves, mut counted) = (0, 0);
    for record in records(setup) {
        match record {
            Record::Event(Event::ActDenied(_)) => leaves += 1,
            Record::Event(Event::Refusals(refusals)) => {
                let acts = refusals.counts.iter().filter(|(code, _)| code == "act-denied");
                counted += acts.map(|(_, count)| count).sum::<u64>();
            }
            _ => {}
        }
    }
    (leaves, counted)
}

/// The rest of an answer: its head, and as much as that says.
fn read_body(stream: &mut UnixStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let (_, length) = head.split_once("content-length: ").unwrap();
    let length = length.lines().next().unwrap().parse().unwrap();
    stream.read_exact(&mut vec![0; length]).unwrap();
}

#[test]
fn without_a_policy_for_operators_a_broker_takes_no_orders_and_serves_guests() {
    let setup = Setup::up();
    setup.create_key("db", &["--simulation"]);
    setup.reconfigure(|config| config.replace("\"operators\", ", ""));
    let told = refused(&setup.keyfast(&["keys", "create", "mine"]));
    assert!(told.contains("may not create Key::\"mine\": default-deny: some permit applies"), "{told}");
    setup.guest("g", &[], &["renew", "db"]).success();
    let log = fs::read_to_string(setup.dev("keyfast-broker.log")).unwrap();
    assert!(log.contains("no rule permits any act of management"), "{log}");
}

#[test]
fn a_rule_about_the_key_decides_about_the_act() {
    let setup = alice_in("\"services\"");
    let own = ["keys", "create", "batch", "--simulation", "--ring", "services", "--tag", "owner=alice"];
    setup.keyfast(&own).success();
    let told = refused(&setup.keyfast(&["keys", "create", "other", "--simulation", "--tag", "owner=alice"]));
    assert!(told.contains("may not create Key::\"other\""), "{told}");
    let told = refused(&setup.keyfast(&["keys", "disable", "batch", "--version", "1"]));
    assert!(told.contains("may not disable Key::\"batch\""), "{told}");
}

/// An author's property of operators.
const ONE_WAY: &str = r#"
version = 1
[[never]]
id = "ours/one-way"
doc = "whoever is on call alone never puts a key back"
who = "operators"
when = '''
  action == Action::"enable" && principal in OperatorGroup::"on-call" &&
  !(principal in [OperatorGroup::"administrators", OperatorGroup::"key-officers"])'''
"#;

/// What a proof finds that newer policies permit an operator more, a broker under them does.
#[test]
fn an_act_that_a_proof_finds_is_done_and_refused_under_the_older_policies() {
    let setup = Setup::up();
    let (dir, older) = (setup.dev("attestation-policies"), setup.path("older"));
    fs::create_dir(&older).unwrap();
    for name in ["schema.cedarschema", "reference-values.toml", "operators.cedar"] {
        fs::copy(dir.join(name), older.join(name)).unwrap();
    }
    let path = dir.join("operators.cedar");
    let sound = fs::read_to_string(&path).unwrap();
    let (from, to) = (
        "[Action::\"view\", Action::\"disable\"]",
        "[Action::\"view\", Action::\"disable\", Action::\"enable\"]",
    );
    assert_eq!(sound.matches(from).count(), 1);
    fs::write(&path, sound.replace(from, to)).unwrap();

    let cases = setup.path("acts");
    let [dir, older, cases] = [&dir, &older, &cases].map(|path| path.to_str().unwrap());
    let head = ["policy", "prove", "operators", "--dir", dir, "--no-looser-than", older];
    let only = ["--only", "permits nothing new", "--cases", cases];
    let run = setup.keyfast(&[&head[..], &only].concat());
    assert_eq!((run.code, run.last_line()), (Some(1), "keyfast: 1 of 1 properties do not hold"), "{run}");
    assert!(run.stdout.contains("the policies really permit this act of an operator"), "{run}");
    let case = format!("{cases}/permit/permits-nothing-new.toml");
    let explained = setup.keyfast(&["policy", "explain", &case, "operators", "--dir", dir]).success();
    assert_eq!(explained.stdout, "permitted by operators/emergency\n");

    // The author's own property finds the same.
    fs::write(format!("{dir}/proofs.toml"), ONE_WAY).unwrap();
    let own = ["policy", "prove", "operators", "--dir", dir, "--only", "ours/one-way", "--cases", cases];
    let run = setup.keyfast(&own);
    assert_eq!((run.code, run.last_line()), (Some(1), "keyfast: 1 of 1 properties do not hold"), "{run}");
    let [own, case] = [format!("{cases}/permit/ours-one-way.toml"), case].map(|path| {
        let mut case: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
        for differs in ["about", "now"] {
            case.remove(differs).unwrap();
        }
        case
    });
    assert_eq!(own, case);
    assert_eq!(case["operator"]["groups"], toml::Value::from(vec!["on-call"]));
    assert_eq!(case["act"]["name"].as_str(), Some("enable"));
    let key = case["act"]["on"].as_str().unwrap();

    setup.create_key(key, &["--simulation"]);
    setup.keyfast(&["policy", "load"]).success();
    setup.reconfigure(|config| with_alice(config, "\"on-call\""));
    let enable = ["keys", "enable", key, "--version", "1"];
    setup.keyfast(&["keys", "disable", key, "--version", "1"]).success();
    setup.keyfast(&enable).success();
    setup.reconfigure(|config| config.replace("\"on-call\"", "\"administrators\""));
    fs::write(&path, sound).unwrap();
    let own = ["policy", "prove", "operators", "--dir", dir, "--only", "ours/one-way"];
    assert!(setup.keyfast(&own).success().stdout.starts_with("proven  ours/one-way"));
    setup.keyfast(&["policy", "load"]).success();
    setup.reconfigure(|config| config.replace("\"administrators\"", "\"on-call\""));
    let told = refused(&setup.keyfast(&enable));
    assert!(told.contains(&format!("`alice` may not enable Key::\"{key}\"")), "{told}");
}
