//! `ingest.reference`: potentials against another reference.
//!
//! For what: a potential is a difference; the common average, or a quiet channel, is taken off every channel. Promises: each trial and bin by itself.
//! Refuses: gaps, fewer than two channels, a channel that is not there.

use crate::recorded::{Common, as_stored, each_channel, in_one_unit, mean_of, potentials, rebuilt};
use crate::subset::of_units;
use neuroflow_data::{Channel, Kind, Recording, Responses, Samples, Tensor, Typed};
use neuroflow_stage::error::require_finite;
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params, words};

/// The stage `ingest.reference`.
pub struct Reference;

words! {
    /// What is taken off every channel.
    pub enum Against {
        /// The mean of all channels.
        Average = "average" {},
        /// One channel, which is left out of the result.
        Channel = "channel" {
            /// Its name.
            name: String;
        },
    }
}

params! {
    /// Parameters of `ingest.reference`.
    pub struct ReferenceParams {
        /// What is taken off every channel.
        against: Against = Value::word("average");
    }
}

const DOC: &str = r#"In each trial and bin the mean of all channels, or the value of one channel, is subtracted from every channel. A channel that
serves as reference would be zero everywhere, so it is left out.

Of a recording, the channels that have a reference in common are averaged and changed: those with the role `eeg`, or where there is none `ecog`, `seeg`, `ieeg`,
`dbs`, `lfp`, and those of the role `misc` and their unit that are called like contacts (`B12`, `E128`, `LA3`; not `EXG1`, `AUX1` and the like); where no channel has
one of these roles, all but marks (role `trig`). They must be of one unit and have the same samples. All others, such as an
electrocardiogram or magnetometers beside the electrodes, stay as they are. Channels that are marked as bad count like others: `ingest.recording(…, bad =
leave_out)` leaves them out before.

After the common average the channels add up to zero: any of them follows from the others, and covariances have no inverse. `decode.eeg` shrinks them,
and its spatial filters stay in the space that is left. A single noisy channel is spread over all by the average: leave it out before.

```nf
pipeline referenced "Against the common average"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
referenced = ingest.reference(responses, against = average)
report referenced { referenced }
```"#;

impl Stage for Reference {
    type Params = ReferenceParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.reference",
            version: 2,
            summary: "Takes the common average, or one channel, off every channel.",
            doc: DOC,
            inputs: vec![InputSpec::one(
                "responses",
                &[Kind::Responses, Kind::Recording],
                "",
                "The activity of one session, whose units are channels, or a recording.",
            )],
            outputs: vec![OutputSpec::like("responses", "responses", Kind::Responses, "", "The activity against the reference.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &ReferenceParams, context: &Context) -> Result<Outputs, StageError> {
        let given = inputs.artifact("responses").ok_or_else(|| StageError::Bug("input `responses` was not given".into()))?;
        if given.kind() == Kind::Recording {
            return Outputs::new().with("responses", of_recording(&Recording::from_artifact(given)?, params, context)?);
        }
        let responses = Responses::from_artifact(given)?;
        let session = &responses.session;
        require_finite(&format!("session `{session}`"), responses.values())?;
        let (n_units, n_bins) = (responses.n_units(), responses.n_bins());
        if n_units < 2 {
            return Err(StageError::refused(format!(
                "session `{session}` has {n_units} channels; a reference among them needs at least 2"
            )));
        }
        let channel = match &params.against {
            Against::Average {} => None,
            Against::Channel { name } => {
                let names: Vec<String> = (0..n_units).map(|unit| responses.units().coordinates.label(unit)).collect();
                Some(position(session, &names, name)?)
            }
        };
        let mut values = responses.values().values().to_vec();
        for (trial, channels) in values.chunks_exact_mut((n_units * n_bins).max(1)).enumerate() {
            let reference: Vec<f64> = match channel {
                Some(channel) => responses.trace(trial, channel).to_vec(),
                None => {
                    let mut sum = vec![0.0; n_bins];
                    channels.chunks_exact(n_bins).for_each(|trace| sum.iter_mut().zip(trace).for_each(|(sum, value)| *sum += value));
                    sum.into_iter().map(|sum| sum / n_units as f64).collect()
                }
            };
            channels
                .chunks_exact_mut(n_bins)
                .for_each(|trace| trace.iter_mut().zip(&reference).for_each(|(value, reference)| *value -= reference));
        }
        let referenced = Tensor::new(responses.values().axes().to_vec(), responses.values().unit(), values)?;
        let mut next = responses.with_values(referenced, responses.covariates().cloned())?;
        if let Some(channel) = channel {
            let kept: Vec<usize> = (0..n_units).filter(|&unit| unit != channel).collect();
            let signals: Vec<usize> = (0..responses.covariates().map_or(0, |signals| signals.shape()[1])).collect();
            next = of_units(&next, &kept, &signals)?;
        }
        Outputs::new().with("responses", next)
    }
}

/// A recording against the mean of its channels that have a reference in common, or one of them; others are neither averaged nor changed.
fn of_recording(recording: &Recording, params: &ReferenceParams, context: &Context) -> Result<Recording, StageError> {
    let session = &recording.session;
    let signals = potentials(recording, &(0..recording.len()).collect::<Vec<_>>())?;
    if signals.len() < 2 {
        return Err(StageError::refused(format!(
            "session `{session}` has {} channels with a reference in common; a reference among them needs at least 2",
            signals.len()
        )));
    }
    let common = Common::of(recording, &signals)?;
    let channel = match &params.against {
        Against::Average {} => None,
        Against::Channel { name } => {
            let names: Vec<String> = recording.channels().map(|channel| channel.name.clone()).collect();
            Some(position(session, &names, name)?)
        }
    };
    let among = channel.map_or_else(|| signals.clone(), |channel| vec![channel]);
    in_one_unit(recording, &[signals.as_slice(), &among].concat())?;
    let reference = mean_of(recording, &among, common.samples, context)?;
    let one = |place: usize| -> Result<(Channel, Samples), StageError> {
        let (channel, stored) = recording.channel(place).ok_or_else(|| StageError::Bug(format!("there is no channel {place}")))?;
        let mut values = recording.values(place, 0..stored.len());
        // The others keep their values, in the way in which all samples of the result are stored.
        if signals.contains(&place) {
            values.iter_mut().zip(&reference).for_each(|(value, reference)| *value -= reference);
        }
        Ok((Channel { gain: 1.0, offset: 0.0, ..channel.clone() }, as_stored(stored, values)))
    };
    let mut channels = each_channel(recording.len(), context, one)?;
    if let Some(channel) = channel {
        channels.remove(channel);
    }
    rebuilt(recording, channels)
}

/// The channel of a name.
fn position(session: &str, names: &[String], name: &str) -> Result<usize, StageError> {
    if let Some(position) = names.iter().position(|candidate| candidate == name) {
        return Ok(position);
    }
    let message = format!("session `{session}` has no channel `{name}`; its {} channels are {}", names.len(), shortened(names));
    Err(match neuroflow_stage::nearest(name, names.iter().map(String::as_str)) {
        Some(near) => StageError::refused_with_help(message, format!("did you mean `{near}`?")),
        None => StageError::refused(message),
    })
}

/// The first of many names.
fn shortened(names: &[String]) -> String {
    let first = names.iter().take(8).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > 8 { format!("{first}, …") } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{counted, refusal, run, session};

    #[test]
    fn against_the_average_channels_add_up_to_zero_and_differences_stay() {
        let responses = counted(3, 4, 5);
        let found: Responses = run(&Reference, &responses, &[], 0).unwrap().one("responses").unwrap();
        for trial in 0..3 {
            for bin in 0..5 {
                assert!((0..4).map(|unit| found.trace(trial, unit)[bin]).sum::<f64>().abs() < 1e-12);
                let difference = |responses: &Responses| responses.trace(trial, 3)[bin] - responses.trace(trial, 1)[bin];
                assert!((difference(&found) - difference(&responses)).abs() < 1e-12);
            }
        }
        assert_eq!(found.covariates(), responses.covariates());
    }

    #[test]
    fn a_channel_as_reference_is_taken_off_and_left_out() {
        let responses = counted(2, 3, 4);
        let against = Value::call("channel", vec![("name", "neuron2".into())]);
        let found: Responses = run(&Reference, &responses, &[("against", against)], 0).unwrap().one("responses").unwrap();
        assert_eq!((found.n_units(), found.units().coordinates.label(1)), (2, "neuron3".to_owned()));
        assert_eq!(found.trace(1, 1)[2], responses.trace(1, 2)[2] - responses.trace(1, 1)[2]);
        assert_eq!(found.covariates(), responses.covariates());
    }

    #[test]
    fn a_recording_is_referenced_sample_by_sample() {
        let recording = crate::testing::recording(10.0, &[vec![1.0, 2.0], vec![3.0, 6.0], vec![8.0, 1.0]]);
        let given = [("responses", crate::testing::artifact(&recording))];
        let values = |found: &Recording| (0..found.len()).map(|place| found.values(place, 0..2)).collect::<Vec<_>>();
        let found: Recording = crate::testing::run_with(&Reference, &given, &[]).unwrap().one("responses").unwrap();
        assert_eq!(values(&found), [[-3.0, -1.0], [-1.0, 3.0], [4.0, -2.0]]);
        let against = Value::call("channel", vec![("name", "C2".into())]);
        let found: Recording = crate::testing::run_with(&Reference, &given, &[("against", against)]).unwrap().one("responses").unwrap();
        assert_eq!(values(&found), [[-2.0, -4.0], [5.0, -5.0]]);
        let wrong = Value::call("channel", vec![("name", "C4".into())]);
        assert!(crate::testing::said(crate::testing::run_with(&Reference, &given, &[("against", wrong)])).contains("no channel `C4`"));
    }

    /// Two electrodes, an electrocardiogram, a magnetometer and marks.
    fn mixed(units: [&str; 2]) -> Recording {
        let plain = crate::testing::recording(10.0, &[vec![1.0, 2.0], vec![3.0, 8.0], vec![50.0, 60.0], vec![7.0, 7.0], vec![0.0, 1.0]]);
        let roles = [("eeg", units[0]), ("eeg", units[1]), ("ecg", "mV"), ("mag", "T"), ("trig", "")];
        let one = |(place, (role, unit)): (usize, &(&str, &str))| {
            let (channel, _) = plain.channel(place).unwrap();
            // Stored as whole halves.
            let stored: Vec<i16> = plain.values(place, 0..2).into_iter().map(|value| (2.0 * value) as i16).collect();
            (Channel { role: (*role).into(), unit: (*unit).into(), gain: 0.5, ..channel.clone() }, Samples::I16(stored.into()))
        };
        Recording::new("mixed", roles.iter().enumerate().map(one).collect()).unwrap()
    }

    #[test]
    fn only_electrodes_have_a_reference_in_common() {
        let given = [("responses", crate::testing::artifact(&mixed(["uV", "uV"])))];
        let found: Recording = crate::testing::run_with(&Reference, &given, &[]).unwrap().one("responses").unwrap();
        let values = |place: usize| found.values(place, 0..2);
        assert_eq!([values(0), values(1)], [[-1.0, -3.0], [1.0, 3.0]]);
        assert_eq!([values(2), values(3), values(4)], [[50.0, 60.0], [7.0, 7.0], [0.0, 1.0]]);
        let given = [("responses", crate::testing::artifact(&mixed(["uV", "mV"])))];
        let told = crate::testing::said(crate::testing::run_with(&Reference, &given, &[]));
        assert!(told.contains("channels `C1` and `C2` have no reference in common: they are in `uV` and `mV`"), "{told}");
        // What is taken off must be of their unit.
        let given = [("responses", crate::testing::artifact(&mixed(["uV", "uV"])))];
        let against = Value::call("channel", vec![("name", "C3".into())]);
        let told = crate::testing::said(crate::testing::run_with(&Reference, &given, &[("against", against)]));
        assert!(told.contains("`C1` and `C3` have no reference in common"), "{told}");
    }

    #[test]
    fn contacts_that_no_role_names_are_electrodes_too() {
        let plain = crate::testing::recording(10.0, &[vec![1.0], vec![3.0], vec![8.0], vec![50.0], vec![20.0]]);
        let names = [("A1", "eeg"), ("B32", "misc"), ("LA'3", "misc"), ("EXG1", "misc"), ("MISC001", "misc")];
        let one = |(place, (name, role)): (usize, &(&str, &str))| {
            let (channel, samples) = plain.channel(place).unwrap();
            (Channel { name: (*name).into(), role: (*role).into(), ..channel.clone() }, samples.clone())
        };
        let recording = Recording::new("contacts", names.iter().enumerate().map(one).collect()).unwrap();
        let given = [("responses", crate::testing::artifact(&recording))];
        let found: Recording = crate::testing::run_with(&Reference, &given, &[]).unwrap().one("responses").unwrap();
        let values: Vec<f64> = (0..5).map(|place| found.values(place, 0..1)[0]).collect();
        assert_eq!(values, [-3.0, -1.0, 4.0, 50.0, 20.0]);
    }

    #[test]
    fn a_reference_that_is_not_there_is_refused_with_the_names_that_are() {
        let against = Value::call("channel", vec![("name", "neuron4".into())]);
        let message = refusal(&Reference, &counted(1, 3, 4), &[("against", against)]);
        assert!(message.contains("no channel `neuron4`; its 3 channels are `neuron1`, `neuron2`, `neuron3`; did you mean"), "{message}");
        assert!(refusal(&Reference, &counted(1, 1, 4), &[]).contains("1 channels; a reference among them needs at least 2"));
        assert!(refusal(&Reference, &session(&[0.0], 2, vec![f64::NAN; 4], 2), &[]).contains("not finite"));
        let empty = session(&[], 2, vec![], 3);
        assert_eq!(run(&Reference, &empty, &[], 0).unwrap().one::<Responses>("responses").unwrap(), empty);
    }
}
