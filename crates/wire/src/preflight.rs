//! `POST /v1/preflight`: a release request as a question, and the answer, which holds no key (SPEC.md, 5.6).
//!
//! The request is a release's inside a message of its own, and its transcript has a label of its own: neither can be
//! taken for the other. The answer is words. It has no field that could hold a key.

use claims::tpm::{Digest, HashAlgorithm};
use claims::{BrokerId, KeyVersion, MAX_REQUESTS, Nonce, PreflightTranscript, RequestId, Sha256Digest};
use minicbor::{Decode, Encode};

use crate::{FieldError, Message, ReleaseRequest, bounds};

/// What would be decided about these requests?
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PreflightRequest {
    /// What a guest would send for a release; it keeps no checkpoint.
    #[n(0)]
    pub asked: ReleaseRequest,
    /// What it supposes of its next boot; absent to ask about the guest as it is.
    #[n(1)]
    pub prediction: Option<Prediction>,
}

/// What a guest supposes that its TPM will say after the next boot, in the place of what it says now.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Prediction {
    /// The bank that digests and values are of; not SHA-1.
    #[n(0)]
    #[cbor(with = "crate::codec::bank")]
    pub bank: HashAlgorithm,
    /// PCR values, 1 to 16, indices rising.
    #[n(1)]
    pub pcrs: Vec<PredictedPcr>,
    /// What the event log would say of another unified kernel image.
    #[n(2)]
    pub image: Option<PredictedImage>,
    /// Other contents of dbx, whole: EFI signature lists, 1 to [`Self::MAX_DBX`] bytes.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub dbx: Option<Vec<u8>>,
}

/// A PCR after the next boot.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PredictedPcr {
    /// The index, 0 to 15.
    #[n(0)]
    pub index: u8,
    /// The value, as long as the bank's digests; absent where it cannot be foreseen.
    #[n(1)]
    #[cbor(with = "crate::codec::optional_digest", has_nil)]
    pub value: Option<Digest>,
}

/// What a unified kernel image would be logged as; each digest as long as the bank's.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PredictedImage {
    /// The Authenticode digest of the file.
    #[n(0)]
    #[cbor(with = "crate::codec::digest")]
    pub application: Digest,
    /// Sections in the order in which they are measured, up to [`Self::MAX_SECTIONS`].
    #[n(1)]
    pub sections: Vec<PredictedSection>,
    /// The command line as the kernel is handed it; absent where the image does not decide it.
    #[n(2)]
    #[cbor(with = "crate::codec::optional_digest", has_nil)]
    pub command_line: Option<Digest>,
    /// The initial ramdisk; likewise.
    #[n(3)]
    #[cbor(with = "crate::codec::optional_digest", has_nil)]
    pub initrd: Option<Digest>,
}

/// One section.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PredictedSection {
    /// Its name with its dot, 1 to 64 bytes of printable ASCII.
    #[n(0)]
    pub name: String,
    /// Digest of its contents.
    #[n(1)]
    #[cbor(with = "crate::codec::digest")]
    pub digest: Digest,
}

impl PreflightRequest {
    /// The transcript that the evidence must bind; arguments are those of [`ReleaseRequest::transcript`].
    pub fn transcript(
        &self,
        broker: BrokerId,
        nonce: Nonce,
        sha256: impl Fn(&[u8]) -> Sha256Digest,
    ) -> PreflightTranscript {
        let prediction = self.prediction.as_ref().map(|prediction| prediction.digest(&sha256));
        PreflightTranscript { asked: self.asked.transcript(broker, nonce, sha256), prediction }
    }
}

impl Prediction {
    /// Most PCRs.
    pub const MAX_PCRS: usize = 16;
    /// Most bytes of a dbx; the published ones have 24 KiB, and firmware keeps rarely more than 32 KiB of a variable.
    pub const MAX_DBX: usize = 64 * 1024;

    /// SHA-256 of the prediction as it is sent: there is one way to write it.
    pub fn digest(&self, sha256: impl Fn(&[u8]) -> Sha256Digest) -> Sha256Digest {
        let mut bytes = Vec::new();
        // A vector takes every byte.
        let _infallible = minicbor::encode(self, &mut bytes);
        sha256(&bytes)
    }

    fn check(&self) -> Result<(), FieldError> {
        bounds::count("predicted pcrs", &self.pcrs, 1..=Self::MAX_PCRS)?;
        let mut least = 0;
        for PredictedPcr { index, value } in &self.pcrs {
            if *index < least || *index > 15 {
                let expected = "0 to 15, and higher than the one before";
                return Err(FieldError::Number { field: "pcr index", expected, got: (*index).into() });
            }
            least = index.saturating_add(1);
            self.fits("pcr value", value.as_ref())?;
        }
        if let Some(dbx) = &self.dbx {
            bounds::length("dbx", dbx, 1..=Self::MAX_DBX)?;
        }
        let Some(image) = &self.image else { return Ok(()) };
        self.fits("application", Some(&image.application))?;
        self.fits("command line", image.command_line.as_ref())?;
        self.fits("initial ramdisk", image.initrd.as_ref())?;
        bounds::count("sections", &image.sections, 0..=PredictedImage::MAX_SECTIONS)?;
        for section in &image.sections {
            bounds::length("section name", section.name.as_bytes(), 1..=PredictedImage::MAX_NAME)?;
            if !section.name.bytes().all(|byte| byte.is_ascii_graphic()) {
                let expected = "printable ASCII without spaces";
                return Err(FieldError::Text { field: "section name", expected });
            }
            self.fits("section", Some(&section.digest))?;
        }
        Ok(())
    }

    fn fits(&self, field: &'static str, digest: Option<&Digest>) -> Result<(), FieldError> {
        let len = self.bank.digest_len();
        digest.map_or(Ok(()), |digest| bounds::length(field, &digest.0, len..=len))
    }
}

impl PredictedImage {
    /// Most sections.
    pub const MAX_SECTIONS: usize = 32;
    /// Most bytes of a section's name.
    pub const MAX_NAME: usize = 64;
}

impl Message for PreflightRequest {
    const NAME: &'static str = "preflight request";
    /// Room for a release request and a prediction.
    const MAX_LEN: usize = ReleaseRequest::MAX_LEN + Prediction::MAX_DBX + 8 * 1024;

    fn check(&self) -> Result<(), FieldError> {
        self.asked.check()?;
        let got = self.asked.known_checkpoint_size;
        if got != 0 {
            return Err(FieldError::Number { field: "known checkpoint size", expected: "0", got });
        }
        self.prediction.iter().try_for_each(Prediction::check)
    }
}

/// One verdict for each request, in order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PreflightResponse {
    /// What to quote to an operator.
    #[n(0)]
    #[cbor(with = "crate::codec::fixed")]
    pub request_id: RequestId,
    /// The verdicts, in the order of the requests.
    #[n(1)]
    pub verdicts: Vec<Verdict>,
}

/// What would be decided.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Verdict {
    /// It would be permitted.
    #[n(0)]
    Permit(#[n(0)] WouldPermit),
    /// It would be denied.
    #[n(1)]
    Deny(#[n(0)] WouldDeny),
}

/// It would be permitted: what policy and key say. Nothing was opened, so a wrapped DEK may be another key's.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct WouldPermit {
    /// The version of the key, 1 or more.
    #[n(0)]
    #[cbor(with = "crate::codec::version")]
    pub version: KeyVersion,
    /// The rules that permit it; none where the broker does not tell.
    #[n(1)]
    pub rules: Vec<String>,
}

/// It would be denied.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct WouldDeny {
    /// As a denial of a release.
    #[n(0)]
    pub code: String,
    /// What stands in the way; none where the broker does not tell.
    #[n(1)]
    pub reasons: Vec<ToldReason>,
    /// How many more reasons there are, which did not fit.
    #[n(2)]
    pub left_out: u64,
    /// What the nearest permit lacks, in a sentence.
    #[n(3)]
    pub nearest: Option<String>,
}

/// One condition that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ToldReason {
    /// What it comes from: `lock`, `forbid`, `near-miss` or `error`.
    #[n(0)]
    pub kind: String,
    /// The rule.
    #[n(1)]
    pub rule: String,
    /// What the rule says of itself.
    #[n(2)]
    pub doc: String,
    /// The condition, as the rule spells it.
    #[n(3)]
    pub condition: String,
    /// What would have to be found.
    #[n(4)]
    pub wanted: String,
    /// What was found.
    #[n(5)]
    pub found: String,
}

impl ToldReason {
    /// Its texts.
    pub fn texts(&self) -> [&String; 6] {
        [&self.kind, &self.rule, &self.doc, &self.condition, &self.wanted, &self.found]
    }
}

impl Verdict {
    /// Most rules, or reasons.
    pub const MAX_ITEMS: usize = 64;
    /// Most bytes of a text.
    pub const MAX_TEXT: usize = 4096;
    /// Most bytes of all texts of a verdict.
    pub const MAX_TEXTS: usize = 64 * 1024;

    fn check(&self) -> Result<(), FieldError> {
        match self {
            Self::Permit(permit) => permit.check(),
            Self::Deny(deny) => deny.check(),
        }
    }
}

impl WouldPermit {
    fn check(&self) -> Result<(), FieldError> {
        if self.version.0 == 0 {
            return Err(FieldError::Number { field: "key version", expected: "1 or more", got: 0 });
        }
        bounds::count("rules", &self.rules, 0..=Verdict::MAX_ITEMS)?;
        prose(self.rules.iter())
    }
}

impl WouldDeny {
    fn check(&self) -> Result<(), FieldError> {
        bounds::code("denial code", &self.code)?;
        bounds::count("reasons", &self.reasons, 0..=Verdict::MAX_ITEMS)?;
        prose(self.reasons.iter().flat_map(ToldReason::texts).chain(&self.nearest))
    }
}

/// Texts for people: each within its bound, all of them within theirs, and nothing that moves a cursor.
fn prose<'a>(texts: impl Iterator<Item = &'a String>) -> Result<(), FieldError> {
    let mut all: usize = 0;
    for text in texts {
        bounds::length("text", text.as_bytes(), 0..=Verdict::MAX_TEXT)?;
        if text.chars().any(char::is_control) {
            return Err(FieldError::Text { field: "text", expected: "no control characters" });
        }
        all = all.saturating_add(text.len());
    }
    let (max, got) = (Verdict::MAX_TEXTS, all);
    if got > max { Err(FieldError::Length { field: "texts", min: 0, max, got }) } else { Ok(()) }
}

impl Message for PreflightResponse {
    const NAME: &'static str = "preflight response";
    /// Room for [`MAX_REQUESTS`] verdicts of the greatest length.
    const MAX_LEN: usize = 2304 * 1024;

    fn check(&self) -> Result<(), FieldError> {
        bounds::count("verdicts", &self.verdicts, 1..=MAX_REQUESTS)?;
        self.verdicts.iter().try_for_each(Verdict::check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    #[test]
    fn the_longest_verdicts_fit_the_message() {
        let text = "x".repeat(Verdict::MAX_TEXTS / Verdict::MAX_ITEMS / 8);
        let [kind, rule, doc, condition, wanted, found] = [const { String::new() }; 6].map(|_| text.clone());
        let reason = ToldReason { kind, rule, doc, condition, wanted, found };
        let deny = WouldDeny {
            code: "x".repeat(64),
            reasons: vec![reason; Verdict::MAX_ITEMS],
            left_out: u64::MAX,
            nearest: Some("x".repeat(Verdict::MAX_TEXT)),
        };
        let verdicts = vec![Verdict::Deny(deny); MAX_REQUESTS];
        let response = PreflightResponse { request_id: RequestId([7; 16]), verdicts };
        let bytes = encode(&response).unwrap();
        assert_eq!(decode::<PreflightResponse>(&bytes), Ok(response));
    }

    #[test]
    fn a_dbx_has_64_kib_and_not_one_byte_more() {
        let of = |len| {
            let pcrs = vec![PredictedPcr { index: 7, value: None }];
            let dbx = Some(vec![7; len]);
            Prediction { bank: HashAlgorithm::Sha256, pcrs, image: None, dbx }.check()
        };
        assert_eq!(of(65_536), Ok(()));
        assert_eq!(of(65_537), Err(FieldError::Length { field: "dbx", min: 1, max: 65_536, got: 65_537 }));
    }

    #[test]
    fn what_would_move_a_cursor_is_refused() {
        let permit = WouldPermit { version: KeyVersion(1), rules: vec!["a\u{1b}[2J".to_owned()] };
        let expected = "no control characters";
        assert_eq!(permit.check(), Err(FieldError::Text { field: "text", expected }));
    }
}
