//! One simulated host for each product, shared by all tests: its RSA keys take seconds to make.

use std::sync::{Arc, OnceLock};

use claims::snp::Product;
use claims::{EvidenceKind, ReportData, UnixTime};
use evidence::Evidence;
use simtee::{Chain, ChainSpec, Guest, GuestSpec, HostKeys, ReportBuilder, SimHost};
use verify::{Authenticated, Endorsements, TrustAnchors, VerifyError, authenticate};

/// When the simulated certificates begin.
pub const CREATED: UnixTime = UnixTime(1_790_000_000);
/// When tests take place: a day later.
pub const NOW: UnixTime = UnixTime(1_790_086_400);
/// Seconds of 7 years, the life of a VCEK.
pub const VCEK_LIFE: u64 = 7 * 31_557_600;

pub fn keys() -> Arc<HostKeys> {
    static KEYS: OnceLock<Arc<HostKeys>> = OnceLock::new();
    Arc::clone(KEYS.get_or_init(|| Arc::new(simtee::kept_keys!().unwrap())))
}

pub fn host(product: Product) -> SimHost {
    SimHost::with_keys(keys(), product, CREATED).unwrap()
}

/// Anchors that trust this host and nobody else.
pub fn trust(host: &SimHost) -> TrustAnchors {
    TrustAnchors::none().with_simulated(host.ark_der(), host.ark_sha256()).unwrap()
}

pub fn launch(host: &SimHost) -> Guest {
    host.launch(&GuestSpec::new(host.product(), "test")).unwrap()
}

/// The evidence of a guest whose report was altered by `alter` before it was signed.
pub fn altered_report(host: &SimHost, alter: impl FnOnce(&mut ReportBuilder)) -> Vec<u8> {
    let guest = launch(host);
    let mut report = guest.report(&ReportData([7; 64]));
    alter(&mut report);
    guest.evidence(&guest.sign(report).unwrap())
}

/// The evidence of a guest whose chain was altered by `alter` before it was signed.
pub fn altered_chain(host: &SimHost, alter: impl FnOnce(&mut ChainSpec)) -> Vec<u8> {
    let mut spec = host.chain_spec(GuestSpec::default_tcb(host.product())).unwrap();
    alter(&mut spec);
    with_chain(host, host.issue(&spec).unwrap())
}

/// A cloud provider, in AMD's words.
pub const CSP_ID: &str = "CN=cc-us-east-2.amazonaws.com";

/// A guest whose report a VLEK signs.
pub fn launch_at_provider(host: &SimHost) -> Guest {
    host.launch(&GuestSpec::new(host.product(), "test").at_provider(CSP_ID)).unwrap()
}

/// The evidence of a guest at a provider whose chain was altered by `alter` before it was signed.
pub fn altered_vlek_chain(host: &SimHost, alter: impl FnOnce(&mut ChainSpec)) -> Vec<u8> {
    let mut spec = host.vlek_chain_spec(GuestSpec::default_tcb(host.product()), CSP_ID).unwrap();
    alter(&mut spec);
    let guest = launch_at_provider(host).with_chain(host.issue(&spec).unwrap());
    guest.attest(&ReportData([7; 64])).unwrap()
}

/// The evidence of a guest that hands out this chain.
pub fn with_chain(host: &SimHost, chain: Chain) -> Vec<u8> {
    launch(host).with_chain(chain).attest(&ReportData([7; 64])).unwrap()
}

/// Authenticates evidence with the certificates that came along.
pub fn check(bytes: &[u8], anchors: &TrustAnchors, now: UnixTime) -> Result<Authenticated, VerifyError> {
    let evidence = Evidence::parse(EvidenceKind::SevSnp, bytes).unwrap();
    let endorsements = Endorsements::from_evidence(&evidence);
    authenticate(evidence, &endorsements, anchors, now)
}

/// The error of evidence that must not be believed.
pub fn refusal(bytes: &[u8], host: &SimHost) -> VerifyError {
    check(bytes, &trust(host), NOW).unwrap_err()
}
