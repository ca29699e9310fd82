//! The broker's CA and TLS certificate, made on first start with `rcgen`.
//!
//! Guests do not judge the certificate: they compare its key with the broker's signed statement. The CA is for
//! other clients (a browser, `curl --cacert`).

use std::path::Path;

use claims::Sha256Digest;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData};
use secret::SecretBytes;

use crate::files;
use crate::identity::{IdentityError, spki_digest};

/// A certificate chain and its key, as `transport` takes them.
pub struct TlsIdentity {
    /// Leaf, then CA, in DER.
    pub chain: Vec<Vec<u8>>,
    /// The leaf's private key, PKCS #8 in DER.
    pub private_key: SecretBytes,
    /// SHA-256 of the leaf's SubjectPublicKeyInfo.
    pub key: Sha256Digest,
}

/// Loads key and CA from the state directory, makes what is missing, and issues a certificate for `hosts`.
///
/// # Errors
/// [`IdentityError`] if a file is unreadable, too open or no key.
pub fn load_or_make(state: &Path, hosts: &[String]) -> Result<TlsIdentity, IdentityError> {
    let ca_key = key_file(&state.join("ca.key"))?;
    let tls_key = key_file(&state.join("tls.key"))?;
    let ca = ca_parameters()?;
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);
    let mut leaf = CertificateParams::new(hosts.to_vec())?;
    leaf.distinguished_name.push(DnType::CommonName, "keyfast-broker");
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&tls_key, &issuer)?;
    files::write(&state.join("ca.pem"), ca_certificate.pem().as_bytes(), 0o644)?;
    files::write(&state.join("tls.pem"), leaf.pem().as_bytes(), 0o644)?;
    Ok(TlsIdentity {
        chain: vec![leaf.der().to_vec(), ca_certificate.der().to_vec()],
        key: spki_digest(&tls_key.subject_public_key_info()),
        private_key: SecretBytes::from_vec(tls_key.serialize_der()),
    })
}

fn ca_parameters() -> Result<CertificateParams, IdentityError> {
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.distinguished_name.push(DnType::CommonName, "keyfast broker CA");
    Ok(ca)
}

/// A P-256 key in a file of mode 0600, made on first use.
fn key_file(path: &Path) -> Result<KeyPair, IdentityError> {
    let der = files::read_or_make(path, || {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        Ok::<_, IdentityError>(SecretBytes::from_vec(key.serialize_der()))
    })?;
    Ok(KeyPair::try_from(der.expose())?)
}
