use super::*;
use crate::write::hdf5::tests::reader::Reader;
use crate::write::{Form, artifact_bytes};
use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, LargeListArray, ListArray, StringArray, StructArray, UInt64Array};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type};
use neuroflow_data::{Artifact, Axis, Channel, Coordinates, Events, Recording, Samples, Spikes, Stretch, Table, Tensor, Typed, columns};
use proptest::prelude::*;
use std::io::Cursor;
use std::sync::Arc;

fn facts() -> Facts {
    Facts {
        session_description: "a session".into(),
        identifier: "s-1".into(),
        session_start_time: "2026-11-30T09:30:00Z".into(),
        file_create_date: "2026-11-30T12:00:00Z".into(),
        provenance: vec![("run".into(), "r1".into())],
        ..Facts::default()
    }
}

type Writer = NwbWriter<Cursor<Vec<u8>>>;

fn written(of: impl Fn(&mut Writer) -> Result<(), FormatError>) -> Vec<u8> {
    let write = || {
        let mut file = NwbWriter::new(Cursor::new(Vec::new()), &facts()).unwrap();
        of(&mut file).unwrap();
        file.finish().unwrap().into_inner()
    };
    let bytes = write();
    assert!(bytes == write(), "the same calls give the same bytes");
    bytes
}

fn refused(of: impl Fn(&mut Writer) -> Result<(), FormatError>) -> String {
    let error = of(&mut NwbWriter::new(Cursor::new(Vec::new()), &facts()).unwrap()).unwrap_err();
    assert_eq!(error.format, Format::Nwb);
    error.to_string()
}

fn table(columns: Vec<(&str, ArrayRef)>) -> Table {
    let field = |name: &str, array: &ArrayRef| Field::new(name, array.data_type().clone(), true);
    Table::from_columns(columns.into_iter().map(|(name, array)| (field(name, &array), array)).collect()).unwrap()
}

fn kind_of(reader: &Reader<'_>, path: &str) -> String {
    reader.attribute(path, "neurodata_type").texts()[0].to_owned()
}

#[test]
fn every_file_has_what_nwb_wants_and_where_values_come_from() {
    let mut all = facts();
    all.experimenter = vec!["Doe, Jane".into(), "Roe, Jo".into()];
    all.general.insert("lab".into(), "a lab".into());
    all.subject.insert("age".into(), "P90D".into());
    all.script = Some(("a.nf".into(), "load x".into()));
    all.generated_by = vec![("neuroflow".into(), "0.1.0".into())];
    let bytes = NwbWriter::new(Cursor::new(Vec::new()), &all).unwrap().finish().unwrap().into_inner();
    let reader = Reader(&bytes);
    assert_eq!((kind_of(&reader, "/"), reader.attribute("/", "nwb_version").texts()), ("NWBFile".into(), vec![SCHEMA]));
    for group in ["/acquisition", "/analysis", "/processing", "/stimulus/presentation", "/stimulus/templates"] {
        reader.find(group);
    }
    assert_eq!(reader.dataset("/timestamps_reference_time").texts(), ["2026-11-30T09:30:00Z"]);
    let created = reader.dataset("/file_create_date");
    assert_eq!((created.shape.as_slice(), created.texts()), ([1].as_slice(), vec!["2026-11-30T12:00:00Z"]));
    assert_eq!(reader.dataset("/general/experimenter").texts(), ["Doe, Jane", "Roe, Jo"]);
    assert_eq!(reader.attribute("/general/source_script", "file_name").texts(), ["a.nf"]);
    assert_eq!(reader.dataset("/general/was_generated_by").shape, [1, 2]);
    assert_eq!(reader.attribute("/general/subject/age", "reference").texts(), ["birth"]);
    assert_eq!(reader.dataset("/processing/neuroflow/provenance/fact").texts(), ["run"]);
    assert_eq!(reader.dataset("/processing/neuroflow/provenance/value").texts(), ["r1"]);
}

#[test]
fn object_ids_are_uuids_of_identifier_and_path() {
    let id = object_id("a", "/units");
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
    assert!(id.split('-').nth(2).unwrap().starts_with('8') && "89ab".contains(&id.split('-').nth(3).unwrap()[..1]), "{id}");
    assert_eq!(id, object_id("a", "/units"));
    assert!(id != object_id("b", "/units") && id != object_id("a", "/unit"));
}

#[test]
fn units_have_their_spikes_and_columns() {
    let units = Table::from_columns(vec![
        columns::from_texts("unit", &["a", "b"]),
        columns::from_numbers("electrodes", vec![1.0, 2.0]),
        columns::tensor_column(
            "shape",
            &[Axis::count("u", 2), Axis::count("c", 3), Axis::count("s", 2)],
            &(0..12).map(f64::from).collect::<Vec<_>>().into(),
        )
        .unwrap(),
    ]);
    let mut spikes = Spikes::new("s", units.unwrap(), &[2, 3], vec![0.5, 1.0, 0.25]).unwrap();
    spikes.observed = vec![(0.0, 1.5), (2.0, 3.0)];
    let bytes = written(|file| file.spikes("sorted", &spikes));
    let reader = Reader(&bytes);
    assert_eq!(kind_of(&reader, "/units"), "Units");
    assert_eq!(reader.dataset("/units/spike_times").numbers(), [0.5, 1.0, 0.25]);
    assert_eq!(reader.dataset("/units/spike_times_index").integers(), [2, 3]);
    assert_eq!(reader.attribute("/units/spike_times_index", "target").integers(), [reader.find("/units/spike_times") as i64]);
    let observed = reader.dataset("/units/obs_intervals");
    assert_eq!((observed.shape.as_slice(), observed.numbers()), ([4, 2].as_slice(), vec![0.0, 1.5, 2.0, 3.0, 0.0, 1.5, 2.0, 3.0]));
    assert_eq!(reader.dataset("/units/obs_intervals_index").integers(), [2, 4]);
    assert_eq!(reader.dataset("/units/shape").shape, [2, 3, 2]);
    // A name that NWB has a meaning of its own for is not taken.
    let names = reader.attribute("/units", "colnames");
    assert_eq!(names.texts(), ["spike_times", "obs_intervals", "unit", "electrodes_2", "shape"]);
    assert_eq!(reader.attribute("/units/electrodes_2", "description").texts(), ["column `electrodes` (named `electrodes`)"]);
    assert!(
        refused(|file| file.spikes("", &spikes).and_then(|()| file.spikes("", &spikes)))
            .starts_with("NWB: object `/units`: it is there already")
    );
}

#[test]
fn events_end_where_it_is_known() {
    let events = |durations: Vec<Option<f64>>| Events::new(vec![1.0, 2.0], durations, &["a".into(), "b".into()]).unwrap();
    let bytes = written(|file| {
        file.events("all", "", &events(vec![Some(0.5), Some(1.0)]))?;
        file.events("some/of", "", &events(vec![Some(0.5), None]))?;
        file.events("none", "", &events(vec![None, None]))
    });
    let reader = Reader(&bytes);
    assert_eq!(reader.dataset("/intervals/all/stop_time").numbers(), [1.5, 3.0]);
    let some = reader.dataset("/intervals/some_of/stop_time").numbers();
    assert!(some[0] == 1.5 && some[1].is_nan());
    assert!(reader.dataset("/intervals/none/stop_time").numbers().iter().all(|stop| stop.is_nan()));
    assert_eq!(reader.attribute("/intervals/none", "colnames").texts(), ["start_time", "stop_time", "label"]);
    assert_eq!(reader.attribute("/intervals/all", "colnames").texts(), ["start_time", "stop_time", "duration", "label"]);
    // What came from intervals keeps its exact ends.
    let came = Table::from_columns(vec![
        columns::from_numbers("time", vec![0.1]),
        columns::from_numbers("duration", vec![0.2]),
        columns::from_texts("label", &["x"]),
        columns::from_numbers("start_time", vec![0.1]),
        columns::from_numbers("stop_time", vec![0.3]),
    ]);
    let came = Events::from_table(came.unwrap()).unwrap();
    let bytes = written(|file| file.events("came", "", &came));
    assert_eq!(Reader(&bytes).dataset("/intervals/came/stop_time").numbers(), [0.3]);
    assert_eq!(Reader(&bytes).attribute("/intervals/came", "colnames").texts(), ["start_time", "stop_time", "duration", "label"]);
}

#[test]
fn recordings_become_series_that_one_scale_fits() {
    let eeg = |name: &str, gain: f64| Channel { role: "eeg".into(), gain, ..Channel::new(name, "uV", 100.0) };
    let samples = |first: i16| Samples::I16(vec![first, first + 1, first + 2].into());
    let stimulus = Channel::new("STI", "", 100.0);
    let slow = Channel { role: "eeg".into(), ..Channel::new("slow", "uV", 50.0) };
    let channels = vec![(eeg("C3", 0.5), samples(0)), (stimulus, samples(10)), (eeg("C4", 2.0), samples(20)), (slow, samples(30))];
    let recording = Recording::new("s", channels).unwrap();
    let places = Table::from_columns(vec![columns::from_texts("channel", &["C4"]), columns::from_numbers("x", vec![1.5])]).unwrap();
    let series = Series { name: "eeg", about: "scalp", derived: false, electrodes: Some(&places) };
    let bytes = written(|file| file.recording(&recording, &series));
    let reader = Reader(&bytes);
    let data = reader.dataset("/acquisition/eeg_1/data");
    assert_eq!((data.shape, data.bytes), (vec![3, 2], [0i16, 20, 1, 21, 2, 22].iter().flat_map(|value| value.to_le_bytes()).collect()));
    assert_eq!(
        (kind_of(&reader, "/acquisition/eeg_1"), kind_of(&reader, "/acquisition/eeg_2")),
        ("ElectricalSeries".into(), "TimeSeries".into())
    );
    assert_eq!(reader.attribute("/acquisition/eeg_1/data", "conversion").numbers(), [1e-6]);
    assert_eq!(reader.dataset("/acquisition/eeg_1/channel_conversion").numbers(), [0.5, 2.0]);
    assert_eq!(reader.attribute("/acquisition/eeg_3/starting_time", "rate").numbers(), [50.0]);
    assert_eq!(reader.dataset("/acquisition/eeg_3/electrodes").integers(), [2]);
    let table = "/general/extracellular_ephys/electrodes";
    assert_eq!(reader.attribute("/acquisition/eeg_3/electrodes", "table").integers(), [reader.find(table) as i64]);
    assert_eq!(reader.dataset(&format!("{table}/channel_name")).texts(), ["C3", "C4", "slow"]);
    let x = reader.dataset(&format!("{table}/x")).numbers();
    assert!(x[0].is_nan() && x[1] == 1.5 && x[2].is_nan());
    assert_eq!(reader.dataset(&format!("{table}/group")).integers(), [reader.find("/general/extracellular_ephys/eeg") as i64; 3]);
    let channels = "/processing/neuroflow/eeg_channels";
    assert_eq!(reader.dataset(&format!("{channels}/position")).integers(), [0, 0, 1, 0]);
    let series = ["/acquisition/eeg_1", "/acquisition/eeg_2", "/acquisition/eeg_1", "/acquisition/eeg_3"];
    assert_eq!(reader.dataset(&format!("{channels}/series")).texts(), series);
}

#[test]
fn pauses_have_a_time_for_each_sample() {
    let mut paused = Channel::new("speed", "m/s", 10.0);
    paused.stretches = vec![Stretch { first: 0, time: 0.5 }, Stretch { first: 2, time: 9.0 }];
    paused.gain = 0.25;
    let recording = Recording::new("s", vec![(paused, Samples::F32(vec![1.0, 2.0, 3.0].into()))]).unwrap();
    let bytes = written(|file| file.recording(&recording, &Series { name: "run", derived: true, ..Series::default() }));
    let reader = Reader(&bytes);
    assert_eq!(reader.dataset("/processing/neuroflow/run/timestamps").numbers(), [0.5, 0.6, 9.0]);
    assert_eq!(reader.attribute("/processing/neuroflow/run/data", "conversion").numbers(), [0.25]);
    assert_eq!(reader.attribute("/processing/neuroflow/run/data", "unit").texts(), ["m/s"]);
}

#[test]
fn tables_keep_lists_gaps_and_names_as_far_as_hdf5_has_them() {
    let inner =
        LargeListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.5), None]), Some(vec![]), Some(vec![Some(2.5)])]);
    let field = Arc::new(Field::new("item", inner.data_type().clone(), true));
    let nested = ListArray::new(field, OffsetBuffer::from_lengths([1, 2]), Arc::new(inner), None);
    // A gap in a list that has values behind it, and a slice of a longer list.
    let gaps = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(9)]), Some(vec![Some(7)]), None, Some(vec![Some(8)])])
        .slice(1, 2);
    let structs =
        StructArray::from(vec![(Arc::new(Field::new("k", DataType::Int64, false)), Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]);
    let kept = table(vec![
        ("nested", Arc::new(nested) as ArrayRef),
        ("gaps", Arc::new(gaps)),
        ("count", Arc::new(Int64Array::from(vec![Some(4), None]))),
        ("truth", Arc::new(BooleanArray::from(vec![true, false]))),
        ("word", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ("colnames", Arc::new(structs)),
        ("a/b", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("a:b", Arc::new(UInt64Array::from(vec![1, 2]))),
    ]);
    let bytes = written(|file| file.table("t", "about", &kept));
    let (reader, path) = (Reader(&bytes), |name: &str| format!("/processing/neuroflow/t/{name}"));
    let names = ["nested", "gaps", "count", "truth", "word", "colnames_2", "a_b", "a_b_2"];
    assert_eq!(reader.attribute("/processing/neuroflow/t", "colnames").texts(), names);
    let values = reader.dataset(&path("nested")).numbers();
    assert!(values[0] == 1.5 && values[1].is_nan() && values[2] == 2.5);
    assert_eq!(reader.dataset(&path("nested_index")).integers(), [2, 2, 3]);
    assert_eq!(reader.dataset(&path("nested_index_index")).integers(), [1, 3]);
    assert_eq!(reader.attribute(&path("nested_index_index"), "target").integers(), [reader.find(&path("nested_index")) as i64]);
    assert_eq!((reader.dataset(&path("gaps")).bytes, reader.dataset(&path("gaps_index")).integers()), (vec![7, 0, 0, 0], vec![1, 1]));
    let count = reader.dataset(&path("count")).numbers();
    assert!(count[0] == 4.0 && count[1].is_nan());
    assert_eq!(reader.dataset(&path("truth")).bytes, [1, 0]);
    assert_eq!(reader.dataset(&path("word")).texts(), ["a", ""]);
    assert_eq!(reader.dataset(&path("colnames_2")).texts(), ["{\"k\":1}", "{\"k\":2}"]);
    assert_eq!(reader.dataset(&path("a_b")).integers(), [-1, 0]);
    let large = table(vec![("n", Arc::new(Int64Array::from(vec![Some(i64::MAX), None])) as ArrayRef)]);
    assert!(
        refused(|file| file.table("t", "", &large)).contains("object `/processing/neuroflow/t/n`: integers beyond 2^53 stand beside gaps")
    );
}

#[test]
fn arrays_over_time_are_series_and_others_tables_or_scratch() {
    let numbers = |count: usize| (0..count).map(|value| value as f64).collect::<Vec<_>>();
    let even = Tensor::new(vec![Axis::numbers("t", Some("s"), vec![0.5, 0.75, 1.0])], Some("mV"), numbers(3)).unwrap();
    let uneven =
        Tensor::new(vec![Axis::numbers("t", Some("s"), vec![0.5, 0.75, 2.0]), Axis::labels("c", vec!["x".into()])], None, numbers(3))
            .unwrap();
    let plain = Tensor::new(vec![Axis::labels("r", vec!["a".into(), "b".into()]), Axis::count("n", 3)], None, numbers(6)).unwrap();
    let deep = Tensor::new((0..5).map(|axis| Axis::count(format!("a{axis}"), 2)).collect(), None, numbers(32)).unwrap();
    let bytes = written(|file| {
        file.tensor("even", "", &even)?;
        file.tensor("uneven", "", &uneven)?;
        file.tensor("plain", "", &plain)?;
        file.tensor("deep", "", &deep)
    });
    let reader = Reader(&bytes);
    assert_eq!(reader.dataset("/processing/neuroflow/even/starting_time").numbers(), [0.5]);
    assert_eq!(reader.attribute("/processing/neuroflow/even/starting_time", "rate").numbers(), [4.0]);
    assert_eq!(reader.dataset("/processing/neuroflow/uneven/timestamps").numbers(), [0.5, 0.75, 2.0]);
    assert_eq!(reader.dataset("/processing/neuroflow/uneven_c/c").texts(), ["x"]);
    assert_eq!(
        (reader.dataset("/processing/neuroflow/plain/values").shape, reader.dataset("/processing/neuroflow/plain/r").texts()),
        (vec![2, 3], vec!["a", "b"])
    );
    assert_eq!((kind_of(&reader, "/scratch/deep"), reader.dataset("/scratch/deep").shape), ("ScratchData".into(), vec![2; 5]));
    assert!(refused(|file| file.tensor("x", "", &plain).and_then(|()| file.tensor("x", "", &plain))).contains("it is there already"));
}

#[test]
fn any_result_of_columns_becomes_a_file_and_bytes_do_not() {
    let nodes = || Axis::labels("node", vec!["a".into(), "b".into()]).with_property("side", Coordinates::Numbers(vec![0.0, 1.0]));
    let graph =
        neuroflow_data::Graph::new(nodes(), vec![neuroflow_data::Edge { source: 0, target: 1, weight: 0.5 }], "correlation").unwrap();
    let rdm =
        neuroflow_data::Rdm::from_triangles(vec!["m".into()], Axis::count("condition", 3), "correlation", &[vec![0.1, 0.2, 0.3]]).unwrap();
    let scores = neuroflow_data::Scores::new(vec![neuroflow_data::Score::new("accuracy", 0.5, 128)]);
    let artifacts: Vec<Artifact> = vec![graph.into_artifact().unwrap(), rdm.into_artifact().unwrap(), scores.into_artifact().unwrap()];
    for artifact in &artifacts {
        let bytes = artifact_bytes(Form::Nwb, "result", artifact, &facts()).unwrap();
        assert_eq!(bytes, artifact_bytes(Form::Nwb, "result", artifact, &facts()).unwrap());
        let reader = Reader(&bytes);
        assert_eq!(kind_of(&reader, "/processing/neuroflow/result"), "DynamicTable");
        let facts = reader.dataset("/processing/neuroflow/provenance/value");
        assert!(facts.texts().contains(&artifact.kind().name()), "{facts:?}");
    }
    let bytes = artifact_bytes(Form::Nwb, "result", &artifacts[1], &facts()).unwrap();
    assert_eq!(Reader(&bytes).dataset("/processing/neuroflow/result/values").shape, [1, 3, 3]);
    let file = Artifact::from_bytes(Buffer::from(b"x".as_slice()));
    for form in Form::ALL {
        let error = artifact_bytes(form, "result", &file, &facts()).unwrap_err().to_string();
        assert!(
            error.contains("a File is bytes, and NWB holds values") || error.contains("an image is made of a Tensor, this is a File"),
            "{error}"
        );
    }
    let error = artifact_bytes(Form::Nwb, "result", &artifacts[0], &Facts::default()).unwrap_err().to_string();
    assert!(error.contains("an NWB file needs this text"), "{error}");
}

proptest! {
    #[test]
    fn any_table_comes_back(
        names in proptest::collection::vec("[a-z/: ._µ]{0,6}|id|colnames|values", 1..6),
        rows in proptest::collection::vec((any::<f64>(), "[^\0]{0,8}", proptest::collection::vec(any::<i64>(), 0..4)), 0..12),
    ) {
        let sorts: [ArrayRef; 3] = [
            Arc::new(arrow::array::Float64Array::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.1))),
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(rows.iter().map(|row| Some(row.2.iter().copied().map(Some))))),
        ];
        let columns: Vec<(&str, ArrayRef)> = names.iter().enumerate().map(|(place, name)| (name.as_str(), Arc::clone(&sorts[place % 3]))).collect();
        let table = table(columns);
        let bytes = written(|file| file.table("t", "about", &table));
        let reader = Reader(&bytes);
        let found = reader.attribute("/processing/neuroflow/t", "colnames");
        prop_assert_eq!(found.texts().len(), names.len());
        for (place, name) in found.texts().into_iter().enumerate() {
            let path = format!("/processing/neuroflow/t/{name}");
            let column = reader.dataset(&path);
            match place % 3 {
                0 => prop_assert!(column.numbers().iter().zip(&rows).all(|(found, row)| found.to_bits() == row.0.to_bits())),
                1 => prop_assert_eq!(column.texts(), rows.iter().map(|row| row.1.as_str()).collect::<Vec<_>>()),
                _ => {
                    prop_assert_eq!(column.integers(), rows.iter().flat_map(|row| row.2.clone()).collect::<Vec<_>>());
                    let ends = rows.iter().scan(0, |end, row| { *end += row.2.len() as i64; Some(*end) });
                    prop_assert_eq!(reader.dataset(&format!("{path}_index")).integers(), ends.collect::<Vec<_>>());
                }
            }
        }
    }
}
