//! Who is accepted on the other side of a TLS connection, and what is spoken there.

use std::sync::Arc;

use crate::support::{Identity, Manner, Server};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{NamedGroup, ProtocolVersion, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use transport::{Client, ClientError, Pins, ServerConfigError, Timeouts, server_config};

#[tokio::test]
async fn a_server_is_known_by_its_key_alone() {
    let identity = Identity::new();
    let server = Server::start(identity.config(), Manner::Echo).await;
    let other = Identity::new().key();
    for pins in [Pins::unknown(), Pins::of([identity.key()]), Pins::of([other, identity.key()])] {
        let client = Client::connect(&server.endpoint, &pins, Timeouts::default()).await.unwrap();
        assert_eq!(client.peer_key(), identity.key());
    }
}

#[tokio::test]
async fn a_server_with_another_key_is_refused_before_anything_is_sent() {
    let identity = Identity::new();
    let server = Server::start(identity.config(), Manner::Echo).await;
    for pins in [Pins::of([Identity::new().key()]), Pins::of([])] {
        match Client::connect(&server.endpoint, &pins, Timeouts::default()).await {
            Err(ClientError::PinMismatch { expected, got }) => {
                assert_eq!((expected, got), (pins, identity.key()));
            }
            other => panic!("{:?}", other.err()),
        }
    }
}

#[tokio::test]
async fn a_copied_certificate_without_its_key_is_refused() {
    let (identity, thief) = (Identity::new(), Identity::new());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(thief.pkcs8.as_slice()));
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let stolen = CertifiedKey::new(identity.chain.iter().cloned().map(CertificateDer::from).collect(), key);
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(stolen)));
    let server = Server::start(Arc::new(config), Manner::Echo).await;
    let refused =
        Client::connect(&server.endpoint, &Pins::unknown(), Timeouts::default()).await.err().unwrap();
    assert_eq!(
        refused.to_string(),
        "no TLS 1.3 connection: invalid peer certificate: BadSignature",
        "{refused:?}"
    );
}

#[tokio::test]
async fn both_sides_speak_tls_1_3_with_a_post_quantum_key_exchange() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    let accept = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(Identity::new().config()).accept(stream).await.unwrap();
        let (_, session) = stream.get_ref();
        let group = session.negotiated_key_exchange_group().unwrap().name();
        (session.protocol_version().unwrap(), group, session.alpn_protocol().map(<[u8]>::to_vec))
    });
    let client = Client::connect(&endpoint, &Pins::unknown(), Timeouts::default()).await;
    assert!(client.is_ok());
    let spoken = accept.await.unwrap();
    assert_eq!(spoken, (ProtocolVersion::TLSv1_3, NamedGroup::X25519MLKEM768, Some(b"http/1.1".to_vec())));
}

#[tokio::test]
async fn a_client_of_tls_1_2_gets_a_protocol_version_alert() {
    let server = Server::start(Identity::new().config(), Manner::Echo).await;
    let mut stream = TcpStream::connect(("127.0.0.1", server.endpoint.port())).await.unwrap();
    stream.write_all(&handshake_record(1, &client_hello_1_2())).await.unwrap();
    let mut alert = [0; 7];
    stream.read_exact(&mut alert).await.unwrap();
    // RFC 8446, 6.2: record type alert, then fatal, protocol_version (70).
    assert_eq!(alert, [21, 3, 3, 0, 2, 2, 70]);
}

#[tokio::test]
async fn a_server_of_tls_1_2_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // A server hello without the extension supported_versions is one of TLS 1.2 (RFC 8446, 4.2.1).
        let mut hello = vec![3, 3];
        hello.extend([7; 32]);
        hello.extend([0, 0xc0, 0x2c, 0]);
        stream.write_all(&handshake_record(2, &hello)).await.unwrap();
        let mut rest = Vec::new();
        let _until_closed = stream.read_to_end(&mut rest).await;
    });
    let refused = Client::connect(&endpoint, &Pins::unknown(), Timeouts::default()).await.err().unwrap();
    assert_eq!(
        refused.to_string(),
        "no TLS 1.3 connection: peer is incompatible: ServerTlsVersionIsDisabledByOurConfig",
        "{refused:?}"
    );
}

#[test]
fn certificate_and_key_of_a_server_must_fit() {
    let (one, other) = (Identity::new(), Identity::new());
    assert!(matches!(server_config(&[], &one.pkcs8), Err(ServerConfigError::NoCertificate)));
    let garbage = [vec![0x30, 0]];
    assert!(matches!(server_config(&garbage, &one.pkcs8), Err(ServerConfigError::Certificate(_))));
    assert!(matches!(server_config(&one.chain, b"no key"), Err(ServerConfigError::Key)));
    assert!(matches!(server_config(&one.chain, &other.pkcs8), Err(ServerConfigError::Mismatch)));
}

/// A handshake message in one plaintext record (RFC 5246, 6.2.1 and 7.4).
fn handshake_record(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 3, 0, length + 4, kind, 0, 0, length];
    record.extend(body);
    record
}

/// Version 1.2, random, no session, one cipher suite of 1.2, no compression, extensions supported_groups and
/// signature_algorithms.
fn client_hello_1_2() -> Vec<u8> {
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2c, 1, 0]);
    hello.extend([0, 16, 0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3]);
    hello
}
