//! Check 13 of [`crate::snp`]: no certificate of the chain was revoked, as far as the lists at hand say.
//!
//! A list counts if the chain's own root signed it, whoever brought it. A revocation is never taken back, so a list
//! counts *against* a certificate however old it is; *for* one it counts only within its window, and, where lists
//! are required, only if it is young enough.
//!
//! An entry names a certificate of the list's issuer, the root (RFC 5280, 5.3.3), and so the intermediate or the
//! root itself. The leaf's serial number is looked for as well: AMD gives every VCEK and VLEK the number 0 and none
//! of its authorities, and publishes no other list, so that such an entry can mean nothing else.

use claims::UnixTime;

use crate::anchors::Anchor;
use crate::cache::Cache;
use crate::chain::{VerifiedChain, common_name};
use crate::chain_error::Role;
use crate::crl::Crl;
use crate::error::hex;

/// What the operator demands of revocation lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CrlPolicy {
    /// A list that is there counts, and evidence is believed without one; the claim `crl_issued` says which it was.
    #[default]
    Optional,
    /// Evidence is believed only under a list of its root that is valid and was issued at most so long ago.
    Required {
        /// Most seconds since the list was issued.
        max_age_s: u64,
    },
}

/// A certificate that was revoked, or a list that is missing where one is required.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// The root lists it.
    #[error(
        "the {certificate} was revoked on {since}: `{issuer}` lists its serial number 0x{} in its list of {listed}",
        hex(.serial)
    )]
    Revoked {
        /// Whose certificate.
        certificate: Role,
        /// Its serial number, big-endian.
        serial: Vec<u8>,
        /// Since when.
        since: UnixTime,
        /// The common name of the root.
        issuer: String,
        /// When the list was issued.
        listed: UnixTime,
    },
    /// There is no list of this root.
    #[error("no revocation list of `{issuer}`: the operator requires one")]
    Missing {
        /// The common name of the root.
        issuer: String,
    },
    /// Somebody else signed the list.
    #[error("the revocation list of `{issuer}` is not signed by the trusted key of that name")]
    Signature {
        /// The common name of the root.
        issuer: String,
    },
    /// The root's key may not sign lists.
    #[error("the root `{issuer}` may not sign revocation lists: expected keyUsage cRLSign")]
    NotCrlSigner {
        /// The common name of the root.
        issuer: String,
    },
    /// The list is not valid yet.
    #[error(
        "the revocation list of `{issuer}` is not valid yet: expected a time from {this_update} on, got {now}"
    )]
    NotYetValid {
        /// The common name of the root.
        issuer: String,
        /// Its start.
        this_update: UnixTime,
        /// The time asked about.
        now: UnixTime,
    },
    /// The list is not valid any more.
    #[error("the revocation list of `{issuer}` has expired: expected a time up to {next_update}, got {now}")]
    Expired {
        /// The common name of the root.
        issuer: String,
        /// Its end.
        next_update: UnixTime,
        /// The time asked about.
        now: UnixTime,
    },
    /// The list is older than the operator allows.
    #[error(
        "the revocation list of `{issuer}` is too old: expected one issued at most {max_age_s} seconds before \
         {now}, got {this_update}"
    )]
    Stale {
        /// The common name of the root.
        issuer: String,
        /// When it was issued.
        this_update: UnixTime,
        /// Most seconds since then.
        max_age_s: u64,
        /// The time asked about.
        now: UnixTime,
    },
}

/// The window of a list that a chain was checked against. In order of issue; of two of one time the one that ends later
/// is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ListWindow {
    pub(crate) this_update: UnixTime,
    pub(crate) next_update: UnixTime,
}

/// Which of `anchors` signed a list, by its place among them; remembered, as lists are used again and again.
pub(crate) type SignerCache = Cache<Option<usize>>;

/// Checks a chain that ends in `anchors[root]` against those of `lists` that this root signed: the newest one's
/// window, or `None` where there is none and none is required.
pub(crate) fn check<'a>(
    chain: &VerifiedChain,
    (anchors, root): (&[Anchor], usize),
    lists: impl Iterator<Item = &'a Crl>,
    (cache, policy): (&SignerCache, CrlPolicy),
    now: UnixTime,
) -> Result<Option<ListWindow>, RevocationError> {
    let Some(anchor) = anchors.get(root) else {
        return Err(RevocationError::Missing { issuer: String::new() });
    };
    let issuer = common_name(anchor.certificate.subject());
    let (mut newest, mut refused) = (None::<ListWindow>, None);
    for crl in lists.filter(|crl| crl.issuer() == anchor.certificate.subject()) {
        if signer(crl, anchors, cache) != Some(root) {
            refused = refused.or(Some(RevocationError::Signature { issuer: issuer.clone() }));
            continue;
        }
        check_listed(&chain.serials, crl, &issuer)?;
        match check_times(crl, policy, &issuer, now) {
            Ok(window) => newest = newest.max(Some(window)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    if newest.is_some() && !anchor.certificate.may_sign_crls() {
        (newest, refused) = (None, Some(RevocationError::NotCrlSigner { issuer: issuer.clone() }));
    }
    match policy {
        CrlPolicy::Required { .. } if newest.is_none() => {
            Err(refused.unwrap_or(RevocationError::Missing { issuer }))
        }
        _ => Ok(newest),
    }
}

/// Checks certificates under `anchors[root]`, without a report: none of these serial numbers is on a list that this root
/// signed. No window is looked at, since a list counts against a certificate however old it is.
pub(crate) fn check_unlisted<'a>(
    serials: &[(Role, Box<[u8]>)],
    (anchors, root): (&[Anchor], usize),
    lists: impl Iterator<Item = &'a Crl>,
    cache: &SignerCache,
) -> Result<(), RevocationError> {
    let mut of_root = lists.filter(|crl| signer(crl, anchors, cache) == Some(root));
    of_root.try_for_each(|crl| check_listed(serials, crl, &common_name(crl.issuer())))
}

/// The anchor whose key signed the list.
pub(crate) fn signer(crl: &Crl, anchors: &[Anchor], cache: &SignerCache) -> Option<usize> {
    if let Some(known) = cache.find(crl.der()) {
        return *known;
    }
    let signed =
        |anchor: &Anchor| anchor.certificate.subject() == crl.issuer() && crl.is_signed_by(&anchor.key);
    let found = anchors.iter().position(signed);
    cache.insert(crl.der(), found.into());
    found
}

fn check_listed(serials: &[(Role, Box<[u8]>)], crl: &Crl, issuer: &str) -> Result<(), RevocationError> {
    for (certificate, serial) in serials {
        if let Some(entry) = crl.find(serial) {
            let (certificate, serial, issuer) = (*certificate, serial.to_vec(), issuer.to_owned());
            let (since, listed) = (entry.since, crl.this_update);
            return Err(RevocationError::Revoked { certificate, serial, since, issuer, listed });
        }
    }
    Ok(())
}

pub(crate) fn check_times(
    crl: &Crl,
    policy: CrlPolicy,
    issuer: &str,
    now: UnixTime,
) -> Result<ListWindow, RevocationError> {
    let (this_update, next_update) = (crl.this_update, crl.next_update);
    let issuer = issuer.to_owned();
    if now < this_update {
        return Err(RevocationError::NotYetValid { issuer, this_update, now });
    }
    if now > next_update {
        return Err(RevocationError::Expired { issuer, next_update, now });
    }
    match policy {
        CrlPolicy::Required { max_age_s } if now > this_update.plus(max_age_s) => {
            Err(RevocationError::Stale { issuer, this_update, max_age_s, now })
        }
        _ => Ok(ListWindow { this_update, next_update }),
    }
}
