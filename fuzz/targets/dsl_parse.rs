#![no_main]

//! Any text has a tree that prints it back, and formatting it twice is formatting it once.

use libfuzzer_sys::fuzz_target;

const SEED: &str = include_str!("../../pipelines/mouse_v1.nf");

fn prepare() {
    if let Some(folder) = std::env::var_os("NEUROFLOW_SEEDS").map(std::path::PathBuf::from) {
        for (number, part) in SEED.split("\n\n").chain([SEED]).enumerate() {
            std::fs::write(folder.join(format!("seed{number}")), part).expect("the folder for seeds can be written");
        }
        std::process::exit(0);
    }
}

fuzz_target!(init: prepare(), |text: &str| {
    let parsed = neuroflow_dsl::parse(text);
    assert_eq!(parsed.print(), text);
    let once = neuroflow_dsl::format::format(text);
    assert_eq!(neuroflow_dsl::format::format(&once), once);
});
