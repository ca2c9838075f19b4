//! What the documentation shows is true: examples check, error pages show the error that they are about.

use crate::support::Place;

fn examples(text: &str) -> Vec<&str> {
    text.split("```nf\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn page(name: &str) -> String {
    std::fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_wrong_example_of_an_error_page_is_told_under_its_code_and_the_right_one_is_not() {
    let place = Place::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors");
    let mut pages = 0;
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
fn the_examples_of_the_language_page_have_no_mistake() {
    let place = Place::new();
    for example in examples(&page("docs/language.md")) {
        place.write("example.nf", example);
        place.run(&["check", "example.nf"]).exits(0).says("no mistake found");
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
