//! Running a query: a thread of its own, rows as they come, an end when nobody wants them any more.

use crate::plain::{plain_batch, plain_schema, table};
use crate::problem::{in_words, too_large};
use crate::provider::Provider;
use crate::query::{self, Unordered};
use crate::rows::Rows;
use crate::watch::watched;
use crate::{remote, session};
use datafusion::common::TableReference;
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use futures_util::StreamExt;
use neuroflow_data::Table;
use neuroflow_stage::{Context, StageError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The tables of a query.
pub(crate) type Tables = BTreeMap<String, Arc<dyn Rows>>;

/// How often it is asked whether the result is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// How long a query that is no longer wanted may take to end. One that takes longer is left to end by itself.
const GRACE: Duration = Duration::from_millis(700);

/// The stack of the thread that plans and runs: plans are walked by recursion, and a long sum is a deep tree.
const STACK: usize = 256 << 20;

/// The answer of a query, in the end or when it is no longer wanted.
///
/// # Errors
/// When the query is refused, does not fit into memory, or is cancelled.
pub(crate) fn run(tables: Tables, query: String, unordered: Unordered, context: &Context) -> Result<Table, StageError> {
    context.cancel.check()?;
    let (sender, receiver) = channel();
    let own = context.clone();
    let work = move || {
        let answer = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StageError::Bug(format!("no runtime for the query: {error}")))
            .and_then(|runtime| runtime.block_on(answer(&tables, &query, unordered, &own)));
        // The receiver is gone when the query was given up.
        let _ = sender.send(answer);
    };
    let thread = std::thread::Builder::new().name("query".into()).stack_size(STACK).spawn(work);
    let thread = thread.map_err(|error| StageError::Bug(format!("no thread for the query: {error}")))?;
    let mut unwanted: Option<Instant> = None;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(_) if unwanted.is_some() => return Err(StageError::Cancelled),
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) => {
                if context.cancel.is_cancelled() && unwanted.get_or_insert_with(Instant::now).elapsed() > GRACE {
                    return Err(StageError::Cancelled);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(StageError::Bug(thread.join().map_or_else(panic_message, |()| "the query ended without an answer".into())));
            }
        }
    }
}

fn panic_message(panic: Box<dyn std::any::Any + Send>) -> String {
    let said = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    format!("the query engine gave up: {}", said.unwrap_or_else(|| "it did not say why".into()))
}

async fn answer(tables: &Tables, query: &str, unordered: Unordered, context: &Context) -> Result<Table, StageError> {
    let there = match &context.cluster {
        Some(cluster) => remote::attempt(tables, query, context, cluster).await,
        None => Ok(None),
    };
    let here = match there {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => attempt(tables, query, unordered, context, Joins::Hashed).await,
        Err(failure) => Err(failure),
    };
    match here {
        // A hashed join keeps one side in memory, a sorted one puts both aside.
        Err(Failure::Engine(error)) if context.cluster.is_none() && matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) => {
            attempt(tables, query, unordered, context, Joins::Sorted).await
        }
        other => other,
    }
    .map_err(|failure| match failure {
        Failure::Engine(error) => in_words(&error, query),
        Failure::Stage(error) => error,
    })
}

/// How tables are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joins {
    Hashed,
    Sorted,
}

/// Why there is no answer: in the engine's words, or in ours.
pub(crate) enum Failure {
    Engine(DataFusionError),
    Stage(StageError),
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Failure {
        Failure::Engine(error)
    }
}

impl From<StageError> for Failure {
    fn from(error: StageError) -> Failure {
        Failure::Stage(error)
    }
}

async fn attempt(tables: &Tables, query: &str, unordered: Unordered, context: &Context, joins: Joins) -> Result<Table, Failure> {
    let memory = session::memory(context);
    let mut config = session::config(memory);
    config.options_mut().optimizer.prefer_hash_join = joins == Joins::Hashed;
    let session = SessionContext::new_with_state(session::state(config, session::runtime(context)?));
    for (name, rows) in tables {
        session.register_table(TableReference::bare(name.as_str()), Arc::new(Provider::new(Arc::clone(rows))))?;
    }
    let names: Vec<String> = tables.keys().cloned().collect();
    let state = session.state();
    let plan = query::plan(&state, query, &names, unordered).await?;
    plain_schema(plan.schema().as_arrow())?;
    let plan = watched(state.create_physical_plan(&plan).await?, &context.cancel)?;
    collect(execute_stream(plan, session.task_ctx())?, memory / 2).await
}

/// All rows as one table, which may take `most` bytes.
pub(crate) async fn collect(mut stream: SendableRecordBatchStream, most: usize) -> Result<Table, Failure> {
    let schema = plain_schema(&stream.schema())?;
    let mut batches = Vec::new();
    let mut memory = RecordBatchMemoryCounter::new();
    while let Some(batch) = stream.next().await {
        let batch = plain_batch(&batch?, &schema)?;
        // Portions of one sorted batch share its memory.
        memory.count_batch(&batch);
        if memory.memory_usage() > most {
            return Err(too_large(most).into());
        }
        batches.push(batch);
    }
    Ok(table(&schema, &batches)?)
}
