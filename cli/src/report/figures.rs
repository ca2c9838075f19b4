//! Figures as files: SVG and PNG, and what they are drawn from as CSV and JSON.

use super::Report;
use crate::exit::Failure;
use neuroflow_data::export::{ExportFormat, export};
use neuroflow_report::{Drawing, figure_files};
use std::path::{Path, PathBuf};

/// Points a unit of a drawing: sharp on a screen, and in print at half the width of a column.
const SCALE: f32 = 3.0;

/// Fonts that have what labels need, the best first.
const FONTS: [&str; 8] = [
    "DejaVuSans.ttf",
    "LiberationSans-Regular.ttf",
    "NotoSans-Regular.ttf",
    "Arial.ttf",
    "arial.ttf",
    "Helvetica.ttc",
    "segoeui.ttf",
    "FreeSans.ttf",
];

/// The letters of a picture.
///
/// # Errors
/// When no font is found, with what helps.
pub(crate) fn font() -> Result<Vec<u8>, Failure> {
    if let Some(named) = std::env::var_os("NEUROFLOW_FONT").filter(|name| !name.is_empty()) {
        let read = std::fs::read(&named);
        return read.map_err(|error| Failure::could_not_start(format!("NEUROFLOW_FONT, {}: {error}", named.display())));
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let places =
        ["/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts", "C:\\Windows\\Fonts"].map(PathBuf::from);
    let own = [home.join(".local/share/fonts"), home.join(".fonts"), home.join("Library/Fonts")];
    let mut found = Vec::new();
    places.iter().chain(&own).for_each(|place| fonts_below(place, 4, &mut found));
    found.sort();
    let is_called = |path: &Path, name: &str| path.file_name().is_some_and(|known| known == name);
    let best = FONTS.iter().find_map(|name| found.iter().find(|path| is_called(path, name))).or(found.first());
    let none = || {
        Failure::could_not_start("a PNG needs a font for its letters, and none was found here")
            .with_help("install one (on Debian: fonts-dejavu-core), name one in NEUROFLOW_FONT, or take SVG")
    };
    let best = best.ok_or_else(none)?;
    std::fs::read(best).map_err(|error| Failure::could_not_start(format!("the font {}: {error}", best.display())))
}

fn fonts_below(folder: &Path, deep: usize, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if deep > 0 {
                fonts_below(&path, deep - 1, found);
            }
        } else if path.extension().is_some_and(|ending| ["ttf", "otf", "ttc"].iter().any(|known| ending.eq_ignore_ascii_case(known))) {
            found.push(path);
        }
    }
}

/// A figure as the bytes of a file.
///
/// # Errors
/// When it is too large for a picture, or there is no font.
pub(crate) fn png(drawing: &Drawing, font: &[u8]) -> Result<Vec<u8>, Failure> {
    drawing.png(SCALE, font).map_err(Failure::could_not_start)
}

/// Writes the figures of a report; gives how many. A machine without fonts gets all but the PNGs, and is told why.
///
/// # Errors
/// When a file can't be written, or an artifact is not what its kind promises.
pub(super) fn write(report: &Report, folder: &Path) -> Result<usize, Failure> {
    let files = figure_files(report).map_err(Failure::could_not_start)?;
    let told = |error: &dyn std::fmt::Display| Failure::could_not_start(format!("the figures in {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(|error| told(&error))?;
    let font = if files.is_empty() { Ok(Vec::new()) } else { font() };
    if let Err(failure) = &font {
        eprintln!("warning: no PNGs: {failure}");
    }
    for file in &files {
        let write = |ending: &str, bytes: &[u8]| {
            std::fs::write(folder.join(format!("{}.{ending}", file.name)), bytes).map_err(|error| told(&error))
        };
        write("svg", file.figure.drawing.svg().as_bytes())?;
        if let Ok(font) = &font {
            // A matrix of thousands is no picture; it is an SVG still.
            match png(&file.figure.drawing, font) {
                Ok(bytes) => write("png", &bytes)?,
                Err(failure) => eprintln!("warning: {}.png: {}", file.name, failure.message),
            }
        }
        for format in [ExportFormat::Csv, ExportFormat::Json] {
            write(format.name(), &export(file.artifact, format).map_err(|error| told(&error))?)?;
        }
    }
    Ok(files.len())
}
