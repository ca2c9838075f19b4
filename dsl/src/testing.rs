//! For tests: a few stages that do nothing, and a run that is played.

use crate::expand::{Expansion, Known};
use crate::used::Files;
use crate::{Catalogue, Checked, Diagnostic, Pipeline, check_with, glob};
use neuroflow_data::{Kind, Score};
use neuroflow_stage::{
    AnyStage, Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Registry, Signature, Stage, StageError, Value, params,
};
use std::collections::{BTreeMap, BTreeSet};

params! {
    /// What every stage here takes.
    pub struct Plain {
        /// A number.
        n: i64 = 0, in 0.0..=1e9;
        /// A share.
        share: f64 = 0.0;
        /// A text.
        text: String = "";
    }
}

macro_rules! stages {
    ($($stage:ident $name:literal [$($input:expr),*] [$($output:expr),*] $metrics:expr;)*) => {
        $(
            struct $stage;

            impl Stage for $stage {
                type Params = Plain;

                fn signature(&self) -> Signature {
                    Signature {
                        name: $name,
                        version: 1,
                        summary: "",
                        doc: "",
                        inputs: vec![$($input),*],
                        outputs: vec![$($output),*],
                        params: Vec::new(),
                        metrics: $metrics,
                        sites: Vec::new(),
                        transductive: false,
                        exactness: Exactness::Bitwise,
                    }
                }

                fn run(&self, _inputs: &Inputs, _params: &Plain, _context: &Context) -> Result<Outputs, StageError> {
                    Ok(Outputs::new())
                }
            }
        )*
        const STAGES: &[&dyn AnyStage] = &[$(&$stage),*];
    };
}

const TABLES: &[Kind] = &[Kind::Table];
const EITHER: &[Kind] = &[Kind::Table, Kind::Tensor];

stages! {
    Give "t.give" [] [OutputSpec::new("table", Kind::Table, "", ""), OutputSpec::new("rest", Kind::Tensor, "", "")] &[];
    Take "t.take" [InputSpec::one("table", TABLES, "", "")] [OutputSpec::new("table", Kind::Table, "", "")] &[];
    Rate "t.rate" [InputSpec::one("table", TABLES, "", "")]
        [OutputSpec::new("scores", Kind::Scores, "", ""), OutputSpec::new("table", Kind::Table, "", "")] &["accuracy"];
    Same "t.same" [InputSpec::one("value", EITHER, "", ""), InputSpec::optional("other", TABLES, "", "")]
        [OutputSpec::like("value", "value", Kind::Table, "", ""), OutputSpec::new("notes", Kind::Table, "", "")] &[];
    Join "t.join" [InputSpec::many("tables", TABLES, "", "")] [OutputSpec::new("table", Kind::Table, "", "")] &[];
}

pub(crate) fn registry() -> Registry {
    Registry::new(&[STAGES])
}

/// Files by path.
#[derive(Default)]
pub(crate) struct Memory(pub(crate) BTreeMap<String, String>);

impl Files for Memory {
    fn read(&self, path: &str) -> Result<String, String> {
        self.0.get(path).cloned().ok_or_else(|| format!("there is no file {path}"))
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        Ok(self.0.keys().filter(|path| glob::matches(pattern, path)).cloned().collect())
    }
}

pub(crate) fn checked(text: &str, files: &[(&str, &str)]) -> Checked {
    let files = Memory(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect());
    check_with(text, &[], &Catalogue { stages: &registry(), readers: &[("files", Kind::Dir), ("csv", Kind::Table)] }, &files)
}

/// A pipeline without mistakes.
#[track_caller]
pub(crate) fn pipeline(text: &str) -> Pipeline {
    let checked = checked(text, &[]);
    assert!(!crate::diagnostics::has_errors(&checked.diagnostics), "{:#?}", checked.diagnostics);
    checked.pipeline
}

/// What a run comes to know, by the labels of instances.
#[derive(Default, Clone)]
pub(crate) struct World {
    pub(crate) members: Vec<String>,
    /// By `label.column`.
    pub(crate) columns: BTreeMap<String, Vec<Value>>,
    pub(crate) scores: BTreeMap<String, f64>,
}

/// What of it is known.
struct Seen<'w> {
    world: &'w World,
    labels: Vec<String>,
    done: &'w BTreeSet<usize>,
}

impl Known for Seen<'_> {
    fn members(&self, _input: usize) -> Vec<String> {
        self.world.members.clone()
    }

    fn column(&self, instance: usize, _output: &str, column: &str) -> Option<Result<Vec<Value>, String>> {
        self.done.contains(&instance).then(|| {
            let name = format!("{}.{column}", self.labels[instance]);
            self.world.columns.get(&name).cloned().ok_or_else(|| format!("there is no column `{column}`"))
        })
    }

    fn scores(&self, instance: usize) -> Option<Vec<Score>> {
        self.done.contains(&instance).then(|| {
            let value = self.world.scores.get(&self.labels[instance]).copied().unwrap_or(0.0);
            vec![Score::new("accuracy", value, 1)]
        })
    }
}

/// A run: what is waited for becomes known, one step after the other in the order that `choose` gives.
pub(crate) fn played(
    pipeline: &Pipeline,
    world: &World,
    mut choose: impl FnMut(&BTreeSet<usize>) -> usize,
) -> Result<Expansion, Vec<Diagnostic>> {
    let stages = registry();
    let mut expansion = Expansion::new(pipeline);
    let mut done = BTreeSet::new();
    loop {
        let labels = expansion.instances.iter().map(super::StepInstance::label).collect();
        let before = expansion.instances.len();
        let range = expansion.grow(pipeline, &stages, &Seen { world, labels, done: &done })?;
        assert_eq!(range.start, before);
        assert_eq!(range.end, expansion.instances.len());
        if expansion.is_complete() {
            assert!(expansion.waits_for().is_empty());
            return Ok(expansion);
        }
        assert!(!expansion.waits_for().is_empty(), "nothing is waited for, and not all is unrolled");
        assert!(expansion.waits_for().is_disjoint(&done));
        done.insert(choose(expansion.waits_for()));
    }
}

pub(crate) fn labels(expansion: &Expansion) -> Vec<String> {
    expansion.instances.iter().map(super::StepInstance::label).collect()
}
