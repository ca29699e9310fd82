//! Azure's runtime data: JSON that the paravisor writes and the SNP report binds (openvmm,
//! `openhcl/openhcl_attestation_protocol`).
//!
//! The attestation key is the one member of `keys` named HCLAkPub. The bytes are kept as they came, since their hash
//! is what the report carries; members without a meaning here are passed over.

use claims::tpm::ParavisorClaims;

use super::json::Json;

/// Runtime data, parsed and unverified.
#[derive(Debug)]
pub struct RuntimeData {
    raw: Box<[u8]>,
    /// HCLAkPub.
    pub ak: RsaJwk,
    /// vm-configuration.
    pub configuration: ParavisorClaims,
}

/// An RSA key as a JSON Web Key has it (RFC 7518, 6.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaJwk {
    /// n, big-endian, without leading zeros.
    pub modulus: Vec<u8>,
    /// e, big-endian, without leading zeros.
    pub exponent: Vec<u8>,
}

/// Runtime data that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// Not JSON, or not in the part of it that is read here.
    #[error("the runtime data are no json: {reason}")]
    Json {
        /// What is wrong.
        reason: &'static str,
    },
    /// A member is missing, or not what it should be.
    #[error("the runtime data have no proper `{member}`: expected {expected}")]
    Member {
        /// Which member.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// Not exactly one attestation key.
    #[error("wrong number of attestation keys in the runtime data: expected one HCLAkPub, got {got}")]
    AkCount {
        /// How many there are.
        got: usize,
    },
}

impl RuntimeData {
    /// Parses exactly these bytes.
    ///
    /// # Errors
    /// Each variant of [`RuntimeError`], for what its name says.
    pub fn parse(bytes: &[u8]) -> Result<Self, RuntimeError> {
        let json = Json::parse(bytes).map_err(|reason| RuntimeError::Json { reason })?;
        let ak = parse_ak(&json)?;
        Ok(Self { raw: bytes.into(), ak, configuration: parse_configuration(&json)? })
    }

    /// The bytes as they came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }
}

fn parse_ak(json: &Json) -> Result<RsaJwk, RuntimeError> {
    let missing = RuntimeError::Member { member: "keys", expected: "a list" };
    let keys = json.member("keys").and_then(Json::as_list).ok_or(missing)?;
    let text = |key: &Json, name| key.member(name).and_then(Json::as_text).map(str::to_owned);
    let mut aks = keys.iter().filter(|key| text(key, "kid").as_deref() == Some("HCLAkPub"));
    let (Some(ak), None) = (aks.next(), aks.next()) else {
        let got = keys.iter().filter(|key| text(key, "kid").as_deref() == Some("HCLAkPub")).count();
        return Err(RuntimeError::AkCount { got });
    };
    if text(ak, "kty").as_deref() != Some("RSA") {
        return Err(RuntimeError::Member { member: "kty", expected: "RSA" });
    }
    let number = |member: &'static str| {
        let bytes = text(ak, member).and_then(|text| decode_base64url(&text));
        let bytes = bytes.filter(|bytes| bytes.first().is_some_and(|first| *first != 0));
        bytes.ok_or(RuntimeError::Member { member, expected: "a number in base64url" })
    };
    Ok(RsaJwk { modulus: number("n")?, exponent: number("e")? })
}

fn parse_configuration(json: &Json) -> Result<ParavisorClaims, RuntimeError> {
    let missing = RuntimeError::Member { member: "vm-configuration", expected: "an object" };
    let configuration = json.member("vm-configuration").ok_or(missing)?;
    let flag = |member: &'static str| {
        let flag = configuration.member(member).and_then(Json::as_bool);
        flag.ok_or(RuntimeError::Member { member, expected: "true or false" })
    };
    let is_id = |id: &&str| id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let id = configuration.member("vmUniqueId").and_then(Json::as_text).filter(is_id);
    let id = id.ok_or(RuntimeError::Member { member: "vmUniqueId", expected: "a uuid" })?;
    Ok(ParavisorClaims {
        vm_id: id.to_ascii_lowercase(),
        secure_boot: flag("secure-boot")?,
        console_enabled: flag("console-enabled")?,
        tpm_persisted: configuration.member("tpm-persisted").and_then(Json::as_bool),
    })
}

/// Base64url without padding (RFC 4648, 5); what is not canonical is refused.
fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte.checked_sub(b'A'),
        b'a'..=b'z' => byte.checked_sub(b'a')?.checked_add(26),
        b'0'..=b'9' => byte.checked_sub(b'0')?.checked_add(52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    };
    let mut out = Vec::new();
    for group in text.as_bytes().chunks(4) {
        let mut sextets = [0_u8; 4];
        for (to, from) in sextets.iter_mut().zip(group) {
            *to = value(*from)?;
        }
        let number =
            sextets.iter().fold(0_u32, |n, sextet| n.wrapping_mul(64).wrapping_add((*sextet).into()));
        let [_, bytes @ ..] = number.to_be_bytes();
        let (whole, rest) = bytes.split_at_checked(group.len().checked_sub(1)?)?;
        if group.len() < 2 || rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        out.extend_from_slice(whole);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(keys: &str) -> String {
        let id = "BAEFD3E1-184B-4C4C-AB88-0BDAD260505F";
        let flags = r#""console-enabled":true,"secure-boot":false,"tpm-enabled":true"#;
        format!(r#"{{"keys":[{keys}],"vm-configuration":{{{flags},"vmUniqueId":"{id}"}},"user-data":"00"}}"#)
    }

    const AK: &str = r#"{"kid":"HCLAkPub","key_ops":["sign"],"kty":"RSA","e":"AQAB","n":"tYVB"}"#;
    const EK: &str = r#"{"kid":"HCLEkPub","key_ops":["encrypt"],"kty":"RSA","e":"AQAB","n":"uBsB"}"#;

    fn refusal(text: &str) -> RuntimeError {
        RuntimeData::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn the_attestation_key_is_found_by_its_name() {
        let text = data(&format!("{EK},{AK}"));
        let runtime = RuntimeData::parse(text.as_bytes()).unwrap();
        assert_eq!(runtime.ak, RsaJwk { modulus: vec![0xb5, 0x85, 0x41], exponent: vec![1, 0, 1] });
        assert_eq!(runtime.as_bytes(), text.as_bytes());
        let configuration = &runtime.configuration;
        assert_eq!(configuration.vm_id, "baefd3e1-184b-4c4c-ab88-0bdad260505f");
        assert!(!configuration.secure_boot && configuration.console_enabled);
        assert_eq!(configuration.tpm_persisted, None);
    }

    #[test]
    fn base64url_is_of_its_alphabet_and_canonical() {
        // RFC 4648, 10, without the padding; then all 64 digits, whose values count up.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(decode_base64url(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let all = decode_base64url(digits).unwrap();
        let values = all.iter().flat_map(|byte| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1)));
        let values: Vec<u32> = values.collect();
        let values: Vec<u32> = values.chunks(6).map(|six| six.iter().fold(0, |n, bit| 2 * n + bit)).collect();
        assert_eq!(values, (0..64).collect::<Vec<u32>>());
        // One digit too many, bits that are set behind the last byte, and other alphabets.
        for wrong in ["A", "Z", "Zm9vA", "Zh", "Zm9", "Zg==", "Zm9v\n", "+/+/", "Zm 8", "Zm\u{e9}"] {
            assert_eq!(decode_base64url(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_key_or_two_are_refused() {
        assert_eq!(refusal(&data(EK)), RuntimeError::AkCount { got: 0 });
        assert_eq!(refusal(&data(&format!("{AK},{AK}"))), RuntimeError::AkCount { got: 2 });
    }

    #[test]
    fn members_that_are_not_what_they_should_be_are_refused_by_name() {
        let member = |text: &str| match refusal(text) {
            RuntimeError::Member { member, .. } => member,
            other => panic!("{other}"),
        };
        let good = data(AK);
        assert_eq!(member(&good.replace("RSA", "EC")), "kty");
        for wrong in ["", "t", "tYV", "AAAA", "tY+B", "tYVB="] {
            assert_eq!(member(&good.replace("tYVB", wrong)), "n", "{wrong}");
        }
        assert_eq!(member(&good.replace("BAEFD3E1-", "")), "vmUniqueId");
        assert_eq!(member(&good.replace("\"secure-boot\":false", "\"secure-boot\":0")), "secure-boot");
        assert_eq!(member(&good.replace("console-enabled", "console")), "console-enabled");
        assert_eq!(member(&good.replace("keys", "kezs")), "keys");
        assert_eq!(member(&good.replace("vm-conf", "vm-c0nf")), "vm-configuration");
        let twice = good.replace("\"kty\"", "\"n\":\"AQAB\",\"kty\"");
        assert_eq!(refusal(&twice), RuntimeError::Json { reason: "a name stands twice in an object" });
    }
}
