//! The surroundings of a query: which functions there are, how much memory it may take, and nothing that reaches out of it.
//!
//! A result must be a function of the tables. So functions that answer otherwise each time (`now`, `random`, `uuid`) do not exist here, there are no files,
//! no catalogue and no settings to change, and a query runs in one stream of rows, whatever the number of processors: sums of fractions add up in the
//! order of the rows.

use datafusion::error::Result;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder, SessionStateDefaults};
use datafusion::logical_expr::{ScalarUDF, Volatility};
use datafusion::prelude::SessionConfig;
use neuroflow_stage::Context;
use std::sync::Arc;

use crate::rows::PORTION;

/// Memory that a query may take when nobody said.
const MEMORY: usize = 2 << 30;

/// Bytes put aside on disk, as a multiple of the memory that a query may take: what asks for more is a mistake in the query.
const DISK_TIMES_MEMORY: u64 = 64;

/// Bytes that a query may take.
pub(crate) fn memory(context: &Context) -> usize {
    context.memory.and_then(|memory| usize::try_from(memory).ok()).unwrap_or(MEMORY)
}

/// Bytes for messages.
pub(crate) fn megabytes(bytes: usize) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

/// Memory and disk of a query. Its work has half of the memory, its result the other half.
///
/// # Errors
/// When the folder for what does not fit can't be made.
pub(crate) fn runtime(context: &Context) -> Result<Arc<RuntimeEnv>> {
    let memory = memory(context);
    let mode = match &context.scratch {
        Some(folder) => DiskManagerMode::Directories(vec![folder.clone()]),
        None => DiskManagerMode::Disabled,
    };
    let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(memory as u64 * DISK_TIMES_MEMORY);
    RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(memory / 2))).with_disk_manager_builder(disk).build_arc()
}

/// The settings of all queries. They are the same on every machine, since some of them change the order of additions.
pub(crate) fn config(memory: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(PORTION)
        .with_information_schema(false)
        // What a sort keeps free to merge what it put aside.
        .with_sort_spill_reservation_bytes((memory / 6).min(64 << 20))
        .set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false);
    let options = config.options_mut();
    options.execution.planning_concurrency = 1;
    // Names are what they are in the tables: `Area` is not `area`.
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.collect_spans = true;
    options.sql_parser.map_string_types_to_utf8view = false;
    // What is missing is no largest value: it comes last, whichever way a query sorts.
    options.sql_parser.default_null_ordering = "nulls_last".to_owned();
    config
}

/// A session with the functions that a query may use.
pub(crate) fn state(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> SessionState {
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(scalar_functions())
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .build()
}

fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    SessionStateDefaults::default_scalar_functions().into_iter().filter(|function| is_repeatable(function)).collect()
}

fn is_repeatable(function: &ScalarUDF) -> bool {
    // What `version` answers changes with the program, which is not part of what a result is made from.
    function.signature().volatility == Volatility::Immutable && function.name() != "version"
}

/// Whether a name is that of a function which exists elsewhere, but whose answer is no function of the tables.
pub(crate) fn is_refused_function(name: &str) -> bool {
    let named = |function: &ScalarUDF| function.name() == name || function.aliases().iter().any(|alias| alias == name);
    SessionStateDefaults::default_scalar_functions().iter().any(|function| !is_repeatable(function) && named(function))
}
