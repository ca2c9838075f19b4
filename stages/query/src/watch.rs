//! Queries that end when they are no longer wanted.
//!
//! Every operator of a plan is watched: whenever it is asked for rows, it first asks whether anybody still wants them. A join compares many rows before it
//! has any to give, so its condition is watched as well. A cross join of two large tables thus ends within milliseconds.

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::Statistics;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures_util::StreamExt;
use neuroflow_stage::CancelToken;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The same plan, ended by `cancel`.
///
/// # Errors
/// When DataFusion refuses to put the plan together again.
pub(crate) fn watched(plan: Arc<dyn ExecutionPlan>, cancel: &CancelToken) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|plan| {
        let plan = with_watched_condition(plan, cancel)?;
        Ok(Transformed::yes(Arc::new(Watched { inner: plan, cancel: cancel.clone() }) as Arc<dyn ExecutionPlan>))
    })
    .data()
}

/// What a query that is no longer wanted ends with.
#[derive(Debug)]
pub(crate) struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Cancelled {}

fn check(cancel: &CancelToken) -> Result<()> {
    if cancel.is_cancelled() { Err(DataFusionError::External(Box::new(Cancelled))) } else { Ok(()) }
}

fn with_watched_condition(plan: Arc<dyn ExecutionPlan>, cancel: &CancelToken) -> Result<Arc<dyn ExecutionPlan>> {
    let filter = |filter: &JoinFilter| {
        let condition = Arc::new(Condition { inner: Arc::clone(filter.expression()), cancel: cancel.clone() });
        JoinFilter::new(condition, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
    };
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>()
        && let Some(condition) = join.filter()
    {
        let builder = NestedLoopJoinExecBuilder::new(Arc::clone(join.left()), Arc::clone(join.right()), *join.join_type());
        let builder = builder.with_projection_ref(join.projection().clone()).with_filter(Some(filter(condition)));
        return Ok(Arc::new(builder.build()?));
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>()
        && let Some(condition) = join.filter()
    {
        return join.builder().with_filter(Some(filter(condition))).build_exec();
    }
    Ok(plan)
}

/// An operator that asks whether it is still wanted before it gives rows.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn ExecutionPlan>,
    cancel: CancelToken,
}

impl DisplayAs for Watched {
    fn fmt_as(&self, _type: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl ExecutionPlan for Watched {
    fn name(&self) -> &'static str {
        "Watched"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.inner]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(&self, _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(inner), true) => Ok(Arc::new(Watched { inner, cancel: self.cancel.clone() })),
            _ => Err(DataFusionError::Internal("a watched operator has one input".into())),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        check(&self.cancel)?;
        let cancel = self.cancel.clone();
        let stream = self.inner.execute(partition, context)?;
        let schema = stream.schema();
        let stream = stream.map(move |batch| check(&cancel).and(batch));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(inputs.first().map_or_else(|| Arc::new(Statistics::new_unknown(&self.schema())), Arc::clone))
    }
}

/// A join's condition that asks whether its answer is still wanted.
#[derive(Debug)]
struct Condition {
    inner: Arc<dyn PhysicalExpr>,
    cancel: CancelToken,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Condition) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Condition {}

impl Hash for Condition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl PhysicalExpr for Condition {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        check(&self.cancel)?;
        self.inner.evaluate(batch)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.is_empty()) {
            (Some(inner), true) => Ok(Arc::new(Condition { inner, cancel: self.cancel.clone() })),
            _ => Err(DataFusionError::Internal("a condition has one inside".into())),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
