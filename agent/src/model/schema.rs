//! The flat schemas of tools, and the check of what a model wrote against them.
//!
//! Only what hosted "strict" modes and the grammar engines of local servers share is allowed: one object, each field named and required, no other fields;
//! fields are strings, numbers, integers, booleans, lists of strings, or one of a set of words; a field that may be left open is nullable.
//! No `$ref`, no `pattern`, nothing nested: a pattern that an engine can't hold makes some servers drop the whole schema in silence.
//!
//! The check is ours and strict, whatever an endpoint promised. What is wrong is told in words that go back to the model.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// Text.
    String,
    /// A finite number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list of texts.
    Strings,
    /// One of these words.
    Word(Vec<String>),
}

/// One field of a tool's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it is, for the model to read; may be empty.
    pub description: String,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it may be `null`.
    pub nullable: bool,
}

impl Field {
    /// A field that must be given.
    #[must_use]
    pub fn new(name: &str, kind: FieldKind, description: &str) -> Self {
        Self { name: name.into(), description: description.into(), kind, nullable: false }
    }

    /// The same, and it may be `null`.
    #[must_use]
    pub fn or_null(mut self) -> Self {
        self.nullable = true;
        self
    }

    fn as_json(&self) -> Value {
        let typed = |name: &str| if self.nullable { json!([name, "null"]) } else { json!(name) };
        let mut value = match &self.kind {
            FieldKind::String => json!({"type": typed("string")}),
            FieldKind::Number => json!({"type": typed("number")}),
            FieldKind::Integer => json!({"type": typed("integer")}),
            FieldKind::Boolean => json!({"type": typed("boolean")}),
            FieldKind::Strings => json!({"type": typed("array"), "items": {"type": "string"}}),
            FieldKind::Word(words) => {
                let mut words: Vec<Value> = words.iter().map(|word| json!(word)).collect();
                words.extend(self.nullable.then_some(Value::Null));
                json!({"type": typed("string"), "enum": words})
            }
        };
        if !self.description.is_empty() {
            value["description"] = json!(self.description);
        }
        value
    }

    /// What is wrong with a value of this field, in words for the model.
    fn problem(&self, value: &Value) -> Option<String> {
        let fits = match (&self.kind, value) {
            (_, Value::Null) => self.nullable,
            (FieldKind::String, Value::String(_)) | (FieldKind::Boolean, Value::Bool(_)) | (FieldKind::Number, Value::Number(_)) => true,
            // JSON does not tell 5 from 5.0, and models write both.
            (FieldKind::Integer, Value::Number(number)) => {
                number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() < 9e15)
            }
            (FieldKind::Strings, Value::Array(items)) => items.iter().all(Value::is_string),
            (FieldKind::Word(words), Value::String(word)) => words.contains(word),
            _ => false,
        };
        let wanted = match &self.kind {
            FieldKind::String => "a string".to_owned(),
            FieldKind::Number => "a number".to_owned(),
            FieldKind::Integer => "a whole number".to_owned(),
            FieldKind::Boolean => "true or false".to_owned(),
            FieldKind::Strings => "a list of strings".to_owned(),
            FieldKind::Word(words) => format!("one of {}", quoted(words)),
        };
        let open = if self.nullable { " or null" } else { "" };
        (!fits).then(|| format!("`{}` must be {wanted}{open}, but is {}", self.name, shown(value)))
    }
}

/// The arguments of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Schema {
    fields: Vec<Field>,
}

/// Why a schema is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the schema is not flat: {0}; one object of required strings, numbers, integers, booleans, lists of strings or words is what every endpoint holds"
)]
pub struct NotFlat(String);

impl Schema {
    /// Of these fields, in this order.
    ///
    /// # Errors
    /// When two fields have one name, or a set of words is empty.
    pub fn new(fields: Vec<Field>) -> Result<Self, NotFlat> {
        for (position, field) in fields.iter().enumerate() {
            if fields[..position].iter().any(|before| before.name == field.name) {
                return Err(NotFlat(format!("`{}` stands there twice", field.name)));
            }
            if matches!(&field.kind, FieldKind::Word(words) if words.is_empty()) {
                return Err(NotFlat(format!("`{}` has no word to choose", field.name)));
            }
        }
        Ok(Self { fields })
    }

    /// Of a tool without arguments.
    #[must_use]
    pub fn empty() -> Self {
        Self { fields: Vec::new() }
    }

    /// The fields, in order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// As JSON Schema.
    #[must_use]
    pub fn as_json(&self) -> Value {
        let properties: Map<String, Value> = self.fields.iter().map(|field| (field.name.clone(), field.as_json())).collect();
        let required: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    /// The arguments, when they are exactly what the schema says.
    /// A nullable field that is missing counts as `null`: a grammar would have written it, a model without one leaves it out.
    ///
    /// # Errors
    /// Everything that is wrong, one sentence each, to be sent back to the model.
    pub fn check(&self, arguments: &Value) -> Result<Map<String, Value>, Vec<String>> {
        let given = match arguments {
            Value::Object(given) => given,
            Value::String(text) => {
                return Err(vec![format!("the arguments are not one JSON object: {}", super::excerpt(text.as_bytes(), 120))]);
            }
            other => return Err(vec![format!("the arguments must be one JSON object, but are {}", shown(other))]),
        };
        let mut problems = Vec::new();
        let mut checked = Map::new();
        for field in &self.fields {
            match given.get(&field.name) {
                None if field.nullable => {
                    checked.insert(field.name.clone(), Value::Null);
                }
                None => problems.push(format!("`{}` is missing", field.name)),
                Some(value) => match field.problem(value) {
                    Some(problem) => problems.push(problem),
                    None => {
                        checked.insert(field.name.clone(), value.clone());
                    }
                },
            }
        }
        let known: Vec<String> = self.fields.iter().map(|field| field.name.clone()).collect();
        let strange = given.keys().filter(|name| !known.contains(name));
        // A hostile endpoint could name thousands.
        problems.extend(strange.take(5).map(|name| {
            let name = super::excerpt(name.as_bytes(), 40);
            if known.is_empty() {
                format!("there is no field {name}: this tool takes none")
            } else {
                format!("there is no field {name}: there are {}", quoted(&known))
            }
        }));
        if problems.is_empty() { Ok(checked) } else { Err(problems) }
    }
}

impl From<Schema> for Value {
    fn from(schema: Schema) -> Self {
        schema.as_json()
    }
}

impl TryFrom<Value> for Schema {
    type Error = NotFlat;

    fn try_from(value: Value) -> Result<Self, NotFlat> {
        let object = value.as_object().ok_or_else(|| NotFlat("it is no object".into()))?;
        only(object, &["type", "properties", "required", "additionalProperties", "description"], "the schema")?;
        if object.get("type") != Some(&json!("object")) {
            return Err(NotFlat("its type must be `object`".into()));
        }
        if object.get("additionalProperties") != Some(&json!(false)) {
            return Err(NotFlat("`additionalProperties` must be false".into()));
        }
        let none = Map::new();
        let properties = match object.get("properties") {
            None => &none,
            Some(properties) => properties.as_object().ok_or_else(|| NotFlat("`properties` must be an object".into()))?,
        };
        let required: Vec<&str> =
            object.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if let Some(name) = properties.keys().find(|name| !required.contains(&name.as_str())) {
            return Err(NotFlat(format!("`{name}` is not required; let it be nullable instead")));
        }
        if let Some(name) = required.iter().find(|name| !properties.contains_key(**name)) {
            return Err(NotFlat(format!("`{name}` is required, but not described")));
        }
        let fields = properties.iter().map(|(name, property)| field(name, property)).collect::<Result<Vec<_>, _>>()?;
        Self::new(fields)
    }
}

fn field(name: &str, property: &Value) -> Result<Field, NotFlat> {
    let wrong = |what: &str| NotFlat(format!("`{name}` {what}"));
    let property = property.as_object().ok_or_else(|| wrong("is no object"))?;
    only(property, &["type", "description", "enum", "items"], name)?;
    let (kind, nullable) = match property.get("type") {
        Some(Value::String(kind)) => (kind.as_str(), false),
        Some(Value::Array(kinds)) => match kinds.as_slice() {
            [Value::String(kind), Value::String(null)] if null == "null" => (kind.as_str(), true),
            _ => return Err(wrong("may have one type, or one type and `null`")),
        },
        _ => return Err(wrong("has no type")),
    };
    let kind = match (kind, property.get("enum"), property.get("items")) {
        ("string", Some(Value::Array(words)), None) => {
            let words: Vec<&Value> = words.iter().filter(|word| !(nullable && word.is_null())).collect();
            let texts: Vec<String> = words.iter().filter_map(|word| word.as_str()).map(str::to_owned).collect();
            if texts.len() != words.len() {
                return Err(wrong("may choose among texts only"));
            }
            FieldKind::Word(texts)
        }
        ("array", None, Some(items)) if *items == json!({"type": "string"}) => FieldKind::Strings,
        ("array", ..) => return Err(wrong("may be a list of plain strings only")),
        (_, Some(_), _) | (_, _, Some(_)) => return Err(wrong("has `enum` or `items` where they do not belong")),
        ("string", ..) => FieldKind::String,
        ("number", ..) => FieldKind::Number,
        ("integer", ..) => FieldKind::Integer,
        ("boolean", ..) => FieldKind::Boolean,
        (other, ..) => return Err(wrong(&format!("has the type `{other}`"))),
    };
    let description = property.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Field { name: name.to_owned(), description, kind, nullable })
}

fn only(object: &Map<String, Value>, known: &[&str], place: &str) -> Result<(), NotFlat> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(strange) => Err(NotFlat(format!("`{strange}` at {place}"))),
        None => Ok(()),
    }
}

/// A value for a sentence: short, on one line, nothing in it that a terminal obeys.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".into(),
        Value::Array(_) => "a list".into(),
        other => super::excerpt(other.to_string().as_bytes(), 60),
    }
}

fn quoted(words: &[String]) -> String {
    let mut text = String::new();
    for (position, word) in words.iter().enumerate() {
        let _ = write!(text, "{}`{word}`", if position == 0 { "" } else { ", " });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Schema {
        Schema::new(vec![
            Field::new("op", FieldKind::Word(vec!["insert".into(), "remove".into()]), "what to do"),
            Field::new("step", FieldKind::String, ""),
            Field::new("folds", FieldKind::Integer, ""),
            Field::new("share", FieldKind::Number, "").or_null(),
            Field::new("keys", FieldKind::Strings, ""),
            Field::new("dry", FieldKind::Boolean, ""),
        ])
        .unwrap()
    }

    fn good() -> Value {
        json!({"op": "insert", "step": "scene", "folds": 5, "share": null, "keys": ["a"], "dry": true})
    }

    #[test]
    fn what_fits_is_taken_and_a_missing_nullable_is_null() {
        assert_eq!(Value::Object(sample().check(&good()).unwrap()), good());
        let mut short = good();
        short.as_object_mut().unwrap().remove("share");
        assert_eq!(Value::Object(sample().check(&short).unwrap())["share"], Value::Null);
        let mut float = good();
        float["folds"] = json!(5.0);
        assert!(sample().check(&float).is_ok());
    }

    #[test]
    fn every_mistake_is_told_at_once_in_words() {
        let wrong = json!({"op": "delete", "folds": 2.5, "keys": ["a", 1], "dry": "yes", "path": "../../etc"});
        let problems = sample().check(&wrong).unwrap_err();
        let all = problems.join("\n");
        for expected in [
            "`op` must be one of `insert`, `remove`, but is \"delete\"",
            "`step` is missing",
            "`folds` must be a whole number, but is 2.5",
            "`keys` must be a list of strings, but is a list",
            "`dry` must be true or false, but is \"yes\"",
            "there is no field path",
        ] {
            assert!(all.contains(expected), "{expected} is not in:\n{all}");
        }
        assert_eq!(problems.len(), 6);
    }

    #[test]
    fn arguments_that_are_no_object_are_told_as_such() {
        assert!(sample().check(&json!("insert a step")).unwrap_err()[0].contains("not one JSON object"));
        assert!(sample().check(&json!([1])).unwrap_err()[0].contains("a list"));
        assert!(sample().check(&Value::Null).is_err());
    }

    #[test]
    fn a_problem_shows_nothing_that_a_terminal_obeys() {
        let wrong = json!({"op": "\u{1b}[2J\u{202e}evil", "\u{1b}]0;": 1});
        let all = sample().check(&wrong).unwrap_err().join("\n");
        assert!(!all.contains('\u{1b}') && !all.contains('\u{202e}'), "{all:?}");
    }

    #[test]
    fn json_and_back_is_the_same_schema() {
        assert_eq!(Schema::try_from(sample().as_json()).unwrap(), sample());
        assert_eq!(Schema::try_from(Schema::empty().as_json()).unwrap(), Schema::empty());
    }

    #[test]
    fn what_engines_differ_in_is_refused() {
        let with =
            |property: Value| json!({"type": "object", "properties": {"a": property}, "required": ["a"], "additionalProperties": false});
        for property in [
            json!({"type": "string", "pattern": "a+"}),
            json!({"$ref": "#/x"}),
            json!({"type": "object", "properties": {}}),
            json!({"type": "array", "items": {"type": "object"}}),
            json!({"type": ["string", "integer"]}),
            json!({"oneOf": []}),
            json!({"type": "integer", "enum": [1, 2]}),
            json!({"type": "string", "enum": []}),
            json!({"type": "string", "enum": ["a", 1]}),
            json!({"type": "null"}),
        ] {
            assert!(Schema::try_from(with(property.clone())).is_err(), "{property}");
        }
        let mut open = with(json!({"type": "string"}));
        open["additionalProperties"] = json!(true);
        assert!(Schema::try_from(open).is_err());
        let mut optional = with(json!({"type": "string"}));
        optional["required"] = json!([]);
        assert!(Schema::try_from(optional).unwrap_err().to_string().contains("nullable"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            Just(json!("insert")),
        ];
        let name =
            prop_oneof![Just("op".to_owned()), Just("step".into()), Just("folds".into()), Just("keys".into()), Just("dry".into()), ".*"];
        leaf.prop_recursive(3, 24, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name.clone(), inner), 0..8).prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// What passes has exactly the fields of the schema, and passes again unchanged.
        #[test]
        fn what_passes_is_exactly_of_the_schema(value in any_json()) {
            if let Ok(checked) = sample().check(&value) {
                let names: Vec<&String> = checked.keys().collect();
                prop_assert_eq!(names, ["op", "step", "folds", "share", "keys", "dry"]);
                prop_assert_eq!(sample().check(&Value::Object(checked.clone())).unwrap(), checked);
            }
        }
    }
}
