//! A checked pipeline: names are resolved, types fit, loops are still loops.

use crate::ast::{Expr, Span, Word};
use crate::evaluate::Scope;
use crate::expand::label_of;
use crate::used::Places;
use neuroflow_data::Kind;
use neuroflow_stage::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The labels of a member of a family: the values of the loops around it, outermost first. Steps of one member share them.
pub type Members = Arc<[Arc<str>]>;

/// A pipeline that can be expanded and run.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: Option<String>,
    /// Parameters with the values that they have in this run.
    pub params: BTreeMap<String, Value>,
    /// Inputs.
    pub inputs: Vec<InputDecl>,
    /// What stands in braces, outer before inner; the first is the file itself.
    pub blocks: Vec<Block>,
    /// Steps, in the order of the file.
    pub steps: Vec<StepDecl>,
    /// Expectations.
    pub expects: Vec<ExpectDecl>,
    /// Reports.
    pub reports: Vec<ReportDecl>,
    /// Where the texts of used files begin, for mistakes that show later.
    pub(crate) places: Places,
    step_names: HashMap<String, usize>,
    input_names: HashMap<String, usize>,
}

/// An input.
#[derive(Debug, Clone)]
pub struct InputDecl {
    /// Its name.
    pub name: Word,
    /// Alternatives, in the order written.
    pub alternatives: Vec<Alternative>,
    /// The kind of its members, when it is a [`Kind::Dir`]: files, or what the reader makes of each file of a pattern.
    pub members: Kind,
    /// The kind that every alternative gives.
    pub kind: Kind,
}

/// One alternative of an input.
#[derive(Debug, Clone)]
pub struct Alternative {
    /// A reader such as `dataset`, or a stage without inputs.
    pub reader: String,
    /// Whether it is a stage.
    pub is_stage: bool,
    /// Arguments by position: a path or a name.
    pub arguments: Vec<Value>,
    /// Arguments by name; for a stage its parameters.
    pub named: BTreeMap<String, Value>,
    /// Whether `when` allows it.
    pub wanted: bool,
    /// Its place.
    pub span: Span,
}

/// Statements in braces: a loop's, a branch's, or the file's own.
#[derive(Debug, Clone)]
pub struct Block {
    /// The block that it stands in; the file's own is 0.
    pub parent: usize,
    /// How many blocks stand around it.
    pub depth: usize,
    /// How many loops stand around what is in it, itself included.
    pub loops: usize,
    /// What it is.
    pub kind: BlockKind,
}

/// What a block is.
#[derive(Debug, Clone)]
pub enum BlockKind {
    /// The file.
    File,
    /// `for variable in list { … }`, or one setting of a `sweep`.
    Loop(Loop),
    /// One side of an `if` that is decided while the pipeline runs.
    Branch(Branch),
}

/// A loop.
#[derive(Debug, Clone)]
pub struct Loop {
    /// The loop variable.
    pub variable: Word,
    /// What it goes over.
    pub list: LoopList,
    /// The place of the list.
    pub span: Span,
}

/// What a loop goes over.
#[derive(Debug, Clone)]
pub enum LoopList {
    /// Values known when the file is checked, each once.
    Values(Arc<[Value]>),
    /// Whole numbers, half-open.
    Numbers(std::ops::Range<i64>),
    /// The members of a [`Kind::Dir`] input, known when it is found.
    Members(usize),
    /// The values of a column, each once, known when the step that gives it has run.
    Column(Box<ColumnRef>),
}

/// A column of a step's output.
#[derive(Debug, Clone)]
pub struct ColumnRef {
    /// The step, one of its members.
    pub reference: DataRef,
    /// The column.
    pub column: Word,
}

/// One side of an `if`.
#[derive(Debug, Clone)]
pub struct Branch {
    /// The condition.
    pub condition: Arc<Expr>,
    /// Whether this side counts when it holds, or when it does not.
    pub when: bool,
    /// The steps whose scores it names.
    pub steps: Vec<usize>,
}

/// What a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A step.
    Step(usize),
    /// An input.
    Input(usize),
}

/// A reference to a result.
#[derive(Debug, Clone)]
pub struct DataRef {
    /// What it names.
    pub target: Target,
    /// Indices in brackets; `None` is `*`.
    pub indices: Vec<Option<Expr>>,
    /// The output after a point.
    pub output: Option<Word>,
    /// Whether it stands in `gather(…)`.
    pub gather: bool,
    /// Its place.
    pub span: Span,
}

/// What a reference gives where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// How many loops are left open.
    pub(crate) open: usize,
    /// Whether it stands in `gather(…)`.
    pub(crate) gather: bool,
    /// Whether a branch that is decided while the pipeline runs may leave it out.
    pub(crate) conditional: bool,
}

impl Shape {
    pub(crate) fn is_family(&self) -> bool {
        self.gather || self.open > 0
    }
}

/// A value for one of a stage's inputs.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The stage's input.
    pub slot: String,
    /// What fills it.
    pub reference: DataRef,
    /// The kind of the value.
    pub kind: Kind,
    /// Whether several members may fill it.
    pub family: bool,
}

/// A program that a step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The command, with `{{ name }}` where paths and values go.
    pub template: String,
    /// How its output is read: the name of a reader.
    pub reader: String,
    /// The file that it writes, in its working folder.
    pub file: String,
}

/// What the table of a `sweep` gathers.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Its settings, and the variables of loops inside, by name and as they are called in the blocks.
    pub settings: Vec<(String, String)>,
    /// The steps inside that give scores: the step, and its output of scores.
    pub steps: Vec<(usize, String)>,
}

/// A step.
#[derive(Debug, Clone)]
pub struct StepDecl {
    /// Its name.
    pub name: Word,
    /// The stage that it calls; `exec` for a program.
    pub stage: String,
    /// The program, for `exec`.
    pub program: Option<Arc<Program>>,
    /// What it gathers, for the table of a `sweep`.
    pub sweep: Option<Sweep>,
    /// The block that it stands in.
    pub block: usize,
    /// What fills the stage's inputs.
    pub bindings: Vec<Binding>,
    /// Parameters as written.
    pub params: Vec<(Word, Expr)>,
    /// Policies as written.
    pub with: Vec<(Word, Expr)>,
    /// Outputs of the stage and their kinds, the default first.
    pub outputs: Vec<(String, Kind)>,
    /// Metrics of the stage.
    pub metrics: Vec<Arc<str>>,
    /// Its place.
    pub span: Span,
}

/// `expect …`.
#[derive(Debug, Clone)]
pub struct ExpectDecl {
    /// The condition.
    pub condition: Expr,
    /// The condition as written, on one line.
    pub written: String,
    /// The message.
    pub message: Option<String>,
    /// The steps whose scores it names.
    pub steps: Vec<usize>,
}

/// `report …`.
#[derive(Debug, Clone)]
pub struct ReportDecl {
    /// Its name.
    pub name: Word,
    /// Its title.
    pub title: Option<String>,
    /// The steps that it shows.
    pub steps: Vec<usize>,
    /// The file that lays its page out, from the pipeline's folder; none for the page that comes with the program.
    pub template: Option<Word>,
}

impl Default for Pipeline {
    fn default() -> Pipeline {
        Pipeline {
            name: String::new(),
            title: None,
            params: BTreeMap::new(),
            inputs: Vec::new(),
            blocks: vec![Block { parent: 0, depth: 0, loops: 0, kind: BlockKind::File }],
            steps: Vec::new(),
            expects: Vec::new(),
            reports: Vec::new(),
            places: Places::default(),
            step_names: HashMap::new(),
            input_names: HashMap::new(),
        }
    }
}

impl Pipeline {
    /// Nothing yet but the texts.
    pub(crate) fn beginning(places: Places) -> Pipeline {
        Pipeline { places, ..Pipeline::default() }
    }

    /// A step by name.
    pub fn step(&self, name: &str) -> Option<usize> {
        self.step_names.get(name).copied()
    }

    /// An input by name.
    pub fn input(&self, name: &str) -> Option<usize> {
        self.input_names.get(name).copied()
    }

    pub(crate) fn add_step(&mut self, step: StepDecl) -> usize {
        self.step_names.entry(step.name.text.clone()).or_insert(self.steps.len());
        self.steps.push(step);
        self.steps.len() - 1
    }

    pub(crate) fn add_input(&mut self, input: InputDecl) {
        self.input_names.entry(input.name.text.clone()).or_insert(self.inputs.len());
        self.inputs.push(input);
    }

    pub(crate) fn add_block(&mut self, parent: usize, kind: BlockKind) -> usize {
        let outer = &self.blocks[parent];
        let loops = outer.loops + usize::from(matches!(kind, BlockKind::Loop(_)));
        self.blocks.push(Block { parent, depth: outer.depth + 1, loops, kind });
        self.blocks.len() - 1
    }

    /// What names mean outside of loops.
    pub fn scope(&self) -> Scope<'_> {
        Scope::new(&self.params)
    }

    /// How many loops stand around a step.
    pub fn loops(&self, step: usize) -> usize {
        self.blocks[self.steps[step].block].loops
    }

    /// The labels of one of the loops around a step, counted from the outermost, when they are written in the file.
    pub(crate) fn labels_of_loop(&self, step: usize, depth: usize) -> Option<Vec<Arc<str>>> {
        let mut loops = self.path(0, self.steps[step].block).into_iter().filter_map(|block| match &self.blocks[block].kind {
            BlockKind::Loop(around) => Some(&around.list),
            _ => None,
        });
        match loops.nth(depth)? {
            LoopList::Values(values) if !values.is_empty() => Some(values.iter().map(label_of).collect()),
            _ => None,
        }
    }

    /// Whether a step stands in a branch that is decided while the pipeline runs.
    pub fn is_conditional(&self, step: usize) -> bool {
        self.has_branch(0, self.steps[step].block)
    }

    /// The variables of the loops around what stands in a block, innermost first.
    pub(crate) fn variables(&self, block: usize) -> impl Iterator<Item = &str> {
        let around = std::iter::successors(Some(block), |at| (*at != 0).then(|| self.blocks[*at].parent));
        around.filter_map(|at| match &self.blocks[at].kind {
            BlockKind::Loop(around) => Some(around.variable.text.as_str()),
            _ => None,
        })
    }

    /// The output that a reference to a step takes: the one that it names, or the step's default.
    pub(crate) fn output_of(&self, reference: &DataRef) -> Arc<str> {
        let Target::Step(step) = reference.target else { return "".into() };
        let named = reference.output.as_ref().map(|word| word.text.as_str());
        named.or_else(|| self.steps[step].outputs.first().map(|(name, _)| name.as_str())).unwrap_or_default().into()
    }

    /// The blocks from `outer`, which is left out, down to `inner`, which stands in it.
    pub(crate) fn path(&self, outer: usize, inner: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut at = inner;
        while at != outer && at != 0 {
            path.push(at);
            at = self.blocks[at].parent;
        }
        path.reverse();
        path
    }

    /// Whether a branch is decided between `outer` and `inner`.
    pub(crate) fn has_branch(&self, outer: usize, inner: usize) -> bool {
        self.path(outer, inner).into_iter().any(|block| matches!(self.blocks[block].kind, BlockKind::Branch(_)))
    }

    /// The innermost block that both stand in.
    pub(crate) fn common(&self, mut a: usize, mut b: usize) -> usize {
        while a != b {
            if self.blocks[a].depth >= self.blocks[b].depth {
                a = self.blocks[a].parent;
            } else {
                b = self.blocks[b].parent;
            }
        }
        a
    }

    /// What a reference gives to something in a block.
    pub(crate) fn shape(&self, reference: &DataRef, block: usize) -> Shape {
        let Target::Step(step) = reference.target else {
            // An input is no family; a Dir that is taken whole is one value.
            let open = usize::from(reference.indices.iter().any(Option::is_none));
            return Shape { open, gather: reference.gather, conditional: false };
        };
        let target = self.steps[step].block;
        let shared = self.common(block, target);
        let open = if reference.indices.is_empty() {
            self.blocks[target].loops - self.blocks[shared].loops
        } else {
            self.blocks[target].loops.saturating_sub(reference.indices.iter().filter(|index| index.is_some()).count())
        };
        Shape { open, gather: reference.gather, conditional: self.has_branch(shared, target) }
    }

    /// The steps whose results a step takes, each once.
    pub fn needs(&self, step: usize) -> Vec<usize> {
        let targets = self.steps[step].bindings.iter().filter_map(|binding| match binding.reference.target {
            Target::Step(step) => Some(step),
            Target::Input(_) => None,
        });
        let swept = self.steps[step].sweep.iter().flat_map(|sweep| sweep.steps.iter().map(|(step, _)| *step));
        let mut needs: Vec<usize> = targets.chain(swept).collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// The steps that must be known before a step can be unrolled: those that it takes, and those that decide the loops and branches around it.
    pub(crate) fn after(&self, step: usize) -> Vec<usize> {
        let mut after = self.needs(step);
        let mut block = self.steps[step].block;
        while block != 0 {
            match &self.blocks[block].kind {
                BlockKind::Loop(Loop { list: LoopList::Column(column), .. }) => {
                    after.extend(match column.reference.target {
                        Target::Step(step) => Some(step),
                        Target::Input(_) => None,
                    });
                }
                BlockKind::Branch(branch) => after.extend(&branch.steps),
                _ => {}
            }
            block = self.blocks[block].parent;
        }
        after.sort_unstable();
        after.dedup();
        after
    }
}
