//! A grant is a policy's decision, never written down.

fn main() {
    let _grant = policy::Grant {};
}
