//! Proofs, for every small tree, against the definitions of RFC 6962 written out as they stand there.

#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use std::convert::Infallible;

use tlog::{
    Frontier, Hash, InclusionProof, LeafNodes, NodeSource, ProofError, Tile, TileBuilder, TileKind,
    TileNodes, decode_hashes, empty_root, leaf_hash, node_hash, prove_consistency, prove_inclusion, root,
    verify_consistency, verify_inclusion,
};

/// Largest tree that is tried in full.
const LARGEST: usize = 130;

/// RFC 6962, 2.1: the Merkle tree hash.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let k = leaves.len().next_power_of_two() / 2;
            node_hash(&mth(&leaves[..k]), &mth(&leaves[k..]))
        }
    }
}

/// RFC 6962, 2.1.1: the audit path.
fn audit_path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (mut path, sibling) = if m < k {
        (audit_path(m, &leaves[..k]), mth(&leaves[k..]))
    } else {
        (audit_path(m - k, &leaves[k..]), mth(&leaves[..k]))
    };
    path.push(sibling);
    path
}

/// RFC 6962, 2.1.2: SUBPROOF.
fn subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole { Vec::new() } else { vec![mth(leaves)] };
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (mut proof, other) = if m <= k {
        (subproof(m, &leaves[..k], whole), mth(&leaves[k..]))
    } else {
        (subproof(m - k, &leaves[k..], false), mth(&leaves[..k]))
    };
    proof.push(other);
    proof
}

fn leaves(n: usize) -> Vec<Hash> {
    (0..n as u32).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

/// Reads nodes from the leaves, by the definition.
struct Naive<'a>(&'a [Hash]);

impl NodeSource for Naive<'_> {
    type Error = Infallible;

    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Infallible> {
        let (first, len) = ((index << level) as usize, 1 << level);
        assert!(first + len <= self.0.len(), "asked for a node without all its leaves");
        Ok(mth(&self.0[first..first + len]))
    }
}

#[test]
fn known_trees_of_certificate_transparency() {
    let entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"];
    let mut frontier = Frontier::new();
    let mut roots = vec![frontier.root().to_string()];
    for entry in entries.into_iter().chain(["606162636465666768696a6b6c6d6e6f"]) {
        frontier.push(leaf_hash(&hex::decode(entry).unwrap()));
        roots.push(frontier.root().to_string());
    }
    assert_eq!(
        roots,
        [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ]
    );
    let hash = |text: &str| Hash(hex::decode(text).unwrap().try_into().unwrap());
    let proof = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    .map(hash);
    assert_eq!(verify_consistency(6, &hash(&roots[6]), 8, &hash(&roots[8]), &proof), Ok(()));
    let path = [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    .map(hash);
    assert_eq!(verify_inclusion(&leaf_hash(b""), 0, 8, &path, &hash(&roots[8])), Ok(()));
}

#[test]
fn every_inclusion_proof_is_the_audit_path_and_holds_for_its_leaf_only() {
    let all = leaves(LARGEST);
    for size in 1..=LARGEST {
        let tree = &all[..size];
        let expected_root = mth(tree);
        assert_eq!(root(&mut Naive(tree), size as u64).unwrap(), expected_root);
        for index in 0..size {
            let (i, n) = (index as u64, size as u64);
            let InclusionProof(proof) = prove_inclusion(&mut Naive(tree), i, n).unwrap().unwrap();
            assert_eq!(proof, audit_path(index, tree), "leaf {index} of {size}");
            assert_eq!(verify_inclusion(&tree[index], i, n, &proof, &expected_root), Ok(()));
            for other in (0..n).filter(|other| *other != i && size < 40) {
                assert!(verify_inclusion(&tree[index], other, n, &proof, &expected_root).is_err());
            }
            let beyond = Err(ProofError::IndexBeyondSize { index: n, size: n });
            assert_eq!(verify_inclusion(&tree[index], n, n, &proof, &expected_root), beyond);
        }
        assert_eq!(prove_inclusion(&mut Naive(tree), size as u64, size as u64).unwrap(), None);
    }
}

#[test]
fn every_consistency_proof_is_that_of_the_rfc_and_holds_for_its_sizes_only() {
    let all = leaves(LARGEST);
    let roots: Vec<Hash> = (0..=LARGEST).map(|n| mth(&all[..n])).collect();
    for new in 0..=LARGEST {
        for old in 0..=new {
            let (m, n) = (old as u64, new as u64);
            let proof = prove_consistency(&mut Naive(&all[..new]), m, n).unwrap().unwrap().0;
            let expected = if old == 0 { Vec::new() } else { subproof(old, &all[..new], true) };
            assert_eq!(proof, expected, "{old} to {new}");
            assert_eq!(verify_consistency(m, &roots[old], n, &roots[new], &proof), Ok(()));
            assert!(verify_consistency(m, &leaf_hash(b"x"), n, &roots[new], &proof).is_err());
            if old > 0 {
                assert!(verify_consistency(m, &roots[old], n, &leaf_hash(b"x"), &proof).is_err());
            }
            if old < new {
                let shrunk = Err(ProofError::Shrunk { old: n, new: m });
                assert_eq!(verify_consistency(n, &roots[new], m, &roots[old], &proof), shrunk);
            }
        }
    }
}

#[test]
fn every_altered_bit_of_a_proof_and_every_other_length_is_refused() {
    let all = leaves(100);
    for (size, index) in [(1, 0), (2, 1), (7, 6), (64, 33), (100, 0), (100, 98), (100, 99)] {
        let (tree, i, n) = (&all[..size], index as u64, size as u64);
        let (top, proof) = (mth(tree), audit_path(index, tree));
        let check = |proof: &[Hash]| verify_inclusion(&tree[index], i, n, proof, &top);
        refuses_alterations(&proof, check, "tree");
    }
    for (old, new) in [(1, 2), (3, 7), (6, 8), (64, 100), (99, 100)] {
        let (m, n) = (old as u64, new as u64);
        let (old_root, new_root) = (mth(&all[..old]), mth(&all[..new]));
        let proof = subproof(old, &all[..new], true);
        let check = |proof: &[Hash]| verify_consistency(m, &old_root, n, &new_root, proof);
        refuses_alterations(&proof, check, "er");
    }
}

fn refuses_alterations(proof: &[Hash], check: impl Fn(&[Hash]) -> Result<(), ProofError>, which: &str) {
    assert_eq!(check(proof), Ok(()));
    for bit in 0..proof.len() * 256 {
        let mut altered = proof.to_vec();
        altered[bit / 256].0[bit % 256 / 8] ^= 1 << (bit % 8);
        let refused = check(&altered);
        let named = matches!(&refused, Err(ProofError::Root { which: got, .. }) if got.ends_with(which));
        assert!(named, "bit {bit}: {refused:?}");
    }
    let longer: Vec<Hash> = proof.iter().copied().chain([leaf_hash(b"")]).collect();
    let wrong = ProofError::Length { expected: proof.len(), got: proof.len() + 1 };
    assert_eq!(check(&longer), Err(wrong));
    if let Some((_, shorter)) = proof.split_last() {
        assert_eq!(check(shorter), Err(ProofError::Length { expected: proof.len(), got: proof.len() - 1 }));
    }
}

#[test]
fn empty_trees_prove_nothing() {
    let top = leaf_hash(b"");
    let beyond = Err(ProofError::IndexBeyondSize { index: 0, size: 0 });
    assert_eq!(verify_inclusion(&top, 0, 0, &[], &top), beyond);
    assert_eq!(verify_consistency(0, &empty_root(), 5, &top, &[]), Ok(()));
    let wrong = |which| ProofError::Root { which, expected: empty_root(), got: top };
    assert_eq!(verify_consistency(0, &top, 5, &top, &[]), Err(wrong("older")));
    assert_eq!(verify_consistency(0, &empty_root(), 0, &top, &[]), Err(wrong("newer")));
    assert_eq!(
        verify_consistency(0, &empty_root(), 5, &top, &[top]),
        Err(ProofError::Length { expected: 0, got: 1 })
    );
    assert_eq!(verify_consistency(5, &top, 5, &top, &[top]), Err(ProofError::Length { expected: 0, got: 1 }));
}

#[test]
fn sizes_at_the_end_of_the_range_do_not_overflow() {
    let (leaf, max) = (leaf_hash(b""), u64::MAX);
    let length = |expected| ProofError::Length { expected, got: 0 };
    assert_eq!(verify_inclusion(&leaf, max - 1, max, &[], &leaf), Err(length(63)));
    assert_eq!(verify_inclusion(&leaf, 0, max, &[], &leaf), Err(length(64)));
    assert_eq!(verify_consistency(1, &leaf, max, &leaf, &[]), Err(length(64)));
    assert_eq!(verify_consistency(max - 1, &leaf, max, &leaf, &[]), Err(length(64)));
    assert_eq!(verify_consistency(1 << 63, &leaf, max, &leaf, &[]), Err(length(1)));
}

#[test]
fn a_frontier_gives_the_proofs_of_a_whole_batch_whatever_came_before() {
    let all = leaves(LARGEST);
    for before in 0..70 {
        for batch in [0, 1, 2, 3, 5, 8, 31, 60] {
            let mut frontier = Frontier::new();
            all[..before].iter().for_each(|leaf| frontier.push(*leaf));
            let proofs = frontier.append(&all[before..before + batch]);
            let tree = &all[..before + batch];
            assert_eq!((frontier.size(), frontier.root()), (tree.len() as u64, mth(tree)));
            let expected = (before..tree.len()).map(|index| InclusionProof(audit_path(index, tree)));
            assert_eq!(proofs, expected.collect::<Vec<_>>(), "{before} then {batch}");
            let mut pushed = Frontier::new();
            tree.iter().for_each(|leaf| pushed.push(*leaf));
            assert_eq!(pushed, frontier);
        }
    }
}

#[test]
fn tiles_and_leaves_give_the_same_proofs_as_the_tree_itself() {
    for size in [1_u64, 255, 256, 257, 300, 65_536, 66_000] {
        let all = leaves(size as usize);
        let mut builder = TileBuilder::new();
        let mut files = std::collections::HashMap::new();
        for i in 0..size as u32 {
            files.extend(builder.push(&i.to_be_bytes()).unwrap());
        }
        files.extend(builder.partial());
        let kinds = TileKind::levels(size).chain([TileKind::Entries]);
        assert_eq!(files.len(), kinds.flat_map(|kind| Tile::all(kind, size)).count());
        let read = |tile: &Tile| decode_hashes(files.get(tile).ok_or(*tile)?, tile.width).map_err(|_| *tile);
        let mut tiles = TileNodes::new(size, read);
        let mut ranges = LeafNodes(|first: u64, count: usize| {
            Ok::<_, Infallible>(all[first as usize..first as usize + count].to_vec())
        });
        let top = mth(&all);
        assert_eq!(root(&mut tiles, size).unwrap(), top);
        assert_eq!(root(&mut ranges, size).unwrap(), top);
        for index in [0, 1, size / 3, size / 2, size - 1].into_iter().filter(|index| *index < size) {
            let from_tiles = prove_inclusion(&mut tiles, index, size).unwrap().unwrap();
            assert_eq!(prove_inclusion(&mut ranges, index, size).unwrap().unwrap(), from_tiles);
            assert_eq!(verify_inclusion(&all[index as usize], index, size, &from_tiles.0, &top), Ok(()));
            let proof = prove_consistency(&mut tiles, index, size).unwrap().unwrap();
            let old_root = mth(&all[..index as usize]);
            assert_eq!(verify_consistency(index, &old_root, size, &top, &proof.0), Ok(()));
        }
    }
}

#[test]
fn a_proof_comes_back_from_its_bytes() {
    let proof = InclusionProof(leaves(3));
    assert_eq!(InclusionProof::from_bytes(&proof.to_bytes()), Ok(proof));
    assert_eq!(InclusionProof::from_bytes(&[0; 31]), Err(ProofError::Bytes { got: 31 }));
    assert_eq!(InclusionProof::from_bytes(&[0; 32 * 66]), Err(ProofError::Bytes { got: 32 * 66 }));
}
