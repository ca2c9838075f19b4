//! Small files of the field that say something of somebody's in one place: a description, a header, a label, a note in a picture.

use super::mat5_bytes::{CLASS_DOUBLE, DOUBLE, Mat5};
use neuroflow_data::{Axis, Events, Spikes, Table, Tensor, columns};
use neuroflow_formats::write::hdf5::{Data, Hdf5Writer, Storage};
use neuroflow_formats::write::nifti::{Options, write_nifti};
use neuroflow_formats::write::nwb::{Facts, NwbWriter};
use std::io::Cursor;

/// Every place in which a file can say something here.
pub const CARRIERS: [&str; 24] = [
    "nwb_session_description",
    "nwb_column",
    "nwb_table_description",
    "nwb_event_label",
    "nwb_electrode_group",
    "hdf5_attribute",
    "edf_recording",
    "edf_label",
    "edf_annotation",
    "png_text",
    "png_international_text",
    "bids_sidecar",
    "bids_participants_column",
    "mat_field",
    "gifti_metadata",
    "nifti_description",
    "nifti_intent",
    "brainvision_marker",
    "brainvision_channel",
    "eeglab_event",
    "eeglab_comment",
    "zarr_attribute",
    "safetensors_metadata",
    "gml_comment",
];

/// What is looked into: the file, the header of several, or the folder.
pub fn named(carrier: &str) -> &'static str {
    match carrier.split('_').next().unwrap() {
        "nwb" => "planted.nwb",
        "hdf5" => "planted.h5",
        "edf" => "planted.edf",
        "png" => "planted.png",
        "bids" => "planted",
        "mat" => "planted.mat",
        "gifti" => "planted.gii",
        "nifti" => "planted.nii",
        "brainvision" => "planted.vhdr",
        "eeglab" => "planted.set",
        "zarr" => "planted.zarr",
        "safetensors" => "planted.safetensors",
        "gml" => "planted.gml",
        other => panic!("nobody knows the files of `{other}`"),
    }
}

/// The files of a carrier, with somebody's words in their place.
pub fn files(carrier: &str, says: &str) -> Vec<(String, Vec<u8>)> {
    let one = |bytes: Vec<u8>| vec![(named(carrier).to_owned(), bytes)];
    match carrier {
        "nwb_session_description" => one(nwb(says, "quality", "units", "go")),
        "nwb_column" => one(nwb("a session", says, "units", "go")),
        "nwb_table_description" => one(nwb("a session", "quality", says, "go")),
        "nwb_event_label" => one(nwb("a session", "quality", "units", says)),
        "nwb_electrode_group" => one(electrode_group(says)),
        "hdf5_attribute" => one(hdf5(says)),
        "edf_recording" => one(edf(|bytes| put(bytes, 88, 80, says))),
        "edf_label" => one(edf(|bytes| put(bytes, 256, 16, says))),
        "edf_annotation" => one(edf(|bytes| annotation(bytes, says))),
        "png_text" => one(png(b"tEXt", format!("Comment\0{says}").as_bytes())),
        "png_international_text" => one(png(b"iTXt", format!("Description\0\0\0en\0\0{says}").as_bytes())),
        "bids_sidecar" => bids(&format!("{{\"TaskName\": \"rest\", \"TaskDescription\": {}}}", serde_json::json!(says)), "age"),
        "bids_participants_column" => {
            // A tree of two tells what is in it, one of a single recording what is in that.
            let mut files = bids("{\"TaskName\": \"rest\"}", says);
            files.push(("planted/sub-02/eeg/sub-02_task-rest_eeg.edf".into(), crate::formats::sample("run.edf")));
            files
        }
        "mat_field" => {
            let mat = Mat5 { big_endian: false };
            one(mat.file(&[mat.structs("planted", &[1, 1], &[says], &[mat.column("", &[1.0, 2.0])])]))
        }
        "gifti_metadata" => one(gifti(says)),
        "nifti_description" => one(nifti(|bytes| text(bytes, 148, 80, says))),
        "nifti_intent" => one(nifti(|bytes| text(bytes, 328, 16, says))),
        "brainvision_marker" => brainvision("Cz", says),
        "brainvision_channel" => brainvision(says, "S  1"),
        "eeglab_event" => one(eeglab("a set", says)),
        "eeglab_comment" => one(eeglab(says, "S 1")),
        "zarr_attribute" => {
            let group = serde_json::json!({ "zarr_format": 3, "node_type": "group", "attributes": { "note": says } });
            vec![("planted.zarr/zarr.json".into(), group.to_string().into_bytes())]
        }
        "safetensors_metadata" => {
            let header =
                serde_json::json!({ "__metadata__": { "note": says }, "w": { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] } });
            let header = header.to_string().into_bytes();
            one([&(header.len() as u64).to_le_bytes()[..], &header, &[0; 4]].concat())
        }
        "gml_comment" => {
            // The format writes quotes as an entity.
            let says = says.replace('&', "&amp;").replace('"', "&quot;");
            one(format!("graph [\n  comment \"{says}\"\n  node [ id 0 ]\n  node [ id 1 ]\n  edge [ source 0 target 1 ]\n]\n").into_bytes())
        }
        other => panic!("nobody knows how to write `{other}`"),
    }
}

/// A text in a field of so many bytes, the rest blank.
fn put(bytes: &mut [u8], at: usize, width: usize, says: &str) {
    assert!(says.len() <= width, "`{says}` is longer than {width} bytes");
    bytes[at..at + width].fill(b' ');
    bytes[at..at + says.len()].copy_from_slice(says.as_bytes());
}

/// A text in a field of so many bytes, the rest nothing.
fn text(bytes: &mut [u8], at: usize, width: usize, says: &str) {
    assert!(says.len() < width, "`{says}` is longer than {width} bytes");
    bytes[at..at + width].fill(0);
    bytes[at..at + says.len()].copy_from_slice(says.as_bytes());
}

/// Two units with their spikes and four events of a session.
pub fn nwb(session: &str, column: &str, units_are: &str, label: &str) -> Vec<u8> {
    let units = [columns::from_texts("unit", &["a", "b"]), columns::from_numbers(column, vec![0.5, 1.0])];
    let units = Table::from_columns(units.into()).unwrap();
    let spikes = Spikes::new("s1", units, &[3, 5], vec![0.1, 0.2, 0.3, 0.15, 0.4]).unwrap();
    let labels = [label, "stop", label, "stop"].map(str::to_owned);
    let events = Events::new(vec![0.1, 0.2, 0.3, 0.4], vec![Some(0.1); 4], &labels).unwrap();
    let mut writer = NwbWriter::new(Cursor::new(Vec::new()), &facts(session)).unwrap();
    writer.spikes(units_are, &spikes).unwrap();
    writer.events("trials", "what was shown", &events).unwrap();
    writer.finish().unwrap().into_inner()
}

/// What every file of NWB says.
pub fn facts(session: &str) -> Facts {
    Facts {
        session_description: session.into(),
        identifier: "s-1".into(),
        session_start_time: "2026-11-30T09:30:00Z".into(),
        file_create_date: "2026-11-30T12:00:00Z".into(),
        ..Facts::default()
    }
}

fn electrode_group(says: &str) -> Vec<u8> {
    let mut file = Hdf5Writer::new(Cursor::new(Vec::new())).unwrap();
    let text = |file: &mut Hdf5Writer<_>, path: &str, name: &str, text: &str| file.attribute(path, name, &Data::Text(text), &[]).unwrap();
    text(&mut file, "/", "nwb_version", "2.7.0");
    text(&mut file, "/", "neurodata_type", "NWBFile");
    text(&mut file, "/", "namespace", "core");
    let probe = "/general/extracellular_ephys/probe";
    file.group(probe).unwrap();
    text(&mut file, probe, "neurodata_type", "ElectrodeGroup");
    text(&mut file, probe, "namespace", "core");
    text(&mut file, probe, "description", says);
    file.dataset("/identifier", &Data::Text("s-1"), &[], &Storage::plain()).unwrap();
    file.finish().unwrap().into_inner()
}

fn hdf5(says: &str) -> Vec<u8> {
    let mut file = Hdf5Writer::new(Cursor::new(Vec::new())).unwrap();
    file.dataset("/x", &Data::F64(&[1.0, 2.0]), &[2], &Storage::plain()).unwrap();
    file.attribute("/x", "note", &Data::Text(says), &[]).unwrap();
    file.finish().unwrap().into_inner()
}

/// A recording of two channels with annotations, changed.
fn edf(change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = crate::formats::sample("run.edf");
    change(&mut bytes);
    bytes
}

/// The annotation of the first record.
fn annotation(bytes: &mut [u8], says: &str) {
    let at = bytes.windows(5).position(|window| window == b"+0\x14\x14\0").unwrap();
    let marks = format!("+0\x14\x14\0+0\x151\x14{says}\x14\0");
    assert!(marks.len() <= 40, "`{says}` is too long");
    bytes[at..at + 40].fill(0);
    bytes[at..at + marks.len()].copy_from_slice(marks.as_bytes());
}

/// A picture of one pixel with a further chunk.
fn png(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let own = [&kind[..], content].concat();
        let sum = own.iter().fold(!0u32, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 })
        });
        [&(content.len() as u32).to_be_bytes()[..], &own, &(!sum).to_be_bytes()].concat()
    };
    // Stored as it is: filter 0 and the pixel, behind them the checksum of both.
    let pixel = [0x78, 0x01, 1, 2, 0, 0xfd, 0xff, 0, 7, 0, 9, 0, 8];
    let header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0];
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header), &chunk(kind, content), &chunk(b"IDAT", &pixel), &chunk(b"IEND", b"")].concat()
}

/// A tree of one recording.
fn bids(sidecar: &str, column: &str) -> Vec<(String, Vec<u8>)> {
    let stem = "planted/sub-01/eeg/sub-01_task-rest";
    vec![
        ("planted/dataset_description.json".into(), br#"{"Name": "one", "BIDSVersion": "1.10.0"}"#.to_vec()),
        ("planted/participants.tsv".into(), format!("participant_id\t{column}\nsub-01\t3\n").into_bytes()),
        (format!("{stem}_eeg.json"), sidecar.as_bytes().to_vec()),
        (format!("{stem}_eeg.edf"), crate::formats::sample("run.edf")),
        (format!("{stem}_events.tsv"), b"onset\tduration\ttrial_type\n1\t1\tgo\n3\t1\tstop\n".to_vec()),
    ]
}

fn gifti(says: &str) -> Vec<u8> {
    let says: String = says
        .chars()
        .map(|letter| match letter {
            '<' | '>' | '&' | '"' => format!("&#{};", u32::from(letter)),
            _ => letter.into(),
        })
        .collect();
    let data = "<DataArray Intent=\"NIFTI_INTENT_SHAPE\" DataType=\"NIFTI_TYPE_FLOAT32\" ArrayIndexingOrder=\"RowMajorOrder\" Dimensionality=\"1\" \
                Dim0=\"2\" Encoding=\"ASCII\" Endian=\"LittleEndian\" ExternalFileName=\"\" ExternalFileOffset=\"\"><Data>1 2</Data></DataArray>";
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<GIFTI Version=\"1.0\" NumberOfDataArrays=\"1\">\n<MetaData><MD><Name>Note</Name><Value>{says}</Value></MD>\
         </MetaData>\n{data}\n</GIFTI>\n"
    )
    .into_bytes()
}

/// A volume of two voxels a side, changed.
fn nifti(change: impl Fn(&mut [u8])) -> Vec<u8> {
    let axes = ["x", "y", "z"].map(|name| Axis::numbers(name, Some("mm"), vec![0.0, 1.0])).to_vec();
    let volume = Tensor::new(axes, None, (0..8).map(f64::from).collect::<Vec<_>>()).unwrap();
    let mut bytes = write_nifti(Vec::new(), &volume, &Options::default()).unwrap();
    assert_eq!(bytes[..4], 348u32.to_le_bytes());
    change(&mut bytes);
    bytes
}

fn brainvision(channel: &str, marker: &str) -> Vec<(String, Vec<u8>)> {
    // A comma parts fields, and is written so within them.
    let [channel, marker] = [channel, marker].map(|says| says.replace(',', "\\1"));
    let header = format!(
        "Brain Vision Data Exchange Header File Version 1.0\r\n[Common Infos]\r\nCodepage=UTF-8\r\nDataFile=planted.eeg\r\nMarkerFile=planted.vmrk\r\nDataFormat=BINARY\r\n\
         DataOrientation=MULTIPLEXED\r\nNumberOfChannels=2\r\nSamplingInterval=2000\r\n[Binary Infos]\r\nBinaryFormat=INT_16\r\n[Channel Infos]\r\n\
         Ch1={channel},,0.5,\u{b5}V\r\nCh2=Fz,,0.5,\u{b5}V\r\n"
    );
    let markers = format!(
        "Brain Vision Data Exchange Marker File, Version 1.0\r\n[Common Infos]\r\nCodepage=UTF-8\r\nDataFile=planted.eeg\r\n[Marker Infos]\r\n\
         Mk1=Stimulus,{marker},3,1,0\r\nMk2=Stimulus,S  2,9,1,0\r\n"
    );
    let samples = (0..40i16).flat_map(i16::to_le_bytes).collect();
    vec![("planted.eeg".into(), samples), ("planted.vhdr".into(), header.into_bytes()), ("planted.vmrk".into(), markers.into_bytes())]
}

fn eeglab(comments: &str, event: &str) -> Vec<u8> {
    let mat = Mat5 { big_endian: false };
    let number = |name: &str, value: f64| mat.column(name, &[value]);
    let values: Vec<f64> = (0..40).map(f64::from).collect();
    let channels = mat.structs("chanlocs", &[1, 2], &["labels"], &[mat.text("", "Cz"), mat.text("", "Pz")]);
    let events = mat.structs("event", &[1, 1], &["type", "latency"], &[mat.text("", event), number("", 3.0)]);
    mat.file(&[
        mat.text("setname", "a set"),
        mat.text("comments", comments),
        number("nbchan", 2.0),
        number("trials", 1.0),
        number("pnts", 20.0),
        number("srate", 100.0),
        number("xmin", 0.0),
        channels,
        events,
        mat.array("data", CLASS_DOUBLE, &[2, 20], &[mat.element(DOUBLE, &mat.doubles(&values))]),
    ])
}

/// Units of two kinds and trials of two directions: during trials of one, the first half of the units fires more often.
pub fn session(trials: usize, units: usize, first: usize) -> Vec<u8> {
    let directions: Vec<f64> = (0..trials).map(|trial| 90.0 * ((trial * 7 + first) % 4) as f64).collect();
    let onsets: Vec<f64> = (0..trials).map(|trial| 1.0 + 2.0 * trial as f64).collect();
    let (mut times, mut ends) = (Vec::new(), Vec::new());
    for unit in 0..units {
        let mut own = Vec::new();
        for (trial, onset) in onsets.iter().enumerate() {
            // Each unit likes one of the four directions, and is never quite alike.
            let likes = unit % 4 == (directions[trial] / 90.0) as usize;
            let count = if likes { 8 } else { 2 } + (trial * trial * 3 + trial / 4 * 7 + unit * 17 + trial * unit) % 5;
            own.extend((0..count).map(|spike| onset + 0.9 * (spike as f64 + 0.5) / count as f64));
        }
        times.extend(own);
        ends.push(times.len());
    }
    let names = (0..units).map(|unit| format!("u{unit}")).collect::<Vec<_>>();
    let table = Table::from_columns(vec![columns::from_texts("unit", &names)]).unwrap();
    let spikes = Spikes::new("s1", table, &ends, times).unwrap();
    let labels: Vec<String> = directions.iter().map(|direction| format!("grating {direction}")).collect();
    let events = [
        columns::from_numbers("time", onsets),
        columns::from_numbers("duration", vec![1.0; trials]),
        columns::from_texts("label", &labels),
        columns::from_numbers("direction", directions),
    ];
    let events = Events::from_table(Table::from_columns(events.into()).unwrap()).unwrap();
    let mut writer = NwbWriter::new(Cursor::new(Vec::new()), &facts("gratings that drift in four directions")).unwrap();
    writer.spikes("sorted units", &spikes).unwrap();
    writer.events("trials", "each grating", &events).unwrap();
    writer.finish().unwrap().into_inner()
}

/// A recording of two channels of somebody, with a label for each second.
pub fn edf_beside(recording: &str, labels: &[&str]) -> Vec<u8> {
    let mut bytes = crate::formats::edf_of(labels.len(), true);
    put(&mut bytes, 8, 80, "X F 01-JAN-1990 Jane_Doe");
    put(&mut bytes, 88, 80, recording);
    for (second, label) in labels.iter().enumerate() {
        let begin = format!("+{second}\x14\x14\0");
        let at = bytes.windows(begin.len()).position(|window| window == begin.as_bytes()).unwrap();
        let marks = format!("{begin}+{second}\x151\x14{label}\x14\0");
        bytes[at..at + 40].fill(0);
        bytes[at..at + marks.len()].copy_from_slice(marks.as_bytes());
    }
    bytes
}
