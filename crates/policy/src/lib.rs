//! Verified claims and key attributes in, a [`Grant`] or a [`Denial`] out.
//!
//! | module | does |
//! |-|-|
//! | `bundle` | schema, policies and reference values as texts; their digest |
//! | `bounds` | how deep and long a rule may be |
//! | `load` | parses, validates strictly, checks what Cedar cannot; all problems at once, with their places |
//! | `fit` | that the schema takes what is handed to policies |
//! | `format` | one layout for policies |
//! | `circumstances` | time, age of the evidence, network, what was served of late |
//! | `references`, `manifest` | launch measurements, identities and TCB floors that policies refer to |
//! | `statement`, `officers` | what policy officers sign, and whether enough of them have |
//! | `subject` | a guest, a key and a request as Cedar's entities |
//! | `locks` | the conditions that no policy can lift |
//! | `operators` | acts of those who manage keys, decided by the same rules |
//! | `decide` | locks, then Cedar; an error is a denial; a [`Grant`] only from a request that evidence binds |
//! | `rules`, `explain` | why not: each failing condition, what was wanted, what was found |
//! | `nearest` | a denial in one sentence |
//! | `doubts`, `facts`, `limits` | what is likely a mistake though it loads, for authors of rules |
//! | `printable` | what others wrote, in errors |
//! | [`case`](mod@case) | the file format of test cases, and of past decisions |
//! | `terms` | a guest and a key as Cedar has them, whole, for those who ask a solver for guests |
//! | `image`, `written` | what a guest runs and what a rule says, for those who compare decisions and bundles |
//!
//! The language is Cedar: default deny, `forbid` over `permit`. Cedar by itself skips a policy whose evaluation
//! errs, a `forbid` too; here a policy that may read what is absent does not load, and any error is a denial.
//!
//! This crate must never name unverified evidence, read a file or a clock, or make a [`Grant`] from anything but a
//! [`verify::BoundRequest`].

mod bounds;
mod bundle;
mod cache;
pub mod case;
mod circumstances;
mod decide;
mod doubts;
mod explain;
mod facts;
mod fit;
mod format;
mod image;
mod limits;
mod load;
mod load_error;
mod locks;
mod manifest;
mod nearest;
mod officers;
mod operators;
mod printable;
mod reach;
mod reason;
mod references;
mod rules;
mod statement;
mod subject;
mod terms;
mod vocabulary;
mod written;

pub use bundle::Bundle;
pub use circumstances::{Circumstances, Recent};
pub use decide::{Evaluation, Grant, Policy, Prepared};
pub use doubts::NamedKeys;
pub use format::format;
pub use limits::Limit;
pub use load_error::{LoadError, LoadErrors, Position, Problem, Severity};
pub use manifest::{Manifest, PlatformSays, PlatformValue, ReferenceValue};
pub use nearest::nearest;
pub use officers::{Officers, OfficersError, SignatureError};
pub use operators::{Act, Object, Operator};
pub use reason::{Denial, DenialCode, Reason, ReasonKind};
pub use statement::{BundleStatement, ProofRecord, StatementError};
pub use terms::KnownValue;
pub use written::Written;
