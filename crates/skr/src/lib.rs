//! A Secure Key Release policy of Azure's, read and said as rules in Cedar: what `keyfast policy import-skr` prints.
//!
//! [`parse`], then [`translate`]. A translation must never permit what the policy did not, unless looser rules are asked
//! for: what has no counterpart makes rules stricter, or there are none. Whether its text loads is for `policy` to say.
//! This crate must never read a file, nor let text of the policy's own into a rule.
//!
//! | module | does |
//! |-|-|
//! | `json` | JSON as written, members that are there twice included |
//! | `grammar` | the grammar of release policies, with the place of each mistake |
//! | `claim` | what stands for each claim of a token |
//! | [`condition`] | a condition in Cedar's terms, and what must be asked before it |
//! | `translate` | what is dropped, what becomes one rule, what becomes several |
//! | `finding` | what is otherwise than there |
//! | `rules` | rules as text |

mod claim;
pub mod condition;
mod finding;
mod grammar;
mod json;
mod rules;
mod translate;

pub use claim::{KNOWN_PARAVISOR, Token};
pub use finding::{Effect, Finding};
pub use grammar::{Authority, ClaimCondition, Document, MAX_TEXT, Node, Problem, Value, parse};
pub use rules::{Naming, id, text};
pub use translate::{Rule, Translation, Tree, translate};
