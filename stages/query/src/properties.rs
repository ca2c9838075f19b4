//! Simple queries against an evaluator that does the obvious: rows in a list, one after the other.
//!
//! Tables have nulls, NaN, infinities, both zeros, empty and foreign texts. Fractions are multiples of 1/4, so that sums are exact in any order.

use crate::testing::{ask, table};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{Float64Type, Int64Type};
use neuroflow_data::{Artifact, Kind};
use proptest::prelude::*;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A value as a query has it.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Number(f64),
    Text(String),
}

/// The order of a result: nulls last, numbers in the total order of their bits' meaning (NaN last).
fn order(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Null, Cell::Null) => Ordering::Equal,
        (Cell::Null, _) => Ordering::Greater,
        (_, Cell::Null) => Ordering::Less,
        (Cell::Bool(a), Cell::Bool(b)) => a.cmp(b),
        (Cell::Int(a), Cell::Int(b)) => a.cmp(b),
        (Cell::Number(a), Cell::Number(b)) => a.total_cmp(b),
        (Cell::Text(a), Cell::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        _ => panic!("cells of two types: {a:?} {b:?}"),
    }
}

fn row_order(a: &[Cell], b: &[Cell]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| order(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Rows as they compare: NaN is itself, whatever its bits.
fn key(rows: &[Vec<Cell>]) -> Vec<String> {
    rows.iter().map(|row| format!("{row:?}").replace("-NaN", "NaN")).collect()
}

/// A row of a random table: `k`, `s`, `x`, `b`.
type Row = (Option<i64>, Option<String>, Option<f64>, Option<bool>);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let text = prop::sample::select(vec!["", "a", "A", " a", "é", "日本", "a'b", "\"", "null"]).prop_map(str::to_owned);
    let number = prop_oneof![
        6 => (-20i32..20).prop_map(|quarter| f64::from(quarter) / 4.0),
        1 => Just(f64::NAN),
        1 => Just(-0.0),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ];
    let row = (prop::option::of(-4i64..4), prop::option::of(text), prop::option::of(number), prop::option::of(any::<bool>()));
    prop::collection::vec(row, 0..24)
}

fn artifact(rows: &[Row]) -> Artifact {
    table(vec![
        ("k", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()) as ArrayRef),
        ("s", Arc::new(rows.iter().map(|row| row.1.clone()).collect::<StringArray>())),
        ("x", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>())),
        ("b", Arc::new(rows.iter().map(|row| row.3).collect::<BooleanArray>())),
    ])
}

fn cells(row: &Row) -> Vec<Cell> {
    vec![
        row.0.map_or(Cell::Null, Cell::Int),
        row.1.clone().map_or(Cell::Null, Cell::Text),
        row.2.map_or(Cell::Null, Cell::Number),
        row.3.map_or(Cell::Null, Cell::Bool),
    ]
}

fn answered(tables: &[(&str, &Artifact)], query: &str) -> Vec<Vec<Cell>> {
    let answer = ask(tables, query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let batch = answer.batch_of(Kind::Table).unwrap();
    let cell = |column: &ArrayRef, row: usize| match column.data_type() {
        _ if column.is_null(row) => Cell::Null,
        arrow::datatypes::DataType::Int64 => Cell::Int(column.as_primitive::<Int64Type>().value(row)),
        arrow::datatypes::DataType::Float64 => Cell::Number(column.as_primitive::<Float64Type>().value(row)),
        arrow::datatypes::DataType::Boolean => Cell::Bool(column.as_boolean().value(row)),
        arrow::datatypes::DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
        other => panic!("a column of {other}"),
    };
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| cell(column, row)).collect()).collect()
}

/// How two numbers compare: both zeros are one, NaN is larger than all others.
fn compared(a: f64, b: f64) -> Ordering {
    (a + 0.0).total_cmp(&(b + 0.0))
}

/// A condition on a row: SQL, and what it says (true, false, or null).
#[derive(Debug, Clone)]
enum Condition {
    KAtLeast(i64),
    TextIs(String),
    NumberBelow(f64),
    NumberIs(f64),
    True,
    KMissing,
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

fn conditions() -> impl Strategy<Value = Condition> {
    let text = prop::sample::select(vec!["", "a", "é", "a'b"]).prop_map(|text| Condition::TextIs(text.to_owned()));
    let quarter = (-8i32..8).prop_map(|quarter| f64::from(quarter) / 4.0);
    let leaf = prop_oneof![
        (-4i64..4).prop_map(Condition::KAtLeast),
        text,
        quarter.clone().prop_map(Condition::NumberBelow),
        quarter.prop_map(Condition::NumberIs),
        Just(Condition::True),
        Just(Condition::KMissing),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Condition::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Condition::Or(Box::new(a), Box::new(b))),
        ]
    })
}

impl Condition {
    fn sql(&self) -> String {
        match self {
            Condition::KAtLeast(number) => format!("k >= {number}"),
            Condition::TextIs(text) => format!("s = '{}'", text.replace('\'', "''")),
            Condition::NumberBelow(number) => format!("x < {number:?}"),
            Condition::NumberIs(number) => format!("x = {number:?}"),
            Condition::True => "b".to_owned(),
            Condition::KMissing => "k is null".to_owned(),
            Condition::Not(inner) => format!("not ({})", inner.sql()),
            Condition::And(a, b) => format!("({}) and ({})", a.sql(), b.sql()),
            Condition::Or(a, b) => format!("({}) or ({})", a.sql(), b.sql()),
        }
    }

    fn holds(&self, row: &Row) -> Option<bool> {
        match self {
            Condition::KAtLeast(number) => row.0.map(|k| k >= *number),
            Condition::TextIs(text) => row.1.as_ref().map(|s| s == text),
            Condition::NumberBelow(number) => row.2.map(|x| compared(x, *number).is_lt()),
            Condition::NumberIs(number) => row.2.map(|x| compared(x, *number).is_eq()),
            Condition::True => row.3,
            Condition::KMissing => Some(row.0.is_none()),
            Condition::Not(inner) => inner.holds(row).map(|holds| !holds),
            Condition::And(a, b) => match (a.holds(row), b.holds(row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Condition::Or(a, b) => match (a.holds(row), b.holds(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn filters_and_projections_keep_the_rows_that_hold(rows in rows(), condition in conditions()) {
        let query = format!("select x, s, k, b from t where {}", condition.sql());
        let mut expected: Vec<Vec<Cell>> = rows
            .iter()
            .filter(|row| condition.holds(row) == Some(true))
            .map(|row| { let [k, s, x, b] = <[Cell; 4]>::try_from(cells(row)).unwrap(); vec![x, s, k, b] })
            .collect();
        expected.sort_by(|a, b| row_order(a, b));
        prop_assert_eq!(key(&answered(&[("t", &artifact(&rows))], &query)), key(&expected), "{}", query);
    }

    #[test]
    fn groups_are_counted_and_summed(rows in rows()) {
        let query = "select s, count(*) as n, count(x) as xs, sum(k) as k, sum(x) as x, min(x) as low, max(x) as high, min(k) as first from t group by s";
        let mut groups: BTreeMap<Option<String>, Vec<&Row>> = BTreeMap::new();
        rows.iter().for_each(|row| groups.entry(row.1.clone()).or_default().push(row));
        let mut expected: Vec<Vec<Cell>> = groups
            .into_iter()
            .map(|(s, rows)| {
                let ks: Vec<i64> = rows.iter().filter_map(|row| row.0).collect();
                let mut xs: Vec<f64> = rows.iter().filter_map(|row| row.2).collect();
                let count = xs.len() as i64;
                let sum = xs.iter().copied().reduce(|a, b| a + b);
                xs.sort_by(f64::total_cmp);
                let number = |value: Option<f64>| value.map_or(Cell::Null, Cell::Number);
                let whole = |value: Option<i64>| value.map_or(Cell::Null, Cell::Int);
                vec![
                    s.map_or(Cell::Null, Cell::Text),
                    Cell::Int(rows.len() as i64),
                    Cell::Int(count),
                    whole(ks.iter().copied().reduce(|a, b| a + b)),
                    number(sum),
                    number(xs.first().copied()),
                    number(xs.last().copied()),
                    whole(ks.iter().copied().min()),
                ]
            })
            .collect();
        expected.sort_by(|a, b| row_order(a, b));
        // The sum of -0.0 alone depends on what the addition began with.
        let plain = |rows: &[Vec<Cell>]| key(rows).into_iter().map(|row| row.replace("-0.0", "0.0")).collect::<Vec<_>>();
        prop_assert_eq!(plain(&answered(&[("t", &artifact(&rows))], query)), plain(&expected));
    }

    #[test]
    fn joins_pair_the_rows_with_equal_keys(left in rows(), right in rows(), outer in any::<bool>()) {
        let query = format!("select a.k, a.s, b.s as t, b.x from a {} join b on a.k = b.k", if outer { "left" } else { "inner" });
        let mut expected = Vec::new();
        for a in &left {
            let partners: Vec<&Row> = right.iter().filter(|b| a.0.is_some() && a.0 == b.0).collect();
            let first = |row: &Row| { let cells = cells(row); (cells[0].clone(), cells[1].clone()) };
            let (k, s) = first(a);
            for b in &partners {
                let b = cells(b);
                expected.push(vec![k.clone(), s.clone(), b[1].clone(), b[2].clone()]);
            }
            if outer && partners.is_empty() {
                expected.push(vec![k, s, Cell::Null, Cell::Null]);
            }
        }
        expected.sort_by(|a, b| row_order(a, b));
        prop_assert_eq!(key(&answered(&[("a", &artifact(&left)), ("b", &artifact(&right))], &query)), key(&expected));
    }
}
