//! `similarity.retrieval`: how often the right stimulus is found among distractors.
//!
//! For what: decoding by matching, as with embeddings of brain activity and of images in one space, or with predicted and measured responses.
//! Promises: the expected accuracy over all choices of distractors, in closed form, without random numbers; ties at their expectation over random
//! breaking. Refuses: representations of different size. From: the retrieval metric of BrainFLORA (2025), whose sampled accuracies this is the mean
//! of.

use crate::paired::{Paired, Samples};
use neuroflow_compute::Matrix;
use neuroflow_compute::statistics::{log_binomial, mean, pearson};
use neuroflow_data::{Kind, Score, Scores, Table, columns};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};

words! {
    /// How well a candidate matches a query.
    pub enum Match {
        /// Correlation over features.
        Correlation = "correlation" {},
        /// Cosine of the angle.
        Cosine = "cosine" {},
        /// The inner product: lengths count.
        Dot = "dot" {},
    }
}

params! {
    /// Parameters of `similarity.retrieval`.
    pub struct RetrievalParams {
        /// The column that names the condition.
        by: String = "direction";
        /// The window over which responses are averaged, from stimulus onset; features have none.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// What a query is: a condition's mean (`conditions`) or a single row (`rows`). Averaging repeats first makes the task easier.
        queries: Samples = Value::word("conditions");
        /// How well a candidate matches a query.
        compare: Match = Value::word("correlation");
        /// Candidates among which the right one is looked for; those numbers that are larger than there are conditions are left out.
        candidates: Vec<i64> = vec![2, 4, 10, 50, 100, 200], in 2.0..=1e9;
        /// A hit is the right one among so many best.
        top: usize = 5, in 1.0..=1000000.0;
    }
}

/// The stage `similarity.retrieval`.
pub struct Retrieval;

const DOC: &str = r#"Each query is compared with all candidates, the condition means of the second input. `accuracy` is the share of queries whose
own condition comes first among all candidates, `mean_rank` the mean place of the right one (1 is best), `top` the share within the best few. `table` has
the expected accuracy among k candidates drawn at random: with `j` of `n − 1` others better, `C(n−1−j, k−1) / C(n−1, k−1)` for the first place.
Chance is `1/k`. Conditions must not have taken part in the training of what is compared.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
gabor = train.features(responses)
encoding = similarity.encode(responses, gabor, samples = rows, folds = 4, inner_folds = 3)
found = similarity.retrieval(encoding.predicted, responses, top = 2)
report example { found }
```"#;

impl Stage for Retrieval {
    type Params = RetrievalParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.retrieval",
            version: 1,
            summary: "Measures how often the right condition is found among distractors.",
            doc: DOC,
            inputs: vec![
                InputSpec::one(
                    "queries",
                    &[Kind::Responses, Kind::Features],
                    "trial × unit × bin, or stimulus × feature",
                    "What is looked for.",
                ),
                InputSpec::one(
                    "candidates",
                    &[Kind::Responses, Kind::Features],
                    "trial × unit × bin, or stimulus × feature",
                    "Where it is looked for: the same units or features, in the same order.",
                ),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "Accuracy, place of the right one, and share within the best."),
                OutputSpec::new("table", Kind::Table, "", "Expected accuracy among k candidates."),
                OutputSpec::new("queries", Kind::Table, "", "The place of the right condition for each query."),
            ],
            params: Vec::new(),
            metrics: &["accuracy", "top", "mean_rank"],
            sites: vec![
                ControlSite { control: "shuffle", at: SiteAt::Input("queries") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &RetrievalParams, context: &Context) -> Result<Outputs, StageError> {
        let paired = Paired::of(inputs, ["queries", "candidates"], &params.by, &params.window, &params.queries)?;
        if paired.x.cols() != paired.y.cols() {
            return Err(StageError::refused_with_help(
                format!(
                    "{} has {} features and {} has {}; both need the same ones",
                    paired.names[0],
                    paired.x.cols(),
                    paired.names[1],
                    paired.y.cols()
                ),
                "bring one into the space of the other first, for example with `similarity.encode`",
            ));
        }
        if let (Some(queries), Some(candidates)) = (inputs.artifact("queries"), inputs.artifact("candidates"))
            && matches!(params.queries, Samples::Rows {})
            && queries == candidates
        {
            return Err(StageError::refused_with_help(
                format!("{}: queries and candidates are the same responses, so each query would find itself", paired.names[0]),
                "give trials that the candidates were not made of: another session, or what `similarity.encode` predicted",
            ));
        }
        context.cancel.check()?;
        let n = paired.conditions.len();
        // The row of each condition on the candidates' side.
        let first: Vec<usize> = (0..n).map(|wanted| paired.condition.iter().position(|&own| own == wanted).unwrap_or(0)).collect();
        let candidates = paired.y.take_rows(&first);
        let places = (0..paired.len())
            .map(|query| Place::of(&params.compare, paired.x.row(query), &candidates, paired.condition[query]))
            .collect::<Result<Vec<_>, _>>()?;
        let expected = |k: usize, top: usize| mean(&places.iter().map(|place| place.within(n, k, top)).collect::<Vec<_>>());
        let top = params.top.min(n);
        let mut accuracy = Score::new("accuracy", expected(n, 1), places.len());
        accuracy.chance = Some(1.0 / n as f64);
        accuracy.n_classes = Some(n as u64);
        let mut within = Score::new("top", expected(n, top), places.len());
        within.chance = Some(top as f64 / n as f64);
        within.notes.push(format!("within the best {top} of {n}"));
        let ranks: Vec<f64> = places.iter().map(Place::rank).collect();
        let mut rank = Score::new("mean_rank", mean(&ranks), places.len());
        rank.chance = Some((n as f64 + 1.0) / 2.0);
        rank.notes.push("mean place of the right condition; 1 is best".into());
        let mut sizes: Vec<usize> = params.candidates.iter().filter_map(|&k| usize::try_from(k).ok()).filter(|&k| k <= n).collect();
        sizes.push(n);
        sizes.sort_unstable();
        sizes.dedup();
        let table = Table::from_columns(vec![
            columns::from_integers("candidates", sizes.iter().map(|&k| k as i64).collect()),
            columns::from_numbers("accuracy", sizes.iter().map(|&k| expected(k, 1)).collect()),
            columns::from_numbers("chance", sizes.iter().map(|&k| 1.0 / k as f64).collect()),
            columns::from_numbers("top", sizes.iter().map(|&k| expected(k, params.top)).collect()),
            columns::from_numbers("top_chance", sizes.iter().map(|&k| params.top.min(k) as f64 / k as f64).collect()),
        ])?;
        let queries = Table::from_columns(vec![
            columns::from_texts("condition", &paired.condition.iter().map(|&own| paired.conditions[own].as_str()).collect::<Vec<_>>()),
            columns::from_numbers("rank", ranks),
        ])?;
        Outputs::new().with("scores", Scores::new(vec![accuracy, within, rank]))?.with("table", table)?.with("queries", queries)
    }
}

/// How many other candidates match a query better than the right one, and how many as well.
struct Place {
    better: usize,
    tied: usize,
}

impl Place {
    fn of(compare: &Match, query: &[f64], candidates: &Matrix, own: usize) -> Result<Place, StageError> {
        let inner = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let matches = candidates
            .row_iter()
            .map(|candidate| {
                let value = match compare {
                    Match::Correlation {} => pearson(query, candidate).map_err(crate::failure::numerical)?,
                    Match::Cosine {} => inner(query, candidate) / (inner(query, query).sqrt() * inner(candidate, candidate).sqrt()),
                    Match::Dot {} => inner(query, candidate),
                };
                // What has no direction matches nothing better than anything else.
                Ok(if value.is_finite() { value } else { f64::NEG_INFINITY })
            })
            .collect::<Result<Vec<f64>, StageError>>()?;
        let right = matches[own];
        let others = || matches.iter().enumerate().filter(|(candidate, _)| *candidate != own).map(|(_, value)| *value);
        Ok(Place { better: others().filter(|value| *value > right).count(), tied: others().filter(|value| *value == right).count() })
    }

    /// The expected place, 1 for the first.
    fn rank(&self) -> f64 {
        1.0 + self.better as f64 + self.tied as f64 / 2.0
    }

    /// The probability that the right one is among the `top` best of `k` candidates: itself and `k − 1` others drawn at random of the `n − 1`.
    fn within(&self, n: usize, k: usize, top: usize) -> f64 {
        // Ties broken at random put it behind none, one, … or all of those that match as well.
        let of = |better: usize| {
            let worse = n - 1 - better;
            (0..top.min(k)).map(|ahead| hypergeometric(better, worse, k - 1, ahead)).sum::<f64>()
        };
        ((0..=self.tied).map(|behind| of(self.better + behind)).sum::<f64>() / (self.tied + 1) as f64).min(1.0)
    }
}

/// `C(marked, hits) C(others, drawn − hits) / C(marked + others, drawn)`.
fn hypergeometric(marked: usize, others: usize, drawn: usize, hits: usize) -> f64 {
    if hits > marked || hits > drawn || drawn - hits > others {
        return 0.0;
    }
    let choose = |n: usize, k: usize| log_binomial(n as u64, k as u64);
    (choose(marked, hits) + choose(others, drawn - hits) - choose(marked + others, drawn)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{features, features_of, run};
    use neuroflow_data::random::Stream;

    #[test]
    fn the_closed_form_is_the_mean_of_drawing_distractors() {
        let mut stream = Stream::new(1);
        let (n, k, top) = (12, 5, 2);
        for (better, tied) in [(0, 0), (3, 0), (6, 2), (11, 0), (0, 11)] {
            let place = Place { better, tied };
            let draws = 20_000;
            let mut hits = [0.0; 2];
            for _ in 0..draws {
                // Others: the first `better` beat the right one, the next `tied` do so half of the time each way.
                let order = stream.permutation(n - 1);
                let own = stream.uniform();
                let ahead =
                    order[..k - 1].iter().filter(|&&other| other < better || (other < better + tied && stream.uniform() < own)).count();
                hits[0] += f64::from(ahead == 0);
                hits[1] += f64::from(ahead < top);
            }
            assert!((place.within(n, k, 1) - hits[0] / f64::from(draws)).abs() < 0.015, "{better} {tied}");
            assert!((place.within(n, k, top) - hits[1] / f64::from(draws)).abs() < 0.015, "{better} {tied}");
        }
        assert!((Place { better: 3, tied: 0 }.within(10, 2, 1) - 6.0 / 9.0).abs() < 1e-12);
        assert!((Place { better: 3, tied: 0 }.within(10, 10, 4) - 1.0).abs() < 1e-12);
    }

    fn scores(
        queries: &neuroflow_data::Features,
        candidates: &neuroflow_data::Features,
        params: &[(&str, Value)],
    ) -> Result<(Scores, Table), StageError> {
        let outputs = run(&Retrieval, &[("queries", queries), ("candidates", candidates)], params)?;
        Ok((outputs.one("scores")?, outputs.one("table")?))
    }

    #[test]
    fn the_same_is_found_and_noise_is_found_by_chance() {
        let one = features(1, 30, 8, 0.0);
        let (found, table) = scores(&one, &features(1, 30, 8, 0.2), &[]).unwrap();
        assert_eq!((found.scores[0].value, found.scores[2].value), (1.0, 1.0));
        assert_eq!(table.integers("candidates").unwrap(), [2, 4, 10, 30]);
        let constant = features_of(30, vec![0.3; 240]);
        for compare in ["correlation", "cosine", "dot"] {
            let (found, table) = scores(&one, &constant, &[("compare", Value::word(compare))]).unwrap();
            let (found, expected) = (table.numbers("accuracy").unwrap(), (found.scores[0].value, 1.0 / 30.0));
            assert!((expected.0 - expected.1).abs() < 1e-12, "{compare}");
            assert!(found.iter().zip(table.numbers("chance").unwrap()).all(|(a, b)| (a - b).abs() < 1e-12), "{compare}");
        }
    }

    #[test]
    fn different_spaces_are_refused() {
        let said = scores(&features(1, 6, 3, 0.0), &features(1, 6, 4, 0.0), &[]).unwrap_err().to_string();
        assert!(said.contains("3 features"), "{said}");
    }
}
