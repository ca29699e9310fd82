//! PE images made by the test, by an encoder of its own: PE32+, one section behind the other.

/// What an image consists of.
#[derive(Clone, Debug)]
pub struct Image {
    /// Name, bytes in memory, content in the file (padded to 512 bytes there).
    pub sections: Vec<(&'static str, u32, Vec<u8>)>,
    /// What follows the sections.
    pub rest: Vec<u8>,
    /// The certificate table.
    pub certificates: Vec<u8>,
    /// The header's checksum.
    pub checksum: u32,
}

/// Bytes of the headers.
pub const HEADERS: usize = 1024;
/// Where the checksum stands.
pub const CHECKSUM: usize = 0x80 + 24 + 64;
/// Where the certificate table's entry stands.
pub const DIRECTORY: usize = 0x80 + 24 + 144;
/// Where the section table stands.
pub const TABLE: usize = 0x80 + 24 + 240;

impl Image {
    /// An image of these sections, each as long in memory as its content.
    pub fn new(sections: &[(&'static str, &[u8])]) -> Self {
        let sections = sections.iter().map(|(name, data)| (*name, data.len() as u32, data.to_vec()));
        Self {
            sections: sections.collect(),
            rest: Vec::new(),
            certificates: Vec::new(),
            checksum: 0x1234_5678,
        }
    }

    /// The file.
    pub fn file(&self) -> Vec<u8> {
        let mut file = self.head();
        self.sections.iter().for_each(|(_, _, data)| file.extend(padded(data)));
        file.extend(&self.rest);
        let (at, len) = (file.len() as u32, self.certificates.len() as u32);
        put(&mut file, DIRECTORY, &if len > 0 { at } else { 0 }.to_le_bytes());
        put(&mut file, DIRECTORY + 4, &len.to_le_bytes());
        file.extend(&self.certificates);
        file
    }

    fn head(&self) -> Vec<u8> {
        let mut head = vec![0; HEADERS];
        put(&mut head, 0, b"MZ");
        put(&mut head, 0x3c, &0x80_u32.to_le_bytes());
        put(&mut head, 0x80, b"PE\0\0\x64\x86");
        put(&mut head, 0x86, &(self.sections.len() as u16).to_le_bytes());
        put(&mut head, 0x80 + 20, &240_u16.to_le_bytes());
        put(&mut head, 0x80 + 24, &0x20b_u16.to_le_bytes());
        put(&mut head, 0x80 + 24 + 60, &(HEADERS as u32).to_le_bytes());
        put(&mut head, CHECKSUM, &self.checksum.to_le_bytes());
        put(&mut head, 0x80 + 24 + 108, &16_u32.to_le_bytes());
        let (mut place, mut address) = (HEADERS as u32, 0x1000_u32);
        for (index, (name, virtual_len, data)) in self.sections.iter().enumerate() {
            let len = padded(data).len() as u32;
            let row = TABLE + 40 * index;
            put(&mut head, row, name.as_bytes());
            for (field, number) in [*virtual_len, address, len, place].into_iter().enumerate() {
                put(&mut head, row + 8 + 4 * field, &number.to_le_bytes());
            }
            place += len;
            address += virtual_len.div_ceil(0x1000) * 0x1000;
        }
        head
    }
}

/// The bytes up to a multiple of 512.
pub fn padded(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    data.resize(data.len().div_ceil(512) * 512, 0);
    data
}

/// Writes a field.
pub fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}
