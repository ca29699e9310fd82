//! Messages to the broker as a test wants them, right or wrong.

use std::path::Path;
use std::time::Duration;

use claims::{
    BrokerId, ConfigDigest, EvidenceKind, Nonce, Operation, ReportData, Sha256Digest, Suite, VersionSelector,
};
use tokio::runtime::Runtime;
use transport::{Client, Method, Pins, Response};
use wire::{
    CHALLENGE_PATH, ChallengeRequest, ChallengeResponse, MEDIA_TYPE, Message, Problem, ProblemCode,
    RELEASE_PATH, ReleaseRequest, ReleaseResponse, Request,
};

use crate::guest::{attest, sha256};

/// A connection to a broker.
pub struct Exchange {
    runtime: Runtime,
    client: Client,
}

/// What came back, whatever it is.
pub struct Answer(pub Response);

impl Exchange {
    pub fn with(url: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let endpoint = url.parse().unwrap();
        let client = runtime.block_on(Client::connect(&endpoint, &Pins::unknown(), PATIENCE)).unwrap();
        Self { runtime, client }
    }

    pub fn peer_key(&self) -> Sha256Digest {
        self.client.peer_key()
    }

    pub fn send(&mut self, method: Method, path: &str, media: &str, body: &[u8]) -> Answer {
        self.try_send(method, path, media, body).unwrap()
    }

    /// As [`Self::send`], where the broker may be gone.
    pub fn try_send(
        &mut self,
        method: Method,
        path: &str,
        media: &str,
        body: &[u8],
    ) -> Result<Answer, String> {
        let request = self.client.request(method, path, media, body, ReleaseResponse::MAX_LEN);
        self.runtime.block_on(request).map(Answer).map_err(|error| error.to_string())
    }

    pub fn post(&mut self, path: &str, body: &[u8]) -> Answer {
        self.send(Method::POST, path, MEDIA_TYPE, body)
    }

    pub fn challenge(&mut self) -> ChallengeResponse {
        let body = wire::encode(&ChallengeRequest { known_statement: 0 }).unwrap();
        wire::decode(&self.post(CHALLENGE_PATH, &body).ok().unwrap()).unwrap()
    }

    pub fn release(&mut self, request: &ReleaseRequest) -> Answer {
        self.post(RELEASE_PATH, &wire::encode(request).unwrap())
    }

    /// A request that the broker would grant: genuine challenge, evidence over the very transcript.
    pub fn honest(
        &mut self,
        broker: BrokerId,
        socket: &Path,
        requests: Vec<Request>,
    ) -> (ReleaseRequest, Nonce) {
        let challenge = self.challenge();
        let (_, recipient) = crypto::hpke_generate(Suite::XWing).unwrap();
        let mut request = ReleaseRequest {
            token: challenge.token,
            kind: EvidenceKind::SevSnp,
            evidence: Vec::new(),
            suite: recipient.suite,
            recipient: recipient.public,
            config: ConfigDigest([7; 32]),
            requests,
            known_checkpoint_size: 0,
        };
        let transcript = request.transcript(broker, challenge.nonce, sha256).encode();
        request.evidence = attest(socket, &ReportData(crypto::sha512(&[&transcript])));
        (request, challenge.nonce)
    }
}

impl Answer {
    /// The body of a success, or the problem.
    pub fn ok(self) -> Result<Vec<u8>, Problem> {
        match self.0.status {
            200 => Ok(self.0.body),
            _ => Err(Problem::from_json(&self.0.body).unwrap()),
        }
    }

    /// The code of a problem whose status, media type and headers are right.
    #[track_caller]
    pub fn problem(self) -> ProblemCode {
        let Response { status, content_type, retry_after, body } = self.0;
        let problem = Problem::from_json(&body).unwrap_or_else(|e| panic!("status {status}: {e}"));
        assert_eq!(content_type.as_deref(), Some(wire::PROBLEM_MEDIA_TYPE));
        assert_eq!((status, problem.detail), (problem.code.status(), None), "a guest is told no detail");
        assert_eq!(retry_after, problem.retry_after_s.map(Duration::from_secs));
        problem.code
    }

    /// The codes of the answers in a release response: `None` where it was granted.
    #[track_caller]
    pub fn codes(self) -> Vec<Option<String>> {
        let response: ReleaseResponse = wire::decode(&self.ok().unwrap()).unwrap();
        let code = |answer| match answer {
            wire::Answer::Permit(_) => None,
            wire::Answer::Denial(denial) => Some(denial.code),
        };
        response.answers.into_iter().map(code).collect()
    }
}

pub fn request(operation: Operation, key: &str) -> Request {
    Request { operation, key: key.parse().unwrap(), version: VersionSelector::Latest, unwrap: None }
}

/// Most bytes of a message.
pub fn limit<M: Message>() -> usize {
    M::MAX_LEN
}

const PATIENCE: Duration = Duration::from_secs(60);
