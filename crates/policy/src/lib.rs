//! verified claims and key attributes in, a grant or a denial out.
