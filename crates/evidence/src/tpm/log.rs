//! The TCG event log: events as they lie in memory, little-endian (TCG PC Client Platform Firmware Profile 1.06,
//! section 10.2; EFI Protocol Specification for the older format).
//!
//! A crypto-agile log starts with an EV_NO_ACTION event in the older format that says which digests each event has;
//! a log without one has SHA-1 only. Nothing that an event says is believed here, its type and PCR included.

use claims::tpm::HashAlgorithm;

/// A log, parsed and unverified.
#[derive(Debug)]
pub struct EventLog {
    /// The algorithms of each event's digests, in their order; those without a name here are left out.
    pub algorithms: Vec<HashAlgorithm>,
    /// Whether the log is crypto-agile: what only names SHA-1 may be of either format.
    pub crypto_agile: bool,
    /// The events, without the one that only describes the log.
    pub events: Vec<Event>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which PCR it says was extended; any number in an EV_NO_ACTION, 0 to 23 in others.
    pub pcr: u32,
    /// EventType.
    pub kind: u32,
    /// What it says was extended, one for each of the log's algorithms.
    pub digests: Vec<(HashAlgorithm, Vec<u8>)>,
    /// EventData.
    pub data: Vec<u8>,
}

impl Event {
    /// The digest of an algorithm, or `None`.
    pub fn digest(&self, algorithm: HashAlgorithm) -> Option<&[u8]> {
        self.digests.iter().find(|(found, _)| *found == algorithm).map(|(_, digest)| digest.as_slice())
    }
}

/// EV_NO_ACTION: an event that extends nothing.
pub const EV_NO_ACTION: u32 = 3;

/// Bytes that are no event log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The log ends within an event.
    #[error("event {event} ends too early: expected {needed} more bytes of {field}, got {got}")]
    Truncated {
        /// Which event, from 0.
        event: usize,
        /// Which field.
        field: &'static str,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that are left.
        got: usize,
    },
    /// More bytes than a boot writes.
    #[error("the event log is too long: expected at most {limit} bytes, got {got}")]
    TooLong {
        /// Most bytes allowed.
        limit: usize,
        /// Bytes given.
        got: usize,
    },
    /// More events than a boot makes.
    #[error("too many events: expected at most {limit}")]
    TooMany {
        /// Most events allowed.
        limit: usize,
    },
    /// An event that extends a PCR that does not exist.
    #[error("event {event} extends a pcr that does not exist: expected 0 to 23, got {got}")]
    PcrIndex {
        /// Which event, from 0.
        event: usize,
        /// The index found.
        got: u32,
    },
    /// The event that describes the log is malformed.
    #[error("malformed description of the log: expected {expected}, got {got}")]
    SpecId {
        /// What it should have said.
        expected: &'static str,
        /// What it says.
        got: u64,
    },
    /// An event with other digests than the log's.
    #[error("event {event} has other digests than the log: expected {expected}, got {got:#06x}")]
    Digests {
        /// Which event, from 0.
        event: usize,
        /// The count, or the algorithm at this place.
        expected: String,
        /// The count or TPM_ALG_ID found.
        got: u32,
    },
}

impl EventLog {
    /// Most bytes of a log: 1 MiB. In evidence it shares [`crate::MAX_EVIDENCE`] with the other parts.
    pub const MAX_LEN: usize = 1024 * 1024;
    /// Most events of a log.
    pub const MAX_EVENTS: usize = 2048;
    /// Most algorithms of a crypto-agile log.
    pub const MAX_ALGORITHMS: u32 = 8;

    /// Parses a log in either format, to its last byte.
    ///
    /// # Errors
    /// Each variant of [`LogError`], for what its name says; the first in the order of the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogError> {
        let (limit, got) = (Self::MAX_LEN, bytes.len());
        if got > limit {
            return Err(LogError::TooLong { limit, got });
        }
        let mut cursor = Cursor { event: 0, rest: bytes };
        let first = parse_sha1_event(&mut cursor)?;
        match spec_id_body(&first) {
            Some(body) => parse_agile(&mut cursor, body),
            None => parse_legacy(&mut cursor, first),
        }
    }
}

/// What follows the signature in the event that describes a crypto-agile log.
fn spec_id_body(first: &Event) -> Option<&[u8]> {
    let is_spec_id = first.kind == EV_NO_ACTION && first.pcr == 0;
    first.data.strip_prefix(SPEC_ID_SIGNATURE).filter(|_| is_spec_id)
}

fn parse_legacy(cursor: &mut Cursor<'_>, first: Event) -> Result<EventLog, LogError> {
    let mut events = vec![first];
    while cursor.next_event(events.len())? {
        events.push(parse_sha1_event(cursor)?);
    }
    Ok(EventLog { algorithms: vec![HashAlgorithm::Sha1], crypto_agile: false, events })
}

fn parse_agile(cursor: &mut Cursor<'_>, spec_id: &[u8]) -> Result<EventLog, LogError> {
    let layout = parse_spec_id(spec_id)?;
    let mut events = Vec::new();
    while cursor.next_event(events.len())? {
        events.push(parse_agile_event(cursor, &layout)?);
    }
    let algorithms = layout.iter().filter_map(|(id, _)| HashAlgorithm::from_id(*id)).collect();
    Ok(EventLog { algorithms, crypto_agile: true, events })
}

/// TCG_PCR_EVENT.
fn parse_sha1_event(cursor: &mut Cursor<'_>) -> Result<Event, LogError> {
    let pcr = cursor.u32("the pcr index")?;
    let kind = cursor.u32("the event type")?;
    let digest = cursor.bytes("the digest", SHA1_LEN)?.to_vec();
    let data = cursor.sized("the event data")?.to_vec();
    check_pcr(cursor.event, pcr, kind)?;
    Ok(Event { pcr, kind, digests: vec![(HashAlgorithm::Sha1, digest)], data })
}

/// TCG_PCR_EVENT2.
fn parse_agile_event(cursor: &mut Cursor<'_>, layout: &[(u16, u16)]) -> Result<Event, LogError> {
    let pcr = cursor.u32("the pcr index")?;
    let kind = cursor.u32("the event type")?;
    let (event, got) = (cursor.event, cursor.u32("the number of digests")?);
    if usize::try_from(got).ok() != Some(layout.len()) {
        return Err(LogError::Digests { event, expected: format!("{} digests", layout.len()), got });
    }
    let mut digests = Vec::with_capacity(layout.len());
    for (expected, len) in layout {
        let got = cursor.u16("a digest's algorithm")?;
        if got != *expected {
            let expected = format!("algorithm {expected:#06x}");
            return Err(LogError::Digests { event, expected, got: got.into() });
        }
        let digest = cursor.bytes("a digest", u64::from(*len))?;
        digests.extend(HashAlgorithm::from_id(got).map(|algorithm| (algorithm, digest.to_vec())));
    }
    let data = cursor.sized("the event data")?.to_vec();
    check_pcr(event, pcr, kind)?;
    Ok(Event { pcr, kind, digests, data })
}

/// TCG_EfiSpecIdEvent behind its signature: algorithms and the sizes of their digests.
fn parse_spec_id(bytes: &[u8]) -> Result<Vec<(u16, u16)>, LogError> {
    let mut cursor = Cursor { event: 0, rest: bytes };
    cursor.bytes("the platform class and version", 8)?;
    let count = cursor.u32("the number of algorithms")?;
    if !(1..=EventLog::MAX_ALGORITHMS).contains(&count) {
        return Err(LogError::SpecId { expected: "1 to 8 algorithms", got: count.into() });
    }
    let mut layout: Vec<(u16, u16)> = Vec::new();
    for _ in 0..count {
        let (id, len) = (cursor.u16("an algorithm")?, cursor.u16("the size of a digest")?);
        check_algorithm(&layout, id, len)?;
        layout.push((id, len));
    }
    let [vendor] = cursor.take("the size of the vendor's data")?;
    cursor.bytes("the vendor's data", vendor.into())?;
    match cursor.rest.len() {
        0 => Ok(layout),
        got => {
            let got = u64::try_from(got).unwrap_or(u64::MAX);
            Err(LogError::SpecId { expected: "no bytes behind the vendor's data", got })
        }
    }
}

/// An algorithm stands there once, with the size that its digests have.
fn check_algorithm(before: &[(u16, u16)], id: u16, len: u16) -> Result<(), LogError> {
    if before.iter().any(|(other, _)| *other == id) {
        return Err(LogError::SpecId { expected: "each algorithm once", got: id.into() });
    }
    let right = match HashAlgorithm::from_id(id) {
        Some(algorithm) => usize::from(len) == algorithm.digest_len(),
        None => (1..=MAX_DIGEST_LEN).contains(&len),
    };
    right
        .then_some(())
        .ok_or(LogError::SpecId { expected: "the size of the algorithm's digests", got: len.into() })
}

fn check_pcr(event: usize, pcr: u32, kind: u32) -> Result<(), LogError> {
    if kind == EV_NO_ACTION || pcr < PCR_COUNT {
        return Ok(());
    }
    Err(LogError::PcrIndex { event, got: pcr })
}

/// What of a log is still to be read.
struct Cursor<'a> {
    event: usize,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Moves to the next event, if there is one, given how many there are.
    fn next_event(&mut self, events: usize) -> Result<bool, LogError> {
        if self.rest.is_empty() {
            return Ok(false);
        }
        if events >= EventLog::MAX_EVENTS {
            return Err(LogError::TooMany { limit: EventLog::MAX_EVENTS });
        }
        self.event = self.event.saturating_add(1);
        Ok(true)
    }

    fn take<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], LogError> {
        let needed = u64::try_from(N).unwrap_or(u64::MAX);
        let short = LogError::Truncated { event: self.event, field, needed, got: self.rest.len() };
        let (head, rest) = self.rest.split_first_chunk().ok_or(short)?;
        self.rest = rest;
        Ok(*head)
    }

    fn bytes(&mut self, field: &'static str, needed: u64) -> Result<&'a [u8], LogError> {
        let short = LogError::Truncated { event: self.event, field, needed, got: self.rest.len() };
        let len = usize::try_from(needed).ok();
        let (head, rest) = len.and_then(|len| self.rest.split_at_checked(len)).ok_or(short)?;
        self.rest = rest;
        Ok(head)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, LogError> {
        self.take(field).map(u16::from_le_bytes)
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, LogError> {
        self.take(field).map(u32::from_le_bytes)
    }

    /// Four bytes of length, then as many bytes.
    fn sized(&mut self, field: &'static str) -> Result<&'a [u8], LogError> {
        let len = self.u32(field)?;
        self.bytes(field, len.into())
    }
}

const SPEC_ID_SIGNATURE: &[u8] = b"Spec ID Event03\0";
const SHA1_LEN: u64 = 20;
const PCR_COUNT: u32 = 24;
/// Bytes of the longest digest of an algorithm without a name here.
const MAX_DIGEST_LEN: u16 = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sha1_event(pcr: u32, kind: u32, data: &[u8]) -> Vec<u8> {
        let size = (data.len() as u32).to_le_bytes();
        [&pcr.to_le_bytes()[..], &kind.to_le_bytes(), &[1; 20], &size, data].concat()
    }

    fn spec_id(algorithms: &[(u16, u16)]) -> Vec<u8> {
        let count = (algorithms.len() as u32).to_le_bytes();
        let pairs = algorithms.iter().flat_map(|(id, len)| [id.to_le_bytes(), len.to_le_bytes()].concat());
        let pairs: Vec<u8> = pairs.collect();
        let data = [SPEC_ID_SIGNATURE, &[0, 0, 0, 0, 0, 2, 0, 2], &count, &pairs, &[0]].concat();
        sha1_event(0, EV_NO_ACTION, &data)
    }

    fn event(pcr: u32, kind: u32, digests: &[(u16, usize)], data: &[u8]) -> Vec<u8> {
        let count = (digests.len() as u32).to_le_bytes();
        let list = digests.iter().flat_map(|(id, len)| [&id.to_le_bytes()[..], &vec![7; *len]].concat());
        let (list, size): (Vec<u8>, _) = (list.collect(), (data.len() as u32).to_le_bytes());
        [&pcr.to_le_bytes()[..], &kind.to_le_bytes(), &count, &list, &size, data].concat()
    }

    fn refusal(parts: &[Vec<u8>]) -> LogError {
        EventLog::parse(&parts.concat()).unwrap_err()
    }

    #[test]
    fn both_formats_are_read() {
        let legacy = [sha1_event(7, 4, &[0; 4]), sha1_event(u32::MAX, EV_NO_ACTION, b"x")].concat();
        let legacy = EventLog::parse(&legacy).unwrap();
        assert!(!legacy.crypto_agile);
        assert_eq!((legacy.algorithms, legacy.events.len()), (vec![HashAlgorithm::Sha1], 2));

        // Only an event that is no action, in PCR 0, describes a log.
        for (pcr, kind) in [(1, EV_NO_ACTION), (0, 4)] {
            let lookalike = EventLog::parse(&sha1_event(pcr, kind, SPEC_ID_SIGNATURE)).unwrap();
            assert!(!lookalike.crypto_agile, "PCR {pcr}, type {kind}");
        }

        // An algorithm without a name is passed over by its size.
        let both = [(0x12, 32), (0x0b, 32)];
        let bytes = [spec_id(&[(0x12, 32), (0x0b, 32)]), event(4, 9, &both, b"data")].concat();
        let agile = EventLog::parse(&bytes).unwrap();
        assert_eq!((agile.crypto_agile, agile.algorithms), (true, vec![HashAlgorithm::Sha256]));
        let [only] = agile.events.as_slice() else { panic!() };
        assert_eq!((only.pcr, only.kind, only.data.as_slice()), (4, 9, &b"data"[..]));
        assert_eq!(only.digest(HashAlgorithm::Sha256), Some(&[7; 32][..]));
        assert_eq!(only.digest(HashAlgorithm::Sha384), None);
    }

    #[test]
    fn lengths_that_no_bytes_back_are_refused() {
        let agile = [(0x0b, 32)];
        let mut long = event(4, 9, &agile.map(|(id, len)| (id, usize::from(len))), b"data");
        let size = long.len() - 8;
        long[size..size + 4].fill(0xff);
        let error = refusal(&[spec_id(&agile), long]);
        let (field, needed) = ("the event data", u32::MAX.into());
        assert_eq!(error, LogError::Truncated { event: 1, field, needed, got: 4 });
        let error = LogError::Truncated { event: 0, field: "the pcr index", needed: 4, got: 0 };
        assert_eq!(refusal(&[]), error);
    }

    #[test]
    fn events_have_the_logs_digests_and_no_others() {
        let spec = spec_id(&[(0x0b, 32)]);
        let none = refusal(&[spec.clone(), event(0, 4, &[], b"")]);
        assert_eq!(none, LogError::Digests { event: 1, expected: "1 digests".to_owned(), got: 0 });
        let other = refusal(&[spec.clone(), event(0, 4, &[(0x0c, 48)], b"")]);
        let expected = "algorithm 0x000b".to_owned();
        assert_eq!(other, LogError::Digests { event: 1, expected, got: 0x0c });
        let high = refusal(&[spec, event(24, 4, &[(0x0b, 32)], b"")]);
        assert_eq!(high, LogError::PcrIndex { event: 1, got: 24 });
    }

    #[test]
    fn a_log_describes_itself_once_and_rightly() {
        let wrong = |expected, got| LogError::SpecId { expected, got };
        assert_eq!(refusal(&[spec_id(&[])]), wrong("1 to 8 algorithms", 0));
        assert_eq!(refusal(&[spec_id(&[(0x0b, 32); 9])]), wrong("1 to 8 algorithms", 9));
        assert_eq!(refusal(&[spec_id(&[(0x0b, 32); 2])]), wrong("each algorithm once", 0x0b));
        let size = "the size of the algorithm's digests";
        assert_eq!(refusal(&[spec_id(&[(0x0b, 48)])]), wrong(size, 48));
        assert_eq!(refusal(&[spec_id(&[(0x12, 65)])]), wrong(size, 65));
        let mut longer = spec_id(&[(0x0b, 32)]);
        longer.push(0);
        longer[28] += 1;
        assert_eq!(refusal(&[longer]), wrong("no bytes behind the vendor's data", 1));
    }

    #[test]
    fn events_are_counted() {
        let many = vec![sha1_event(0, 4, &[]); EventLog::MAX_EVENTS + 1];
        assert_eq!(refusal(&many), LogError::TooMany { limit: 2048 });
        let zeros = |len| [vec![0; len]];
        assert_eq!(
            refusal(&zeros(EventLog::MAX_LEN + 1)),
            LogError::TooLong { limit: 1_048_576, got: 1_048_577 }
        );
        assert_eq!(refusal(&zeros(EventLog::MAX_LEN)), LogError::TooMany { limit: 2048 });
        assert!(EventLog::parse(&many[1..].concat()).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = EventLog::parse(&bytes);
            let _ = EventLog::parse(&[spec_id(&[(4, 20), (0x0b, 32)]), bytes].concat());
        }
    }
}
