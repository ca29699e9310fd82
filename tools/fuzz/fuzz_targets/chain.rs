//! Certificates and revocation lists: see [`fuzz::chain`].
#![no_main]

fuzz::targets! {
    certificates => fuzz::chain::certificates,
    chain => fuzz::chain::chain,
    crl => fuzz::chain::crl,
    thim => fuzz::chain::thim,
}
