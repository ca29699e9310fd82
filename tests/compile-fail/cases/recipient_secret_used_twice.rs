//! A recipient's secret opens the answers of one request, and those of no second one.

use way::*;

use keys::{Receipted, RecipientSecret};

fn both(secret: RecipientSecret, [first, second]: [Receipted; 2]) {
    let _ = keys::open(secret, first);
    let _ = keys::open(secret, second);
}

fn main() {}
