//! Examples among guests that a condition describes.
use std::fs;
use std::path::Path;
use policy::{Bundle, Policy};
use prove::{Property, Prover, Reads, any_machine, invariants};

fn shipped(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../attestation-policies").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
#[test]
fn x() {
    let text = shipped("simulated-development.cedar").replace("principal.snp.policy.debug_allowed", "principal.snp.policy.cxl_allowed");
    let policy = Policy::load(Bundle::new(shipped("schema.cedarschema"), shipped("reference-values.toml")).with_policy("a.cedar", text)).unwrap();
    let prover = Prover::in_path(&std::env::var_os("PATH").unwrap()).unwrap();
    let never = invariants().into_iter().find(|n| n.id == "never/debug").unwrap();

    let reads = Reads::of(policy.cedar().1, &[&never.when]).unwrap();
    let among = any_machine(&reads).unwrap();
    fs::write("/tmp/t/cex-among", among.join("\n")).unwrap();
    for skip in 0..among.len() {
        let some: Vec<String> = vec![among[skip].clone()];
        let t = std::time::Instant::now();
        let found = prover.example(&policy, &Property::Never(&never), &some).map(|f| f.is_some());
        println!("{skip} {:?} {found:?}", t.elapsed());
    }
    let text = fs::read_to_string("/tmp/t/cex-list").unwrap_or_default();
    for list in text.split("\n\n") {
        let some: Vec<String> = list.lines().map(|l| l.to_owned()).collect();
        let t = std::time::Instant::now();
        let found = prover.example(&policy, &Property::Never(&never), &some).map(|f| f.map(|f| f.claims));
        println!("{} {:?} {found:?}", some.len(), t.elapsed());
    }
}
