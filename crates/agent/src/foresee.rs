//! What this guest's TPM will say after the next boot, worked out from what it says now, another unified kernel image,
//! and other contents of dbx.
//!
//! 1. The present log explains the present PCRs: what is foreseen must start from what is understood. PCR 11 may have
//!    gone on by systemd's boot phases, and is foreseen at the same phase.
//! 2. Firmware starts one boot application, the image: the measurements of another loader, and of what it loads, are
//!    not in the image.
//! 3. PCR 4 is the present log's with the new image in the place of the present one; PCR 9 and 11 are the image's.
//! 4. PCR 7 is the present log's with the new contents of dbx in the place of the present ones.
//!
//! What comes out is a supposition, which the broker takes for one: it is told in the answer, and opens nothing. The
//! agent believes its own TPM here and checks no signature.

use claims::EvidenceKind;
use claims::tpm::{BOOT_PHASES, Digest, HashAlgorithm};
use evidence::Evidence;
use evidence::tpm::{Event, EventLog, Quote, UefiVariable};
use measure::uki::UkiParts;
use measure::{Bank, Digests, SignatureLists};
use wire::{PredictedImage, PredictedPcr, PredictedSection, Prediction};

/// A prediction, and what its reader should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// To be sent.
    pub prediction: Prediction,
    /// What was not foreseen, and why.
    pub notes: Vec<String>,
}

/// Why the next boot cannot be foreseen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForeseeError {
    /// Nothing measures the boot.
    #[error(
        "evidence of kind {kind} has no tpm, so no image or dbx that boots later is in it; what a host launches \
         directly is foreseen with `keyfast measure snp`"
    )]
    NoTpm {
        /// The kind.
        kind: EvidenceKind,
    },
    /// Nothing says what the values are made of.
    #[error(
        "the evidence has no event log: expected one that explains the pcrs; see `event_log` in `[attester]`"
    )]
    NoLog,
    /// A bank that nobody computes.
    #[error("neither sha256 nor sha384 is both quoted and logged: expected one of them")]
    Bank,
    /// Nothing that would change is quoted.
    #[error("none of pcr {pcrs} is quoted: expected one of them; see `pcrs` in `[attester]`")]
    NotQuoted {
        /// Those that would change.
        pcrs: &'static str,
    },
    /// The log is not what happened.
    #[error("the event log does not lead to pcr {pcr} as it is quoted: expected {expected}, got {got}")]
    Replay {
        /// Which PCR.
        pcr: u8,
        /// The quoted value.
        expected: Digest,
        /// What the log leads to.
        got: Digest,
    },
    /// Another way to boot than the one that is understood.
    #[error(
        "the event log has {got} boot applications: expected one, a unified kernel image that firmware starts by \
         itself; what loaders measure is not in an image"
    )]
    Applications {
        /// How many.
        got: usize,
    },
    /// No dbx to replace.
    #[error("the event log has {got} events of dbx in pcr 7 that say what they measured: expected one")]
    Dbx {
        /// How many.
        got: usize,
    },
}

/// What the TPM will say, given the new image, the new dbx, or both.
///
/// # Errors
/// [`ForeseeError`], the first of the list above that does not hold.
pub fn foresee(
    evidence: &Evidence,
    next: Option<&UkiParts>,
    dbx: Option<&SignatureLists<'_>>,
) -> Result<Foreseen, ForeseeError> {
    let quote = evidence.quote().ok_or(ForeseeError::NoTpm { kind: evidence.kind() })?;
    let present = Present::of(quote)?;
    let mut notes = Vec::new();
    let mut pcrs = Vec::new();
    if let Some(next) = next {
        present.image(next, &mut pcrs, &mut notes)?;
    }
    if let Some(dbx) = dbx {
        pcrs.push(present.with_dbx(dbx.as_bytes())?);
    }
    pcrs.sort_by_key(|pcr| pcr.index);
    let prediction = Prediction {
        bank: present.algorithm,
        pcrs,
        image: next.map(|next| image(next, present.bank)),
        dbx: dbx.map(|dbx| dbx.as_bytes().to_vec()),
    };
    Ok(Foreseen { prediction, notes })
}

/// What the quote and the log say now.
struct Present<'a> {
    quote: &'a Quote,
    log: &'a EventLog,
    bank: Bank,
    algorithm: HashAlgorithm,
}

impl<'a> Present<'a> {
    fn of(quote: &'a Quote) -> Result<Self, ForeseeError> {
        let log = quote.log.as_ref().ok_or(ForeseeError::NoLog)?;
        let quoted = |algorithm| quote.pcrs.values().iter().any(|value| value.bank == algorithm);
        // The bank that the broker's claims are of.
        let banks = [(Bank::Sha256, HashAlgorithm::Sha256), (Bank::Sha384, HashAlgorithm::Sha384)];
        let found = banks.into_iter().find(|(_, algorithm)| quoted(*algorithm));
        let (bank, algorithm) =
            found.filter(|(_, found)| log.algorithms.contains(found)).ok_or(ForeseeError::Bank)?;
        Ok(Self { quote, log, bank, algorithm })
    }

    /// A PCR's quoted value; zeros say that nothing was measured.
    fn quoted(&self, pcr: u8) -> Option<&'a Digest> {
        let mut values = self.quote.pcrs.values().iter();
        let found = values.find(|value| value.bank == self.algorithm && value.index == pcr);
        found.map(|value| &value.value).filter(|value| !value.is_zero())
    }

    fn events(&self, pcr: u8) -> impl Iterator<Item = &'a Event> {
        self.log.events.iter().filter(move |event| event.pcr == u32::from(pcr) && event.kind != EV_NO_ACTION)
    }

    /// What the log leads to, with some digests replaced.
    fn replayed(&self, pcr: u8, replace: impl Fn(&Event) -> Option<Vec<u8>>) -> Digest {
        let zeros = Digest(vec![0; self.algorithm.digest_len()]);
        self.events(pcr).fold(zeros, |value, event| {
            let measured = event.digest(self.algorithm).unwrap_or_default();
            let measured = replace(event).unwrap_or_else(|| measured.to_vec());
            self.extended(&value, &measured)
        })
    }

    fn extended(&self, value: &Digest, measured: &[u8]) -> Digest {
        Digest(Digests::of(&[&value.0, measured]).of_bank(self.bank).to_vec())
    }

    /// 1: the log leads to the quoted value, or there in some phases; gives how many.
    fn explains(&self, pcr: u8, quoted: &Digest) -> Result<usize, ForeseeError> {
        let got = self.replayed(pcr, |_| None);
        let phases = if pcr == PHASES_PCR { BOOT_PHASES.len() } else { 0 };
        let found = (0..=phases).find(|phases| self.passed(&got, *phases) == *quoted);
        found.ok_or_else(|| ForeseeError::Replay { pcr, expected: quoted.clone(), got })
    }

    /// A value after some of systemd's phases.
    fn passed(&self, value: &Digest, phases: usize) -> Digest {
        let measured = |phase: &str| Digests::of(&[phase.as_bytes()]).of_bank(self.bank).to_vec();
        BOOT_PHASES
            .iter()
            .take(phases)
            .fold(value.clone(), |value, phase| self.extended(&value, &measured(phase)))
    }

    /// 2 and 3.
    fn image(
        &self,
        next: &UkiParts,
        pcrs: &mut Vec<PredictedPcr>,
        notes: &mut Vec<String>,
    ) -> Result<(), ForeseeError> {
        let is_application = |event: &Event| event.kind == EV_EFI_BOOT_SERVICES_APPLICATION;
        let got = self.events(4).filter(|event| is_application(event)).count();
        if got != 1 {
            return Err(ForeseeError::Applications { got });
        }
        let measured = |pcr: u8| next.pcr(pcr.into(), self.bank).map(|pcr| Digest(pcr.as_bytes().to_vec()));
        for index in [4, 9, PHASES_PCR] {
            let Some(quoted) = self.quoted(index) else { continue };
            let phases = self.explains(index, quoted)?;
            let value = match index {
                4 => {
                    let application = next.authenticode.of_bank(self.bank);
                    let replace = |event: &Event| is_application(event).then(|| application.to_vec());
                    let value = self.replayed(4, replace);
                    if measured(4).as_ref() != Some(&value) {
                        notes.push(OTHER_FIRMWARE.to_owned());
                    }
                    Some(value)
                }
                PHASES_PCR => measured(index).map(|value| self.passed(&value, phases)),
                _ => measured(index),
            };
            if value.is_none() {
                let why = next.undecided().map(|why| format!(": {why}")).unwrap_or_default();
                notes.push(format!("PCR {index} cannot be foreseen{why}. Rules that read it find none."));
            }
            pcrs.push(PredictedPcr { index, value });
        }
        if pcrs.is_empty() { Err(ForeseeError::NotQuoted { pcrs: "4, 9 and 11" }) } else { Ok(()) }
    }

    /// 4.
    fn with_dbx(&self, contents: &[u8]) -> Result<PredictedPcr, ForeseeError> {
        let quoted = self.quoted(7).ok_or(ForeseeError::NotQuoted { pcrs: "7" })?;
        self.explains(7, quoted)?;
        let got = self.events(7).filter(|event| self.dbx(event).is_some()).count();
        if got != 1 {
            return Err(ForeseeError::Dbx { got });
        }
        let value = self.replayed(7, |event| {
            let data = UefiVariable { contents, ..self.dbx(event)? }.encode();
            Some(Digests::of(&[&data]).of_bank(self.bank).to_vec())
        });
        Ok(PredictedPcr { index: 7, value: Some(value) })
    }

    /// The variable dbx, if that is what an event measured.
    fn dbx<'e>(&self, event: &'e Event) -> Option<UefiVariable<'e>> {
        let proven = event.digest(self.algorithm)? == Digests::of(&[&event.data]).of_bank(self.bank);
        let is_variable = event.kind == EV_EFI_VARIABLE_DRIVER_CONFIG && proven;
        let variable = UefiVariable::parse(&event.data).filter(|_| is_variable)?;
        (variable.name == "dbx" && variable.vendor == IMAGE_SECURITY.to_be_bytes()).then_some(variable)
    }
}

/// What the log would say of an image.
fn image(next: &UkiParts, bank: Bank) -> PredictedImage {
    let digest = |digests: &Digests| Digest(digests.of_bank(bank).to_vec());
    let section = |(name, digests): &(&str, Digests)| PredictedSection {
        name: (*name).to_owned(),
        digest: digest(digests),
    };
    let kernel: Vec<Digest> =
        next.events().iter().filter(|event| event.pcr == 9).map(|event| digest(&event.digests)).collect();
    PredictedImage {
        application: digest(&next.authenticode),
        sections: next.sections.iter().map(section).collect(),
        command_line: kernel.first().cloned(),
        initrd: kernel.get(1).cloned(),
    }
}

const EV_NO_ACTION: u32 = evidence::tpm::log::EV_NO_ACTION;
const EV_EFI_VARIABLE_DRIVER_CONFIG: u32 = 0x8000_0001;
const EV_EFI_BOOT_SERVICES_APPLICATION: u32 = 0x8000_0003;
/// The PCR of systemd's stub and of its phases.
const PHASES_PCR: u8 = 11;
/// EFI_IMAGE_SECURITY_DATABASE, d719b2cb-3d3a-4596-a3bc-dad00e67656f, in the byte order of logs.
const IMAGE_SECURITY: u128 = 0xcbb2_19d7_3a3d_9645_a3bc_dad0_0e67_656f;
const OTHER_FIRMWARE: &str = "This firmware measures more into PCR 4 than `keyfast measure uki` counts on: that \
    command's value would not match. The one asked about is made from this machine's log.";
