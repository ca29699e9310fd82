//! Another tenant's guest, with the same firmware and the same stock image, gets nothing under the default policies.
//!
//! Simulated machines of the shapes that clouds have make the evidence, the real verifier reads it, and all shipped
//! policies are asked at once, with reference values that know everything of our own guest. Simulated guests get nothing
//! from those policies whatever they are, so the records are then taken as if the root were AMD's own.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use claims::snp::Product;
use claims::{
    AttestedRequest, BrokerId, ClaimsRecord, ConfigDigest, EvidenceKind, Nonce, Operation, OsBinding,
    RecipientKey, ReportData, Suite, Transcript, UnixTime, VersionSelector,
};
use evidence::Evidence;
use policy::{Bundle, Evaluation, Policy};
use simtee::vtpm::log::BootSpec;
use simtee::vtpm::{VTpm, evidence as parts};
use simtee::{GuestSpec, SimHost};
use verify::challenge::ChallengeKey;
use verify::{Endorsements, TrustAnchors, authenticate};

use crate::bundle::{case, read};

const NOW: UnixTime = UnixTime(1_800_000_000);
const OURS: &str = "0a1b2c3d-0123-4567-89ab-0123456789ab";
const THEIRS: &str = "0a1b2c3d-0123-4567-89ab-ba9876543210";
/// PCRs 0 to 11.
const BITS: u32 = 0xfff;

static HOST: LazyLock<SimHost> = LazyLock::new(|| {
    let keys = Arc::new(simtee::kept_keys!().unwrap());
    SimHost::with_keys(keys, Product::Genoa, UnixTime(1_790_000_000)).unwrap()
});

fn transcript(evidence: EvidenceKind) -> Transcript {
    let request = AttestedRequest {
        operation: Operation::Unwrap,
        key: "db".parse().unwrap(),
        version: VersionSelector::Latest,
        unwrap: Some(claims::UnwrapBinding {
            algorithm: claims::UnwrapAlgorithm::RsaOaep256,
            wrapped: claims::Sha256Digest([1; 32]),
            context: claims::Sha256Digest([2; 32]),
        }),
    };
    Transcript {
        broker: BrokerId([2; 32]),
        nonce: Nonce([3; 32]),
        recipient: RecipientKey { suite: Suite::XWing, public: vec![4; 1216] },
        evidence,
        config: ConfigDigest([6; 32]),
        requests: vec![request],
    }
}

/// What the verifier makes of evidence that answers [`transcript`], as if its root were AMD's.
fn claims(kind: EvidenceKind, bytes: &[u8]) -> ClaimsRecord {
    let anchors = TrustAnchors::none().with_simulated(HOST.ark_der(), HOST.ark_sha256()).unwrap();
    let evidence = Evidence::parse(kind, bytes).unwrap();
    let endorsements = Endorsements::from_evidence(&evidence);
    let key = ChallengeKey::new(&[1; 32]);
    let challenge = key.open(key.issue(Nonce([3; 32]), NOW, 60).as_bytes(), NOW).unwrap();
    let genuine = authenticate(evidence, &endorsements, &anchors, NOW).unwrap();
    let claims = genuine.bind(challenge, &transcript(kind), NOW).unwrap();
    ClaimsRecord { simulated: false, ..claims.record().clone() }
}

fn answer(kind: EvidenceKind) -> [u8; 64] {
    crypto::sha512(&[&transcript(kind).encode()])
}

/// An AWS guest: a VLEK, VMPL 1 where AWS's guests are, firmware measured and nothing else, HOST_DATA of zeros.
fn aws() -> ClaimsRecord {
    let spec = GuestSpec { host_data: [0; 32], ..GuestSpec::new(Product::Genoa, "stock") };
    let guest = HOST.launch(&spec.at_provider("CN=cc-us-east-2.amazonaws.com")).unwrap();
    claims(EvidenceKind::SevSnp, &guest.attest(&ReportData(answer(EvidenceKind::SevSnp))).unwrap())
}

/// An Azure guest of the stock image, as this virtual machine.
fn azure(vm_id: &str) -> ClaimsRecord {
    let mut vtpm = VTpm::generate().unwrap();
    vtpm.boot(&BootSpec::new("stock"));
    let runtime = parts::runtime_data(&vtpm, vm_id).unwrap();
    let spec = GuestSpec { host_data: [0; 32], ..GuestSpec::new(Product::Genoa, "paravisor") };
    let guest = HOST.launch(&spec).unwrap();
    let report = guest.sign(guest.report(&parts::runtime_report_data(&runtime))).unwrap();
    let extra = crypto::sha256(&[&answer(EvidenceKind::AzureVtpm), &crypto::sha256(&[&report])]);
    let quote = vtpm.quote(&vtpm.quote_spec(&extra, BITS).unwrap(), BITS).unwrap();
    let bytes = parts::azure(&parts::hcl(&report, &runtime), &parts::certificates(&guest), &quote);
    claims(EvidenceKind::AzureVtpm, &bytes)
}

/// All shipped policies, and reference values that know all of this guest.
fn policies(ours: &ClaimsRecord) -> Policy {
    let value = |kind: &str, value: &str| {
        format!("[[{kind}]]\nvalue = \"{value}\"\nname = \"ours\"\nstate = \"active\"\n")
    };
    let snp = ours.snp.as_ref().unwrap();
    let mut references = read("reference-values.toml");
    for kind in ["measurement", "paravisor"] {
        references.push_str(&value(kind, &snp.measurement.to_string()));
    }
    references.push_str(&snp.csp_id.as_ref().map(|csp| value("csp", csp)).unwrap_or_default());
    if let Some(tpm) = &ours.tpm {
        let distinct: BTreeSet<String> = tpm.pcrs.values().map(ToString::to_string).collect();
        references.extend(distinct.iter().map(|pcr| value("pcr", pcr)));
        references.push_str(&value("vm_id", &tpm.paravisor.as_ref().unwrap().vm_id));
    }
    let files = ["snp-production.cedar", "snp-azure-vtpm.cedar", "snp-svsm.cedar", "tpm-measured-boot.cedar"];
    let bundle = files.into_iter().fold(Bundle::new(read("schema.cedarschema"), references), |all, file| {
        all.with_policy(file, read(file))
    });
    Policy::load(bundle).unwrap_or_else(|errors| panic!("{errors}"))
}

fn decide(policy: &Policy, record: &ClaimsRecord) -> Result<(), Vec<String>> {
    let case = case("snp-production", "permit/known-image.json");
    match policy.evaluate(record, &case.request, &case.key, &case.circumstances) {
        Evaluation::Permit { .. } => Ok(()),
        Evaluation::Deny(denial) => Err(denial
            .reasons
            .into_iter()
            .map(|reason| format!("{}: {}", reason.rule, reason.condition))
            .collect()),
    }
}

#[test]
fn on_azure_the_same_paravisor_and_image_in_another_machine_get_nothing() {
    let (ours, theirs) = (azure(OURS), azure(THEIRS));
    let shared = |record: &ClaimsRecord| {
        let (snp, tpm) = (record.snp.as_ref().unwrap(), record.tpm.as_ref().unwrap());
        (snp.measurement, snp.host_data, tpm.pcrs.clone(), tpm.boot.clone(), record.guest_identity)
    };
    assert_eq!(shared(&ours), shared(&theirs), "they differ in their machine alone");
    let policy = policies(&ours);
    assert_eq!(decide(&policy, &ours), Ok(()), "our own machine gets the key");
    let reasons = decide(&policy, &theirs).unwrap_err();
    assert!(reasons.iter().any(|reason| reason.contains("vm_id in")), "{reasons:?}");
}

#[test]
fn on_aws_nothing_tells_two_tenants_apart_and_so_neither_gets_anything() {
    let (ours, theirs) = (aws(), aws());
    assert_eq!(ours.os_binding, OsBinding::None);
    let policy = policies(&ours);
    for record in [ours, theirs] {
        let reasons = decide(&policy, &record).unwrap_err();
        for wanted in ["principal.os_binding", "principal.guest_identity != GuestIdentity::\"none\""] {
            assert!(reasons.iter().any(|reason| reason.contains(wanted)), "{wanted}: {reasons:?}");
        }
    }
}
