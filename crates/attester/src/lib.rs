//! report data in, evidence out.
