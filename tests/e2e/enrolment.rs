//! Guests with a vTPM: their keys are enrolled, their quotes decide, and what was withdrawn or put back gets nothing.

use std::sync::{Arc, Barrier};
use std::thread;

use claims::snp::Product;
use claims::{EvidenceKind, Operation, ReportData, UnixTime};
use simtee::control::GuestRequest;
use simtee::vtpm::guest::{Platform, VtpmGuest, VtpmSpec};
use simtee::vtpm::log::BootSpec;
use simtee::vtpm::{KeyPair, QuoteSpec, VTpm, evidence as parts};
use simtee::{GuestSpec, SimHost};
use wire::{
    ENROL_PATH, ENROL_PROOF_PATH, EnrolChallenge, EnrolProof, EnrolRequest, Enrolled, ProblemCode,
    ReleaseRequest,
};

use crate::exchange::{Exchange, request};
use crate::guest::sha256;
use crate::setup::{Setup, shared, wait_until};

/// What a guest decrypts, or why it could not, with its log.
fn decrypt(setup: &Setup, guest: &str, flags: &[&str]) -> Result<Vec<u8>, String> {
    let encrypted = setup.encrypt("db", b"only for a known boot chain", guest, &[]);
    let output = setup.path(&format!("{guest}.out"));
    let run = setup.guest(guest, flags, &["decrypt", &encrypted, "-o", output.to_str().unwrap()]);
    if run.code == Some(0) { Ok(std::fs::read(output).unwrap()) } else { Err(run.stderr) }
}

fn listed(setup: &Setup) -> String {
    setup.keyfast(&["attestation-keys", "list"]).success().stdout
}

#[test]
fn guests_of_every_kind_decrypt_and_the_agent_enrols_where_it_must() {
    let setup = shared();
    for (kind, guest) in [("azure-vtpm", "azure"), ("svsm", "module"), ("tpm", "bare")] {
        let plain = decrypt(setup, guest, &["--kind", kind]);
        assert_eq!(plain.as_deref(), Ok(&b"only for a known boot chain"[..]), "{kind}");
    }
    let listed = listed(setup);
    assert!(listed.contains("ek-certificate  simulated  believed"), "{listed}");
}

#[test]
fn what_a_vtpm_measured_decides() {
    let setup = shared();
    let told = |guest: &str, flags: &[&str]| {
        let error = decrypt(setup, guest, flags).unwrap_err();
        let explanation = setup.explain(&error);
        let [answer] = explanation.answers.as_slice() else { panic!("{explanation:?}") };
        assert_eq!((answer.outcome.as_str(), answer.code.as_str()), ("denial", "policy-denied"));
        answer
            .reasons
            .iter()
            .map(|reason| (reason.rule.clone(), reason.condition.clone()))
            .collect::<Vec<_>>()
    };
    let rule = "simulated-vtpm/permit".to_owned();
    let known = |pcr: &str| {
        let states = "[ReferenceState::\"active\", ReferenceState::\"retiring\"]";
        (rule.clone(), format!("principal.tpm.pcrs.{pcr} in {states}"))
    };
    let off = told("unsecured", &["--kind", "azure-vtpm", "--secure-boot", "off"]);
    assert_eq!(off, [(rule.clone(), "principal.tpm.boot.secure_boot".to_owned()), known("pcr7")]);
    let other = told("reimaged", &["--kind", "svsm", "--image", "another image"]);
    assert_eq!(other, [known("pcr4"), known("pcr7")]);
    let unlogged = told("unlogged", &["--kind", "tpm", "--without-log"]);
    assert_eq!(unlogged, [(rule.clone(), "principal.tpm has boot".to_owned())]);
}

#[test]
fn enrolment_can_be_done_beforehand_and_needs_a_tpm() {
    let setup = shared();
    let run = setup.guest("early", &["--kind", "tpm"], &["enrol"]).success();
    let (name, until) = run.stdout.trim_end().split_once(" until ").unwrap();
    assert!(name.starts_with("000b") && name.len() == 68 && until.ends_with('Z'), "{}", run.stdout);
    assert!(listed(setup).contains(name));
    let plain = setup.guest("plain", &[], &["enrol"]);
    plain.fails(2, "keyfast-agent: evidence of kind sev-snp has no attestation key to enrol");
}

#[test]
fn a_withdrawn_key_gets_nothing_and_is_not_enrolled_again() {
    let setup = shared();
    decrypt(setup, "leaver", &["--kind", "tpm"]).unwrap();
    let enrolled = setup.guest("leaver", &["--kind", "tpm"], &["enrol"]).success();
    let name = enrolled.stdout.split(' ').next().unwrap().to_owned();
    setup.keyfast(&["attestation-keys", "withdraw", &name]).success();
    let error = decrypt(setup, "leaver", &["--kind", "tpm"]).unwrap_err();
    assert!(error.contains("the broker refused: enrolment-refused"), "{error}");
    let explanation = setup.explain(&error);
    let found = &explanation.answers[0].reasons[0].found;
    assert!(found.contains(&format!("the attestation key {name} was withdrawn")), "{found}");
    let unknown = setup.keyfast(&["attestation-keys", "withdraw", &name.replace("000b", "000c")]);
    assert_eq!(unknown.code, Some(2), "{unknown}");
}

#[test]
fn what_was_enrolled_is_known_after_a_restart() {
    let setup = Setup::up();
    setup.create_key("db", &["--simulation"]);
    decrypt(&setup, "bare", &["--kind", "tpm"]).unwrap();
    let before = listed(&setup);
    setup.reconfigure(str::to_owned);
    assert_eq!(listed(&setup), before);
    // Without the root the key stays enrolled, and no other key can be.
    setup.reconfigure(|text| {
        text.replace("[[trust.tpm]]\ncertificate = \"simtee/ek-root.pem\"\nsimulated = true\n", "")
    });
    decrypt(&setup, "bare", &["--kind", "tpm"]).unwrap();
    let error = decrypt(&setup, "other", &["--kind", "tpm"]).unwrap_err();
    assert!(error.contains("the broker refused: enrolment-refused"), "{error}");
}

#[test]
fn a_key_that_its_vendor_revokes_enrols_no_more() {
    let setup = Setup::up();
    let machine = Machine::new(&setup);
    let ek = machine.host.ek_spec(&machine.vtpm).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let publish = |serial: u64, now: u64| {
        let mut spec = machine.host.crl_spec(UnixTime(now));
        let algorithm = simtee::SignatureAlgorithm::EcdsaSha384;
        (spec.inner_algorithm, spec.outer_algorithm) = (algorithm, algorithm);
        (spec.issuer, spec.signer) = (ek.issuer.clone(), ek.signer);
        spec.revoked = vec![simtee::Revoked::new(serial, spec.this_update)];
        std::fs::write(setup.dev("vendor.crl"), machine.host.sign_crl(&spec).unwrap()).unwrap();
    };
    publish(ek.serial + 1, now - 60);
    let root = "certificate = \"vendor.der\"\n";
    let lists = format!("{root}crls = [\"vendor.crl\"]\ncrl_max_age_days = 30\n");
    setup.reconfigure(|text| text.replace(root, &lists));
    let message = wire::encode(&machine.enrol_request()).unwrap();
    let enrol = || Exchange::with(&setup.url()).post(ENROL_PATH, &message).ok().map(drop);
    enrol().unwrap();
    // The broker reads the file again by itself.
    publish(ek.serial, now - 30);
    wait_until("the list is in force", || enrol().is_err());
    assert_eq!(enrol().unwrap_err().code, ProblemCode::EnrolmentRefused);
    publish(ek.serial + 1, now - 31 * 86_400);
    setup.reconfigure(str::to_owned);
    assert_eq!(enrol().unwrap_err().code, ProblemCode::EnrolmentRefused, "a list that is too old");
}

/// A machine whose TPM is in this test's hands, under a root that the broker is told of.
struct Machine {
    host: SimHost,
    vtpm: VTpm,
}

impl Machine {
    fn new(setup: &Setup) -> Self {
        let keys = Arc::new(simtee::kept_keys!("of-others").unwrap());
        let host = SimHost::with_keys(keys, Product::Genoa, UnixTime(1_790_000_000)).unwrap();
        let mut vtpm = VTpm::generate().unwrap();
        vtpm.boot(&BootSpec::new("simulated guest image 1"));
        std::fs::write(setup.dev("vendor.der"), host.ek_root_der()).unwrap();
        let root = "[[trust.tpm]]\ncertificate = \"vendor.der\"\nsimulated = true\n\n[[trust.simulated]]";
        setup.reconfigure(|text| text.replace("[[trust.simulated]]", root));
        Self { host, vtpm }
    }

    fn enrol_request(&self) -> EnrolRequest {
        let sized =
            |public: Vec<u8>| [&u16::try_from(public.len()).unwrap().to_be_bytes()[..], &public].concat();
        EnrolRequest {
            ak: sized(self.vtpm.ak_public().unwrap()),
            ek: sized(self.vtpm.ek_public().unwrap()),
            certificates: vec![self.host.certify_ek(&self.vtpm).unwrap()],
        }
    }

    fn challenge(&self, exchange: &mut Exchange) -> (EnrolChallenge, Vec<u8>) {
        let answer = exchange.post(ENROL_PATH, &wire::encode(&self.enrol_request()).unwrap());
        let challenge: EnrolChallenge = wire::decode(&answer.ok().unwrap()).unwrap();
        let secret = self.vtpm.activate(&challenge.credential, &challenge.encrypted_seed).unwrap();
        (challenge, secret)
    }

    /// A request whose quote says what `alter` makes of it.
    fn request(
        &self,
        setup: &Setup,
        exchange: &mut Exchange,
        alter: impl Fn(&mut QuoteSpec),
    ) -> ReleaseRequest {
        const BITS: u32 = 0xfff;
        let challenge = exchange.challenge();
        let (_, recipient) = crypto::hpke_generate(claims::Suite::XWing).unwrap();
        let mut message = ReleaseRequest {
            token: challenge.token,
            kind: EvidenceKind::Tpm,
            evidence: Vec::new(),
            suite: recipient.suite,
            recipient: recipient.public,
            config: claims::ConfigDigest([7; 32]),
            requests: vec![request(Operation::Renew, "db")],
            known_checkpoint_size: 0,
        };
        let transcript = message.transcript(setup.identity(), challenge.nonce, sha256).encode();
        let extra = crypto::sha256(&[&crypto::sha512(&[&transcript]), &crypto::sha256(&[])]);
        let mut spec = self.vtpm.quote_spec(&extra, BITS).unwrap();
        alter(&mut spec);
        let quote = self.vtpm.quote(&spec, BITS).unwrap();
        message.evidence = parts::tpm(&self.vtpm.ak_public().unwrap(), &quote);
        message
    }
}

#[test]
fn a_tpm_that_was_put_back_to_an_earlier_state_or_whose_key_moved_is_refused() {
    let setup = Setup::up();
    setup.create_key("db", &["--simulation"]);
    let machine = Machine::new(&setup);
    let exchange = &mut Exchange::with(&setup.url());
    let ask = |exchange: &mut Exchange, clock: (u64, u32, u32, u8)| {
        let message = machine.request(&setup, exchange, |spec| spec.clock = clock);
        exchange.release(&message)
    };
    assert_eq!(ask(exchange, (60_000, 3, 0, 1)).problem(), ProblemCode::EnrolmentRequired);
    let (challenge, secret) = machine.challenge(exchange);
    let proof = wire::encode(&EnrolProof { token: challenge.token, secret }).unwrap();
    let enrolled: Enrolled = wire::decode(&exchange.post(ENROL_PROOF_PATH, &proof).ok().unwrap()).unwrap();
    assert_eq!(enrolled.ak_name, simtee::vtpm::name(&machine.vtpm.ak_public().unwrap()));
    assert_eq!(ask(exchange, (900_000, 3, 0, 1)).codes(), [None]);
    // Quotes may come in another order than they were made.
    assert_eq!(ask(exchange, (600_000, 3, 0, 1)).codes(), [None]);
    for put_back in [(599_999, 3, 0, 1), (900_000, 2, 9, 1)] {
        assert_eq!(ask(exchange, put_back).problem(), ProblemCode::EvidenceRefused, "{put_back:?}");
    }
    assert_eq!(ask(exchange, (0, 4, 0, 1)).codes(), [None], "after a reset the clock may be anything");
    // Nor does a key move in its TPM's hierarchy.
    let ak = machine.vtpm.ak_public().unwrap();
    let elsewhere = simtee::vtpm::qualified_name(&ak, &ak);
    let moved = machine.request(&setup, exchange, |spec| {
        spec.clock = (1, 4, 0, 1);
        spec.qualified_signer.clone_from(&elsewhere);
    });
    assert_eq!(exchange.release(&moved).problem(), ProblemCode::EvidenceRefused);
    assert_eq!(ask(exchange, (1, 4, 0, 1)).codes(), [None]);
}

/// The simulated host of a set-up, in this test's hands: the same keys, so that the broker believes it.
fn host_of(setup: &Setup) -> SimHost {
    let copy = setup.path("host");
    std::fs::create_dir(&copy).unwrap();
    for file in std::fs::read_dir(setup.dev("simtee")).unwrap().map(Result::unwrap) {
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
    }
    SimHost::open_or_create(&copy, Product::Genoa, UnixTime(1_790_000_000)).unwrap()
}

/// Nobody enrols the key of Azure's vTPM: the report names it, and the broker knows it by that.
#[test]
fn a_vtpm_of_azures_that_was_put_back_is_refused() {
    let setup = Setup::up();
    setup.create_key("db", &["--simulation"]);
    let host = host_of(&setup);
    let spec = GuestRequest::new("cloud".parse().unwrap()).spec(Product::Genoa);
    let spec = GuestSpec { measurement: GuestSpec::default_paravisor(), ..spec };
    let keys = Arc::new(KeyPair::generate().unwrap());
    let exchange = &mut Exchange::with(&setup.url());
    let launch = |image: &str, resets: u32, keys: &Arc<KeyPair>| {
        let how = VtpmSpec { resets, ..VtpmSpec::new(Platform::Azure, image) };
        let vm_id = "baefd3e1-184b-4c4c-ab88-0bdad260505f";
        host.launch_with_vtpm(&spec, vm_id, VTpm::with_keys(keys.clone()), &how).unwrap()
    };
    let ask = |exchange: &mut Exchange, guest: &VtpmGuest| {
        let challenge = exchange.challenge();
        let (_, recipient) = crypto::hpke_generate(claims::Suite::XWing).unwrap();
        let mut message = ReleaseRequest {
            token: challenge.token,
            kind: EvidenceKind::AzureVtpm,
            evidence: Vec::new(),
            suite: recipient.suite,
            recipient: recipient.public,
            config: claims::ConfigDigest([7; 32]),
            requests: vec![request(Operation::Renew, "db")],
            known_checkpoint_size: 0,
        };
        let transcript = message.transcript(setup.identity(), challenge.nonce, sha256).encode();
        message.evidence = guest.attest(&ReportData(crypto::sha512(&[&transcript]))).unwrap();
        exchange.release(&message)
    };
    const KNOWN: &str = "simulated guest image 1";
    // What no policy grants anything is not remembered.
    let unknown = launch("another image", 9, &keys);
    assert_eq!(ask(exchange, &unknown).codes(), [Some("policy-denied".to_owned())]);
    let (first, second) = (launch(KNOWN, 3, &keys), launch(KNOWN, 4, &keys));
    assert_eq!(ask(exchange, &first).codes(), [None]);
    assert_eq!(ask(exchange, &second).codes(), [None]);
    assert_eq!(ask(exchange, &first).problem(), ProblemCode::EvidenceRefused);
    assert_eq!(ask(exchange, &unknown).codes(), [Some("policy-denied".to_owned())]);
    // Another machine's key has a past of its own.
    let other = launch(KNOWN, 1, &Arc::new(KeyPair::generate().unwrap()));
    assert_eq!(ask(exchange, &other).codes(), [None]);
    // The counters outlive the broker.
    setup.reconfigure(str::to_owned);
    let exchange = &mut Exchange::with(&setup.url());
    assert_eq!(ask(exchange, &first).problem(), ProblemCode::EvidenceRefused);
    assert_eq!(ask(exchange, &second).codes(), [None]);
}

#[test]
fn an_enrolment_that_is_not_whole_leaves_nothing_behind() {
    let setup = Setup::up();
    let machine = Machine::new(&setup);
    let exchange = &mut Exchange::with(&setup.url());
    let refused = |exchange: &mut Exchange, request: &EnrolRequest| {
        exchange.post(ENROL_PATH, &wire::encode(request).unwrap()).problem()
    };
    let good = machine.enrol_request();
    let other = Machine {
        host: SimHost::generate(Product::Genoa, UnixTime(1_790_000_000)).unwrap(),
        vtpm: VTpm::generate().unwrap(),
    };
    let unknown_root = EnrolRequest { certificates: other.enrol_request().certificates, ..good.clone() };
    assert_eq!(refused(exchange, &unknown_root), ProblemCode::EnrolmentRefused);
    let other_ek = EnrolRequest { ek: other.enrol_request().ek, ..good.clone() };
    assert_eq!(refused(exchange, &other_ek), ProblemCode::EnrolmentRefused);
    let no_ak = EnrolRequest { ak: good.ek.clone(), ..good.clone() };
    assert_eq!(refused(exchange, &no_ak), ProblemCode::EnrolmentRefused);

    let (challenge, secret) = machine.challenge(exchange);
    let prove = |exchange: &mut Exchange, token: &[u8], secret: &[u8]| {
        let proof = EnrolProof { token: token.to_vec(), secret: secret.to_vec() };
        exchange.post(ENROL_PROOF_PATH, &wire::encode(&proof).unwrap())
    };
    assert_eq!(prove(exchange, &challenge.token, &[0; 32]).problem(), ProblemCode::EnrolmentRefused);
    let mut forged = challenge.token.clone();
    forged[40] ^= 1;
    assert_eq!(prove(exchange, &forged, &secret).problem(), ProblemCode::EnrolmentRefused);
    assert_eq!(listed(&setup).lines().count(), 1, "the heading alone");
    prove(exchange, &challenge.token, &secret).ok().unwrap();
    prove(exchange, &challenge.token, &secret).ok().unwrap();
    assert_eq!(listed(&setup).lines().count(), 2, "the same key twice is one key");
    let run = setup.keyfast(&["audit", "verify"]).success();
    assert!(run.stdout.contains("verified"), "{run}");

    let text = listed(&setup);
    let name = text.split_whitespace().next_back().unwrap();
    setup.keyfast(&["attestation-keys", "withdraw", name]).success();
    assert_eq!(prove(exchange, &challenge.token, &secret).problem(), ProblemCode::EnrolmentRefused);
    let (ak, ek) = (setup.path("ak.pub"), setup.path("ek.pub"));
    std::fs::write(&ak, &good.ak).unwrap();
    std::fs::write(&ek, &good.ek).unwrap();
    let by_operator = |file: &std::path::Path| {
        setup.keyfast(&["attestation-keys", "enrol", "--simulation", file.to_str().unwrap()])
    };
    let run = by_operator(&ek);
    let why = "keyfast: the broker refused: the attestation key is not `sign`: expected it to be";
    run.fails(3, why);
    by_operator(&ak).success();
    let back = listed(&setup);
    assert!(back.contains("enrolled  simulated  believed") && back.contains(name), "{back}");
}

#[test]
fn many_may_enrol_at_once_and_a_tpm_keeps_its_newest_eight_keys() {
    let setup = Setup::up();
    let mut machine = Machine::new(&setup);
    for number in 0..10_u32 {
        // Another bit that is nothing to quotes makes another Name.
        let bits = (number & 3) << 6 | (number >> 2) << 10;
        machine.vtpm.ak_spec.attributes = 0x0005_0032 | bits;
        let (challenge, secret) = machine.challenge(&mut Exchange::with(&setup.url()));
        let proof = wire::encode(&EnrolProof { token: challenge.token, secret }).unwrap();
        let post = || Exchange::with(&setup.url()).post(ENROL_PROOF_PATH, &proof).ok().unwrap();
        let both = thread::scope(|scope| [scope.spawn(post), scope.spawn(post)].map(|t| t.join().unwrap()));
        assert_eq!(both[0], both[1]);
    }
    let listed = listed(&setup);
    let state = |word: &str| listed.lines().filter(|line| line.contains(word)).count();
    assert_eq!((state("believed"), state("withdrawn")), (8, 2), "{listed}");
}

#[test]
fn a_tpm_keeps_no_more_keys_for_proving_many_at_once() {
    let setup = Setup::up();
    let mut machine = Machine::new(&setup);
    let proofs: Vec<Vec<u8>> = (0..16_u32)
        .map(|number| {
            machine.vtpm.ak_spec.attributes = 0x0005_0032 | (number & 3) << 6 | (number >> 2) << 10;
            let (challenge, secret) = machine.challenge(&mut Exchange::with(&setup.url()));
            wire::encode(&EnrolProof { token: challenge.token, secret }).unwrap()
        })
        .collect();
    let (start, url) = (Barrier::new(proofs.len()), setup.url());
    thread::scope(|scope| {
        for proof in &proofs {
            let start = &start;
            let mut exchange = Exchange::with(&url);
            scope.spawn(move || {
                start.wait();
                exchange.post(ENROL_PROOF_PATH, proof).ok().unwrap()
            });
        }
    });
    let listed = listed(&setup);
    let state = |word: &str| listed.lines().filter(|line| line.contains(word)).count();
    assert_eq!((state("believed"), state("withdrawn")), (8, 8), "{listed}");
}
