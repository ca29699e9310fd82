//! A guest's claims with what it supposes of its next boot in their place.
//!
//! What comes out is plain data for `Policy::evaluate`, which grants nothing. Only what a quote and its log said can be
//! replaced: whose guest it is, what vouches for its TPM and where it runs stay as the evidence has them.

use claims::tpm::HashAlgorithm;
use claims::{ClaimsRecord, Sha256Digest};
use verify::tpm::boot::database_entries;
use wire::{PredictedImage, Prediction};

/// A prediction that does not fit the evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PredictionError {
    /// There is nothing that the next boot would change.
    #[error("the evidence has no tpm's quote: expected one that the prediction is about")]
    NoQuote,
    /// Policies read one bank.
    #[error("the prediction is of another bank: expected {expected}, got {got}")]
    Bank {
        /// The bank of the claims.
        expected: HashAlgorithm,
        /// The prediction's.
        got: HashAlgorithm,
    },
    /// What is not quoted now will not be quoted then.
    #[error("pcr {pcr} is predicted and was not quoted")]
    NotQuoted {
        /// Which PCR.
        pcr: u8,
    },
    /// Facts come from logs.
    #[error("an image or a dbx is predicted and no event log came with the quote")]
    NoLog,
}

/// A copy of the claims, with the predictions in their place.
///
/// # Errors
/// [`PredictionError`], the first thing that does not fit.
pub(crate) fn predicted(
    record: &ClaimsRecord,
    prediction: &Prediction,
) -> Result<ClaimsRecord, PredictionError> {
    let mut record = record.clone();
    let tpm = record.tpm.as_mut().ok_or(PredictionError::NoQuote)?;
    let (expected, got) = (tpm.bank, prediction.bank);
    if expected != got {
        return Err(PredictionError::Bank { expected, got });
    }
    for pcr in &prediction.pcrs {
        let quoted = tpm.pcrs.remove(&pcr.index);
        quoted.ok_or(PredictionError::NotQuoted { pcr: pcr.index })?;
        if let Some(value) = &pcr.value {
            tpm.pcrs.insert(pcr.index, value.clone());
        }
    }
    if let Some(PredictedImage { application, sections, command_line, initrd }) = &prediction.image {
        let boot = tpm.boot.as_mut().ok_or(PredictionError::NoLog)?;
        // Each fact counts beside the PCR that it was measured into.
        let quoted = |pcr: u8| tpm.pcrs.contains_key(&pcr);
        let sections = sections.iter().map(|section| (section.name.clone(), section.digest.clone()));
        boot.applications = Some(application.clone()).filter(|_| quoted(4)).into_iter().collect();
        boot.sections = if quoted(11) { sections.collect() } else { Vec::new() };
        boot.command_line = command_line.clone().filter(|_| quoted(9));
        boot.initrd = initrd.clone().filter(|_| quoted(9));
    }
    if let Some(contents) = &prediction.dbx {
        let boot = tpm.boot.as_mut().ok_or(PredictionError::NoLog)?;
        let quoted = tpm.pcrs.contains_key(&7);
        boot.dbx = quoted.then(|| Sha256Digest(crypto::sha256(&[contents])));
        boot.dbx_entries = database_entries(contents).filter(|_| quoted);
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use claims::tpm::{AkBinding, BootClaims, DatabaseEntries, Digest, TpmClaims};
    use claims::{ConfigDigest, EvidenceKind, GuestIdentity, OsBinding, Suite};
    use evidence::tpm::SignatureEntry;
    use wire::{PredictedPcr, PredictedSection};

    fn digest(byte: u8) -> Digest {
        Digest(vec![byte; 32])
    }

    fn record(quoted: &[u8], boot: Option<BootClaims>) -> ClaimsRecord {
        ClaimsRecord {
            evidence: EvidenceKind::Tpm,
            simulated: true,
            snp_fresh: false,
            os_binding: OsBinding::HostVtpm,
            guest_identity: GuestIdentity::Enrolled,
            config: ConfigDigest([1; 32]),
            suite: Suite::XWing,
            snp: None,
            tpm: Some(TpmClaims {
                ak_binding: AkBinding::Enrolled,
                ak_name: None,
                bank: HashAlgorithm::Sha256,
                pcrs: quoted.iter().map(|index| (*index, digest(*index))).collect(),
                clock_ms: 1,
                reset_count: 2,
                restart_count: 3,
                safe: true,
                firmware_version: 4,
                boot,
                paravisor: None,
            }),
        }
    }

    fn image() -> PredictedImage {
        let section = PredictedSection { name: ".linux".to_owned(), digest: digest(0x51) };
        let (command_line, initrd) = (Some(digest(0x52)), Some(digest(0x53)));
        PredictedImage { application: digest(0x50), sections: vec![section], command_line, initrd }
    }

    fn prediction(pcrs: &[(u8, Option<u8>)]) -> Prediction {
        let pcr =
            |(index, value): &(u8, Option<u8>)| PredictedPcr { index: *index, value: value.map(digest) };
        let pcrs = pcrs.iter().map(pcr).collect();
        Prediction { bank: HashAlgorithm::Sha256, pcrs, image: None, dbx: None }
    }

    /// Contents of dbx: a list of one file's hash.
    fn dbx(hash: u8) -> Vec<u8> {
        let head = [28 + 48, 0, 48_u32].map(u32::to_le_bytes).concat();
        [&SignatureEntry::SHA256[..], &head, &[8; 16], &[hash; 32]].concat()
    }

    #[test]
    fn a_dbx_counts_beside_its_pcr_and_is_read_if_it_can_be() {
        let boot = BootClaims { dbx_entries: Some(<_>::default()), ..<_>::default() };
        let after = |quoted: &[u8], contents: &[u8]| {
            let supposed = Prediction { dbx: Some(contents.to_vec()), ..prediction(&[(4, Some(1))]) };
            let after = predicted(&record(quoted, Some(boot.clone())), &supposed).unwrap();
            let boot = after.tpm.unwrap().boot.unwrap();
            (boot.dbx.is_some(), boot.dbx_entries.map(|entries| entries.hashes.len()))
        };
        assert_eq!(after(&[4, 7], &dbx(1)), (true, Some(1)));
        assert_eq!(after(&[4, 7], &dbx(1)[1..]), (true, None));
        assert_eq!(after(&[4], &dbx(1)), (false, None));
    }

    #[test]
    fn nothing_changes_but_what_is_predicted() {
        let mut boot =
            BootClaims { secure_boot: Some(true), phases: vec!["sysinit".into()], ..<_>::default() };
        (boot.db_entries, boot.dbx_entries) = (Some(<_>::default()), Some(<_>::default()));
        let before = record(&[4, 7, 9, 11, 14], Some(boot.clone()));
        let supposed = prediction(&[(4, Some(0x40)), (7, Some(0x70)), (9, Some(0x90)), (11, Some(0xb0))]);
        let supposed = Prediction { image: Some(image()), dbx: Some(dbx(0xdb)), ..supposed };
        let after = predicted(&before, &supposed).unwrap();
        let mut expected = record(&[4, 7, 9, 11, 14], None);
        let tpm = expected.tpm.as_mut().unwrap();
        for (index, value) in [(4, 0x40), (7, 0x70), (9, 0x90), (11, 0xb0)] {
            tpm.pcrs.insert(index, digest(value));
        }
        tpm.boot = Some(BootClaims {
            applications: vec![digest(0x50)],
            sections: vec![(".linux".to_owned(), digest(0x51))],
            command_line: Some(digest(0x52)),
            initrd: Some(digest(0x53)),
            dbx: Some(Sha256Digest(crypto::sha256(&[&dbx(0xdb)]))),
            dbx_entries: Some(DatabaseEntries {
                certificates: Vec::new(),
                hashes: vec![Sha256Digest([0xdb; 32])],
            }),
            ..boot
        });
        assert_eq!(after, expected);
    }

    #[test]
    fn what_cannot_be_foreseen_is_no_claim() {
        let boot = BootClaims { command_line: Some(digest(1)), initrd: Some(digest(2)), ..<_>::default() };
        let supposed = Prediction { image: Some(image()), ..prediction(&[(4, Some(0x40)), (9, None)]) };
        let after = predicted(&record(&[4, 9], Some(boot)), &supposed).unwrap().tpm.unwrap();
        assert_eq!(after.pcrs.keys().collect::<Vec<_>>(), [&4]);
        let facts = after.boot.unwrap();
        assert_eq!((facts.command_line, facts.initrd, facts.sections), (None, None, Vec::new()));
    }

    #[test]
    fn what_the_evidence_has_not_cannot_be_predicted() {
        let refusal = |record: &ClaimsRecord, prediction: &Prediction| predicted(record, prediction).err();
        let pcr4 = prediction(&[(4, Some(1))]);
        let none = ClaimsRecord { tpm: None, ..record(&[], None) };
        assert_eq!(refusal(&none, &pcr4), Some(PredictionError::NoQuote));
        assert_eq!(refusal(&record(&[7], None), &pcr4), Some(PredictionError::NotQuoted { pcr: 4 }));
        let (expected, got) = (HashAlgorithm::Sha256, HashAlgorithm::Sha384);
        let other = Prediction { bank: got, ..pcr4.clone() };
        assert_eq!(refusal(&record(&[4], None), &other), Some(PredictionError::Bank { expected, got }));
        let with_image = Prediction { image: Some(image()), ..pcr4.clone() };
        assert_eq!(refusal(&record(&[4], None), &with_image), Some(PredictionError::NoLog));
        let with_dbx = Prediction { dbx: Some(dbx(0)), ..pcr4 };
        assert_eq!(refusal(&record(&[4], None), &with_dbx), Some(PredictionError::NoLog));
    }
}
