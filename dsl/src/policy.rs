//! Policies: what `with` says about how a step runs.

use crate::ast::{Expr, Word};
use crate::diagnostics::Diagnostic;
use crate::evaluate::{Scope, evaluate};
use neuroflow_stage::{Control, Dimension, GpuPolicy, Value, nearest};

/// How a step runs. All but `seed` and `controls` leave its result as it is; the locked environment and the scripts are content and belong to the question.
#[derive(Debug, Clone, PartialEq)]
pub struct Policies {
    /// `seed`, or 0.
    pub seed: u64,
    /// `control`: one or a list.
    pub controls: Vec<Control>,
    /// `cores`, or 1.
    pub cores: usize,
    /// `gpu`.
    pub gpu: GpuPolicy,
    /// False for `cache = off`.
    pub cached: bool,
    /// `time`, in seconds: the longest that it may run.
    pub time: Option<f64>,
    /// `retries`, or 0: how often it is started again when it failed.
    pub retries: u64,
    /// `backoff`, in seconds: how long to wait before the first retry; twice as long before each further one.
    pub backoff: f64,
    /// `memory`, in bytes: for the first try, and the most that a try after running out of it may have.
    pub memory: Option<(u64, u64)>,
    /// `pool`: named pools, and how many places of each it takes.
    pub pools: Vec<(String, u64)>,
    /// True for `isolate = process`.
    pub isolate: bool,
    /// `executor`: the name that a profile gives it.
    pub executor: Option<String>,
    /// `env`, for programs: a lock below the pipeline's folder.
    pub environment: Option<String>,
    /// `scripts`, for programs: paths and patterns below the pipeline's folder.
    pub scripts: Vec<String>,
    /// `reads`, for programs: absolute paths that it may read.
    pub reads: Vec<String>,
    /// `network`, for programs.
    pub network: bool,
}

impl Default for Policies {
    fn default() -> Policies {
        Policies {
            seed: 0,
            controls: Vec::new(),
            cores: 1,
            gpu: GpuPolicy::Never,
            cached: true,
            time: None,
            retries: 0,
            backoff: 0.0,
            memory: None,
            pools: Vec::new(),
            isolate: false,
            executor: None,
            environment: None,
            scripts: Vec::new(),
            reads: Vec::new(),
            network: false,
        }
    }
}

/// Policies that every step takes.
const EVERY: [&str; 12] =
    ["seed", "control", "cores", "memory", "gpu", "time", "retries", "backoff", "pool", "isolate", "executor", "cache"];
/// Policies that only a program takes.
const PROGRAMS: [&str; 4] = ["env", "scripts", "reads", "network"];

/// The longest time that can be meant, in seconds: a century.
const MOST_SECONDS: f64 = 100.0 * 366.0 * 86400.0;

impl Policies {
    /// The policies of a `with`, evaluated.
    ///
    /// # Errors
    /// Everything that is wrong with them, each at its place.
    pub(crate) fn read(with: &[(Word, Expr)], program: bool, scope: &Scope<'_>) -> Result<Policies, Vec<Diagnostic>> {
        let (mut policies, mut told) = (Policies::default(), Vec::new());
        for (position, (key, expr)) in with.iter().enumerate() {
            if let Err(diagnostic) = check_name(key, program) {
                told.push(*diagnostic);
                continue;
            }
            if let Some((first, _)) = with[..position].iter().find(|(earlier, _)| earlier.text == key.text) {
                let message = format!("`{}` is given twice", key.text);
                told.push(Diagnostic::error("duplicate-name", key.span.clone(), message).note(first.span.clone(), "first here"));
                continue;
            }
            let value = match evaluate(expr, scope) {
                Ok(value) => value,
                Err(diagnostic) => {
                    told.push(diagnostic);
                    continue;
                }
            };
            if let Err(wrong) = policies.set(&key.text, &value) {
                told.push(wrong.told(key, &value, expr));
            }
        }
        if told.is_empty() { Ok(policies) } else { Err(told) }
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), Wrong> {
        match key {
            "seed" => self.seed = whole(value, 0..=i64::MAX, "a whole number that is not negative")?,
            "cores" => {
                let cores = whole(value, 1..=4096, "a number of cores from 1 to 4096")?;
                self.cores = usize::try_from(cores).unwrap_or(1);
            }
            "gpu" => {
                self.gpu = match word(value, &["never", "prefer", "require"])? {
                    "prefer" => GpuPolicy::Prefer,
                    "require" => GpuPolicy::Require,
                    _ => GpuPolicy::Never,
                };
            }
            "cache" => self.cached = word(value, &["on", "off"])? == "on",
            "control" => {
                for control in controls_in(value) {
                    self.controls.push(Control::parse(control).map_err(Wrong::Control)?);
                }
            }
            "time" => self.time = Some(seconds(value, "a duration such as `10 min`", false)?),
            "retries" => self.retries = whole(value, 0..=100, "a number from 0 to 100")?,
            "backoff" => self.backoff = seconds(value, "a duration such as `5 s`", true)?,
            "memory" => self.memory = Some(memory(value)?),
            "pool" => self.pools = pools(value)?,
            "isolate" => self.isolate = word(value, &["process", "none"])? == "process",
            "executor" => match value {
                Value::Word(name) => self.executor = Some(name.clone()),
                _ => return Err(Wrong::value("the name of an executor, as a word such as `slurm`")),
            },
            "env" => self.environment = Some(below(value, "the path of a lock below the pipeline's folder, such as `\"envs/py.lock\"`")?),
            "scripts" => {
                let expected = "a list of paths below the pipeline's folder, such as `[\"scripts/*.py\"]`";
                self.scripts =
                    texts(value, expected)?.into_iter().map(|text| below(&Value::Text(text), expected)).collect::<Result<_, _>>()?;
            }
            "reads" => {
                let expected = "a list of absolute paths, such as `[\"/opt/fsl\"]`";
                self.reads = texts(value, expected)?;
                if self.reads.iter().any(|path| !path.starts_with('/') || path.contains('\0') || path.split('/').any(|part| part == "..")) {
                    return Err(Wrong::value(expected));
                }
            }
            "network" => self.network = word(value, &["on", "off"])? == "on",
            _ => {}
        }
        Ok(())
    }
}

/// The controls in a value: one, or a list.
pub(crate) fn controls_in(value: &Value) -> &[Value] {
    match value {
        Value::List(values) => values,
        one => std::slice::from_ref(one),
    }
}

/// What is wrong with a policy's value.
enum Wrong {
    /// What would be right.
    Value(String),
    /// A quantity of another kind, or a number without a unit; what would be right.
    Unit(String),
    /// A control that there is not, in words.
    Control(String),
}

impl Wrong {
    fn value(expected: impl Into<String>) -> Wrong {
        Wrong::Value(expected.into())
    }

    fn told(self, key: &Word, value: &Value, expr: &Expr) -> Diagnostic {
        let (code, expected) = match self {
            Wrong::Value(expected) => ("wrong-value", expected),
            Wrong::Unit(expected) => ("unit-mismatch", expected),
            Wrong::Control(message) => return Diagnostic::error("unknown-control", expr.span.clone(), format!("control: {message}")),
        };
        let told = Diagnostic::error(code, expr.span.clone(), format!("`{}` is {expected}, this is `{value}`", key.text));
        // A word that is nearly right, such as `requires`.
        let near = match value {
            Value::Word(word) => nearest(word, expected.split('`').skip(1).step_by(2)).map(|near| format!("did you mean `{near}`?")),
            _ => None,
        };
        told.help_if(near)
    }
}

/// Whether there is such a policy for such a step.
fn check_name(key: &Word, program: bool) -> Result<(), Box<Diagnostic>> {
    let name = key.text.as_str();
    if EVERY.contains(&name) || (program && PROGRAMS.contains(&name)) {
        return Ok(());
    }
    if PROGRAMS.contains(&name) {
        let message = format!("`{name}` is a policy of programs, and this step calls a stage");
        let help = "a stage sees no files and no network; leave it out";
        return Err(Box::new(Diagnostic::error("unknown-policy", key.span.clone(), message).help(help)));
    }
    let names = || EVERY.into_iter().chain(PROGRAMS.into_iter().filter(|_| program));
    let near = nearest(name, names()).map(|near| format!("did you mean `{near}`?"));
    let list = names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let message = format!("there is no policy `{name}`; there are {list}");
    Err(Box::new(Diagnostic::error("unknown-policy", key.span.clone(), message).help_if(near)))
}

fn whole(value: &Value, allowed: std::ops::RangeInclusive<i64>, expected: &str) -> Result<u64, Wrong> {
    match value {
        Value::Int(number) if allowed.contains(number) => Ok(number.unsigned_abs()),
        Value::Quantity(_) => Err(Wrong::Unit(expected.into())),
        _ => Err(Wrong::value(expected)),
    }
}

fn word<'w>(value: &Value, words: &[&'w str]) -> Result<&'w str, Wrong> {
    let expected = || {
        let (last, first) = words.split_last().map_or(("", &[][..]), |(last, first)| (*last, first));
        format!("{} or `{last}`", first.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
    };
    match value {
        Value::Word(word) => words.iter().find(|known| *known == word).copied().ok_or_else(|| Wrong::Value(expected())),
        _ => Err(Wrong::Value(expected())),
    }
}

fn seconds(value: &Value, expected: &str, zero: bool) -> Result<f64, Wrong> {
    match value {
        Value::Quantity(time) if time.dimension == Dimension::Time => {
            let fits = (time.value > 0.0 || zero && time.value == 0.0) && time.value <= MOST_SECONDS;
            if fits { Ok(time.value) } else { Err(Wrong::value(expected)) }
        }
        Value::Quantity(_) | Value::Int(_) | Value::Number(_) => Err(Wrong::Unit(expected.into())),
        _ => Err(Wrong::value(expected)),
    }
}

/// `4 GiB`, or `4 GiB .. 16 GiB`: bytes for the first try, and at most.
fn memory(value: &Value) -> Result<(u64, u64), Wrong> {
    const EXPECTED: &str = "an amount such as `4 GiB`, or a range such as `4 GiB .. 16 GiB`";
    let bytes = |value: &Value| match value {
        Value::Quantity(amount) if amount.dimension == Dimension::Memory => {
            // Exact up to 8 PiB, which no machine has.
            if (1.0..=9e15).contains(&amount.value) { Ok(amount.value as u64) } else { Err(Wrong::value(EXPECTED)) }
        }
        Value::Quantity(_) | Value::Int(_) | Value::Number(_) => Err(Wrong::Unit(EXPECTED.into())),
        _ => Err(Wrong::value(EXPECTED)),
    };
    match value {
        Value::Range(first, most) => {
            let (first, most) = (bytes(first)?, bytes(most)?);
            if first <= most { Ok((first, most)) } else { Err(Wrong::value(EXPECTED)) }
        }
        one => bytes(one).map(|amount| (amount, amount)),
    }
}

/// `name`, `name(2)`, or a list of those.
fn pools(value: &Value) -> Result<Vec<(String, u64)>, Wrong> {
    const EXPECTED: &str = "a pool's name, `name(2)` for two of its places, or a list of those, each once";
    let mut pools: Vec<(String, u64)> = Vec::new();
    for one in controls_in(value) {
        let (name, places) = match one {
            Value::Word(name) => (name, 1),
            Value::Call(call) => match (call.positional.as_slice(), call.named.as_slice()) {
                ([places], []) => (&call.name, whole(places, 1..=1_000_000, EXPECTED)?),
                _ => return Err(Wrong::value(EXPECTED)),
            },
            _ => return Err(Wrong::value(EXPECTED)),
        };
        if pools.iter().any(|(known, _)| known == name) {
            return Err(Wrong::value(EXPECTED));
        }
        pools.push((name.clone(), places));
    }
    Ok(pools)
}

/// One text, or a list of texts.
fn texts(value: &Value, expected: &str) -> Result<Vec<String>, Wrong> {
    let values = match value {
        Value::List(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    values
        .iter()
        .map(|value| match value {
            Value::Text(text) if !text.is_empty() => Ok(text.clone()),
            _ => Err(Wrong::value(expected)),
        })
        .collect()
}

/// A path that stays below the pipeline's folder.
fn below(value: &Value, expected: &str) -> Result<String, Wrong> {
    match value {
        Value::Text(path) if crate::used::stays_below(path) => Ok(path.clone()),
        _ => Err(Wrong::value(expected)),
    }
}
