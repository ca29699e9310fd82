//! Documents from web servers, with and without TLS.

use std::time::Duration;

use crate::support::{Identity, Manner, Server, serve};
use tokio::net::TcpListener;
use transport::{ClientError, WebClient, WebUrl};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server without TLS that serves one connection.
async fn plain(manner: Manner) -> WebUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { serve(listener.accept().await.unwrap().0, manner).await });
    url
}

#[tokio::test]
async fn a_document_is_asked_for_below_the_base_address() {
    let url = plain(Manner::Echo).await;
    let headers = [("metadata", "true")];
    let answer = WebClient::new(PATIENCE).fetch(&url, "/vcek/v1?x=1&y=02", &headers, 4096).await.unwrap();
    let head = String::from_utf8(answer.body).unwrap();
    let host = url.to_string().replace("http://", "host: ").replace("/base", "");
    assert!(head.starts_with("GET /base/vcek/v1?x=1&y=02 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&host) && head.contains("metadata: true\r\n"), "{head}");
    assert!(!head.contains("content-"), "{head}");
}

#[tokio::test]
async fn a_redirection_is_given_and_not_followed() {
    let moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let url = plain(Manner::Write(moved)).await;
    let answer = WebClient::new(PATIENCE).fetch(&url, "/", &[], 10).await.unwrap();
    assert_eq!((answer.status, answer.body), (302, Vec::new()));
}

#[tokio::test]
async fn an_answer_beyond_its_bound_is_refused() {
    let url = plain(Manner::Write(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n")).await;
    let refused = WebClient::new(PATIENCE).fetch(&url, "/", &[], 10).await;
    assert!(matches!(refused, Err(ClientError::TooLarge { max: 10 })), "{refused:?}");
}

#[tokio::test]
async fn a_certificate_that_no_authority_vouches_for_is_refused() {
    let server = Server::start(Identity::new().config(), Manner::Echo).await;
    let url = server.endpoint.to_string().parse().unwrap();
    let refused = WebClient::new(PATIENCE).fetch(&url, "/", &[], 10).await.unwrap_err();
    // A machine may have no authorities at all; then nothing is asked over TLS either.
    assert!(matches!(refused, ClientError::Tls(_) | ClientError::Authorities(_)), "{refused:?}");
}

#[tokio::test]
async fn a_path_that_would_break_the_request_is_refused() {
    let url = plain(Manner::Echo).await;
    let refused = WebClient::new(PATIENCE).fetch(&url, "/a b\r\nX: y", &[], 10).await;
    assert!(matches!(refused, Err(ClientError::Request(_))), "{refused:?}");
}
