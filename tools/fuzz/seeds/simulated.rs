//! Seeds made on the spot: a simulated host's evidence and certificates, images, an encrypted file, a log.

use attester::activate::Credential;
use attester::codec::{Answer, Request};
use claims::snp::Product;
use claims::{EvidenceKind, ReportData, UnixTime};
use crypto::Ed25519SigningKey;
use envelope::{Effort, Options, Sink, Source, Wrapping, WrappingKey};
use keys::Descriptor;
use serde_json::json;
use simtee::vtpm::{Quote, VTpm, evidence as parts, log::BootSpec};
use simtee::{Guest, GuestSpec, SimHost};
use tlog::note::Signer;
use tlog::{Bundle, Checkpoint, Frontier, Hash, encode_hashes, leaf_hash};
use wire::{Problem, ProblemCode};

use crate::Corpus;
use crate::firmware::Firmware;
use crate::image::Image;

pub(crate) fn put_all(corpus: &Corpus) {
    let host = SimHost::generate(Product::Genoa, UnixTime(fuzz::NOW.0 - 86_400)).unwrap();
    let guest = host.launch(&GuestSpec::new(Product::Genoa, "web")).unwrap();
    let evidence = guest.attest(&ReportData([7; 64])).unwrap();
    corpus.put("snp_evidence", "simulated", &evidence);
    let provider =
        host.launch(&GuestSpec::new(Product::Genoa, "web").at_provider("CN=cc-us-east-2")).unwrap();
    corpus.put("snp_evidence", "simulated-vlek", &provider.attest(&ReportData([7; 64])).unwrap());
    let chain = [guest.chain().vek.clone(), host.ask_der().to_vec(), host.ark_der().to_vec()];
    for target in ["certificates", "chain", "endorsement_key"] {
        corpus.put(target, "simulated", endorsements::to_pem(&chain).as_bytes());
        corpus.put(target, "simulated-der", &chain[0]);
    }
    let [vcek, ask, ark] = &chain;
    let pem = |certificates: &[&Vec<u8>]| {
        endorsements::to_pem(&certificates.iter().map(|der| (*der).clone()).collect::<Vec<_>>())
    };
    let thim = json!({ "vcekCert": pem(&[vcek]), "tcbm": "DB18", "certificateChain": pem(&[ask, ark]) });
    corpus.put("thim", "simulated", thim.to_string().as_bytes());
    corpus.put("crl", "simulated", &host.sign_crl(&host.crl_spec(fuzz::NOW)).unwrap());
    vtpm(corpus, &guest);
    images(corpus);
    frames(corpus, &evidence);
    descriptor(corpus);
    log(corpus);
    envelope(corpus);
}

fn vtpm(corpus: &Corpus, guest: &Guest) {
    let mut vtpm = VTpm::generate().unwrap();
    vtpm.boot(&BootSpec::new("web"));
    let quote = vtpm.quote(&vtpm.quote_spec(&[7; 32], 0xffff).unwrap(), 0xffff).unwrap();
    let (ak, ek) = (vtpm.ak_public().unwrap(), vtpm.ek_public().unwrap());
    let Quote { attest, signature, pcrs, log } = &quote;
    for (target, bytes) in [
        ("attest", attest),
        ("signature", signature),
        ("pcr_values", pcrs),
        ("public", &ak),
        ("event_log", log),
        ("boot_facts", log),
    ] {
        corpus.put(target, "simulated", bytes);
    }
    corpus.put("public", "simulated-ek", &ek);
    corpus.put("tpm_evidence", "simulated", &parts::tpm(&ak, &quote));
    let runtime = parts::runtime_data(&vtpm, "baefd3e1-184b-4c4c-ab88-0bdad260505f").unwrap();
    corpus.put("runtime_data", "simulated", runtime.as_bytes());
    let report = guest.sign(guest.report(&parts::runtime_report_data(&runtime))).unwrap();
    let (hcl, table) = (parts::hcl(&report, &runtime), parts::certificates(guest));
    corpus.put("hcl_blob", "simulated", &hcl);
    corpus.put("azure_evidence", "simulated", &parts::azure(&hcl, &table, &quote));
    corpus.put("svsm_evidence", "simulated", &parts::svsm(&report, &table, &ek, &ak, &quote));
}

fn images(corpus: &Corpus) {
    let os_release = b"ID=debian\nVERSION_ID=12\n";
    let sections: [(&'static str, &[u8]); 5] = [
        (".osrel", os_release),
        (".cmdline", b"quiet"),
        (".linux", b"MZ kernel"),
        (".initrd", b"initrd"),
        (".sbat", b"sbat,1,SBAT Version,sbat,1,x\nsystemd-stub,1,The systemd Developers,systemd,255,x\n"),
    ];
    let file = Image::new(&sections).file();
    let list = [&[7; 16][..], &[28 + 48, 0, 48_u32].map(u32::to_le_bytes).concat(), &[9; 48]].concat();
    let lists = [list.clone(), list].concat();
    corpus.put("signature_lists", "two", &lists);
    corpus.put("database_entries", "two", &lists);
    corpus.put("pe_image", "made", &file);
    corpus.put("uki", "made", &file);
    corpus.put("ovmf", "made", &Firmware::amd_sev().image());
}

fn frames(corpus: &Corpus, evidence: &[u8]) {
    let credential = Credential { blob: vec![0, 1, 7], encrypted_seed: vec![0, 1, 7] };
    let requests =
        [Request::Attest(ReportData([7; 64])), Request::Kind, Request::Keys, Request::Activate(credential)];
    for (name, request) in ["attest", "kind", "keys", "activate"].into_iter().zip(requests) {
        corpus.put("attester_request", name, &request.encode());
    }
    let done = Answer::Done { kind: EvidenceKind::SevSnp, evidence: evidence.to_vec() };
    corpus.put("attester_answer", "done", &done.encode().unwrap());
    let secret = Answer::Secret { kind: EvidenceKind::Tpm, secret: vec![7; 32] };
    corpus.put("attester_answer", "secret", &secret.encode().unwrap());
    let problem = Problem {
        code: ProblemCode::Overloaded,
        detail: Some("busy".to_owned()),
        request_id: Some(claims::RequestId([7; 16])),
        retry_after_s: Some(2),
    };
    corpus.put("problem", "overloaded", &problem.to_json());
    let said = wire::admin::ImportSecret {
        id: "token".to_owned(),
        simulation: true,
        suite_floor: "x-wing".to_owned(),
        ring: Some("payments".to_owned()),
        region: None,
        release_policy: Some(wire::admin::ReleasePolicy { cedar: "permit".to_owned(), immutable: true }),
        tags: [("owner".to_owned(), "payments".to_owned())].into(),
    };
    corpus.put("import_secret", "all", &[&said.head().unwrap()[..], b"correct horse"].concat());
    let key = verify::challenge::ChallengeKey::new(&[8; 32]);
    let token = key.issue(claims::Nonce([3; 32]), fuzz::NOW, 60);
    corpus.put("challenge_token", "of-another-key", token.as_bytes());
}

fn descriptor(corpus: &Corpus) {
    let key = crypto::RsaPrivateKey::generate(2048).unwrap();
    let descriptor = Descriptor {
        broker: claims::BrokerId([2; 32]),
        key: "db".parse().unwrap(),
        version: claims::KeyVersion(1),
        kind: claims::KeyKind::Rsa { bits: 2048 },
        operations: vec![claims::Operation::Unwrap],
        for_simulation: true,
        public_spki: key.public().spki().to_vec(),
        statement: vec![7; 100],
    };
    corpus.put("descriptor", "made", descriptor.to_text().as_bytes());
}

fn log(corpus: &Corpus) {
    let name: tlog::KeyName = "broker.example/log".parse().unwrap();
    let signer = Signer::new(name.clone(), Ed25519SigningKey::from_seed(&[7; 32]).unwrap()).unwrap();
    corpus.put("note", "key", signer.verifier().to_string().as_bytes());
    let (mut frontier, mut bundle) = (Frontier::new(), Bundle::default());
    let entries: Vec<Vec<u8>> = (0..5_u8).map(|n| vec![n; 34]).collect();
    let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let proofs = frontier.append(&leaves);
    let checkpoint = Checkpoint { origin: name, size: frontier.size(), root: frontier.root() };
    corpus.put("checkpoint", "made", checkpoint.text().as_bytes());
    corpus.put("note", "checkpoint", &checkpoint.sign(&signer).unwrap());
    entries.iter().for_each(|entry| bundle.push(entry).unwrap());
    corpus.put("tile", "entries", &[&[4], bundle.as_bytes()].concat());
    corpus.put("tile", "hashes", &[&[4], &encode_hashes(&leaves)[..]].concat());
    for path in ["tile/0/x001/x234/067", "tile/entries/000.p/12"] {
        corpus.put("tile", &path.replace('/', "-"), path.as_bytes());
    }
    for (index, proof) in (0_u64..).zip(proofs) {
        let bytes = [&index.to_be_bytes()[..], &5_u64.to_be_bytes(), &proof.to_bytes()].concat();
        corpus.put("proof", &index.to_string(), &bytes);
    }
}

fn envelope(corpus: &Corpus) {
    let (kek, name) = (fuzz::envelope::kek().unwrap(), fuzz::envelope::key_name().unwrap());
    let wrapping = [Wrapping { name, key: WrappingKey::Kek(&kek) }];
    let mut message = Vec::new();
    let source = Source::stream(&b"some plaintext"[..]);
    envelope::encrypt(source, Sink::stream(&mut message), &Options::default(), &wrapping, &Effort::default())
        .unwrap();
    corpus.put("envelope_message", "made", &message);
    corpus.put("envelope_header", "made", &message);
}
