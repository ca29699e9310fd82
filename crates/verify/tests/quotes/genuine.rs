//! Quotes of swtpm behind OVMF, and the attack on verifiers that read PCRs by their position.

use std::collections::BTreeMap;

use claims::tpm::{AkBinding, HashAlgorithm};
use claims::{EvidenceKind, GuestIdentity, OsBinding};
use evidence::Evidence;
use evidence::tpm::{KeyFields, Public};
use simtee::vtpm::evidence::sections;
use verify::tpm::{name_of, qualified_name};
use verify::{NoEnrolledKeys, TpmVerifyError, TrustAnchors, VerifyError};

use crate::folder::{read, read_text};
use crate::table::{NOW, Table, activated, check};

/// One boot of `tpm/qemu-ovmf`.
struct Boot {
    ak: Vec<u8>,
    ek: Public,
    quote: Vec<u8>,
    signature: Vec<u8>,
    log: Vec<u8>,
    pcrs: BTreeMap<(u16, u8), Vec<u8>>,
}

fn boot(name: &str) -> Option<Boot> {
    let part = |file: &str| read(&format!("tpm/qemu-ovmf/{name}/{file}"));
    let text = read_text(&format!("tpm/qemu-ovmf/{name}/pcrs.txt"))?;
    let pcr = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let bank: HashAlgorithm = words[0].parse().unwrap();
        ((bank.id(), words[1].parse().unwrap()), hex::decode(words[2]).unwrap())
    };
    Some(Boot {
        ak: part("ak.tss")?,
        ek: Public::parse_sized(&part("ek.pub")?).unwrap(),
        quote: part("quote.msg")?,
        signature: part("quote.sig")?,
        log: part("eventlog.bin")?,
        pcrs: text.lines().map(pcr).collect(),
    })
}

impl Boot {
    /// The values that the quote selects: sha256 0 to 15, sha384 0 to 9.
    fn values(&self) -> Vec<u8> {
        let all = (0..16).map(|index| (0x0b, index)).chain((0..10).map(|index| (0x0c, index)));
        all.flat_map(|(bank, index): (u16, u8)| {
            [&bank.to_be_bytes()[..], &[index], &self.pcrs[&(bank, index)]].concat()
        })
        .collect()
    }

    fn evidence(&self, values: &[u8], log: Option<&[u8]>) -> Evidence {
        let mut parts = vec![(5, &self.ak[..]), (6, &self.quote), (7, &self.signature), (8, values)];
        parts.extend(log.map(|log| (9, log)));
        Evidence::parse(EvidenceKind::Tpm, &sections(&parts)).unwrap()
    }

    fn table(&self) -> Table {
        let (ak, ek) = (name_of(&Public::parse_sized(&self.ak).unwrap()), name_of(&self.ek));
        let parent = qualified_name(&0x4000_000b_u32.to_be_bytes(), &ek);
        let qualified = qualified_name(&parent.to_bytes(), &ak);
        Table(vec![(ak, activated(ek, Some(qualified)))])
    }
}

#[test]
fn a_genuine_boot_verifies_and_says_what_it_booted() {
    for (name, secure_boot, applications) in
        [("tcg-crb", false, 1), ("tcg-tis", false, 1), ("tcg-snakeoil-uki", true, 1)]
    {
        let Some(boot) = boot(name) else { continue };
        let evidence = boot.evidence(&boot.values(), Some(&boot.log));
        let authenticated = check(evidence, &TrustAnchors::none(), &boot.table(), NOW).unwrap();
        assert_eq!(authenticated.os_binding(), OsBinding::HostVtpm);
        assert_eq!(authenticated.guest_identity(), GuestIdentity::Enrolled);
        let tpm = authenticated.tpm().unwrap();
        assert_eq!((tpm.ak_binding, tpm.bank), (AkBinding::EkCertificate, HashAlgorithm::Sha256));
        let ak_name = read(&format!("tpm/qemu-ovmf/{name}/ak.name")).unwrap();
        assert_eq!(tpm.ak_name.as_ref().unwrap().to_bytes(), ak_name);
        assert_eq!(tpm.pcrs[&4].0, boot.pcrs[&(0x0b, 4)]);
        assert!(tpm.safe && tpm.reset_count == 2);
        assert!(!tpm.pcrs.contains_key(&12), "nothing was measured into pcr 12");

        let facts = tpm.boot.as_ref().unwrap();
        assert_eq!(facts.secure_boot, Some(secure_boot));
        assert_eq!((facts.applications.len(), facts.boot_services_exited), (applications, Some(true)));
        let text = read_text(&format!("tpm/qemu-ovmf/{name}/cmdline.txt")).unwrap();
        let utf16: Vec<u8> = format!("{}\0", text.trim()).encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(facts.command_line.as_ref().unwrap().0, crypto::sha256(&[&utf16]));
        if secure_boot {
            let names: Vec<_> = facts.sections.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, [".linux", ".osrel", ".cmdline", ".initrd"]);
            assert_eq!(facts.sections[2].1.0, crypto::sha256(&[text.trim().as_bytes()]));
            assert_eq!(facts.initrd.as_ref(), Some(&facts.sections[3].1));
        }
    }
}

#[test]
fn without_enrolment_or_under_another_parent_the_key_proves_nothing() {
    let Some(boot) = boot("tcg-crb") else { return };
    let evidence = || boot.evidence(&boot.values(), None);
    let endorsements = verify::Endorsements::default();
    let anchors = TrustAnchors::none();
    let nobody = verify::authenticate_enrolled(
        evidence(),
        &endorsements,
        &anchors,
        &NoEnrolledKeys,
        NOW,
        &mut |_, _| (),
    );
    let (name, key) = boot.table().0.remove(0);
    assert_eq!(nobody.unwrap_err(), VerifyError::Tpm(TpmVerifyError::AkUnknown { name: name.clone() }));

    let got = key.qualified_name.clone().unwrap();
    let table = Table(vec![(name.clone(), activated(key.ek.unwrap(), Some(name.clone())))]);
    let error = check(evidence(), &anchors, &table, NOW).unwrap_err();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::QualifiedSigner { expected: name, got }));
}

#[test]
fn no_bit_of_a_genuine_quote_can_be_flipped() {
    let Some(mut boot) = boot("tcg-snakeoil-uki") else { return };
    let (table, values) = (boot.table(), boot.values());
    let whole = boot.quote.clone();
    for bit in 0..whole.len() * 8 {
        boot.quote = whole.clone();
        boot.quote[bit / 8] ^= 1 << (bit % 8);
        let parts = [(5, &boot.ak[..]), (6, &boot.quote), (7, &boot.signature), (8, &values)];
        let parsed = Evidence::parse(EvidenceKind::Tpm, &sections(&parts));
        let believed =
            parsed.is_ok_and(|evidence| check(evidence, &TrustAnchors::none(), &table, NOW).is_ok());
        assert!(!believed, "bit {bit}");
    }
}

/// `tpm2-tools`' own file of PCR values: 132 bytes of selection, then lists of at most eight digests.
fn values_of(pcrs: &[u8]) -> Vec<Vec<u8>> {
    let lists = pcrs[136..].chunks(532);
    lists
        .flat_map(|list| {
            let count = u32::from_le_bytes(list[..4].try_into().unwrap());
            (0..count as usize).map(|i| list[4 + i * 66 + 2..][..32].to_vec()).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn a_resettable_pcr_is_never_read_as_another() {
    let file = |name: &str| read(&format!("tpm/attack-swtpm/{name}"));
    let Some(ak) = file("ak.tss") else { return };
    let evidence = |name: &str, indices: &[u8]| {
        let values = values_of(&file(&format!("{name}.pcrs")).unwrap());
        let named = indices.iter().zip(&values);
        let named: Vec<u8> = named.flat_map(|(i, v)| [&[0, 0x0b, *i][..], v].concat()).collect();
        let (quote, sig) = (file(&format!("{name}.msg")).unwrap(), file(&format!("{name}.sig")).unwrap());
        let parts = [(5, &ak[..]), (6, &quote), (7, &sig), (8, &named)];
        Evidence::parse(EvidenceKind::Tpm, &sections(&parts)).unwrap()
    };
    let name = name_of(&Public::parse_sized(&ak).unwrap());
    let table = Table(vec![(name.clone(), activated(name, None))]);
    let verify = |evidence| check(evidence, &TrustAnchors::none(), &table, NOW);

    let to_11: Vec<u8> = (0..12).collect();
    let honest = verify(evidence("honest", &to_11)).unwrap();
    let dirty = honest.tpm().unwrap().pcrs[&11].clone();

    // Relabelled as PCR 11, the reset and replayed PCR 16 is refused by the signed selection.
    let error = verify(evidence("spoof", &to_11)).unwrap_err();
    let expected = "sha256:0,1,2,3,4,5,6,7,8,9,10,16".to_owned();
    let got = "sha256:0,1,2,3,4,5,6,7,8,9,10,11".to_owned();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::Selection { expected, got }));

    // Under its own name it is no claim, and PCR 11 is not there at all.
    let to_16: Vec<u8> = (0..11).chain([16]).collect();
    let spoof = verify(evidence("spoof", &to_16)).unwrap();
    let pcrs = &spoof.tpm().unwrap().pcrs;
    assert!(!pcrs.contains_key(&11) && !pcrs.contains_key(&16));
    assert!(!pcrs.values().any(|value| *value == dirty));
}

/// The same key as `tpm2-tools` print it: its numbers stand in the public area.
#[test]
fn public_areas_are_of_the_keys_that_lie_beside_them() {
    for folder in ["attack-swtpm", "qemu-ovmf/tcg-crb", "qemu-ovmf/tcg-tis", "qemu-ovmf/tcg-snakeoil-uki"] {
        let file = |name: &str| read(&format!("tpm/{folder}/{name}"));
        let (Some(ak), Some(pem)) = (file("ak.tss"), file("ak.pem")) else { continue };
        let text = String::from_utf8(pem).unwrap();
        let spki =
            crate::published::base64(&text.lines().filter(|line| !line.starts_with('-')).collect::<String>());
        let numbers = match &Public::parse_sized(&ak).unwrap().fields().key {
            KeyFields::Rsa { modulus, .. } => vec![modulus.clone()],
            KeyFields::Ecc { x, y, .. } => vec![x.clone(), y.clone()],
        };
        let stands =
            |number: &Vec<u8>| number.len() >= 32 && spki.windows(number.len()).any(|part| part == *number);
        assert!(numbers.iter().all(stands), "{folder}");
    }
}
