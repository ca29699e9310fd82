//! `seeds DIR [VECTORS]`: writes what each target starts from into `DIR/TARGET/`: simulated evidence and its parts, the
//! protocol's vectors, and genuine evidence from the folder of vectors, where there is one. Nothing of it is committed.
#![expect(clippy::unwrap_used, reason = "a tool that writes seeds may panic")]

// The runtime that instrumented code calls.
use libfuzzer_sys as _;

#[path = "../../../crates/measure/tests/measure/firmware.rs"]
mod firmware;
mod genuine;
#[path = "../../../crates/measure/tests/measure/image.rs"]
mod image;
mod policies;
mod simulated;

use std::fs;
use std::path::{Path, PathBuf};

/// Where seeds go.
struct Corpus(PathBuf);

impl Corpus {
    /// A seed of a target, of any name.
    fn put(&self, target: &str, name: &str, bytes: &[u8]) {
        let dir = self.0.join(target);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(name), bytes).unwrap();
    }
}

fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let corpus = Corpus(arguments.next().unwrap());
    simulated::put_all(&corpus);
    policies::put_all(&corpus, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")));
    messages(&corpus, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/wire/vectors")));
    match arguments.next().filter(|vectors| vectors.is_dir()) {
        Some(vectors) => genuine::put_all(&corpus, &vectors),
        None => eprintln!("no folder of vectors: targets start from simulated evidence alone"),
    }
}

/// The protocol's vectors: lines `message: NAME` and `bytes: HEX`.
fn messages(corpus: &Corpus, dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let (Some(message), Some(bytes)) = (field("message:"), field("bytes:")) else { continue };
        if let Ok(bytes) = hex::decode(bytes) {
            let name = path.file_stem().unwrap().to_string_lossy();
            corpus.put(&format!("wire_{}", message.replace(' ', "_")), &name, &bytes);
        }
    }
}
