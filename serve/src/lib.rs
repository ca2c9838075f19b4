//! A page on this machine that shows runs while they go on, and proposals that wait for a decision.
//!
//! The page looks at what lies in the cache and at the project's ledger, and asks again every second; nothing is kept here that a restart would lose. It runs
//! nothing. A yes that is given on it is what it is, the word of a program that holds the link: it counts as a client's, passes the same gate as any other, and
//! is refused where the project wants a terminal.

mod decide;
mod figures;
mod history;
mod reports;
mod routes;
mod server;
mod watch;

pub use server::{Options, PageServer, ServeError};
