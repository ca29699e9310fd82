//! A host kept in a directory: made once, loaded again, private files readable by nobody else.
//!
//! | file | contents |
//! |-|-|
//! | `ark.key.der`, `ask.key.der`, `asvk.key.der` | PKCS #8, mode 0600 |
//! | `chip.key` | the chip's 32 bytes, mode 0600 |
//! | `ark.der`, `ark.pem`, `ask.der`, `asvk.der` | certificates |
//! | `ek-root.der`, `ek-root.pem` | the certificate above endorsement keys of vTPMs; its key derives from the ARK's |
//! | `ark.sha256` | SHA-256 of `ark.der` in hexadecimal, and a line feed: what an operator trusts the root by |
//! | `host.json` | product and time of creation; written last, so that a directory without it holds no host |
//! | `lock` | locked for as long as a process serves from the directory |
//!
//! Each file is written under a temporary name, synced, and renamed. The three keys of authorities may be kept in a
//! directory without a host, for test suites ([`HostKeys::kept_in`]).

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use claims::UnixTime;
use claims::snp::Product;
use crypto::RsaPrivateKey;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{HostKeys, SimError, SimHost};

/// A directory that this process has to itself.
pub struct RootDir {
    path: PathBuf,
    _lock: File,
}

impl RootDir {
    /// Makes the directory if it is missing, closes it to other users, and locks it until this value is dropped.
    ///
    /// # Errors
    /// [`SimError::InUse`] if another process has it; [`SimError::Io`].
    pub fn open(path: &Path) -> Result<Self, SimError> {
        make_private_dir(path)?;
        Self::locked(path, FlockOperation::NonBlockingLockExclusive)
    }

    fn locked(path: &Path, operation: FlockOperation) -> Result<Self, SimError> {
        let lock_path = path.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(PRIVATE);
        let lock = options.open(&lock_path).map_err(SimError::io("open", &lock_path))?;
        flock(&lock, operation).map_err(|errno| match errno {
            rustix::io::Errno::WOULDBLOCK => SimError::InUse { path: path.to_owned() },
            other => SimError::io("lock", &lock_path)(other.into()),
        })?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The host that is kept here; where there is none, a new one of this product, valid from `now` on.
    ///
    /// # Errors
    /// [`SimError::OtherProduct`] if it is of another product; [`SimError::Stored`] if a file is not what was
    /// written; [`SimError::Io`] and [`SimError::Crypto`].
    pub fn host(&self, product: Product, now: UnixTime) -> Result<SimHost, SimError> {
        let index = self.path.join("host.json");
        if !index.try_exists().map_err(SimError::io("look for", &index))? {
            let host = SimHost::with_keys(Arc::new(HostKeys::generate_or_kept()?), product, now)?;
            self.save(&host)?;
            return Ok(host);
        }
        let host = self.load()?;
        if host.product() == product {
            Ok(host)
        } else {
            Err(SimError::OtherProduct { path: self.path.clone(), expected: product, got: host.product() })
        }
    }

    fn save(&self, host: &SimHost) -> Result<(), SimError> {
        let keys = host.keys();
        let index = Index { product: host.product().name().to_owned(), created: host.created().to_string() };
        let index = serde_json::to_vec_pretty(&index)
            .map_err(|error| SimError::io("write", &self.path.join("host.json"))(error.into()))?;
        for (name, key) in KEYS.into_iter().zip([&keys.ark, &keys.ask, &keys.asvk]) {
            self.write(name, key.pkcs8().expose(), PRIVATE)?;
        }
        self.write("chip.key", &*keys.chip, PRIVATE)?;
        self.write("ark.der", host.ark_der(), PUBLIC)?;
        self.write("ark.pem", pem(host.ark_der()).as_bytes(), PUBLIC)?;
        self.write("ask.der", host.ask_der(), PUBLIC)?;
        self.write("asvk.der", host.asvk_der(), PUBLIC)?;
        self.save_ek_root(host)?;
        self.write("ark.sha256", format!("{}\n", host.ark_sha256()).as_bytes(), PUBLIC)?;
        self.write("host.json", &index, PUBLIC)
    }

    fn save_ek_root(&self, host: &SimHost) -> Result<(), SimError> {
        self.write("ek-root.pem", pem(host.ek_root_der()).as_bytes(), PUBLIC)?;
        self.write("ek-root.der", host.ek_root_der(), PUBLIC)
    }

    fn load(&self) -> Result<SimHost, SimError> {
        let index: Index = serde_json::from_slice(&self.read("host.json")?)
            .map_err(|error| self.stored("host.json", &error))?;
        let product = index.product.parse().map_err(|error| self.stored("host.json", &error))?;
        let created = UnixTime::parse(&index.created)
            .ok_or_else(|| self.stored("host.json", &"`created` is no time, such as 2026-11-22T09:30:00Z"))?;
        let chip = self.read("chip.key")?;
        let length = || self.stored("chip.key", &format_args!("expected 32 bytes, got {}", chip.len()));
        let chip = Zeroizing::new(<[u8; 32]>::try_from(chip.as_slice()).map_err(|_| length())?);
        let [ark, ask, asvk] = KEYS.map(|name| self.key(name));
        let (ark, ask, asvk) = (ark?, ask?, asvk?);
        let keys = HostKeys { ark, ask, asvk, chip };
        let certificate = |name: &str, key: &RsaPrivateKey| {
            let der = self.read(name)?.to_vec();
            let spki = key.public().spki();
            let fits = der.windows(spki.len()).any(|window| window == spki);
            if fits { Ok(der) } else { Err(self.stored(name, &"it is of another key")) }
        };
        let ark = certificate("ark.der", &keys.ark)?;
        let ask = certificate("ask.der", &keys.ask)?;
        let asvk = certificate("asvk.der", &keys.asvk)?;
        let is_older = !self.path.join("ek-root.der").exists();
        let ek_root = if is_older { Vec::new() } else { self.read("ek-root.der")?.to_vec() };
        let mut host = SimHost::restore(keys, product, created, [ark, ask, asvk, ek_root]);
        if is_older {
            // Hosts had no such root once. Its key derives from another's, so that it can be made up for.
            host.sign_ek_root()?;
            self.save_ek_root(&host)?;
        }
        Ok(host)
    }

    fn key(&self, name: &str) -> Result<RsaPrivateKey, SimError> {
        RsaPrivateKey::from_pkcs8(&self.read(name)?).map_err(|error| self.stored(name, &error))
    }

    fn key_or_new(&self, name: &str) -> Result<RsaPrivateKey, SimError> {
        let path = self.path.join(name);
        if path.try_exists().map_err(SimError::io("look for", &path))? {
            return self.key(name);
        }
        let key = HostKeys::authority()?;
        self.write(name, key.pkcs8().expose(), PRIVATE)?;
        Ok(key)
    }

    fn stored(&self, name: &str, reason: &dyn core::fmt::Display) -> SimError {
        SimError::Stored { path: self.path.join(name), reason: reason.to_string() }
    }

    /// A file's bytes, at most [`MAX_FILE`].
    fn read(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, SimError> {
        let path = self.path.join(name);
        let mut file = File::open(&path).map_err(SimError::io("open", &path))?;
        // Room for all of it at once: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(vec![0; MAX_FILE]);
        let mut len: usize = 0;
        while let Some(room) = bytes.get_mut(len..).filter(|room| !room.is_empty()) {
            match file.read(room).map_err(SimError::io("read", &path))? {
                0 => {
                    bytes.truncate(len);
                    return Ok(bytes);
                }
                read => len = len.saturating_add(read),
            }
        }
        Err(self.stored(name, &format_args!("expected less than {MAX_FILE} bytes")))
    }

    fn write(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), SimError> {
        let path = self.path.join(name);
        let temporary = self.path.join(format!("{name}.new"));
        write_synced(&temporary, bytes, mode)
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| File::open(&self.path)?.sync_all())
            .map_err(SimError::io("write", &path))
    }
}

impl SimHost {
    /// The host that is kept in `dir`, or a new one (see [`RootDir::host`]). The directory is free again on return.
    ///
    /// # Errors
    /// As [`RootDir::open`] and [`RootDir::host`].
    pub fn open_or_create(dir: &Path, product: Product, now: UnixTime) -> Result<Self, SimError> {
        RootDir::open(dir)?.host(product, now)
    }
}

impl HostKeys {
    /// A chip of its own under authorities that are kept in `dir`, and made there if they are missing. Making them takes
    /// seconds, which a test suite of many processes need not spend in each. Waits for another process that does. Their
    /// files are readable by their owner only; a directory that is there already stays as open as it is.
    ///
    /// # Errors
    /// [`SimError::Stored`] if a file is not what was written; [`SimError::Io`] and [`SimError::Crypto`].
    pub fn kept_in(dir: &Path) -> Result<Self, SimError> {
        make_dir(dir).map_err(SimError::io("make the directory", dir))?;
        let dir = RootDir::locked(dir, FlockOperation::LockExclusive)?;
        let [ark, ask, asvk] = KEYS.map(|name| dir.key_or_new(name));
        Self::with_new_chip(ark?, ask?, asvk?)
    }

    /// Keys kept in the directory that the environment variable [`KEPT_KEYS`] names; fresh ones if there is none.
    ///
    /// # Errors
    /// As [`HostKeys::kept_in`] and [`HostKeys::generate`].
    pub fn generate_or_kept() -> Result<Self, SimError> {
        match std::env::var_os(KEPT_KEYS).filter(|dir| !dir.is_empty()) {
            Some(dir) => Self::kept_in(Path::new(&dir)),
            None => Self::generate(),
        }
    }
}

/// [`HostKeys::kept_in`] a directory that cargo keeps for the tests of the crate where this stands; other authorities for
/// each name.
#[macro_export]
macro_rules! kept_keys {
    ($($name:literal)?) => {
        $crate::HostKeys::kept_in(concat!(env!("CARGO_TARGET_TMPDIR"), "/simtee-keys" $(, "-", $name)?).as_ref())
    };
}

/// The environment variable that names a directory with keys for new hosts.
pub const KEPT_KEYS: &str = "KEYFAST_SIMTEE_KEYS";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    product: String,
    created: String,
}

/// Makes a directory that only its owner may enter, or closes the one that is there.
pub(crate) fn make_private_dir(path: &Path) -> Result<(), SimError> {
    make_dir(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(PRIVATE_DIR)))
        .map_err(SimError::io("make the directory", path))
}

fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(path)
}

/// Writes a new file; one that a crash left behind is replaced.
fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A certificate in PEM (RFC 7468, 5).
pub(crate) fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let body: String = lines.map(|line| format!("{line}\n")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
}

const KEYS: [&str; 3] = ["ark.key.der", "ask.key.der", "asvk.key.der"];
const PRIVATE_DIR: u32 = 0o700;
const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;
const MAX_FILE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_790_000_000);

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_same_directory_gives_the_same_root_and_private_files_stay_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host");
        let made = SimHost::open_or_create(&path, Product::Milan, NOW).unwrap();
        let loaded = SimHost::open_or_create(&path, Product::Milan, UnixTime(0)).unwrap();
        assert_eq!(made.ark_sha256(), loaded.ark_sha256());
        assert_eq!((made.ask_der(), made.chip_id()), (loaded.ask_der(), loaded.chip_id()));
        assert_eq!((made.asvk_der(), made.ek_root_der()), (loaded.asvk_der(), loaded.ek_root_der()));
        assert_eq!(loaded.created(), NOW);
        let tcb = crate::GuestSpec::default_tcb(Product::Milan);
        assert_eq!(made.vcek(tcb).unwrap().public_sec1(), loaded.vcek(tcb).unwrap().public_sec1());
        assert_eq!(made.vlek(tcb).unwrap().public_sec1(), loaded.vlek(tcb).unwrap().public_sec1());
        assert_eq!(fs::read_to_string(path.join("ark.sha256")).unwrap(), format!("{}\n", made.ark_sha256()));
        assert_eq!(mode(&path), 0o700);
        for private in ["ark.key.der", "ask.key.der", "asvk.key.der", "chip.key"] {
            assert_eq!(mode(&path.join(private)), 0o600, "{private}");
        }
        fs::remove_file(path.join("ek-root.der")).unwrap();
        let older = SimHost::open_or_create(&path, Product::Milan, NOW).unwrap();
        assert_eq!(fs::read(path.join("ek-root.der")).unwrap(), older.ek_root_der());
        // Its signature is made anew, and may be shorter or longer: the outermost length tells.
        let signed = 4..300;
        assert_eq!(older.ek_root_der()[signed.clone()], made.ek_root_der()[signed], "all but the signature");
        let other = SimHost::open_or_create(&path, Product::Turin, NOW).unwrap_err();
        assert!(matches!(other, SimError::OtherProduct { got: Product::Milan, .. }));
        files_that_do_not_fit_are_named(&path);
    }

    /// Shares the keys of its caller, which are slow to make.
    fn files_that_do_not_fit_are_named(path: &Path) {
        let original = |name: &str| fs::read(path.join(name)).unwrap();
        let ask = original("ask.der");
        let cases: [(&str, &[u8]); 8] = [
            ("ark.key.der", b""),
            ("ask.key.der", b"\x30\x00"),
            ("chip.key", &[0; 33]),
            ("chip.key", &[0; MAX_FILE]),
            ("ark.der", &ask),
            ("asvk.der", &ask),
            ("host.json", b"{\"product\":\"Milan\",\"created\":\"yesterday\"}"),
            ("host.json", b"{\"product\":\"Milan\",\"created\":\"2026-01-01\",\"extra\":1}"),
        ];
        for (name, contents) in cases {
            let kept = original(name);
            fs::write(path.join(name), contents).unwrap();
            let error = SimHost::open_or_create(path, Product::Milan, NOW).unwrap_err();
            assert!(matches!(&error, SimError::Stored { path, .. } if path.ends_with(name)), "{error}");
            fs::write(path.join(name), kept).unwrap();
        }
    }

    #[test]
    fn hosts_with_kept_keys_share_their_authorities_and_not_their_chip() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let [first, second] = [(); 2].map(|()| HostKeys::kept_in(&path).unwrap());
        for (one, other) in
            [(&first.ark, &second.ark), (&first.ask, &second.ask), (&first.asvk, &second.asvk)]
        {
            assert_eq!(one.pkcs8().expose(), other.pkcs8().expose());
        }
        assert_ne!(first.ark.pkcs8().expose(), first.ask.pkcs8().expose());
        assert_ne!(first.chip, second.chip);
        assert_eq!(mode(&path), 0o700);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        HostKeys::kept_in(&path).unwrap();
        assert_eq!(mode(&path), 0o755, "a directory of somebody's is left as it is");
        assert!(KEYS.iter().all(|name| mode(&path.join(name)) == 0o600));
        fs::write(path.join("ask.key.der"), b"").unwrap();
        let error = HostKeys::kept_in(&path).unwrap_err();
        assert!(matches!(error, SimError::Stored { path, .. } if path.ends_with("ask.key.der")));
    }

    #[test]
    fn a_directory_has_one_user_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = RootDir::open(dir.path()).unwrap();
        assert!(matches!(RootDir::open(dir.path()), Err(SimError::InUse { .. })));
        drop(first);
        assert!(RootDir::open(dir.path()).is_ok());
    }
}
