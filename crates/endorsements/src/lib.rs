//! where VCEKs, certificate chains and CRLs come from; trusts nothing.
