//! Structures of TPMs: see [`fuzz::tpm`].
#![no_main]

fuzz::targets! {
    attest => fuzz::tpm::attest,
    boot_facts => fuzz::tpm::boot_facts,
    database_entries => fuzz::tpm::database_entries,
    endorsement_key => fuzz::tpm::endorsement_key,
    event_log => fuzz::tpm::event_log,
    pcr_values => fuzz::tpm::pcr_values,
    public => fuzz::tpm::public,
    signature => fuzz::tpm::signature,
}
