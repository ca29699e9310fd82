//! What the broker refuses, and what its operator is told.

use std::fs;

use claims::{KeyVersion, Operation, UnwrapAlgorithm, VersionSelector};
use wire::Unwrap;
use wire::admin::Explanation;

use crate::guest::{Guest, wanted};
use crate::setup::shared;

/// Runs `decrypt` in a guest of these flags, which must be refused with this message and leave no output; gives the
/// explanation.
#[track_caller]
fn refused(guest: &str, flags: &[&str], said: &str) -> Explanation {
    let setup = shared();
    let encrypted = setup.encrypt("db", b"data", guest, &[]);
    let output = setup.path(&format!("{guest}.out"));
    let run = setup.guest(guest, flags, &["decrypt", &encrypted, "-o", output.to_str().unwrap()]);
    let explanation = setup.explain(&run.stderr);
    let tail = format!("the reason is the operator's to read: keyfast audit explain {}", explanation.request);
    run.fails(6, &format!("keyfast-agent: {said}; {tail}"));
    assert!(!output.exists());
    explanation
}

/// Outcome and code of the only answer, and its reasons as rule, condition, wanted, found.
#[track_caller]
fn assert_told(explanation: &Explanation, outcome: &str, code: &str, reasons: &[[&str; 4]]) {
    let [answer] = explanation.answers.as_slice() else { panic!("{explanation:?}") };
    assert_eq!((answer.outcome.as_str(), answer.code.as_str()), (outcome, code));
    let told: Vec<_> =
        answer.reasons.iter().map(|r| [&r.rule[..], &r.condition, &r.wanted, &r.found]).collect();
    assert_eq!(told, reasons);
    assert_eq!(answer.leaf.is_some(), outcome == "denial", "a denial is in the journal");
}

const DENIED: &str = "denied: policy-denied for `db`";

#[test]
fn a_guest_in_debug_mode_is_denied() {
    let explanation = refused("debugged", &["--debug"], DENIED);
    let reason = ["simulated-development/no-debug", "principal.snp.policy.debug_allowed", "false", "true"];
    assert_told(&explanation, "denial", "policy-denied", &[reason]);
}

#[test]
fn a_guest_on_old_firmware_is_denied() {
    let explanation = refused("old", &["--tcb", "snp=1"], DENIED);
    let rule = "simulated-development/permit";
    let condition = |tcb: &str| format!("principal.snp.{tcb}.snp >= principal.snp.processor.tcb_floor.snp");
    let (reported, launch) = (condition("reported_tcb"), condition("launch_tcb"));
    let reasons = [[rule, &reported, ">= 27", "1"], [rule, &launch, ">= 27", "1"]];
    assert_told(&explanation, "denial", "policy-denied", &reasons);
}

#[test]
fn a_guest_of_another_image_is_denied() {
    let measurement = "ab".repeat(48);
    let explanation = refused("other", &["--measurement", &measurement], DENIED);
    let condition = "principal.snp.measurement in [ReferenceState::\"active\", ReferenceState::\"retiring\"]";
    let wanted = "one of the 1 active or retiring reference values";
    let reason = ["simulated-development/permit", condition, wanted, &measurement];
    assert_told(&explanation, "denial", "policy-denied", &[reason]);
}

#[test]
fn a_report_that_was_altered_after_signing_is_refused() {
    let explanation = refused("altered", &["--alter-bit", "700"], "the broker refused: evidence-refused");
    let reason = [
        "verification",
        "evidence is believed before anything is decided",
        "genuine evidence that answers this challenge",
        "the report's signature does not verify under the VCEK: it was altered, or another key signed it",
    ];
    assert_told(&explanation, "refusal", "evidence-refused", &[reason]);
    let text = shared().keyfast(&["audit", "explain", &explanation.request]).success().stdout;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in reason {
        assert!(text.contains(part), "people read the same: {text}");
    }
}

#[test]
fn a_key_for_genuine_guests_never_goes_to_a_simulated_one() {
    let setup = shared();
    let run = setup.guest("pretender", &[], &["renew", "genuine"]);
    let explanation = setup.explain(&run.stderr);
    let reason = ["simulated-mismatch", "guest.simulated == key.for_simulation", "false", "true"];
    assert_told(&explanation, "denial", "simulated-mismatch", &[reason]);
}

#[test]
fn an_unknown_key_is_denied_and_named_to_the_operator() {
    let run = shared().guest("stranger", &[], &["renew", "nokey"]);
    let explanation = shared().explain(&run.stderr);
    assert_eq!(explanation.answers[0].asked, "renew of `nokey`");
    let reason = ["unknown-key", "the key exists", "a key of this name", "none"];
    assert_told(&explanation, "denial", "unknown-key", &[reason]);
}

#[test]
fn a_disabled_key_goes_nowhere_until_it_is_enabled() {
    let setup = shared();
    setup.create_key("switched", &["--simulation", "--kind", "aes-256"]);
    let renew = || setup.guest("switch", &[], &["renew", "switched"]);
    renew().success();
    setup.keyfast(&["keys", "disable", "switched", "--version", "1"]).success();
    let run = renew();
    assert_eq!(run.code, Some(6), "{run}");
    let reason = ["key-disabled", "key.enabled", "true", "false"];
    assert_told(&setup.explain(&run.stderr), "denial", "key-disabled", &[reason]);
    setup.keyfast(&["keys", "enable", "switched", "--version", "1"]).success();
    renew().success();
    setup
        .keyfast(&["keys", "disable", "switched", "--version", "2"])
        .fails(3, "keyfast: the broker refused: there is no key `switched` version 2");
}

#[test]
fn the_newest_enabled_version_is_the_latest() {
    let setup = shared();
    for _ in 0..2 {
        setup.create_key("rotated", &["--simulation", "--kind", "aes-256", "--operations", "release"]);
    }
    let guest = Guest::new(setup, "rotation");
    let ask = |version| {
        let wanted = agent::session::Wanted { version, ..wanted(Operation::Release, "rotated") };
        let held = guest.ask(setup, vec![wanted]).unwrap();
        held.outcome.answers.into_iter().next().unwrap().map(|opened| opened.version)
    };
    assert_eq!(ask(VersionSelector::Latest), Ok(KeyVersion(2)));
    assert_eq!(ask(VersionSelector::Exact(KeyVersion(1))), Ok(KeyVersion(1)));
    assert_eq!(ask(VersionSelector::Exact(KeyVersion(3))), Err("unknown-key".to_owned()));
    setup.keyfast(&["keys", "disable", "rotated", "--version", "2"]).success();
    assert_eq!(ask(VersionSelector::Latest), Ok(KeyVersion(1)));
    assert_eq!(ask(VersionSelector::Exact(KeyVersion(2))), Err("key-disabled".to_owned()));
}

#[test]
fn a_wrapped_dek_that_was_altered_does_not_unwrap() {
    let setup = shared();
    let guest = Guest::new(setup, "damaged");
    let unwrap = |wrapped: Vec<u8>| agent::session::Wanted {
        unwrap: Some(Unwrap { algorithm: UnwrapAlgorithm::RsaOaep256, wrapped, context: Vec::new() }),
        ..wanted(Operation::Unwrap, "keep")
    };
    let wanted = vec![unwrap(vec![0x11; 384]), unwrap(vec![0x11; 100])];
    let held = guest.ask(setup, wanted).unwrap();
    let codes: Vec<_> = held.outcome.answers.iter().map(|a| a.as_ref().err().map(String::as_str)).collect();
    assert_eq!(codes, [Some("unwrap-failed"); 2]);
    let explained = setup.explain(&format!("keyfast audit explain {}", held.outcome.request_id));
    let told: Vec<&str> = explained.answers.iter().map(|answer| &answer.reasons[0].condition[..]).collect();
    assert_eq!(told, ["the key can be used and sealed"; 2]);
}

#[test]
fn a_request_that_nobody_made_is_not_explained() {
    let request = "ab".repeat(16);
    for command in ["audit", "policy"] {
        shared().keyfast(&[command, "explain", &request]).fails(
            2,
            &format!(
                "keyfast: the broker refused: nothing is known of the request {request}; refusals of strangers are \
                 kept for a while only"
            ),
        );
    }
}

#[test]
fn a_request_is_explained_in_the_same_words_wherever_it_is_asked_for() {
    let setup = shared();
    let refused = setup.guest("words", &["--debug"], &["renew", "aes"]).stderr;
    let (_, request) = refused.trim_end().rsplit_once("keyfast audit explain ").unwrap();
    for more in [&[][..], &["--json"]] {
        let [by_audit, by_policy] = ["audit", "policy"]
            .map(|command| setup.keyfast(&[&[command, "explain", request], more].concat()).success().stdout);
        assert_eq!(by_audit, by_policy);
        assert!(by_audit.contains("simulated-development/no-debug"), "{by_audit}");
    }
}

#[test]
fn a_descriptor_of_another_broker_or_altered_is_refused_by_the_owner() {
    let setup = shared();
    setup.encrypt("db", b"data", "owner", &[]);
    let (descriptor, output) = (setup.path("owner.descriptor"), setup.path("owner.refused"));
    let encrypt = |descriptor: &str, broker: &str| {
        let plain = setup.path("owner.in");
        let output = output.to_str().unwrap();
        setup.keyfast(&[
            "encrypt",
            plain.to_str().unwrap(),
            "-t",
            descriptor,
            "--broker",
            broker,
            "-o",
            output,
        ])
    };
    let (path, identity) = (descriptor.to_str().unwrap(), setup.identity().to_string());
    let (stranger, broker) = ("ab".repeat(32), &identity);
    encrypt(path, &stranger).fails(
        4,
        &format!("keyfast: refusing the descriptor `{path}`: the statement is of broker {broker}: expected {stranger}"),
    );
    let text = fs::read_to_string(&descriptor).unwrap();
    let altered = setup.path("owner.altered");
    fs::write(&altered, text.replace("guests simulated", "guests genuine")).unwrap();
    let run = encrypt(altered.to_str().unwrap(), &identity);
    assert!(run.stderr.trim_end().ends_with("does not verify"), "{run}");
    assert_eq!(run.code, Some(4));
    assert!(!output.exists());
}
