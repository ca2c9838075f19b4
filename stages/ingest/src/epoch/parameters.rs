//! The parameters of `ingest.epoch`.

use crate::cut::Edges;
use neuroflow_stage::params::{Either, Hertz};
use neuroflow_stage::{TimeWindow, Value, params, words};

words! {
    /// What is taken off each trial and channel.
    pub enum Baseline {
        /// Nothing.
        None = "none" {},
        /// The mean within a window.
        Before = "before" {
            /// The window, from the event, half-open.
            window: TimeWindow = Value::window(-0.2, 0.0);
        },
    }
}

words! {
    /// What is taken off every channel that has a reference in common, before it is filtered.
    pub enum Reference {
        /// Nothing.
        None = "none" {},
        /// The mean of the chosen channels, of those that have a reference in common (as in `ingest.reference`).
        Average = "average" {},
        /// The mean of named channels, chosen or not.
        Channels = "channels" {
            /// Their names.
            names: Vec<String>;
        },
    }
}

words! {
    /// No limit, or no filter.
    pub enum Nothing {
        /// Not at all.
        None = "none" {},
    }
}

params! {
    /// Parameters of `ingest.epoch`.
    pub struct EpochParams {
        /// The window around each event, half-open.
        window: TimeWindow = Value::window(-0.2, 0.5);
        /// Only events with one of these labels; all when empty.
        label: Vec<String> = Value::List(Vec::new());
        /// Only events that fit this condition on their columns, such as `label = 'T1' and duration > 2`; all when empty.
        r#where: String = "";
        /// Only channels with these names; `*` and `?` stand for any characters and one. All when empty.
        channels: Vec<String> = Value::List(Vec::new());
        /// What is taken off each trial and channel.
        baseline: Baseline = Value::word("none");
        /// What is taken off every channel before it is filtered.
        reference: Reference = Value::word("none");
        /// Frequencies below are removed.
        high_pass: Either<Nothing, Hertz> = Value::word("none");
        /// Frequencies above are removed.
        low_pass: Either<Nothing, Hertz> = Value::word("none");
        /// Frequencies that are removed alone, such as that of the mains and its multiples.
        notch: Vec<Hertz> = Value::List(Vec::new());
        /// A notch's frequency divided by its width at half power.
        notch_quality: f64 = 30.0, in 0.1..=10000.0;
        /// The order of the Butterworth filters; running forwards and backwards doubles it.
        order: usize = 4, in 1.0..=20.0;
        /// Every so-manieth sample is kept, after a low-pass at 0.8 of the new half rate; 1 keeps all.
        decimate: usize = 1, in 1.0..=10000.0;
        /// Trials are left out in which a channel's largest value is more than this above its smallest, in the channel's unit.
        peak_to_peak: Either<Nothing, f64> = Value::word("none");
        /// Trials are left out in which a channel's largest value is less than this above its smallest, in the channel's unit.
        flat: Either<Nothing, f64> = Value::word("none");
        /// What to do with events whose window leaves the recording or crosses a pause.
        edges: Edges = Value::word("refuse");
    }
}
