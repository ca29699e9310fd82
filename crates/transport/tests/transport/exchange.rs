//! Requests and answers, and what becomes of them when the other side does not behave.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{Identity, Manner, Server, serve};
use tokio::net::{TcpListener, UnixListener};
use transport::{Client, ClientError, Endpoint, Method, Pins, Response, Timeouts, UnixClient};

const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(server: &Server) -> Client {
    Client::connect(&server.endpoint, &Pins::unknown(), PATIENCE).await.unwrap()
}

/// What comes of a request of at most 10 bytes of answer if the server writes `bytes`.
async fn answer_to(bytes: &'static [u8], timeouts: Timeouts) -> Result<Response, ClientError> {
    let server = Server::start(Identity::new().config(), Manner::Write(bytes)).await;
    let mut client = Client::connect(&server.endpoint, &Pins::unknown(), timeouts).await.unwrap();
    client.request(Method::GET, "/", "text/plain", b"", 10).await
}

#[tokio::test]
async fn one_handshake_serves_many_requests() {
    let server = Server::start(Identity::new().config(), Manner::Echo).await;
    let mut client = connect(&server).await;
    for path in ["/v1/a", "/v1/b", "/v1/c"] {
        let answer = client.request(Method::POST, path, "application/x", b"", 4096).await.unwrap();
        assert_eq!((answer.status, answer.content_type.as_deref()), (200, Some("text/plain")));
        let head = String::from_utf8(answer.body).unwrap();
        assert!(head.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{head}");
        let host = server.endpoint.to_string().replace("https://", "host: ");
        assert!(head.contains(&host) && head.contains("content-type: application/x"), "{head}");
    }
    assert_eq!(server.handshakes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_answer_is_taken_up_to_its_bound() {
    let exact = b"HTTP/1.1 503 Busy\r\nContent-Length: 10\r\nRetry-After: 7\r\n\r\n0123456789";
    let answer = answer_to(exact, PATIENCE.into()).await.unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(answer.body, b"0123456789");
}

#[tokio::test]
async fn an_answer_beyond_its_bound_is_refused() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n5\r\n67890\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n0123456789a",
    ] {
        let refused = answer_to(bytes, PATIENCE.into()).await;
        assert!(matches!(refused, Err(ClientError::TooLarge { max: 10 })), "{refused:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    for bytes in [&b"\0\0\0\0"[..], b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"] {
        let refused = answer_to(bytes, PATIENCE.into()).await;
        assert!(matches!(refused, Err(ClientError::Protocol(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let endless: &'static [u8] =
        Vec::leak([b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; 100_000]].concat());
    let refused = answer_to(endless, PATIENCE.into()).await;
    assert!(matches!(refused, Err(ClientError::Protocol(_))), "{refused:?}");
}

#[tokio::test]
async fn an_answer_that_stalls_times_out_at_its_step() {
    let limit = Duration::from_millis(100);
    let stalls = [
        (&b""[..], "the answer", Timeouts { answer: limit, ..PATIENCE.into() }),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n0",
            "the answer's body",
            Timeouts { body: limit, ..PATIENCE.into() },
        ),
    ];
    for (bytes, expected, timeouts) in stalls {
        match answer_to(bytes, timeouts).await {
            Err(ClientError::Timeout { step, limit: l }) => assert_eq!((step, l), (expected, limit)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_shake_hands_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    let limit = Duration::from_millis(100);
    let timeouts = Timeouts { handshake: limit, ..PATIENCE.into() };
    match Client::connect(&endpoint, &Pins::unknown(), timeouts).await.err() {
        Some(ClientError::Timeout { step, limit: l }) => assert_eq!((step, l), ("the handshake", limit)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint: Endpoint = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let refused = Client::connect(&endpoint, &Pins::unknown(), PATIENCE).await.err();
    assert!(matches!(refused, Some(ClientError::Unreachable(_))), "{refused:?}");
    let refused = UnixClient::connect("/nonexistent/socket".as_ref(), PATIENCE).await.err();
    assert!(matches!(refused, Some(ClientError::Unreachable(_))), "{refused:?}");
}

#[tokio::test]
async fn a_path_that_is_none_is_the_callers_mistake() {
    let server = Server::start(Identity::new().config(), Manner::Echo).await;
    let mut client = connect(&server).await;
    let refused = client.request(Method::GET, "/a b", "text/plain", b"", 10).await;
    assert!(matches!(refused, Err(ClientError::Request(_))), "{refused:?}");
    let refused = client.request(Method::GET, "/", "text\r\nX: y", b"", 10).await;
    assert!(matches!(refused, Err(ClientError::Request(_))), "{refused:?}");
}

#[tokio::test]
async fn a_unix_socket_carries_requests() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, Manner::Echo).await;
    });
    let mut client = UnixClient::connect(&path, PATIENCE).await.unwrap();
    for _ in 0..2 {
        let answer = client.request(Method::GET, "/admin", "application/json", b"", 4096).await.unwrap();
        let head = String::from_utf8(answer.body).unwrap();
        assert!(head.starts_with("GET /admin HTTP/1.1\r\nhost: localhost\r\n"), "{head}");
    }
}
