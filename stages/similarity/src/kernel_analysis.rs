//! `similarity.kernel_analysis`: how simple a classification is in a representation.
//!
//! For what: comparing representations by precision as a function of the complexity that a classifier is allowed. Promises: the area under that
//! curve in either of two published versions, which are different numbers with different chance levels, and the same under permuted labels.
//! Refuses: a single class, fewer than 12 samples (a quantile of the first version would be a diagonal zero), a representation that does not vary.
//! From: Cadieu et al. 2013 (`sample_space`, after Montavon et al. 2011); Cadieu et al. 2014 (`leave_one_out`).

use crate::conditions::Observations;
use crate::failure::numerical;
use crate::resampling::permuted;
use neuroflow_compute::factor::symmetric_eigen;
use neuroflow_compute::geometry::{euclidean_distances, triangle_place};
use neuroflow_compute::product::gemm_tn;
use neuroflow_compute::statistics::{mean, median, standard_deviation};
use neuroflow_compute::{Matrix, with_threads};
use neuroflow_data::random::Stream;
use neuroflow_data::{Interval, Kind, Score, Scores, Table, columns};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};

words! {
    /// Which of the two published definitions.
    pub enum Variant {
        /// Complexity is `1/λ` of kernel ridge regression, precision 1 minus its leave-one-out error; chance is near 0 (2014).
        LeaveOneOut = "leave_one_out" {
            /// Samples of the data, with classes balanced, over which the curve is averaged.
            resamples: usize = 10, in 1.0..=1000.0;
            /// The share of the samples in each; all of them once when it is 1.
            fraction: f64 = 0.8, in 0.1..=1.0;
        },
        /// Complexity is the number of kernel principal components, precision 1 minus the error on the same samples; chance is near 0.5 (2013).
        SampleSpace = "sample_space" {},
    }
}

params! {
    /// Parameters of `similarity.kernel_analysis`.
    pub struct KernelAnalysisParams {
        /// The column that names the class.
        by: String = "direction";
        /// The window over which responses are averaged, from stimulus onset; features have none.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// Which of the two published definitions.
        variant: Variant = Value::word("leave_one_out");
        /// Permutations of the labels, for what chance gives; 0 for none.
        permutations: usize = 20, in 0.0..=10000.0;
    }
}

/// The stage `similarity.kernel_analysis`.
pub struct KernelAnalysis;

const DOC: &str = r#"The area under the curve of precision over complexity, for one-against-rest labels and Gaussian kernels whose width is chosen
anew at each complexity. `leave_one_out` is near 0 for labels without relation to the representation, `sample_space` near 0.5, because it is
measured on the samples it was fitted to: never put the two on one axis, and never read the second as an accuracy. `chance` is the mean under
permuted labels. Each sample is a row; work grows with the cube of their number.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
simplicity = similarity.kernel_analysis(responses, variant = sample_space, permutations = 3)
report example { simplicity }
```"#;

/// Widths relative to the median distance, and penalties, of the 2014 version.
const WIDTHS: usize = 32;
const PENALTIES: usize = 56;

impl Stage for KernelAnalysis {
    type Params = KernelAnalysisParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.kernel_analysis",
            version: 2,
            summary: "Measures how simple a classification is in a representation.",
            doc: DOC,
            inputs: vec![InputSpec::one(
                "of",
                &[Kind::Responses, Kind::Features],
                "trial × unit × bin, or stimulus × feature",
                "Responses, or a model's features.",
            )],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "The area under the curve."),
                OutputSpec::new("curve", Kind::Table, "", "Precision at each complexity."),
            ],
            params: Vec::new(),
            metrics: &["auc"],
            sites: vec![ControlSite { control: "window", at: SiteAt::Parameter("window") }],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &KernelAnalysisParams, context: &Context) -> Result<Outputs, StageError> {
        let observations = Observations::of(inputs, "of", &params.by, &params.window)?;
        context.cancel.check()?;
        with_threads(context.threads, || analyse(&observations, params, context)).map_err(numerical)?
    }
}

fn analyse(observations: &Observations, params: &KernelAnalysisParams, context: &Context) -> Result<Outputs, StageError> {
    let samples = observations.condition.len();
    if samples < 12 {
        return Err(StageError::refused(format!("{} has {samples} samples; kernel analysis needs at least 12", observations.name)));
    }
    let classes = observations.axis.len();
    let stream = Stream::new(context.seed);
    let distances = Distances::of(&observations.rows)?;
    let subsets: Vec<Vec<usize>> = match params.variant {
        Variant::SampleSpace {} => vec![(0..samples).collect()],
        Variant::LeaveOneOut { fraction, .. } if fraction >= 1.0 => vec![(0..samples).collect()],
        Variant::LeaveOneOut { resamples, fraction } => balanced(observations, resamples, fraction, &stream.split("resamples"))?,
    };
    let mut precisions: Vec<Vec<f64>> = Vec::with_capacity(subsets.len());
    let mut null = vec![Some(0.0); params.permutations];
    for (done, subset) in subsets.iter().enumerate() {
        context.cancel.check()?;
        let labels: Vec<usize> = subset.iter().map(|&row| observations.condition[row]).collect();
        let own = distances.part(subset);
        // Real labels first, then permuted ones: a decomposition serves all.
        let mut all = vec![labels.clone()];
        for permutation in 0..params.permutations {
            let order = stream.split("permutation").split_index(permutation as u64).split_index(done as u64).permutation(labels.len());
            all.push(order.into_iter().map(|place| labels[place]).collect());
        }
        let curves = match params.variant {
            Variant::SampleSpace {} => sample_space(&own, &all, classes)?,
            Variant::LeaveOneOut { .. } => leave_one_out(&own, &all, classes, context)?,
        };
        for (place, curve) in curves.iter().enumerate().skip(1) {
            null[place - 1] = null[place - 1].map(|sum| sum + mean(curve) / subsets.len() as f64);
        }
        precisions.extend(curves.into_iter().next());
        context.progress.report(done as u64 + 1, subsets.len() as u64);
    }
    let areas: Vec<f64> = precisions.iter().map(|curve| mean(curve)).collect();
    let value = mean(&areas);
    let mut score = Score::new("auc", value, samples);
    score.n_classes = Some(classes as u64);
    if areas.len() > 1 {
        let spread = standard_deviation(&areas, 1);
        score.interval = Some(Interval {
            low: value - spread,
            high: value + spread,
            level: 0.68,
            method: format!("standard deviation over {} resamples", areas.len()),
        });
    }
    let chances: Vec<f64> = null.iter().flatten().copied().collect();
    if !chances.is_empty() {
        score.chance = Some(mean(&chances));
    }
    permuted(&mut score, "labels", value, &null, |draw| draw);
    let length = precisions.first().map_or(0, Vec::len);
    let curve: Vec<f64> =
        (0..length).map(|place| precisions.iter().map(|curve| curve[place]).sum::<f64>() / precisions.len() as f64).collect();
    let complexity: Vec<f64> = match params.variant {
        Variant::SampleSpace {} => (0..length).map(|components| components as f64).collect(),
        Variant::LeaveOneOut { .. } => penalties().into_iter().map(|penalty| 1.0 / penalty).collect(),
    };
    let table = Table::from_columns(vec![columns::from_numbers("complexity", complexity), columns::from_numbers("precision", curve)])?;
    Outputs::new().with("scores", Scores::new(vec![score]))?.with("curve", table)
}

/// Squared distances of all pairs, as a whole matrix.
struct Distances(Matrix);

impl Distances {
    fn of(rows: &Matrix) -> Result<Distances, StageError> {
        let n = rows.rows();
        let triangle = euclidean_distances(rows).map_err(numerical)?;
        let scale = triangle.iter().copied().fold(0.0f64, f64::max);
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(StageError::refused(
                "the representation does not vary over the samples, or its distances pass the largest number: there is nothing to analyse",
            ));
        }
        // Only ratios of distances count in either version.
        Ok(Distances(Matrix::from_fn(n, n, |row, column| match row.cmp(&column) {
            std::cmp::Ordering::Less => triangle[triangle_place(n, row, column)] / scale,
            std::cmp::Ordering::Greater => triangle[triangle_place(n, column, row)] / scale,
            std::cmp::Ordering::Equal => 0.0,
        })))
    }

    fn part(&self, rows: &[usize]) -> Matrix {
        self.0.take_rows(rows).take_columns(rows)
    }
}

/// One-against-rest labels in −1 and 1, centred by class and divided by their standard deviation over all, so that predicting nothing has an error
/// of 1 `[sample × class]`.
fn targets(labels: &[usize], classes: usize) -> Matrix {
    let mut targets = Matrix::from_fn(labels.len(), classes, |row, class| if labels[row] == class { 1.0 } else { -1.0 });
    for class in 0..classes {
        let centre = mean(&targets.column(class));
        (0..labels.len()).for_each(|row| targets[(row, class)] -= centre);
    }
    let squares: Vec<f64> = targets.values().iter().map(|value| value * value).collect();
    let spread = mean(&squares).sqrt();
    if spread > 0.0 { targets.map(|value| value / spread) } else { targets }
}

/// The 2013 version: for `d = 0 … n` components, 1 minus the least mean squared error over three kernel widths of the projection of the targets. A
/// curve for each set of labels.
fn sample_space(distances: &Matrix, labels: &[Vec<usize>], classes: usize) -> Result<Vec<Vec<f64>>, StageError> {
    let n = distances.rows();
    let mut sorted = distances.values().to_vec();
    sorted.sort_by(f64::total_cmp);
    let targets: Vec<Matrix> = labels.iter().map(|labels| targets(labels, classes)).collect();
    let mut least = vec![vec![f64::INFINITY; n + 1]; labels.len()];
    for quantile in [0.1, 0.5, 0.9] {
        let width = sorted[((quantile * (n * n) as f64) as usize).min(n * n - 1)];
        if width <= 0.0 {
            return Err(StageError::refused(
                "a tenth of all distances between samples are zero: too many samples are the same for this version",
            ));
        }
        let mut kernel = distances.clone().map(|distance| (-distance / width).exp());
        centre(&mut kernel);
        let eigen = symmetric_eigen(&kernel).map_err(numerical)?;
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| eigen.values[b].abs().total_cmp(&eigen.values[a].abs()));
        let all: f64 = order.iter().map(|&place| eigen.values[place] * eigen.values[place]).sum();
        // Directions past this share of the squared eigenvalues are rounding.
        let mut kept = 0;
        let mut share = 0.0;
        while kept < n && share < (1.0 - 1e-12) * all {
            share += eigen.values[order[kept]] * eigen.values[order[kept]];
            kept += 1;
        }
        for (targets, least) in targets.iter().zip(&mut least) {
            let projections = gemm_tn(&eigen.vectors, targets).map_err(numerical)?;
            let total: f64 = targets.values().iter().map(|value| value * value).sum();
            let mut explained = 0.0;
            for (components, least) in least.iter_mut().enumerate() {
                if components > 0 && components <= kept {
                    explained += projections.row(order[components - 1]).iter().map(|value| value * value).sum::<f64>();
                }
                *least = least.min((total - explained) / (n * classes) as f64);
            }
        }
    }
    Ok(least.into_iter().map(|losses| losses.into_iter().map(|loss| 1.0 - loss).collect()).collect())
}

/// The penalties of the 2014 version, 10⁻⁴ to 10³.
fn penalties() -> Vec<f64> {
    (0..PENALTIES).map(|place| 10f64.powf(-4.0 + 7.0 * place as f64 / (PENALTIES - 1) as f64)).collect()
}

/// The 2014 version: for each penalty, 1 minus the least leave-one-out error over 32 kernel widths of kernel ridge regression. A curve for each set
/// of labels.
fn leave_one_out(distances: &Matrix, labels: &[Vec<usize>], classes: usize, context: &Context) -> Result<Vec<Vec<f64>>, StageError> {
    let n = distances.rows();
    let pairs: Vec<f64> = (0..n).flat_map(|row| (row + 1..n).map(move |column| (row, column))).map(|pair| distances[pair].sqrt()).collect();
    let middle = median(&pairs);
    if middle <= 0.0 {
        return Err(StageError::refused(
            "half of all distances between samples are zero: too many samples are the same for kernel analysis",
        ));
    }
    let targets: Vec<Matrix> = labels.iter().map(|labels| targets(labels, classes)).collect();
    let penalties = penalties();
    let mut least = vec![vec![f64::INFINITY; PENALTIES]; labels.len()];
    for width in 0..WIDTHS {
        context.cancel.check()?;
        let width = middle * 10f64.powf(-1.0 + 2.0 * width as f64 / (WIDTHS - 1) as f64);
        let kernel = distances.clone().map(|distance| (-distance / (2.0 * width * width)).exp());
        let eigen = symmetric_eigen(&kernel).map_err(numerical)?;
        let squares = eigen.vectors.clone().map(|value| value * value);
        let projections =
            targets.iter().map(|targets| gemm_tn(&eigen.vectors, targets).map_err(numerical)).collect::<Result<Vec<_>, _>>()?;
        for (place, penalty) in penalties.iter().enumerate() {
            let factors: Vec<f64> = eigen.values.iter().map(|value| 1.0 / (value.max(0.0) + penalty)).collect();
            let diagonal: Vec<f64> =
                squares.row_iter().map(|row| row.iter().zip(&factors).map(|(square, factor)| square * factor).sum()).collect();
            for (projection, least) in projections.iter().zip(&mut least) {
                let shrunk = Matrix::from_fn(n, classes, |direction, class| projection[(direction, class)] * factors[direction]);
                let weights = neuroflow_compute::product::gemm(&eigen.vectors, &shrunk).map_err(numerical)?;
                let errors: Vec<f64> = weights
                    .row_iter()
                    .zip(&diagonal)
                    .map(|(row, diagonal)| row.iter().map(|weight| (weight / diagonal) * (weight / diagonal)).sum::<f64>())
                    .collect();
                let loss = mean(&errors) / classes as f64;
                least[place] = least[place].min(loss);
            }
        }
    }
    Ok(least.into_iter().map(|losses| losses.into_iter().map(|loss| 1.0 - loss).collect()).collect())
}

/// Rows and columns made to sum to zero.
fn centre(kernel: &mut Matrix) {
    let means: Vec<f64> = kernel.row_iter().map(mean).collect();
    let all = mean(&means);
    for row in 0..kernel.rows() {
        kernel.row_mut(row).iter_mut().zip(&means).for_each(|(value, mean)| *value += all - mean - means[row]);
    }
}

/// Random subsets with as many samples of each class, in the order of the samples.
fn balanced(observations: &Observations, resamples: usize, fraction: f64, stream: &Stream) -> Result<Vec<Vec<usize>>, StageError> {
    let members = observations.members();
    let fewest = members.iter().map(Vec::len).min().unwrap_or(0);
    let each = (fraction * fewest as f64) as usize;
    if each < 2 || each * members.len() < 12 {
        return Err(StageError::refused_with_help(
            format!(
                "{}: {} % of the rarest class are {each} samples, {} in all of {} classes; at least 2 of each and 12 in all are needed",
                observations.name,
                fraction * 100.0,
                each * members.len(),
                members.len()
            ),
            "use a larger `fraction`, or leave rare classes out",
        ));
    }
    Ok((0..resamples)
        .map(|resample| {
            let stream = stream.split_index(resample as u64);
            let mut chosen: Vec<usize> = members
                .iter()
                .enumerate()
                .flat_map(|(class, rows)| {
                    let order = stream.split_index(class as u64).permutation(rows.len());
                    order.into_iter().take(each).map(|place| rows[place]).collect::<Vec<_>>()
                })
                .collect();
            chosen.sort_unstable();
            chosen
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::testing::{features, run};
    use neuroflow_data::{Axis, Features, Tensor};

    fn golden_case(case: &str) -> Option<(Matrix, Vec<usize>, usize)> {
        let case = format!("../more/similarity/kernel_analysis_{case}");
        let (shape, values) = golden::array(&case, "in_features")?;
        let labels: Vec<usize> = golden::array(&case, "in_labels")?.1.into_iter().map(|label| label as usize).collect();
        let classes = labels.iter().max().unwrap() + 1;
        Some((Matrix::new(shape[0], shape[1], values).unwrap(), labels, classes))
    }

    #[test]
    fn both_versions_are_those_of_the_written_definitions() {
        for (case, auc_a, auc_b) in [
            ("appendix", 0.756_715_154_555_174_9, 0.271_675_465_036_879),
            ("three_class", 0.588_494_496_757_963_1, 0.053_846_689_818_642_69),
        ] {
            let Some((rows, labels, classes)) = golden_case(case) else { return };
            let distances = Distances::of(&rows).unwrap().0;
            let a = sample_space(&distances, std::slice::from_ref(&labels), classes).unwrap().remove(0);
            let b = leave_one_out(&distances, &[labels], classes, &Context::quiet(0)).unwrap().remove(0);
            let case = format!("../more/similarity/kernel_analysis_{case}");
            let loss: Vec<f64> = golden::array(&case, "out_loss_A").unwrap().1;
            let precision = golden::array(&case, "out_precision_B").unwrap().1;
            let lambda = golden::array(&case, "out_lambda_B").unwrap().1;
            assert!(a.iter().zip(&loss).all(|(a, loss)| (1.0 - a - loss).abs() < 1e-6) && a.len() == loss.len());
            assert!(b.iter().zip(&precision).all(|(a, b)| (a - b).abs() < 1e-6) && b.len() == precision.len());
            assert!(penalties().iter().zip(&lambda).all(|(a, b)| (a / b - 1.0).abs() < 1e-12));
            assert!((mean(&a) - auc_a).abs() < 1e-6 && (mean(&b) - auc_b).abs() < 1e-6);
        }
    }

    /// Two classes of samples, apart or not.
    fn classes(n: usize, apart: f64) -> Features {
        let one = features(3, n, 4, 0.0);
        let values: Vec<f64> =
            one.values().values().iter().enumerate().map(|(at, value)| value + if at / 4 % 2 == 0 { apart } else { 0.0 }).collect();
        let labels = Table::from_columns(vec![columns::from_numbers("direction", (0..n).map(|row| (row % 2) as f64).collect())]).unwrap();
        let axes = vec![Axis::count("stimulus", n), Axis::count("feature", 4)];
        Features::new(Tensor::new(axes, None, values).unwrap(), labels).unwrap()
    }

    #[test]
    fn separated_classes_are_simple_and_the_chance_levels_differ() {
        for (variant, low, high) in [("leave_one_out", -0.35, 0.15), ("sample_space", 0.4, 0.75)] {
            let area = |apart: f64| {
                let params = [("variant", Value::word(variant)), ("permutations", Value::Int(4))];
                let outputs = run(&KernelAnalysis, &[("of", &classes(30, apart))], &params).unwrap();
                outputs.one::<Scores>("scores").unwrap().scores.remove(0)
            };
            let (mixed, simple) = (area(0.0), area(3.0));
            assert!(simple.value > mixed.value + 0.1, "{variant}: {} {}", simple.value, mixed.value);
            let chance = simple.chance.unwrap();
            assert!(chance > low && chance < high, "{variant}: {chance}");
        }
    }

    #[test]
    fn few_samples_rare_classes_and_constants_are_refused() {
        let said =
            |features: &Features, params: &[(&str, Value)]| run(&KernelAnalysis, &[("of", features)], params).unwrap_err().to_string();
        assert!(said(&classes(8, 1.0), &[]).contains("8 samples"));
        assert!(said(&features(1, 14, 3, 0.0), &[]).contains("rarest class"));
        assert!(said(&features(1, 14, 3, f64::NAN), &[("variant", Value::word("sample_space"))]).contains("does not vary"));
    }
}
