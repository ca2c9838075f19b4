//! Lines to paste into a pipeline.

use super::Opened;
use neuroflow_formats::{Item, What};

/// How many things of a sort get a line.
const MOST: usize = 4;

/// The input, and a step for each sort of thing in it.
pub(super) fn lines(opened: &Opened, what: &str, reader: Option<&str>) -> Vec<String> {
    let contents = opened.document.contents();
    let Some(reader) = reader.or_else(|| neuroflow_formats::word_of(contents.format)) else { return Vec::new() };
    let input = as_name(opened.name.split('.').next().unwrap_or(&opened.name));
    if reader == "bids" {
        // Of a tree, each recording is a member.
        return vec![
            format!("input {input} = bids({what:?}, subject = all)"),
            format!("for run in {input} {{"),
            format!("  recording = ingest.recording({input}[run])"),
            format!("  events = ingest.events({input}[run])"),
            "}".into(),
        ];
    }
    let mut lines = vec![format!("input {input} = {reader}({what:?})")];
    let of = |wanted: fn(&What) -> bool| -> Vec<&Item> { contents.items.iter().filter(|item| wanted(&item.what)).collect() };
    let sorts: [(&str, Vec<&Item>); 6] = [
        ("recording", of(|what| matches!(what, What::Recording { .. }))),
        ("spikes", of(|what| matches!(what, What::Spikes { .. }))),
        ("events", of(|what| matches!(what, What::Events { .. }))),
        ("table", of(|what| matches!(what, What::Table { .. }))),
        ("array", of(|what| matches!(what, What::Array { .. }))),
        ("graph", of(|what| matches!(what, What::Graph { .. }))),
    ];
    // Readers of one table or array give it at once.
    if matches!(reader, "csv" | "parquet" | "arrow" | "npy") {
        return lines;
    }
    for (stage, items) in sorts {
        match items.as_slice() {
            [_] => {
                lines.push(format!("{} = ingest.{stage}({input})", if input == stage { format!("the_{stage}") } else { stage.to_owned() }))
            }
            several => lines.extend(several.iter().take(MOST).map(|item| {
                let name = as_name(item.path.rsplit('/').next().unwrap_or(&item.path));
                let name = if name == input { format!("{name}_{stage}") } else { name };
                format!("{name} = ingest.{stage}({input}, of = {:?})", item.path)
            })),
        }
    }
    lines
}

/// A name of the language: letters, digits and `_`, not beginning with a digit.
fn as_name(text: &str) -> String {
    let name: String = text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' }).collect();
    let name = name.trim_matches('_').to_owned();
    let is_taken = neuroflow_dsl::syntax::SyntaxKind::keyword(&name).is_some();
    match name.chars().next() {
        None => "data".into(),
        Some(first) if first.is_ascii_digit() || is_taken => format!("data_{name}"),
        Some(_) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::as_name;

    #[test]
    fn names_of_files_become_names() {
        assert_eq!(as_name("S001R03"), "s001r03");
        assert_eq!(as_name("2024-01 x"), "data_2024_01_x");
        assert_eq!(as_name("für"), "f_r");
        assert_eq!(as_name("…"), "data");
        assert_eq!(as_name("input"), "data_input");
    }
}
