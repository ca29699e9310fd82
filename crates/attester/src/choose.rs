//! Which back end: the one named, or the one whose device is there.

use core::fmt;
use core::str::FromStr;
use std::time::Duration;

use crate::{AttestError, Attester, ConfigfsAttester, Places, SocketAttester};

/// A back end by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The first of the others that is there, in their order.
    #[default]
    Auto,
    /// The kernel's report files.
    ConfigfsTsm,
    /// The guest device.
    SevGuest,
    /// Another process, over a Unix socket.
    Socket,
    /// A TPM's quotes.
    Tpm,
    /// An Azure guest's vTPM and the report that binds it.
    Azure,
    /// A service module's vTPM and the report that binds it.
    Svsm,
}

impl Choice {
    /// Every choice.
    pub const ALL: [Self; 7] =
        [Self::Auto, Self::ConfigfsTsm, Self::SevGuest, Self::Socket, Self::Tpm, Self::Azure, Self::Svsm];

    /// Its name in configurations and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ConfigfsTsm => "configfs-tsm",
            Self::SevGuest => "sev-guest",
            Self::Socket => "socket",
            Self::Tpm => "tpm",
            Self::Azure => "azure",
            Self::Svsm => "svsm",
        }
    }

    /// What `auto` stands for here, the first that is there of:
    ///
    /// 1. a socket that is configured, since somebody meant it;
    /// 2. a service module's vTPM, and 3. Azure's: both prove what a plain report proves, and the boot besides; on Azure
    ///    the guest cannot ask for a report of its own at all;
    /// 4. the kernel's report files, which bring certificates along, and 5. the guest device, which does not;
    /// 6. a TPM alone: it is outside any confidential context, as far as a broker can tell.
    ///
    /// Where TPMs are not part of this build, they are passed over. Any other choice is itself. To look for Azure's index
    /// a TPM is asked, for two seconds at most.
    ///
    /// # Errors
    /// [`AttestError::NoneFound`] if nothing is there.
    pub fn resolve(self, places: &Places) -> Result<Self, AttestError> {
        if self != Self::Auto {
            return Ok(self);
        }
        let order = [Self::Socket, Self::Svsm, Self::Azure, Self::ConfigfsTsm, Self::SevGuest, Self::Tpm];
        let found = order.into_iter().find(|choice| choice.is_there(places));
        found.ok_or_else(|| AttestError::NoneFound {
            reports: places.reports.clone(),
            device: places.device.clone(),
            tpm: places.tpm.tcti.clone(),
        })
    }

    fn is_there(self, places: &Places) -> bool {
        let tpm = cfg!(feature = "tpm") && places.tpm.tcti.is_there();
        match self {
            Self::Auto => false,
            Self::Socket => places.socket.is_some(),
            Self::Svsm => tpm && places.service_vtpm.exists() && places.reports.exists(),
            Self::Azure => tpm && is_azure(places),
            Self::ConfigfsTsm => places.reports.exists(),
            Self::SevGuest => places.device.exists(),
            Self::Tpm => tpm,
        }
    }

    /// Opens the back end; `limit` bounds each exchange with a socket or a TPM, but for those that make a key.
    ///
    /// # Errors
    /// As [`Self::resolve`]; [`AttestError::NoSocket`], [`AttestError::Setting`]; whatever opening gives.
    pub fn open(self, places: &Places, limit: Duration) -> Result<Box<dyn Attester + Send>, AttestError> {
        Ok(match self.resolve(places)? {
            Self::Auto | Self::ConfigfsTsm => Box::new(ConfigfsAttester::new(&places.reports)),
            Self::SevGuest => sev_guest()?,
            Self::Socket => {
                let path = places.socket.as_deref().ok_or(AttestError::NoSocket)?;
                Box::new(SocketAttester::connect(path, limit)?)
            }
            choice @ (Self::Tpm | Self::Azure | Self::Svsm) => with_tpm(choice, places, limit)?,
        })
    }
}

#[cfg(feature = "sev-guest")]
fn sev_guest() -> Result<Box<dyn Attester + Send>, AttestError> {
    Ok(Box::new(crate::SevGuestAttester::open()?))
}

#[cfg(not(feature = "sev-guest"))]
fn sev_guest() -> Result<Box<dyn Attester + Send>, AttestError> {
    Err(AttestError::NotBuilt { choice: Choice::SevGuest })
}

#[cfg(feature = "tpm")]
fn with_tpm(
    choice: Choice,
    places: &Places,
    limit: Duration,
) -> Result<Box<dyn Attester + Send>, AttestError> {
    use crate::TpmAttester;
    let tpm = places.tpm.clone();
    Ok(Box::new(match choice {
        Choice::Azure => TpmAttester::azure(tpm, limit)?,
        Choice::Svsm => TpmAttester::svsm(&places.reports, tpm, limit)?,
        _ => TpmAttester::tpm(tpm, limit)?,
    }))
}

#[cfg(not(feature = "tpm"))]
fn with_tpm(choice: Choice, _: &Places, _: Duration) -> Result<Box<dyn Attester + Send>, AttestError> {
    Err(AttestError::NotBuilt { choice })
}

#[cfg(feature = "tpm")]
fn is_azure(places: &Places) -> bool {
    crate::TpmAttester::is_azure(&places.tpm, Duration::from_secs(2))
}

#[cfg(not(feature = "tpm"))]
fn is_azure(_: &Places) -> bool {
    false
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Choice {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|choice| choice.name() == s);
        found.ok_or("not an attester; use auto, configfs-tsm, sev-guest, socket, tpm, azure or svsm")
    }
}

/// The guest device.
pub(crate) const SEV_GUEST: &str = "/dev/sev-guest";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Tcti, TpmPlaces};

    fn places(dir: &Path) -> Places {
        Places {
            reports: dir.join("report"),
            device: dir.join("sev-guest"),
            socket: None,
            service_vtpm: dir.join("tpm-svsm"),
            tpm: TpmPlaces { tcti: Tcti::Device(dir.join("tpmrm0")), ..TpmPlaces::default() },
        }
    }

    #[test]
    fn auto_takes_what_somebody_meant_and_then_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let none = Choice::Auto.resolve(&places(dir.path())).unwrap_err();
        assert!(matches!(none, AttestError::NoneFound { .. }), "{none}");
        std::fs::write(dir.path().join("tpmrm0"), b"").unwrap();
        let tpm = Choice::Auto.resolve(&places(dir.path())).ok();
        assert_eq!(tpm, cfg!(feature = "tpm").then_some(Choice::Tpm));
        std::fs::write(dir.path().join("sev-guest"), b"").unwrap();
        assert_eq!(Choice::Auto.resolve(&places(dir.path())).unwrap(), Choice::SevGuest);
        std::fs::create_dir(dir.path().join("report")).unwrap();
        assert_eq!(Choice::Auto.resolve(&places(dir.path())).unwrap(), Choice::ConfigfsTsm);
        std::fs::create_dir(dir.path().join("tpm-svsm")).unwrap();
        let service = if cfg!(feature = "tpm") { Choice::Svsm } else { Choice::ConfigfsTsm };
        assert_eq!(Choice::Auto.resolve(&places(dir.path())).unwrap(), service);
        let socket = Places { socket: Some("a.sock".into()), ..places(dir.path()) };
        assert_eq!(Choice::Auto.resolve(&socket).unwrap(), Choice::Socket);
        assert_eq!(Choice::SevGuest.resolve(&socket).unwrap(), Choice::SevGuest);
    }

    #[test]
    fn a_socket_that_is_asked_for_and_not_configured_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = Choice::Socket.open(&places(dir.path()), Duration::from_secs(1)).err().unwrap();
        assert!(matches!(error, AttestError::NoSocket), "{error}");
    }

    #[cfg(not(feature = "tpm"))]
    #[test]
    fn a_back_end_that_was_not_built_says_so() {
        let dir = tempfile::tempdir().unwrap();
        for choice in [Choice::Tpm, Choice::Azure, Choice::Svsm] {
            let error = choice.open(&places(dir.path()), Duration::from_secs(1)).err().unwrap();
            assert!(matches!(error, AttestError::NotBuilt { choice: got } if got == choice), "{error}");
        }
    }

    #[test]
    fn names_are_read_back_and_others_refused() {
        for choice in Choice::ALL {
            assert_eq!(choice.name().parse::<Choice>(), Ok(choice));
        }
        assert!("tpm0".parse::<Choice>().unwrap_err().contains("use auto"));
    }
}
