//! Closing the ways by which a process's memory leaves it: core dumps, tracing by other processes, swap.
//!
//! What the system refuses is reported and never an error: whether to run without it is the caller's decision.
//! This module must never lock memory where a later allocation could then fail for want of `RLIMIT_MEMLOCK`.
//!
//! Sources: Linux man pages `prctl(2)` (`PR_SET_DUMPABLE`), `getrlimit(2)`, `mlockall(2)`, `user_namespaces(7)`.

use core::fmt;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{CapabilitySet, capabilities};

/// What [`harden_process`] achieved. `Display` makes one line for a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// The limit on core files is 0 and cannot be raised again; child processes inherit it.
    pub no_core_file: bool,
    /// The process is not dumpable: no core reaches a dump handler either, and no process of the same user may
    /// attach to it or read its memory. Undone by `execve`.
    pub undumpable: bool,
    /// Whether memory is kept out of swap.
    pub memory: MemoryLock,
}

/// Whether a process's memory is kept out of swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLock {
    /// Every page, present and future, stays in memory once it is touched.
    Locked,
    /// Not attempted: later allocations would fail at this many bytes.
    Limited {
        /// The soft limit `RLIMIT_MEMLOCK`, bytes.
        limit: u64,
    },
    /// The system refused.
    Refused,
}

/// Closes what can be closed. To be called before the first secret is read, and once: calling it again is
/// harmless.
pub fn harden_process() -> Hardening {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let not_dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    Hardening {
        no_core_file: setrlimit(Resource::Core, none).is_ok(),
        undumpable: not_dumpable.is_ok() && dumpable_behavior() == Ok(DumpableBehavior::NotDumpable),
        memory: lock_memory(),
    }
}

impl Hardening {
    /// Whether nothing was left open.
    pub fn is_complete(&self) -> bool {
        self.no_core_file && self.undumpable && self.memory == MemoryLock::Locked
    }
}

impl fmt::Display for Hardening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = if self.no_core_file { "no core file" } else { "core files POSSIBLE" };
        let dump = if self.undumpable { "not dumpable" } else { "DUMPABLE by the same user" };
        write!(f, "{core}, {dump}, {}", self.memory)
    }
}

impl fmt::Display for MemoryLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str("memory locked"),
            Self::Limited { limit } => write!(
                f,
                "memory NOT locked: the limit is {limit} bytes; grant CAP_IPC_LOCK or an unlimited \
                 RLIMIT_MEMLOCK, or encrypt the swap"
            ),
            Self::Refused => f.write_str("memory NOT locked: the system refused; encrypt the swap"),
        }
    }
}

/// Locks on fault, so that memory which is reserved and never touched costs nothing.
fn lock_memory() -> MemoryLock {
    if let Some(limit) = memory_lock_limit() {
        return MemoryLock::Limited { limit };
    }
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE;
    match mlockall(all | MlockAllFlags::ONFAULT) {
        Ok(()) => MemoryLock::Locked,
        Err(_) => MemoryLock::Refused,
    }
}

/// At how many bytes of locked memory an allocation would fail; `None` for never.
fn memory_lock_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Memlock);
    let limit = current?;
    let raised = Rlimit { current: None, maximum: None };
    let exempt = maximum.is_none() && setrlimit(Resource::Memlock, raised).is_ok() || may_exceed_limit();
    (!exempt).then_some(limit)
}

/// Whether the capability that lifts the limit is held where the kernel asks for it, in the initial user
/// namespace: a container's own root shows the capability too, and is limited all the same.
fn may_exceed_limit() -> bool {
    let held = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    held && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| is_identity(&map))
}

/// Whether a `uid_map` is that of the initial user namespace: 2^32 - 1 ids from 0 on, each itself.
fn is_identity(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_identity_map_is_the_initial_namespace() {
        assert!(is_identity("         0          0 4294967295\n"));
        assert!(!is_identity("         0     100000      65536\n"));
        assert!(!is_identity("0 0 1\n1 100000 65536\n"));
        assert!(!is_identity(""));
    }

    #[test]
    fn a_gap_stands_out_in_the_log_line() {
        let whole = Hardening { no_core_file: true, undumpable: true, memory: MemoryLock::Locked };
        assert_eq!(whole.to_string(), "no core file, not dumpable, memory locked");
        assert!(whole.is_complete());
        for gap in [
            Hardening { no_core_file: false, ..whole },
            Hardening { undumpable: false, ..whole },
            Hardening { memory: MemoryLock::Refused, ..whole },
            Hardening { memory: MemoryLock::Limited { limit: 8192 }, ..whole },
        ] {
            assert!(!gap.is_complete());
            assert!(gap.to_string().chars().filter(|c| c.is_ascii_uppercase()).count() >= 3, "{gap}");
        }
    }
}
