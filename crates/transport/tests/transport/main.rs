//! Clients against servers on this machine: good ones, slow ones, and false ones.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod exchange;
mod support;
mod tls;
mod web;
