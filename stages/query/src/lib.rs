//! Tables asked in SQL on DataFusion: each query is a step, each of its tables another step's result.
//!
//! | stage | from | to |
//! |---|---|---|
//! | [`query.sql`](sql) | tables, tensors, scores, files | the table that a query answers |
//! | [`query.sweep`](sweep) | the scores of a sweep's steps | one table of settings and scores |
//!
//! All of DataFusion stands behind this crate; the others do not know that it is there.

mod ask;
#[cfg(test)]
mod cluster_tests;
mod document_rows;
mod execute;
mod extremes;
mod family;
mod filled;
mod long_form;
mod order;
mod plain;
mod portion;
mod problem;
#[cfg(test)]
mod properties;
mod provider;
mod query;
mod raw_files;
mod remote;
mod rows;
mod session;
pub mod sql;
#[cfg(test)]
mod sql_tests;
pub mod sweep;
mod tables;
#[cfg(test)]
mod testing;
mod unreadable;
mod watch;

pub use ask::ask;
pub use document_rows::table_paths;

/// All stages of this topic, in reading order.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] = &[&sql::Sql, &sweep::Sweep];
