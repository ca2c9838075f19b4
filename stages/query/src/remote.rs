//! Queries on a cluster.
//!
//! The query is checked here as always. The columns that it uses are written as Parquet files into the folder that the cluster shares, the plan goes to the
//! scheduler, and the rows come back from the executors, which need nothing of ours: they are those of Ballista as it is.
//!
//! A result must not depend on where it was made. Filters, joins, counts, extremes, sums of whole numbers and orders are the same in any number of parts. What
//! depends on the order of the rows (sums of fractions, ranks among ties, rows that a `limit` keeps) is not split into parts, so that it is done in the
//! order in which it would be done here.

use crate::execute::{Failure, Tables, collect};
use crate::order::depends_on_order;
use crate::problem::refused;
use crate::provider::Provider;
use crate::query::{self, Unordered};
use crate::rows::{Rows, Wanted};
use crate::session;
use arrow::datatypes::SchemaRef;
use ballista::extension::SessionStateExt;
use ballista_core::execution_plans::DistributedQueryExec;
use ballista_core::serde::protobuf::CancelJobParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::LogicalPlan;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use datafusion_proto::protobuf::LogicalPlanNode;
use neuroflow_data::Table;
use neuroflow_stage::{CancelToken, Cluster, Context, StageError};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Into how many parts a query is split, whatever the cluster: the parts are not to depend on who is there.
const PARTS: usize = 16;

/// Rows in a group of a shared file: a part reads whole groups.
const GROUP: usize = 16 * crate::rows::PORTION;

/// How long a scheduler may take to answer at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// The answer of a query on a cluster.
///
/// # Errors
/// As a query here; and when the scheduler does not answer, the folder can't be written, or the cluster fails.
pub(crate) async fn attempt(tables: &Tables, query: &str, context: &Context, cluster: &Cluster) -> Result<Option<Table>, Failure> {
    let memory = session::memory(context);
    let runtime = session::runtime(context)?;
    let here = SessionContext::new_with_state(session::state(session::config(memory), Arc::clone(&runtime)));
    for (name, rows) in tables {
        here.register_table(TableReference::bare(name.as_str()), Arc::new(Provider::new(Arc::clone(rows))))?;
    }
    let names: Vec<String> = tables.keys().cloned().collect();
    let plan = query::plan(&here.state(), query, &names, Unordered::Sorted).await?;
    crate::plain::plain_schema(plan.schema().as_arrow())?;
    let used = columns_used(&here.state().optimize(&plan)?, tables)?;
    if used.is_empty() || stays_here(&plan)? {
        return Ok(None);
    }
    let whole = depends_on_order(&plan)?;

    let address = address(&cluster.scheduler)?;
    tokio::select! {
        answer = tokio::time::timeout(PATIENCE, SchedulerGrpcClient::connect(address.clone())) => {
            answer.map_err(|_| unreachable(cluster, "it does not answer"))?.map_err(|error| unreachable(cluster, &deepest(&error)))?;
        }
        () = cancelled(&context.cancel) => return Err(StageError::Cancelled.into()),
    }

    let shared = Shared::new(&cluster.shared)?;
    let state = session::state(session::config(memory), runtime).upgrade_for_ballista(address.clone())?;
    let there = SessionContext::new_with_state(state);
    {
        let there = there.state_ref();
        let mut there = there.write();
        let options = there.config_mut().options_mut();
        options.execution.target_partitions = if whole { 1 } else { PARTS };
        options.optimizer.prefer_hash_join = whole;
        options.execution.parquet.schema_force_view_types = false;
        // One plan for one query: it is not to depend on how long the stages of today take.
        options.set("ballista.planner.adaptive.enabled", "false")?;
    }
    for (number, (name, columns)) in used.iter().enumerate() {
        let Some(rows) = tables.get(name) else { continue };
        let schema: SchemaRef = Arc::new(rows.schema().project(columns).map_err(DataFusionError::from)?);
        let path = shared.folder.join(format!("{number}.parquet"));
        write(&path, rows.as_ref(), columns, &schema, &context.cancel, name)?;
        there.register_table(TableReference::bare(name.as_str()), Arc::new(listing(&path, schema)?))?;
    }
    let names: Vec<String> = used.keys().cloned().collect();
    let plan = query::plan(&there.state(), query, &names, Unordered::Sorted).await?;
    let plan = there.state().create_physical_plan(&plan).await?;
    let task = there.task_ctx();
    let stream = execute_stream(Arc::clone(&plan), task)?;
    tokio::select! {
        answer = collect(stream, memory / 2) => answer.map(Some).map_err(|failure| there_failed(failure, cluster)),
        () = cancelled(&context.cancel) => {
            cancel_job(&address, plan.as_ref()).await;
            Err(StageError::Cancelled.into())
        }
    }
}

/// Whether a plan has a part that Ballista 55 is known to answer wrongly or never: unions, rows without a table, recursion. Such a query is answered here.
fn stays_here(plan: &LogicalPlan) -> EngineResult<bool> {
    let mut stays = false;
    plan.apply_with_subqueries(|node| {
        stays |=
            matches!(node, LogicalPlan::Union(_) | LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) | LogicalPlan::RecursiveQuery(_));
        Ok(if stays { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(stays)
}

/// The columns of each table that an optimised plan reads; of a table of which rows are only counted, the first.
fn columns_used(plan: &LogicalPlan, tables: &Tables) -> EngineResult<BTreeMap<String, Vec<usize>>> {
    let mut used: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(rows) = tables.get(scan.table_name.table())
        {
            let all = rows.schema().fields().len();
            let columns = used.entry(scan.table_name.table().to_owned()).or_default();
            match &scan.projection {
                Some(projection) => columns.extend(projection.iter().copied()),
                None => columns.extend(0..all),
            }
            // A condition that is handed down may be on a column that does not come back up.
            for filter in &scan.filters {
                columns.extend(filter.column_refs().iter().filter_map(|column| rows.schema().index_of(column.name()).ok()));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let first = |columns: BTreeSet<usize>| if columns.is_empty() { vec![0] } else { columns.into_iter().collect() };
    Ok(used.into_iter().map(|(name, columns)| (name, first(columns))).collect())
}

/// `df://host:port` as the address of a connection.
fn address(scheduler: &str) -> Result<String, StageError> {
    let place = scheduler.strip_prefix("df://").map(|place| place.trim_end_matches('/'));
    let fits = |place: &&str| {
        place.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok())
    };
    place.filter(fits).map(|place| format!("http://{place}")).ok_or_else(|| {
        StageError::refused_with_help(
            format!("the scheduler `{scheduler}` of neuroflow.toml is no address"),
            "write it as `df://host:50050`",
        )
    })
}

fn unreachable(cluster: &Cluster, reason: &str) -> StageError {
    StageError::refused_with_help(
        format!("the scheduler {} of neuroflow.toml can't be reached: {reason}", cluster.scheduler),
        "start it, or take `scheduler` out of `[sql]` to run queries here",
    )
}

/// The cause at the bottom of an error, which says most.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// What the cluster said when it failed, with what it most often means.
fn there_failed(failure: Failure, cluster: &Cluster) -> Failure {
    let Failure::Engine(error) = failure else { return failure };
    let said = error.strip_backtrace();
    let said = said.lines().next().unwrap_or_default();
    let help = match said.contains("No such file") || said.contains("not found") || said.contains("NotFound") {
        true => format!("every machine of the cluster must see the folder {} under this path", cluster.shared.display()),
        false => "the log of its executors says more; without `scheduler` in neuroflow.toml the query runs here".to_owned(),
    };
    refused(None, &format!("the cluster {} failed: {said}", cluster.scheduler), Some(help)).into()
}

async fn cancelled(cancel: &CancelToken) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Tells the scheduler that nobody waits for a job. Nothing is lost when that fails, but work that nobody wants.
async fn cancel_job(address: &str, plan: &dyn ExecutionPlan) {
    let Some(job) = plan.downcast_ref::<DistributedQueryExec<LogicalPlanNode>>().and_then(DistributedQueryExec::job_id) else { return };
    let tell = async {
        let mut scheduler = SchedulerGrpcClient::connect(address.to_owned()).await.ok()?;
        scheduler.cancel_job(CancelJobParams { job_id: job.to_string() }).await.ok()
    };
    let _ = tokio::time::timeout(Duration::from_millis(400), tell).await;
}

/// How the folders of queries begin.
const PREFIX: &str = "query-";
/// No query takes so long.
const LEFT: Duration = Duration::from_secs(7 * 86_400);

/// A folder of one query in the folder that the cluster shares; gone when the query ends.
struct Shared {
    folder: PathBuf,
}

impl Shared {
    fn new(shared: &Path) -> Result<Shared, StageError> {
        let problem = |error: std::io::Error| {
            StageError::refused_with_help(
                format!("the folder {} that the cluster shares can't be written: {error}", shared.display()),
                "name another one, `shared` in `[sql]` of neuroflow.toml, on a file system that all machines see",
            )
        };
        std::fs::create_dir_all(shared).map_err(problem)?;
        let shared = &std::path::absolute(shared).map_err(problem)?;
        sweep(shared);
        let mut number = 0u64;
        loop {
            let folder = shared.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match std::fs::create_dir(&folder) {
                Ok(()) => return Ok(Shared { folder }),
                // Another query of this process, or a process of the same number on another machine.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(problem(error)),
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What can't be removed now is removed by a later query.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Removes what queries left that were killed long ago.
fn sweep(shared: &Path) {
    for entry in std::fs::read_dir(shared).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let made = entry.metadata().and_then(|found| found.modified()).ok();
        if is_ours && made.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > LEFT) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes some columns of a table as a Parquet file.
fn write(path: &Path, rows: &dyn Rows, columns: &[usize], schema: &SchemaRef, cancel: &CancelToken, name: &str) -> Result<(), Failure> {
    let problem = |reason: String| refused(None, &format!("table `{name}` can't be sent to the cluster: {reason}"), None);
    let properties = WriterProperties::builder().set_compression(Compression::LZ4_RAW).set_max_row_group_row_count(Some(GROUP)).build();
    let file = File::create(path).map_err(|error| problem(error.to_string()))?;
    let mut writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties)).map_err(|error| problem(error.to_string()))?;
    for batch in rows.read(&Wanted { columns: columns.to_vec(), conditions: Vec::new() })? {
        cancel.check()?;
        writer.write(&batch?).map_err(|error| problem(error.to_string()))?;
    }
    writer.close().map_err(|error| problem(error.to_string()))?;
    Ok(())
}

fn listing(path: &Path, schema: SchemaRef) -> Result<ListingTable, Failure> {
    let url = ListingTableUrl::parse(file_url(path))?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    Ok(ListingTable::try_new(ListingTableConfig::new(url).with_listing_options(options).with_schema(schema))?)
}

/// A path as a URL, in which no character is a pattern.
fn file_url(path: &Path) -> String {
    let mut url = String::from("file://");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(*byte)),
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_checked_before_anyone_is_asked() {
        assert_eq!(address("df://head:50050").unwrap(), "http://head:50050");
        for wrong in ["head:50050", "df://head", "df://:1", "df://head:99999", "http://head:1", "df://a/b:1"] {
            assert!(address(wrong).unwrap_err().help().is_some(), "{wrong}");
        }
    }

    #[test]
    fn no_character_of_a_path_is_a_pattern() {
        assert_eq!(file_url(Path::new("/a b/[x]*?.parquet")), "file:///a%20b/%5Bx%5D%2A%3F.parquet");
    }
}
