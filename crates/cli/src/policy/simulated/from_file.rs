//! Evidence in a file as the guest of a case, verified as `keyfast evidence verify` does: by the verifier that the broker
//! has, which says why where it refuses.
//!
//! Such evidence answered some challenge long ago. A case takes it as the answer to its own: what is tried out is what
//! policies make of such a guest. Nothing here leads to a grant, which needs evidence bound to a request.

use std::path::{Path, PathBuf};

use claims::{ClaimsRecord, ConfigDigest, KeyId, Operation, RingId, Suite, UnixTime};
use policy::case::{Case, ContextJson, Expect};

use super::file::{KeyCase, RequestCase, VerifyCase};
use crate::evidence::{EnrolArgs, Failure, Trust, authenticate, claims_record};
use crate::policy::{FolderError, PolicyFailure};

/// What the guest of evidence asks for, where it is not as in a case that says nothing of it.
#[derive(Default)]
pub struct Asked {
    pub operation: Option<Operation>,
    pub key: Option<KeyId>,
    pub ring: Option<RingId>,
}

/// Evidence as a whole case: its guest asks for a key that is made for such guests, simulated or not.
///
/// # Errors
/// [`PolicyFailure::Evidence`] of evidence that is refused or cannot be judged, and [`PolicyFailure::NoCase`] of what is not
/// recognised as evidence.
pub fn guest_of_evidence(
    file: &Path,
    trust: &Trust,
    now: UnixTime,
    asked: Asked,
) -> Result<Case, PolicyFailure> {
    let authenticated = authenticate(file, trust, now).map_err(|failure| match failure {
        Failure::NotRecognised { path } => PolicyFailure::NoCase { path },
        failure => failure.into(),
    })?;
    let record = claims_record(&authenticated, ConfigDigest([0; 32]), Suite::XWing);
    let Asked { operation, key, ring } = asked;
    let usual = RequestCase::default();
    let request = RequestCase { operation: operation.unwrap_or(usual.operation), key, ..usual }.attested();
    let no_case = |why| FolderError::Case { path: file.to_owned(), source: super::malformed(why) };
    let request = request.map_err(no_case)?;
    let key = KeyCase { simulation: record.simulated, ring: ring.unwrap_or_default(), ..KeyCase::default() };
    Ok(Case {
        about: String::new(),
        circumstances: ContextJson::default().at(now),
        key: key.attributes(&request),
        record,
        request,
        // Nothing is expected of it.
        expect: Expect::Permit(Vec::new()),
    })
}

/// What the verifier makes of the evidence in this file, named from the case's folder.
pub(super) fn record(
    folder: &Path,
    file: &Path,
    verify: VerifyCase,
    now: UnixTime,
) -> Result<ClaimsRecord, String> {
    let named = |path: PathBuf| folder.join(path);
    let trust = Trust {
        certs: verify.certs.map(named),
        crl: verify.crl.into_iter().map(named).collect(),
        require_crl: verify.require_crl,
        simulated_root: verify.simulated_root.map(named),
        accept_version_4: verify.accept_version_4,
        kind: verify.kind,
        enrol: EnrolArgs {
            ak_public: verify.ak_public.into_iter().map(named).collect(),
            trust_ak: verify.trust_ak,
            ek_public: verify.ek_public.map(named),
        },
    };
    let file = folder.join(file);
    let authenticated = authenticate(&file, &trust, now).map_err(|why| why.to_string())?;
    Ok(claims_record(&authenticated, claims::ConfigDigest(verify.config.0), verify.suite))
}
