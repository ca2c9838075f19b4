//! What every stage owes, asked of every stage that a pipeline may name: the same bytes on any number of threads, results that only change with the version,
//! an answer or a refusal (never a panic, never a report of a bug) whatever it is given, and an end when it is no longer wanted.

use neuroflow_cli::stages::registry;
use neuroflow_data::random::Stream;
use neuroflow_data::{Artifact, Kind, Payload, Responses, Scores, Tensor, Typed};
use neuroflow_ingest::subset;
use neuroflow_stage::{AnyStage, CancelToken, Context, Control, Dimension, Inputs, Outputs, Progress, Quantity, SiteAt, StageError, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

type Params = BTreeMap<String, Value>;

/// One way to call a stage.
struct Case {
    stage: &'static str,
    /// Slot, label and value of each input.
    inputs: Vec<(&'static str, String, Artifact)>,
    params: Params,
}

impl Case {
    fn new(stage: &'static str, inputs: &[(&'static str, &Artifact)], params: &[(&str, Value)]) -> Case {
        Case {
            stage,
            inputs: inputs.iter().map(|(slot, value)| (*slot, String::new(), (*value).clone())).collect(),
            params: params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        }
    }

    fn stage(&self) -> &'static dyn AnyStage {
        registry().get(self.stage).unwrap_or_else(|| panic!("there is no stage {}", self.stage))
    }

    fn run(&self, context: &Context) -> Result<Outputs, StageError> {
        self.run_with(context, &self.inputs)
    }

    fn run_with(&self, context: &Context, values: &[(&'static str, String, Artifact)]) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        for (slot, label, value) in values {
            inputs.push(slot, label, value.clone());
        }
        self.stage().run(&inputs, &self.params, context)
    }

    /// The outputs, by name.
    fn outputs(&self, threads: usize) -> BTreeMap<String, Artifact> {
        let context = Context { threads, ..Context::quiet(7) };
        self.run(&context).unwrap_or_else(|error| panic!("{}: {error}", self.stage)).into_artifacts()
    }

    fn output(&self, name: &str) -> Artifact {
        self.outputs(1).remove(name).unwrap_or_else(|| panic!("{} has no output {name}", self.stage))
    }

    /// The case with every Responses among its inputs changed.
    fn with_responses(&self, change: impl Fn(&Responses) -> Responses) -> Vec<(&'static str, String, Artifact)> {
        let change = |value: &Artifact| match value.kind() {
            Kind::Responses => change(&Responses::from_artifact(value).unwrap()).into_artifact().unwrap(),
            Kind::File => {
                // A file of the field holds no Responses.
                let Ok(inner) = Artifact::decode_described(value.bytes().unwrap()) else { return value.clone() };
                let changed = change(&Responses::from_artifact(&inner).unwrap()).into_artifact().unwrap();
                Artifact::from_bytes(changed.encode().unwrap().into())
            }
            _ => value.clone(),
        };
        self.inputs.iter().map(|(slot, label, value)| (*slot, label.clone(), change(value))).collect()
    }
}

fn list(numbers: &[i64]) -> Value {
    Value::List(numbers.iter().map(|number| Value::Int(*number)).collect())
}

const QUERY: &str = "select direction, unit, avg(value) as mean, count(*) as n from trials group by direction, unit";

/// A call of each stage on small simulated sessions, each fed by those before it.
fn cases() -> Vec<Case> {
    let direction = ("target", Value::from("direction"));
    let by = ("by", Value::from("direction"));
    let simulate = Case::new(
        "ingest.simulate",
        &[],
        &[("trials_per_direction", Value::Int(8)), ("units", list(&[12, 10, 9])), ("communities", Value::Int(2))],
    );
    let sessions: Vec<Artifact> = {
        let tree = simulate.outputs(1).into_values().next().unwrap();
        tree.tree().unwrap().iter().map(|(_, bytes)| Artifact::from_bytes(bytes.clone())).collect()
    };
    let trials = Case::new("ingest.trials", &[("session", &sessions[0])], &[]);
    let responses = trials.output("responses");
    let gathered = |stage, params: &[(&str, Value)]| {
        let mut case = Case::new(stage, &[], params);
        for (position, session) in sessions.iter().enumerate() {
            let value = Case::new("ingest.trials", &[("session", session)], &[]).output("responses");
            case.inputs.push(("responses", format!("sim{}", position + 1), value));
        }
        case
    };
    let affinity = Case::new("connectome.affinity", &[("responses", &responses)], &[]);
    let sbm = Case::new("connectome.sbm", &[("graph", &first(&affinity))], &[("restarts", Value::Int(3))]);
    let leiden = Case::new("connectome.leiden", &[("graph", &first(&affinity))], &[("restarts", Value::Int(3))]);
    let compare = Case::new("connectome.compare", &[("communities", &first(&sbm))], &[]);
    let rdm = Case::new("similarity.rdm", &[("of", &responses)], std::slice::from_ref(&by));
    let features = Case::new("train.features", &[("responses", &responses)], std::slice::from_ref(&by));
    let model = Case::new("similarity.rdm", &[("of", &first(&features))], std::slice::from_ref(&by));
    let ceiling = Case::new("similarity.noise_ceiling", &[("responses", &responses)], &[by.clone(), ("splits", Value::Int(20))]);
    let rsa = Case::new(
        "similarity.rsa",
        &[("brain", &first(&rdm)), ("model", &first(&model)), ("ceiling", &first(&ceiling))],
        &[("bootstrap", Value::Int(50))],
    );
    let classify = |model: Value| {
        Case::new("decode.classify", &[("responses", &responses)], &[direction.clone(), ("folds", Value::Int(3)), ("model", model)])
    };
    let hertz = |value| Value::Quantity(Quantity { value, dimension: Dimension::Frequency });
    let band = |low, high| Value::Range(Box::new(hertz(low)), Box::new(hertz(high)));
    let eeg = |model: &str| {
        let params = [("target", Value::from("direction")), ("folds", Value::Int(3)), ("model", Value::word(model))];
        Case::new("decode.eeg", &[("responses", &responses)], &params)
    };
    let scores = classify(Value::word("lda")).output("scores");
    let setting = |folds: i64| Value::List(vec![Value::from("direction"), Value::Int(folds)]);
    let mut sweep = Case::new(
        "query.sweep",
        &[],
        &[("settings", Value::List(vec!["folds".into()])), ("rows", Value::List(vec![setting(3), setting(4)]))],
    );
    for folds in ["3", "4"] {
        sweep.inputs.push(("scores", folds.to_owned(), scores.clone()));
    }
    let representations = similarity_cases(&responses, &features, &model, &sessions);
    let mut cases = vec![
        Case::new("ingest.window", &[("responses", &responses)], &[("window", Value::window(0.0, 1.0))]),
        Case::new("ingest.zscore", &[("responses", &responses)], &[]),
        Case::new("ingest.tuning", &[("responses", &responses)], std::slice::from_ref(&by)),
        classify(Value::word("lda")),
        classify(Value::word("logistic")),
        classify(Value::word("mlp")),
        Case::new("decode.audit", &[("responses", &responses)], &[direction.clone(), ("folds", Value::Int(3))]),
        gathered("decode.transfer", std::slice::from_ref(&direction)),
        gathered("decode.transfer", &[direction.clone(), ("align", Value::word("adaptor"))]),
        Case::new("connectome.ntf", &[("responses", &responses)], &[("rank", Value::Int(2)), ("restarts", Value::Int(2))]),
        simulate,
        trials,
        affinity,
        sbm,
        compare,
        rdm,
        features,
        model,
        ceiling,
        rsa,
        Case::new("query.sql", &[("trials", &responses)], &[("query", QUERY.into())]),
        sweep,
        Case::new(
            "decode.split",
            &[("responses", &responses)],
            &[direction.clone(), ("by", Value::call("stratified", vec![("folds", Value::Int(3))]))],
        ),
        Case::new(
            "decode.time_resolved",
            &[("responses", &responses)],
            &[direction.clone(), ("folds", Value::Int(3)), ("step", Value::seconds(0.5))],
        ),
        Case::new(
            "decode.regress",
            &[("responses", &responses)],
            &[direction.clone(), ("folds", Value::Int(4)), ("geometry", Value::word("circle"))],
        ),
        Case::new(
            "decode.trajectory",
            &[("responses", &responses)],
            &[("target", Value::List(vec!["speed".into()])), ("folds", Value::Int(3))],
        ),
        classify(Value::call("lda", vec![("shrinkage", Value::word("pooled"))])),
        classify(Value::word("svm")),
        // Four folds of two trials of each class: where folds differ, guessing the class that trained most is below chance.
        Case::new(
            "decode.classify",
            &[("responses", &responses)],
            &[direction.clone(), ("folds", Value::Int(4)), ("model", Value::word("ridge"))],
        ),
        classify(Value::word("bayes")),
        classify(Value::word("knn")),
        Case::new("ingest.filter", &[("responses", &responses)], &[("keep", Value::call("low_pass", vec![("edge", hertz(3.0))]))]),
        Case::new("ingest.resample", &[("responses", &responses)], &[("rate", hertz(8.0))]),
        Case::new("ingest.reference", &[("responses", &responses)], &[]),
        Case::new("ingest.envelope", &[("responses", &responses)], &[("band", band(2.0, 6.0))]),
        Case::new("ingest.psd", &[("responses", &responses)], &[("bands", Value::List(vec![band(1.0, 4.0), band(4.0, 8.0)]))]),
        Case::new("connectome.coupling", &[("responses", &responses)], &[("band", band(1.0, 4.0))]),
        eeg("csp"),
        eeg("mdm"),
        eeg("tangent_space"),
        leiden,
        Case::new(
            "connectome.rank",
            &[("responses", &responses)],
            &[
                ("ranks", Value::Range(Box::new(1.into()), Box::new(4.into()))),
                ("restarts", Value::Int(2)),
                ("folds", Value::Int(2)),
                ("sweeps", Value::Int(20)),
            ],
        ),
    ];
    cases.extend(representations);
    let mut group = Case::new("decode.group", &[], &[("bootstrap", Value::Int(50))]);
    for member in ["a, 1", "a, 2", "b, 1"] {
        group.inputs.push(("scores", member.to_owned(), scores.clone()));
    }
    cases.extend([
        group,
        Case::new(
            "ingest.wavelet",
            &[("responses", &responses)],
            &[
                ("frequencies", Value::List(vec![hertz(4.0), hertz(6.0)])),
                ("cycles", Value::Number(2.0)),
                ("baseline", Value::word("decibel")),
            ],
        ),
        Case::new("ingest.sample_entropy", &[("responses", &responses)], &[("length", Value::Int(1)), ("tolerance", Value::Number(0.5))]),
    ]);
    cases.extend(signal_cases());
    cases.extend(file_cases());
    cases
}

/// Representations compared with each other, with models and with noise.
fn similarity_cases(responses: &Artifact, features: &Case, model: &Case, sessions: &[Artifact]) -> Vec<Case> {
    let by = ("by", Value::from("direction"));
    let features = first(features);
    let few = ("permutations", Value::Int(20));
    let crossnobis = ("measure", Value::word("crossnobis"));
    let mut group = Case::new("similarity.group_rsa", &[("model", &first(model))], &[few.clone(), ("bootstrap", Value::Int(50))]);
    for (position, session) in sessions.iter().enumerate() {
        let trials = Case::new("ingest.trials", &[("session", session)], &[]).output("responses");
        let rdm = first(&Case::new("similarity.rdm", &[("of", &trials)], std::slice::from_ref(&by)));
        group.inputs.push(("subjects", format!("sim{}", position + 1), rdm));
    }
    let encode = Case::new(
        "similarity.encode",
        &[("responses", responses), ("features", &features)],
        &[
            ("samples", Value::word("rows")),
            ("folds", Value::Int(3)),
            ("inner_folds", Value::Int(2)),
            ("penalties", Value::List(vec![Value::Number(1.0), Value::Number(100.0)])),
        ],
    );
    let predicted = encode.output("predicted");
    let mut depth = Case::new("similarity.depth", &[("responses", responses)], &[("bootstrap", Value::Int(20))]);
    for cycles in [2.0, 4.5] {
        let layer = Case::new("train.features", &[("responses", responses)], &[by.clone(), ("cycles", Value::Number(cycles))]);
        depth.inputs.push(("layers", format!("{cycles}"), first(&layer)));
    }
    let table = |columns| neuroflow_data::Table::from_columns(columns).unwrap().into_artifact().unwrap();
    let numbers = neuroflow_data::columns::from_numbers;
    let regions = || neuroflow_data::columns::from_texts("region", &["V1", "V2", "V4", "IT"]);
    let places = table(vec![regions(), numbers("x", vec![0.0, 5.0, 10.0, 15.0])]);
    let mut spatial = Case::new("similarity.spatial", &[("places", &places)], &[few.clone(), ("place", Value::List(vec!["x".into()]))]);
    let mut temporal = Case::new("similarity.temporal", &[], std::slice::from_ref(&few));
    for layer in 0..4 {
        let curve = |peak: usize| (0..4).map(|at| if at == peak { 0.5 } else { 0.1 }).collect::<Vec<f64>>();
        spatial.inputs.push(("layers", format!("layer{layer}"), table(vec![regions(), numbers("score", curve(layer))])));
        let times = numbers("time", vec![0.0, 0.1, 0.2, 0.3]);
        temporal.inputs.push(("layers", format!("layer{layer}"), table(vec![times, numbers("score", curve(layer))])));
    }
    let pair = [("first", responses), ("second", &features)];
    let svcca = ("method", Value::call("svcca", vec![("variance", Value::Number(0.4))]));
    let once = Value::call("leave_one_out", vec![("resamples", Value::Int(1))]);
    vec![
        Case::new("similarity.rdm", &[("of", responses)], &[by.clone(), crossnobis]),
        group,
        Case::new("similarity.cka", &pair, std::slice::from_ref(&few)),
        Case::new("similarity.cca", &pair, &[few.clone(), svcca]),
        Case::new("similarity.procrustes", &pair, std::slice::from_ref(&few)),
        encode,
        Case::new("similarity.retrieval", &[("queries", &predicted), ("candidates", responses)], &[]),
        depth,
        spatial,
        temporal,
        Case::new("similarity.kernel_analysis", &[("of", responses)], &[("permutations", Value::Int(2)), ("variant", once)]),
        Case::new(
            "similarity.kernel_analysis",
            &[("of", responses)],
            &[("permutations", Value::Int(2)), ("variant", Value::word("sample_space"))],
        ),
    ]
}

/// Each sort of thing out of a small file.
fn file_cases() -> Vec<Case> {
    let sample = |name: &str| Artifact::from_bytes(crate::formats::sample(name).into());
    let case = |stage, name, params: &[(&str, Value)]| Case::new(stage, &[("file", &sample(name))], params);
    vec![
        case("ingest.recording", "run.edf", &[("channels", Value::List(vec!["*C3".into()]))]),
        case("ingest.events", "run.edf", &[]),
        case("ingest.events", "cues.csv", &[("time", "when".into()), ("label", "what".into())]),
        case("ingest.spikes", "spikes.txt", &[("time_unit", Value::word("ms"))]),
        case("ingest.table", "units.csv", &[]),
        case("ingest.array", "volume.npy", &[("first", list(&[1, 3]))]),
        case("ingest.graph", "square.gml", &[]),
    ]
}

/// A call of each stage on a simulated continuous session.
fn signal_cases() -> Vec<Case> {
    let simulate = Case::new(
        "ingest.simulate_signals",
        &[],
        &[("duration", Value::seconds(20.0)), ("units", Value::Int(3)), ("channels", Value::Int(3))],
    );
    let [recording, events, spikes, fluorescence, motion] =
        ["recording", "events", "spikes", "fluorescence", "motion"].map(|name| simulate.output(name));
    let hertz = |value| Value::Quantity(Quantity { value, dimension: Dimension::Frequency });
    let window = ("window", Value::window(-0.5, 0.5));
    let quality = Case::new("ingest.quality", &[("spikes", &spikes)], &[("presence", Value::seconds(5.0))]);
    let table = quality.output("quality");
    let artefacts = Case::new("ingest.artefacts", &[("recording", &recording)], &[("amplitude", Value::Number(100.0))]);
    let avoid = artefacts.output("artefacts");
    let low_pass = Value::call("low_pass", vec![("edge", hertz(30.0))]);
    vec![
        Case::new("ingest.align", &[("activity", &spikes), ("events", &events)], &[window.clone(), ("bin", Value::seconds(0.05))]),
        Case::new("ingest.align", &[("activity", &recording), ("events", &events)], &[window.clone(), ("bin", Value::seconds(0.05))]),
        Case::new(
            "ingest.epoch",
            &[("recording", &recording), ("events", &events), ("avoid", &avoid)],
            &[
                window,
                ("high_pass", hertz(1.0)),
                ("low_pass", hertz(40.0)),
                ("reference", Value::word("average")),
                ("decimate", Value::Int(2)),
            ],
        ),
        Case::new("ingest.bin", &[("spikes", &spikes)], &[("smooth", Value::seconds(0.05))]),
        Case::new("ingest.select", &[("data", &spikes), ("table", &table)], &[("where", "firing_rate > 0.1".into())]),
        Case::new("ingest.dff", &[("fluorescence", &fluorescence)], &[]),
        Case::new("ingest.deconvolve", &[("fluorescence", &fluorescence)], &[]),
        Case::new("ingest.regress_out", &[("recording", &fluorescence), ("by", &motion)], &[("derivatives", Value::Bool(true))]),
        Case::new("ingest.filter", &[("responses", &recording)], &[("keep", low_pass)]),
        Case::new("ingest.resample", &[("responses", &recording)], &[("rate", hertz(125.0))]),
        Case::new("ingest.reference", &[("responses", &recording)], &[]),
        Case::new("ingest.zscore", &[("responses", &recording)], &[]),
        Case::new("ingest.psd", &[("responses", &recording)], &[]),
        quality,
        artefacts,
        simulate,
    ]
}

/// The output that a step's bare name means.
fn first(case: &Case) -> Artifact {
    let signature = case.stage().signature();
    case.output(signature.outputs[0].name)
}

#[test]
fn every_stage_is_asked() {
    let asked: Vec<&str> = cases().iter().map(|case| case.stage).collect();
    for stage in registry().iter() {
        assert!(asked.contains(&stage.name()), "{} has no case in tests/conformance.rs", stage.name());
    }
}

#[test]
fn the_same_bytes_on_one_thread_and_on_eight_and_again() {
    for case in cases() {
        let bytes = |threads| -> Vec<(String, Vec<u8>)> {
            case.outputs(threads).into_iter().map(|(name, value)| (name, value.encode().unwrap())).collect()
        };
        let one = bytes(1);
        assert!(one == bytes(8), "{}: other bytes on eight threads", case.stage);
        assert!(one == bytes(1), "{}: other bytes the second time", case.stage);
    }
}

/// Numbers that change when a result does: of each numeric column its length, how many values are finite, their sum, their sum of magnitudes and a weighted
/// sum; of each other column its text. Sums, not a digest of the bytes: a processor with other vector instructions rounds the last bit otherwise.
fn fingerprint(artifact: &Artifact) -> Vec<(String, serde_json::Value)> {
    match artifact.payload() {
        Payload::Tree(tree) => tree
            .iter()
            .flat_map(|(file, bytes)| {
                let inner = fingerprint(&Artifact::decode_described(bytes).unwrap());
                inner.into_iter().map(move |(column, found)| (format!("{file}/{column}"), found))
            })
            .collect(),
        Payload::Bytes(bytes) => vec![("bytes".into(), bytes.len().into())],
        Payload::Batch(batch) => artifact
            .column_names()
            .into_iter()
            .map(|column| {
                let tensor = |_| neuroflow_data::columns::tensor_values(batch, &column).map(|values| values.to_vec());
                let found = match artifact.numbers(&column).or_else(tensor) {
                    Ok(values) => {
                        let mut weights = Stream::new(1);
                        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
                        let magnitude: f64 = finite.iter().map(|value| value.abs()).sum();
                        let weighted: f64 = finite.iter().map(|value| value * weights.uniform()).sum();
                        serde_json::json!([values.len(), finite.len(), finite.iter().sum::<f64>(), magnitude, weighted])
                    }
                    Err(_) => neuroflow_data::columns::texts(batch, &column).map_or("not text".into(), |texts| texts.join(" ").into()),
                };
                (column, found)
            })
            .collect(),
    }
}

/// An iteration that stops by a tolerance may stop a sweep earlier on a processor that rounds otherwise.
const TOLERANCE: f64 = 1e-3;

/// Whether two fingerprints of a column are those of one result.
fn alike(expected: &serde_json::Value, found: &serde_json::Value) -> bool {
    match (expected.as_array(), found.as_array()) {
        (Some(expected), Some(found)) => {
            let number = |values: &[serde_json::Value], at: usize| values[at].as_f64().unwrap_or(f64::NAN);
            let scale = number(expected, 3).max(1e-300);
            expected[..2] == found[..2] && (2..5).all(|at| (number(expected, at) - number(found, at)).abs() <= TOLERANCE * scale)
        }
        _ => expected == found,
    }
}

#[test]
fn a_result_changes_only_with_the_version() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/fingerprints.json");
    let mut now = serde_json::Map::new();
    for (position, case) in cases().iter().enumerate() {
        // Training amplifies the last bit until a trial is decided otherwise: what a network finds is held by its own test.
        if case.params.get("model") == Some(&Value::word("mlp")) {
            continue;
        }
        let version = case.stage().signature().version;
        for (output, artifact) in case.outputs(1) {
            for (column, found) in fingerprint(&artifact) {
                now.insert(format!("{position} {} v{version} {output}.{column}", case.stage), found);
            }
        }
    }
    if std::env::var_os("NEUROFLOW_BLESS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        let lines: Vec<String> = now.iter().map(|(name, found)| format!("  {}: {found}", serde_json::Value::from(name.as_str()))).collect();
        std::fs::write(path, format!("{{\n{}\n}}\n", lines.join(",\n"))).unwrap();
        return;
    }
    let kept: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let names = |map: &serde_json::Map<String, serde_json::Value>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&kept), names(&now), "other outputs: raise the version and write tests/conformance anew with NEUROFLOW_BLESS=1");
    for (name, expected) in &kept {
        let found = &now[name];
        assert!(
            alike(expected, found),
            "{name} was {expected} and is {found}: raise the stage's version, then write anew with NEUROFLOW_BLESS=1"
        );
    }
}

/// What a stage answered to something strange: a result or a refusal.
fn answer(case: &Case, what: &str, inputs: &[(&'static str, String, Artifact)]) -> Result<Outputs, String> {
    match case.run_with(&Context::quiet(7), inputs) {
        Ok(outputs) => Ok(outputs),
        Err(StageError::Bug(message)) => panic!("{} given {what}: reports a bug: {message}", case.stage),
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && !message.contains("NaN,"), "{} given {what}: {message}", case.stage);
            Err(message)
        }
    }
}

/// The first trials, units and bins of a session.
fn part(responses: &Responses, trials: usize, units: usize, bins: usize) -> Responses {
    let first = |length: usize, most: usize| (0..length.min(most)).collect::<Vec<_>>();
    let signals = first(responses.covariates().map_or(0, |signals| signals.shape()[1]), usize::MAX);
    let fewer = subset::of_trials(responses, &first(responses.n_trials(), trials)).unwrap();
    let fewer = subset::of_units(&fewer, &first(responses.n_units(), units), &signals).unwrap();
    subset::of_bins(&fewer, &first(responses.n_bins(), bins)).unwrap()
}

#[test]
fn strange_sizes_get_an_answer_or_a_refusal() {
    for case in cases() {
        for (what, trials, units, bins) in [
            ("no trial", 0, usize::MAX, usize::MAX),
            ("one trial", 1, usize::MAX, usize::MAX),
            ("two trials", 2, usize::MAX, usize::MAX),
            ("no unit", usize::MAX, 0, usize::MAX),
            ("one unit", usize::MAX, 1, usize::MAX),
            ("two units", usize::MAX, 2, usize::MAX),
            ("no bin", usize::MAX, usize::MAX, 0),
            ("one bin", usize::MAX, usize::MAX, 1),
            ("one of each", 1, 1, 1),
        ] {
            let inputs = case.with_responses(|responses| part(responses, trials, units, bins));
            let _ = answer(&case, what, &inputs);
        }
    }
}

#[test]
fn strange_values_get_an_answer_or_a_refusal_and_gaps_never_become_numbers() {
    for case in cases() {
        let takes_responses = case.inputs.iter().any(|(_, _, value)| matches!(value.kind(), Kind::Responses));
        let with = |change: &dyn Fn(usize, f64) -> f64| {
            case.with_responses(|responses| {
                let values = responses.values();
                let changed: Vec<f64> = values.values().iter().enumerate().map(|(at, value)| change(at, *value)).collect();
                let values = Tensor::new(values.axes().to_vec(), values.unit(), changed).unwrap();
                responses.with_values(values, responses.covariates().cloned()).unwrap()
            })
        };
        for (what, strange) in [("a gap", f64::NAN), ("an infinite value", f64::INFINITY)] {
            let answered = answer(&case, what, &with(&|at, value| if at == 13 { strange } else { value }));
            if let (Ok(outputs), true) = (answered, takes_responses) {
                // A stage that takes gaps gives them on; no score comes of them.
                assert!(outputs.into_artifacts().values().all(|value| value.kind() != Kind::Scores), "{}: a score from {what}", case.stage);
            }
        }
        let _ = answer(&case, "nothing but zeros", &with(&|_, _| 0.0));
        let _ = answer(&case, "constants", &with(&|_, _| 3.5));
        let _ = answer(&case, "huge values", &with(&|_, value| value * 1e300));
        let _ = answer(&case, "tiny values", &with(&|_, value| value * 1e-300));
        let _ = answer(&case, "negative values", &with(&|_, value| -value));
    }
}

#[test]
fn an_input_of_another_kind_is_refused() {
    for case in cases() {
        for position in 0..case.inputs.len() {
            let mut inputs: Vec<_> = case.inputs.iter().map(|(slot, label, value)| (*slot, label.clone(), value.clone())).collect();
            inputs[position].2 = Artifact::from_bytes(b"\xff\0not what was promised".to_vec().into());
            assert!(answer(&case, "bytes of nothing", &inputs).is_err(), "{} took bytes of nothing", case.stage);
            inputs.remove(position);
            let slot = case.inputs[position].0;
            let signature = case.stage().signature();
            let declared = signature.input(slot);
            let needed = declared.is_some_and(|input| !input.optional && !input.many);
            assert!(declared.is_some(), "{} has no input {slot}", case.stage);
            if needed {
                // The engine never does this: it is our mistake, and must still not be a panic.
                assert!(case.run_with(&Context::quiet(7), &inputs).is_err(), "{} works without its input {slot}", case.stage);
            }
        }
    }
}

/// Cancels as soon as a stage tells how far it is.
struct CancelAtFirst {
    token: CancelToken,
    told: AtomicBool,
}

impl Progress for CancelAtFirst {
    fn report(&self, _done: u64, _total: u64) {
        self.told.store(true, Ordering::Relaxed);
        self.token.cancel();
    }
}

#[test]
fn a_stage_that_tells_its_progress_ends_when_it_is_cancelled() {
    let mut heard = 0;
    for case in cases() {
        for threads in [1, 4] {
            let cancel = CancelToken::new();
            let progress = Arc::new(CancelAtFirst { token: cancel.clone(), told: AtomicBool::new(false) });
            let context = Context { threads, cancel, progress: Arc::clone(&progress) as Arc<dyn Progress>, ..Context::quiet(7) };
            let ended = case.run(&context);
            if progress.told.load(Ordering::Relaxed) {
                heard += 1;
                // What told only of its last part was done.
                assert!(matches!(ended, Err(StageError::Cancelled) | Ok(_)), "{}: {:?}", case.stage, ended.err());
            }
        }
        // What takes long asks before it begins.
        let cancelled = Context {
            cancel: {
                let token = CancelToken::new();
                token.cancel();
                token
            },
            ..Context::quiet(7)
        };
        let long = [
            "decode.classify",
            "decode.audit",
            "decode.eeg",
            "decode.transfer",
            "connectome.ntf",
            "connectome.sbm",
            "similarity.noise_ceiling",
        ];
        if long.contains(&case.stage) {
            assert!(matches!(case.run(&cancelled), Err(StageError::Cancelled)), "{} works on though nobody wants it", case.stage);
        }
    }
    assert!(heard > 0, "no stage tells its progress");
}

#[test]
fn shuffled_labels_score_at_chance() {
    let control = Control::parse(&Value::call("shuffle", vec![("column", Value::from("direction")), ("n", Value::Int(20))])).unwrap();
    let mut asked = 0;
    for case in cases() {
        let signature = case.stage().signature();
        let (Some(SiteAt::Input(slot)), Some(output)) = (signature.site("shuffle"), signature.scores().map(|output| output.name)) else {
            continue;
        };
        asked += 1;
        let (mut sum, mut squares, mut chance) = (0.0, 0.0, 0.0);
        for draw in 0..control.draws() {
            let mut inputs = Inputs::new();
            for (slot, label, value) in &case.inputs {
                inputs.push(slot, label, value.clone());
            }
            let mut member = 0;
            inputs
                .change(slot, |artifact| {
                    member += 1;
                    control.change(artifact, 1000 * draw + member)
                })
                .unwrap();
            let outputs = case.stage().run(&inputs, &case.params, &Context::quiet(7)).unwrap();
            let scores = Scores::from_artifact(outputs.get(output).unwrap()).unwrap();
            let score = &scores.scores[0];
            chance = score.chance.unwrap_or(f64::NAN);
            sum += score.value;
            squares += score.value * score.value;
        }
        let n = control.draws() as f64;
        let mean = sum / n;
        let error = ((squares / n - mean * mean).max(0.0) / n).sqrt();
        assert!((mean - chance).abs() <= 4.0 * error.max(0.005), "{}: {mean} ± {error}, chance is {chance}", case.stage);
    }
    assert!(asked >= 5, "no stage is controlled by shuffling");
}
