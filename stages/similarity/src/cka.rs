//! `similarity.cka`: centred kernel alignment of two representations.
//!
//! For what: are two populations, or a population and a layer, the same up to rotation and scale? Promises: one number, the debiased estimate
//! unless asked otherwise, and p over permuted conditions. Refuses: fewer than four samples, a side that does not vary. From: Kornblith et al.
//! 2019; Song et al. 2012 (unbiased); Nguyen et al. 2021 (batches).

use crate::failure::numerical;
use crate::paired::{Paired, Samples};
use crate::resampling::permuted;
use neuroflow_compute::geometry::{Estimator, Precision, gaussian_kernel, kernel_cka, linear_cka, minibatch_cka};
use neuroflow_compute::{Matrix, with_threads};
use neuroflow_data::random::Stream;
use neuroflow_data::{Kind, Score, Scores};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};

words! {
    /// What makes two samples alike.
    pub enum Kernel {
        /// The inner product of their features.
        Linear = "linear" {},
        /// `exp(−d² / (2 (width · median)²))` of their distance: local neighbourhoods count.
        Gaussian = "gaussian" {
            /// The width as a multiple of the median distance of all pairs.
            width: f64 = 1.0, in 0.001..=1000.0;
        },
    }
}

words! {
    /// How the alignment is estimated.
    pub enum Estimate {
        /// Zero on average for unrelated representations; can be negative.
        Debiased = "debiased" {},
        /// The plain ratio, 0–1: grows with features per sample, also for noise.
        Biased = "biased" {},
        /// The debiased criterion averaged over random batches of samples: for more samples than fit together. Linear kernel only.
        Minibatch = "minibatch" {
            /// Samples in a batch.
            size: usize = 64, in 4.0..=1000000.0;
        },
    }
}

words! {
    /// In which precision products are taken.
    pub enum Digits {
        /// 64 bits.
        Double = "double" {},
        /// 32 bits, about twice as fast; the result is good to about 1e-6.
        Single = "single" {},
    }
}

params! {
    /// Parameters of `similarity.cka`.
    pub struct CkaParams {
        /// The column that names the condition.
        by: String = "direction";
        /// The window over which responses are averaged, from stimulus onset; features have none.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// What a sample is.
        samples: Samples = Value::word("conditions");
        /// What makes two samples alike.
        kernel: Kernel = Value::word("linear");
        /// How the alignment is estimated.
        estimate: Estimate = Value::word("debiased");
        /// In which precision products of the linear kernel are taken.
        precision: Digits = Value::word("double");
        /// Permutations of conditions for p; 0 for none.
        permutations: usize = 200, in 0.0..=100000.0;
    }
}

/// The stage `similarity.cka`.
pub struct Cka;

const DOC: &str = r#"Centred kernel alignment of two sets of features over the conditions that both have. 1 when they differ by a rotation and a
scale only. The biased estimate is high for any two large populations with few conditions, whatever they do: look at the null and p beside it,
which are those of the second side's conditions permuted, or use the debiased one.
With `samples = rows` the rows of a condition lie together on both sides, so that any two sides align above 0; p then permutes conditions as a whole, while a
`shuffle` of trials takes the clusters apart and says only that there are any.

```nf
pipeline example
input sessions = ingest.simulate()
one = ingest.trials(sessions["sim1"])
other = ingest.trials(sessions["sim2"])
alignment = similarity.cka(one, other, by = "direction", permutations = 50)
report example { alignment }
```"#;

impl Stage for Cka {
    type Params = CkaParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.cka",
            version: 3,
            summary: "Measures how well two representations align, whatever their rotation and scale.",
            doc: DOC,
            inputs: vec![
                InputSpec::one(
                    "first",
                    &[Kind::Responses, Kind::Features],
                    "trial × unit × bin, or stimulus × feature",
                    "A representation.",
                ),
                InputSpec::one("second", &[Kind::Responses, Kind::Features], "trial × unit × bin, or stimulus × feature", "Another one."),
            ],
            outputs: vec![OutputSpec::new("scores", Kind::Scores, "", "The alignment.")],
            params: Vec::new(),
            metrics: &["cka"],
            sites: vec![
                ControlSite { control: "shuffle", at: SiteAt::Input("first") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &CkaParams, context: &Context) -> Result<Outputs, StageError> {
        let paired = Paired::of(inputs, ["first", "second"], &params.by, &params.window, &params.samples)?;
        let batches = batches(params, paired.len(), context.seed)?;
        let of = |x: &Matrix, y: &Matrix| alignment(params, &batches, x, y);
        with_threads(context.threads, || {
            let value = of(&paired.x, &paired.y)?.ok_or_else(|| paired.constant("there is nothing to align"))?;
            let mut score = Score::new("cka", value, paired.len());
            if !matches!(params.estimate, Estimate::Biased {}) {
                // Rows come in clusters of a condition, on both sides the same, so that any two sets of them align.
                score.chance = matches!(params.samples, Samples::Conditions {}).then_some(0.0);
            }
            permuted(&mut score, "conditions", value, &paired.null(params.permutations, context, of)?, |draw| draw);
            Outputs::new().with("scores", Scores::new(vec![score]))
        })
        .map_err(numerical)?
    }
}

/// Random batches of samples; those left over, fewer than a batch, are not used.
fn batches(params: &CkaParams, samples: usize, seed: u64) -> Result<Vec<Vec<usize>>, StageError> {
    let Estimate::Minibatch { size } = params.estimate else { return Ok(Vec::new()) };
    if !matches!(params.kernel, Kernel::Linear {}) {
        return Err(StageError::refused("batches are for the linear kernel; use `estimate = debiased` with another one"));
    }
    if samples < size {
        return Err(StageError::refused(format!(
            "{samples} samples make no batch of {size}; use a smaller `size`, or `estimate = debiased`"
        )));
    }
    let order = Stream::new(seed).split("batches").permutation(samples);
    Ok(order.chunks_exact(size).map(<[usize]>::to_vec).collect())
}

fn alignment(params: &CkaParams, batches: &[Vec<usize>], x: &Matrix, y: &Matrix) -> Result<Option<f64>, StageError> {
    let precision = match params.precision {
        Digits::Double {} => Precision::Double,
        Digits::Single {} => Precision::Single,
    };
    let estimator = match params.estimate {
        Estimate::Biased {} => Estimator::Biased,
        Estimate::Debiased {} => Estimator::Debiased,
        Estimate::Minibatch { .. } => return minibatch_cka(x, y, batches).map_err(numerical),
    };
    match params.kernel {
        Kernel::Linear {} => linear_cka(x, y, estimator, precision).map_err(numerical),
        Kernel::Gaussian { width } => {
            let (Some(k), Some(l)) = (gaussian_kernel(x, width).map_err(numerical)?, gaussian_kernel(y, width).map_err(numerical)?) else {
                return Ok(None);
            };
            kernel_cka(&k, &l, estimator).map_err(numerical)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{features, golden_features, run_pair};

    #[test]
    fn estimates_are_those_of_the_formulas() {
        let Some((a, b)) = golden_features("subspace_tall") else { return };
        for (estimate, expected) in [("biased", 0.669_753_682_301_028_7), ("debiased", 0.654_915_981_865_230_5)] {
            for precision in ["double", "single"] {
                let params = [("estimate", Value::word(estimate)), ("precision", Value::word(precision)), ("permutations", Value::Int(0))];
                let scores: Scores = run_pair(&Cka, &a, &b, &params).unwrap().one("scores").unwrap();
                assert!((scores.scores[0].value - expected).abs() < if precision == "double" { 1e-9 } else { 1e-5 });
            }
        }
    }

    #[test]
    fn related_representations_are_told_from_chance_by_every_estimate() {
        let (a, b) = (features(1, 24, 5, 0.0), features(1, 24, 5, 0.5));
        for params in [
            vec![],
            vec![("estimate", Value::word("biased"))],
            vec![("kernel", Value::word("gaussian"))],
            vec![("estimate", Value::call("minibatch", vec![("size", Value::Int(8))]))],
        ] {
            let scores: Scores = run_pair(&Cka, &a, &b, &params).unwrap().one("scores").unwrap();
            assert!(scores.scores[0].value > 0.3 && scores.scores[0].controls[0].p < 0.01, "{:?}", scores.scores[0]);
        }
    }

    #[test]
    fn shuffled_conditions_score_at_chance() {
        let control = neuroflow_stage::Control::parse(&Value::call("shuffle", vec![("column", Value::from("direction"))])).unwrap();
        let (a, b) = (features(1, 12, 5, 0.0), features(1, 12, 5, 0.5));
        let values: Vec<f64> = (0..40)
            .map(|draw| {
                let changed = control.change(&neuroflow_data::Typed::into_artifact(a.clone()).unwrap(), draw).unwrap();
                let changed = <neuroflow_data::Features as neuroflow_data::Typed>::from_artifact(&changed).unwrap();
                let outputs = run_pair(&Cka, &changed, &b, &[("permutations", Value::Int(0))]).unwrap();
                outputs.one::<Scores>("scores").unwrap().scores[0].value
            })
            .collect();
        let error = neuroflow_compute::statistics::standard_deviation(&values, 1) / (40.0f64).sqrt();
        assert!(neuroflow_compute::statistics::mean(&values).abs() <= 4.0 * error, "{values:?}");
    }

    #[test]
    fn constants_few_samples_and_impossible_batches_are_refused() {
        let a = features(1, 12, 5, 0.0);
        let said = |b: &neuroflow_data::Features, params: &[(&str, Value)]| run_pair(&Cka, &a, b, params).unwrap_err().to_string();
        assert!(said(&features(2, 12, 1, f64::NAN), &[]).contains("does not vary"));
        let batch = Value::call("minibatch", vec![("size", Value::Int(20))]);
        assert!(said(&features(2, 12, 3, 0.1), &[("estimate", batch.clone())]).contains("12 samples make no batch of 20"));
        assert!(said(&features(2, 12, 3, 0.1), &[("estimate", batch), ("kernel", Value::word("gaussian"))]).contains("linear kernel"));
        assert!(said(&features(2, 3, 3, 0.1), &[]).contains("at least 4"));
    }
}
