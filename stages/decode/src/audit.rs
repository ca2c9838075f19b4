//! `decode.audit`: the target decoded from where it should not be.
//!
//! For what: conditions that come in blocks, drift, and an animal that moves more for some stimuli than for others all make a decoder look good. This
//! stage asks what such leaks alone give. A high score here says that `decode.classify` may owe its score to the leak.
//! Promises: the folds of `decode.classify` for the same seed, so that numbers can be set side by side. Refuses: what `decode.classify` refuses.
//! Method: controls of section 11 of the project's algorithm notes (Méloux et al. 2025, "The dead salmons of AI interpretability").

use crate::cross_validate::{Predictions, cross_validate};
use crate::folds::Folds;
use crate::model::Model;
use crate::place::{Place, require_usable};
use crate::scaling::Scale;
use crate::spectral::numerical;
use crate::split::Split;
use crate::target::Target;
use crate::time_neighbours;
use crate::trial_features::{Features, bins_in, mean_at, of_units};
use neuroflow_compute::Matrix;
use neuroflow_data::{Kind, Responses, Scores, Table, columns};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params,
};

/// The stage `decode.audit`.
pub struct Audit;

params! {
    /// Parameters of `decode.audit`.
    pub struct AuditParams {
        /// The trial column to predict, as in `decode.classify`.
        target: String;
        /// The window in which the animal's behaviour is looked at, from stimulus onset.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// The window before the stimulus.
        before: TimeWindow = Value::window(-1.0, 0.0);
        /// What the classifier sees of a trial before the stimulus.
        features: Features = Value::word("mean");
        /// The number of stratified folds; the same as in `decode.classify` to compare with it.
        folds: usize = 8, in 2.0..=1000.0;
        /// Scaling of activity before the stimulus, learned on the training side. Behaviour is always scaled, because its signals have different units.
        scale: Scale = Value::word("none");
        /// The classifier, for activity before the stimulus and for behaviour.
        model: Model = Value::word("lda");
        /// A trial column of numbers that says when each trial was, such as `onset`; empty for the order of the trials.
        clock: String = "";
        /// The number of trials nearest in time that vote in `time_of_session`.
        neighbours: usize = 5, in 1.0..=1000.0;
    }
}

const DOC: &str = r#"The target is decoded from sources that should not know it, each by stratified cross-validation with the folds of `decode.classify` (same seed,
same `folds`):

* `pre_stimulus`: the same classifier on activity in `before`.
* `time_of_session`: a trial is given the class of the trials nearest to it in time: `neighbours` training trials vote with weight 1/distance. Finds blocks and drift of the design.
* `behaviour`: running speed and pupil only (every covariate named `speed`, `running`, or beginning with `pupil`): the mean over the window and over each
  quarter of it, z-scored on training trials. Without such covariates the metric is left out, and the notes of `pre_stimulus` say so; so is a covariate with gaps.

Each is an accuracy with chance (share of the largest class) and Wilson's interval over trials. Compare with `decode.classify` and with the shuffle null.
A score within its null is what a clean experiment gives.

Not for: proof that there is no leak; eye position and body movement that nobody recorded can't be audited.

```nf
pipeline leaks "Could the decoder cheat?"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
audit = decode.audit(responses, target = "direction") with control = shuffle("direction", n = 20), seed = 7
```"#;

impl Stage for Audit {
    type Params = AuditParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "decode.audit",
            version: 2,
            summary: "Decodes the target from where it should not be: before the stimulus, from time alone, from behaviour alone.",
            doc: DOC,
            inputs: vec![InputSpec::one(
                "responses",
                &[Kind::Responses],
                "trial × unit × bin",
                "The activity of one session, with covariates if there are any.",
            )],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "The accuracy from each source."),
                OutputSpec::new("table", Kind::Table, "", "A row for each source, with what it used."),
            ],
            params: Vec::new(),
            metrics: &["pre_stimulus", "time_of_session", "behaviour"],
            sites: vec![ControlSite { control: "shuffle", at: SiteAt::Input("responses") }],
            transductive: false,
            exactness: Exactness::OnGpu(1e-2),
        }
    }

    fn run(&self, inputs: &Inputs, params: &AuditParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let target = Target::of(&responses, &params.target)?;
        require_usable(&responses)?;
        let folds = Folds::of_session(&responses, &target, params.folds, context.seed)?;
        let split = Split::from(&folds);
        let decode = |features: &Matrix, scale: &Scale| {
            cross_validate(features, &target.labels, target.n_classes(), &split, &params.model, scale, context)
        };

        let before = of_units(&responses, &params.before, &params.features)?;
        let n_units = responses.n_units();
        let mut sources = vec![Source {
            metric: "pre_stimulus",
            used: format!("{n_units} units, {} s .. {} s", params.before.start.0, params.before.end.0),
            n_features: before.cols(),
            predictions: decode(&before, &params.scale)?,
        }];

        let times = times(&responses, &params.clock)?;
        sources.push(Source {
            metric: "time_of_session",
            used: match params.clock.as_str() {
                "" => format!("order of trials, {} neighbours", params.neighbours),
                clock => format!("column `{clock}`, {} neighbours", params.neighbours),
            },
            n_features: 1,
            predictions: time_neighbours::predict(&times, &target.labels, target.n_classes(), &folds, params.neighbours),
        });

        let behaviour = Behaviour::of(&responses, &params.window)?;
        if let Some(features) = &behaviour.features {
            sources.push(Source {
                metric: "behaviour",
                used: behaviour.names.join(", "),
                n_features: features.cols(),
                predictions: decode(features, &Scale::ZScore {})?,
            });
        }

        let mut scores: Vec<_> = sources.iter().map(|source| source.predictions.accuracy_score(source.metric)).collect();
        // Notes belong to the metric, or to the headline when the metric is left out.
        let noted = if behaviour.features.is_some() { scores.last_mut() } else { scores.first_mut() };
        if let Some(score) = noted {
            score.notes = behaviour.notes;
        }
        Outputs::new().with("scores", Scores::new(scores))?.with("table", table(&sources)?)
    }
}

/// One place that the target was decoded from.
struct Source {
    metric: &'static str,
    used: String,
    n_features: usize,
    predictions: Predictions,
}

fn table(sources: &[Source]) -> Result<Table, StageError> {
    let confusions: Vec<_> = sources.iter().map(|source| source.predictions.confusion()).collect();
    Ok(Table::from_columns(vec![
        columns::from_texts("source", &sources.iter().map(|source| source.metric).collect::<Vec<_>>()),
        columns::from_texts("used", &sources.iter().map(|source| source.used.as_str()).collect::<Vec<_>>()),
        columns::from_integers("features", sources.iter().map(|source| i64::try_from(source.n_features).unwrap_or(i64::MAX)).collect()),
        columns::from_numbers("accuracy", confusions.iter().map(|confusion| confusion.accuracy()).collect()),
        columns::from_numbers("balanced_accuracy", confusions.iter().map(|confusion| confusion.balanced_accuracy()).collect()),
        columns::from_numbers("chance", confusions.iter().map(|confusion| confusion.largest_share()).collect()),
        columns::from_integers(
            "trials",
            confusions.iter().map(|confusion| i64::try_from(confusion.n_trials()).unwrap_or(i64::MAX)).collect(),
        ),
    ])?)
}

/// When each trial was: a column, or the order of the trials.
fn times(responses: &Responses, clock: &str) -> Result<Vec<f64>, StageError> {
    if clock.is_empty() {
        return Ok((0..responses.n_trials()).map(|trial| trial as f64).collect());
    }
    let times = responses.trials().numbers(clock)?;
    match times.iter().position(|time| !time.is_finite()) {
        None => Ok(times),
        Some(trial) => Err(StageError::refused_with_help(
            format!("{}: `{clock}` has no time for trial {trial}", Place(responses)),
            "leave out `clock` to use the order of the trials",
        )),
    }
}

/// What the animal did in a window.
struct Behaviour {
    /// `[trial × (covariate, mean and quarters)]`; none when nothing usable was recorded.
    features: Option<Matrix>,
    names: Vec<String>,
    notes: Vec<String>,
}

impl Behaviour {
    fn of(responses: &Responses, window: &TimeWindow) -> Result<Behaviour, StageError> {
        let recorded = responses.covariates().map(|covariates| {
            let axis = &covariates.axes()[1];
            (0..axis.len()).map(|position| axis.coordinates.label(position)).collect::<Vec<_>>()
        });
        let is_behaviour = |name: &str| {
            let name = name.to_lowercase();
            name.starts_with("speed") || name.starts_with("running") || name.starts_with("pupil")
        };
        let (n_trials, n_bins) = (responses.n_trials(), responses.n_bins());
        let bins = bins_in(responses, window)?;
        let n_quarters = bins.len().min(4);
        let quarters: Vec<&[usize]> =
            (0..n_quarters).map(|quarter| &bins[quarter * bins.len() / n_quarters..(quarter + 1) * bins.len() / n_quarters]).collect();
        let (mut names, mut notes, mut signals) = (Vec::new(), Vec::new(), Vec::new());
        for name in recorded.into_iter().flatten().filter(|name| is_behaviour(name)) {
            let Some(signal) = responses.covariate(&name) else { continue };
            let gaps = signal.iter().filter(|value| !value.is_finite()).count();
            if gaps > 0 {
                notes.push(format!("covariate {name} has {gaps} values that are not finite and is left out"));
                continue;
            }
            names.push(name);
            signals.push(signal);
        }
        for (word, prefixes) in [("speed", &["speed", "running"][..]), ("pupil", &["pupil"][..])] {
            let present = names.iter().chain(&notes).any(|name| prefixes.iter().any(|prefix| name.to_lowercase().contains(prefix)));
            if !present {
                notes.push(format!("covariate {word} was not recorded"));
            }
        }
        if signals.is_empty() {
            notes.push("behaviour is left out: there is nothing to decode it from".into());
            return Ok(Behaviour { features: None, names, notes });
        }
        let mut values = Vec::with_capacity(n_trials * signals.len() * (n_quarters + 1));
        for trial in 0..n_trials {
            for signal in &signals {
                let trace = &signal[trial * n_bins..(trial + 1) * n_bins];
                values.push(mean_at(trace, &bins));
                values.extend(quarters.iter().map(|quarter| mean_at(trace, quarter)));
            }
        }
        let features = Matrix::new(n_trials, signals.len() * (n_quarters + 1), values).map_err(numerical)?;
        Ok(Behaviour { features: Some(features), names, notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::Classify;
    use crate::testing::{Planted, bin_times, recorded, refusal, run, session};
    use neuroflow_data::Typed;
    use neuroflow_data::random::Stream;
    use neuroflow_data::{Axis, Coordinates, Tensor};
    use neuroflow_stage::Control;

    fn target() -> (&'static str, Value) {
        ("target", "direction".into())
    }

    fn audit(responses: &Responses, params: &[(&str, Value)], seed: u64) -> Scores {
        let mut all = vec![target()];
        all.extend_from_slice(params);
        run(&Audit, std::slice::from_ref(responses), &all, &Context::quiet(seed)).unwrap().one("scores").unwrap()
    }

    fn value(scores: &Scores, metric: &str) -> f64 {
        scores.get(metric).unwrap().value
    }

    /// Adds speed and pupil: noise, plus `leak` times the class in the speed after time 0.
    fn with_behaviour(responses: &Responses, names: &[&str], leak: f64) -> Responses {
        let mut stream = Stream::new(8);
        let classes = responses.trials().numbers("direction").unwrap();
        let mut values = Vec::new();
        for class in classes {
            for name in names {
                let moved = if *name == "speed" { leak * class / 45.0 } else { 0.0 };
                values.extend(bin_times().iter().map(|time| stream.normal() + if *time >= 0.0 { moved } else { 0.0 }));
            }
        }
        let axes = vec![
            Axis::count("trial", responses.n_trials()),
            Axis::labels("covariate", names.iter().map(|name| (*name).to_owned()).collect()),
            responses.values().axes()[2].clone(),
        ];
        responses.with_values(responses.values().clone(), Some(Tensor::new(axes, None, values).unwrap())).unwrap()
    }

    #[test]
    fn a_clean_session_is_at_chance_everywhere() {
        let planted = Planted { trials_per_class: 40, ..Planted::default() };
        let scores = audit(&with_behaviour(&planted.responses(), &["speed", "pupil"], 0.0), &[], 3);
        assert_eq!(scores.scores.iter().map(|score| score.metric.as_str()).collect::<Vec<_>>(), Stage::signature(&Audit).metrics);
        for score in &scores.scores {
            assert!((score.value - 0.25).abs() < 0.12, "{score}");
            assert_eq!((score.chance, score.folds.len(), score.n), (Some(0.25), 8, 160));
            assert!(score.notes.is_empty());
        }
    }

    #[test]
    fn an_animal_that_runs_by_class_is_found_and_nothing_else_is_blamed() {
        let responses = Planted { trials_per_class: 30, ..Planted::default() }.responses();
        let scores = audit(&with_behaviour(&responses, &["speed", "pupil"], 2.0), &[], 3);
        assert!(value(&scores, "behaviour") > 0.9);
        assert!(value(&scores, "pre_stimulus") < 0.4 && value(&scores, "time_of_session") < 0.4);
        let pupil_only = audit(&with_behaviour(&responses, &["pupil"], 2.0), &[], 3);
        assert!(value(&pupil_only, "behaviour") < 0.4);
        assert_eq!(pupil_only.get("behaviour").unwrap().notes, ["covariate speed was not recorded"]);
    }

    #[test]
    fn conditions_in_blocks_are_found_by_time_alone() {
        let labels: Vec<usize> = (0..96).map(|trial| trial / 24).collect();
        let mut stream = Stream::new(2);
        let blocks = session("blocks", &labels, 3, (0..96 * 3 * 12).map(|_| stream.normal()).collect());
        let scores = audit(&blocks, &[], 1);
        assert!(value(&scores, "time_of_session") > 0.9);
        assert!(value(&scores, "pre_stimulus") < 0.45);
        // A clock that runs backwards tells the same; a clock that is scrambled tells nothing.
        let with_clock = |times: Vec<f64>| {
            let (field, values) = columns::from_numbers("onset", times);
            let clocked = blocks.with_trials(blocks.trials().with_column(field, values).unwrap()).unwrap();
            value(&audit(&clocked, &[("clock", "onset".into())], 1), "time_of_session")
        };
        assert!(with_clock((0..96).map(|trial| -3.5 * f64::from(trial)).collect()) > 0.9);
        assert!(with_clock(stream.permutation(96).into_iter().map(|time| time as f64).collect()) < 0.5);
        // All at once: finite, and no better than chance by more than ties allow.
        assert!(with_clock(vec![1.0; 96]) <= 1.0);
    }

    #[test]
    fn drift_before_the_stimulus_is_found() {
        let labels: Vec<usize> = (0..80).map(|trial| trial / 20).collect();
        let mut stream = Stream::new(4);
        let mut values = Vec::new();
        for trial in 0..80 {
            for unit in 0..6 {
                let drift = (f64::from(trial) / 80.0 * std::f64::consts::TAU + f64::from(unit)).sin() * 3.0;
                values.extend((0..12).map(|_| drift + stream.normal()));
            }
        }
        assert!(value(&audit(&session("drift", &labels, 6, values), &[], 5), "pre_stimulus") > 0.8);
    }

    #[test]
    fn the_time_before_the_stimulus_scores_as_classify_does_in_that_window() {
        let responses = Planted { signal: 0.5, ..Planted::default() }.responses();
        let classified: Scores =
            run(&Classify, std::slice::from_ref(&responses), &[target(), ("window", Value::window(-1.0, 0.0))], &Context::quiet(11))
                .unwrap()
                .one("scores")
                .unwrap();
        let audited = audit(&responses, &[], 11);
        let (a, b) = (classified.get("accuracy").unwrap(), audited.get("pre_stimulus").unwrap());
        assert_eq!((a.value, &a.folds), (b.value, &b.folds));
    }

    #[test]
    fn missing_and_broken_covariates_are_noted_and_left_out() {
        let responses = Planted::default().responses();
        let without = audit(&responses, &[], 1);
        assert!(without.get("behaviour").is_none());
        let notes = &without.get("pre_stimulus").unwrap().notes;
        assert_eq!(
            notes,
            &[
                "covariate speed was not recorded",
                "covariate pupil was not recorded",
                "behaviour is left out: there is nothing to decode it from"
            ]
        );
        let whole = with_behaviour(&responses, &["speed", "pupil", "temperature"], 0.0);
        let covariates = whole.covariates().unwrap();
        let mut values = covariates.values().to_vec();
        values[12] = f64::NAN;
        let broken =
            whole.with_values(whole.values().clone(), Some(Tensor::new(covariates.axes().to_vec(), None, values).unwrap())).unwrap();
        let outputs = run(&Audit, &[broken], &[target()], &Context::quiet(1)).unwrap();
        let scores: Scores = outputs.one("scores").unwrap();
        assert_eq!(scores.get("behaviour").unwrap().notes, ["covariate pupil has 1 values that are not finite and is left out"]);
        let table: Table = outputs.one("table").unwrap();
        assert_eq!(table.texts("source").unwrap(), ["pre_stimulus", "time_of_session", "behaviour"]);
        assert_eq!(table.texts("used").unwrap()[2], "speed");
    }

    #[test]
    fn shuffled_labels_score_at_chance() {
        let responses = with_behaviour(&Planted { trials_per_class: 20, ..Planted::default() }.responses(), &["speed", "pupil"], 2.0);
        let artifact = responses.into_artifact().unwrap();
        let control = Control::parse(&Value::call("shuffle", vec![("column", "direction".into())])).unwrap();
        let draws: Vec<Scores> =
            (0..30).map(|draw| audit(&Responses::from_artifact(&control.change(&artifact, draw).unwrap()).unwrap(), &[], draw)).collect();
        for metric in Stage::signature(&Audit).metrics {
            let mean = draws.iter().map(|scores| value(scores, metric)).sum::<f64>() / 30.0;
            assert!((mean - 0.25).abs() < 0.035, "{metric} {mean}");
        }
    }

    #[test]
    fn recorded_mice_are_audited_and_mostly_clean() {
        let Some(sessions) = recorded() else { return };
        for session in &sessions {
            let scores = audit(session, &[], 7);
            let line = scores.scores.iter().map(|score| format!("{} {:.3}", score.metric, score.value)).collect::<Vec<_>>().join(", ");
            println!("{} {line}", session.session);
            assert_eq!(scores.scores.len(), 3);
        }
    }

    #[test]
    fn bad_input_is_refused_in_the_users_words() {
        let responses = Planted::default().responses();
        let message = refusal(&Audit, std::slice::from_ref(&responses), &[target(), ("before", Value::window(-3.0, -2.0))]);
        assert!(message.contains("no bins in -3 s .. -2 s"), "{message}");
        let message = refusal(&Audit, std::slice::from_ref(&responses), &[target(), ("clock", "onset".into())]);
        assert!(message.contains("there is no column `onset`; there are: `direction`, `name`"), "{message}");
        let message = refusal(&Audit, &[responses], &[target(), ("clock", "name".into())]);
        assert!(message.contains("column `name` holds"), "{message}");
        for labels in [&[][..], &[0][..], &[0, 1][..]] {
            let tiny = session("tiny", labels, 2, vec![0.0; labels.len() * 24]);
            assert!(refusal(&Audit, &[tiny], &[target()]).contains("session tiny"));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
        let responses = with_behaviour(&Planted::default().responses(), &["speed"], 0.3);
        let bytes = |threads| {
            let context = Context { threads, ..Context::quiet(4) };
            let outputs = run(&Audit, std::slice::from_ref(&responses), &[target()], &context).unwrap();
            outputs.into_artifacts().into_values().map(|artifact| artifact.encode().unwrap()).collect::<Vec<_>>()
        };
        assert!(bytes(1) == bytes(8));
    }

    #[test]
    fn covariates_are_found_by_name_in_any_case() {
        let responses = Planted::default().responses();
        let named = with_behaviour(&responses, &["Running speed", "pupil_diameter"], 0.0);
        assert!(matches!(named.covariates().unwrap().axes()[1].coordinates, Coordinates::Labels(_)));
        let behaviour = Behaviour::of(&named, &(neuroflow_stage::Seconds(0.0)..neuroflow_stage::Seconds(2.0))).unwrap();
        assert_eq!((behaviour.names.len(), behaviour.notes.len()), (2, 0));
    }
}
