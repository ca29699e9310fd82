//! Which back end: the one named, or the one whose device is there.

use core::fmt;
use core::str::FromStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::configfs::{CONFIGFS_REPORTS, ConfigfsAttester};
use crate::{AttestError, Attester, SocketAttester};

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
}

/// What there is to choose from.
#[derive(Clone, Debug)]
pub struct Places {
    /// The kernel's directory of report entries.
    pub reports: PathBuf,
    /// The guest device.
    pub device: PathBuf,
    /// The socket of another process, if one is configured.
    pub socket: Option<PathBuf>,
}

impl Places {
    /// The kernel's own places, and this socket.
    pub fn of_this_machine(socket: Option<PathBuf>) -> Self {
        Self { reports: CONFIGFS_REPORTS.into(), device: SEV_GUEST.into(), socket }
    }
}

impl Choice {
    /// Every choice.
    pub const ALL: [Self; 4] = [Self::Auto, Self::ConfigfsTsm, Self::SevGuest, Self::Socket];

    /// Its name in configurations and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ConfigfsTsm => "configfs-tsm",
            Self::SevGuest => "sev-guest",
            Self::Socket => "socket",
        }
    }

    /// What `auto` stands for here: a socket that is configured, since somebody meant it; else the kernel's report
    /// files; else the guest device. Any other choice is itself.
    ///
    /// # Errors
    /// [`AttestError::NoneFound`] if nothing is there.
    pub fn resolve(self, places: &Places) -> Result<Self, AttestError> {
        let there = |path: &Path| path.exists();
        match self {
            Self::Auto if places.socket.is_some() => Ok(Self::Socket),
            Self::Auto if there(&places.reports) => Ok(Self::ConfigfsTsm),
            Self::Auto if there(&places.device) => Ok(Self::SevGuest),
            Self::Auto => {
                Err(AttestError::NoneFound { reports: places.reports.clone(), device: places.device.clone() })
            }
            named => Ok(named),
        }
    }

    /// Opens the back end; `limit` bounds each exchange with a socket.
    ///
    /// # Errors
    /// As [`Self::resolve`]; [`AttestError::NoSocket`]; whatever opening gives.
    pub fn open(self, places: &Places, limit: Duration) -> Result<Box<dyn Attester + Send>, AttestError> {
        Ok(match self.resolve(places)? {
            Self::Auto | Self::ConfigfsTsm => Box::new(ConfigfsAttester::new(&places.reports)),
            Self::SevGuest => sev_guest()?,
            Self::Socket => {
                let path = places.socket.as_deref().ok_or(AttestError::NoSocket)?;
                Box::new(SocketAttester::connect(path, limit)?)
            }
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

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Choice {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|choice| choice.name() == s);
        found.ok_or("not an attester; use auto, configfs-tsm, sev-guest or socket")
    }
}

/// The guest device.
pub(crate) const SEV_GUEST: &str = "/dev/sev-guest";

#[cfg(test)]
mod tests {
    use super::*;

    fn places(dir: &Path) -> Places {
        Places { reports: dir.join("report"), device: dir.join("sev-guest"), socket: None }
    }

    #[test]
    fn auto_takes_what_somebody_meant_and_then_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let none = Choice::Auto.resolve(&places(dir.path())).unwrap_err();
        assert!(matches!(none, AttestError::NoneFound { .. }), "{none}");
        std::fs::write(dir.path().join("sev-guest"), b"").unwrap();
        assert_eq!(Choice::Auto.resolve(&places(dir.path())).unwrap(), Choice::SevGuest);
        std::fs::create_dir(dir.path().join("report")).unwrap();
        assert_eq!(Choice::Auto.resolve(&places(dir.path())).unwrap(), Choice::ConfigfsTsm);
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

    #[test]
    fn names_are_read_back_and_others_refused() {
        for choice in Choice::ALL {
            assert_eq!(choice.name().parse::<Choice>(), Ok(choice));
        }
        assert!("tpm0".parse::<Choice>().unwrap_err().contains("use auto"));
    }
}
