"""MATLAB 7.3 files in the layout that MATLAB uses, made with h5py, and what the package mat73 reads in them.

    mat73_values.py generate FOLDER    writes values.mat
    mat73_values.py facts FILE …       prints variables as mat73 reads them
"""
import hashlib
import json
import os
import sys

import h5py
import numpy as np


def generate(folder):
    os.makedirs(folder, exist_ok=True)
    path = f"{folder}/values.mat"
    random = np.random.default_rng(5)
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")
        count = [0]

        def put(group, name, values, kind, **attributes):
            data = group.create_dataset(name, data=np.asarray(values).T)
            data.attrs["MATLAB_class"] = np.bytes_(kind)
            for key, value in attributes.items():
                data.attrs[key] = value
            return data

        def empty(group, name, kind, dims):
            data = group.create_dataset(name, data=np.array(dims, "u8"))
            data.attrs["MATLAB_class"] = np.bytes_(kind)
            data.attrs["MATLAB_empty"] = np.uint8(1)
            return data

        def text(group, name, words):
            return put(group, name, np.array([[ord(c) for c in word] for word in words], "u2"), "char", MATLAB_int_decode=np.int32(2))

        def ref(make):
            count[0] += 1
            return make(refs, f"a{count[0]}").ref

        for kind, name in [("f8", "double"), ("f4", "single"), ("i1", "int8"), ("u1", "uint8"), ("i2", "int16"), ("u2", "uint16"), ("i4", "int32"), ("u4", "uint32"), ("i8", "int64"), ("u8", "uint64")]:
            put(file, f"v_{name}", (random.random((3, 4, 2)) * 100).astype(kind), name)
        put(file, "flag", np.array([[1, 0, 1]], "u1"), "logical", MATLAB_int_decode=np.int32(1))
        pair = np.zeros((2, 2), [("real", "f8"), ("imag", "f8")])
        pair["real"], pair["imag"] = random.normal(size=(2, 2)), random.normal(size=(2, 2))
        put(file, "complex", pair, "double")
        text(file, "word", ["grübel"])
        text(file, "words", ["abc", "xyz"])
        empty(file, "none", "double", [0, 0])
        empty(file, "notext", "char", [0, 0])
        cell = np.empty((2, 2), object)
        cell[0, 0], cell[1, 0] = ref(lambda g, n: put(g, n, [[1.5]], "double")), ref(lambda g, n: text(g, n, ["hi"]))
        cell[0, 1], cell[1, 1] = ref(lambda g, n: empty(g, n, "double", [0, 0])), ref(lambda g, n: put(g, n, random.random((2, 3)), "double"))
        data = file.create_dataset("cell", data=cell.T, dtype=h5py.ref_dtype)
        data.attrs["MATLAB_class"] = np.bytes_("cell")
        names = np.empty(2, object)
        names[0], names[1] = np.array([b"x"], "S1"), np.array([b"n", b"m"], "S1")
        one = file.create_group("one")
        one.attrs["MATLAB_class"] = np.bytes_("struct")
        one.attrs.create("MATLAB_fields", names, dtype=h5py.vlen_dtype(np.dtype("S1")))
        put(one, "x", [[1.0, 2.0]], "double")
        text(one, "nm", ["inner"])
        many = file.create_group("many")
        many.attrs["MATLAB_class"] = np.bytes_("struct")
        for field in "x", "nm":
            own = np.empty((3, 1), object)
            for number in range(3):
                own[number, 0] = ref(lambda g, n: put(g, n, [[number + 0.5]], "double")) if field == "x" else ref(lambda g, n: text(g, n, [f"e{number}"]))
            many.create_dataset(field, data=own.T, dtype=h5py.ref_dtype)
        sparse = file.create_group("sparse")
        sparse.attrs["MATLAB_class"], sparse.attrs["MATLAB_sparse"] = np.bytes_("double"), np.uint64(4)
        sparse["data"], sparse["ir"], sparse["jc"] = np.array([1.0, 2.0, 3.0]), np.array([0, 3, 1], "u8"), np.array([0, 2, 2, 3], "u8")
        big = file.create_dataset("big", data=random.random((50, 60)), chunks=(10, 60), compression="gzip")
        big.attrs["MATLAB_class"] = np.bytes_("double")
        handle = file.create_dataset("handle", data=np.zeros(2, "u4"))
        handle.attrs["MATLAB_class"], handle.attrs["MATLAB_object_decode"] = np.bytes_("string"), np.int32(3)
    with open(path, "r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Nov 30 11:00:00 2026 HDF5 schema 1.00 .".ljust(116) + bytes(8) + b"\x00\x02IM")


def shown(value):
    if isinstance(value, dict):
        return {name: shown(own) for name, own in value.items()}
    if isinstance(value, list):
        return [shown(own) for own in value]
    if value is None or isinstance(value, str):
        return value or ""
    if hasattr(value, "toarray"):
        value = value.toarray()
    value = np.asarray(value)
    if value.dtype == object:
        return [shown(own) for own in value.reshape(-1, order="F")]
    if np.iscomplexobj(value):
        return [shown(value.real), shown(value.imag)]
    return hashlib.sha256(value.astype("<f8").tobytes(order="F")).hexdigest()


if __name__ == "__main__":
    if sys.argv[1] == "generate":
        generate(sys.argv[2])
    else:
        import mat73
        for path in sys.argv[2:]:
            for name, value in mat73.loadmat(path).items():
                print(json.dumps({"variable": name, "value": shown(value)}, ensure_ascii=False))
