//! Stages of the topic ingest: from session files to trial-aligned responses that analyses can start from.
//!
//! | stage | from | to |
//! |---|---|---|
//! | [`ingest.trials`](trials) | a session file (MATLAB 5 or Arrow) | responses `[trial × unit × bin]` |
//! | [`ingest.recording`](from_file::recording), [`events`](from_file::events), [`spikes`](from_file::spikes) | a file | continuous signals, times with labels, spike times |
//! | [`ingest.table`](from_file::table), [`array`](from_file::array), [`graph`](from_file::graph) | a file | a table, an array, a graph in it |
//! | [`ingest.align`](align) | spikes or a recording, and events | responses: counts, rates or means in bins around each event |
//! | [`ingest.epoch`](epoch) | a recording and events | responses: referenced, filtered samples around each event |
//! | [`ingest.bin`](bin) | spikes | a recording of counts in bins |
//! | [`ingest.quality`](quality) | spikes | a table: isolation and steadiness of each unit |
//! | [`ingest.dff`](dff) | fluorescence, as a recording or responses | ΔF/F₀ of the same kind |
//! | [`ingest.deconvolve`](deconvolve) | fluorescence | recordings of spike strengths and calcium |
//! | [`ingest.select`](select) | spikes, a recording or responses | some units or channels, of the same kind |
//! | [`ingest.artefacts`](artefacts) | a recording | events: bad stretches |
//! | [`ingest.regress_out`](regress_out) | a recording and signals | what the signals do not explain |
//! | [`ingest.window`](window) | responses | the bins within a window of time |
//! | [`ingest.zscore`](zscore) | responses or a recording | each unit with mean 0 and standard deviation 1 |
//! | [`ingest.tuning`](tuning) | responses | tuning curves, standard errors, selectivity of each unit |
//! | [`ingest.filter`](filter) | responses or a recording | some frequencies of each trace |
//! | [`ingest.resample`](resample) | responses or a recording | another sampling rate |
//! | [`ingest.reference`](mod@reference) | responses or a recording | channels against their average or one of them |
//! | [`ingest.envelope`](envelope) | responses | the amplitude of a rhythm over time |
//! | [`ingest.psd`](psd) | responses or a recording | power by frequency and in bands |
//! | [`ingest.wavelet`](wavelet) | responses | power or phase over time and frequency |
//! | [`ingest.sample_entropy`](sample_entropy) | responses | how unpredictable each trace is |
//! | [`ingest.simulate`](simulate) | nothing | three simulated session files with known truth |
//! | [`ingest.simulate_signals`](simulate_signals) | nothing | a simulated continuous session with known truth |
//!
//! All of them refuse what they can't read or compute with the place and a remedy; none fills a gap or repairs a file silently.

pub mod align;
pub mod artefacts;
pub mod bin;
mod condition;
mod cut;
pub mod deconvolve;
pub mod dff;
pub mod envelope;
pub mod epoch;
pub mod filter;
pub mod from_file;
mod gaps;
mod matlab_session;
mod population;
pub mod psd;
pub mod quality;
mod recorded;
pub mod reference;
pub mod regress_out;
pub mod resample;
pub mod sample_entropy;
pub mod select;
mod selectivity;
mod session_columns;
pub mod simulate;
pub mod simulate_signals;
mod simulated_session;
pub mod subset;
#[cfg(test)]
mod testing;
mod traces;
pub mod trials;
pub mod tuning;
mod waveforms;
pub mod wavelet;
pub mod window;
pub mod zscore;

/// All stages of this topic, in reading order.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] = &[
    &trials::Trials,
    &from_file::recording::RecordingOfFile,
    &from_file::events::EventsOfFile,
    &from_file::spikes::SpikesOfFile,
    &from_file::table::TableOfFile,
    &from_file::array::ArrayOfFile,
    &from_file::graph::GraphOfFile,
    &align::Align,
    &epoch::Epoch,
    &bin::Bin,
    &quality::Quality,
    &dff::Dff,
    &deconvolve::Deconvolve,
    &select::Select,
    &artefacts::Artefacts,
    &regress_out::RegressOut,
    &window::Window,
    &zscore::ZScore,
    &tuning::Tuning,
    &filter::Filter,
    &resample::Resample,
    &reference::Reference,
    &envelope::Envelope,
    &psd::Psd,
    &wavelet::Wavelet,
    &sample_entropy::SampleEntropy,
    &simulate::Simulate,
    &simulate_signals::SimulateSignals,
];
