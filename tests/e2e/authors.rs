//! Authors of policies beside a real broker: the names of its keys are looked up in rules.

use std::fs;

use crate::setup::shared;

#[test]
fn rules_that_name_keys_are_held_against_those_of_a_broker() {
    let setup = shared();
    setup.create_key(
        "listed",
        &["--simulation", "--kind", "aes-256", "--ring", "authors", "--region", "eu-1"],
    );
    let keys = setup.keyfast(&["keys", "list", "--json"]).success().stdout;
    fs::write(setup.path("keys.json"), keys).unwrap();
    let dir = setup.path("authors");
    fs::create_dir(&dir).unwrap();
    for file in ["schema.cedarschema", "reference-values.toml"] {
        fs::copy(setup.dev("attestation-policies").join(file), dir.join(file)).unwrap();
    }
    let check = |condition: &str| {
        let rule = "permit (principal is Guest, action, resource is Key)";
        let text = format!("@id(\"r\")\n@doc(\"d\")\n{rule}\nwhen {{ {condition} }};\n");
        fs::write(dir.join("ours.cedar"), text).unwrap();
        let (dir, keys) = (dir.to_str().unwrap(), setup.path("keys.json"));
        let keys = keys.to_str().unwrap();
        setup.keyfast(&["policy", "check", "ours", "--deny-warnings", "--dir", dir, "--keys", keys])
    };
    let there = |key: &str, ring: &str, region: &str| {
        format!(
            "resource == Key::\"{key}\" || resource in KeyRing::\"{ring}\" || \
             (resource has region && resource.region == Region::\"{region}\")"
        )
    };
    check(&there("listed", "authors", "eu-1")).success();
    for (names, told) in [
        (["lost", "authors", "eu-1"], "`Key::\"lost\"`: no key has this name"),
        (["listed", "lost", "eu-1"], "`KeyRing::\"lost\"`: no key is in this ring"),
        (["listed", "authors", "lost"], "`Region::\"lost\"`: no key is for this region"),
    ] {
        let [key, ring, region] = names;
        let run = check(&there(key, ring, region));
        assert!(run.code == Some(1) && run.stdout.contains(told), "{run}");
    }
}
