//! What officers sign: see [`fuzz::officers`].
#![no_main]

fuzz::targets! {
    bundle_statement => fuzz::officers::bundle_statement,
    case_toml => fuzz::officers::case_toml,
    officer_key => fuzz::officers::officer_key,
    officer_signatures => fuzz::officers::officer_signatures,
    reference_values => fuzz::officers::reference_values,
}
