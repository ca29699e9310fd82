//! `keyfast endorsements import`: files of any name, verified all before any is written, under the names that brokers
//! look for. What a revocation list names, one of the files or of the directory, is never written.

use core::fmt;
use std::path::{Path, PathBuf};

use claims::snp::Tcb;
use clap::Args;
use endorsements::{Authority, Store, VcekName, VlekName, read_file_with_lists};
use verify::{CrlError, EndorsedKey, ListError, SignedList, TrustAnchors, is_leaf, signed_list};

use super::trust::{Trust, Unverified};
use super::{Failure, Roots, file_error};
use crate::output::say;

/// Arguments of `keyfast endorsements import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Certificates and revocation lists, DER or PEM, in any order
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The directory to put them into
    #[arg(long, short)]
    dir: PathBuf,
    #[command(flatten)]
    roots: Roots,
}

/// A key's certificate that verified, and its issuer's.
struct Verified {
    name: Name,
    leaf: Vec<u8>,
    issuer: Vec<u8>,
}

/// What a key is called in a directory.
enum Name {
    Vcek(VcekName),
    Vlek(VlekName),
}

impl Name {
    fn of(key: &EndorsedKey) -> Option<Self> {
        let tcb = Tcb::from_report_bytes(key.tcb, key.product);
        match &key.csp_id {
            Some(csp_id) => VlekName::new(key.product, csp_id, tcb).map(Self::Vlek),
            None => VcekName::of_hwid(key.product, &key.hwid, tcb).map(Self::Vcek),
        }
    }

    fn authority(&self) -> Authority {
        match self {
            Self::Vcek(name) => name.authority(),
            Self::Vlek(name) => Authority::asvk(name.product()),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vcek(name) => name.fmt(f),
            Self::Vlek(name) => name.fmt(f),
        }
    }
}

pub(super) fn run(args: &Import) -> Result<(), Failure> {
    let (trust, store) = (Trust::now(&args.roots)?, Store::new(&args.dir));
    let Sorted { leaves, issuers, lists } = read(&args.files, &trust.anchors)?;
    lists.iter().try_for_each(|list| list.check_newest(&store, &trust.anchors))?;
    // Every list before any certificate, in whatever order the files were named.
    let mut all = lists.iter().map(|list| list.der.clone()).collect::<Vec<_>>();
    all.extend(trust.lists_of(&store).collect::<Result<Vec<_>, _>>()?);
    let trust = trust.with_lists(all)?;
    issuers.iter().try_for_each(|(path, issuer)| check_unrevoked(path, issuer, &trust))?;
    if leaves.is_empty() {
        let found = import_issuers(&issuers, &store, &trust)?;
        if !found && lists.is_empty() {
            return Err(Failure::NothingToImport);
        }
        return lists.iter().try_for_each(|list| list.put(&store));
    }
    // All of them first, so that a bad one leaves the directory as it was.
    let verify = |(path, leaf): &(PathBuf, Vec<u8>)| verified(path, leaf, &issuers, &store, &trust);
    let all = leaves.iter().map(verify).collect::<Result<Vec<_>, _>>()?;
    lists.iter().try_for_each(|list| list.put(&store))?;
    for Verified { name, leaf, issuer } in all {
        add_issuer(&store, name.authority(), issuer)?;
        let path = match &name {
            Name::Vcek(name) => store.put_vcek(name, &leaf),
            Name::Vlek(name) => store.put_vlek(name, &leaf),
        };
        say!("{name}\n  {}", path.map_err(file_error("write in", &args.dir))?.display());
    }
    Ok(())
}

/// A revocation list that one of the roots signed.
struct List {
    path: PathBuf,
    der: Vec<u8>,
    signed: SignedList,
}

impl List {
    /// Both authorities of a product have a list under its root, each beside its own chain.
    fn authorities(&self) -> impl Iterator<Item = Authority> {
        Authority::all().filter(|authority| authority.product == self.signed.product)
    }

    /// An older list in the place of a newer one would make what was revoked since good again.
    fn check_newest(&self, store: &Store, anchors: &TrustAnchors) -> Result<(), Failure> {
        for authority in self.authorities() {
            let kept = store.crl(authority).ok().flatten();
            let kept = kept.and_then(|der| signed_list(&der, anchors).ok());
            // That of another root of the same product (a simulated one) is as if it were not there.
            let kept = kept.filter(|kept| kept.root == self.signed.root).map(|kept| kept.this_update);
            if let Some(kept) = kept.filter(|kept| *kept > self.signed.this_update) {
                let (path, got) = (self.path.clone(), self.signed.this_update);
                return Err(Failure::OlderList { path, authority, kept, got });
            }
        }
        Ok(())
    }

    fn put(&self, store: &Store) -> Result<(), Failure> {
        for authority in self.authorities() {
            let path = store.put_crl(authority, &self.der).map_err(file_error("write in", store.root()))?;
            say!("list     {}", path.display());
        }
        say!("         issued {}, next one due {}", self.signed.this_update, self.signed.next_update);
        Ok(())
    }
}

/// An issuer that a list names is refused with its file, even if no key among the files needs it.
fn check_unrevoked(path: &Path, issuer: &Vec<u8>, trust: &Trust) -> Result<(), Failure> {
    let refused = |authority| trust.issuer([issuer], authority).err().filter(|e| e.revoked().is_some());
    let Some(error) = Authority::all().find_map(refused) else { return Ok(()) };
    let reason = format!("{error}; leave it out, and use the one that took its place");
    Err(Failure::Unverified { path: path.to_owned(), reason })
}

/// Issuers without a key below them: the one above a VLEK that comes with evidence, for one. Whether there was any.
fn import_issuers(issuers: &[(PathBuf, Vec<u8>)], store: &Store, trust: &Trust) -> Result<bool, Failure> {
    let mut found = false;
    for (_, issuer) in issuers {
        let verifies = |authority: &Authority| trust.issuer([issuer], *authority).is_ok();
        if let Some(authority) = Authority::all().find(verifies) {
            add_issuer(store, authority, issuer.clone())?;
            say!("{authority}");
            found = true;
        }
    }
    Ok(found)
}

/// The issuer that was there before stays behind it: AMD has replaced one, and chips have either's.
fn add_issuer(store: &Store, authority: Authority, issuer: Vec<u8>) -> Result<(), Failure> {
    let known = store.chain(authority).unwrap_or_default();
    if known.contains(&issuer) {
        return Ok(());
    }
    let chain: Vec<Vec<u8>> = std::iter::once(issuer).chain(known).take(MOST_ISSUERS).collect();
    store.put_chain(authority, &chain).map(drop).map_err(file_error("write in", store.root()))
}

/// Certificates and lists by what they may be, in DER.
#[derive(Default)]
struct Sorted {
    /// Certificates of chips and providers, each with its file.
    leaves: Vec<(PathBuf, Vec<u8>)>,
    /// All other certificates, each with its file.
    issuers: Vec<(PathBuf, Vec<u8>)>,
    lists: Vec<List>,
}

fn read(files: &[PathBuf], anchors: &TrustAnchors) -> Result<Sorted, Failure> {
    let mut sorted = Sorted::default();
    for path in files {
        for der in read_file_with_lists(path)? {
            let unverified = |reason: String| Failure::Unverified { path: path.clone(), reason };
            match is_leaf(&der) {
                Ok(true) => sorted.leaves.push((path.clone(), der)),
                Ok(false) => sorted.issuers.push((path.clone(), der)),
                Err(error) => match signed_list(&der, anchors) {
                    Ok(signed) => sorted.lists.push(List { path: path.clone(), der, signed }),
                    // Neither one nor the other: most likely it should be a certificate.
                    Err(ListError::Crl(CrlError::Malformed { .. })) => {
                        return Err(unverified(error.to_string()));
                    }
                    Err(refused) => return Err(unverified(refused.to_string())),
                },
            }
        }
    }
    // Of several the newest is written last.
    sorted.lists.sort_by_key(|list| list.signed.this_update);
    Ok(sorted)
}

/// A key's certificate with the one issuer, given or known, that makes a chain of it.
fn verified(
    path: &Path,
    leaf: &Vec<u8>,
    given: &[(PathBuf, Vec<u8>)],
    store: &Store,
    trust: &Trust,
) -> Result<Verified, Failure> {
    let unverified = |reason: String| Failure::Unverified { path: path.to_owned(), reason };
    let given = given.iter().map(|(_, issuer)| issuer.clone());
    let known = Authority::all().flat_map(|authority| store.chain(authority).unwrap_or_default());
    let mut refused = None::<Unverified>;
    for issuer in given.chain(known) {
        match trust.key([leaf, &issuer]) {
            Ok(key) => {
                let nameless = "its chip id is all zero, or its csp id makes no file's name";
                let name = Name::of(&key).ok_or_else(|| unverified(nameless.to_owned()))?;
                return Ok(Verified { name, leaf: leaf.clone(), issuer });
            }
            // What the wrong issuer says is of no interest if another says more.
            Err(error) if refused.as_ref().is_none_or(|said| rank(said) < rank(&error)) => {
                refused = Some(error)
            }
            Err(_) => {}
        }
    }
    let reason = refused.map_or("no certificate of its issuer".to_owned(), |error| error.to_string());
    Err(unverified(reason))
}

/// How much a refusal says of the key's own chain: nothing if the issuer is one of another name; most if it was revoked,
/// since all else of the chain verified then.
fn rank(refused: &Unverified) -> u8 {
    match refused {
        refused if refused.is_without_issuer() => 0,
        refused if refused.revoked().is_none() => 1,
        _ => 2,
    }
}

/// Issuers of one name that are kept beside each other.
const MOST_ISSUERS: usize = 4;
