//! Proposals for pipeline edits and the approval that each one needs.
//!
//! The gate stands here and knows no model of language. A proposal names the exact bytes that it was made for, the change, and what the change does to the
//! plan; an approval names one proposal and is made only where a person answered; [`Gate::apply`] takes the two and is the only thing in the workspace
//! that writes a pipeline file. What was offered, answered and done stands in a ledger whose lines hold each other, and in the commit.

mod aside;
pub mod budget;
mod card;
mod chat;
mod commit;
mod desk;
mod diff;
mod escape;
mod gate;
mod guard;
mod hooks;
mod ledger;
mod lines;
pub mod model;
mod outcome;
mod project;
mod proposal;
mod review;
pub mod secret;
mod settings;
mod sign;
mod store;
mod told;
pub mod tools;
mod unified;
mod verify;

pub use aside::Late;
pub use card::{Card, html, json, markdown, terminal};
pub use chat::{Chat, ChatError, SYSTEM, SYSTEM_NEW, Shown, Turn, Unfinished};
pub use commit::CommitError;
pub use desk::{Desk, Handled, Looking, Question, moved};
pub use diff::{Line, Mark, unified};
pub use escape::{escape, escape_json, escape_line, escape_page, is_plain};
pub use gate::{Applied, Gate, GateError};
pub use guard::Warning;
pub use ledger::{Broken, Entry, Event, Ledger, LedgerError};
pub use lines::lines;
pub use outcome::{Calibration, Judged, calibration, compare, waiting};
pub use project::{Planned, Project, Wrong, path_below};
pub use proposal::{Draft, Exposure, FileChange, How, Origin, Proposal, ProposalId, Seen};
pub use review::{Approval, Level, Person, ask, needed};
pub use settings::{Autonomy, Reader, Settings, SettingsError};
pub use store::{State, Status, Store, states};
pub use told::untold;
pub use unified::{PatchError, drafts};
pub use verify::{Finding, verify};

/// The person who works here, as version control or the system calls them.
pub fn person_name() -> String {
    // The repository's own settings go before the person's, as they do for the commit.
    let config = git2::Repository::discover(".").and_then(|found| found.config()).or_else(|_| git2::Config::open_default());
    let from_git = config.and_then(|config| config.get_string("user.name")).ok();
    let from_system = || std::env::var("USER").or_else(|_| std::env::var("USERNAME")).ok();
    from_git.filter(|name| !name.is_empty()).or_else(from_system).unwrap_or_else(|| "somebody".into())
}
