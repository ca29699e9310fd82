//! `keyfast dev up`, `status` and `down`.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use simtee::control::{Request, call};

use super::{DevError, Layout, io_error, process};
use crate::output::{write_private, write_public};

const BROKER: &str = "keyfast-broker";
const SIMTEE: &str = "keyfast-simtee";

/// The policies that the development broker starts with, as they stand in the repository.
const POLICIES: [(&str, &str); 2] = [
    ("schema.cedarschema", include_str!("../../../../attestation-policies/schema.cedarschema")),
    (
        "simulated-development.cedar",
        include_str!("../../../../attestation-policies/simulated-development.cedar"),
    ),
];

/// Reference values, to which the simulated guests' image is added.
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
    let image = simtee::GuestSpec::default_measurement();
    let references = format!(
        "{REFERENCES}\n[[measurement]]   # what every simulated guest launches unless told otherwise\n\
         value = \"{image}\"\nname = \"simulated guest image 1\"\nstate = \"active\"\n"
    );
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
         policy = [\"simulated-development\"]\n\n\
         [trust]\n\
         amd = false\n\n\
         [[trust.simulated]]\n\
         certificate = \"simtee/ark.pem\"\n\
         sha256 = \"{}\"\n",
        fingerprint.trim(),
    );
    write_private(&path, text.as_bytes()).map_err(io_error("write", &path))
}

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
    println!("directory        {}", layout.root().display());
    println!("keyfast-simtee   {}", state(SIMTEE));
    println!("keyfast-broker   {}", state(BROKER));
    if let Ok(url) = broker_url(layout) {
        println!("  guests         {url}");
        println!("  operators      {}", layout.admin_socket().display());
    }
    if let Ok(id) = layout.identity() {
        println!("  identity       {id}");
    }
    println!("policy           simulated-development: for development, never for genuine guests");
    Ok(())
}

/// Stops both; with `purge`, deletes everything.
pub fn down(layout: &Layout, purge: bool) -> Result<(), DevError> {
    for name in [BROKER, SIMTEE] {
        let what = if process::stop(layout, name)? { "stopped" } else { "did not run" };
        println!("{name:<16} {what}");
    }
    if purge {
        remove(layout.root())?;
        println!("deleted          {}", layout.root().display());
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
