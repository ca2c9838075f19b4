//! What the documentation shows is true: examples check, settings are read, links lead somewhere, error pages show the error that they are about.

use crate::support::Place;
use neuroflow_cache::RemoteConfig;
use neuroflow_cli::project::{FILE, Profile, Project};
use std::path::Path;

/// The blocks of a language on a page.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let begin = format!("```{language}\n");
    text.split(begin.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn examples(text: &str) -> Vec<&str> {
    blocks(text, "nf")
}

/// The pages in a folder, sorted.
fn pages(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(|name| name.ends_with(".md"));
    let mut pages: Vec<String> = names.map(|name| format!("{folder}/{name}")).collect();
    pages.sort();
    pages
}

/// A file that examples use: an example of the language page whose first line is its name.
fn write_used(place: &Place, example: &str) -> bool {
    let name = example.lines().next().and_then(|line| line.strip_prefix("# ")).filter(|name| name.ends_with(".nf"));
    name.map(|name| place.write(name, example)).is_some()
}

fn page(name: &str) -> String {
    std::fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_wrong_example_of_an_error_page_is_told_under_its_code_and_the_right_one_is_not() {
    let place = Place::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors");
    let mut pages = 0;
    for example in examples(&page("docs/language.md")) {
        write_used(&place, example);
    }
    place.write("page.html", "{{ title }}");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let code = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let found = examples(&text);
        place.run(&["explain", &code]).exits(0).says(&format!("# {code}: "));
        if let [wrong, right] = found.as_slice() {
            place.write("wrong.nf", wrong);
            place.write("right.nf", right);
            let said = place.run(&["check", "wrong.nf"]);
            assert!(said.err.contains(&format!("[{code}]")), "{code}: {}", said.err);
            let said = place.run(&["check", "right.nf"]).exits(0);
            assert!(!said.err.contains(&format!("[{code}]")), "{code}: {}", said.err);
            pages += 1;
        }
    }
    assert!(pages >= 20, "{pages} pages with examples");
}

#[test]
fn the_examples_of_the_pages_have_no_mistake() {
    let mut checked = 0;
    for name in pages("docs") {
        let place = Place::new();
        for example in examples(&page(&name)) {
            if write_used(&place, example) {
                continue;
            }
            place.write("example.nf", example);
            place.run(&["check", "example.nf"]).exits(0).says("no mistake found");
            checked += 1;
        }
    }
    assert!(checked >= 7, "{checked} examples");
}

#[test]
fn the_settings_that_pages_show_are_read() {
    let mut read = 0;
    for name in pages("docs") {
        for settings in blocks(&page(&name), "toml") {
            let place = Place::new();
            place.write(FILE, settings);
            let project = Project::read(place.path()).unwrap();
            for profile in project.profiles.values() {
                if let Profile::Local(local) = &profile.profile {
                    project.machine(Some(local), None).unwrap();
                }
            }
            if let (Some(remote), Some(mode)) = (&project.cache.remote, &project.cache.remote_mode) {
                RemoteConfig::mode(remote, mode).unwrap();
            }
            read += 1;
        }
    }
    assert!(read >= 2, "{read} blocks of settings");
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let first = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(str::to_owned).to_vec();
    for name in [first, pages("docs"), pages("docs/adr"), pages("docs/errors")].concat() {
        let folder = root.join(&name).parent().unwrap().to_owned();
        for target in page(&name).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            assert!(target.contains("://") || folder.join(path).exists(), "{name}: {target}");
        }
    }
}

#[test]
fn the_example_of_the_readme_runs() {
    let place = Place::new();
    let readme = page("README.md");
    let example = readme.split("```\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(example.starts_with("pipeline first"), "{example}");
    place.write("first.nf", example);
    place.run(&["run", "first.nf", "--quiet"]).exits(0).says(": holds");
}
