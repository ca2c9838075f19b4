//! From the text of a query to a plan: what may stand in it, and what is told when something else does.

use crate::extremes::in_order_of_values;
use crate::order::with_total_order;
use crate::problem::{Place, in_words, listed, refused};
use datafusion::common::config::Dialect;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as EngineResult;
use datafusion::execution::SessionState;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use neuroflow_stage::{StageError, nearest};
use std::ops::ControlFlow;

/// Bytes that the text of a query may have.
const LONGEST: usize = 64 << 10;

/// How deep an expression may be. A sum of as many terms is that deep, and the planner's work grows with the square of it.
const DEEPEST: usize = 256;

/// The order of rows that a query leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unordered {
    /// By all columns: a result is a function of the tables as sets of rows.
    Sorted,
    /// As the rows are read.
    AsRead,
}

/// The plan of a query over the tables of a session, with an order that leaves nothing open.
///
/// # Errors
/// When the text is no query, or asks for what the tables do not have; says where.
pub(crate) async fn plan(state: &SessionState, query: &str, tables: &[String], unordered: Unordered) -> Result<LogicalPlan, StageError> {
    if query.trim().is_empty() {
        return Err(StageError::refused_with_help("the query is empty", "write one: `sql(\"select * from units\", units = step)`"));
    }
    if query.len() > LONGEST {
        let message = format!("it has {} bytes, at most {LONGEST} are read", query.len());
        return Err(refused(None, &message, Some("split it: a query's result can be another query's table".into())));
    }
    let mut statement = statement(state, query)?;
    name_as_one(&mut statement, tables);
    let ordered = check_statement(&statement)?;
    check_tables(state, &statement, query, tables)?;
    let plan = state.statement_to_plan(statement).await.map_err(|error| in_words(&error, query))?;
    let only_queries = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    only_queries.verify_plan(&plan).map_err(|_| no_query(None, "this"))?;
    check_repeatable(&plan, query)?;
    if !ordered && unordered == Unordered::AsRead {
        return in_order_of_values(plan).map_err(|error| in_words(&error, query));
    }
    in_order_of_values(plan).and_then(|plan| with_total_order(plan, ordered)).map_err(|error| in_words(&error, query))
}

fn statement(state: &SessionState, query: &str) -> Result<Statement, StageError> {
    state.sql_to_statement(query, &Dialect::Generic).map_err(|error| match error.find_root() {
        datafusion::error::DataFusionError::NotImplemented(_) => {
            refused(None, "these are several statements", Some("write one query a step, and let one be the other's table".into()))
        }
        _ => in_words(&error, query),
    })
}

/// Refuses everything but a query. Answers whether it has an order of its own.
fn check_statement(statement: &Statement) -> Result<bool, StageError> {
    let Statement::Statement(statement) = statement else {
        return Err(no_query(None, "this"));
    };
    let ast::Statement::Query(query) = statement.as_ref() else {
        let text = statement.to_string();
        let words: Vec<&str> = text.split_whitespace().take(1).collect();
        return Err(no_query(Some(Place { line: 1, column: 1 }), &format!("`{}`", words.join(" ").to_lowercase())));
    };
    let mut body = query.body.as_ref();
    loop {
        match body {
            ast::SetExpr::Select(select) if select.into.is_some() => return Err(no_query(None, "`select … into`")),
            ast::SetExpr::Query(inner) => body = inner.body.as_ref(),
            ast::SetExpr::SetOperation { left, .. } => body = left.as_ref(),
            ast::SetExpr::Select(_) | ast::SetExpr::Values(_) | ast::SetExpr::Table(_) => break,
            _ => return Err(no_query(None, "this")),
        }
    }
    if ast::Visit::visit(query.as_ref(), &mut Depth::default()).is_break() {
        let help = "write many alternatives as `x in (…)`, or split the query: its result can be another query's table";
        return Err(refused(None, &format!("an expression is more than {DEEPEST} deep"), Some(help.into())));
    }
    if let Some(lock) = query.locks.first() {
        return Err(no_query(None, &format!("`{}`", lock.to_string().to_lowercase())));
    }
    Ok(query.order_by.is_some())
}

/// Walks expressions, and breaks off below the deepest that may be.
#[derive(Default)]
struct Depth(usize);

impl ast::Visitor for Depth {
    type Break = ();

    fn pre_visit_expr(&mut self, _expr: &ast::Expr) -> ControlFlow<()> {
        self.0 += 1;
        if self.0 > DEEPEST { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, _expr: &ast::Expr) -> ControlFlow<()> {
        self.0 -= 1;
        ControlFlow::Continue(())
    }
}

fn no_query(place: Option<Place>, what: &str) -> StageError {
    let help = "a step can only ask: `select … from …`, with `with … as (…)` before it; its tables are the steps that it is given by name";
    refused(place, &format!("{what} is no query"), Some(help.into()))
}

/// A table of a file is named in two words, `session.units`, and is one table here; a query calls it by the last of them, unless it says otherwise.
fn name_as_one(statement: &mut Statement, tables: &[String]) {
    if let Statement::Statement(statement) = statement {
        let _ = ast::VisitMut::visit(statement.as_mut(), &mut WholeNames(tables));
    }
}

struct WholeNames<'a>(&'a [String]);

impl ast::VisitorMut for WholeNames<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut ast::TableFactor) -> ControlFlow<()> {
        let ast::TableFactor::Table { name, alias, .. } = factor else { return ControlFlow::Continue(()) };
        let parts: Option<Vec<&ast::Ident>> = name.0.iter().map(ast::ObjectNamePart::as_ident).collect();
        let Some(parts) = parts.filter(|parts| !parts.is_empty()) else { return ControlFlow::Continue(()) };
        let whole = parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
        let last = whole.rsplit(['.', '/']).next().unwrap_or_default().to_owned();
        if !self.0.contains(&whole) || last == whole {
            return ControlFlow::Continue(());
        }
        let span = parts.first().map_or(datafusion::sql::sqlparser::tokenizer::Span::empty(), |part| part.span);
        *name = ast::ObjectName(vec![ast::ObjectNamePart::Identifier(ast::Ident { value: whole, quote_style: Some('"'), span })]);
        alias.get_or_insert_with(|| ast::TableAlias {
            explicit: true,
            name: ast::Ident { value: last, quote_style: Some('"'), span },
            columns: Vec::new(),
            at: None,
        });
        ControlFlow::Continue(())
    }
}

/// Refuses tables that were not given, files among them.
fn check_tables(state: &SessionState, statement: &Statement, query: &str, tables: &[String]) -> Result<(), StageError> {
    let references = state.resolve_table_references(statement).map_err(|error| in_words(&error, query))?;
    let known = |reference: &datafusion::common::TableReference| {
        reference.schema().is_none() && reference.catalog().is_none() && tables.iter().any(|table| table == reference.table())
    };
    let Some(unknown) = references.iter().find(|reference| !known(reference)) else { return Ok(()) };
    let mut place = None;
    if let Statement::Statement(statement) = statement {
        let _ = ast::visit_relations(statement.as_ref(), |name| {
            let last = name.0.last().and_then(|part| part.as_ident());
            match last.filter(|ident| ident.value == unknown.table()) {
                Some(ident) => {
                    let start = ident.span.start;
                    place = (start.line > 0).then_some(Place { line: start.line, column: start.column });
                    ControlFlow::Break(())
                }
                None => ControlFlow::Continue(()),
            }
        });
    }
    let name = unknown.to_string();
    let there = match tables.is_empty() {
        true => "the query has no tables; give it some by name: `sql(\"…\", units = step)`".to_owned(),
        false => format!("there are {}", listed(tables)),
    };
    let near = nearest(unknown.table(), tables.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`? "));
    let file =
        name.contains(['.', '/', ':']).then(|| "a query reads no files: name it as an `input`, and give that to the query; ".to_owned());
    Err(refused(place, &format!("there is no table `{name}`"), Some(near.or(file).unwrap_or_default() + &there)))
}

/// Refuses functions that do not answer alike each time, wherever they stand.
fn check_repeatable(plan: &LogicalPlan, query: &str) -> Result<(), StageError> {
    let mut found: Option<String> = None;
    let walked: EngineResult<TreeNodeRecursion> = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(call) = expr
                    && call.func.signature().volatility != Volatility::Immutable
                {
                    found = Some(call.func.name().to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.map_err(|error| in_words(&error, query))?;
    match found {
        Some(name) => Err(refused(None, &format!("`{name}()` does not answer alike each time"), None)),
        None => Ok(()),
    }
}
