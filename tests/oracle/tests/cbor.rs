//! The messages of `wire`, which `minicbor` writes, against the crate `serde_cbor`.
//!
//! Each message is written down here as a tree of CBOR values, from `crates/wire/SPEC.md` and not from `wire`'s
//! types. `serde_cbor` encodes the tree; `wire` must read these bytes as a message and write them again, and
//! `serde_cbor` must read what `wire` wrote as the same tree.

use std::collections::BTreeMap;
use std::fs;

use serde_cbor::Value;
use wire::{
    ChallengeRequest, ChallengeResponse, DecodeError, Message, ReleaseRequest, ReleaseResponse,
    SignedStatement, Statement,
};

fn uint(number: u64) -> Value {
    Value::Integer(number.into())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// `len` bytes that differ.
fn bytes(len: usize) -> Value {
    Value::Bytes((0..len).map(|i| (i * 5 + len) as u8).collect())
}

fn array(items: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(items.into_iter().collect())
}

fn map(entries: impl IntoIterator<Item = (u64, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (uint(key), value)).collect())
}

fn encoded(tree: &Value) -> Vec<u8> {
    serde_cbor::to_vec(tree).unwrap()
}

fn entries(tree: &Value) -> &BTreeMap<Value, Value> {
    match tree {
        Value::Map(entries) => entries,
        other => panic!("{other:?}"),
    }
}

fn unwrap_request(algorithm: u64, wrapped: usize, context: usize) -> Value {
    let unwrap = map([(0, uint(algorithm)), (1, bytes(wrapped)), (2, bytes(context))]);
    map([(0, uint(1)), (1, text("disk.root")), (2, uint(4_294_967_295)), (3, unwrap)])
}

fn request(operation: u64) -> Value {
    map([(0, uint(operation)), (1, text("k-1_a.b")), (2, uint(0))])
}

fn release_request(suite: u64, recipient: usize, requests: Vec<Value>) -> Value {
    map([
        (0, bytes(256)),
        (1, uint(1)),
        (2, bytes(1184)),
        (3, uint(suite)),
        (4, bytes(recipient)),
        (5, bytes(32)),
        (6, array(requests)),
        (7, uint(u64::MAX)),
    ])
}

fn hashes(count: usize) -> Value {
    array((0..count).map(|_| bytes(32)))
}

fn permit(sealed: Option<Value>, proof: usize) -> Value {
    let receipt = [bytes(32), bytes(32), uint(1_900_000_000), bytes(16), uint(1 << 40), hashes(proof)];
    let receipt = map((0..).zip(receipt));
    let entries = [(0, Some(uint(7))), (1, sealed), (2, Some(receipt))];
    array([uint(0), map(entries.into_iter().filter_map(|(key, value)| Some((key, value?))))])
}

fn release_response() -> Value {
    let sealed = map([(0, bytes(97)), (1, bytes(48))]);
    let denial = array([uint(1), map([(0, text("policy-denied"))])]);
    let answers = array([permit(Some(sealed), 0), permit(None, 64), denial]);
    map([(0, bytes(16)), (1, answers), (2, bytes(300)), (3, hashes(2))])
}

fn statement() -> Value {
    map([
        (0, bytes(32)),
        (1, uint(1)),
        (2, uint(24)),
        (3, array([text("https://kms.example:8443")])),
        (4, hashes(16)),
        (5, array([text("keyfast/example+0f1e2d3c+AQEB"), text("x")])),
        (6, array([])),
    ])
}

fn signed_statement() -> Value {
    map([(0, Value::Bytes(encoded(&statement()))), (1, bytes(32)), (2, bytes(64))])
}

/// What `wire` must do with a tree that is a message of kind `M`: take it; refuse it with a key more, with a value of
/// no type that messages use, and without any key but the `optional` ones.
fn is_message<M: Message>(tree: &Value, optional: &[u64]) {
    let bytes = encoded(tree);
    let message: M = wire::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}\n{tree:?}", M::NAME));
    let written = wire::encode(&message).unwrap();
    assert_eq!(written, bytes, "{}", M::NAME);
    assert_eq!(&serde_cbor::from_slice::<Value>(&written).unwrap(), tree, "{}", M::NAME);

    let mut more = entries(tree).clone();
    more.insert(uint(23), uint(0));
    let refused = wire::decode::<M>(&encoded(&Value::Map(more))).err();
    assert!(matches!(refused, Some(DecodeError::Unknown { .. })), "{}: {refused:?}", M::NAME);

    for key in entries(tree).keys() {
        let mut less = entries(tree).clone();
        less.remove(key);
        let read = wire::decode::<M>(&encoded(&Value::Map(less)));
        assert_eq!(read.is_ok(), optional.iter().any(|o| uint(*o) == *key), "{} without {key:?}", M::NAME);

        let mut other = entries(tree).clone();
        other.insert(key.clone(), Value::Null);
        let refused = wire::decode::<M>(&encoded(&Value::Map(other))).err();
        assert!(matches!(refused, Some(DecodeError::ForeignType { .. })), "{}: {refused:?}", M::NAME);
    }
}

#[test]
fn challenges_are_what_serde_cbor_makes_of_the_spec() {
    for known in [0, 23, 24, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX] {
        is_message::<ChallengeRequest>(&map([(0, uint(known))]), &[]);
    }
    let fields = [(0, bytes(1)), (1, bytes(32)), (2, uint(1_900_000_060))];
    is_message::<ChallengeResponse>(&map(fields.clone()), &[]);
    let statement = (3, Value::Bytes(encoded(&signed_statement())));
    is_message::<ChallengeResponse>(&map(fields.into_iter().chain([statement])), &[3]);
}

#[test]
fn release_requests_are_what_serde_cbor_makes_of_the_spec() {
    let all = vec![unwrap_request(1, 384, 0), unwrap_request(3, 60, 300), request(2), request(3), request(4)];
    is_message::<ReleaseRequest>(&release_request(1, 97, all.clone()), &[]);
    is_message::<ReleaseRequest>(&release_request(2, 1216, vec![request(2); 32]), &[]);
}

#[test]
fn release_responses_are_what_serde_cbor_makes_of_the_spec() {
    is_message::<ReleaseResponse>(&release_response(), &[]);
}

#[test]
fn statements_are_what_serde_cbor_makes_of_the_spec() {
    is_message::<Statement>(&statement(), &[]);
    is_message::<SignedStatement>(&signed_statement(), &[]);
}

/// Each sound vector of the specification, in the form `key: value` a line.
#[test]
fn the_vectors_survive_serde_cbor() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/wire/vectors");
    let mut sound = 0;
    for file in fs::read_dir(folder).unwrap() {
        let vector = fs::read_to_string(file.unwrap().path()).unwrap();
        let line = |key: &str| vector.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        let (Some(_), Some("ok"), Some(hex)) = (line("message"), line("expect"), line("bytes")) else {
            continue;
        };
        let bytes = hex::decode(hex).unwrap();
        let tree: Value = serde_cbor::from_slice(&bytes).unwrap();
        assert_eq!(encoded(&tree), bytes, "{vector}");
        sound += 1;
    }
    assert!(sound >= 9, "{sound} sound vectors");
}
