//! Encrypted files: see [`fuzz::envelope`].
#![no_main]

fuzz::targets! {
    envelope_header => fuzz::envelope::header,
    envelope_message => fuzz::envelope::message,
}
