//! `keyfast dev up`, `status` and `down`.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use simtee::control::{Request, call};

use super::{DevError, Layout, io_error, process};
use crate::output::{say, write_private, write_public};

const BROKER: &str = "keyfast-broker";
const SIMTEE: &str = "keyfast-simtee";

/// The policies that the development broker starts with, as they stand in the repository.
const POLICIES: [(&str, &str); 4] = [
    ("schema.cedarschema", include_str!("../../../../attestation-policies/schema.cedarschema")),
    ("operators.cedar", include_str!("../../../../attestation-policies/operators.cedar")),
    (
        "simulated-development.cedar",
        include_str!("../../../../attestation-policies/simulated-development.cedar"),
    ),
    ("simulated-vtpm.cedar", include_str!("../../../../attestation-policies/simulated-vtpm.cedar")),
];

/// Reference values, to which those of the simulated guests are added.
const REFERENCES: &str = include_str!("../../../../attestation-policies/reference-values.toml");

/// Starts what does not run yet.
pub fn up(layout: &Layout) -> Result<(), DevError> {
    let root = layout.root();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(io_error("create", root))?;
    if process::running(layout, SIMTEE).is_none() {
        let control = layout.simtee_control();
        let dir = layout.simtee();
        let arguments = [OsStr::new("serve"), OsStr::new("--dir"), dir.as_os_str()];
        process::start(layout, SIMTEE, &arguments, || call(&control, &Request::Status {}).is_ok())?;
    }
    if process::running(layout, BROKER).is_none() {
        configure(layout)?;
        let config = layout.broker_config();
        let admin = layout.admin_socket();
        let arguments = [OsStr::new("serve"), OsStr::new("--config"), config.as_os_str()];
        process::start(layout, BROKER, &arguments, || crate::admin::ping(&admin))?;
    }
    status(layout)
}

/// Writes policies and configuration where there are none; both are the user's to edit after that.
fn configure(layout: &Layout) -> Result<(), DevError> {
    let references = references();
    for (name, text) in POLICIES.into_iter().chain([("reference-values.toml", references.as_str())]) {
        let path = layout.policies().join(name);
        if !path.exists() {
            write_public(&path, text.as_bytes()).map_err(io_error("write", &path))?;
        }
    }
    let path = layout.broker_config();
    if path.exists() {
        return Ok(());
    }
    let fingerprint_file = layout.simtee().join("ark.sha256");
    let fingerprint = fs::read_to_string(&fingerprint_file).map_err(io_error("read", &fingerprint_file))?;
    let address = free_address().map_err(io_error("find a free port for", &path))?;
    let text = format!(
        "# A broker for development: it believes a simulated TEE. Never point genuine guests at it.\n\
         listen = \"{address}\"\n\
         urls = [\"https://{address}\"]\n\
         state = \"broker\"\n\
         policies = \"attestation-policies\"\n\
         policy = [\"operators\", \"simulated-development\", \"simulated-vtpm\"]\n\
         # Whoever has a simulated guest here may read these policies.\n\
         preflight = \"explain\"\n\n\
         [trust]\n\
         amd = false\n\
         svsm = true\n\n\
         [[trust.simulated]]\n\
         certificate = \"simtee/ark.pem\"\n\
         sha256 = \"{}\"\n\n\
         [[trust.tpm]]\n\
         certificate = \"simtee/ek-root.pem\"\n\
         simulated = true\n",
        fingerprint.trim(),
    );
    write_private(&path, text.as_bytes()).map_err(io_error("write", &path))
}

/// The shipped reference values, and what every simulated guest launches and boots unless told otherwise.
fn references() -> String {
    let [boot, secure_boot] = simtee::vtpm::log::BootSpec::new(IMAGE).pcrs([4, 7]);
    let values = [
        ("measurement", simtee::GuestSpec::default_measurement().to_string(), IMAGE),
        ("paravisor", simtee::GuestSpec::default_paravisor().to_string(), "simulated paravisor"),
        ("paravisor", simtee::GuestSpec::default_service_module().to_string(), "simulated service module"),
        ("pcr", boot.to_string(), "PCR 4 of simulated guest image 1"),
        ("pcr", secure_boot.to_string(), "PCR 7 of simulated guest image 1"),
    ];
    let value = |(kind, value, name): &(&str, String, &str)| {
        format!("\n[[{kind}]]\nvalue = \"{value}\"\nname = \"{name}\"\nstate = \"active\"\n")
    };
    REFERENCES.to_owned() + &values.iter().map(value).collect::<String>()
}

/// What simulated guests launch and boot unless told otherwise.
const IMAGE: &str = "simulated guest image 1";

fn free_address() -> std::io::Result<std::net::SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

/// The first URL of the broker's configuration.
pub fn broker_url(layout: &Layout) -> Result<String, DevError> {
    let path = layout.broker_config();
    let text = fs::read_to_string(&path).map_err(|_| DevError::Down)?;
    let url = toml::from_str::<toml::Table>(&text)
        .ok()
        .and_then(|config| Some(config.get("urls")?.as_array()?.first()?.as_str()?.to_owned()));
    url.ok_or_else(|| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "it names no URL");
        DevError::Io { action: "use", path, source }
    })
}

/// Prints what runs and where.
pub fn status(layout: &Layout) -> Result<(), DevError> {
    let state = |name| match process::running(layout, name) {
        Some(pid) => format!("runs, process {}", pid.as_raw_nonzero()),
        None => "does not run".to_owned(),
    };
    say!("directory        {}", layout.root().display());
    say!("keyfast-simtee   {}", state(SIMTEE));
    say!("keyfast-broker   {}", state(BROKER));
    if let Ok(url) = broker_url(layout) {
        say!("  guests         {url}");
        say!("  operators      {}", layout.admin_socket().display());
    }
    if let Ok(id) = layout.identity() {
        say!("  identity       {id}");
    }
    say!("policy           simulated-development: for development, never for genuine guests");
    Ok(())
}

/// Stops both; with `purge`, deletes everything.
pub fn down(layout: &Layout, purge: bool) -> Result<(), DevError> {
    for name in [BROKER, SIMTEE] {
        let what = if process::stop(layout, name)? { "stopped" } else { "did not run" };
        say!("{name:<16} {what}");
    }
    if purge {
        remove(layout.root())?;
        say!("deleted          {}", layout.root().display());
    }
    Ok(())
}

/// Removes the directory, if it looks like one of ours.
fn remove(root: &Path) -> Result<(), DevError> {
    if root.join("broker.toml").is_file() {
        fs::remove_dir_all(root).map_err(io_error("delete", root))?;
    }
    Ok(())
}
