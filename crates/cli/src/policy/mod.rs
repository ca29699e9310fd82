//! `keyfast policy`: what an author of attestation policies does before a broker sees them.
//!
//! Everything here works on files, without a broker and without a network, but for `replay` and `explain`, which may ask a
//! broker for its past, and `load`. A policy that passes `check` loads in a
//! broker; a case that passes `test` is decided so there, since the code is the same.

mod acts;
mod bundle;
mod cases;
mod check;
mod claims;
mod coverage;
mod diagnostics;
mod diff;
mod explain;
mod folder;
mod format;
mod import_skr;
mod junit;
mod prove;
mod replay;
mod sarif;
mod schema;
mod simulated;
mod tally;
mod test;

pub(crate) use cases::guest as guest_of_case;
pub(crate) use explain::print_reasons;

use std::io;
use std::path::PathBuf;

use clap::Subcommand;

pub(crate) use folder::FolderError;

use crate::admin::{Admin, AdminError};
use crate::signing::SignFailure;

/// Subcommands of `keyfast policy`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check policies and reference values: syntax, types, unknown claims, rules that never apply or change nothing
    #[command(
        long_about = "Check policies and reference values as a broker does before it loads them, and say all that is \
        wrong with its line.\n\nUnknown claims, actions and values, wrong types, optional claims that are read before \
        they are asked for, rules that can never apply by the types of claims, and names of bytes or keys that cannot \
        occur are errors.\n\nWarnings, of policies that load: rules whose conditions exclude each other, permits that a \
        forbid overrides or another permit contains, values that no reference value lists, and, with --keys, keys, rings \
        and regions that there are not. Without names, rules are held against those of their own file; with names, the \
        files are taken together, as a broker loads them. `keyfast policy prove` finds what takes a solver."
    )]
    Check(check::Check),
    /// Run the cases of policies: guests that must be permitted or denied, and why
    #[command(
        long_about = "Run the cases of policies: each a guest, a key and a request, and what must be decided, for which \
        reasons.\n\nCases of `NAME.cedar` are files in `cases/NAME/permit` and `cases/NAME/deny`, with the reference \
        values in `cases/NAME/reference-values.toml`: JSON that says each claim of a guest, or TOML that describes a \
        simulated guest in a few lines, which is launched and whose evidence is verified. Conditions that no case saw \
        both hold and fail are listed; with --require-coverage they are an error.\n\nSimulated guests run on a host \
        whose keys take seconds to make. If the environment variable KEYFAST_SIMTEE_KEYS names a directory, they are \
        kept there for the next run."
    )]
    Test(test::Test),
    /// Say what is decided for a case, evidence or a past request, condition by condition, and what a permit lacks
    #[command(long_about = explain::ABOUT)]
    Explain(explain::Explain),
    /// Prove what policies can never permit, for every request that is possible
    #[command(
        long_about = "Prove what policies can never permit: no guest in debug mode, none under its TCB floor, none that \
        nothing sets apart from another tenant's, and more; that every rule can apply, and none errs. An author's own \
        properties, of guests and of operators' acts, stand in `proofs.toml` beside the policies.\n\nThe solver cvc5 \
        does the work. What does not hold is shown as an act, or as a guest: a simulated host launches it, the verifier \
        verifies it, and the policies really permit it, under the reference values beside them. If no such guest can be built, that is said, with what no machine \
        shows. With --cases each is written as a case, for `keyfast policy explain`, `keyfast policy test` and \
        `keyfast dev guest --case`.\n\nExit code 0: all is proven; 1: something does not hold; 2: it cannot be judged; \
        4: solver and system disagree."
    )]
    Prove(prove::Prove),
    /// Replay past decisions: what would policies have decided about the guests of a broker?
    #[command(
        long_about = "Replay past decisions: put every guest that a broker has decided about to these policies and reference \
        values, and say which decisions would be otherwise, by guest image and key.\n\nOnly what policies decided is \
        replayed; refusals before that are counted. With --at it is decided as at that time, so that dates in reference \
        values take effect. Exit code 0: nothing changes; 1: something does; 2: it cannot be judged."
    )]
    Replay(replay::Replay),
    /// Compare two directories of policies by what they mean: reference values, rules, cases, proofs
    #[command(
        long_about = "Compare two directories of policies by what they mean, not by their text: reference values and \
        floors; rules by their ids, with the conditions that came and went; cases of either that are decided otherwise; \
        and, by the solver cvc5, whether the new one permits or denies anything that the old one did not, with a guest \
        that shows it.\n\nLayout, comments and order are no difference. Without names, each policy file is compared with \
        the one of its name; with names, those files are compared together, as a broker loads them. Exit code 0: the \
        same meaning; 1: another; 2: it cannot be judged."
    )]
    Diff(diff::Diff),
    /// Lay policies out in one way; comments stay
    Fmt(format::Fmt),
    /// Write what policy officers sign: digests, a serial number, and what was proven
    #[command(
        long_about = "Write what policy officers sign, `bundle.toml` beside the policies: digests of the policies and \
        reference values, a serial number that goes up, and with --prove what was proven of them.\n\nName the policies \
        that the broker's configuration names. A broker with `policy_officers` takes policies only if enough of them \
        signed:\n  keyfast policy bundle snp-production --prove\n  keyfast policy sign --key ~/.ssh/id_ed25519\n  \
        keyfast policy load"
    )]
    Bundle(bundle::Make),
    /// Sign bundle.toml as a policy officer, if it is about the files beside it
    Sign(bundle::Sign),
    /// Have the broker put its policies in force as their files are now
    #[command(
        long_about = "Have the broker put its policies in force as their files are now. What does not load, is not signed \
        by enough officers or is older than what is in force changes nothing, and the broker says why. The change is a \
        leaf of the journal."
    )]
    Load,
    /// Translate a release policy of Azure Key Vault to rules, with a report of what is otherwise here
    #[command(long_about = import_skr::ABOUT)]
    ImportSkr(import_skr::ImportSkr),
    /// Say which claims policies may read: type, meaning, and what to ask before reading
    Claims(claims::Claims),
}

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFailure {
    /// A file cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Policies are wrong; what and where has been printed.
    #[error("{problems} {} in {}", plural(*.problems, "problem", "problems"), dir.display())]
    Wrong {
        /// How many problems.
        problems: usize,
        /// Where.
        dir: PathBuf,
    },
    /// Policies load, and something about them is likely a mistake; what and where has been printed.
    #[error("{warnings} {} in {}", plural(*.warnings, "warning", "warnings"), dir.display())]
    Warned {
        /// How many.
        warnings: usize,
        /// Where.
        dir: PathBuf,
    },
    /// A listing of keys cannot be used.
    #[error("`{}` is no listing of keys, as `keyfast keys list --json` prints it: {message}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// Cases fail; which and why has been printed.
    #[error("{failed} of {all} cases failed")]
    Cases {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
    },
    /// Policies without a case; they have been printed.
    #[error("{without} {} no cases: expected some in `cases/NAME/permit` and `cases/NAME/deny`", plural(*.without, "policy has", "policies have"))]
    NoCases {
        /// How many.
        without: usize,
    },
    /// Conditions without a case either way; they have been printed.
    #[error("{uncovered} {} not seen both to hold and to fail", plural(*.uncovered, "condition was", "conditions were"))]
    Coverage {
        /// How many.
        uncovered: usize,
    },
    /// Files are not laid out; they have been printed.
    #[error("{files} {} laid out otherwise; run `keyfast policy fmt`", plural(*.files, "file is", "files are"))]
    Layout {
        /// How many.
        files: usize,
    },
    /// The schema is not laid out as it is read here.
    #[error("`{}`: {source}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Where.
        source: schema::Misread,
    },
    /// No claim has this in its path.
    #[error("no claim has `{part}` in its path; `keyfast policy claims` lists all")]
    NoClaim {
        /// What was looked for.
        part: String,
    },
    /// Something does not hold; what and why has been printed.
    #[error("{failed} of {all} properties do not hold")]
    NotProven {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
    },
    /// Nothing could be proven.
    #[error(transparent)]
    Prove(#[from] prove::ProveFailure),
    /// What officers sign cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// Why.
        source: policy::StatementError,
    },
    /// What officers sign is about other files than are there.
    #[error("`{}` is about other policies or reference values than those beside it; run `keyfast policy bundle` again", path.display())]
    OtherTexts {
        /// The file.
        path: PathBuf,
    },
    /// The serial number of other texts is not to be used again.
    #[error("serial {serial} is not above {there}, that of `{}`, which is about other texts: no broker takes texts under an older serial number, or others under the same; leave --serial out to count up", path.display())]
    NotLater {
        /// The file.
        path: PathBuf,
        /// As given.
        serial: u64,
        /// The file's.
        there: u64,
    },
    /// It was not signed.
    #[error(transparent)]
    Sign(#[from] SignFailure),
    /// The broker did not take the policies.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A release policy of Azure's is not translated.
    #[error(transparent)]
    Import(#[from] import_skr::ImportFailure),
    /// Policies cannot be judged, since they do not load; why has been printed.
    #[error("{problems} {} in {}: it cannot be judged", plural(*.problems, "problem", "problems"), dir.display())]
    NotJudged {
        /// How many problems.
        problems: usize,
        /// Where.
        dir: PathBuf,
    },
    /// Nothing was replayed.
    #[error(transparent)]
    Replay(#[from] replay::ReplayFailure),
    /// Past decisions would be otherwise; they have been printed.
    #[error("{changed} of {all} {} would be otherwise", plural(*.all, "decision", "decisions"))]
    Otherwise {
        /// How many.
        changed: usize,
        /// Of how many.
        all: usize,
    },
    /// Two directories mean different things; what has been printed.
    #[error("the meaning differs")]
    Differs,
    /// Evidence is refused, or cannot be judged.
    #[error(transparent)]
    Evidence(#[from] crate::evidence::Failure),
    /// A file is nothing that can be explained.
    #[error("`{}` is no case, whose name ends in .toml or .json, and not recognised as evidence", path.display())]
    NoCase {
        /// The file.
        path: PathBuf,
    },
    /// A case says itself what there are options for where evidence is given.
    #[error(
        "`{}` is a case, which says what its guest asks for and what its evidence is verified with: leave out the options \
         for evidence", path.display()
    )]
    CaseSaysIt {
        /// The file.
        path: PathBuf,
    },
    /// What a broker decided, it decided under its own policies.
    #[error(
        "the request {request} was decided under the broker's policies: leave out policies and options; to ask others, \
         make a case of it with `keyfast audit explain {request} --case`"
    )]
    DecidedAlready {
        /// The request.
        request: ::claims::RequestId,
    },
    /// A past decision cannot be told.
    #[error(transparent)]
    Audit(#[from] crate::audit::AuditFailure),
    /// The policies deny; why has been printed.
    #[error("denied")]
    Denied,
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl PolicyFailure {
    /// Policies that do not load, where they were to be compared with something.
    fn not_judged(self) -> Self {
        match self {
            Self::Wrong { problems, dir } => Self::NotJudged { problems, dir },
            other => other,
        }
    }

    /// The exit code: 1 for policies that are wrong or deny, 2 for what keeps them from being judged, 3 if a broker does
    /// not take them, 4 if solver and system disagree.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Admin(_) => 3,
            Self::Prove(failure) => failure.exit_code(),
            Self::Folder(_)
            | Self::Output(_)
            | Self::Replay(_)
            | Self::NotJudged { .. }
            | Self::Schema { .. }
            | Self::Keys { .. }
            | Self::Statement { .. }
            | Self::NotLater { .. }
            | Self::Sign(_)
            | Self::NoCase { .. }
            | Self::CaseSaysIt { .. }
            | Self::DecidedAlready { .. }
            | Self::NoClaim { .. } => 2,
            Self::Import(failure) => failure.exit_code(),
            Self::Evidence(failure) => failure.exit_code(),
            Self::Audit(failure) => failure.exit_code(),
            _ => 1,
        }
    }
}

/// Runs one subcommand, with its result on standard output.
///
/// # Errors
/// [`PolicyFailure`].
pub fn run(admin: &Admin, command: &Command) -> Result<(), PolicyFailure> {
    let out = &mut crate::output::stdout();
    match command {
        Command::Check(args) => check::run(args, out),
        Command::Test(args) => test::run(args, out),
        Command::Explain(args) => explain::run(admin, args, out),
        Command::Prove(args) => prove::run(args, out),
        Command::Replay(args) => replay::run(admin, args, out),
        Command::Diff(args) => diff::run(args, out),
        Command::Fmt(args) => format::run(args, out),
        Command::Bundle(args) => bundle::make(args, out),
        Command::Sign(args) => bundle::sign(args, out),
        Command::Load => bundle::load(admin, out),
        Command::ImportSkr(args) => import_skr::run(args, out),
        Command::Claims(args) => claims::run(args, out),
    }
}

fn plural(count: usize, one: &'static str, more: &'static str) -> &'static str {
    if count == 1 { one } else { more }
}
