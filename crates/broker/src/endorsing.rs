//! The section `[endorsements]` of the configuration: where certificates come from that evidence lacks.
//!
//! Without services the broker asks nobody on the network. Whatever a source gives is verified under the roots of
//! `[trust]`, and so is each report again: a source can withhold, and not deceive.

use core::fmt;
use core::str::FromStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use endorsements::{Limits, Service, Shape, Sources, Store, WebUrl};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Sources, in the order in which they are asked: the evidence itself, `directory`, `cache`, `services`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endorsing {
    /// Certificates that an operator put there: by `keyfast endorsements fetch` or `import`, for any number of chips
    /// and read when needed; or up to 16 files of any name, read at the start. Never written.
    pub directory: Option<PathBuf>,
    /// Where answers of services are kept. Default: `endorsements` in the state directory. May be deleted.
    pub cache: Option<PathBuf>,
    /// Services to ask, in this order: `azure-thim`, `azure-cache`, `kds`. Default: none.
    pub services: Vec<Text<Shape>>,
    /// Another address than AMD's for `kds`, such as that of a mirror with the same paths.
    pub kds_url: Option<Text<WebUrl>>,
    /// Another address than Azure's for `azure-cache`.
    pub azure_cache_url: Option<Text<WebUrl>>,
    /// Another address than that of Azure's machines for `azure-thim`.
    pub azure_thim_url: Option<Text<WebUrl>>,
    /// How long each service may take, in seconds, retries counted. Default: 4; a guest waits 10 for an answer.
    pub patience_s: Option<u16>,
    /// Most releases that wait for services at a time; beyond it, guests are asked to come back. Who waits takes no
    /// place of `max_releases`. Default: 128.
    pub max_lookups: Option<u16>,
    /// Most look-ups at services a minute, as strangers can make up chips; as many can be saved up. Default: 120.
    pub lookups_per_minute: Option<u16>,
    /// For how long it is believed that no service knows of a chip's key, in seconds. Default: 600.
    pub absent_s: Option<u32>,
}

/// A value that is written as text; what it cannot be is said with line and column.
#[derive(Clone, Debug)]
pub struct Text<T>(pub T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map(Self).map_err(D::Error::custom)
    }
}

impl Endorsing {
    /// With paths relative to `base`.
    #[must_use]
    pub fn relative_to(self, base: &Path) -> Self {
        let [directory, cache] = [self.directory, self.cache].map(|path| path.map(|path| base.join(path)));
        Self { directory, cache, ..self }
    }

    /// The sources beside the evidence. `seed` spreads the retries of several brokers.
    pub fn sources(&self, state: &Path, seed: [u8; 8]) -> Sources {
        let patience = Duration::from_secs(self.patience_s.unwrap_or(PATIENCE_S).into());
        let mut sources = Sources::none(patience, u64::from_le_bytes(seed)).with_limits(self.limits());
        if let Some(directory) = &self.directory {
            sources = sources.with_directory(Store::new(directory));
        }
        if !self.services.is_empty() {
            let cache = self.cache.clone().unwrap_or_else(|| state.join("endorsements"));
            sources = sources.with_cache(Store::new(cache));
        }
        for Text(shape) in &self.services {
            if let Some(url) = self.url(*shape) {
                sources = sources.with_service(Service::new(*shape, url));
            }
        }
        sources
    }

    fn limits(&self) -> Limits {
        let usual = Limits::default();
        Limits {
            waiting: self.max_lookups.map_or(usual.waiting, usize::from),
            per_minute: self.lookups_per_minute.map_or(usual.per_minute, u32::from),
            absent_s: self.absent_s.map_or(usual.absent_s, u64::from),
        }
    }

    fn url(&self, shape: Shape) -> Option<WebUrl> {
        let configured = match shape {
            Shape::Kds => &self.kds_url,
            Shape::AzureCache => &self.azure_cache_url,
            Shape::AzureThim => &self.azure_thim_url,
        };
        configured.as_ref().map(|Text(url)| url.clone()).or_else(|| shape.usual_url().parse().ok())
    }
}

const PATIENCE_S: u16 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> String {
        let read: Endorsing = toml::from_str(text).unwrap();
        read.relative_to(Path::new("/etc/k")).sources(Path::new("/var/k"), [0; 8]).to_string()
    }

    #[test]
    fn nobody_is_asked_unless_it_says_so() {
        assert_eq!(sources(""), "none");
        assert_eq!(sources("directory = 'certs'"), "`/etc/k/certs`");
        assert_eq!(
            sources("services = ['azure-cache', 'kds']"),
            "`/var/k/endorsements`, azure-cache at https://global.acccache.azure.net, kds at https://kdsintf.amd.com"
        );
        let text = "services = ['kds']\nkds_url = 'http://mirror:8080/amd/'\ncache = 'c'";
        assert_eq!(sources(text), "`/etc/k/c`, kds at http://mirror:8080/amd");
    }

    #[test]
    fn what_strangers_can_make_it_ask_is_bounded_as_configured() {
        let limits = |text| toml::from_str::<Endorsing>(text).unwrap().limits();
        assert_eq!(limits(""), Limits { waiting: 128, per_minute: 120, absent_s: 600 });
        let text = "max_lookups = 1\nlookups_per_minute = 2\nabsent_s = 3";
        assert_eq!(limits(text), Limits { waiting: 1, per_minute: 2, absent_s: 3 });
    }

    #[test]
    fn what_is_no_source_is_refused_with_its_line() {
        for (text, said) in [
            ("services = ['amd']", "use kds, azure-cache or azure-thim"),
            ("kds_url = 'ftp://a'", "not a web address"),
            ("url = 'http://a'", "unknown field `url`"),
        ] {
            let error = toml::from_str::<Endorsing>(text).unwrap_err().to_string();
            assert!(error.contains("line 1") && error.contains(said), "{error}");
        }
    }
}
