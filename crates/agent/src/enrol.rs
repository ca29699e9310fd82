//! Enrolling the attestation key of this guest's TPM (`crates/wire/SPEC.md`, 5.5).
//!
//! On a connection whose server the session has identified: the keys go out, the TPM opens what comes back, and the
//! secret goes out. The TPM's certificate tells which machine this is, so nobody but the pinned broker gets it.

use attester::{Activate, Credential};
use wire::{ENROL_PATH, ENROL_PROOF_PATH, EnrolChallenge, EnrolProof, EnrolRequest, Enrolled};

use crate::session::SessionError;
use crate::shell::{Attempt, Connection};

/// Enrols the key that `tpm` has.
pub(crate) async fn enrol(client: &mut Connection, tpm: &mut dyn Activate) -> Result<Enrolled, Attempt> {
    let keys = tpm.keys()?;
    let request = EnrolRequest { ak: keys.ak, ek: keys.ek, certificates: keys.certificates };
    let challenge = client.post(ENROL_PATH, &encode(&request)?).await?;
    let challenge: EnrolChallenge = wire::decode(&challenge).map_err(SessionError::from)?;
    let (blob, encrypted_seed) = (challenge.credential, challenge.encrypted_seed);
    let secret = tpm.activate(&Credential { blob, encrypted_seed })?;
    let proof = EnrolProof { token: challenge.token, secret };
    let enrolled = client.post(ENROL_PROOF_PATH, &encode(&proof)?).await?;
    let enrolled: Enrolled = wire::decode(&enrolled).map_err(SessionError::from)?;
    tracing::info!(until = %enrolled.until, "the attestation key is enrolled");
    Ok(enrolled)
}

fn encode<M: wire::Message>(message: &M) -> Result<Vec<u8>, SessionError> {
    Ok(wire::encode(message)?)
}
