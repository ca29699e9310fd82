//! Where a broker is: `https://host[:port]`, and no more of a URL than that (RFC 3986, 3.2; RFC 1123, 2.1).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// A broker's address. Prints as it is written in configuration files and statements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    Name(String),
    Ip(IpAddr),
}

/// Why a string is no [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Another scheme, or none.
    #[error("not a broker's address: `{}`; expected https://host or https://host:port", got.escape_debug())]
    Scheme {
        /// What was given, cut to 300 characters.
        got: String,
    },
    /// The host is neither a name nor an address.
    #[error("not a host: `{}`; expected a DNS name, an IPv4 address, or an IPv6 address in brackets", got.escape_debug())]
    Host {
        /// What stands there, cut to 300 characters.
        got: String,
    },
    /// The port is none.
    #[error("not a port: `{}`; expected 1 to 65535", got.escape_debug())]
    Port {
        /// What stands there, cut to 300 characters.
        got: String,
    },
}

impl Endpoint {
    /// The host without brackets: a DNS name in lower case, or an IP address.
    pub fn host(&self) -> String {
        self.host.name()
    }

    /// The port; 443 where none is given.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the header `Host` carries.
    pub(crate) fn authority(&self) -> String {
        self.host.authority(self.port, HTTPS)
    }
}

impl Host {
    /// Without brackets.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Ip(ip) => ip.to_string(),
        }
    }

    /// With brackets where it needs them, and with the port unless it is the `usual` one.
    pub(crate) fn authority(&self, port: u16, usual: u16) -> String {
        let host = match self {
            Self::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
            _ => self.name(),
        };
        if port == usual { host } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(s: &str) -> Result<Self, EndpointError> {
        let rest = s.strip_prefix("https://").ok_or_else(|| EndpointError::Scheme { got: cut(s) })?;
        let (host, port) = split_authority(rest, HTTPS)?;
        Ok(Self { host, port })
    }
}

/// Host and port; `usual` where no port is given.
pub(crate) fn split_authority(text: &str, usual: u16) -> Result<(Host, u16), EndpointError> {
    let bad_host = || EndpointError::Host { got: cut(text) };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']').ok_or_else(bad_host)?;
            (Host::Ip(ip.parse::<Ipv6Addr>().map_err(|_| bad_host())?.into()), port)
        }
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (name_or_ipv4(host).ok_or_else(bad_host)?, port)
        }
    };
    Ok((host, parse_port(port, usual).ok_or_else(|| EndpointError::Port { got: cut(port) })?))
}

fn cut(got: &str) -> String {
    got.chars().take(300).collect()
}

/// Nothing, or a colon and 1 to 65535 without leading zeros.
fn parse_port(text: &str, usual: u16) -> Option<u16> {
    if text.is_empty() {
        return Some(usual);
    }
    let digits = text.strip_prefix(':')?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain)
}

/// Labels of 1 to 63 letters, digits and inner hyphens, 253 bytes in all; a last label of digits alone makes it an
/// IPv4 address or nothing.
fn name_or_ipv4(text: &str) -> Option<Host> {
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Some(Host::Ip(ip.into()));
    }
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let numeric = text.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    let well_formed = text.len() <= 253 && text.split('.').all(label) && !numeric;
    well_formed.then(|| Host::Name(text.to_ascii_lowercase()))
}

/// The port of `https`.
pub(crate) const HTTPS: u16 = 443;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_reads() {
        for (text, host, port, printed) in [
            ("https://kms.example", "kms.example", 443, "https://kms.example"),
            ("https://Broker-1.Example:8443", "broker-1.example", 8443, "https://broker-1.example:8443"),
            ("https://localhost:443", "localhost", 443, "https://localhost"),
            ("https://127.0.0.1:1", "127.0.0.1", 1, "https://127.0.0.1:1"),
            ("https://[2001:db8::1]", "2001:db8::1", 443, "https://[2001:db8::1]"),
            ("https://[::1]:65535", "::1", 65535, "https://[::1]:65535"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.host().as_str(), endpoint.port()), (host, port));
            assert_eq!(endpoint.to_string(), printed);
            assert_eq!(printed.parse::<Endpoint>().unwrap(), endpoint);
        }
    }

    #[test]
    fn says_which_part_is_wrong() {
        let scheme = |got: &str| EndpointError::Scheme { got: got.into() };
        let host = |got: &str| EndpointError::Host { got: got.into() };
        let port = |got: &str| EndpointError::Port { got: got.into() };
        for (text, error) in [
            ("", scheme("")),
            ("http://a", scheme("http://a")),
            ("HTTPS://a", scheme("HTTPS://a")),
            ("https://", host("")),
            ("https://a/", host("a/")),
            ("https://user@a", host("user@a")),
            ("https://a b", host("a b")),
            ("https://a..b", host("a..b")),
            ("https://-a", host("-a")),
            ("https://a_b", host("a_b")),
            ("https://1.2.3", host("1.2.3")),
            ("https://1.2.3.256", host("1.2.3.256")),
            ("https://[::1", host("[::1")),
            ("https://[fe80::1%eth0]", host("[fe80::1%eth0]")),
            ("https://::1", host("::1")),
            ("https://a:", port(":")),
            ("https://a:0", port(":0")),
            ("https://a:080", port(":080")),
            ("https://a:+1", port(":+1")),
            ("https://a:65536", port(":65536")),
            ("https://[::1]x", port("x")),
            ("https://a:1/x", port(":1/x")),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
        }
        let long = format!("https://{}", vec!["a".repeat(50); 6].join("."));
        assert!(matches!(long.parse::<Endpoint>(), Err(EndpointError::Host { .. })));
    }
}
