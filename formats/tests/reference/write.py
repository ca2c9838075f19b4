"""Reads what `examples/write_samples.rs` wrote with h5py, pynwb, nwbinspector and nibabel, and compares every value.

    cargo run --release -p neuroflow-formats --example write_samples -- FOLDER SHARED
    python formats/tests/reference/write.py FOLDER SHARED

One JSON line for each check; exit status 1 when one failed. Needs h5py, pynwb and nibabel; nwbinspector, h5dump and h5ls are used where they are.
"""

import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pynwb

folder = Path(sys.argv[1])
shared = Path(sys.argv[2]) / "data" if len(sys.argv) > 2 else None
failed = 0


def say(name, item, ok, **more):
    global failed
    failed += not ok
    print(json.dumps({"file": name, "item": item, "ok": bool(ok), **more}))


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def same(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return False
    return np.array_equal(found, expected, equal_nan=found.dtype.kind == "f")


def texts(dataset):
    return dataset.asstr()[()]


def kinds():
    name = "kinds.h5"
    with h5py.File(folder / name) as h:
        for key, dtype in {"I8": "i1", "I16": "i2", "I32": "i4", "I64": "i8", "U8": "u1", "U16": "u2", "U32": "u4", "U64": "u8", "F32": "f4", "F64": "f8"}.items():
            values = np.arange(60) * 7.0 - 100.0
            if dtype[0] != "f":
                info = np.iinfo(dtype)
                values = np.clip(values, info.min, info.max)  # as Rust casts
            values = values.astype("<" + dtype)
            whole = h["numbers"][key]
            chunked = h["numbers"][key + "_chunked"]
            ok = same(whole[()], values.reshape(3, 4, 5)) and same(chunked[()], values.reshape(3, 4, 5))
            ok &= chunked.chunks == (2, 3, 2) and chunked.compression == "gzip" and chunked.shuffle and whole.chunks is None
            ok &= same(h["numbers"][key + "_scalar"][()], values[0]) and same(whole.attrs["array"], values[:6].reshape(2, 3)) and same(whole.attrs["scalar"], values[0])
            say(name, "numbers/" + key, ok, shape=[3, 4, 5], digest=digest(values))
        say(name, "bools", same(h["bools"][()], np.arange(10) % 3 == 0) and h["bools"].attrs["truth"] is np.True_)
        expected = ["" if i % 7 == 0 else f"µ text {i} {'x' * (i % 50)}" for i in range(20000)]
        say(name, "texts", list(texts(h["texts"])) == expected and h5py.check_string_dtype(h["texts"].dtype).encoding == "utf-8")
        say(name, "texts_chunked", texts(h["texts_chunked"]).reshape(-1).tolist() == expected and h["texts_chunked"].chunks == (30, 70))
        say(name, "long", texts(h["long"]) == "long " * 100000)
        say(name, "fixed", texts(h["fixed"]).tolist() == [["a", "äöü"], ["", "sixsix"]] and h["fixed"].dtype == "S6")
        say(name, "attributes", list(h.attrs["texts"]) == ["a", "", "ß"] and h.attrs["text"] == "what" and h.attrs["empty"] == "" and list(h.attrs["fixed"]) == [b"abc"])
        say(name, "references", [h[r].name for r in h["references"][()]] == ["/", "/bools", "/later/on", "/numbers"] and h[h.attrs["reference"]].name == "/later/on")
        say(name, "empty", h["none"].shape == (0, 3) and h["none"][()].shape == (0, 3) and h["none_chunked"][()].shape == (4, 0) and h["none_texts"][()].shape == (0,))
        say(name, "many", list(h["many"]) == sorted(f"group {i}" for i in range(3000)) and len(h["many/group 2999"]) == 0)
        say(name, "link", isinstance(h.get("link", getlink=True), h5py.SoftLink) and same(h["link"][()], h["numbers/I16"][()]))
        for key, dataset in h["chunks"].items():
            values = (np.arange(dataset.size) * 0.5).reshape(dataset.shape)
            ok = same(dataset[()], values) and dataset.chunks is not None and dataset.fletcher32 is False
            # Single places go another way through the tree.
            rng = np.random.default_rng(1)
            for _ in range(50):
                place = tuple(rng.integers(0, n) for n in dataset.shape)
                ok &= dataset[place] == values[place]
            say(name, "chunks/" + key, ok, chunks=dataset.chunks, stored=dataset.id.get_num_chunks())
    # Another program can go on writing into it.
    copy = folder / "kinds_grown.h5"
    shutil.copy(folder / name, copy)
    with h5py.File(copy, "r+") as h:
        h["more"] = np.arange(5)
        h["later/on"].attrs["x"] = "y"
        h["later/on/deep/er"] = "text"
        for i in range(40):
            h["bools"].attrs[f"a{i}"] = i
        h["texts"][3] = "changed"
        h["numbers/I16_chunked"][0, 0, 0] = 5
        del h["link"]
    with h5py.File(copy) as h:
        say(name, "grown by h5py", list(h["more"]) == list(range(5)) and texts(h["texts"])[3] == "changed" and h["bools"].attrs["a39"] == 39 and "link" not in h)
    copy.unlink()
    for tool in (["h5ls", "-r"], ["h5dump", "-H"], ["h5dump"], ["h5debug"], ["h5stat"]):
        if shutil.which(tool[0]):
            for file in (name, "session.nwb"):
                done = subprocess.run([*tool, folder / file], capture_output=True, text=True, errors="replace")
                say(file, " ".join(tool), done.returncode == 0 and "error" not in done.stderr.lower(), lines=done.stdout.count("\n"))


def near(found, expected, ulps=1):
    return np.all(np.abs(found - expected) <= ulps * np.spacing(np.abs(expected)))


def session():
    name = "session.nwb"
    with pynwb.NWBHDF5IO(folder / name, "r") as io:
        nwb = io.read()
        say(name, "facts", nwb.session_description == "a mouse looks at gratings" and nwb.identifier == "sample-1" and nwb.session_start_time.isoformat() == "2026-11-30T09:30:00+01:00" and nwb.timestamps_reference_time == nwb.session_start_time and nwb.file_create_date[0].isoformat() == "2026-11-30T12:00:00+00:00" and nwb.experimenter == ("Doe, Jane",) and list(nwb.keywords) == ["gratings", "vision"] and nwb.lab == "A Lab" and nwb.notes == "made for a test")
        say(name, "script", nwb.source_script == "load x\ndecode y\n" and nwb.source_script_file_name == "gratings.nf" and [[part.decode() for part in row] for row in np.array(nwb.was_generated_by)] == [["neuroflow", "0.1.0"]])
        s = nwb.subject
        say(name, "subject", (s.subject_id, s.species, s.sex, s.age, s.age__reference, s.weight) == ("m1", "Mus musculus", "F", "P90D", "birth", "0.02 kg"))
        u = nwb.units
        spikes = [[0.5, 1.0, 1.25], [], [0.25, 2.0]]
        ok = all(same(u["spike_times"][i], np.array(spikes[i])) for i in range(3)) and same(u.get_unit_spike_times(2), np.array(spikes[2]))
        ok &= all(same(u["obs_intervals"][i], np.array([[0.0, 1.5], [1.75, 3.0]])) for i in range(3))
        ok &= list(u["unit"][:]) == ["a", "b", "c"] and list(u["area"][:]) == ["V1", "V1", "CA1"] and same(u["depth"][:], np.array([100.5, 200.25, 300.0])) and u["area"].description == "the area a unit lies in"
        ok &= same(u["shape"][:], np.arange(12.0).reshape(3, 4)) and [list(u["peers"][i]) for i in range(3)] == [[1, 2], [], []] and list(u["good"][:]) == [True, False, True] and u["good"].data.dtype == bool
        say(name, "units", ok, columns=list(u.colnames))
        t = nwb.trials
        say(name, "trials", same(t["start_time"][:], np.array([0.0, 1.0, 2.5])) and same(t["stop_time"][:], np.array([0.5, 1.25, 3.5])) and list(t["label"][:]) == ["a", "b", "a"] and same(t["duration"][:], np.array([0.5, 0.25, 1.0])))
        t = nwb.intervals["stimuli"]
        say(name, "stimuli", same(t["stop_time"][:], np.array([0.625, np.nan, 2.25])) and same(t["orientation"][:], np.array([0.0, np.nan, 90.0])) and list(t["id_2"][:]) == [7, 8, 9] and list(t["a_b"][:]) == ["p", "q", "r"], columns=list(t.colnames))
        t = nwb.intervals["licks"]
        say(name, "licks", same(t["stop_time"][:], np.array([np.nan, np.nan])) and list(t.colnames) == ["start_time", "stop_time", "label"])
        ramp = lambda start: (np.arange(500) * 3 + start).astype("i2")
        e1, ts, e2 = nwb.acquisition["eeg_1"], nwb.acquisition["eeg_2"], nwb.acquisition["eeg_3"]
        ok = same(e1.data[()], np.stack([ramp(0), ramp(-700)], 1)) and e1.rate == 250.0 and e1.starting_time == 0.0 and e1.conversion == 1e-6 and list(e1.channel_conversion) == [0.5, 0.25] and e1.unit == "volts"
        volts = e1.get_data_in_units()
        ok &= near(volts, np.stack([ramp(0) * 0.5e-6, ramp(-700) * 0.25e-6], 1), 2)
        rows = e1.electrodes.to_dataframe()
        ok &= list(rows["channel_name"]) == ["Cz", "Pz"] and list(rows["x"]) == [1.5, 0.0] and list(rows["z"]) == [95.5, 80.0] and list(rows["location"]) == ["CA1", "VISp"] and rows["group"].iloc[0].name == "eeg" and rows["group"].iloc[0].device.name == "amplifier"
        say(name, "eeg_1", ok)
        say(name, "eeg_2", same(ts.data[()], ramp(9).reshape(-1, 1)) and ts.unit == "n.a." and ts.conversion == 1.0 and ts.rate == 250.0)
        say(name, "eeg_3", same(e2.data[()], ramp(3).reshape(-1, 1)) and near(e2.get_data_in_units()[:, 0], (ramp(3) * 0.5 + 2.0) * 1e-6, 4) and list(e2.electrodes.to_dataframe()["location"]) == ["unknown"])
        m = nwb.processing["neuroflow"]
        run = m["run"]
        times = np.concatenate([0.25 + np.arange(200) / 100.0, 7.0 + np.arange(100) / 100.0])
        say(name, "run", same(run.timestamps[()], times) and near(run.data[()][:, 0], np.sin(np.arange(300.0)), 1) and run.unit == "cm/s")
        c = m["eeg_channels"]
        say(name, "eeg_channels", list(c["channel"][:]) == ["Cz", "Pz", "STI", "Oz"] and list(c["position"][:]) == [0, 1, 0, 0] and list(c["series"][:])[2] == "/acquisition/eeg_2" and list(c["gain"][:]) == [0.5, 0.25, 1.0, 0.5])
        n = m["notes"]
        say(name, "notes", [[list(x) for x in n["nested"][i]] for i in range(2)] == [[[1.5, 2.5], [3.5]], [[]]] and same(n["count"][:], np.array([4.0, np.nan])) and list(n["word"][:]) == ["", "µ"] and same(n["truth"][:], np.array([np.nan, 1.0])) and list(n["description_2"][:]) == [1, 2], columns=list(n.colnames))
        r = m["responses"]
        say(name, "responses", same(r["values"][:], np.arange(24.0).reshape(3, 2, 4)) and same(r["covariates"][:], np.full((3, 1, 4), 0.25)) and list(r["direction"][:]) == [0.0, 45.0, 90.0] and list(m["responses_unit"]["community"][:]) == ["a", "b"] and list(m["responses_bin"]["bin"][:]) == [-0.5, 0.0, 0.5, 1.0], about=r.description)
        course = m["course"]
        say(name, "course", same(course.data[()], np.arange(100.0).reshape(50, 2)) and (course.starting_time, course.rate, course.unit) == (0.5, 25.0, "mV") and list(m["course_part"]["part"][:]) == ["p", "q"])
        say(name, "uneven", same(m["uneven"].timestamps[()], np.array([0.0, 0.5, 0.75])))
        say(name, "five", same(nwb.scratch["five"].data[()], np.arange(32.0).reshape(2, 2, 2, 2, 2)))
        p = m["provenance"]
        said = dict(zip(p["fact"][:], p["value"][:]))
        say(name, "provenance", said["run"] == "r1" and said["input"] == "sha256:00ff" and said["responses.session"] == "mouse" and list(m["responses_covariate"]["covariate"][:]) == ["speed"] and said["responses.kind"] == "Responses" and said["responses.source"] == "simulated: test")
    valid(name)


def valid(name):
    errors = pynwb.validate(path=str(folder / name))
    errors = errors[0] if isinstance(errors, tuple) else errors
    say(name, "pynwb.validate", not errors, errors=[str(error) for error in errors])
    try:
        from nwbinspector import inspect_nwbfile
    except ImportError:
        return
    # Suggestions that do not apply: the module's name says whose values they are; some channels have no known place and some events no known end;
    # recordings of one or two channels have tables of one or two rows.
    known = {"check_processing_module_name", "check_electrodes_location_allen_ccf", "check_col_not_nan", "check_single_row", "check_column_binary_capability"}
    found = [message for message in inspect_nwbfile(nwbfile_path=str(folder / name)) if message.check_function_name not in known]
    found = [f"{message.check_function_name}: {message.location}: {message.message}" for message in found]
    say(name, "nwbinspector", not found, found=found)


def results():
    def table(name):
        io = pynwb.NWBHDF5IO(folder / f"{name}.nwb", "r")
        return io, io.read()

    checks = {
        "graph": lambda m: list(m["graph"]["weight"][:]) == [0.5, -0.25] and list(m["graph_node"]["side"][:]) == ["l", "r", "l"],
        "scores": lambda m: list(m["scores"]["value"][:]) == [0.5],
        "features": lambda m: same(m["features"]["values"][:], np.arange(1.0, 7.0).reshape(2, 3)) and list(m["features"]["stimulus"][:]) == ["s1", "s2"] and list(m["features_feature"]["feature"][:]) == ["f", "g", "h"],
        "rdm": lambda m: same(m["rdm"]["values"][1], np.array([[0, 0.4, 0.5], [0.4, 0, 0.6], [0.5, 0.6, 0]])) and list(m["rdm_condition"]["condition"][:]) == ["a", "b", "c"] and "rdm_condition_2" in m.data_interfaces,
        "communities": lambda m: len(m["communities"]) == 3,
        "recording": lambda m: same(m["recording"].data[()], np.array([[1], [2], [3]], dtype="i4")) and m["recording"].unit == "V",
        "responses": lambda m: same(m["responses"]["values"][:], np.arange(24.0).reshape(3, 2, 4)),
    }
    for name, check in checks.items():
        io, nwb = table(name)
        with io:
            m = nwb.processing["neuroflow"]
            say(f"{name}.nwb", "values", check(m), interfaces=sorted(m.data_interfaces))
        valid(f"{name}.nwb")
    io, nwb = table("events")
    with io:
        say("events.nwb", "values", list(nwb.intervals["events"]["stop_time"][:]) == [1.5, 2.25])
    valid("events.nwb")
    io, nwb = table("nothing")
    with io:
        m = nwb.processing["neuroflow"]
        ok = len(nwb.units) == 0 and len(nwb.intervals["none"]) == 0 and m["empty"].colnames == () and len(m["rows"]) == 0 and m["flat"]["values"].data.shape == (0, 3)
        say("nothing.nwb", "values", ok)
    errors = pynwb.validate(path=str(folder / "nothing.nwb"))
    say("nothing.nwb", "pynwb.validate", not (errors[0] if isinstance(errors, tuple) else errors), errors=[str(error) for error in errors])


def images():
    flip = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2.5, -72], [0, 0, 0, 1]])
    oblique = np.array([[1.8, -0.6, 0, 10], [0.6, 1.8, 0, -20], [0, 0, 3, 5.5], [0, 0, 0, 1]])
    sheared = np.array([[2.0, 0.5, 0, 1], [0, 2, 0.25, 2], [0, 0, 2, 3], [0, 0, 0, 1]])
    ramp = lambda shape: np.arange(np.prod(shape), dtype=float).reshape(shape)
    mixed = (np.arange(72.0) / 3.0).reshape(3, 2, 4, 3).transpose(2, 3, 1, 0)
    cases = {
        "int16.nii": (ramp((5, 4, 3, 2)) - 7.0, flip, "int16", (2.0, 2.0, 2.5, 1.5), True),
        "int16_far.nii.gz": (ramp((5, 4, 3, 2)) * 500.0 + 100000.0, oblique, "int16", None, True),
        "float32.nii.gz": (ramp((5, 4, 3, 2)) * 0.25, sheared, "float32", None, False),
        "float64.nii": (ramp((5, 4, 3)) * 0.1, flip, "float64", (2.0, 2.0, 2.5), True),
        "rounded.nii": ((ramp((5, 4, 3)) * 0.1).astype("f4").astype("f8"), flip, "float32", (2.0, 2.0, 2.5), True),
        "second.nii.gz": (ramp((40000, 2, 3)) % 1000.0, flip, "int16", (2.0, 2.0, 2.5), True),
        "mixed.nii": (mixed, np.array([[-2.0, 0, 0, 10], [0, 3, 0, 0], [0, 0, 4, -4], [0, 0, 0, 1]]), "float64", (2.0, 3.0, 4.0, 0.5), True),
    }
    for name, (values, affine, dtype, zooms, rotates) in cases.items():
        image = nibabel.load(folder / name)
        header = image.header
        narrow = affine if isinstance(header, nibabel.Nifti2Header) else affine.astype("f4").astype("f8")
        ok = same(image.get_fdata(), values) and same(image.affine, narrow) and header.get_data_dtype() == dtype
        ok &= isinstance(header, nibabel.Nifti2Header) == (max(values.shape) > 32767)
        expected = zooms or tuple(np.sqrt((affine[:3, :3] ** 2).sum(0)).astype("f4")) + ((1.5,) if values.ndim > 3 else ())
        ok &= np.array_equal(np.float32(header.get_zooms()), np.float32(expected))
        code = 2 if name == "mixed.nii" else 4
        ok &= int(header["sform_code"]) == code and int(header["qform_code"]) == (code if rotates else 0)
        if rotates:
            ok &= np.allclose(header.get_qform(), affine, atol=1e-5)
        ok &= header.get_xyzt_units() == ("mm", "sec" if values.ndim > 3 else "unknown")
        if name in ("int16.nii", "second.nii.gz"):
            extension = header.extensions[0]
            text = extension.get_content()
            text = text if isinstance(text, str) else text.decode().rstrip("\0")
            ok &= extension.get_code() == 6 and text.rstrip("\0") == "run: r1\nstep: µ\n"
        nibabel_says = header.diagnose_binaryblock(header.binaryblock)
        if name.endswith(".gz"):
            head = (folder / name).read_bytes()[:10]
            ok &= head[4:8] == b"\0\0\0\0" and head[3] == 0 and head[9] == 255
        say(name, "image", ok and not nibabel_says, shape=list(values.shape), dtype=str(header.get_data_dtype()), digest=digest(image.get_fdata()), says=nibabel_says)


def real():
    track = np.load(shared / "hippocampus-linear-track/spikes_position.npz")
    with pynwb.NWBHDF5IO(folder / "track.nwb", "r") as io:
        units = io.read().units
        ok = all(same(units["spike_times"][i], np.sort(track["spike_times"][track["spike_units"] == i])) for i in range(len(units)))
        say("track.nwb", "units", ok, units=len(units), spikes=len(units["spike_times"].target.data), digest=digest(units["spike_times"].target.data[()]))
    valid("track.nwb")
    session = sorted((shared / "v1-gratings-calcium").glob("*.npz"))[0]
    grat = np.load(session)
    with pynwb.NWBHDF5IO(folder / "gratings.nwb", "r") as io:
        table = io.read().processing["neuroflow"]["gratings"]
        say("gratings.nwb", "values", same(table["values"][:], grat["X"].astype("f8")), shape=list(grat["X"].shape), digest=digest(table["values"][:]))
        say("gratings.nwb", "bins", same(io.read().processing["neuroflow"]["gratings_bin"]["bin"][:], grat["t"].astype("f8")))
    valid("gratings.nwb")


def speed():
    with h5py.File(folder / "big_plain.h5") as plain, h5py.File(folder / "big_packed.h5") as packed:
        values = plain["data"][()]
        ok = same(packed["data"][()], values)
        chunks = packed["data"].chunks
        size = packed["data"].id.get_storage_size()
    for name, options in [("big_plain.h5", {}), ("big_packed.h5", {"chunks": chunks, "compression": "gzip", "compression_opts": 4, "shuffle": True})]:
        begin = time.perf_counter()
        with h5py.File(folder / "theirs.h5", "w") as h:
            h.create_dataset("data", data=values, **options)
        took = time.perf_counter() - begin
        say(name, "h5py writes the same", ok, seconds=round(took, 3), bytes=values.nbytes, packed=size)
        (folder / "theirs.h5").unlink()
    image = nibabel.load(folder / "big.nii")
    data = (values.reshape(-1)[: 1 << 24].astype("f8") * 0.5).reshape(128, 128, 32, 32)
    ok = same(image.get_fdata(), data) and same(nibabel.load(folder / "big.nii.gz").get_fdata(), data)
    for name in ("big.nii", "big.nii.gz"):
        begin = time.perf_counter()
        nibabel.save(nibabel.Nifti1Image(data.astype("f4"), np.eye(4)), folder / ("theirs_" + name))
        say(name, "nibabel writes the same", ok, seconds=round(time.perf_counter() - begin, 3), bytes=(folder / name).stat().st_size, theirs=(folder / ("theirs_" + name)).stat().st_size)
        (folder / ("theirs_" + name)).unlink()


warnings.simplefilter("ignore")
kinds()
session()
results()
images()
if shared:
    real()
speed()
sys.exit(1 if failed else 0)
