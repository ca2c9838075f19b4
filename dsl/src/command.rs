//! Templates of `exec` steps: a command with `{{ name }}` where paths and values go.
//!
//! Tera's language, with one difference: a text that is no plain word (a path with spaces, a label with `;` or `$(…)`) is not written into the command.
//! It travels in a variable of the environment, and the command holds `"${NEUROFLOW_VALUE_0}"`. A shell never reads the value of a variable as code, in
//! whatever quotes the template's author wrote around the place; quoting would hold only outside of quotes.

use std::cell::RefCell;
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
    /// Variables of the environment that the command needs: name and value.
    pub variables: Vec<(String, String)>,
    /// Inputs asked in a format: path as it was given, format, path that the command was given.
    pub asked: Vec<(String, &'static str, String)>,
}

/// Reads templates for the names in them. One reader for many templates: to make it takes longer than to read one.
pub struct Reader {
    tera: Tera,
}

impl Default for Reader {
    fn default() -> Reader {
        Reader { tera: prepared(&Arc::default()) }
    }
}

impl Reader {
    /// The names that a template uses, sorted.
    ///
    /// # Errors
    /// What is wrong with the template, in one line.
    pub fn names(&mut self, template: &str) -> Result<Vec<String>, String> {
        self.tera.add_raw_template(TEMPLATE, template).map_err(|error| one_line(&error))?;
        let names = self.tera.get_template_variables(TEMPLATE).map_err(|error| one_line(&error))?;
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }
}

/// The command of a template and values.
///
/// # Errors
/// What is wrong, in one line: a name without a value, a filter that does not fit, a text that no variable can hold.
pub fn render(template: &str, values: &BTreeMap<String, serde_json::Value>) -> Result<Rendered, String> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut tera = prepared(&asked);
    tera.add_raw_template(TEMPLATE, template).map_err(|error| one_line(&error))?;
    let mut context = Context::new();
    for (name, value) in values {
        context.insert(name.clone(), value);
    }
    VALUES.take();
    let rendered = tera.render(TEMPLATE, &context).map_err(|error| one_line(&error));
    let texts = VALUES.take();
    let command = rendered?;
    if texts.iter().any(|text| text.contains('\0')) {
        return Err("a text with a zero byte can't be given to a program".into());
    }
    let variables = texts.into_iter().enumerate().map(|(number, text)| (variable(number), text)).collect();
    let mut asked = asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    asked.sort();
    asked.dedup();
    Ok(Rendered { command, variables, asked })
}

type Asked = Arc<Mutex<Vec<(String, &'static str, String)>>>;

fn prepared(asked: &Asked) -> Tera {
    let mut tera = Tera::new();
    tera.autoescape_on([".sh"]);
    tera.set_escape_fn(escape);
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

thread_local! {
    /// The texts of the rendering under way: Tera's escape function is a plain function, so they have no other way out. Rendering stays on one thread.
    static VALUES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn variable(number: usize) -> String {
    format!("NEUROFLOW_VALUE_{number}")
}

/// A plain word as it is, anything else as a variable.
fn escape(text: &str, out: &mut dyn Write) -> std::io::Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return out.write_all(text.as_bytes());
    }
    let number = VALUES.with_borrow_mut(|values| {
        values.push(text.to_owned());
        values.len() - 1
    });
    write!(out, "\"${{{}}}\"", variable(number))
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
    fn texts_travel_beside_the_command() {
        let values = BTreeMap::from([
            ("name".to_owned(), serde_json::json!("it's; rm -rf /")),
            ("n".to_owned(), serde_json::json!(3)),
            ("x".to_owned(), serde_json::json!("in/x.arrow")),
        ]);
        let rendered = render("echo {{ name }} {{ n }} {{ x }} {{ x | csv }}", &values).unwrap();
        assert_eq!(rendered.command, "echo \"${NEUROFLOW_VALUE_0}\" 3 in/x.arrow in/x.csv");
        assert_eq!(rendered.variables, [("NEUROFLOW_VALUE_0".to_owned(), "it's; rm -rf /".to_owned())]);
        assert_eq!(rendered.asked, [("in/x.arrow".to_owned(), "csv", "in/x.csv".to_owned())]);
        assert!(render("echo {{ nothing }}", &values).is_err());
    }

    #[test]
    fn names_are_found_and_broken_templates_are_told() {
        let mut reader = Reader::default();
        assert_eq!(reader.names("{{ b }} {{ a | csv }} {% for c in list %}{{ c }}{% endfor %}").unwrap(), ["a", "b", "list"]);
        assert!(reader.names("{{ a").is_err());
        assert!(reader.names("{{ a | nosuch }}").is_err());
        // A broken one leaves nothing behind.
        assert_eq!(reader.names("{{ c }}").unwrap(), ["c"]);
    }
}
