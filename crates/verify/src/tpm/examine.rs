//! Every check of a quote, past the first that fails ([`crate::examine`]).

use claims::{EvidenceKind, UnixTime};
use evidence::tpm::{Public, Quote};

use super::ak::{AttestationKey, check_attributes};
use super::{EnrolledKey, EnrolledKeys, azure, boot, enrolled, layout, quote, svsm};
use crate::Check;
use crate::error::hex;
use crate::examine::{Material, Notes};

/// The checks of a bare TPM's evidence.
pub(crate) fn of_tpm(parts: &Material<'_>, table: &dyn EnrolledKeys, now: UnixTime, notes: &mut Notes) {
    let known = parts.ak.and_then(|ak| of_key(ak, table, false, now, notes));
    of_public(parts, known.as_ref(), notes);
}

/// The checks of what Azure's report binds, and of the quote.
pub(crate) fn of_azure(parts: &Material<'_>, notes: &mut Notes) {
    let report = parts.snp.map(|snp| snp.report.fields());
    if let Some(fields) = report {
        notes.settle(|on_check| Ok(azure::requester(fields, EvidenceKind::AzureVtpm, on_check)?));
    }
    let bound = report.zip(parts.runtime);
    if let Some((fields, runtime)) = bound {
        notes.settle(|on_check| Ok(azure::runtime_data(fields, runtime, on_check)?));
    }
    let key = parts.runtime.and_then(|runtime| notes.settle(|on_check| Ok(azure::key(runtime, on_check)?)));
    let Some(quote) = parts.quote else { return };
    if bound.is_some() && notes.all_passed() {
        notes.note(Check::KeyTrust, "the runtime data name it, which the report binds");
    }
    notes.not_applicable(
        Check::KeyAttributes,
        "the runtime data name the key alone; its maker vouches for it",
    );
    of_quote(quote, key.as_ref(), None, notes);
}

/// The checks of what a service module's report binds, and of the quote.
pub(crate) fn of_svsm(parts: &Material<'_>, table: &dyn EnrolledKeys, now: UnixTime, notes: &mut Notes) {
    let report = parts.snp.map(|snp| snp.report.fields());
    if let Some(fields) = report {
        notes.settle(|on_check| Ok(azure::requester(fields, EvidenceKind::Svsm, on_check)?));
    }
    let known = parts.ak.and_then(|ak| of_key(ak, table, true, now, notes));
    if let Some((manifest, known)) = parts.manifest.zip(known.as_ref()) {
        notes.settle(|on_check| Ok(svsm::endorsement_key(manifest, known, on_check)?));
    }
    if let Some((fields, _)) = report.zip(parts.manifest) {
        notes.note(Check::Manifest, format!("report data {}", fields.report_data));
    }
    of_public(parts, known.as_ref(), notes);
}

fn of_key(
    ak: &Public,
    table: &dyn EnrolledKeys,
    in_tee: bool,
    now: UnixTime,
    notes: &mut Notes,
) -> Option<EnrolledKey> {
    let trusted = notes.settle(|on_check| Ok(enrolled::trust(ak, table, in_tee, now, on_check)?));
    trusted.map(|trusted| trusted.known)
}

/// A quote under the key of a public area, whether that is believed or not.
fn of_public(parts: &Material<'_>, known: Option<&EnrolledKey>, notes: &mut Notes) {
    let key = parts.ak.and_then(|ak| notes.settle(|_| Ok(AttestationKey::of_public(ak)?)));
    if let Some(ak) = parts.ak {
        notes.settle(|on_check| Ok(check_attributes(ak.fields().attributes, on_check)?));
    }
    if let Some(quote) = parts.quote {
        of_quote(quote, key.as_ref(), known, notes);
    }
}

/// That parsing found a quote.
pub(crate) fn quote_layout(notes: &mut Notes) {
    notes.settle(|on_check| {
        layout(on_check);
        Ok(())
    });
}

fn of_quote(quote: &Quote, key: Option<&AttestationKey>, known: Option<&EnrolledKey>, notes: &mut Notes) {
    quote_layout(notes);
    if let Some(key) = key {
        notes.settle(|on_check| Ok(quote::signature(quote, key, on_check)?));
    }
    match known.and_then(|known| known.qualified_name.as_ref()) {
        Some(signer) => {
            notes.settle(|on_check| Ok(quote::qualified_signer(quote, Some(signer), on_check)?));
        }
        None => notes.not_applicable(Check::QualifiedSigner, "the key's parents are not known"),
    }
    notes.note(Check::ExtraData, hex(&quote.attest.fields().extra_data).to_string());
    let selected = notes.settle(|on_check| Ok(quote::selection(quote, on_check)?));
    let digested =
        key.and_then(|key| notes.settle(|on_check| Ok(quote::pcr_digest(quote, key.hash, on_check)?)));
    if quote.log.is_none() {
        notes.not_applicable(Check::EventLog, "no event log came along");
    }
    // Values that were not quoted prove nothing of a log.
    if selected.and(digested).is_some()
        && let Some(verified) = notes.settle(|on_check| Ok(quote::claimed(quote, on_check)?))
    {
        notes.settle(|on_check| Ok(boot::of_quote(quote, &verified, on_check)?));
    }
}
