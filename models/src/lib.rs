//! Models of the cache's concurrent protocols; see `Cargo.toml`.
#![cfg(test)]

#[path = "../../cache/src/commit.rs"]
mod commit;
#[path = "../../cache/src/lease.rs"]
mod lease;

mod commit_model;
mod lease_model;

/// The locks that the protocols are compiled with here.
mod sync {
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}

/// Tries every way in which threads may come between each other, up to so many interruptions; `NEUROFLOW_FAULT_ROUNDS` allows more of them.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let more = std::env::var("NEUROFLOW_FAULT_ROUNDS").is_ok();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(if more { 4 } else { 2 });
    builder.check(model);
}
