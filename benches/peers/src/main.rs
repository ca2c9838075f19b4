//! neuroflow's side of one case: `bench-peers CASE FOLDER REPEATS ANSWER THREADS`.
//!
//! Reads the arrays and settings that the peer reads, does the work `REPEATS` times, puts the answer into the file `ANSWER` as `.npy`, and prints the seconds as a JSON list. `benches/peers/run` calls it.

mod blocks;
mod decoding;
mod factors;
mod inputs;
mod products;
mod similar;

use inputs::{Inputs, Problem};
use std::process::ExitCode;
use std::time::Instant;

/// The work of a case, ready to be timed.
pub type Work<'a> = Box<dyn Fn() -> Result<Vec<f64>, Problem> + Sync + 'a>;

fn work<'a>(case: &str, inputs: &'a Inputs, threads: usize) -> Result<Work<'a>, Problem> {
    match case {
        "matmul-1024" | "matmul-4096" => products::matmul(inputs),
        "affinity" => products::affinity(inputs),
        name if name.starts_with("ntf-") => factors::hals(inputs),
        name if name.starts_with("blocks-") => blocks::communities(inputs, threads),
        "rdm" | "rdm-corrcoef" => similar::rdm(inputs),
        "bootstrap-spearman" | "bootstrap-tau-a" => similar::bootstrap(inputs, case.ends_with("tau-a")),
        "cka" => similar::cka(inputs),
        "cca" => similar::cca(inputs),
        "svcca" => similar::svcca(inputs),
        "ridge" => similar::ridge(inputs),
        "lda" | "logistic" => decoding::classify(inputs, case, threads),
        "lda-permutations" | "lda-permutations-pooled" => decoding::permutations(inputs, case.ends_with("pooled"), threads),
        "csp-lda" | "riemann-mdm" | "tangent-logistic" => decoding::eeg(inputs, case, threads),
        _ => Err(format!("there is no case `{case}`").into()),
    }
}

fn run() -> Result<(), Problem> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [case, folder, repeats, answer, threads] = words.as_slice() else {
        return Err("CASE FOLDER REPEATS ANSWER THREADS".into());
    };
    let (repeats, threads): (usize, usize) = (repeats.parse()?, threads.parse()?);
    let inputs = Inputs::read(folder.as_ref())?;
    let work = work(case, &inputs, threads)?;
    let mut seconds = Vec::new();
    let mut found = Vec::new();
    neuroflow_compute::with_threads(threads, || -> Result<(), Problem> {
        for _ in 0..repeats {
            let begin = Instant::now();
            found = work()?;
            seconds.push(begin.elapsed().as_secs_f64());
        }
        Ok(())
    })??;
    std::fs::write(answer, neuroflow_data::formats::npy::write_npy_f64(&[found.len()], &found)?)?;
    println!("{}", serde_json::to_string(&seconds)?);
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
