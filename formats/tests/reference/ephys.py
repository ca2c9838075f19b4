"""What the reference packages read, in the lines that `cargo run -p neuroflow-formats --example ephys_facts -- FILE…` prints.

    python ephys.py FILE… > reference.jsonl

Each line has the digest of a channel's values (64-bit floats, little-endian) or of an event list. Values are in the file's unit: MNE's factor to volts is
taken out before it is applied, so that no rounding comes between. Needs mne, pyedflib, scipy, numpy.
"""

import hashlib
import json
import os
import sys
import warnings

import mne
import numpy as np
import pyedflib
import scipy.io
from mne._fiff.meas_info import _unique_channel_names

warnings.simplefilter("ignore")
mne.set_log_level("ERROR")


def numbers(values):
    return hashlib.sha256((np.ascontiguousarray(values, "<f8") + 0.0).tobytes()).hexdigest()


def texts(values):
    return hashlib.sha256("\n".join(values).encode()).hexdigest()


def show(file, item, values, **more):
    values = np.asarray(values, "f8")
    print(json.dumps({"file": file, "item": item, "shape": list(values.shape), **more, "sha256": numbers(values)}))


def show_events(file, item, times, durations, labels):
    print(json.dumps({"file": file, "item": item, "shape": [len(labels)], "times": numbers(times), "durations": numbers(durations), "labels": texts(labels)}))


def edf(path, file):
    """Digital numbers and limits from pyEDFlib (MNE's formula on them), annotations from both; says how far pyEDFlib's own values are."""
    gdf = path.endswith(".gdf")
    if gdf or "stim_channel" in path:
        read = mne.io.read_raw_gdf if gdf else mne.io.read_raw_bdf
        raw = read(path, stim_channel=False if gdf else "auto", preload=False)
        extra = raw._raw_extras[0]
        extra["units"] = np.ones_like(extra["units"])
        extra["stim_channel_idxs"] = np.array([], int)
        for name, values in zip(raw.ch_names, raw.get_data()):
            show(file, f"signals/{name}", values)
        if not gdf:
            events = mne.find_events(mne.io.read_raw_bdf(path), mask=0xFFFF, mask_type="and", shortest_event=1)
            show_events(file, "triggers", events[:, 0] / raw.info["sfreq"], np.zeros(len(events)), [str(e) for e in events[:, 2]])
        elif len(raw.annotations):
            show_events(file, "events", raw.annotations.onset, raw.annotations.duration, list(raw.annotations.description))
        return
    try:
        f = pyedflib.EdfReader(path)
    except OSError as error:
        print(json.dumps({"file": file, "error": f"pyedflib: {error}"}), file=sys.stderr)
        a = mne.read_annotations(path)
        show_events(file, "annotations", a.onset, a.duration, list(a.description))
        return
    names = [label.strip() for label in f.getSignalLabels()]
    names = _unique_channel_names(list(names))
    worst = 0.0
    for channel, name in enumerate(names):
        if f.getNSamples()[channel] == 0:
            continue
        low, high, first, last = f.getPhysicalMinimum(channel), f.getPhysicalMaximum(channel), f.getDigitalMinimum(channel), f.getDigitalMaximum(channel)
        gain = (high - low) / (last - first)
        values = f.readSignal(channel, digital=True) * gain + (low - first * gain)
        worst = max(worst, np.max(np.abs(f.readSignal(channel) - values)) / np.spacing(max(abs(low), abs(high))))
        show(file, f"signals/{name}", values, unit=f.getPhysicalDimension(channel).strip(), rate=f.getSampleFrequency(channel))
    begin = f.starttime_subsecond / 1e7
    onsets, durations, labels = f.readAnnotations()
    if f.filetype in (pyedflib.FILETYPE_EDFPLUS, pyedflib.FILETYPE_BDFPLUS):
        durations = np.where(np.asarray(durations) < 0, 0, durations)
        # The file has seven decimals, and pyEDFlib took the first record's fraction of a second away.
        show_events(file, "annotations", np.round(np.asarray(onsets) + begin, 7), durations, list(labels))
    f.close()
    print(f"{file}: pyEDFlib's physical values differ by at most {worst:.2f} ulp of the range", file=sys.stderr)
    # MNE's values, with its factor to volts taken out.
    raw = (mne.io.read_raw_bdf if path.endswith(".bdf") else mne.io.read_raw_edf)(path, stim_channel=False)
    extra = raw._raw_extras[0]
    same = extra["n_samps"][extra["sel"]] == extra["max_samp"]
    extra["units"] = np.ones_like(extra["units"])
    if not same.any():
        return
    mne_values = raw.get_data(picks=np.flatnonzero(same))
    f = pyedflib.EdfReader(path)
    equal = 0
    for name, own in zip(np.array(raw.ch_names)[same], mne_values):
        channel = names.index(name)
        low, high, first, last = f.getPhysicalMinimum(channel), f.getPhysicalMaximum(channel), f.getDigitalMinimum(channel), f.getDigitalMaximum(channel)
        gain = (high - low) / (last - first)
        equal += np.array_equal(own, f.readSignal(channel, digital=True) * gain + (low - first * gain))
    f.close()
    print(f"{file}: MNE bit for bit equal in {equal} of {same.sum()} channels", file=sys.stderr)


def brainvision(path, file):
    raw = mne.io.read_raw_brainvision(path)
    raw._cals = np.array([channel["cal"] for channel in raw.info["chs"]])
    raw._raw_extras[0]["cals"] = raw._cals
    for name, values in zip(raw.ch_names, raw.get_data()):
        show(file, f"signals/{name}", values, unit=raw._orig_units[name], rate=raw.info["sfreq"])
    from mne.io.brainvision.brainvision import _read_mrk

    onset, duration, kind, description, _ = _read_mrk(path[:-5] + ".vmrk") if os.path.exists(path[:-5] + ".vmrk") else ([], [], [], [], "")
    if onset:
        rate = raw.info["sfreq"]
        show_events(file, "markers", np.array(onset) / rate, np.array(duration) / rate, [f"{k}/{d}" for k, d in zip(kind, description)])


def eeglab(path, file):
    mat = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)
    eeg = vars(mat["EEG"]) if "EEG" in mat else mat
    data, trials = eeg["data"], int(eeg["trials"])
    if isinstance(data, str):
        data = np.fromfile(os.path.join(os.path.dirname(path), data), "<f4").reshape(eeg["nbchan"], eeg["pnts"] * trials, order="F")
    names = [place.labels for place in np.atleast_1d(eeg["chanlocs"])]
    if trials == 1:
        raw = mne.io.read_raw_eeglab(path)
        assert list(raw.ch_names) == names and np.allclose(raw.get_data(), data.astype("f8") * 1e-6, rtol=1e-15, atol=0)
        for name, values in zip(names, data.astype("f8")):
            show(file, f"signals/{name}", values, unit="uV", rate=float(eeg["srate"]))
        a = raw.annotations
        order = np.argsort(a.onset, kind="stable")
        show_events(file, "events", a.onset[order], np.nan_to_num(a.duration[order]), [str(d) for d in a.description[order]])
    else:
        data = data.reshape(int(eeg["nbchan"]), int(eeg["pnts"]), trials, order="F").transpose(2, 0, 1).astype("f8")
        epochs = mne.read_epochs_eeglab(path)
        assert np.allclose(epochs.get_data(), data * 1e-6, rtol=1e-15, atol=0)
        print(json.dumps({"file": file, "item": "epochs", "shape": list(data.shape), "unit": "uV", "sha256": numbers(data)}))


def fif(path, file):
    if "epo" in path:
        epochs = mne.read_epochs(path, proj=False)
        show(file, "epochs", epochs.get_data())
        rate = epochs._raw_sfreq[0] if np.ndim(epochs._raw_sfreq) else epochs._raw_sfreq
        names = {value: key for key, value in epochs.event_id.items()}
        show_events(file, "events", epochs.events[:, 0] / float(rate), np.zeros(len(epochs)), [names[e] for e in epochs.events[:, 2]])
        return
    raw = mne.io.read_raw_fif(path)
    for name, values in zip(raw.ch_names, raw.get_data()):
        show(file, f"signals/{name}", values)
    if "stim" in raw:
        events = mne.find_events(raw)
        show_events(file, "triggers", events[:, 0] / raw.info["sfreq"], np.zeros(len(events)), [str(e) for e in events[:, 2]])
    a = raw.annotations
    if len(a):
        show_events(file, "annotations", a.onset, a.duration, list(a.description))


def spikes(path, file):
    if file.startswith("grasshopper"):
        blocks, inside = [], False
        for line in open(path):
            if line.startswith("#"):
                blocks += [] if inside else [[]]
                inside = True
            elif line.strip():
                blocks[-1].append(float(line) / 1e6)
                inside = False
        for place, block in enumerate(blocks):
            show(file, f"spikes/block {place + 1}", np.sort(block), unit="s")
        return
    table = np.loadtxt(path)
    for neuron in np.unique(table[:, 0]):
        show(file, f"spikes/{neuron:.0f}", np.sort(table[table[:, 0] == neuron, 1]), unit="s")


def positions(path, file):
    data = open(path, "rb").read()
    data = data[data.index(b"<End settings>\n") + 15 :]
    table = np.frombuffer(data, np.dtype([("time", "<u4"), ("xloc", "<u2"), ("yloc", "<u2"), ("xloc2", "<u2"), ("yloc2", "<u2")]))
    for name in table.dtype.names:
        show(file, f"position/{name}", table[name] / 30000 if name == "time" else table[name])


def folder(path, file):
    if os.path.exists(f"{path}/F.npy"):
        for name in ("F", "Fneu", "spks"):
            if os.path.exists(f"{path}/{name}.npy"):
                for roi, values in enumerate(np.load(f"{path}/{name}.npy").astype("f8")):
                    show(file, f"{name}/roi_{roi}", values)
        cells = np.load(f"{path}/iscell.npy")
        show(file, "iscell/roi", np.arange(len(cells)))
        show(file, "iscell/iscell", cells[:, 0])
        show(file, "iscell/probability", cells[:, 1])
        return
    times, clusters = np.load(f"{path}/spike_times.npy").ravel(), np.load(f"{path}/spike_clusters.npy").ravel()
    for cluster in np.unique(clusters):
        show(file, f"spikes/{cluster}", np.sort(times[clusters == cluster]) / 30000.0, unit="s")
    for name in ("templates", "channel_positions"):
        show(file, name, np.load(f"{path}/{name}.npy").astype("f8"))


if __name__ == "__main__":
    readers = {"edf": edf, "bdf": edf, "gdf": edf, "vhdr": brainvision, "set": eeglab, "fif": fif, "txt": spikes, "videoPositionTracking": positions}
    for path in sys.argv[1:]:
        file = os.path.basename(path.rstrip("/"))
        (folder if os.path.isdir(path) else readers[file.rsplit(".", 1)[-1]])(path, file)
