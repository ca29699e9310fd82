//! Which numbers claims and circumstances can have at all, though the schema says no more than that they are numbers:
//! for those who look for rules that can never apply. Decides nothing.

/// A number that a rule can read, and the least and the most that it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// As rules spell it, such as `principal.snp.vmpl`.
    pub path: String,
    /// Never less than this.
    pub least: i64,
    /// Never more than this.
    pub most: i64,
}

impl Limit {
    /// Every number that is limited.
    pub fn all() -> Vec<Self> {
        let named = LIMITS.map(|(path, least, most)| Self { path: path.to_owned(), least, most });
        let components = TCBS.iter().flat_map(|tcb| {
            COMPONENTS.iter().map(move |part| Self { path: format!("{tcb}.{part}"), least: 0, most: BYTE })
        });
        named.into_iter().chain(components).collect()
    }
}

const BYTE: i64 = 255;
const U32: i64 = 4_294_967_295;

const LIMITS: [(&str, i64, i64); 11] = [
    ("principal.snp.version", 2, 5),
    ("principal.snp.vmpl", 0, 3),
    ("principal.snp.guest_svn", 0, U32),
    ("principal.snp.policy.abi_major", 0, BYTE),
    ("principal.snp.policy.abi_minor", 0, BYTE),
    ("principal.tpm.reset_count", 0, U32),
    ("principal.tpm.restart_count", 0, U32),
    ("principal.tpm.clock_ms", 0, i64::MAX),
    ("context.recent.guest", 0, U32),
    ("context.recent.key", 0, U32),
    ("resource.version", 1, U32),
];

/// Security versions of a platform, whose components are bytes.
const TCBS: [&str; 5] = [
    "principal.snp.reported_tcb",
    "principal.snp.committed_tcb",
    "principal.snp.current_tcb",
    "principal.snp.launch_tcb",
    "principal.snp.processor.tcb_floor",
];

const COMPONENTS: [&str; 5] = ["fmc", "bootloader", "tee", "snp", "microcode"];
