"""Facts on NWB files as pynwb reads them, one JSON line for each series and each column of a table, and small files of every sort.

    nwb.py facts FILE …       prints what `cargo run -p neuroflow-formats --example nwb_facts -- FILE …` prints
    nwb.py generate FOLDER    writes files
"""
import datetime
import hashlib
import json
import os
import sys
import warnings

import h5py
import numpy as np
import pynwb
from hdmf.common import DynamicTable, DynamicTableRegion, VectorData, VectorIndex

warnings.simplefilter("ignore")


def numbers(values):
    return hashlib.sha256(np.ascontiguousarray(np.asarray(values).astype("<f8")).tobytes()).hexdigest()


def flat(column, rows):
    """All values of some rows of a column, ragged or not, one after the other."""
    if isinstance(column, VectorIndex):
        ends = np.asarray(column.data[:]).astype(int)
        first = int(ends[rows[0] - 1]) if rows[0] else 0
        last = int(ends[rows[1] - 1]) if rows[1] else 0
        return flat(column.target, (first, last))
    return column.data[rows[0]:rows[1]]


def digest(values, names):
    values = np.asarray(values)
    if values.dtype.names and "timeseries" in values.dtype.names:
        # Parts of series are texts here.
        texts = [f"{names(series)}[{start}:{start + count}]" if start >= 0 and count >= 0 else "" for start, count, series in values.tolist()]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()
    if values.dtype.names:
        return hashlib.sha256("\n".join(str(values[name].tolist())
                                        for name in values.dtype.names).encode()).hexdigest()
    if values.dtype.kind in "biuf":
        return numbers(values)
    words = [names(v) if not isinstance(v, (str, bytes)) else v.decode() if isinstance(v, bytes) else v for v in values.reshape(-1)]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def unit(own):
    """The unit; what pynwb sets where the file has none is left out."""
    return "" if own.unit in (None, "unknown") else own.unit


def in_units(own):
    """`get_data_in_units` in double precision: with data in single precision pynwb computes in that."""
    if own.data.dtype.kind in "iu" or own.data.dtype == np.dtype("f8"):
        return np.asarray(own.get_data_in_units())
    return own.data[:].astype("f8") * own.conversion + own.offset


def lines(path):
    name = os.path.basename(path)
    with pynwb.NWBHDF5IO(path, "r", load_namespaces=True) as io:
        file = io.read()
        raw = io._HDF5IO__file if hasattr(io, "_HDF5IO__file") else h5py.File(path, "r")

        def place(value):
            if isinstance(value, h5py.Reference):
                return raw[value].name
            if hasattr(value, "name"):
                return "/" + io.manager.get_builder(value).path.removeprefix("root").strip("/")
            return str(value)

        for own in file.objects.values():
            item = io.manager.get_builder(own).path.removeprefix("root").strip("/")
            if isinstance(own, pynwb.TimeSeries):
                if not hasattr(own.data, "shape") or own.data.shape == () or len(own.data.shape) > 2:
                    continue
                facts = {"file": name, "item": item, "shape": list(own.data.shape), "unit": unit(own)}
                if own.data.dtype.kind in "biuf":
                    yield {**facts, "column": "data", "sha256": numbers(in_units(own))}
                else:
                    yield {**facts, "column": "data", "sha256": digest(own.data[:], place)}
                times = own.timestamps[:] if own.timestamps is not None else own.starting_time + np.arange(len(own.data)) / own.rate
                yield {**facts, "column": "time", "sha256": numbers(times)}
            elif isinstance(own, DynamicTable):
                rows = len(own.id)
                facts = {"file": name, "item": item, "shape": [rows], "unit": ""}
                yield {**facts, "column": "id", "sha256": numbers(own.id[:])}
                seen = {"id"}
                for column in own.columns:
                    target = column
                    while isinstance(target, VectorIndex):
                        target = target.target
                    if target.name in seen or target.name not in own.colnames:
                        continue
                    outer = next((c for c in own.columns if isinstance(c, VectorIndex) and c.name.startswith(target.name + "_index") and not any(isinstance(d, VectorIndex) and d.target is c for d in own.columns)), target)
                    seen.add(target.name)
                    values = flat(outer, (0, rows))
                    if type(target).__name__ == "EnumData":
                        values = [target.elements.data[int(v)] for v in values]
                    yield {**facts, "column": target.name, "sha256": digest(values, place)}
        if file.units is not None and "spike_times" in file.units.colnames:
            units = file.units
            for row in range(0, len(units), max(1, len(units) // 5)):
                yield {"file": name, "item": "units", "shape": [len(units)], "unit": "seconds", "column": f"spikes of {units.id[row]}",
                       "sha256": numbers(np.sort(units.get_unit_spike_times(row)))}


def generate(folder):
    os.makedirs(folder, exist_ok=True)
    random = np.random.default_rng(3)
    start = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    file = pynwb.NWBFile("a session", "all sorts", start, session_id="s1", experimenter=["A, B", "C, D"], institution="here", lab="lab", keywords=["x"])
    file.subject = pynwb.file.Subject(subject_id="m1", species="Mus musculus", sex="F", age="P90D")
    device = file.create_device("probe")
    group = file.create_electrode_group("shank", "d", "CA1", device)
    file.add_electrode_column("label", "name")
    for number in range(6):
        file.add_electrode(x=1.0 * number, y=2.0, z=3.0, imp=-1.0, location=["CA1", "CA3"][number % 2], filtering="none", group=group, label=f"E{number}")
    region = file.create_electrode_table_region([4, 1, 0], "three")
    counts = random.integers(-2000, 2000, (1000, 3)).astype("i2")
    file.add_acquisition(pynwb.ecephys.ElectricalSeries("raw", counts, region, rate=1000.0, starting_time=2.5, conversion=1.95e-7, offset=1e-5,
                                                        channel_conversion=[1.0, 2.0, 0.5], description="wide band"))
    file.add_acquisition(pynwb.TimeSeries("irregular", random.normal(size=20), unit="m", timestamps=np.sort(random.random(20))))
    file.add_acquisition(pynwb.TimeSeries("stamped", data=random.normal(size=(50, 2)).astype("f4"), unit="V", timestamps=10 + np.arange(50) / 30, conversion=3.0))
    file.add_acquisition(pynwb.TimeSeries("flags", np.array([True, False, True]), unit="n/a", rate=1.0))
    file.add_acquisition(pynwb.TimeSeries("linked", data=file.acquisition["stamped"], unit="V", timestamps=file.acquisition["stamped"], conversion=3.0))
    file.add_stimulus(pynwb.misc.AnnotationSeries("notes", data=["start", "grübel", "end"], timestamps=[0.5, 1.5, 2.5]))
    file.add_stimulus(pynwb.image.ImageSeries("movie", external_file=["../movie.avi"], format="external", rate=30.0, starting_frame=[0], num_samples=10, unit="n.a.", dimension=[10, 10]))
    file.add_stimulus(pynwb.image.ImageSeries("frames", data=random.integers(0, 255, (4, 5, 6)).astype("u1"), format="raw", rate=10.0, unit="n.a."))
    behavior = file.create_processing_module("behavior", "b")
    behavior.add(pynwb.behavior.Position([pynwb.behavior.SpatialSeries("place", random.normal(size=(40, 2)), rate=25.0, reference_frame="0", unit="m")]))
    behavior.add(pynwb.behavior.PupilTracking([pynwb.TimeSeries("diameter", random.normal(size=40), unit="m", rate=25.0)]))
    ophys = file.create_processing_module("ophys", "o")
    channel = pynwb.ophys.OpticalChannel("green", "d", 500.0)
    plane = file.create_imaging_plane(name="plane", optical_channel=channel, description="d", device=device, excitation_lambda=900.0, indicator="GCaMP", location="V1", imaging_rate=30.0)
    cells = pynwb.ophys.PlaneSegmentation("d", plane, "cells")
    for number in range(3):
        cells.add_roi(pixel_mask=[(number, 1, 0.5), (2, number, 1.0)][: 1 + number % 2], id=7 + 2 * number)
    ophys.add(pynwb.ophys.ImageSegmentation([cells]))
    rois = cells.create_roi_table_region("all", region=[0, 1, 2])
    ophys.add(pynwb.ophys.Fluorescence([pynwb.ophys.RoiResponseSeries("traces", random.normal(size=(30, 3)), unit="lumens", rois=rois, rate=30.0)]))
    file.add_unit_column("quality", "how good")
    file.add_unit_column("good", "whether")
    file.add_unit_column("depth", "mm")
    file.add_unit_column("lists", "doubly ragged", index=2)
    for number in range(5):
        spikes = np.sort(random.random(10 * number)) * 30
        file.add_unit(spike_times=spikes, obs_intervals=[[0.0, 10.0], [20.0, 30.0]], electrodes=[number, 0][: 1 + number % 2], electrode_group=group, quality=["good", "mua"][number % 2],
                      good=bool(number % 2), depth=0.5 * number, waveform_mean=random.normal(size=(8,)), lists=[[1.0 * number], [2.0, 3.0][:number]], id=10 + number)
    file.add_trial_column("stimulus", "what")
    file.add_trial_column("score", "how much")
    for number in range(7):
        file.add_trial(start_time=1.0 * number, stop_time=number + 0.5, stimulus=["left", "right"][number % 2], score=number, tags=["t"] * (number % 3),
                       timeseries=[file.acquisition["stamped"]])
    file.add_epoch(0.0, 3.0, ["a", "b"])
    table = DynamicTable("plain", "a table")
    table.add_column("a", "numbers")
    table.add_column("matrix", "m")
    table.add_column("kind", "words")
    for number in range(2):
        table.add_row(a=1.5 + number, matrix=np.arange(3.0) * number, kind=["x", "y"][number])
    file.add_scratch(table)
    clamp = file.create_icephys_electrode(name="pipette", description="d", device=device)
    file.add_acquisition(pynwb.icephys.CurrentClampSeries("clamp", data=random.normal(size=100), electrode=clamp, rate=1e4, gain=2.0, conversion=1e-3, sweep_number=np.uint64(1)))
    with pynwb.NWBHDF5IO(f"{folder}/sorts.nwb", "w") as io:
        io.write(file)


if __name__ == "__main__":
    if sys.argv[1] == "generate":
        generate(sys.argv[2])
    else:
        for path in sys.argv[2:]:
            for line in lines(path):
                print(json.dumps(line, sort_keys=True, ensure_ascii=False))
