//! Only `verify::authenticate` says that evidence is genuine.

fn main() {
    let _genuine = verify::Authenticated {};
}
