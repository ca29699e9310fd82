//! The simulated host as a process: its control socket, and an evidence socket for each guest.
//!
//! It must never give out a private key, and never sign a report of one guest over another guest's socket.

use core::fmt;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use attester::{Activate, AttestError, Attester, Credential, DeadlineStream, TpmKeys};
use claims::snp::Product;
use claims::{EvidenceKind, KeyId, ReportData, UnixTime};

use crate::control::{
    GuestReply, GuestRequest, GuestStatus, KdsReply, KdsRequest, MAX_LINE, RefusedReply, Reply, Request,
    StatusReply, StoppedReply,
};
use crate::kds::Kds;
use crate::listener::Listener;
use crate::root_dir::make_private_dir;
use crate::stop::Stop;
use crate::vtpm::guest::VtpmGuest;
use crate::vtpm::{KeyPair, VTpm};
use crate::{Guest, GuestSpec, REPORT_LEN, RootDir, SimError, SimHost, flip_bit};

/// Most guests of one host.
pub const MAX_GUESTS: usize = 256;

/// A host that is ready to serve.
pub struct Server {
    host: SimHost,
    guests: Mutex<BTreeMap<KeyId, Running>>,
    // By the names of guests, which are never forgotten, so that there are no more than of these.
    vtpms: Mutex<BTreeMap<KeyId, (Arc<KeyPair>, u32)>>,
    guests_dir: PathBuf,
    stop: Stop,
    control: Listener,
    kds: Option<Kds>,
    // Last, so that the directory is free only when the sockets are gone.
    _dir: RootDir,
}

impl Server {
    /// Opens `dir`, makes or loads the host in it, and binds `control.sock`; connections wait until [`Self::run`].
    ///
    /// # Errors
    /// As [`RootDir::open`] and [`RootDir::host`]; [`SimError::Io`] if a socket cannot be bound.
    pub fn open(dir: &Path, product: Product, now: UnixTime) -> Result<Self, SimError> {
        let root = RootDir::open(dir)?;
        let host = root.host(product, now)?;
        let guests_dir = dir.join("guests");
        make_private_dir(&guests_dir)?;
        let control = Listener::bind(&dir.join("control.sock"))?;
        let stop = Stop::new().map_err(SimError::io("prepare to stop in", dir))?;
        let (guests, vtpms) = (Mutex::default(), Mutex::default());
        Ok(Self { host, guests, vtpms, guests_dir, stop, control, kds: None, _dir: root })
    }

    /// Offers a key distribution service with AMD's paths at this address; port 0 is any that is free.
    ///
    /// # Errors
    /// [`SimError::Address`] if the address cannot be bound.
    pub fn with_kds(self, address: SocketAddr, now: UnixTime) -> Result<Self, SimError> {
        let crl = self.host.sign_crl(&self.host.crl_spec(now))?;
        let kds = Kds::bind(address, crl).map_err(|source| SimError::Address { address, source })?;
        Ok(Self { kds: Some(kds), ..self })
    }

    /// Where the key distribution service is, if there is one: `http://127.0.0.1:41234`.
    pub fn kds_url(&self) -> Option<String> {
        self.kds.as_ref().map(Kds::url)
    }

    /// The host.
    pub fn host(&self) -> &SimHost {
        &self.host
    }

    /// The control socket.
    pub fn control_socket(&self) -> &Path {
        self.control.path()
    }

    /// Ends [`Self::run`] from another thread.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Serves until it is stopped; then no socket is left.
    pub fn run(self) {
        std::thread::scope(|scope| {
            if let Some(kds) = &self.kds {
                scope.spawn(|| kds.serve(&self.host, &self.stop));
            }
            self.control.serve(&self.stop, |stream| self.converse(stream));
        });
        tracing::info!("stopped");
    }

    /// Answers the requests of one connection, line by line.
    fn converse(&self, stream: UnixStream) {
        let mut stream = BufReader::new(DeadlineStream::new(stream, CONTROL_LIMIT));
        loop {
            let mut line = Vec::new();
            let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
            match stream.by_ref().take(limit).read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return tracing::warn!(%error, "a control connection broke"),
            }
            let reply = self.reply(&line);
            let stopped = matches!(reply, Reply::Stopped(_));
            let sent = send(stream.get_mut(), &reply);
            if stopped {
                self.stop.trigger();
            }
            if !line.ends_with(b"\n") || stopped || sent.is_err() {
                return;
            }
        }
    }

    fn reply(&self, line: &[u8]) -> Reply {
        if line.len() >= MAX_LINE && !line.ends_with(b"\n") {
            return refuse("malformed", &format_args!("line too long: expected at most {MAX_LINE} bytes"));
        }
        let reply = match serde_json::from_slice(line) {
            Err(error) => return refuse("malformed", &error),
            Ok(Request::Guest(guest)) => self.launch(&guest).map(Reply::Guest),
            Ok(Request::Status {}) => Ok(Reply::Status(self.status())),
            Ok(Request::Kds(kds)) => return self.kds_reply(kds),
            Ok(Request::Stop {}) => Ok(Reply::Stopped(StoppedReply { stopped: true })),
        };
        reply.unwrap_or_else(|error| match error {
            SimError::TooManyGuests { .. } => refuse("too-many-guests", &error),
            error => refuse("failed", &error),
        })
    }

    fn launch(&self, request: &GuestRequest) -> Result<GuestReply, SimError> {
        let mut spec = request.spec(self.host.product());
        // Unlike the default, a launch has an id of its own: the same name again is another launch.
        spec.report_id = crypto::random_array()?;
        if let Some(bit) = request.alter_bit {
            flip_bit(&mut [0; REPORT_LEN], bit)?;
        }
        let mut guests = self.guests();
        if guests.len() >= MAX_GUESTS && !guests.contains_key(&request.name) {
            return Err(SimError::TooManyGuests { limit: MAX_GUESTS });
        }
        let platform = self.platform(request, &spec)?;
        let GuestRequest { without_certificates, alter_bit, .. } = *request;
        let guest = AlteredGuest { platform, without_certificates, alter_bit };
        // The old guest's socket must be gone before the new one is bound in its place.
        guests.remove(&request.name);
        let listener = Listener::bind(&self.guests_dir.join(format!("{}.sock", request.name)))?;
        let reply =
            GuestReply { socket: listener.path().to_owned(), measurement: spec.measurement.to_string() };
        guests.insert(request.name.clone(), Running::start(listener, guest, reply.clone())?);
        let GuestRequest { name, kind, debug: debuggable, alter_bit, .. } = request;
        tracing::info!(guest = %name, %kind, debuggable, tcb = %spec.reported_tcb, alter_bit, "launched");
        Ok(reply)
    }

    /// The guest itself, with its vTPM if it has one.
    fn platform(&self, request: &GuestRequest, spec: &GuestSpec) -> Result<Platform, SimError> {
        let mut vtpms = self.vtpms.lock().unwrap_or_else(PoisonError::into_inner);
        let resets = vtpms.get(&request.name).map_or(1, |(_, resets)| resets.saturating_add(1));
        let Some(how) = request.vtpm_spec(resets)? else {
            return Ok(Platform::Snp(Box::new(self.host.launch(spec)?)));
        };
        let keys = match vtpms.get(&request.name) {
            Some((keys, _)) => keys.clone(),
            None => Arc::new(KeyPair::generate()?),
        };
        vtpms.insert(request.name.clone(), (keys.clone(), resets));
        let vm_id = vm_id(request.name.as_str());
        let guest = self.host.launch_with_vtpm(spec, &vm_id, VTpm::with_keys(keys), &how)?;
        Ok(Platform::Vtpm(Box::new(guest)))
    }

    fn kds_reply(&self, request: KdsRequest) -> Reply {
        let Some(kds) = &self.kds else {
            return refuse(
                "no-kds",
                &"there is no key distribution service; start keyfast-simtee with --kds",
            );
        };
        kds.turn_away(request.busy, request.retry_after_s);
        Reply::Kds(KdsReply { url: kds.url(), requests: kds.requests() })
    }

    fn status(&self) -> StatusReply {
        let guests = self.guests();
        let guests = guests.iter().map(|(name, running)| {
            let GuestReply { socket, measurement } = running.reply.clone();
            GuestStatus { name: name.to_string(), socket, measurement }
        });
        StatusReply {
            product: self.host.product().to_string(),
            created: self.host.created().to_string(),
            ark_sha256: self.host.ark_sha256().to_string(),
            guests: guests.collect(),
        }
    }

    /// The guests. A thread that panicked while it held them left them whole: each change is one call.
    fn guests(&self) -> MutexGuard<'_, BTreeMap<KeyId, Running>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({:?} at {})", self.host, self.control.path().display())
    }
}

/// A guest whose evidence socket is served by a thread; dropping it ends both.
struct Running {
    reply: GuestReply,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(listener: Listener, guest: AlteredGuest, reply: GuestReply) -> Result<Self, SimError> {
        let failed = SimError::io("serve", &reply.socket);
        let stop = Stop::new().map_err(SimError::io("serve", &reply.socket))?;
        let theirs = stop.clone();
        let serve = move || {
            listener.serve(&theirs, |stream| {
                if let Err(error) = attester::answer(stream, &mut &guest, EVIDENCE_LIMIT) {
                    tracing::warn!(socket = %listener.path().display(), %error, "no evidence given");
                }
            });
        };
        let thread = std::thread::Builder::new().name("guest".into()).spawn(serve).map_err(failed)?;
        Ok(Self { reply, stop, thread: Some(thread) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.trigger();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(socket = %self.reply.socket.display(), "the guest's thread panicked");
        }
    }
}

/// A guest, with a vTPM or without.
enum Platform {
    Snp(Box<Guest>),
    Vtpm(Box<VtpmGuest>),
}

/// A guest, a bit of whose evidence is flipped after signing if so asked, or whose certificates are left out.
struct AlteredGuest {
    platform: Platform,
    without_certificates: bool,
    alter_bit: Option<usize>,
}

impl AlteredGuest {
    fn evidence(&self, report_data: &ReportData) -> Result<Vec<u8>, SimError> {
        let mut evidence = match &self.platform {
            Platform::Snp(guest) if self.without_certificates => {
                guest.sign(guest.report(report_data))?.to_vec()
            }
            Platform::Snp(guest) => guest.attest(report_data)?,
            Platform::Vtpm(guest) => guest.attest(report_data)?,
        };
        if let Some(bit) = self.alter_bit {
            flip_bit(&mut evidence, bit)?;
        }
        Ok(evidence)
    }

    fn vtpm(&self) -> Result<&VtpmGuest, AttestError> {
        match &self.platform {
            Platform::Snp(_) => Err(AttestError::Device("the guest has no vtpm".into())),
            Platform::Vtpm(guest) => Ok(guest),
        }
    }
}

impl Attester for &AlteredGuest {
    fn kind(&self) -> EvidenceKind {
        match &self.platform {
            Platform::Snp(_) => EvidenceKind::SevSnp,
            Platform::Vtpm(guest) => guest.kind(),
        }
    }

    fn attest(&mut self, report_data: &ReportData) -> Result<Vec<u8>, AttestError> {
        self.evidence(report_data).map_err(|error| AttestError::Device(error.into()))
    }

    fn activation(&mut self) -> Result<Option<&mut dyn Activate>, AttestError> {
        Ok(match &self.platform {
            Platform::Vtpm(guest) if guest.is_enrolled() => Some(self),
            _ => None,
        })
    }
}

impl Activate for &AlteredGuest {
    fn keys(&mut self) -> Result<TpmKeys, AttestError> {
        self.vtpm()?.keys().map_err(|error| AttestError::Device(error.into()))
    }

    fn activate(&mut self, credential: &Credential) -> Result<Vec<u8>, AttestError> {
        let secret = self.vtpm()?.vtpm().activate(&credential.blob, &credential.encrypted_seed);
        secret.ok_or_else(|| AttestError::Device("the credential is for another tpm or another key".into()))
    }
}

/// The id of a guest's machine at Azure.
fn vm_id(name: &str) -> String {
    let digest = hex::encode(crypto::sha256(&[b"keyfast simulated vm id ", name.as_bytes()]));
    let mut groups = Vec::new();
    let mut rest = digest.as_str();
    for len in [8, 4, 4, 4, 12] {
        let (group, behind) = rest.split_at_checked(len).unwrap_or_default();
        groups.push(group);
        rest = behind;
    }
    groups.join("-")
}

fn refuse(code: &str, error: &dyn core::fmt::Display) -> Reply {
    tracing::warn!(code, %error, "refused a control request");
    Reply::Refused(RefusedReply { code: code.to_owned(), error: error.to_string() })
}

fn send(stream: &mut DeadlineStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// For all of one control connection.
const CONTROL_LIMIT: Duration = Duration::from_secs(5);
/// For one exchange on an evidence socket.
const EVIDENCE_LIMIT: Duration = Duration::from_secs(5);
