//! Writes event logs, and makes a vTPM boot (TCG PC Client Platform Firmware Profile 1.06, section 10).

use super::VTpm;

/// A crypto-agile log of SHA-256.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventLog {
    /// The events, each encoded (TCG_PCR_EVENT2), to be altered, moved or removed.
    pub events: Vec<Vec<u8>>,
}

impl EventLog {
    /// Appends an event.
    pub fn push(&mut self, pcr: u32, kind: u32, digest: [u8; 32], data: &[u8]) {
        self.events.push(event(pcr, kind, digest, data));
    }

    /// The log: the event that describes it, then the events; empty if there are none.
    pub fn encode(&self) -> Vec<u8> {
        if self.events.is_empty() { Vec::new() } else { [SPEC_ID.to_vec(), self.events.concat()].concat() }
    }
}

/// One event with one digest.
pub fn event(pcr: u32, kind: u32, digest: [u8; 32], data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let digests = [&1_u32.to_le_bytes()[..], &0x000b_u16.to_le_bytes(), &digest].concat();
    [&pcr.to_le_bytes()[..], &kind.to_le_bytes(), &digests, &size.to_le_bytes(), data].concat()
}

/// What a machine boots. Every value is possible, sensible or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootSpec {
    /// Contents of SecureBoot.
    pub secure_boot: Vec<u8>,
    /// Contents of PK, KEK, db and dbx.
    pub databases: [Vec<u8>; 4],
    /// Authenticode digests of boot applications.
    pub applications: Vec<[u8; 32]>,
    /// Sections of a unified kernel image: name with its dot, and contents.
    pub sections: Vec<(String, Vec<u8>)>,
    /// The kernel's command line.
    pub command_line: String,
    /// The initial ramdisk.
    pub initrd: Vec<u8>,
}

impl BootSpec {
    /// A signed unified kernel image under Secure Boot; `name` makes it another image.
    pub fn new(name: &str) -> Self {
        let text = |part: &str| format!("{name} {part}").into_bytes();
        let sections = [".linux", ".osrel", ".cmdline", ".initrd"];
        Self {
            secure_boot: vec![1],
            databases: ["PK", "KEK", "db", "dbx"].map(text),
            applications: vec![crypto::sha256(&[&text("application")])],
            sections: sections.iter().map(|section| ((*section).to_owned(), text(section))).collect(),
            command_line: format!("root={name}"),
            initrd: text("initrd"),
        }
    }
}

impl BootSpec {
    /// What these PCRs hold once it has booted.
    pub fn pcrs<const N: usize>(&self, indices: [u8; N]) -> [claims::tpm::Digest; N] {
        let mut all = [[0; 32]; 24];
        self.measured(&mut |pcr, _, digest, _| {
            if let Some(value) = all.get_mut(usize::from(pcr)) {
                *value = crypto::sha256(&[&*value, &digest]);
            }
        });
        let value = |index: u8| all.get(usize::from(index)).map(|value| value.to_vec()).unwrap_or_default();
        indices.map(|index| claims::tpm::Digest(value(index)))
    }

    /// What firmware, loader and kernel stub measure, to the end of boot services.
    fn measured(&self, measure: Measure<'_>) {
        data(measure, 0, S_CRTM_VERSION, b"simulated firmware\0");
        let [pk, kek, db, dbx] = &self.databases;
        for (guid, name, contents) in [
            (GLOBAL, "SecureBoot", &self.secure_boot),
            (GLOBAL, "PK", pk),
            (GLOBAL, "KEK", kek),
            (IMAGE_SECURITY, "db", db),
            (IMAGE_SECURITY, "dbx", dbx),
        ] {
            data(measure, 7, VARIABLE_DRIVER_CONFIG, &variable(guid, name, contents));
        }
        data(measure, 7, SEPARATOR, &[0; 4]);
        data(measure, 4, ACTION, b"Calling EFI Application from Boot Option");
        (0..7).for_each(|pcr| data(measure, pcr, SEPARATOR, &[0; 4]));
        for application in &self.applications {
            measure(4, BOOT_SERVICES_APPLICATION, *application, b"image at some address");
        }
        for (name, contents) in &self.sections {
            let (data, bare) = (utf16(&format!("{name}\0")), format!("{name}\0"));
            measure(11, IPL, crypto::sha256(&[bare.as_bytes()]), &data);
            measure(11, IPL, crypto::sha256(&[contents]), &data);
        }
        let command_line = utf16(&format!("{}\0", self.command_line));
        measure(9, EVENT_TAG, crypto::sha256(&[&command_line]), &tagged(0x8f3b_22ed, b"LoadOptions\0"));
        measure(9, EVENT_TAG, crypto::sha256(&[&self.initrd]), &tagged(0x8f3b_22ec, b"Linux initrd\0"));
        data(measure, 5, ACTION, b"Exit Boot Services Invocation");
        data(measure, 5, ACTION, b"Exit Boot Services Returned with Success");
    }
}

/// Takes a PCR, the type of an event, what is extended, and the event's data.
type Measure<'a> = &'a mut dyn FnMut(u8, u32, [u8; 32], &[u8]);

/// Measures data whose digest is what is extended.
fn data(measure: Measure<'_>, pcr: u8, kind: u32, data: &[u8]) {
    measure(pcr, kind, crypto::sha256(&[data]), data);
}

impl VTpm {
    /// Boots: measures and logs it all.
    pub fn boot(&mut self, spec: &BootSpec) {
        spec.measured(&mut |pcr, kind, digest, data| self.measure(pcr, kind, digest, data));
    }

    /// Measures data whose digest is what is extended.
    pub fn measure_data(&mut self, pcr: u8, kind: u32, data: &[u8]) {
        self.measure(pcr, kind, crypto::sha256(&[data]), data);
    }
}

/// UEFI_VARIABLE_DATA.
pub fn variable(guid: [u8; 16], name: &str, contents: &[u8]) -> Vec<u8> {
    let length = |len: usize| u64::try_from(len).unwrap_or(u64::MAX).to_le_bytes();
    let (units, text) = (name.encode_utf16().count(), utf16(name));
    [&guid[..], &length(units), &length(contents.len()), &text, contents].concat()
}

fn tagged(tag: u32, data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
    [&tag.to_le_bytes()[..], &size.to_le_bytes(), data].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// EV_SEPARATOR.
pub const SEPARATOR: u32 = 4;
/// EV_EFI_ACTION.
pub const ACTION: u32 = 0x8000_0007;
/// EV_EFI_VARIABLE_DRIVER_CONFIG.
pub const VARIABLE_DRIVER_CONFIG: u32 = 0x8000_0001;
/// EV_EFI_BOOT_SERVICES_APPLICATION.
pub const BOOT_SERVICES_APPLICATION: u32 = 0x8000_0003;
/// EV_IPL.
pub const IPL: u32 = 0x0d;
/// EV_EVENT_TAG.
pub const EVENT_TAG: u32 = 6;
/// EV_S_CRTM_VERSION.
pub const S_CRTM_VERSION: u32 = 8;
/// GUID of SecureBoot, PK and KEK, as logs have it.
pub const GLOBAL: [u8; 16] =
    [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c];
/// GUID of db and dbx, as logs have it.
pub const IMAGE_SECURITY: [u8; 16] =
    [0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f];
/// The event that says: each event has one digest, SHA-256.
const SPEC_ID: [u8; 65] = *b"\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x21\0\0\0\
    Spec ID Event03\0\0\0\0\0\0\x02\0\x02\x01\0\0\0\x0b\0\x20\0\0";
