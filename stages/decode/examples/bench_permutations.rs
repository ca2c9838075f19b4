//! Times cross-validated classifiers and their permutation tests, and prints what they take on 1 and on 2 threads.
//!
//! `cargo run --release -p neuroflow-decode --example bench_permutations [trials units classes draws]`

#![allow(clippy::unwrap_used)]

use neuroflow_compute::threads::spent_ms;
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Responses, Table, Tensor, Typed, columns};
use neuroflow_decode::{Classify, SplitTrials};
use neuroflow_stage::{AnyStage, Context, Control, Draws, Inputs, Value};
use std::collections::BTreeMap;
use std::time::Instant;

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).map(|size| size.parse().unwrap()).collect();
    let [trials, units, classes, draws] = sizes.try_into().unwrap_or([5000, 500, 118, 20]);
    let mut stream = Stream::new(1);
    let tuning: Vec<f64> = (0..classes * units).map(|_| 0.5 * stream.normal()).collect();
    let labels: Vec<usize> = (0..trials).map(|trial| trial % classes).collect();
    let values: Vec<f64> =
        (0..trials * units).map(|place| tuning[labels[place / units] * units + place % units] + stream.normal()).collect();
    let axes = vec![Axis::count("trial", trials), Axis::count("unit", units), Axis::numbers("bin", Some("s"), vec![0.0])];
    let table = Table::from_columns(vec![columns::from_numbers("image", labels.iter().map(|&label| label as f64).collect())]).unwrap();
    let responses = Responses::new("bench", Tensor::new(axes, None, values).unwrap(), table, None).unwrap().into_artifact().unwrap();

    println!("{trials} trials × {units} units × {classes} classes, 5 folds, {draws} permutations\n");
    println!("| model | split | threads | one run, ms | processor | a permutation, ms | processor |\n|---|---|---|---|---|---|---|");
    let shrinkage = |word: Value| Value::call("lda", vec![("shrinkage", word)]);
    let logistic = Value::call("logistic", vec![("strength", 1.0.into()), ("tolerance", 1e-4.into())]);
    let models = [
        ("lda(auto)", Value::word("lda"), draws),
        ("lda(pooled)", shrinkage(Value::word("pooled")), draws),
        ("lda(0.2)", shrinkage(0.2.into()), draws),
        ("ridge(1)", Value::call("ridge", vec![("penalty", 1.0.into())]), draws),
        ("logistic(1), tolerance 1e-4", logistic, 0),
    ];
    let control = Control::parse(&Value::call("shuffle", vec![("column", "image".into())])).unwrap();
    for (name, model, draws) in models {
        for given in [false, true] {
            for threads in [1, 2] {
                let context = Context { threads, ..Context::quiet(7) };
                let mut inputs = Inputs::new();
                inputs.push("responses", "", responses.clone());
                if given {
                    let by = Value::call("kfold", vec![("folds", 5.into())]);
                    let split = SplitTrials.run(&inputs, &BTreeMap::from([("by".to_owned(), by)]), &context).unwrap();
                    inputs.push("split", "", split.get("split").unwrap().clone());
                }
                let params: BTreeMap<String, Value> =
                    [("target", "image".into()), ("folds", 5.into()), ("window", Value::window(0.0, 1.0)), ("model", model.clone())]
                        .into_iter()
                        .map(|(name, value): (&str, Value)| (name.to_owned(), value))
                        .collect();
                let (start, spent) = (Instant::now(), spent_ms());
                let scores: neuroflow_data::Scores = AnyStage::run(&Classify, &inputs, &params, &context).unwrap().one("scores").unwrap();
                let (one, one_processor) = (start.elapsed().as_secs_f64() * 1e3, spent_ms() - spent);
                let seeds: Vec<u64> = (0..draws as u64).collect();
                let (start, spent) = (Instant::now(), spent_ms());
                let null = AnyStage::run_draws(
                    &Classify,
                    &inputs,
                    &params,
                    &Draws { control: &control, slot: "responses", seeds: &seeds },
                    &context,
                );
                let null = null.unwrap().unwrap();
                let each = start.elapsed().as_secs_f64() * 1e3 / draws as f64;
                let processor = (spent_ms() - spent) / draws as f64;
                let mean = null.iter().map(|scores| scores.scores[0].value).sum::<f64>() / draws as f64;
                let split = if given { "given" } else { "own" };
                println!(
                    "| {name} | {split} | {threads} | {one:.0} | {one_processor:.0} | {each:.1} | {processor:.1} | accuracy {:.3}, null {mean:.4}",
                    scores.scores[0].value
                );
            }
        }
    }
}
