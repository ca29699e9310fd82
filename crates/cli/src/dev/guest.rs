//! `keyfast dev guest`: a command run as a simulated guest would run it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use claims::{EvidenceKind, KeyId, Measurement, Suite};
use clap::{Args, ValueEnum};
use simtee::control::{GuestRequest, PcrExtend, Reply, Request, TcbChange, VtpmChange, call};

use super::{DevError, Layout, io_error, process};
use crate::output::write_private;
use crate::policy::guest_of_case;

/// Arguments of `keyfast dev guest`.
#[derive(Debug, Args)]
pub struct GuestArgs {
    /// Name of the guest; the same name is the same guest
    name: KeyId,
    /// Launch the guest of a case in TOML, as `keyfast policy prove --cases` writes them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["debug", "tcb", "measurement", "kind", "VtpmArgs"])]
    case: Option<PathBuf>,
    /// Set the debug bit: the host may read the guest's memory
    #[arg(long)]
    debug: bool,
    /// Lower or raise parts of the TCB, such as `snp=3,microcode=1`
    #[arg(long, value_name = "PART=SPL,…", value_parser = parse_tcb)]
    tcb: Option<TcbChange>,
    /// Launch measurement, 96 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    measurement: Option<Measurement>,
    /// Kind of evidence: `tpm`, `azure-vtpm` and `svsm` are guests with a vTPM, which keeps its keys until `keyfast dev
    /// down`
    #[arg(long, default_value_t = EvidenceKind::SevSnp)]
    kind: EvidenceKind,
    #[command(flatten)]
    vtpm: VtpmArgs,
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

/// What the guest's vTPM saw.
#[derive(Debug, Args)]
#[command(next_help_heading = "What the vTPM saw")]
pub struct VtpmArgs {
    /// Whether Secure Boot was on; it is unless told otherwise
    #[arg(long, value_enum, value_name = "ON")]
    secure_boot: Option<Switch>,
    /// Boot another image than `simulated guest image 1`: any name is an image
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Give the kernel another command line
    #[arg(long, value_name = "TEXT")]
    command_line: Option<String>,
    /// Extend a PCR with a digest after the boot, without a trace in the event log, such as `11=` and 64 hexadecimal
    /// digits; any number of times
    #[arg(long, value_name = "PCR=DIGEST", value_parser = parse_extend)]
    extend: Vec<PcrExtend>,
    /// Leave the event log out of the evidence
    #[arg(long)]
    without_log: bool,
}

/// On or off.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

impl VtpmArgs {
    /// What differs from the usual; `None` if nothing does.
    fn change(&self) -> Option<VtpmChange> {
        let change = VtpmChange {
            image: self.image.clone(),
            secure_boot: self.secure_boot.map(|switch| matches!(switch, Switch::On)),
            command_line: self.command_line.clone(),
            extend: self.extend.clone(),
            without_log: self.without_log,
        };
        (change != VtpmChange::default()).then_some(change)
    }
}

/// `11=` and 64 hexadecimal digits.
fn parse_extend(text: &str) -> Result<PcrExtend, String> {
    let (pcr, digits) =
        text.split_once('=').ok_or_else(|| format!("`{text}` is not of the form pcr=digest"))?;
    let pcr = pcr.parse::<u8>().ok().filter(|pcr| *pcr < 24);
    let pcr = pcr.ok_or_else(|| format!("`{text}` names no pcr from 0 to 23"))?;
    let digest: claims::Sha256Digest =
        digits.parse().map_err(|_| format!("`{digits}` is not 64 hexadecimal digits"))?;
    Ok(PcrExtend { pcr, digest: digest.0 })
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
    let (request, suite) = match &args.case {
        Some(case) => of_case(layout, args, case)?,
        None => (args.request(), Suite::XWing),
    };
    let socket = match ask(layout, &Request::Guest(request))? {
        Reply::Guest(guest) => guest.socket,
        reply => return Err(DevError::Simtee(format!("unexpected reply {reply:?}"))),
    };
    let config = agent_config(layout, args, suite, &socket)?;
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

impl GuestArgs {
    fn request(&self) -> GuestRequest {
        GuestRequest {
            kind: self.kind,
            vtpm: self.vtpm.change(),
            debug: self.debug,
            tcb: self.tcb.unwrap_or_default(),
            measurement: self.measurement.map(|measurement| measurement.0),
            alter_bit: self.alter_bit,
            ..GuestRequest::new(self.name.clone())
        }
    }
}

/// The guest of a case, if this host is of its product.
fn of_case(layout: &Layout, args: &GuestArgs, case: &Path) -> Result<(GuestRequest, Suite), DevError> {
    let (request, product, suite) = guest_of_case(case, args.name.clone())?;
    let host = match ask(layout, &Request::Status {})? {
        Reply::Status(status) => status.product,
        reply => return Err(DevError::Simtee(format!("unexpected reply {reply:?}"))),
    };
    if host != product.name() {
        return Err(DevError::Product { path: case.to_owned(), wanted: product, host });
    }
    Ok((GuestRequest { alter_bit: args.alter_bit, ..request }, suite))
}

fn ask(layout: &Layout, request: &Request) -> Result<Reply, DevError> {
    call(&layout.simtee_control(), request).map_err(|error| DevError::Simtee(error.to_string()))
}

/// Writes the guest's `agent.toml` and returns where it is.
fn agent_config(layout: &Layout, args: &GuestArgs, suite: Suite, socket: &Path) -> Result<PathBuf, DevError> {
    let identity = layout.identity()?;
    let url = match &args.broker_url {
        Some(url) => url.clone(),
        None => super::up::broker_url(layout)?,
    };
    let text = format!(
        "# The agent of the simulated guest `{}`; written by `keyfast dev guest`.\n\
         suite = \"{suite}\"\n\
         state = \"state\"\n\n\
         [broker]\n\
         urls = [{:?}]\n\
         identity = \"{}\"\n\n\
         [attester]\n\
         use = \"socket\"\n\
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

    #[test]
    fn what_extends_a_pcr_is_a_number_and_a_digest() {
        let digits = "07".repeat(32);
        let extend = parse_extend(&format!("11={digits}")).unwrap();
        assert_eq!(extend, PcrExtend { pcr: 11, digest: [7; 32] });
        assert!(parse_extend("11").unwrap_err().contains("pcr=digest"));
        assert!(parse_extend(&format!("24={digits}")).unwrap_err().contains("from 0 to 23"));
        assert!(parse_extend("11=ab").unwrap_err().contains("`ab` is not 64"));
    }
}
