//! The control socket of `keyfast-simtee`: what can be asked, and how to ask it.
//!
//! One line of JSON asks, one line answers; several may follow each other on a connection. A line has at most
//! [`MAX_LINE`] bytes, an unknown field is refused, and the socket is open to its owner only.
//!
//! ```text
//! {"op":"guest","name":"web","debug":true,"tcb":{"snp":5}}
//! {"socket":"/run/sim/guests/web.sock","measurement":"c19d…"}
//! {"op":"guest","name":"db","kind":"svsm","vtpm":{"secure_boot":false}}
//! {"socket":"/run/sim/guests/db.sock","measurement":"4be1…"}
//! {"op":"status"}
//! {"product":"Milan","created":"2026-11-22T09:30:00Z","ark_sha256":"53bd…","guests":[…]}
//! {"op":"kds","busy":2,"retry_after_s":1}
//! {"url":"http://127.0.0.1:41234","requests":7}
//! {"op":"stop"}
//! {"stopped":true}
//! {"op":"gest"}
//! {"code":"malformed","error":"unknown variant `gest`, expected …"}
//! ```

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use attester::DeadlineStream;
use claims::snp::{Product, Tcb};
use claims::{EvidenceKind, KeyId, Measurement};
use serde::{Deserialize, Serialize};

use crate::json_text::{digest, hex_bytes, kind, name};
use crate::vtpm::guest::{Platform, VtpmSpec};
use crate::{GuestSpec, SimError};

/// Most bytes of a request, its line feed included.
pub const MAX_LINE: usize = 4 * 1024;
/// Most bytes of an answer, its line feed included.
pub const MAX_REPLY: usize = 64 * 1024;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is soon carried out")]
pub enum Request {
    /// Launch a guest, in place of the one of this name.
    Guest(GuestRequest),
    /// Say which host this is, and which guests run.
    Status {},
    /// Say where the key distribution service is, and have it turn requests away.
    Kds(KdsRequest),
    /// End the process, once the answer is sent.
    Stop {},
}

/// A guest to launch. What is left out is as [`GuestSpec::new`] has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestRequest {
    /// Its name, in the grammar of a key's name.
    #[serde(with = "name")]
    pub name: KeyId,
    /// The kind of its evidence: `sev-snp`, or `tpm`, `azure-vtpm` or `svsm` for a guest with a vTPM. The same name is
    /// the same machine: its vTPM keeps its keys for as long as the host runs, and counts its resets.
    #[serde(default = "sev_snp", with = "kind")]
    pub kind: EvidenceKind,
    /// What its vTPM saw; for guests that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vtpm: Option<VtpmChange>,
    /// Whether the host may debug it.
    #[serde(default)]
    pub debug: bool,
    /// Components of the TCB that differ, in all four TCBs of the report.
    #[serde(default)]
    pub tcb: TcbChange,
    /// MEASUREMENT, 96 hexadecimal digits.
    #[serde(default, with = "hex_bytes", skip_serializing_if = "Option::is_none")]
    pub measurement: Option<[u8; 48]>,
    /// HOST_DATA, 64 hexadecimal digits.
    #[serde(default, with = "hex_bytes", skip_serializing_if = "Option::is_none")]
    pub host_data: Option<[u8; 32]>,
    /// ID_KEY_DIGEST, 96 hexadecimal digits.
    #[serde(default, with = "hex_bytes", skip_serializing_if = "Option::is_none")]
    pub id_key_digest: Option<[u8; 48]>,
    /// AUTHOR_KEY_DIGEST, 96 hexadecimal digits.
    #[serde(default, with = "hex_bytes", skip_serializing_if = "Option::is_none")]
    pub author_key_digest: Option<[u8; 48]>,
    /// Whether a migration agent may take it away.
    #[serde(default)]
    pub migration_agent: bool,
    /// LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigations: Option<u64>,
    /// CSP_ID of the cloud provider whose VLEK signs, 1 to 128 printable ASCII characters: as
    /// [`GuestSpec::at_provider`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csp_id: Option<String>,
    /// VMPL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vmpl: Option<u32>,
    /// VERSION of the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Leave the certificates out of its evidence, as hosts do that were given none, and its vTPM's out of its keys.
    #[serde(default)]
    pub without_certificates: bool,
    /// A bit of its evidence to flip after signing: bit 0 is the lowest of the first byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alter_bit: Option<usize>,
}

/// What a vTPM saw other than a Secure Boot of the image `simulated guest image 1`, as [`crate::vtpm::log::BootSpec`]
/// makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VtpmChange {
    /// Another image: its applications, sections and initial ramdisk, and the databases of Secure Boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Whether Secure Boot was on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_boot: Option<bool>,
    /// The kernel's command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
    /// What is extended into PCRs after the boot, without a trace in the event log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extend: Vec<PcrExtend>,
    /// Leave the event log out of its evidence.
    #[serde(default)]
    pub without_log: bool,
}

/// A digest that is extended into a PCR of the SHA-256 bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcrExtend {
    /// The PCR, 0 to 23; a greater one is ignored.
    pub pcr: u8,
    /// The digest, 64 hexadecimal digits.
    #[serde(with = "digest")]
    pub digest: [u8; 32],
}

/// How the key distribution service is to behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KdsRequest {
    /// How many of the next requests get 429.
    #[serde(default)]
    pub busy: u32,
    /// How long these are told to wait, in seconds.
    #[serde(default)]
    pub retry_after_s: u64,
}

/// Components of a TCB, each to be replaced where it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcbChange {
    /// FMC; Turin only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fmc: Option<u8>,
    /// Bootloader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootloader: Option<u8>,
    /// TEE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tee: Option<u8>,
    /// SNP firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snp: Option<u8>,
    /// Microcode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microcode: Option<u8>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// The guest runs.
    Guest(GuestReply),
    /// The host and its guests.
    Status(StatusReply),
    /// The key distribution service.
    Kds(KdsReply),
    /// The process ends.
    Stopped(StoppedReply),
    /// Nothing was done. [`call`] gives this as [`CallError::Refused`].
    Refused(RefusedReply),
}

/// Where a guest attests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestReply {
    /// Its evidence socket, which speaks [`attester::codec`].
    pub socket: PathBuf,
    /// Its MEASUREMENT, 96 hexadecimal digits.
    pub measurement: String,
}

/// The host and its guests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusReply {
    /// Which product it plays.
    pub product: String,
    /// The start of its certificates' validity, RFC 3339.
    pub created: String,
    /// SHA-256 of the root's certificate, 64 hexadecimal digits.
    pub ark_sha256: String,
    /// The guests that run, by name.
    pub guests: Vec<GuestStatus>,
}

/// A guest that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestStatus {
    /// Its name.
    pub name: String,
    /// Its evidence socket.
    pub socket: PathBuf,
    /// Its MEASUREMENT, 96 hexadecimal digits.
    pub measurement: String,
}

/// The key distribution service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KdsReply {
    /// Where it is.
    pub url: String,
    /// How many requests came so far, those that were turned away too.
    pub requests: u64,
}

/// The process ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoppedReply {
    /// True.
    pub stopped: bool,
}

/// Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedReply {
    /// Why, for programs: `malformed`, `too-many-guests`, `no-kds` or `failed`.
    pub code: String,
    /// Why, for people.
    pub error: String,
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Nobody listens at the socket, or it broke or kept silent.
    #[error("cannot ask the simulated host at `{}`: {source}; is keyfast-simtee running?", path.display())]
    Unreachable {
        /// The control socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The answer is no line of this protocol.
    #[error("malformed answer of the simulated host: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The host did not do it.
    #[error("the simulated host refused ({code}): {error}")]
    Refused {
        /// [`RefusedReply::code`].
        code: String,
        /// [`RefusedReply::error`].
        error: String,
    },
}

/// Asks the host whose control socket is `socket`; ends within ten seconds.
///
/// # Errors
/// [`CallError`].
pub fn call(socket: &Path, request: &Request) -> Result<Reply, CallError> {
    let malformed = |error: serde_json::Error| CallError::Malformed { reason: error.to_string() };
    let mut line = serde_json::to_vec(request).map_err(malformed)?;
    line.push(b'\n');
    let unreachable = |source| CallError::Unreachable { path: socket.to_owned(), source };
    let bytes = converse(socket, &line).map_err(unreachable)?;
    if bytes.len() > MAX_REPLY {
        return Err(CallError::Malformed { reason: format!("expected at most {MAX_REPLY} bytes") });
    }
    match serde_json::from_slice(&bytes).map_err(malformed)? {
        Reply::Refused(RefusedReply { code, error }) => Err(CallError::Refused { code, error }),
        reply => Ok(reply),
    }
}

fn converse(socket: &Path, line: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = DeadlineStream::connect(socket, LIMIT)?;
    stream.write_all(line)?;
    stream.finish_writing()?;
    stream.read_at_most(MAX_REPLY)
}

impl GuestRequest {
    /// A guest of this name with nothing out of the ordinary.
    pub fn new(name: KeyId) -> Self {
        Self {
            name,
            kind: EvidenceKind::SevSnp,
            vtpm: None,
            debug: false,
            tcb: TcbChange::default(),
            measurement: None,
            host_data: None,
            id_key_digest: None,
            author_key_digest: None,
            migration_agent: false,
            mitigations: None,
            csp_id: None,
            vmpl: None,
            version: None,
            without_certificates: false,
            alter_bit: None,
        }
    }

    /// What to launch on a host of this product.
    pub fn spec(&self, product: Product) -> GuestSpec {
        let mut usual = GuestSpec::new(product, self.name.as_str());
        if let Some(csp_id) = &self.csp_id {
            usual = usual.at_provider(csp_id);
        }
        let tcb = self.tcb.applied_to(usual.reported_tcb);
        GuestSpec {
            measurement: self.measurement.map_or(self.usual_measurement(), Measurement),
            host_data: self.host_data.unwrap_or(usual.host_data),
            id_key_digest: self.id_key_digest.unwrap_or(usual.id_key_digest),
            vmpl: self.vmpl.unwrap_or(usual.vmpl),
            version: self.version.unwrap_or(usual.version),
            author_key_digest: self.author_key_digest,
            launch_mit_vector: self.mitigations.unwrap_or(usual.launch_mit_vector),
            current_mit_vector: self.mitigations.unwrap_or(usual.current_mit_vector),
            ..usual.debug(self.debug).migration_agent(self.migration_agent).tcb(tcb)
        }
    }
}

impl GuestRequest {
    /// What a guest of this kind launches unless told otherwise.
    fn usual_measurement(&self) -> Measurement {
        match self.kind {
            EvidenceKind::SevSnp | EvidenceKind::Tpm => GuestSpec::default_measurement(),
            EvidenceKind::AzureVtpm => GuestSpec::default_paravisor(),
            EvidenceKind::Svsm => GuestSpec::default_service_module(),
        }
    }

    /// How its vTPM boots for the `resets`th time; `None` for a guest without one.
    ///
    /// # Errors
    /// [`SimError::NoVtpm`] if something is asked of a vTPM and there is none.
    pub fn vtpm_spec(&self, resets: u32) -> Result<Option<VtpmSpec>, SimError> {
        let change = match (Platform::of(self.kind), &self.vtpm) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(SimError::NoVtpm { kind: self.kind }),
            (Some(platform), change) => (platform, change.clone().unwrap_or_default()),
        };
        let (platform, VtpmChange { image, secure_boot, command_line, extend, without_log }) = change;
        let mut spec = VtpmSpec::new(platform, image.as_deref().unwrap_or(IMAGE));
        if let Some(on) = secure_boot {
            spec.boot.secure_boot = vec![on.into()];
        }
        spec.boot.command_line = command_line.unwrap_or(spec.boot.command_line);
        spec.extend = extend.iter().map(|one| (one.pcr, one.digest)).collect();
        let (with_log, with_certificates) = (!without_log, !self.without_certificates);
        Ok(Some(VtpmSpec { with_log, with_certificates, resets, ..spec }))
    }
}

fn sev_snp() -> EvidenceKind {
    EvidenceKind::SevSnp
}

impl TcbChange {
    /// The TCB with the given components replaced.
    pub fn applied_to(self, tcb: Tcb) -> Tcb {
        Tcb {
            fmc: self.fmc.or(tcb.fmc),
            bootloader: self.bootloader.unwrap_or(tcb.bootloader),
            tee: self.tee.unwrap_or(tcb.tee),
            snp: self.snp.unwrap_or(tcb.snp),
            microcode: self.microcode.unwrap_or(tcb.microcode),
        }
    }
}

/// The image that vTPMs see unless told otherwise.
const IMAGE: &str = "simulated guest image 1";
const LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, String> {
        serde_json::from_str(line).map_err(|error| error.to_string())
    }

    #[test]
    fn requests_are_read_as_documented() {
        let Request::Guest(guest) =
            read(r#"{"op":"guest","name":"web","debug":true,"tcb":{"snp":5},"alter_bit":9}"#).unwrap()
        else {
            unreachable!()
        };
        let wanted =
            GuestRequest { debug: true, alter_bit: Some(9), ..GuestRequest::new("web".parse().unwrap()) };
        let tcb = TcbChange { snp: Some(5), ..TcbChange::default() };
        assert_eq!(guest, GuestRequest { tcb, ..wanted });
        assert_eq!(read(r#"{"op":"status"}"#), Ok(Request::Status {}));
        assert_eq!(read(r#"{"op":"stop"}"#), Ok(Request::Stop {}));
    }

    #[test]
    fn a_request_survives_its_own_writing() {
        let mut guest = GuestRequest::new("web".parse().unwrap());
        guest.measurement = Some([0xab; 48]);
        guest.host_data = Some([1; 32]);
        guest.author_key_digest = Some([2; 48]);
        (guest.migration_agent, guest.mitigations) = (true, Some(u64::MAX));
        guest.kind = EvidenceKind::Svsm;
        let extend = vec![PcrExtend { pcr: 11, digest: [7; 32] }];
        guest.vtpm = Some(VtpmChange { secure_boot: Some(false), extend, ..VtpmChange::default() });
        let request = Request::Guest(guest);
        assert_eq!(read(&serde_json::to_string(&request).unwrap()), Ok(request));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (line, reason) in [
            ("", "EOF"),
            ("[]", "missing field `op`"),
            (r#"{"op":"gest"}"#, "unknown variant `gest`"),
            (r#"{"name":"web"}"#, "missing field `op`"),
            (r#"{"op":"stop","now":true}"#, "unknown field `now`"),
            (r#"{"op":"guest"}"#, "missing field `name`"),
            (r#"{"op":"guest","name":"web","dbug":true}"#, "unknown field `dbug`"),
            (r#"{"op":"guest","name":"web","name":"db"}"#, "duplicate field `name`"),
            (r#"{"op":"guest","name":"../web"}"#, "not a name: `../web`"),
            (r#"{"op":"guest","name":"web","tcb":{"spn":5}}"#, "unknown field `spn`"),
            (r#"{"op":"guest","name":"web","tcb":{"snp":256}}"#, "expected u8"),
            (r#"{"op":"guest","name":"web","measurement":"ab"}"#, "expected 96, got 2"),
            (r#"{"op":"guest","name":"web","host_data":"zz"}"#, "expected 64, got 2"),
            (r#"{"op":"guest","name":"web","kind":"tdx"}"#, "`tdx` is not a kind of evidence"),
            (r#"{"op":"guest","name":"web","vtpm":{"secureboot":true}}"#, "unknown field `secureboot`"),
            (r#"{"op":"guest","name":"web","vtpm":{"extend":[{"pcr":256,"digest":""}]}}"#, "expected u8"),
            (r#"{"op":"guest","name":"web","vtpm":{"extend":[{"pcr":1,"digest":null}]}}"#, "expected 64"),
            (
                r#"{"op":"guest","name":"web","vtpm":{"extend":[{"pcr":1,"digest":"ab"}]}}"#,
                "expected 64, got 2",
            ),
            (r#"{"op":"status"} {}"#, "trailing characters"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
