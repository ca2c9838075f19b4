//! Required fields of sidecars, required columns of tables, and what may stand at the top of a dataset.
//!
//! Facts of the BIDS specification 1.10 and 1.11: "Modality specific files", "Modality agnostic files", appendix "Channel types".

/// Fields that the merged sidecar of a data file must have.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct FieldRule {
    pub datatype: &'static str,
    pub suffixes: &'static str,
    /// Whether only images have it.
    pub images: bool,
    pub fields: &'static str,
}

const fn all(datatype: &'static str, suffixes: &'static str, fields: &'static str) -> FieldRule {
    FieldRule { datatype, suffixes, images: false, fields }
}

const fn images(datatype: &'static str, suffixes: &'static str, fields: &'static str) -> FieldRule {
    FieldRule { datatype, suffixes, images: true, fields }
}

/// Alternatives of a field are joined by `|`.
pub(in super::super) const FIELDS: &[FieldRule] = &[
    all("eeg", "eeg", "TaskName EEGReference SamplingFrequency PowerLineFrequency SoftwareFilters"),
    all("ieeg", "ieeg", "TaskName iEEGReference SamplingFrequency PowerLineFrequency SoftwareFilters"),
    all("meg", "meg", "TaskName SamplingFrequency PowerLineFrequency DewarPosition SoftwareFilters DigitizedLandmarks DigitizedHeadPoints"),
    all("emg", "emg", "TaskName EMGPlacementScheme EMGReference SamplingFrequency PowerLineFrequency RecordingType SoftwareFilters"),
    all("nirs", "nirs", "TaskName SamplingFrequency NIRSChannelCount NIRSSourceOptodeCount NIRSDetectorOptodeCount"),
    all("motion", "motion", "TaskName SamplingFrequency"),
    images("func", "bold", "TaskName RepetitionTime|VolumeTiming"),
    images("func", "phase", "Units"),
    images("fmap", "phasediff", "EchoTime1 EchoTime2"),
    images("fmap", "phase1 phase2", "EchoTime"),
    images("fmap", "fieldmap", "Units"),
    images("fmap", "epi", "PhaseEncodingDirection"),
    images(
        "perf",
        "asl",
        "RepetitionTimePreparation ArterialSpinLabelingType PostLabelingDelay BackgroundSuppression M0Type \
         TotalAcquiredPairs MagneticFieldStrength MRAcquisitionType EchoTime",
    ),
    images("perf", "m0scan", "RepetitionTimePreparation IntendedFor EchoTime"),
    images("anat", "VFA", "FlipAngle PulseSequenceType RepetitionTimeExcitation"),
    images("anat", "IRT1", "InversionTime"),
    images(
        "anat",
        "MP2RAGE",
        "FlipAngle InversionTime RepetitionTimeExcitation RepetitionTimePreparation NumberShots MagneticFieldStrength",
    ),
    images("anat", "MESE MEGRE", "EchoTime"),
    images("anat", "MTR", "MTState"),
    images("anat", "MTS MPM", "FlipAngle MTState RepetitionTimeExcitation"),
    all("micr", "TEM SEM uCT BF DF PC DIC FLUO CONF PLI CARS 2PE MPE SR NLO OCT SPIM XPCT", "PixelSize PixelSizeUnits"),
    images(
        "pet",
        "pet",
        "Manufacturer ManufacturersModelName Units TracerName TracerRadionuclide InjectedRadioactivity \
         InjectedRadioactivityUnits InjectedMass InjectedMassUnits SpecificRadioactivity SpecificRadioactivityUnits \
         ModeOfAdministration TimeZero ScanStart InjectionStart FrameTimesStart FrameDuration AcquisitionMode \
         ImageDecayCorrected ImageDecayCorrectionTime ReconMethodName ReconMethodParameterLabels ReconFilterType \
         AttenuationCorrection",
    ),
    all("", "physio stim", "SamplingFrequency StartTime Columns"),
    all("", "physioevents", "Columns OnsetSource"),
];

/// Fields that a JSON file of its own must have, by datatype and suffix.
pub(in super::super) const JSON_FIELDS: &[(&str, &str, &str)] = &[
    ("eeg", "coordsystem", "EEGCoordinateSystem EEGCoordinateUnits"),
    ("ieeg", "coordsystem", "iEEGCoordinateSystem iEEGCoordinateUnits"),
    ("meg", "coordsystem", "MEGCoordinateSystem MEGCoordinateUnits"),
    ("nirs", "coordsystem", "NIRSCoordinateSystem NIRSCoordinateUnits"),
    ("emg", "coordsystem", "EMGCoordinateSystem EMGCoordinateUnits"),
];

/// Columns that a table must have: datatype (empty for any), suffix, columns; whether they must be the first, in this order.
pub(in super::super) const COLUMNS: &[(&str, &str, &str, bool)] = &[
    ("", "events", "onset duration", true),
    ("eeg", "channels", "name type units", true),
    ("meg", "channels", "name type units", true),
    ("emg", "channels", "name type units", true),
    ("ieeg", "channels", "name type units low_cutoff high_cutoff", true),
    ("motion", "channels", "name component type tracked_point units", true),
    ("nirs", "channels", "name type source detector wavelength_nominal units", true),
    ("eeg", "electrodes", "name x y z", true),
    ("ieeg", "electrodes", "name x y z size", true),
    ("emg", "electrodes", "name x y", false),
    ("nirs", "optodes", "name type x y z", false),
    ("", "participants", "participant_id", true),
    ("", "sessions", "session_id", true),
    ("", "scans", "filename", true),
    ("", "samples", "sample_id participant_id sample_type", false),
    ("perf", "aslcontext", "volume_type", false),
    ("phenotype", "", "participant_id", true),
];

/// Types of channels.
pub(in super::super) const CHANNEL_TYPES: &str = "ACCEL ADC ANGACCEL AUDIO DAC DBS ECG ECOG EEG EMG EOG EYEGAZE FITERR GSR GYRO HEOG HLU JNTANG \
    LATENCY \
    MAGN MEGGRADAXIAL MEGGRADPLANAR MEGMAG MEGOTHER MEGREFGRADAXIAL MEGREFGRADPLANAR MEGREFMAG MISC \
    NIRSCWAMPLITUDE NIRSCWFLUORESCENSEAMPLITUDE \
    NIRSCWHBO NIRSCWHBR NIRSCWMUA NIRSCWOPTICALDENSITY ORNT OTHER PD POS PPG PUPIL REF RESP SEEG SYSCLOCK TEMP TRIG VEL VEOG";

/// Files that may stand at the top of a dataset, beside subjects and metadata that they inherit.
pub(in super::super) const TOP_LEVEL_FILES: &[&str] = &[
    "dataset_description.json",
    "CITATION.cff",
    "README",
    "README.md",
    "README.rst",
    "README.txt",
    "CHANGES",
    "LICENSE",
    "LICENSE.md",
    "LICENSE.rst",
    "LICENSE.txt",
    "genetic_info.json",
    "participants.tsv",
    "participants.json",
    "samples.tsv",
    "samples.json",
    ".bidsignore",
];

/// Folders that may stand there, beside `sub-…`.
pub(in super::super) const TOP_LEVEL_FOLDERS: &[&str] = &["code", "derivatives", "docs", "logs", "sourcedata", "stimuli", "phenotype"];

/// The section of the specification that tells of a datatype.
pub(in super::super) fn section(datatype: &str) -> &'static str {
    match datatype {
        "anat" | "func" | "dwi" | "fmap" | "perf" => "Modality specific files: Magnetic Resonance Imaging",
        "eeg" => "Modality specific files: Electroencephalography",
        "ieeg" => "Modality specific files: Intracranial Electroencephalography",
        "meg" => "Modality specific files: Magnetoencephalography",
        "emg" => "Modality specific files: Electromyography",
        "nirs" => "Modality specific files: Near-Infrared Spectroscopy",
        "motion" => "Modality specific files: Motion",
        "micr" => "Modality specific files: Microscopy",
        "pet" => "Modality specific files: Positron Emission Tomography",
        "mrs" => "Modality specific files: Magnetic Resonance Spectroscopy",
        "beh" => "Modality specific files: Behavioral experiments (with no neural recordings)",
        "phenotype" => "Modality agnostic files: Phenotypic and assessment data",
        _ => "Modality specific files",
    }
}
