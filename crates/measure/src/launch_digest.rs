//! The launch digest: each page that the host adds is chained into it (AMD SEV-SNP ABI 1.58, 8.17.2,
//! SNP_LAUNCH_UPDATE; table 67, PAGE_INFO).
//!
//! `digest := SHA-384(PAGE_INFO)`, where PAGE_INFO is, in 112 bytes: the digest so far (48), the page's SHA-384 or
//! zeros (48), its own length (u16), the page's type, IMI_PAGE, the permissions of VMPL 3, 2 and 1, a reserved byte,
//! and the guest physical address (u64), all little-endian.

use claims::Measurement;

/// The digest of the pages added so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchDigest([u8; 48]);

/// PAGE_TYPE, and what stands for the page's content.
#[derive(Clone, Copy)]
enum Page {
    /// PAGE_TYPE_NORMAL: measured.
    Normal([u8; 48]),
    /// PAGE_TYPE_VMSA: measured.
    Vmsa([u8; 48]),
    /// PAGE_TYPE_ZERO: known to be zero.
    Zero,
    /// PAGE_TYPE_UNMEASURED: its content is the host's choice.
    Unmeasured,
    /// PAGE_TYPE_SECRETS: the firmware's choice.
    Secrets,
    /// PAGE_TYPE_CPUID: checked by the firmware, not measured.
    Cpuid,
}

impl LaunchDigest {
    /// The digest of no page.
    pub fn new() -> Self {
        Self([0; 48])
    }

    /// The digest after the firmware's pages, worked out before.
    pub fn after(firmware: Measurement) -> Self {
        Self(firmware.0)
    }

    /// What the report will say.
    pub fn measurement(&self) -> Measurement {
        Measurement(self.0)
    }

    /// Adds measured pages, the first at `gpa`. Bytes after the last whole page are not looked at.
    pub(crate) fn add_normal(&mut self, gpa: u64, bytes: &[u8]) {
        let pages = bytes.chunks_exact(PAGE_LEN);
        for (page, gpa) in pages.zip(page_addresses(gpa)) {
            self.add(Page::Normal(crypto::sha384(&[page])), gpa);
        }
    }

    /// Adds `len` bytes of zero pages.
    pub(crate) fn add_zero(&mut self, gpa: u64, len: u64) {
        pages_of(gpa, len).for_each(|gpa| self.add(Page::Zero, gpa));
    }

    /// Adds `len` bytes of pages whose content the host may choose.
    pub(crate) fn add_unmeasured(&mut self, gpa: u64, len: u64) {
        pages_of(gpa, len).for_each(|gpa| self.add(Page::Unmeasured, gpa));
    }

    /// Adds the secrets page.
    pub(crate) fn add_secrets(&mut self, gpa: u64) {
        self.add(Page::Secrets, gpa);
    }

    /// Adds the page of CPUID values.
    pub(crate) fn add_cpuid(&mut self, gpa: u64) {
        self.add(Page::Cpuid, gpa);
    }

    /// Adds a vCPU's initial state, of which `sha384` is the digest.
    pub(crate) fn add_vmsa(&mut self, sha384: [u8; 48]) {
        self.add(Page::Vmsa(sha384), VMSA_GPA);
    }

    fn add(&mut self, page: Page, gpa: u64) {
        let (kind, contents) = match page {
            Page::Normal(sha384) => (1, sha384),
            Page::Vmsa(sha384) => (2, sha384),
            Page::Zero => (3, [0; 48]),
            Page::Unmeasured => (4, [0; 48]),
            Page::Secrets => (5, [0; 48]),
            Page::Cpuid => (6, [0; 48]),
        };
        let [len_low, len_high] = PAGE_INFO_LEN.to_le_bytes();
        let kind = [len_low, len_high, kind, 0, 0, 0, 0, 0];
        self.0 = crypto::sha384(&[&self.0, &contents, &kind, &gpa.to_le_bytes()]);
    }
}

impl Default for LaunchDigest {
    fn default() -> Self {
        Self::new()
    }
}

fn page_addresses(gpa: u64) -> impl Iterator<Item = u64> {
    (gpa..).step_by(PAGE_LEN)
}

fn pages_of(gpa: u64, len: u64) -> impl Iterator<Item = u64> {
    (gpa..gpa.saturating_add(len)).step_by(PAGE_LEN)
}

/// Bytes of a page.
pub(crate) const PAGE_LEN: usize = 4096;
/// Where vCPU states lie: page-aligned, bits above 51 cleared, of the address -1.
const VMSA_GPA: u64 = 0xffff_ffff_f000;
/// Bytes of PAGE_INFO.
const PAGE_INFO_LEN: u16 = 0x70;
