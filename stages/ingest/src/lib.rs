//! Stages of the topic ingest: from session files to trial-aligned responses that analyses can start from.
//!
//! | stage | from | to |
//! |---|---|---|
//! | [`ingest.trials`](trials) | a session file (MATLAB 5 or Arrow) | responses `[trial × unit × bin]` |
//! | [`ingest.window`](window) | responses | the bins within a window of time |
//! | [`ingest.zscore`](zscore) | responses | each unit with mean 0 and standard deviation 1 |
//! | [`ingest.tuning`](tuning) | responses | tuning curves, standard errors, selectivity of each unit |
//! | [`ingest.filter`](filter) | responses | some frequencies of each trace |
//! | [`ingest.resample`](resample) | responses | another sampling rate |
//! | [`ingest.reference`](mod@reference) | responses | channels against their average or one of them |
//! | [`ingest.envelope`](envelope) | responses | the amplitude of a rhythm over time |
//! | [`ingest.psd`](psd) | responses | power by frequency and in bands |
//! | [`ingest.wavelet`](wavelet) | responses | power or phase over time and frequency |
//! | [`ingest.sample_entropy`](sample_entropy) | responses | how unpredictable each trace is |
//! | [`ingest.simulate`](simulate) | nothing | three simulated session files with known truth |
//!
//! All of them refuse what they can't read or compute with the place and a remedy; none fills a gap or repairs a file silently.

pub mod envelope;
pub mod filter;
mod gaps;
mod matlab_session;
mod population;
pub mod psd;
pub mod reference;
pub mod resample;
pub mod sample_entropy;
mod selectivity;
mod session_columns;
pub mod simulate;
mod simulated_session;
pub mod subset;
#[cfg(test)]
mod testing;
mod traces;
pub mod trials;
pub mod tuning;
pub mod wavelet;
pub mod window;
pub mod zscore;

/// All stages of this topic, in reading order.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] = &[
    &trials::Trials,
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
];
