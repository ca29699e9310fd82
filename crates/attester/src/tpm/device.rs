//! [`Tpm`]: a connection to a TPM, and the few commands that are asked of it.
//!
//! What the TPM answers is bounded by the library's structures; loops here have ends of their own.

use std::str::FromStr;

use tss_esapi::abstraction::nv;
use tss_esapi::constants::CapabilityType;
use tss_esapi::handles::{KeyHandle, NvIndexHandle, NvIndexTpmHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::resource_handles::NvAuth;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    AttestInfo, CapabilityData, Data, PcrSelectionList, PcrSlot, Public, SignatureScheme,
};
use tss_esapi::tcti_ldr::TctiNameConf;
use tss_esapi::traits::Marshall;
use tss_esapi::{Context, structures::Attest};

use super::TpmError;
use crate::Tcti;

/// An open connection.
pub(super) struct Tpm {
    pub(super) context: Context,
}

/// A quote, in the form of evidence.
pub(super) struct Quote {
    /// TPMS_ATTEST.
    pub(super) attest: Vec<u8>,
    /// TPMT_SIGNATURE.
    pub(super) signature: Vec<u8>,
    /// Bank, index and value of each quoted PCR.
    pub(super) pcrs: Vec<u8>,
}

/// Values of one bank, by index.
type Values = Vec<(u8, Vec<u8>)>;

impl Tpm {
    pub(super) fn open(tcti: &Tcti) -> Result<Self, TpmError> {
        let open = |source| TpmError::Open { tcti: tcti.clone(), source };
        let name = TctiNameConf::from_str(&tcti.to_string()).map_err(open)?;
        Ok(Self { context: Context::new(name).map_err(open)? })
    }

    /// Whether there is an object or index at a handle.
    pub(super) fn has(&mut self, handle: u32) -> Result<bool, TpmError> {
        let found = self.context.get_capability(CapabilityType::Handles, handle, 1);
        let (found, _) = found.map_err(TpmError::during("say which handles are in use"))?;
        let CapabilityData::Handles(handles) = found else { return Ok(false) };
        Ok(handles.first().is_some_and(|first| u32::from(*first) == handle))
    }

    /// The key at a persistent handle, its public area and its qualified Name.
    pub(super) fn key(&mut self, handle: u32) -> Result<(KeyHandle, Public, Vec<u8>), TpmError> {
        if !self.has(handle)? {
            return Err(TpmError::NoKey { handle });
        }
        let during = || TpmError::during("give a key");
        let place = PersistentTpmHandle::new(handle).map_err(during())?;
        let key = self.context.tr_from_tpm_public(TpmHandle::Persistent(place)).map_err(during())?;
        let key = KeyHandle::from(key);
        let (public, _, qualified) = self.context.read_public(key).map_err(during())?;
        Ok((key, public, qualified.value().to_vec()))
    }

    /// The contents of an NV index, at most `limit` bytes; `None` if there is none.
    pub(super) fn index(&mut self, index: u32, limit: usize) -> Result<Option<Vec<u8>>, TpmError> {
        if !self.has(index)? {
            return Ok(None);
        }
        let during = || TpmError::during("read an nv index");
        let place = NvIndexTpmHandle::new(index).map_err(during())?;
        let object = self.context.tr_from_tpm_public(TpmHandle::NvIndex(place)).map_err(during())?;
        let handle = NvIndexHandle::from(object);
        let (public, _) = self.context.nv_read_public(handle).map_err(during())?;
        if public.data_size() > limit {
            let expected = format!("at most {limit} bytes");
            let got = public.data_size().to_string();
            return Err(TpmError::Answer { what: "length of an nv index", expected, got });
        }
        let by_index = public.attributes().auth_read();
        let authority = if by_index { NvAuth::NvIndex(handle) } else { NvAuth::Owner };
        let read = self.context.execute_with_session(Some(AuthSession::Password), |context| {
            nv::read_full(context, authority, place)
        });
        read.map(Some).map_err(during())
    }

    /// A quote over these PCRs of the first bank that there is, with this extraData, by the key's own scheme.
    pub(super) fn quote(
        &mut self,
        key: KeyHandle,
        extra_data: [u8; 32],
        pcrs: &[u8],
    ) -> Result<Quote, TpmError> {
        let bank = self.bank(pcrs)?;
        for _ in 0..QUOTES {
            let values = self.values(bank, pcrs)?;
            let selection = selection(bank, pcrs)?;
            let data = Data::try_from(extra_data.to_vec()).map_err(TpmError::during("take extra data"))?;
            let quoted = self.context.execute_with_session(Some(AuthSession::Password), |context| {
                context.quote(key, data, SignatureScheme::Null, selection)
            });
            let (attest, signature) = quoted.map_err(TpmError::during("quote"))?;
            if is_of(&attest, &values) {
                let attest = attest.marshall().map_err(TpmError::during("give a quote"))?;
                let signature = signature.marshall().map_err(TpmError::during("give a signature"))?;
                return Ok(Quote { attest, signature, pcrs: encode(bank, &values) });
            }
        }
        Err(TpmError::Unsteady { times: QUOTES })
    }

    /// SHA-256 if the TPM has it, else SHA-384.
    fn bank(&mut self, pcrs: &[u8]) -> Result<HashingAlgorithm, TpmError> {
        for bank in [HashingAlgorithm::Sha256, HashingAlgorithm::Sha384] {
            if !self.values(bank, pcrs)?.is_empty() {
                return Ok(bank);
            }
        }
        Err(TpmError::NoBank)
    }

    /// The PCRs' values in this order; nothing if there is no such bank.
    fn values(&mut self, bank: HashingAlgorithm, pcrs: &[u8]) -> Result<Values, TpmError> {
        let mut values = Values::new();
        for asked in pcrs.chunks(PCRS_AT_ONCE) {
            let during = || TpmError::during("read its pcrs");
            let (_, given, digests) = self.context.pcr_read(selection(bank, asked)?).map_err(during())?;
            let given: Vec<PcrSlot> = given.get_selections().iter().flat_map(|one| one.selected()).collect();
            if digests.is_empty() && values.is_empty() {
                return Ok(Values::new());
            }
            if given.len() != asked.len() || digests.len() != asked.len() {
                let (expected, got) = (asked.len().to_string(), digests.len().to_string());
                return Err(TpmError::Answer { what: "number of pcrs", expected, got });
            }
            values.extend(
                asked.iter().copied().zip(digests.value().iter().map(|value| value.value().to_vec())),
            );
        }
        Ok(values)
    }
}

/// TPMT_PUBLIC with two bytes of length before it.
pub(super) fn sized_public(public: &Public) -> Result<Vec<u8>, TpmError> {
    let bytes = public.marshall().map_err(TpmError::during("give a key"))?;
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    Ok([&len.to_be_bytes()[..], &bytes].concat())
}

/// Whether a quote is of these values; SHA-256 is the hash of every key that quotes here.
fn is_of(attest: &Attest, values: &Values) -> bool {
    let AttestInfo::Quote { info } = attest.attested() else { return false };
    let values: Vec<&[u8]> = values.iter().map(|(_, value)| value.as_slice()).collect();
    info.pcr_digest().value() == crypto::sha256(&values)
}

fn encode(bank: HashingAlgorithm, values: &Values) -> Vec<u8> {
    let bank = u16::from(tss_esapi::constants::AlgorithmIdentifier::from(bank)).to_be_bytes();
    values.iter().flat_map(|(index, value)| [&bank[..], &[*index], value].concat()).collect()
}

fn selection(bank: HashingAlgorithm, pcrs: &[u8]) -> Result<PcrSelectionList, TpmError> {
    let slot = |pcr: &u8| PcrSlot::try_from(1_u32.checked_shl((*pcr).into()).unwrap_or(0));
    let slots = pcrs.iter().map(slot).collect::<Result<Vec<_>, _>>();
    let slots = slots.map_err(TpmError::during("select pcrs"))?;
    let list = PcrSelectionList::builder().with_selection(bank, &slots).build();
    list.map_err(TpmError::during("select pcrs"))
}

/// Most digests in an answer (TPML_DIGEST).
const PCRS_AT_ONCE: usize = 8;
/// How often a quote is tried while PCRs change.
const QUOTES: u32 = 3;
