//! `similarity.group_rsa`: how alike the representations of several subjects are to a model's.
//!
//! For what: a claim about a population of subjects and of conditions, not about the subjects and conditions at hand. Promises: the mean likeness
//! over subjects, an interval from resampled subjects, conditions or both, p over permuted conditions, and the bounds of the noise ceiling.
//! Refuses: fewer than two subjects, fewer than four common conditions, an RDM that is constant. From: Nili et al. 2014; Schütt et al. 2023 for the
//! two-factor bootstrap.

use crate::comparison::Comparison;
use crate::failure::numerical;
use crate::resampling::{draws, permutations, permuted};
use neuroflow_compute::geometry::{TrianglePair, noise_ceiling};
use neuroflow_compute::statistics::{mean, variance};
use neuroflow_compute::{Matrix, with_threads};
use neuroflow_data::random::Stream;
use neuroflow_data::{Interval, Kind, Rdm, Score, Scores, Table, columns};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params, words};

words! {
    /// What a bootstrap draws anew.
    pub enum Resample {
        /// Subjects and conditions: the result should hold for new subjects and new conditions. The variance is corrected for what both draws count
        /// twice.
        Both = "both" {},
        /// Subjects: the result should hold for these conditions.
        Subjects = "subjects" {},
        /// Conditions: the result should hold for these subjects.
        Conditions = "conditions" {},
    }
}

params! {
    /// Parameters of `similarity.group_rsa`.
    pub struct GroupRsaParams {
        /// How two RDMs are compared.
        compare: Comparison = Value::word("spearman");
        /// What a bootstrap draws anew.
        resample: Resample = Value::word("both");
        /// Resamples for the interval; 0 for none.
        bootstrap: usize = 1000, in 0.0..=100000.0;
        /// Permutations of the model's conditions for p; 0 for none.
        permutations: usize = 1000, in 0.0..=100000.0;
    }
}

/// The stage `similarity.group_rsa`.
pub struct GroupRsa;

const DOC: &str = r#"Each RDM of each input is a subject. The likeness is computed for each subject and averaged; only conditions that all subjects
and the model have count. A resampled pair of one condition with itself is left out. With `resample = both` the standard error is `√(2 (s² + c²) −
b²)` from the variances over subjects, over conditions and over both, kept between the larger single one and that of both (Schütt et al. 2023); the
interval is the likeness ± 1.96 of it. The null and p beside it are those of the model's conditions permuted. `ceiling_upper` is the mean likeness of a subject with the mean of all, which no model passes;
`ceiling_lower` with the mean of the others, which the true model passes on average.

```nf
pipeline example
input sessions = ingest.simulate()
for mouse in sessions {
  responses = ingest.trials(sessions[mouse])
  brain = similarity.rdm(responses, by = "direction")
}
gabor = train.features(responses["sim1"])
model = similarity.rdm(gabor, by = "direction")
likeness = similarity.group_rsa(gather(brain), model, bootstrap = 100, permutations = 100)
report example { likeness }
```"#;

impl Stage for GroupRsa {
    type Params = GroupRsaParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.group_rsa",
            version: 2,
            summary: "Measures how alike the representations of several subjects are to a model's.",
            doc: DOC,
            inputs: vec![
                InputSpec::many("subjects", &[Kind::Rdm], "rdm × condition × condition", "The subjects' RDMs, two at least."),
                InputSpec::one("model", &[Kind::Rdm], "rdm × condition × condition", "The model's RDM; the mean of several."),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "The likeness and the noise ceiling."),
                OutputSpec::new("subjects", Kind::Table, "", "The likeness of each subject."),
            ],
            params: Vec::new(),
            metrics: &["similarity", "ceiling_lower", "ceiling_upper"],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &GroupRsaParams, context: &Context) -> Result<Outputs, StageError> {
        let group = Group::of(&inputs.many("subjects")?, &inputs.one("model")?)?;
        context.cancel.check()?;
        with_threads(context.threads, || group.analyse(params, context)).map_err(numerical)?
    }
}

/// Subjects and a model over common conditions.
struct Group {
    names: Vec<String>,
    conditions: usize,
    subjects: Matrix,
    model: Vec<f64>,
}

impl Group {
    fn of(members: &[(String, Rdm)], model: &Rdm) -> Result<Group, StageError> {
        let own = model.condition_names();
        let labels: Vec<Vec<String>> = members.iter().map(|(_, rdm)| rdm.condition_names()).collect();
        let common: Vec<String> = own.iter().filter(|name| labels.iter().all(|labels| labels.contains(name))).cloned().collect();
        if common.len() < 4 {
            return Err(StageError::refused_with_help(
                format!("the subjects and the model have {} conditions in common; at least 4 are needed", common.len()),
                "compute all RDMs by the same column",
            ));
        }
        let mut names = Vec::new();
        let mut rows = Vec::new();
        for ((label, rdm), labels) in members.iter().zip(&labels) {
            for at in 0..rdm.len() {
                names.push(match (label.is_empty(), rdm.len()) {
                    (true, _) => rdm.name(at),
                    (false, 1) => label.clone(),
                    (false, _) => format!("{label} {}", rdm.name(at)),
                });
                rows.push(triangle(rdm.values().row(at), labels, &common));
            }
        }
        if names.len() < 2 {
            return Err(StageError::refused_with_help(
                format!("{} subject is given; a group needs at least 2", names.len()),
                "gather the subjects of a loop: `similarity.group_rsa(gather(brain), model)`; for one subject there is `similarity.rsa`",
            ));
        }
        let mut mean_model = vec![0.0; common.len() * (common.len() - 1) / 2];
        for at in 0..model.len() {
            let one = triangle(model.values().row(at), &own, &common);
            mean_model.iter_mut().zip(one).for_each(|(sum, value)| *sum += value / model.len() as f64);
        }
        Ok(Group { names, conditions: common.len(), subjects: Matrix::from_rows(&rows).map_err(numerical)?, model: mean_model })
    }

    fn analyse(&self, params: &GroupRsaParams, context: &Context) -> Result<Outputs, StageError> {
        let n_subjects = self.names.len();
        let mut pairs: Vec<TrianglePair> = Vec::with_capacity(n_subjects);
        let mut likeness = Vec::with_capacity(n_subjects);
        for (subject, name) in self.subjects.row_iter().zip(&self.names) {
            let pair = params.compare.pair(self.conditions, subject, &self.model)?;
            likeness.push(pair.value().ok_or_else(|| {
                StageError::refused(format!(
                    "the RDM of {name} or the model's is constant: its geometry says nothing, so there is nothing to compare"
                ))
            })?);
            pairs.push(pair);
        }
        let value = mean(&likeness);
        let stream = Stream::new(context.seed);
        let mut score = Score::new("similarity", value, n_subjects);
        score.chance = params.compare.chance();
        score.notes.push(format!("{n_subjects} subjects, {} conditions", self.conditions));
        let (error, method) = self.standard_error(params, &pairs, &likeness, &stream, context)?;
        if let Some(error) = error {
            score.interval = Some(Interval { low: value - 1.96 * error, high: value + 1.96 * error, level: 0.95, method });
        }
        if params.permutations > 0 {
            let orders = permutations(params.permutations, self.conditions, &stream.split("permutation"));
            let mut null = vec![Some(0.0); orders.len()];
            for pair in &pairs {
                context.cancel.check()?;
                let one = pair.permuted_all(&orders).map_err(numerical)?;
                null.iter_mut().zip(one).for_each(|(sum, one)| *sum = sum.zip(one).map(|(sum, one)| sum + one / n_subjects as f64));
            }
            permuted(&mut score, "conditions", value, &null, |draw| draw);
        }
        let ceiling = noise_ceiling(self.conditions, &self.subjects, params.compare.likeness()).map_err(numerical)?;
        score.ceiling = Some(ceiling.upper);
        let bound = |name: &str, value: f64, note: &str| {
            let mut bound = Score::new(name, value, n_subjects);
            bound.notes.push(note.into());
            bound
        };
        let scores = Scores::new(vec![
            score,
            bound("ceiling_lower", ceiling.lower, "mean likeness of each subject with the mean of the others"),
            bound("ceiling_upper", ceiling.upper, "mean likeness of each subject with the mean of all"),
        ]);
        let table = Table::from_columns(vec![columns::from_texts("subject", &self.names), columns::from_numbers("similarity", likeness)])?;
        Outputs::new().with("scores", scores)?.with("subjects", table)
    }

    /// The standard error of the mean likeness, and how it was obtained; none where too few resamples have a value.
    fn standard_error(
        &self,
        params: &GroupRsaParams,
        pairs: &[TrianglePair],
        likeness: &[f64],
        stream: &Stream,
        context: &Context,
    ) -> Result<(Option<f64>, String), StageError> {
        let n_subjects = pairs.len();
        let drawn_subjects = draws(params.bootstrap, n_subjects, &stream.split("subjects"));
        let over = |multiplicity: &[u32], values: &dyn Fn(usize) -> Option<f64>| -> Option<f64> {
            let mut sum = 0.0;
            for (subject, &count) in multiplicity.iter().enumerate().filter(|(_, count)| **count > 0) {
                sum += f64::from(count) * values(subject)?;
            }
            Some(sum / n_subjects as f64)
        };
        let spread = |values: Vec<Option<f64>>| {
            let defined: Vec<f64> = values.into_iter().flatten().collect();
            (defined.len() >= 20).then(|| variance(&defined, 1))
        };
        let by_subjects = spread(drawn_subjects.iter().map(|draw| over(draw, &|subject| Some(likeness[subject]))).collect());
        if matches!(params.resample, Resample::Subjects {}) {
            return Ok((by_subjects.map(f64::sqrt), "bootstrap over subjects".into()));
        }
        let drawn_conditions = draws(params.bootstrap, self.conditions, &stream.split("conditions"));
        let mut resampled = Vec::with_capacity(n_subjects);
        for (done, pair) in pairs.iter().enumerate() {
            context.cancel.check()?;
            resampled.push(pair.resampled_all(&drawn_conditions).map_err(numerical)?);
            context.progress.report(done as u64 + 1, n_subjects as u64);
        }
        let all = vec![1; n_subjects];
        let by_conditions = spread((0..params.bootstrap).map(|draw| over(&all, &|subject| resampled[subject][draw])).collect());
        if matches!(params.resample, Resample::Conditions {}) {
            return Ok((by_conditions.map(f64::sqrt), "bootstrap over conditions".into()));
        }
        let by_both = spread(drawn_subjects.iter().enumerate().map(|(at, draw)| over(draw, &|subject| resampled[subject][at])).collect());
        let error = match (by_subjects, by_conditions, by_both) {
            (Some(subjects), Some(conditions), Some(both)) => {
                // Each single variance holds the noise of measurement once, the double one three times.
                let corrected = 2.0 * (subjects + conditions) - both;
                let low = subjects.max(conditions);
                Some(corrected.min(both).max(low).sqrt())
            }
            _ => None,
        };
        Ok((error, "bootstrap over subjects and conditions, corrected".into()))
    }
}

/// The upper triangle of a matrix over a choice of its conditions.
fn triangle(matrix: &[f64], own: &[String], chosen: &[String]) -> Vec<f64> {
    let places: Vec<usize> = chosen.iter().filter_map(|name| own.iter().position(|other| other == name)).collect();
    let size = own.len();
    places.iter().enumerate().flat_map(|(at, &a)| places[at + 1..].iter().map(move |&b| matrix[a * size + b])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use neuroflow_data::{Axis, Typed};
    use neuroflow_stage::AnyStage;
    use std::collections::BTreeMap;

    fn rdms(names: &[&str], triangles: &[Vec<f64>]) -> Rdm {
        let size = (((8 * triangles[0].len() + 1) as f64).sqrt() as usize).div_ceil(2);
        let axis = Axis::count("condition", size);
        Rdm::from_triangles(names.iter().map(|name| (*name).to_owned()).collect(), axis, "m", triangles).unwrap()
    }

    fn run(subjects: Vec<(&str, Rdm)>, model: Rdm, params: &[(&str, Value)]) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        for (label, rdm) in subjects {
            inputs.push("subjects", label, rdm.into_artifact()?);
        }
        inputs.push("model", "", model.into_artifact()?);
        let params: BTreeMap<String, Value> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        AnyStage::run(&GroupRsa, &inputs, &params, &Context::quiet(1))
    }

    #[test]
    fn ceilings_are_those_of_rsatoolbox() {
        let Some((shape, values)) = golden::array("noise_ceiling", "rdms") else { return };
        let triangles: Vec<Vec<f64>> = values.chunks(shape[1]).map(<[f64]>::to_vec).collect();
        let names = ["a", "b", "c", "d", "e"];
        let model = rdms(&["m"], &triangles[..1]);
        let few = [("bootstrap", Value::Int(0)), ("permutations", Value::Int(0)), ("compare", Value::word("kendall_tau_a"))];
        let scores: Scores = run(vec![("", rdms(&names, &triangles))], model, &few).unwrap().one("scores").unwrap();
        for (metric, expected) in [("ceiling_lower", 0.241_771_561_771_561_75), ("ceiling_upper", 0.439_813_519_813_519_8)] {
            assert!((scores.get(metric).unwrap().value - expected).abs() < 1e-9);
        }
    }

    /// Subjects whose RDMs are a common one and noise of their own.
    fn group(n: usize, noise: f64) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut stream = Stream::new(4);
        let truth: Vec<f64> = (0..66).map(|_| stream.uniform()).collect();
        let subjects = (0..n).map(|_| truth.iter().map(|value| value + noise * stream.uniform()).collect()).collect();
        (subjects, truth)
    }

    #[test]
    fn the_true_model_lies_between_the_bounds_and_intervals_widen_with_the_factors_drawn() {
        let (subjects, truth) = group(8, 1.0);
        let members: Vec<(&str, Rdm)> = ["a", "b", "c", "d", "e", "f", "g", "h"]
            .into_iter()
            .zip(&subjects)
            .map(|(name, one)| (name, rdms(&[name], std::slice::from_ref(one))))
            .collect();
        let width = |resample: &str| {
            let params = [("resample", Value::word(resample)), ("bootstrap", Value::Int(300)), ("permutations", Value::Int(100))];
            let outputs = run(members.clone(), rdms(&["m"], std::slice::from_ref(&truth)), &params).unwrap();
            let scores: Scores = outputs.one("scores").unwrap();
            let (score, low, high) = (&scores.scores[0], scores.scores[1].value, scores.scores[2].value);
            assert!(score.value > low && score.value < high, "{low} {} {high}", score.value);
            assert!((score.controls[0].p - 1.0 / 101.0).abs() < 1e-12, "{:?}", score.controls);
            let table: Table = outputs.one("subjects").unwrap();
            assert_eq!(table.texts("subject").unwrap()[2], "c");
            let interval = score.interval.clone().unwrap();
            interval.high - interval.low
        };
        let (both, subjects, conditions) = (width("both"), width("subjects"), width("conditions"));
        assert!(both >= subjects && both >= conditions && subjects > 0.0 && conditions > 0.0, "{both} {subjects} {conditions}");
    }

    #[test]
    fn a_single_subject_few_conditions_and_constants_are_refused() {
        let (subjects, truth) = group(2, 1.0);
        let model = || rdms(&["m"], std::slice::from_ref(&truth));
        let said = |members: Vec<(&str, Rdm)>, model: Rdm| run(members, model, &[]).unwrap_err().to_string();
        assert!(said(vec![("a", rdms(&["a"], &subjects[..1]))], model()).contains("at least 2"));
        assert!(said(vec![("", rdms(&["a", "b"], &subjects))], rdms(&["m"], &[vec![0.1, 0.2, 0.3]])).contains("3 conditions in common"));
        assert!(said(vec![("", rdms(&["a", "b"], &[subjects[0].clone(), vec![0.5; 66]]))], model()).contains("the RDM of b"));
    }
}
