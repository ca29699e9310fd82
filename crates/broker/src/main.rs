//! `keyfast-broker`: parses the command line, hardens the process, serves until it is told to stop.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use broker::config::Config;
use broker::start::StartError;
use broker::{admin, policies, public, revocation, serve, start};
use claims::UnixTime;
use clap::{Parser, Subcommand, ValueEnum};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tracing_subscriber::EnvFilter;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "keyfast-broker",
    version,
    about = "Release keys to attested confidential VMs, and to nobody else",
    after_help = "Exit codes:\n  0  stopped by SIGTERM or SIGINT\n  1  the broker failed\n  \
        2  wrong arguments\n  3  the configuration, a policy, a key file or the journal cannot be used",
    max_term_width = 100
)]
struct Cli {
    /// How log lines look; KEYFAST_LOG filters them (`info` if unset)
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve guests and operators
    #[command(long_about = "Serve guests over TLS 1.3 and operators over a Unix socket.\n\n\
        On first start the identity key, journal key, CA, TLS key, challenge key and root key are made in the state \
        directory, each in a file of mode 0600. Keep a copy of root.key: without it every key is lost.")]
    Serve {
        /// Configuration file (TOML)
        #[arg(long)]
        config: PathBuf,
    },
    /// Check configuration and policies, and change nothing
    Check {
        /// Configuration file (TOML)
        #[arg(long)]
        config: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.log_format);
    let hardening = secret::harden_process();
    tracing::info!(%hardening, "process hardened");
    let done = match &cli.command {
        Command::Serve { config } => run(config).await,
        Command::Check { config } => check(config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            eprintln!("keyfast-broker: {message}");
            ExitCode::from(code)
        }
    }
}

type Done = Result<(), (u8, String)>;

fn unusable(error: impl ToString) -> (u8, String) {
    (3, error.to_string())
}

fn check(path: &std::path::Path) -> Done {
    let config = Config::read(path).map_err(unusable)?;
    let policies::Loaded { policy, serial, signed_by } = policies::load(&config).map_err(unusable)?;
    println!("policy bundle {}", policy.digest());
    println!("reference values {}", policy.serial());
    if config.policy_officers.is_some() || config.reference_signers.is_some() {
        println!("signed by {}, serial {serial}", signed_by.join(", "));
    }
    for (id, doc) in policy.rules() {
        println!("  {id}: {doc}");
    }
    Ok(())
}

async fn run(path: &std::path::Path) -> Done {
    let config = Config::read(path).map_err(unusable)?;
    let (listen, admin_socket, connections) = (config.listen, config.admin_socket(), config.max_connections);
    let accounts = config.operators().map_err(unusable)?;
    let (app, tls) = start::start(config, now()).await.map_err(unusable)?;
    let tls = transport::server_config(&tls.chain, tls.private_key.expose()).map_err(unusable)?;
    let io = |what: String| move |source| unusable(StartError::Io { what, source });
    let guests = TcpListener::bind(listen).await.map_err(io(format!("cannot listen on {listen}")))?;
    let what = format!("cannot listen on `{}`", admin_socket.display());
    let operators = serve::bind_operators(&admin_socket, &accounts).map_err(io(what))?;
    tracing::info!(broker = %app.core.broker, %listen, policy = %app.policy().digest(), "serving");
    if app.config.policy.is_empty() {
        tracing::warn!("no policy is named in the configuration: every request will be denied");
    }
    if !app.policy().permits_some_act() {
        tracing::warn!("no rule permits any act of management: nobody can manage keys or load policies");
    }
    let trust = &app.config.trust;
    if trust.amd && trust.crl_max_age_days.is_none() {
        tracing::warn!(
            "revocation lists are not demanded: what AMD revoked is refused only while a list at hand says so; set \
             trust.crl_max_age_days"
        );
    }
    let public = public::router(Arc::clone(&app));
    tokio::select! {
        () = serve::guests(guests, TlsAcceptor::from(tls), public, connections) => {}
        () = serve::operators(operators, accounts, admin::router(Arc::clone(&app))) => {}
        () = serve::timers(Arc::clone(&app)) => {}
        () = revocation::keep_fresh(Arc::clone(&app)) => {}
        () = told_to_stop() => {}
    }
    app.sum_refusals().await;
    app.housekeep().await;
    let _already_gone = std::fs::remove_file(&admin_socket);
    tracing::info!("stopped");
    Ok(())
}

async fn told_to_stop() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

fn now() -> UnixTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixTime(since.map_or(0, |since| since.as_secs()))
}

fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_env("KEYFAST_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
}
