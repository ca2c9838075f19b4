//! The one place where the stages of all topics come together.

use neuroflow_stage::Registry;

/// Every stage that a pipeline may name.
pub fn registry() -> Registry {
    Registry::new(&[
        neuroflow_ingest::STAGES,
        neuroflow_decode::STAGES,
        neuroflow_connectome::STAGES,
        neuroflow_query::STAGES,
        neuroflow_similarity::STAGES,
        neuroflow_train::STAGES,
    ])
}
