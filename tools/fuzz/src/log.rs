//! The public log: notes, checkpoints, tiles, proofs.

use tlog::note::{SignedNote, VerifierKey};
use tlog::{Bundle, Checkpoint, Hash, InclusionProof, Tile, decode_hashes, encode_hashes, verify_inclusion};

/// A signed note; none is signed by a key that nobody has.
pub fn note(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(key) = text.parse::<VerifierKey>()
    {
        assert_eq!(key.to_string(), text);
    }
    let Ok(note) = SignedNote::parse(data) else { return };
    assert!(data.starts_with(note.unverified_text().as_bytes()));
    assert!(note.verify(&[]).is_err());
}

/// A checkpoint's text.
pub fn checkpoint(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert!(Checkpoint::parse(&checkpoint.text()).is_ok_and(|again| again == checkpoint));
    }
}

/// A tile's path, a tile of hashes, a bundle of entries; the first byte is the width.
pub fn tile(data: &[u8]) {
    if let Ok(path) = core::str::from_utf8(data)
        && let Some(tile) = Tile::from_path(path)
    {
        assert_eq!(tile.to_string(), path);
    }
    let Some((width, rest)) = data.split_first() else { return };
    let width = u16::from(*width) + 1;
    if let Ok(hashes) = decode_hashes(rest, width) {
        assert_eq!((hashes.len(), encode_hashes(&hashes).as_slice()), (usize::from(width), rest));
    }
    if let Ok(entries) = Bundle::decode(rest, width) {
        let mut bundle = Bundle::default();
        let pushed = entries.iter().try_for_each(|entry| bundle.push(entry));
        assert!(pushed.is_ok() && bundle.as_bytes() == rest);
    }
}

/// An inclusion proof, of whatever leaf in whatever tree: 8 bytes of index, 8 of size, the hashes.
pub fn proof(data: &[u8]) {
    let Some((index, rest)) = data.split_first_chunk() else { return };
    let Some((size, rest)) = rest.split_first_chunk() else { return };
    let Ok(proof) = InclusionProof::from_bytes(rest) else { return };
    assert_eq!(proof.to_bytes(), rest);
    let (index, size) = (u64::from_be_bytes(*index), u64::from_be_bytes(*size));
    // No proof leads to a root that is the hash of what it is no hash of.
    let root = Hash(crypto::sha256(&[b"fuzz", data]));
    assert!(verify_inclusion(&Hash([7; 32]), index, size, &proof.0, &root).is_err());
}
