//! `keyfast reference`: changes reference values without touching a rule: a build pipeline adds what it measured, an
//! operator retires it. Every change is checked as a broker would check it, counts the manifest's serial number up, and
//! leaves comments and order as they are; a file that would not load is never written.

mod edit;
mod failure;
mod input;
mod list;
mod processors;
mod status;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use claims::UnixTime;
use clap::{Args, Subcommand};
pub use failure::ReferenceFailure;
use policy::{Bundle, BundleStatement, Manifest, ReferenceValue};

use crate::admin::Admin;
use crate::file;
use crate::output::{now, write_public};
use crate::signing;

/// Subcommands of `keyfast reference`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add values, given here or printed by `keyfast measure`
    #[command(
        long_about = "Add values, given here or, through a pipe, as `keyfast measure` prints them.\n\n\
        A pipeline that has built an image admits it so, on trial first:\n  \
        keyfast measure uki linux.efi | keyfast reference add --name web-1.5 --state trial\n\n\
        Values that are listed already with this name and state are left as they are. If other dates or another \
        origin are given than those that are listed, nothing is added."
    )]
    Add(Add),
    /// List values, floors and revoked products, with their state now
    List(list::List),
    /// Count the guests that were seen on each value
    #[command(
        long_about = "Count the guests that were seen on each value, and on each processor with a floor or a revocation.\n\n\
        A guest counts on its processor's own floor, or on that of its product if no other names the processor, whether \
        its versions are good enough or not; `keyfast policy replay --at DATE` says who would be denied."
    )]
    Status(status::Status),
    /// Give a value another state: trial, active, retiring or denied
    #[command(
        long_about = "Give a value another state: trial, active, retiring or denied.\n\nA value that guests were seen on of \
        late goes on trial, is denied or gets an earlier end only with --force, as for `keyfast reference expire`."
    )]
    Set(Set),
    /// Withdraw a value, now or from a date on
    #[command(
        long_about = "Withdraw a value, now or from a date on: guests that show it get nothing then.\n\nA value that guests \
        were seen on of late is withdrawn only with --force. Who was seen, the broker says, or an export of its decisions \
        (--from); `keyfast reference status` shows it, and `keyfast policy replay --at DATE` who would be denied."
    )]
    Expire(Expire),
    /// Sign the file as one of those whom a broker asks for (`reference_signers`)
    Sign(Sign),
}

/// Arguments of `keyfast reference sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// An SSH key, Ed25519: the private one, or the public half of one in an agent
    #[arg(long, short, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Where the reference values are.
#[derive(Debug, Args)]
pub struct Place {
    /// The directory of policies, with reference-values.toml
    #[arg(long, default_value = "attestation-policies", env = "KEYFAST_POLICIES", value_name = "DIR")]
    dir: PathBuf,
}

/// Arguments of `keyfast reference add`.
#[derive(Debug, Args)]
pub struct Add {
    /// What it is a value of: measurement, pcr, host_data, chip, ...; not needed for what is piped in
    #[arg(requires = "value", value_parser = parse_kind)]
    kind: Option<String>,
    /// The value, as policies name it; without it standard input is read
    value: Option<String>,
    /// What people call it
    #[arg(long)]
    name: String,
    /// trial (granted nothing yet), active, retiring (still granted) or denied
    #[arg(long, default_value = "active", value_parser = parse_state)]
    state: String,
    /// Who or what says so, such as a build's address
    #[arg(long)]
    origin: Option<String>,
    /// Before it the value is on trial at most, such as 2026-12-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    valid_from: Option<UnixTime>,
    /// From then on it is expired
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    valid_until: Option<UnixTime>,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `keyfast reference set`.
#[derive(Debug, Args)]
pub struct Set {
    /// The value, the beginning of one, or a name
    which: String,
    /// trial, active, retiring or denied
    #[arg(value_parser = parse_state)]
    state: String,
    /// From then on it is expired, and not before
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    valid_until: Option<UnixTime>,
    /// Though guests use it, or nobody can say whether any does
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    seen: status::Seen,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `keyfast reference expire`.
#[derive(Debug, Args)]
pub struct Expire {
    /// The value, the beginning of one, or a name
    which: String,
    /// From then on instead of now; not later than it expires already
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<UnixTime>,
    /// Though guests use it, or nobody can say whether any does
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    seen: status::Seen,
    #[command(flatten)]
    place: Place,
}

/// Runs one subcommand, with its result on standard output.
///
/// # Errors
/// [`ReferenceFailure`]; the file is as it was then.
pub fn run(admin: &Admin, command: &Command) -> Result<(), ReferenceFailure> {
    let out = &mut crate::output::stdout();
    match command {
        Command::Add(args) => add(args, out),
        Command::List(args) => list::run(args, out),
        Command::Status(args) => status::run(admin, args, out),
        Command::Set(args) => set(admin, args, out),
        Command::Expire(args) => expire(admin, args, out),
        Command::Sign(args) => sign(args, out),
    }
}

fn add(args: &Add, out: &mut dyn Write) -> Result<(), ReferenceFailure> {
    if let (Some(from), Some(until)) = (args.valid_from, args.valid_until)
        && from >= until
    {
        return Err(ReferenceFailure::Never { from, until });
    }
    let found = match (&args.kind, &args.value) {
        (Some(kind), Some(value)) => vec![input::Measured::new(kind, value)],
        _ => input::read(&mut io::stdin().lock())?,
    };
    let file = ManifestFile::read(&args.place)?;
    let known = file.manifest.values(now());
    let mut edited = file.edit()?;
    for measured in found {
        let input::Measured { kind, value, part } = &measured;
        if let Some(expected) = Manifest::impossible(kind, value) {
            return Err(ReferenceFailure::Impossible { kind: kind.clone(), value: value.clone(), expected });
        }
        let name = part.as_ref().map_or_else(|| args.name.clone(), |part| format!("{} {part}", args.name));
        match known.iter().find(|listed| listed.kind == kind && listed.value == *value) {
            Some(listed) if listed.name == name && listed.state == args.state => {
                same_otherwise(listed, args)?;
                writeln!(out, "is there  {kind}  {}  {name}", short(value))?;
            }
            Some(listed) => return Err(listed_otherwise(listed)),
            None => {
                edited.add(kind, value, &name, args);
                writeln!(out, "added     {kind}  {}  {name}, {}", short(value), args.state)?;
            }
        }
    }
    file.write(edited, out)
}

fn listed_otherwise(listed: &ReferenceValue) -> ReferenceFailure {
    ReferenceFailure::Listed {
        kind: listed.kind.to_owned(),
        value: short(&listed.value),
        name: listed.name.clone(),
        state: listed.state,
    }
}

/// That what was given beside name and state is what is listed; what was not given is whatever it is.
fn same_otherwise(listed: &ReferenceValue, args: &Add) -> Result<(), ReferenceFailure> {
    let time = |time: Option<UnixTime>| time.map(|time| time.to_string());
    let fields = [
        ("origin", listed.origin.clone(), args.origin.clone()),
        ("valid_from", time(listed.valid_from), time(args.valid_from)),
        ("valid_until", time(listed.valid_until), time(args.valid_until)),
    ];
    for (what, is, given) in fields {
        let Some(given) = given.filter(|given| is.as_ref() != Some(given)) else { continue };
        let listed_as = is.unwrap_or_else(|| "none".to_owned());
        let (kind, value) = (listed.kind, short(&listed.value));
        return Err(ReferenceFailure::ListedOtherwise { kind, value, what, listed: listed_as, given });
    }
    Ok(())
}

fn set(admin: &Admin, args: &Set, out: &mut dyn Write) -> Result<(), ReferenceFailure> {
    let file = ManifestFile::read(&args.place)?;
    let values = file.named(&args.which)?;
    // Of the states that grant nothing; a value that grants nothing as it is takes nothing from anybody.
    let withdraws = |value: &ReferenceValue| {
        let earlier = args.valid_until.is_some_and(|at| value.valid_until.is_none_or(|until| at < until));
        matches!(args.state.as_str(), "trial" | "denied") || earlier
    };
    if !args.force {
        let granting = values.iter().filter(|value| ["active", "retiring"].contains(&value.state));
        unused(granting.filter(|value| withdraws(value)).collect(), &args.seen, admin, &file)?;
    }
    let mut edited = file.edit()?;
    for value in values {
        match args.valid_until {
            Some(until) => edited.set_end(&value, until),
            // A date that has passed would leave it expired whatever its state.
            None if value.valid_until.is_some_and(|until| until <= now()) => edited.remove_end(&value),
            None => {}
        }
        edited.set_state(&value, &args.state);
        writeln!(out, "{:<8}  {}  {}  {}", args.state, value.kind, short(&value.value), value.name)?;
    }
    file.write(edited, out)
}

fn expire(admin: &Admin, args: &Expire, out: &mut dyn Write) -> Result<(), ReferenceFailure> {
    let file = ManifestFile::read(&args.place)?;
    let values = file.named(&args.which)?;
    args.at.map_or(Ok(()), |at| values.iter().try_for_each(|value| ends_later(value, at)))?;
    if !args.force {
        unused(values.iter().collect(), &args.seen, admin, &file)?;
    }
    let mut edited = file.edit()?;
    for value in values {
        let when = match args.at {
            None => {
                edited.set_state(&value, "expired");
                "expired".to_owned()
            }
            // It is, whatever the date.
            Some(_) if value.state == "expired" => "expired".to_owned(),
            Some(at) => {
                edited.set_end(&value, at);
                format!("expires {at}")
            }
        };
        writeln!(out, "{when}  {}  {}  {}", value.kind, short(&value.value), value.name)?;
    }
    file.write(edited, out)
}

/// That a value counts until `at` at least, as it is.
fn ends_later(value: &ReferenceValue, at: UnixTime) -> Result<(), ReferenceFailure> {
    let ReferenceValue { kind, value, name, valid_until, .. } = value;
    match valid_until {
        Some(until) if *until < at => {
            let (value, name, until) = (short(value), name.clone(), *until);
            Err(ReferenceFailure::Prolonged { kind, value, name, until, at })
        }
        _ => Ok(()),
    }
}

/// That no guest was seen on these values of late. Nobody is asked if there are none.
fn unused(
    values: Vec<&ReferenceValue>,
    seen: &status::Seen,
    admin: &Admin,
    file: &ManifestFile,
) -> Result<(), ReferenceFailure> {
    if values.is_empty() {
        return Ok(());
    }
    let used = seen.uses(admin, &file.manifest)?;
    for ReferenceValue { kind, value, name, .. } in values {
        let guests = used.get(&(kind, value.clone())).map_or(0, status::Uses::guests);
        if guests > 0 {
            let (value, name, days) = (short(value), name.clone(), seen.days);
            return Err(ReferenceFailure::InUse { kind, value, name, guests, days });
        }
    }
    Ok(())
}

fn sign(args: &Sign, out: &mut dyn Write) -> Result<(), ReferenceFailure> {
    let file = ManifestFile::read(&args.place)?;
    let signatures = args.place.signatures();
    signing::sign(&file.path, &signatures, BundleStatement::REFERENCE_NAMESPACE, &args.key)?;
    Ok(writeln!(out, "signed    serial {}; {}", file.manifest.serial(), signatures.display())?)
}

/// The file, and what it says.
struct ManifestFile {
    path: PathBuf,
    text: String,
    manifest: Manifest,
    signatures: PathBuf,
}

impl ManifestFile {
    fn read(place: &Place) -> Result<Self, ReferenceFailure> {
        let path = place.dir.join(Bundle::REFERENCES);
        let text = file::read(&path, MAX_FILE)?;
        let toml = |message: &str| ReferenceFailure::Toml { path: path.clone(), message: message.to_owned() };
        let text = String::from_utf8(text).map_err(|_| toml("not UTF-8"))?;
        let manifest = Manifest::parse(&text).map_err(|errors| ReferenceFailure::Wrong { errors })?;
        Ok(Self { path, text, manifest, signatures: place.signatures() })
    }

    fn edit(&self) -> Result<edit::Edit, ReferenceFailure> {
        let toml = |message| ReferenceFailure::Toml { path: self.path.clone(), message };
        edit::Edit::new(&self.text).map_err(toml)
    }

    /// The values of this name, else the one value that begins so.
    fn named(&self, which: &str) -> Result<Vec<ReferenceValue>, ReferenceFailure> {
        let all = self.manifest.values(now());
        let (called, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|value| value.name == which);
        if !called.is_empty() {
            return Ok(called);
        }
        let begin: Vec<_> = others.into_iter().filter(|value| value.value.starts_with(which)).collect();
        match begin.len() {
            0 => Err(ReferenceFailure::Unknown { which: which.to_owned() }),
            1 => Ok(begin),
            count => Err(ReferenceFailure::Ambiguous { which: which.to_owned(), count }),
        }
    }

    /// Writes what was changed, if anything was, with the next serial number.
    fn write(&self, edited: edit::Edit, out: &mut dyn Write) -> Result<(), ReferenceFailure> {
        let serial = self.manifest.serial().saturating_add(1);
        let Some(text) = edited.finish(serial) else { return Ok(()) };
        Manifest::parse(&text).map_err(|errors| ReferenceFailure::Wrong { errors })?;
        let write = |source| ReferenceFailure::Write { path: self.path.clone(), source };
        write_public(&self.path, text.as_bytes()).map_err(write)?;
        signing::outdated(&self.signatures, out)?;
        Ok(writeln!(out, "serial    {serial} of {}", self.path.display())?)
    }
}

/// A value within a line: its first 16 characters.
fn short(value: &str) -> String {
    if value.chars().count() <= 18 {
        return value.to_owned();
    }
    format!("{}..", value.chars().take(16).collect::<String>())
}

fn parse_kind(text: &str) -> Result<String, String> {
    one_of(text, Manifest::kinds())
}

fn parse_state(text: &str) -> Result<String, String> {
    one_of(text, Manifest::states().filter(|state| *state != "expired"))
}

fn one_of(text: &str, known: impl Iterator<Item = &'static str>) -> Result<String, String> {
    let known: Vec<&str> = known.collect();
    if known.contains(&text) { Ok(text.to_owned()) } else { Err(format!("use one of {}", known.join(", "))) }
}

fn parse_time(text: &str) -> Result<UnixTime, String> {
    UnixTime::parse(text).ok_or_else(|| "not a time in UTC; use one such as 2026-12-01T00:00:00Z".to_owned())
}

/// Most bytes of a file: what a broker takes.
const MAX_FILE: u64 = 64 * 1024 * 1024;

impl Place {
    /// The file's path, for people.
    fn path(&self) -> PathBuf {
        Path::join(&self.dir, Bundle::REFERENCES)
    }

    fn signatures(&self) -> PathBuf {
        self.dir.join(BundleStatement::REFERENCE_SIGNATURES)
    }
}
