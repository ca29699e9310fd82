//! How names and byte strings stand in the control protocol's JSON.

/// `Option<[u8; N]>` as a string of `2 * N` hexadecimal digits.
pub(crate) mod hex_bytes {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer, const N: usize>(
        bytes: &Option<[u8; N]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => serializer.serialize_str(&hex::encode(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<Option<[u8; N]>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let (expected, got) = (N.saturating_mul(2), text.len());
        let mut bytes = [0; N];
        if got != expected {
            let reason = format_args!("wrong number of hexadecimal digits: expected {expected}, got {got}");
            return Err(D::Error::custom(reason));
        }
        hex::decode_to_slice(&text, &mut bytes).map_err(D::Error::custom)?;
        Ok(Some(bytes))
    }
}

/// 32 bytes as a string of 64 hexadecimal digits.
pub(crate) mod digest {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        super::hex_bytes::serialize(&Some(*bytes), serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let bytes = super::hex_bytes::deserialize(deserializer)?;
        bytes.ok_or_else(|| D::Error::custom("expected 64 hexadecimal digits"))
    }
}

/// A kind of evidence by its name.
pub(crate) mod kind {
    use claims::EvidenceKind;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(kind: &EvidenceKind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EvidenceKind, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|reason| D::Error::custom(format_args!("`{name}` is {reason}")))
    }
}

/// A name in the grammar of a key's.
pub(crate) mod name {
    use claims::KeyId;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(name: &KeyId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeyId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
