//! A real broker process on the loopback address that trusts a simulated TEE host, and nobody else.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use claims::snp::Product;
use claims::{BrokerId, KeyId};
use crypto::RsaPublicKey;
use keys::Descriptor;
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use simtee::{GuestSpec, SimHost};
use transport::{Method, Response, UnixClient};
use wire::admin::{CreateKey, Key, Status};

use crate::{Failed, process, report};

/// How long the broker may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most bytes of an operator's answer.
const MAX_ANSWER: usize = 1024 * 1024;
/// The policies of the repository.
const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../attestation-policies");

/// A broker that runs. Dropped, it is stopped; its directory is the caller's to remove.
pub struct Rig {
    child: Child,
    /// Its directory.
    pub dir: PathBuf,
    /// Where guests reach it.
    pub url: String,
    /// Who it is.
    pub broker: BrokerId,
    /// Sequence number of its statement.
    pub statement: u64,
    /// The TEE host that it trusts.
    pub host: SimHost,
    admin: PathBuf,
}

impl Rig {
    /// Starts a broker in `dir`, which is empty.
    pub fn start(dir: &Path) -> Result<Self, Failed> {
        let binary = process::binary("broker", "keyfast-broker")?;
        let host = SimHost::generate(Product::Genoa, report::now())?;
        let url = format!("https://{}", configure(dir, &host)?);
        let log = std::fs::File::create(dir.join("broker.log"))?;
        let child = Command::new(binary)
            .args(["serve", "--config"])
            .arg(dir.join("broker.toml"))
            .env("KEYFAST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let admin = dir.join("broker/admin.sock");
        let mut rig =
            Self { child, dir: dir.to_owned(), url, broker: BrokerId([0; 32]), statement: 0, host, admin };
        let status = rig.wait_until_it_answers()?;
        rig.broker = status.broker.parse()?;
        rig.statement = status.statement_sequence;
        Ok(rig)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What operators see of it.
    pub fn status(&self) -> Result<Status, Failed> {
        json(&self.ask(Method::GET, "/admin/v1/status", &[])?)
    }

    /// Makes an RSA-3072 key for simulated guests that may be unwrapped with and released, and returns its public
    /// half.
    pub fn create_key(&self, id: &KeyId) -> Result<RsaPublicKey, Failed> {
        let new = CreateKey {
            id: id.to_string(),
            kind: "rsa-3072".to_owned(),
            operations: ["unwrap", "release"].map(str::to_owned).into(),
            simulation: true,
            suite_floor: "p384".to_owned(),
            ring: None,
            region: None,
            release_policy: None,
            tags: [].into(),
        };
        let _: Key = json(&self.ask(Method::POST, "/admin/v1/keys", &serde_json::to_vec(&new)?)?)?;
        let note = self.ask(Method::GET, &format!("/admin/v1/keys/{id}/descriptor"), &[])?;
        let note = String::from_utf8(note)?;
        // Our own broker on our own socket: the note's signature shows nothing new here.
        let (text, _signatures) = note.split_once("\n\n").ok_or("a descriptor without a signature")?;
        Ok(Descriptor::from_unverified_text(&format!("{text}\n"))?.public_key()?)
    }

    fn ask(&self, method: Method, path: &str, body: &[u8]) -> Result<Vec<u8>, Failed> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let Response { status, body, .. } = runtime.block_on(async {
            let mut client = UnixClient::connect(&self.admin, PATIENCE).await?;
            client.request(method, path, "application/json", body, MAX_ANSWER).await
        })?;
        if status == 200 { Ok(body) } else { Err(String::from_utf8_lossy(&body).into()) }
    }

    fn wait_until_it_answers(&mut self) -> Result<Status, Failed> {
        let begun = Instant::now();
        loop {
            match self.status() {
                Ok(status) => return Ok(status),
                Err(_) if self.child.try_wait()?.is_none() && begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) => {
                    let log = std::fs::read_to_string(self.dir.join("broker.log")).unwrap_or_default();
                    return Err(format!("the broker did not start: {error}\n{log}").into());
                }
            }
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            let _ended_already = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The development policy, with the simulated guests' image among its reference values.
pub fn policy_texts() -> Result<[(&'static str, String); 4], Failed> {
    let text = |name: &str| std::fs::read_to_string(Path::new(POLICIES).join(name));
    let image = GuestSpec::default_measurement();
    let known = format!("\n[[measurement]]\nvalue = \"{image}\"\nname = \"image\"\nstate = \"active\"\n");
    Ok([
        ("schema.cedarschema", text("schema.cedarschema")?),
        ("operators.cedar", text("operators.cedar")?),
        ("simulated-development.cedar", text("simulated-development.cedar")?),
        ("reference-values.toml", text("reference-values.toml")? + &known),
    ])
}

/// Writes everything that the broker reads, and returns the address that it will have.
fn configure(dir: &Path, host: &SimHost) -> Result<std::net::SocketAddr, Failed> {
    let policies = dir.join("policies");
    std::fs::create_dir(&policies)?;
    for (name, text) in policy_texts()? {
        std::fs::write(policies.join(name), text)?;
    }
    std::fs::write(dir.join("ark.der"), host.ark_der())?;
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let config = format!(
        "listen = \"{address}\"\nurls = [\"https://{address}\"]\nstate = \"broker\"\npolicies = \"policies\"\n\
         policy = [\"operators\", \"simulated-development\"]\n[trust]\namd = false\n[[trust.simulated]]\n\
         certificate = \"ark.der\"\nsha256 = \"{}\"\n",
        host.ark_sha256(),
    );
    std::fs::write(dir.join("broker.toml"), config)?;
    Ok(address)
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failed> {
    Ok(serde_json::from_slice(body)?)
}
