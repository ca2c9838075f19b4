//! What clients may look at: the same lists for all, no score without a prediction, nothing but what an address names; and a wish that runs nothing.

use super::*;
use rmcp::model::{GetPromptRequestParams, ReadResourceRequestParams, ResourceContents};

#[tokio::test]
async fn all_clients_are_told_the_same_tools_resources_and_prompts() {
    let place = project("");
    let mut lists = Vec::new();
    for (client, modern) in [(Client::plain(), false), (Client::plain(), true), (Client::liar(), false), (Client::liar(), true)] {
        let client = client.connect(&place, modern).await;
        let tools = client.service.list_all_tools().await.unwrap();
        let again = client.service.list_all_tools().await.unwrap();
        assert_eq!(tools, again);
        let prompts = client.service.list_all_prompts().await.unwrap();
        let templates = client.service.list_all_resource_templates().await.unwrap();
        lists.push(serde_json::to_string(&(tools, prompts, templates)).unwrap());
        client.goes().await;
    }
    assert!(lists.iter().all(|list| *list == lists[0]));
}

#[tokio::test]
async fn scores_need_a_prediction_on_every_way() {
    let place = project("");
    let client = Client::plain().connect(&place, false).await;
    let record = place.record();
    let run = record["id"].as_str().unwrap().to_owned();
    let values: Vec<String> = record["scores"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|scores| scores.as_array().unwrap())
        .map(|score| score["value"].to_string())
        .collect();
    assert!(values.len() >= 3, "{record}");
    let read = async |uri: String| {
        let result = client.service.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
        result
            .contents
            .into_iter()
            .map(|content| match content {
                ResourceContents::TextResourceContents { text, .. } => text,
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let report = read(format!("neuroflow://run/{run}/report")).await.remove(0);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["run"], &report["status"]), (&json!(run), &record["status"]));
    assert!(report["with_scores"].as_array().unwrap().len() >= 3 && report.get("expects").is_none(), "{report}");
    assert!(values.iter().filter(|value| value.len() > 4).all(|value| !report.to_string().contains(value.as_str())), "{report}");

    assert!(client.told("results", json!({ "step": "direction" })).await["error"].as_str().unwrap().contains("say first what you expect"));
    assert!(ledger(&place).iter().all(|line| line["event"] != "looked"));
    let told = client.told("results", json!({ "step": "direction", "prediction": "min(direction[*].accuracy) > 0.2" })).await;
    assert!(told["scores"].as_array().is_some_and(|scores| !scores.is_empty()), "{told}");
    assert_eq!(ledger(&place).iter().filter(|line| line["event"] == "looked").count(), 1);
    // A look stands on the card of what is proposed after it.
    let card = client.call("propose_edit", costly(2)).await;
    assert!(card.content.last().unwrap().as_text().unwrap().text.contains("looked at held-out scores 1 times"));
    client.goes().await;
}

#[tokio::test]
async fn addresses_name_what_there_is_and_nothing_else() {
    let place = project("");
    place.write("secret.txt", "not for reading");
    place.write("knowledge/a.md", "a note\n");
    let client = Client::plain().connect(&place, true).await;
    let text = async |uri: &str| match client.service.read_resource(ReadResourceRequestParams::new(uri)).await {
        Ok(result) => serde_json::to_string(&result).unwrap(),
        Err(error) => format!("ERROR {error}"),
    };
    for (uri, word) in [
        ("neuroflow://pipeline/pipelines/small.nf", "decode.classify"),
        ("neuroflow://stage/decode.classify", "decode.classify"),
        ("neuroflow://stage/shuffle", "control"),
        ("neuroflow://diagnostic/unit-mismatch", "unit"),
        ("neuroflow://note/knowledge/a.md", "a note"),
    ] {
        let found = text(uri).await;
        assert!(!found.starts_with("ERROR") && found.contains(word), "{uri}: {found}");
        assert!(found.contains("\"cacheScope\":\"private\"") && found.contains("ttlMs"), "{uri}: {found}");
    }
    for uri in [
        "neuroflow://pipeline/secret.txt",
        "neuroflow://pipeline/../secret.txt",
        "neuroflow://pipeline/pipelines/../../etc/passwd",
        "neuroflow://note/secret.txt",
        "neuroflow://note/knowledge/../secret.txt",
        "neuroflow://note/%2e%2e/secret.txt",
        "neuroflow://run/../report",
        "neuroflow://run/latest/report",
        "neuroflow://proposal/p-",
        "neuroflow://stage/none.such",
        "neuroflow://diagnostic/../Cargo",
        "file:///etc/passwd",
        "",
    ] {
        let found = text(uri).await;
        assert!(found.starts_with("ERROR"), "{uri}: {found}");
        assert!(!found.contains("not for reading"));
    }
    let listed = client.service.list_all_resources().await.unwrap();
    let uris: Vec<&str> = listed.iter().map(|resource| resource.uri.as_str()).collect();
    assert!(uris.contains(&"neuroflow://pipeline/pipelines/small.nf") && uris.contains(&"neuroflow://note/knowledge/a.md"), "{uris:?}");
    for uri in uris {
        assert!(!text(uri).await.starts_with("ERROR"), "what is listed can be read: {uri}");
    }
    let mut prompt = GetPromptRequestParams::new("add_a_control");
    prompt.arguments = Some([("step".to_owned(), json!("direction"))].into_iter().collect());
    assert!(serde_json::to_string(&client.service.get_prompt(prompt).await.unwrap()).unwrap().contains("The step `direction`"));
    client.goes().await;
}

#[tokio::test]
async fn a_wish_for_a_run_is_noted_and_runs_nothing() {
    let place = project("");
    let before = outside(&place);
    let client = Client::plain().connect(&place, false).await;
    for _ in 0..3 {
        let told = client.told("request_run", json!({ "why": "the tuning is not known yet" })).await;
        assert_eq!((&told["status"], &told["type"]), (&json!("awaiting_human"), &json!("neuroflow run pipelines/small.nf")), "{told}");
        assert_eq!(told["would_run"], 0);
    }
    assert!(client.told("request_run", json!({})).await["error"].as_str().unwrap().contains("`why` is missing"));
    assert!(client.service.call_tool(request("run", json!({}))).await.is_err(), "there is no such tool");
    assert!(client.service.call_tool(request("clarify", json!({ "question": "x" }))).await.is_err());
    client.goes().await;
    nothing_changed(&place, &before);
    let wishes: Vec<Value> = ledger(&place).into_iter().filter(|line| line["event"] == "wished").collect();
    assert_eq!(wishes.len(), 1, "the same wish in a row is one wish");
    assert_eq!((&wishes[0]["reason"], &wishes[0]["detail"]["run"]), (&json!("the tuning is not known yet"), &json!("pipelines/small.nf")));
    place.run(&["agent", "log"]).exits(0).says("wished").says("the tuning is not known yet");
    assert_eq!(place.run(&["runs"]).exits(0).out.lines().count(), 1);
}

#[test]
fn the_server_says_which_pipeline_it_can_not_choose() {
    let place = Place::new();
    place.run(&["mcp"]).exits(4).says("there is no pipeline in this folder").says("--pipeline");
    place.write("a.nf", SMALL);
    place.write("b.nf", SMALL);
    place.run(&["mcp"]).exits(4).says("several pipelines").says("a.nf, b.nf");
    place.run(&["mcp", "--pipeline", "../x.nf"]).exits(4);
    place.run(&["mcp", "--pipeline", "notes.txt"]).exits(4).says("only pipelines");
    // Standard input is at its end: the client is gone before it said anything.
    let mut command = place.command();
    let output = command.args(["mcp", "--pipeline", "a.nf"]).stdin(Stdio::null()).output().unwrap();
    let said = crate::support::said(output).exits(0);
    assert_eq!(said.out, "");
}

#[tokio::test]
async fn a_look_that_takes_long_holds_no_other_up() {
    let place = Place::new();
    place.write("pipelines/small.nf", "pipeline b \"B\"\ninput x = nwb(\"x.nwb\")\nf = ingest.array(x, of = \"a\")\nreport b { f }\n");
    // Nothing of it is on the disk; reading all of it takes long.
    place.write("x.nwb", "");
    std::fs::OpenOptions::new().write(true).open(place.path().join("x.nwb")).unwrap().set_len(16 << 30).unwrap();
    let client = Client::plain().connect(&place, false).await;
    let began = Instant::now();
    tokio::select! {
        biased;
        told = client.told("plan", json!({})) => panic!("all of it was read: {told}"),
        told = client.told("read_pipeline", json!({})) => assert!(told["text"].as_str().unwrap().contains("x.nwb"), "{told}"),
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    client.goes().await;
}
