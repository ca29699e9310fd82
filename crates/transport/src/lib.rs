//! TLS set-up, key pinning, HTTP client, backoff.
