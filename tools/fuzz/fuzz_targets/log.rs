//! The public log: see [`fuzz::log`].
#![no_main]

fuzz::targets! {
    checkpoint => fuzz::log::checkpoint,
    note => fuzz::log::note,
    proof => fuzz::log::proof,
    tile => fuzz::log::tile,
}
