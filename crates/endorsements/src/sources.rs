//! Sources in order: a directory that the operator filled, what was kept of earlier answers, services.
//!
//! The caller says what verifies ([`Judge`]): an answer that does not is as none, the next source is asked, and
//! nothing is kept that did not verify. So neither a stale file, a false mirror, nor whoever sits on a plain `http`
//! connection can do more than withhold a certificate.

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use claims::UnixTime;
use claims::snp::{Product, Tcb};
use tokio::sync::Semaphore;
use transport::WebClient;

use crate::find_error::{Failure, FindError};
use crate::flights::Flights;
use crate::kept::Kept;
use crate::rate::{Bucket, Limits};
use crate::service::{Asking, Jitter, Service};
use crate::{Authority, Store, VcekName};

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// The certificate of a chip's key with its issuers'.
    Vcek(VcekName),
    /// The certificate of an intermediate, for a leaf that came without it.
    Chain(Authority),
}

/// Says of certificates in DER whether they verify as what is wanted; if not, why.
pub type Judge<'a> = dyn Fn(&Wanted, &[Vec<u8>]) -> Result<(), String> + Send + Sync + 'a;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The leaf's certificate in DER, if one was wanted, then its issuers' as far as they came along.
    pub certificates: Vec<Vec<u8>>,
    /// Which source had it, for people.
    pub source: String,
}

/// What is not at hand, so that services must be asked: [`Sources::ask`].
#[derive(Debug)]
pub struct Missed {
    wanted: Wanted,
    failures: Vec<(String, Failure)>,
}

/// Where to look, in this order: `directory`, `cache`, then each of `services`.
#[derive(Debug)]
pub struct Sources {
    kept: Kept,
    services: Vec<Service>,
    patience: Duration,
    limits: Limits,
    client: WebClient,
    flights: Flights,
    waiting: Semaphore,
    bucket: Bucket,
    room: Semaphore,
    jitter: Jitter,
}

impl Sources {
    /// Most requests to services at a time.
    pub const MAX_REQUESTS: usize = 8;

    /// No source at all. `patience` is how long a caller can wait for each service, retries counted; `seed` spreads
    /// the retries of many.
    pub fn none(patience: Duration, seed: u64) -> Self {
        let limits = Limits::default();
        Self {
            kept: Kept::default(),
            services: Vec::new(),
            patience,
            limits,
            client: WebClient::new(patience),
            flights: Flights::new(limits.absent_s),
            waiting: Semaphore::new(limits.waiting),
            bucket: Bucket::new(limits.per_minute),
            room: Semaphore::new(Self::MAX_REQUESTS),
            jitter: Jitter::new(seed),
        }
    }

    /// Looks in this directory first. Nothing is ever written there.
    #[must_use]
    pub fn with_directory(self, directory: Store) -> Self {
        Self { kept: Kept { directory: Some(directory), ..self.kept }, ..self }
    }

    /// Keeps what services gave here, once it has verified, and looks here before it asks them.
    #[must_use]
    pub fn with_cache(self, cache: Store) -> Self {
        Self { kept: Kept { cache: Some(cache), ..self.kept }, ..self }
    }

    /// Asks this service after those that were added before.
    #[must_use]
    pub fn with_service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Bounds what strangers can make it ask, in place of [`Limits::default`].
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self {
            limits,
            flights: Flights::new(limits.absent_s),
            waiting: Semaphore::new(limits.waiting),
            bucket: Bucket::new(limits.per_minute),
            ..self
        }
    }

    /// Whether there is nowhere to look.
    pub fn is_empty(&self) -> bool {
        self.kept.places().next().is_none() && self.services.is_empty()
    }

    /// The operator's directory, if there is one.
    pub fn directory(&self) -> Option<&Store> {
        self.kept.directory.as_ref()
    }

    /// Where services' answers are kept, if anywhere.
    pub fn cache(&self) -> Option<&Store> {
        self.kept.cache.as_ref()
    }

    /// The services, in the order in which they are asked.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// [`Self::at_hand`], then [`Self::ask`].
    ///
    /// # Errors
    /// [`FindError`], with every source that was asked.
    pub async fn find(
        &self,
        wanted: &Wanted,
        now: UnixTime,
        judge: &Judge<'_>,
    ) -> Result<Found, Arc<FindError>> {
        match self.at_hand(wanted, judge) {
            Ok(found) => Ok(found),
            Err(missed) => self.ask(&missed, now, judge).await,
        }
    }

    /// What directory and cache have. Files are read on the calling thread; there is nothing to wait for.
    ///
    /// # Errors
    /// [`Missed`]: with it, services can be asked.
    pub fn at_hand(&self, wanted: &Wanted, judge: &Judge<'_>) -> Result<Found, Missed> {
        self.kept.find(wanted, judge).map_err(|failures| Missed { wanted: wanted.clone(), failures })
    }

    /// Certificates in DER of cloud providers' keys at this TCB in directory and cache, not judged. Services have none.
    pub fn vleks_at(&self, product: Product, tcb: Tcb) -> Vec<Vec<u8>> {
        self.kept.vleks_at(product, tcb)
    }

    /// What services have. They are asked by one caller for each key; how many may wait, how many are asked at a time
    /// and how often is bounded ([`Limits`], [`Self::MAX_REQUESTS`]).
    ///
    /// # Errors
    /// [`FindError`], with every source that was asked; what services answered is given again for a while.
    pub async fn ask(
        &self,
        missed: &Missed,
        now: UnixTime,
        judge: &Judge<'_>,
    ) -> Result<Found, Arc<FindError>> {
        if self.services.is_empty() {
            return Err(missed.error());
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(missed.unasked(Failure::Crowded { limit: self.limits.waiting }));
        };
        self.flights.join(&missed.wanted, now, || self.ask_all(missed, now, judge)).await
    }

    /// The revocation list beside an authority's chain, from the first service that has it. It is kept nowhere.
    ///
    /// # Errors
    /// [`FindError`], with every service that was asked.
    pub async fn crl(&self, authority: Authority, now: UnixTime) -> Result<Vec<u8>, FindError> {
        let mut failures = Vec::new();
        for service in &self.services {
            match service.crl(authority, &self.asking(now)).await {
                Ok(der) => return Ok(der),
                Err(failure) => failures.push((service.to_string(), failure)),
            }
        }
        Err(FindError { wanted: format!("the revocation list of {authority}"), failures })
    }

    async fn ask_all(
        &self,
        missed: &Missed,
        now: UnixTime,
        judge: &Judge<'_>,
    ) -> Result<Found, Arc<FindError>> {
        let per_minute = self.limits.per_minute;
        self.bucket.take(now).map_err(|wait| missed.unasked(Failure::TooOften { per_minute, wait }))?;
        let mut failures = missed.failures.clone();
        for service in &self.services {
            let asked = match tokio::time::timeout(self.patience, self.room.acquire()).await {
                Ok(_place) => self.ask_one(service, &missed.wanted, now, judge).await,
                Err(_) => Err(Failure::TooSlow { limit: self.patience }),
            };
            match asked {
                Ok(found) => return Ok(found),
                Err(failure) => failures.push((service.to_string(), failure)),
            }
        }
        Err(Arc::new(FindError { wanted: missed.wanted.to_string(), failures }))
    }

    async fn ask_one(
        &self,
        service: &Service,
        wanted: &Wanted,
        now: UnixTime,
        judge: &Judge<'_>,
    ) -> Result<Found, Failure> {
        let (asking, source) = (self.asking(now), service.to_string());
        let found = match wanted {
            Wanted::Vcek(name) => self.ask_vcek(service, (wanted, name), &asking, judge).await?,
            Wanted::Chain(authority) => {
                check(wanted, service.chain(*authority, &asking).await?, source, judge)?
            }
        };
        self.kept.keep(wanted, &found);
        Ok(found)
    }

    async fn ask_vcek(
        &self,
        service: &Service,
        (wanted, name): (&Wanted, &VcekName),
        asking: &Asking<'_>,
        judge: &Judge<'_>,
    ) -> Result<Found, Failure> {
        let given = service.vcek(name, asking).await?;
        let source = service.to_string();
        let known = given.iter().cloned().chain(self.kept.chain(name.authority())).collect();
        let refused = match check(wanted, known, source.clone(), judge) {
            Ok(found) => return Ok(found),
            Err(refused) => refused,
        };
        // The issuer is not known yet, or AMD has replaced it since.
        match service.chain(name.authority(), asking).await {
            Ok(chain) => check(wanted, given.into_iter().chain(chain).collect(), source, judge),
            Err(Failure::Absent) => Err(refused),
            Err(failure) => Err(failure),
        }
    }

    fn asking(&self, now: UnixTime) -> Asking<'_> {
        Asking { client: &self.client, patience: self.patience, now, jitter: &self.jitter }
    }
}

impl Missed {
    /// For who has nobody else to ask.
    pub fn error(&self) -> Arc<FindError> {
        Arc::new(FindError { wanted: self.wanted.to_string(), failures: self.failures.clone() })
    }

    /// What is looked for.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    fn unasked(&self, why: Failure) -> Arc<FindError> {
        let failures = self.failures.iter().cloned().chain([("services".to_owned(), why)]).collect();
        Arc::new(FindError { wanted: self.wanted.to_string(), failures })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vcek(name) => name.fmt(f),
            Self::Chain(authority) => authority.fmt(f),
        }
    }
}

impl fmt::Display for Sources {
    /// Their names in order, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.kept.places().map(|place| format!("`{}`", place.root().display()));
        let names: Vec<String> = places.chain(self.services.iter().map(Service::to_string)).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

/// What was found, if the caller's judge finds it to verify; each certificate once.
pub(crate) fn check(
    wanted: &Wanted,
    mut certificates: Vec<Vec<u8>>,
    source: String,
    judge: &Judge<'_>,
) -> Result<Found, Failure> {
    certificates.truncate(MAX_CHAIN);
    let mut seen: Vec<Vec<u8>> = Vec::new();
    certificates.retain(|der| {
        !seen.contains(der) && {
            seen.push(der.clone());
            true
        }
    });
    match judge(wanted, &certificates) {
        Ok(()) => Ok(Found { certificates, source }),
        Err(reason) => Err(Failure::Refused(reason)),
    }
}

/// Most certificates that are tried together.
const MAX_CHAIN: usize = 8;
