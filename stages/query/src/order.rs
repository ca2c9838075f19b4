//! The order of a result's rows.
//!
//! SQL promises no order without `order by`, and one with ties only up to them. A result is content with a digest here, so every query gets an order:
//! without `order by`, the rows are sorted by all columns from left to right; with one, all further columns break its ties.

use crate::extremes::is_extreme;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::logical_expr::expr::Sort as SortKey;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Sort};
use std::sync::Arc;

/// The plan with an order that leaves nothing open. `ordered` says whether the query has an `order by` of its own.
///
/// # Errors
/// When DataFusion refuses to put the plan together again.
pub(crate) fn with_total_order(plan: LogicalPlan, ordered: bool) -> Result<LogicalPlan> {
    match ordered {
        true => break_ties(plan),
        false => {
            let keys = keys_of(&plan, &[]);
            if keys.is_empty() { Ok(plan) } else { LogicalPlanBuilder::from(plan).sort(keys)?.build() }
        }
    }
}

/// All columns that are not sorted by yet, left to right, nulls last.
fn keys_of(plan: &LogicalPlan, known: &[SortKey]) -> Vec<SortKey> {
    let columns = plan.schema().columns().into_iter().map(Expr::Column);
    columns.filter(|column| !known.iter().any(|key| key.expr == *column)).map(|column| SortKey::new(column, true, false)).collect()
}

/// Adds the other columns to the outermost `order by`, which stands under nothing but limits and choices of columns.
fn break_ties(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Sort(Sort { mut expr, input, fetch }) => {
            expr.extend(keys_of(&input, &expr));
            Ok(LogicalPlan::Sort(Sort { expr, input, fetch }))
        }
        LogicalPlan::Limit(mut limit) => {
            limit.input = Arc::new(break_ties(Arc::unwrap_or_clone(limit.input))?);
            Ok(LogicalPlan::Limit(limit))
        }
        LogicalPlan::Projection(projection) => {
            let inner = break_ties(Arc::unwrap_or_clone(projection.input))?;
            LogicalPlanBuilder::from(inner).project(projection.expr)?.build()
        }
        other => Ok(other),
    }
}

/// Aggregates whose answer does not depend on the order in which they see the rows; a `sum` of whole numbers is one more.
const EXACT: &[&str] = &["count", "min", "max", "bool_and", "bool_or", "bit_and", "bit_or", "bit_xor", "median", "approx_distinct"];

/// Whether the result of a plan depends on the order in which its tables are read: sums of fractions do in their last bits, rows that a `limit` keeps, ranks
/// among ties.
///
/// # Errors
/// When a plan can't be walked.
pub(crate) fn depends_on_order(plan: &LogicalPlan) -> Result<bool> {
    let mut depends = false;
    plan.apply_with_subqueries(|node| {
        depends |= match node {
            LogicalPlan::Limit(limit) => !matches!(limit.input.as_ref(), LogicalPlan::Sort(_)),
            LogicalPlan::Window(_) | LogicalPlan::Distinct(datafusion::logical_expr::Distinct::On(_)) => true,
            LogicalPlan::Aggregate(aggregate) => {
                let input = aggregate.input.schema();
                aggregate.aggr_expr.iter().any(|expr| aggregate_depends(expr, input))
            }
            _ => false,
        };
        Ok(if depends { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(depends)
}

fn aggregate_depends(expr: &Expr, input: &datafusion::common::DFSchema) -> bool {
    use datafusion::logical_expr::ExprSchemable;
    match expr {
        Expr::Alias(alias) => aggregate_depends(&alias.expr, input),
        Expr::AggregateFunction(function) if is_extreme(function) => false,
        Expr::AggregateFunction(function) => {
            let name = function.func.name();
            let whole = || function.params.args.iter().all(|arg| arg.get_type(input).is_ok_and(|ty| ty.is_integer()));
            !(EXACT.contains(&name) || name == "sum" && whole())
        }
        _ => true,
    }
}
