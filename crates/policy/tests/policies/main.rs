//! The gate, the decision and the explanations, on the shipped policies and their cases.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod beside;
mod bundle;
mod cases;
mod circumstances;
mod decide;
mod doubts;
mod evaluate;
mod expect;
mod kept;
mod load;
mod operators;
mod own;
mod quotes;
mod tenants;
mod values;
mod written;
