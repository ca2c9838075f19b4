"""The formulas of SpikeInterface's quality metrics in NumPy, for the numbers in `compute/src/spiking.rs`.

`isi_violations`, `compute_refrac_period_violations`, `presence_ratio` of spikeinterface.qualitymetrics.misc_metrics (0.101), and Elephant's cv, cv2, lv.
"""
import numpy as np

TRAIN = np.array([0.1, 0.1005, 0.1012, 0.35, 0.352, 0.9, 1.7, 1.7009, 2.4, 3.3, 3.31, 4.8])


def metrics(train, duration, refractory=0.0015, censored=0.0):
    isi = np.diff(train)
    n = len(train)
    violations = int((isi < refractory).sum())
    ratio = violations / (2 * n * (refractory - censored)) / (n / duration)
    pairs = sum(int(((train[i + 1 :] - train[i]) <= refractory).sum()) for i in range(n))
    d = 1 - pairs * (duration - 2 * n * censored) / (n**2 * (refractory - censored))
    contamination = 1 - np.sqrt(d) if d >= 0 else 1.0
    pair_sum = isi[1:] + isi[:-1]
    contrast = np.diff(isi) / pair_sum
    return dict(
        violations=violations,
        ratio=ratio,
        pairs=pairs,
        contamination=contamination,
        cv=isi.std() / isi.mean(),
        cv2=2 * np.abs(contrast).mean(),
        lv=3 * (contrast**2).mean(),
    )


for name, value in metrics(TRAIN, 5.0).items():
    print(name, repr(float(value)))
