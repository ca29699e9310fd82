//! RSAPSS, whose salt must be as long as the hash: a key and signatures that OpenSSL made, over one quote.

use claims::EvidenceKind;
use evidence::Evidence;
use evidence::tpm::Public;
use simtee::vtpm::evidence::sections;
use verify::tpm::name_of;
use verify::{Authenticated, TpmVerifyError, TrustAnchors, VerifyError};

use crate::table::{NOW, Table, activated, check};

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// Verifies the quote under the key, which is bound to RSAPSS with SHA-256.
fn verify(signature: &str) -> Result<Authenticated, VerifyError> {
    let modulus = hex::decode(MODULUS).unwrap();
    let head = hex::decode("0001000b00050072000000100016000b080000000000").unwrap();
    let ak = [&head[..], &sized(&modulus)].concat();
    let name = name_of(&Public::parse(&ak).unwrap());
    let signature = [&[0, 0x16, 0, 0x0b][..], &sized(&hex::decode(signature).unwrap())].concat();
    let values = [&[0, 0x0b, 0][..], &[0; 32]].concat();
    let (ak, quote) = (sized(&ak), hex::decode(QUOTE).unwrap());
    let bytes = sections(&[(5, &ak), (6, &quote), (7, &signature), (8, &values)]);
    let evidence = Evidence::parse(EvidenceKind::Tpm, &bytes).unwrap();
    let table = Table(vec![(name.clone(), activated(name, None))]);
    check(evidence, &TrustAnchors::none(), &table, NOW)
}

#[test]
fn a_salt_is_as_long_as_the_hash() {
    assert!(verify(SALT_32).is_ok());
    for other in [SALT_20, SALT_222] {
        assert_eq!(verify(other).unwrap_err(), VerifyError::Tpm(TpmVerifyError::Signature));
    }
}

/// The key's modulus.
const MODULUS: &str = "\
    e506d8af5f6fa11f189b9a28066b569d69f5b8e7d075704b6baaec05625aa35077e4fe4400bf9b4a96703f9104f7993b\
    362996c4171f4015ddfe603b24945c3ef0d0259cb972c507a5ffdea820392b21b9fde3b92c3bc7a4d18dc9a1937b7811\
    7806af32c794308ae15cef8c6f84f5dbf6991a5ca2cd1f36592440daa4c59b5d3f0c7e5298d8783df8262275631d51dd\
    1b617665ce57f95972f12ca6e2019f0388952dda967e824f8fd0422df1d2a249e2820a6d069bbd09d05debe464e50c1c\
    4d185b84e88882b965dff4a402f76ead3205b70e2ce6fb6fdac52fead44cc58cdbcaf1dbc67482cee14d49bcc2f7e4b3\
    305c4dbf4c14bbf21ef7b4e4f5bbca2f";
/// TPMS_ATTEST: PCR 0 of SHA-256, of zeros.
const QUOTE: &str = "\
    ff54434780180022000b0909090909090909090909090909090909090909090909090909090909090909000000000000\
    0000ea60000000030000000001000000000000000100000001000b03010000002066687aadf862bd776c8fc18b8e9f8e\
    20089714856ee233b3902a591d0d5f2925";
/// Its signature with a salt of 32 bytes.
const SALT_32: &str = "\
    dfa426b4ef21e69666ed48ed7d64afee34b0bcd92bac72499acd7a7268a722b636e17ffecb2014eb99da18a688c182e8\
    6ded4e4b54686616d42fdd0fab7735a8ba6f0552a1149c43dd94f1085d2f462df2b56a4a6b1edf2ad5030b285076c974\
    d148f53eeaee8938bfe4e46626eddc9da57046edb4d797e4341b642d19f77f405badf57fa73045a0f3afb5c926bb6759\
    162794e510977feb3522f0585cb49fb0a36d3a13ffa170cd0e59f830d25c8fee68865431ed3375edf339afb67fb23b7c\
    9c3824be62b62330285d41535cb06b8e7a9d8dee8a12907ae2d80e19a5c834d32cad8f31194bf8320880d2e3c774257e\
    a2ed364e7806dcd063ccf456fc6b8e08";
/// Its signature with a salt of 20 bytes.
const SALT_20: &str = "\
    79ef6fa422785a1a78ed2e4fe55b0a82a1a749b064b5ab28012204946e5e573b6b5043df05b7156c0d6e35a9108a83ec\
    d88ab165225741be36f855559f090fc0fac9a3a76736bd115dcb5fdb3a75041ee957412c8c6e835a032d075257f41d85\
    98f996b7387e8a91b2f0466cae9ab014dd5acca0c0df921881ada336d45a8aa5196034d8ec2ec33f045637761bafd36b\
    f1857c05f5a893701977a2a7c1b862493a65a2838a1167ce997a3217d4ab8b8c38a2b8b97638ae19efa9d8c4ad5d6603\
    834ab9507c41566c625fd739edd441af4f5d82a9c942a2a3d3fdc46a2b19f9f0b00dfad0b6715e40c0eb3d3845a6407f\
    ee1c843884c04246d202f9ef844741f1";
/// Its signature with a salt of 222 bytes.
const SALT_222: &str = "\
    0bc7ca46d5b3dc4c4b4f5e359c358184c8c4a82cebcb3d3a17c102adbc2457d147720309e63c9dc8a6c33815a31a72a6\
    d350dbb5680d4ac4ef5c6b0688adcbd9389b759a5105caf2e690610c0ffae421a03da5bd86ad5323c994b23a3642f81e\
    530819c0785aeba9f0528d53f8db2c212f322817febed176120ff9116a1d0e3e2f41b2edf43152c378078785b715b69c\
    c485032c8f0320951f4d32fd801feb4ea068421d8aaaa9f9ee078ae9922cb82b2c1ebfc5700caed6f94aed254fdbd2a6\
    638d92b10a5b22f91a794758468b741cb99d344592d19abcc9759fdcf985d0c936496fffb76c885480b748ece5c0de66\
    88fd74f621870ff3d82c3898f30c409b";
