"""Trials of recorded EEG by MNE-Python and SciPy, for `ingest.epoch`.

python epoch.py FOLDER_WITH_EDF OUT    (MNE-Python 1.13.2, SciPy 1.17.1, NumPy 2.4.6)

Writes OUT/<file>.npz for each EDF file: the recording, its events, and trials `[trial × channel × sample]` of two settings. The test
`trials_of_recorded_eeg_are_those_of_mne` reads them when NEUROFLOW_EPOCH_REFERENCE names that folder.
"""
import glob
import os
import sys
import time

import mne
import numpy as np
from scipy.signal import butter, iirnotch, sosfiltfilt, tf2sos

mne.set_log_level("error")
folder, out = sys.argv[1:]
os.makedirs(out, exist_ok=True)
for path in sorted(glob.glob(os.path.join(folder, "*.edf"))):
    raw = mne.io.read_raw_edf(path, preload=True)
    data, rate = raw.get_data() * 1e6, raw.info["sfreq"]
    events, ids = mne.events_from_annotations(raw)
    onsets = np.array([a["onset"] for a in raw.annotations])
    info = mne.create_info(raw.ch_names, rate, "eeg")

    def cut(values, **more):
        # MNE's window ends with a sample that a half-open one does not have.
        made = mne.Epochs(mne.io.RawArray(values, info), events, tmin=-0.5, tmax=1.0 - 1 / rate, baseline=None, preload=True, reject_by_annotation=False, **more)
        return made.get_data(), made.selection

    plain, kept = cut(data)
    start = time.perf_counter()
    against = data - data.mean(0)
    clean = sosfiltfilt(butter(4, [8, 30], "bandpass", fs=rate, output="sos"), against)
    b, a = iirnotch(60, 30, rate)
    clean = sosfiltfilt(tf2sos(b, a), clean)
    made = mne.Epochs(mne.io.RawArray(clean, info), events, tmin=-0.5, tmax=1.0 - 1 / rate, baseline=(-0.5, -1 / rate), preload=True, reject_by_annotation=False, reject=dict(eeg=100.0))
    filtered = made.get_data()
    took = time.perf_counter() - start
    name = os.path.basename(path)[:-4]
    np.savez(os.path.join(out, name + ".npz"), data=data, rate=np.array([rate]), onsets=onsets, plain=plain, plain_kept=kept.astype(np.int64), filtered=filtered, filtered_kept=made.selection.astype(np.int64), seconds=np.array([took]))
    print(name, data.shape, plain.shape, filtered.shape, f"{took:.3f} s")
