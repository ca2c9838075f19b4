//! `dsl/specs/*.md`: what the language says to a pipeline, as pages to read. Each `nf` block is followed by a `told` block with every mistake as a person
//! sees it. A block that begins with ```` ```nf NAME ```` is a file that the later blocks of its page can use. `NEUROFLOW_BLESS=1` writes the `told` blocks anew; read the difference before you keep it.

use neuroflow_cli::stages::registry;
use neuroflow_dsl::{Catalogue, Files, check_with, diagnostics, glob};
use neuroflow_engine::readers;
use std::collections::BTreeMap;

/// The files of a page.
#[derive(Default)]
struct Page(BTreeMap<String, String>);

impl Files for Page {
    fn read(&self, path: &str) -> Result<String, String> {
        self.0.get(path).cloned().ok_or_else(|| format!("there is no file {path}"))
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        Ok(self.0.keys().filter(|path| glob::matches(pattern, path)).cloned().collect())
    }
}

fn told(text: &str, files: &Page) -> String {
    let stages = registry();
    let readers = readers::catalogue();
    let checked = check_with(text, &[], &Catalogue { stages: &stages, readers: &readers }, files);
    let rendered = diagnostics::render("p.nf", text, &checked.diagnostics, false);
    let lines: Vec<&str> = rendered.lines().map(str::trim_end).collect();
    let said = lines.join("\n").trim().to_owned();
    if said.is_empty() { "no mistake".into() } else { said }
}

/// The page with its `told` blocks as they are now, and how many there are.
fn retold(page: &str) -> (String, usize) {
    let (mut out, mut count, mut rest, mut files) = (String::new(), 0, page, Page::default());
    while let Some((before, after)) = rest.split_once("```nf") {
        let (name, after) = after.split_once('\n').unwrap_or_else(|| panic!("a block is not closed: {after}"));
        let (block, after) = after.split_once("```\n").unwrap_or_else(|| panic!("a block is not closed: {after}"));
        out.push_str(before);
        if !name.is_empty() {
            out.push_str(&format!("```nf{name}\n{block}```\n"));
            files.0.insert(name.trim().to_owned(), block.to_owned());
            rest = after;
            continue;
        }
        out.push_str(&format!("```nf\n{block}```\n\n```told\n{}\n```\n", told(block, &files)));
        count += 1;
        rest = after.trim_start_matches('\n');
        if let Some(old) = rest.strip_prefix("```told\n") {
            rest = old.split_once("```\n").map_or("", |(_, after)| after);
        } else {
            rest = after;
        }
    }
    out.push_str(rest);
    (out, count)
}

#[test]
fn the_language_says_what_its_specification_shows() {
    let bless = std::env::var_os("NEUROFLOW_BLESS").is_some();
    let mut count = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/dsl/specs")).unwrap() {
        let path = entry.unwrap().path();
        let page = std::fs::read_to_string(&path).unwrap();
        let (now, blocks) = retold(&page);
        count += blocks;
        if bless {
            std::fs::write(&path, now).unwrap();
        } else {
            let first = page.lines().zip(now.lines()).enumerate().find(|(_, (kept, now))| kept != now);
            let place = first.map(|(line, (kept, now))| format!("line {}: kept `{kept}`, now `{now}`", line + 1));
            assert!(page == now, "{}: {}", path.display(), place.unwrap_or_else(|| "another length".into()));
        }
    }
    assert!(count >= 30, "{count} blocks");
}
