//! The file of reference values as TOML says it. Nothing is checked here but types and names of fields.

use claims::snp::CpuId;
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) version: Spanned<u64>,
    /// 0 where nobody counts.
    #[serde(default)]
    pub(super) serial: u64,
    #[serde(default)]
    pub(super) measurement: Vec<Value>,
    #[serde(default)]
    pub(super) host_data: Vec<Value>,
    #[serde(default)]
    pub(super) id_key: Vec<Value>,
    #[serde(default)]
    pub(super) chip: Vec<Value>,
    #[serde(default)]
    pub(super) csp: Vec<Value>,
    #[serde(default)]
    pub(super) paravisor: Vec<Value>,
    #[serde(default)]
    pub(super) vm_id: Vec<Value>,
    #[serde(default)]
    pub(super) pcr: Vec<Value>,
    #[serde(default)]
    pub(super) measured: Vec<Value>,
    #[serde(default)]
    pub(super) database: Vec<Value>,
    #[serde(default)]
    pub(super) ak: Vec<Value>,
    #[serde(default)]
    pub(super) tcb_floor: Vec<Floor>,
    #[serde(default)]
    pub(super) revoked: Vec<Revoked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Value {
    pub(super) value: Spanned<String>,
    pub(super) name: String,
    pub(super) state: State,
    /// For people.
    pub(super) origin: Option<String>,
    pub(super) valid_from: Option<Spanned<Datetime>>,
    pub(super) valid_until: Option<Spanned<Datetime>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Floor {
    pub(super) product: Spanned<String>,
    pub(super) cpuid: Option<Cpu>,
    pub(super) fmc: u8,
    pub(super) bootloader: u8,
    pub(super) tee: u8,
    pub(super) snp: u8,
    pub(super) microcode: u8,
    #[serde(default)]
    pub(super) mitigations: Vec<u8>,
    pub(super) warn_from: Option<Spanned<Datetime>>,
    pub(super) deny_from: Option<Spanned<Datetime>>,
    pub(super) valid_until: Option<Spanned<Datetime>>,
    #[serde(default = "active")]
    pub(super) state: State,
    /// For people.
    pub(super) origin: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoked {
    pub(super) product: Spanned<String>,
    pub(super) cpuid: Option<Cpu>,
    /// For people.
    pub(super) why: String,
    #[serde(default = "active")]
    pub(super) state: State,
    /// For people.
    pub(super) origin: Option<String>,
    pub(super) valid_from: Option<Spanned<Datetime>>,
    pub(super) valid_until: Option<Spanned<Datetime>>,
}

/// What floors and revocations are unless they say otherwise.
fn active() -> State {
    State::Active
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cpu {
    pub(super) family: u8,
    pub(super) model: u8,
    pub(super) stepping: u8,
}

impl Cpu {
    pub(super) fn id(self) -> CpuId {
        CpuId { family: self.family, model: self.model, stepping: self.stepping }
    }
}
