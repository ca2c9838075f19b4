//! How useful a language model is as a colleague: every task is asked in a project of its own, and the pipeline that comes out is checked.
//!
//! ```text
//! cargo run -p bench-agent -- --scripted                                   # the checks themselves: each can be passed and failed
//! cargo run -p bench-agent -- --endpoint http://127.0.0.1:8080/v1 --model NAME
//! ```

mod ask;
mod check;
mod task;

use clap::Parser;
use neuroflow_agent::model::{Endpoint, Model, OpenAi, Structured, probe};
use neuroflow_agent::secret::{KeySettings, KeySource, Scanner};
use std::process::ExitCode;
use std::sync::Arc;
use task::Task;

/// How useful a language model is as a colleague.
#[derive(Debug, Parser)]
struct Arguments {
    /// No model: each task's own script must pass, and its wrong answer must fail.
    #[arg(long)]
    scripted: bool,
    /// An OpenAI-compatible endpoint.
    #[arg(long, required_unless_present = "scripted")]
    endpoint: Option<String>,
    /// The model's name there.
    #[arg(long, default_value = "default")]
    model: String,
    /// The environment variable that holds the key.
    #[arg(long)]
    key_env: Option<String>,
    /// Only tasks whose name begins so.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match all(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn all(arguments: &Arguments) -> Result<bool, String> {
    let tasks: Vec<Task> = task::all()?.into_iter().filter(|task| task.id.starts_with(&arguments.only)).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async { if arguments.scripted { scripted(&tasks).await } else { asked(arguments, &tasks).await } })
}

/// Each task with its own script, and with its wrong answer.
async fn scripted(tasks: &[Task]) -> Result<bool, String> {
    let mut bad = 0;
    for task in tasks {
        let right = ask::scripted(task, &task.script).await?;
        if !right.is_empty() {
            bad += 1;
            println!("{}: the script does not pass: {}", task.id, right.join("; "));
        }
        if ask::scripted(task, &task.wrong).await?.is_empty() {
            bad += 1;
            println!("{}: the wrong answer passes", task.id);
        }
    }
    println!("{} tasks, each passed by its script and failed by its wrong answer: {}", tasks.len(), if bad == 0 { "yes" } else { "no" });
    Ok(bad == 0)
}

/// Each task by a model.
async fn asked(arguments: &Arguments, tasks: &[Task]) -> Result<bool, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let key =
        KeySource::from_settings("the command line", KeySettings { variable: arguments.key_env.as_deref(), ..KeySettings::default() })
            .map_err(|error| told(&error))?;
    let here = std::env::current_dir().map_err(|error| told(&error))?;
    let mut endpoint = Endpoint::new(arguments.endpoint.clone().unwrap_or_default(), arguments.model.clone());
    endpoint.key = key.read(|name| std::env::var(name).ok(), &here).map_err(|error| told(&error))?;
    let model = OpenAi::new(endpoint, Scanner::new()).map_err(|error| told(&error))?;
    let found = probe(&model).await.map_err(|error| told(&error))?;
    let way = found.way().ok_or("the model gives no call in any way that it can be asked")?;
    println!("{}, asked by {way}", model.name());
    let model = Arc::new(Structured::new(model, way));
    let mut passed = 0;
    for task in tasks {
        let began = std::time::Instant::now();
        let wrong = ask::with(task, Box::new(Arc::clone(&model))).await.unwrap_or_else(|error| vec![error]);
        passed += usize::from(wrong.is_empty());
        let word = if wrong.is_empty() { "passed" } else { "failed" };
        println!("{:<22} {word}  {:>6.1} s  {}", task.id, began.elapsed().as_secs_f64(), wrong.join("; "));
    }
    println!("{passed} of {} tasks passed", tasks.len());
    Ok(true)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn every_task_is_passed_by_its_script_and_failed_by_its_wrong_answer() {
        let tasks = super::task::all().unwrap_or_else(|error| panic!("{error}"));
        assert!(tasks.len() >= 40);
        assert_eq!(super::scripted(&tasks).await, Ok(true));
    }
}
