"""Times the reference packages on the files given, beside `formats/examples/volumes_speed.rs`: all arrays as 64-bit floats, best of five, warm cache.

With `--row-major` as the first argument the arrays of .mat and NIfTI files, which are column-major, are copied into rows, as neuroflow gives them.
"""
import gzip, sys, time
import numpy as np


ROWS = "--row-major" in sys.argv


def given(values):
    """Values as 64-bit floats, in rows where these are asked for."""
    return np.ascontiguousarray(values, dtype="f8") if ROWS else np.asarray(values, dtype="f8")


def load(path):
    if path.endswith(".zarr"):
        import zarr
        own = zarr.open(path, mode="r")
        if isinstance(own, zarr.Array):
            return own[...].astype("f8").size
        return sum(member[...].astype("f8").size for _, member in own.members(max_depth=None))
    if path.endswith(".mat"):
        import scipy.io
        return sum(given(value).size for name, value in scipy.io.loadmat(path).items() if getattr(value, "dtype", np.dtype("O")).kind in "iuf")
    if path.endswith(".npy"):
        return np.load(path).astype("f8").size
    if path.endswith(".gii"):
        import nibabel as nb
        return sum(one.data.astype("f8").size for one in nb.load(path).darrays)
    if path.endswith("ubyte.gz"):
        return np.frombuffer(gzip.open(path).read(), "u1", offset=16).astype("f8").size
    if path.endswith(".tif"):
        import tifffile
        return tifffile.imread(path).astype("f8").size
    if path.endswith(".jpg"):
        from PIL import Image
        return np.asarray(Image.open(path)).astype("f8").size
    if path.endswith((".xlsx", ".xls")):
        import pandas as pd
        return sum(sheet.size for sheet in pd.read_excel(path, sheet_name=None, header=None).values())
    import nibabel as nb
    return given(nb.load(path).get_fdata(caching="unchanged")).size


for path in [path for path in sys.argv[1:] if path != "--row-major"]:
    best = min((lambda started: (load(path), time.perf_counter() - started)[1])(time.perf_counter()) for _ in range(5))
    print(f"{path}: {best * 1e3:.1f} ms")
