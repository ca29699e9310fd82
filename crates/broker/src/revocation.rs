//! The revocation lists in force: those in the operator's directory, and those that services publish. Both are taken up
//! while the broker runs.
//!
//! A list gets in force once its signature verifies under one of our roots, and never in the place of a newer one of the
//! same root. Whatever goes wrong leaves the lists as they are, and is logged: a release waits for nobody here, and is
//! refused where the list at hand has become too old (`trust.crl_max_age_days`).

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use claims::UnixTime;
use endorsements::{Authority, FindError, Shape, Sources, Store};
use tokio::time::{MissedTickBehavior, interval};
use verify::{Endorsements, EndorsementsError, ListError, SignedList, TrustAnchors, signed_list};

use crate::app::App;

/// Lists by where they come from; decisions take a snapshot of all.
#[derive(Debug, Default)]
pub struct Lists {
    in_force: RwLock<Arc<Endorsements>>,
    held: Mutex<Vec<Held>>,
}

/// Where a list comes from. Each place has one list for each authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The operator's directory.
    Directory,
    /// A service, or the cache that keeps its answers.
    Service,
}

/// What became of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in force now.
    New,
    /// It was in force before.
    Known,
}

/// Why a list does not get in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No list of one of our roots.
    #[error(transparent)]
    List(#[from] ListError),
    /// From the future: it would keep out all lists until then.
    #[error("issued in the future: expected a time up to {now}, got {this_update}")]
    Future {
        /// When it was issued.
        this_update: UnixTime,
        /// The broker's clock.
        now: UnixTime,
    },
    /// Older than the one that is in force.
    #[error("older than the one in force: expected one issued from {held} on, got {this_update}")]
    Older {
        /// When the one in force was issued.
        held: UnixTime,
        /// When this one was.
        this_update: UnixTime,
    },
    /// More lists than are looked at.
    #[error(transparent)]
    Endorsements(#[from] EndorsementsError),
}

#[derive(Debug)]
struct Held {
    origin: Origin,
    authority: Authority,
    der: Vec<u8>,
    list: SignedList,
}

impl Lists {
    /// What counts now.
    pub fn in_force(&self) -> Arc<Endorsements> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a list in force, in the place of the one that this origin had for this authority.
    ///
    /// # Errors
    /// [`Refused`]; the lists are as they were then.
    pub fn take(
        &self,
        origin: Origin,
        authority: Authority,
        der: &[u8],
        anchors: &TrustAnchors,
        now: UnixTime,
    ) -> Result<Taken, Refused> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let at = held.iter().position(|held| (held.origin, held.authority) == (origin, authority));
        let before = at.and_then(|at| held.get(at));
        if before.is_some_and(|before| before.der == der) {
            return Ok(Taken::Known);
        }
        let list = signed_list(der, anchors)?;
        let this_update = list.this_update;
        if this_update > now {
            return Err(Refused::Future { this_update, now });
        }
        if let Some(before) = before.filter(|before| before.list.root == list.root)
            && before.list.this_update > this_update
        {
            return Err(Refused::Older { held: before.list.this_update, this_update });
        }
        let others = (0..).zip(held.iter()).filter(|(i, _)| Some(*i) != at).map(|(_, held)| &held.der);
        let all = others.chain([&der.to_vec()]).cloned().collect::<Vec<_>>();
        let in_force = Endorsements::default().with_crls(all)?;
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(in_force);
        let (next_update, revoked) = (list.next_update, list.revoked);
        tracing::info!(?origin, %authority, %this_update, %next_update, revoked, "revocation list in force");
        let new = Held { origin, authority, der: der.to_vec(), list };
        match at.and_then(|at| held.get_mut(at)) {
            Some(place) => *place = new,
            None => held.push(new),
        }
        Ok(Taken::New)
    }

    /// Takes up the lists that directory and cache have; `complain` is told of each that does not get in force.
    fn read(
        &self,
        sources: &Sources,
        anchors: &TrustAnchors,
        now: UnixTime,
        complain: &mut dyn FnMut(Origin, Authority, String),
    ) {
        let places = [(Origin::Directory, sources.directory()), (Origin::Service, sources.cache())];
        for (origin, store) in places {
            for authority in Authority::all().filter(|authority| is_trusted(*authority, anchors)) {
                let der = match store.map(|store| store.crl(authority)) {
                    Some(Ok(Some(der))) => der,
                    Some(Err(error)) => {
                        complain(origin, authority, error.to_string());
                        continue;
                    }
                    _ => continue,
                };
                if let Err(refused) = self.take(origin, authority, &der, anchors, now) {
                    complain(origin, authority, refused.to_string());
                }
            }
        }
    }

    /// The lists that are there when a broker starts. What is wrong with one of the operator's is an error; the cache may
    /// hold anything.
    ///
    /// # Errors
    /// What is wrong with the first list of the directory that cannot be used.
    pub fn load(sources: &Sources, anchors: &TrustAnchors, now: UnixTime) -> Result<Self, String> {
        let (lists, mut wrong) = (Self::default(), None);
        lists.read(sources, anchors, now, &mut |origin, authority, reason| match origin {
            Origin::Directory => {
                wrong = wrong.take().or(Some(format!("the revocation list of {authority}: {reason}")));
            }
            Origin::Service => tracing::warn!(%authority, reason, "kept revocation list not used"),
        });
        wrong.map_or(Ok(lists), Err)
    }
}

/// Whether lists of this authority can count: there is a root of its product.
fn is_trusted(authority: Authority, anchors: &TrustAnchors) -> bool {
    anchors.roots().any(|(product, _, _)| product == authority.product)
}

/// Rereads the directory every few seconds, and asks services for newer lists, until the task is dropped.
pub async fn keep_fresh(app: Arc<App>) {
    let mut complained: Vec<(Authority, String)> = Vec::new();
    let mut tpm_complaint = None;
    let mut schedule = Schedule::new(app.config.trust.crl_max_age_days);
    let mut tick = interval(REREAD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let now = crate::public::now();
        let mut complaints = Vec::new();
        app.core.crls.read(&app.sources, &app.core.anchors, now, &mut |origin, authority, reason| {
            if origin == Origin::Directory {
                complaints.push((authority, reason));
            }
        });
        for (authority, reason) in complaints.iter().filter(|one| !complained.contains(one)) {
            tracing::warn!(%authority, reason, "revocation list of the directory not taken up");
        }
        complained = complaints;
        reread_tpm_lists(&app, &mut tpm_complaint);
        if publishes_lists(&app.sources) && schedule.is_due(now) {
            schedule.done(now, fetch(&app, now).await);
        }
    }
}

/// Takes up lists of those who certify endorsement keys; complains once of what is wrong.
fn reread_tpm_lists(app: &App, complained: &mut Option<String>) {
    let complaint = match app.core.ek_roots.reread(&app.config.trust) {
        Ok(changed) => {
            if changed {
                tracing::info!("revocation lists of tpm vendors taken up");
            }
            None
        }
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = complaint.as_ref().filter(|_| complaint != *complained) {
        tracing::warn!(reason, "revocation lists of tpm vendors not taken up; those at hand stay in force");
    }
    *complained = complaint;
}

fn publishes_lists(sources: &Sources) -> bool {
    sources.services().iter().any(|service| service.shape() == Shape::Kds)
}

/// Asks for every list; whether all that exist were to be had.
async fn fetch(app: &App, now: UnixTime) -> bool {
    let mut all = true;
    for authority in Authority::all().filter(|authority| is_trusted(*authority, &app.core.anchors)) {
        match app.sources.crl(authority, now).await {
            Ok(der) => all &= take_up(app, authority, &der, now),
            Err(error) => all &= is_harmless(authority, &error),
        }
    }
    all
}

/// A mirror need not have every list; what failed otherwise is tried again.
fn is_harmless(authority: Authority, error: &FindError) -> bool {
    if error.is_absent() {
        tracing::info!(%authority, %error, "no revocation list published");
        return true;
    }
    tracing::warn!(%authority, %error, "revocation list not fetched; the one at hand stays in force");
    false
}

fn take_up(app: &App, authority: Authority, der: &[u8], now: UnixTime) -> bool {
    if let Err(refused) = app.core.crls.take(Origin::Service, authority, der, &app.core.anchors, now) {
        tracing::warn!(%authority, %refused, "fetched revocation list not used; the one at hand stays in force");
        return false;
    }
    if let Some(Err(error)) = app.sources.cache().map(|cache| keep(cache, authority, der)) {
        tracing::warn!(%authority, %error, "revocation list not kept");
    }
    true
}

fn keep(cache: &Store, authority: Authority, der: &[u8]) -> std::io::Result<()> {
    match cache.crl(authority) {
        Ok(Some(kept)) if kept == der => Ok(()),
        _ => cache.put_crl(authority, der).map(drop),
    }
}

/// When services are asked: at the start, once a day or four times in a list's permitted age; after a failure sooner.
#[derive(Debug)]
struct Schedule {
    every_s: u64,
    due: UnixTime,
    failures: u32,
}

impl Schedule {
    fn new(max_age_days: Option<u32>) -> Self {
        let permitted = max_age_days.map_or(u64::MAX, |days| u64::from(days).saturating_mul(DAY_S));
        Self { every_s: DAY_S.min((permitted / 4).max(RETRY_S)), due: UnixTime(0), failures: 0 }
    }

    fn is_due(&self, now: UnixTime) -> bool {
        self.due <= now
    }

    fn done(&mut self, now: UnixTime, succeeded: bool) {
        let wait_s = if succeeded {
            self.failures = 0;
            self.every_s
        } else {
            let doubled = RETRY_S.saturating_mul(1 << self.failures.min(6));
            self.failures = self.failures.saturating_add(1);
            doubled.min(MAX_RETRY_S).min(self.every_s)
        };
        self.due = now.plus(wait_s);
    }
}

/// How often the directory is read again.
const REREAD: Duration = Duration::from_secs(5);
const DAY_S: u64 = 86_400;
/// Seconds after the first failure; doubled for each that follows.
const RETRY_S: u64 = 60;
/// Most seconds between tries.
const MAX_RETRY_S: u64 = 3600;

#[cfg(test)]
mod tests {
    use claims::snp::Product;
    use simtee::{CrlSpec, Revoked, Signer, SimHost};

    use super::*;

    const NOW: UnixTime = UnixTime(1_790_000_000);
    const ASK: Authority = Authority { kind: claims::snp::SigningKey::Vcek, product: Product::Genoa };

    fn host() -> (SimHost, TrustAnchors) {
        let host = SimHost::generate(Product::Genoa, UnixTime(NOW.0 - 1000)).unwrap();
        let anchors = TrustAnchors::none().with_simulated(host.ark_der(), host.ark_sha256()).unwrap();
        (host, anchors)
    }

    fn list(host: &SimHost, this_update: UnixTime, alter: impl FnOnce(&mut CrlSpec)) -> Vec<u8> {
        let mut spec = host.crl_spec(this_update);
        alter(&mut spec);
        host.sign_crl(&spec).unwrap()
    }

    #[test]
    fn only_a_newer_list_of_our_root_takes_the_place_of_the_one_in_force() {
        let ((host, anchors), lists) = (host(), Lists::default());
        let take = |der: &[u8]| lists.take(Origin::Service, ASK, der, &anchors, NOW);
        let old = list(&host, UnixTime(NOW.0 - 500), |_| ());
        let new = list(&host, UnixTime(NOW.0 - 5), |list| list.revoked = vec![Revoked::new(7, NOW)]);
        assert_eq!(take(&old), Ok(Taken::New));
        assert_eq!(take(&new), Ok(Taken::New));
        let in_force = lists.in_force();
        let (held, this_update) = (UnixTime(NOW.0 - 5), UnixTime(NOW.0 - 500));
        assert_eq!(take(&old), Err(Refused::Older { held, this_update }));
        let forged = list(&host, NOW, |list| list.signer = Signer::Ask);
        assert!(matches!(take(&forged), Err(Refused::List(ListError::Signer(_)))));
        assert!(matches!(take(b"<html>"), Err(Refused::List(ListError::Crl(_)))));
        let this_update = NOW.plus(1);
        let future = list(&host, this_update, |_| ());
        assert_eq!(take(&future), Err(Refused::Future { this_update, now: NOW }));
        assert_eq!(take(&new), Ok(Taken::Known));
        assert!(Arc::ptr_eq(&in_force, &lists.in_force()), "whatever was refused changed nothing");
        assert_eq!(*in_force, Endorsements::default().with_crls([new.clone()]).unwrap());
        // Another place has a list of its own, and may have an older one.
        assert_eq!(lists.take(Origin::Directory, ASK, &old, &anchors, NOW), Ok(Taken::New));
        assert_eq!(*lists.in_force(), Endorsements::default().with_crls([new, old]).unwrap());
    }

    #[test]
    fn at_the_start_the_operators_bad_list_is_an_error_and_the_caches_is_none() {
        let (host, anchors) = host();
        let (directory, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = |dir: &tempfile::TempDir| Store::new(dir.path());
        let sources = Sources::none(Duration::ZERO, 0).with_directory(store(&directory));
        let sources = sources.with_cache(store(&cache));
        let good = list(&host, NOW, |_| ());
        store(&cache).put_crl(ASK, b"torn").unwrap();
        store(&directory).put_crl(ASK, &good).unwrap();
        let lists = Lists::load(&sources, &anchors, NOW).unwrap();
        assert_eq!(*lists.in_force(), Endorsements::default().with_crls([good]).unwrap());
        store(&directory).put_crl(ASK, &list(&host, NOW, |list| list.signer = Signer::Asvk)).unwrap();
        let error = Lists::load(&sources, &anchors, NOW).unwrap_err();
        let said = "the revocation list of the ASK of Genoa: the revocation list of `ARK-Genoa` is not signed by the \
                    trusted key of that name";
        assert_eq!(error, said);
        assert!(Lists::load(&sources, &TrustAnchors::none(), NOW).is_ok(), "no root, no list of interest");
    }

    #[test]
    fn services_are_asked_before_the_list_gets_too_old() {
        let mut schedule = Schedule::new(None);
        assert!(schedule.is_due(UnixTime(0)));
        schedule.done(NOW, true);
        assert!(!schedule.is_due(NOW.plus(DAY_S - 1)) && schedule.is_due(NOW.plus(DAY_S)));
        assert_eq!(Schedule::new(Some(1)).every_s, DAY_S / 4);
        assert_eq!(Schedule::new(Some(0)).every_s, RETRY_S);
        assert_eq!(Schedule::new(Some(u32::MAX)).every_s, DAY_S);
        let waits = [60, 120, 240, 480, 960, 1920, 3600, 3600].map(|wait| {
            schedule.done(NOW, false);
            (schedule.due, NOW.plus(wait))
        });
        assert!(waits.iter().all(|(due, expected)| due == expected), "{waits:?}");
        schedule.done(NOW, true);
        assert_eq!((schedule.due, schedule.failures), (NOW.plus(DAY_S), 0));
    }
}
