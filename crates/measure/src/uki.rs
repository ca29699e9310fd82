//! A unified kernel image (UKI): what firmware, systemd's stub and the kernel measure when it boots.
//!
//! | PCR | event | digest of | source |
//! |-|-|-|-|
//! | 4 | EV_EFI_ACTION, EV_SEPARATOR | `Calling EFI Application from Boot Option`; four zeros | TCG PC Client, 3.3.4.5 |
//! | 4 | EV_EFI_BOOT_SERVICES_APPLICATION | the file, as Authenticode hashes it | the same |
//! | 11 | EV_IPL, twice for each section | its name with a NUL; its bytes in memory | systemd, `src/boot/stub.c`, `src/fundamental/uki.c` |
//! | 9 | EV_EVENT_TAG 0x8f3b22ed | the command line in UTF-16 with its NUL | Linux, `drivers/firmware/efi/libstub` (6.1 and later) |
//! | 9 | EV_EVENT_TAG 0x8f3b22ec | the initrd as the stub hands it over | the same |
//!
//! PCR 4 holds for a firmware that boots the image first, from a boot option, without a loader before it. Later
//! extensions, such as those of systemd-pcrphase to PCR 11, are not part of the image. Where an image does not decide
//! a value, there is none, and a reason.

use std::io::{self, Read, Seek, SeekFrom};

use crate::{Bank, Digests, Pcr, PeError, PeImage, PeSection};

/// A release of systemd's stub, by its major version; it decides which sections are measured, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StubVersion(u16);

/// One extension of a PCR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEvent {
    /// Which PCR.
    pub pcr: u32,
    /// What is measured, for people.
    pub what: String,
    /// Its digests.
    pub digests: Digests,
}

/// What an image consists of, as far as it is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UkiParts {
    /// The stub.
    pub stub: StubVersion,
    /// The Authenticode hashes of the file.
    pub authenticode: Digests,
    /// Zeros that a signing tool would add to the file, 0 to 7, and by which the signed file has other hashes.
    pub signing_adds: u64,
    /// The measured sections with the digests of their bytes in memory, in the order in which they are measured.
    pub sections: Vec<(&'static str, Digests)>,
    /// The bytes of `.cmdline` up to a NUL, if there is such a section.
    pub command_line: Option<Vec<u8>>,
    /// Whether there is a section `.pcrsig`, which is not measured and goes into the initrd.
    pub pcr_signature: bool,
}

/// Why PCR 9 is not decided by the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Undecided {
    /// The command line comes from elsewhere.
    #[error("the image has no .cmdline: its boot entry decides the command line")]
    NoCommandLine,
    /// Stubs change such a command line, each in its way.
    #[error(
        "the command line is no UTF-8, has control characters, or space at an end, which stubs change: write it \
         without"
    )]
    CommandLine,
    /// The stub packs other things beside the initrd.
    #[error("the stub adds {0} to the initrd")]
    AddedToInitrd(&'static str),
}

/// An image that is no UKI, or one that this does not understand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UkiError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The headers are malformed.
    #[error(transparent)]
    Pe(#[from] PeError),
    /// A PE image without a kernel.
    #[error("not a unified kernel image: expected a section `.linux`, as ukify makes it")]
    NoKernel,
    /// The stub does not say who it is.
    #[error("the image does not say which systemd-stub it was made with: name its version")]
    StubMissing,
    /// A release whose measurements are not known here.
    #[error("systemd-stub {got} is not known: expected 252, or 254 to 258; name one that measures the same")]
    Stub {
        /// The version.
        got: u16,
    },
    /// More than one section of a name, of which the stub would choose one.
    #[error(
        "the image has several sections `{name}`: which one is measured depends on the machine or the profile"
    )]
    Repeated {
        /// Its name.
        name: &'static str,
    },
    /// A section that takes much more memory than the file has for it.
    #[error("section `{name}` is {got} bytes in memory: expected at most {limit} more than in the file")]
    Stretched {
        /// Its name.
        name: &'static str,
        /// Bytes in memory.
        got: u32,
        /// Most zeros allowed behind its bytes.
        limit: u64,
    },
    /// A command line longer than a kernel takes.
    #[error("the command line is too long: expected at most {limit} bytes, got {got}")]
    CommandLine {
        /// Most bytes allowed.
        limit: u32,
        /// Bytes of the section.
        got: u32,
    },
}

impl StubVersion {
    /// Takes a major version whose measurements are known.
    ///
    /// # Errors
    /// [`UkiError::Stub`] for any other.
    pub fn new(major: u16) -> Result<Self, UkiError> {
        if matches!(major, 252 | 254..=258) { Ok(Self(major)) } else { Err(UkiError::Stub { got: major }) }
    }

    /// The major version.
    pub fn major(self) -> u16 {
        self.0
    }

    /// The sections that it measures if they are there, in its order.
    pub fn measured(self) -> impl Iterator<Item = &'static str> {
        MEASURED.into_iter().filter(move |(since, _)| *since <= self.0).map(|(_, name)| name)
    }
}

impl UkiParts {
    /// Reads an image. `stub` overrides what the image says about itself.
    ///
    /// # Errors
    /// [`UkiError`], for what its variants say.
    pub fn read<R: Read + Seek>(file: &mut R, stub: Option<StubVersion>) -> Result<Self, UkiError> {
        let image = PeImage::read(file)??;
        if find(&image, ".linux")?.is_none() {
            return Err(UkiError::NoKernel);
        }
        let stub = stub.map_or_else(|| stub_of(&image, file), Ok)?;
        let mut sections = Vec::new();
        for name in stub.measured() {
            if let Some(section) = find(&image, name)? {
                sections.push((name, digests(section, name, file)?));
            }
        }
        let command_line =
            find(&image, ".cmdline")?.map(|section| command_line(section, file)).transpose()?;
        let pcr_signature = find(&image, PCR_SIGNATURE)?.is_some();
        let (authenticode, signing_adds) = (image.authenticode(file)?, image.signing_adds());
        Ok(Self { stub, authenticode, signing_adds, sections, command_line, pcr_signature })
    }

    /// What is extended into PCR 4, 11 and, if the image decides it, 9, in the order of a boot.
    pub fn events(&self) -> Vec<BootEvent> {
        let event = |pcr, what: &str, digests| BootEvent { pcr, what: what.to_owned(), digests };
        let mut events = vec![
            event(4, CALLING, Digests::of(&[CALLING.as_bytes()])),
            event(4, "separator", Digests::of(&[&[0; 4]])),
            event(4, "image, Authenticode", self.authenticode),
        ];
        for (name, digests) in &self.sections {
            events.push(event(11, &format!("{name}, its name"), Digests::of(&[name.as_bytes(), &[0]])));
            events.push(event(11, name, *digests));
        }
        if let Ok(line) = self.load_options() {
            events.push(event(9, "command line, UTF-16", Digests::of(&[&line])));
            events.extend(self.digests(".initrd").map(|digests| event(9, "initrd", digests)));
        }
        events
    }

    /// A PCR after those events; `None` for one that they do not decide.
    pub fn pcr(&self, index: u32, bank: Bank) -> Option<Pcr> {
        let events = self.events().into_iter().filter(|event| event.pcr == index);
        events.map(|event| event.digests).fold(None, |pcr, digests| {
            let before = pcr.unwrap_or_else(|| Pcr::new(bank));
            Some(before.extended(&digests))
        })
    }

    /// Why PCR 9 is not among [`Self::events`], if it is not.
    pub fn undecided(&self) -> Option<Undecided> {
        self.load_options().err()
    }

    /// The digests of a section.
    pub fn digests(&self, name: &str) -> Option<Digests> {
        self.sections.iter().find(|(found, _)| *found == name).map(|(_, digests)| *digests)
    }

    /// The command line as the kernel is handed it: UTF-16, little-endian, with a NUL.
    fn load_options(&self) -> Result<Vec<u8>, Undecided> {
        let line = self.command_line.as_deref().ok_or(Undecided::NoCommandLine)?;
        let line = core::str::from_utf8(line).map_err(|_| Undecided::CommandLine)?;
        if line.is_empty() {
            return Err(Undecided::NoCommandLine);
        }
        if line.trim() != line || line.chars().any(char::is_control) {
            return Err(Undecided::CommandLine);
        }
        let packed = PACKED.into_iter().find(|(since, name)| *since <= self.stub.0 && self.has(name));
        match packed {
            Some((_, name)) => Err(Undecided::AddedToInitrd(name)),
            None => Ok(line.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.digests(name).is_some() || (name == PCR_SIGNATURE && self.pcr_signature)
    }
}

/// The only section of a name that is not empty.
fn find<'a>(image: &'a PeImage, name: &'static str) -> Result<Option<&'a PeSection>, UkiError> {
    let mut found = image.sections().iter().filter(|section| section.name == name && section.virtual_len > 0);
    let first = found.next();
    if found.next().is_some() { Err(UkiError::Repeated { name }) } else { Ok(first) }
}

/// A section's bytes in memory: those of the file, and zeros as far as it goes on.
fn digests<R: Read + Seek>(
    section: &PeSection,
    name: &'static str,
    file: &mut R,
) -> Result<Digests, UkiError> {
    let virtual_len = u64::from(section.virtual_len);
    let stored = section.file.end.saturating_sub(section.file.start).min(virtual_len);
    let zeros = virtual_len.saturating_sub(stored);
    if zeros > MAX_ZEROS {
        return Err(UkiError::Stretched { name, got: section.virtual_len, limit: MAX_ZEROS });
    }
    let start = section.file.start;
    let stored = core::iter::once(start..start.saturating_add(stored)).collect::<Vec<_>>();
    Ok(Digests::of_ranges(file, &stored, zeros)?)
}

/// The version that the stub has in its section `.sdmagic`: `#### LoaderInfo: systemd-stub 252.39-1 ####`.
fn stub_of<R: Read + Seek>(image: &PeImage, file: &mut R) -> Result<StubVersion, UkiError> {
    let section = find(image, ".sdmagic")?.ok_or(UkiError::StubMissing)?;
    let magic = String::from_utf8_lossy(&stored(section, MAX_MAGIC, file)?).into_owned();
    let (_, version) = magic.split_once("systemd-stub ").ok_or(UkiError::StubMissing)?;
    let major: String = version.chars().take_while(char::is_ascii_digit).collect();
    StubVersion::new(major.parse().map_err(|_| UkiError::StubMissing)?)
}

fn command_line<R: Read + Seek>(section: &PeSection, file: &mut R) -> Result<Vec<u8>, UkiError> {
    let (limit, got) = (MAX_COMMAND_LINE, section.virtual_len);
    if got > limit {
        return Err(UkiError::CommandLine { limit, got });
    }
    let mut line = stored(section, limit, file)?;
    line.truncate(line.iter().position(|byte| *byte == 0).unwrap_or(line.len()));
    Ok(line)
}

/// The bytes that the file has for a section, `limit` of them at most.
fn stored<R: Read + Seek>(section: &PeSection, limit: u32, file: &mut R) -> io::Result<Vec<u8>> {
    let len = section.file.end.saturating_sub(section.file.start);
    let len = len.min(u64::from(section.virtual_len)).min(u64::from(limit));
    file.seek(SeekFrom::Start(section.file.start))?;
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What firmware measures before it starts what a boot option names.
const CALLING: &str = "Calling EFI Application from Boot Option";
/// The section that holds signatures of PCR 11's value.
const PCR_SIGNATURE: &str = ".pcrsig";
/// Sections in the order in which they are measured, each with the first version that does so.
const MEASURED: [(u16, &str); 14] = [
    (252, ".linux"),
    (252, ".osrel"),
    (252, ".cmdline"),
    (252, ".initrd"),
    (256, ".ucode"),
    (252, ".splash"),
    (252, ".dtb"),
    (254, ".uname"),
    (254, ".sbat"),
    (252, ".pcrpkey"),
    (257, ".profile"),
    (257, ".dtbauto"),
    (257, ".hwids"),
    (258, ".efifw"),
];
/// Sections that go into the initrd, each with the first version that does so.
const PACKED: [(u16, &str); 5] =
    [(252, PCR_SIGNATURE), (252, ".pcrpkey"), (256, ".ucode"), (257, ".profile"), (257, ".osrel")];
/// Most zeros behind a section's bytes: an uncompressed kernel's own.
const MAX_ZEROS: u64 = 256 * 1024 * 1024;
/// Most bytes of a command line.
const MAX_COMMAND_LINE: u32 = 64 * 1024;
/// Bytes of `.sdmagic` that are looked at.
const MAX_MAGIC: u32 = 256;
