//! Where a development set-up keeps its files.

use std::path::{Path, PathBuf};

use super::DevError;

/// The directory of a development set-up: `$KEYFAST_DEV`, else `keyfast/dev` in the user's state directory.
#[derive(Clone, Debug)]
pub struct Layout(PathBuf);

impl Layout {
    /// The directory that the environment names.
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = || variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
        let default = || state().unwrap_or_else(|| PathBuf::from(".")).join("keyfast/dev");
        let dir = variable("KEYFAST_DEV").unwrap_or_else(default);
        Self(std::path::absolute(&dir).unwrap_or(dir))
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.0
    }
    /// The broker's configuration.
    pub fn broker_config(&self) -> PathBuf {
        self.0.join("broker.toml")
    }
    /// The broker's state directory.
    pub fn broker_state(&self) -> PathBuf {
        self.0.join("broker")
    }
    /// The broker's identity, as it wrote it down on its first start.
    ///
    /// # Errors
    /// [`DevError::Down`] if it has never been started.
    pub fn identity(&self) -> Result<String, DevError> {
        let text = std::fs::read_to_string(self.broker_state().join("broker-id"));
        text.map(|id| id.trim().to_owned()).map_err(|_| DevError::Down)
    }
    /// The broker's socket for operators.
    pub fn admin_socket(&self) -> PathBuf {
        self.broker_state().join("admin.sock")
    }
    /// Policies, as the broker reads them.
    pub fn policies(&self) -> PathBuf {
        self.0.join("attestation-policies")
    }
    /// The simulated TEE host's directory.
    pub fn simtee(&self) -> PathBuf {
        self.0.join("simtee")
    }
    /// The simulated TEE host's control socket.
    pub fn simtee_control(&self) -> PathBuf {
        self.simtee().join("control.sock")
    }
    /// A guest's own directory.
    pub fn guest(&self, name: &str) -> PathBuf {
        self.0.join("guests").join(name)
    }
    /// What a process of this name wrote.
    pub fn log(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.log"))
    }
    /// The process id of a process of this name.
    pub fn pid(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pid"))
    }
}
