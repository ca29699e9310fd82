//! Starting and stopping the background processes.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{DevError, Layout, io_error};

/// How long a process may take to answer. The first start makes RSA-4096 keys, which takes a busy machine a while;
/// one that ends before it answers is noticed at once.
const START: Duration = Duration::from_secs(120);
/// How long a process may take to end.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// The binary of this name beside the running one.
pub fn sibling(name: &str) -> Result<PathBuf, DevError> {
    let own = std::env::current_exe().map_err(io_error("find", Path::new("keyfast")))?;
    let path = own.with_file_name(name);
    if path.is_file() { Ok(path) } else { Err(DevError::Missing { path }) }
}

/// Starts `name` in the background, writing to its log, and waits until `ready` says that it answers.
pub fn start(
    layout: &Layout,
    name: &'static str,
    arguments: &[&std::ffi::OsStr],
    ready: impl Fn() -> bool,
) -> Result<(), DevError> {
    let binary = sibling(name)?;
    let log = layout.log(name);
    let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(&log);
    let (out, err) = (open().map_err(io_error("open", &log))?, open().map_err(io_error("open", &log))?);
    let child = Command::new(&binary)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .process_group(0)
        .spawn()
        .map_err(io_error("run", &binary))?;
    let pid_file = layout.pid(name);
    fs::write(&pid_file, child.id().to_string()).map_err(io_error("write", &pid_file))?;
    wait_until_ready(child, name, log, ready)
}

fn wait_until_ready(
    mut child: Child,
    name: &'static str,
    log: PathBuf,
    ready: impl Fn() -> bool,
) -> Result<(), DevError> {
    let since = Instant::now();
    while since.elapsed() < START {
        if ready() {
            return Ok(());
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(DevError::Start { name, reason: last_line(&log).unwrap_or(status.to_string()), log });
        }
        std::thread::sleep(PAUSE);
    }
    Err(DevError::Start { name, reason: format!("it did not answer in {} seconds", START.as_secs()), log })
}

fn last_line(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    text.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
}

/// The process of this name, if its file names one that lives and runs our binary.
pub fn running(layout: &Layout, name: &str) -> Option<Pid> {
    let text = fs::read_to_string(layout.pid(name)).ok()?;
    let pid = Pid::from_raw(text.trim().parse().ok()?)?;
    test_kill_process(pid).ok()?;
    let command = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok()?;
    let first = command.split(|b| *b == 0).next()?;
    first.ends_with(name.as_bytes()).then_some(pid)
}

/// Asks a process to end and waits until it has; returns whether one ran.
pub fn stop(layout: &Layout, name: &'static str) -> Result<bool, DevError> {
    let Some(pid) = running(layout, name) else { return Ok(false) };
    let stuck = || DevError::Stuck { name, pid: pid.as_raw_nonzero().get(), log: layout.log(name) };
    kill_process(pid, Signal::TERM).map_err(|_| stuck())?;
    let since = Instant::now();
    while running(layout, name).is_some() {
        if since.elapsed() > PATIENCE {
            return Err(stuck());
        }
        std::thread::sleep(PAUSE);
    }
    let pid_file = layout.pid(name);
    fs::remove_file(&pid_file).map_err(io_error("remove", &pid_file))?;
    Ok(true)
}
