//! How long a pipeline of many chains takes to check and to unroll: `cargo run --release --example unroll -- 1000000`.
//!
//! With a second argument the chains are written one by one, as many steps of a file, and not as a loop.

use neuroflow_data::{Kind, Score};
use neuroflow_dsl::{Catalogue, Expansion, Known, check};
use neuroflow_stage::{Registry, Value};
use std::time::Instant;

struct Nothing;

impl Known for Nothing {
    fn members(&self, _input: usize) -> Vec<String> {
        Vec::new()
    }

    fn column(&self, _instance: usize, _output: &str, _column: &str) -> Option<Result<Vec<Value>, String>> {
        None
    }

    fn scores(&self, _instance: usize) -> Option<Vec<Score>> {
        None
    }
}

fn main() {
    let chains: usize = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let written = std::env::args().nth(2).is_some();
    let chain = |name: &str, number: &str| {
        format!(
            "x{name} = exec(\"seq {{{{ n }}}} > {{{{ out }}}}\", n = {number}) -> csv(\"a.csv\")\ny{name} = exec(\"wc -l < {{{{ x }}}} > {{{{ out }}}}\", x = x{name}) -> csv(\"b.csv\")\n"
        )
    };
    let text = if written {
        let all: String = (0..chains).map(|number| chain(&number.to_string(), &number.to_string())).collect();
        let shown: Vec<String> = (0..chains).map(|number| format!("y{number}")).collect();
        format!("pipeline p\n{all}report r {{ {} }}\n", shown.join(", "))
    } else {
        format!("pipeline p\nfor i in 0 .. {chains} {{\n{}}}\nreport r {{ y }}\n", chain("", "i"))
    };
    let stages = Registry::default();
    let begin = Instant::now();
    let checked = check(&text, &[], &Catalogue { stages: &stages, readers: &[("csv", Kind::Table)] });
    let checking = begin.elapsed();
    if let Some(told) = checked.diagnostics.first() {
        eprintln!("{}", told.message);
        return;
    }
    let begin = Instant::now();
    let mut expansion = Expansion::new(&checked.pipeline);
    let grown = expansion.grow(&checked.pipeline, &stages, &Nothing);
    let unrolling = begin.elapsed();
    let memory = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = memory.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("{} steps: checked in {checking:?}, unrolled in {unrolling:?}, {peak}", grown.map_or(0, |range| range.len()));
}
