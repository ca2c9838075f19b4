//! `similarity.depth`: at which depth of a network an area stands.
//!
//! For what: placing brain areas along the layers of a model. Promises: the relative depth, 0–1, of the layer whose geometry is most like the
//! area's, an interval from resampled units and conditions, and the likeness of each layer with the layers that can't be told from the best.
//! Refuses: fewer than two layers, fewer than four common conditions. From: Shi, Shea-Brown & Buice 2019 (pseudo-depth).

use crate::comparison::Comparison;
use crate::conditions::Observations;
use crate::dissimilarity::correlation;
use crate::failure::numerical;
use crate::resampling::draws;
use neuroflow_compute::geometry::{correlation_distances, triangle_place};
use neuroflow_compute::statistics::{mean, quantile};
use neuroflow_compute::{Matrix, with_threads};
use neuroflow_data::random::Stream;
use neuroflow_data::{Features, Interval, Kind, Score, Scores, Table, Typed, columns};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params,
};

params! {
    /// Parameters of `similarity.depth`.
    pub struct DepthParams {
        /// The column that names the condition.
        by: String = "direction";
        /// The window over which responses are averaged, from stimulus onset.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// How the area's RDM and a layer's are compared; both are of correlation distances.
        compare: Comparison = Value::word("spearman");
        /// Resamples of units and conditions together, for the intervals.
        bootstrap: usize = 1000, in 0.0..=100000.0;
    }
}

/// The stage `similarity.depth`.
pub struct Depth;

const DOC: &str = r#"Layers are given in their order, first to last; features with a property `layer` are cut into one layer for each of its values.
`depth` is the position of the best layer divided by the last position. Where the curve over layers is flat the best layer is a matter of luck: look
at the interval, and at `best` in the table, which is true for layers whose interval reaches that of the best one. Give the untrained network too.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
for cycles in [2.0, 3.0, 4.5] {
  gabor = train.features(responses, cycles = cycles)
}
area = similarity.depth(responses, gather(gabor), bootstrap = 50)
report example { area }
```"#;

impl Stage for Depth {
    type Params = DepthParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.depth",
            version: 1,
            summary: "Finds the layer of a model that is most like an area, and its relative depth.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The area's activity."),
                InputSpec::many("layers", &[Kind::Features], "stimulus × feature", "The model's layers, first to last."),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "The relative depth, and the likeness of the best layer."),
                OutputSpec::new("layers", Kind::Table, "", "The likeness of each layer."),
            ],
            params: Vec::new(),
            metrics: &["depth", "similarity"],
            sites: vec![ControlSite { control: "window", at: SiteAt::Parameter("window") }],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &DepthParams, context: &Context) -> Result<Outputs, StageError> {
        let area: neuroflow_data::Responses = inputs.one("responses")?;
        let area = Observations::of_responses(&area, &params.by, &params.window)?;
        let layers = layers_of(inputs, params)?;
        if layers.len() < 2 {
            return Err(StageError::refused_with_help(
                format!("{} layer is given; a depth needs at least 2", layers.len()),
                "gather the layers of a loop, or give features whose property `layer` has several values",
            ));
        }
        let (conditions, area, triangles) = common(&area, &layers)?;
        context.cancel.check()?;
        with_threads(context.threads, || analyse(&area, conditions, &layers, &triangles, params, context)).map_err(numerical)?
    }
}

/// A layer's name and rows.
type Layer = (String, Observations);

fn layers_of(inputs: &Inputs, params: &DepthParams) -> Result<Vec<Layer>, StageError> {
    let mut layers = Vec::new();
    for (label, features) in inputs.many::<Features>("layers")? {
        let mut one = Inputs::new();
        one.push("layer", "", features.clone().into_artifact()?);
        let whole = Observations::of(&one, "layer", &params.by, &params.window)?;
        let axis = &features.values().axes()[1];
        let names: Vec<String> = match axis.property("layer") {
            Some(property) => (0..axis.len()).map(|feature| property.label(feature)).collect(),
            None => vec![String::new(); axis.len()],
        };
        let mut known: Vec<&String> = Vec::new();
        names.iter().for_each(|name| {
            if !known.contains(&name) {
                known.push(name);
            }
        });
        for name in &known {
            let own: Vec<usize> = (0..names.len()).filter(|&feature| &names[feature] == *name).collect();
            let title = match (label.is_empty(), known.len()) {
                (true, _) if name.is_empty() => format!("layer {}", layers.len() + 1),
                (true, _) => (*name).clone(),
                (false, 1) => label.clone(),
                (false, _) => format!("{label} {name}"),
            };
            layers.push((title, Observations { rows: whole.rows.take_columns(&own), ..whole.clone() }));
        }
    }
    Ok(layers)
}

/// The number of conditions that the area and all layers have, the area's means over them, and each layer's dissimilarities.
fn common(area: &Observations, layers: &[Layer]) -> Result<(usize, Matrix, Vec<Vec<f64>>), StageError> {
    let names = |of: &Observations| (0..of.axis.len()).map(|at| of.axis.coordinates.label(at)).collect::<Vec<String>>();
    let theirs: Vec<Vec<String>> = layers.iter().map(|(_, layer)| names(layer)).collect();
    let own = names(area);
    let shared: Vec<String> = own.iter().filter(|name| theirs.iter().all(|list| list.contains(name))).cloned().collect();
    if shared.len() < 4 {
        return Err(StageError::refused_with_help(
            format!("{} and the layers have {} conditions in common; at least 4 are needed", area.name, shared.len()),
            "the layers need the column that names the condition, with the same values",
        ));
    }
    let means = |of: &Observations, list: &[String]| {
        let places: Vec<usize> = shared.iter().filter_map(|name| list.iter().position(|other| other == name)).collect();
        of.means(|_| true).take_rows(&places)
    };
    let triangles = layers.iter().zip(&theirs).map(|((_, layer), list)| correlation(&means(layer, list))).collect::<Result<_, _>>()?;
    Ok((shared.len(), means(area, &own), triangles))
}

fn analyse(
    area: &Matrix,
    n: usize,
    layers: &[Layer],
    triangles: &[Vec<f64>],
    params: &DepthParams,
    context: &Context,
) -> Result<Outputs, StageError> {
    let own = correlation(area)?;
    let likeness = triangles
        .iter()
        .zip(layers)
        .map(|(triangle, (name, _))| {
            params.compare.of(n, &own, triangle)?.ok_or_else(|| {
                StageError::refused(format!("the geometry of the area or of {name} is constant: there is nothing to compare"))
            })
        })
        .collect::<Result<Vec<f64>, _>>()?;
    let best = best_of(&likeness);
    let last = (layers.len() - 1) as f64;
    // Units are drawn for the area's RDM, conditions for the comparison, together.
    let stream = Stream::new(context.seed);
    let units = draws(params.bootstrap, area.cols(), &stream.split("units"));
    let conditions = draws(params.bootstrap, n, &stream.split("conditions"));
    let mut resampled: Vec<Vec<f64>> = Vec::with_capacity(params.bootstrap);
    for (done, (units, conditions)) in units.iter().zip(&conditions).enumerate() {
        context.cancel.check()?;
        let drawn: Vec<usize> = units.iter().enumerate().flat_map(|(unit, &count)| std::iter::repeat_n(unit, count as usize)).collect();
        let triangle = correlation_distances(&area.take_columns(&drawn)).map_err(numerical)?;
        if triangle.iter().all(|value| value.is_finite()) {
            let values = triangles
                .iter()
                .map(|layer| params.compare.pair(n, &triangle, layer)?.resampled(conditions).map_err(numerical))
                .collect::<Result<Vec<Option<f64>>, StageError>>()?;
            resampled.extend(values.into_iter().collect::<Option<Vec<f64>>>());
        }
        if done % 50 == 49 {
            context.progress.report(done as u64 + 1, params.bootstrap as u64);
        }
    }
    let enough = resampled.len() >= 20;
    let bounds = |values: &[f64]| enough.then(|| (quantile(values, 0.025), quantile(values, 0.975)));
    let interval = |bounds: Option<(f64, f64)>| {
        bounds.map(|(low, high)| Interval { low, high, level: 0.95, method: "bootstrap over units and conditions".into() })
    };
    let of_layers: Vec<Option<(f64, f64)>> =
        (0..layers.len()).map(|layer| bounds(&resampled.iter().map(|values| values[layer]).collect::<Vec<_>>())).collect();
    let depths: Vec<f64> = resampled.iter().map(|values| best_of(values) as f64 / last).collect();
    let mut depth = Score::new("depth", best as f64 / last, n);
    depth.interval = interval(bounds(&depths));
    depth.notes.push(format!("best layer: {}, {} of {}", layers[best].0, best + 1, layers.len()));
    if enough {
        depth.notes.push(format!("mean over resamples {:.3}", mean(&depths)));
    }
    let mut similarity = Score::new("similarity", likeness[best], triangle_place(n, n - 2, n - 1) + 1);
    similarity.chance = params.compare.chance();
    similarity.interval = interval(of_layers[best]);
    let reaches = |layer: usize| match (of_layers[layer], of_layers[best]) {
        (Some((_, high)), Some((low, _))) => high >= low,
        _ => layer == best,
    };
    let table = Table::from_columns(vec![
        columns::from_texts("layer", &layers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>()),
        columns::from_numbers("depth", (0..layers.len()).map(|layer| layer as f64 / last).collect()),
        columns::from_numbers("similarity", likeness.clone()),
        columns::from_optional_numbers("low", of_layers.iter().map(|bounds| bounds.map(|(low, _)| low)).collect()),
        columns::from_optional_numbers("high", of_layers.iter().map(|bounds| bounds.map(|(_, high)| high)).collect()),
        columns::from_booleans("best", (0..layers.len()).map(reaches).collect()),
    ])?;
    Outputs::new().with("scores", Scores::new(vec![depth, similarity]))?.with("layers", table)
}

/// The position of the largest value, the first of equals.
fn best_of(values: &[f64]) -> usize {
    values.iter().enumerate().fold(0, |best, (place, value)| if *value > values[best] { place } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{features, features_of};
    use neuroflow_data::{Axis, Coordinates, Responses, Tensor};
    use neuroflow_stage::AnyStage;
    use std::collections::BTreeMap;

    /// An area whose responses are the features of a seed, each stimulus shown twice.
    fn area(seed: u64, noise: f64) -> Responses {
        let shown = features(seed, 12, 30, 0.0);
        let mut stream = Stream::new(77);
        let values: Vec<f64> = (0..24 * 30).map(|place| shown.values().values()[place % (12 * 30)] + noise * stream.normal()).collect();
        let axes = vec![Axis::count("trial", 24), Axis::count("unit", 30), Axis::numbers("bin", Some("s"), vec![0.5])];
        let directions = (0..24).map(|trial| f64::from(trial % 12)).collect();
        let trials = Table::from_columns(vec![columns::from_numbers("direction", directions)]).unwrap();
        Responses::new("s", Tensor::new(axes, None, values).unwrap(), trials, None).unwrap()
    }

    fn run(area: Responses, layers: Vec<Features>) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        inputs.push("responses", "", area.into_artifact()?);
        for (place, layer) in layers.into_iter().enumerate() {
            inputs.push("layers", &format!("layer{place}"), layer.into_artifact()?);
        }
        AnyStage::run(&Depth, &inputs, &BTreeMap::from([("bootstrap".to_owned(), Value::Int(60))]), &Context::quiet(3))
    }

    #[test]
    fn the_layer_that_the_area_was_made_from_is_found() {
        let layers: Vec<Features> = (0..5).map(|seed| features(seed, 12, 30, 0.0)).collect();
        let outputs = run(area(3, 0.4), layers).unwrap();
        let scores: Scores = outputs.one("scores").unwrap();
        let depth = scores.get("depth").unwrap();
        assert_eq!(depth.value, 0.75);
        let interval = depth.interval.as_ref().unwrap();
        assert!(interval.low <= 0.75 && interval.high >= 0.75, "{interval:?}");
        let table: Table = outputs.one("layers").unwrap();
        let likeness = table.numbers("similarity").unwrap();
        assert!(likeness[3] > 0.6 && likeness.iter().enumerate().all(|(layer, value)| layer == 3 || *value < 0.5), "{likeness:?}");
        assert_eq!(table.texts("best").unwrap()[3], "true");
    }

    #[test]
    fn one_input_with_a_layer_property_is_cut_into_its_layers() {
        let (one, other) = (features(1, 12, 30, 0.0), features(2, 12, 30, 0.0));
        let values: Vec<f64> = (0..12).flat_map(|row| [one.values().row(row), other.values().row(row)].concat()).collect();
        let joined = features_of(12, values);
        let names = Coordinates::Labels((0..60).map(|feature| if feature < 30 { "conv" } else { "fc" }.to_owned()).collect());
        let axis = Axis::count("feature", 60).with_property("layer", names);
        let joined = Features::new(joined.values().clone().with_axis(1, axis).unwrap(), joined.stimuli().clone()).unwrap();
        let outputs = run(area(2, 0.3), vec![joined]).unwrap();
        assert_eq!(outputs.one::<Scores>("scores").unwrap().scores[0].value, 1.0);
        assert_eq!(outputs.one::<Table>("layers").unwrap().texts("layer").unwrap(), ["layer0 conv", "layer0 fc"]);
    }

    #[test]
    fn a_single_layer_and_foreign_conditions_are_refused() {
        assert!(run(area(1, 0.1), vec![features(1, 12, 30, 0.0)]).unwrap_err().to_string().contains("at least 2"));
        let few = vec![features(1, 3, 30, 0.0), features(2, 3, 30, 0.0)];
        assert!(run(area(1, 0.1), few).unwrap_err().to_string().contains("3 conditions in common"));
    }
}
