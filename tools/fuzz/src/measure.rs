//! Files of other people's that reference values are worked out from.

use std::io::Cursor;

use measure::id_block::{IdAuth, IdBlock};
use measure::uki::UkiParts;
use measure::{Ovmf, PeImage, SignatureLists, SnpPublicKey};

/// An ID block.
pub fn id_block(data: &[u8]) {
    if let Ok(block) = IdBlock::parse(data) {
        assert_eq!(block.encode().as_slice(), data);
    }
}

/// What authenticates an ID block; it is tried on one of zeros.
pub fn id_auth(data: &[u8]) {
    let mut block = [0; IdBlock::LEN];
    block[80] = 1;
    let (Ok(block), Ok(auth)) = (IdBlock::parse(&block), IdAuth::parse(data)) else { return };
    assert!(auth.verify(&block).is_err(), "nobody signed this block");
    let key = auth.id_key().encoded();
    assert!(SnpPublicKey::parse(key).is_ok_and(|again| again.encoded() == key));
}

/// A public key in PEM, as an operator names it.
pub fn public_key_pem(data: &[u8]) {
    if let Ok(key) = SnpPublicKey::from_pem(data) {
        assert!(SnpPublicKey::parse(key.encoded()).is_ok());
    }
}

/// An EFI application: header, sections, Authenticode.
pub fn pe_image(data: &[u8]) {
    let mut file = Cursor::new(data);
    let Ok(Ok(image)) = PeImage::read(&mut file) else { return };
    assert!(image.sections().len() <= 96);
    let first = image.authenticode(&mut file).map_err(|e| e.kind());
    let again = image.authenticode(&mut file).map_err(|e| e.kind());
    assert_eq!(first, again);
}

/// A unified kernel image.
pub fn uki(data: &[u8]) {
    if let Ok(uki) = UkiParts::read(&mut Cursor::new(data), None) {
        assert!(uki.events().iter().all(|event| matches!(event.pcr, 4 | 9 | 11)));
    }
}

/// Contents of a dbx, as an administrator names a file of them.
pub fn signature_lists(data: &[u8]) {
    if let Ok(lists) = SignatureLists::parse(data) {
        assert_eq!(lists.as_bytes(), data);
        let most = data.len() / 17;
        assert!(usize::try_from(lists.entries()).is_ok_and(|entries| entries <= most));
    }
}

/// Firmware.
pub fn ovmf(data: &[u8]) {
    if let Ok(ovmf) = Ovmf::parse(data) {
        assert_eq!(ovmf.image(), data);
        assert_eq!(ovmf.base(), (1 << 32) - data.len() as u64);
    }
}
