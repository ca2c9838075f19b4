//! `query.sql`: a query over the results of other steps.
//!
//! For what: to join, filter, group and rank tables. Promises: the same bytes on any number of threads; memory within a limit; an end within a second when
//! nobody wants the result. Refuses: everything that is not a query, and functions whose answer is no function of the tables.

use crate::execute;
use crate::query::Unordered;
use crate::tables::{KINDS, tables};
use neuroflow_data::Kind;
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, params};

/// The stage `query.sql`.
pub struct Sql;

params! {
    /// Parameters of `query.sql`.
    pub struct SqlParams {
        /// One query: `select … from …`. Its tables are the inputs, by their names.
        query: String;
    }
}

const DOC: &str = r#"The tables of the query are the inputs, under the names that they are given. The language is DataFusion's SQL: joins, `group by`, window functions,
`with`, subqueries. Names are as they stand in the tables (`Area` is not `area`); a name that is no plain word stands in double quotes, text in single ones.

What has no columns of its own is laid out: a tensor has a row for each value, with a column for each axis and its properties, and `value`; responses have the
trials' columns and the animal's signals as well. A family is one table, with the column `member` (or the loop's variables) saying whose a row is.

The order of the result is that of `order by`, ties broken by the other columns; without `order by`, rows are sorted by all columns from left to right.
Nulls are last, in both directions, unless the query says `nulls first`; NaN is the largest number.
Whole numbers become 64 bits wide, fractions and decimals double precision; nulls stay. Two columns of one name are refused, and so is what changes from
run to run (`now()`, `random()`).

Rows stream; sorts, groups and joins put aside what does not fit into `memory`. Sums of fractions add up in the order of the rows, so they are the same on
every machine; where groups had to be put aside, the last bits may differ.

```sql
select direction, count(distinct trial) as n, avg(value) as mean from trials group by direction
```"#;

impl Stage for Sql {
    type Params = SqlParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "query.sql",
            version: 2,
            summary: "Answers a query over the results of other steps.",
            doc: DOC,
            inputs: vec![InputSpec::open("tables", KINDS, "The tables of the query, by name.")],
            outputs: vec![OutputSpec::new("table", Kind::Table, "", "The rows of the answer.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            // Groups that were put aside add up in another order.
            exactness: Exactness::Within(1e-12),
        }
    }

    fn run(&self, inputs: &Inputs, params: &SqlParams, context: &Context) -> Result<Outputs, StageError> {
        let answer = execute::run(tables(inputs)?, params.query.clone(), Unordered::Sorted, context)?;
        Outputs::new().with("table", answer)
    }
}
