//! [`ConfigfsAttester`]: evidence through the kernel's report files (`configfs-tsm`, Linux 6.7 and later).
//!
//! The way of one report (Linux, `Documentation/ABI/testing/configfs-tsm-report`):
//!
//! 1. a directory of our own under `/sys/kernel/config/tsm/report`: an entry;
//! 2. the report data into `inblob`;
//! 3. `outblob` is the report, `auxblob` the certificate table that the host gives, if it does;
//! 4. `generation` is what it was after the only write: nobody else wrote to the entry in between;
//! 5. the directory is removed, whatever happened.
//!
//! For a service of a secure VM service module (`service_provider` `svsm`) the service is named before step 2, and
//! `manifestblob` is what the report vouches for.
//!
//! The kernel checks that the report is the firmware's answer to this request; the table is the host's, and hostile.
//! This module must never read more than evidence may have, and never leave an entry behind.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use claims::{EvidenceKind, ReportData};

use crate::{AttestError, Attester, MAX_EVIDENCE};

/// Where the kernel has it.
pub const CONFIGFS_REPORTS: &str = "/sys/kernel/config/tsm/report";

/// Asks the kernel for SEV-SNP reports.
#[derive(Clone, Debug)]
pub struct ConfigfsAttester {
    reports: PathBuf,
}

/// Why the kernel's files gave no evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigfsError {
    /// A file or directory could not be used.
    #[error("cannot {what} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The platform is another.
    #[error("the kernel's report provider is `{got}`: expected `sev_guest`")]
    Provider {
        /// Its name.
        got: String,
    },
    /// Somebody else wrote to the entry.
    #[error("the report entry was written to by another process: expected generation {expected}, got {got}")]
    Generation {
        /// After our write.
        expected: String,
        /// After reading.
        got: String,
    },
    /// The report and its table are longer than evidence may be.
    #[error("the report and its certificates are too long: expected at most {MAX_EVIDENCE} bytes")]
    TooLong,
}

impl ConfigfsAttester {
    /// Uses the kernel's directory of report entries, usually [`CONFIGFS_REPORTS`]. Nothing is asked yet.
    pub fn new(reports: &Path) -> Self {
        Self { reports: reports.to_owned() }
    }
}

impl Attester for ConfigfsAttester {
    fn kind(&self) -> EvidenceKind {
        EvidenceKind::SevSnp
    }

    fn attest(&mut self, report_data: &ReportData) -> Result<Vec<u8>, AttestError> {
        let report = Entry::make(&self.reports).and_then(|entry| entry.report(report_data));
        report.map_err(|error| AttestError::Device(Box::new(error)))
    }
}

/// An entry of our own. Dropped, it is removed.
pub(crate) struct Entry(PathBuf);

/// What a service of the secure VM service module attests.
#[cfg(feature = "tpm")]
pub(crate) struct ServiceReport {
    /// The SEV-SNP report, asked for at VMPL 0.
    pub(crate) report: Vec<u8>,
    /// The certificate table that the host gives; empty if it gives none.
    pub(crate) certificates: Vec<u8>,
    /// The service's manifest.
    pub(crate) manifest: Vec<u8>,
}

impl Entry {
    /// Makes an entry under a name that no other process has.
    pub(crate) fn make(reports: &Path) -> Result<Self, ConfigfsError> {
        let path = reports.join(format!("keyfast-{}", std::process::id()));
        // One that a process of this id left when it was killed.
        let _ = fs::remove_dir(&path);
        fs::create_dir(&path).map_err(failed("make", &path))?;
        Ok(Self(path))
    }

    /// One report and the table behind it.
    fn report(&self, report_data: &ReportData) -> Result<Vec<u8>, ConfigfsError> {
        let provider = self.text("provider")?;
        if provider != "sev_guest" {
            return Err(ConfigfsError::Provider { got: provider });
        }
        self.write("inblob", &report_data.0)?;
        let written = self.text("generation")?;
        let mut evidence = self.read("outblob")?;
        evidence.extend(self.optional("auxblob")?);
        self.check_generation(written)?;
        if evidence.len() > MAX_EVIDENCE {
            return Err(ConfigfsError::TooLong);
        }
        Ok(evidence)
    }

    /// One report over a service and its manifest (`configfs-tsm` of Linux 6.10): REPORT_DATA is SHA-512 of the nonce
    /// and the manifest.
    #[cfg(feature = "tpm")]
    pub(crate) fn service_report(
        &self,
        service: &str,
        nonce: &ReportData,
    ) -> Result<ServiceReport, ConfigfsError> {
        self.write("service_provider", b"svsm")?;
        self.write("service_guid", service.as_bytes())?;
        self.write("service_manifest_version", b"0")?;
        self.write("inblob", &nonce.0)?;
        let written = self.text("generation")?;
        let report = self.read("outblob")?;
        let (certificates, manifest) = (self.optional("auxblob")?, self.read("manifestblob")?);
        self.check_generation(written)?;
        Ok(ServiceReport { report, certificates, manifest })
    }

    /// Nobody wrote to the entry since.
    fn check_generation(&self, written: String) -> Result<(), ConfigfsError> {
        let generation = self.text("generation")?;
        if generation == written {
            return Ok(());
        }
        Err(ConfigfsError::Generation { expected: written, got: generation })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ConfigfsError> {
        let path = self.0.join(name);
        fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| io::Write::write_all(&mut file, bytes))
            .map_err(failed("write to", &path))
    }

    /// A file's bytes: one more than evidence may have, at most.
    fn read(&self, name: &str) -> Result<Vec<u8>, ConfigfsError> {
        let path = self.0.join(name);
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_EVIDENCE).unwrap_or(u64::MAX).saturating_add(1);
        let read = fs::File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        read.map(|_| bytes).map_err(failed("read", &path))
    }

    /// As [`Self::read`]; nothing for a file that this kernel, or this host, does not have.
    fn optional(&self, name: &str) -> Result<Vec<u8>, ConfigfsError> {
        match self.read(name) {
            Err(ConfigfsError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Vec::new())
            }
            read => read,
        }
    }

    fn text(&self, name: &str) -> Result<String, ConfigfsError> {
        let bytes = self.read(name)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // If it stays, it is an empty entry in memory; the next process of this id takes it away.
        let _ = fs::remove_dir(&self.0);
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ConfigfsError {
    let path = path.to_owned();
    move |source| ConfigfsError::File { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry as the kernel makes one, but for its answer being there from the start.
    fn entry(dir: &Path, provider: &str) -> Entry {
        for (name, bytes) in [
            ("inblob", b"".as_slice()),
            ("generation", b"1\n"),
            ("outblob", &[7; 1184]),
            ("auxblob", b"table"),
            ("provider", provider.as_bytes()),
        ] {
            fs::write(dir.join(name), bytes).unwrap();
        }
        Entry(dir.to_owned())
    }

    #[test]
    fn a_report_and_the_table_behind_it_are_the_evidence() {
        let dir = tempfile::tempdir().unwrap();
        let entry = entry(dir.path(), "sev_guest\n");
        let data = ReportData([3; 64]);
        assert_eq!(entry.report(&data).unwrap(), [[7; 1184].as_slice(), b"table"].concat());
        assert_eq!(fs::read(dir.path().join("inblob")).unwrap(), data.0);
        fs::remove_file(dir.path().join("auxblob")).unwrap();
        assert_eq!(entry.report(&data).unwrap(), [7; 1184]);
    }

    #[test]
    fn another_platform_is_named_before_anything_is_asked_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = entry(dir.path(), "tdx_guest\n").report(&ReportData([3; 64])).unwrap_err();
        assert_eq!(error.to_string(), "the kernel's report provider is `tdx_guest`: expected `sev_guest`");
        assert!(fs::read(dir.path().join("inblob")).unwrap().is_empty());
    }

    #[test]
    fn a_write_by_somebody_else_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let entry = entry(dir.path(), "sev_guest");
        let generation = dir.path().join("generation");
        fs::remove_file(&generation).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &generation, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let kernel = std::thread::spawn(move || {
            for text in ["1\n", "3\n"] {
                fs::write(&generation, text).unwrap();
                // The reader of the first must have seen its end before the second comes.
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
        });
        let error = entry.report(&ReportData([3; 64])).unwrap_err();
        kernel.join().unwrap();
        assert!(
            matches!(&error, ConfigfsError::Generation { expected, got } if expected == "1" && got == "3"),
            "{error}"
        );
    }

    #[test]
    fn more_than_evidence_may_have_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let entry = entry(dir.path(), "sev_guest");
        fs::write(dir.path().join("auxblob"), vec![0; MAX_EVIDENCE]).unwrap();
        assert!(matches!(entry.report(&ReportData([3; 64])), Err(ConfigfsError::TooLong)));
    }

    #[cfg(feature = "tpm")]
    #[test]
    fn a_services_report_comes_with_its_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let entry = entry(dir.path(), "sev_guest");
        let file = |name: &str| dir.path().join(name);
        for name in ["service_provider", "service_guid", "service_manifest_version"] {
            fs::write(file(name), b"").unwrap();
        }
        fs::write(file("manifestblob"), b"manifest").unwrap();
        let guid = "c476f1eb-0123-45a5-9641-b4e7dde5bfe3";
        let report = entry.service_report(guid, &ReportData([3; 64])).unwrap();
        assert_eq!((report.report, report.manifest), (vec![7; 1184], b"manifest".to_vec()));
        assert_eq!(report.certificates, b"table");
        let written = |name: &str| fs::read_to_string(file(name)).unwrap();
        assert_eq!((written("service_provider"), written("service_guid")), ("svsm".into(), guid.into()));
        assert_eq!(written("service_manifest_version"), "0");
        assert_eq!(fs::read(file("inblob")).unwrap(), [3; 64]);
        // A kernel without services has no such file.
        fs::remove_file(file("service_provider")).unwrap();
        let error = entry.service_report(guid, &ReportData([3; 64])).err().unwrap();
        assert!(matches!(&error, ConfigfsError::File { path, .. } if path.ends_with("service_provider")));
    }

    #[test]
    fn an_entry_is_made_anew_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = Entry::make(dir.path()).unwrap().0.clone();
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        let again = Entry::make(dir.path()).unwrap();
        assert!(again.0.exists());
        let error = ConfigfsAttester::new(&dir.path().join("none")).attest(&ReportData([0; 64])).unwrap_err();
        assert!(error.to_string().starts_with("the attestation device failed: cannot make `"), "{error}");
    }
}
