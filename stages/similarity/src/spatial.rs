//! `similarity.spatial`: do early layers predict areas near the entrance, and late layers areas far from it?
//!
//! For what: the spatial score of a model (Raugel et al. 2025). Promises: Pearson's correlation over regions of the distance from a region of
//! origin with the relative depth of the layer that predicts each region best, and p over permuted regions. Refuses: fewer than two layers, fewer
//! than three regions with a place.

use crate::layers::{LayerTable, mean_by};
use crate::resampling::{permutations, permuted};
use neuroflow_compute::statistics::pearson;
use neuroflow_data::random::Stream;
use neuroflow_data::{Kind, Score, Scores, Table, columns};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, params};

params! {
    /// Parameters of `similarity.spatial`.
    pub struct SpatialParams {
        /// The region that distances are measured from.
        origin: String = "V1";
        /// The column that names the region, in both inputs.
        region: String = "region";
        /// The column of scores.
        score: String = "score";
        /// Columns of the region's place, in millimetres.
        place: Vec<String> = vec!["x", "y", "z"];
        /// Regions that no layer predicts better than this are left out.
        threshold: f64 = 0.0, in -1e300..=1e300;
        /// Permutations of regions for p; 0 for none.
        permutations: usize = 1000, in 0.0..=1000000.0;
    }
}

/// The stage `similarity.spatial`.
pub struct Spatial;

const DOC: &str = r#"The first input has a table for each layer, first to last, with a score for each region (rows of one region are averaged), such
as `regions` of `similarity.encode`. The second has the place of each region. For each region the best layer's relative depth, 0 for the first and 1
for the last, and the distance from the origin; the score is their correlation over regions. There are few regions and few depths, so look at p.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
for layer in [1, 2, 3] {
  curve = sql("select cast(direction as int) as region, 1.0 / (1.0 + abs(direction / 90.0 - {layer})) as score from a group by direction", a = responses)
}
places = sql("select cast(direction as int) as region, direction as x, 0.0 as y, 0.0 as z from a group by direction", a = responses)
order = similarity.spatial(gather(curve), places, origin = "0", permutations = 20)
report example { order }
```"#;

impl Stage for Spatial {
    type Params = SpatialParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.spatial",
            version: 2,
            summary: "Measures whether deeper layers predict regions farther from an origin.",
            doc: DOC,
            inputs: vec![
                InputSpec::many("layers", &[Kind::Table], "", "For each layer, first to last, a table of regions and scores."),
                InputSpec::one("places", &[Kind::Table], "", "The place of each region."),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "The spatial score."),
                OutputSpec::new("regions", Kind::Table, "", "Distance and best depth of each region."),
            ],
            params: Vec::new(),
            metrics: &["spatial"],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &SpatialParams, context: &Context) -> Result<Outputs, StageError> {
        let layers = LayerTable::all(inputs, "layers")?;
        let places: Table = inputs.one("places")?;
        let scores = layers.iter().map(|layer| mean_by(layer, &params.region, &params.score)).collect::<Result<Vec<_>, _>>()?;
        let named = places.texts(&params.region)?;
        let axes = params.place.iter().map(|column| places.numbers(column)).collect::<Result<Vec<_>, _>>()?;
        let place_of = |region: &str| -> Option<Vec<f64>> {
            let row = named.iter().position(|name| name == region)?;
            let place: Vec<f64> = axes.iter().map(|axis| axis[row]).collect();
            place.iter().all(|value| value.is_finite()).then_some(place)
        };
        let origin = place_of(&params.origin).ok_or_else(|| {
            StageError::refused(format!("the region of origin `{}` has no place; there are places of {}", params.origin, named.join(", ")))
        })?;
        let last = (layers.len() - 1) as f64;
        let (mut regions, mut distances, mut depths, mut bests) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (region, first) in &scores[0] {
            let curve: Option<Vec<f64>> =
                scores.iter().map(|layer| layer.iter().find(|(name, _)| name == region).map(|(_, score)| *score)).collect();
            let (Some(curve), Some(place)) = (curve, place_of(region)) else { continue };
            let best =
                curve.iter().enumerate().fold((0, *first), |best, (layer, &value)| if value > best.1 { (layer, value) } else { best });
            if best.1 > params.threshold {
                regions.push(region.clone());
                distances.push(place.iter().zip(&origin).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt());
                depths.push(best.0 as f64 / last);
                bests.push(best.1);
            }
        }
        if regions.len() < 3 {
            return Err(StageError::refused_with_help(
                format!(
                    "{} regions have a place, a score in every layer and pass the threshold {}; at least 3 are needed",
                    regions.len(),
                    params.threshold
                ),
                "lower `threshold`, or give more regions",
            ));
        }
        let value = pearson(&distances, &depths).map_err(crate::failure::numerical)?;
        if !value.is_finite() {
            return Err(StageError::refused("all regions have the same best layer, or the same distance: there is no order to compare"));
        }
        let orders = permutations(params.permutations, regions.len(), &Stream::new(context.seed).split("permutation"));
        let mut null = Vec::with_capacity(orders.len());
        for order in orders {
            let moved: Vec<f64> = order.iter().map(|&region| depths[region]).collect();
            null.push(Some(pearson(&distances, &moved).map_err(crate::failure::numerical)?));
        }
        let mut score = Score::new("spatial", value, regions.len());
        score.chance = Some(0.0);
        score.notes.push(format!("{} regions, {} layers", regions.len(), layers.len()));
        permuted(&mut score, "regions", value, &null, |draw| draw);
        let table = Table::from_columns(vec![
            columns::from_texts("region", &regions),
            columns::from_numbers("distance", distances),
            columns::from_numbers("depth", depths),
            columns::from_numbers("score", bests),
        ])?;
        Outputs::new().with("scores", Scores::new(vec![score]))?.with("regions", table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::Typed;
    use neuroflow_stage::{AnyStage, Value};
    use std::collections::BTreeMap;

    fn table(regions: &[&str], columns_of: &[(&str, Vec<f64>)]) -> Table {
        let mut list = vec![columns::from_texts("region", regions)];
        list.extend(columns_of.iter().map(|(name, values)| columns::from_numbers(name, values.clone())));
        Table::from_columns(list).unwrap()
    }

    fn run(layers: Vec<Table>, places: Table, origin: &str) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        layers.into_iter().for_each(|layer| inputs.push("layers", "", layer.into_artifact().unwrap()));
        inputs.push("places", "", places.into_artifact()?);
        AnyStage::run(&Spatial, &inputs, &BTreeMap::from([("origin".to_owned(), Value::from(origin))]), &Context::quiet(1))
    }

    const REGIONS: [&str; 4] = ["V1", "V2", "V4", "IT"];

    fn places() -> Table {
        table(&REGIONS, &[("x", vec![0.0, 3.0, 6.0, 0.0]), ("y", vec![0.0, 4.0, 8.0, 15.0]), ("z", vec![0.0; 4])])
    }

    #[test]
    fn a_hierarchy_in_order_scores_near_one() {
        // Best layers 0, 1, 2, 3 at distances 0, 5, 10, 15.
        let layers = (0..4)
            .map(|layer| table(&REGIONS, &[("score", (0..4).map(|region| if region == layer { 0.5 } else { 0.1 }).collect())]))
            .collect();
        let outputs = run(layers, places(), "V1").unwrap();
        let scores: Scores = outputs.one("scores").unwrap();
        assert!((scores.scores[0].value - 1.0).abs() < 1e-12);
        let table: Table = outputs.one("regions").unwrap();
        assert_eq!(table.numbers("distance").unwrap(), [0.0, 5.0, 10.0, 15.0]);
        assert!((table.numbers("depth").unwrap()[2] - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn unknown_origins_flat_orders_and_single_layers_are_refused() {
        let flat = || table(&REGIONS, &[("score", vec![0.5; 4])]);
        assert!(run(vec![flat(), flat()], places(), "A1").unwrap_err().to_string().contains("`A1` has no place"));
        assert!(run(vec![flat(), flat()], places(), "V1").unwrap_err().to_string().contains("the same best layer"));
        assert!(run(vec![flat()], places(), "V1").unwrap_err().to_string().contains("at least 2"));
        let low = || table(&REGIONS, &[("score", vec![-0.5; 4])]);
        assert!(run(vec![low(), low()], places(), "V1").unwrap_err().to_string().contains("0 regions"));
    }
}
