//! The smallest and largest fraction of a group.
//!
//! DataFusion looks for them from the largest finite number down, so that of a group of nothing but infinities it answers a number that is not there, and it
//! passes over NaN in groups but not without. Here they are the first value in the order of the values, which is what `order by` says it is.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams, Sort as SortKey};
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan};
use std::sync::Arc;

/// The plan with `min` and `max` of fractions taken in the order of the values.
///
/// # Errors
/// When DataFusion refuses to put the plan together again.
pub(crate) fn in_order_of_values(plan: LogicalPlan) -> Result<LogicalPlan> {
    let replaced = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = &node else { return Ok(Transformed::no(node)) };
        let schema = aggregate.input.schema();
        if !aggregate.aggr_expr.iter().any(|expr| first_of(expr, schema).is_some()) {
            return Ok(Transformed::no(node));
        }
        let all = aggregate.aggr_expr.iter().map(|expr| first_of(expr, schema).unwrap_or_else(|| expr.clone())).collect();
        let next = Aggregate::try_new(Arc::clone(&aggregate.input), aggregate.group_expr.clone(), all)?;
        Ok(Transformed::yes(LogicalPlan::Aggregate(next)))
    })?;
    Ok(replaced.data)
}

/// `min(x)` or `max(x)` of fractions as a first value, under the name that it had.
fn first_of(expr: &Expr, input: &DFSchema) -> Option<Expr> {
    if let Expr::Alias(alias) = expr {
        return first_of(&alias.expr, input).map(|inner| inner.alias_qualified(alias.relation.clone(), alias.name.clone()));
    }
    let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else { return None };
    let ascending = match func.name() {
        "min" => true,
        "max" => false,
        _ => return None,
    };
    let [argument] = params.args.as_slice() else { return None };
    if !argument.get_type(input).is_ok_and(|ty| ty.is_floating()) {
        return None;
    }
    let params =
        AggregateFunctionParams { order_by: vec![SortKey::new(argument.clone(), ascending, false)], distinct: false, ..params.clone() };
    let first = Expr::AggregateFunction(AggregateFunction { func: first_value_udaf(), params });
    Some(first.alias(expr.schema_name().to_string()))
}

/// Whether an aggregate is the first value in the order of the values themselves, which no order of rows changes.
pub(crate) fn is_extreme(function: &AggregateFunction) -> bool {
    let params = &function.params;
    function.func.name() == "first_value"
        && params.order_by.len() == 1
        && params.args.first() == params.order_by.first().map(|key| &key.expr)
}
