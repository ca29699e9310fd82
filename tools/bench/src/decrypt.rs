//! Data at rest: the envelope, the whole command, age, and bare AES-256-GCM, in turn on the same two cores.

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::Path;

use claims::KeyId;
use envelope::{Effort, Header, Sink, Source};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::agent_run::AgentRun;
use crate::clock::{Samples, wall_of};
use crate::files::{AgeFile, BareFrames, Message};
use crate::report::{Report, Target, megabytes, seconds, throughput, times};
use crate::rig::Rig;
use crate::{Cli, Failed, process};

/// Cores at work.
const CORES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
/// How many times as fast as age, and what part of bare AES-256-GCM, decryption has to be.
const TIMES_AGE: f64 = 6.0;
const OF_BARE: f64 = 0.4;
/// Bytes that the agent's binary and memory have to stay below.
const AGENT_SIZE: f64 = 12e6;
const AGENT_MEMORY: f64 = 64e6;

/// Measures both sections, which need the same file and broker.
pub fn run(cli: &Cli, report: &mut Report, speed: bool, agent: bool) -> Result<(), Failed> {
    let temporary = cli.temporary()?;
    let dir = temporary.path();
    let broker = dir.join("rig");
    std::fs::create_dir(&broker)?;
    let rig = Rig::start(&broker)?;
    let key: KeyId = "data".parse()?;
    let public = rig.create_key(&key)?;
    let len: u64 = if cli.quick { 256 << 20 } else { 1 << 30 };
    let message = Message::write(dir, len, &key, &public)?;
    let command = AgentRun::prepare(&rig, dir)?;
    let cores = pin(CORES)?;
    if speed {
        measure_speed(cli, report, dir, len, &message, &command)?;
    }
    if agent {
        measure_agent(report, len, &message, &command)?;
    }
    if let Some(all) = cores {
        sched_setaffinity(None, &all)?;
    }
    Ok(())
}

/// What was measured, a sample a round.
#[derive(Default)]
struct Rounds {
    envelope: Samples,
    command: Samples,
    bare: Samples,
    bare_cached: Samples,
    age: Samples,
}

fn measure_speed(
    cli: &Cli,
    report: &mut Report,
    dir: &Path,
    len: u64,
    message: &Message,
    command: &AgentRun,
) -> Result<(), Failed> {
    let bare = BareFrames::write(dir, len)?;
    let age = AgeFile::write(dir, len)?;
    report.heading(&format!(
        "decrypt: {} MiB from the page cache to /dev/null, suite 0x0478, {CORES} cores, wall time",
        len >> 20
    ));
    let mut rounds = Rounds::default();
    // The first round warms up and does not count.
    for round in 0..if cli.quick { 4 } else { 10 } {
        let timed = |samples: &mut Samples, work: &mut dyn FnMut() -> Result<(), Failed>| {
            let (taken, done) = wall_of(work);
            if round > 0 {
                samples.push(taken);
            }
            done
        };
        timed(&mut rounds.envelope, &mut || open_envelope(message))?;
        timed(&mut rounds.bare, &mut || bare.decrypt(CORES.get()))?;
        timed(&mut rounds.bare_cached, &mut || bare.decrypt_cached(CORES.get()))?;
        timed(&mut rounds.command, &mut || command.decrypt(&message.path).map(drop))?;
        if let Some(age) = &age {
            timed(&mut rounds.age, &mut || age.decrypt())?;
        }
    }
    print(report, len, &rounds, age.is_some(), bare.len() == len);
    Ok(())
}

fn print(report: &mut Report, len: u64, rounds: &Rounds, age: bool, whole: bool) {
    let figure = |samples: &Samples| {
        let median = samples.median();
        format!("{} {}", seconds(median), throughput(len, median))
    };
    report.plain("envelope::decrypt, DEK at hand", figure(&rounds.envelope));
    report.plain("bare AES-256-GCM, same reads and frames", figure(&rounds.bare));
    report.plain("bare AES-256-GCM, frames in the cache", figure(&rounds.bare_cached));
    report.plain("keyfast-agent decrypt, the whole command", figure(&rounds.command));
    let of_bare = Target::AtLeast(OF_BARE);
    report.target(
        "envelope, of bare with the same reads",
        rounds.bare.median_ratio(&rounds.envelope),
        of_bare,
        times,
    );
    report.target(
        "envelope, of bare without reads",
        rounds.bare_cached.median_ratio(&rounds.envelope),
        of_bare,
        times,
    );
    if age {
        report.plain("age -d, the whole command", figure(&rounds.age));
        let target = Target::AtLeast(TIMES_AGE);
        report.target(
            "envelope, times as fast as age -d",
            rounds.age.median_ratio(&rounds.envelope),
            target,
            times,
        );
        report
            .plain("whole command, times as fast as age -d", times(rounds.age.median_ratio(&rounds.command)));
    } else {
        report.note("age is not installed: left out.");
    }
    if !whole {
        report.note("The bare file is shorter than the others by less than a frame.");
    }
    report.note(
        "The whole command starts a process, hardens it, attests to a broker on the same cores, and has the DEK \
         unwrapped with RSA-3072.",
    );
}

/// What `keyfast-agent decrypt` does once it has the DEK.
fn open_envelope(message: &Message) -> Result<(), Failed> {
    let mut source = Source::file(File::open(&message.path)?)?;
    let header = Header::read(&mut source)?;
    let dek = header.unwrap_dek(&message.local_name, &message.local)?;
    let sink = Sink::create(Path::new("/dev/null"))?;
    envelope::decrypt(source, sink, &header, &dek, &Effort { workers: CORES, progress: None })?;
    Ok(())
}

fn measure_agent(report: &mut Report, len: u64, message: &Message, command: &AgentRun) -> Result<(), Failed> {
    report.heading("agent: what a guest carries");
    let size = std::fs::metadata(process::binary("agent", "keyfast-agent")?)?.len();
    let mut peak = 0;
    for _ in 0..3 {
        peak = peak.max(command.decrypt(&message.path)?);
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let (size, peak) = (size as f64, peak as f64);
    report.target("keyfast-agent, release binary, stripped", size, Target::AtMost(AGENT_SIZE), megabytes);
    let label = format!("its peak memory, decrypting {} MiB", len >> 20);
    report.target(&label, peak, Target::AtMost(AGENT_MEMORY), megabytes);
    Ok(())
}

/// Keeps this thread, and whatever it starts, on so many cores. Gives the cores of before if there were more.
fn pin(cores: NonZeroUsize) -> Result<Option<CpuSet>, Failed> {
    let all = sched_getaffinity(None)?;
    let mut few = CpuSet::new();
    let usable = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
    usable.take(cores.get()).for_each(|cpu| few.set(cpu));
    if few.count() == all.count() {
        return Ok(None);
    }
    sched_setaffinity(None, &few)?;
    Ok(Some(all))
}
