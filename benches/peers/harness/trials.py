"""Trials of many channels: CSP against MNE, Riemannian classifiers against pyRiemann, on the same folds."""

import numpy
from numpy.random import Generator

from harness.case import Arrays, Case, Settings


def recordings(rng: Generator, quick: bool) -> tuple[Arrays, Settings]:
    """Trials × channels × samples of four classes that differ in where the power is."""
    trials, channels, samples = (40, 6, 100) if quick else (288, 22, 1_000)
    labels = numpy.arange(trials) % 4
    mixing = rng.standard_normal((channels, channels))
    power = 1.0 + 1.5 * (numpy.arange(channels)[None, :] % 4 == numpy.arange(4)[:, None])
    sources = rng.standard_normal((trials, channels, samples)) * power[labels][:, :, None] * rng.gamma(8, 1 / 8, (trials, channels, 1))
    return {"x": numpy.einsum("dc,tcs->tds", mixing, sources), "labels": labels, "folds": (numpy.arange(trials) // 4) % 5}, {}


def predicted(make):
    """The class that each trial is given when it is held out."""

    def answer(arrays: Arrays, _: Settings) -> numpy.ndarray:
        x, labels, folds = arrays["x"], arrays["labels"], arrays["folds"]
        found = numpy.empty(len(labels))
        for fold in range(5):
            test = folds == fold
            found[test] = make().fit(x[~test], labels[~test]).predict(x[test])
        return found

    return answer


def csp():
    """CSP of four components, then LDA."""
    import mne
    from mne.decoding import CSP
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline

    mne.set_log_level("ERROR")
    return make_pipeline(CSP(n_components=4, log=True), LinearDiscriminantAnalysis())


def mdm():
    """Minimum distance to the Riemannian means."""
    from pyriemann.classification import MDM
    from pyriemann.estimation import Covariances
    from sklearn.pipeline import make_pipeline

    return make_pipeline(Covariances("oas"), MDM(metric="riemann"))


def tangent():
    """Logistic regression in the tangent space."""
    from pyriemann.estimation import Covariances
    from pyriemann.tangentspace import TangentSpace
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(Covariances("oas"), TangentSpace(), LogisticRegression())


CASES = [
    Case("csp-lda", "mne", 20.0, recordings, predicted(csp), 0.0, repeats=3),
    Case("riemann-mdm", "pyriemann", 5.0, recordings, predicted(mdm), 0.0, repeats=3),
    Case("tangent-logistic", "pyriemann", 5.0, recordings, predicted(tangent), 0.0, repeats=3),
]
