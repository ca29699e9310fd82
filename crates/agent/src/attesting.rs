//! The section `[attester]` of the configuration: who is asked for evidence, and where it is.

use std::path::{Path, PathBuf};

use attester::{Choice, Places};
use serde::Deserialize;

/// The section as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Attesting {
    /// `auto`, or the name of an attester.
    #[serde(rename = "use")]
    choice: Option<String>,
    /// The socket of another process.
    socket: Option<PathBuf>,
    /// How the TPM is reached; `device:/dev/tpmrm0` if not given.
    tcti: Option<String>,
    /// The persistent handle of the attestation key; a handle of keyfast's own if not given.
    ak_handle: Option<u32>,
    /// The firmware's event log; the kernel's if not given, none if empty.
    event_log: Option<PathBuf>,
    /// The PCRs that are quoted; 0 to 15 if not given.
    pcrs: Option<Vec<u8>>,
}

impl Attesting {
    /// What is asked and where it is, with the socket relative to `base`.
    ///
    /// # Errors
    /// The field that has no value of its kind, and what is wrong.
    pub(crate) fn read(self, base: &Path) -> Result<(Choice, Places), (&'static str, String)> {
        let choice = self.choice.map_or(Ok(Choice::Auto), |name| name.parse());
        let choice = choice.map_err(|e: &str| ("attester.use", e.to_owned()))?;
        let mut places = Places::of_this_machine(self.socket.map(|path| base.join(path)));
        let tpm = &mut places.tpm;
        if let Some(tcti) = self.tcti {
            tpm.tcti = tcti.parse().map_err(|e: &str| ("attester.tcti", e.to_owned()))?;
        }
        tpm.ak_handle = self.ak_handle.unwrap_or(tpm.ak_handle);
        tpm.pcrs = self.pcrs.unwrap_or_else(|| tpm.pcrs.clone());
        if let Some(path) = self.event_log {
            tpm.event_log = (!path.as_os_str().is_empty()).then_some(path);
        }
        tpm.check().map_err(|error| ("attester", error.to_string()))?;
        Ok((choice, places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Choice, Places), (&'static str, String)> {
        toml::from_str::<Attesting>(text).unwrap().read(Path::new("/etc/keyfast"))
    }

    #[test]
    fn a_tpm_is_described_field_by_field() {
        let (choice, places) = read(
            "use = 'tpm'\ntcti = 'swtpm:host=127.0.0.1,port=2321'\nak_handle = 0x81010001\nevent_log = ''\n\
             pcrs = [4, 7, 11]",
        )
        .unwrap();
        assert_eq!(
            (choice, places.tpm.tcti.to_string()),
            (Choice::Tpm, "swtpm:host=127.0.0.1,port=2321".into())
        );
        assert_eq!((places.tpm.ak_handle, places.tpm.event_log), (0x8101_0001, None));
        assert_eq!(places.tpm.pcrs, [4, 7, 11]);
        let (choice, places) = read("socket = 'a.sock'\nevent_log = '/log'").unwrap();
        assert_eq!((choice, places.socket), (Choice::Auto, Some("/etc/keyfast/a.sock".into())));
        assert_eq!(places.tpm.event_log, Some("/log".into()));
    }

    #[test]
    fn wrong_values_are_named() {
        for (text, field) in [
            ("use = 'tpm0'", "attester.use"),
            ("tcti = 'tabrmd'", "attester.tcti"),
            ("ak_handle = 1", "attester"),
            ("pcrs = [24]", "attester"),
        ] {
            assert_eq!(read(text).unwrap_err().0, field, "{text}");
        }
    }
}
