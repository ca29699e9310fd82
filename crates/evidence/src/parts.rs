//! What can be read of bytes that are no evidence as a whole: each part by itself, for people who look for what is wrong
//! with it, or who have a part and not the rest.
//!
//! Parts are never evidence: nothing makes an [`Evidence`](crate::Evidence) of them, and no claims come of them.

use claims::EvidenceKind;

use crate::azure::{HclError, RuntimeData, split_hcl};
use crate::sections::{SectionError, Sections, Tag};
use crate::snp::{CertificateTable, Report, SnpEvidence};
use crate::tpm::{Attest, EventLog, Public, Quote};
use crate::{EvidenceError, MAX_EVIDENCE};

/// The parts of bytes, each as it is or why it cannot be read. What the kind lacks is missing.
#[derive(Debug)]
pub struct Parts {
    /// As which kind of evidence the bytes were read.
    pub kind: EvidenceKind,
    /// Version of the SNP report, where its length and its version are those of one that is read here.
    pub version: Option<u32>,
    /// The SNP report, with its certificates if their table can be read.
    pub snp: Result<SnpEvidence, EvidenceError>,
    /// Azure's runtime data.
    pub runtime: Result<RuntimeData, EvidenceError>,
    /// A service module's manifest: its endorsement key.
    pub manifest: Result<Public, EvidenceError>,
    /// The attestation key.
    pub ak: Result<Public, EvidenceError>,
    /// What a quote signs, whatever is wrong with the rest of it.
    pub attest: Result<Attest, EvidenceError>,
    /// The whole quote, with its log if that can be read.
    pub quote: Result<Quote, EvidenceError>,
}

impl Parts {
    /// Reads what can be read of `bytes`, as of evidence of a kind; nothing of more than [`MAX_EVIDENCE`] bytes.
    pub fn read(kind: EvidenceKind, bytes: &[u8]) -> Self {
        if bytes.len() > MAX_EVIDENCE {
            let error = EvidenceError::TooLarge { limit: MAX_EVIDENCE, got: bytes.len() };
            return Self::without(kind, |_| error.clone());
        }
        if kind == EvidenceKind::SevSnp {
            let (report, table) = bytes.split_at_checked(Report::LEN).unwrap_or((bytes, &[]));
            let (version, snp) = (Report::version_of(report).ok(), snp(report, Some(table)));
            return Self { version, snp, ..Self::without(kind, |missing| lacking(kind, missing)) };
        }
        match Sections::parse(kind, bytes) {
            Ok(sections) => Self::of_sections(kind, &sections),
            Err(error) => Self::without(kind, |_| error.clone().into()),
        }
    }

    fn of_sections(kind: EvidenceKind, sections: &Sections<'_>) -> Self {
        let hcl = || Ok::<_, EvidenceError>(split_hcl(sections.required(Tag::Hcl)?)?);
        let report = match kind {
            EvidenceKind::AzureVtpm => hcl().map(|(report, _)| report),
            _ => sections.required(Tag::Report).map_err(EvidenceError::from),
        };
        let log = sections.optional(Tag::EventLog).and_then(|log| EventLog::parse(log).ok());
        Self {
            kind,
            version: report.as_ref().ok().and_then(|report| Report::version_of(report).ok()),
            snp: report.and_then(|report| snp(report, sections.optional(Tag::Certificates))),
            runtime: hcl()
                .and_then(|(_, runtime)| Ok(RuntimeData::parse(runtime).map_err(HclError::Runtime)?)),
            manifest: section(sections, Tag::Manifest).and_then(|bytes| Ok(Public::parse(bytes)?)),
            ak: section(sections, Tag::Ak).and_then(|bytes| Ok(Public::parse_sized(bytes)?)),
            attest: section(sections, Tag::Quote).and_then(|bytes| Ok(Attest::parse(bytes)?)),
            quote: Quote::parse_with(sections, log),
        }
    }

    /// No part, each for its reason.
    fn without(kind: EvidenceKind, error: impl Fn(Tag) -> EvidenceError) -> Self {
        Self {
            kind,
            version: None,
            snp: Err(error(Tag::Report)),
            runtime: Err(error(Tag::Hcl)),
            manifest: Err(error(Tag::Manifest)),
            ak: Err(error(Tag::Ak)),
            attest: Err(error(Tag::Quote)),
            quote: Err(error(Tag::Quote)),
        }
    }
}

/// A report, without certificates if their table cannot be read: they may come from elsewhere.
fn snp(report: &[u8], table: Option<&[u8]>) -> Result<SnpEvidence, EvidenceError> {
    let report = Report::parse(report)?;
    let certificates = table.and_then(|table| CertificateTable::parse(table).ok()).unwrap_or_default();
    Ok(SnpEvidence { report, certificates })
}

fn section<'a>(sections: &Sections<'a>, tag: Tag) -> Result<&'a [u8], EvidenceError> {
    Ok(sections.required(tag)?)
}

fn lacking(kind: EvidenceKind, missing: Tag) -> EvidenceError {
    SectionError::Missing { kind, missing }.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encode_sections;

    fn report() -> Vec<u8> {
        let mut report = vec![0; Report::LEN];
        (report[0], report[0x0a], report[0x34]) = (5, 2, 1);
        report
    }

    fn read(parts: &Parts) -> [bool; 6] {
        let Parts { snp, runtime, manifest, ak, attest, quote, .. } = parts;
        [snp.is_ok(), runtime.is_ok(), manifest.is_ok(), ak.is_ok(), attest.is_ok(), quote.is_ok()]
    }

    #[test]
    fn a_report_is_read_whatever_follows_it() {
        let parts = Parts::read(EvidenceKind::SevSnp, &[report(), vec![1; 9]].concat());
        assert_eq!((parts.version, read(&parts)), (Some(5), [true, false, false, false, false, false]));
        assert_eq!(parts.quote.unwrap_err(), lacking(EvidenceKind::SevSnp, Tag::Quote));
    }

    #[test]
    fn of_a_malformed_report_its_version_is_read() {
        let mut bytes = report();
        bytes[0x210] = 1;
        let parts = Parts::read(EvidenceKind::SevSnp, &bytes);
        assert_eq!((parts.version, parts.snp.is_ok()), (Some(5), false));
        bytes[0] = 6;
        assert_eq!(Parts::read(EvidenceKind::SevSnp, &bytes).version, None);
        assert_eq!(Parts::read(EvidenceKind::SevSnp, &report()[..1183]).version, None);
    }

    #[test]
    fn azures_report_is_read_out_of_its_blob_and_nowhere_else() {
        let about: Vec<u8> = [24_u32, 9, 2, 1, 2].into_iter().flat_map(u32::to_le_bytes).collect();
        let blob = [b"HCLA", &[0; 28][..], &report(), &about, b"{}"].concat();
        let parts = Parts::read(EvidenceKind::AzureVtpm, &encode_sections(&[(Tag::Hcl, &blob)]));
        assert_eq!((parts.version, parts.snp.is_ok()), (Some(5), true));
        let elsewhere = encode_sections(&[(Tag::Report, &report())]);
        let parts = Parts::read(EvidenceKind::AzureVtpm, &elsewhere);
        assert_eq!((parts.version, parts.snp.is_ok()), (None, false));
    }

    #[test]
    fn the_largest_evidence_is_read() {
        let parts =
            Parts::read(EvidenceKind::SevSnp, &[report(), vec![1; MAX_EVIDENCE - Report::LEN]].concat());
        assert_eq!((parts.version, parts.snp.is_ok()), (Some(5), true));
    }

    #[test]
    fn nothing_is_read_of_what_is_too_large_or_no_container() {
        for (bytes, error) in [
            (vec![0; MAX_EVIDENCE + 1], EvidenceError::TooLarge { limit: 65_536, got: 65_537 }),
            (vec![10, 0, 0, 0, 0], SectionError::UnknownTag { got: 10 }.into()),
        ] {
            let parts = Parts::read(EvidenceKind::AzureVtpm, &bytes);
            assert_eq!(read(&parts), [false; 6]);
            assert_eq!((parts.snp.unwrap_err(), parts.quote.unwrap_err()), (error.clone(), error));
        }
    }

    #[test]
    fn a_service_modules_report_is_read_without_its_quote() {
        let bytes = encode_sections(&[(Tag::Report, &report()), (Tag::Certificates, b"none")]);
        let parts = Parts::read(EvidenceKind::Svsm, &bytes);
        assert_eq!((parts.version, read(&parts)), (Some(5), [true, false, false, false, false, false]));
        assert_eq!(parts.ak.unwrap_err(), lacking(EvidenceKind::Svsm, Tag::Ak));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for kind in EvidenceKind::ALL {
                let _ = Parts::read(kind, &bytes);
            }
        }
    }
}
