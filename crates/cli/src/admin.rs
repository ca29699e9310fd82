//! Talking to a broker's admin socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use transport::{Method, Response, UnixClient};
use wire::Problem;

use crate::dev::Layout;

/// Most bytes of an answer.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

/// Why an operator's command got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// No broker listens there.
    #[error("no broker answers on `{}`: {source}; name its socket with --admin, or run `keyfast dev up`", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: transport::ClientError,
    },
    /// Whatever listens there broke off. A broker does so at once with accounts that it does not know.
    #[error(
        "what listens on `{}` broke off: {source}; if it is a broker, look whether its `[[operator]]` names this account",
        socket.display()
    )]
    BrokeOff {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: transport::ClientError,
    },
    /// The broker refused.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// The answer makes no sense.
    #[error("the broker's answer makes no sense: {0}; are broker and keyfast of one version?")]
    Answer(String),
}

/// A broker's admin socket.
#[derive(Clone, Debug)]
pub struct Admin(PathBuf);

impl Admin {
    /// The socket that was named, else the one of the development set-up.
    pub fn new(named: Option<&Path>) -> Self {
        Self(named.map_or_else(|| Layout::from_environment().admin_socket(), Path::to_owned))
    }

    /// Fetches JSON.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        json(&self.call(Method::GET, path, "application/json", &[])?)
    }

    /// Fetches bytes as they are.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn fetch_bytes(&self, path: &str) -> Result<Vec<u8>, AdminError> {
        self.call(Method::GET, path, "application/octet-stream", &[])
    }

    /// Sends JSON, or nothing, and reads JSON back.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn send<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, AdminError> {
        let body = serde_json::to_vec(body).map_err(|e| AdminError::Answer(e.to_string()))?;
        json(&self.call(Method::POST, path, "application/json", &body)?)
    }

    /// Sends a secret, behind what is said of it, and reads JSON back.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn send_bytes<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, AdminError> {
        json(&self.call(Method::PUT, path, "application/octet-stream", body)?)
    }

    fn call(&self, method: Method, path: &str, media: &str, body: &[u8]) -> Result<Vec<u8>, AdminError> {
        let socket = || self.0.clone();
        let unreachable = |source| AdminError::Unreachable { socket: socket(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| unreachable(source.into()))?;
        let response = runtime.block_on(async {
            let mut client = UnixClient::connect(&self.0, PATIENCE).await.map_err(unreachable)?;
            let response = client.request(method, path, media, body, MAX_ANSWER).await;
            response.map_err(|source| AdminError::BrokeOff { socket: socket(), source })
        });
        accept(response?)
    }
}

/// Whether a broker answers on this socket.
pub fn ping(socket: &Path) -> bool {
    Admin(socket.to_owned()).fetch_bytes("/admin/v1/alive").is_ok()
}

fn accept(response: Response) -> Result<Vec<u8>, AdminError> {
    if response.status == 200 {
        return Ok(response.body);
    }
    // Over this socket, unlike over the network, a problem says its whole reason.
    let text = match Problem::from_json(&response.body) {
        Ok(problem) => problem.detail.unwrap_or_else(|| problem.code.title().to_owned()),
        Err(_) => format!("status {}", response.status),
    };
    Err(AdminError::Refused(text))
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, AdminError> {
    serde_json::from_slice(body).map_err(|e| AdminError::Answer(e.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn nobody_and_somebody_who_breaks_off_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("admin.sock");
        let ask = || Admin::new(Some(&socket)).fetch_bytes("/admin/v1/alive").unwrap_err();
        assert!(matches!(ask(), AdminError::Unreachable { .. }), "{}", ask());
        let listener = UnixListener::bind(&socket).unwrap();
        let closes = std::thread::spawn(move || drop(listener.accept().unwrap()));
        let error = ask();
        assert!(matches!(error, AdminError::BrokeOff { .. }), "{error}");
        assert!(error.to_string().ends_with("look whether its `[[operator]]` names this account"), "{error}");
        closes.join().unwrap();
    }
}
