//! `keyfast-simtee`: a simulated SEV-SNP host as a process of its own (see the library `simtee`).

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use claims::UnixTime;
use claims::snp::Product;
use clap::{Parser, Subcommand, ValueEnum};
use simtee::{Server, Stop};
use tracing_subscriber::EnvFilter;

/// A simulated SEV-SNP host: guests that attest on any machine.
///
/// It signs reports and certificates in AMD's layouts under a root of its own. A broker believes it only where an
/// operator added that root by its SHA-256, and then every claim is marked as simulated. It protects nothing: use
/// it to develop, to test, and to learn.
#[derive(Parser)]
#[command(name = "keyfast-simtee", version, after_long_help = AFTER_HELP)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve guests from a directory, until SIGTERM, SIGINT or the control operation `stop`.
    ///
    /// The directory is made if it is missing. It keeps the host's keys (readable by its owner only), the root's
    /// certificate `ark.der` and `ark.pem`, its fingerprint `ark.sha256`, the root of vTPMs' endorsement keys `ek-root.pem`, the socket `control.sock`, and a socket
    /// `guests/NAME.sock` for each guest.
    #[command(after_long_help = SERVE_HELP)]
    Serve {
        /// Where the host lives; the same directory is the same host.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Which processor a new host plays: Milan, Genoa or Turin.
        #[arg(long, default_value = "Genoa")]
        product: Product,
        /// Also offer the certificates over HTTP, with the paths of AMD's key distribution service, at this address
        /// and port; port 0 is any that is free.
        #[arg(long, value_name = "ADDRESS")]
        kds: Option<SocketAddr>,
        /// How to write logs to standard error; RUST_LOG chooses how much.
        #[arg(long, value_enum, default_value_t = LogFormat::Text)]
        log_format: LogFormat,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn main() -> ExitCode {
    let Command::Serve { dir, product, kds, log_format } = Args::parse().command;
    start_logging(log_format);
    // Valid a little before now, so that a clock that is set back by a second finds it valid too.
    let now = unix_time_before(CLOCK_SLACK);
    let opened = Server::open(&dir, product, now);
    let opened = match kds {
        Some(address) => opened.and_then(|server| server.with_kds(address, now)),
        None => opened,
    };
    let server = match opened {
        Ok(server) => server,
        Err(error) => return fail(&error),
    };
    if let Err(error) = stop_on_signals(server.stop()) {
        return fail(&error);
    }
    let (control, root) = (server.control_socket().display().to_string(), server.host().ark_sha256());
    tracing::info!(control, ark_sha256 = %root, product = %server.host().product(), "serving");
    // A reader that went away is no reason to end.
    let kds = server.kds_url().map(|url| format!("\nkds {url}")).unwrap_or_default();
    let _ = writeln!(std::io::stdout(), "control {control}\nark-sha256 {root}{kds}");
    server.run();
    ExitCode::SUCCESS
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!(%error, "cannot serve");
    ExitCode::FAILURE
}

fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
}

fn unix_time_before(slack: Duration) -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime(since.saturating_sub(slack).as_secs())
}

/// Triggers `stop` at the first SIGTERM or SIGINT.
fn stop_on_signals(stop: Stop) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM"),
                _ = interrupt.recv() => tracing::info!("SIGINT"),
            }
        });
        stop.trigger();
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map(drop)
}

const CLOCK_SLACK: Duration = Duration::from_secs(3600);

const AFTER_HELP: &str = "\
Example:
  keyfast-simtee serve --dir /tmp/sim &
  echo '{\"op\":\"guest\",\"name\":\"web\"}' | nc -U -N /tmp/sim/control.sock
  # then point a guest's agent at /tmp/sim/guests/web.sock

Exit codes: 0 stopped as asked, 1 could not serve (the reason is in the log), 2 wrong usage.";

const SERVE_HELP: &str = "\
Control protocol: one line of JSON asks, one answers.
  {\"op\":\"guest\",\"name\":\"web\"}                    launch an up-to-date guest
  {\"op\":\"guest\",\"name\":\"web\",\"debug\":true}       ... that its host may debug
  {\"op\":\"guest\",\"name\":\"web\",\"tcb\":{\"snp\":5}}    ... on old firmware
  {\"op\":\"guest\",\"name\":\"web\",\"alter_bit\":1152}   ... whose reports are altered after signing
  {\"op\":\"guest\",\"name\":\"web\",\"without_certificates\":true}   ... whose host has none to give out
  {\"op\":\"guest\",\"name\":\"db\",\"kind\":\"svsm\"}      ... with a vTPM: tpm, azure-vtpm or svsm
  {\"op\":\"kds\",\"busy\":2,\"retry_after_s\":1}      where --kds is; its next two requests get 429
  {\"op\":\"status\"}                                the root's fingerprint and the guests that run
  {\"op\":\"stop\"}                                  end

A guest also takes measurement, host_data, id_key_digest (hexadecimal), vmpl and version.
Unless told otherwise its measurement is SHA-384 of \"keyfast simulated guest image 1\", of kind azure-vtpm of
\"keyfast simulated paravisor 1\" and of kind svsm of \"keyfast simulated service module 1\"; its host_data is
SHA-256 of its name.

What a vTPM saw is another member, any part of
  \"vtpm\":{\"secure_boot\":false,\"command_line\":\"root=/dev/vda\",\"image\":\"my image\",
          \"extend\":[{\"pcr\":11,\"digest\":\"(64 digits)\"}],\"without_log\":true}
Its keys are the machine's: a name that is launched again keeps them for as long as this process runs. Its
endorsement key is certified under ek-root.pem.

Keys of a new host take seconds to make. If the environment variable KEYFAST_SIMTEE_KEYS names a directory, those of its
root and intermediates are kept there for all new hosts, which then share them: for test suites that start many.

On standard output: `control SOCKET` and `ark-sha256 FINGERPRINT`, and with --kds `kds URL`, once it serves.";
