//! `ingest.quality`: how well units are isolated and how steadily they were seen.
//!
//! For what: units are chosen by numbers before they are analysed (`ingest.select`). Promises: a row for each unit; intervals never reach over a pause of
//! the observation; a number that can't be computed is a gap. Refuses: a censored period that is not shorter than the refractory one. From: Hill et al. (2011), Llobet
//! et al. (2022), with the conventions of SpikeInterface's quality metrics; Holt et al. (1996), Shinomoto et al. (2003).

use crate::recorded::{each_channel, spans_of};
use crate::waveforms::{self, Window};
use neuroflow_compute::spiking::{Refractory, Regularity, fano_factor, presence_ratio, refractory_violations, regularity};
use neuroflow_data::{Kind, Recording, Spikes, Table, columns};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Seconds, Signature, Stage, StageError, Value, params};

/// The stage `ingest.quality`.
pub struct Quality;

params! {
    /// Parameters of `ingest.quality`.
    pub struct QualityParams {
        /// The period in which no unit fires twice.
        refractory: Seconds = Value::seconds(0.0015), in 1e-5..=1.0;
        /// The period in which no second spike could have been detected, shorter than `refractory`.
        censored: Seconds = Value::seconds(0.0), in 0.0..=1.0;
        /// The length of the windows of `presence_ratio`.
        presence: Seconds = Value::seconds(60.0), in 1e-3..=1e6;
        /// The length of the windows of `fano`.
        counts: Seconds = Value::seconds(1.0), in 1e-3..=1e6;
        /// How long before a spike its waveform begins, where there is a recording.
        before: Seconds = Value::seconds(0.001), in 1e-5..=1.0;
        /// How long after a spike its waveform ends.
        after: Seconds = Value::seconds(0.002), in 1e-5..=1.0;
        /// How many spikes of a unit its mean waveform is made of, spread evenly over the recording.
        waveforms: u64 = Value::Int(500), in 1.0..=1e6;
    }
}

const DOC: &str = r#"A row for each unit, with the columns that the units had, and:

* `n_spikes`; `firing_rate` in hertz, over the time in which units were observed.
* `isi_violations`: intervals shorter than `refractory`; `isi_violations_ratio`: the rate of other units that would explain them over the unit's own (Hill et al.
  2011), above 1 for hopeless units; `isi_violations_share`: their share of all intervals.
* `rp_violations`: pairs of spikes within `refractory`; `contamination`: the share of spikes from other units that would explain them (Llobet et al. 2022).
* `presence_ratio`: the share of windows of a minute with a spike.
* `cv`, `cv2`, `lv`: how irregular the intervals are; 1 for a Poisson process. `fano`: the variance of counts per second over their mean.

When the file does not say when units were observed, the time is from the first spike of all units to the last.

With the recording that the units were found in as second input, `ingest.quality(spikes, recording)`, filtered to the band of spikes (`ingest.filter`), on the clock of the spikes:

* `peak_channel`: where the mean waveform reaches farthest from zero; `amplitude`: how far, in the channel's unit.
* `snr`: the amplitude over the standard deviation of the channel's noise, which is estimated from its median absolute deviation.
* `amplitude_cutoff`: the share of spikes that were too small to be found, from the form of the histogram of amplitudes (Hill et al. 2011); a gap with fewer than 2,500 spikes.

```nf
pipeline units "Which units are good"
session = ingest.simulate_signals()
quality = ingest.quality(session.spikes)
report units { quality }
```"#;

impl Stage for Quality {
    type Params = QualityParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.quality",
            version: 1,
            summary: "Measures how well units are isolated and how steadily they fire.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("spikes", &[Kind::Spikes], "", "Spikes by unit."),
                InputSpec::optional(
                    "recording",
                    &[Kind::Recording],
                    "channel × sample",
                    "What the units were found in, filtered to the band of spikes.",
                ),
            ],
            outputs: vec![OutputSpec::new("quality", Kind::Table, "", "A row for each unit.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &QualityParams, context: &Context) -> Result<Outputs, StageError> {
        let spikes: Spikes = inputs.one("spikes")?;
        if params.censored.0 >= params.refractory.0 {
            return Err(StageError::refused_with_help(
                format!("the censored period, {} s, is not shorter than the refractory one, {} s", params.censored.0, params.refractory.0),
                "give the time in which the detector can't see a second spike, such as 0 s",
            ));
        }
        let spans = spans_of(&spikes);
        let duration: f64 = spans.iter().map(|(start, end)| end - start).sum();
        let rows = each_channel(spikes.len(), context, |unit| Ok(Row::of(spikes.times(unit), &spans, duration, params)))?;
        let optional = |name: &str, of: fn(&Row) -> Option<f64>| columns::from_optional_numbers(name, rows.iter().map(of).collect());
        let counts = |name: &str, of: fn(&Row) -> usize| columns::from_integers(name, rows.iter().map(|row| of(row) as i64).collect());
        let mut measured = vec![
            counts("n_spikes", |row| row.spikes),
            optional("firing_rate", |row| row.rate),
            counts("isi_violations", |row| row.refractory.violations),
            optional("isi_violations_ratio", |row| row.refractory.ratio),
            optional("isi_violations_share", |row| row.share),
            counts("rp_violations", |row| row.refractory.pairs),
            optional("contamination", |row| row.refractory.contamination),
            optional("presence_ratio", |row| row.presence),
            optional("cv", |row| row.regularity.cv),
            optional("cv2", |row| row.regularity.cv2),
            optional("lv", |row| row.regularity.lv),
            optional("fano", |row| row.fano),
        ];
        if let Some(recording) = inputs.optional::<Recording>("recording")? {
            measured.extend(waveforms::columns(&spikes, &recording, &Window::of(params), context)?);
        }
        // Columns that the file had under one of these names keep theirs with a mark.
        let mut table = renamed(spikes.units(), &measured.iter().map(|(field, _)| field.name().clone()).collect::<Vec<_>>())?;
        for (field, array) in measured {
            table = table.with_column(field, array)?;
        }
        Outputs::new().with("quality", table)
    }
}

/// A table whose columns of these names end in `_in_file`.
fn renamed(table: &Table, names: &[String]) -> Result<Table, neuroflow_data::DataError> {
    let (batch, schema) = (table.batch(), table.batch().schema());
    let pairs = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
        let name = field.name();
        let name = if names.contains(name) { format!("{name}_in_file") } else { name.clone() };
        (field.as_ref().clone().with_name(name), std::sync::Arc::clone(array))
    });
    Table::from_columns(pairs.collect())
}

/// What is measured of a unit.
struct Row {
    spikes: usize,
    rate: Option<f64>,
    refractory: Refractory,
    share: Option<f64>,
    presence: Option<f64>,
    regularity: Regularity,
    fano: Option<f64>,
}

impl Row {
    fn of(times: &[f64], spans: &[(f64, f64)], duration: f64, params: &QualityParams) -> Row {
        let within = |(start, end): &(f64, f64)| {
            let (first, end) = (times.partition_point(|time| time < start), times.partition_point(|time| time <= end));
            times.get(first..end.max(first)).unwrap_or(&[])
        };
        let trains: Vec<&[f64]> = spans.iter().map(within).collect();
        let spikes = trains.iter().map(|train| train.len()).sum();
        let intervals: usize = trains.iter().map(|train| train.len().saturating_sub(1)).sum();
        let refractory = refractory_violations(&trains, duration, params.refractory.0, params.censored.0);
        Row {
            spikes,
            rate: if duration > 0.0 { Some(spikes as f64 / duration) } else { None },
            share: if intervals > 0 { Some(refractory.violations as f64 / intervals as f64) } else { None },
            refractory,
            presence: presence_ratio(&trains, spans, params.presence.0),
            regularity: regularity(&trains),
            fano: fano_factor(&trains, spans, params.counts.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{artifact, run_with, said, spikes};

    fn quality(spikes: &Spikes, params: &[(&str, Value)]) -> Table {
        run_with(&Quality, &[("spikes", artifact(spikes))], params).unwrap().one("quality").unwrap()
    }

    #[test]
    fn each_unit_has_its_numbers_and_gaps_where_there_are_none() {
        let regular: Vec<f64> = (0..100).map(f64::from).collect();
        let spikes = spikes(&[regular, vec![], vec![5.0, 5.0005, 5.5]], &[(0.0, 100.0)]);
        let found = quality(&spikes, &[("presence", Value::seconds(10.0))]);
        assert_eq!(found.texts("unit").unwrap(), ["a", "b", "c"]);
        assert_eq!(found.texts("area").unwrap()[1], "VISl");
        assert_eq!((found.integers("n_spikes").unwrap(), found.integers("isi_violations").unwrap()), (vec![100, 0, 3], vec![0, 0, 1]));
        assert_eq!(found.numbers("firing_rate").unwrap(), [1.0, 0.0, 0.03]);
        let of = |name: &str, unit: usize| found.numbers(name).unwrap()[unit];
        assert_eq!((of("presence_ratio", 0), of("presence_ratio", 1), of("presence_ratio", 2)), (1.0, 0.0, 0.1));
        assert_eq!((of("cv", 0), of("fano", 0), of("contamination", 0)), (0.0, 0.0, 0.0));
        assert!(
            of("cv", 1).is_nan() && of("contamination", 1).is_nan() && of("isi_violations_ratio", 1).is_nan() && of("fano", 1).is_nan()
        );
        // Hill: 1 violation · 100 s / (2 · 9 · 1.5 ms); more pairs than any share explains.
        assert!((of("isi_violations_ratio", 2) - 100.0 / (18.0 * 0.0015)).abs() < 1e-9);
        assert_eq!((of("contamination", 2), of("isi_violations_share", 2)), (1.0, 0.5));
    }

    /// Spikes of two units as waveforms of their own on two channels, with noise.
    #[test]
    fn units_stand_out_of_the_noise_of_their_channel() {
        let rate = 10_000.0;
        let mut channels = vec![vec![0.0; 60_000], vec![0.0; 60_000]];
        let mut state = 1u64;
        for value in channels.iter_mut().flatten() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Even from -3 to 3: the median of distances is 1.5.
            *value = ((state >> 33) as f64 / f64::from(1u32 << 31) - 0.5) * 6.0 + 100.0;
        }
        let (first, second): (Vec<usize>, Vec<usize>) =
            ((0..190).map(|spike| 300 + spike * 300).collect(), (0..190).map(|spike| 450 + spike * 300).collect());
        for (spikes, own, beside, sign) in [(&first, 0, 1, -1.0), (&second, 1, 0, 1.0)] {
            for &spike in spikes {
                for lag in 0..5 {
                    channels[own][spike + lag] += sign * [10.0, 40.0, 60.0, 30.0, 5.0][lag];
                    channels[beside][spike + lag] += sign * [1.0, 4.0, 6.0, 3.0, 0.5][lag];
                }
            }
        }
        let times = |samples: &[usize]| samples.iter().map(|&sample| sample as f64 / rate).collect::<Vec<_>>();
        let spikes = spikes(&[times(&first), times(&second), vec![], vec![900.0]], &[(0.0, 6.0)]);
        let recording = crate::testing::recording(rate, &channels);
        let found: Table =
            run_with(&Quality, &[("spikes", artifact(&spikes)), ("recording", artifact(&recording))], &[]).unwrap().one("quality").unwrap();
        assert_eq!(found.texts("peak_channel").unwrap(), ["C1", "C2", "", ""]);
        let (amplitude, snr) = (found.numbers("amplitude").unwrap(), found.numbers("snr").unwrap());
        assert!((amplitude[0] - 60.0).abs() < 0.5 && (amplitude[1] - 60.0).abs() < 0.5, "{amplitude:?}");
        let noise = 1.5 / 0.674_489_750_196_081_7;
        assert!((snr[0] - 60.0 / noise).abs() < 0.8 && (snr[1] - 60.0 / noise).abs() < 0.8, "{snr:?}");
        assert!(amplitude[2].is_nan() && snr[3].is_nan() && found.numbers("amplitude_cutoff").unwrap()[0].is_nan());
    }

    #[test]
    fn a_pause_is_neither_time_nor_an_interval() {
        let found = quality(&spikes(&[vec![1.0, 2.0, 3.0, 91.0, 92.0, 93.0, 95.0]], &[(90.0, 94.0), (0.0, 4.0)]), &[]);
        // The spike at 95 s lies outside of what was observed.
        assert_eq!((found.integers("n_spikes").unwrap()[0], found.numbers("firing_rate").unwrap()[0]), (6, 0.75));
        assert_eq!((found.numbers("cv").unwrap()[0], found.numbers("lv").unwrap()[0]), (0.0, 0.0));
    }

    #[test]
    fn columns_of_the_file_keep_their_values_under_another_name() {
        let (field, array) = columns::from_numbers("firing_rate", vec![7.0]);
        let units = spikes(&[vec![1.0, 2.0]], &[]).units().with_column(field, array).unwrap();
        let spikes = Spikes::new("s", units, &[2], vec![1.0, 2.0]).unwrap();
        let found = quality(&spikes, &[]);
        assert_eq!((found.numbers("firing_rate_in_file").unwrap(), found.numbers("firing_rate").unwrap()), (vec![7.0], vec![2.0]));
        let message = said(run_with(&Quality, &[("spikes", artifact(&spikes))], &[("censored", Value::seconds(0.002))]));
        assert!(message.contains("not shorter than the refractory one"), "{message}");
    }
}
