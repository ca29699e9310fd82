//! [`Places`]: where devices, files and sockets are. Nothing is opened here.

use core::fmt;
use core::str::FromStr;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::AttestError;
use crate::choose::SEV_GUEST;
use crate::configfs::CONFIGFS_REPORTS;

/// What there is to choose from.
#[derive(Clone, Debug)]
pub struct Places {
    /// The kernel's directory of report entries.
    pub reports: PathBuf,
    /// The guest device.
    pub device: PathBuf,
    /// The socket of another process, if one is configured.
    pub socket: Option<PathBuf>,
    /// The kernel's device of a service module's vTPM.
    pub service_vtpm: PathBuf,
    /// The TPM.
    pub tpm: TpmPlaces,
}

/// A TPM, and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmPlaces {
    /// How it is reached.
    pub tcti: Tcti,
    /// The persistent handle of the attestation key, 0x81000000 to 0x817fffff: made if there is none. Azure has its own.
    pub ak_handle: u32,
    /// The firmware's event log, which is sent where it is there; `None` to send none.
    pub event_log: Option<PathBuf>,
    /// The PCRs that are quoted, 0 to 23, rising.
    pub pcrs: Vec<u8>,
}

/// How a TPM is reached: a TCTI of the TSS 2.0, written as its tools write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tcti {
    /// A device: `device:/dev/tpmrm0`.
    Device(PathBuf),
    /// A `swtpm` behind TCP, for tests and development: `swtpm:host=127.0.0.1,port=2321`.
    Swtpm {
        /// Its address.
        host: IpAddr,
        /// Its port.
        port: u16,
    },
}

impl Places {
    /// The kernel's own places, and this socket.
    pub fn of_this_machine(socket: Option<PathBuf>) -> Self {
        Self {
            reports: CONFIGFS_REPORTS.into(),
            device: SEV_GUEST.into(),
            socket,
            service_vtpm: SERVICE_VTPM.into(),
            tpm: TpmPlaces::default(),
        }
    }
}

impl Default for TpmPlaces {
    /// The kernel's resource manager, a handle of our own, its event log, PCRs 0 to 15.
    fn default() -> Self {
        Self {
            tcti: Tcti::Device(TPM_DEVICE.into()),
            ak_handle: AK_HANDLE,
            event_log: Some(EVENT_LOG.into()),
            pcrs: (0..=15).collect(),
        }
    }
}

impl TpmPlaces {
    /// Checks handle and PCRs.
    ///
    /// # Errors
    /// [`AttestError::Setting`].
    pub fn check(&self) -> Result<(), AttestError> {
        let wrong = |name, expected, got| Err(AttestError::Setting { name, expected, got });
        if !(FIRST_HANDLE..=LAST_HANDLE).contains(&self.ak_handle) {
            return wrong("ak_handle", "0x81000000 to 0x817fffff", format!("{:#010x}", self.ak_handle));
        }
        let rising = self.pcrs.is_sorted_by(|a, b| a < b);
        if self.pcrs.is_empty() || !rising || self.pcrs.iter().any(|pcr| *pcr > 23) {
            return wrong("pcrs", "some of 0 to 23, rising", format!("{:?}", self.pcrs));
        }
        Ok(())
    }
}

impl Tcti {
    /// Whether there seems to be a TPM. A `swtpm` was named by somebody, and so is there.
    pub(crate) fn is_there(&self) -> bool {
        match self {
            Self::Device(path) => path.exists(),
            Self::Swtpm { .. } => true,
        }
    }
}

impl fmt::Display for Tcti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(f, "device:{}", path.display()),
            Self::Swtpm { host, port } => write!(f, "swtpm:host={host},port={port}"),
        }
    }
}

impl FromStr for Tcti {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let refusal =
            "not a way to a tpm; use device:PATH, or swtpm:host=ADDRESS,port=PORT with an ip address";
        let (name, settings) = s.split_once(':').ok_or(refusal)?;
        match name {
            "device" if settings.starts_with('/') && !settings.contains(char::is_control) => {
                Ok(Self::Device(settings.into()))
            }
            "swtpm" => {
                let (host, port) = settings.split_once(',').ok_or(refusal)?;
                let host = host.strip_prefix("host=").and_then(|host| host.parse().ok());
                let port = port.strip_prefix("port=").and_then(|port| port.parse().ok());
                host.zip(port).map(|(host, port)| Self::Swtpm { host, port }).ok_or(refusal)
            }
            _ => Err(refusal),
        }
    }
}

/// The kernel's resource manager.
const TPM_DEVICE: &str = "/dev/tpmrm0";
/// Linux 6.16, `drivers/char/tpm/tpm_svsm.c`.
const SERVICE_VTPM: &str = "/sys/bus/platform/devices/tpm-svsm";
const EVENT_LOG: &str = "/sys/kernel/security/tpm0/binary_bios_measurements";
/// Among the handles of the endorsement hierarchy (TCG Registry of Reserved TPM 2.0 Handles, 2.3.1), and nobody's: `KF`.
const AK_HANDLE: u32 = 0x8101_4b46;
const FIRST_HANDLE: u32 = 0x8100_0000;
/// The last that the owner may make persistent.
const LAST_HANDLE: u32 = 0x817f_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_a_tpm_are_read_back_and_others_refused() {
        for text in ["device:/dev/tpmrm0", "swtpm:host=127.0.0.1,port=2321", "swtpm:host=::1,port=1"] {
            assert_eq!(text.parse::<Tcti>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "device",
            "device:",
            "device:tpm0",
            "device:/dev/tpm\n0",
            "swtpm",
            "swtpm:path=/run/tpm.sock",
            "swtpm:host=localhost,port=2321",
            "swtpm:port=2321,host=127.0.0.1",
            "swtpm:host=127.0.0.1,port=70000",
            "swtpm:host=127.0.0.1,port=1,path=/x",
            "mssim:host=127.0.0.1,port=2321",
            "tabrmd",
        ] {
            assert!(text.parse::<Tcti>().unwrap_err().contains("use device:PATH"), "{text}");
        }
    }

    #[test]
    fn handles_and_pcrs_are_checked() {
        let refusal = |places: TpmPlaces| match places.check().unwrap_err() {
            AttestError::Setting { name, got, .. } => (name, got),
            other => unreachable!("{other}"),
        };
        let usual = TpmPlaces::default;
        assert!(usual().check().is_ok());
        for ak_handle in [0, 0x80ff_ffff, 0x8180_0000, u32::MAX] {
            let (name, got) = refusal(TpmPlaces { ak_handle, ..usual() });
            assert_eq!((name, got), ("ak_handle", format!("{ak_handle:#010x}")));
        }
        for pcrs in [vec![], vec![24], vec![1, 0], vec![1, 1]] {
            let got = format!("{pcrs:?}");
            assert_eq!(refusal(TpmPlaces { pcrs, ..usual() }), ("pcrs", got));
        }
    }
}
