//! `keyfast-agent decrypt` as a process, with an attester at a socket in this one.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use simtee::{Guest, GuestSpec};

use crate::rig::Rig;
use crate::{Failed, process};

/// How often the process's peak memory is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// An agent that is ready to run, again and again.
pub struct AgentRun {
    binary: PathBuf,
    config: PathBuf,
}

impl AgentRun {
    /// Writes the agent's configuration and serves evidence to it for as long as this process lives.
    pub fn prepare(rig: &Rig, dir: &Path) -> Result<Self, Failed> {
        let (config, socket) = (dir.join("agent.toml"), dir.join("attester.sock"));
        let text = format!(
            "suite = \"x-wing\"\n[broker]\nurls = [\"{}\"]\nidentity = \"{}\"\n[attester]\nsocket = \"attester.sock\"\n",
            rig.url, rig.broker,
        );
        std::fs::write(&config, text)?;
        let guest = rig.host.launch(&GuestSpec::new(rig.host.product(), "agent"))?;
        serve(UnixListener::bind(socket)?, guest);
        Ok(Self { binary: process::binary("agent", "keyfast-agent")?, config })
    }

    /// Decrypts a file to /dev/null; the process's peak memory in bytes.
    pub fn decrypt(&self, file: &Path) -> Result<u64, Failed> {
        let mut command = Command::new(&self.binary);
        let command = command.arg("decrypt").arg(file).args(["--output", "/dev/null"]);
        let mut child = command.env("KEYFAST_AGENT_CONFIG", &self.config).stdin(Stdio::null()).spawn()?;
        let mut peak = 0;
        loop {
            // The process keeps the peak itself, so the last look before its end has it but for the end's own.
            peak = process::peak_memory(child.id()).unwrap_or(peak).max(peak);
            match child.try_wait()? {
                Some(status) if status.success() => return Ok(peak),
                Some(status) => return Err(format!("keyfast-agent: {status}").into()),
                None => std::thread::sleep(LOOK),
            }
        }
    }
}

/// Answers one connection after the other on a thread of its own.
fn serve(listener: UnixListener, mut guest: Guest) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Err(error) = attester::answer(stream, &mut guest, Duration::from_secs(10)) {
                eprintln!("bench: attester: {error}");
            }
        }
    });
}
