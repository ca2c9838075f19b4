//! The same provenance as W3C PROV, in JSON-LD.

use super::{Contents, plain};
use neuroflow_cache::Digest;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn entity_id(digest: Digest) -> String {
    format!("blake3:{digest}")
}

/// Entities are contents, activities are calls, the agent is the program. The pipeline is attributed to the author of its commit.
pub(crate) fn provenance(contents: &Contents<'_>) -> Value {
    let record = contents.record;
    let mut graph = vec![json!({
        "@id": "nf:neuroflow", "@type": ["prov:Agent", "prov:SoftwareAgent"], "rdfs:label": format!("neuroflow {}", record.neuroflow),
    })];
    if let Some(name) = &contents.author {
        graph.push(json!({ "@id": format!("nf:person/{}", plain(name)), "@type": ["prov:Agent", "prov:Person"], "rdfs:label": name }));
    }
    graph.push(json!({
        "@id": format!("nf:run/{}", record.id), "@type": "prov:Activity", "rdfs:label": format!("run of {}", record.pipeline),
        "prov:startedAtTime": time(&record.started), "prov:used": { "@id": entity_id(record.source) }, "prov:wasAssociatedWith": { "@id": "nf:neuroflow" },
    }));
    let mut plan = json!({ "@id": entity_id(record.source), "@type": ["prov:Entity", "prov:Plan"], "rdfs:label": contents.workflow });
    if let Some(name) = &contents.author {
        plan["prov:wasAttributedTo"] = json!({ "@id": format!("nf:person/{}", plain(name)) });
    }
    graph.push(plan);
    let mut known: BTreeSet<Digest> = BTreeSet::from([record.source]);
    for input in &record.inputs {
        for (label, digest) in &input.members {
            if known.insert(*digest) {
                let name = if label.is_empty() { input.name.clone() } else { format!("{}[{label:?}]", input.name) };
                let mut entity =
                    json!({ "@id": entity_id(*digest), "@type": "prov:Entity", "rdfs:label": name, "rdfs:comment": input.taken });
                if let Some(address) = contents.published.get(digest) {
                    entity["prov:atLocation"] = json!({ "@id": address });
                }
                graph.push(entity);
            }
        }
    }
    for one in &contents.performed {
        let id = format!("nf:run/{}/{}", record.id, plain(&one.label));
        let mut activity = json!({
            "@id": id, "@type": "prov:Activity", "rdfs:label": one.label, "rdfs:comment": one.stage,
            "prov:used": one.takes.iter().collect::<BTreeSet<_>>().into_iter().map(|digest| json!({ "@id": entity_id(*digest) })).collect::<Vec<_>>(),
            "prov:wasAssociatedWith": { "@id": "nf:neuroflow" }, "prov:wasInformedBy": { "@id": format!("nf:run/{}", record.id) },
        });
        if let Some((began, ended)) = &one.when {
            activity["prov:startedAtTime"] = time(began);
            activity["prov:endedAtTime"] = time(ended);
        }
        graph.push(activity);
        for given in &one.gives {
            // Two steps may give the same content; it was made by the first.
            if known.insert(given.digest) {
                let derived: Vec<Value> =
                    one.takes.iter().collect::<BTreeSet<_>>().into_iter().map(|digest| json!({ "@id": entity_id(*digest) })).collect();
                graph.push(json!({
                    "@id": entity_id(given.digest), "@type": "prov:Entity", "rdfs:label": format!("{}.{}", one.label, given.output),
                    "prov:wasGeneratedBy": { "@id": id }, "prov:wasDerivedFrom": derived,
                }));
            }
        }
    }
    json!({
        "@context": {
            "prov": "http://www.w3.org/ns/prov#", "rdfs": "http://www.w3.org/2000/01/rdf-schema#", "xsd": "http://www.w3.org/2001/XMLSchema#",
            "nf": format!("{}#", env!("CARGO_PKG_REPOSITORY")), "blake3": "urn:blake3:",
        },
        "@graph": graph,
    })
}

fn time(text: &str) -> Value {
    json!({ "@value": text, "@type": "xsd:dateTime" })
}
