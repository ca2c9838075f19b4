//! `neuroflow fmt`: the one style.

use super::{print_diagnostics, read_pipeline};
use crate::arguments::MessageFormat;
use crate::exit::{Exit, Failure};
use std::path::PathBuf;

pub(crate) fn fmt(files: &[PathBuf], check: bool) -> Result<Exit, Failure> {
    let (mut differs, mut wrong) = (false, false);
    for file in files {
        let text = read_pipeline(file)?;
        let mistakes = neuroflow_dsl::parse(&text).diagnostics;
        if !mistakes.is_empty() {
            print_diagnostics(file, &text, &mistakes, MessageFormat::Text);
            wrong = true;
            continue;
        }
        let styled = neuroflow_dsl::format::format(&text);
        if styled == text {
            continue;
        }
        differs = true;
        if check {
            eprintln!("{}: not in the style; `neuroflow fmt {}` lays it out", file.display(), file.display());
            continue;
        }
        // Beside the file and renamed, so that a full disk can't cut it off.
        let beside = file.with_extension("nf.new");
        let written = std::fs::write(&beside, &styled).and_then(|()| std::fs::rename(&beside, file));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&beside);
            return Err(Failure::could_not_start(format!("{}: {error}; the file is unchanged", file.display())));
        }
        eprintln!("{}: laid out", file.display());
    }
    Ok(match (wrong, check && differs) {
        (true, _) => Exit::WrongPipeline,
        (_, true) => Exit::ExpectFailed,
        _ => Exit::Done,
    })
}
