//! How guests, operators and brokers reach each other: TLS 1.3, pinned keys, HTTP/1.1 with bounds, backoff.
//!
//! A guest cannot judge a certificate: it has no trusted clock, and a CA that its host controls would vouch for
//! anyone. So [`Client`] demands a proof that the server holds its certificate's key, reports that key as
//! [`Client::peer_key`], and leaves it to the caller to find it in the broker's signed statement before anything
//! of worth is sent, or names the acceptable keys up front ([`Pins`]). What protects keys is HPKE to the attested
//! recipient and the receipt; TLS keeps strangers from watching and from wasting a guest's time.
//!
//! [`WebClient`] is the other case: a public server such as a vendor's certificate service, judged by the system's
//! authorities as browsers do, or over plain `http` where an operator wrote so. What it answers must prove itself.
//!
//! Every step has a time limit and every length a bound. This crate must never decide what a broker is trusted
//! for, retry by itself, or read a clock for anything but a time limit. It is the only one that names `rustls` for
//! TLS.

#![deny(clippy::arithmetic_side_effects)]

mod backoff;
mod client;
mod endpoint;
mod error;
mod http;
mod pins;
mod tls;
mod web;

pub use backoff::Backoff;
pub use client::{Client, Timeouts, UnixClient};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{ClientError, NoAuthorities, ServerConfigError};
pub use http::Response;
pub use hyper::Method;
pub use pins::Pins;
pub use tls::{server_config, spki_sha256};
pub use web::{WebClient, WebUrl, WebUrlError};
