"""Writes small files of every variant that the readers of images, volumes, tables, graphs and arrays know, with the reference packages.

    python volumes_samples.py FOLDER
"""
import gzip, os, sys
import numpy as np

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
rng = np.random.default_rng(7)
p = lambda name: os.path.join(out, name)


def nifti():
    import nibabel as nb
    base = rng.integers(0, 100, (5, 6, 7, 9))
    for dtype in ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]:
        for order in "<>":
            data = base.astype(order + dtype) if dtype != "i1" else (base - 50).astype("i1")
            header = nb.Nifti1Header(endianness=order)
            header.set_data_dtype(np.dtype(order + dtype))
            image = nb.Nifti1Image(data, None, header)
            image.header.set_xyzt_units("mm", "msec")
            image.header.set_zooms((2.0, 2.5, 3.0, 1350.0))
            q = nb.eulerangles.euler2mat(0.1, -0.2, 0.3)
            affine = np.eye(4)
            affine[:3, :3] = q @ np.diag([2.0, 2.5, 3.0])
            affine[:3, 3] = [1, 2, 3]
            image.header.set_qform(affine, 1)
            nb.save(image, p(f"n1_{dtype}_{'le' if order == '<' else 'be'}.nii"))
    scaled = nb.Nifti1Image(base.astype("i2"), np.diag([1, 2, 3, 1.0]))
    scaled.header.set_slope_inter(0.1, -3.3)
    raw = scaled.to_bytes()
    nb.Nifti1Image.from_bytes(raw)
    # nibabel resets the slope when it writes, so it is put into the bytes.
    def with_scale(raw, slope, inter):
        import struct
        raw = bytearray(raw)
        raw[112:120] = struct.pack("<ff", slope, inter)
        return bytes(raw)
    for name, slope, inter in [("scaled", 0.1, -3.3), ("zero_slope", 0.0, 5.0), ("nan_slope", float("nan"), 1.0), ("slope_only", 2.5, 0.0), ("inter_only", 1.0, 7.0)]:
        open(p(f"n1_{name}.nii"), "wb").write(with_scale(raw, slope, inter))
        with gzip.open(p(f"n1_{name}_gz.nii.gz"), "wb") as file:
            file.write(with_scale(raw, slope, inter))
    two = nb.Nifti2Image(base.astype("f4"), np.diag([1, 2, 3, 1.0]))
    two.header.extensions.append(nb.nifti1.Nifti1Extension("comment", b"hello there"))
    nb.save(two, p("n2.nii"))
    nb.save(two, p("n2_gz.nii.gz"))
    pair = nb.Nifti1Pair(base.astype("i2"), np.diag([3, 2, 3, 1.0]))
    nb.save(pair, p("pair.hdr"))
    nb.save(nb.Nifti1Image(rng.random((4, 5)), None), p("n1_2d.nii"))
    nb.save(nb.Nifti1Image(rng.random((3, 4, 5, 1, 2)), np.eye(4)), p("n1_5d.nii"))
    rgb = rng.integers(0, 255, (4, 3, 2, 3), dtype="u1").copy().view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    nb.save(nb.Nifti1Image(rgb, np.eye(4)), p("n1_rgb.nii"))
    nb.save(nb.Nifti1Image(rng.random((64, 64, 30, 20)).astype("f4"), np.eye(4)), p("n1_large.nii"))


def gifti():
    import nibabel as nb
    from nibabel import gifti as g
    points = rng.random((20, 3)).astype("f4")
    triangles = rng.integers(0, 20, (30, 3)).astype("i4")
    for encoding in ["ASCII", "B64BIN", "B64GZ"]:
        image = g.GiftiImage(meta=g.GiftiMetaData({"Subject": "s & one"}))
        for data, intent in [(points, "NIFTI_INTENT_POINTSET"), (triangles, "NIFTI_INTENT_TRIANGLE"), (points[:, 0].copy(), "NIFTI_INTENT_SHAPE"), (points[:, 1].copy(), "NIFTI_INTENT_SHAPE")]:
            array = g.GiftiDataArray(data, intent=intent, encoding="GIFTI_ENCODING_" + encoding)
            image.add_gifti_data_array(array)
        label = g.GiftiLabel(key=1, red=0.5, green=0.25, blue=1, alpha=1)
        label.label = "V1"
        image.labeltable.labels.append(label)
        nb.save(image, p(f"surface_{encoding}.gii"))


def pictures():
    import tifffile
    from PIL import Image, PngImagePlugin
    grey = rng.integers(0, 255, (20, 30), dtype="u1")
    rgb = rng.integers(0, 255, (20, 30, 3), dtype="u1")
    rgba = rng.integers(0, 255, (20, 30, 4), dtype="u1")
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "made by hand")
    info.add_itxt("Title", "Größe")
    Image.fromarray(grey).save(p("grey.png"), pnginfo=info)
    Image.fromarray(rgb).save(p("rgb.png"))
    Image.fromarray(rgba).save(p("rgba.png"))
    Image.fromarray(rng.integers(0, 65535, (20, 30), dtype="u2")).save(p("grey16.png"))
    Image.fromarray(rgb).quantize(16).save(p("palette.png"))
    Image.fromarray(grey > 100).save(p("bits.png"))
    Image.fromarray(np.stack([grey, 255 - grey], -1), "LA").save(p("greyalpha.png"))
    smooth = np.clip(np.add.outer(np.arange(64) * 2, np.arange(96)), 0, 255).astype("u1")
    Image.fromarray(smooth).save(p("grey.jpg"), quality=90)
    Image.fromarray(np.stack([smooth, smooth[::-1], smooth[:, ::-1]], -1)).save(p("rgb444.jpg"), quality=90, subsampling=0)
    Image.fromarray(np.stack([smooth, smooth[::-1], smooth[:, ::-1]], -1)).save(p("rgb420.jpg"), quality=90)
    for dtype in ["u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"]:
        stack = (rng.random((5, 16, 24)) * 100).astype(dtype)
        tifffile.imwrite(p(f"stack_{dtype}.tif"), stack, photometric="minisblack")
    stack = rng.integers(0, 4000, (6, 40, 50), dtype="u2")
    tifffile.imwrite(p("stack_lzw.tif"), stack, compression="zlib", photometric="minisblack")
    tifffile.imwrite(p("stack_be.tif"), stack, byteorder=">", photometric="minisblack")
    tifffile.imwrite(p("stack_big.tif"), stack, bigtiff=True, photometric="minisblack")
    tifffile.imwrite(p("stack_tiled.tif"), stack, tile=(16, 16), photometric="minisblack", compression="zlib")
    tifffile.imwrite(p("imagej.tif"), stack, imagej=True, resolution=(2.5, 2.5), metadata={"finterval": 0.1, "unit": "um"})
    tifffile.imwrite(p("rgb.tif"), rgb, photometric="rgb")
    Image.fromarray(grey).save(p("lzw.tif"), compression="tiff_lzw")
    Image.fromarray(grey).save(p("packbits.tif"), compression="packbits")


def sheets():
    import datetime
    import openpyxl
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Plain table"
    sheet.append(["name", "count", "ratio", "good", "when"])
    for row in range(50):
        sheet.append([f"n{row}", row, row / 7, row % 2 == 0, datetime.datetime(2020, 1, 1 + row % 28, row % 24, 30)])
    other = book.create_sheet("Matrix")
    other.cell(3, 3, "A"), other.cell(3, 4, "B"), other.cell(4, 2, "A"), other.cell(5, 2, "B")
    for i in range(2):
        for j in range(2):
            other.cell(4 + i, 3 + j, i * 2 + j + 0.5)
    book.create_sheet("Empty")
    book.save(p("book.xlsx"))


def graphs():
    import networkx as nx
    for name, graph in [("karate", nx.karate_club_graph()), ("digraph", nx.gn_graph(30, seed=3))]:
        nx.write_graphml(graph, p(f"{name}.graphml"))
        nx.write_gml(graph, p(f"{name}.gml"))
        nx.write_weighted_edgelist(graph, p(f"{name}.edgelist"))


def arrays():
    import pandas as pd
    import scipy.io
    for dtype in ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">f4", ">i2"]:
        data = (rng.random((3, 4, 5)) * 100).astype(dtype)
        np.save(p(f"a_{dtype.replace('>', 'be_').replace('?', 'bool')}.npy"), data)
        np.save(p(f"f_{dtype.replace('>', 'be_').replace('?', 'bool')}.npy"), np.asfortranarray(data))
    np.save(p("text.npy"), np.array(["a", "bcd", "é"]))
    np.save(p("scalar.npy"), np.float64(3.5))
    np.savez(p("stored.npz"), x=rng.random((3, 4)), names=np.array(["a", "b"]), f=np.asfortranarray(rng.random((4, 5))))
    np.savez_compressed(p("deflated.npz"), x=rng.random((3, 4)), y=np.arange(10))
    frame = pd.DataFrame({"a": np.arange(1000), "b": rng.random(1000), "c": [f"t{i % 7}" for i in range(1000)], "d": np.arange(1000) % 3 == 0})
    frame.loc[5, "b"] = np.nan
    frame.to_parquet(p("frame.parquet"), row_group_size=128)
    frame.to_feather(p("frame.feather"), compression="zstd", chunksize=200)
    frame.to_csv(p("frame.csv"), index=False)
    scipy.io.savemat(p("own.mat"), {
        "D": {"neuron1": np.array([[rng.random((4, 1)), rng.random((4, 1)), rng.random((4, 1))]], dtype=object)[0], "rate": 30.0},
        "cells": np.array([np.arange(3.0), np.arange(5.0)], dtype=object), "names": np.array(["a", "bc"], dtype=object),
        "cube": rng.random((3, 4, 5)), "flag": np.array([[True, False]]), "word": "hello", "whole": np.arange(6, dtype="i4").reshape(2, 3)})


def zarrs():
    import numcodecs, zarr
    from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, TransposeCodec, ZstdCodec
    data = (np.cumsum(rng.integers(-3, 4, (31, 20, 17)), 0)).astype("f8")
    two = zarr.open_group(p("two.zarr"), mode="w", zarr_format=2, attributes={"subject": "m1", "x": float("nan")})
    compressors = {"none": None, "zlib": numcodecs.Zlib(5), "gzip": numcodecs.GZip(5), "zstd": numcodecs.Zstd(3), "lz4": numcodecs.LZ4()}
    for cname in ["blosclz", "lz4", "lz4hc", "zlib", "zstd"]:
        for shuffle in [0, 1, 2]:
            for level in [1, 9]:
                compressors[f"blosc_{cname}_{shuffle}_{level}"] = numcodecs.Blosc(cname=cname, clevel=level, shuffle=shuffle)
    for name, compressor in compressors.items():
        array = two.create_array(name, shape=data.shape, chunks=(10, 7, 17), dtype="f8", compressors=compressor, fill_value=-1.5)
        array[:25] = data[:25]
    for dtype in ["bool", "i1", "u1", "<i2", ">i2", "<u2", "<i4", ">i4", "<u4", "<i8", "<u8", "<f2", "<f4", ">f4", "<f8"]:
        array = two.create_array("t_" + dtype.replace("<", "le_").replace(">", "be_"), shape=data.shape, chunks=(16, 20, 5), dtype=dtype)
        array[:] = np.abs(data).astype(dtype)
    for order in "CF":
        array = two.create_array("o_" + order, shape=data.shape, chunks=(10, 7, 17), dtype="f4", order=order)
        array[:] = data
    slash = two.create_array("deep/er/slash", shape=data.shape, chunks=(31, 20, 3), dtype="i2", chunk_key_encoding={"name": "v2", "separator": "/"})
    slash[:] = data
    shuffled = two.create_array("shuffle", shape=data.shape, chunks=(10, 7, 17), dtype="f8", filters=[numcodecs.Shuffle(8)], compressors=numcodecs.Zlib(3))
    shuffled[:] = data
    filters = {
        "delta": ("<i4", numcodecs.Delta("<i4", "<i2")), "delta_big": (">i2", numcodecs.Delta(">i2")), "delta_float": ("<f4", numcodecs.Delta("<f4")),
        "scale": ("<f8", numcodecs.FixedScaleOffset(3, 7, "<f8", "<i2")), "scale_single": ("<f4", numcodecs.FixedScaleOffset(0.1, 3.3, "<f4", "<f4")),
        "quantize": ("<f8", numcodecs.Quantize(1, "<f8", "<f4")), "astype": ("<f8", numcodecs.AsType("<f4", "<f8")),
        "bits": ("|b1", numcodecs.PackBits()), "bitround": ("<f4", numcodecs.BitRound(5)), "crc32": ("<f4", numcodecs.CRC32()),
        "adler32": ("<f4", numcodecs.Adler32()), "fletcher32": ("<f4", numcodecs.Fletcher32()), "lookup3": ("<f4", numcodecs.JenkinsLookup3(5)),
    }
    for name, (dtype, own) in filters.items():
        for order in "CF":
            array = two.create_array(f"filter_{name}_{order}", shape=data.shape, chunks=(10, 7, 17), dtype=dtype, filters=[own], compressors=numcodecs.BZ2(1), order=order)
            array[:25] = data[:25].astype(dtype)
    many = two.create_array("filter_many", shape=data.shape, chunks=(10, 7, 17), dtype="<f8", compressors=numcodecs.Zstd(),
                            filters=[numcodecs.FixedScaleOffset(0, 10, "<f8", "<i4"), numcodecs.Delta("<i4", "<i4"), numcodecs.Shuffle(4)])
    many[:] = data
    texts = two.create_array("text", shape=(5,), chunks=(2,), dtype="U4")
    texts[:] = np.array(["a", "bb", "é", "", "last"])
    big = two.create_array("large_blocks", shape=(300000,), chunks=(300000,), dtype="f8", compressors=numcodecs.Blosc(cname="blosclz", clevel=5))
    big[:] = np.round(np.sin(np.arange(300000) / 50), 3)
    far = two.create_array("far", shape=(400000,), chunks=(400000,), dtype="u1", compressors=numcodecs.Blosc(cname="blosclz", clevel=9, shuffle=0, blocksize=400000))
    noise = rng.integers(0, 255, 20000)
    far[:] = np.tile(noise, 20)
    dims = two.create_array("dims", shape=(4, 3), chunks=(4, 3), dtype="f4", attributes={"_ARRAY_DIMENSIONS": ["time", "unit"], "units": "mV"})
    dims[:] = 2
    zero = two.create_array("scalar", shape=(), dtype="f8")
    zero[...] = 4.25
    zarr.consolidate_metadata(p("two.zarr"), zarr_format=2)

    three = zarr.open_group(p("three.zarr"), mode="w", zarr_format=3, attributes={"subject": "m3"})
    chains = {
        "plain": dict(compressors=None), "gzip": dict(compressors=GzipCodec()), "zstd": dict(compressors=ZstdCodec(checksum=True)),
        "blosc": dict(compressors=BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=8)), "crc": dict(compressors=[GzipCodec(), Crc32cCodec()]),
        "big": dict(compressors=None, serializer=BytesCodec(endian="big")), "turned": dict(filters=TransposeCodec(order=(2, 0, 1))),
        "v2keys": dict(chunk_key_encoding={"name": "v2", "separator": "."}),
    }
    import zarr.codecs.numcodecs as under_their_names
    for name in ("BZ2", "Zlib", "GZip", "LZ4", "Zstd", "Blosc", "CRC32", "CRC32C", "Adler32", "Fletcher32", "JenkinsLookup3", "Shuffle"):
        chains[f"numcodecs_{name}"] = dict(compressors=[getattr(under_their_names, name)()])
    numbers = {"delta": (under_their_names.Delta(dtype="<f8"),), "scale": (under_their_names.FixedScaleOffset(scale=10, offset=2, dtype="<f8", astype="<i4"),),
               "scale_delta": (under_their_names.FixedScaleOffset(scale=10, offset=2, dtype="<f8", astype="<i4"), under_their_names.Delta(dtype="<i4")),
               "quantize": (under_their_names.Quantize(digits=1, dtype="<f8"),), "astype": (under_their_names.AsType(encode_dtype="<f4", decode_dtype="<f8"),),
               "bitround": (under_their_names.BitRound(keepbits=6),)}
    # Not with big-endian bytes behind a filter: zarr 3.1.6 does not read what it writes then, the filter takes the bytes for little-endian ones.
    for name, filters in numbers.items():
        chains[f"numcodecs_{name}"] = dict(filters=filters, compressors=[under_their_names.BZ2()])
    for name, chain in chains.items():
        array = three.create_array(name, shape=data.shape, chunks=(10, 7, 17), dtype="f8", fill_value=float("nan"), dimension_names=["a", "b", "c"], **chain)
        array[:25] = data[:25]
    shards = three.create_array("shards", shape=data.shape, shards=(20, 12, 17), chunks=(5, 4, 17), dtype="f4", fill_value=2)
    shards[3:25] = data[3:25]
    turned = three.create_array("turned_shards", shape=data.shape, shards=(20, 12, 17), chunks=(5, 4, 17), dtype="f4", filters=TransposeCodec(order=(1, 2, 0)))
    turned[:] = data
    start = three.create_array("start", shape=data.shape, chunks=(20, 12, 17), dtype="i4", compressors=None,
                               serializer=ShardingCodec(chunk_shape=(5, 4, 17), codecs=[BytesCodec(), BloscCodec(cname="zstd", typesize=4)], index_location="start"))
    start[:] = data
    for dtype in ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]:
        array = three.create_array("sub/" + dtype, shape=data.shape, chunks=(16, 20, 5), dtype=dtype)
        array[:] = np.abs(data).astype(dtype)
    texts = three.create_array("text", shape=(5,), chunks=(2,), dtype="str")
    texts[:] = np.array(["a", "bb", "é", "", "last"])
    single = zarr.create_array(p("single.zarr"), shape=(7, 3), chunks=(2, 2), dtype="f4")
    single[:] = 1.25


def onnx_and_safetensors():
    import json
    import struct
    tensors = {"a": rng.random((3, 4)).astype("f4"), "b/c": rng.integers(0, 9, (5,)).astype("i8"), "h": rng.random((2, 2)).astype("f2")}
    names = {"f4": "F32", "i8": "I64", "f2": "F16"}
    header, blob = {"__metadata__": {"format": "np"}}, b""
    for name, array in tensors.items():
        header[name] = {"dtype": names[array.dtype.str[1:]], "shape": list(array.shape), "data_offsets": [len(blob), len(blob) + array.nbytes]}
        blob += array.tobytes()
    text = json.dumps(header).encode()
    open(p("own.safetensors"), "wb").write(struct.pack("<Q", len(text)) + text + blob)


for part in [nifti, gifti, pictures, sheets, graphs, arrays, zarrs, onnx_and_safetensors]:
    part()
    print(part.__name__)
