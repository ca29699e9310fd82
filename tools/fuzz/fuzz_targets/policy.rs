//! Rules, cases, decisions: see [`fuzz::policy`].
#![no_main]

fuzz::targets! {
    case_json => fuzz::policy::case_json,
    decision => fuzz::policy::decision,
    kept_decisions => fuzz::policy::kept_decisions,
    policy_rules => fuzz::policy::rules,
    release_policy => fuzz::policy::release_policy,
}
