"""What reference packages say of a BIDS tree, a JSON line for each fact; `cargo run -p neuroflow-formats --example bids_facts TREE` prints the same of ours.

Usage: bids_tree.py facts TREE      entities (pybids, else bids-validator's schema), merged sidecars (pybids), tables (pandas)
       bids_tree.py compare TREE PROGRAM   runs the example and compares line by line
       bids_tree.py validate TREE   what the BIDS validator says, if `bids-validator-deno` is at hand
       bids_tree.py build FOLDER    writes the tree that is compared
       bids_tree.py breaks FOLDER PROGRAM   breaks one rule of it after the other, for the BIDS validator and for ours
"""
import gzip
import hashlib
import json
import struct
import subprocess
import sys
from pathlib import Path


def digest(batch):
    return hashlib.sha256(batch).hexdigest()


def facts(root):
    import pandas as pd
    from bids import BIDSLayout

    root = str(Path(root).resolve())
    layout = BIDSLayout(root, validate=False)
    index = {"run", "echo", "flip", "inversion", "split", "chunk"}
    long = {"inv": "inversion", "proc": "processing", "mod": "modality", "mt": "mtransfer", "hemi": "hemisphere", "res": "resolution", "den": "density", "desc": "description", "seg": "segmentation", "staining": "stain"}
    lines = []
    for path, file in sorted(layout.files.items()):
        relative = str(Path(path).relative_to(root))
        if relative.split("/")[0] in ("derivatives", "code", "sourcedata"):
            continue
        entities = {long.get(k, k): v for k, v in file.get_entities().items() if k not in ("extension", "suffix", "datatype", "fmap", "scans")}
        entities = {k: (int(v) if k in index else str(v)) for k, v in entities.items()}
        lines.append({"item": relative, "what": "entities", "values": entities})
        if "sub" in Path(path).name.split("-")[0] and not relative.endswith((".json", ".bval", ".bvec", ".vmrk")):
            lines.append({"item": relative, "what": "sidecar", "values": file.get_metadata()})
        if relative.endswith(".tsv"):
            lines.extend(table(relative, pd.read_csv(path, sep="\t", na_values=["n/a"], keep_default_na=False, dtype=str)))
        if relative.endswith(".tsv.gz"):
            side = file.get_metadata()
            frame = pd.read_csv(path, sep="\t", header=None, names=side["Columns"], na_values=["n/a"], keep_default_na=False, dtype=float)
            rate, start = side["SamplingFrequency"], side["StartTime"]
            frame.insert(0, "time", [start + row / rate for row in range(len(frame))])
            for name in frame.columns:
                lines.append({"item": relative, "what": f"column {name}", "sha256": digest(frame[name].to_numpy("<f8").tobytes())})
    return lines


def table(relative, frame):
    import pandas as pd

    for name in frame.columns:
        column = frame[name]
        numbers = pd.to_numeric(column, errors="coerce")
        words = ("name", "participant_id", "trial_type", "filename", "acq_time", "status", "units", "type")
        if numbers.notna().sum() == column.notna().sum() and column.notna().any() and name not in words:
            values = [float(v) for v in column.astype(float)]
            # Every gap is the same one.
            values = [v if v == v else struct.unpack("<d", b"\0\0\0\0\0\0\xf8\x7f")[0] for v in values]
            yield {"item": relative, "what": f"numbers {name}", "sha256": digest(struct.pack(f"<{len(values)}d", *values))}
        else:
            yield {"item": relative, "what": f"column {name}", "sha256": digest("\n".join("" if pd.isna(v) else str(v) for v in column).encode())}


def build(folder):
    """A tree of several datatypes, and the real ECoG recording in its proper place."""
    root = Path(folder) / "made"

    def put(path, content):
        path = root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    put("dataset_description.json", json.dumps({"Name": "Made", "BIDSVersion": "1.10.0", "License": "CC0", "DatasetType": "raw", "Authors": ["A B"]}))
    put("README", "A tree that was made to be compared. " * 10)
    put("participants.tsv", "participant_id\tage\tsex\nsub-01\t34\tF\nsub-02\tn/a\tM\nsub-03\t51\tF\n")
    put("participants.json", json.dumps({"age": {"Description": "age", "Units": "year"}}))
    put("task-rest_eeg.json", json.dumps({"TaskName": "rest", "EEGReference": "Cz", "SamplingFrequency": 250, "PowerLineFrequency": 50, "SoftwareFilters": "n/a"}))
    put("task-nback_bold.json", json.dumps({"TaskName": "nback", "RepetitionTime": 2.0, "EchoTime": 0.03}))
    put("T1w.json", json.dumps({"MagneticFieldStrength": 3}))
    for subject in ("01", "02", "03"):
        for session in ("pre", "post"):
            base = f"sub-{subject}/ses-{session}"
            stem = f"sub-{subject}_ses-{session}"
            for run in ("01", "02"):
                name = f"{base}/eeg/{stem}_task-rest_run-{run}"
                put(f"{name}_eeg.edf", b"0")
                put(f"{name}_events.tsv", f"onset\tduration\ttrial_type\tvalue\n0.5\tn/a\tgo\t7\n0.75\t0.1\tnull\t8\n{run}.125\t1e-3\tNA\t9\n")
            put(f"{base}/eeg/{stem}_task-rest_eeg.json", json.dumps({"SamplingFrequency": 500, "InstitutionName": f"S{session}"}))
            put(f"{base}/eeg/{stem}_task-rest_channels.tsv", "name\ttype\tunits\n1\tEEG\tuV\n2\tEOG\tuV\n")
            name = f"{base}/func/{stem}_task-nback_acq-fine_dir-AP_run-1"
            for echo in (1, 2):
                put(f"{name}_echo-{echo}_part-mag_bold.nii.gz", b"0")
                put(f"{name}_echo-{echo}_part-mag_bold.json", json.dumps({"EchoTime": 0.01 * echo}))
            put(f"{name}_events.tsv", "onset\tduration\n1\t2\n")
            rows = "".join(f"{row * 0.1:.6f}\t{'n/a' if row == 7 else row % 3}\n" for row in range(5000))
            put(f"{name}_recording-breath_physio.tsv.gz", gzip.compress(rows.encode(), mtime=0))
            put(f"{name}_recording-breath_physio.json", json.dumps({"SamplingFrequency": 62.5, "StartTime": -3.2, "Columns": ["respiratory", "trigger"]}))
            put(f"{base}/anat/{stem}_acq-fine_T1w.nii.gz", b"0")
            put(f"{base}/{stem}_scans.tsv", f"filename\tacq_time\nanat/{stem}_acq-fine_T1w.nii.gz\t2020-01-01T00:00:00\n")
    put("derivatives/prep/dataset_description.json", json.dumps({"Name": "p", "BIDSVersion": "1.10.0", "DatasetType": "derivative", "GeneratedBy": [{"Name": "prep"}]}))
    put("derivatives/prep/sub-01/func/sub-01_task-nback_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz", b"0")


BREAKS = {
    "order": lambda p: (p / "sub-01/ses-pre/eeg/sub-01_ses-pre_run-03_task-rest_eeg.edf").write_bytes(b"0"),
    "no task": lambda p: (p / "sub-01/ses-pre/eeg/sub-01_ses-pre_eeg.edf").write_bytes(b"0"),
    "wrong subject": lambda p: (p / "sub-01/ses-pre/eeg/sub-02_ses-pre_task-rest_run-03_eeg.edf").write_bytes(b"0"),
    "suffix": lambda p: (p / "sub-01/ses-pre/eeg/sub-01_ses-pre_task-rest_run-03_ecg.edf").write_bytes(b"0"),
    "extension": lambda p: (p / "sub-01/ses-pre/eeg/sub-01_ses-pre_task-rest_run-03_eeg.mat").write_bytes(b"0"),
    "entity not of it": lambda p: (p / "sub-01/ses-pre/eeg/sub-01_ses-pre_task-rest_run-03_echo-1_eeg.edf").write_bytes(b"0"),
    "stray file": lambda p: (p / "stray.bin").write_bytes(b"0"),
    "ignored stray file": lambda p: ((p / "stray.bin").write_bytes(b"0"), (p / ".bidsignore").write_text("stray.*\n")),
    "no description": lambda p: (p / "dataset_description.json").unlink(),
    "description without version": lambda p: (p / "dataset_description.json").write_text('{"Name": "x"}'),
    "bad json": lambda p: (p / "task-rest_eeg.json").write_text("{"),
    "two sidecars": lambda p: (p / "eeg.json").write_text("{}"),
    "sidecar for nothing": lambda p: (p / "task-gone_eeg.json").write_text("{}"),
    "no repetition time": lambda p: (p / "task-nback_bold.json").write_text('{"TaskName": "nback"}'),
    "no reference": lambda p: (p / "task-rest_eeg.json").write_text('{"TaskName": "rest", "PowerLineFrequency": 50, "SoftwareFilters": "n/a"}'),
    "subject not listed": lambda p: (p / "participants.tsv").write_text("participant_id\nsub-01\nsub-02\n"),
    "subject without folder": lambda p: (p / "participants.tsv").write_text("participant_id\nsub-01\nsub-02\nsub-03\nsub-04\n"),
    "ragged table": lambda p: (p / "participants.tsv").write_text("participant_id\tage\nsub-01\t1\nsub-02\nsub-03\t2\n"),
    "channels without units": lambda p: (p / "sub-01/ses-pre/eeg/sub-01_ses-pre_task-rest_channels.tsv").write_text("name\ttype\n1\tEEG\n"),
    "channel type": lambda p: (p / "sub-01/ses-pre/eeg/sub-01_ses-pre_task-rest_channels.tsv").write_text("name\ttype\tunits\n1\tBRAIN\tuV\n"),
    "events without duration": lambda p: (p / "sub-01/ses-pre/eeg/sub-01_ses-pre_task-rest_run-01_events.tsv").write_text("onset\n1\n"),
    "onset not a number": lambda p: (p / "sub-01/ses-pre/eeg/sub-01_ses-pre_task-rest_run-01_events.tsv").write_text("onset\tduration\nsoon\t1\n"),
    "scan that is gone": lambda p: (p / "sub-01/ses-pre/sub-01_ses-pre_scans.tsv").write_text("filename\neeg/gone.edf\n"),
    "derivative without generator": lambda p: (p / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}'),
}


def breaks(folder, program):
    """Breaks one rule after the other, and says whether the validator and ours find an error that the whole tree does not have."""
    import shutil

    def theirs(root):
        done = subprocess.run(["bids-validator-deno", "--json", root], capture_output=True, text=True, check=False)
        found = json.loads(done.stdout)["issues"]["issues"]
        return {f"{issue['code']} {issue.get('subCode', '')}" for issue in found if issue["severity"] == "error"}

    def ours(root):
        done = subprocess.run([program, "validate", root], capture_output=True, text=True, check=True)
        return {line for line in done.stdout.splitlines() if line.startswith("error")}

    build(folder)
    whole = Path(folder) / "made"
    before = (theirs(whole), ours(whole))
    for name, change in BREAKS.items():
        broken = Path(folder) / "broken"
        shutil.rmtree(broken, ignore_errors=True)
        shutil.copytree(whole, broken)
        change(broken)
        reference, here = theirs(broken) - before[0], ours(broken) - before[1]
        agree = "agree" if bool(reference) == bool(here) else "DIFFER"
        print(f"{agree}: {name}: {sorted(reference)} | {sorted(here)[:1]}")


def plain(line):
    return json.dumps(line, sort_keys=True)


if __name__ == "__main__":
    if sys.argv[1] == "facts":
        for line in facts(sys.argv[2]):
            print(plain(line))
    elif sys.argv[1] == "build":
        build(sys.argv[2])
    elif sys.argv[1] == "breaks":
        breaks(sys.argv[2], sys.argv[3])
    elif sys.argv[1] == "validate":
        done = subprocess.run(["bids-validator-deno", "--json", sys.argv[2]], capture_output=True, text=True, check=False)
        found = json.loads(done.stdout)["issues"]["issues"]
        print("\n".join(sorted({f"{issue['severity']}: {issue['code']} {issue.get('subCode', '')} {issue.get('location', '')}" for issue in found})))
    else:
        ours = subprocess.run([sys.argv[3], sys.argv[2]], capture_output=True, text=True, check=True).stdout.splitlines()
        ours = {plain(json.loads(line)) for line in ours}
        theirs = {plain(line) for line in facts(sys.argv[2])}
        print(f"{len(theirs & ours)} equal, {len(theirs - ours)} only in the reference, {len(ours - theirs)} only here")
        for line in sorted(theirs - ours)[:20]:
            print("reference", line)
        for line in sorted(ours - theirs)[:20]:
            print("here     ", line)
