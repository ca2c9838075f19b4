"""Classifiers of trials, against scikit-learn, on the same folds."""

import numpy
from numpy.random import Generator

from harness.case import Arrays, Case, Settings

PERMUTATIONS = 200
# The peer does so many of them.
PEER_PERMUTATIONS = 2


def population(permutations: int):
    """Trials × units of many conditions, folds that hold each condition alike, and permuted labels."""

    def inputs(rng: Generator, quick: bool) -> tuple[Arrays, Settings]:
        trials, units, classes = (120, 20, 6) if quick else (5_000, 500, 118)
        labels = numpy.arange(trials) % classes
        x = rng.standard_normal((trials, units)) + 0.3 * rng.standard_normal((classes, units))[labels]
        folds = (numpy.arange(trials) // classes) % 5
        permuted = numpy.stack([rng.permutation(labels) for _ in range(permutations)]) if permutations else labels[None, :]
        return {"x": x, "labels": permuted, "folds": folds}, {}

    return inputs


def right(model, arrays: Arrays, labels: numpy.ndarray) -> float:
    """The share of held-out trials that are told rightly."""
    x, folds = arrays["x"], arrays["folds"]
    hits = 0
    for fold in range(5):
        test = folds == fold
        hits += int((model.fit(x[~test], labels[~test]).predict(x[test]) == labels[test]).sum())
    return hits / len(labels)


def lda(count: int | None):
    """Accuracy for each set of labels."""

    def answer(arrays: Arrays, _: Settings) -> numpy.ndarray:
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        return numpy.array([right(model, arrays, labels) for labels in arrays["labels"][:count]])

    return answer


def logistic(arrays: Arrays, _: Settings) -> numpy.ndarray:
    """Accuracy."""
    from sklearn.linear_model import LogisticRegression

    return numpy.array([right(LogisticRegression(C=1.0), arrays, arrays["labels"][0])])


CASES = [
    Case("lda", "scikit-learn", 3.0, population(0), lda(None), 0.02, "accuracy", repeats=2),
    *(
        Case(name, "scikit-learn", 30.0, population(PERMUTATIONS), lda(PEER_PERMUTATIONS), None, note, PEER_PERMUTATIONS / PERMUTATIONS, 1)
        for name, note in (
            ("lda-permutations", "each side permutes by itself"),
            ("lda-permutations-pooled", "each side permutes by itself; one shrinkage for all classes, the peer one for each"),
        )
    ),
    Case("logistic", "scikit-learn", 2.0, population(0), logistic, 0.02, "accuracy", repeats=2),
]
