//! Which files a folder of a datatype may hold: suffixes, extensions and entities.
//!
//! Facts of the BIDS specification 1.10 and 1.11, section "Modality specific files" and appendix "Entity table". Words of a list are separated by
//! blanks; an extension that ends in `/` is a folder that counts as one file.

/// What may stand in a file name.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct FileRule {
    pub datatypes: &'static str,
    pub suffixes: &'static str,
    pub extensions: &'static str,
    pub required: &'static str,
    pub optional: &'static str,
}

const fn rule(
    datatypes: &'static str,
    suffixes: &'static str,
    extensions: &'static str,
    required: &'static str,
    optional: &'static str,
) -> FileRule {
    FileRule { datatypes, suffixes, extensions, required, optional }
}

/// Whether a list of words has this one.
pub(in super::super) fn has(list: &str, word: &str) -> bool {
    list.split(' ').any(|one| one == word)
}

/// Rules of raw datasets.
pub(in super::super) const FILES: &[FileRule] = &[
    rule(
        "anat",
        "T1w T2w PDw T2starw FLAIR inplaneT1 inplaneT2 PDT2 angio T2star FLASH PD",
        ".nii.gz .nii .ome.zarr/ .json",
        "sub",
        "ses task acq ce rec run echo part chunk",
    ),
    rule(
        "anat",
        "T1map T2map T2starmap R1map R2map R2starmap PDmap MTRmap MTsat UNIT1 T1rho MWFmap MTVmap Chimap S0map M0map",
        ".nii.gz .nii .ome.zarr/ .json",
        "sub",
        "ses task acq ce rec run chunk",
    ),
    rule("anat", "defacemask", ".nii.gz .nii .ome.zarr/ .json", "sub", "ses task acq ce rec run mod chunk"),
    rule("anat", "MEGRE", ".nii.gz .nii .ome.zarr/ .json", "sub echo", "ses task acq ce rec run part chunk"),
    rule("anat", "MESE", ".nii.gz .nii .ome.zarr/ .json", "sub echo", "ses task acq ce rec dir run part chunk"),
    rule("anat", "VFA", ".nii.gz .nii .ome.zarr/ .json", "sub flip", "ses task acq ce rec run echo part chunk"),
    rule("anat", "IRT1", ".nii.gz .nii .ome.zarr/ .json", "sub inv", "ses task acq ce rec run part chunk"),
    rule("anat", "MP2RAGE", ".nii.gz .nii .ome.zarr/ .json", "sub inv", "ses task acq ce rec run echo flip part chunk"),
    rule("anat", "MPM MTS", ".nii.gz .nii .ome.zarr/ .json", "sub flip mt", "ses task acq ce rec run echo part chunk"),
    rule("anat", "MTR", ".nii.gz .nii .ome.zarr/ .json", "sub mt", "ses task acq ce rec run part chunk"),
    rule("beh", "beh", ".tsv .json", "sub task", "ses acq run"),
    rule("eeg ieeg nirs", "channels", ".json .tsv", "sub task", "ses acq run"),
    rule("emg", "channels", ".json .tsv", "sub task", "ses acq run recording"),
    rule("meg", "channels", ".json .tsv", "sub task", "ses acq run proc"),
    rule("motion", "channels", ".json .tsv", "sub task tracksys", "ses acq run"),
    rule("meg nirs", "coordsystem", ".json", "sub", "ses task acq"),
    rule("eeg ieeg", "coordsystem", ".json", "sub", "ses task acq space"),
    rule("emg", "coordsystem", ".json", "sub", "ses task acq space recording"),
    rule("emg", "electrodes", ".json .tsv", "sub", "ses task acq run recording"),
    rule("eeg ieeg", "electrodes", ".json .tsv", "sub", "ses task acq run space"),
    rule("meg", "electrodes", ".json .tsv", "sub", "ses task acq run proc space"),
    rule("nirs", "optodes", ".tsv .json", "sub", "ses acq"),
    rule("dwi", "dwi", ".nii.gz .nii .ome.zarr/ .json .bvec .bval", "sub", "ses acq rec dir run part chunk"),
    rule("dwi", "sbref", ".nii.gz .nii .ome.zarr/ .json", "sub", "ses acq rec dir run part chunk"),
    rule("dwi", "ADC FA S0map colFA expADC trace", ".nii.gz .nii .ome.zarr/ .json", "sub", "ses acq rec dir run chunk"),
    rule("eeg", "eeg", ".json .edf .vhdr .vmrk .eeg .set .fdt .bdf", "sub task", "ses acq run"),
    rule("emg", "emg", ".json .edf .bdf", "sub task", "ses acq run recording"),
    rule("beh eeg ieeg meg nirs", "events", ".tsv .json", "sub task", "ses acq run"),
    rule("emg", "events", ".tsv .json", "sub task", "ses acq run recording"),
    rule("func", "events", ".tsv .json", "sub task", "ses acq ce rec dir run"),
    rule("motion", "events", ".tsv .json", "sub task", "ses tracksys acq run"),
    rule("pet", "events", ".tsv .json", "sub", "ses task trc rec run"),
    rule("mrs", "events", ".tsv .json", "sub", "ses task acq nuc voi rec run"),
    rule(
        "fmap",
        "phasediff phase1 phase2 magnitude1 magnitude2 magnitude fieldmap",
        ".nii.gz .nii .ome.zarr/ .json",
        "sub",
        "ses acq run chunk",
    ),
    rule("fmap", "epi", ".nii.gz .nii .ome.zarr/ .json .bval .bvec", "sub", "ses acq ce rec dir run part chunk"),
    rule("fmap", "m0scan", ".nii.gz .nii .ome.zarr/ .json", "sub", "ses acq ce rec dir run part chunk"),
    rule("fmap", "TB1DAM", ".nii.gz .nii .ome.zarr/ .json", "sub flip", "ses acq ce rec run inv part chunk"),
    rule("fmap", "TB1EPI", ".nii.gz .nii .ome.zarr/ .json", "sub echo flip", "ses acq ce rec run inv part chunk"),
    rule("fmap", "TB1AFI TB1TFL TB1RFM RB1COR", ".nii.gz .nii .ome.zarr/ .json", "sub", "ses acq ce rec run echo flip inv part chunk"),
    rule("fmap", "TB1SRGE", ".nii.gz .nii .ome.zarr/ .json", "sub flip inv", "ses acq ce rec run echo part chunk"),
    rule("fmap", "TB1map RB1map", ".nii.gz .nii .ome.zarr/ .json", "sub", "ses acq ce rec run chunk"),
    rule("func", "bold cbv sbref", ".nii.gz .nii .ome.zarr/ .json", "sub task", "ses acq ce rec dir run echo part chunk"),
    rule("func", "noRF", ".nii.gz .nii .ome.zarr/ .json", "sub task", "ses acq ce rec dir run mod echo part chunk"),
    rule("func", "phase", ".nii.gz .nii .ome.zarr/ .json", "sub task", "ses acq ce rec dir run echo chunk"),
    rule("ieeg", "ieeg", ".mefd/ .json .edf .vhdr .eeg .vmrk .set .fdt .nwb", "sub task", "ses acq run"),
    rule("meg", "meg", "/ .ds/ .json .fif .sqd .con .raw .ave .mrk .kdf .mhd .trg .chn", "sub task", "ses acq run proc split"),
    rule("meg", "meg", ".dat", "sub acq", "ses"),
    rule("meg", "meg", ".fif", "sub acq", "ses"),
    rule("meg", "headshape", ".* .pos", "sub", "ses acq"),
    rule("meg", "markers", ".sqd .mrk", "sub", "ses task acq space"),
    rule(
        "micr",
        "TEM SEM uCT BF DF PC DIC FLUO CONF PLI CARS 2PE MPE SR NLO OCT SPIM XPCT",
        ".ome.tif .ome.btf .ome.zarr/ .png .tif .json",
        "sub sample",
        "ses acq stain run chunk",
    ),
    rule("motion", "motion", ".tsv .json", "sub task tracksys", "ses acq run"),
    rule("mrs", "svs mrsi unloc mrsref", ".nii.gz .nii .json", "sub", "ses task acq nuc voi rec run echo inv"),
    rule("nirs", "nirs", ".snirf .json", "sub task", "ses acq run"),
    rule("perf", "asl m0scan", ".nii.gz .nii .ome.zarr/ .json", "sub", "ses acq rec dir run echo part"),
    rule("perf", "aslcontext", ".tsv", "sub", "ses acq rec dir run"),
    rule("perf", "asllabeling", ".jpg .png .tif", "sub", "ses acq rec run"),
    rule("perf", "noRF", ".nii.gz .nii .ome.zarr/ .json", "sub", "ses acq rec dir run mod echo part"),
    rule("pet", "pet", ".nii.gz .nii .ome.zarr/ .json", "sub", "ses task trc rec run"),
    rule("pet", "blood", ".tsv .json", "sub recording", "ses task trc rec run"),
    rule("eeg ieeg meg nirs", "photo", ".jpg .png .tif", "sub", "ses acq"),
    rule("emg", "photo", ".jpg .png .tif", "sub", "ses acq recording"),
    rule("micr", "photo", ".jpg .png .tif .json", "sub sample", "ses acq"),
    rule("beh eeg emg ieeg nirs", "physio physioevents stim", ".tsv.gz .json", "sub task", "ses acq run recording"),
    rule("dwi perf", "physio physioevents stim", ".tsv.gz .json", "sub", "ses acq rec dir run recording"),
    rule("anat", "physio physioevents stim", ".tsv.gz .json", "sub task", "ses acq ce rec run mod echo part recording chunk"),
    rule("func", "physio physioevents stim", ".tsv.gz .json", "sub task", "ses acq ce rec dir run recording"),
    rule("meg", "physio physioevents stim", ".tsv.gz .json", "sub task", "ses acq run proc recording"),
    rule("motion", "physio physioevents stim", ".tsv.gz .json", "sub task", "ses tracksys acq run recording"),
    rule("pet", "physio physioevents stim", ".tsv.gz .json", "sub task", "ses trc rec run recording"),
];
