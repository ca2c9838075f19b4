//! Times `decode.eeg` on 288 trials × 22 channels × 1,000 samples of 4 classes, 5 folds, 2 threads.
//!
//! `cargo run --release -p neuroflow-decode --example bench_eeg [FOLDER]`. With a folder the data are read from `x.f64` (row-major trial × channel ×
//! sample, little-endian) and `y.f64` in it, and folds and predictions of each model are written there as text, so that other programs can be asked
//! the same. Without one the data are simulated.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Instant;

use neuroflow_compute::Matrix;
use neuroflow_compute::product::gemm;
use neuroflow_compute::threads::spent_ms;
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Responses, Scores, Table, Tensor, Typed, columns};
use neuroflow_decode::Eeg;
use neuroflow_stage::{AnyStage, Context, Inputs, Value};

const SHAPE: [usize; 3] = [288, 22, 1000];

fn simulated() -> (Vec<f64>, Vec<f64>) {
    let mut stream = Stream::new(1);
    let mixing = Matrix::from_fn(SHAPE[1], SHAPE[1], |_, _| stream.normal());
    let labels: Vec<f64> = (0..SHAPE[0]).map(|trial| (trial % 4) as f64).collect();
    let mut values = Vec::new();
    for label in &labels {
        let sources = Matrix::from_fn(SHAPE[1], SHAPE[2], |source, _| stream.normal() * if source as f64 == *label { 1.15 } else { 1.0 });
        values.extend(gemm(&mixing, &sources).unwrap().into_values());
    }
    (values, labels)
}

fn main() {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let read = |name: &str| -> Vec<f64> {
        let bytes = std::fs::read(folder.as_ref().unwrap().join(name)).unwrap();
        bytes.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    let (values, labels) = if folder.is_some() { (read("x.f64"), read("y.f64")) } else { simulated() };
    let times = (0..SHAPE[2]).map(|bin| bin as f64 / 250.0).collect();
    let axes = vec![Axis::count("trial", SHAPE[0]), Axis::count("unit", SHAPE[1]), Axis::numbers("bin", Some("s"), times)];
    let table = Table::from_columns(vec![columns::from_numbers("class", labels)]).unwrap();
    let responses = Responses::new("bench", Tensor::new(axes, None, values).unwrap(), table, None).unwrap();
    let mut inputs = Inputs::new();
    inputs.push("responses", "", responses.into_artifact().unwrap());
    println!("| model | covariance | ms | processor ms | accuracy |\n|---|---|---|---|---|");
    let csp = Value::call("csp", vec![("components", 10.into()), ("shrinkage", 0.0.into())]);
    for (model, covariance) in [
        (csp, "second_moment"),
        (Value::word("mdm"), "sample"),
        (Value::word("tangent_space"), "sample"),
        (Value::word("mdm"), "oas"),
        (Value::word("mdm"), "ledoit_wolf"),
    ] {
        let params = [
            ("target", "class".into()),
            ("window", Value::window(0.0, 4.0)),
            ("model", model.clone()),
            ("covariance", Value::word(covariance)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let context = Context { threads: 2, ..Context::quiet(1) };
        let run = || {
            let (start, spent) = (Instant::now(), spent_ms());
            let outputs = Eeg.run(&inputs, &params, &context).unwrap();
            (start.elapsed().as_secs_f64() * 1e3, spent_ms() - spent, outputs)
        };
        let (mut least, mut spent, outputs) = run();
        for _ in 0..4 {
            let (wall, processor, _) = run();
            (least, spent) = (least.min(wall), spent.min(processor));
        }
        let accuracy = outputs.one::<Scores>("scores").unwrap().get("accuracy").unwrap().value;
        println!("| {model} | {covariance} | {least:.1} | {spent:.1} | {accuracy:.3} |");
        if let Some(folder) = &folder {
            let predictions: Table = outputs.one("predictions").unwrap();
            let pairs = predictions.numbers("fold").unwrap().into_iter().zip(predictions.numbers("predicted").unwrap());
            let lines: String = pairs.map(|(fold, predicted)| format!("{fold} {predicted}\n")).collect();
            let name = model.to_string();
            std::fs::write(folder.join(format!("{}_{covariance}.txt", name.split('(').next().unwrap())), lines).unwrap();
        }
    }
}
