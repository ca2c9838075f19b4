//! The binary as a person uses it. All end-to-end tests are one program, so that it is linked once; each file of `tests/` besides this one is a module or
//! a test of its own, and a test holds that none is forgotten.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

mod support;

mod bad_input;
mod browser;
mod cache_and_results;
mod conformance;
mod documentation;
mod downloads;
mod full_disk;
mod main_job;
mod programs;
mod robustness;
mod specs;

#[test]
fn no_test_file_is_forgotten() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let text = std::fs::read_to_string(format!("{here}/runner.rs")).unwrap();
    for entry in std::fs::read_dir(here).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name.strip_suffix(".rs") {
            assert!(["runner", "architecture"].contains(&module) || text.contains(&format!("mod {module};")), "tests/{name} is not run");
        }
    }
}
