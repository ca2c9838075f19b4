//! The binary as a person uses it. All end-to-end tests are one program, so that it is linked once; each file of `tests/` besides this one is a module or
//! a test of its own, and a test holds that none is forgotten.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

mod support;

mod agent;
mod bad_input;
mod browser;
mod cache_and_results;
mod cache_commands;
mod cache_remote;
mod chat;
mod chromium;
mod conformance;
mod derivatives;
mod documentation;
mod downloads;
mod faults;
mod formats;
mod growing;
mod history;
mod inputs;
mod language;
mod main_job;
mod mcp;
mod programs;
mod programs_ends;
mod programs_sandbox;
mod queries;
mod records;
mod reports;
mod resources;
mod robustness;
mod serve;
mod slurm;
mod specs;

#[test]
fn no_test_file_is_forgotten() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    for (folder, root) in [
        (here.to_owned(), "runner.rs"),
        (format!("{here}/faults"), "mod.rs"),
        (format!("{here}/agent"), "mod.rs"),
        (format!("{here}/mcp"), "mod.rs"),
        (format!("{here}/history"), "mod.rs"),
    ] {
        let text = std::fs::read_to_string(format!("{folder}/{root}")).unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some(module) = name.strip_suffix(".rs") {
                let is_root = ["runner", "architecture", "mod"].contains(&module);
                assert!(is_root || text.contains(&format!("mod {module};")), "{folder}/{name} is not run");
            }
        }
    }
}
