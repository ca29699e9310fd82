//! Firmware made by the test: edk2's layout at the end of an image, by an encoder of its own.

/// What an image says about itself.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// 4096-byte pages of the image.
    pub pages: usize,
    /// What fills the image.
    pub filling: u8,
    /// Where other vCPUs start.
    pub reset_eip: Option<u32>,
    /// Where kernel hashes are looked for.
    pub hash_table: Option<u32>,
    /// Address, length and type of each section.
    pub sections: Vec<(u32, u32, u32)>,
}

impl Firmware {
    /// Like a build of `OvmfPkg/AmdSev`.
    pub fn amd_sev() -> Self {
        let sections = vec![
            (0x80_0000, 0x9000, 1),
            (0x80_a000, 0x3000, 1),
            (0x80_d000, 0x1000, 2),
            (0x80_e000, 0x1000, 3),
            (0x80_f000, 0x1000, 4),
            (0x81_0000, 0x1000, 0x10),
            (0x81_1000, 0xf000, 1),
        ];
        Self { pages: 3, filling: 0xa5, reset_eip: Some(0x80_b004), hash_table: Some(0x81_0c00), sections }
    }

    /// The image.
    pub fn image(&self) -> Vec<u8> {
        let mut image = vec![self.filling; self.pages * 4096];
        let metadata = self.metadata();
        let metadata_at = image.len() - 1024;
        image[metadata_at..metadata_at + metadata.len()].copy_from_slice(&metadata);
        let table = self.table(1024);
        let table_at = image.len() - 32 - table.len();
        image[table_at..table_at + table.len()].copy_from_slice(&table);
        image
    }

    fn metadata(&self) -> Vec<u8> {
        let len = 16 + 12 * self.sections.len() as u32;
        let mut bytes = b"ASEV".to_vec();
        [len, 1, self.sections.len() as u32].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        for (gpa, len, kind) in &self.sections {
            [gpa, len, kind].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        }
        bytes
    }

    /// The footer table, its own entry last.
    fn table(&self, metadata_from_end: u32) -> Vec<u8> {
        let mut table = entry(b"an entry of no meaning", "12345678-9abc-def0-1122-334455667788");
        if let Some(eip) = self.reset_eip {
            table.extend(entry(&eip.to_le_bytes(), "00f771de-1a7e-4fcb-890e-68c77e2fb44e"));
        }
        if let Some(gpa) = self.hash_table {
            let data = [gpa.to_le_bytes(), 0x400_u32.to_le_bytes()].concat();
            table.extend(entry(&data, "7255371f-3a3b-4b04-927b-1da6efa8d454"));
        }
        table.extend(entry(&metadata_from_end.to_le_bytes(), "dc886566-984a-4798-a75e-5585a7bf67cc"));
        let whole = (table.len() + 18) as u16;
        table.extend(whole.to_le_bytes());
        table.extend(guid("96b582de-1fb2-45f7-baea-a366c55a082d"));
        table
    }
}

fn entry(data: &[u8], name: &str) -> Vec<u8> {
    let len = (data.len() + 18) as u16;
    [data, &len.to_le_bytes(), &guid(name)].concat()
}

/// A GUID's text as UEFI stores it.
fn guid(text: &str) -> Vec<u8> {
    let groups: Vec<Vec<u8>> = text
        .split('-')
        .map(|group| {
            (0..group.len()).step_by(2).map(|i| u8::from_str_radix(&group[i..i + 2], 16).unwrap()).collect()
        })
        .collect();
    let little = groups[..3].iter().flat_map(|group| group.iter().rev());
    little.chain(groups[3..].iter().flatten()).copied().collect()
}
