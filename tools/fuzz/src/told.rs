//! What is asserted of every error that a person reads.

use core::fmt::Display;

use policy::LoadErrors;

/// What a person reads of an error moves no cursor.
pub fn told(error: &dyn Display) {
    let text = error.to_string();
    assert!(!text.chars().any(|c| c.is_control() && !"\n\t".contains(c)), "{text:?}");
    assert!(text.len() <= MAX_TOLD, "{} bytes", text.len());
}

/// The same of each problem; there is one at least, and its place is in the text.
pub fn all_told(errors: &LoadErrors, text: &str) {
    assert!(errors.iter().next().is_some());
    for error in errors.iter() {
        told(&error.problem);
        let lines = text.split('\n').count();
        assert!(error.at.is_none_or(|at| (1..=lines).contains(&at.line)), "{:?} of {lines}", error.at);
    }
}

/// Printable ASCII in one line.
pub fn plain(text: &str) {
    assert!(text.chars().all(|c| matches!(c, ' '..='~')), "{text:?}");
}

/// Most bytes of an error that a person can be asked to read.
const MAX_TOLD: usize = 8192;
