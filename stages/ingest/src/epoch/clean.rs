//! A continuous channel before it is cut: against its reference, filtered, ready for decimation.

use super::parameters::{EpochParams, Reference};
use crate::recorded::{Common, in_channel, in_one_unit, is_marks, mean_of, potentials};
use neuroflow_compute::signal::{Band, Sections, butterworth, chebyshev_lowpass, notch};
use neuroflow_data::Recording;
use neuroflow_stage::params::Either;
use neuroflow_stage::{Context, StageError};
use std::ops::Range;

/// What is done with each channel.
pub(super) struct Cleaner<'r> {
    recording: &'r Recording,
    stretches: Vec<Range<usize>>,
    samples: usize,
    /// The reference by sample, and the channels that it is taken off; none when nothing is taken off.
    reference: Option<(Vec<f64>, Vec<usize>)>,
    filters: Vec<Sections>,
}

impl<'r> Cleaner<'r> {
    /// # Errors
    /// When a filter's edges are impossible at the channels' rate, or a channel of the reference is not there or does not go with the others.
    pub(super) fn new(
        recording: &'r Recording,
        channels: &[usize],
        common: &Common,
        params: &EpochParams,
        context: &Context,
    ) -> Result<Cleaner<'r>, StageError> {
        let session = &recording.session;
        let shared = if matches!(params.reference, Reference::None {}) { Vec::new() } else { potentials(recording, channels)? };
        let among: Vec<usize> = match &params.reference {
            Reference::None {} => Vec::new(),
            Reference::Average {} if shared.len() < 2 => {
                return Err(StageError::refused_with_help(
                    format!("session `{session}`: an average reference needs at least 2 channels, {} is chosen", shared.len()),
                    "choose more `channels`, or `reference = none`",
                ));
            }
            Reference::Average {} => shared.clone(),
            Reference::Channels { names } if names.is_empty() => {
                return Err(StageError::refused_with_help(
                    "`reference = channels([])` names no channel",
                    "name at least one, or use `none`",
                ));
            }
            Reference::Channels { names } => {
                let all: Vec<String> = recording.channels().map(|channel| channel.name.clone()).collect();
                crate::condition::chosen(&all, names, session, "channel")?
            }
        };
        // Channels outside of the chosen ones must lie on the same samples, and be of the same unit.
        if !among.is_empty() {
            in_one_unit(recording, &[shared.as_slice(), &among].concat())?;
            let first = channels.first().copied().into_iter();
            Common::of(recording, &first.chain(among.iter().copied()).collect::<Vec<_>>())?;
        }
        let reference = if among.is_empty() { None } else { Some((mean_of(recording, &among, common.samples, context)?, shared)) };
        let rate = common.rate;
        let refused = |error| crate::traces::refused(session, error);
        let mut filters = Vec::new();
        match (&params.high_pass, &params.low_pass) {
            (Either::Right(low), Either::Right(high)) => {
                filters.push(butterworth(params.order, Band::Pass(low.0, high.0), rate).map_err(refused)?);
            }
            (Either::Right(low), Either::Left(_)) => filters.push(butterworth(params.order, Band::High(low.0), rate).map_err(refused)?),
            (Either::Left(_), Either::Right(high)) => filters.push(butterworth(params.order, Band::Low(high.0), rate).map_err(refused)?),
            (Either::Left(_), Either::Left(_)) => {}
        }
        for frequency in &params.notch {
            filters.push(notch(frequency.0, params.notch_quality, rate).map_err(refused)?);
        }
        if params.decimate > 1 {
            filters.push(chebyshev_lowpass(8, 0.05, 0.4 * rate / params.decimate as f64, rate).map_err(refused)?);
        }
        Ok(Cleaner { recording, stretches: common.stretches(), samples: common.samples, reference, filters })
    }

    /// The values of a channel, cleaned, stretch by stretch. A stretch that is too short for the filters is not a number everywhere, so that no trial
    /// can come from it unnoticed.
    pub(super) fn channel(&self, channel: usize) -> Result<Vec<f64>, StageError> {
        let mut values = self.recording.values(channel, 0..self.samples);
        if let Some((reference, shared)) = &self.reference
            && shared.contains(&channel)
        {
            values.iter_mut().zip(reference).for_each(|(value, reference)| *value -= reference);
        }
        // Marks are no signal.
        if self.filters.is_empty() || self.recording.channel(channel).is_some_and(|(channel, _)| is_marks(channel)) {
            return Ok(values);
        }
        let longest = self.filters.iter().map(Sections::padding).max().unwrap_or(0);
        for (number, range) in self.stretches.iter().enumerate() {
            let many = self.stretches.len() > 1;
            let Some(own) = values.get_mut(range.clone()) else { continue };
            if many && own.len() <= longest {
                own.fill(f64::NAN);
                continue;
            }
            for filter in &self.filters {
                let filtered = filter.zero_phase(own).map_err(|error| in_channel(self.recording, channel, number, error))?;
                own.copy_from_slice(&filtered);
            }
        }
        Ok(values)
    }
}
