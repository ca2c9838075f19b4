//! Block models.

use crate::Work;
use crate::inputs::{Inputs, Problem};
use neuroflow_connectome::sbm::Sbm;
use neuroflow_data::{Axis, Communities, Edge, Graph, Typed};
use neuroflow_stage::{AnyStage, Context, Inputs as Slots};
use std::collections::BTreeMap;

/// The block of each node, by `connectome.sbm` as it is without any parameter.
pub fn communities(inputs: &Inputs, threads: usize) -> Result<Work<'_>, Problem> {
    let (ends, weights) = (inputs.indices("edges")?, inputs.array("weights")?.1);
    let nodes = inputs.indices("planted")?.len();
    let edges = ends.chunks_exact(2).zip(weights).map(|(ends, &weight)| Edge { source: ends[0], target: ends[1], weight }).collect();
    let mut slots = Slots::new();
    slots.push("graph", "", Graph::new(Axis::count("unit", nodes), edges, "weight")?.into_artifact()?);
    Ok(Box::new(move || {
        let context = Context { threads, ..Context::quiet(1) };
        let found: Communities = AnyStage::run(&Sbm, &slots, &BTreeMap::new(), &context)?.one("communities")?;
        Ok(found.membership().iter().map(|block| *block as f64).collect())
    }))
}
