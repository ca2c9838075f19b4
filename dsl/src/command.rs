//! Templates of `exec` steps: a command with `{{ name }}` where paths and values go.
//!
//! Tera's language, with one difference: whatever is filled in is quoted for the shell, so that a path with spaces, or a text with `;`, stays one word.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tera::{Context, Kwargs, State, Tera};

/// The name under which a template finds the path of its output.
pub const OUT: &str = "out";
/// The name under which it finds its seed.
pub const SEED: &str = "seed";
/// Formats that an input's path can be asked in: `{{ tuning | csv }}`.
pub const FORMATS: [&str; 5] = ["arrow", "csv", "json", "npy", "parquet"];

const TEMPLATE: &str = "command.sh";

/// A command with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The command, for a shell.
    pub command: String,
    /// Inputs asked in a format: path as it was given, format, path that the command was given.
    pub asked: Vec<(String, &'static str, String)>,
}

/// The names that a template uses, sorted.
///
/// # Errors
/// What is wrong with the template, in one line.
pub fn names(template: &str) -> Result<Vec<String>, String> {
    let mut tera = prepared(&Arc::default());
    tera.add_raw_template(TEMPLATE, template).map_err(|error| one_line(&error))?;
    let mut names: Vec<String> =
        tera.get_template_variables(TEMPLATE).map_err(|error| one_line(&error))?.into_iter().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// The command of a template and values.
///
/// # Errors
/// What is wrong, in one line: a name without a value, a filter that does not fit.
pub fn render(template: &str, values: &BTreeMap<String, serde_json::Value>) -> Result<Rendered, String> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut tera = prepared(&asked);
    tera.add_raw_template(TEMPLATE, template).map_err(|error| one_line(&error))?;
    let mut context = Context::new();
    for (name, value) in values {
        context.insert(name.clone(), value);
    }
    let command = tera.render(TEMPLATE, &context).map_err(|error| one_line(&error))?;
    let mut asked = asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    asked.sort();
    asked.dedup();
    Ok(Rendered { command, asked })
}

type Asked = Arc<Mutex<Vec<(String, &'static str, String)>>>;

fn prepared(asked: &Asked) -> Tera {
    let mut tera = Tera::new();
    tera.autoescape_on([".sh"]);
    tera.set_escape_fn(quote);
    for format in FORMATS {
        let asked = Arc::clone(asked);
        tera.register_filter(format, move |path: String, _: Kwargs, _: &State| {
            let stem = path.strip_suffix(".arrow").unwrap_or(&path);
            let wanted = format!("{stem}.{format}");
            asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((path.clone(), format, wanted.clone()));
            wanted
        });
    }
    tera
}

/// One word of a POSIX shell.
fn quote(text: &str, out: &mut dyn Write) -> std::io::Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return out.write_all(text.as_bytes());
    }
    write!(out, "'{}'", text.replace('\'', "'\\''"))
}

fn one_line(error: &dyn std::error::Error) -> String {
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        lines.push(cause.to_string());
        source = cause.source();
    }
    let text = lines.join(": ");
    // Tera draws the place below its message; the place in a pipeline is drawn by ours.
    let text = text.split(" --> ").next().unwrap_or_default().trim().trim_start_matches("error: ");
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_words_of_the_shell() {
        let values = BTreeMap::from([
            ("name".to_owned(), serde_json::json!("it's; rm -rf /")),
            ("n".to_owned(), serde_json::json!(3)),
            ("x".to_owned(), serde_json::json!("in/x.arrow")),
        ]);
        let rendered = render("echo {{ name }} {{ n }} {{ x }} {{ x | csv }}", &values).unwrap();
        assert_eq!(rendered.command, "echo 'it'\\''s; rm -rf /' 3 in/x.arrow in/x.csv");
        assert_eq!(rendered.asked, [("in/x.arrow".to_owned(), "csv", "in/x.csv".to_owned())]);
        assert!(render("echo {{ nothing }}", &values).is_err());
    }

    #[test]
    fn names_are_found_and_broken_templates_are_told() {
        assert_eq!(names("{{ b }} {{ a | csv }} {% for c in list %}{{ c }}{% endfor %}").unwrap(), ["a", "b", "list"]);
        assert!(names("{{ a").is_err());
        assert!(names("{{ a | nosuch }}").is_err());
    }
}
