//! evidence in, verified claims out.
