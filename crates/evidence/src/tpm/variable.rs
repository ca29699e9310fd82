//! [`UefiVariable`]: what an event log says of a variable that firmware measured (UEFI_VARIABLE_DATA; TCG PC Client
//! Platform Firmware Profile 1.06, section 10.4). Nothing here says that it was measured.

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UefiVariable<'a> {
    /// The vendor's GUID, in the byte order of logs.
    pub vendor: [u8; 16],
    /// Its name.
    pub name: String,
    /// Its contents.
    pub contents: &'a [u8],
}

impl<'a> UefiVariable<'a> {
    /// GUID, name and contents of exactly the lengths that the data state, or `None`.
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        let (vendor, rest) = data.split_first_chunk::<16>()?;
        let (name_len, rest) = rest.split_first_chunk::<8>()?;
        let (data_len, rest) = rest.split_first_chunk::<8>()?;
        let name_len = usize::try_from(u64::from_le_bytes(*name_len)).ok()?.checked_mul(2)?;
        let (name, contents) = rest.split_at_checked(name_len)?;
        let exact = u64::try_from(contents.len()).ok()? == u64::from_le_bytes(*data_len);
        exact.then_some(())?;
        Some(Self { vendor: *vendor, name: utf16(name)?, contents })
    }

    /// The data of the event that would measure it: [`Self::parse`] gives it again.
    pub fn encode(&self) -> Vec<u8> {
        let length = |len: usize| u64::try_from(len).unwrap_or(u64::MAX).to_le_bytes();
        let units: Vec<u16> = self.name.encode_utf16().collect();
        let name: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        [&self.vendor[..], &length(units.len()), &length(self.contents.len()), &name, self.contents].concat()
    }
}

/// UTF-16, little-endian, to its last byte.
pub fn utf16(bytes: &[u8]) -> Option<String> {
    let (units, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    String::from_utf16(&units).ok().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_as_long_as_it_says() {
        let variable = UefiVariable { vendor: [7; 16], name: "dbx".to_owned(), contents: b"contents" };
        let data = variable.encode();
        assert_eq!((data.len(), UefiVariable::parse(&data)), (16 + 16 + 6 + 8, Some(variable)));
        assert_eq!(UefiVariable::parse(&data[..data.len() - 1]), None);
        assert_eq!(UefiVariable::parse(&[&data[..], &[0]].concat()), None);
        let mut endless = data;
        endless[16..24].fill(0xff);
        assert_eq!(UefiVariable::parse(&endless), None);
    }
}
