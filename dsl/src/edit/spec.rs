//! The edits as a table: for the manual, and for the schema that a model is given.

/// A field of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub doc: &'static str,
    /// Whether it may be left out.
    pub optional: bool,
}

/// A kind of edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EditSpec {
    /// Its name, the `op` of its JSON.
    pub op: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Its fields beside `op`.
    pub fields: &'static [FieldSpec],
}

const fn field(name: &'static str, doc: &'static str) -> FieldSpec {
    FieldSpec { name, doc, optional: false }
}

const fn optional(name: &'static str, doc: &'static str) -> FieldSpec {
    FieldSpec { name, doc, optional: true }
}

const STEP: FieldSpec = field("step", "the step's name");

/// Every kind of edit.
pub const EDITS: &[EditSpec] = &[
    EditSpec {
        op: "begin",
        doc: "begins an empty file: `pipeline NAME \"title\"`",
        fields: &[field("name", "the pipeline's name"), optional("title", "its title")],
    },
    EditSpec {
        op: "add_input",
        doc: "a new input",
        fields: &[field("name", "its name"), field("value", "where it comes from, such as `mat(\"data/*.mat\")`")],
    },
    EditSpec {
        op: "set_input",
        doc: "where an input comes from",
        fields: &[field("name", "its name"), field("value", "where it comes from")],
    },
    EditSpec {
        op: "set_param",
        doc: "the default of a parameter; one that is not there yet is added",
        fields: &[field("name", "its name"), field("value", "its value")],
    },
    EditSpec {
        op: "insert_step",
        doc: "a new step",
        fields: &[
            field("name", "its name"),
            field("call", "the call, with its policies if it has any: `decode.classify(x, target = \"image\") with seed = 7`"),
            optional("after", "the step or input that it stands behind, in the same braces; the last step when left out"),
            optional("outside", "whether it stands behind the loop, branch or sweep around `after` instead"),
        ],
    },
    EditSpec { op: "remove_step", doc: "takes a step away, from reports too", fields: &[field("name", "the step")] },
    EditSpec {
        op: "set_argument",
        doc: "an argument of a step's call",
        fields: &[STEP, field("key", "the argument; `model.shrinkage` is an argument of an argument"), field("value", "its value")],
    },
    EditSpec {
        op: "unset_argument",
        doc: "takes an argument away, so that its default holds",
        fields: &[STEP, field("key", "the argument")],
    },
    EditSpec { op: "replace_call", doc: "another call in the place of a step's", fields: &[STEP, field("call", "the call")] },
    EditSpec {
        op: "set_policy",
        doc: "a policy of a step: `with KEY = value`",
        fields: &[STEP, field("key", "the policy, such as `seed`"), field("value", "its value")],
    },
    EditSpec { op: "unset_policy", doc: "takes a policy away", fields: &[STEP, field("key", "the policy")] },
    EditSpec {
        op: "add_control",
        doc: "one more control of a step, beside those that it has",
        fields: &[STEP, field("call", "the control, such as `shuffle(\"image\", n = 200)`")],
    },
    EditSpec {
        op: "rename",
        doc: "another name for a step, an input or a parameter, wherever it is used",
        fields: &[field("from", "the name"), field("to", "the new name")],
    },
    EditSpec {
        op: "add_expect",
        doc: "a new expectation",
        fields: &[field("condition", "the condition, such as `scene.accuracy > 0.3`"), optional("message", "what it means, for people")],
    },
    EditSpec {
        op: "remove_expect",
        doc: "takes an expectation away",
        fields: &[field("condition", "the condition as written in the file")],
    },
    EditSpec {
        op: "add_report",
        doc: "steps in a report; a report that is not there yet is added",
        fields: &[field("name", "the report"), optional("title", "its title, for a new one"), field("items", "steps, separated by commas")],
    },
    EditSpec { op: "comment", doc: "a comment above a step", fields: &[STEP, field("text", "what it says")] },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Edit;

    #[test]
    fn the_table_says_what_is_read() {
        for spec in EDITS {
            let value = |name: &str| if name == "outside" { serde_json::json!(true) } else { serde_json::json!("x") };
            let mut all: serde_json::Map<String, serde_json::Value> =
                spec.fields.iter().map(|field| (field.name.into(), value(field.name))).collect();
            all.insert("op".into(), spec.op.into());
            let edit: Edit = serde_json::from_value(all.clone().into()).unwrap();
            assert_eq!(serde_json::to_value(&edit).unwrap(), serde_json::Value::from(all.clone()), "{}", spec.op);
            for field in spec.fields {
                let mut without = all.clone();
                without.remove(field.name);
                assert_eq!(serde_json::from_value::<Edit>(without.into()).is_ok(), field.optional, "{} {}", spec.op, field.name);
            }
            let mut more = all.clone();
            more.insert("path".into(), "/etc".into());
            assert!(serde_json::from_value::<Edit>(more.into()).is_err());
        }
    }
}
