//! Blocks unrolled: a frame is a block once, with a value for each loop around it.

use crate::pipeline::Members;
use neuroflow_stage::Value;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The frames of one block, in the order in which they were unrolled. Those within one frame of the outer block are neighbours.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// For each frame, the frame of the outer block that it stands in.
    pub(super) parents: Vec<u32>,
    /// For each frame, the labels of all loops around it, outermost first.
    pub(super) labels: Vec<Members>,
    /// For each frame, the value of its loop, where the list is not known from the file.
    pub(super) values: Vec<Value>,
    /// For each frame of the outer block, the frames within it; none where that is not known yet.
    within: Vec<Option<(u32, u32)>>,
    /// Frames of the outer block that were tried and have to wait.
    pub(super) pending: Vec<u32>,
    /// By frame of the outer block and label, the frame; made when first asked for.
    lookup: Option<HashMap<u32, HashMap<Arc<str>, u32>>>,
    looked_up: usize,
    /// The round of growth in which this block was unrolled last.
    pub(super) round: usize,
    /// Whether no frame can be added any more.
    pub(super) complete: bool,
}

impl Frames {
    /// The file: one frame.
    pub(super) fn file() -> Frames {
        Frames { parents: vec![0], labels: vec![Members::from([])], complete: true, ..Frames::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Frames of the outer block to try: those that waited, and those that are new.
    pub(super) fn take_untried(&mut self, outer: usize) -> Vec<u32> {
        let mut all = std::mem::take(&mut self.pending);
        all.extend((self.within.len() as u32)..(outer as u32));
        self.within.resize(outer, None);
        all
    }

    /// Notes that what lies within a frame of the outer block begins at `start` and is all there.
    pub(super) fn close(&mut self, parent: u32, start: u32) {
        self.within[parent as usize] = Some((start, self.len() as u32));
    }

    /// The frames within one of the outer block; none where that is not known yet.
    pub(super) fn within(&self, parent: u32) -> Option<Range<u32>> {
        self.within.get(parent as usize).copied().flatten().map(|(start, end)| start..end)
    }

    /// The position of a frame among its neighbours.
    pub(super) fn place(&self, frame: u32) -> usize {
        let start = self.within(self.parents[frame as usize]).map_or(frame, |within| within.start);
        (frame - start) as usize
    }

    /// The frame of a label. Call [`Frames::index`] first.
    pub(super) fn find(&self, parent: u32, label: &str) -> Option<u32> {
        self.lookup.as_ref()?.get(&parent)?.get(label).copied()
    }

    /// Makes labels quick to find.
    pub(super) fn index(&mut self) {
        let lookup = self.lookup.get_or_insert_default();
        for frame in self.looked_up..self.labels.len() {
            if let Some(label) = self.labels[frame].last() {
                lookup.entry(self.parents[frame]).or_default().insert(Arc::clone(label), frame as u32);
            }
        }
        self.looked_up = self.labels.len();
    }
}
