//! A family as one table: the rows of all members, with a column that says whose a row is.
//!
//! A member's label is what `gather` calls it. When every label says which loop variable has which value (`area = VISp, day = 3`), each variable is a
//! column; otherwise the label is the column `member`. Columns are matched by name; a member that lacks one has nulls there.

use crate::rows::{Named, Portions, Rows, Wanted, batch_of, free_name};
use crate::unreadable::{Unreadable, within};
use arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use std::sync::Arc;

#[derive(Debug)]
struct Member {
    /// What stands before what is wrong with its rows: `` member `m1` ``.
    place: String,
    labels: Vec<ScalarValue>,
    rows: Arc<dyn Rows>,
    /// For each column after the labels, where the member has it.
    places: Vec<Option<usize>>,
}

/// The rows of several members, one member after the other.
#[derive(Debug)]
pub(crate) struct Family {
    schema: SchemaRef,
    n_labels: usize,
    members: Vec<Member>,
}

impl Family {
    /// A family of labelled members.
    ///
    /// # Errors
    /// When a column has types in two members that don't go together; says which.
    pub(crate) fn new(members: Vec<(String, Arc<dyn Rows>)>) -> Result<Family, String> {
        let labels: Vec<&str> = members.iter().map(|(label, _)| label.as_str()).collect();
        let mut fields: Vec<Field> = Vec::new();
        // A member without rows has no say in types: what it has of a column fits any.
        let is_empty = |rows: &Arc<dyn Rows>| rows.count() == Some(0);
        let (silent, speaking): (Vec<_>, Vec<_>) = members.iter().partition(|(_, rows)| is_empty(rows));
        let all_silent = speaking.is_empty();
        for (label, rows) in speaking.into_iter().chain(silent) {
            for field in rows.schema().fields() {
                if is_empty(rows) && !all_silent && fields.iter().any(|known| known.name() == field.name()) {
                    continue;
                }
                match fields.iter_mut().find(|known| known.name() == field.name()) {
                    None => fields.push(field.as_ref().clone()),
                    Some(known) => {
                        let both = together(known.data_type(), field.data_type()).ok_or_else(|| {
                            let (name, before, here) = (field.name(), known.data_type(), field.data_type());
                            format!(
                                "the members of the family do not go together: column `{name}` is {here} in `{label}`, {before} before it"
                            )
                        })?;
                        *known = Field::new(field.name(), both, true);
                    }
                }
            }
        }
        let mut schema_fields = Vec::new();
        let mut values: Vec<Vec<ScalarValue>> = vec![Vec::new(); members.len()];
        for (name, column) in label_columns(&labels) {
            let name = free_name(&name, &|name| fields.iter().chain(&schema_fields).any(|field: &Field| field.name() == name));
            schema_fields.push(Field::new(name, column[0].data_type(), false));
            values.iter_mut().zip(column).for_each(|(member, value)| member.push(value));
        }
        let n_labels = schema_fields.len();
        let places = |rows: &dyn Rows| fields.iter().map(|field| rows.schema().index_of(field.name()).ok()).collect::<Vec<_>>();
        let members: Vec<Member> = members
            .iter()
            .zip(values)
            .map(|((label, rows), labels)| {
                let (place, places) = (format!("member `{label}`"), places(rows.as_ref()));
                Member { rows: Arc::new(Named::new(place.clone(), Arc::clone(rows))), place, labels, places }
            })
            .collect();
        let absent = |at: usize| members.iter().any(|member| member.places.get(at).is_none_or(Option::is_none));
        let nullable: Vec<bool> = (0..fields.len()).map(absent).collect();
        schema_fields.extend(fields.into_iter().zip(nullable).map(|(field, absent)| {
            let nullable = field.is_nullable() || absent;
            field.with_nullable(nullable)
        }));
        Ok(Family { schema: Arc::new(Schema::new(schema_fields)), n_labels, members })
    }

    /// Whether a condition on labels alone leaves out a member.
    fn leaves_out(&self, member: &Member, condition: &Arc<dyn PhysicalExpr>) -> bool {
        let columns = collect_columns(condition);
        if columns.is_empty() || columns.iter().any(|column| column.index() >= self.n_labels) {
            return false;
        }
        let asked = || -> Option<bool> {
            let arrays = member.labels.iter().map(|label| label.to_array().ok()).collect::<Option<Vec<_>>>()?;
            let schema: SchemaRef = Arc::new(self.schema.project(&(0..self.n_labels).collect::<Vec<_>>()).ok()?);
            let answer = condition.evaluate(&batch_of(&schema, arrays, 1).ok()?).ok()?.into_array(1).ok()?;
            let answer = answer.as_any().downcast_ref::<BooleanArray>()?;
            Some(answer.is_null(0) || !answer.value(0))
        };
        asked().unwrap_or(false)
    }

    /// A condition in a member's own columns, when it has all of them with the family's types.
    fn of_member(&self, member: &Member, condition: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
        let own = member.rows.schema();
        let same = |column: &datafusion::physical_expr::expressions::Column| {
            let here = own.field_with_name(column.name()).ok()?;
            (column.index() >= self.n_labels && here.data_type() == self.schema.field(column.index()).data_type()).then_some(())
        };
        collect_columns(condition).iter().all(|column| same(column).is_some()).then_some(())?;
        reassign_expr_columns(Arc::clone(condition), own).ok()
    }
}

impl Rows for Family {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn count(&self) -> Option<usize> {
        self.members.iter().try_fold(0usize, |sum, member| sum.checked_add(member.rows.count()?))
    }

    fn narrows(&self) -> bool {
        true
    }

    fn read(&self, wanted: &Wanted) -> Result<Portions, DataFusionError> {
        let schema: SchemaRef = Arc::new(self.schema.project(&wanted.columns)?);
        let mut parts: Vec<Portions> = Vec::new();
        for member in &self.members {
            if wanted.conditions.iter().any(|condition| self.leaves_out(member, condition)) {
                continue;
            }
            let mut columns = Vec::new();
            let sources: Vec<Source> = wanted
                .columns
                .iter()
                .map(|&column| match column.checked_sub(self.n_labels) {
                    None => member.labels.get(column).cloned().map_or(Source::Absent, Source::Label),
                    Some(own) => match member.places.get(own).copied().flatten() {
                        None => Source::Absent,
                        Some(place) => {
                            columns.push(place);
                            Source::Column(columns.len() - 1)
                        }
                    },
                })
                .collect();
            let conditions = wanted.conditions.iter().filter_map(|condition| self.of_member(member, condition)).collect();
            let portions = member.rows.read(&Wanted { columns, conditions })?;
            let (schema, place) = (Arc::clone(&schema), member.place.clone());
            parts.push(Box::new(portions.map(move |batch| {
                let batch = batch?;
                let rows = batch.num_rows();
                let arrays = sources.iter().zip(schema.fields()).map(|(source, field)| source.array(&batch, field, rows));
                let arrays = arrays.collect::<Result<Vec<ArrayRef>, DataFusionError>>().map_err(|error| within(&place, error))?;
                Ok(batch_of(&schema, arrays, rows)?)
            })));
        }
        Ok(Box::new(parts.into_iter().flatten()))
    }
}

/// Where a family's column comes from in one member.
#[derive(Debug, Clone)]
enum Source {
    Label(ScalarValue),
    Column(usize),
    Absent,
}

impl Source {
    fn array(&self, batch: &arrow::array::RecordBatch, field: &FieldRef, rows: usize) -> Result<ArrayRef, DataFusionError> {
        let data_type = field.data_type();
        match self {
            Source::Label(value) => value.to_array_of_size(rows),
            Source::Column(position) if batch.column(*position).data_type() == data_type => Ok(Arc::clone(batch.column(*position))),
            Source::Column(position) => Ok(fitting(batch.column(*position), field)?),
            Source::Absent => Ok(new_null_array(data_type, rows)),
        }
    }
}

/// The values of a member's column in the type of the family's, none of them lost.
fn fitting(array: &ArrayRef, field: &FieldRef) -> Result<ArrayRef, Unreadable> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, field.data_type(), &options).map_err(|error| match error {
        // The only casts that can fail are those of whole numbers of 64 bits without a sign.
        ArrowError::CastError(_) => Unreadable {
            message: format!("column `{}` has whole numbers that are too large for a table", field.name()),
            help: Some("cast it to `double` or to text in a query of each member, and gather those".to_owned()),
        },
        other => Unreadable { message: format!("column `{}`: {other}", field.name()), help: None },
    })
}

/// The type that holds values of both types without loss of meaning.
fn together(a: &DataType, b: &DataType) -> Option<DataType> {
    let text = |ty: &DataType| matches!(ty, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (a, b) if a.is_integer() && b.is_integer() => Some(DataType::Int64),
        (a, b) if (a.is_integer() || a.is_floating()) && (b.is_integer() || b.is_floating()) => Some(DataType::Float64),
        (a, b) if text(a) && text(b) => Some(DataType::Utf8),
        _ => None,
    }
}

/// The columns that labels make, with a value for each member.
fn label_columns(labels: &[&str]) -> Vec<(String, Vec<ScalarValue>)> {
    if labels.is_empty() {
        return Vec::new();
    }
    let named: Option<Vec<Vec<(&str, &str)>>> =
        labels.iter().map(|label| label.split(", ").map(|part| part.split_once(" = ")).collect::<Option<Vec<_>>>()).collect();
    if let Some(named) = named {
        let names: Vec<&str> = named[0].iter().map(|(name, _)| *name).collect();
        let alike = |member: &Vec<(&str, &str)>| member.iter().map(|(name, _)| *name).eq(names.iter().copied());
        if named.iter().all(alike) {
            let column = |at: usize| named.iter().map(|member| member[at].1).collect::<Vec<&str>>();
            return names.iter().enumerate().map(|(at, name)| ((*name).to_owned(), values_of(&column(at)))).collect();
        }
    }
    vec![("member".to_owned(), labels.iter().map(|label| ScalarValue::from(*label)).collect())]
}

/// The values of a loop variable: numbers when every one is written as that number would be, text otherwise (`007` is a name).
fn values_of(texts: &[&str]) -> Vec<ScalarValue> {
    let numbers = |text: &&str| text.parse::<i64>().ok().filter(|number| number.to_string() == **text);
    let fractions = |text: &&str| text.parse::<f64>().ok().filter(|number| number.is_finite() && number.to_string() == **text);
    if let Some(numbers) = texts.iter().map(numbers).collect::<Option<Vec<i64>>>() {
        return numbers.into_iter().map(ScalarValue::from).collect();
    }
    if let Some(numbers) = texts.iter().map(fractions).collect::<Option<Vec<f64>>>() {
        return numbers.into_iter().map(ScalarValue::from).collect();
    }
    texts.iter().map(|text| ScalarValue::from(*text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_variables_are_columns_of_their_own() {
        let columns = label_columns(&["area = VISp, day = 1", "area = VISl, day = 2"]);
        assert_eq!(columns[0], ("area".into(), vec![ScalarValue::from("VISp"), ScalarValue::from("VISl")]));
        assert_eq!(columns[1], ("day".into(), vec![ScalarValue::from(1i64), ScalarValue::from(2i64)]));
    }

    #[test]
    fn plain_labels_are_members_and_leading_zeros_are_names() {
        assert_eq!(label_columns(&["VISp, 1", "VISl, 2"])[0].0, "member");
        assert_eq!(values_of(&["007", "8"]), [ScalarValue::from("007"), ScalarValue::from("8")]);
        assert_eq!(values_of(&["0.5", "1"]), [ScalarValue::from(0.5), ScalarValue::from(1.0)]);
    }
}
