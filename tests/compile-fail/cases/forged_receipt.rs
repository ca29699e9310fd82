//! Only `Receipted::check` says that a release is in the log.

fn main() {
    let _receipted = keys::Receipted {};
}
