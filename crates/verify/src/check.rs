//! The names and numbers of the checks, for those who want to see them pass.

use core::fmt;

use claims::EvidenceKind;
use evidence::azure::{HclError, RuntimeError};
use evidence::snp::ReportError;
use evidence::tpm::TpmError;
use evidence::{EvidenceError, SectionError, Tag};

/// Told of each check that passed, and of what was compared.
pub(crate) type OnCheck<'a> = dyn FnMut(Check, fmt::Arguments<'_>) + 'a;

/// A check: of the list in [`crate::snp`] (1 to 18), of a quote in [`crate::tpm`] (T1 to T10), of what Azure's report
/// binds (A1 to A3), or of what a service module's does (V1 to V3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// Exact length and a version from the list.
    Layout,
    /// Reserved bytes and bits.
    Reserved,
    /// Who asked for the report.
    Vmpl,
    /// The report's signature over the bytes that came.
    Signature,
    /// The root.
    Anchor,
    /// The certificates' signatures.
    Chain,
    /// The certificates' windows.
    Validity,
    /// Names, CA flags, and the kind of the leaf's key.
    Names,
    /// Which kind of key signed.
    Signer,
    /// The leaf's TCB against the report's.
    Tcb,
    /// The leaf's chip, or cloud provider, against the report.
    Chip,
    /// The chain's product against the report's.
    Product,
    /// What was revoked.
    Revocation,
    /// TCB versions that are new enough.
    Floors,
    /// The TCB versions against each other.
    Order,
    /// What the guest's owner allowed the host.
    GuestPolicy,
    /// What was launched, by whom, for which request.
    Launch,
    /// What the platform has switched on and mitigated.
    Platform,
    /// A1, of Azure's report: only the paravisor can have asked for it.
    ParavisorVmpl,
    /// A2: the report binds the runtime data.
    RuntimeData,
    /// A3: the attestation key is the one in the runtime data.
    RuntimeKey,
    /// V1, of a service module's report: only the module can have asked for it.
    ServiceVmpl,
    /// V2: the attestation key belongs to the endorsement key in the manifest.
    EndorsementKey,
    /// V3: the report binds the manifest and the transcript.
    Manifest,
    /// T1: strict layout; a TPM made it, and it is a quote.
    QuoteLayout,
    /// T2: the signature, and the scheme that the key is bound to.
    QuoteSignature,
    /// T3: what makes a key fit for quotes.
    KeyAttributes,
    /// T4: the key's place in its TPM's hierarchy.
    QualifiedSigner,
    /// T5: the transcript and the report that the quote answers.
    ExtraData,
    /// T6: the values are of the signed selection.
    Selection,
    /// T7: the values are those that were quoted.
    PcrDigest,
    /// T8: which values are claims.
    ClaimedPcrs,
    /// T9: who vouches for the attestation key.
    KeyTrust,
    /// T10: the log replays into the quoted values.
    EventLog,
}

/// Who makes a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Judge {
    /// This crate, on all evidence of the kind: there are no claims unless it passes.
    Verifier,
    /// [`crate::Authenticated::bind`], which has a challenge and the transcript.
    Challenge,
    /// A policy, on the claims; for report data [`crate::Authenticated::bind`] before it.
    Policy,
}

impl Check {
    /// The checks of an SNP report, by number.
    pub const SNP: [Self; 18] = [
        Self::Layout,
        Self::Reserved,
        Self::Vmpl,
        Self::Signature,
        Self::Anchor,
        Self::Chain,
        Self::Validity,
        Self::Names,
        Self::Signer,
        Self::Tcb,
        Self::Chip,
        Self::Product,
        Self::Revocation,
        Self::Floors,
        Self::Order,
        Self::GuestPolicy,
        Self::Launch,
        Self::Platform,
    ];
    /// What is checked of Azure's report and runtime data, by number.
    pub const AZURE: [Self; 3] = [Self::ParavisorVmpl, Self::RuntimeData, Self::RuntimeKey];
    /// What is checked of a service module's report and manifest, by number.
    pub const SVSM: [Self; 3] = [Self::ServiceVmpl, Self::EndorsementKey, Self::Manifest];
    /// The checks of a quote, by number.
    pub const TPM: [Self; 10] = [
        Self::QuoteLayout,
        Self::QuoteSignature,
        Self::KeyAttributes,
        Self::QualifiedSigner,
        Self::ExtraData,
        Self::Selection,
        Self::PcrDigest,
        Self::ClaimedPcrs,
        Self::KeyTrust,
        Self::EventLog,
    ];

    /// The checks of evidence of a kind, in the order in which they are told.
    pub fn of(kind: EvidenceKind) -> Vec<Self> {
        match kind {
            EvidenceKind::SevSnp => Self::SNP.to_vec(),
            EvidenceKind::Tpm => Self::TPM.to_vec(),
            EvidenceKind::AzureVtpm => [&Self::SNP[..], &Self::AZURE, &Self::TPM].concat(),
            EvidenceKind::Svsm => [&Self::SNP[..], &Self::SVSM, &Self::TPM].concat(),
        }
    }

    /// Its number: `1` to `18`, `A1` to `A3`, `V1` to `V3`, `T1` to `T10`.
    pub fn id(self) -> &'static str {
        self.entry().0
    }

    /// What it is called.
    pub fn title(self) -> &'static str {
        self.entry().1
    }

    /// Who makes it.
    pub fn judge(self) -> Judge {
        match self {
            Self::Floors | Self::GuestPolicy | Self::Launch | Self::Platform => Judge::Policy,
            Self::ExtraData | Self::Manifest => Judge::Challenge,
            _ => Judge::Verifier,
        }
    }

    /// Which check bytes failed that are no evidence: parsing makes 1, T1 and parts of 2, T6, A2 and A3. `None` where
    /// only the quote is missing: then there is nothing to check.
    pub fn of_malformed(kind: EvidenceKind, error: &EvidenceError) -> Option<Self> {
        Some(match error {
            EvidenceError::Sections(SectionError::Missing { missing: Tag::Quote, .. }) => return None,
            EvidenceError::Report(
                ReportError::Reserved { .. }
                | ReportError::PolicyBit17 { .. }
                | ReportError::PolicyReserved { .. }
                | ReportError::KeyInfoReserved { .. },
            ) => Self::Reserved,
            EvidenceError::Report(_) | EvidenceError::Table(_) => Self::Layout,
            EvidenceError::Hcl(HclError::Runtime(
                RuntimeError::AkCount { .. }
                | RuntimeError::Member { member: "keys" | "kty" | "n" | "e", .. },
            )) => Self::RuntimeKey,
            EvidenceError::Hcl(_) => Self::RuntimeData,
            EvidenceError::Sections(SectionError::Missing { missing: Tag::Report, .. }) => Self::Layout,
            EvidenceError::Sections(SectionError::Missing { missing: Tag::Hcl, .. }) => Self::RuntimeData,
            EvidenceError::Sections(SectionError::Missing { missing: Tag::Manifest, .. }) => {
                Self::EndorsementKey
            }
            EvidenceError::Tpm(
                TpmError::RepeatedBank { .. } | TpmError::EmptyBank { .. } | TpmError::PcrOrder { .. },
            ) => Self::Selection,
            EvidenceError::Log(_) => Self::EventLog,
            _ if kind == EvidenceKind::SevSnp => Self::Layout,
            _ => Self::QuoteLayout,
        })
    }

    /// Number and title.
    fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::Layout => ("1", "length and version"),
            Self::Reserved => ("2", "reserved bytes"),
            Self::Vmpl => ("3", "requester"),
            Self::Signature => ("4", "report signature"),
            Self::Anchor => ("5", "trust anchor"),
            Self::Chain => ("6", "certificate signatures"),
            Self::Validity => ("7", "validity"),
            Self::Names => ("8", "certificate names"),
            Self::Signer => ("9", "signing key"),
            Self::Tcb => ("10", "tcb extensions"),
            Self::Chip => ("11", "chip or provider"),
            Self::Product => ("12", "product"),
            Self::Revocation => ("13", "revocation"),
            Self::Floors => ("14", "tcb floors"),
            Self::Order => ("15", "order of tcb versions"),
            Self::GuestPolicy => ("16", "guest policy"),
            Self::Launch => ("17", "launch and report data"),
            Self::Platform => ("18", "platform"),
            Self::ParavisorVmpl => ("A1", "paravisor's level"),
            Self::RuntimeData => ("A2", "runtime data"),
            Self::RuntimeKey => ("A3", "key in runtime data"),
            Self::ServiceVmpl => ("V1", "service module's level"),
            Self::EndorsementKey => ("V2", "endorsement key"),
            Self::Manifest => ("V3", "manifest"),
            Self::QuoteLayout => ("T1", "quote layout"),
            Self::QuoteSignature => ("T2", "quote signature"),
            Self::KeyAttributes => ("T3", "key attributes"),
            Self::QualifiedSigner => ("T4", "qualified signer"),
            Self::ExtraData => ("T5", "extra data"),
            Self::Selection => ("T6", "pcr selection"),
            Self::PcrDigest => ("T7", "pcr digest"),
            Self::ClaimedPcrs => ("T8", "claimed pcrs"),
            Self::KeyTrust => ("T9", "trust in the key"),
            Self::EventLog => ("T10", "event log"),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.id(), self.title())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_have_no_gap_and_no_two_titles_alike() {
        let lists: [(&str, &[Check]); 4] =
            [("", &Check::SNP), ("A", &Check::AZURE), ("V", &Check::SVSM), ("T", &Check::TPM)];
        let mut titles = Vec::new();
        for (prefix, list) in lists {
            for (at, check) in list.iter().enumerate() {
                assert_eq!(check.id(), format!("{prefix}{}", at + 1));
                titles.push(check.title());
            }
        }
        let all = titles.len();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!((titles.len(), all), (34, 34));
        assert_eq!(Check::ExtraData.to_string(), "T5, extra data");
    }

    #[test]
    fn what_a_challenge_or_a_policy_judges_is_not_the_verifiers() {
        let all = [&Check::SNP[..], &Check::AZURE, &Check::SVSM, &Check::TPM].concat();
        let of = |judge| -> Vec<&str> {
            all.iter().filter(|check| check.judge() == judge).map(|check| check.id()).collect()
        };
        assert_eq!(of(Judge::Policy), ["14", "16", "17", "18"]);
        assert_eq!(of(Judge::Challenge), ["V3", "T5"]);
        assert_eq!(of(Judge::Verifier).len(), 28);
    }

    #[test]
    fn reserved_bits_of_a_report_fail_the_check_of_reserved_bytes() {
        for error in [
            ReportError::Reserved { offset: 0x4c, field: "reserved", got: 1 },
            ReportError::PolicyBit17 { got: 0 },
            ReportError::PolicyReserved { got: 1 << 26 },
            ReportError::KeyInfoReserved { got: 1 << 5 },
        ] {
            let failed = Check::of_malformed(EvidenceKind::SevSnp, &error.clone().into());
            assert_eq!(failed, Some(Check::Reserved), "{error}");
        }
        let algorithm = ReportError::SignatureAlgorithm { got: 2 };
        assert_eq!(Check::of_malformed(EvidenceKind::SevSnp, &algorithm.into()), Some(Check::Layout));
    }

    #[test]
    fn bytes_that_are_no_evidence_fail_the_check_of_their_part() {
        let failed = |kind, bytes: &[u8]| {
            let error = evidence::Evidence::parse(kind, bytes).unwrap_err();
            Check::of_malformed(kind, &error).unwrap()
        };
        let section = |tag, bytes: &[u8]| evidence::encode_sections(&[(tag, bytes)]);
        assert_eq!(failed(EvidenceKind::SevSnp, &[]), Check::Layout);
        assert_eq!(failed(EvidenceKind::Tpm, &[]), Check::QuoteLayout);
        assert_eq!(failed(EvidenceKind::AzureVtpm, &[]), Check::RuntimeData);
        assert_eq!(failed(EvidenceKind::AzureVtpm, &section(Tag::Hcl, b"HCL?")), Check::RuntimeData);
        assert_eq!(failed(EvidenceKind::Svsm, &[]), Check::Layout);
        assert_eq!(failed(EvidenceKind::Svsm, &section(Tag::Report, b"short")), Check::Layout);
        assert_eq!(failed(EvidenceKind::SevSnp, &vec![0; 65_537]), Check::Layout);
        assert_eq!(failed(EvidenceKind::Tpm, &vec![0; 65_537]), Check::QuoteLayout);
        let manifest = SectionError::Missing { kind: EvidenceKind::Svsm, missing: Tag::Manifest };
        assert_eq!(Check::of_malformed(EvidenceKind::Svsm, &manifest.into()), Some(Check::EndorsementKey));
        let keys = HclError::Runtime(RuntimeError::AkCount { got: 2 });
        assert_eq!(Check::of_malformed(EvidenceKind::AzureVtpm, &keys.into()), Some(Check::RuntimeKey));
        let bank = claims::tpm::HashAlgorithm::Sha256;
        let twice = EvidenceError::Tpm(TpmError::RepeatedBank { bank });
        assert_eq!(Check::of_malformed(EvidenceKind::Tpm, &twice), Some(Check::Selection));
        let log = evidence::tpm::EventLog::parse(&[]).unwrap_err();
        assert_eq!(Check::of_malformed(EvidenceKind::Tpm, &log.into()), Some(Check::EventLog));
        let quote = SectionError::Missing { kind: EvidenceKind::AzureVtpm, missing: Tag::Quote };
        assert_eq!(Check::of_malformed(EvidenceKind::AzureVtpm, &quote.into()), None);
    }
}
