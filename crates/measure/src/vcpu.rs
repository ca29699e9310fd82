//! Which processor a guest sees: CPUID Fn0000_0001_EAX (AMD64 Architecture Programmer's Manual, volume 3, E.3.2).
//!
//! The launch state carries it in RDX, so QEMU's `-cpu` changes the measurement. Names are QEMU's.

use core::fmt;
use core::str::FromStr;

/// A processor's signature: stepping, model and family as CPUID packs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CpuSignature(pub u32);

/// A text that is no processor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("processor not known: expected one of {} (with any `-vN`), or a signature such as 0xa00f11", names())]
pub struct BadCpu;

impl CpuSignature {
    /// Packs family (at most 0x10e), model and stepping (at most 15).
    pub fn new(family: u16, model: u8, stepping: u8) -> Self {
        let base = family.min(0xf);
        let extended = u32::from(family.saturating_sub(base)) & 0xff;
        let model = u32::from(model);
        let low = (u32::from(base) << 8) | ((model & 0xf) << 4) | u32::from(stepping & 0xf);
        Self((extended << 20) | ((model >> 4) << 16) | low)
    }
}

impl fmt::Display for CpuSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl FromStr for CpuSignature {
    type Err = BadCpu;

    /// Reads a QEMU model (`EPYC-Milan`, `EPYC-v4`; versions of a model do not differ) or a signature in hexadecimal.
    fn from_str(text: &str) -> Result<Self, BadCpu> {
        if let Some(digits) = text.strip_prefix("0x") {
            return u32::from_str_radix(digits, 16).map(Self).map_err(|_| BadCpu);
        }
        let (name, version) = text.rsplit_once("-v").unwrap_or((text, "1"));
        let versioned = !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit());
        let found = MODELS.iter().find(|(model, ..)| versioned && *model == name);
        found.map(|(_, family, model, stepping)| Self::new(*family, *model, *stepping)).ok_or(BadCpu)
    }
}

fn names() -> String {
    MODELS.map(|(name, ..)| name).join(", ")
}

/// QEMU's AMD models, with family, model and stepping (`builtin_x86_defs`).
const MODELS: [(&str, u16, u8, u8); 6] = [
    ("EPYC", 0x17, 1, 2),
    ("EPYC-IBPB", 0x17, 1, 2),
    ("EPYC-Rome", 0x17, 0x31, 0),
    ("EPYC-Milan", 0x19, 1, 1),
    ("EPYC-Genoa", 0x19, 0x11, 0),
    ("EPYC-Turin", 0x1a, 0, 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_processors() {
        let cases = [
            ("EPYC", 0x0080_0f12),
            ("EPYC-v4", 0x0080_0f12),
            ("EPYC-Rome", 0x0083_0f10),
            ("EPYC-Milan-v2", 0x00a0_0f11),
            ("EPYC-Genoa", 0x00a1_0f10),
            ("EPYC-Turin", 0x00b0_0f00),
            ("0xa00f11", 0x00a0_0f11),
        ];
        for (text, signature) in cases {
            assert_eq!(text.parse(), Ok(CpuSignature(signature)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "epyc", "EPYC-v", "EPYC-vx", "EPYC-v4-v4", "Milan", "0x", "0x100000000", "EPYC-"] {
            assert_eq!(text.parse::<CpuSignature>(), Err(BadCpu), "{text}");
        }
    }

    #[test]
    fn a_family_below_sixteen_has_no_extension() {
        assert_eq!(CpuSignature::new(6, 0xb1, 0x2), CpuSignature(0x000b_0612));
    }
}
