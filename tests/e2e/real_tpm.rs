//! The agent's own way to a TPM: a real `swtpm` with certificates of its local CA, the real agent, the real broker.
//!
//! With the feature `tpm`, which the agent must be built with too; `tools/test` does both.

use std::fs;

use crate::setup::Setup;
use crate::swtpm::Swtpm;

/// Runs the agent with this TPM, whatever its socket could give.
fn agent(setup: &Setup, tpm: &Swtpm, arguments: &[&str]) -> crate::setup::Run {
    let places = tpm.places();
    let attester = format!(
        "[attester]\nuse = \"tpm\"\ntcti = \"{}\"\nak_handle = {}\nevent_log = \"\"\n",
        places.tcti, places.ak_handle
    );
    let alter = |text: &str| {
        let (head, rest) = text.split_once("[attester]\n").unwrap();
        let after = rest.split_once("\n[").map(|(_, after)| format!("\n[{after}")).unwrap_or_default();
        format!("{head}{attester}{after}")
    };
    setup.guest_with("rack", alter, arguments)
}

#[test]
fn a_machine_with_a_real_tpm_enrols_and_is_decided_by_what_its_quote_says() {
    let setup = Setup::up();
    setup.create_key("db", &["--simulation"]);
    let tpm = Swtpm::start();

    let unknown = agent(&setup, &tpm, &["renew", "db"]);
    assert_eq!(unknown.code, Some(6), "{unknown}");
    assert!(unknown.stderr.contains("enrolment-refused"), "its CA is nobody's here: {unknown}");

    fs::write(setup.dev("issuer.der"), tpm.issuer()).unwrap();
    fs::write(setup.dev("root.der"), tpm.root()).unwrap();
    let root = |file: &str| format!("[[trust.tpm]]\ncertificate = \"{file}\"\nsimulated = true\n\n");
    let roots = root("issuer.der") + &root("root.der") + "[[trust.simulated]]";
    setup.reconfigure(|text| text.replace("[[trust.simulated]]", &roots));
    let enrolled = agent(&setup, &tpm, &["enrol"]).success();
    let name = enrolled.stdout.split(' ').next().unwrap().to_owned();
    let listed = setup.keyfast(&["attestation-keys", "list"]).success().stdout;
    assert!(listed.contains(&name), "{listed}");

    // Believed, and denied: nothing was measured into this TPM, and nothing says what was booted.
    let denied = agent(&setup, &tpm, &["renew", "db"]);
    let explanation = setup.explain(&denied.stderr);
    let reasons: Vec<_> =
        explanation.answers[0].reasons.iter().map(|r| (&r.rule[..], &r.condition[..])).collect();
    let missing = ["boot", "pcrs has pcr4", "pcrs has pcr7"];
    assert_eq!(reasons.len(), missing.len(), "{reasons:?}");
    assert!(reasons.iter().zip(missing).all(|((_, told), what)| told.ends_with(what)), "{reasons:?}");
}
