//! `ingest.regress_out`: what other signals explain is taken off a recording.
//!
//! For what: motion, eye movements and global signals leave traces in every channel. Promises: ordinary least squares with a constant, in each stretch by itself; the
//! mean of each channel stays. Refuses: signals that do not lie on the recording's samples, more of them than samples. From: `nilearn.signal.clean` without
//! standardisation; the 24 motion parameters of Friston et al. (1996).

use crate::recorded::{Common, as_stored, each_channel, is_marks, rebuilt};
use neuroflow_compute::Matrix;
use neuroflow_compute::factor::thin_svd;
use neuroflow_data::{Channel, Kind, Recording, Samples};
use neuroflow_stage::params::Hertz;
use neuroflow_stage::{
    Context, Dimension, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Quantity, Signature, Stage, StageError, Value, params, words,
};

/// The stage `ingest.regress_out`.
pub struct RegressOut;

words! {
    /// Slow changes that are taken off too.
    pub enum Drift {
        /// None.
        None = "none" {},
        /// A polynomial of time.
        Polynomial = "polynomial" {
            /// Its order; 1 is a line.
            order: usize = 1, in 1.0..=8.0;
        },
        /// Cosines below a frequency, as SPM's high-pass.
        Cosine = "cosine" {
            /// The frequency.
            below: Hertz = Quantity { value: 0.008, dimension: Dimension::Frequency }, in 1e-9..=1e6;
        },
    }
}

params! {
    /// Parameters of `ingest.regress_out`.
    pub struct RegressOutParams {
        /// Add the change of each signal from the sample before.
        derivatives: bool = false;
        /// Add the square of each signal (and of its change, when that is added): six motion parameters become the 24 of Friston et al.
        squares: bool = false;
        /// Slow changes that are taken off too.
        drift: Drift = Value::word("none");
        /// Put the mean of each channel back.
        keep_mean: bool = true;
    }
}

const DOC: &str = r#"Each channel is regressed, by ordinary least squares with a constant, on the channels of a second recording, and what they explain is taken off; each
stretch between pauses by itself. Both recordings must have the same samples: bring them to one rate with `ingest.resample` first. Channels of marks stay as they are.

Whatever a regressor shares with the signal goes with it: a global signal takes true common activity along, and makes the remaining correlations negative on average.

```nf
pipeline still "Without motion"
session = ingest.simulate_signals()
still = ingest.regress_out(session.fluorescence, session.motion, derivatives = true, drift = polynomial(1))
report still { still }
```"#;

impl Stage for RegressOut {
    type Params = RegressOutParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.regress_out",
            version: 1,
            summary: "Takes off a recording what other signals explain, such as motion.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("recording", &[Kind::Recording], "channel × sample", "The recording."),
                InputSpec::one("by", &[Kind::Recording], "channel × sample", "The signals, on the same samples."),
            ],
            outputs: vec![OutputSpec::new("recording", Kind::Recording, "channel × sample", "What the signals do not explain.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &RegressOutParams, context: &Context) -> Result<Outputs, StageError> {
        let recording: Recording = inputs.one("recording")?;
        let by: Recording = inputs.one("by")?;
        let session = recording.session.as_str();
        let signals: Vec<usize> =
            recording.channels().enumerate().filter(|(_, channel)| !is_marks(channel)).map(|(place, _)| place).collect();
        let common = Common::of(&recording, &signals)?;
        let others = Common::of(&by, &(0..by.len()).collect::<Vec<_>>())?;
        if others.rate != common.rate || others.samples != common.samples || others.line.stretches != common.line.stretches {
            return Err(StageError::refused_with_help(
                format!(
                    "session `{session}`: the recording has {} samples at {} Hz in {} stretches, the signals {} at {} Hz in {}",
                    common.samples,
                    common.rate,
                    common.line.stretches.len(),
                    others.samples,
                    others.rate,
                    others.line.stretches.len()
                ),
                "bring both to the same samples, such as with `ingest.resample`",
            ));
        }
        let stretches = common.stretches();
        let mut bases = Vec::with_capacity(stretches.len());
        for (number, range) in stretches.iter().enumerate() {
            context.cancel.check()?;
            bases.push(basis(&by, range.clone(), common.rate, params, &format!("session `{session}`, stretch {number} (counted from 0)"))?);
        }
        let one = |place: usize| -> Result<(Channel, Samples), StageError> {
            let (channel, stored) = recording.channel(place).ok_or_else(|| StageError::Bug(format!("there is no channel {place}")))?;
            let mut values = recording.values(place, 0..stored.len());
            let plain = Channel { gain: 1.0, offset: 0.0, ..channel.clone() };
            if is_marks(channel) {
                return Ok((plain, as_stored(stored, values)));
            }
            if let Some(sample) = values.iter().position(|value| !value.is_finite()) {
                let message = format!("session `{session}`, channel `{}`: sample {sample} is not finite", channel.name);
                return Err(StageError::refused_with_help(message, "leave the channel out with `ingest.select`"));
            }
            for (range, basis) in stretches.iter().zip(&bases) {
                let own = values.get_mut(range.clone()).unwrap_or(&mut []);
                clean(own, basis, params.keep_mean);
            }
            Ok((plain, as_stored(stored, values)))
        };
        Outputs::new().with("recording", rebuilt(&recording, each_channel(recording.len(), context, one)?)?)
    }
}

/// Takes the mean and what lies along the basis off a trace.
fn clean(values: &mut [f64], basis: &[Vec<f64>], keep_mean: bool) {
    let mean = neuroflow_compute::statistics::mean(values);
    values.iter_mut().for_each(|value| *value -= mean);
    for direction in basis {
        let along: f64 = direction.iter().zip(values.iter()).map(|(direction, value)| direction * value).sum();
        values.iter_mut().zip(direction).for_each(|(value, direction)| *value -= along * direction);
    }
    if keep_mean {
        values.iter_mut().for_each(|value| *value += mean);
    }
}

/// An orthonormal basis of the signals of a stretch, less their means.
fn basis(
    by: &Recording,
    range: std::ops::Range<usize>,
    rate: f64,
    params: &RegressOutParams,
    whose: &str,
) -> Result<Vec<Vec<f64>>, StageError> {
    let n = range.len();
    let mut columns: Vec<Vec<f64>> = Vec::new();
    for channel in 0..by.len() {
        let values = by.values(channel, range.clone());
        if let Some(sample) = values.iter().position(|value| !value.is_finite()) {
            let name = by.channel(channel).map_or("", |(channel, _)| channel.name.as_str());
            return Err(StageError::refused_with_help(
                format!("{whose}: signal `{name}` is not finite at sample {sample}"),
                "leave the signal out with `ingest.select`",
            ));
        }
        let change =
            params.derivatives.then(|| std::iter::once(0.0).chain(values.windows(2).map(|pair| pair[1] - pair[0])).collect::<Vec<f64>>());
        for own in std::iter::once(values).chain(change) {
            if params.squares {
                columns.push(own.iter().map(|value| value * value).collect());
            }
            columns.push(own);
        }
    }
    let time = |at: usize| 2.0 * (at as f64 + 0.5) / n as f64 - 1.0;
    match &params.drift {
        Drift::None {} => {}
        Drift::Polynomial { order } => columns.extend((1..=*order).map(|power| (0..n).map(|at| time(at).powi(power as i32)).collect())),
        Drift::Cosine { below } => {
            let count = (2.0 * n as f64 / rate * below.0).floor().min(n as f64) as usize;
            let wave = |k: usize, at: usize| (std::f64::consts::PI / n as f64 * (at as f64 + 0.5) * k as f64).cos();
            columns.extend((1..=count).map(|k| (0..n).map(|at| wave(k, at)).collect()));
        }
    }
    if columns.len() + 1 >= n {
        return Err(StageError::refused_with_help(
            format!("{whose}: {} regressors and a constant explain all of its {n} samples", columns.len()),
            "use fewer signals, or longer stretches",
        ));
    }
    // Columns of one size, so that no signal is lost for the unit it is in.
    for column in &mut columns {
        let mean = neuroflow_compute::statistics::mean(column);
        column.iter_mut().for_each(|value| *value -= mean);
        let size = column.iter().map(|value| value * value).sum::<f64>().sqrt();
        let largest = column.iter().fold(mean.abs(), |largest, value| largest.max(value.abs()));
        // Rounding leaves a constant signal some ulps of its value.
        let scale = if size > 1e-13 * largest * (n as f64).sqrt() { 1.0 / size } else { 0.0 };
        column.iter_mut().for_each(|value| *value *= scale);
    }
    let columns: Vec<Vec<f64>> = columns.into_iter().filter(|column| column.iter().any(|value| *value != 0.0)).collect();
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let matrix = Matrix::from_fn(n, columns.len(), |row, column| columns[column][row]);
    let svd = thin_svd(&matrix).map_err(|error| StageError::refused(format!("{whose}: {error}")))?;
    let cut = f64::EPSILON * n as f64 * svd.values.first().copied().unwrap_or(0.0);
    Ok(svd.values.iter().enumerate().filter(|(_, value)| **value > cut).map(|(place, _)| svd.u.column(place)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{artifact, hertz, recording, run_with, said, with_pauses};

    fn wave(n: usize, period: f64, phase: f64) -> Vec<f64> {
        (0..n).map(|at| (std::f64::consts::TAU * at as f64 / period + phase).sin()).collect()
    }

    fn cleaned(data: &Recording, by: &Recording, params: &[(&str, Value)]) -> Recording {
        run_with(&RegressOut, &[("recording", artifact(data)), ("by", artifact(by))], params).unwrap().one("recording").unwrap()
    }

    #[test]
    fn what_signals_explain_is_gone_and_the_rest_and_the_mean_stay() {
        let (motion, own) = (wave(400, 40.0, 0.3), wave(400, 50.0, 1.0));
        let mixed: Vec<f64> = motion.iter().zip(&own).map(|(motion, own)| 7.0 + 3.0 * motion + own).collect();
        let found = cleaned(&recording(10.0, std::slice::from_ref(&mixed)), &recording(10.0, &[motion.clone(), motion]), &[]);
        // Whole periods of both are orthogonal.
        found.values(0, 0..400).iter().zip(&own).for_each(|(found, own)| assert!((found - 7.0 - own).abs() < 1e-9, "{found} {own}"));
        let none = cleaned(&recording(10.0, &[mixed]), &recording(10.0, &[vec![5.0; 400]]), &[("keep_mean", false.into())]);
        assert!((none.values(0, 0..400).iter().sum::<f64>()).abs() < 1e-9);
    }

    #[test]
    fn residuals_are_those_of_least_squares_with_every_expansion() {
        // NumPy 2.4.6: y − X lstsq(X, y) + mean(y), X = [1, x, x², Δx, Δx², t, t²] with Δx₀ = 0.
        let (y, x) = (Y.to_vec(), X.to_vec());
        let params =
            [("derivatives", true.into()), ("squares", true.into()), ("drift", Value::call("polynomial", vec![("order", 2.into())]))];
        let found = cleaned(&recording(1.0, &[y]), &recording(1.0, &[x]), &params);
        found
            .values(0, 0..12)
            .iter()
            .zip(EXPECTED)
            .for_each(|(found, expected)| assert!((found - expected).abs() < 1e-11, "{found} {expected}"));
    }

    #[test]
    fn drifts_go_with_cosines_and_stretches_are_apart() {
        let slow: Vec<f64> = (0..1000).map(|at| 5.0 * (std::f64::consts::PI * (at as f64 + 0.5) / 1000.0 * 3.0).cos()).collect();
        let drift = [("drift", Value::call("cosine", vec![("below", hertz(0.02))]))];
        let found = cleaned(&recording(10.0, &[slow]), &recording(10.0, &[wave(1000, 7.0, 0.0)]), &drift);
        assert!(found.values(0, 0..1000).iter().all(|value| value.abs() < 1e-6));
        let signal = wave(200, 13.0, 0.0);
        let flipped: Vec<f64> = signal.iter().enumerate().map(|(at, value)| if at < 100 { 2.0 * value } else { -value }).collect();
        let pauses = [(0, 0.0), (100, 60.0)];
        let found =
            cleaned(&with_pauses(10.0, &[flipped], &pauses), &with_pauses(10.0, &[signal], &pauses), &[("keep_mean", false.into())]);
        assert!(found.values(0, 0..200).iter().all(|value| value.abs() < 1e-9));
    }

    #[test]
    fn signals_on_other_samples_and_too_many_are_refused() {
        let data = recording(10.0, &[wave(20, 7.0, 0.0)]);
        let with = |by: Recording| said(run_with(&RegressOut, &[("recording", artifact(&data)), ("by", artifact(&by))], &[]));
        assert!(with(recording(5.0, &[wave(20, 7.0, 0.0)])).contains("20 samples at 10 Hz in 1 stretches, the signals 20 at 5 Hz"));
        let many: Vec<Vec<f64>> = (0..19).map(|k| wave(20, 3.0 + f64::from(k), 0.1)).collect();
        assert!(with(recording(10.0, &many)).contains("19 regressors and a constant explain all of its 20 samples"));
        assert!(with(recording(10.0, &[vec![f64::NAN; 20]])).contains("signal `C1` is not finite at sample 0"));
    }

    const Y: [f64; 12] = [1.04, 2.46, 0.99, -3.91, 2.72, 1.34, -1.61, 1.74, 1.09, 0.88, 0.09, 1.64];
    const X: [f64; 12] = [-0.74, -0.16, -0.48, 0.6, 0.04, -0.29, -0.78, -0.26, 0.01, -0.28, 1.29, 1.01];
    const EXPECTED: [f64; 12] = [
        0.5811924364459865,
        1.7508197702556885,
        0.7708851918880014,
        -2.2292158110824896,
        1.9500731599145809,
        1.6582868952592689,
        -0.22605289679074037,
        2.4366499635889523,
        0.7937407894475902,
        -1.3693974994267615,
        1.720449027355472,
        0.6325689731443357,
    ];
}
