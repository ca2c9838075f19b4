//! `ro-crate-metadata.json`.

use super::{Contents, Performed, plain};
use neuroflow_cache::Digest;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The languages and programs that a crate names.
const LANGUAGE: &str = "#neuroflow-language";
const ENGINE: &str = "#neuroflow";

/// What describes the crate.
pub(crate) fn metadata(contents: &Contents<'_>) -> Value {
    let mut graph = vec![descriptor()];
    let files = Files::of(contents);
    graph.push(root(contents, &files));
    graph.extend(profiles());
    graph.push(workflow(contents));
    graph.push(json!({ "@id": LANGUAGE, "@type": "ComputerLanguage", "name": "neuroflow pipeline language", "alternateName": "nf",
                       "url": { "@id": env!("CARGO_PKG_REPOSITORY") } }));
    graph.push(json!({ "@id": ENGINE, "@type": "SoftwareApplication", "name": "neuroflow", "softwareVersion": contents.record.neuroflow,
                       "url": { "@id": env!("CARGO_PKG_REPOSITORY") } }));
    graph.extend(tools(contents));
    graph.extend(steps(contents));
    graph.extend(parameters(contents));
    graph.extend(actions(contents, &files));
    graph.extend(files.entities);
    graph.extend(contents.author.iter().map(|name| json!({ "@id": person_id(name), "@type": "Person", "name": name })));
    json!({ "@context": ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"], "@graph": graph })
}

fn descriptor() -> Value {
    json!({
        "@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": { "@id": "./" },
        "conformsTo": [{ "@id": "https://w3id.org/ro/crate/1.1" }, { "@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0" }],
    })
}

const PROFILES: [(&str, &str, &str); 4] = [
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/provenance/0.5", "Provenance Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
];

fn profiles() -> impl Iterator<Item = Value> {
    PROFILES.into_iter().map(|(id, name, version)| json!({ "@id": id, "@type": "CreativeWork", "name": name, "version": version }))
}

fn root(contents: &Contents<'_>, files: &Files) -> Value {
    let record = contents.record;
    let mut parts = vec![json!({ "@id": contents.workflow })];
    parts.extend(files.data.iter().map(|id| json!({ "@id": id })));
    let mut mentions = vec![json!({ "@id": "#run" }), json!({ "@id": "#orchestration" })];
    mentions.extend(contents.performed.iter().map(|one| json!({ "@id": action_id(one) })));
    json!({
        "@id": "./", "@type": "Dataset",
        "name": format!("Run {} of the pipeline {}", record.id, record.pipeline),
        "description": match contents.title.is_empty() {
            true => format!("Results of the neuroflow pipeline {}, with where each came from.", record.pipeline),
            false => format!("{}: results of the neuroflow pipeline {}, with where each came from.", contents.title, record.pipeline),
        },
        "datePublished": record.started,
        "license": address_or_text(&contents.licence),
        "conformsTo": PROFILES.iter().map(|(id, ..)| json!({ "@id": id })).collect::<Vec<_>>(),
        "mainEntity": { "@id": contents.workflow },
        "hasPart": parts,
        "mentions": mentions,
    })
}

fn address_or_text(text: &str) -> Value {
    if text.starts_with("https://") { json!({ "@id": text }) } else { text.into() }
}

fn workflow(contents: &Contents<'_>) -> Value {
    let mut names: Vec<&str> = Vec::new();
    for one in &contents.performed {
        if !names.contains(&one.step.as_str()) {
            names.push(&one.step);
        }
    }
    let tools: BTreeSet<String> = contents.performed.iter().map(tool_id).collect();
    let ids = |ids: &mut dyn Iterator<Item = String>| ids.map(|id| json!({ "@id": id })).collect::<Vec<_>>();
    json!({
        "@id": contents.workflow, "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        "name": contents.record.pipeline, "description": contents.title,
        "author": contents.author.as_ref().map(|name| json!({ "@id": person_id(name) })),
        "programmingLanguage": { "@id": LANGUAGE },
        "encodingFormat": "text/plain",
        "sha256": null, "identifier": format!("blake3:{}", contents.record.source),
        "hasPart": ids(&mut tools.into_iter()),
        "step": ids(&mut names.iter().map(|name| step_id(name))),
        "input": ids(&mut contents.record.inputs.iter().map(|input| input_id(&input.name))),
        "output": ids(&mut outputs(contents).keys().map(|name| output_id(name))),
        "version": contents.record.revision.as_ref().map(|at| at.commit.clone()),
    })
    .without_nulls()
}

/// Values without those that are not known.
trait WithoutNulls {
    fn without_nulls(self) -> Value;
}

impl WithoutNulls for Value {
    fn without_nulls(self) -> Value {
        match self {
            Value::Object(fields) => {
                let kept = fields.into_iter().filter(|(_, value)| !value.is_null() && value.as_str() != Some(""));
                Value::Object(kept.collect())
            }
            other => other,
        }
    }
}

fn step_id(step: &str) -> String {
    format!("#step-{}", plain(step))
}

fn action_id(one: &Performed) -> String {
    format!("#task-{}", plain(&one.label))
}

fn tool_id(one: &Performed) -> String {
    match one.stage.as_str() {
        // Each program is a tool of its own.
        "exec" => format!("#program-{}", plain(&one.step)),
        stage => format!("#stage-{}", plain(stage)),
    }
}

fn input_id(name: &str) -> String {
    format!("#input-{}", plain(name))
}

fn output_id(name: &str) -> String {
    format!("#output-{}", plain(name))
}

fn person_id(name: &str) -> String {
    format!("#person-{}", plain(name))
}

fn tools(contents: &Contents<'_>) -> Vec<Value> {
    let mut all = BTreeMap::new();
    for one in &contents.performed {
        let tool = match one.stage.as_str() {
            "exec" => json!({ "@id": tool_id(one), "@type": "SoftwareApplication", "name": format!("program of the step {}", one.step),
                              "description": one.params.get("command") }),
            stage => json!({ "@id": tool_id(one), "@type": "SoftwareApplication", "name": stage, "softwareVersion": one.version,
                             "isPartOf": { "@id": ENGINE } }),
        };
        all.entry(tool_id(one)).or_insert(tool.without_nulls());
    }
    all.into_values().collect()
}

fn steps(contents: &Contents<'_>) -> Vec<Value> {
    let mut all: Vec<(String, Value)> = Vec::new();
    for one in &contents.performed {
        if !all.iter().any(|(name, _)| *name == one.step) {
            let position = (all.len() + 1).to_string();
            let step = json!({ "@id": step_id(&one.step), "@type": "HowToStep", "name": one.step, "position": position,
                               "workExample": { "@id": tool_id(one) } });
            all.push((one.step.clone(), step));
        }
    }
    all.into_iter().map(|(_, step)| step).collect()
}

/// What a workflow gives: the results of the steps that no other step takes.
fn outputs<'a>(contents: &'a Contents<'_>) -> BTreeMap<String, Vec<&'a super::Given>> {
    let taken: BTreeSet<Digest> = contents.performed.iter().flat_map(|one| one.takes.iter().copied()).collect();
    let mut all: BTreeMap<String, Vec<&super::Given>> = BTreeMap::new();
    for one in &contents.performed {
        for given in one.gives.iter().filter(|given| !taken.contains(&given.digest)) {
            all.entry(format!("{}.{}", one.step, given.output)).or_default().push(given);
        }
    }
    all
}

fn parameters(contents: &Contents<'_>) -> Vec<Value> {
    let inputs = contents.record.inputs.iter().map(|input| {
        json!({ "@id": input_id(&input.name), "@type": "FormalParameter", "name": input.name, "additionalType": "File",
                "multipleValues": if input.members.len() > 1 { "True" } else { "False" },
                "conformsTo": { "@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE" } })
    });
    let outputs = outputs(contents).into_iter().map(|(name, given)| {
        json!({ "@id": output_id(&name), "@type": "FormalParameter", "name": name, "additionalType": "File",
                "multipleValues": if given.len() > 1 { "True" } else { "False" },
                "conformsTo": { "@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE" } })
    });
    let profile = json!({ "@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE", "@type": "CreativeWork", "name": "FormalParameter",
                          "version": "1.0-RELEASE" });
    inputs.chain(outputs).chain(std::iter::once(profile)).collect()
}

/// Files and contents: those that lie in the crate, those that are published elsewhere, and those that are only named.
struct Files {
    /// Identifiers by content.
    by_content: BTreeMap<Digest, String>,
    /// Identifiers of data entities: parts of the crate.
    data: Vec<String>,
    entities: Vec<Value>,
}

impl Files {
    fn of(contents: &Contents<'_>) -> Files {
        let mut files = Files { by_content: BTreeMap::new(), data: Vec::new(), entities: Vec::new() };
        let outputs = outputs(contents);
        for part in &contents.parts {
            files.data.push(part.path.clone());
            files.entities.push(json!({ "@id": part.path, "@type": "File", "name": part.name, "encodingFormat": part.format,
                                        "contentSize": part.size.to_string() }));
        }
        for input in &contents.record.inputs {
            for (label, digest) in &input.members {
                let name = if label.is_empty() { input.name.clone() } else { format!("{}[{label:?}]", input.name) };
                let published = contents.published.get(digest);
                let id = published.cloned().unwrap_or_else(|| format!("#content-{digest}"));
                if files.by_content.insert(*digest, id.clone()).is_some() {
                    continue;
                }
                if published.is_some() {
                    files.data.push(id.clone());
                }
                let (licence, citation) = contents.sources.get(&input.name).cloned().unwrap_or_default();
                files.entities.push(
                    json!({ "@id": id, "@type": if published.is_some() { "File" } else { "CreativeWork" }, "name": name, "description": input.taken,
                            "identifier": format!("blake3:{digest}"), "exampleOfWork": { "@id": input_id(&input.name) },
                            "license": if licence.is_empty() { Value::Null } else { licence.into() },
                            "citation": citation })
                    .without_nulls(),
                );
            }
        }
        for one in &contents.performed {
            for given in &one.gives {
                let id = given.file.clone().unwrap_or_else(|| format!("#content-{}", given.digest));
                if files.by_content.contains_key(&given.digest) {
                    continue;
                }
                files.by_content.insert(given.digest, id.clone());
                if given.file.is_some() {
                    files.data.push(id.clone());
                }
                let name = format!("{}.{}", one.step, given.output);
                let example = outputs.contains_key(&name).then(|| json!({ "@id": output_id(&name) }));
                files.entities.push(
                    json!({ "@id": id, "@type": if given.file.is_some() { "File" } else { "CreativeWork" },
                            "name": format!("{}.{}", one.label, given.output), "description": format!("a {} of neuroflow", given.kind),
                            "encodingFormat": given.file.as_ref().map(|file| format_of(file)),
                            "contentSize": given.file.as_ref().map(|_| given.size.to_string()),
                            "identifier": format!("blake3:{}", given.digest), "exampleOfWork": example })
                    .without_nulls(),
                );
            }
        }
        files
    }

    fn ids(&self, contents: impl Iterator<Item = Digest>) -> Vec<Value> {
        let mut seen = BTreeSet::new();
        contents
            .filter(|digest| seen.insert(*digest))
            .filter_map(|digest| self.by_content.get(&digest))
            .map(|id| json!({ "@id": id }))
            .collect()
    }
}

pub(super) fn format_of(file: &str) -> &'static str {
    match file.rsplit('.').next() {
        Some("arrow") => "application/vnd.apache.arrow.file",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

fn actions(contents: &Contents<'_>, files: &Files) -> Vec<Value> {
    let record = contents.record;
    let ended = record
        .started
        .parse::<jiff::Timestamp>()
        .ok()
        .and_then(|began| began.checked_add(jiff::SignedDuration::from_millis(record.wall_ms as i64)).ok());
    let ended = ended.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let taken = record.inputs.iter().flat_map(|input| input.members.iter().map(|(_, digest)| *digest));
    let given = outputs(contents).into_values().flatten().map(|given| given.digest).collect::<Vec<_>>();
    let status = match record.status {
        neuroflow_engine::record::Status::Failed | neuroflow_engine::record::Status::Interrupted => "http://schema.org/FailedActionStatus",
        _ => "http://schema.org/CompletedActionStatus",
    };
    let mut all = vec![
        json!({ "@id": "#run", "@type": "CreateAction", "name": format!("Run {}", record.id), "instrument": { "@id": contents.workflow },
                "startTime": record.started, "endTime": ended, "actionStatus": { "@id": status },
                "object": files.ids(taken), "result": files.ids(given.into_iter()) })
        .without_nulls(),
        json!({ "@id": "#orchestration", "@type": "OrganizeAction", "name": format!("Run {} by neuroflow", record.id), "instrument": { "@id": ENGINE },
                "startTime": record.started, "endTime": ended, "result": { "@id": "#run" },
                "object": contents.performed.iter().map(|one| json!({ "@id": control_id(one) })).collect::<Vec<_>>() })
        .without_nulls(),
    ];
    for one in &contents.performed {
        all.push(json!({ "@id": control_id(one), "@type": "ControlAction", "name": format!("Perform {}", one.label),
                         "instrument": { "@id": step_id(&one.step) }, "object": { "@id": action_id(one) } }));
        let settings = one.params.iter().filter(|(name, _)| *name != "command");
        let described = settings.map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ");
        all.push(
            json!({ "@id": action_id(one), "@type": "CreateAction", "name": one.label, "description": described, "instrument": { "@id": tool_id(one) },
                    "startTime": one.when.as_ref().map(|(began, _)| began), "endTime": one.when.as_ref().map(|(_, ended)| ended),
                    "actionStatus": { "@id": status_of(one) },
                    "object": files.ids(one.takes.iter().copied()), "result": files.ids(one.gives.iter().map(|given| given.digest)) })
            .without_nulls(),
        );
    }
    for id in ["http://schema.org/CompletedActionStatus", "http://schema.org/FailedActionStatus"] {
        let is_named = all.iter().any(|action| action["actionStatus"]["@id"] == id);
        if is_named {
            all.push(json!({ "@id": id, "@type": "ActionStatusType", "name": id.rsplit('/').next() }));
        }
    }
    all
}

fn control_id(one: &Performed) -> String {
    format!("#control-{}", plain(&one.label))
}

fn status_of(one: &Performed) -> &'static str {
    if one.gives.is_empty() { "http://schema.org/FailedActionStatus" } else { "http://schema.org/CompletedActionStatus" }
}
