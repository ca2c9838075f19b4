//! Figures of results, drawn when they are asked for and kept while they are.

use neuroflow_data::{Artifact, Kind};
use neuroflow_engine::Digest;
use neuroflow_engine::session::Session;
use neuroflow_report::figures::figures;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The most results of a run that are drawn.
const MOST: usize = 16;
/// The most drawings that are kept.
const KEPT: usize = 400;
/// What is larger is not drawn on the page, in bytes of SVG.
const LARGEST: usize = 1 << 20;

/// A figure of a result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Shown {
    label: String,
    caption: String,
    svg: String,
}

/// A result: what it is called, its output, kind and content.
pub(crate) type Result<'a> = (&'a str, &'a str, bool, Kind, Digest);

/// Drawings by content, output and whether it is the first one.
type Known = HashMap<(Digest, bool), Arc<Vec<(String, String)>>>;

#[derive(Default)]
pub(crate) struct Drawings {
    known: Mutex<Known>,
}

impl Drawings {
    /// The figures of results, those that come first.
    pub(crate) fn of<'a>(&self, session: &Session, results: impl Iterator<Item = Result<'a>>) -> Vec<Shown> {
        let drawable = results.filter(|(_, _, _, kind, _)| matches!(kind, Kind::Tensor | Kind::Rdm | Kind::Graph));
        let mut shown = Vec::new();
        for (label, output, is_first, kind, digest) in drawable.take(MOST) {
            let drawn = self.drawn(session, (output, is_first), kind, digest);
            shown.extend(drawn.iter().map(|(caption, svg)| Shown { label: label.to_owned(), caption: caption.clone(), svg: svg.clone() }));
        }
        shown
    }

    fn drawn(&self, session: &Session, (output, is_first): (&str, bool), kind: Kind, digest: Digest) -> Arc<Vec<(String, String)>> {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&(digest, is_first)) {
            return known.clone();
        }
        // What was removed from the cache meanwhile has no figure.
        let Ok(artifact) = session.artifact(kind, &digest) else { return Arc::default() };
        let drawn = Arc::new(draw(&artifact, (!is_first).then_some(output)));
        let mut known = lock();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert((digest, is_first), drawn.clone());
        drawn
    }
}

fn draw(artifact: &Artifact, further: Option<&str>) -> Vec<(String, String)> {
    let drawn = figures(artifact, further, &[]).unwrap_or_default();
    drawn.into_iter().map(|figure| (figure.caption, figure.drawing.svg())).filter(|(_, svg)| svg.len() <= LARGEST).collect()
}
