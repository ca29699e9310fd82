//! The bodies of operations 3 and 4 ([`crate::codec`]): keys, credentials, secrets.
//!
//! Lengths are held against the bytes that are there before anything is copied.

use crate::activate::{
    Credential, MAX_BLOB, MAX_CERTIFICATE, MAX_CERTIFICATES, MAX_PUBLIC, MAX_SECRET, MAX_SEED, TpmKeys,
};
use crate::frame_error::FrameError;

/// Most bytes of keys.
pub(super) const MAX_KEYS: usize = 2 * MAX_PUBLIC + 1 + MAX_CERTIFICATES * (2 + MAX_CERTIFICATE);
/// Most bytes of a credential.
pub(super) const MAX_CREDENTIAL: usize = MAX_BLOB + MAX_SEED;

pub(super) fn encode_keys(keys: &TpmKeys) -> Result<Vec<u8>, FrameError> {
    let TpmKeys { ak, ek, certificates } = keys;
    let mut body = [ak.as_slice(), ek].concat();
    let count = u8::try_from(certificates.len()).ok().filter(|count| usize::from(*count) <= MAX_CERTIFICATES);
    let too_many =
        FrameError::Field { field: CERTIFICATES.0, limit: MAX_CERTIFICATES, got: certificates.len() };
    body.push(count.ok_or(too_many)?);
    for certificate in certificates {
        let too_long = CERTIFICATE.wrong(certificate.len());
        let len = u16::try_from(certificate.len()).map_err(|_| too_long)?;
        body.extend([&len.to_be_bytes()[..], certificate].concat());
    }
    // What would be refused there is refused here.
    decode_keys(&body).map(|_| body)
}

pub(super) fn decode_keys(body: &[u8]) -> Result<TpmKeys, FrameError> {
    let mut rest = body;
    let ak = AK.sized(&mut rest)?.to_vec();
    let ek = EK.sized(&mut rest)?.to_vec();
    let (&count, mut rest) = rest.split_first().ok_or(CERTIFICATES.wrong(0))?;
    if usize::from(count) > MAX_CERTIFICATES {
        return Err(CERTIFICATES.wrong(count.into()));
    }
    let certificate =
        |_| CERTIFICATE.sized(&mut rest).map(|whole| whole.get(2..).unwrap_or_default().to_vec());
    let certificates = (0..count).map(certificate).collect::<Result<_, _>>()?;
    end(rest)?;
    Ok(TpmKeys { ak, ek, certificates })
}

pub(super) fn encode_credential(credential: &Credential) -> Vec<u8> {
    [credential.blob.as_slice(), &credential.encrypted_seed].concat()
}

pub(super) fn decode_credential(body: &[u8]) -> Result<Credential, FrameError> {
    let mut rest = body;
    let blob = BLOB.sized(&mut rest)?.to_vec();
    let encrypted_seed = SEED.sized(&mut rest)?.to_vec();
    end(rest)?;
    Ok(Credential { blob, encrypted_seed })
}

pub(super) fn check_secret(body: &[u8]) -> Result<Vec<u8>, FrameError> {
    if (1..=MAX_SECRET).contains(&body.len()) { Ok(body.to_vec()) } else { Err(SECRET.wrong(body.len())) }
}

fn end(rest: &[u8]) -> Result<(), FrameError> {
    if rest.is_empty() { Ok(()) } else { Err(FrameError::Stray { got: rest.len() }) }
}

/// A part: its name, and the most that it may have.
struct Part(&'static str, usize);

impl Part {
    /// The next TPM2B, not empty, with its two bytes of length.
    fn sized<'a>(&self, bytes: &mut &'a [u8]) -> Result<&'a [u8], FrameError> {
        let len = bytes.first_chunk::<2>().ok_or(self.wrong(0))?;
        let whole = usize::from(u16::from_be_bytes(*len)).saturating_add(2);
        let found = bytes.split_at_checked(whole).filter(|_| whole > 2 && whole <= self.1);
        let (part, rest) = found.ok_or(self.wrong(whole))?;
        *bytes = rest;
        Ok(part)
    }

    fn wrong(&self, got: usize) -> FrameError {
        FrameError::Field { field: self.0, limit: self.1, got }
    }
}

const AK: Part = Part("attestation key", MAX_PUBLIC);
const EK: Part = Part("endorsement key", MAX_PUBLIC);
const CERTIFICATES: Part = Part("number of certificates", MAX_CERTIFICATES);
const CERTIFICATE: Part = Part("certificate", MAX_CERTIFICATE + 2);
const BLOB: Part = Part("credential blob", MAX_BLOB);
const SEED: Part = Part("encrypted seed", MAX_SEED);
const SECRET: Part = Part("secret", MAX_SECRET);
