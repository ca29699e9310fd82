//! [`Circumstances`]: what is known about a request besides guest and key. Policies read it as `context`.
//!
//! Says nothing about the guest that evidence has not proven; the network is what the broker's own socket saw.

use core::net::IpAddr;

use claims::UnixTime;

/// When and from where a request came, and what was served before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The broker's clock.
    pub now: UnixTime,
    /// Seconds since the challenge was issued that the evidence answers.
    pub evidence_age_s: u32,
    /// The address that the connection came from: the guest's, or that of whatever relays for it. `None` for
    /// requests that came over no network.
    pub network: Option<IpAddr>,
    /// What was served of late.
    pub recent: Recent,
}

/// Answers with a permit in the last hour, as far as this broker has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// To this guest, for any key.
    pub guest: u32,
    /// For this key, to any guest.
    pub key: u32,
}

impl Circumstances {
    /// A request at this time with fresh evidence, over no network, with nothing served before it.
    pub fn at(now: UnixTime) -> Self {
        Self { now, evidence_age_s: 0, network: None, recent: Recent::default() }
    }
}
