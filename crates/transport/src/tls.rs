//! TLS 1.3 and nothing older (RFC 8446), X25519MLKEM768 first (draft-ietf-tls-ecdhe-mlkem), through `rustls` with
//! AWS-LC. Public web servers, whose answers are not believed, are also asked over TLS 1.2.
//!
//! No session is resumed: guests come once and keep their connection, and a resumed session would show a key that
//! was not proved anew.

use std::sync::Arc;

use claims::Sha256Digest;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};

use crate::{NoAuthorities, ServerConfigError};

/// A server's configuration: TLS 1.3, `http/1.1`, no session tickets, no client certificates.
///
/// `chain` holds certificates in DER, the leaf first; `key_pkcs8` the leaf's private key, PKCS #8 in DER.
///
/// # Errors
/// [`ServerConfigError`]: no certificate, an unreadable one, an unusable key, or a key of another certificate.
pub fn server_config(chain: &[Vec<u8>], key_pkcs8: &[u8]) -> Result<Arc<ServerConfig>, ServerConfigError> {
    let leaf = chain.first().ok_or(ServerConfigError::NoCertificate)?;
    spki_sha256(leaf).map_err(ServerConfigError::Certificate)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key_pkcs8));
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|_| ServerConfigError::Key)?;
    let certified = CertifiedKey::new(chain.iter().cloned().map(CertificateDer::from).collect(), key);
    certified.keys_match().map_err(|_| ServerConfigError::Mismatch)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(ServerConfigError::Library)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// SHA-256 of a certificate's SubjectPublicKeyInfo in DER: what statements and [`crate::Pins`] name a TLS key by.
///
/// # Errors
/// rustls' error if `certificate` is no X.509 certificate in DER.
pub fn spki_sha256(certificate: &[u8]) -> Result<Sha256Digest, rustls::Error> {
    let parsed = CertificateDer::from(certificate);
    let parsed = ParsedCertificate::try_from(&parsed)?;
    Ok(Sha256Digest(crypto::sha256(&[&parsed.subject_public_key_info()])))
}

/// A client's configuration: TLS 1.3, `http/1.1`, no resumption, [`ProvesKey`] instead of a CA.
pub(crate) fn client_config() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = provider();
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ProvesKey(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// A client's configuration for public web servers: TLS 1.3 or 1.2, `http/1.1`, the system's authorities.
pub(crate) fn web_config() -> Result<Arc<ClientConfig>, NoAuthorities> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _unusable) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let reason = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
        return Err(NoAuthorities { reason });
    }
    let config = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13, &TLS12]);
    let config = config.map_err(|e| NoAuthorities { reason: e.to_string() })?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// Demands that the server holds the key of a readable certificate, and nothing of the certificate itself: no
/// name, no date, no issuer. Whose key it is, the caller finds out from the broker's signed statement.
#[derive(Debug)]
struct ProvesKey(Arc<CryptoProvider>);

impl ServerCertVerifier for ProvesKey {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        spki_sha256(leaf).map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::PeerIncompatible(rustls::PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let kx_groups = vec![X25519MLKEM768, X25519, SECP384R1, SECP256R1];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}

const ALPN: &[u8] = b"http/1.1";
