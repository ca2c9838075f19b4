//! Real files. Every number here was computed with the reference package that is named beside it.

use super::doors::{open, read, recordings};
use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};
use neuroflow_formats::{Document, Limits, What, graphs};
use std::sync::Arc;

fn opened(sort: &str, path: &str) -> Option<Box<dyn Document>> {
    Some(open(sort, read(path)?, &Limits::default()).unwrap_or_else(|error| panic!("{path}: {error}")))
}

fn graph(path: &str) -> Option<graphs::GraphDocument> {
    let source = Arc::new(arrow::buffer::Buffer::from_vec(read(path)?));
    let limits = Limits::default();
    let document = if path.ends_with(".gml") { graphs::gml::open(source, &limits) } else { graphs::edge_list::open(source, &limits) };
    Some(document.unwrap_or_else(|error| panic!("{path}: {error}")))
}

#[test]
fn haxby_runs_have_nibabels_shape_times_and_sum() {
    let Some(document) = opened("nifti", "fmri-haxby/bold.nii.gz") else { return };
    let contents = document.contents();
    let Some(What::Array { shape, element, axes, .. }) = contents.item("image").map(|item| &item.what) else { panic!("{contents:?}") };
    assert_eq!((shape.as_slice(), element.as_str()), (&[40, 20, 1, 1452][..], "int16"));
    assert_eq!(axes, &["x", "y", "z", "time"]);
    let image = document.tensor("image", None).unwrap();
    // nibabel: get_fdata().sum() and get_fdata()[20, 10, 0, 700].
    let (sum, one) = (1_118_771_612.0, 963.0);
    assert_eq!(image.values().iter().sum::<f64>(), sum);
    assert_eq!(document.tensor("image", Some(&[20..21, 10..11, 0..1, 700..701])).unwrap().values(), [one]);
}

#[test]
fn fashion_mnist_has_ten_thousand_images_and_a_thousand_of_each_label() {
    let Some(document) = opened("idx", "fashion-mnist/t10k-images-idx3-ubyte.gz") else { return };
    let images = document.tensor("", None).unwrap();
    assert_eq!(images.shape(), [10_000, 28, 28]);
    // numpy: frombuffer(…, 'u1', offset=16).sum()
    assert_eq!(images.values().iter().sum::<f64>(), 573_469_082.0);
    let labels = opened("idx", "fashion-mnist/t10k-labels-idx1-ubyte.gz").unwrap().tensor("", None).unwrap();
    for label in 0..10 {
        assert_eq!(labels.values().iter().filter(|value| **value == f64::from(label)).count(), 1000);
    }
}

#[test]
fn newmans_networks_have_their_nodes_and_edges() {
    for (name, nodes, edges, directed, weight) in [
        ("karate_club", 34, 78, false, ""),
        ("dolphins", 62, 159, false, ""),
        ("football", 115, 613, false, ""),
        ("lesmis", 77, 254, false, "value"),
        ("celegansneural", 297, 2345, true, "value"),
    ] {
        let Some(document) = graph(&format!("networks/{name}.gml")) else { return };
        assert_eq!(
            document.contents().item("graph").map(|item| item.what.clone()).map(|what| match what {
                What::Graph { nodes, directed, .. } => (nodes, directed),
                other => panic!("{other:?}"),
            }),
            Some((nodes, directed)),
            "{name}"
        );
        let graph = document.graph("").unwrap();
        assert_eq!((graph.edges().len(), graph.is_directed()), (edges, directed), "{name}");
        assert_eq!(graph.weight, weight, "{name}");
    }
    let karate = graph("networks/karate_club.gml").unwrap().graph("").unwrap();
    assert!(karate.nodes().property("club").is_some());
}

#[test]
fn mouse_connectomes_and_the_worms_are_lists_of_edges() {
    let Some(document) = graph("mouse-dti-connectomes/sub-54776_ses-1_dti.edgelist.gz") else { return };
    let mouse = document.graph("").unwrap();
    assert_eq!((mouse.nodes().len(), mouse.is_directed(), mouse.edges()[0].weight), (332, false, 3735.0));
    let worm = graph("worm-connectomes/herm_full_edgelist.csv").unwrap();
    let Some(What::Graph { edges, directed, .. }) = worm.contents().item("graph").map(|item| &item.what) else { panic!() };
    assert_eq!((*edges, *directed), (7379, true));
    assert_eq!(worm.graph("").unwrap().weight, "Weight");
}

#[test]
fn worm_workbooks_have_their_tables_and_matrices() {
    let Some(document) = opened("excel", "worm-connectomes/NeuronConnect.xls") else { return };
    let rows = document.rows("").unwrap();
    let names: Vec<String> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!((names, rows.count()), (["Neuron 1", "Neuron 2", "Type", "Nbr"].map(String::from).to_vec(), 6417));
    let read = rows.read(&[3], 0..u64::MAX).unwrap();
    // pandas: read_excel(…)['Nbr'].sum()
    assert_eq!(read.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>(), 15_975);
    let document = opened("excel", "worm-connectomes/cook2019_SI5_adjacency_corrected_July2020.xlsx").unwrap();
    let chemical = document.tensor("hermaphrodite chemical", None).unwrap();
    assert!(chemical.values().iter().filter(|value| value.is_finite()).count() > 3000);
}

#[test]
fn rasters_and_gratings_are_arrays_in_matlabs_order() {
    let Some(document) = opened("mat5", "it-zhang-desimone-7objects/bp1001spk_01A_raster_data.mat") else { return };
    let raster = document.tensor("raster_data", Some(&[0..420, 0..1000])).unwrap();
    assert_eq!(raster.shape(), [420, 1000]);
    let labels = document.rows("raster_labels/stimulus_ID").unwrap();
    assert_eq!(labels.count(), 420);
    let gratings = opened("mat5", "v1-gratings-calcium/230810_mrcuts29_fov2_grat-000_data.mat").unwrap();
    let one = gratings.tensor("D/neuron1", None).unwrap();
    assert_eq!(one.shape(), [128, 49]);
    let derived = opened("npz", "v1-gratings-calcium/230810_mrcuts29_fov2_grat-000.npz").unwrap();
    let same = derived.tensor("X", Some(&[0..1, 0..128, 0..49])).unwrap();
    assert!(one.values().iter().zip(same.values()).all(|(full, rounded)| f64::from(*full as f32) == *rounded));
}

#[test]
fn models_list_their_tensors_and_inputs() {
    let Some(document) = opened("safetensors", "vision-models/efficientnet_lite0_imagenet.safetensors") else { return };
    assert_eq!(document.contents().facts["tensors"], "296");
    assert_eq!(document.contents().items.len(), 296);
    let document = opened("onnx", "vision-models/ch_ppocr_mobile_v2.0_cls_infer.onnx").unwrap();
    let values: Vec<&str> =
        document.contents().items.iter().filter(|item| matches!(item.what, What::Value(_))).map(|item| item.path.as_str()).collect();
    assert!(values.iter().any(|path| path.starts_with("inputs/")) && values.iter().any(|path| path.starts_with("outputs/")));
    assert!(document.contents().facts["operators"].contains("Conv"));
}

#[test]
fn every_real_file_of_these_formats_opens_and_reads() {
    let Some(folder) = recordings() else { return };
    let sorts = [
        (".nii.gz", "nifti"),
        ("ubyte.gz", "idx"),
        (".jpg", "picture"),
        (".xlsx", "excel"),
        (".xls", "excel"),
        (".gml", "gml"),
        (".edgelist.gz", "edge_list"),
        (".npy", "npy"),
        (".npz", "npz"),
        (".mat", "mat5"),
        (".safetensors", "safetensors"),
        (".onnx", "onnx"),
    ];
    let mut waiting = vec![folder];
    let mut count = 0;
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                waiting.push(path);
            } else if let Some((_, sort)) = sorts.iter().find(|(ending, _)| name.ends_with(ending)) {
                let document =
                    open(sort, std::fs::read(&path).unwrap(), &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(crate::reading::read_all(document.as_ref()).answers > 0, "{name}");
                count += 1;
            }
        }
    }
    assert!(count > 220, "{count}");
}

#[test]
fn parts_of_tables_are_parts() {
    let Some(document) = opened("csv", "digits/digits.csv.gz") else { return };
    let rows = document.rows("").unwrap();
    assert_eq!((rows.count(), rows.schema().fields().len()), (1797, 65));
    let part = rows.read(&[64, 2], 10..13).unwrap();
    assert_eq!((part.num_columns(), part.num_rows()), (2, 3));
    let whole = rows.read(&[64], 0..1797).unwrap();
    let number = |batch: &arrow::array::RecordBatch, row: usize| {
        let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Float64).unwrap();
        column.as_primitive::<Float64Type>().value(row)
    };
    assert_eq!(number(&part, 0), number(&whole, 10));
}
