//! Signals of data records, as headers of EDF and of its kin GDF describe them: a label, a unit, and two ranges that make numbers into values.

use crate::series::Lane;
use crate::text;
use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use neuroflow_data::{Channel, columns};

/// One signal as the header has it.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    pub label: String,
    pub transducer: String,
    pub unit: String,
    /// The values, in the unit, that the two `digital` numbers stand for.
    pub physical: (f64, f64),
    pub digital: (f64, f64),
    pub prefilter: String,
    /// Samples in a data record.
    pub samples: u64,
}

impl Signal {
    /// The channel, whose records last `seconds`; and where its ranges make no scale, so that its values are the stored numbers, what is to be said of it.
    pub(crate) fn channel(&self, seconds: f64) -> (Channel, Option<String>) {
        let mut channel = Channel::new(self.label.clone(), self.unit.clone(), self.samples as f64 / seconds);
        channel.role = text::role_of(&self.label, &self.unit).into();
        let ((low, high), (first, last)) = (self.physical, self.digital);
        let gain = (high - low) / (last - first);
        let offset = low - first * gain;
        if gain.is_finite() && gain != 0.0 && offset.is_finite() {
            (channel.gain, channel.offset) = (gain, offset);
            return (channel, None);
        }
        let ranges = format!("physical {low} to {high}, digital {first} to {last}");
        (channel, Some(format!("`{}` has no scale ({ranges}); its values are the stored numbers", self.label)))
    }
}

/// The columns of a table of channels, in which `signals` are those of `lanes`.
pub(crate) fn channel_columns(lanes: &[(Lane, Channel)], signals: &[&Signal]) -> Vec<(Field, ArrayRef)> {
    let of = |text: fn(&Signal) -> &str| signals.iter().map(|signal| text(signal)).collect::<Vec<_>>();
    let numbers = |number: fn(&Signal) -> f64| signals.iter().map(|signal| number(signal)).collect::<Vec<_>>();
    let names: Vec<&str> = lanes.iter().map(|(_, channel)| channel.name.as_str()).collect();
    let roles: Vec<&str> = lanes.iter().map(|(_, channel)| channel.role.as_str()).collect();
    vec![
        columns::from_texts("channel", &names),
        columns::from_texts("role", &roles),
        columns::from_texts("unit", &of(|signal| &signal.unit)),
        columns::from_numbers("rate", lanes.iter().map(|(_, channel)| channel.rate).collect()),
        columns::from_texts("transducer", &of(|signal| &signal.transducer)),
        columns::from_texts("prefilter", &of(|signal| &signal.prefilter)),
        columns::from_numbers("physical_minimum", numbers(|signal| signal.physical.0)),
        columns::from_numbers("physical_maximum", numbers(|signal| signal.physical.1)),
        columns::from_numbers("digital_minimum", numbers(|signal| signal.digital.0)),
        columns::from_numbers("digital_maximum", numbers(|signal| signal.digital.1)),
    ]
}
