//! Rows as a table of DataFusion: columns, conditions and limits are handed down to where the rows stand.

use crate::rows::{Rows, Wanted};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, Statistics};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::fmt;
use std::sync::Arc;

/// A table of a query.
#[derive(Debug)]
pub(crate) struct Provider {
    rows: Arc<dyn Rows>,
}

impl Provider {
    pub(crate) fn new(rows: Arc<dyn Rows>) -> Provider {
        Provider { rows }
    }
}

#[async_trait]
impl TableProvider for Provider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.rows.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Rows that break a condition may still come, so the query asks it of them again.
        let answer = if self.rows.narrows() { TableProviderFilterPushDown::Inexact } else { TableProviderFilterPushDown::Unsupported };
        Ok(vec![answer; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = DFSchema::try_from(Arc::clone(self.rows.schema()))?;
        let conditions = filters.iter().map(|filter| state.create_physical_expr(unqualified(filter)?, &all)).collect::<Result<Vec<_>>>()?;
        let columns = projection.cloned().unwrap_or_else(|| (0..self.rows.schema().fields().len()).collect());
        Ok(Arc::new(Scan::new(Arc::clone(&self.rows), Wanted { columns, conditions }, limit)?))
    }
}

/// A condition without the names of tables, which the rows do not know.
fn unqualified(filter: &Expr) -> Result<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let without = |expr| match expr {
        Expr::Column(mut column) => {
            column.relation = None;
            Ok(Transformed::yes(Expr::Column(column)))
        }
        other => Ok(Transformed::no(other)),
    };
    Ok(filter.clone().transform(without)?.data)
}

/// The reading of a table.
#[derive(Debug)]
struct Scan {
    rows: Arc<dyn Rows>,
    wanted: Wanted,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl Scan {
    fn new(rows: Arc<dyn Rows>, wanted: Wanted, limit: Option<usize>) -> Result<Scan> {
        let schema = Arc::new(rows.schema().project(&wanted.columns)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let properties = Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative));
        Ok(Scan { rows, wanted, limit, properties })
    }
}

impl DisplayAs for Scan {
    fn fmt_as(&self, _type: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.properties.eq_properties.schema().fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "Scan: columns=[{}]", names.join(", "))
    }
}

impl ExecutionPlan for Scan {
    fn name(&self) -> &'static str {
        "Scan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        for condition in &self.wanted.conditions {
            if f(condition)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.is_empty() {
            true => Ok(self),
            false => Err(DataFusionError::Internal("a scan has no inputs".into())),
        }
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let portions = self.rows.read(&self.wanted)?;
        let mut left = self.limit;
        let portions = portions.map_while(move |batch| match (batch, &mut left) {
            (_, Some(0)) => None,
            (Ok(batch), Some(left)) => {
                let rows = batch.num_rows().min(*left);
                *left -= rows;
                Some(Ok(batch.slice(0, rows)))
            }
            (batch, _) => Some(batch),
        });
        let stream = futures_util::stream::iter(portions);
        Ok(make_cooperative(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream))))
    }

    fn statistics_from_inputs(&self, _inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        if let Some(count) = self.rows.count() {
            let limited = self.limit.map_or(count, |limit| count.min(limit));
            let exact = self.wanted.conditions.is_empty();
            statistics.num_rows = if exact { Precision::Exact(limited) } else { Precision::Inexact(limited) };
        }
        Ok(Arc::new(statistics))
    }
}
