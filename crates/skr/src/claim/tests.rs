//! Which values a claim can have. What each comes to is tested with guests, in `tests/import_skr.rs`.

use super::*;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn refused(claim: &str, value: Value) -> String {
    let condition = ClaimCondition {
        place: "$.at".into(),
        value_place: "$.at.equals".into(),
        claim: claim.into(),
        value: value.clone(),
    };
    let problem = read(&condition).expect_err(claim);
    assert_eq!(problem.place, "$.at.equals");
    let head = "never the value of this claim: expected ";
    let message =
        problem.message.strip_prefix(head).unwrap().strip_suffix(&format!(", got {value}")).unwrap();
    message.to_owned()
}

fn meaning(claim: &str, value: Value) -> Meaning {
    reading(claim, &value).unwrap().meaning
}

fn token(claim: &str, value: Value) -> Option<Token> {
    reading(claim, &value).unwrap().token
}

#[test]
fn a_digest_of_another_length_or_alphabet_never_occurs() {
    let claims = [
        ("hostdata", 64),
        ("launchmeasurement", 96),
        ("idkeydigest", 96),
        ("authorkeydigest", 96),
        ("familyId", 32),
        ("imageId", 32),
        ("reportid", 64),
        ("reportdata", 128),
    ];
    for (name, digits) in claims {
        for prefix in ["", "x-ms-isolation-tee."] {
            let claim = format!("{prefix}x-ms-sevsnpvm-{name}");
            let expected = format!("{digits} hexadecimal digits");
            assert_eq!(refused(&claim, text(&"a".repeat(digits - 1))), expected);
            assert_eq!(refused(&claim, text(&"a".repeat(digits + 1))), expected);
            assert_eq!(refused(&claim, text(&"g".repeat(digits))), expected);
            assert_eq!(refused(&claim, Value::Number(7)), expected);
            assert!(reading(&claim, &text(&"A".repeat(digits))).is_ok());
        }
    }
}

#[test]
fn a_number_beyond_its_field_never_occurs() {
    let claims = [
        ("guestsvn", u32::MAX),
        ("vmpl", 3),
        ("bootloader-svn", 255),
        ("tee-svn", 255),
        ("snpfw-svn", 255),
        ("microcode-svn", 255),
    ];
    for (name, max) in claims {
        let claim = format!("x-ms-sevsnpvm-{name}");
        let expected = format!("a whole number from 0 to {max}");
        for value in [Value::Number(i64::from(max) + 1), Value::Number(-1), Value::Truth(true)] {
            assert_eq!(refused(&claim, value), expected);
        }
        for value in [text("01"), text("+1"), text(""), text("1 ")] {
            assert_eq!(refused(&claim, value), expected);
        }
        assert_eq!(meaning(&claim, text(&max.to_string())), meaning(&claim, Value::Number(max.into())));
    }
}

#[test]
fn a_boolean_is_true_or_false_as_json_or_as_a_string() {
    for claim in [
        "secureboot",
        "x-ms-azurevm-dbvalidated",
        "x-ms-azurevm-dbxvalidated",
        "x-ms-sevsnpvm-is-debuggable",
        "x-ms-sevsnpvm-migration-allowed",
        "x-ms-sevsnpvm-smt-allowed",
        "x-ms-runtime.vm-configuration.secure-boot",
        "x-ms-runtime.vm-configuration.console-enabled",
        "x-ms-runtime.vm-configuration.tpm-enabled",
        "x-ms-runtime.vm-configuration.tpm-persisted",
    ] {
        for truth in [true, false] {
            assert_eq!(meaning(claim, Value::Truth(truth)), meaning(claim, text(&truth.to_string())));
        }
        assert_ne!(meaning(claim, Value::Truth(true)), meaning(claim, Value::Truth(false)), "{claim}");
        assert_eq!(refused(claim, text("True")), "true or false");
        assert_eq!(refused(claim, Value::Number(1)), "true or false");
    }
}

#[test]
fn an_id_of_a_machine_is_a_uuid_in_either_case() {
    for claim in ["x-ms-azurevm-vmid", "x-ms-isolation-tee.x-ms-runtime.vm-configuration.vmUniqueId"] {
        let upper = meaning(claim, text("0A1B2C3D-0123-4567-89AB-0123456789AB"));
        assert_eq!(upper, meaning(claim, text("0a1b2c3d-0123-4567-89ab-0123456789ab")));
        for id in ["12345678-ABCD-EFGH-1234-000000000000", "0a1b2c3d0123456789ab0123456789ab", ""] {
            assert_eq!(refused(claim, text(id)), "a UUID");
        }
    }
    assert_eq!(refused("x-ms-ver", text("2.0")), "\"1.0\"");
    assert_eq!(meaning("x-ms-ver", text("1.0")), Meaning::Always);
}

#[test]
fn a_claim_is_of_the_kind_of_token_that_has_it() {
    let digest = || text(&"a".repeat(64));
    assert_eq!(token("x-ms-sevsnpvm-hostdata", digest()), Some(Token::Report));
    assert_eq!(token("x-ms-isolation-tee.x-ms-sevsnpvm-hostdata", digest()), Some(Token::Machine));
    assert_eq!(token("x-ms-attestation-type", text("sevsnpvm")), Some(Token::Report));
    assert_eq!(token("x-ms-attestation-type", text("azurevm")), Some(Token::Machine));
    assert_eq!(token("x-ms-isolation-tee.x-ms-attestation-type", text("sevsnpvm")), Some(Token::Machine));
    assert_eq!(token("x-ms-compliance-status", text("azure-compliant-cvm")), Some(Token::Report));
    assert_eq!(token("secureboot", text("true")), Some(Token::Machine));
    assert_eq!(token("x-ms-azurevm-ostype", text("Linux")), Some(Token::Machine));
    assert_eq!(token("x-ms-runtime.vm-configuration.secure-boot", text("true")), Some(Token::Report));
    assert_eq!(token("x-ms-runtime.keys", text("x")), None);
    assert_eq!(token("x-ms-policy-hash", text("x")), None);
}

#[test]
fn what_nothing_stands_for_is_unknown_and_what_no_guest_has_is_never() {
    let unknown = [
        "x-ms-policy-hash",
        "x-ms-policy-signer",
        "x-ms-runtime.keys",
        "x-ms-runtime.client-payload.nonce",
        "x-ms-isolation-tee.x-ms-runtime.user-data",
        "x-ms-runtime.vm-configuration.root-cert-thumbprint",
        "x-ms-azurevm-attested-pcrs",
        "x-ms-azurevm-debuggersdisabled",
        "x-ms-azurevm-bootdebug-enabled",
        "x-ms-azurevm-osdistro",
        "x-ms-sevsnpvm-something",
        "x-ms-isolation-tee.something",
        "x-ms-isolation-tee.x-ms-isolation-tee.x-ms-attestation-type",
        "x-ms-isolation-tee.secureboot",
        "X-MS-SEVSNPVM-hostdata",
        "iss",
    ];
    for claim in unknown {
        assert!(matches!(meaning(claim, text("x")), Meaning::Unknown(_)), "{claim}");
    }
    assert!(matches!(meaning("x-ms-compliance-status", text("azure-compliant")), Meaning::Unknown(_)));
    assert!(matches!(meaning("x-ms-azurevm-dbvalidated", Value::Truth(false)), Meaning::Unknown(_)));
    for (claim, value) in [
        ("x-ms-attestation-type", "tdxvm"),
        ("x-ms-attestation-type", "sgx"),
        ("x-ms-isolation-tee.x-ms-attestation-type", "tdxvm"),
        ("x-ms-sgx-mrsigner", "00"),
        ("x-ms-runtime.vm-configuration.tpm-enabled", "false"),
    ] {
        assert!(matches!(meaning(claim, text(value)), Meaning::Never(_)), "{claim} {value}");
    }
}
