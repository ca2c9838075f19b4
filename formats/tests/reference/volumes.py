"""Prints the lines of `formats/examples/volumes_facts.rs` from the reference packages: nibabel, tifffile, pillow, pandas, networkx, zarr, numpy, scipy, pyarrow.

    python volumes.py FILE... > reference.jsonl
    cargo run -p neuroflow-formats --example volumes_facts -- FILE... > ours.jsonl
    python volumes.py --compare reference.jsonl ours.jsonl
"""
import gzip, hashlib, io, json, os, struct, sys, warnings

import numpy as np

warnings.filterwarnings("ignore")


def floats(values):
    values = np.ascontiguousarray(values, dtype="<f8").copy()
    values[np.isnan(values)] = np.nan
    bits = values.view("<u8")
    bits[np.isnan(values)] = 0x7FF8000000000000
    return hashlib.sha256(values.tobytes()).hexdigest()


def texts(values):
    return hashlib.sha256("\n".join("" if value is None else str(value) for value in values).encode()).hexdigest()


def line(file, item, shape, unit, sha256):
    print(json.dumps({"file": file, "item": item, "shape": [int(length) for length in shape], "unit": unit, "sha256": sha256}))


def array(file, item, values, unit=""):
    values = np.asarray(values)
    if values.dtype.kind in "USOT":
        line(file, f"{item}#value", [values.size], unit, texts(values.ravel()))
    else:
        line(file, item, values.shape, unit, floats(values))


def frame(file, item, table, strip=False):
    import pandas as pd
    for name in table.columns:
        column = table[name]
        if column.dtype.kind in "iufb" or column.isna().all():
            line(file, f"{item}#{name}", [len(table)], "", floats(column.astype(float)))
        else:
            line(file, f"{item}#{name}", [len(table)], "", texts([None if pd.isna(value) else value for value in column]))


def nii(path, file):
    import nibabel as nb
    image = nb.load(path)
    data = np.asanyarray(image.dataobj)
    if data.dtype.names:
        data = np.stack([data[name] for name in data.dtype.names], -1)
    else:
        data = image.get_fdata(caching="unchanged")
    array(file, "image", data)
    unit = image.header.get_xyzt_units()[0]
    array(file, "affine", image.affine, {"mm": "mm", "meter": "m", "micron": "µm"}.get(unit, ""))


def gii(path, file):
    import nibabel as nb
    image = nb.load(path)
    seen = {}
    for data in image.darrays:
        name = nb.nifti1.intent_codes.niistring[data.intent][len("NIFTI_INTENT_"):].lower().replace("_", " ")
        seen[name] = seen.get(name, 0) + 1
        item = name if seen[name] == 1 else f"{name}_{seen[name]}"
        array(file, item, data.data, "mm" if name == "pointset" else "")
        if data.coordsys is not None and name == "pointset":
            array(file, f"{item}/transform", data.coordsys.xform)
    table = image.labeltable.labels
    if table:
        line(file, "labels#key", [len(table)], "", floats([label.key for label in table]))
        line(file, "labels#label", [len(table)], "", texts([label.label for label in table]))
        for colour in ["red", "green", "blue", "alpha"]:
            values = [getattr(label, colour) for label in table]
            line(file, f"labels#{colour}", [len(table)], "", floats([np.nan if value is None else value for value in values]))


def idx(path, file):
    raw = gzip.open(path).read()
    axes = raw[3]
    shape = struct.unpack(f">{axes}I", raw[4:4 + 4 * axes])
    assert raw[2] == 8
    array(file, "array", np.frombuffer(raw, "u1", offset=4 + 4 * axes).reshape(shape))


def picture(path, file):
    from PIL import Image
    image = Image.open(path)
    if image.mode == "P":
        image = image.convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    data = np.asarray(image)
    array(file, "image", data[..., None] if data.ndim == 2 else data)


def tif(path, file):
    import tifffile
    data = tifffile.imread(path)
    with tifffile.TiffFile(path) as tiff:
        pages = len(tiff.pages)
        colours = tiff.pages[0].samplesperpixel
    if colours == 1:
        data = data[..., None]
    array(file, "image" if pages == 1 else "stack", data)


def letters(column):
    name, rest = "", column + 1
    while rest:
        rest, digit = divmod(rest - 1, 26)
        name = chr(65 + digit) + name
    return name


def book(path, file):
    """Cells one by one; the rules for headers and types are those of the reader."""
    if path.endswith(".xls"):
        import xlrd
        own = xlrd.open_workbook(path)
        sheets = []
        for sheet in own.sheets():
            cells = {}
            for row in range(sheet.nrows):
                for column in range(sheet.ncols):
                    cell = sheet.cell(row, column)
                    if cell.ctype == 1 and cell.value != "" or cell.ctype == 2:
                        cells[row, column] = cell.value
                    elif cell.ctype == 4:
                        cells[row, column] = bool(cell.value)
                    elif cell.ctype == 3:
                        cells[row, column] = xlrd.xldate_as_datetime(cell.value, own.datemode)
            sheets.append((sheet.name, cells))
    else:
        import openpyxl
        own = openpyxl.load_workbook(path, data_only=True, read_only=True)
        sheets = []
        for sheet in own.worksheets:
            cells = {}
            for row in sheet.iter_rows():
                for cell in row:
                    if cell.value is not None and cell.value != "" and cell.data_type != "e":
                        cells[cell.row - 1, cell.column - 1] = cell.value
            sheets.append((sheet.title, cells))
    import datetime
    for name, cells in sheets:
        height = max([row for row, _ in cells], default=-1) + 1
        width = max([column for _, column in cells], default=-1) + 1
        top = {column: value for (row, column), value in cells.items() if row == 0}
        below = {column for row, column in cells if row > 0}
        named = height > 1 and len(top) > 0 and all(isinstance(value, str) for value in top.values()) and all(column in top or column == 0 for column in below)
        first = 1 if named else 0
        seen = {}
        for column in range(width):
            label = str(top.get(column, "")).strip() if named else ""
            label = label.strip("/") or letters(column)
            base = label
            while label in seen:
                seen[label] += 1
                label = f"{base}_{seen[label]}"
            seen[label] = 1
            values = [cells.get((row, column)) for row in range(first, height)]
            there = [value for value in values if value is not None]
            item = f"{name.strip('/')}#{label}"
            if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in there) or all(isinstance(value, bool) for value in there):
                line(file, item, [len(values)], "", floats([np.nan if value is None else float(value) for value in values]))
            else:
                def plain(value):
                    if value is None or isinstance(value, str):
                        return value
                    if isinstance(value, bool):
                        return str(value).lower()
                    if isinstance(value, datetime.datetime):
                        text = value.isoformat()
                        return text[:10] if text.endswith("T00:00:00") else text
                    if isinstance(value, datetime.date):
                        return value.isoformat()
                    number = float(value)
                    return str(int(number)) if number == int(number) and abs(number) < 1e16 else repr(number)
                line(file, item, [len(values)], "", texts([plain(value) for value in values]))
        numbers = np.full((height, width), np.nan)
        for (row, column), value in cells.items():
            if isinstance(value, (int, float, bool)):
                numbers[row, column] = float(value)
        line(file, f"{name.strip('/')}@numbers", numbers.shape, "", floats(numbers))


def graph(path, file):
    import networkx as nx
    if path.endswith(".gml"):
        text = open(path, encoding="utf-8", errors="replace").read()
        # networkx takes several edges between two nodes only when the file says so.
        if "multigraph" not in text:
            text = text.replace("graph\n[", "graph\n[\n  multigraph 1", 1).replace("graph [", "graph [\n  multigraph 1", 1)
        own = nx.parse_gml(text.splitlines(), label="id")
        labels = [data.get("label") for _, data in own.nodes(data=True)]
        names = [str(label) for label in labels] if len(set(labels)) == len(labels) and None not in labels else [str(node) for node in own.nodes]
    elif path.endswith(".graphml"):
        own = nx.read_graphml(path, force_multigraph=True)
        names = [str(node) for node in own.nodes]
    elif path.endswith((".edgelist.gz", ".edgelist")):
        own = nx.read_weighted_edgelist(path, nodetype=int, create_using=nx.MultiGraph)
        order = sorted(own.nodes)
        ordered = own.__class__()
        ordered.add_nodes_from(order)
        ordered.add_edges_from(own.edges(data=True))
        own, names = ordered, [str(node) for node in order]
    else:
        import pandas as pd
        table = pd.read_csv(path, sep=None, engine="python", keep_default_na=False)
        own = nx.MultiDiGraph()
        number = next(name for name in ["Weight", "synapses"] if name in table.columns)
        for row in table.itertuples(index=False):
            own.add_edge(str(row[0]).strip(), str(row[1]).strip(), weight=float(getattr(row, number)))
        names = list(own.nodes)
    place = {node: index for index, node in enumerate(own.nodes)}
    joined = {}
    for source, target, data in own.edges(data=True):
        a, b = place[source], place[target]
        if a == b:
            continue
        if not own.is_directed():
            a, b = min(a, b), max(a, b)
        joined[a, b] = joined.get((a, b), 0.0) + float(data.get("weight", data.get("value", 1.0)))
    edges = [f"{names[a]}\t{names[b]}\t{weight!r}" for (a, b), weight in sorted(joined.items())]
    line(file, "graph", [len(names), len(edges)], "directed" if own.is_directed() else "", hashlib.sha256("\n".join(edges).encode()).hexdigest())


def mat(path, file):
    import scipy.io
    own = scipy.io.loadmat(path)
    for name, value in own.items():
        if not name.startswith("__"):
            variable(file, name, value)


def variable(file, path, value):
    if hasattr(value, "toarray"):
        return array(file, path, value.toarray())
    if value.dtype.names:
        for name in value.dtype.names:
            if value.size == 1:
                variable(file, f"{path}/{name}", value[name].ravel()[0])
            else:
                cells(file, f"{path}/{name}", value[name])
    elif value.dtype == object:
        cells(file, path, value)
    elif value.dtype.kind == "U":
        if value.size > 1:
            line(file, f"{path}#text", [value.size], "", texts(value.ravel()))
    elif value.dtype.kind != "V":
        array(file, path, value)


def cells(file, path, value):
    each = list(value.ravel(order="F"))
    if each and all(one.dtype.kind == "U" and one.size <= 1 for one in each):
        return line(file, f"{path}#text", [len(each)], "", texts([one.ravel()[0] if one.size else "" for one in each]))
    same = len(each) > 1 and all(one.dtype.names is None and one.dtype.kind in "iufb" and one.shape == each[0].shape for one in each)
    # SciPy gives numbers in the type they are stored in; MATLAB's class is not to be had from it.
    if same:
        shape = [length for length in value.shape if length != 1] + [length for length in each[0].shape if length != 1]
        whole = np.stack([one.ravel() for one in value.ravel()])
        return array(file, path, whole.reshape(shape))
    for place, one in enumerate(each):
        variable(file, f"{path}/{place + 1}", one)


def zarr_(path, file):
    import zarr
    own = zarr.open(path, mode="r")
    if isinstance(own, zarr.Array):
        return array(file, "array", own[...])
    for name, member in sorted(own.members(max_depth=None)):
        if isinstance(member, zarr.Array):
            array(file, name, member[...], member.attrs.get("units", ""))


def tensors(path, file):
    raw = open(path, "rb").read()
    length = struct.unpack("<Q", raw[:8])[0]
    kinds = {"F32": "<f4", "I64": "<i8", "F16": "<f2", "F64": "<f8", "U8": "u1", "I32": "<i4"}
    for name, entry in json.loads(raw[8:8 + length]).items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            array(file, name, np.frombuffer(raw[8 + length + start:8 + length + end], kinds[entry["dtype"]]).reshape(entry["shape"]))


def onnx(path, file):
    try:
        import onnx as own
        from onnx import numpy_helper
    except ImportError:
        return print(f"onnx is not installed: {file} is left out", file=sys.stderr)
    graph = own.load(path).graph
    for tensor in graph.initializer:
        array(file, f"initializers/{tensor.name}", numpy_helper.to_array(tensor))
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    array(file, f"constants/{node.output[0]}", numpy_helper.to_array(attribute.t))


def table(path, file):
    import pandas as pd
    if path.endswith(".parquet"):
        return frame(file, "table", pd.read_parquet(path))
    if path.endswith((".feather", ".arrow")):
        return frame(file, "table", pd.read_feather(path))
    if path.endswith(".csv") and not os.path.basename(path).startswith("frame"):
        return None
    own = pd.read_csv(path, header=None if "digits" in path else 0)
    own.columns = [f"column_{name + 1}" if isinstance(name, int) else name for name in own.columns]
    frame(file, "table", own)


def npz(path, file):
    with np.load(path, allow_pickle=False) as own:
        for name in own.files:
            array(file, name, own[name])


def main():
    if sys.argv[1] == "--compare":
        sides = [{}, {}]
        for side, path in zip(sides, sys.argv[2:4]):
            for text in open(path):
                own = json.loads(text)
                side[own["file"], own.get("item", "")] = own
        graphs = ("nodes#", "edges#")  # networkx has no tables; what they hold is compared as the graph
        names = sorted(name for name in set(sides[0]) | set(sides[1]) if not name[1].startswith(graphs))
        equal = sum(sides[0].get(name) == sides[1].get(name) for name in names)
        files = {}
        for name in names:
            ok, all_ = files.get(name[0], (0, 0))
            files[name[0]] = (ok + (sides[0].get(name) == sides[1].get(name)), all_ + 1)
        for file, (ok, all_) in sorted(files.items()):
            print(f"{file}: {ok} of {all_} equal")
        for name in names:
            if sides[0].get(name) != sides[1].get(name):
                print("reference:", sides[0].get(name), "\nours:     ", sides[1].get(name))
        print(f"{equal} of {len(names)} items are equal")
        return
    for path in sys.argv[1:]:
        file = os.path.basename(path)
        try:
            if file.endswith(".zarr"):
                zarr_(path, file)
            elif file.endswith((".nii", ".nii.gz", ".hdr")):
                nii(path, file)
            elif file.endswith((".gii", ".gii.gz")):
                gii(path, file)
            elif file.endswith(("ubyte.gz", ".idx")):
                idx(path, file)
            elif file.endswith((".png", ".jpg")):
                picture(path, file)
            elif file.endswith((".tif", ".tiff")):
                tif(path, file)
            elif file.endswith((".xlsx", ".xls")):
                book(path, file)
            elif file.endswith((".gml", ".graphml", ".edgelist.gz", ".edgelist", "_edgelist.csv")) or file.startswith("aconnectome_w"):
                graph(path, file)
            elif file.endswith(".npy"):
                array(file, "array", np.load(path))
            elif file.endswith(".npz"):
                npz(path, file)
            elif file.endswith(".mat"):
                mat(path, file)
            elif file.endswith(".safetensors"):
                tensors(path, file)
            elif file.endswith(".onnx"):
                onnx(path, file)
            elif file.endswith((".parquet", ".feather", ".arrow", ".csv", ".csv.gz")):
                table(path, file)
        except Exception as error:
            print(json.dumps({"file": file, "error": f"{type(error).__name__}: {error}"}))


main()
