//! A guest and a key in Cedar's terms, whole, and the values that are known: for those who ask a solver for guests, and
//! decide nothing.

use std::sync::Arc;

use claims::{AttestedRequest, ClaimsRecord, KeyAttributes, UnixTime};
use serde_json::Value;

use crate::cache::Cache;
use crate::circumstances::Circumstances;
use crate::decide::Policy;
use crate::reach::Reach;
use crate::subject::Subjects;
use crate::vocabulary::Vocabulary;

/// A value that the reference values know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownValue {
    /// Its type in the schema, such as `Measurement`.
    pub kind: &'static str,
    /// Its name there: lower-case hexadecimal, for most.
    pub id: String,
    /// What is thought of it at the time that was asked for.
    pub state: &'static str,
}

impl Policy {
    /// The entities of this guest and key in Cedar's JSON, with claims that no rule here reads.
    ///
    /// # Errors
    /// What Cedar says if it does not take one.
    pub fn entities(
        &self,
        record: &ClaimsRecord,
        request: &AttestedRequest,
        key: &KeyAttributes,
        circumstances: &Circumstances,
    ) -> Result<Value, String> {
        let whole = Subjects {
            vocabulary: Vocabulary::new()?,
            references: Arc::clone(&self.subjects.references),
            named: Vec::new(),
            dated: Vec::new(),
            cache: Cache::default(),
            reach: Reach::everything(),
        };
        let subject = whole.subject(record, request, key, circumstances, circumstances.now, None)?;
        subject.entities.to_json_value().map_err(|error| error.to_string())
    }

    /// Everything that the reference values know, in order.
    pub fn known_values(&self, at: UnixTime) -> Vec<KnownValue> {
        let values = self.subjects.references.values();
        let mut all: Vec<_> = values
            .map(|(kind, id, known)| KnownValue {
                kind: kind.type_name(),
                id: id.to_owned(),
                state: known.state(at).name(),
            })
            .collect();
        all.sort();
        all
    }
}
