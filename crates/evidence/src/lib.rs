//! Attestation evidence: hostile bytes in, typed fields out.
//!
//! Parsing checks what the format demands (lengths, versions, reserved bytes) and nothing else: an [`Evidence`]
//! has convinced nobody. `verify::authenticate` takes it from here.
//!
//! | kind | bytes | type |
//! |-|-|-|
//! | [`EvidenceKind::SevSnp`] | 1184-byte report, then optionally a certificate table | [`snp::SnpEvidence`] |
//! | [`EvidenceKind::Tpm`] | sections: attestation key, quote, event log | [`tpm::TpmEvidence`] |
//! | [`EvidenceKind::AzureVtpm`] | sections: HCL blob, certificates, quote, event log | [`azure::AzureEvidence`] |
//! | [`EvidenceKind::Svsm`] | sections: report, certificates, manifest, key, quote, log | [`svsm::SvsmEvidence`] |
//!
//! The container and its sections are specified in `SPEC.md` beside this crate.
//!
//! This crate must never panic on any input, allocate more than a small multiple of [`MAX_EVIDENCE`] (of
//! [`tpm::EventLog::MAX_LEN`] for a log by itself), check a signature, or change a byte that was signed: what is verified
//! later are the bytes that came in.

#![deny(clippy::arithmetic_side_effects)]

pub mod azure;
mod error;
mod parts;
mod sections;
pub mod snp;
pub mod svsm;
pub mod tpm;

use claims::EvidenceKind;

pub use error::EvidenceError;
pub use parts::Parts;
pub use sections::{SectionError, Tag, encode_sections};

/// The most bytes that any evidence has: 64 KiB.
///
/// The largest genuine event log at hand has 50 430 bytes; report, certificates, key and quote take 8 KiB.
pub const MAX_EVIDENCE: usize = 64 * 1024;

/// Evidence of one kind, parsed and unverified.
///
/// A closed enum: what can be believed is decided here and in `verify`, never by a plug-in.
#[derive(Debug)]
#[non_exhaustive]
pub enum Evidence {
    /// An SEV-SNP attestation report with the certificates that came along.
    SevSnp(snp::SnpEvidence),
    /// A TPM's quote.
    Tpm(tpm::TpmEvidence),
    /// An Azure confidential VM's report, runtime data and quote.
    AzureVtpm(azure::AzureEvidence),
    /// A report that binds the vTPM of a secure VM service module, and that vTPM's quote.
    Svsm(svsm::SvsmEvidence),
}

impl Evidence {
    /// Parses evidence of a kind; each kind's layout is in the table above.
    ///
    /// # Errors
    /// [`EvidenceError::TooLarge`] above [`MAX_EVIDENCE`] bytes; else the error of whichever part is malformed.
    pub fn parse(kind: EvidenceKind, bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > MAX_EVIDENCE {
            return Err(EvidenceError::TooLarge { limit: MAX_EVIDENCE, got: bytes.len() });
        }
        match kind {
            EvidenceKind::SevSnp => Ok(Self::SevSnp(snp::SnpEvidence::parse(bytes)?)),
            EvidenceKind::Tpm => Ok(Self::Tpm(tpm::TpmEvidence::parse(bytes)?)),
            EvidenceKind::AzureVtpm => Ok(Self::AzureVtpm(azure::AzureEvidence::parse(bytes)?)),
            EvidenceKind::Svsm => Ok(Self::Svsm(svsm::SvsmEvidence::parse(bytes)?)),
        }
    }

    /// Which kind bytes seem to be, so that it can be said what is wrong with them: a container by its sections, or by
    /// the first if the rest is damaged, a report by its length or by what stands at fixed places. `None` for anything
    /// else. For people who look at files; in the protocol the kind stands in the transcript.
    pub fn recognise(bytes: &[u8]) -> Option<EvidenceKind> {
        let report = || snp::Report::seems(bytes).then_some(EvidenceKind::SevSnp);
        sections::kind_of(bytes).or_else(report).or_else(|| sections::kind_of_first(bytes))
    }

    /// Which kind it is.
    pub fn kind(&self) -> EvidenceKind {
        match self {
            Self::SevSnp(_) => EvidenceKind::SevSnp,
            Self::Tpm(_) => EvidenceKind::Tpm,
            Self::AzureVtpm(_) => EvidenceKind::AzureVtpm,
            Self::Svsm(_) => EvidenceKind::Svsm,
        }
    }

    /// The TPM's quote in it, or `None` where the kind has none.
    pub fn quote(&self) -> Option<&tpm::Quote> {
        match self {
            Self::SevSnp(_) => None,
            Self::Tpm(tpm) => Some(&tpm.quote),
            Self::AzureVtpm(azure) => Some(&azure.quote),
            Self::Svsm(svsm) => Some(&svsm.quote),
        }
    }

    /// The SNP report in it with its certificates, or `None` where the kind has none.
    pub fn snp(&self) -> Option<&snp::SnpEvidence> {
        match self {
            Self::SevSnp(snp) => Some(snp),
            Self::Tpm(_) => None,
            Self::AzureVtpm(azure) => Some(&azure.snp),
            Self::Svsm(svsm) => Some(&svsm.snp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_of_several_parts_says_which_one_is_missing() {
        for (kind, missing) in [
            (EvidenceKind::Tpm, Tag::Ak),
            (EvidenceKind::AzureVtpm, Tag::Hcl),
            (EvidenceKind::Svsm, Tag::Report),
        ] {
            let error = Evidence::parse(kind, &[]).unwrap_err();
            assert_eq!(error, EvidenceError::Sections(SectionError::Missing { kind, missing }));
        }
    }

    /// Evidence of a kind, of parts that say as little as they may: the report's first byte of REPORT_DATA is `mark`, and
    /// so is the quote's extraData.
    fn smallest(kind: EvidenceKind, mark: u8) -> Vec<u8> {
        let mut report = vec![0; snp::Report::LEN];
        (report[0], report[0x0a], report[0x34], report[0x50]) = (5, 2, 1, mark);
        let key = b"\0\x01\0\x0b\0\x05\0\x72\0\0\0\x10\0\x14\0\x0b\x08\0\0\0\0\0\0\x01\x01";
        let sized = [&[0, 25], &key[..]].concat();
        let signer = [&[0, 34, 0, 0x0b], &[7; 32][..]].concat();
        let selection = [0, 0, 0, 1, 0, 0x0b, 3, 1, 0, 0];
        let attest = [b"\xffTCG\x80\x18", &signer[..], &[0, 1, mark], &[0; 25], &selection, &[0, 0]].concat();
        let flags = r#"{"console-enabled":true,"secure-boot":true,"vmUniqueId":"00000000-0000-0000-0000-000000000000"}"#;
        let ak = r#"{"kid":"HCLAkPub","kty":"RSA","e":"AQAB","n":"tYVB"}"#;
        let runtime = format!(r#"{{"keys":[{ak}],"vm-configuration":{flags}}}"#);
        let len = u32::try_from(runtime.len()).unwrap();
        let about = [len.saturating_add(20), 1, 2, 1, len].map(u32::to_le_bytes).concat();
        let hcl = [b"HCLA", &[0; 28][..], &report, &about, runtime.as_bytes()].concat();
        let quote: [(Tag, &[u8]); 3] =
            [(Tag::Quote, &attest), (Tag::Signature, &[0, 0x14, 0, 0x0b, 0, 0]), (Tag::Pcrs, &[])];
        let before: &[(Tag, &[u8])] = match kind {
            EvidenceKind::SevSnp => return report,
            EvidenceKind::Tpm => &[(Tag::Ak, &sized)],
            EvidenceKind::AzureVtpm => &[(Tag::Hcl, &hcl)],
            EvidenceKind::Svsm => &[(Tag::Report, &report), (Tag::Manifest, key), (Tag::Ak, &sized)],
        };
        encode_sections(&[before, &quote].concat())
    }

    #[test]
    fn evidence_of_each_kind_holds_its_report_and_its_quote() {
        for (kind, has_report, has_quote) in [
            (EvidenceKind::SevSnp, true, false),
            (EvidenceKind::Tpm, false, true),
            (EvidenceKind::AzureVtpm, true, true),
            (EvidenceKind::Svsm, true, true),
        ] {
            let evidence = Evidence::parse(kind, &smallest(kind, 9)).unwrap();
            assert_eq!(evidence.kind(), kind);
            let report = evidence.snp().map(|snp| snp.report.fields().report_data.0[0]);
            assert_eq!(report, has_report.then_some(9), "{kind}");
            let quote = evidence.quote().map(|quote| quote.attest.fields().extra_data.clone());
            assert_eq!(quote, has_quote.then_some(vec![9]), "{kind}");
        }
    }

    #[test]
    fn evidence_is_recognised_whole_and_damaged() {
        for kind in EvidenceKind::ALL {
            let whole = smallest(kind, 9);
            assert_eq!(Evidence::recognise(&whole), Some(kind));
            assert_eq!(Evidence::recognise(&whole[..whole.len() - 1]), Some(kind), "{kind}, cut short");
        }
        let mut report = smallest(EvidenceKind::SevSnp, 9);
        report[0] = 0;
        assert_eq!(Evidence::recognise(&report), Some(EvidenceKind::SevSnp), "by its length");
        for (at, got) in [(0, 6), (0x0a, 0), (0x34, 2), (0x210, 1)] {
            let mut report = [smallest(EvidenceKind::SevSnp, 9), vec![0; 24]].concat();
            report[at] = got;
            assert_eq!(Evidence::recognise(&report), Some(EvidenceKind::SevSnp), "{at:#x} set to {got}");
        }
        let pcrs = [&[2, 0, 0, 0, 0x0b, 0, 3, 0xff, 0xff, 0, 0, 0][..], &[0; 2000]].concat();
        for other in [&[][..], b"short", b"-----BEGIN CERTIFICATE-----", &[0; 1200], &[0x30; 1200], &pcrs] {
            assert_eq!(Evidence::recognise(other), None);
        }
    }

    #[test]
    fn oversized_evidence_is_refused_before_it_is_read() {
        for kind in EvidenceKind::ALL {
            let error = Evidence::parse(kind, &vec![0; MAX_EVIDENCE + 1]).unwrap_err();
            assert_eq!(error, EvidenceError::TooLarge { limit: 65_536, got: 65_537 });
            let most = Evidence::parse(kind, &vec![0; MAX_EVIDENCE]).unwrap_err();
            assert!(!matches!(most, EvidenceError::TooLarge { .. }), "{most}");
        }
    }
}
