//! Where the broker's time goes: its steps one by one, in this process, as CPU time of one thread.
//!
//! What is left between their sum and what the broker process took is TLS, HTTP, the scheduler, the kernel's network,
//! and, on the writing thread, the database, the tree and the checkpoint's signature.

use std::collections::BTreeMap;

use claims::{
    BrokerId, ConfigDigest, EvidenceKind, KeyId, KeyKind, KeyVersion, Nonce, Operation, RecipientKey,
    ReportData, RingId, Sha256Digest, Suite, UnixTime, UnwrapAlgorithm, VersionSelector,
};
use evidence::Evidence;
use keys::{Kek, RecipientSecret};
use policy::{Bundle, Circumstances, Policy};
use release::{NewKey, RootKey, UnwrapInput, WrappedKek};
use secret::SecretBytes;
use simtee::{Guest, GuestSpec, SimHost};
use verify::challenge::ChallengeKey;
use verify::{Endorsements, TrustAnchors, authenticate};
use wire::{ReleaseRequest, Request, Unwrap};

use super::load::Measured;
use crate::clock::{Samples, cpu_of};
use crate::primitives::BareVerification;
use crate::report::{Report, micros, now};
use crate::{Cli, Failed, rig};

/// Steps, in their order, with what was measured of each.
#[derive(Default)]
struct Steps(Vec<(&'static str, Samples)>);

impl Steps {
    /// Does a step, and measures it.
    fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let (seconds, done) = cpu_of(work);
        if !self.0.iter().any(|(known, _)| *known == name) {
            self.0.push((name, Samples::default()));
        }
        let found = self.0.iter_mut().find(|(known, _)| *known == name);
        found.into_iter().for_each(|(_, samples)| samples.push(seconds));
        done
    }
}

/// A broker's core without a broker, and a guest of it.
struct Bench {
    challenge: ChallengeKey,
    anchors: TrustAnchors,
    policy: Policy,
    root: RootKey,
    key: WrappedKek,
    unwrap: Unwrap,
    guest: Guest,
    now: UnixTime,
}

const BROKER: BrokerId = BrokerId([3; 32]);

/// Measures the steps of both operations in both suites, and what is left of the real broker's time.
pub fn run(cli: &Cli, report: &mut Report, measured: &Measured) -> Result<(), Failed> {
    let bench = Bench::new()?;
    let rounds = if cli.quick { 50 } else { 500 };
    report.heading("where a release goes: the broker's steps in one thread, CPU, median");
    let mut first_sum = 0.0;
    for (operation, suite) in [
        (Operation::Release, Suite::XWing),
        (Operation::Release, Suite::P384),
        (Operation::Unwrap, Suite::XWing),
    ] {
        let recipient = RecipientSecret::generate(suite)?.public().clone();
        let mut steps = Steps::default();
        for _ in 0..rounds {
            bench.one(operation, &recipient, &mut steps)?;
        }
        let sum: f64 = steps.0.iter().map(|(_, samples)| samples.median()).sum();
        report.plain(&format!("{operation}, {suite}: all of these steps"), micros(sum));
        for (name, samples) in &steps.0 {
            report.plain(&format!("    {name}"), micros(samples.median()));
        }
        bench.parts_of_sealing(report, operation, &recipient, rounds)?;
        if first_sum == 0.0 {
            first_sum = sum;
        }
    }
    let (total, writer) = (measured.cpu_s, measured.writer_s);
    report.plain("the broker process, release, x-wing", micros(total));
    report.plain("    the steps above", micros(first_sum));
    report.plain("    writing thread: SQLite, tree, signature", micros(writer));
    report.plain("    the rest: TLS, HTTP, scheduling, network", micros(total - writer - first_sum));
    let (verification, mut samples) = (BareVerification::new()?, Samples::default());
    for _ in 0..rounds {
        samples.push(verification.seconds()?);
    }
    let bare = samples.median();
    report.plain("one bare P-384 verification, this machine, now", micros(bare));
    report.plain("the broker process / one bare verification", format!("{:.2} x", total / bare));
    Ok(())
}

impl Bench {
    fn new() -> Result<Self, Failed> {
        let now = now();
        let host = SimHost::generate(claims::snp::Product::Genoa, now)?;
        let anchors = TrustAnchors::none().with_simulated(host.ark_der(), host.ark_sha256())?;
        let [(_, schema), operators, development, (_, references)] = rig::policy_texts()?;
        let add = |bundle: Bundle, (name, text): (&str, String)| bundle.with_policy(name, text);
        let bundle = [operators, development].into_iter().fold(Bundle::new(schema, references), add);
        let policy = Policy::load(bundle)?;
        let root = RootKey::from_bytes(&SecretBytes::try_fill(32, crypto::random)?)?;
        let created = root.generate(NewKey {
            id: key_id()?,
            version: KeyVersion(1),
            kind: KeyKind::Rsa { bits: 3072 },
            operations: [Operation::Unwrap, Operation::Release].into(),
            for_simulation: true,
            suite_floor: Suite::P384,
            ring: RingId::default(),
            region: None,
            release_policy: None,
            tags: BTreeMap::new(),
            now,
        })?;
        let public = crypto::RsaPublicKey::from_spki(&created.public_spki.ok_or("no public half")?)?;
        let wrapped = public.encrypt_oaep_sha256(&crypto::random_array::<32>()?)?;
        let unwrap = Unwrap { algorithm: UnwrapAlgorithm::RsaOaep256, wrapped, context: Vec::new() };
        let guest = host.launch(&GuestSpec::new(host.product(), "bench"))?;
        let challenge = ChallengeKey::new(&crypto::random_array()?);
        Ok(Self { challenge, anchors, policy, root, key: created.wrapped, unwrap, guest, now })
    }

    /// One request, step by step, as the broker takes it.
    fn one(&self, operation: Operation, recipient: &RecipientKey, steps: &mut Steps) -> Result<(), Failed> {
        let (body, nonce) = self.body(operation, recipient, steps)?;
        let message: ReleaseRequest = steps.step("decode the message", || wire::decode(&body))?;
        let challenge = steps.step("open the challenge", || self.challenge.open(&message.token, self.now))?;
        let (evidence, endorsements) = steps.step("parse the evidence", || {
            Evidence::parse(message.kind, &message.evidence).map(|evidence| {
                let endorsements = Endorsements::from_evidence(&evidence);
                (evidence, endorsements)
            })
        })?;
        let authenticated =
            steps.step("authenticate", || authenticate(evidence, &endorsements, &self.anchors, self.now))?;
        let claims = steps.step("transcript, its hash, bind", || {
            let transcript = message.transcript(BROKER, nonce, sha256);
            authenticated.bind(challenge, &transcript, self.now)
        })?;
        let bound = claims.request(0).ok_or("no request")?;
        let grant = steps.step("policy", || {
            self.policy.decide(&bound, &self.key.attributes, &Circumstances::at(self.now))
        });
        let grant = grant.map_err(|denial| format!("denied: {denial:?}"))?;
        let input = message.requests.first().and_then(|request| request.unwrap.as_ref());
        let input = input.map(|unwrap| UnwrapInput { wrapped: &unwrap.wrapped, context: &unwrap.context });
        let sealed = steps.step("open the KEK, seal", || self.root.seal(&grant, &self.key, input))?;
        steps.step("digest, stage, leaf", || {
            let salt = crypto::random_array()?;
            Ok::<_, crypto::Error>(
                journal::stage(grant, sealed.digest(), salt).row(claims::RequestId([0; 16]), None),
            )
        })?;
        Ok(())
    }

    /// What the step that seals is made of.
    fn parts_of_sealing(
        &self,
        report: &mut Report,
        operation: Operation,
        recipient: &RecipientKey,
        rounds: usize,
    ) -> Result<(), Failed> {
        let mut parts = Steps::default();
        let kek = Kek::generate(self.key.attributes.kind)?;
        let wrapped = crypto::RsaPublicKey::from_spki(kek.public_spki().unwrap_or_default())?
            .encrypt_oaep_sha256(&[7; 32])?;
        let len = if operation == Operation::Unwrap { 33 } else { kek.to_bytes().len() + 1 };
        let (info, payload) = (vec![0; 256 + recipient.public.len()], vec![0; len]);
        for _ in 0..rounds {
            parts.step("of it HPKE", || crypto::hpke_seal(recipient, &info, b"aad", &payload))?;
            if operation == Operation::Unwrap {
                let bytes = SecretBytes::from_vec(kek.to_bytes().expose().to_vec());
                let kek = parts.step("of it reading the RSA key", || Kek::from_bytes(kek.kind(), bytes))?;
                let algorithm = UnwrapAlgorithm::RsaOaep256;
                parts.step("of it RSA-3072", || kek.unwrap_dek(algorithm, &wrapped, b""))?;
            }
        }
        for (name, samples) in &parts.0 {
            report.plain(&format!("      {name}"), micros(samples.median()));
        }
        Ok(())
    }

    /// A guest's message; making the challenge is the broker's.
    fn body(
        &self,
        operation: Operation,
        recipient: &RecipientKey,
        steps: &mut Steps,
    ) -> Result<(Vec<u8>, Nonce), Failed> {
        let nonce = Nonce(crypto::random_array()?);
        let token = steps.step("make a challenge", || self.challenge.issue(nonce, self.now, 60));
        let unwrap = (operation == Operation::Unwrap).then(|| self.unwrap.clone());
        let mut message = ReleaseRequest {
            token: token.bytes,
            kind: EvidenceKind::SevSnp,
            evidence: Vec::new(),
            suite: recipient.suite,
            recipient: recipient.public.clone(),
            config: ConfigDigest([9; 32]),
            requests: vec![Request { operation, key: key_id()?, version: VersionSelector::Latest, unwrap }],
            known_checkpoint_size: 0,
        };
        let transcript = message.transcript(BROKER, nonce, sha256);
        message.evidence = self.guest.attest(&ReportData(crypto::sha512(&[&transcript.encode()])))?;
        Ok((wire::encode(&message)?, nonce))
    }
}

fn key_id() -> Result<KeyId, Failed> {
    Ok("bench".parse()?)
}

fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(crypto::sha256(&[bytes]))
}
