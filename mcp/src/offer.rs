//! What follows an offer: the card at once, and, where both the project and the client allow it, a form for the person behind the client.

use crate::calls::result;
use crate::clients::Client;
use crate::form::{self, Decision, Elicited};
use crate::server::Server;
use neuroflow_agent::{Gate, Level, Proposal, ProposalId, ask, markdown, terminal};
use rmcp::RoleServer;
use rmcp::model::{
    CallToolResponse, ClientResult, ElicitRequest, ElicitRequestParams, InputRequest, InputRequests, InputRequiredResult, InputResponses,
    ProtocolVersion, ServerRequest,
};
use rmcp::service::{PeerRequestOptions, RequestContext};
use serde_json::{Value, json};

/// The name of the one form among the requests of a round.
const FORM: &str = "decision";

/// How many times a client is asked about proposals before only a terminal counts: forms without end wear a person down.
pub(crate) const MOST_FORMS: usize = 25;

impl Server {
    /// The answer to a call that offered something.
    pub(crate) async fn offered(
        &self,
        client: &Client,
        id: &ProposalId,
        mut content: Value,
        call: &[u8],
        context: &RequestContext<RoleServer>,
    ) -> CallToolResponse {
        let gate = self.gate();
        let proposal = match gate.store().proposal(id) {
            Ok(proposal) => proposal,
            Err(error) => return result(json!({ "error": error }), None).into(),
        };
        let card = match gate.card(id).await {
            Ok(card) => card,
            Err(error) => return result(json!({ "error": error.to_string() }), None).into(),
        };
        content["next"] = at_a_terminal(id).into();
        content["note"] = "a person reads the card and decides; `proposal_status` says what came of it".into();
        let level = match gate.settings() {
            Ok(settings) => card.needs(&settings),
            Err(error) => return result(not_approved(content, &error.to_string()), Some(markdown(&card))).into(),
        };
        content["needs"] = level.word().into();
        if level != Level::Client || !can_show_forms(context) || !self.may_ask() {
            return result(content, Some(markdown(&card))).into();
        }
        let form = match form::form(id, &terminal(&card, false)) {
            Ok(form) => form,
            Err(reason) => return result(not_approved(content, &reason), Some(markdown(&card))).into(),
        };
        if is_stateless(context) {
            let plan = proposal.plan_digest().map(|digest| digest.to_string());
            return match self.pending().seal(id, plan, call, self.wait()) {
                Ok(state) => {
                    let requests = InputRequests::from([(FORM.to_owned(), InputRequest::Elicitation(ElicitRequest::new(form)))]);
                    InputRequiredResult::new(Some(requests), Some(state)).into()
                }
                Err(reason) => result(not_approved(content, &reason), Some(markdown(&card))).into(),
            };
        }
        let content = match self.elicit(form, context).await {
            Ok(reply) => self.decide(client, &gate, &proposal, &reply, content).await,
            Err(reason) => not_approved(content, &reason),
        };
        client.answered(&content.to_string());
        result(content, Some(markdown(&card))).into()
    }

    /// A call that comes again, with the answer to its form.
    pub(crate) async fn answered(
        &self,
        client: &Client,
        state: Option<&str>,
        replies: Option<&InputResponses>,
        call: &[u8],
    ) -> CallToolResponse {
        let refused = |reason: String| {
            result(json!({ "error": reason, "note": "nothing is approved; `proposal_status` says where a proposal stands" }), None)
        };
        let Some(state) = state else { return refused("an answer came without the state that it belongs to".into()).into() };
        let (id, plan) = match self.pending().open(state, call) {
            Ok(opened) => opened,
            Err(reason) => return refused(reason).into(),
        };
        let gate = self.gate();
        let proposal = match gate.store().proposal(&id) {
            Ok(proposal) => proposal,
            Err(reason) => return refused(reason).into(),
        };
        if proposal.plan_digest().map(|digest| digest.to_string()) != plan {
            return refused(format!("the answer is about another plan than that of {}", id.short())).into();
        }
        let content = json!({ "proposal": id.short(), "status": "awaiting_human", "next": at_a_terminal(&id) });
        let content = match replies.and_then(|replies| replies.get(FORM)) {
            Some(reply) => self.decide(client, &gate, &proposal, reply, content).await,
            None => not_approved(content, "the client sent no answer to the form"),
        };
        client.answered(&content.to_string());
        let card = gate.card(&id).await.map(|card| markdown(&card)).ok();
        result(content, card).into()
    }

    /// Asks an older client, which answers while the call waits. It waits no longer than the server's limit, and not when the client gives the call up.
    async fn elicit(&self, form: ElicitRequestParams, context: &RequestContext<RoleServer>) -> Result<Value, String> {
        let request = ServerRequest::ElicitRequest(ElicitRequest::new(form));
        let asked = async {
            let handle = context.peer.send_request_with_option(request, PeerRequestOptions::with_timeout(self.wait())).await?;
            handle.await_response().await
        };
        let reply = tokio::select! {
            reply = tokio::time::timeout(self.wait(), asked) => reply.map_err(|_| "no answer came in time".to_owned())?,
            () = context.ct.cancelled() => return Err("the client gave the call up".into()),
        };
        match reply {
            Ok(ClientResult::ElicitResult(reply)) => serde_json::to_value(reply).map_err(|error| error.to_string()),
            Ok(_) => Err("the client's answer is none to a form".into()),
            Err(rmcp::service::ServiceError::Timeout { .. }) => Err("no answer came in time".into()),
            Err(error) => Err(format!("the client could not ask: {}", neuroflow_agent::escape_line(&error.to_string()))),
        }
    }

    /// Does what the person said, as far as the word of a client reaches.
    async fn decide(&self, client: &Client, gate: &Gate, proposal: &Proposal, reply: &Value, mut content: Value) -> Value {
        let id = proposal.id();
        let name = format!("{} through {}", neuroflow_agent::person_name(), client.origin);
        match form::read(reply, &id) {
            Ok(Decision::Approve) => {
                let mut person = Elicited { name, echoed: id.short().to_owned() };
                let settings = match gate.settings() {
                    Ok(settings) => settings,
                    Err(error) => return not_approved(content, &error.to_string()),
                };
                let approval = match ask(proposal, &settings, &mut person) {
                    Ok(Some(approval)) => approval,
                    Ok(None) => return not_approved(content, "the proposal's name does not fit"),
                    Err(reason) => return not_approved(content, &reason),
                };
                match gate.apply(proposal, approval, false).await {
                    Ok(applied) => {
                        content["status"] = "applied".into();
                        content["commit"] = applied.commit.into();
                        content["files"] = applied.files.into();
                        content["level"] = Level::Client.word().into();
                        content["note"] = "the files are changed; nothing was run".into();
                        content["next"] = format!("a person runs it: neuroflow run {}", proposal.pipeline).into();
                        content
                    }
                    Err(error) => not_approved(content, &error.to_string()),
                }
            }
            Ok(Decision::Reject(reason)) => match gate.reject(&id, &reason, &name) {
                Ok(()) => {
                    content["status"] = "rejected".into();
                    content["reason"] = neuroflow_agent::escape_line(&reason).into();
                    if let Some(content) = content.as_object_mut() {
                        content.remove("next");
                        content.remove("note");
                    }
                    content
                }
                Err(error) => not_approved(content, &error.to_string()),
            },
            Ok(Decision::Later) => not_approved(content, "the person will answer later"),
            Err(reason) => not_approved(content, &reason),
        }
    }
}

/// What a person types.
pub(crate) fn at_a_terminal(id: &ProposalId) -> String {
    format!("run `neuroflow agent review {}` in your own terminal", id.short())
}

/// An answer that is no yes: the proposal waits on, and says why.
fn not_approved(mut content: Value, reason: &str) -> Value {
    content["not_approved"] = reason.into();
    content
}

/// Whether the client said that it can show a form. One that names neither form nor link means forms, as the protocol had it first.
fn can_show_forms(context: &RequestContext<RoleServer>) -> bool {
    let declared = context.client_capabilities().and_then(|declared| declared.elicitation);
    declared.is_some_and(|declared| declared.form.is_some() || declared.url.is_none())
}

/// Whether the protocol is one in which a server asks nothing by itself: the call comes again with the answer.
fn is_stateless(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}
