//! Past decisions of a real broker: replayed on the same policies, on tighter and on looser ones; exported; made cases
//! of; and found out where they were altered.

use std::fs;
use std::path::{Path, PathBuf};

use claims::Operation;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::guest::{Guest, wanted};
use crate::setup::{Run, Setup, wait_until};

const POLICIES: [&str; 2] = ["simulated-development", "simulated-vtpm"];
const IMAGE: &str = "sev-snp simulated guest image 1";

/// A broker that permitted four times, denied once by policy and once for want of a key, and refused once.
struct Past {
    setup: Setup,
    /// The requests that were permitted once each, and the one that was permitted twice.
    singles: [String; 2],
    double: String,
    denied: String,
    keyless: String,
}

impl Past {
    fn new() -> Self {
        let setup = Setup::up();
        setup.create_key("aes", &["--simulation", "--kind", "aes-256"]);
        setup.create_key("disk", &["--simulation", "--kind", "aes-256"]);
        let guest = Guest::new(&setup, "web");
        let ask = |keys: &[&str]| {
            let wanted = keys.iter().map(|key| wanted(Operation::Renew, key)).collect();
            guest.ask(&setup, wanted).unwrap().outcome.request_id.to_string()
        };
        let (singles, double, keyless) =
            ([ask(&["aes"]), ask(&["aes"])], ask(&["aes", "disk"]), ask(&["none"]));
        let denied = setup.guest("debugged", &["--debug"], &["renew", "aes"]);
        let denied = setup.explain(&denied.stderr).request;
        let refused = setup.guest("altered", &["--alter-bit", "700"], &["renew", "aes"]);
        assert_eq!(refused.code, Some(6), "{refused}");
        Self { setup, singles, double, denied, keyless }
    }

    /// The policies of the broker, altered.
    fn candidate(&self, name: &str, from: &str, to: &str) -> PathBuf {
        let dir = self.setup.path(name);
        fs::create_dir(&dir).unwrap();
        for file in [
            "schema.cedarschema",
            "reference-values.toml",
            "simulated-development.cedar",
            "simulated-vtpm.cedar",
        ] {
            fs::copy(self.setup.dev("attestation-policies").join(file), dir.join(file)).unwrap();
        }
        let path = dir.join("simulated-development.cedar");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
        dir
    }

    fn replay(&self, dir: &Path, flags: &[&str]) -> Run {
        let dir = dir.to_str().unwrap();
        let head = ["policy", "replay", POLICIES[0], POLICIES[1], "--dir", dir, "--json"];
        self.setup.keyfast(&[&head, flags].concat())
    }

    #[track_caller]
    fn replayed(&self, dir: &Path, flags: &[&str], code: i32) -> Value {
        let run = self.replay(dir, flags);
        assert_eq!(run.code, Some(code), "{run}");
        serde_json::from_str(&run.stdout).unwrap()
    }

    /// What is exported, in a file.
    fn exported(&self) -> String {
        let run = self.setup.keyfast(&["audit", "decisions"]).success();
        let not_among =
            "keyfast: not among them: 1 refused before any policy, whose evidence was not believed\n";
        assert_eq!((run.stdout.lines().count(), run.stderr.as_str()), (6, not_among));
        // A reader that goes away is told no more, and hears no complaint.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut unread = self.setup.command("keyfast");
        let unread: Run = unread.args(["audit", "decisions"]).stdout(writer).output().unwrap().into();
        assert_eq!((unread.code, unread.stderr.as_str()), (Some(0), ""));
        let path = self.setup.path("decisions.jsonl");
        fs::write(&path, run.stdout).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[test]
fn the_past_is_replayed_on_the_same_on_tighter_and_on_looser_policies() {
    let past = Past::new();
    let same =
        past.candidate("same", "resource.for_simulation &&", "resource.for_simulation && // as ever\n");
    let nothing = past.replayed(&same, &[], 0);
    assert_eq!(nothing["changes"], json!([]));
    let told = ["replayed", "as_before", "changed", "refused", "without_claims"].map(|name| &nothing[name]);
    assert_eq!(told.map(|count| count.as_u64().unwrap()), [5, 5, 0, 1, 0]);
    assert_eq!(nothing["not_by_policy"], json!({ "unknown-key": 1 }));

    let condition = "principal.snp.guest_svn > 3";
    let tighter = past.candidate(
        "tighter",
        "principal.snp.vmpl == 0",
        &format!("principal.snp.vmpl == 0 && {condition}"),
    );
    let change = |key: &str, count: u64, requests: &[&str]| {
        json!({
            "was": "permit", "would_be": "deny", "image": IMAGE, "key": key, "count": count, "requests": requests,
            "permitted_by": ["simulated-development/permit"],
            "denied_by": {
                "rule": "simulated-development/permit", "condition": condition, "wanted": "> 3", "found": "0",
            },
        })
    };
    let [first, second] = &past.singles;
    let expected =
        json!([change("aes", 3, &[first, second, &past.double]), change("disk", 1, &[&past.double])]);
    let denied = past.replayed(&tighter, &[], 1);
    assert_eq!((&denied["changes"], denied["as_before"].as_u64()), (&expected, Some(1)));
    // An author without a broker sees the same, but for what was refused.
    let from = past.exported();
    let offline = past.replayed(&tighter, &["--from", &from], 1);
    assert_eq!((&offline["changes"], &offline["refused"]), (&expected, &Value::Null));
    past.replay(&tighter, &["--from", &from, "--since", "2100-01-01"])
        .fails(2, "keyfast: no decision by policy to replay");
    past.replay(&tighter, &["--until", "2000-01-01"]).fails(2, "keyfast: no decision by policy to replay");

    let no_debug = "principal has snp && principal.snp.policy.debug_allowed";
    let looser = past.candidate("looser", no_debug, &format!("{no_debug} && principal.snp.vmpl > 3"));
    let permitted = past.replayed(&looser, &[], 1);
    let expected = json!([{
        "was": "deny", "would_be": "permit", "image": IMAGE, "key": "aes", "count": 1, "requests": [past.denied],
        "permitted_by": ["simulated-development/permit"],
        "denied_by": {
            "rule": "simulated-development/no-debug", "condition": "principal.snp.policy.debug_allowed",
            "wanted": "false", "found": "true",
        },
    }]);
    assert_eq!(permitted["changes"], expected);

    let before = "context.now < datetime(\"2100-01-01\")";
    let dated =
        past.candidate("dated", "principal.snp.vmpl == 0", &format!("principal.snp.vmpl == 0 && {before}"));
    past.replayed(&dated, &[], 0);
    let later = past.replayed(&dated, &["--at", "2100-01-01"], 1);
    assert_eq!(
        (later["changed"].as_u64(), &later["changes"][0]["denied_by"]["condition"]),
        (Some(4), &json!(before))
    );
}

#[test]
fn a_past_decision_is_a_case_that_policies_are_tested_with() {
    let past = Past::new();
    let setup = &past.setup;
    let dir = past.candidate("authors", "", "");
    let case = |request: &str, flag: &str| setup.keyfast(&["audit", "explain", request, flag]);
    let cases = dir.join("cases/simulated-development");
    for (folder, request, flag) in [("permit", &past.double, "--case=1"), ("deny", &past.denied, "--case")] {
        fs::create_dir_all(cases.join(folder)).unwrap();
        fs::write(cases.join(folder).join("past.json"), case(request, flag).success().stdout).unwrap();
    }
    fs::copy(dir.join("reference-values.toml"), cases.join("reference-values.toml")).unwrap();
    let tested =
        setup.keyfast(&["policy", "test", "simulated-development", "--dir", dir.to_str().unwrap()]).success();
    assert!(tested.stdout.starts_with("simulated-development  2 of 2 as expected"), "{tested}");
    let permit = fs::read_to_string(cases.join("permit/past.json")).unwrap();
    let permit: Value = serde_json::from_str(&permit).unwrap();
    assert_eq!(
        (&permit["request"]["key"], &permit["context"]["network"]),
        (&json!("disk"), &json!("127.0.0.1"))
    );

    case(&past.double, "--case")
        .fails(2, "keyfast: the request has 2 answers; name one with --case=N, from 0 to 1");
    case(&past.double, "--case=2")
        .fails(2, "keyfast: the request has 2 answers; name one with --case=N, from 0 to 1");
    case(&past.keyless, "--case")
        .fails(2, "keyfast: `unknown-key` was not decided by policy: there is no case of it");
    let nobody = "ab".repeat(16);
    let unknown = "nothing is kept of what the request";
    case(&nobody, "--case").fails(2, &format!(
        "keyfast: the broker refused: {unknown} {nobody} was decided on: it was refused before, or is too old"
    ));
}

#[test]
fn claims_that_were_altered_are_named_and_cost_little() {
    let past = Past::new();
    let store = Connection::open(past.setup.dev("broker/keyfast.sqlite")).unwrap();
    let longest: i64 = store.query_row("SELECT max(length(text)) FROM claims", [], |row| row.get(0)).unwrap();
    assert!(longest < 3072, "{longest} bytes of claims for a plain guest");
    let page = "UPDATE claims SET text = replace(text, '\"vmpl\":0', '\"vmpl\":1') WHERE leaf = ?1";
    let place = "SELECT idx FROM leaf WHERE lower(hex(request)) = ?1 ORDER BY idx LIMIT 1";
    let leaf: i64 = store.query_row(place, [&past.denied], |row| row.get(0)).unwrap();
    assert_eq!(store.execute(page, [leaf]).unwrap(), 1);
    let altered = format!("the claims of leaf {leaf} are not those that were recorded: they were altered");
    let expected = format!("keyfast: the broker refused: {altered}");
    past.replay(&past.setup.dev("attestation-policies"), &[]).fails(2, &expected);
    past.setup.keyfast(&["audit", "explain", &past.denied, "--case"]).fails(2, &expected);
    // The leaves themselves are as they were: the broker starts again.
    past.setup.reconfigure(str::to_owned);
    wait_until("the broker answers", || {
        past.setup.keyfast(&["audit", "explain", &past.denied]).code == Some(0)
    });
    past.setup.keyfast(&["audit", "verify"]).success();
}
