//! Templates: the one that comes with the program, and those of a project.
//!
//! A template of a project is a text that somebody wrote. It is given the contents of the page and nothing else: no file, no variable of the environment, no
//! clock. What it makes is bounded here; how long it may take, and how much memory, is for the process that renders it.

use crate::error::ReportError;
use base64::Engine as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};
use tera::{ErrorKind, Tera};

/// The name under which a template of a project extends the page that comes with the program.
pub const BUILT_IN: &str = "report.html";

/// The longest template, in bytes.
pub const LONGEST_TEMPLATE: usize = 1 << 20;

const PAGE: &str = include_str!("../templates/report.html");
const STYLE: &str = include_str!("../templates/report.css");
const SCRIPT: &str = include_str!("../templates/report.js");

/// What is wrong with a template of a project.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[error("{}{message}", .place.map_or_else(String::new, |(line, column)| format!("line {line}, column {column}: ")))]
pub struct TemplateError {
    /// Line and column, both from 1, where they are known.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What helps.
    pub help: String,
}

/// What browsers hold a page to, as a Content Security Policy: its own style and script, pictures that are in it, and nothing from elsewhere. A page of another
/// version has another script, which then does not run; everything is on the page without it.
pub fn policy() -> String {
    let script = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'"
    )
}

fn engine(name: &str, text: &str) -> Result<Tera, tera::Error> {
    let mut tera = Tera::new();
    // Whatever a template is called, what it is given is text and not markup.
    tera.autoescape_on([""]);
    tera.add_raw_templates([(BUILT_IN, PAGE), (name, text)])?;
    Ok(tera)
}

fn context(contents: &Value) -> Result<tera::Context, tera::Error> {
    let mut context = tera::Context::from_serialize(contents)?;
    context.insert("style", STYLE);
    context.insert("script", SCRIPT);
    context.insert("policy", &policy());
    Ok(context)
}

/// The page that comes with the program.
pub(crate) fn built_in(contents: &Value) -> Result<String, ReportError> {
    let rendered = || {
        let mut tera = Tera::new();
        tera.add_raw_template(BUILT_IN, PAGE)?;
        tera.render(BUILT_IN, &context(contents)?)
    };
    rendered().map_err(|error: tera::Error| ReportError::Template(error.to_string()))
}

/// Whether a template of a project can be read.
///
/// # Errors
/// Where and why it can't.
pub fn check_template(text: &str) -> Result<(), TemplateError> {
    if text.len() > LONGEST_TEMPLATE {
        let message = format!("the template has {} bytes, and {LONGEST_TEMPLATE} are the most", text.len());
        return Err(TemplateError { place: None, message, help: "figures and tables come from the results, not from the template".into() });
    }
    engine("own.html", text).map(|_| ()).map_err(|error| told(&error))
}

/// The contents of a page as a template of a project lays them out, at most `most` bytes; browsers are held to what they are held to on the page that comes
/// with the program.
///
/// # Errors
/// Where and why it can't be rendered.
pub fn render_with(text: &str, contents: &Value, most: usize) -> Result<String, TemplateError> {
    check_template(text)?;
    let mut page = Bounded { bytes: Vec::new(), left: most };
    let rendered = (|| engine("own.html", text)?.render_to("own.html", &context(contents)?, &mut page))();
    if page.left == 0 {
        let message = format!("the page would have more than {most} bytes");
        return Err(TemplateError { place: None, message, help: "look for a loop in a loop".into() });
    }
    rendered.map_err(|error| told(&error))?;
    let text = String::from_utf8(page.bytes).map_err(|_| told(&tera::Error::new(ErrorKind::Utf8Conversion)))?;
    Ok(held(&text))
}

/// A page with what browsers hold it to, before anything else that it says.
fn held(page: &str) -> String {
    let policy = format!("<meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"{}\">", policy());
    let page = page.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let begins = page.get(..9).is_some_and(|begin| begin.eq_ignore_ascii_case("<!doctype"));
    match page.find('>').filter(|_| begins) {
        Some(end) => format!("{}\n{policy}{}", &page[..=end], &page[end + 1..]),
        None => format!("<!doctype html>\n{policy}{page}"),
    }
}

fn told(error: &tera::Error) -> TemplateError {
    let help = "`neuroflow doc report` lists what a template is given".to_owned();
    match error.kind() {
        ErrorKind::SyntaxError(found) | ErrorKind::RenderingError(found) => {
            let place = Some((found.span().start_line, found.span().start_col + 1));
            TemplateError { place, message: lower(found.message()), help }
        }
        ErrorKind::MissingParent { parent, .. } => TemplateError {
            place: None,
            message: format!("it extends `{parent}`, which is not there"),
            help: format!("`{BUILT_IN}` is the only other template"),
        },
        ErrorKind::TemplateNotFound(name) => TemplateError {
            place: None,
            message: format!("it includes `{name}`, which is not there"),
            help: format!("a template reads no files; `{BUILT_IN}` is the only other one"),
        },
        other => of_report(&other.to_string()),
    }
}

/// What Tera found in a text as a whole: it comes written out, with the place in it.
fn of_report(report: &str) -> TemplateError {
    let first = report.lines().next().unwrap_or_default();
    let message = lower(first.strip_prefix("error: ").unwrap_or(first));
    let place = report.lines().find_map(|line| {
        let (line, column) = line.trim().strip_prefix("--> own.html:")?.split_once(':')?;
        Some((line.parse().ok()?, column.parse().ok()?))
    });
    let help = match message.starts_with("unknown template") {
        true => format!("a template reads no files; `{BUILT_IN}` is the only other one"),
        false => "`neuroflow doc report` lists what a template is given".to_owned(),
    };
    TemplateError { place, message, help }
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Takes so many bytes, and then no more.
struct Bounded {
    bytes: Vec<u8>,
    left: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.left {
            self.left = 0;
            return Err(io::Error::other("the page is too long"));
        }
        self.left -= bytes.len();
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(text: &str) -> Result<String, TemplateError> {
        render_with(text, &json!({ "title": "<b>", "many": (0..1000).collect::<Vec<i32>>() }), 100_000)
    }

    #[test]
    fn what_it_is_given_is_text_and_not_markup() {
        let made = page("<!DOCTYPE html><title>{{ title }}</title>").unwrap();
        assert!(made.starts_with("<!DOCTYPE html>\n<meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\""), "{made}");
        assert!(made.ends_with("<title>&lt;b&gt;</title>"), "{made}");
    }

    #[test]
    fn what_browsers_are_held_to_comes_before_everything() {
        for text in ["<html><head>", " \n<!doctype html>", "<!-- a --><!doctype html>", "<script src=\"http://a\">", "", "<!doctype", "ä"]
        {
            let made = page(text).unwrap();
            let policy = made.find("<meta http-equiv=\"Content-Security-Policy\"").unwrap();
            assert!(made[..policy].eq_ignore_ascii_case("<!doctype html>\n<meta charset=\"utf-8\">"), "{made}");
        }
    }

    #[test]
    fn a_template_reads_no_files_and_no_environment() {
        for text in [
            "{% include \"/etc/passwd\" %}",
            "{% include \"../../secret.html\" %}",
            "{% extends \"/etc/passwd\" %}",
            "{{ get_env(name=\"HOME\") }}",
            "{{ load(path=\"/etc/passwd\") }}",
            "{{ now() }}",
        ] {
            assert!(page(text).is_err(), "{text}");
        }
        assert!(page("{% include \"/etc/passwd\" %}").unwrap_err().help.contains("reads no files"));
    }

    #[test]
    fn mistakes_have_a_place_and_what_helps() {
        let told = page("line one\n  {{ nothing.here }}").unwrap_err();
        assert_eq!(told.place, Some((2, 6)), "{told:?}");
        let told = check_template("{% for x in %}").unwrap_err();
        assert!(told.place.is_some() && !told.message.is_empty() && !told.help.is_empty(), "{told:?}");
        let told = check_template("\n {{ 1 | nothing }}").unwrap_err();
        assert_eq!((told.place, told.message.as_str()), (Some((2, 9)), "unknown filter `nothing`"));
        assert!(check_template(&"x".repeat(LONGEST_TEMPLATE + 1)).unwrap_err().message.contains("are the most"));
    }

    #[test]
    fn a_page_is_never_longer_than_it_may_be() {
        let told = page("{% for a in many %}{% for b in many %}{{ b }}{% endfor %}{% endfor %}").unwrap_err();
        assert!(told.message.contains("more than 100000 bytes"), "{told}");
        assert!(page("{% for a in range(end=100000000000) %}x{% endfor %}").is_err());
    }

    #[test]
    fn a_template_that_includes_itself_is_refused() {
        assert!(page("{% include \"own.html\" %}").is_err() && page("{% extends \"own.html\" %}").is_err());
    }
}
