//! What a model is told of a folder with files of the field: what is in them as far as the level allows, and lines that check and run.

use super::field_files::{CARRIERS, edf_beside, files, named, nwb};
use super::outside::project;
use crate::support::Place;
use neuroflow_agent::{Desk, Exposure, Gate, Origin, Settings};
use serde_json::{Value, json};

/// A desk before a folder, at a level.
fn desk(place: &Place, pipeline: &str, level: &str) -> Desk {
    let settings = Settings::parse(&format!("[agent]\nexposure = \"{level}\"\n")).unwrap();
    let exposure = match level {
        "sample" => Exposure::Sample,
        "aggregate" => Exposure::Aggregate,
        _ => Exposure::Schema,
    };
    Desk::new(Gate::of(project(place.path(), settings)), pipeline.into(), exposure, Origin::Chat { model: "script".into() })
}

fn asked(desk: &mut Desk, tool: &str, arguments: &Value) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    serde_json::from_str(&runtime.block_on(desk.call(tool, arguments, &String::new)).text).unwrap()
}

fn described(desk: &mut Desk, number: Option<u64>) -> Value {
    asked(desk, "describe_data", &json!({ "number": number }))
}

/// Writes the files of a carrier that says nothing that matters.
fn write(place: &Place, carrier: &str) {
    files(carrier, "a_b").into_iter().for_each(|(name, bytes)| drop(place.write(&name, bytes)));
}

#[test]
fn lines_of_every_format_check_and_run() {
    for carrier in ["nwb_column", "hdf5_attribute", "edf_label", "png_text", "bids_sidecar", "mat_field", "gifti_metadata", "nifti_intent"]
        .into_iter()
        .chain(["brainvision_channel", "eeglab_event", "safetensors_metadata", "gml_comment", "csv", "npy", "npz", "zarr_array"])
    {
        let place = Place::new();
        let small = super::small_files::npy("<f8", "(2,)", &[0; 16]);
        match carrier {
            "csv" => drop(place.write("planted.tsv", "a\tb\n1\t2\n")),
            "npy" => drop(place.write("planted.npy", small)),
            "npz" => drop(place.write("planted.npz", super::small_files::zip(&[("x.npy", &small), ("y.npy", &small)], true))),
            "zarr_array" => {
                let array = json!({ "zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "<f8", "compressor": null, "fill_value": 0, "order": "C", "filters": null });
                place.write("planted.zarr/.zarray", array.to_string());
                place.write("planted.zarr/0", [0; 16]);
            }
            carrier => write(&place, carrier),
        }
        let mut desk = desk(&place, "p.nf", "schema");
        let listed = described(&mut desk, None);
        assert_eq!(listed["groups"].as_array().unwrap().len(), 1, "{carrier}: {listed}");
        let told = described(&mut desk, Some(1));
        let lines: Vec<&str> =
            told["lines"].as_array().unwrap_or_else(|| panic!("{carrier}: {told}")).iter().filter_map(Value::as_str).collect();
        assert!(lines[0].starts_with("input ") && (lines.len() > 1 || ["csv", "npy"].contains(&carrier)), "{carrier}: {lines:?}");
        let input = listed["groups"][0]["input"].as_str().unwrap();
        assert!(lines[0].ends_with(input), "{carrier}: {lines:?} {input}");
        place.write("p.nf", format!("pipeline p \"P\"\n{}\n", lines.join("\n")));
        place.run(&["check", "p.nf"]).exits(0);
        place.run(&["run", "p.nf"]).exits(0);
        let seen = desk.seen();
        assert!(seen.free_text.is_empty() && seen.level == Exposure::Schema, "{carrier}: {seen:?}");
    }
}

#[test]
fn a_folder_is_listed_by_what_inputs_can_name() {
    let place = Place::new();
    ["nwb_column", "brainvision_channel", "bids_sidecar", "zarr_attribute"].iter().for_each(|carrier| write(&place, carrier));
    for name in ["data/one.edf", "data/two.edf", "data/notes.txt", "data/.hidden.edf"] {
        place.write(name, crate::formats::sample("run.edf"));
    }
    place.write("sorted/spike_times.npy", super::small_files::npy("<i8", "(2,)", &[0; 16]));
    place.write("sorted/more/x.npy", super::small_files::npy("<i8", "(2,)", &[0; 16]));
    let listed = described(&mut desk(&place, "p.nf", "schema"), None);
    let inputs: Vec<&str> = listed["groups"].as_array().unwrap().iter().filter_map(|group| group["input"].as_str()).collect();
    let expected = [
        "bids(\"planted\", subject = all)",
        "brainvision(\"planted.vhdr\")",
        "nwb(\"planted.nwb\")",
        "phy(\"sorted\")",
        "zarr(\"planted.zarr\")",
        "edf(\"data/*.edf\")",
        "npy(\"sorted/more/x.npy\")",
    ];
    assert_eq!(inputs, expected, "{listed}");
    assert_eq!(listed["groups"][5]["files"], 2, "{listed}");
}

#[test]
fn levels_hold_back_what_a_file_says_and_of_whom() {
    let place = Place::new();
    let labels = "go,".repeat(12) + &"rare,".repeat(3);
    place.write("a.edf", edf_beside("said to be calm", labels.trim_end_matches(',').split(',').collect::<Vec<_>>().as_slice()));
    place.write("b.nwb", nwb("Jane was told to rest", "quality", "sorted by hand and eye", "go"));
    place.write("c/dataset_description.json", r#"{"Name": "one", "BIDSVersion": "1.10.0"}"#);
    place.write("c/participants.tsv", "participant_id\tage\tgroup\nsub-01\t30\tpatient\n");
    place.write("c/sub-01/eeg/sub-01_task-rest_eeg.edf", crate::formats::sample("run.edf"));
    place.write("c/sub-02/eeg/sub-02_task-rest_eeg.edf", crate::formats::sample("run.edf"));
    for (level, told_labels, tells_words) in [("schema", false, false), ("aggregate", true, false), ("sample", true, true)] {
        let mut desk = desk(&place, "p.nf", level);
        let told: Vec<Value> = (1..=3).map(|number| described(&mut desk, Some(number))).collect();
        let all = told.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        let recording = told[0]["things"].as_array().unwrap().iter().find(|thing| thing["is"] == "recording").unwrap();
        assert_eq!((&recording["rate"], &recording["unit"]), (&json!(100.0), &json!("uV")), "{level}: {all}");
        assert_eq!(recording["names"], json!(["EEG C3", "EEG C4"]), "{level}: {all}");
        assert!(all.contains("\"spikes\"") && all.contains("quality") && all.contains("session_description"), "{level}: {all}");
        assert_eq!(all.contains("[\"go\",12]"), told_labels, "{level}: {all}");
        assert_eq!(all.contains("rare"), tells_words, "{level}: {all}");
        assert_eq!(all.contains("Jane was told to rest") && all.contains("sorted by hand and eye"), tells_words, "{level}: {all}");
        assert_eq!(desk.seen().free_text.is_empty(), !tells_words, "{level}: {:?}", desk.seen());
        // Of whom it is, is never told; that it is there, is.
        assert!(!all.contains("Jane Doe") && all.contains("masked: about a participant"), "{level}: {all}");
    }
}

#[test]
fn an_input_of_a_file_of_the_field_is_described_too() {
    let place = Place::new();
    for carrier in ["nwb_column", "brainvision_channel", "bids_sidecar"] {
        write(&place, carrier);
    }
    for name in ["data/one.edf", "data/two.edf"] {
        place.write(name, crate::formats::sample("run.edf"));
    }
    let inputs = "input session = nwb(\"planted.nwb\")\ninput eeg = brainvision(\"planted.vhdr\")\ninput runs = edf(\"data/*.edf\")\n\
                  input tree = bids(\"planted\", subject = all)\nspikes = ingest.spikes(session)\n";
    place.write("p.nf", format!("pipeline p \"P\"\n{inputs}"));
    place.run(&["run", "p.nf"]).exits(0);
    let mut desk = desk(&place, "p.nf", "schema");
    let mut told = |of: &str| asked(&mut desk, "data_schema", &json!({ "of": of })).to_string();
    let session = told("session");
    assert!(session.contains("\"units\"") && session.contains("a_b") && session.contains("\"events\""), "{session}");
    assert!(told("eeg").contains("\"names\":[\"a_b\",\"Fz\"]"), "{}", told("eeg"));
    assert!(told("runs").contains("\"labels\":[\"one\",\"two\"]"), "{}", told("runs"));
    assert!(told("runs[\"two\"]").contains("EEG C4") && told("runs[\"three\"]").contains("no member"), "{}", told("runs[\"two\"]"));
    let label = serde_json::from_str::<Value>(&told("tree")).unwrap()["labels"][0].as_str().unwrap().to_owned();
    assert!(told(&format!("tree[\"{label}\"]")).contains("EEG C4"), "{}", told(&format!("tree[\"{label}\"]")));
    assert!(told("spikes").contains("unit"), "{}", told("spikes"));
}

#[test]
fn a_header_leads_to_nothing_hidden_and_nothing_outside() {
    let place = Place::new();
    write(&place, "brainvision_channel");
    place.write(".env", "TOKEN=CANARY_in_a_hidden_file\n");
    let header = std::fs::read_to_string(place.path().join("planted.vhdr")).unwrap();
    for named in [".env", "../planted.eeg", "/etc/passwd"] {
        place
            .write("planted.vhdr", header.replace("MarkerFile=planted.vmrk", &format!("MarkerFile={named}")).replace("planted.eeg", named));
        let told = described(&mut desk(&place, "p.nf", "sample"), Some(1)).to_string();
        assert!(!told.contains("CANARY") && !told.contains("root:"), "{named}: {told}");
        place.write("p.nf", "pipeline p \"P\"\ninput x = brainvision(\"planted.vhdr\")\nr = ingest.recording(x)\ne = ingest.events(x)\n");
        let ran = place.run(&["run", "p.nf"]);
        assert!(!(ran.out + &ran.err).contains("CANARY"), "{named}");
        // What was read is what lies beside the header by its own name, or nothing.
        let read = place.run(&["show", "--json"]);
        assert!(!read.out.contains("\".env\"") && !read.out.contains("passwd"), "{named}: {}", read.out);
    }
}

/// What moves the cursor, hides, reorders or colours; and what a page would run.
const COMMANDS: &str = "\u{1b}[2J\u{7}\u{9b}31m\u{202e}\u{200b}<script>alert(1)</script>";
const SHORT: &str = "\u{1b}[2J\u{7}<b>x";

#[test]
fn what_a_file_says_commands_no_terminal_and_no_page() {
    let is_command = |letter: char| letter != '\n' && (letter.is_control() || matches!(letter, '\u{202e}' | '\u{200b}'));
    let mut shown = 0;
    for carrier in CARRIERS {
        let place = Place::new();
        let is_short = matches!(carrier, "edf_label" | "edf_annotation" | "nifti_intent");
        files(carrier, if is_short { SHORT } else { COMMANDS }).into_iter().for_each(|(name, bytes)| drop(place.write(&name, bytes)));
        let path = named(carrier);
        let said = |arguments: &[&str]| {
            let said = place.run(arguments);
            for text in [&said.out, &said.err] {
                let found = text.chars().find(|letter| is_command(*letter));
                assert_eq!(found, None, "{carrier}: {arguments:?}\n{text:?}");
            }
            said
        };
        let text = said(&["inspect", path]);
        shown += usize::from(text.out.contains("<U+001B>"));
        let json = said(&["inspect", path, "--json"]);
        if json.code == 0 {
            let told: Value = serde_json::from_str(&json.out).unwrap();
            for item in told["items"].as_array().unwrap() {
                said(&["inspect", path, item["path"].as_str().unwrap()]);
            }
        }
        said(&["inspect", path, "nothing\u{1b}[2J of this name"]);
        said(&["inspect", path, "--sql", "select * from nothing"]);
        if said(&["inspect", path, "--html", "page.html"]).code == 0 {
            let page = std::fs::read_to_string(place.path().join("page.html")).unwrap();
            assert!(!page.contains("<script>alert(1)") && !page.contains("<b>x"), "{carrier}: a page says it as it is");
            assert_eq!(page.chars().find(|letter| is_command(*letter) && !matches!(letter, '\t' | '\r')), None, "{carrier}");
        }
        // A run that can't find what it is asked for tells what there is.
        let reader = described(&mut desk(&place, "p.nf", "schema"), None)["groups"][0]["input"].as_str().unwrap().to_owned();
        let all = if reader.starts_with("bids") {
            "for run in x {\n  a = ingest.spikes(x[run], of = \"nothing\")\n}"
        } else {
            "a = ingest.spikes(x, of = \"nothing\")"
        };
        place.write("p.nf", format!("pipeline p \"P\"\ninput x = {reader}\n{all}\n"));
        said(&["run", "p.nf"]);
        said(&["explain", "a"]);
        std::fs::remove_file(place.path().join("p.nf")).unwrap();
    }
    // Most of them carry it as far as the terminal; what refuses it says so without it.
    println!("shown by {shown} of {}", CARRIERS.len());
    assert!(shown >= 16, "{shown}");
}
