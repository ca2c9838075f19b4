"""Reference numbers for `ingest.deconvolve` from oasis-deconv: prints Rust arrays for `compute/src/deconvolution/tests.rs`.

python deconvolve.py           (NumPy 2.4.6, SciPy 1.17.1, oasis-deconv 0.3.2)
"""
import numpy as np
from oasis.functions import estimate_parameters, onnls
from oasis.oasis_methods import oasisAR1
from oasis.functions import constrained_oasisAR1


def lcg(seed, n):
    """The same noise as the test's: a 64-bit xorshift, uniform in -0.5..0.5, summed in twelves to be nearly normal."""
    state = (seed * 0x9E3779B97F4A7C15) & (2**64 - 1) | 1
    out = []
    for _ in range(n):
        total = 0.0
        for _ in range(12):
            state ^= (state << 13) & (2**64 - 1)
            state ^= state >> 7
            state ^= (state << 17) & (2**64 - 1)
            total += (state >> 11) / 2.0**53 - 0.5
        out.append(total)
    return np.array(out)


def trace(g, n, noise, base, every=23):
    c = np.zeros(n)
    for t in range(n):
        s = 1.0 + (t % 3) * 0.5 if t % every == 5 or t % 37 == 20 else 0.0
        c[t] = s + sum(g[k] * c[t - 1 - k] for k in range(len(g)) if t > k)
    return base + c + noise * lcg(7, n)


def show(name, values):
    print(f"const {name}: [f64; {len(values)}] = [{', '.join(repr(float(v)) for v in values)}];")


y = trace([0.9], 120, 0.2, 0.0)
c, s = oasisAR1(y, 0.9, lam=0.3)
show("PENALISED", s)
c, s = oasisAR1(y, 0.9, lam=0.0)
show("SUITE2P", s)
c, s = oasisAR1(y, 0.9, lam=0.0, s_min=0.6)
show("LEAST", s)
c, s, b, g, lam = constrained_oasisAR1(y, 0.9, 0.2, optimize_b=False, penalty=1)
show("CONSTRAINED", s)
print("lambda", repr(lam))
z = trace([0.9], 400, 0.2, 3.0)
c, s, b, g, lam = constrained_oasisAR1(z, 0.9, 0.2, optimize_b=True, penalty=1)
print("free: baseline", repr(float(b)), "lambda", repr(float(lam)), "sum", repr(float(s.sum())), "rss", repr(float(((z - b - c) ** 2).sum())), 0.04 * 400)
w = trace([1.6, -0.64], 150, 0.2, 0.0)
c, s = onnls(w, [1.6, -0.64], lam=0.5)
show("SECOND", s)
for name, tr, p in [("first", trace([0.9], 2000, 0.2, 1.0), 1), ("second", trace([1.6, -0.63], 2000, 0.2, 1.0), 2)]:
    g, sn = estimate_parameters(tr, p=p, fudge_factor=0.98)
    print(name, [repr(float(v)) for v in g], repr(float(sn)))
