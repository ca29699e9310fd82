//! The test vectors of SPEC.md, and properties of the decoder.
//!
//! Each vector is made here and compared with its file under `vectors/`, so that neither code nor file can change
//! alone. `KEYFAST_WRITE_VECTORS=1 cargo test -p wire` writes them anew; a diff then is a change of the protocol.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod defects;
mod format;
mod properties;
mod protocol;
mod samples;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use format::Vector;

#[test]
fn the_files_are_what_the_code_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut vectors = samples::vectors();
    vectors.extend(defects::vectors());
    vectors.extend(protocol::vectors());
    let write = std::env::var_os("KEYFAST_WRITE_VECTORS").is_some();
    for vector in &vectors {
        let file = folder.join(vector.file_name());
        if write {
            fs::write(&file, vector.to_string()).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert_eq!(kept, vector.to_string(), "{}", file.display());
    }
    let made: BTreeSet<String> = vectors.iter().map(Vector::file_name).collect();
    assert_eq!(made.len(), vectors.len(), "two vectors of one name");
    let fixed = protocol::FIXED.iter().map(|name| format!("{name}.txt"));
    let known: BTreeSet<String> = made.into_iter().chain(fixed).collect();
    let kept =
        fs::read_dir(&folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(known, kept, "vectors that no test makes");
}
