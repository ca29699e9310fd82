//! A guest made of the agent's own protocol core, against the real broker and the real attester.

use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::session::{Knowledge, Outcome, Session, Wanted};
use attester::{Attester, SocketAttester};
use claims::{ConfigDigest, EvidenceKind, Operation, Sha256Digest, Suite, VersionSelector};
use wire::{CHALLENGE_PATH, Problem, RELEASE_PATH};

use crate::exchange::Exchange;
use crate::setup::Setup;

/// A session that came to its end.
pub struct Held {
    pub outcome: Outcome,
}

pub fn wanted(operation: Operation, key: &str) -> Wanted {
    Wanted { operation, key: key.parse().unwrap(), version: VersionSelector::Latest, unwrap: None }
}

pub fn attest(socket: &Path, report_data: &claims::ReportData) -> Vec<u8> {
    SocketAttester::connect(socket, Duration::from_secs(30)).unwrap().attest(report_data).unwrap()
}

/// One guest of a set-up.
pub struct Guest {
    pub socket: PathBuf,
    suite: Suite,
}

impl Guest {
    pub fn new(setup: &Setup, name: &str) -> Self {
        Self { socket: setup.attester(name), suite: Suite::XWing }
    }

    pub fn knowledge(&self, setup: &Setup) -> Knowledge {
        Knowledge {
            pins: vec![setup.identity()],
            config: ConfigDigest([7; 32]),
            suite: self.suite,
            evidence: EvidenceKind::SevSnp,
            witnesses: Vec::new(),
            quorum: 0,
            statement: None,
            checkpoint: None,
        }
    }

    /// Challenge, evidence, release; every receipt checked and every key opened by the agent's code.
    pub fn ask(&self, setup: &Setup, wanted: Vec<Wanted>) -> Result<Held, Problem> {
        let mut exchange = Exchange::with(&setup.url());
        self.ask_over(&mut exchange, setup, wanted)
    }

    pub fn ask_over(
        &self,
        exchange: &mut Exchange,
        setup: &Setup,
        wanted: Vec<Wanted>,
    ) -> Result<Held, Problem> {
        let session = Session::new(self.knowledge(setup), wanted);
        let challenge = exchange.post(CHALLENGE_PATH, &session.challenge_request().unwrap()).ok()?;
        let attesting = session.on_challenge(&challenge, exchange.peer_key()).unwrap();
        let evidence = attest(&self.socket, &attesting.report_data());
        let (request, awaiting) = attesting.with_evidence(evidence).unwrap();
        let response = exchange.post(RELEASE_PATH, &request).ok()?;
        Ok(Held { outcome: awaiting.on_answer(&response).unwrap() })
    }
}

pub fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(crypto::sha256(&[bytes]))
}
