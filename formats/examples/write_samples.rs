//! Writes files of every kind that the writers know into a folder, for `tests/reference/write.py` to read with h5py, pynwb and nibabel.
//!
//! `cargo run --release -p neuroflow-formats --example write_samples -- FOLDER [SHARED]`; values follow from their positions, so that the script can
//! make them again, and with SHARED real recordings are written too.

use arrow::array::{ArrayRef, BooleanArray, Int64Array, LargeListArray, ListArray, StringArray};
use arrow::datatypes::{Field, Float64Type, Int64Type};
use neuroflow_data::formats::Limits;
use neuroflow_data::formats::npz::read_npz;
use neuroflow_data::{
    Artifact, Axis, Channel, Coordinates, Events, Recording, Responses, Samples, Spikes, Stretch, Table, Tensor, Typed, columns,
};
use neuroflow_formats::write::hdf5::{Data, Element, Hdf5Writer, Storage};
use neuroflow_formats::write::nifti::{Options, Stored, write_nifti};
use neuroflow_formats::write::nwb::{Facts, NwbWriter, Series};
use neuroflow_formats::write::{Form, artifact};
use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let folder = arguments.next().ok_or("name a folder")?;
    let shared = arguments.next();
    std::fs::create_dir_all(&folder)?;
    kinds(&folder.join("kinds.h5"))?;
    session(&folder.join("session.nwb"))?;
    results(&folder)?;
    images(&folder)?;
    if let Some(shared) = shared {
        real(&folder, &shared.join("data"))?;
    }
    speed(&folder)
}

fn create(path: &Path) -> Result<BufWriter<File>, Box<dyn Error>> {
    // Making a long file short takes time of its own, which is not what is measured.
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    Ok(BufWriter::with_capacity(1 << 20, File::create(path)?))
}

fn kinds(path: &Path) -> Done {
    let mut file = Hdf5Writer::new(create(path)?)?;
    let plain = Storage::plain();
    macro_rules! numbers {
        ($($name:ident $kind:ty),*) => {$({
            let values: Vec<$kind> = (0..60).map(|value| (value as f64 * 7.0 - 100.0) as $kind).collect();
            let path = format!("/numbers/{}", stringify!($name));
            file.dataset(&path, &Data::$name(&values), &[3, 4, 5], &plain)?;
            let chunked = Storage { chunk: Some(vec![2, 3, 2]), shuffle: true, deflate: Some(4) };
            file.dataset(&format!("{path}_chunked"), &Data::$name(&values), &[3, 4, 5], &chunked)?;
            file.dataset(&format!("{path}_scalar"), &Data::$name(&values[..1]), &[], &plain)?;
            file.attribute(&path, "array", &Data::$name(&values[..6]), &[2, 3])?;
            file.attribute(&path, "scalar", &Data::$name(&values[..1]), &[])?;
        })*};
    }
    numbers!(I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, F32 f32, F64 f64);
    let truths: Vec<bool> = (0..10).map(|value| value % 3 == 0).collect();
    file.dataset("/bools", &Data::Bools(&truths), &[10], &plain)?;
    file.attribute("/bools", "truth", &Data::Bools(&[true]), &[])?;
    let texts: Vec<String> = (0..20_000)
        .map(|value| if value % 7 == 0 { String::new() } else { format!("µ text {value} {}", "x".repeat(value % 50)) })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    file.dataset("/texts", &Data::Texts(texts.clone()), &[20_000], &plain)?;
    file.dataset(
        "/texts_chunked",
        &Data::Texts(texts),
        &[100, 200],
        &Storage { chunk: Some(vec![30, 70]), shuffle: false, deflate: Some(1) },
    )?;
    let long = "long ".repeat(100_000);
    file.dataset("/long", &Data::Text(&long), &[], &plain)?;
    file.dataset("/fixed", &Data::FixedTexts(6, vec!["a", "äöü", "", "sixsix"]), &[2, 2], &plain)?;
    file.attribute("/", "texts", &Data::Texts(vec!["a", "", "ß"]), &[3])?;
    file.attribute("/", "text", &Data::Text("what"), &[])?;
    file.attribute("/", "empty", &Data::Text(""), &[])?;
    file.attribute("/", "fixed", &Data::FixedTexts(3, vec!["abc"]), &[1])?;
    file.attribute("/", "reference", &Data::References(vec!["/later/on"]), &[])?;
    file.dataset("/references", &Data::References(vec!["/", "/bools", "/later/on", "/numbers"]), &[4], &plain)?;
    file.dataset("/none", &Data::F64(&[]), &[0, 3], &plain)?;
    file.dataset("/none_chunked", &Data::F64(&[]), &[4, 0], &Storage { chunk: Some(vec![2, 2]), shuffle: true, deflate: Some(1) })?;
    file.dataset("/none_texts", &Data::Texts(vec![]), &[0], &plain)?;
    for child in 0..3000 {
        file.group(&format!("/many/group {child}"))?;
    }
    file.group("/later/on")?;
    file.soft_link("/link", "/numbers/I16")?;
    // Trees of one, two and three levels, and every way to cut.
    for (name, shape, chunk) in [
        ("one", vec![1000], vec![100]),
        ("two", vec![1000], vec![7]),
        ("three", vec![9000], vec![2]),
        ("wide", vec![3, 70_000], vec![2, 999]),
        ("whole", vec![100, 6, 5], vec![9, 6, 5]),
        ("middle", vec![20, 30, 4], vec![3, 7, 4]),
        ("four", vec![5, 6, 7, 8], vec![2, 5, 3, 8]),
    ] {
        let values: Vec<f64> = (0..shape.iter().product::<u64>()).map(|value| value as f64 * 0.5).collect();
        let storage = Storage { chunk: Some(chunk), shuffle: true, deflate: Some(6) };
        file.dataset(&format!("/chunks/{name}"), &Data::F64(&values), &shape, &storage)?;
        let unfiltered = Storage { shuffle: false, deflate: None, ..storage };
        file.dataset(&format!("/chunks/{name}_raw"), &Data::F64(&values), &shape, &unfiltered)?;
    }
    file.finish()?;
    Ok(())
}

fn facts() -> Facts {
    fn texts<C: FromIterator<(String, String)>>(pairs: &[(&str, &str)]) -> C {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }
    Facts {
        session_description: "a mouse looks at gratings".into(),
        identifier: "sample-1".into(),
        session_start_time: "2026-11-30T09:30:00+01:00".into(),
        file_create_date: "2026-11-30T12:00:00Z".into(),
        experimenter: vec!["Doe, Jane".into()],
        keywords: vec!["gratings".into(), "vision".into()],
        related_publications: vec!["doi:10.1000/182".into()],
        general: texts(&[
            ("institution", "An Institute"),
            ("lab", "A Lab"),
            ("notes", "made for a test"),
            ("experiment_description", "gratings are shown to a mouse"),
            ("session_id", "s1"),
        ]),
        subject: texts(&[
            ("subject_id", "m1"),
            ("species", "Mus musculus"),
            ("sex", "F"),
            ("age", "P90D"),
            ("description", "a mouse"),
            ("date_of_birth", "2026-09-01T00:00:00Z"),
            ("genotype", "wild type"),
            ("strain", "C57BL/6J"),
            ("weight", "0.02 kg"),
        ]),
        device: Some(("amplifier".into(), "an amplifier with 64 channels".into())),
        spike_resolution: Some(1.0 / 30_000.0),
        script: Some(("gratings.nf".into(), "load x\ndecode y\n".into())),
        generated_by: vec![("neuroflow".into(), "0.1.0".into())],
        provenance: texts(&[("run", "r1"), ("step", "decode"), ("stage", "decode"), ("version", "0.1.0"), ("input", "sha256:00ff")]),
        ..Facts::default()
    }
}

fn described(field: Field, about: &str) -> Field {
    field.with_metadata(HashMap::from([("description".to_owned(), about.to_owned())]))
}

fn session(path: &Path) -> Done {
    let mut file = NwbWriter::new(create(path)?, &facts())?;
    // Spikes: three units, one of them silent.
    let (area, values) = columns::from_texts("area", &["V1", "V1", "CA1"]);
    let (depth, depths) = columns::from_numbers("depth", vec![100.5, 200.25, 300.0]);
    let waveforms = columns::tensor_column(
        "shape",
        &[Axis::count("unit", 3), Axis::count("sample", 4)],
        &(0..12).map(f64::from).collect::<Vec<_>>().into(),
    )?;
    let tags = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)]), Some(vec![]), None]);
    let units = Table::from_columns(vec![
        columns::from_texts("unit", &["a", "b", "c"]),
        (described(area, "the area a unit lies in"), values),
        (described(depth, "depth below the surface, in um"), depths),
        waveforms,
        (Field::new("peers", arrow::array::Array::data_type(&tags).clone(), true), Arc::new(tags) as ArrayRef),
        columns::from_booleans("good", vec![true, false, true]),
    ])?;
    let mut spikes = Spikes::new("s1", units, &[3, 3, 5], vec![0.5, 1.0, 1.25, 0.25, 2.0])?;
    spikes.observed = vec![(0.0, 1.5), (1.75, 3.0)];
    file.spikes("sorted units", &spikes)?;
    // Events: all with durations, some, none; further columns of every sort.
    let all = Events::new(vec![0.0, 1.0, 2.5], vec![Some(0.5), Some(0.25), Some(1.0)], &["a".into(), "b".into(), "a".into()])?;
    file.events("trials", "what was shown", &all)?;
    let (orientation, angles) = columns::from_optional_numbers("orientation", vec![Some(0.0), None, Some(90.0)]);
    let some = Table::from_columns(vec![
        columns::from_numbers("time", vec![0.125, 1.0, 2.0]),
        columns::from_optional_numbers("duration", vec![Some(0.5), None, Some(0.25)]),
        columns::from_texts("label", &["x", "y", "z"]),
        (orientation, angles),
        columns::from_integers("id", vec![7, 8, 9]),
        columns::from_texts("a/b", &["p", "q", "r"]),
    ])?;
    file.events("stimuli", "what was seen", &Events::from_table(some)?)?;
    let none = Events::new(vec![1.0, 2.0], vec![None, None], &["lick".into(), "lick".into()])?;
    file.events("licks", "licks of the spout", &none)?;
    recordings(&mut file)?;
    // A table with lists in lists and gaps.
    let nested =
        LargeListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.5), Some(2.5)]), Some(vec![Some(3.5)]), Some(vec![])]);
    let outer = ListArray::new(
        Arc::new(Field::new("item", arrow::array::Array::data_type(&nested).clone(), true)),
        arrow::buffer::OffsetBuffer::from_lengths([2, 1]),
        Arc::new(nested),
        None,
    );
    let table = Table::from_columns(vec![
        (Field::new("nested", arrow::array::Array::data_type(&outer).clone(), true), Arc::new(outer) as ArrayRef),
        (Field::new("count", arrow::datatypes::DataType::Int64, true), Arc::new(Int64Array::from(vec![Some(4), None])) as ArrayRef),
        (Field::new("word", arrow::datatypes::DataType::Utf8, true), Arc::new(StringArray::from(vec![None, Some("µ")])) as ArrayRef),
        (Field::new("truth", arrow::datatypes::DataType::Boolean, true), Arc::new(BooleanArray::from(vec![None, Some(true)])) as ArrayRef),
        columns::from_integers("description", vec![1, 2]),
    ])?;
    file.table("notes", "a table of many sorts of columns", &table)?;
    file.artifact("responses", &responses()?.into_artifact()?)?;
    let over_time = vec![
        Axis::numbers("time", Some("s"), (0..50).map(|sample| 0.5 + f64::from(sample) / 25.0).collect()),
        Axis::labels("part", vec!["p".into(), "q".into()]),
    ];
    file.tensor("course", "a course over time", &Tensor::new(over_time, Some("mV"), (0..100).map(f64::from).collect::<Vec<_>>())?)?;
    let uneven = vec![Axis::numbers("time", Some("s"), vec![0.0, 0.5, 0.75])];
    file.tensor("uneven", "a course at uneven times", &Tensor::new(uneven, None, vec![1.0, 2.0, 3.0])?)?;
    let five = (0..5).map(|axis| Axis::count(format!("a{axis}"), 2)).collect();
    file.tensor("five", "five axes", &Tensor::new(five, None, (0..32).map(f64::from).collect::<Vec<_>>())?)?;
    file.finish()?;
    Ok(())
}

fn recordings(file: &mut NwbWriter<BufWriter<File>>) -> Done {
    let eeg = |name: &str, gain: f64, offset: f64| Channel { role: "eeg".into(), gain, offset, ..Channel::new(name, "uV", 250.0) };
    let ramp = |start: i32| Samples::I16((0..500).map(|sample| (sample * 3 + start) as i16).collect::<Vec<_>>().into());
    let stimulus = Channel { role: "trig".into(), ..Channel::new("STI", "", 250.0) };
    let channels =
        vec![(eeg("Cz", 0.5, 0.0), ramp(0)), (eeg("Pz", 0.25, 0.0), ramp(-700)), (stimulus, ramp(9)), (eeg("Oz", 0.5, 2.0), ramp(3))];
    let places = Table::from_columns(vec![
        columns::from_texts("name", &["Pz", "Cz"]),
        columns::from_numbers("x", vec![0.0, 1.5]),
        columns::from_numbers("y", vec![-50.0, 0.0]),
        columns::from_numbers("z", vec![80.0, 95.5]),
        columns::from_texts("location", &["VISp", "CA1"]),
    ])?;
    let series = Series { name: "eeg", about: "signals from the scalp", derived: false, electrodes: Some(&places) };
    file.recording(&Recording::new("s1", channels)?, &series)?;
    let mut paused = Channel::new("speed", "cm/s", 100.0);
    paused.stretches = vec![Stretch { first: 0, time: 0.25 }, Stretch { first: 200, time: 7.0 }];
    let values = Samples::F64((0..300).map(|sample| f64::from(sample).sin()).collect::<Vec<_>>().into());
    file.recording(
        &Recording::new("s1", vec![(paused, values)])?,
        &Series { name: "run", about: "speed of the wheel", derived: true, electrodes: None },
    )?;
    Ok(())
}

fn responses() -> Result<Responses, Box<dyn Error>> {
    let units =
        Axis::labels("unit", vec!["u1".into(), "u2".into()]).with_property("community", Coordinates::Labels(vec!["a".into(), "b".into()]));
    let bins = || Axis::numbers("bin", Some("s"), vec![-0.5, 0.0, 0.5, 1.0]);
    let values = Tensor::new(vec![Axis::count("trial", 3), units, bins()], Some("ΔF/F"), (0..24).map(f64::from).collect::<Vec<_>>())?;
    let trials = Table::from_columns(vec![columns::from_numbers("direction", vec![0.0, 45.0, 90.0])])?;
    let covariates =
        Tensor::new(vec![Axis::count("trial", 3), Axis::labels("covariate", vec!["speed".into()]), bins()], None, vec![0.25; 12])?;
    let mut responses = Responses::new("mouse", values, trials, Some(covariates))?;
    responses.sources.insert("simulated: test".into());
    Ok(responses)
}

/// A file for each kind of result that is made of columns.
fn results(folder: &Path) -> Done {
    use neuroflow_data::{Communities, ControlResult, Edge, Features, Graph, Rdm, Score, Scores};
    let nodes = || {
        Axis::labels("node", vec!["a".into(), "b".into(), "c".into()])
            .with_property("side", Coordinates::Labels(vec!["l".into(), "r".into(), "l".into()]))
    };
    let edges = vec![Edge { source: 0, target: 1, weight: 0.5 }, Edge { source: 1, target: 2, weight: -0.25 }];
    let mut score = Score::new("accuracy", 0.5, 128);
    score.folds = vec![0.25, 0.75];
    score.controls.push(ControlResult::new("shuffle(column = \"direction\")", 0.5, vec![0.1, 0.6, 0.2]));
    let features = Tensor::new(
        vec![Axis::count("stimulus", 2), Axis::labels("feature", vec!["f".into(), "g".into(), "h".into()])],
        None,
        vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    )?;
    let stimuli = Table::from_columns(vec![columns::from_texts("stimulus", &["s1", "s2"])])?;
    let rdm = Rdm::from_triangles(
        vec!["first".into(), "second".into()],
        Axis::labels("condition", vec!["a".into(), "b".into(), "c".into()]),
        "correlation",
        &[vec![0.1, 0.2, 0.3], vec![0.4, 0.5, 0.6]],
    )?;
    let mut communities = Communities::new(nodes(), &[0, 1, 0])?;
    communities.facts.push(("description_length".into(), 12.5));
    let events = Events::new(vec![1.0, 2.0], vec![Some(0.5), Some(0.25)], &["a".into(), "b".into()])?;
    let signal = Recording::new("s", vec![(Channel::new("x", "V", 100.0), Samples::I32(vec![1, 2, 3].into()))])?;
    let all: Vec<(&str, Artifact)> = vec![
        ("graph", Graph::new(nodes(), edges, "correlation")?.into_artifact()?),
        ("scores", Scores::new(vec![score]).into_artifact()?),
        ("features", Features::new(features, stimuli)?.into_artifact()?),
        ("rdm", rdm.into_artifact()?),
        ("communities", communities.into_artifact()?),
        ("events", events.into_artifact()?),
        ("recording", signal.into_artifact()?),
        ("responses", responses()?.into_artifact()?),
    ];
    // Nothing at all is something that can be said.
    let mut file = NwbWriter::new(create(&folder.join("nothing.nwb"))?, &facts())?;
    let no_units = Table::from_columns(vec![columns::from_texts::<&str>("unit", &[]), columns::from_numbers("depth", vec![])])?;
    file.spikes("no units", &Spikes::new("s", no_units, &[], Vec::<f64>::new())?)?;
    file.events("none", "no events", &Events::new(vec![], vec![], &[])?)?;
    file.table("empty", "no columns", &Table::from_columns(vec![])?)?;
    let lists = LargeListArray::from_iter_primitive::<Float64Type, _, _>(Vec::<Option<Vec<Option<f64>>>>::new());
    let field = Field::new("lists", arrow::array::Array::data_type(&lists).clone(), true);
    let no_rows = Table::from_columns(vec![(field, Arc::new(lists) as ArrayRef), columns::from_booleans("truth", vec![])])?;
    file.table("rows", "no rows", &no_rows)?;
    file.tensor("flat", "no positions", &Tensor::new(vec![Axis::count("a", 0), Axis::count("b", 3)], None, Vec::<f64>::new())?)?;
    file.finish()?;
    for (name, result) in all {
        artifact(create(&folder.join(format!("{name}.nwb")))?, Form::Nwb, name, &result, &facts())?;
    }
    Ok(())
}

fn images(folder: &Path) -> Done {
    let axes =
        |shape: &[usize]| ["x", "y", "z", "t"].iter().zip(shape).map(|(name, &length)| Axis::count(*name, length)).collect::<Vec<_>>();
    let tensor = |shape: &[usize], of: fn(f64) -> f64| {
        Tensor::new(axes(shape), None, (0..shape.iter().product::<usize>()).map(|value| of(value as f64)).collect::<Vec<_>>())
    };
    let affine = Some([[-2.0, 0.0, 0.0, 90.0], [0.0, 2.0, 0.0, -126.0], [0.0, 0.0, 2.5, -72.0]]);
    let oblique = Some([[1.8, -0.6, 0.0, 10.0], [0.6, 1.8, 0.0, -20.0], [0.0, 0.0, 3.0, 5.5]]);
    let sheared = Some([[2.0, 0.5, 0.0, 1.0], [0.0, 2.0, 0.25, 2.0], [0.0, 0.0, 2.0, 3.0]]);
    let base = Options {
        affine,
        code: Some(4),
        repetition_time: Some(1.5),
        description: "a test".into(),
        comment: "run: r1\nstep: µ\n".into(),
        ..Options::default()
    };
    let image = |name: &str, tensor: &Tensor, options: &Options| -> Done {
        write_nifti(create(&folder.join(name))?, tensor, options)?;
        Ok(())
    };
    image("int16.nii", &tensor(&[5, 4, 3, 2], |value| value - 7.0)?, &base)?;
    image(
        "int16_far.nii.gz",
        &tensor(&[5, 4, 3, 2], |value| value * 500.0 + 100_000.0)?,
        &Options { gzip: true, affine: oblique, ..base.clone() },
    )?;
    image(
        "float32.nii.gz",
        &tensor(&[5, 4, 3, 2], |value| value * 0.25)?,
        &Options { gzip: true, affine: sheared, comment: String::new(), ..base.clone() },
    )?;
    image("float64.nii", &tensor(&[5, 4, 3], |value| value * 0.1)?, &Options { repetition_time: None, ..base.clone() })?;
    image("rounded.nii", &tensor(&[5, 4, 3], |value| value * 0.1)?, &Options { stored: Stored::F32, ..base.clone() })?;
    image("second.nii.gz", &tensor(&[40_000, 2, 3], |value| value % 1000.0)?, &Options { gzip: true, repetition_time: None, ..base })?;
    let mixed = vec![
        Axis::numbers("t", Some("s"), vec![1.0, 1.5, 2.0]),
        Axis::numbers("z", Some("mm"), vec![-4.0, 0.0]),
        Axis::numbers("x", Some("mm"), vec![10.0, 8.0, 6.0, 4.0]),
        Axis::numbers("y", Some("mm"), vec![0.0, 3.0, 6.0]),
    ];
    image("mixed.nii", &Tensor::new(mixed, None, (0..72).map(|value| f64::from(value) / 3.0).collect::<Vec<_>>())?, &Options::default())
}

fn real(folder: &Path, data: &Path) -> Done {
    let numbers = |file: &str, name: &str| -> Result<(Vec<usize>, Vec<f64>), Box<dyn Error>> {
        let file = read_npz(&std::fs::read(data.join(file))?, &Limits::default())?;
        let array = file.get(name)?;
        Ok((array.shape.clone(), array.to_f64()?.into_owned()))
    };
    let track = "hippocampus-linear-track/spikes_position.npz";
    let (times, owners) = (numbers(track, "spike_times")?.1, numbers(track, "spike_units")?.1);
    let count = owners.iter().fold(0.0f64, |most, &owner| most.max(owner)) as usize + 1;
    let (mut sorted, mut ends) = (Vec::new(), Vec::new());
    for unit in 0..count {
        let mut own: Vec<f64> = times.iter().zip(&owners).filter(|(_, owner)| **owner as usize == unit).map(|(time, _)| *time).collect();
        own.sort_by(f64::total_cmp);
        sorted.extend(own);
        ends.push(sorted.len());
    }
    let names: Vec<String> = (0..count).map(|unit| format!("unit {unit}")).collect();
    let spikes = Spikes::new("track", Table::from_columns(vec![columns::from_texts("unit", &names)])?, &ends, sorted)?.into_artifact()?;
    artifact(create(&folder.join("track.nwb"))?, Form::Nwb, "spikes", &spikes, &facts())?;
    let mut sessions: Vec<PathBuf> =
        std::fs::read_dir(data.join("v1-gratings-calcium"))?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    sessions.retain(|path| path.extension().is_some_and(|ending| ending == "npz"));
    sessions.sort();
    let session = sessions.first().ok_or("no session")?;
    let name = format!("v1-gratings-calcium/{}", session.file_name().unwrap_or_default().to_string_lossy());
    let ((shape, values), times) = (numbers(&name, "X")?, numbers(&name, "t")?.1);
    let axes = vec![Axis::count("unit", shape[0]), Axis::count("trial", shape[1]), Axis::numbers("bin", Some("s"), times)];
    let tensor: Artifact = Tensor::new(axes, Some("ΔF/F"), values)?.into_artifact()?;
    artifact(create(&folder.join("gratings.nwb"))?, Form::Nwb, "gratings", &tensor, &facts())?;
    println!("{{\"track\": {count}, \"gratings\": {:?}}}", session.display());
    Ok(())
}

/// A recording of 64 channels and 128 MB, as a random walk that deflates about as real ones do.
fn speed(folder: &Path) -> Done {
    const CHANNELS: usize = 64;
    const SAMPLES: usize = 1 << 20;
    let mut state = 1u64;
    let mut walk = vec![0i16; CHANNELS];
    let mut values = Vec::with_capacity(CHANNELS * SAMPLES);
    for _ in 0..SAMPLES {
        for place in &mut walk {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *place = (*place / 2).wrapping_add((state >> 58) as i16 - 32);
            values.push(*place);
        }
    }
    let shape = [SAMPLES as u64, CHANNELS as u64];
    for (name, storage) in [("big_plain.h5", Storage::plain()), ("big_packed.h5", Storage::packed(&shape, Element::I16.size()))] {
        let out = create(&folder.join(name))?;
        let begin = Instant::now();
        let mut file = Hdf5Writer::new(out)?;
        file.dataset("/data", &Data::I16(&values), &shape, &storage)?;
        file.finish()?;
        println!("{{\"file\": {name:?}, \"seconds\": {:.3}}}", begin.elapsed().as_secs_f64());
    }
    let values: Vec<f64> = values.iter().take(1 << 24).map(|&value| f64::from(value) * 0.5).collect();
    let image = Tensor::new(vec![Axis::count("x", 128), Axis::count("y", 128), Axis::count("z", 32), Axis::count("t", 32)], None, values)?;
    for (name, gzip) in [("big.nii", false), ("big.nii.gz", true)] {
        let out = create(&folder.join(name))?;
        let begin = Instant::now();
        write_nifti(out, &image, &Options { gzip, ..Options::default() })?;
        println!("{{\"file\": {name:?}, \"seconds\": {:.3}}}", begin.elapsed().as_secs_f64());
    }
    Ok(())
}
