//! One service on the network that hands out VCEKs, asked with patience: bounded answers, retries with backoff, and
//! silence for as long as it asks for.
//!
//! AMD answers at most once in ten seconds for the same arguments, and with 429 beyond (so other clients of it
//! document); what it says of that is believed, up to [`MAX_WAIT`].

use core::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use claims::UnixTime;
use serde_json::Value;
use transport::{Backoff, ClientError, Response, WebClient, WebUrl};

use crate::find_error::Failure;
use crate::{Authority, MAX_CERTIFICATE, VcekName, read_certificates};

/// How a service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// AMD's key distribution service, or a server with its paths.
    Kds,
    /// Azure's public cache of it, for chips of Azure's.
    AzureCache,
    /// The metadata service of an Azure machine, reached from that machine only.
    AzureThim,
}

impl Shape {
    /// Where the public service of this shape is.
    pub fn usual_url(self) -> &'static str {
        match self {
            Self::Kds => "https://kdsintf.amd.com",
            Self::AzureCache => "https://global.acccache.azure.net",
            Self::AzureThim => "http://169.254.169.254",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kds => "kds",
            Self::AzureCache => "azure-cache",
            Self::AzureThim => "azure-thim",
        })
    }
}

impl FromStr for Shape {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found =
            [Self::Kds, Self::AzureCache, Self::AzureThim].into_iter().find(|shape| shape.to_string() == s);
        found.ok_or("not a source; use kds, azure-cache or azure-thim")
    }
}

/// A service at its address.
#[derive(Debug)]
pub struct Service {
    shape: Shape,
    url: WebUrl,
    /// Until when, in seconds since 1970, it asked to be left alone.
    silent_until: AtomicU64,
}

/// What asking takes.
pub(crate) struct Asking<'a> {
    pub(crate) client: &'a WebClient,
    /// What all attempts together may take.
    pub(crate) patience: Duration,
    pub(crate) now: UnixTime,
    /// Spreads the retries of many brokers.
    pub(crate) jitter: &'a Jitter,
}

impl Service {
    /// The service of this shape at this address.
    pub fn new(shape: Shape, url: WebUrl) -> Self {
        Self { shape, url, silent_until: AtomicU64::new(0) }
    }

    /// How it is asked.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The certificate of a VCEK in DER, and what came along with it.
    pub(crate) async fn vcek(&self, name: &VcekName, asking: &Asking<'_>) -> Result<Vec<Vec<u8>>, Failure> {
        let metadata = [("metadata", "true")];
        match self.shape {
            Shape::Kds => Ok(read_certificates(&self.ask(&name.kds_path(), &[], asking).await?)?),
            Shape::AzureCache => Ok(read_certificates(&self.ask(&name.azure_path(), &[], asking).await?)?),
            Shape::AzureThim => read_thim(&self.ask(&name.thim_path(), &metadata, asking).await?),
        }
    }

    /// The intermediate and whatever comes along; only AMD's shape has it at a place of its own.
    pub(crate) async fn chain(
        &self,
        authority: Authority,
        asking: &Asking<'_>,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        match self.shape {
            Shape::Kds => Ok(read_certificates(&self.ask(&authority.kds_chain_path(), &[], asking).await?)?),
            Shape::AzureCache | Shape::AzureThim => Err(Failure::Absent),
        }
    }

    /// The revocation list beside an authority's chain, as it is sent; only AMD's shape has it.
    pub(crate) async fn crl(&self, authority: Authority, asking: &Asking<'_>) -> Result<Vec<u8>, Failure> {
        match self.shape {
            Shape::Kds => self.ask(&authority.kds_crl_path(), &[], asking).await,
            Shape::AzureCache | Shape::AzureThim => Err(Failure::Absent),
        }
    }

    /// Asks until there is an answer, within the patience.
    async fn ask(
        &self,
        path: &str,
        headers: &[(&'static str, &'static str)],
        asking: &Asking<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let silent = self.silent_until.load(Ordering::Relaxed).saturating_sub(asking.now.0);
        if silent > 0 {
            return Err(Failure::LeftAlone { wait: Duration::from_secs(silent) });
        }
        let (limit, mut last) = (asking.patience, None);
        let attempts = self.attempts(path, headers, asking, &mut last);
        match tokio::time::timeout(limit, attempts).await {
            Ok(answered) => answered,
            Err(_) => Err(last.unwrap_or(Failure::TooSlow { limit })),
        }
    }

    /// As long as it takes; `last` is what the last attempt failed with.
    async fn attempts(
        &self,
        path: &str,
        headers: &[(&'static str, &'static str)],
        asking: &Asking<'_>,
        last: &mut Option<Failure>,
    ) -> Result<Vec<u8>, Failure> {
        let mut backoff = Backoff::new(FIRST_WAIT, MAX_WAIT);
        loop {
            let answer = asking.client.fetch(&self.url, path, headers, MAX_ANSWER).await;
            let failure = match judge(answer) {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            let asked = match &failure {
                Failure::Busy { wait, .. } => Some(*wait),
                Failure::NoAnswer(error) if worth_a_retry(error) => None,
                _ => return Err(failure),
            };
            let wait = backoff.after_failure(asking.jitter.next(), asked);
            if wait >= asking.patience {
                self.fall_silent(&failure, asking.now);
                return Err(failure);
            }
            *last = Some(failure);
            tokio::time::sleep(wait).await;
        }
    }

    /// Remembers for how long the service wants to be left alone.
    fn fall_silent(&self, failure: &Failure, now: UnixTime) {
        if let Failure::Busy { wait, .. } = failure {
            self.silent_until.fetch_max(now.plus(wait.as_secs()).0, Ordering::Relaxed);
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.shape, self.url)
    }
}

fn judge(answer: Result<Response, ClientError>) -> Result<Vec<u8>, Failure> {
    let Response { status, retry_after, body, .. } =
        answer.map_err(|error| Failure::NoAnswer(Arc::new(error)))?;
    match status {
        200 => Ok(body),
        404 | 410 => Err(Failure::Absent),
        429 | 500 | 502..=504 => {
            let usual = if status == 429 { USUAL_WAIT } else { Duration::from_secs(1) };
            Err(Failure::Busy { status, wait: retry_after.unwrap_or(usual).min(MAX_WAIT) })
        }
        status => Err(Failure::Status { status }),
    }
}

/// Not where the same request must fail again.
fn worth_a_retry(error: &ClientError) -> bool {
    matches!(error, ClientError::Unreachable(_) | ClientError::Timeout { .. } | ClientError::Protocol(_))
}

/// The certificates in the document of Azure's metadata service, in DER, the VCEK's first: JSON with `vcekCert` and
/// `certificateChain`, both text as [`read_certificates`] reads it.
///
/// # Errors
/// [`Failure::Document`] for JSON of another shape, [`Failure::Contents`] for text that holds no certificates.
pub fn read_thim(body: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let expected = "expected JSON with vcekCert and certificateChain";
    let document: Value = serde_json::from_slice(body).map_err(|_| Failure::Document(expected))?;
    let text = |name| document.get(name).and_then(Value::as_str).ok_or(Failure::Document(expected));
    let mut certificates = read_certificates(text("vcekCert")?.as_bytes())?;
    certificates.extend(read_certificates(text("certificateChain")?.as_bytes())?);
    Ok(certificates)
}

/// Numbers that are spread, and no secret: splitmix64 from a seed.
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Most bytes of an answer: a chain in PEM, a revocation list.
const MAX_ANSWER: usize = 8 * MAX_CERTIFICATE;
/// The first wait before a retry is at most this.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// What AMD's 429 means where it names no time.
const USUAL_WAIT: Duration = Duration::from_secs(10);
/// The longest that a service may ask for, and the longest step of the backoff.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CertificatesError, to_pem};

    fn answer(status: u16, retry_after: Option<u64>) -> Result<Vec<u8>, Failure> {
        let retry_after = retry_after.map(Duration::from_secs);
        judge(Ok(Response { status, content_type: None, retry_after, body: vec![7] }))
    }

    #[test]
    fn an_answer_is_taken_by_its_status() {
        assert!(matches!(answer(200, None), Ok(body) if body == [7]));
        assert!(matches!(answer(404, None), Err(Failure::Absent)));
        assert!(matches!(answer(403, None), Err(Failure::Status { status: 403 })));
        assert!(matches!(answer(302, None), Err(Failure::Status { status: 302 })));
        let busy = |wait| Duration::from_secs(wait);
        assert!(
            matches!(answer(429, Some(10)), Err(Failure::Busy { status: 429, wait }) if wait == busy(10))
        );
        assert!(matches!(answer(503, None), Err(Failure::Busy { status: 503, wait }) if wait == busy(1)));
        assert!(matches!(answer(429, None), Err(Failure::Busy { wait, .. }) if wait == busy(10)));
        assert!(matches!(answer(429, Some(86_400)), Err(Failure::Busy { wait, .. }) if wait == MAX_WAIT));
    }

    #[test]
    fn azures_document_is_read_strictly() {
        let (vcek, ask) = (vec![0x30, 3, 2, 1, 1], vec![0x30, 3, 2, 1, 2]);
        let pem = |der: &Vec<u8>| to_pem(std::slice::from_ref(der)).replace('\n', "\\n");
        let document = format!(
            "{{\"vcekCert\":\"{}\",\"tcbm\":\"DB18\",\"certificateChain\":\"{}\"}}",
            pem(&vcek),
            pem(&ask)
        );
        assert_eq!(read_thim(document.as_bytes()).unwrap(), [vcek, ask]);
        for bad in ["", "[]", "{}", "{\"vcekCert\":7}"] {
            assert!(matches!(read_thim(bad.as_bytes()), Err(Failure::Document(_))), "{bad}");
        }
        let empty = "{\"vcekCert\":\"\",\"certificateChain\":\"\"}";
        assert!(matches!(read_thim(empty.as_bytes()), Err(Failure::Contents(CertificatesError::Neither))));
    }

    #[test]
    fn shapes_are_read_as_they_print() {
        for shape in [Shape::Kds, Shape::AzureCache, Shape::AzureThim] {
            assert_eq!(shape.to_string().parse(), Ok(shape));
            assert!(shape.usual_url().parse::<WebUrl>().is_ok());
        }
        assert!("amd".parse::<Shape>().is_err());
    }
}
