//! What a stage declares about itself.

use crate::params::ParamSpec;
use neuroflow_data::Kind;

/// How far a stage's results can be trusted to repeat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Exactness {
    /// The same bytes on any number of threads.
    Bitwise,
    /// The same numbers within this relative tolerance, everywhere.
    Within(f64),
    /// The same bytes on the CPU; where a GPU may be used, the same numbers within this relative tolerance.
    OnGpu(f64),
}

/// One input, given by position; or, when it is open, any number of inputs, given by name.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// The name inside the stage and in messages.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// The kinds that are accepted.
    pub kinds: &'static [Kind],
    /// Axes, for the manual: `trial × unit × bin`; empty when any.
    pub axes: &'static str,
    /// Whether it takes a family (`gather(step)` or several values) instead of one.
    pub many: bool,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it stands for any number of inputs whose names the pipeline chooses, as `sql("…", units = …, trials = …)` does.
    /// The name is then the slot, and each slot takes one value or a family. A signature has at most one of them, as its last input.
    pub open: bool,
}

impl InputSpec {
    /// A required single input.
    pub const fn one(name: &'static str, kinds: &'static [Kind], axes: &'static str, doc: &'static str) -> InputSpec {
        InputSpec { name, doc, kinds, axes, many: false, optional: false, open: false }
    }

    /// A single input that may be left out.
    pub const fn optional(name: &'static str, kinds: &'static [Kind], axes: &'static str, doc: &'static str) -> InputSpec {
        InputSpec { name, doc, kinds, axes, many: false, optional: true, open: false }
    }

    /// A family of inputs.
    pub const fn many(name: &'static str, kinds: &'static [Kind], axes: &'static str, doc: &'static str) -> InputSpec {
        InputSpec { name, doc, kinds, axes, many: true, optional: false, open: false }
    }

    /// Inputs under names of the pipeline's choice, each one value or a family; `name` is the word for them in the manual.
    pub const fn open(name: &'static str, kinds: &'static [Kind], doc: &'static str) -> InputSpec {
        InputSpec { name, doc, kinds, axes: "", many: true, optional: true, open: true }
    }
}

/// One output. The first of a stage is the value of a step used by its bare name.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSpec {
    /// The name after the dot: `step.name`.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Its kind; where it is like an input that takes several, the first of those, until the pipeline says which was given.
    pub kind: Kind,
    /// Axes, for the manual.
    pub axes: &'static str,
    /// The single input whose kind it has, for a stage that does the same to several kinds.
    pub like: Option<&'static str>,
}

impl OutputSpec {
    /// An output.
    pub const fn new(name: &'static str, kind: Kind, axes: &'static str, doc: &'static str) -> OutputSpec {
        OutputSpec { name, doc, kind, axes, like: None }
    }

    /// An output of the kind that an input was given as; `kind` is the first of the kinds that this input takes.
    pub const fn like(name: &'static str, input: &'static str, kind: Kind, axes: &'static str, doc: &'static str) -> OutputSpec {
        OutputSpec { name, doc, kind, axes, like: Some(input) }
    }
}

/// Where a control takes hold of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteAt {
    /// The control changes this input before the stage runs.
    Input(&'static str),
    /// The control replaces this parameter.
    Parameter(&'static str),
}

/// A control that a stage can be the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlSite {
    /// The control's name, such as `shuffle`.
    pub control: &'static str,
    /// Where it takes hold.
    pub at: SiteAt,
}

/// Everything that a stage declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// `topic.verb_or_noun`.
    pub name: &'static str,
    /// Raised when results change.
    pub version: u32,
    /// One sentence that a scientist understands.
    pub summary: &'static str,
    /// The manual: method, source, when not to use it, a runnable example of at most six lines.
    pub doc: &'static str,
    /// Inputs, in order.
    pub inputs: Vec<InputSpec>,
    /// Outputs; the first is the default.
    pub outputs: Vec<OutputSpec>,
    /// Parameters.
    pub params: Vec<ParamSpec>,
    /// Metrics in the stage's [`Kind::Scores`] output, the headline first; empty when the stage does not score.
    /// A metric is used in `expect` as `step.metric`.
    pub metrics: &'static [&'static str],
    /// Controls that take hold here.
    pub sites: Vec<ControlSite>,
    /// Whether the stage sees test data while fitting (declared, and printed beside its scores).
    pub transductive: bool,
    /// How exactly results repeat.
    pub exactness: Exactness,
}

impl Signature {
    /// The input that fills a slot: the one of that name, or the open one.
    pub fn input(&self, slot: &str) -> Option<&InputSpec> {
        let named = self.inputs.iter().find(|input| input.name == slot && !input.open);
        named.or_else(|| self.inputs.iter().find(|input| input.open))
    }

    /// Whether a slot takes tables of any kind, and of a file that is one reads only what it needs.
    pub fn reads_files(&self, slot: &str) -> bool {
        self.input(slot).is_some_and(|input| input.open && input.kinds.contains(&Kind::File))
    }

    /// An output by name.
    pub fn output(&self, name: &str) -> Option<&OutputSpec> {
        self.outputs.iter().find(|output| output.name == name)
    }

    /// The output that holds the scores, when the stage scores.
    pub fn scores(&self) -> Option<&OutputSpec> {
        self.outputs.iter().find(|output| output.kind == Kind::Scores)
    }

    /// A parameter by name.
    pub fn param(&self, name: &str) -> Option<&ParamSpec> {
        self.params.iter().find(|param| param.name == name)
    }

    /// Where a control takes hold of this stage, if it does.
    pub fn site(&self, control: &str) -> Option<SiteAt> {
        self.sites.iter().find(|site| site.control == control).map(|site| site.at)
    }
}
