//! `keyfast endorsements import`: files of any name, verified all before any is written, under the names that brokers
//! look for.

use std::path::{Path, PathBuf};

use claims::UnixTime;
use clap::Args;
use endorsements::{Store, VcekName, read_file};
use verify::{TrustAnchors, is_leaf};

use super::{Failure, Roots, clock, file_error, name_of, vouched};

/// Arguments of `keyfast endorsements import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Certificates, DER or PEM, in any order
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The directory to put them into
    #[arg(long, short)]
    dir: PathBuf,
    #[command(flatten)]
    roots: Roots,
}

/// A chip's certificate that verified, and its issuer's.
struct Verified {
    name: VcekName,
    vcek: Vec<u8>,
    issuer: Vec<u8>,
}

pub(super) fn run(args: &Import) -> Result<(), Failure> {
    let (anchors, now, store) = (args.roots.anchors()?, clock()?, Store::new(&args.dir));
    let Sorted { leaves, issuers } = read(&args.files)?;
    if leaves.is_empty() {
        return Err(Failure::NoLeaf);
    }
    // All of them first, so that a bad one leaves the directory as it was.
    let verify = |(path, vcek): &(PathBuf, Vec<u8>)| verified(path, vcek, &issuers, &store, &anchors, now);
    let all = leaves.iter().map(verify).collect::<Result<Vec<_>, _>>()?;
    for Verified { name, vcek, issuer } in all {
        let known = store.chain(name.product()).unwrap_or_default();
        if !known.contains(&issuer) {
            // The issuer that was there before stays behind it: AMD has replaced one, and chips have either's.
            let chain: Vec<Vec<u8>> = std::iter::once(issuer).chain(known).take(MOST_ISSUERS).collect();
            store.put_chain(name.product(), &chain).map_err(file_error("write in", &args.dir))?;
        }
        let path = store.put_vcek(&name, &vcek).map_err(file_error("write in", &args.dir))?;
        println!("{name}\n  {}", path.display());
    }
    Ok(())
}

/// Certificates by what they may be, in DER.
#[derive(Default)]
struct Sorted {
    /// Those of chips, each with its file.
    leaves: Vec<(PathBuf, Vec<u8>)>,
    /// All others.
    issuers: Vec<Vec<u8>>,
}

fn read(files: &[PathBuf]) -> Result<Sorted, Failure> {
    let mut sorted = Sorted::default();
    for path in files {
        for der in read_file(path)? {
            let unverified = |reason: String| Failure::Unverified { path: path.clone(), reason };
            if is_leaf(&der).map_err(|e| unverified(e.to_string()))? {
                sorted.leaves.push((path.clone(), der));
            } else {
                sorted.issuers.push(der);
            }
        }
    }
    Ok(sorted)
}

/// A chip's certificate with the one issuer, given or known, that makes a chain of it.
fn verified(
    path: &Path,
    vcek: &Vec<u8>,
    given: &[Vec<u8>],
    store: &Store,
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<Verified, Failure> {
    let unverified = |reason: String| Failure::Unverified { path: path.to_owned(), reason };
    let known = products().flat_map(|product| store.chain(product).unwrap_or_default());
    let mut refused = None;
    for issuer in given.iter().cloned().chain(known) {
        match vouched([vcek, &issuer], anchors, now) {
            Ok(key) => {
                let name = name_of(&key).ok_or_else(|| unverified("its chip id is all zero".to_owned()))?;
                return Ok(Verified { name, vcek: vcek.clone(), issuer });
            }
            // What the wrong issuer says is of no interest if another says more.
            Err(error) => refused = refused.filter(|_| is_foreign(&error)).or(Some(error)),
        }
    }
    let reason = refused.map_or("no certificate of its issuer".to_owned(), |error| error.to_string());
    Err(unverified(reason))
}

fn is_foreign(error: &super::Unverified) -> bool {
    matches!(error, super::Unverified::Chain(verify::ChainError::NoIntermediate { .. }))
}

fn products() -> impl Iterator<Item = claims::snp::Product> {
    use claims::snp::Product::{Genoa, Milan, Turin};
    [Milan, Genoa, Turin].into_iter()
}

/// Issuers of a product that are kept beside each other.
const MOST_ISSUERS: usize = 4;
