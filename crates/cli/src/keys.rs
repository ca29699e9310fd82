//! `keyfast keys`: what a key officer does. None of it shows a key: management creates, disables and reads public
//! halves, and never unwraps, decrypts or exports.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use claims::{KeyId, KeyKind, Operation, Region, RingId, Suite};
use clap::{Args, Subcommand};
use secret::SecretBytes;
use wire::admin::{CreateKey, ImportBodyError, ImportSecret, Key, ReleasePolicy};

use crate::admin::{Admin, AdminError};
use crate::output::{say, table, write_public};

/// Subcommands of `keyfast keys`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key inside the broker
    #[command(
        long_about = "Make a key inside the broker. Its bytes never leave it but sealed to an attested guest.\n\n\
        By default guests may only have DEKs unwrapped (`unwrap`); `--operations unwrap,release` lets the key \
        itself go to a guest that policy permits. A key made with --simulation goes to simulated guests and \
        never to genuine ones; a key made without it never goes to a simulated guest. Neither can be changed."
    )]
    Create(Create),
    /// Store a secret, read from standard input
    Import(Import),
    /// List keys
    List {
        /// Print JSON, all that the broker says of them
        #[arg(long)]
        json: bool,
    },
    /// Write the signed descriptor that owners encrypt to
    Descriptor {
        /// The key
        key: KeyId,
        /// Where to write it; `-` for standard output
        #[arg(long, short, default_value = "-")]
        output: String,
    },
    /// Take a key out of use; what was released stays released
    Disable(Version),
    /// Put a disabled key back into use
    Enable(Version),
    /// Show, set or remove the policy that a key has of its own
    #[command(
        long_about = "Show, set or remove the policy that a key has of its own. A guest gets the key if the broker's \
        policies permit it and the key's own does.\n\nIt is Cedar, checked like any policy; its rules are named \
        `key/ID` in explanations. A policy that was made immutable stays as it is, on this version and on later ones."
    )]
    Policy(OwnPolicy),
}

/// Arguments of `keyfast keys create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Its name; an existing name gets a new version
    key: KeyId,
    /// rsa-2048, rsa-3072, rsa-4096 or aes-256
    #[arg(long, default_value = "rsa-3072")]
    kind: KeyKind,
    /// What guests may ask of it: unwrap, release
    #[arg(long, value_delimiter = ',', default_value = "unwrap")]
    operations: Vec<Operation>,
    #[command(flatten)]
    about: About,
}

/// What is said of every new version, however it comes.
#[derive(Debug, Args)]
pub struct About {
    /// For simulated guests, and for no other
    #[arg(long)]
    simulation: bool,
    /// The weakest suite it may be sealed with: p384 or x-wing
    #[arg(long, default_value = "p384")]
    suite_floor: Suite,
    /// The ring that it is in, which policies can name; default: that of the version before, else `default`
    #[arg(long)]
    ring: Option<RingId>,
    /// Where it may be used, such as eu-central-1, for policies; default: that of the version before
    #[arg(long)]
    region: Option<Region>,
    /// A Cedar policy of its own, which must permit as well as the broker's; later versions have it too
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Its own policy can never be changed, by nobody
    #[arg(long, requires = "policy")]
    immutable_policy: bool,
    /// A label, such as `owner=payments`; may be given again
    #[arg(long = "tag", value_parser = parse_tag)]
    tags: Vec<(String, String)>,
}

/// Arguments of `keyfast keys import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Its name
    key: KeyId,
    /// Read the secret from this file instead of standard input
    #[arg(long)]
    file: Option<PathBuf>,
    #[command(flatten)]
    about: About,
}

/// Arguments of `keyfast keys policy`.
#[derive(Debug, Args)]
pub struct OwnPolicy {
    #[command(flatten)]
    version: Version,
    /// Set this policy
    #[arg(long, value_name = "FILE")]
    set: Option<PathBuf>,
    /// It can never be changed again
    #[arg(long, requires = "set")]
    immutable: bool,
    /// Remove it
    #[arg(long, conflicts_with = "set")]
    remove: bool,
}

/// One version of a key.
#[derive(Debug, Args)]
pub struct Version {
    /// The key
    key: KeyId,
    /// Its version
    #[arg(long)]
    version: u32,
}

fn parse_tag(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` is not of the form name=value"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Why a key could not be managed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The broker did not do it.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A file could not be used.
    #[error("cannot use `{file}`: {source}")]
    File {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such key.
    #[error("there is no key `{key}` version {version}; `keyfast keys list` shows all")]
    Unknown {
        /// Its name.
        key: KeyId,
        /// Its version.
        version: u32,
    },
    /// A policy is longer than a key may have.
    #[error(
        "`{file}` is too long for a key's own policy: expected at most {} bytes",
        claims::ReleasePolicy::MAX_LEN
    )]
    PolicyTooLong {
        /// The file.
        file: String,
    },
    /// The secret is empty or too long, or what is said of it is.
    #[error(transparent)]
    Secret(#[from] ImportBodyError),
    /// A secret on a terminal would be echoed.
    #[error("standard input is a terminal, which would show the secret; pipe it in or use --file")]
    Terminal,
}

/// Runs one subcommand.
///
/// # Errors
/// [`KeysError`].
pub fn run(admin: &Admin, command: &Command) -> Result<(), KeysError> {
    match command {
        Command::Create(create) => print_keys(&[admin.send("/admin/v1/keys", &request(create)?)?]),
        Command::Import(import) => {
            let body = read_secret(import)?;
            print_keys(&[admin.send_bytes("/admin/v1/secrets", body.expose())?]);
        }
        Command::List { json } => {
            let keys = admin.fetch::<Vec<Key>>("/admin/v1/keys")?;
            if *json {
                say!("{:#}", serde_json::json!(keys));
            } else {
                print_keys(&keys);
            }
        }
        Command::Descriptor { key, output } => {
            let text = admin.fetch_bytes(&format!("/admin/v1/keys/{key}/descriptor"))?;
            write_descriptor(output, &text)?;
        }
        Command::Disable(version) => change(admin, version, "disable")?,
        Command::Enable(version) => change(admin, version, "enable")?,
        Command::Policy(args) => own_policy(admin, args)?,
    }
    Ok(())
}

fn request(create: &Create) -> Result<CreateKey, KeysError> {
    let about = &create.about;
    Ok(CreateKey {
        id: create.key.to_string(),
        kind: create.kind.to_string(),
        operations: create.operations.iter().map(ToString::to_string).collect::<BTreeSet<_>>(),
        simulation: about.simulation,
        suite_floor: about.suite_floor.to_string(),
        ring: about.ring.as_ref().map(ToString::to_string),
        region: about.region.as_ref().map(ToString::to_string),
        release_policy: about.release_policy()?,
        tags: about.tags(),
    })
}

impl About {
    fn release_policy(&self) -> Result<Option<ReleasePolicy>, KeysError> {
        self.policy.as_deref().map(|path| read_policy(path, self.immutable_policy)).transpose()
    }

    fn tags(&self) -> BTreeMap<String, String> {
        self.tags.iter().cloned().collect()
    }
}

fn read_policy(path: &Path, immutable: bool) -> Result<ReleasePolicy, KeysError> {
    let file = |source| KeysError::File { file: path.display().to_string(), source };
    let mut cedar = String::new();
    let limit = u64::try_from(claims::ReleasePolicy::MAX_LEN).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path).map_err(file)?.take(limit).read_to_string(&mut cedar).map_err(file)?;
    if cedar.len() > claims::ReleasePolicy::MAX_LEN {
        return Err(KeysError::PolicyTooLong { file: path.display().to_string() });
    }
    Ok(ReleasePolicy { cedar, immutable })
}

fn own_policy(admin: &Admin, args: &OwnPolicy) -> Result<(), KeysError> {
    let Version { key, version } = &args.version;
    let path = format!("/admin/v1/keys/{key}/{version}/policy");
    if args.set.is_some() || args.remove {
        let policy = args.set.as_deref().map(|path| read_policy(path, args.immutable)).transpose()?;
        print_keys(&[admin.send(&path, &policy)?]);
        return Ok(());
    }
    let keys = admin.fetch::<Vec<Key>>("/admin/v1/keys")?;
    let this = |k: &&Key| k.id == key.as_str() && k.version == *version;
    let found =
        keys.iter().find(this).ok_or_else(|| KeysError::Unknown { key: key.clone(), version: *version })?;
    match &found.release_policy {
        None => say!("`{key}` version {version} has no policy of its own: the broker's alone decide"),
        Some(policy) => {
            let change = if policy.immutable { "immutable" } else { "can be changed" };
            say!("// own policy of `{key}` version {version}; {change}\n{}", policy.cedar.trim_end());
        }
    }
    Ok(())
}

fn change(admin: &Admin, version: &Version, verb: &str) -> Result<(), AdminError> {
    let path = format!("/admin/v1/keys/{}/{}/{verb}", version.key, version.version);
    print_keys(&[admin.send(&path, &())?]);
    Ok(())
}

/// What is said of the secret, and the secret. The buffer never grows, so no copy stays behind.
fn read_secret(import: &Import) -> Result<SecretBytes, KeysError> {
    let about = &import.about;
    let said = ImportSecret {
        id: import.key.to_string(),
        simulation: about.simulation,
        suite_floor: about.suite_floor.to_string(),
        ring: about.ring.as_ref().map(ToString::to_string),
        region: about.region.as_ref().map(ToString::to_string),
        release_policy: about.release_policy()?,
        tags: about.tags(),
    };
    let name = || import.file.as_ref().map_or("standard input".to_owned(), |f| f.display().to_string());
    let file = |source| KeysError::File { file: name(), source };
    let head = said.head()?;
    // One byte more than fits, so that what is too long is seen.
    let limit = ImportSecret::MAX_SECRET.saturating_add(1);
    let mut body = Vec::with_capacity(head.len().saturating_add(limit));
    body.extend(head);
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let read = match &import.file {
        Some(path) => std::fs::File::open(path).map_err(file)?.take(limit).read_to_end(&mut body),
        None if std::io::stdin().is_terminal() => return Err(KeysError::Terminal),
        None => std::io::stdin().take(limit).read_to_end(&mut body),
    };
    // From here on wiped, whether it was read whole or not.
    let body = SecretBytes::from_vec(body);
    read.map_err(file)?;
    ImportSecret::split(body.expose())?;
    Ok(body)
}

fn write_descriptor(output: &str, text: &[u8]) -> Result<(), KeysError> {
    let written = match output {
        "-" => std::io::Write::write_all(&mut crate::output::stdout(), text),
        path => write_public(std::path::Path::new(path), text),
    };
    written.map_err(|source| KeysError::File { file: output.to_owned(), source })
}

fn print_keys(keys: &[Key]) {
    let row = |key: &Key| {
        vec![
            key.id.clone(),
            key.version.to_string(),
            key.kind.clone(),
            key.ring.clone(),
            key.operations.iter().cloned().collect::<Vec<_>>().join(","),
            if key.simulation { "simulated" } else { "genuine" }.to_owned(),
            if key.enabled { "enabled" } else { "disabled" }.to_owned(),
            key.created_at.clone(),
        ]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    table(&["KEY", "VERSION", "KIND", "RING", "GUESTS MAY", "GUESTS", "STATE", "CREATED"], &rows);
}
