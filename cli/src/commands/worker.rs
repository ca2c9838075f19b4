//! `neuroflow worker`: performs orders for a run, or those of an element of a cluster's job array.

use super::Place;
use crate::exit::{Exit, Failure};
use neuroflow_compute::threads::spent_ms;
use neuroflow_engine::executor::slurm::perform_element;
use neuroflow_engine::program::ProgramOptions;
use neuroflow_engine::worker::{Tools, serve};
use std::path::Path;
use std::sync::Arc;

pub(crate) fn worker(place: &Place, element: Option<(&Path, usize)>, programs: ProgramOptions) -> Result<Exit, Failure> {
    // What is shared with other machines is the run's business.
    let cache = Arc::new(place.open_own_cache()?);
    if let Some((manifest, index)) = element {
        let command = super::run::worker_command(None, cache.root(), &programs);
        perform_element(manifest, index, &cache, command).map_err(Failure::could_not_start)?;
        return Ok(Exit::Done);
    }
    // What a person should know is told by the run, not by each of its workers.
    let tools = Tools::new(cache, Arc::new(crate::stages::registry()), programs, Some(spent_ms), |_| {});
    serve(&tools).map_err(Failure::could_not_start)?;
    Ok(Exit::Done)
}
