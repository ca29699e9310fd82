//! Policies that keys have of their own, through the real broker: what they read of a request, and that what is
//! immutable stays.

use std::fs;
use std::sync::Barrier;

use agent::session::Session;
use claims::Operation;
use wire::{CHALLENGE_PATH, ProblemCode, RELEASE_PATH};

use crate::exchange::{Exchange, request};
use crate::guest::{Guest, attest, wanted};
use crate::setup::{Run, shared};

/// A file with a policy of one rule.
fn policy(name: &str, condition: &str) -> String {
    let path = shared().path(&format!("{name}.cedar"));
    let rule = "permit (principal is Guest, action, resource is Key)";
    fs::write(&path, format!("@id(\"{name}\")\n@doc(\"d\")\n{rule}\nwhen {{ {condition} }};\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

const AES: [&str; 3] = ["--simulation", "--kind", "aes-256"];

/// What a denial of `renew` says first: rule, wanted, found.
#[track_caller]
fn denied(guest: &str, key: &str) -> [String; 3] {
    let run = shared().guest(guest, &[], &["renew", key]);
    assert_eq!(run.code, Some(6), "{run}");
    let explanation = shared().explain(&run.stderr);
    let reason = &explanation.answers[0].reasons[0];
    [reason.rule.clone(), reason.wanted.clone(), reason.found.clone()]
}

#[test]
fn a_key_goes_only_where_its_own_policy_lets_it() {
    let setup = shared();
    let here = policy("here", "context has network && context.network.isLoopback()");
    let elsewhere =
        policy("elsewhere", "context has network && context.network.isInRange(ip(\"10.0.0.0/8\"))");
    setup.create_key("own", &[&AES[..], &["--policy", &here]].concat());
    setup.guest("own", &[], &["renew", "own"]).success();
    setup.keyfast(&["keys", "policy", "own", "--version", "1", "--set", &elsewhere]).success();
    let wanted = "in the range of ip(\"10.0.0.0/8\")";
    assert_eq!(denied("own", "own"), ["key/elsewhere", wanted, "ip(\"127.0.0.1\")"]);
    // A later version has it as well, and the change was another revision of the first.
    setup.create_key("own", &AES);
    assert_eq!(denied("own", "own")[0], "key/elsewhere");
    let shown = setup.keyfast(&["keys", "policy", "own", "--version", "2"]).success().stdout;
    assert!(
        shown.starts_with("// own policy of `own` version 2; can be changed\n@id(\"elsewhere\")"),
        "{shown}"
    );
    setup.keyfast(&["keys", "policy", "own", "--version", "2", "--remove"]).success();
    setup.guest("own", &[], &["renew", "own"]).success();
}

#[test]
fn how_often_a_key_is_served_can_be_bounded() {
    let twice = policy("twice", "context.recent.key < 2 && context.evidence_age < duration(\"5m\")");
    let setup = shared();
    setup.create_key("bounded", &[&AES[..], &["--policy", &twice]].concat());
    for guest in ["first", "second"] {
        setup.guest(guest, &[], &["renew", "bounded"]).success();
    }
    assert_eq!(denied("third", "bounded"), ["key/twice", "< 2", "2"]);
}

/// Several requests that the broker gets at the same time, of one guest for one key; how many are permitted.
fn permitted_at_once(guest: &Guest, key: &str) -> usize {
    const REQUESTS: usize = 6;
    let together = Barrier::new(REQUESTS);
    let ask = || {
        let mut exchange = Exchange::with(&shared().url());
        let session = Session::new(guest.knowledge(shared()), vec![wanted(Operation::Renew, key)]);
        let challenge = exchange.post(CHALLENGE_PATH, &session.challenge_request().unwrap()).ok().unwrap();
        let attesting = session.on_challenge(&challenge, exchange.peer_key()).unwrap();
        let evidence = attest(&guest.socket, &attesting.report_data());
        let (request, awaiting) = attesting.with_evidence(evidence).unwrap();
        together.wait();
        let response = exchange.post(RELEASE_PATH, &request).ok().unwrap();
        awaiting.on_answer(&response).unwrap().answers.iter().filter(|answer| answer.is_ok()).count()
    };
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..REQUESTS).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).sum()
    })
}

#[test]
fn of_requests_at_the_same_time_a_bound_permits_no_more_than_one_after_the_other() {
    let setup = shared();
    let once = policy("once", "context.recent.guest < 1");
    setup.create_key("once", &[&AES[..], &["--policy", &once]].concat());
    for round in 0..4 {
        let guest = Guest::new(setup, &format!("hasty{round}"));
        assert_eq!(permitted_at_once(&guest, "once"), 1, "round {round}");
    }
    // Those of one message see each other too.
    let answers = Guest::new(setup, "greedy").ask(setup, vec![wanted(Operation::Renew, "once"); 3]).unwrap();
    let permitted: Vec<bool> = answers.outcome.answers.iter().map(Result::is_ok).collect();
    assert_eq!(permitted, [true, false, false]);
}

#[test]
fn what_is_not_recorded_does_not_count() {
    let setup = shared();
    let twice = policy("two", "context.recent.guest < 2");
    setup.create_key("two", &[&AES[..], &["--policy", &twice]].concat());
    let mut exchange = Exchange::with(&setup.url());
    let guest = Guest::new(setup, "replayer");
    let asked = vec![request(Operation::Renew, "two")];
    let (request, _) = exchange.honest(setup.identity(), &guest.socket, asked);
    assert_eq!(exchange.release(&request).codes(), [None]);
    for _ in 0..3 {
        // It is decided, and the challenge is spent.
        assert_eq!(exchange.release(&request).problem(), ProblemCode::ChallengeSpent);
    }
    let permitted = || {
        let held = guest.ask(setup, vec![wanted(Operation::Renew, "two")]).unwrap();
        held.outcome.answers.iter().all(Result::is_ok)
    };
    assert_eq!([permitted(), permitted()], [true, false]);
}

#[test]
fn what_is_immutable_stays() {
    let setup = shared();
    let (all, other) = (policy("all", "true"), policy("other", "principal.simulated"));
    setup.create_key("fixed", &[&AES[..], &["--policy", &all, "--immutable-policy"]].concat());
    let stays = "keyfast: the broker refused: the policy of `fixed` version 1 is immutable: it can be neither changed nor \
                 removed, nor can a later version have another; make a key of another name";
    for change in [&["--set", &other][..], &["--remove"]] {
        let run = setup.keyfast(&[&["keys", "policy", "fixed", "--version", "1"], change].concat());
        run.fails(3, stays);
    }
    let run = setup.keyfast(&[&["keys", "create", "fixed"], &AES[..], &["--policy", &other]].concat());
    assert!(run.stderr.contains("immutable"), "{run}");
    setup.create_key("fixed", &AES);
    let shown = setup.keyfast(&["keys", "policy", "fixed", "--version", "2"]).success().stdout;
    assert!(shown.starts_with("// own policy of `fixed` version 2; immutable\n"), "{shown}");
}

/// Imports a secret for simulated guests.
fn import(key: &str, flags: &[&str]) -> Run {
    let file = shared().path(&format!("{key}.in"));
    fs::write(&file, "correct horse").unwrap();
    let head = ["keys", "import", key, "--simulation", "--file", file.to_str().unwrap()];
    shared().keyfast(&[&head[..], flags].concat())
}

#[test]
fn a_secret_is_imported_with_all_that_a_key_is_made_with() {
    let setup = shared();
    let payments = policy(
        "payments",
        "resource in KeyRing::\"payments\" && resource has region && resource.region == Region::\"eu-central-1\" && \
         resource.hasTag(\"owner\") && resource.getTag(\"owner\") == \"treasury\"",
    );
    let flags = ["--ring", "payments", "--region", "eu-central-1", "--tag", "owner=treasury"];
    let own = ["--policy", &payments, "--immutable-policy"];
    import("card", &[&flags[..], &own].concat()).success();
    assert_eq!(setup.guest("card", &[], &["secret", "card"]).success().stdout, "correct horse");
    // What is said again, holds again: without the label nobody gets the next version.
    import("card", &["--tag", "owner=marketing"]).success();
    let run = setup.guest("card", &[], &["secret", "card"]);
    assert_eq!(run.code, Some(6), "{run}");
    let reason = &setup.explain(&run.stderr).answers[0].reasons[0];
    assert_eq!((reason.rule.as_str(), reason.found.as_str()), ("key/payments", "\"marketing\""));
    let other = policy("anyone", "true");
    let run = import("card", &["--policy", &other]);
    assert!(run.code == Some(3) && run.stderr.contains("`card` version 2 is immutable"), "{run}");
    let run = import("card", &["--immutable-policy"]);
    assert!(run.code == Some(2) && run.stderr.contains("--policy"), "{run}");
    let run = setup.keyfast(&["keys", "policy", "card", "--version", "3"]);
    assert!(run.stderr.contains("there is no key `card` version 3"), "{run}");
}

#[test]
fn a_secret_may_have_a_suite_floor() {
    import("strong", &["--suite-floor", "x-wing"]).success();
    let weak = |text: &str| text.replace("suite = \"x-wing\"", "suite = \"p384\"");
    let run = shared().guest_with("strong", weak, &["secret", "strong"]);
    assert_eq!(shared().explain(&run.stderr).answers[0].code, "suite-too-weak");
}

#[test]
fn what_is_no_policy_is_refused_with_its_place() {
    let unguarded = policy("unguarded", "principal.snp.vmpl == 0");
    let run = shared().keyfast(&[&["keys", "create", "bad"], &AES[..], &["--policy", &unguarded]].concat());
    assert!(run.stderr.contains("the key's own policy does not load: the key's own policy:4:"), "{run}");
    let keys = shared().keyfast(&["keys", "list"]).success().stdout;
    assert!(!keys.contains("bad "), "{keys}");
    let run = shared().keyfast(&["keys", "policy", "none", "--version", "1"]);
    assert_eq!(
        run.stderr.trim_end(),
        "keyfast: there is no key `none` version 1; `keyfast keys list` shows all"
    );
}
