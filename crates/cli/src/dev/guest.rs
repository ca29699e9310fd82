//! `keyfast dev guest`: a command run as a simulated guest would run it.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use claims::{KeyId, Measurement};
use clap::Args;
use simtee::control::{GuestRequest, Reply, Request, TcbChange, call};

use super::{DevError, Layout, io_error, process};
use crate::output::write_private;

/// Arguments of `keyfast dev guest`.
#[derive(Debug, Args)]
pub struct GuestArgs {
    /// Name of the guest; the same name is the same guest
    name: KeyId,
    /// Set the debug bit: the host may read the guest's memory
    #[arg(long)]
    debug: bool,
    /// Lower or raise parts of the TCB, such as `snp=3,microcode=1`
    #[arg(long, value_name = "PART=SPL,…", value_parser = parse_tcb)]
    tcb: Option<TcbChange>,
    /// Launch measurement, 96 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    measurement: Option<Measurement>,
    /// Alter one bit of the report after it is signed, 0 to 9471
    #[arg(long, value_name = "BIT")]
    alter_bit: Option<usize>,
    /// Reach the broker at another URL than its own
    #[arg(long, value_name = "URL")]
    broker_url: Option<String>,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// `bootloader=3,tee=0,snp=8,microcode=115,fmc=1`, any of them.
fn parse_tcb(text: &str) -> Result<TcbChange, String> {
    let mut tcb = TcbChange::default();
    for part in text.split(',') {
        let (name, value) =
            part.split_once('=').ok_or_else(|| format!("`{part}` is not of the form part=SPL"))?;
        let value = value.parse::<u8>().map_err(|_| format!("`{value}` is not a number from 0 to 255"))?;
        let slot = match name {
            "bootloader" => &mut tcb.bootloader,
            "tee" => &mut tcb.tee,
            "snp" => &mut tcb.snp,
            "microcode" => &mut tcb.microcode,
            "fmc" => &mut tcb.fmc,
            _ => {
                return Err(format!(
                    "`{name}` is no part of the TCB; use bootloader, tee, snp, microcode, fmc"
                ));
            }
        };
        *slot = Some(value);
    }
    Ok(tcb)
}

/// Creates the guest, writes its agent's configuration, and becomes the command.
///
/// # Errors
/// [`DevError`] if the set-up is down or the command cannot be run; else the command's own exit code follows.
pub fn run(layout: &Layout, args: &GuestArgs) -> Result<ExitCode, DevError> {
    if process::running(layout, "keyfast-simtee").is_none() {
        return Err(DevError::Down);
    }
    let request = Request::Guest(GuestRequest {
        debug: args.debug,
        tcb: args.tcb.unwrap_or_default(),
        measurement: args.measurement.map(|measurement| measurement.0),
        alter_bit: args.alter_bit,
        ..GuestRequest::new(args.name.clone())
    });
    let simtee = |reason: String| DevError::Simtee(reason);
    let socket = match call(&layout.simtee_control(), &request).map_err(|e| simtee(e.to_string()))? {
        Reply::Guest(guest) => guest.socket,
        reply => return Err(simtee(format!("unexpected reply {reply:?}"))),
    };
    let config = agent_config(layout, args, &socket)?;
    let bin = process::sibling("keyfast-agent")?;
    let mut path = std::ffi::OsString::from(bin.parent().unwrap_or(Path::new(".")));
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    let (program, arguments) = args.command.split_first().ok_or(DevError::Down)?;
    let program = if program == "keyfast-agent" { bin.into_os_string() } else { program.into() };
    let mut command = Command::new(&program);
    command.args(arguments).env("PATH", path).env("KEYFAST_AGENT_CONFIG", config);
    Err(DevError::Io { action: "run", path: program.into(), source: command.exec() })
}

/// Writes the guest's `agent.toml` and returns where it is.
fn agent_config(layout: &Layout, args: &GuestArgs, socket: &Path) -> Result<std::path::PathBuf, DevError> {
    let identity = layout.identity()?;
    let url = match &args.broker_url {
        Some(url) => url.clone(),
        None => super::up::broker_url(layout)?,
    };
    let text = format!(
        "# The agent of the simulated guest `{}`; written by `keyfast dev guest`.\n\
         suite = \"x-wing\"\n\
         state = \"state\"\n\n\
         [broker]\n\
         urls = [{:?}]\n\
         identity = \"{}\"\n\n\
         [attester]\n\
         socket = {:?}\n",
        args.name,
        url,
        identity,
        socket.display().to_string(),
    );
    let dir = layout.guest(args.name.as_str());
    let path = dir.join("agent.toml");
    write_private(&path, text.as_bytes()).map_err(io_error("write", &path))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_tcb_are_named_one_by_one() {
        let tcb = parse_tcb("snp=3,microcode=1").unwrap();
        assert_eq!((tcb.snp, tcb.microcode, tcb.tee), (Some(3), Some(1), None));
        assert!(parse_tcb("smp=3").unwrap_err().contains("`smp` is no part"));
        assert!(parse_tcb("snp=300").unwrap_err().contains("`300`"));
        assert!(parse_tcb("snp").unwrap_err().contains("part=SPL"));
    }
}
