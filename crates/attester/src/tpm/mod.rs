//! [`TpmAttester`]: quotes, alone or beside an SEV-SNP report, through the TSS 2.0 library (feature `tpm`).
//!
//! | platform | evidence | attestation key |
//! |-|-|-|
//! | a TPM, `tpm` | key and quote | ours, enrolled |
//! | Azure, `azure` | the HCL blob of NV index 0x01400001, and a quote | Azure's at 0x81000003, which the blob names |
//! | a service module, `svsm` | report and manifest through the kernel's report files, key and quote | ours, enrolled |
//!
//! The quote's extraData is SHA-256(report data ‖ SHA-256(report, or nothing)), and the layout of all of it is in
//! `crates/evidence/SPEC.md`. PCRs are of the SHA-256 bank, or of the SHA-384 bank where there is no other; keys sign
//! with RSASSA and SHA-256.
//!
//! This module must never judge a quote, wait without an end (`wait`), or replace a key that somebody else keeps in the
//! TPM. What the TPM answers is hostile to whoever verifies it, not to this process: it is bounded and passed on.

mod device;
mod endorsement;
mod error;
mod keys;
mod wait;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use claims::{EvidenceKind, ReportData};

pub use error::TpmError;

use crate::configfs::{Entry, ServiceReport};
use crate::{Activate, AttestError, Attester, Credential, MAX_EVIDENCE, TpmKeys, TpmPlaces};
use device::{Quote, sized_public};
use wait::Exchanges;

/// Asks a TPM for quotes.
pub struct TpmAttester {
    platform: Platform,
    places: TpmPlaces,
    limit: Duration,
    exchanges: Exchanges,
}

/// What the TPM belongs to.
enum Platform {
    Tpm,
    Azure,
    /// With the kernel's directory of report entries.
    Svsm(PathBuf),
}

impl TpmAttester {
    /// A TPM of its own. `limit` bounds each exchange; where a key has to be made, a minute does.
    ///
    /// # Errors
    /// [`AttestError::Setting`]; nothing is asked yet.
    pub fn tpm(places: TpmPlaces, limit: Duration) -> Result<Self, AttestError> {
        Self::of(Platform::Tpm, places, limit)
    }

    /// The vTPM of an Azure guest. `limit` bounds each exchange.
    ///
    /// # Errors
    /// [`AttestError::Setting`]; nothing is asked yet.
    pub fn azure(places: TpmPlaces, limit: Duration) -> Result<Self, AttestError> {
        Self::of(Platform::Azure, places, limit)
    }

    /// The vTPM of a secure VM service module, and the kernel's directory of report entries
    /// ([`crate::CONFIGFS_REPORTS`]). `limit` is as for [`Self::tpm`].
    ///
    /// # Errors
    /// [`AttestError::Setting`]; nothing is asked yet.
    pub fn svsm(reports: &Path, places: TpmPlaces, limit: Duration) -> Result<Self, AttestError> {
        Self::of(Platform::Svsm(reports.to_owned()), places, limit)
    }

    fn of(platform: Platform, places: TpmPlaces, limit: Duration) -> Result<Self, AttestError> {
        places.check()?;
        let exchanges = Exchanges::with(places.tcti.clone());
        Ok(Self { platform, places, limit, exchanges })
    }

    /// Whether this is an Azure guest's vTPM: it has the index of the HCL blob.
    pub(crate) fn is_azure(places: &TpmPlaces, limit: Duration) -> bool {
        let exchanges = Exchanges::with(places.tcti.clone());
        exchanges.run(limit, |tpm| tpm.has(HCL_INDEX)).unwrap_or(false)
    }

    /// Makes our attestation key if there is none.
    fn ensure_ak(&self) -> Result<(), AttestError> {
        let handle = self.places.ak_handle;
        if self.exchanges.run(self.limit, move |tpm| tpm.has(handle))? {
            return Ok(());
        }
        self.exchanges.run(self.limit.max(MAKE_LIMIT), move |tpm| tpm.make_ak(handle))
    }

    /// Our key, TPM2B_PUBLIC, and its quote.
    fn own_quote(&self, extra_data: [u8; 32]) -> Result<(Vec<u8>, Quote), AttestError> {
        self.ensure_ak()?;
        let (handle, pcrs) = (self.places.ak_handle, self.places.pcrs.clone());
        self.exchanges.run(self.limit, move |tpm| {
            let (key, public) = tpm.own_ak(handle)?;
            Ok((sized_public(&public)?, tpm.quote(key, extra_data, &pcrs)?))
        })
    }

    fn attest_tpm(&self, report_data: &ReportData) -> Result<Vec<u8>, AttestError> {
        let (ak, quote) = self.own_quote(extra_data(report_data, &[]))?;
        self.evidence(vec![(ATTESTATION_KEY, ak)], quote)
    }

    fn attest_azure(&self, report_data: &ReportData) -> Result<Vec<u8>, AttestError> {
        let (report_data, pcrs) = (*report_data, self.places.pcrs.clone());
        let (blob, quote) = self.exchanges.run(self.limit, move |tpm| {
            let blob = tpm.index(HCL_INDEX, MAX_HCL)?.unwrap_or_default();
            let Some(report) = blob.get(HCL_REPORT) else {
                let (expected, got) = ("an snp report at 32".to_owned(), format!("{} bytes", blob.len()));
                return Err(TpmError::Answer { what: "hcl blob", expected, got });
            };
            let (key, _, _) = tpm.key(AZURE_AK)?;
            let quote = tpm.quote(key, extra_data(&report_data, report), &pcrs)?;
            Ok((blob, quote))
        })?;
        self.evidence(vec![(HCL_BLOB, blob)], quote)
    }

    fn attest_svsm(&self, reports: &Path, report_data: &ReportData) -> Result<Vec<u8>, AttestError> {
        let service = Entry::make(reports).and_then(|entry| entry.service_report(VTPM_SERVICE, report_data));
        let service = service.map_err(|error| AttestError::Device(Box::new(error)))?;
        let (ak, quote) = self.own_quote(extra_data(report_data, &service.report))?;
        self.evidence(service_sections(service, ak), quote)
    }

    /// The container: what comes before the quote, the quote, and the event log if there is one.
    fn evidence(&self, mut sections: Vec<(u8, Vec<u8>)>, quote: Quote) -> Result<Vec<u8>, AttestError> {
        let Quote { attest, signature, pcrs } = quote;
        sections.extend([(QUOTE, attest), (SIGNATURE, signature), (PCRS, pcrs)]);
        let log = self.places.event_log.as_deref().map(event_log).transpose();
        let log = log.map_err(|error| AttestError::Device(error.into()))?.unwrap_or_default();
        if !log.is_empty() {
            sections.push((EVENT_LOG, log));
        }
        let section = |(tag, bytes): (u8, Vec<u8>)| {
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            [&[tag][..], &len.to_le_bytes(), &bytes].concat()
        };
        let evidence: Vec<u8> = sections.into_iter().flat_map(section).collect();
        let got = evidence.len();
        if got > MAX_EVIDENCE {
            return Err(AttestError::Device(TpmError::TooLong { got }.into()));
        }
        Ok(evidence)
    }
}

impl Attester for TpmAttester {
    fn kind(&self) -> EvidenceKind {
        match self.platform {
            Platform::Tpm => EvidenceKind::Tpm,
            Platform::Azure => EvidenceKind::AzureVtpm,
            Platform::Svsm(_) => EvidenceKind::Svsm,
        }
    }

    fn attest(&mut self, report_data: &ReportData) -> Result<Vec<u8>, AttestError> {
        match &self.platform {
            Platform::Tpm => self.attest_tpm(report_data),
            Platform::Azure => self.attest_azure(report_data),
            Platform::Svsm(reports) => self.attest_svsm(reports, report_data),
        }
    }

    fn activation(&mut self) -> Result<Option<&mut dyn Activate>, AttestError> {
        Ok(if matches!(self.platform, Platform::Azure) { None } else { Some(self) })
    }
}

impl Activate for TpmAttester {
    fn keys(&mut self) -> Result<TpmKeys, AttestError> {
        self.ensure_ak()?;
        let handle = self.places.ak_handle;
        self.exchanges.run(self.limit.max(MAKE_LIMIT), move |tpm| tpm.keys(handle))
    }

    fn activate(&mut self, credential: &Credential) -> Result<Vec<u8>, AttestError> {
        let (handle, credential) = (self.places.ak_handle, credential.clone());
        self.exchanges.run(self.limit.max(MAKE_LIMIT), move |tpm| tpm.activate(handle, &credential))
    }
}

/// What comes before the quote of a service module's vTPM.
fn service_sections(service: ServiceReport, ak: Vec<u8>) -> Vec<(u8, Vec<u8>)> {
    let ServiceReport { report, certificates, manifest } = service;
    let mut sections = vec![(REPORT, report)];
    if !certificates.is_empty() {
        sections.push((CERTIFICATES, certificates));
    }
    sections.extend([(MANIFEST, manifest), (ATTESTATION_KEY, ak)]);
    sections
}

/// extraData of a quote that answers this, beside this report.
fn extra_data(report_data: &ReportData, report: &[u8]) -> [u8; 32] {
    crypto::sha256(&[&report_data.0, &crypto::sha256(&[report])])
}

/// The firmware's event log; nothing where there is no file.
fn event_log(path: &Path) -> Result<Vec<u8>, TpmError> {
    let failed = |source| TpmError::EventLog { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(failed)?,
    };
    let mut log = Vec::new();
    let limit = u64::try_from(MAX_EVIDENCE).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut log).map_err(failed)?;
    Ok(log)
}

/// Where Azure's paravisor puts the HCL blob.
const HCL_INDEX: u32 = 0x0140_0001;
/// Azure's index has 2600 bytes.
const MAX_HCL: usize = 16 * 1024;
/// The report in the blob.
const HCL_REPORT: std::ops::Range<usize> = 32..1216;
/// Azure's attestation key.
const AZURE_AK: u32 = 0x8100_0003;
/// The service of COCONUT-SVSM that attests its vTPM.
const VTPM_SERVICE: &str = "c476f1eb-0123-45a5-9641-b4e7dde5bfe3";
/// How long a TPM has to make a key; discrete ones take half a minute for RSA.
const MAKE_LIMIT: Duration = Duration::from_secs(60);

const REPORT: u8 = 1;
const HCL_BLOB: u8 = 2;
const CERTIFICATES: u8 = 3;
const MANIFEST: u8 = 4;
const ATTESTATION_KEY: u8 = 5;
const QUOTE: u8 = 6;
const SIGNATURE: u8 = 7;
const PCRS: u8 = 8;
const EVENT_LOG: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use simtee::vtpm::{VTpm, evidence as parts};

    /// Held against another encoder.
    #[test]
    fn a_service_modules_evidence_is_laid_out_as_specified() {
        let vtpm = VTpm::generate().unwrap();
        let (ak, manifest) = (vtpm.ak_public().unwrap(), vtpm.ek_public().unwrap());
        let data = ReportData([7; 64]);
        let report = vec![1; 1184];
        let extra = extra_data(&data, &report);
        let quote = vtpm.quote(&vtpm.quote_spec(&extra, 0xffff).unwrap(), 0xffff).unwrap();
        let places = TpmPlaces { event_log: None, ..TpmPlaces::default() };
        let attester = TpmAttester::svsm(Path::new("/nonexistent"), places, Duration::from_secs(1)).unwrap();
        assert_eq!(attester.kind(), EvidenceKind::Svsm);
        for certificates in [vec![2; 40], Vec::new()] {
            let expected = parts::svsm(&report, &certificates, &manifest, &ak, &quote);
            let (report, manifest) = (report.clone(), manifest.clone());
            let service = ServiceReport { report, certificates, manifest };
            let len = u16::try_from(ak.len()).unwrap().to_be_bytes();
            let sections = service_sections(service, [&len[..], &ak].concat());
            let (attest, signature) = (quote.attest.clone(), quote.signature.clone());
            let quote = Quote { attest, signature, pcrs: quote.pcrs.clone() };
            assert_eq!(attester.evidence(sections, quote).unwrap(), expected);
        }
    }

    #[test]
    fn no_report_of_a_service_module_is_named_before_a_tpm_is_asked() {
        let reports = Path::new("/nonexistent/report");
        let mut attester = TpmAttester::svsm(reports, TpmPlaces::default(), Duration::from_secs(1)).unwrap();
        let error = attester.attest(&ReportData([7; 64])).unwrap_err().to_string();
        assert!(error.contains("cannot make `/nonexistent/report/keyfast-"), "{error}");
    }
}
