//! What can be read by address: pipelines, proposals, runs, stages, mistakes and notes.
//!
//! An address names something that a list or a catalogue names, too; it is never looked up as a path. What is free text marks the conversation, as it does in
//! the tools. A run is shown without its scores: those are told by `results`, after a prediction, and each look is counted.

use crate::clients::Client;
use crate::server::Server;
use neuroflow_agent::tools::View;
use neuroflow_agent::{Card, escape, escape_line, json, markdown};
use neuroflow_engine::record::RunRecord;
use rmcp::ErrorData;
use rmcp::model::{CacheScope, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::Value;

/// How every address begins.
const SCHEME: &str = "neuroflow://";

/// The most proposals and runs that are listed.
const MOST: usize = 50;

/// How long the manual may be kept by a client, in milliseconds: as long as a program of one version runs.
const DAY: u64 = 86_400_000;

const MARKDOWN: &str = "text/markdown";
const JSON: &str = "application/json";
const PLAIN: &str = "text/plain";

/// The kinds of addresses, in an order that never changes.
pub(crate) fn templates() -> Vec<ResourceTemplate> {
    let kinds = [
        ("pipeline/{+name}", "pipeline", "A pipeline as it stands: its path from the project's folder", PLAIN),
        ("proposal/{id}", "proposal", "A proposal's card, as Markdown and as JSON", MARKDOWN),
        ("run/{id}/report", "run", "What a run did, without its scores: those are told by the tool `results`, after a prediction", JSON),
        ("stage/{name}", "stage", "The manual page of a stage or a control", PLAIN),
        ("diagnostic/{code}", "diagnostic", "What the code of a mistake means, and the remedy", MARKDOWN),
        ("note/{+name}", "note", "A note of the project (knowledge/*.md), which people wrote or approved", MARKDOWN),
    ];
    let template = |(address, name, doc, kind): (&str, &str, &str, &str)| {
        ResourceTemplate::new(format!("{SCHEME}{address}"), name).with_description(doc).with_mime_type(kind)
    };
    kinds.into_iter().map(template).collect()
}

/// What an address means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address<'a> {
    Pipeline(&'a str),
    Proposal(&'a str),
    Run(&'a str),
    Stage(&'a str),
    Diagnostic(&'a str),
    Note(&'a str),
}

fn parse(uri: &str) -> Option<Address<'_>> {
    let (kind, rest) = uri.strip_prefix(SCHEME)?.split_once('/')?;
    if rest.is_empty() {
        return None;
    }
    match kind {
        "pipeline" => Some(Address::Pipeline(rest)),
        "proposal" => Some(Address::Proposal(rest)),
        "run" => rest.strip_suffix("/report").map(Address::Run),
        "stage" => Some(Address::Stage(rest)),
        "diagnostic" => Some(Address::Diagnostic(rest)),
        "note" => Some(Address::Note(rest)),
        _ => None,
    }
}

/// The letters of a path that an address writes as they are.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)
}

/// A path as part of an address.
fn encoded(path: &str) -> String {
    path.bytes().map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

impl Server {
    fn view(&self) -> View<'_> {
        View::new(self.project(), self.pipeline(), self.exposure())
    }

    /// What there is to read by name: the newest first where there are many.
    pub(crate) fn resources(&self) -> Vec<Resource> {
        let view = self.view();
        let mut all = Vec::new();
        for path in view.pipelines().into_iter().take(MOST) {
            all.push(Resource::new(format!("{SCHEME}pipeline/{}", encoded(&path)), escape_line(&path)).with_mime_type(PLAIN));
        }
        for (status, proposal) in view.proposals().into_iter().rev().take(MOST) {
            let intent = proposal.map(|proposal| escape_line(&proposal.intent)).unwrap_or_default();
            let told = format!("{}: {intent}", status.state.word());
            all.push(
                Resource::new(format!("{SCHEME}proposal/{}", status.id.short()), status.id.short())
                    .with_description(told)
                    .with_mime_type(MARKDOWN),
            );
        }
        for run in view.runs(MOST) {
            all.push(
                Resource::new(format!("{SCHEME}run/{}/report", run.id), run.id.clone())
                    .with_description(run.started.clone())
                    .with_mime_type(JSON),
            );
        }
        for path in view.notes().into_iter().take(MOST) {
            all.push(Resource::new(format!("{SCHEME}note/{}", encoded(&path)), escape_line(&path)).with_mime_type(MARKDOWN));
        }
        all
    }

    /// Reads an address.
    ///
    /// # Errors
    /// When it names nothing.
    pub(crate) async fn resource(&self, client: &Client, uri: &str) -> Result<ReadResourceResult, ErrorData> {
        let nothing = || {
            ErrorData::resource_not_found(
                format!("there is nothing at `{}`; `resources/templates/list` has the kinds", escape_line(uri)),
                None,
            )
        };
        let content = |text: String, kind: &str| ResourceContents::text(text, uri).with_mime_type(kind);
        let fresh =
            |contents: Vec<ResourceContents>| ReadResourceResult::new(contents).with_ttl_ms(0).with_cache_scope(CacheScope::Private);
        let lasting =
            |contents: Vec<ResourceContents>| ReadResourceResult::new(contents).with_ttl_ms(DAY).with_cache_scope(CacheScope::Private);
        match parse(uri).ok_or_else(nothing)? {
            Address::Pipeline(name) => {
                let path = self.view().pipelines().into_iter().find(|path| encoded(path) == name || path == name).ok_or_else(nothing)?;
                let text = self.view().read(&path).ok().flatten().ok_or_else(nothing)?;
                Ok(fresh(vec![content(escape(&text), PLAIN)]))
            }
            Address::Proposal(name) => {
                let (card, free_text) = self.card(name).await.ok_or_else(nothing)?;
                // Who reads a proposal that was made under the eyes of free text may read that text again in its words.
                self.clients().saw_free_text(&free_text);
                let shown = serde_json::to_string_pretty(&json(&card)).unwrap_or_default();
                Ok(fresh(vec![content(markdown(&card), MARKDOWN), content(shown, JSON)]))
            }
            Address::Run(id) => {
                let run = self.view().runs(MOST).into_iter().find(|run| run.id == id).ok_or_else(nothing)?;
                Ok(fresh(vec![content(serde_json::to_string_pretty(&without_scores(&run)).unwrap_or_default(), JSON)]))
            }
            Address::Stage(name) => {
                let (said, _) = self.at_the_desk(client, "stage_doc", &serde_json::json!({ "name": name })).await;
                let page = said["page"].as_str().ok_or_else(nothing)?;
                Ok(lasting(vec![content(page.to_owned(), PLAIN)]))
            }
            Address::Diagnostic(code) => {
                let page = neuroflow_dsl::explanations::explanation(code).ok_or_else(nothing)?;
                Ok(lasting(vec![content(page.to_owned(), MARKDOWN)]))
            }
            Address::Note(name) => {
                let path = self.view().notes().into_iter().find(|path| encoded(path) == name || path == name).ok_or_else(nothing)?;
                // Through the desk, which marks the conversation: a note is free text.
                let (said, _) = self.at_the_desk(client, "read_knowledge", &serde_json::json!({ "note": path })).await;
                let text = said["text"].as_str().ok_or_else(nothing)?;
                Ok(fresh(vec![content(text.to_owned(), MARKDOWN)]))
            }
        }
    }

    /// A proposal's card as it stands now, and the free text that its maker had seen.
    async fn card(&self, name: &str) -> Option<(Card, Vec<String>)> {
        const SHORTEST: usize = 10;
        if name.len() < SHORTEST || !name.starts_with("p-") {
            return None;
        }
        let gate = self.gate();
        let id = gate.store().find(name).ok()?;
        let proposal = gate.store().proposal(&id).ok()?;
        gate.statuses().ok()?.into_iter().find(|status| status.id == id)?;
        let free_text = proposal.seen.free_text.clone();
        Some((gate.card(&id).await.ok()?, free_text))
    }
}

/// What a run did. Neither scores nor whether an expectation on them holds.
fn without_scores(run: &RunRecord) -> Value {
    let inputs: Vec<Value> = run
        .inputs
        .iter()
        .map(|input| serde_json::json!({ "input": input.name, "members": input.members.len(), "simulated": input.simulated }))
        .collect();
    let failed: Vec<&String> = run.ran.iter().filter(|ran| ran.state == "failed").map(|ran| &ran.label).take(MOST).collect();
    let scored: Vec<&String> = run.scores.keys().take(MOST).collect();
    serde_json::json!({
        "run": run.id,
        "pipeline": run.pipeline,
        "file": run.file,
        "commit": run.revision.as_ref().map(|revision| &revision.commit),
        "dirty": run.revision.as_ref().map(|revision| revision.dirty),
        "neuroflow": run.neuroflow,
        "started": run.started,
        "seconds": (run.wall_ms / 10.0).round() / 100.0,
        "status": run.status,
        "controls": run.controls,
        "set": run.set,
        "inputs": inputs,
        "counts": run.counts,
        "failed": failed,
        "with_scores": scored,
        "reports": run.reports.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "scores": "held back: the tool `results` tells them after a prediction, and counts the look",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_means_one_thing_or_nothing() {
        assert_eq!(parse("neuroflow://pipeline/pipelines/mouse_v1.nf"), Some(Address::Pipeline("pipelines/mouse_v1.nf")));
        assert_eq!(parse("neuroflow://run/20261130-1/report"), Some(Address::Run("20261130-1")));
        assert_eq!(parse("neuroflow://note/knowledge/a.md"), Some(Address::Note("knowledge/a.md")));
        for nothing in [
            "",
            "neuroflow://",
            "neuroflow://pipeline",
            "neuroflow://pipeline/",
            "file:///etc/passwd",
            "neuroflow://run/x",
            "neuroflow://secret/x",
        ] {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_path_in_an_address_is_spelt_out() {
        assert_eq!(encoded("pipelines/a b?.nf"), "pipelines/a%20b%3F.nf");
    }
}
