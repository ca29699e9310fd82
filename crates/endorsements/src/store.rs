//! A directory of endorsements under the names that AMD's service has for them:
//!
//! ```text
//! vcek/Genoa/HWID/bl10-tee0-snp27-ucode88.der   a VCEK's certificate; on Turin fmc1-bl… and a HWID of 8 bytes
//! vcek/Genoa/cert_chain.pem                     the intermediate, and the root if it came along
//! vcek/Genoa/crl.der                            the root's revocation list
//! vlek/Genoa/CSP/bl10-tee0-snp27-ucode88.der    a VLEK's certificate; CSP is the cloud provider's CSP_ID
//! vlek/Genoa/cert_chain.pem, vlek/Genoa/crl.der as above, of the authority above VLEKs
//! ```
//!
//! It is a cache and a parcel at once: what a broker keeps, and what `keyfast endorsements` carries to a machine
//! without a network. Files are written whole or not at all; what is in them is judged by whoever reads them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use claims::snp::{Product, Tcb};

use crate::directory::MAX_FILE;
use crate::vlek::tcb_name;
use crate::{Authority, DirectoryError, VcekName, VlekName, read_certificates, to_pem};

/// A directory of endorsements. It need not exist before something is written.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    limit: usize,
    writes: AtomicU64,
}

impl Store {
    /// Most VCEKs that are kept unless [`Self::with_limit`] says otherwise: some 90 MB.
    pub const DEFAULT_LIMIT: usize = 65_536;

    /// The store in this directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), limit: Self::DEFAULT_LIMIT, writes: AtomicU64::new(0) }
    }

    /// Keeps at most this many VCEKs; beyond, those that were written first give way.
    #[must_use]
    pub fn with_limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The certificate of this VCEK in DER; `None` if it is not here.
    ///
    /// # Errors
    /// [`DirectoryError`]: unreadable, too long, or not one certificate.
    pub fn vcek(&self, name: &VcekName) -> Result<Option<Vec<u8>>, DirectoryError> {
        Ok(self.certificates(&name.file())?.into_iter().next())
    }

    /// The intermediate's certificate in DER, and whatever else lies beside it; nothing if there is none.
    ///
    /// # Errors
    /// As [`Self::vcek`].
    pub fn chain(&self, authority: Authority) -> Result<Vec<Vec<u8>>, DirectoryError> {
        self.certificates(&authority.chain_file())
    }

    /// Certificates in DER of VLEKs at this TCB, each of another cloud provider, at most [`MAX_PROVIDERS`]; what cannot
    /// be read is passed over.
    pub fn vleks_at(&self, product: Product, tcb: Tcb) -> Vec<Vec<u8>> {
        let folder = Authority::asvk(product).folder();
        let providers = entries(&self.root.join(&folder)).unwrap_or_default();
        let names = providers.iter().filter_map(|path| path.file_name()?.to_str()).take(MAX_PROVIDERS);
        let files = names.map(|csp| format!("{folder}/{csp}/{}.der", tcb_name(tcb)));
        files.filter_map(|file| self.certificates(&file).ok()?.into_iter().next()).collect()
    }

    /// The revocation list beside this authority's chain, as it lies there; `None` if there is none.
    ///
    /// # Errors
    /// [`DirectoryError::Read`] or [`DirectoryError::TooLong`].
    pub fn crl(&self, authority: Authority) -> Result<Option<Vec<u8>>, DirectoryError> {
        self.read(&authority.crl_file())
    }

    /// Writes the certificate of a VCEK; gives the file's path.
    ///
    /// # Errors
    /// What the system says.
    pub fn put_vcek(&self, name: &VcekName, der: &[u8]) -> io::Result<PathBuf> {
        let path = self.root.join(name.file());
        if !path.exists() {
            self.make_room()?;
        }
        self.write(&name.file(), der)
    }

    /// Writes the certificate of a VLEK; gives the file's path.
    ///
    /// # Errors
    /// What the system says.
    pub fn put_vlek(&self, name: &VlekName, der: &[u8]) -> io::Result<PathBuf> {
        self.write(&name.file(), der)
    }

    /// Writes the chain of an authority; gives the file's path.
    ///
    /// # Errors
    /// What the system says.
    pub fn put_chain(&self, authority: Authority, certificates: &[Vec<u8>]) -> io::Result<PathBuf> {
        self.write(&authority.chain_file(), to_pem(certificates).as_bytes())
    }

    /// Writes the revocation list beside an authority's chain; gives the file's path.
    ///
    /// # Errors
    /// What the system says.
    pub fn put_crl(&self, authority: Authority, der: &[u8]) -> io::Result<PathBuf> {
        self.write(&authority.crl_file(), der)
    }

    /// Where the chain of an authority lies.
    pub fn chain_path(&self, authority: Authority) -> PathBuf {
        self.root.join(authority.chain_file())
    }

    /// Where the revocation list beside it lies.
    pub fn crl_path(&self, authority: Authority) -> PathBuf {
        self.root.join(authority.crl_file())
    }

    /// Deletes the certificate of a VCEK, if it is here.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove_vcek(&self, name: &VcekName) -> io::Result<()> {
        match fs::remove_file(self.root.join(name.file())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Where the certificates of an authority's keys are, sorted by path; none if there is no directory.
    ///
    /// # Errors
    /// What the system says of the first directory that cannot be listed.
    pub fn keys_of(&self, authority: Authority) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for holder in entries(&self.root.join(authority.folder()))? {
            let files = if holder.is_dir() { entries(&holder)? } else { Vec::new() };
            found.extend(files.into_iter().filter(|file| file.extension().is_some_and(|name| name == "der")));
        }
        Ok(found)
    }

    /// Every certificate of a VCEK that is here.
    fn vceks(&self) -> io::Result<Vec<PathBuf>> {
        let products = [Product::Milan, Product::Genoa, Product::Turin].into_iter();
        let lists = products.map(|product| self.keys_of(Authority::ask(product)));
        Ok(lists.collect::<io::Result<Vec<_>>>()?.concat())
    }

    fn certificates(&self, file: &str) -> Result<Vec<Vec<u8>>, DirectoryError> {
        let Some(bytes) = self.read(file)? else { return Ok(Vec::new()) };
        let contents = |source| DirectoryError::Contents { path: self.root.join(file), source };
        read_certificates(&bytes).map_err(contents)
    }

    fn read(&self, file: &str) -> Result<Option<Vec<u8>>, DirectoryError> {
        let path = self.root.join(file);
        let read = |source| DirectoryError::Read { path: path.clone(), source };
        let opened = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(read)?,
        };
        let mut bytes = Vec::new();
        let limit = (MAX_FILE as u64).saturating_add(1);
        opened.take(limit).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() > MAX_FILE {
            return Err(DirectoryError::TooLong { path });
        }
        Ok(Some(bytes))
    }

    /// Writes beside the file and renames, so that a reader, and a crash, meets the old or the new one whole.
    fn write(&self, file: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = self.root.join(file);
        fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
        let count = self.writes.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{count}.new", std::process::id()));
        let written = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary).and_then(
            |mut file| {
                file.write_all(bytes)?;
                file.sync_all()?;
                fs::rename(&temporary, &path)
            },
        );
        if let Err(error) = written {
            let _already_gone = fs::remove_file(&temporary);
            return Err(error);
        }
        Ok(path)
    }

    /// Deletes the eighth that was written first once the store is full.
    fn make_room(&self) -> io::Result<()> {
        let mut files = self.vceks()?;
        if files.len() < self.limit {
            return Ok(());
        }
        let written =
            |path: &Path| fs::metadata(path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        files.sort_by_cached_key(|path| written(path));
        let surplus = files.len().saturating_sub(self.limit).saturating_add(self.limit.div_ceil(8));
        files.into_iter().take(surplus).try_for_each(fs::remove_file)
    }
}

/// What a directory holds, sorted; nothing if it does not exist.
fn entries(path: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut found = listed.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

/// Most cloud providers whose VLEKs are tried for a report, which does not say whose signed it.
pub const MAX_PROVIDERS: usize = 16;

#[cfg(test)]
mod tests {
    use claims::ChipId;

    use super::*;

    const ASK: Authority = Authority { kind: claims::snp::SigningKey::Vcek, product: Product::Milan };

    fn name(chip: u8) -> VcekName {
        VcekName::new(Product::Milan, &ChipId([chip; 64]), [4, 0, 0, 0, 0, 0, 24, 219]).unwrap()
    }

    fn der(n: u8) -> Vec<u8> {
        vec![0x30, 3, 2, 1, n]
    }

    #[test]
    fn what_was_put_is_found_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("not yet there"));
        assert_eq!(store.vcek(&name(1)).unwrap(), None);
        assert!(store.chain(ASK).unwrap().is_empty() && store.vceks().unwrap().is_empty());
        let path = store.put_vcek(&name(1), &der(1)).unwrap();
        store.put_chain(ASK, &[der(2), der(3)]).unwrap();
        store.put_crl(ASK, b"crl").unwrap();
        assert_eq!(store.vcek(&name(1)).unwrap(), Some(der(1)));
        assert_eq!(store.vcek(&name(2)).unwrap(), None);
        assert_eq!(store.chain(ASK).unwrap(), [der(2), der(3)]);
        assert!(store.chain(Authority::asvk(Product::Milan)).unwrap().is_empty());
        assert_eq!(store.crl(ASK).unwrap().as_deref(), Some(&b"crl"[..]));
        assert_eq!(store.vceks().unwrap(), [path]);
        store.put_vcek(&name(1), &der(9)).unwrap();
        assert_eq!(store.vcek(&name(1)).unwrap(), Some(der(9)));
        store.remove_vcek(&name(1)).unwrap();
        store.remove_vcek(&name(1)).unwrap();
        assert_eq!(store.vcek(&name(1)).unwrap(), None);
    }

    #[test]
    fn vleks_are_found_by_tcb_whosever_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let tcb = Tcb { fmc: None, bootloader: 4, tee: 0, snp: 24, microcode: 219 };
        let older = Tcb { snp: 23, ..tcb };
        for (csp, tcb, n) in [("CN=a", tcb, 1), ("CN=b", tcb, 2), ("CN=b", older, 3)] {
            store.put_vlek(&VlekName::new(Product::Milan, csp, tcb).unwrap(), &der(n)).unwrap();
        }
        store.put_chain(Authority::asvk(Product::Milan), &[der(9)]).unwrap();
        assert_eq!(store.vleks_at(Product::Milan, tcb), [der(1), der(2)]);
        assert_eq!(store.vleks_at(Product::Milan, older), [der(3)]);
        assert!(store.vleks_at(Product::Genoa, tcb).is_empty());
        assert_eq!(store.keys_of(Authority::asvk(Product::Milan)).unwrap().len(), 3);
        for csp in 0..40 {
            let name = VlekName::new(Product::Milan, &format!("CN={csp}"), older).unwrap();
            store.put_vlek(&name, &der(4)).unwrap();
        }
        assert!(store.vleks_at(Product::Milan, older).len() <= MAX_PROVIDERS);
    }

    #[test]
    fn a_file_that_is_no_certificate_is_an_error_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        let path = store.put_vcek(&name(1), b"<html>").unwrap();
        let error = store.vcek(&name(1)).unwrap_err();
        assert!(matches!(error, DirectoryError::Contents { path: p, .. } if p == path));
        fs::write(&path, vec![0x30; MAX_FILE + 1]).unwrap();
        assert!(matches!(store.vcek(&name(1)).unwrap_err(), DirectoryError::TooLong { .. }));
    }

    #[test]
    fn a_full_store_gives_up_what_was_written_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path()).with_limit(4);
        for chip in 1..=6 {
            let path = store.put_vcek(&name(chip), &der(chip)).unwrap();
            let written = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(chip.into());
            File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
        }
        let kept = (1..=6).filter(|chip| store.vcek(&name(*chip)).unwrap().is_some());
        assert_eq!(kept.collect::<Vec<_>>(), [3, 4, 5, 6]);
        store.put_vcek(&name(6), &der(7)).unwrap();
        assert_eq!(store.vceks().unwrap().len(), 4, "writing again what is there takes no room");
    }

    #[test]
    fn nothing_unfinished_stays_behind() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        fs::write(dir.path().join("vcek"), b"a file in the way").unwrap();
        assert!(store.put_vcek(&name(1), &der(1)).is_err());
        fs::remove_file(dir.path().join("vcek")).unwrap();
        let path = store.put_vcek(&name(1), &der(1)).unwrap();
        assert_eq!(entries(path.parent().unwrap()).unwrap(), [path]);
    }
}
