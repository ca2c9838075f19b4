//! RDMs, their bootstrap, alignments and ridge.

use crate::Work;
use crate::inputs::{Inputs, Problem};
use neuroflow_compute::geometry::{
    Estimator, Likeness, Precision, TrianglePair, canonical_correlations, correlation_distances, linear_cka, svcca as strongest,
};
use neuroflow_compute::ridge_path::{HeldOut, RidgeOptions, cross_validate};
use neuroflow_compute::statistics::mean;

/// 1 − r of all pairs of rows.
pub fn rdm(inputs: &Inputs) -> Result<Work<'_>, Problem> {
    let x = inputs.matrix("x")?;
    Ok(Box::new(move || Ok(correlation_distances(&x)?)))
}

/// The comparison of two RDMs in each draw of conditions.
pub fn bootstrap(inputs: &Inputs, tau: bool) -> Result<Work<'_>, Problem> {
    let size = inputs.setting("conditions")? as usize;
    let (brain, model) = (inputs.array("brain")?.1, inputs.array("model")?.1);
    let draws = inputs.indices("draws")?;
    let likeness = if tau { Likeness::KendallTauA } else { Likeness::Spearman };
    Ok(Box::new(move || {
        let multiplicities: Vec<Vec<u32>> = draws
            .chunks_exact(size)
            .map(|draw| {
                let mut counts = vec![0; size];
                draw.iter().for_each(|&condition| counts[condition] += 1);
                counts
            })
            .collect();
        let values = TrianglePair::new(size, brain, model, likeness)?.resampled_all(&multiplicities)?;
        Ok(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }))
}

/// Linear CKA with products in single precision, as the peer's.
pub fn cka(inputs: &Inputs) -> Result<Work<'_>, Problem> {
    let (x, y) = (inputs.matrix("x")?, inputs.matrix("y")?);
    Ok(Box::new(move || Ok(vec![linear_cka(&x, &y, Estimator::Biased, Precision::Single)?.unwrap_or(f64::NAN)])))
}

/// The mean canonical correlation.
pub fn cca(inputs: &Inputs) -> Result<Work<'_>, Problem> {
    let (x, y) = (inputs.matrix("x")?, inputs.matrix("y")?);
    Ok(Box::new(move || Ok(vec![canonical_correlations(&x, &y)?.map_or(f64::NAN, |found| mean(&found.correlations))])))
}

/// The mean canonical correlation of the strongest directions.
pub fn svcca(inputs: &Inputs) -> Result<Work<'_>, Problem> {
    let (x, y, kept) = (inputs.matrix("x")?, inputs.matrix("y")?, inputs.setting("kept")?);
    Ok(Box::new(move || Ok(vec![strongest(&x, &y, kept)?.map_or(f64::NAN, |found| found.mean())])))
}

/// The best cross-validated R² of each target.
pub fn ridge(inputs: &Inputs) -> Result<Work<'_>, Problem> {
    let (x, y, penalties) = (inputs.matrix("x")?, inputs.matrix("y")?, inputs.array("lambdas")?.1);
    let folds = inputs.setting("folds")? as usize;
    let samples = x.rows();
    let fold: Vec<usize> = (0..samples).map(|sample| sample * folds / samples).collect();
    let options = RidgeOptions { intercept: false, standardise: false };
    Ok(Box::new(move || {
        let scores = cross_validate(&x, &y, &fold, penalties, options, Precision::Single)?.mean(HeldOut::Explained);
        Ok((0..scores.cols()).map(|target| (0..scores.rows()).map(|penalty| scores[(penalty, target)]).fold(f64::MIN, f64::max)).collect())
    }))
}
