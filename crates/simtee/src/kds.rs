//! A key distribution service over plain HTTP, with the paths and queries of AMD's (publication 57230), for the one
//! chip of a simulated host:
//!
//! ```text
//! /vcek/v1/Genoa/HWID?blSPL=10&teeSPL=00&snpSPL=27&ucodeSPL=88   the VCEK's certificate, DER
//! /vcek/v1/Turin/HWID?fmcSPL=01&blSPL=…                          the same; HWID of 8 bytes
//! /vcek/v1/Genoa/cert_chain                                      ASK and ARK, PEM
//! /vcek/v1/Genoa/crl                                             the ARK's revocation list, DER; nothing is revoked
//! /vlek/v1/Genoa/cert_chain, /vlek/v1/Genoa/crl                  ASVK and ARK; the same list. VLEKs are no guest's to ask
//! ```
//!
//! It answers 429 as often as it is told to, so that clients can be seen to wait. The reader of requests is as small
//! as such a service needs: a GET without a body, one on each connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use claims::snp::{Product, Tcb};

use crate::SimHost;
use crate::root_dir::pem;
use crate::stop::{Stop, Woken};

/// A bound address of the service.
pub(crate) struct Kds {
    listener: TcpListener,
    address: SocketAddr,
    /// How many requests are still to be turned away, and what they are told to wait.
    busy: AtomicU32,
    retry_after_s: AtomicU64,
    requests: AtomicU64,
    /// The revocation list, signed when the service began.
    crl: Vec<u8>,
}

/// An answer: status, media type, body.
type Answer = (&'static str, &'static str, Vec<u8>);

impl Kds {
    /// Binds an address; port 0 is any that is free. Connections wait until [`Self::serve`].
    pub(crate) fn bind(address: SocketAddr, crl: Vec<u8>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (busy, retry_after_s, requests) = (AtomicU32::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { listener, address, busy, retry_after_s, requests, crl })
    }

    /// Where it is, as clients are configured.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests came so far, those that were turned away too.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Turns the next `count` requests away with status 429, asking to wait `retry_after_s` seconds.
    pub(crate) fn turn_away(&self, count: u32, retry_after_s: u64) {
        self.retry_after_s.store(retry_after_s, Ordering::Relaxed);
        self.busy.store(count, Ordering::Relaxed);
    }

    /// Answers, one connection after the other, until `stop`.
    pub(crate) fn serve(&self, host: &SimHost, stop: &Stop) {
        while let Ok(Woken::Ready) = stop.wait_for(&self.listener) {
            let Ok((stream, _)) = self.listener.accept() else { continue };
            if let Err(error) = self.converse(stream, host) {
                tracing::warn!(%error, "a request to the key distribution service broke");
            }
        }
    }

    fn converse(&self, mut stream: TcpStream, host: &SimHost) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        let target = read_target(&mut stream)?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let turned_away =
            self.busy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let (status, media, body) =
            if turned_away { (BUSY, TEXT, Vec::new()) } else { self.answer(host, target.as_deref()) };
        let wait = self.retry_after_s.load(Ordering::Relaxed);
        let wait = if turned_away { format!("Retry-After: {wait}\r\n") } else { String::new() };
        tracing::info!(path = target.as_deref(), status, "key distribution service");
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n{wait}Connection: close\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), &body].concat())
    }

    fn answer(&self, host: &SimHost, target: Option<&str>) -> Answer {
        let Some(target) = target else { return ("405 Method Not Allowed", TEXT, Vec::new()) };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let below = |kind| path.strip_prefix(&format!("/{kind}/v1/{}/", host.product()));
        let chain = |issuer| {
            let chain = format!("{}{}", pem(issuer), pem(host.ark_der()));
            ("200 OK", "application/x-pem-file", chain.into_bytes())
        };
        let rest = match (below("vcek"), below("vlek")) {
            (Some("cert_chain"), _) => return chain(host.ask_der()),
            (_, Some("cert_chain")) => return chain(host.asvk_der()),
            (Some("crl"), _) | (_, Some("crl")) => {
                return ("200 OK", "application/pkix-crl", self.crl.clone());
            }
            (Some(rest), _) => rest,
            (None, _) => return NOT_FOUND,
        };
        let chip = host.chip_id();
        let hwid = chip.0.get(..host.hwid_len()).unwrap_or_default();
        if rest != hex::encode(hwid) {
            return NOT_FOUND;
        }
        let Some(tcb) = parse_tcb(query, host.product()) else {
            return ("400 Bad Request", TEXT, Vec::new());
        };
        match host.chain_spec(tcb).and_then(|spec| host.issue(&spec)) {
            Ok(chain) => ("200 OK", "application/octet-stream", chain.vek),
            Err(error) => ("500 Internal Server Error", TEXT, error.to_string().into_bytes()),
        }
    }
}

/// The target of a GET; `None` for another method. Headers are read and not looked at.
fn read_target(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut piece)?;
        if read == 0 || head.len() > MAX_HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no head of a request"));
        }
        head.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next(), words.next());
    Ok(target.filter(|_| method == Some("GET")).map(str::to_owned))
}

/// Each of the product's SPLs once, decimal, in any order, and nothing else.
fn parse_tcb(query: &str, product: Product) -> Option<Tcb> {
    let mut spls: [(&str, Option<u8>); 5] =
        [("blSPL", None), ("teeSPL", None), ("snpSPL", None), ("ucodeSPL", None), ("fmcSPL", None)];
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=')?;
        let (_, spl) = spls.iter_mut().find(|(known, spl)| *known == name && spl.is_none())?;
        *spl = Some(value.parse().ok()?);
    }
    let [(_, bootloader), (_, tee), (_, snp), (_, microcode), (_, fmc)] = spls;
    let fits = fmc.is_some() == (product == Product::Turin);
    Some(Tcb { fmc, bootloader: bootloader?, tee: tee?, snp: snp?, microcode: microcode? }).filter(|_| fits)
}

const NOT_FOUND: Answer = ("404 Not Found", TEXT, Vec::new());
const BUSY: &str = "429 Too Many Requests";
const TEXT: &str = "text/plain";
/// Most bytes of a request's head.
const MAX_HEAD: usize = 8 * 1024;
/// For each read and write.
const LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_each_spl_once() {
        let milan = |query| parse_tcb(query, Product::Milan);
        let tcb = Tcb { fmc: None, bootloader: 4, tee: 0, snp: 24, microcode: 219 };
        assert_eq!(milan("blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219"), Some(tcb));
        assert_eq!(milan("ucodeSPL=219&snpSPL=24&teeSPL=0&blSPL=4"), Some(tcb));
        for bad in [
            "",
            "blSPL=4&teeSPL=0&snpSPL=24",
            "blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=256",
            "blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=219&blSPL=4",
            "blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=219&fmcSPL=0",
            "blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=219&x=1",
        ] {
            assert_eq!(milan(bad), None, "{bad}");
        }
        let turin = |query| parse_tcb(query, Product::Turin);
        assert_eq!(turin("blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=219"), None);
        let tcb = Tcb { fmc: Some(1), ..tcb };
        assert_eq!(turin("fmcSPL=1&blSPL=4&teeSPL=0&snpSPL=24&ucodeSPL=219"), Some(tcb));
    }
}
