"""Similarity: RDMs and their bootstrap against rsatoolbox, alignments against NumPy, ridge against himalaya."""

import numpy
from numpy.random import Generator

from harness.case import Arrays, Case, Settings


def patterns(rng: Generator, quick: bool) -> tuple[Arrays, Settings]:
    """Conditions × channels."""
    conditions, channels = (30, 100) if quick else (500, 5_000)
    return {"x": rng.standard_normal((conditions, channels)) + rng.standard_normal((conditions, 1))}, {}


def with_numpy(arrays: Arrays, _: Settings) -> numpy.ndarray:
    """1 − r of all pairs, by numpy.corrcoef."""
    found = 1.0 - numpy.corrcoef(arrays["x"])
    return found[numpy.triu_indices(len(found), 1)]


def with_rsatoolbox(arrays: Arrays, _: Settings) -> numpy.ndarray:
    """1 − r of all pairs."""
    import rsatoolbox

    return rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(arrays["x"]), method="correlation").dissimilarities[0]


def two_rdms(rng: Generator, quick: bool) -> tuple[Arrays, Settings]:
    """Two RDMs that share something, and bootstrap draws of conditions."""
    conditions, draws = (30, 20) if quick else (500, 1_000)
    pairs = conditions * (conditions - 1) // 2
    shared = rng.standard_normal(pairs)
    rdms = {name: shared + rng.standard_normal(pairs) for name in ("brain", "model")}
    return {**rdms, "draws": rng.integers(0, conditions, (draws, conditions))}, {"conditions": conditions}


def bootstrap(method: str):
    """The comparison in each draw of conditions; pairs of a condition with itself are left out."""

    def answer(arrays: Arrays, _: Settings) -> numpy.ndarray:
        from rsatoolbox.rdm import RDMs, compare

        brain, model = (RDMs(arrays[name][None, :]) for name in ("brain", "model"))
        values = []
        for draw in arrays["draws"]:
            one, other = (rdms.subsample_pattern("index", draw) for rdms in (brain, model))
            values.append(float(compare(one, other, method=method)[0, 0]))
        return numpy.array(values)

    return answer


def representations(dtype: type, samples: int = 5_000, features: int = 1_000):
    """Two sets of features of the same samples."""

    def inputs(rng: Generator, quick: bool) -> tuple[Arrays, Settings]:
        n, p = (200, 20) if quick else (samples, features)
        hidden = rng.standard_normal((n, p // 4))
        made = {name: hidden @ rng.standard_normal((p // 4, p)) + 2.0 * rng.standard_normal((n, p)) for name in "xy"}
        return {name: array.astype(dtype) for name, array in made.items()}, {"kept": 0.99}

    return inputs


def centred(arrays: Arrays) -> list[numpy.ndarray]:
    """Both without their means."""
    return [arrays[name] - arrays[name].mean(0) for name in "xy"]


def cka(arrays: Arrays, _: Settings) -> numpy.ndarray:
    """Linear CKA (Kornblith et al. 2019, eq. 4)."""
    x, y = centred(arrays)
    return numpy.array([numpy.linalg.norm(x.T @ y) ** 2 / (numpy.linalg.norm(x.T @ x) * numpy.linalg.norm(y.T @ y))])


def correlations(x: numpy.ndarray, y: numpy.ndarray) -> numpy.ndarray:
    """Canonical correlations of centred matrices."""
    return numpy.linalg.svd(numpy.linalg.qr(x)[0].T @ numpy.linalg.qr(y)[0], compute_uv=False)


def cca(arrays: Arrays, _: Settings) -> numpy.ndarray:
    """The mean canonical correlation."""
    return numpy.array([correlations(*centred(arrays)).mean()])


def svcca(arrays: Arrays, settings: Settings) -> numpy.ndarray:
    """The mean canonical correlation of the directions that hold most of the variance (Raghu et al. 2017)."""

    def strongest(x: numpy.ndarray) -> numpy.ndarray:
        left, values, _ = numpy.linalg.svd(x, full_matrices=False)
        share = numpy.cumsum(values**2) / (values**2).sum()
        count = int(numpy.searchsorted(share, settings["kept"])) + 1
        return left[:, :count] * values[:count]

    x, y = (strongest(part) for part in centred(arrays))
    return numpy.array([correlations(x, y).mean()])


def encoding(rng: Generator, quick: bool) -> tuple[Arrays, Settings]:
    """Features and targets of the same stimuli."""
    n, p, targets = (60, 40, 30) if quick else (2_000, 5_000, 10_000)
    x = rng.standard_normal((n, p), dtype=numpy.float32)
    weights = rng.standard_normal((p, targets), dtype=numpy.float32) / numpy.float32(p) ** 0.5
    y = x @ weights + rng.standard_normal((n, targets), dtype=numpy.float32)
    return {"x": x, "y": y, "lambdas": numpy.logspace(1, 5, 10)}, {"folds": 5}


def ridge(arrays: Arrays, settings: Settings) -> numpy.ndarray:
    """The best cross-validated R² of each target, contiguous folds."""
    from himalaya.kernel_ridge import KernelRidgeCV
    from himalaya.scoring import r2_score
    from sklearn.model_selection import KFold

    folds, lambdas = KFold(int(settings["folds"])), arrays["lambdas"].astype(numpy.float32)
    model = KernelRidgeCV(alphas=lambdas, cv=folds, solver_params={"score_func": r2_score})
    return model.fit(arrays["x"], arrays["y"]).cv_scores_.ravel()


CASES = [
    Case("rdm", "rsatoolbox", 30.0, patterns, with_rsatoolbox, 1e-10),
    Case("rdm-corrcoef", "numpy", 1.0, patterns, with_numpy, 1e-10, repeats=20),
    Case("bootstrap-spearman", "rsatoolbox", 20.0, two_rdms, bootstrap("spearman"), 1e-10, repeats=1),
    Case("bootstrap-tau-a", "rsatoolbox", 10.0, two_rdms, bootstrap("tau-a"), 1e-10, repeats=1),
    Case("cka", "numpy", 1.2, representations(numpy.float32), cka, 1e-4, repeats=10),
    Case("cca", "numpy", 1.5, representations(numpy.float64), cca, 1e-6, repeats=3),
    Case("svcca", "numpy", 1.5, representations(numpy.float64), svcca, 1e-6, repeats=3),
    Case("ridge", "himalaya", 1.6, encoding, ridge, 1e-4, repeats=1),
]
