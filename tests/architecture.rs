//! Holds the drawing of ARCHITECTURE.md: which crate may depend on which, and under which licences dependencies come.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

fn metadata(arguments: &[&str]) -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Crate, and what it may depend on. The root package may depend on all.
const ALLOWED: &[(&str, &[&str])] = &[
    ("data", &[]),
    ("compute", &["data"]),
    ("formats", &["data"]),
    ("remote", &["formats", "data"]),
    ("stage", &["data"]),
    ("ingest", &["stage", "compute", "formats", "data"]),
    ("decode", &["stage", "compute", "data"]),
    ("connectome", &["stage", "compute", "data"]),
    ("query", &["stage", "formats", "data"]),
    ("similarity", &["stage", "compute", "data"]),
    ("train", &["stage", "compute", "data"]),
    ("dsl", &["stage", "data"]),
    ("cache", &["data"]),
    ("engine", &["dsl", "cache", "stage", "formats", "remote", "data"]),
    ("report", &["stage", "data"]),
    ("agent", &["engine", "dsl", "stage", "formats", "data"]),
    ("loopback", &[]),
    ("mcp", &["agent", "engine", "dsl", "loopback"]),
    ("serve", &["agent", "engine", "cache", "report", "data", "loopback"]),
    // A server for tests; only they depend on it.
    ("model-server", &[]),
];

#[test]
fn arrows_between_crates_point_down() {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().expect("packages");
    let short = |name: &str| name.strip_prefix("neuroflow-").map(str::to_owned);
    let mut seen = BTreeSet::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        // A program that measures; nothing depends on it.
        if name.starts_with("bench-") {
            continue;
        }
        let Some(room) = short(name) else {
            assert_eq!(name, "neuroflow", "every crate is named neuroflow-…");
            continue;
        };
        let (_, allowed) = ALLOWED.iter().find(|(known, _)| *known == room).unwrap_or_else(|| panic!("{room} is not in ARCHITECTURE.md"));
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            // What only tests need may point anywhere that builds.
            if dependency["kind"].as_str() == Some("dev") {
                continue;
            }
            if let Some(target) = short(dependency["name"].as_str().unwrap_or_default()) {
                assert!(allowed.contains(&target.as_str()), "{room} must not depend on {target}");
            }
        }
        seen.insert(room);
    }
    assert_eq!(seen.len(), ALLOWED.len(), "a crate of the table is missing: {seen:?}");
}

#[test]
fn every_dependency_has_a_licence_that_the_project_accepts() {
    let metadata = metadata(&[]);
    let accepted = [
        "MIT",
        "MIT-0",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Zlib",
        "0BSD",
        "CC0-1.0",
        "Unicode-3.0",
        "BSL-1.0",
        "Unlicense",
        "CDLA-Permissive-2.0",
        "bzip2-1.0.6",
    ];
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        // An expression is accepted when one of its alternatives consists of accepted licences only.
        let fits = licence.replace('/', " OR ").split(" OR ").any(|alternative| {
            let plain = alternative.replace(['(', ')'], "").replace(" WITH LLVM-exception", "");
            !plain.trim().is_empty() && plain.split(" AND ").all(|part| accepted.contains(&part.trim()))
        });
        assert!(fits, "{name} has the licence `{licence}`");
    }
}

#[test]
fn unsafe_code_stands_in_compute_alone() {
    for (room, _) in ALLOWED.iter().filter(|(room, _)| *room != "compute") {
        let folder = ["", "stages/"].map(|prefix| format!("{}/{prefix}{room}/src", env!("CARGO_MANIFEST_DIR")));
        for folder in folder.iter().filter(|folder| std::path::Path::new(folder).is_dir()) {
            for file in rust_files(folder.as_ref()) {
                let text = std::fs::read_to_string(&file).expect("a source file reads");
                assert!(!text.contains("unsafe {") && !text.contains("allow(unsafe"), "{}", file.display());
            }
        }
    }
}

#[test]
fn the_client_of_models_is_known_to_one_file() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["agent/src", "cli/src", "engine/src", "tests/model-server/src"];
    let files = folders.iter().flat_map(|folder| rust_files(&root.join(folder)));
    let knowing: Vec<_> =
        files.filter(|file| std::fs::read_to_string(file).expect("a source file reads").contains("async_openai")).collect();
    assert_eq!(knowing, [root.join("agent/src/model/openai.rs")]);
}

#[test]
fn the_protocol_of_clients_is_known_to_one_crate() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["agent/src", "cli/src", "engine/src", "dsl/src", "cache/src", "report/src"] {
        for file in rust_files(&root.join(folder)) {
            assert!(!std::fs::read_to_string(&file).expect("a source file reads").contains("rmcp"), "{}", file.display());
        }
    }
}

fn rust_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder lists").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}
