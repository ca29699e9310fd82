//! Circumstances as JSON, in the words of [`Circumstances`].

use core::net::IpAddr;

use claims::UnixTime;
use serde::{Deserialize, Serialize};

use crate::circumstances::{Circumstances, Recent};

/// [`Circumstances`] without the time, which stands by itself. What is left out is as in [`Circumstances::at`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContextJson {
    evidence_age_s: u32,
    network: Option<IpAddr>,
    recent: RecentJson,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecentJson {
    guest: u32,
    key: u32,
}

impl ContextJson {
    /// The circumstances at this time.
    pub fn at(self, now: UnixTime) -> Circumstances {
        let Self { evidence_age_s, network, recent: RecentJson { guest, key } } = self;
        Circumstances { now, evidence_age_s, network, recent: Recent { guest, key } }
    }
}

impl From<&Circumstances> for ContextJson {
    fn from(circumstances: &Circumstances) -> Self {
        let Recent { guest, key } = circumstances.recent;
        Self {
            evidence_age_s: circumstances.evidence_age_s,
            network: circumstances.network,
            recent: RecentJson { guest, key },
        }
    }
}
