//! attestation evidence: bytes in, typed and unverified fields out.
