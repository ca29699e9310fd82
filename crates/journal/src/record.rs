//! [`Record`]: what a leaf records, read back from its bytes.

use claims::leaf::{LeafKind, ReleaseRecord};
use claims::{
    BrokerId, KeyVersion, Operation, Origin, PolicyDigest, Sha256Digest, TranscriptHash, VersionSelector,
};

use crate::event::{DENIED, KEY_CHANGED, KEY_CREATED, REFUSALS, STARTED};
use crate::fields::Reader;
use crate::{
    ActDenied, AttestationKeyChanged, Denied, Event, KeyChanged, KeyCreated, PolicyLoaded, RecordError,
    Refusals, Started, Trial,
};

/// What a leaf records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Something left for a guest.
    Release(ReleaseRecord),
    /// Something else happened.
    Event(Event),
}

impl Record {
    /// Reads a record of this kind. What it gives encodes to the same bytes again.
    ///
    /// # Errors
    /// [`RecordError`] for the first field that is not what it should be.
    pub fn decode(kind: LeafKind, record: &[u8]) -> Result<Self, RecordError> {
        let (decoded, rest) = match kind {
            LeafKind::Release => decode_release(record)?,
            LeafKind::Denial => decode_denied(record)?,
            LeafKind::KeyCreated => decode_created(record)?,
            LeafKind::KeyChanged => decode_changed(record)?,
            LeafKind::Started => decode_started(record)?,
            LeafKind::Refusals => decode_refusals(record)?,
            LeafKind::AttestationKey => {
                let (changed, rest) = AttestationKeyChanged::decode(record)?;
                (Self::Event(Event::AttestationKey(changed)), rest)
            }
            LeafKind::Trial => {
                let (trial, rest) = Trial::decode(record)?;
                (Self::Event(Event::Trial(trial)), rest)
            }
            LeafKind::PolicyLoaded => {
                let (loaded, rest) = PolicyLoaded::decode(record)?;
                (Self::Event(Event::PolicyLoaded(loaded)), rest)
            }
            LeafKind::ActDenied => {
                let (denied, rest) = ActDenied::decode(record)?;
                (Self::Event(Event::ActDenied(denied)), rest)
            }
        };
        rest.end()?;
        Ok(decoded)
    }

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Release(release) => release.encode(),
            Self::Event(event) => event.encode(),
        }
    }

    /// What its leaf records.
    pub fn kind(&self) -> LeafKind {
        match self {
            Self::Release(_) => LeafKind::Release,
            Self::Event(event) => event.kind(),
        }
    }
}

type Decoded<'a> = Result<(Record, Reader<'a>), RecordError>;

fn decode_release(record: &[u8]) -> Decoded<'_> {
    let mut r = Reader::labelled(record, "keyfast/1 release")?;
    let release = ReleaseRecord {
        broker: BrokerId(r.array("broker")?),
        transcript: TranscriptHash(r.array("transcript")?),
        index: r.u32("index")?,
        operation: r.code("operation", Operation::from_code)?,
        key: r.parsed("key")?,
        version: KeyVersion(r.u32("version")?),
        key_commitment: Sha256Digest(r.array("key commitment")?),
        policy: PolicyDigest(r.array("policy")?),
        sealed: Sha256Digest(r.array("sealed")?),
        decided_at: r.time("decided at")?,
    };
    Ok((Record::Release(release), r))
}

fn decode_denied(record: &[u8]) -> Decoded<'_> {
    let mut r = Reader::labelled(record, DENIED)?;
    let denied = Denied {
        broker: BrokerId(r.array("broker")?),
        transcript: TranscriptHash(r.array("transcript")?),
        index: r.u32("index")?,
        operation: r.code("operation", Operation::from_code)?,
        key: r.parsed("key")?,
        version: match r.u32("version")? {
            0 => VersionSelector::Latest,
            version => VersionSelector::Exact(KeyVersion(version)),
        },
        policy: PolicyDigest(r.array("policy")?),
        code: r.text("code")?.to_owned(),
        reasons: Sha256Digest(r.array("reasons")?),
        decided_at: r.time("decided at")?,
    };
    Ok((Record::Event(Event::Denied(denied)), r))
}

fn decode_created(record: &[u8]) -> Decoded<'_> {
    let (broker, policy, mut r) = KEY_CREATED.read(record)?;
    let created = KeyCreated {
        broker,
        policy,
        key: r.parsed("key")?,
        version: KeyVersion(r.u32("version")?),
        revision: r.u64("revision")?,
        kind: r.parsed("kind")?,
        origin: r.code("origin", Origin::from_code)?,
        commitment: Sha256Digest(r.array("commitment")?),
        attributes: Sha256Digest(r.array("attributes")?),
        actor: r.text("actor")?.to_owned(),
        at: r.time("at")?,
    };
    Ok((Record::Event(Event::KeyCreated(created)), r))
}

fn decode_changed(record: &[u8]) -> Decoded<'_> {
    let (broker, policy, mut r) = KEY_CHANGED.read(record)?;
    let changed = KeyChanged {
        broker,
        policy,
        key: r.parsed("key")?,
        version: KeyVersion(r.u32("version")?),
        revision: r.u64("revision")?,
        enabled: r.flag("enabled")?,
        attributes: Sha256Digest(r.array("attributes")?),
        action: r.text("action")?.to_owned(),
        actor: r.text("actor")?.to_owned(),
        at: r.time("at")?,
    };
    Ok((Record::Event(Event::KeyChanged(changed)), r))
}

fn decode_started(record: &[u8]) -> Decoded<'_> {
    let mut r = Reader::labelled(record, STARTED)?;
    let started = Started {
        broker: BrokerId(r.array("broker")?),
        software: r.text("software")?.to_owned(),
        config: Sha256Digest(r.array("config")?),
        policy: PolicyDigest(r.array("policy")?),
        at: r.time("at")?,
    };
    Ok((Record::Event(Event::Started(started)), r))
}

fn decode_refusals(record: &[u8]) -> Decoded<'_> {
    let (broker, policy, mut r) = REFUSALS.read(record)?;
    let (from, until) = (r.time("from")?, r.time("until")?);
    let mut counts = Vec::new();
    for _ in 0..r.u32("codes")? {
        counts.push((r.text("code")?.to_owned(), r.u64("count")?));
    }
    Ok((Record::Event(Event::Refusals(Refusals { broker, policy, from, until, counts })), r))
}
