//! What may stand in a case in TOML, and what is so where it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use claims::snp::Product;
use claims::tpm::ObjectName;
use claims::{
    EvidenceKind, KeyId, KeyKind, Measurement, Operation, Origin, Region, RingId, Sha256Digest, Suite,
    UnixTime,
};
use policy::case::{ContextJson, Expect};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use simtee::control::{PcrExtend, TcbChange};

/// A whole case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// What it is about, in a sentence.
    pub about: String,
    /// The broker's clock; 2026-11-22T09:30:00Z.
    #[serde(default = "usual_time", deserialize_with = "time")]
    pub now: UnixTime,
    /// Circumstances as in a case in JSON; none.
    #[serde(default)]
    pub context: ContextJson,
    /// A simulated guest; one with nothing but defaults, unless there is `evidence`.
    #[serde(default)]
    pub guest: Option<GuestCase>,
    /// Evidence of the guest, in a file named from this one's folder, in the place of a simulated guest. It is verified as
    /// of `now`, and taken as an answer to the challenge.
    #[serde(default)]
    pub evidence: Option<PathBuf>,
    /// What that evidence is verified with, in the words of `keyfast evidence verify`.
    #[serde(default)]
    pub verify: Option<VerifyCase>,
    #[serde(default)]
    pub request: RequestCase,
    #[serde(default)]
    pub key: KeyCase,
    /// What must be decided, as in a case in JSON.
    pub expect: Expect,
}

/// The guest, in the words of `keyfast dev guest` as far as it has them. What its kind of evidence does not hold makes
/// no difference.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuestCase {
    /// Its name, whose SHA-256 is HOST_DATA unless told otherwise; `guest`.
    pub name: String,
    /// `sev-snp`, or `tpm`, `azure-vtpm` or `svsm` for a guest with a vTPM; `sev-snp`.
    #[serde(deserialize_with = "word")]
    pub kind: EvidenceKind,
    /// `Milan`, `Genoa` or `Turin`; `Genoa`.
    #[serde(deserialize_with = "word")]
    pub product: Product,
    /// The host may debug it; no.
    pub debug: bool,
    /// A migration agent may take it away; no.
    pub migration_agent: bool,
    /// Parts of the TCB that differ, in all four TCBs; a TCB that has the fixes known in 2026.
    pub tcb: TcbChange,
    /// Bits of LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR; 0 to 5.
    #[serde(deserialize_with = "bits")]
    pub mitigations: Option<u64>,
    /// Launch measurement; that of the simulated image, paravisor or service module that `keyfast dev up` knows.
    #[serde(deserialize_with = "maybe")]
    pub measurement: Option<Measurement>,
    /// HOST_DATA, 64 digits.
    #[serde(deserialize_with = "maybe")]
    pub host_data: Option<Sha256Digest>,
    /// SHA-384 of the key that signed the launch; none.
    #[serde(deserialize_with = "maybe")]
    pub id_key: Option<Measurement>,
    /// SHA-384 of the key that vouches for the ID key; none.
    #[serde(deserialize_with = "maybe")]
    pub author_key: Option<Measurement>,
    /// The cloud provider whose VLEK signs the report; none, and a VCEK.
    pub provider: Option<String>,
    /// VMPL; 0, or 1 under a provider's VLEK.
    pub vmpl: Option<u32>,
    /// Version of the report; 5.
    pub version: Option<u32>,
    /// The image that a vTPM sees; `simulated guest image 1`.
    pub image: Option<String>,
    /// Secure Boot is on; yes.
    pub secure_boot: Option<bool>,
    /// The kernel's command line.
    pub command_line: Option<String>,
    /// What is extended into PCRs after the boot: `[{ pcr = 11, digest = "64 digits" }]`; nothing. An event log that
    /// does not lead to these values is refused, so leave it out.
    pub extend: Vec<PcrExtend>,
    /// The event log is left out; no.
    pub without_log: bool,
    /// How a bare TPM's key came to be believed: `ek-certificate` or `operator`; or `no`. A service module's is
    /// activated with the endorsement key that the report names, unless `no`.
    pub enrolled: Enrolled,
    /// An Azure machine's vmUniqueId; 0a1b2c3d-0123-4567-89ab-0123456789ab.
    pub vm_id: String,
    /// The suite that it takes keys in; `x-wing`.
    #[serde(deserialize_with = "word")]
    pub suite: Suite,
    /// SHA-256 of its agent's configuration; zeros.
    #[serde(deserialize_with = "word")]
    pub config: Sha256Digest,
}

/// What the evidence of a file is verified with; names of files are from the folder of the case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifyCase {
    /// `sev-snp`, `tpm`, `azure-vtpm` or `svsm`; what the bytes look like.
    #[serde(deserialize_with = "maybe")]
    pub kind: Option<EvidenceKind>,
    /// A directory with certificates; none.
    pub certs: Option<PathBuf>,
    /// Revocation lists; none.
    pub crl: Vec<PathBuf>,
    /// How many days ago a revocation list may have been issued, which there then must be.
    pub require_crl: Option<u64>,
    /// A simulated root's certificate; AMD's roots are believed at any rate.
    pub simulated_root: Option<PathBuf>,
    /// Reports of version 4 are believed; no.
    pub accept_version_4: bool,
    /// Attestation keys that are believed; none.
    pub ak_public: Vec<PathBuf>,
    /// The same by their Names.
    #[serde(deserialize_with = "words")]
    pub trust_ak: Vec<ObjectName>,
    /// The endorsement key that they were activated with.
    pub ek_public: Option<PathBuf>,
    /// The suite that the guest takes keys in; `x-wing`.
    #[serde(deserialize_with = "word")]
    pub suite: Suite,
    /// SHA-256 of its agent's configuration; zeros.
    #[serde(deserialize_with = "word")]
    pub config: Sha256Digest,
}

/// How a TPM's key came to be believed.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enrolled {
    EkCertificate,
    Operator,
    No,
}

/// What the guest asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestCase {
    /// `unwrap`, `release`, `secret` or `renew`; `unwrap`.
    #[serde(deserialize_with = "word")]
    pub operation: Operation,
    /// The key's id; `db`.
    #[serde(deserialize_with = "maybe")]
    pub key: Option<KeyId>,
    /// Its version; the latest.
    pub version: Option<u32>,
}

/// The key that it asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyCase {
    /// `rsa-2048`, `rsa-3072`, `rsa-4096`, `aes-256` or `secret`; `rsa-3072`, or `secret` where that is asked for.
    #[serde(deserialize_with = "maybe")]
    pub kind: Option<KeyKind>,
    /// Its version; 1.
    pub version: u32,
    /// `generated`, `imported` or `restored`; `generated`.
    #[serde(deserialize_with = "origin")]
    pub origin: Origin,
    /// What it was created for; whatever its kind can do.
    #[serde(deserialize_with = "maybe_words")]
    pub operations: Option<BTreeSet<Operation>>,
    /// Made for simulated guests; yes.
    pub simulation: bool,
    /// The weakest suite that it may be sealed with; `x-wing`.
    #[serde(deserialize_with = "word")]
    pub suite_floor: Suite,
    /// It may be used; yes.
    pub enabled: bool,
    /// When it came to be; 2026-01-01.
    #[serde(deserialize_with = "time")]
    pub created_at: UnixTime,
    /// Its ring; `default`.
    #[serde(deserialize_with = "word")]
    pub ring: RingId,
    /// Where it may be used; absent.
    #[serde(deserialize_with = "maybe")]
    pub region: Option<Region>,
    /// Its labels; none.
    pub tags: BTreeMap<String, String>,
    /// Its own policy, in Cedar; none.
    pub policy: Option<String>,
}

impl Default for GuestCase {
    fn default() -> Self {
        Self {
            name: "guest".to_owned(),
            kind: EvidenceKind::SevSnp,
            product: Product::Genoa,
            debug: false,
            migration_agent: false,
            tcb: TcbChange::default(),
            mitigations: None,
            measurement: None,
            host_data: None,
            id_key: None,
            author_key: None,
            provider: None,
            vmpl: None,
            version: None,
            image: None,
            secure_boot: None,
            command_line: None,
            extend: Vec::new(),
            without_log: false,
            enrolled: Enrolled::EkCertificate,
            vm_id: "0a1b2c3d-0123-4567-89ab-0123456789ab".to_owned(),
            suite: Suite::XWing,
            config: Sha256Digest([0; 32]),
        }
    }
}

impl Default for VerifyCase {
    fn default() -> Self {
        Self {
            kind: None,
            certs: None,
            crl: Vec::new(),
            require_crl: None,
            simulated_root: None,
            accept_version_4: false,
            ak_public: Vec::new(),
            trust_ak: Vec::new(),
            ek_public: None,
            suite: Suite::XWing,
            config: Sha256Digest([0; 32]),
        }
    }
}

impl Default for RequestCase {
    fn default() -> Self {
        Self { operation: Operation::Unwrap, key: None, version: None }
    }
}

impl Default for KeyCase {
    fn default() -> Self {
        Self {
            kind: None,
            version: 1,
            origin: Origin::Generated,
            operations: None,
            simulation: true,
            suite_floor: Suite::XWing,
            enabled: true,
            created_at: UnixTime(1_767_225_600),
            ring: RingId::default(),
            region: None,
            tags: BTreeMap::new(),
            policy: None,
        }
    }
}

pub fn usual_time() -> UnixTime {
    UnixTime(1_795_339_800)
}

/// A string that stands for something.
fn word<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn maybe<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    word(deserializer).map(Some)
}

fn words<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    words.iter().map(|word| word.parse().map_err(D::Error::custom)).collect()
}

fn maybe_words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeSet<Operation>>, D::Error> {
    words(deserializer).map(|words| Some(words.into_iter().collect()))
}

/// The numbers of the bits that are set.
fn bits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let mut vector = 0;
    for bit in Vec::<u32>::deserialize(deserializer)? {
        let one = 1_u64.checked_shl(bit);
        vector |= one.ok_or_else(|| D::Error::custom(format!("a bit of a vector is 0 to 63, got {bit}")))?;
    }
    Ok(Some(vector))
}

fn origin<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Origin, D::Error> {
    let got = String::deserialize(deserializer)?;
    let found = [Origin::Generated, Origin::Imported, Origin::Restored].into_iter().find(|o| o.name() == got);
    found.ok_or_else(|| D::Error::custom(format!("expected generated, imported or restored, got `{got}`")))
}

/// A time as TOML has it, or as a string.
pub fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixTime, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Time {
        Toml(toml::value::Datetime),
        Text(String),
    }
    let text = match Time::deserialize(deserializer)? {
        Time::Toml(time) => time.to_string(),
        Time::Text(text) => text,
    };
    let expected = "expected a time such as 2026-11-22T09:30:00Z";
    UnixTime::parse(&text).ok_or_else(|| D::Error::custom(format!("{expected}, got `{text}`")))
}
