//! Evidence in a file as the guest of a case, verified as `keyfast evidence verify` does: by the verifier that the broker
//! has, which says why where it refuses.
//!
//! Such evidence answered some challenge long ago. A case takes it as the answer to its own: what is tried out is what
//! policies make of such a guest. Nothing here leads to a grant, which needs evidence bound to a request.

use std::path::{Path, PathBuf};

use claims::{ClaimsRecord, UnixTime};

use super::file::VerifyCase;
use crate::evidence::{EnrolArgs, Trust, authenticate, claims_record};

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
