//! The root key opens a wrapped KEK for a grant: there is no asking by name, and none by attested request.

use way::*;

use claims::{AttestedRequest, KeyId};
use release::{RootKey, WrappedKek};

fn by_name(root: &RootKey, key: &KeyId, wrapped: &WrappedKek) {
    let _ = root.seal(key, wrapped, None);
}

fn by_request(root: &RootKey, request: &AttestedRequest, wrapped: &WrappedKek) {
    let _ = root.seal(request, wrapped, None);
}

fn main() {}
