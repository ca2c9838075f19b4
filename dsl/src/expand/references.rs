//! References resolved: which instances, or which member of an input, a name with indices means in a frame.

use super::{Expansion, Known, Stop, WAITS, WRONG, label_of, suggestion};
use crate::diagnostics::Diagnostic;
use crate::evaluate::evaluate;
use crate::pipeline::{BlockKind, DataRef, Pipeline};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How many members a message lists.
const MOST_LISTED: usize = 12;

/// Why instances can't be given.
pub(super) enum Missing {
    /// They are not all unrolled.
    NotYet,
    /// One of them is wrong, and was told of.
    Follows,
}

impl From<Missing> for Stop {
    fn from(missing: Missing) -> Stop {
        match missing {
            Missing::NotYet => Stop::Wait,
            Missing::Follows => Stop::Follows,
        }
    }
}

impl Expansion {
    /// The labels in the brackets of a reference; none for `*`.
    pub(super) fn indices(
        &self,
        pipeline: &Pipeline,
        reference: &DataRef,
        block: usize,
        frame: u32,
    ) -> Result<Vec<Option<Arc<str>>>, Diagnostic> {
        if reference.indices.is_empty() {
            return Ok(Vec::new());
        }
        let scope = self.scope(pipeline, block, frame);
        reference
            .indices
            .iter()
            .map(|index| index.as_ref().map(|expr| evaluate(expr, &scope).map(|value| label_of(&value))).transpose())
            .collect()
    }

    /// The instances of a declaration that are meant in a frame, in the order of their loops.
    ///
    /// Without indices the blocks around both are the same; indices count from the outermost loop.
    pub(super) fn find(
        &self,
        pipeline: &Pipeline,
        step: usize,
        block: usize,
        frame: u32,
        fixed: &[Option<Arc<str>>],
    ) -> Result<Vec<u32>, Missing> {
        let target = pipeline.steps[step].block;
        let shared = if fixed.is_empty() { pipeline.common(block, target) } else { 0 };
        let mut around = frame;
        let mut at = block;
        while at != shared {
            around = self.blocks[at].parents[around as usize];
            at = pipeline.blocks[at].parent;
        }
        // Nothing to look for while part of it is missing for sure.
        if shared == 0 && fixed.is_empty() && target != 0 && !self.blocks[target].complete {
            return Err(Missing::NotYet);
        }
        let mut frames = vec![around];
        for inner in pipeline.path(shared, target) {
            let depth = pipeline.blocks[inner].loops;
            let is_loop = matches!(pipeline.blocks[inner].kind, BlockKind::Loop(_));
            let label = if is_loop { fixed.get(depth - 1).and_then(Option::as_deref) } else { None };
            let mut next = Vec::new();
            for outer in frames {
                let within = self.blocks[inner].within(outer).ok_or(Missing::NotYet)?;
                match label {
                    Some(label) => next.extend(self.blocks[inner].find(outer, label)),
                    None => next.extend(within),
                }
            }
            frames = next;
        }
        let positions = &self.steps[step].positions;
        frames
            .into_iter()
            .map(|frame| match positions.get(frame as usize).copied().unwrap_or(WAITS) {
                WAITS => Err(Missing::NotYet),
                WRONG => Err(Missing::Follows),
                position => Ok(position),
            })
            .collect()
    }

    /// Makes the labels of the loops around a step quick to find.
    pub(super) fn index(&mut self, pipeline: &Pipeline, step: usize) {
        for block in pipeline.path(0, pipeline.steps[step].block) {
            if matches!(pipeline.blocks[block].kind, BlockKind::Loop(_)) {
                self.blocks[block].index();
            }
        }
    }

    /// What to say when a reference names no member.
    pub(super) fn no_member(&self, pipeline: &Pipeline, step: usize, reference: &DataRef, fixed: &[Option<Arc<str>>]) -> Diagnostic {
        let name = &pipeline.steps[step].name.text;
        let known: Vec<String> = self.of(step).take(MOST_LISTED + 1).map(|at| self.instances[at].members.join(", ")).collect();
        if known.is_empty() {
            let message = format!("`{name}` has no member: no loop and no branch around it made one");
            let help = format!("put this step into the braces of `{name}`, so that it is made only when there is something to take");
            return Diagnostic::error("empty-family", reference.span.clone(), message).help(help);
        }
        let wanted = fixed.iter().map(|label| label.as_deref().unwrap_or("*")).collect::<Vec<_>>().join(", ");
        let near = suggestion(
            &wanted,
            self.of(step).take(10_000).map(|at| self.instances[at].members.join(", ")).collect::<Vec<_>>().iter().map(String::as_str),
        );
        let more = if known.len() > MOST_LISTED { ", …" } else { "" };
        let list = known.iter().take(MOST_LISTED).map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        Diagnostic::error("unknown-name", reference.span.clone(), format!("`{name}` has no such member; it has {list}{more}")).help_if(near)
    }
}

/// The members of Dir inputs, asked for once.
#[derive(Debug, Default)]
pub(super) struct Dirs {
    known: BTreeMap<usize, Dir>,
}

/// The members of one input.
#[derive(Debug)]
pub(super) struct Dir {
    labels: Vec<Arc<str>>,
    places: HashMap<Arc<str>, usize>,
}

impl Dirs {
    pub(super) fn of(&mut self, input: usize, known: &dyn Known) -> &Dir {
        self.known.entry(input).or_insert_with(|| {
            let labels: Vec<Arc<str>> = known.members(input).into_iter().map(Arc::from).collect();
            let places = labels.iter().enumerate().map(|(place, label)| (Arc::clone(label), place)).collect();
            Dir { labels, places }
        })
    }
}

impl Dir {
    pub(super) fn labels(&self) -> &[Arc<str>] {
        &self.labels
    }

    /// A member by its name.
    ///
    /// # Errors
    /// What to say when there is none.
    pub(super) fn member(&self, pipeline: &Pipeline, input: usize, reference: &DataRef, wanted: &str) -> Result<Arc<str>, Diagnostic> {
        if let Some(&place) = self.places.get(wanted) {
            return Ok(Arc::clone(&self.labels[place]));
        }
        let name = &pipeline.inputs[input].name.text;
        let more = if self.labels.len() > MOST_LISTED { ", …" } else { "" };
        let list = self.labels.iter().take(MOST_LISTED).map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let near = suggestion(wanted, self.labels.iter().map(|label| &**label));
        Err(Diagnostic::error("unknown-name", reference.span.clone(), format!("`{name}` has no member `{wanted}`; it has {list}{more}"))
            .help_if(near))
    }
}
