"""Writes the small files that the tests carry, formats/tests/files: every structure of HDF5 in few bytes, the filters of the package hdf5plugin, two NWB files, a
MATLAB 7.3 file, pictures and a workbook.

    small_files.py FOLDER
"""
import itertools
import sys

import h5py
import numpy as np

folder = sys.argv[1]

for name, low, high in (("earliest", "earliest", "v108"), ("latest", "v110", "v110")):
    with h5py.File(f"{folder}/{name}.h5", "w", libver=(low, high)) as file:
        data = np.arange(35, dtype="<i2").reshape(7, 5)
        file.create_dataset("plain", data=data).attrs["unit"] = "mV"
        file.create_dataset("gzip", data=data, chunks=(2, 5), compression=9, shuffle=True, fletcher32=True)
        file.create_dataset("free", data=data, chunks=(3, 2), maxshape=(None, 5))
        file.create_dataset("lzf", data=np.zeros((7, 5), "<f4"), chunks=(7, 5), compression="lzf")
        file.create_dataset("both", data=data, chunks=(4, 4), maxshape=(None, None), fillvalue=-1)
        file["words"] = ["a", "übung", ""]
        file["table"] = np.array([(1.5, 2, b"ab"), (2.5, -3, b"c")], dtype=[("x", "<f8"), ("n", ">i4"), ("s", "S3")])
        file["flag"] = np.array([True, False])
        file["soft"], file["out"] = h5py.SoftLink("/plain"), h5py.ExternalLink("../other.h5", "/x")
        file["sub/up"] = file["/"]
        refs = file.create_dataset("refs", (2,), dtype=h5py.ref_dtype)
        refs[0] = file["table"].ref
        if name == "latest":
            # Links and attributes in a heap.
            for number in range(12):
                file[f"sub/name {number}"] = h5py.SoftLink("/plain")
                file["sub"].attrs[f"attribute {number}"] = number

import hdf5plugin  # noqa: E402, registers its filters with the library

with h5py.File(f"{folder}/packed.h5", "w", libver="latest") as file:
    number = np.arange(1200).reshape(400, 3)
    values = number // 5 % 97 + number % 3
    for kind in ("i2", "f4", "f8"):
        def put(name, **filters):
            file.create_dataset(f"{kind}/{name}", data=values.astype(kind), chunks=(300, 3), **filters)
        for codec in ("blosclz", "lz4", "zlib", "zstd", "snappy"):
            put(f"blosc {codec}", compression=hdf5plugin.Blosc(cname=codec, shuffle=hdf5plugin.Blosc.SHUFFLE))
        put("blosc bits", compression=hdf5plugin.Blosc(cname="lz4", shuffle=hdf5plugin.Blosc.BITSHUFFLE))
        for codec in ("none", "lz4", "zstd"):
            put(f"bitshuffle {codec}", compression=hdf5plugin.Bitshuffle(cname=codec, nelems=64))
        put("bitshuffle", compression=hdf5plugin.Bitshuffle())
        put("bzip2", compression=hdf5plugin.BZip2())
        put("lz4", compression=hdf5plugin.LZ4(nbytes=1000))
        put("zstd", compression=hdf5plugin.Zstd())

# So small that a fuzzer can change it in many places.
with h5py.File(f"{folder}/packed_small.h5", "w", libver="latest") as file:
    for name, filters in {
        "a": hdf5plugin.Blosc(cname="lz4", shuffle=hdf5plugin.Blosc.BITSHUFFLE),
        "b": hdf5plugin.Blosc(cname="blosclz"), "c": hdf5plugin.Blosc(cname="snappy"),
        "d": hdf5plugin.Bitshuffle(cname="none", nelems=64), "e": hdf5plugin.Bitshuffle(cname="lz4"), "f": hdf5plugin.BZip2(),
    }.items():
        file.create_dataset(name, data=np.arange(300, dtype="<i2") // 7, chunks=(300,), compression=filters)


def typed(group, own, **attributes):
    group.attrs["neurodata_type"], group.attrs["namespace"] = own, "core"
    for name, value in attributes.items():
        group.attrs[name] = value
    return group


with h5py.File(f"{folder}/small.nwb", "w") as file:
    def column(table, name, data, kind="VectorData", **attributes):
        return typed(table.create_dataset(name, data=data), kind, **attributes)

    file.attrs["nwb_version"] = "2.7.0"
    file["identifier"], file["session_start_time"] = "small", "2026-01-02T03:04:05+00:00"
    file["general/subject/subject_id"] = "m1"
    raw = typed(file.create_group("acquisition/raw"), "Wide", description="wide band")
    raw["data"] = np.arange(8, dtype="<i2").reshape(4, 2)
    raw["data"].attrs["conversion"], raw["data"].attrs["unit"] = 0.5, "volts"
    raw["starting_time"] = 2.0
    raw["starting_time"].attrs["rate"] = 10.0
    odd = typed(file.create_group("acquisition/odd"), "TimeSeries")
    odd["data"], odd["timestamps"] = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 5.0])
    odd["data"].attrs["unit"] = "m"
    notes = typed(file.create_group("stimulus/notes"), "AnnotationSeries")
    notes["data"], notes["timestamps"] = ["go", "stop"], np.array([0.5, 1.5])
    movie = typed(file.create_group("stimulus/movie"), "ImageSeries")
    movie["external_file"], movie["data"] = ["../movie.avi"], np.zeros((0, 0, 0), "u1")
    movie["starting_time"] = 0.0
    movie["starting_time"].attrs["rate"] = 30.0
    trials = typed(file.create_group("intervals/trials"), "TimeIntervals", colnames=["start_time", "stop_time", "side"])
    column(trials, "id", [0, 1], "ElementIdentifiers")
    column(trials, "start_time", [1.0, 2.0]), column(trials, "stop_time", [1.5, 2.75]), column(trials, "side", ["left", "right"])
    units = typed(file.create_group("units"), "Units", colnames=["spike_times", "quality", "nested"])
    column(units, "id", [3, 5], "ElementIdentifiers")
    column(units, "spike_times", [0.1, 0.2, 0.3]), column(units, "spike_times_index", np.array([2, 3], "u1"), "VectorIndex")
    column(units, "quality", ["good", "mua"], description="how good")
    column(units, "nested", [1.0, 2.0, 3.0]), column(units, "nested_index", np.array([1, 1, 3], "u1"), "VectorIndex")
    column(units, "nested_index_index", np.array([2, 3], "u1"), "VectorIndex")
    file["specifications/mine/1.0/mine"] = '{"groups":[{"neurodata_type_def":"Wide","neurodata_type_inc":"TimeSeries"}]}'

with h5py.File(f"{folder}/times.nwb", "w") as file:
    file.attrs["nwb_version"] = "2.7.0"
    file["identifier"], file["session_start_time"] = "times", "2026-01-02T03:04:05+00:00"

    def series(name, times, data):
        own = typed(file.create_group(f"acquisition/{name}"), "TimeSeries")
        own.create_dataset("timestamps", data=times, compression=9, shuffle=True)
        own.create_dataset("data", data=data, compression=9, shuffle=True)
        own["data"].attrs["unit"] = "m"
        return own

    # Rounded to microseconds; of 17,000 samples, so that not all is looked at when the file is opened.
    rounded = series("rounded", np.round(100.25 + np.arange(17000) / 1000 + 1.23e-7, 6), (np.arange(17000) % 50).astype("i2"))
    paused = np.concatenate([np.arange(50) / 100, 2 + np.arange(70) / 100, 5.5 + np.arange(30) / 100])
    paused = series("paused", np.round(paused, 6), np.arange(300, dtype="f4").reshape(150, 2))
    # As the one before, but for a time near the end, which is read only with the values.
    late = 100 + np.arange(17000) / 1000
    late[16900] += 4e-4
    series("late", late, np.zeros(17000, "i2"))
    series("licks", np.cumsum((np.arange(40) * 7919 % 101 + 5) / 50), np.ones(40, "i2"))
    trials = typed(file.create_group("intervals/trials"), "TimeIntervals", colnames=["start_time", "stop_time", "timeseries"])
    for name, data in [("id", [0, 1, 2]), ("start_time", [0.0, 2.0, 5.5]), ("stop_time", [0.5, 2.5, 5.7])]:
        typed(trials.create_dataset(name, data=data), "VectorData")
    parts = np.zeros(4, [("idx_start", "<i4"), ("count", "<i4"), ("timeseries", h5py.ref_dtype)])
    for row, part in enumerate([(0, 50, paused.ref), (50, 50, paused.ref), (7, 1, rounded.ref), (-1, -1, rounded.ref)]):
        parts[row] = part
    typed(trials.create_dataset("timeseries", data=parts), "TimeSeriesReferenceVectorData")
    typed(trials.create_dataset("timeseries_index", data=np.array([1, 3, 4], "u1")), "VectorIndex")

with h5py.File(f"{folder}/series.nwb", "w") as file:
    file.attrs["nwb_version"] = "2.7.0"
    file["identifier"], file["session_start_time"] = "series", "2026-01-02T03:04:05+00:00"
    file["specifications/pose/1.0/pose"] = '{"groups":[{"neurodata_type_def":"PoseEstimationSeries","neurodata_type_inc":"SpatialSeries"}]}'

    def series(path, kind, data, times, **beside):
        own = typed(file.create_group(path), kind)
        own["data"], own["timestamps"] = data, np.asarray(times)
        own["data"].attrs["unit"] = "V"
        for name, values in beside.items():
            own[name] = values
        return own

    series("acquisition/transposed", "TimeSeries", np.arange(100.0).reshape(2, 50), np.arange(50) / 10)
    series("acquisition/short", "TimeSeries", np.arange(6.0).reshape(3, 2), [0.0, 0.1, 0.2, 0.3])
    scaled = series("acquisition/scaled", "TimeSeries", np.array([[1, 2], [3, 4], [5, 6]], "<i2"), [0.0, 0.5, 1.0], channel_conversion=[1.0, 2.0])
    scaled["data"].attrs["conversion"], scaled["data"].attrs["offset"] = 0.25, 1.0
    series("acquisition/controlled", "TimeSeries", [1.0, 2.0, 3.0], [0.0, 0.5, 1.0], control=np.array([0, 1, 0], "u1"), control_description=["a", "b"])
    series("processing/behavior/pose/nose", "PoseEstimationSeries", np.arange(8.0).reshape(4, 2), np.arange(4) / 50, confidence=[0.5, 1.0, 0.25, 0.75])
    series("processing/behavior/epochs/run", "IntervalSeries", np.array([1, 2, -1, -2, 1], "i1"), [0.0, 1.0, 1.5, 4.0, 9.0])
    series("processing/behavior/epochs/odd", "IntervalSeries", np.array([-1, 1], "i1"), [0.0, 7.0])

# As netCDF-4 has packed values, and complex numbers as h5py has them.
with h5py.File(f"{folder}/packed_values.h5", "w") as file:
    lfp = file.create_dataset("lfp", data=np.array([[53, -90], [-32768, 7]], "<i2"))
    for name, value in {"scale_factor": np.array([0.01]), "add_offset": np.array([1.0]), "_FillValue": np.array([-32768], "<i2"), "units": "uV"}.items():
        lfp.attrs[name] = value
    file["gap"] = np.array([1.5, -999.0], "<f4")
    file["gap"].attrs["missing_value"] = np.float32(-999)
    file["byte"] = np.array([-2, 3, -1], "i1")
    file["byte"].attrs["_Unsigned"], file["byte"].attrs["scale_factor"] = "true", 0.5
    file["volts"] = np.array([3, 4], "<i2")
    file["volts"].attrs["conversion"], file["volts"].attrs["offset"], file["volts"].attrs["unit"] = 1e-6, 0.5, "V"
    file["offset"] = np.array([3, 4], "<i2")
    file["offset"].attrs["offset"] = 2.0
    file["line"] = np.array([1 + 2j, 3 - 4j])
    file["plane"] = np.array([[1 + 2j]], "<c8")
    file["words"] = ["a", "b"]

with h5py.File(f"{folder}/small.mat", "w", userblock_size=512) as file:
    def put(group, name, values, kind, **attributes):
        own = group.create_dataset(name, data=np.asarray(values).T)
        own.attrs["MATLAB_class"] = np.bytes_(kind)
        for key, value in attributes.items():
            own.attrs[key] = value
        return own

    refs = file.create_group("#refs#")
    put(file, "m", [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "double")
    put(file, "flag", np.array([[1, 0]], "u1"), "logical", MATLAB_int_decode=np.int32(1))
    put(file, "word", np.array([[ord(c) for c in "grün"]], "u2"), "char", MATLAB_int_decode=np.int32(2))
    put(file, "none", np.array([0, 3], "u8"), "double", MATLAB_empty=np.uint8(1))
    put(refs, "a", [[7.0]], "double"), put(refs, "b", np.array([[ord("x")]], "u2"), "char")
    cell = file.create_dataset("cell", data=np.array([[refs["a"].ref, refs["b"].ref]], dtype=object).T, dtype=h5py.ref_dtype)
    cell.attrs["MATLAB_class"] = np.bytes_("cell")
    many = file.create_group("many")
    many.attrs["MATLAB_class"] = np.bytes_("struct")
    many.create_dataset("f", data=np.array([[refs["a"].ref, refs["b"].ref]], dtype=object).T, dtype=h5py.ref_dtype)
    sparse = file.create_group("sparse")
    sparse.attrs["MATLAB_class"], sparse.attrs["MATLAB_sparse"] = np.bytes_("double"), np.uint64(3)
    sparse["data"], sparse["ir"], sparse["jc"] = np.array([5.0, 6.0]), np.array([2, 0], "u8"), np.array([0, 1, 2], "u8")
with open(f"{folder}/small.mat", "r+b") as raw:
    raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Nov 30 11:00:00 2026 HDF5 schema 1.00 .".ljust(116) + bytes(8) + b"\x00\x02IM")

# The same values as MATLAB 5 and as MATLAB 7.3 has them, in the order of their names.
import scipy.io  # noqa: E402
import scipy.sparse  # noqa: E402


def cells(rows):
    own = np.empty((len(rows), len(rows[0])), dtype=object)
    for (row, column), _ in np.ndenumerate(own):
        own[row, column] = rows[row][column]
    return own


structs = np.empty((1, 3), dtype=[("name", object), ("part", object), ("x", object)])
for number in range(3):
    structs[0, number] = (f"unit {number}", np.arange(number + 1.0)[None] + 1, np.array([[number, 10.0 * number]]))
values = {
    "chars": np.array(["ab ", "cde"]),
    "empty": np.zeros((0, 3)),
    "flags": np.array([[True, False, True]]),
    "grid": np.arange(24, dtype="i2").reshape(2, 3, 4),
    "large": np.array([[2**63]], "u8"),
    "list": cells([[1.5, 2.5, -3.0]]),
    "matrices": cells([[np.arange(6.0).reshape(2, 3) + 10 * column + 100 * row for column in range(2)] for row in range(3)]),
    "mixed": cells([[np.arange(3.0)[None], "text", cells([[1.0, np.eye(2)]])]]),
    "nothing": "",
    "number": 250.5,
    "one": cells([[np.arange(4.0).reshape(2, 2)]]),
    "session": {"rate": 30000.0, "trials": cells([[1.0], [2.0]]), "units": structs},
    "sparse": scipy.sparse.csc_matrix(np.array([[0, 5.0], [0, 0], [7.0, 0]])),
    "units": structs,
    "whole": np.array([[-5, 2**40]], "i8"),
    "words": cells([["left"], ["right"]]),
}
scipy.io.savemat(f"{folder}/values5.mat", values, oned_as="row")

with h5py.File(f"{folder}/values73.mat", "w", userblock_size=512) as file:
    refs = file.create_group("#refs#")
    free = itertools.count()
    names = {"f8": "double", "i2": "int16", "i8": "int64", "u8": "uint64"}

    def given(own, kind, **attributes):
        own.attrs["MATLAB_class"] = np.bytes_(kind)
        for name, value in attributes.items():
            own.attrs[name] = value

    def referred(group, name, objects):
        def reference(value):
            key = f"r{next(free)}"
            store(refs, key, value)
            return refs[key].ref
        out = np.empty(objects.shape, dtype=object)
        for place, value in np.ndenumerate(objects):
            out[place] = reference(value)
        return group.create_dataset(name, data=out.T, dtype=h5py.ref_dtype)

    def store(group, name, value):
        if isinstance(value, dict):
            own = group.create_group(name)
            given(own, "struct")
            for key, inner in value.items():
                store(own, key, inner)
        elif isinstance(value, str) and value == "":
            given(group.create_dataset(name, data=np.array([0, 0], "u8")), "char", MATLAB_empty=np.uint8(1))
        elif isinstance(value, str):
            store(group, name, np.array([value]))
        elif scipy.sparse.issparse(value):
            own = group.create_group(name)
            given(own, "double", MATLAB_sparse=np.uint64(value.shape[0]))
            own["data"], own["ir"], own["jc"] = value.data, value.indices.astype("u8"), value.indptr.astype("u8")
        elif getattr(value, "dtype", None) is not None and value.dtype.names:
            own = group.create_group(name)
            given(own, "struct")
            for field in value.dtype.names:
                referred(own, field, value[field])
        elif getattr(value, "dtype", None) == object:
            given(referred(group, name, value), "cell")
        else:
            value = np.atleast_2d(value)
            if value.dtype.kind == "U":
                codes = np.array([[ord(letter) for letter in row.ljust(value.dtype.itemsize // 4)] for row in value.ravel()], "u2")
                given(group.create_dataset(name, data=codes.T), "char", MATLAB_int_decode=np.int32(2))
            elif value.size == 0:
                given(group.create_dataset(name, data=np.array(value.shape, "u8")), "double", MATLAB_empty=np.uint8(1))
            elif value.dtype == bool:
                given(group.create_dataset(name, data=value.T.astype("u1")), "logical", MATLAB_int_decode=np.int32(1))
            else:
                given(group.create_dataset(name, data=value.T), names[value.dtype.str[1:]])

    for name, value in values.items():
        store(file, name, value)
with open(f"{folder}/values73.mat", "r+b") as raw:
    raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Nov 30 11:00:00 2026 HDF5 schema 1.00 .".ljust(116) + bytes(8) + b"\x00\x02IM")

# Virtual datasets, each beside a copy of its values as h5py reads them, `plain/NAME`.
for name, low, high in (("virtual_early", "earliest", "v112"), ("virtual_late", "v110", "v114")):
    with h5py.File(f"{folder}/{name}.h5", "w", libver=(low, high)) as file:
        for number in (0, 1, 3):
            file.create_dataset(f"in/d{number}", data=np.arange(50, dtype="<i2") + 1000 * number, chunks=(33,), compression="gzip")
        file.create_dataset("in/m", data=np.arange(60.0).reshape(6, 10))
        matrix = h5py.VirtualSource(file["in/m"])

        def virtual(name, shape, kind, parts, **options):
            layout = h5py.VirtualLayout(shape=shape, dtype=kind)
            for place, source in parts:
                layout[place] = source
            file.create_virtual_dataset(name, layout, **options)

        # One source is missing.
        sources = [h5py.VirtualSource(".", f"in/d{number}", shape=(50,), dtype="<i2") for number in range(4)]
        virtual("rows", (4, 50), "<i2", enumerate(sources), fillvalue=-7)
        virtual("columns", (50, 4), "<i2", [((slice(None), number), source) for number, source in enumerate(sources)], fillvalue=-7)
        virtual("steps", (12, 10), "<f8", [
            (slice(None, None, 2), matrix), ((slice(1, None, 4), slice(1, 9, 3)), matrix[:3, 2:8:2]),
        ], fillvalue=np.nan)
        virtual("another_shape", (30,), "<f8", [(slice(3, 23), matrix[1:5, ::2])], fillvalue=-1)
        virtual("listed", (6, 12), "<f8", [((slice(None), [0, 1, 4, 7, 11]), matrix[:, [1, 2, 3, 5, 9]])], fillvalue=-2)
        virtual("nothing", (3, 4), "<f8", [], fillvalue=3)
        virtual("of_virtual", (2, 50), "<i2", [(slice(None), h5py.VirtualSource(file["rows"])[1:4:2])])
        virtual("elsewhere", (2, 50), "<i2", [(0, sources[0]), (1, h5py.VirtualSource("../other.h5", "x", shape=(50,), dtype="<i2"))])
        virtual("itself", (4,), "<i2", [(slice(None), h5py.VirtualSource(".", "itself", shape=(4,), dtype="<i2"))])
        for own in ("rows", "columns", "steps", "another_shape", "listed", "nothing", "of_virtual"):
            file[f"plain/{own}"] = file[own][...]

# The filter szip, beside the same values without it. Rows of 18 pixels are filled up to whole blocks.
with h5py.File(f"{folder}/szip.h5", "w", libver="latest") as file:
    dice, n = np.random.default_rng(4), 40 * 18
    shapes = {"ramp": np.arange(n) // 7, "zeros": np.zeros(n), "noise": dice.integers(0, 120, n), "small": dice.integers(0, 3, n),
              "sparse": np.where(dice.random(n) < 0.01, 99, 0)}
    for kind, coding, pixels in (("<i1", "nn", 8), ("<u2", "ec", 4), (">i2", "nn", 16), ("<i4", "nn", 8), (">f8", "ec", 16), ("<f4", "nn", 2)):
        for name, data in shapes.items():
            data = data.astype(kind).reshape(40, 18)
            own = file.create_dataset(f"szip/{kind[1:]}/{name}", data=data, chunks=(17, 18), compression="szip", compression_opts=(coding, pixels))
            file[f"plain/{kind[1:]}/{name}"] = data
            assert (own[...] == data).all()

# Pictures and a workbook of a few hundred bytes each, where a fuzzer begins.
import PIL.Image  # noqa: E402
import tifffile  # noqa: E402
import xlwt  # noqa: E402

small = f"{folder}/small"
grey = (np.arange(35 * 9) % 251).astype("u1").reshape(9, 35)
colours = np.stack([grey, grey[::-1], 255 - grey], axis=-1)
PIL.Image.fromarray(grey.astype("u2") * 257).save(f"{small}/deep.png")
PIL.Image.fromarray(colours).quantize(16).save(f"{small}/palette.png")
PIL.Image.fromarray(np.dstack([colours, grey])).save(f"{small}/alpha.png")
PIL.Image.fromarray(colours).save(f"{small}/colours.jpg", quality=50)
PIL.Image.fromarray(grey).save(f"{small}/progressive.jpg", quality=50, progressive=True)
pages = np.stack([grey, grey + 1])
tifffile.imwrite(f"{small}/lzw.tif", grey, compression="lzw", predictor=True)
tifffile.imwrite(f"{small}/deflate.tif", colours, compression="deflate")
tifffile.imwrite(f"{small}/packbits.tif", pages, compression="packbits", photometric="minisblack")
tifffile.imwrite(f"{small}/tiles.tif", pages.astype("f4"), tile=(16, 16), bigtiff=True, photometric="minisblack")
tifffile.imwrite(f"{small}/imagej.tif", pages.astype("u2"), imagej=True, metadata={"axes": "TYX"})
book = xlwt.Workbook()
sheet = book.add_sheet("One")
for row, values in enumerate([("unit", "rate", "good"), ("a", 1.5, True), ("b", 2, False), ("ü", -1e300, True)]):
    for column, value in enumerate(values):
        sheet.write(row, column, value)
sheet.write(1, 3, __import__("datetime").datetime(2020, 1, 31), xlwt.easyxf(num_format_str="yyyy-mm-dd"))
sheet.write(2, 3, xlwt.Formula("B2*2"))
book.save(f"{small}/book.xls")
