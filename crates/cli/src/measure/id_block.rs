//! `keyfast measure id-block`: makes an ID block and its keys' digests, or reads and verifies a signed one.
//!
//! Only public keys are taken: the private ones sign elsewhere, and this command must never read one.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claims::Measurement;
use claims::snp::GuestPolicy;
use clap::{ArgGroup, Args};
use measure::SnpPublicKey;
use measure::id_block::{IdAuth, IdBlock, IdBlockError};

use super::table::Table;
use super::{MeasureFailure, snp};
use crate::file;
use crate::output::write_public;

/// What `--help` says.
pub const ABOUT: &str = "An ID block says which launch is its author's; firmware checks its signature, and each \
    report of the guest carries the digests of the keys. So a policy can know an author instead of each image.\n\n\
    Make one, and the digests of its keys:\n  \
    keyfast measure id-block --measurement $(keyfast measure snp ... --json | jq -r .measurement) \\\n    \
    --id-key id.pub.pem --author-key author.pub.pem --output id-block.bin\n\n\
    `openssl dgst -sha384 -sign id.pem id-block.bin` is then the ID key's signature, in DER. Read a signed block, as \
    QEMU's id-block= and id-auth= take it (binary or base64), and check its signatures:\n  \
    keyfast measure id-block --block id-block.bin --auth id-auth.bin\n\n\
    To let its guests have keys, add the digest of the ID key or of the author key as an [[id_key]] to \
    reference-values.toml. Keys are given as public keys in PEM (`openssl pkey -in id.pem -pubout`).";

/// Arguments of `keyfast measure id-block`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["measurement", "block"]))]
pub struct IdBlockArgs {
    /// Make a block for this launch measurement, 96 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    measurement: Option<Measurement>,
    /// Read this block
    #[arg(long, value_name = "FILE")]
    block: Option<PathBuf>,
    /// The block's signatures and keys, to verify it by
    #[arg(long, value_name = "FILE", requires = "block", conflicts_with_all = ["id_key", "author_key"])]
    auth: Option<PathBuf>,
    /// Its family, 32 hexadecimal digits of the author's choice
    #[arg(long, value_name = "HEX", value_parser = parse_id, conflicts_with = "block")]
    family_id: Option<[u8; 16]>,
    /// Its image, 32 hexadecimal digits of the author's choice
    #[arg(long, value_name = "HEX", value_parser = parse_id, conflicts_with = "block")]
    image_id: Option<[u8; 16]>,
    /// Its security version
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "block")]
    guest_svn: u32,
    /// The guest policy that the launch must ask for; 0x30000 allows SMT and nothing else
    #[arg(long, value_name = "BITS", default_value = "0x30000", value_parser = snp::parse_bits, conflicts_with = "block")]
    policy: u64,
    /// The ID key's public half
    #[arg(long, value_name = "PEM")]
    id_key: Option<PathBuf>,
    /// The author key's public half
    #[arg(long, value_name = "PEM")]
    author_key: Option<PathBuf>,
    /// Where to write the block, 96 bytes
    #[arg(long, short, value_name = "FILE", conflicts_with = "block")]
    output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Makes or reads a block.
pub fn measure(args: &IdBlockArgs) -> Result<Table, MeasureFailure> {
    let block = match (&args.block, args.measurement) {
        (Some(path), _) => read_block(path)?,
        (None, measurement) => made(args, measurement.unwrap_or(Measurement([0; 48]))),
    };
    if let Some(path) = &args.output {
        write_public(path, &block.encode())?;
    }
    let (id_key, author_key, verified) = match &args.auth {
        Some(path) => verified(path, &block)?,
        None => (digest(args.id_key.as_deref())?, digest(args.author_key.as_deref())?, false),
    };
    let table = Table::default()
        .row("measurement", block.measurement.to_string())
        .row("family_id", hex::encode(block.family_id))
        .row("image_id", hex::encode(block.image_id))
        .row("guest_svn", block.guest_svn)
        .noted("policy", format!("{:#x}", block.policy.0), policy_note(block.policy))
        .noted("id_block", STANDARD.encode(block.encode()), "QEMU's id-block=")
        .noted("id_block_digest", hex::encode(block.digest()), "SHA-384: what the ID key signs")
        .row("id_key_digest", id_key)
        .row("author_key_digest", author_key);
    Ok(match (args.auth.is_some(), verified) {
        (true, verified) => table
            .row("verified", verified)
            .note("Signed by its ID key, and that by the author key if there is one."),
        (false, _) => table,
    })
}

fn made(args: &IdBlockArgs, measurement: Measurement) -> IdBlock {
    IdBlock {
        measurement,
        family_id: args.family_id.unwrap_or_default(),
        image_id: args.image_id.unwrap_or_default(),
        guest_svn: args.guest_svn,
        policy: GuestPolicy(args.policy),
    }
}

fn read_block(path: &Path) -> Result<IdBlock, MeasureFailure> {
    IdBlock::parse(&read(path, IdBlock::LEN)?).map_err(|source| wrong(path, source))
}

/// The digests of an authentication's keys, once its signatures are checked.
type Verified = (Option<String>, Option<String>, bool);

fn verified(path: &Path, block: &IdBlock) -> Result<Verified, MeasureFailure> {
    let auth = IdAuth::parse(&read(path, IdAuth::LEN)?).map_err(|source| wrong(path, source))?;
    auth.verify(block).map_err(|source| wrong(path, source))?;
    let hex = |key: &SnpPublicKey| hex::encode(key.digest());
    Ok((Some(hex(auth.id_key())), auth.author_key().map(hex), true))
}

fn wrong(path: &Path, source: IdBlockError) -> MeasureFailure {
    MeasureFailure::IdBlock { path: path.to_owned(), source }
}

/// A file of `len` bytes, or of their base64.
fn read(path: &Path, len: usize) -> Result<Vec<u8>, MeasureFailure> {
    let bytes = file::read(path, MAX_FILE)?;
    if bytes.len() == len {
        return Ok(bytes);
    }
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    Ok(STANDARD.decode(text).unwrap_or(bytes))
}

fn digest(path: Option<&Path>) -> Result<Option<String>, MeasureFailure> {
    let Some(path) = path else {
        return Ok(None);
    };
    let key = SnpPublicKey::from_pem(&file::read(path, MAX_FILE)?);
    let key = key.map_err(|source| MeasureFailure::Key { path: path.to_owned(), source })?;
    Ok(Some(hex::encode(key.digest())))
}

/// What a guest policy lets the host do.
fn policy_note(policy: GuestPolicy) -> &'static str {
    if policy.debug_allowed() {
        "the host may read this guest"
    } else if policy.migrate_ma_allowed() {
        "a migration agent may read this guest"
    } else {
        ""
    }
}

fn parse_id(text: &str) -> Result<[u8; 16], String> {
    let mut id = [0; 16];
    hex::decode_to_slice(text, &mut id).map_err(|_| "not 32 hexadecimal digits".to_owned())?;
    Ok(id)
}

/// Most bytes of a file here; an ID authentication in base64 has 5464.
const MAX_FILE: u64 = 16 * 1024;
