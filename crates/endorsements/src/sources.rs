//! Sources in order: a directory that the operator filled, what was kept of earlier answers, services.
//!
//! The caller says what verifies ([`Judge`]): an answer that does not is as none, the next source is asked, and
//! nothing is kept that did not verify. So neither a stale file, a false mirror, nor whoever sits on a plain `http`
//! connection can do more than withhold a certificate.

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use claims::UnixTime;
use claims::snp::Product;
use tokio::sync::Semaphore;
use transport::WebClient;

use crate::find_error::{Failure, FindError};
use crate::flights::Flights;
use crate::service::{Asking, Jitter, Service};
use crate::{Store, VcekName};

/// Says of certificates in DER whether they verify as the chain of this key; if not, why.
pub type Judge<'a> = dyn Fn(&VcekName, &[Vec<u8>]) -> Result<(), String> + Send + Sync + 'a;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The VCEK's certificate in DER, then its issuers' as far as they came along.
    pub certificates: Vec<Vec<u8>>,
    /// Which source had it, for people.
    pub source: String,
}

/// Where to look, in this order: `directory`, `cache`, then each of `services`.
#[derive(Debug)]
pub struct Sources {
    directory: Option<Store>,
    cache: Option<Store>,
    services: Vec<Service>,
    patience: Duration,
    client: WebClient,
    flights: Flights,
    room: Semaphore,
    jitter: Jitter,
}

impl Sources {
    /// Most requests to services at a time.
    pub const MAX_REQUESTS: usize = 8;

    /// No source at all. `patience` is how long a caller can wait for each service, retries counted; `seed` spreads
    /// the retries of many.
    pub fn none(patience: Duration, seed: u64) -> Self {
        Self {
            directory: None,
            cache: None,
            services: Vec::new(),
            patience,
            client: WebClient::new(patience),
            flights: Flights::default(),
            room: Semaphore::new(Self::MAX_REQUESTS),
            jitter: Jitter::new(seed),
        }
    }

    /// Looks in this directory first. Nothing is ever written there.
    #[must_use]
    pub fn with_directory(self, directory: Store) -> Self {
        Self { directory: Some(directory), ..self }
    }

    /// Keeps what services gave here, once it has verified, and looks here before it asks them.
    #[must_use]
    pub fn with_cache(self, cache: Store) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// Asks this service after those that were added before.
    #[must_use]
    pub fn with_service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Whether there is nowhere to look.
    pub fn is_empty(&self) -> bool {
        self.directory.is_none() && self.cache.is_none() && self.services.is_empty()
    }

    /// The certificate of a VCEK with its issuers'. Files are read on the calling thread; services are asked by one
    /// caller for each key, and at most [`Self::MAX_REQUESTS`] at a time.
    ///
    /// # Errors
    /// [`FindError`], with every source that was asked; one that services gave is given again for up to a minute.
    pub async fn find(
        &self,
        name: &VcekName,
        now: UnixTime,
        judge: &Judge<'_>,
    ) -> Result<Found, Arc<FindError>> {
        let mut failures = Vec::new();
        if let Some(found) = self.look_up(name, judge, &mut failures) {
            return Ok(found);
        }
        if self.services.is_empty() {
            return Err(Arc::new(FindError { wanted: name.to_string(), failures }));
        }
        let failures = &failures;
        self.flights.join(name, now, || self.ask(name, now, judge, failures)).await
    }

    /// The revocation list of a product's root from the first service that has it. It is kept nowhere.
    ///
    /// # Errors
    /// [`FindError`], with every service that was asked.
    pub async fn crl(&self, product: Product, now: UnixTime) -> Result<Vec<u8>, FindError> {
        let mut failures = Vec::new();
        for service in &self.services {
            match service.crl(product, &self.asking(now)).await {
                Ok(der) => return Ok(der),
                Err(failure) => failures.push((service.to_string(), failure)),
            }
        }
        Err(FindError { wanted: format!("the revocation list of {product}"), failures })
    }

    /// In the directory and the cache; the certificate of one may have its issuer in the other.
    fn look_up(
        &self,
        name: &VcekName,
        judge: &Judge<'_>,
        failures: &mut Vec<(String, Failure)>,
    ) -> Option<Found> {
        for place in self.places() {
            let source = format!("`{}`", place.root().display());
            let certificates = match place.vcek(name) {
                Ok(Some(vcek)) => std::iter::once(vcek).chain(self.known_chain(name.product())).collect(),
                Ok(None) => {
                    failures.push((source, Failure::Absent));
                    continue;
                }
                Err(error) => {
                    failures.push((source, Failure::File(Arc::new(error))));
                    continue;
                }
            };
            match check(name, certificates, source.clone(), judge) {
                Ok(found) => return Some(found),
                Err(failure) => failures.push((source, failure)),
            }
        }
        None
    }

    /// The issuers that directory and cache have; a file of theirs that is none is as if it were not there, and is
    /// replaced in time.
    fn known_chain(&self, product: Product) -> Vec<Vec<u8>> {
        self.places().flat_map(|place| place.chain(product).unwrap_or_default()).take(MAX_CHAIN).collect()
    }

    fn places(&self) -> impl Iterator<Item = &Store> {
        self.directory.iter().chain(&self.cache)
    }

    async fn ask(
        &self,
        name: &VcekName,
        now: UnixTime,
        judge: &Judge<'_>,
        before: &[(String, Failure)],
    ) -> Result<Found, Arc<FindError>> {
        let mut failures = before.to_vec();
        for service in &self.services {
            let asked = match tokio::time::timeout(self.patience, self.room.acquire()).await {
                Ok(_place) => self.ask_one(service, name, now, judge).await,
                Err(_) => Err(Failure::TooSlow { limit: self.patience }),
            };
            match asked {
                Ok(found) => return Ok(found),
                Err(failure) => failures.push((service.to_string(), failure)),
            }
        }
        Err(Arc::new(FindError { wanted: name.to_string(), failures }))
    }

    async fn ask_one(
        &self,
        service: &Service,
        name: &VcekName,
        now: UnixTime,
        judge: &Judge<'_>,
    ) -> Result<Found, Failure> {
        let asking = self.asking(now);
        let given = service.vcek(name, &asking).await?;
        let mut certificates = given.clone();
        certificates.extend(self.known_chain(name.product()));
        let source = service.to_string();
        let found = match check(name, certificates, source.clone(), judge) {
            Ok(found) => found,
            // The issuer is not known yet, or AMD has replaced it since.
            Err(refused) => match service.chain(name, &asking).await {
                Ok(chain) => check(name, given.into_iter().chain(chain).collect(), source, judge)?,
                Err(Failure::Absent) => return Err(refused),
                Err(failure) => return Err(failure),
            },
        };
        self.keep(name, &found);
        Ok(found)
    }

    /// A cache that cannot be written costs a request the next time, and nothing else.
    fn keep(&self, name: &VcekName, found: &Found) {
        let (Some(cache), Some((vcek, chain))) = (&self.cache, found.certificates.split_first()) else {
            return;
        };
        let known = cache.chain(name.product()).unwrap_or_default();
        if !chain.is_empty() && known != chain {
            let _unwritten = cache.put_chain(name.product(), chain);
        }
        let _unwritten = cache.put_vcek(name, vcek);
    }

    fn asking(&self, now: UnixTime) -> Asking<'_> {
        Asking { client: &self.client, patience: self.patience, now, jitter: &self.jitter }
    }
}

impl fmt::Display for Sources {
    /// Their names in order, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.places().map(|place| format!("`{}`", place.root().display()));
        let names: Vec<String> = places.chain(self.services.iter().map(Service::to_string)).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

fn check(
    name: &VcekName,
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
    match judge(name, &certificates) {
        Ok(()) => Ok(Found { certificates, source }),
        Err(reason) => Err(Failure::Refused(reason)),
    }
}

/// Most certificates that are tried together.
const MAX_CHAIN: usize = 8;
