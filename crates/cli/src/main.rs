//! `keyfast`: parses the command line, runs one command, returns its exit code.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use cli::admin::Admin;
use cli::{
    attestation_keys, audit, dev, encrypt, endorsements, evidence, keys, measure, output, policy, reference,
};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "keyfast",
    version,
    about = "Keys for confidential VMs: manage, encrypt to, audit, try out",
    long_about = "Keys for confidential VMs: manage, encrypt to, audit, try out.\n\n\
        A first round, on this machine:\n  \
        keyfast dev up\n  \
        keyfast keys create db --simulation\n  \
        keyfast keys descriptor db -o db.descriptor\n  \
        keyfast encrypt data -t db.descriptor --broker $(keyfast dev identity) -o data.kf\n  \
        keyfast dev guest web -- keyfast-agent decrypt data.kf -o data.out\n  \
        keyfast audit verify\n  \
        keyfast dev down",
    after_help = "Exit codes:\n  0  done\n  1  evidence, certificates or the log do not verify, or policies are wrong or deny\n  \
        2  wrong arguments, or something could not be looked at\n  3  the broker refused or does not answer\n  \
        4  a file cannot be read, written or encrypted\n  5  the development set-up failed",
    max_term_width = 100
)]
struct Cli {
    /// The broker's admin socket; that of the development set-up if not given
    #[arg(long, global = true, env = "KEYFAST_ADMIN", value_name = "SOCKET")]
    admin: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make, list, disable keys; import secrets; write descriptors
    #[command(subcommand)]
    Keys(keys::Command),
    /// List, enrol and withdraw the attestation keys of TPMs
    #[command(subcommand)]
    AttestationKeys(attestation_keys::Command),
    /// Encrypt a file to a broker's key, without contact to the broker
    Encrypt(encrypt::Encrypt),
    /// Read the log: verify it, explain a decision, export decisions
    #[command(subcommand)]
    Audit(audit::Command),
    /// Decode and verify attestation evidence
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// Work out reference values from firmware, kernels and images
    #[command(subcommand)]
    Measure(measure::Command),
    /// Check, test, explain, prove, replay and compare attestation policies
    #[command(subcommand)]
    Policy(policy::Command),
    /// Add, list and withdraw reference values: images, owners, machines
    #[command(subcommand)]
    Reference(reference::Command),
    /// Fetch, import and list certificates of chips, for brokers without a network
    #[command(subcommand)]
    Endorsements(endorsements::Command),
    /// A broker and a simulated TEE on this machine, to try things out
    #[command(subcommand)]
    Dev(dev::Command),
    /// Print what completes this command in a shell: `source <(keyfast completion bash)`
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether plaintext, or a secret that is imported, comes into this process. What `dev` starts hardens itself.
    fn holds_secrets(&self) -> bool {
        matches!(self, Self::Keys(_) | Self::Encrypt(_))
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.command.holds_secrets() {
        let _what_is_left_open = secret::harden_process();
    }
    let admin = Admin::new(cli.admin.as_deref());
    let done = match &cli.command {
        Command::Keys(command) => keys::run(&admin, command).map_err(|e| (3, e.to_string())),
        Command::AttestationKeys(command) => {
            attestation_keys::run(&admin, command).map_err(|e| (3, e.to_string()))
        }
        Command::Encrypt(args) => encrypt::run(args).map_err(|e| (4, e.to_string())),
        Command::Audit(command) => audit::run(&admin, command).map_err(|e| (e.exit_code(), e.to_string())),
        Command::Evidence(command) => evidence::run(command).map_err(|e| (e.exit_code(), e.to_string())),
        Command::Measure(command) => measure::run(command).map_err(|e| (e.exit_code(), e.to_string())),
        Command::Endorsements(command) => {
            endorsements::run(command).map_err(|e| (e.exit_code(), e.to_string()))
        }
        Command::Policy(command) => policy::run(&admin, command).map_err(|e| (e.exit_code(), e.to_string())),
        Command::Reference(command) => {
            reference::run(&admin, command).map_err(|e| (e.exit_code(), e.to_string()))
        }
        Command::Dev(command) => match dev::run(command) {
            Ok(code) if output::unwritten().is_none() => return code,
            Ok(_) => Ok(()),
            Err(error) => Err((5, error.to_string())),
        },
        Command::Completion { shell } => completion(*shell).map_err(|e| (2, e.to_string())),
    };
    let unwritten =
        |()| output::unwritten().map_or(Ok(()), |why| Err((2, format!("cannot write the output: {why}"))));
    match done.and_then(unwritten) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            output::error_line(format_args!("keyfast: {message}"));
            ExitCode::from(code)
        }
    }
}

fn completion(shell: clap_complete::Shell) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "keyfast", &mut script);
    output::stdout().write_all(&script)
}
