//! `query.sweep`: what a sweep's steps scored, beside the settings that they ran with.
//!
//! For what: to compare settings, and to plot scores over them. Promises: a row for each step and metric, each setting a column of its own type, and with
//! each score its chance level, its interval and its p value. Refuses: rows of settings that do not match the scores.

use neuroflow_data::{Artifact, Kind, Meta, Score, Scores, Table, columns};
use neuroflow_stage::params::{ParamType, Parameter};
use neuroflow_stage::{Context, Dimension, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params};
use std::collections::BTreeMap;

type Column = (arrow::datatypes::Field, arrow::array::ArrayRef);

/// The stage `query.sweep`.
pub struct Sweep;

/// The value of a setting, whatever it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting(Value);

impl Parameter for Setting {
    fn ty() -> ParamType {
        ParamType::Any
    }

    fn from_value(value: &Value) -> Result<Setting, String> {
        Ok(Setting(value.clone()))
    }
}

params! {
    /// Parameters of `query.sweep`.
    pub struct SweepParams {
        /// The names of the settings.
        settings: Vec<String>;
        /// For each of the scores, in their order: the step's name, and the value of each setting.
        rows: Vec<Vec<Setting>>;
    }
}

const DOC: &str = r#"A `sweep` in a pipeline makes this step; it is seldom called by hand.

The table has a row for each step and each of its metrics: `step`, the settings, `metric`, `value`, `chance`, `ceiling`, `interval_low`, `interval_high`, `n`
(observations), `null_mean`, `p` and `p_corrected` (of the first control). What a score does not have is null.

A setting is a column of whole numbers, numbers, truth values or text, as its values are; quantities are numbers in their base unit (seconds, hertz). A setting
that is named like one of the other columns becomes `setting_…`."#;

impl Stage for Sweep {
    type Params = SweepParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "query.sweep",
            version: 1,
            summary: "Gathers what the steps of a sweep scored into one table with their settings.",
            doc: DOC,
            inputs: vec![InputSpec::many("scores", &[Kind::Scores], "", "The scores, one for each choice of settings.")],
            outputs: vec![OutputSpec::new("table", Kind::Table, "", "Settings and scores, a row for each step and metric.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &SweepParams, _context: &Context) -> Result<Outputs, StageError> {
        let scores: Vec<Scores> = inputs.many::<Scores>("scores")?.into_iter().map(|(_, scores)| scores).collect();
        if scores.len() != params.rows.len() {
            return Err(StageError::refused(format!("{} rows of settings for {} scores", params.rows.len(), scores.len())));
        }
        if let Some(row) = params.rows.iter().find(|row| row.len() != params.settings.len() + 1) {
            let (found, expected) = (row.len(), params.settings.len() + 1);
            return Err(StageError::refused(format!(
                "a row of settings has {found} values: a step and {} settings are {expected}",
                expected - 1
            )));
        }
        // A row of the table: whose settings, and which score.
        let rows: Vec<(usize, &Score)> =
            scores.iter().enumerate().flat_map(|(of, scores)| scores.scores.iter().map(move |score| (of, score))).collect();
        let fixed = score_columns(&rows);
        let value = |of: usize, at: usize| params.rows.get(of).and_then(|row| row.get(at)).map(|setting| &setting.0);
        let steps: Vec<String> = rows.iter().map(|(of, _)| value(*of, 0).map_or_else(String::new, as_text)).collect();
        let mut pairs = vec![columns::from_texts("step", &steps)];
        let mut units = BTreeMap::new();
        for (position, name) in params.settings.iter().enumerate() {
            let taken = |name: &str| fixed.iter().chain(&pairs).any(|(field, _)| field.name() == name);
            let name = if taken(name) { crate::rows::free_name(&format!("setting_{name}"), &taken) } else { name.clone() };
            let all: Vec<&Value> = params.rows.iter().filter_map(|row| row.get(position + 1)).map(|setting| &setting.0).collect();
            let values: Vec<&Value> = rows.iter().filter_map(|(of, _)| value(*of, position + 1)).collect();
            // A share is a plain number: 10 % is 0.1.
            if let Some(dimension) = dimension(&all).filter(|dimension| *dimension != Dimension::Ratio) {
                units.insert(name.clone(), dimension.base_unit());
            }
            pairs.push(setting_column(&name, &all, &values));
        }
        pairs.extend(fixed);
        let mut meta = Meta::default();
        if !units.is_empty() {
            meta.attributes.insert("units".into(), serde_json::json!(units));
        }
        let table = Table::from_columns(pairs)?;
        Ok(Outputs::new().with_artifact("table", Artifact::from_batch(Kind::Table, table.batch().clone(), meta)))
    }
}

fn score_columns(rows: &[(usize, &Score)]) -> Vec<Column> {
    let optional = |name: &str, of: &dyn Fn(&Score) -> Option<f64>| {
        columns::from_optional_numbers(name, rows.iter().map(|(_, score)| of(score)).collect())
    };
    vec![
        columns::from_texts("metric", &rows.iter().map(|(_, score)| score.metric.as_str()).collect::<Vec<_>>()),
        columns::from_numbers("value", rows.iter().map(|(_, score)| score.value).collect()),
        optional("chance", &|score| score.chance),
        optional("ceiling", &|score| score.ceiling),
        optional("interval_low", &|score| score.interval.as_ref().map(|interval| interval.low)),
        optional("interval_high", &|score| score.interval.as_ref().map(|interval| interval.high)),
        columns::from_integers("n", rows.iter().map(|(_, score)| i64::try_from(score.n).unwrap_or(i64::MAX)).collect()),
        optional("null_mean", &|score| score.controls.first().map(|control| control.mean()).filter(|mean| mean.is_finite())),
        optional("p", &|score| score.controls.first().map(|control| control.p)),
        optional("p_corrected", &|score| score.controls.first().map(|control| control.p_corrected)),
    ]
}

/// The dimension that all values have, if they are quantities of one.
fn dimension(values: &[&Value]) -> Option<Dimension> {
    let of = |value: &&Value| match value {
        Value::Quantity(quantity) => Some(quantity.dimension),
        _ => None,
    };
    let first = values.first().and_then(of)?;
    values.iter().all(|value| of(value) == Some(first)).then_some(first)
}

/// A setting as a column: `all` are its values in every step, which choose the type, `values` those of the rows.
fn setting_column(name: &str, all: &[&Value], values: &[&Value]) -> Column {
    let number = |value: &Value| match value {
        Value::Quantity(quantity) => quantity.value,
        value => value.as_number().unwrap_or(f64::NAN),
    };
    let every = |is: fn(&Value) -> bool| !all.is_empty() && all.iter().all(|value| is(value));
    if every(|value| matches!(value, Value::Int(_))) {
        return columns::from_integers(name, values.iter().map(|value| if let Value::Int(value) = value { *value } else { 0 }).collect());
    }
    if every(|value| matches!(value, Value::Bool(_))) {
        return columns::from_booleans(name, values.iter().map(|value| matches!(value, Value::Bool(true))).collect());
    }
    if every(|value| value.as_number().is_some()) || dimension(all).is_some() {
        return columns::from_numbers(name, values.iter().map(|value| number(value)).collect());
    }
    columns::from_texts(name, &values.iter().map(|value| as_text(value)).collect::<Vec<_>>())
}

fn as_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{ControlResult, Interval};
    use neuroflow_stage::AnyStage;

    fn scores(value: f64, controlled: bool) -> Artifact {
        let mut accuracy = Score::new("accuracy", value, 40);
        accuracy.chance = Some(0.25);
        accuracy.interval = Some(Interval { low: value - 0.125, high: value + 0.125, level: 0.95, method: "folds".into() });
        if controlled {
            accuracy.controls.push(ControlResult::new("shuffle", value, vec![0.25, 0.25, 0.25]));
        }
        let scores = Scores::new(vec![accuracy, Score::new("loss", 1.0 - value, 40)]);
        neuroflow_data::Typed::into_artifact(scores).unwrap()
    }

    fn run(settings: &[&str], rows: Vec<Vec<Value>>, scores: Vec<Artifact>) -> Result<Artifact, StageError> {
        let mut inputs = Inputs::new();
        for (position, scores) in scores.into_iter().enumerate() {
            inputs.push("scores", &position.to_string(), scores);
        }
        let rows = Value::List(rows.into_iter().map(Value::List).collect());
        let given = [("settings".to_owned(), Value::from(settings.to_vec())), ("rows".to_owned(), rows)].into();
        let outputs = AnyStage::run(&Sweep, &inputs, &given, &Context::quiet(1))?;
        Ok(outputs.get("table").unwrap().clone())
    }

    #[test]
    fn a_sweep_is_a_table_of_settings_and_scores() {
        let rows = vec![
            vec!["scene".into(), Value::seconds(0.01), Value::Int(1), Value::word("lda")],
            vec!["scene".into(), Value::seconds(0.02), Value::Int(2), Value::call("logistic", vec![("strength", Value::Int(3))])],
        ];
        let table = run(&["bin", "n", "model"], rows, vec![scores(0.5, true), scores(0.75, false)]).unwrap();
        let golden = "\
step,bin,setting_n,model,metric,value,chance,ceiling,interval_low,interval_high,n,null_mean,p,p_corrected
scene,0.01,1,lda,accuracy,0.5,0.25,,0.375,0.625,40,0.25,0.25,0.25
scene,0.01,1,lda,loss,0.5,,,,,40,,,
scene,0.02,2,logistic(strength = 3),accuracy,0.75,0.25,,0.625,0.875,40,,,
scene,0.02,2,logistic(strength = 3),loss,0.25,,,,,40,,,
";
        let batch = table.batch_of(Kind::Table).unwrap();
        let mut text = Vec::new();
        arrow::csv::Writer::new(&mut text).write(batch).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), golden);
        assert_eq!(table.meta().attributes["units"], serde_json::json!({"bin": "s"}));
    }

    #[test]
    fn settings_have_the_type_of_their_values() {
        let rows = |values: [Value; 2]| values.into_iter().map(|value| vec![Value::from("a"), value]).collect::<Vec<_>>();
        let column = |values| {
            let table = run(&["x"], rows(values), vec![scores(0.5, false), scores(0.5, false)]).unwrap();
            table.batch_of(Kind::Table).unwrap().column_by_name("x").unwrap().data_type().clone()
        };
        use arrow::datatypes::DataType;
        assert_eq!(column([Value::Int(1), Value::Int(2)]), DataType::Int64);
        assert_eq!(column([Value::Int(1), Value::Number(2.5)]), DataType::Float64);
        assert_eq!(column([Value::Bool(true), Value::Bool(false)]), DataType::Boolean);
        assert_eq!(column([Value::Bool(true), Value::Int(1)]), DataType::Utf8);
        assert_eq!(column([Value::window(0.0, 1.0), Value::window(1.0, 2.0)]), DataType::Utf8);
    }

    #[test]
    fn settings_that_do_not_match_the_scores_are_refused() {
        let error = run(&["x"], vec![vec!["a".into(), Value::Int(1)]], vec![]).unwrap_err();
        assert_eq!(error.to_string(), "1 rows of settings for 0 scores");
        let error = run(&["x"], vec![vec!["a".into()]], vec![scores(0.5, false)]).unwrap_err();
        assert_eq!(error.to_string(), "a row of settings has 1 values: a step and 1 settings are 2");
    }
}
