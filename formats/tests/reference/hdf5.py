"""Facts on HDF5 files as h5py reads them, one JSON line for each dataset, and small files of every variant.

    hdf5.py facts FILE …       prints what `cargo run -p neuroflow-formats --example hdf5_facts -- FILE …` prints
    hdf5.py generate FOLDER    writes files that use every layout, index, filter and type
"""
import hashlib
import json
import os
import sys

import h5py
try:
    import hdf5plugin
except ImportError:
    hdf5plugin = None
import numpy as np


def numbers(values):
    values = np.ascontiguousarray(np.asarray(values).astype("<f8"))
    return hashlib.sha256(values.tobytes()).hexdigest()


def text(value, file):
    if isinstance(value, h5py.Reference):
        return file[value].name if value else ""
    if isinstance(value, h5py.h5r.RegionReference):
        return file[value].name if value else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def texts(values, file):
    return hashlib.sha256("\n".join(text(value, file) for value in values).encode()).hexdigest()


def digest(values, dtype, file):
    flat = np.asarray(values, dtype=object if dtype == object else None).reshape(-1)
    if h5py.check_string_dtype(dtype) is not None or h5py.check_ref_dtype(dtype) is not None:
        return texts(flat, file)
    if h5py.check_vlen_dtype(dtype) is not None:
        base = h5py.check_vlen_dtype(dtype)
        return numbers(np.concatenate([np.asarray(v, dtype=base) for v in flat]) if len(flat) else [])
    enum = h5py.check_enum_dtype(dtype)
    if enum is not None:
        names = {value: name for name, value in enum.items()}
        return texts([names[value] for value in flat], file)
    if dtype.kind == "V" and dtype.names is None:
        return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    if dtype.kind == "c":
        return numbers(np.ascontiguousarray(values).view(values.real.dtype))
    return numbers(flat)


def lines(path):
    with h5py.File(path, "r") as file:
        seen = set()
        stack = [(file, "")]
        while stack:
            group, prefix = stack.pop(0)
            address = h5py.h5o.get_info(group.id).addr
            if address in seen:
                continue
            seen.add(address)
            below = []
            for name in group:
                link = group.get(name, getlink=True)
                own = f"{prefix}/{name}" if prefix else name
                if isinstance(link, h5py.ExternalLink):
                    continue
                try:
                    item = group[name]
                except Exception:
                    continue
                if isinstance(item, h5py.Group):
                    below.append((item, own))
                elif isinstance(item, h5py.Dataset) and item.shape:
                    unit = item.attrs.get("unit", item.attrs.get("units", ""))
                    unit = unit if isinstance(unit, str) else unit.decode() if isinstance(unit, bytes) else ""
                    facts = {"file": os.path.basename(path), "item": own, "shape": list(item.shape)}
                    if item.dtype.names and item.dtype.kind == "V" and len(item.shape) == 1:
                        for member in item.dtype.names:
                            values = item[member]
                            if item.dtype[member].names is None:
                                yield {**facts, "unit": "", "member": member, "sha256": digest(values, item.dtype[member].base, file)}
                    elif not item.dtype.names or item.dtype.kind == "c":
                        yield {**facts, "unit": unit, "member": "", "sha256": digest(item[...], item.dtype, file)}
            stack = below + stack


def generate(folder):
    os.makedirs(folder, exist_ok=True)
    random = np.random.default_rng(7)
    kinds = ["<f8", ">f8", "<f4", ">f4", "<f2", ">f2", "i1", "u1", "<i2", ">i2", "<u2", "<i4", ">u4", "<i8", ">i8", "<u8"]
    for low, high in [("earliest", "v108"), ("earliest", "latest"), ("v108", "v110"), ("v110", "latest"), ("v112", "v112"), ("latest", "latest")]:
        for block in (0, 512, 1024):
            try:
                file = h5py.File(f"{folder}/{low}_{high}_{block}.h5", "w", libver=(low, high), userblock_size=block)
            except (ValueError, KeyError):
                continue
            with file:
                for kind in kinds:
                    file[f"types/{kind.replace('<', 'le_').replace('>', 'be_')}"] = (random.normal(size=(5, 7)) * 50).astype(kind)
                words = ["a", "übung", "", "a longer one " * 3]
                file.create_dataset("text/variable", data=words, dtype=h5py.string_dtype())
                file.create_dataset("text/fixed", data=[w.encode() for w in words], dtype="S50")
                file.create_dataset("text/utf8", data=[w.encode() for w in words], dtype=h5py.string_dtype("utf-8", 50))
                file["text/single"] = "one"
                file["bool"] = np.array([True, False, True])
                file.create_dataset("enum", data=np.array([1, 0, 2], "i2"), dtype=h5py.enum_dtype({"red": 0, "green": 1, "blue": 2}, basetype="i2"))
                table = np.zeros(6, dtype=[("x", "<f4"), ("n", "i8"), ("s", "S3"), ("v", "<f8", (2, 3)), ("ref", h5py.ref_dtype), ("t", h5py.string_dtype()),
                                           ("in", [("p", "u1"), ("q", ">i4")])])
                table["x"], table["n"], table["s"], table["v"] = random.normal(size=6), range(6), b"ab", random.normal(size=(6, 2, 3))
                table["ref"], table["t"] = [file["bool"].ref] * 6, ["ä" * i for i in range(6)]
                file["table"] = table
                lists = file.create_dataset("lists", (3,), dtype=h5py.vlen_dtype("<i4"))
                lists[0], lists[1], lists[2] = [1, 2, 3], [], [4]
                refs = file.create_dataset("refs", (3,), dtype=h5py.ref_dtype)
                refs[0], refs[2] = file["types"].ref, file["table"].ref
                file.create_dataset("regions", (1,), dtype=h5py.regionref_dtype)[0] = file["lists"].regionref[1:2]
                file["opaque"] = np.array([b"abcd", b"efgh"], dtype="V4")
                file["complex"] = random.normal(size=4) + 1j * random.normal(size=4)
                file["empty"] = np.zeros((0, 4))
                file["null"] = h5py.Empty("f8")
                file["scalar"] = 4.5
                file["arrays"] = np.zeros(3, dtype=("<f4", (2,)))
                file["committed"] = np.dtype("<i4")
                file.create_dataset("of_committed", data=[1, 2, 3], dtype=file["committed"])
                file["soft"], file["dangling"] = h5py.SoftLink("/types/i1"), h5py.SoftLink("/nowhere")
                file["external"] = h5py.ExternalLink("other.h5", "/x")
                file["hard"] = file["table"]
                file["types/up"] = file["/"]
                data = (np.cumsum(random.normal(size=(57, 43)), axis=0) * 100).astype("<f4")
                shape, free = data.shape, {"maxshape": (None, 43)}
                for name, options in {
                    "plain": {}, "one": {"chunks": shape}, "one_gzip": {"chunks": shape, "compression": "gzip"}, "fixed": {"chunks": (10, 8)},
                    "fixed_gzip": {"chunks": (10, 8), "compression": "gzip", "shuffle": True}, "many": {"chunks": (1, 2), "compression": "lzf"},
                    "free": {"chunks": (4, 9), **free}, "free_gzip": {"chunks": (1, 1), "compression": "gzip", **free},
                    "free_second": {"chunks": (4, 3), "maxshape": (57, None)}, "free_both": {"chunks": (7, 5), "maxshape": (None, None)},
                    "free_both_gzip": {"chunks": (1, 3), "maxshape": (None, None), "compression": 9, "fletcher32": True},
                    "fletcher": {"chunks": (9, 9), "fletcher32": True, "shuffle": True}, "limited": {"chunks": (4, 9), "maxshape": (100, 50)},
                    "scaled": {"chunks": (9, 9), "scaleoffset": 3},
                }.items():
                    file.create_dataset(f"chunks/{name}", data=data, **options)
                whole = (data * 10).astype("<i4")
                file.create_dataset("chunks/scaled_int", data=whole, chunks=(9, 9), scaleoffset=0)
                file.create_dataset("chunks/scaled_u1", data=(whole % 7).astype("u1"), chunks=(9, 9), scaleoffset=0)
                file.create_dataset("chunks/scaled_big", data=(whole % 70).astype(">i2"), chunks=(9, 9), scaleoffset=0, fillvalue=-3)
                file.create_dataset("chunks/scaled_f8", data=data.astype("f8"), chunks=(9, 9), scaleoffset=2)
                file.create_dataset("chunks/cube", data=random.integers(0, 99, (9, 8, 7, 3)), chunks=(2, 3, 4, 3), compression="gzip", maxshape=(None, 8, None, 3))
                file.create_dataset("chunks/words", data=np.array(words * 5, dtype=object), chunks=(3,), dtype=h5py.string_dtype(), maxshape=(None,))
                file.create_dataset("fill/none", (4, 4), dtype="i4")
                file.create_dataset("fill/seven", (40, 4), dtype="i4", fillvalue=7, chunks=(3, 3))[5:9, 1] = 1
                shrunk = file.create_dataset("fill/shrunk", data=np.arange(100.0), chunks=(7,), maxshape=(None,))
                shrunk.resize((31,))
                grown = file.create_dataset("fill/grown", data=np.arange(10.0), chunks=(4,), maxshape=(None,), fillvalue=np.nan)
                grown.resize((23,))
                early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                early.set_chunk((4, 4))
                early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
                own = h5py.h5d.create(file.id, b"chunks/implicit", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(shape), early)
                own.write(h5py.h5s.ALL, h5py.h5s.ALL, data)
                compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                compact.set_layout(h5py.h5d.COMPACT)
                own = h5py.h5d.create(file.id, b"compact", h5py.h5t.STD_I32BE, h5py.h5s.create_simple((3, 4)), compact)
                own.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(12, dtype=">i4").reshape(3, 4))
                narrow = h5py.h5t.STD_I32LE.copy()
                narrow.set_precision(11)
                narrow.set_offset(5)
                own = h5py.h5d.create(file.id, b"narrow", narrow, h5py.h5s.create_simple((9,)))
                own.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(-4, 5, dtype="i4") * 100)
                file["long"] = np.array([1.5, -2.25, 1e300, 0], dtype=np.longdouble)
                big = file.create_group("big", track_order=True)
                for number in range(60):
                    big[f"child {59 - number}"] = number
                for number in range(500):
                    file[f"wide/name{number}"] = np.full(2, number)
                for number in range(40):
                    file["wide"].attrs[f"attribute {number}"] = number
                if low != "earliest":
                    file["wide"].attrs["huge"] = np.arange(20000.0)
                file["bool"].attrs["unit"] = "volts"
                file["bool"].attrs["list"] = ["a", "b"]
                file["bool"].attrs["ref"] = file["table"].ref
                file["bool"].attrs["empty"] = h5py.Empty("S1")
    with h5py.File(f"{folder}/paged.h5", "w", fs_strategy="page", fs_persist=True, libver="latest") as file:
        file.create_dataset("x", data=np.arange(100000), chunks=(10,), maxshape=(None,))
        file.create_dataset("y", data=np.arange(40000), chunks=(1,), compression="gzip", maxshape=(None,))
        file.create_dataset("z", data=np.arange(40000), chunks=(1,), compression="gzip")
    with h5py.File(f"{folder}/tracked.h5", "w", track_order=True, libver="latest") as file:
        for name in "zebra", "ant", "mouse":
            file.create_dataset(name, data=[1, 2], track_order=True)
            for number in range(12):
                file[name].attrs[f"{9 - number % 10} {number}"] = number
    if hdf5plugin is not None:
        with h5py.File(f"{folder}/plugins.h5", "w") as file:
            values = np.cumsum(random.integers(-3, 4, (300, 50)), axis=0).astype("<i4")
            file.create_dataset("zstd", data=values, chunks=(64, 50), **hdf5plugin.Zstd())
            file.create_dataset("lz4", data=values, chunks=(64, 50), **hdf5plugin.LZ4())
            file.create_dataset("lz4_blocks", data=values, chunks=(64, 50), **hdf5plugin.LZ4(nbytes=2048))
    else:
        print("no hdf5plugin: files with zstd and lz4 are not made", file=sys.stderr)


if __name__ == "__main__":
    if sys.argv[1] == "generate":
        generate(sys.argv[2])
    else:
        for path in sys.argv[2:]:
            for line in lines(path):
                print(json.dumps(line, sort_keys=True, ensure_ascii=False))
