//! Lines to paste into a pipeline: the input that reads a file or folder of data, and a step for each sort of thing in it.

use crate::escape::quoted;
use neuroflow_formats::{Contents, Format, Item, What};

/// How many things of a sort get a line.
const MOST: usize = 4;

/// The readers of tables and arrays that give them at once.
const AT_ONCE: [&str; 4] = ["csv", "parquet", "arrow", "npy"];

/// What takes a thing of a file: the stage, and which things it takes.
type Sort = (&'static str, fn(&Item) -> bool);

const SORTS: [Sort; 6] = [
    ("recording", |item| matches!(item.what, What::Recording { .. })),
    ("spikes", |item| matches!(item.what, What::Spikes { .. })),
    ("events", |item| matches!(item.what, What::Events { .. }) || is_triggers(item)),
    ("table", |item| matches!(item.what, What::Table { .. }) && !is_triggers(item)),
    ("array", |item| matches!(item.what, What::Picture { .. }) || item.what.is_of_numbers()),
    ("graph", |item| matches!(item.what, What::Graph { .. })),
];

/// Whether an array has integers that 64-bit floats may not hold. Which they are, only their values say.
fn is_of_long_integers(item: &Item) -> bool {
    matches!(&item.what, What::Array { element, .. } if element.contains("int64"))
}

/// Texts in an array of HDF5, which a table has.
fn is_text_of_hdf5(contents: &Contents, item: &Item) -> bool {
    contents.format == Format::Hdf5 && matches!(&item.what, What::Array { element, shape, .. } if element == "text" && shape.len() == 1)
}

/// Events that are listed as a table, since their number is known once the whole channel was read.
fn is_triggers(item: &Item) -> bool {
    item.path == "triggers"
}

/// The lines for what was found at `path`, as the pipeline names it; none when no reader is known for it. `reader` is the one that was named.
pub fn lines(contents: &Contents, path: &str, reader: Option<&str>) -> Vec<String> {
    let whole = path.trim_end_matches('/');
    let name = whole.rsplit(['/', '\\']).next().unwrap_or(whole);
    // Where a format has several readers, as NIfTI in one file or two, the name says which.
    let by_name = || neuroflow_formats::reader_of_name(name).filter(|reader| reader.formats.contains(&contents.format)).map(|own| own.word);
    let Some(reader) = reader.or_else(by_name).or_else(|| neuroflow_formats::word_of(contents.format)) else { return Vec::new() };
    let input = as_name(name.split('.').next().unwrap_or(name));
    let path = quoted(path);
    // `npy` takes numbers alone, and texts and records are tables. `npz` takes all numbers of an archive; where it holds something else too, things are taken one at a time.
    let of_numbers = |item: &Item| item.what.is_of_numbers();
    let reader = if matches!(reader, "npz" | "npy") && !(contents.notes.is_empty() && contents.items.iter().all(of_numbers)) {
        "file"
    } else {
        reader
    };
    if AT_ONCE.contains(&reader) {
        return vec![format!("input {input} = {reader}({path})")];
    }
    if contents.format != Format::Bids {
        let mut lines = vec![format!("input {input} = {reader}({path})")];
        lines.extend(steps(contents, &input, &input));
        return lines;
    }
    // Of a tree, each recording is a member.
    let mut lines = vec![format!("input {input} = bids({path}, subject = all)"), format!("for run in {input} {{")];
    let member = format!("{input}[run]");
    match holds_signals(contents) {
        // A tree of one recording tells what is in that one.
        None => lines.extend(steps(contents, &input, &member).into_iter().map(|line| format!("  {line}"))),
        Some(true) => {
            lines.extend(["recording", "events"].map(|stage| format!("  {} = ingest.{stage}({member})", other(stage, &input))));
        }
        Some(false) => lines.push(format!("  {} = ingest.array({member})", other("array", &input))),
    }
    lines.push("}".into());
    lines
}

/// Whether a tree of several recordings has signals; none when it is one recording.
fn holds_signals(contents: &Contents) -> Option<bool> {
    if contents.facts.contains_key("file") {
        return None;
    }
    let holds = contents.facts.get("holds").map(String::as_str).unwrap_or_default();
    Some(holds.is_empty() || ["eeg/", "meg/", "ieeg/"].iter().any(|datatype| holds.contains(datatype)))
}

fn steps(contents: &Contents, input: &str, file: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut names = vec![input.to_owned()];
    let mut free = |name: String| {
        let name = (1..).map(|n| if n == 1 { name.clone() } else { format!("{name}_{n}") }).find(|name| !names.contains(name));
        names.extend(name.clone());
        name.unwrap_or_default()
    };
    for (stage, is_wanted) in SORTS {
        let mut items: Vec<&Item> = contents.items.iter().filter(|item| is_wanted(item)).collect();
        if stage == "array" && items.iter().any(|item| !is_of_long_integers(item)) {
            items.retain(|item| !is_of_long_integers(item));
        }
        if stage == "table" {
            items.extend(contents.items.iter().filter(|item| is_text_of_hdf5(contents, item)));
        }
        // Texts count as arrays, and rows of other things as tables, when none is named.
        let is_meant = |what: &What| match stage {
            "array" => matches!(what, What::Array { .. } | What::Picture { .. }),
            // In HDF5 an array is a table too.
            "table" => {
                !matches!(what, What::Group | What::Value(_) | What::Text { .. })
                    && (contents.format == Format::Hdf5 || !matches!(what, What::Array { .. }))
            }
            _ => false,
        };
        let is_alone = contents.items.iter().filter(|item| is_meant(&item.what)).count() <= 1;
        if contents.lacks_rate && !items.is_empty() && matches!(stage, "recording" | "spikes") {
            lines.push("# The folder does not say its rate: give it, as in `rate = 30 Hz`.".to_owned());
        }
        match items.as_slice() {
            [_] if is_alone => lines.push(format!("{} = ingest.{stage}({file})", free(other(stage, input)))),
            several => lines.extend(several.iter().take(MOST).map(|item| {
                let name = as_name(item.path.rsplit('/').next().unwrap_or(&item.path));
                let name = if name == input { format!("{name}_{stage}") } else { name };
                format!("{} = ingest.{stage}({file}, of = {})", free(name), quoted(&item.path))
            })),
        }
    }
    lines
}

/// The name of a step after its stage, where the input does not have it.
fn other(stage: &str, input: &str) -> String {
    if input == stage { format!("the_{stage}") } else { stage.to_owned() }
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
    use super::*;

    #[test]
    fn names_of_files_become_names() {
        assert_eq!(as_name("S001R03"), "s001r03");
        assert_eq!(as_name("2024-01 x"), "data_2024_01_x");
        assert_eq!(as_name("für"), "f_r");
        assert_eq!(as_name("…"), "data");
        assert_eq!(as_name("input"), "data_input");
    }

    #[test]
    fn things_of_one_name_get_names_of_their_own() {
        let item = |path: &str, what: What| Item { path: path.into(), what, about: String::new() };
        let array = || What::Array { shape: vec![1], element: "float64".into(), unit: String::new(), axes: Vec::new() };
        let mut contents = Contents::new(Format::Hdf5, "");
        contents.items = vec![item("a/x", array()), item("b/x", array()), item("x", array()), item("t", What::Events { count: 1 })];
        let expected = [
            "input data_x = hdf5(\"in/data x.h5\")",
            "events = ingest.events(data_x)",
            "x = ingest.array(data_x, of = \"a/x\")",
            "x_2 = ingest.array(data_x, of = \"b/x\")",
            "x_3 = ingest.array(data_x, of = \"x\")",
        ];
        assert_eq!(lines(&contents, "in/data x.h5", None), expected);
    }

    #[test]
    fn lines_run_as_they_stand() {
        let item = |path: &str, what: What| Item { path: path.into(), what, about: String::new() };
        let array = |element: &str| What::Array { shape: vec![2], element: element.into(), unit: String::new(), axes: Vec::new() };
        let said = |format: Format, items: Vec<Item>| {
            let mut contents = Contents::new(format, "");
            contents.items = items;
            lines(&contents, "x", None)
        };
        // Whole numbers of 64 bits may be too large, so others stand for what is there.
        let many = ["int64", "float32", "6 × float64", "reference", "list of uint8", "compound", "complex64", "text"];
        let items: Vec<Item> = many.iter().enumerate().map(|(place, element)| item(&format!("a{place}"), array(element))).collect();
        let expected = [
            "input x = hdf5(\"x\")",
            "a7 = ingest.table(x, of = \"a7\")",
            "a1 = ingest.array(x, of = \"a1\")",
            "a2 = ingest.array(x, of = \"a2\")",
        ];
        assert_eq!(said(Format::Hdf5, items.clone()), expected);
        let mut nwb = items;
        nwb.retain(|item| !matches!(&item.what, What::Array { element, .. } if element.contains("float")));
        assert_eq!(said(Format::Nwb, nwb), ["input x = nwb(\"x\")", "a0 = ingest.array(x, of = \"a0\")"]);
        let table = What::Table { rows: Some(2), columns: Vec::new() };
        assert_eq!(said(Format::Hdf5, vec![item("t", table.clone())]), ["input x = hdf5(\"x\")", "table = ingest.table(x)"]);
        let words = said(Format::Hdf5, vec![item("t", table.clone()), item("w", array("text"))]);
        assert_eq!(words[1..], ["t = ingest.table(x, of = \"t\")", "w = ingest.table(x, of = \"w\")"]);
        assert_eq!(said(Format::Npy, vec![item("array", table)]), ["input x = file(\"x\")", "table = ingest.table(x)"]);
        assert_eq!(said(Format::Npy, vec![item("array", array("int64"))]), ["input x = npy(\"x\")"]);
    }

    #[test]
    fn triggers_are_events_and_a_header_with_its_image_has_a_reader_of_its_own() {
        let item = |path: &str, what: What| Item { path: path.into(), what, about: String::new() };
        let mut raw = Contents::new(Format::Fif, "");
        raw.items = vec![item("triggers", What::Table { rows: None, columns: Vec::new() }), item("annotations", What::Events { count: 1 })];
        let expected = [
            "input run = fif(\"run.fif\")",
            "triggers = ingest.events(run, of = \"triggers\")",
            "annotations = ingest.events(run, of = \"annotations\")",
        ];
        assert_eq!(lines(&raw, "run.fif", None), expected);
        let mut image = Contents::new(Format::Nifti, "");
        image.items = vec![item("image", What::Array { shape: vec![1], element: "int16".into(), unit: String::new(), axes: Vec::new() })];
        for (name, reader) in [("a.nii.gz", "nifti"), ("a.hdr", "nifti_pair"), ("a.hdr.gz", "nifti_pair"), ("unnamed", "nifti")] {
            assert_eq!(lines(&image, name, None)[0], format!("input {} = {reader}(\"{name}\")", name.split('.').next().unwrap()));
        }
    }
}
