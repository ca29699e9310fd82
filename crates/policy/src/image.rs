//! What a guest runs, in a few words: the name that the reference values give to what was measured, else the beginning
//! of its hexadecimal. For reports to people; it decides nothing.

use claims::{ClaimsRecord, EvidenceKind};

use crate::decide::Policy;
use crate::references::ValueKind;

impl Policy {
    /// The kind of evidence, and the launch measurement of a plain SEV-SNP guest; PCR 4 and 11, the boot applications and
    /// the image, of one with a quote.
    pub fn image(&self, record: &ClaimsRecord) -> String {
        let measured = match (&record.evidence, &record.snp, &record.tpm) {
            (EvidenceKind::SevSnp, Some(snp), _) => {
                self.named(ValueKind::Measurement, &snp.measurement.to_string())
            }
            (_, _, Some(tpm)) => {
                let pcr = |index: u8| {
                    let value = tpm.pcrs.get(&index)?.to_string();
                    Some(format!("pcr {index} {}", self.named(ValueKind::Pcr, &value)))
                };
                [4, 11].into_iter().filter_map(pcr).collect::<Vec<_>>().join(", ")
            }
            _ => "nothing measured".to_owned(),
        };
        format!("{} {measured}", record.evidence.name())
    }

    fn named(&self, kind: ValueKind, value: &str) -> String {
        match self.subjects.references.find(kind, value) {
            Some(known) => known.name.clone(),
            None => value.chars().take(DIGITS).chain("...".chars()).collect(),
        }
    }
}

/// Digits of a value that is not known.
const DIGITS: usize = 16;
