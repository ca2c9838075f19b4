//! Typed parameters whose declaration is their manual.
//!
//! [`params!`](crate::params!) declares the parameter struct of a stage, [`words!`](crate::words!) a choice whose words may take arguments of their own. Doc
//! comments become the manual; defaults and limits become the checker's rules.
//!
//! ```
//! use neuroflow_stage::{params, words, value::Value, params::Params};
//!
//! words! {
//!     /// How units are scaled.
//!     pub enum Scaling {
//!         /// Not at all.
//!         None = "none" {},
//!         /// To mean 0 and standard deviation 1.
//!         ZScore = "zscore" {
//!             /// Added to the standard deviation.
//!             floor: f64 = 0.0, in 0.0..=1.0;
//!         },
//!     }
//! }
//!
//! params! {
//!     /// Parameters of a small stage.
//!     pub struct Small {
//!         /// The trial column to predict.
//!         target: String;
//!         /// The number of folds.
//!         folds: usize = 8, in 2.0..=100.0;
//!         /// Scaling of units.
//!         scaling: Scaling = Value::word("zscore");
//!     }
//! }
//!
//! let given = [("target".to_owned(), Value::from("direction"))].into();
//! let small = Small::from_values(&given).unwrap();
//! assert_eq!((small.folds, small.target.as_str()), (8, "direction"));
//! assert!(Small::from_values(&[("target".to_owned(), 3.into())].into()).is_err());
//! ```

use crate::quantity::{Dimension, Quantity};
use crate::value::Value;
use std::collections::BTreeMap;

/// What values a parameter takes.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamType {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A number with a unit of this dimension.
    Quantity(Dimension),
    /// Text in quotes.
    Text,
    /// `a .. b` of this type, half-open.
    Range(Box<ParamType>),
    /// `[a, b]` of this type.
    List(Box<ParamType>),
    /// One of several words, some with arguments.
    Choice(Vec<Variant>),
    /// Any of several types.
    OneOf(Vec<ParamType>),
    /// Any value.
    Any,
}

/// One word of a choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// The word.
    pub name: &'static str,
    /// What it means.
    pub doc: String,
    /// Its arguments; those without a name are taken in this order.
    pub params: Vec<ParamSpec>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// Its name.
    pub name: &'static str,
    /// What it means: the manual entry.
    pub doc: String,
    /// What values it takes.
    pub ty: ParamType,
    /// Its value when none is given; none when it must be given.
    pub default: Option<Value>,
    /// Smallest and largest number allowed (both included), in base units; holds for each number in a list or range.
    pub limits: Option<(f64, f64)>,
}

impl ParamType {
    /// What is expected, in words: `a whole number`, `a duration such as 50 ms`, `one of lda, logistic`.
    pub fn describe(&self) -> String {
        match self {
            ParamType::Bool => "true or false".into(),
            ParamType::Integer => "a whole number".into(),
            ParamType::Number => "a number".into(),
            ParamType::Quantity(Dimension::Ratio) => "a share such as `10 %`".into(),
            ParamType::Quantity(dimension) => format!("a {} such as `50 {}`", dimension.name(), dimension.units().get(1).unwrap_or(&"")),
            ParamType::Text => "text in quotes".into(),
            ParamType::Range(inner) => format!("a range `a .. b` of {}", inner.describe()),
            ParamType::List(inner) => format!("a list of {}", inner.describe()),
            ParamType::Choice(variants) => {
                let names = variants.iter().map(|variant| format!("`{}`", variant.name)).collect::<Vec<_>>().join(", ");
                if variants.len() == 1 { names } else { format!("one of {names}") }
            }
            ParamType::OneOf(types) => types.iter().map(ParamType::describe).collect::<Vec<_>>().join(" or "),
            ParamType::Any => "any value".into(),
        }
    }
}

impl ParamSpec {
    /// Whether a value may stand here: its type and limits, nested arguments included.
    ///
    /// # Errors
    /// What is wrong, in words that name what would be right.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        check_type(&self.ty, value)?;
        if let Some((low, high)) = self.limits {
            let mut numbers = Vec::new();
            collect_numbers(value, &mut numbers);
            if let Some(outside) = numbers.iter().find(|number| !(**number >= low && **number <= high)) {
                return Err(format!("{outside} is outside {}", describe_limits(low, high)));
            }
        }
        Ok(())
    }
}

/// `0 to 1`, `at least 2`, `at most 5`.
pub fn describe_limits(low: f64, high: f64) -> String {
    match (low.is_finite(), high.is_finite()) {
        (true, true) => format!("{} to {}", plain(low), plain(high)),
        (true, false) => format!("what is allowed, at least {}", plain(low)),
        (false, true) => format!("what is allowed, at most {}", plain(high)),
        (false, false) => "any number".into(),
    }
}

/// A number without a row of zeros.
fn plain(number: f64) -> String {
    let size = number.abs();
    if size >= 1e7 || (size > 0.0 && size < 1e-4) { format!("{number:e}") } else { format!("{number}") }
}

fn collect_numbers(value: &Value, numbers: &mut Vec<f64>) {
    match value {
        Value::Int(_) | Value::Number(_) => numbers.extend(value.as_number()),
        Value::Quantity(quantity) => numbers.push(quantity.value),
        Value::List(values) => values.iter().for_each(|value| collect_numbers(value, numbers)),
        Value::Range(start, end) => [start, end].into_iter().for_each(|value| collect_numbers(value, numbers)),
        _ => {}
    }
}

fn check_type(ty: &ParamType, value: &Value) -> Result<(), String> {
    let wrong = || Err(format!("{} is expected, this is {}", ty.describe(), value.describe()));
    match (ty, value) {
        (ParamType::Any, _)
        | (ParamType::Bool, Value::Bool(_))
        | (ParamType::Integer, Value::Int(_))
        | (ParamType::Number, Value::Int(_) | Value::Number(_))
        | (ParamType::Text, Value::Text(_)) => Ok(()),
        (ParamType::Quantity(dimension), Value::Quantity(quantity)) if *dimension == quantity.dimension => Ok(()),
        (ParamType::Quantity(_), Value::Int(_) | Value::Number(_)) => {
            Err(format!("{} is expected; this number has no unit", ty.describe()))
        }
        (ParamType::Range(inner), Value::Range(start, end)) => {
            check_type(inner, start)?;
            check_type(inner, end)?;
            let number = |value: &Value| match value {
                Value::Quantity(quantity) => Some(quantity.value),
                value => value.as_number(),
            };
            match (number(start), number(end)) {
                (Some(low), Some(high)) if low >= high => Err(format!("the range `{value}` is empty: its start must come before its end")),
                _ => Ok(()),
            }
        }
        (ParamType::List(inner), Value::List(values)) => values.iter().try_for_each(|value| check_type(inner, value)),
        (ParamType::Choice(variants), Value::Word(_) | Value::Call(_) | Value::Text(_)) => resolve_variant(variants, value).map(|_| ()),
        (ParamType::OneOf(types), value) => {
            if types.iter().any(|ty| check_type(ty, value).is_ok()) {
                return Ok(());
            }
            // The message of a choice with the right word tells more than "one of these".
            for ty in types {
                if let (ParamType::Choice(variants), Value::Call(call)) = (ty, value)
                    && variants.iter().any(|variant| variant.name == call.name)
                {
                    return check_type(ty, value);
                }
            }
            wrong()
        }
        _ => wrong(),
    }
}

/// The variant that a word or call names, and its arguments by name with defaults filled in.
///
/// # Errors
/// When the word is unknown (the nearest is suggested), or an argument is unknown, missing, given twice or wrong.
pub fn resolve_variant<'a>(variants: &'a [Variant], value: &Value) -> Result<(&'a Variant, BTreeMap<String, Value>), String> {
    let (name, positional, named): (&str, &[Value], &[(String, Value)]) = match value {
        Value::Word(word) | Value::Text(word) => (word, &[], &[]),
        Value::Call(call) => (&call.name, &call.positional, &call.named),
        other => return Err(format!("a word is expected, this is {}", other.describe())),
    };
    let Some(variant) = variants.iter().find(|variant| variant.name == name) else {
        let names = variants.iter().map(|variant| format!("`{}`", variant.name)).collect::<Vec<_>>().join(", ");
        let hint = match crate::nearest(name, variants.iter().map(|variant| variant.name)) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => String::new(),
        };
        return Err(format!("`{name}` is not one of {names}{hint}"));
    };
    let mut values = BTreeMap::new();
    for (position, value) in positional.iter().enumerate() {
        let Some(spec) = variant.params.get(position) else {
            return Err(format!("`{name}` takes {} arguments, {} are given", variant.params.len(), positional.len()));
        };
        values.insert(spec.name.to_owned(), value.clone());
    }
    for (key, value) in named {
        if values.insert(key.clone(), value.clone()).is_some() {
            return Err(format!("`{key}` of `{name}` is given twice"));
        }
    }
    let values = fill(&variant.params, &values).map_err(|error| format!("in `{name}`: {error}"))?;
    Ok((variant, values))
}

/// Checks given values against their declaration and fills in defaults.
///
/// # Errors
/// When one is unknown, missing or wrong; names it.
pub fn fill(specs: &[ParamSpec], given: &BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>, String> {
    if let Some(unknown) = given.keys().find(|name| !specs.iter().any(|spec| spec.name == name.as_str())) {
        let names = specs.iter().map(|spec| format!("`{}`", spec.name)).collect::<Vec<_>>().join(", ");
        return Err(format!("there is no parameter `{unknown}`; there are {names}"));
    }
    let mut values = BTreeMap::new();
    for spec in specs {
        let value = match (given.get(spec.name), &spec.default) {
            (Some(value), _) => value,
            (None, Some(default)) => default,
            (None, None) => return Err(format!("parameter `{}` must be given", spec.name)),
        };
        spec.check(value).map_err(|error| format!("`{}`: {error}", spec.name))?;
        values.insert(spec.name.to_owned(), value.clone());
    }
    Ok(values)
}

/// A type that can be a parameter.
pub trait Parameter: Sized {
    /// What values it takes.
    fn ty() -> ParamType;

    /// The value, when it is of the right type.
    ///
    /// # Errors
    /// What is wrong, in words.
    fn from_value(value: &Value) -> Result<Self, String>;
}

/// The parameters of a stage.
pub trait Params: Sized + 'static {
    /// The declaration of each parameter, in reading order.
    fn specs() -> Vec<ParamSpec>;

    /// The parameters from values by name; what is not given has its default.
    ///
    /// # Errors
    /// When one is unknown, missing, of a wrong type or out of its limits.
    fn from_values(given: &BTreeMap<String, Value>) -> Result<Self, String>;
}

fn expected<T: Parameter>(value: &Value) -> String {
    format!("{} is expected, this is {}", T::ty().describe(), value.describe())
}

impl Parameter for bool {
    fn ty() -> ParamType {
        ParamType::Bool
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Bool(value) => Ok(*value),
            other => Err(expected::<Self>(other)),
        }
    }
}

impl Parameter for f64 {
    fn ty() -> ParamType {
        ParamType::Number
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        value.as_number().ok_or_else(|| expected::<Self>(value))
    }
}

macro_rules! integer_parameter {
    ($($ty:ty),*) => {$(
        impl Parameter for $ty {
            fn ty() -> ParamType {
                ParamType::Integer
            }

            fn from_value(value: &Value) -> Result<Self, String> {
                match value {
                    Value::Int(number) => <$ty>::try_from(*number).map_err(|_| format!("{number} is out of range here")),
                    other => Err(expected::<Self>(other)),
                }
            }
        }
    )*};
}

integer_parameter!(i64, u64, u32, usize);

impl Parameter for String {
    fn ty() -> ParamType {
        ParamType::Text
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Text(text) => Ok(text.clone()),
            other => Err(expected::<Self>(other)),
        }
    }
}

impl<T: Parameter> Parameter for Vec<T> {
    fn ty() -> ParamType {
        ParamType::List(Box::new(T::ty()))
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::List(values) => values.iter().map(T::from_value).collect(),
            other => Err(expected::<Self>(other)),
        }
    }
}

impl<T: Parameter> Parameter for std::ops::Range<T> {
    fn ty() -> ParamType {
        ParamType::Range(Box::new(T::ty()))
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Range(start, end) => Ok(T::from_value(start)?..T::from_value(end)?),
            other => Err(expected::<Self>(other)),
        }
    }
}

macro_rules! quantity_parameter {
    ($($(#[doc = $doc:literal])* $name:ident: $dimension:ident;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
        pub struct $name(pub f64);

        impl Parameter for $name {
            fn ty() -> ParamType {
                ParamType::Quantity(Dimension::$dimension)
            }

            fn from_value(value: &Value) -> Result<Self, String> {
                match value {
                    Value::Quantity(Quantity { value, dimension: Dimension::$dimension }) => Ok($name(*value)),
                    other => Err(expected::<Self>(other)),
                }
            }
        }
    )*};
}

quantity_parameter! {
    /// A duration in seconds.
    Seconds: Time;
    /// A frequency in hertz.
    Hertz: Frequency;
    /// An angle in degrees.
    Degrees: Angle;
    /// A share; 0.1 is 10 %.
    Share: Ratio;
}

/// A half-open window of time, in seconds.
pub type TimeWindow = std::ops::Range<Seconds>;

/// A parameter that the stage can choose itself: `auto`, or a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Auto<T> {
    /// The stage chooses.
    Auto,
    /// The person chose.
    Given(T),
}

impl<T: Parameter> Parameter for Auto<T> {
    fn ty() -> ParamType {
        let auto = Variant { name: "auto", doc: "Chosen from the data, on the training side only.".into(), params: Vec::new() };
        ParamType::OneOf(vec![ParamType::Choice(vec![auto]), T::ty()])
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Word(word) if word == "auto" => Ok(Auto::Auto),
            other => T::from_value(other).map(Auto::Given).map_err(|_| expected::<Self>(value)),
        }
    }
}

/// A value of one type or another.
#[derive(Debug, Clone, PartialEq)]
pub enum Either<A, B> {
    /// The first type.
    Left(A),
    /// The second type.
    Right(B),
}

impl<A: Parameter, B: Parameter> Parameter for Either<A, B> {
    fn ty() -> ParamType {
        ParamType::OneOf(vec![A::ty(), B::ty()])
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        A::from_value(value).map(Either::Left).or_else(|_| B::from_value(value).map(Either::Right)).map_err(|_| expected::<Self>(value))
    }
}

/// Takes a parameter out of filled values. Used by [`params!`](crate::params!).
///
/// # Errors
/// When it is missing or of a wrong type; names it.
pub fn take<T: Parameter>(values: &BTreeMap<String, Value>, name: &str) -> Result<T, String> {
    let value = values.get(name).ok_or_else(|| format!("parameter `{name}` must be given"))?;
    T::from_value(value).map_err(|error| format!("`{name}`: {error}"))
}

/// A field's name as it is written in a pipeline: `where` for `r#where`. Used by [`params!`](crate::params!).
pub fn plain_name(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// Joins the lines of a doc comment. Used by [`params!`](crate::params!).
pub fn doc(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n")
}

/// Declares the parameters of a stage; see the [module](mod@crate::params).
#[macro_export]
macro_rules! params {
    (
        $(#[doc = $struct_doc:literal])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $doc:literal])* $field:ident : $ty:ty $(= $default:expr)? $(, in $limits:expr)? ; )*
        }
    ) => {
        $(#[doc = $struct_doc])*
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name {
            $( $(#[doc = $doc])* pub $field: $ty, )*
        }

        impl $crate::params::Params for $name {
            fn specs() -> Vec<$crate::params::ParamSpec> {
                vec![ $( $crate::param_spec!([$($doc),*] $field : $ty $(= $default)? $(, in $limits)?), )* ]
            }

            fn from_values(given: &std::collections::BTreeMap<String, $crate::value::Value>) -> Result<Self, String> {
                #[allow(unused_variables, reason = "a stage may have no parameters")]
                let values = $crate::params::fill(&<Self as $crate::params::Params>::specs(), given)?;
                Ok($name { $( $field: $crate::params::take(&values, $crate::params::plain_name(stringify!($field)))?, )* })
            }
        }
    };
}

/// One [`ParamSpec`] from a field declaration. Used by [`params!`](crate::params!) and [`words!`](crate::words!).
#[macro_export]
#[doc(hidden)]
macro_rules! param_spec {
    ([$($doc:literal),*] $field:ident : $ty:ty $(= $default:expr)? $(, in $limits:expr)?) => {{
        #[allow(unused_mut, unused_assignments, reason = "fields without default or limits leave the first value")]
        let (mut default, mut limits): (Option<$crate::value::Value>, Option<(f64, f64)>) = (None, None);
        $( default = Some($crate::value::Value::from($default)); )?
        $( limits = Some({ let range: std::ops::RangeInclusive<f64> = $limits; (*range.start(), *range.end()) }); )?
        $crate::params::ParamSpec {
            name: $crate::params::plain_name(stringify!($field)),
            doc: $crate::params::doc(&[$($doc),*]),
            ty: <$ty as $crate::params::Parameter>::ty(),
            default,
            limits,
        }
    }};
}

/// Declares a choice of words, each with arguments of its own (in braces, empty when it has none); see the [module](mod@crate::params).
#[macro_export]
macro_rules! words {
    (
        $(#[doc = $enum_doc:literal])*
        $vis:vis enum $name:ident {
            $(
                $(#[doc = $variant_doc:literal])*
                $variant:ident = $word:literal {
                    $( $(#[doc = $doc:literal])* $field:ident : $ty:ty $(= $default:expr)? $(, in $limits:expr)? ; )*
                }
            ),* $(,)?
        }
    ) => {
        $(#[doc = $enum_doc])*
        #[derive(Debug, Clone, PartialEq)]
        $vis enum $name {
            $( $(#[doc = $variant_doc])* $variant { $( $(#[doc = $doc])* $field: $ty, )* }, )*
        }

        impl $name {
            /// The words, with their manual and arguments.
            pub fn variants() -> Vec<$crate::params::Variant> {
                vec![ $( $crate::params::Variant {
                    name: $word,
                    doc: $crate::params::doc(&[$($variant_doc),*]),
                    params: vec![ $( $crate::param_spec!([$($doc),*] $field : $ty $(= $default)? $(, in $limits)?), )* ],
                }, )* ]
            }
        }

        impl $crate::params::Parameter for $name {
            fn ty() -> $crate::params::ParamType {
                $crate::params::ParamType::Choice($name::variants())
            }

            fn from_value(value: &$crate::value::Value) -> Result<Self, String> {
                let variants = $name::variants();
                #[allow(unused_variables, reason = "words may have no arguments")]
                let (variant, values) = $crate::params::resolve_variant(&variants, value)?;
                match variant.name {
                    $( $word => Ok($name::$variant { $( $field: $crate::params::take(&values, $crate::params::plain_name(stringify!($field)))?, )* }), )*
                    other => Err(format!("`{other}` is unknown")),
                }
            }
        }
    };
}
