//! What `/proc` says of a process: CPU time, peak memory. And the binaries that are measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failed;

/// CPU seconds, user and system, that a process has used, ended threads included; in steps of 10 ms.
pub fn cpu_seconds(pid: u32) -> Result<f64, Failed> {
    ticks(Path::new(&format!("/proc/{pid}/stat")))
}

/// CPU seconds of the threads of this name.
pub fn thread_cpu_seconds(pid: u32, name: &str) -> Result<f64, Failed> {
    let mut sum = 0.0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = thread?.path();
        if std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name) {
            sum += ticks(&path.join("stat"))?;
        }
    }
    Ok(sum)
}

/// Peak resident memory so far, in bytes; `None` once the process has ended.
pub fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Fields 14 and 15 of `stat`, which follow a name in parentheses that may hold spaces (proc(5)).
fn ticks(path: &Path) -> Result<f64, Failed> {
    let stat = std::fs::read_to_string(path)?;
    let (_, fields) = stat.rsplit_once(')').ok_or("a stat file without a name")?;
    let mut fields = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    let (Some(Ok(user)), Some(Ok(system))) = (fields.next(), fields.next()) else {
        return Err("a stat file without CPU times".into());
    };
    let per_second = u32::try_from(rustix::param::clock_ticks_per_second())?;
    Ok((f64::from(user) + f64::from(system)) / f64::from(per_second))
}

/// A release binary, brought up to date through cargo where cargo runs this, else the one beside this one.
///
/// Each package is built by itself: built together they would share the features that any of them asks for.
pub fn binary(package: &str, name: &str) -> Result<PathBuf, Failed> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name(name);
    if let (Some(cargo), Some(target)) = (std::env::var_os("CARGO"), own.ancestors().nth(2)) {
        let mut build = Command::new(cargo);
        build.args(["build", "--release", "--quiet", "-p", package, "--target-dir"]).arg(target);
        if !build.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success() {
            return Err(format!("cargo could not build {name}").into());
        }
    }
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{name} is missing; run this through `cargo run`").into())
    }
}
