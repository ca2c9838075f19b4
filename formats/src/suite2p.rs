//! Folders that suite2p writes: fluorescence and deconvolved activity of regions of interest.
//!
//! [`open`] gives the recordings `F` (fluorescence), `Fneu` (of the surrounding neuropil) and `spks` (deconvolved), as far as their files are
//! there, with a
//! channel `roi_0`, `roi_1`, … for each region, and the table `iscell` with `roi`, `iscell` and `probability`.
//!
//! The frame rate stands only in `ops.npy`, a Python pickle. Reading a pickle can run any program, so neither `ops.npy` nor `stat.npy` is ever
//! opened:
//! give the rate to [`open_with`]. Without it, times count frames.
//!
//! The layout is that of "Outputs" in suite2p's documentation.

use crate::document::{Contents, Document, Item, Rows, Signals, What};
use crate::edf::table_what;
use crate::npy_array::{self, NpyArray};
use crate::series::{Lane, Layout, Section, Series, held, most_channels, unusable};
use crate::source::Folder;
use neuroflow_data::formats::{Format, FormatError, Limits, Place};
use neuroflow_data::{Channel, Table, columns};
use std::sync::Arc;

const ISCELL: &str = "iscell";
const TRACES: [(&str, &str); 3] = [("F", "fluorescence"), ("Fneu", "fluorescence of the neuropil"), ("spks", "deconvolved activity")];

/// A suite2p folder, opened.
#[derive(Debug)]
pub struct Suite2pDocument {
    contents: Contents,
    traces: Vec<(&'static str, Arc<Series>)>,
    cells: Option<Table>,
}

/// Opens a folder whose frame rate is not known. `path` is the folder's path in `folder`; empty for `folder` itself.
///
/// # Errors
/// As [`open_with`].
pub fn open(folder: &Arc<dyn Folder>, path: &str, limits: &Limits) -> Result<Suite2pDocument, FormatError> {
    open_with(folder, path, None, limits)
}

/// Opens a folder whose frames were taken at `rate` (suite2p's `fs`), in hertz.
///
/// # Errors
/// When none of the traces is there, an array is damaged or not of two axes, arrays differ in their number of regions, or the rate is no rate.
pub fn open_with(folder: &Arc<dyn Folder>, path: &str, rate: Option<f64>, limits: &Limits) -> Result<Suite2pDocument, FormatError> {
    let format = Format::Suite2p;
    let wrong =
        |name: &str, reason: String, help: &str| FormatError::new(format, Place::Object { path: name.into(), byte: None }, reason, help);
    if let Some(rate) = rate.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
        return Err(FormatError::new(
            format,
            Place::File,
            format!("a frame rate of {rate} Hz was given"),
            "give `fs` from suite2p's settings",
        ));
    }
    let mut contents = Contents::new(format, "");
    contents.lacks_rate = rate.is_none();
    let file = |name: &str| -> Result<Option<NpyArray>, FormatError> {
        let name = format!("{name}.npy");
        let full = if path.is_empty() { name.clone() } else { format!("{}/{name}", path.trim_end_matches('/')) };
        let found = folder.open(&full).map_err(|error| {
            let reason = format!("`{full}` can't be opened: {error}");
            FormatError::new(format, Place::File, reason, "see that the file is still there and try again")
        })?;
        found.map(|source| npy_array::open(source, format, &name)).transpose()
    };
    let mut traces = Vec::new();
    let mut regions: Option<(u64, &str)> = None;
    let mut same = |name: &'static str, own: u64| match *regions.get_or_insert((own, name)) {
        (count, _) if count == own => Ok(()),
        (count, first) => Err(wrong(name, format!("{own} regions, `{first}` has {count}"), "keep the files of one run together")),
    };
    for (name, about) in TRACES {
        let Some(array) = file(name)? else { continue };
        let &[rois, frames] = array.shape.as_slice() else {
            return Err(wrong(
                name,
                format!("an array [region × frame] is expected, this one is {:?}", array.shape),
                "check that suite2p wrote it",
            ));
        };
        same(name, rois)?;
        if rois == 0 || rois > most_channels(array.source.len()) {
            return Err(wrong(name, format!("there are {rois} regions"), "check that suite2p found cells"));
        }
        let series = trace(array, rois, frames, rate.unwrap_or(1.0), limits)?;
        contents.items.extend(series.items(name, about).into_iter().map(|mut item| {
            if let (None, What::Recording { rate, span, .. }) = (rate, &mut item.what) {
                (*rate, *span) = (f64::NAN, (f64::NAN, f64::NAN));
            }
            item
        }));
        traces.push((name, Arc::new(series)));
    }
    if traces.is_empty() {
        let reason = "neither F.npy nor Fneu.npy nor spks.npy is in the folder";
        return Err(FormatError::new(
            format,
            Place::File,
            reason,
            "name the folder `plane0`, `plane1`, … or `combined` that suite2p wrote",
        ));
    }
    let cells = match file(ISCELL)? {
        None => None,
        Some(array) => {
            let &[rois, 2] = array.shape.as_slice() else {
                return Err(wrong(
                    ISCELL,
                    format!("an array [region × 2] is expected, this one is {:?}", array.shape),
                    "check that suite2p wrote it",
                ));
            };
            same(ISCELL, rois)?;
            let values = array.numbers(format)?;
            let count = usize::try_from(rois).unwrap_or(0);
            let of = |column: usize| -> Vec<f64> {
                let at = |roi: usize| if array.fortran { column * count + roi } else { 2 * roi + column };
                (0..count).map(|roi| values.get(at(roi)).copied().unwrap_or(f64::NAN)).collect()
            };
            let table = Table::from_columns(vec![
                columns::from_integers("roi", (0..count as i64).collect()),
                columns::from_booleans("iscell", of(0).into_iter().map(|cell| cell != 0.0).collect()),
                columns::from_numbers("probability", of(1)),
            ]);
            let table = table.map_err(unusable(format, ISCELL))?;
            let about = "which regions were taken for cells, and how surely".into();
            contents.items.push(Item { path: ISCELL.into(), what: table_what(&table), about });
            Some(table)
        }
    };
    let pickles = "`ops.npy` and `stat.npy` are Python pickles, which can run any program, and are never opened";
    contents.notes.push(match rate {
        Some(rate) => format!("the frame rate of {rate} Hz was given; {pickles}"),
        None => format!("the frame rate is not known: {pickles}; give suite2p's `fs`, as in `rate = 30 Hz`"),
    });
    Ok(Suite2pDocument { contents, traces, cells })
}

fn trace(array: NpyArray, rois: u64, frames: u64, rate: f64, limits: &Limits) -> Result<Series, FormatError> {
    let size = array.element.size() as u64;
    let frame_bytes = if array.fortran { rois * size } else { rois * frames * size };
    let sections = vec![Section { at: array.data, frames: if array.fortran { frames } else { 1 } }];
    let lane = |roi: u64| match array.fortran {
        true => Lane { element: array.element, offset: roi * size, count: 1, stride: size },
        false => Lane { element: array.element, offset: roi * frames * size, count: frames, stride: size },
    };
    let lanes = (0..rois).map(|roi| (lane(roi), Channel::new(format!("roi_{roi}"), "", rate))).collect();
    Series::new(array.source, Format::Suite2p, limits, Layout { sections, frame_bytes }, lanes)
}

impl Document for Suite2pDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn signals(&self, path: &str) -> Result<Box<dyn Signals + '_>, FormatError> {
        let path = self.contents.path_of(path, "recording", |what| matches!(what, What::Recording { .. }))?;
        self.contents.with_rate(path)?;
        let found = self.traces.iter().find(|(name, _)| *name == path);
        found.map(|(_, series)| Box::new(series.as_ref()) as Box<dyn Signals>).ok_or_else(|| self.contents.none("recording", path))
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        if let (ISCELL, Some(cells)) = (path, &self.cells) {
            return Ok(held(Format::Suite2p, cells));
        }
        let mut found = self.traces.iter().filter_map(|(name, series)| series.rows(name, path));
        found.next().ok_or_else(|| self.contents.none("table", path))
    }
}
