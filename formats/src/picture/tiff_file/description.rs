//! What programs write into the description of the first page: how many images there are, and what they run along.

use super::ome;
use crate::picture::{Described, Lead, Shape};
use crate::reading::shortened;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a description says of the pages.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// How many images are stated, where they may have no directory of their own.
    pub images: Option<u64>,
    /// What the pages run along, the slowest first.
    pub leads: Vec<Lead>,
}

/// Reads the description of a page. What it says of the whole becomes facts and notes.
pub(super) fn read(text: &str, shape: Shape, out: &mut Described) -> Said {
    let text = text.trim_matches(|letter: char| letter == '\0' || letter.is_whitespace());
    let pairs: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim(), value.trim())).collect();
    if text.starts_with("ImageJ=") {
        out.facts.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), shortened(value, 200))));
        return image_j(&pairs);
    }
    if pairs.keys().any(|key| key.starts_with("SI.")) {
        let wanted = |key: &str| !key.starts_with("SI.") || SCAN_IMAGE.contains(&key);
        out.facts.extend(pairs.iter().filter(|(key, _)| wanted(key)).map(|(key, value)| ((*key).to_owned(), shortened(value, 200))));
        let channels =
            pairs.get("SI.hChannels.channelSave").map_or(0, |saved| saved.split([';', ' ', ',']).filter(|own| !own.is_empty()).count());
        if channels > 1 {
            out.notes.push(format!(
                "pages take turns between the {channels} channels that ScanImage saved, and run through slices where there are some"
            ));
        }
        return Said::default();
    }
    if text.contains("<OME") {
        return match ome::read(text, shape, out) {
            Ok(leads) => Said { images: None, leads },
            Err(reason) => {
                out.notes.push(format!("pages are in the order of the file, and may mix channels, slices and times: {reason}"));
                Said::default()
            }
        };
    }
    if !text.is_empty() {
        out.facts.insert("description".into(), shortened(text, 1000));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(own)) => shaped(&own, shape),
        _ => Said::default(),
    }
}

/// The settings of ScanImage that say how the pictures were taken.
const SCAN_IMAGE: [&str; 10] = [
    "SI.VERSION_MAJOR",
    "SI.VERSION_MINOR",
    "SI.hRoiManager.scanFrameRate",
    "SI.hRoiManager.scanVolumeRate",
    "SI.hRoiManager.scanZoomFactor",
    "SI.hChannels.channelSave",
    "SI.hStackManager.numSlices",
    "SI.hStackManager.framesPerSlice",
    "SI.hFastZ.numFramesPerVolume",
    "SI.objectiveResolution",
];

/// ImageJ: channels vary fastest, then slices, then frames.
fn image_j(pairs: &BTreeMap<&str, &str>) -> Said {
    let count = |key: &str| pairs.get(key).and_then(|own| own.parse::<u64>().ok());
    let step = |key: &str| pairs.get(key).and_then(|own| own.parse::<f64>().ok()).filter(|step| step.is_finite() && *step > 0.0);
    let unit = match pairs.get("unit").copied().unwrap_or_default() {
        "um" | "micron" | "microns" | "\\u00B5m" | "\\u00b5m" | "µm" | "μm" => "µm",
        own @ ("nm" | "mm" | "cm" | "m") => own,
        _ => "",
    };
    let leads = [("time", "frames", step("finterval"), "s"), ("z", "slices", step("spacing"), unit), ("channel", "channels", None, "")];
    let leads = leads.into_iter().filter_map(|(name, key, step, unit)| {
        let length = count(key).filter(|length| *length > 1)?;
        Some(Lead { name: name.into(), length, unit: unit.into(), step })
    });
    Said { images: count("images"), leads: leads.collect() }
}

/// tifffile: the shape of all pages as JSON, with letters for its axes where it was given them.
fn shaped(own: &serde_json::Map<String, Value>, shape: Shape) -> Said {
    let lengths = own.get("shape").and_then(Value::as_array).map(|all| all.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>());
    let Some(Some(lengths)) = lengths else { return Said::default() };
    let all = lengths.iter().try_fold(1u64, |product, length| product.checked_mul(*length)).unwrap_or(0);
    let images = all.checked_div(shape.values()).filter(|images| images.checked_mul(shape.values()) == Some(all));
    let truncated = own.get("truncated").and_then(Value::as_bool).unwrap_or(false);
    let letters = own.get("axes").and_then(Value::as_str).unwrap_or_default();
    let leads = match letters.find('Y') {
        Some(end) if letters.len() == lengths.len() => letters.chars().zip(&lengths).take(end).map(|(letter, length)| {
            let name = match letter {
                'T' => "time".to_owned(),
                'Z' => "z".to_owned(),
                'C' => "channel".to_owned(),
                other => format!("axis {other}"),
            };
            Lead { name, length: *length, unit: String::new(), step: None }
        }),
        _ => return Said { images: images.filter(|_| truncated), leads: Vec::new() },
    };
    Said { images: images.filter(|_| truncated), leads: leads.collect() }
}

/// Takes what the pages run along where it fits how many there are; says so where it does not.
pub(super) fn arrange(said: Said, out: &mut Described) {
    let count = out.frames.as_ref().map_or(out.pages.len() as u64, |frames| frames.count);
    let stated = said.leads.iter().try_fold(1u64, |product, lead| product.checked_mul(lead.length)).unwrap_or(u64::MAX);
    if said.leads.is_empty() || count < 2 {
        return;
    }
    if stated == count {
        out.leads = said.leads;
        return;
    }
    let listed = said.leads.iter().map(|lead| format!("{} {}", lead.length, lead.name)).collect::<Vec<_>>().join(" × ");
    out.notes
        .push(format!("the description says {listed}, and there are {count} pages: they are in the order of the file, and may mix these"));
}
