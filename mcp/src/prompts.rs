//! Beginnings of conversations that a person picks in their client. Each says what to look at first, and that a change is proposed, never made.

use neuroflow_agent::escape_line;
use rmcp::ErrorData;
use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;

/// The longest argument, in characters.
const LONGEST: usize = 1000;

/// A prompt: its name, what it is for, its one argument with what it means, and the text with `{}` in the argument's place.
struct Kept {
    name: &'static str,
    doc: &'static str,
    argument: (&'static str, &'static str),
    text: &'static str,
}

const ALL: [Kept; 3] = [
    Kept {
        name: "add_a_control",
        doc: "Give a score the control that it lacks",
        argument: ("step", "the step whose score should have a control"),
        text: "The step `{}` of this pipeline should have a control that could prove it wrong. Read the pipeline (`read_pipeline`) and the page of its stage \
               (`stage_doc`), and the controls there are (`list_stages` with the topic `controls`). Say in two sentences which explanation other than the \
               intended one the score still allows, and which control would rule it out. Then offer it with `propose_edit`, with a prediction of what the \
               control should show. Do not look at scores before you have predicted them. I decide at the card.",
    },
    Kept {
        name: "explain_a_drop",
        doc: "Find out why a score fell between two runs",
        argument: ("step", "the step whose score fell"),
        text: "The score of `{}` is lower than it was. Find out what changed before you look at the numbers: `list_runs`, then `diff_runs` between the last run \
               that was good and the first that was not (pipeline, parameters, versions, inputs), then `explain`. Name the possible causes in the order of \
               how likely they are, each with what would tell it from the others. Only then ask for the scores with `results`, with a prediction. If a change \
               of the pipeline would decide between two causes, offer it with `propose_edit`; do not repair the score by choosing other settings until it \
               rises.",
    },
    Kept {
        name: "draft_an_analysis",
        doc: "Turn a question into steps of the pipeline",
        argument: ("question", "the question, in a sentence or two"),
        text: "My question: {}\n\nLook at what is there (`summarize` of project, data and dag; `data_schema` of what you need), and at the stages that fit \
               (`list_stages`, `stage_doc`). Say first what result would speak for and what against the expected answer, and which control belongs to it. Then \
               draft the steps as one proposal with `propose_edit` (`edits`, or one by one with `more`), with your predictions in `predict` and the question as \
               `intent`. Check what it costs on the card; make it smaller if that is more than the question is worth. If something that you need to know is \
               not in the data, ask me.",
    },
];

/// All prompts, in an order that never changes.
pub(crate) fn listed() -> Vec<Prompt> {
    let listed = ALL.iter().map(|kept| {
        let (name, doc) = kept.argument;
        Prompt::new(kept.name, Some(kept.doc), Some(vec![PromptArgument::new(name).with_description(doc).with_required(true)]))
    });
    listed.collect()
}

/// A prompt with its argument filled in.
///
/// # Errors
/// When there is no such prompt, or its argument is missing.
pub(crate) fn filled(name: &str, arguments: Option<&JsonObject>) -> Result<GetPromptResult, ErrorData> {
    let names = || ALL.map(|kept| kept.name).join(", ");
    let wrong = |message: String| ErrorData::invalid_params(message, None);
    let kept = ALL
        .iter()
        .find(|kept| kept.name == name)
        .ok_or_else(|| wrong(format!("there is no prompt `{}`; there are {}", escape_line(name), names())))?;
    let (argument, doc) = kept.argument;
    let given =
        arguments.and_then(|arguments| arguments.get(argument)).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let given = given.ok_or_else(|| wrong(format!("`{argument}` is missing: {doc}")))?;
    let given: String = given.chars().take(LONGEST).collect();
    let text = kept.text.replacen("{}", &escape_line(&given), 1);
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).with_description(kept.doc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_name_tools_that_there_are_and_take_their_argument() {
        let tools: Vec<String> = crate::calls::all().into_iter().map(|tool| tool.name).collect();
        for kept in &ALL {
            for word in kept.text.split('`').skip(1).step_by(2).filter(|word| word.contains('_')) {
                assert!(tools.iter().any(|tool| tool == word), "{}: {word}", kept.name);
            }
            assert!(filled(kept.name, None).unwrap_err().message.contains("missing"));
            let mut arguments = JsonObject::new();
            arguments.insert(kept.argument.0.to_owned(), "scene\u{202e}".into());
            let said = serde_json::to_string(&filled(kept.name, Some(&arguments)).unwrap()).unwrap();
            assert!(said.contains("scene<U+202E>") && !said.contains("{}"), "{said}");
        }
        assert!(filled("approve", None).unwrap_err().message.contains("add_a_control"));
    }
}
