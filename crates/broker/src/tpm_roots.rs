//! The roots of endorsement certificates, with the revocation lists below each. The lists are taken up anew while the broker
//! runs: whatever is wrong with a new one leaves those before in force, and is told. What has become too old is refused
//! where the operator demands lists.

use std::sync::{Arc, PoisonError, RwLock};

use verify::CrlPolicy;
use verify::tpm::EkLists;
use verify::tpm::ek::EkRoots;

use crate::config::{TpmRoot, Trust};
use crate::start::StartError;

/// What counts now.
pub struct TpmRoots {
    in_force: RwLock<Arc<Read>>,
}

/// What was read, of each root of the configuration in its order.
struct Read {
    roots: EkRoots,
    lists: Vec<Vec<Vec<u8>>>,
}

impl TpmRoots {
    /// Reads certificates and lists.
    ///
    /// # Errors
    /// [`StartError::Anchor`] for a file that cannot be read, or holds something else.
    pub fn load(trust: &Trust) -> Result<Self, StartError> {
        let lists = trust.tpm.iter().map(lists_of).collect::<Result<Vec<_>, _>>()?;
        let read = Read { roots: roots(trust, &lists)?, lists };
        Ok(Self { in_force: RwLock::new(Arc::new(read)) })
    }

    /// Has `check` use the roots and lists that count now.
    pub fn with<T>(&self, check: impl FnOnce(&EkRoots) -> T) -> T {
        let read = Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner));
        check(&read.roots)
    }

    /// Reads the lists again; whether there were others, which are in force now.
    ///
    /// # Errors
    /// As [`Self::load`]; what was in force is then in force still.
    pub fn reread(&self, trust: &Trust) -> Result<bool, StartError> {
        let lists = trust.tpm.iter().map(lists_of).collect::<Result<Vec<_>, _>>()?;
        if self.in_force.read().unwrap_or_else(PoisonError::into_inner).lists == lists {
            return Ok(false);
        }
        let read = Read { roots: roots(trust, &lists)?, lists };
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(true)
    }
}

/// The lists of a root's files.
fn lists_of(root: &TpmRoot) -> Result<Vec<Vec<u8>>, StartError> {
    let mut all = Vec::new();
    for path in &root.crls {
        let wrong = |reason: String| StartError::Anchor { file: path.display().to_string(), reason };
        all.extend(endorsements::read_file_with_lists(path).map_err(|error| wrong(error.to_string()))?);
    }
    Ok(all)
}

fn roots(trust: &Trust, lists: &[Vec<Vec<u8>>]) -> Result<EkRoots, StartError> {
    let mut roots = EkRoots::default();
    for (root, lists) in trust.tpm.iter().zip(lists) {
        let file = root.certificate.display().to_string();
        let anchor = |reason: String| StartError::Anchor { file: file.clone(), reason };
        let policy = root.crl_max_age_days.map(|days| u64::from(days).saturating_mul(86_400));
        let policy = policy.map_or(CrlPolicy::Optional, |max_age_s| CrlPolicy::Required { max_age_s });
        let lists = Arc::new(EkLists::parse(lists, policy).map_err(|error| anchor(error.to_string()))?);
        let certificates = endorsements::read_file(&root.certificate).map_err(|e| anchor(e.to_string()))?;
        for der in &certificates {
            let added = roots.with_listed_root(der, root.simulated, Arc::clone(&lists));
            roots = added.map_err(|error| anchor(error.to_string()))?;
        }
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use claims::UnixTime;
    use claims::snp::Product;
    use simtee::vtpm::VTpm;
    use simtee::{CrlSpec, Revoked, SignatureAlgorithm, SimHost};
    use verify::RevocationError;
    use verify::tpm::ek::EkError;

    use super::*;

    const NOW: UnixTime = UnixTime(1_790_086_400);

    fn trust(folder: &Path, crl_max_age_days: Option<u32>) -> Trust {
        let (certificate, crls) = (folder.join("root.der"), vec![folder.join("list.crl")]);
        Trust {
            tpm: vec![TpmRoot { certificate, simulated: true, crls, crl_max_age_days }],
            ..Trust::default()
        }
    }

    #[test]
    fn lists_are_taken_up_as_they_change_and_broken_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let host = SimHost::generate(Product::Genoa, UnixTime(NOW.0 - 86_400)).unwrap();
        let vtpm = VTpm::generate().unwrap();
        let (chain, ek) = ([host.certify_ek(&vtpm).unwrap()], host.ek_spec(&vtpm).unwrap());
        let list = |serial: u64, at: UnixTime| {
            let mut spec = host.crl_spec(at);
            let algorithm = SignatureAlgorithm::EcdsaSha384;
            (spec.inner_algorithm, spec.outer_algorithm) = (algorithm, algorithm);
            (spec.issuer, spec.signer) = (ek.issuer.clone(), ek.signer);
            let revoked = vec![Revoked::new(serial, at)];
            std::fs::write(
                folder.path().join("list.crl"),
                host.sign_crl(&CrlSpec { revoked, ..spec }).unwrap(),
            )
            .unwrap();
        };
        std::fs::write(folder.path().join("root.der"), host.ek_root_der()).unwrap();
        list(ek.serial + 1, NOW);
        let trust_now = trust(folder.path(), None);
        let roots = TpmRoots::load(&trust_now).unwrap();
        let verdict = |roots: &TpmRoots, at| roots.with(|roots| roots.verify(&chain, at).map(drop));
        assert_eq!((verdict(&roots, NOW), roots.reread(&trust_now).unwrap()), (Ok(()), false));

        list(ek.serial, NOW);
        assert_eq!(verdict(&roots, NOW), Ok(()), "not read yet");
        assert!(roots.reread(&trust_now).unwrap());
        assert!(matches!(verdict(&roots, NOW), Err(EkError::Revoked { index: 0, .. })));

        std::fs::write(folder.path().join("list.crl"), "torn").unwrap();
        let error = roots.reread(&trust_now).unwrap_err().to_string();
        assert!(error.contains("list.crl"), "{error}");
        assert!(matches!(verdict(&roots, NOW), Err(EkError::Revoked { .. })), "those at hand stay in force");
        assert!(TpmRoots::load(&trust_now).is_err(), "a broker does not start on it");

        list(ek.serial + 1, NOW);
        let demanding = TpmRoots::load(&trust(folder.path(), Some(30))).unwrap();
        assert_eq!(verdict(&demanding, NOW.plus(30 * 86_400)), Ok(()));
        let stale = verdict(&demanding, NOW.plus(30 * 86_400 + 1)).unwrap_err();
        let max_age_s = 30 * 86_400;
        assert!(
            matches!(stale, EkError::Lists { source: RevocationError::Stale { max_age_s: limit, .. }, .. } if limit == max_age_s)
        );
    }
}
