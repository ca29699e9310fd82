//! Grants through the real verifier and policy.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use claims::snp::Product;
use claims::{
    AttestedRequest, BrokerId, ConfigDigest, EvidenceKind, Nonce, Operation, RecipientKey, ReportData, Suite,
    Transcript, VersionSelector,
};
use evidence::Evidence;
use policy::{Bundle, Grant, Policy};
use simtee::{GuestSpec, HostKeys, SimHost};
use verify::challenge::ChallengeKey;
use verify::{Endorsements, TrustAnchors, VerifiedClaims, authenticate};

use crate::log::{NOW, attributes};

/// Made once: RSA-4096 keys take their time.
static KEYS: OnceLock<Arc<HostKeys>> = OnceLock::new();

/// A policy that permits whatever the locks let through.
fn permissive() -> Policy {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../attestation-policies/schema.cedarschema");
    let schema = std::fs::read_to_string(schema).unwrap();
    let rule = "@id(\"all\")\n@doc(\"everything\")\npermit (principal is Guest, action, resource);";
    let bundle = Bundle::new(schema, "version = 1\n").with_policy("all.cedar", rule);
    Policy::load(bundle).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What a guest and the broker agree on: this many releases.
pub fn transcript(requests: u32) -> Transcript {
    let request = |n| AttestedRequest {
        operation: Operation::Release,
        key: format!("disk-{n}").parse().unwrap(),
        version: VersionSelector::Latest,
        unwrap: None,
    };
    Transcript {
        broker: BrokerId([7; 32]),
        nonce: Nonce([9; 32]),
        recipient: RecipientKey { suite: Suite::XWing, public: vec![5; Suite::XWing.public_key_len()] },
        evidence: EvidenceKind::SevSnp,
        config: ConfigDigest([3; 32]),
        requests: (0..requests).map(request).collect(),
    }
}

fn claims(transcript: &Transcript) -> VerifiedClaims {
    let keys = KEYS.get_or_init(|| Arc::new(simtee::kept_keys!().unwrap()));
    let host = SimHost::with_keys(Arc::clone(keys), Product::Genoa, NOW).unwrap();
    let report_data = ReportData(crypto::sha512(&[&transcript.encode()]));
    let bytes = host.attest(&GuestSpec::new(Product::Genoa, "guest"), &report_data).unwrap();
    let evidence = Evidence::parse(EvidenceKind::SevSnp, &bytes).unwrap();
    let endorsements = Endorsements::from_evidence(&evidence);
    let anchors = TrustAnchors::none().with_simulated(host.ark_der(), host.ark_sha256()).unwrap();
    let authenticated = authenticate(evidence, &endorsements, &anchors, NOW).unwrap();
    let challenges = ChallengeKey::new(&[4; 32]);
    let token = challenges.issue(transcript.nonce, NOW, 60);
    let challenge = challenges.open(token.as_bytes(), NOW).unwrap();
    authenticated.bind(challenge, transcript, NOW).unwrap()
}

/// Grants for this many releases of one guest.
pub fn grants(requests: u32) -> Vec<Grant> {
    let (policy, claims) = (permissive(), claims(&transcript(requests)));
    let grant = |n: u32| {
        let request = claims.request(usize::try_from(n).unwrap()).unwrap();
        policy
            .decide(&request, &attributes(&format!("disk-{n}"), 1), &policy::Circumstances::at(NOW))
            .unwrap_or_else(|d| panic!("{d}"))
    };
    (0..requests).map(grant).collect()
}
