#!/usr/bin/env python3
"""The cases of `cargo run --release -p bench-gpu` in PyTorch, on the same card: python3 benches/gpu/pytorch.py [--large] [--allow-tf32]

Prints the same names and columns. Single precision without TF32 unless it is asked for, since the kernels of neuroflow do not use it.
Times are those of CUDA events where there is CUDA, else of the host; the shortest of several tries counts.
"""

import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    sys.exit("PyTorch is not installed here: pip install torch")

CUDA = torch.cuda.is_available()
MPS = not CUDA and getattr(torch.backends, "mps", None) is not None and torch.backends.mps.is_available()
DEVICE = torch.device("cuda" if CUDA else "mps" if MPS else "cpu")
LARGE = "--large" in sys.argv or CUDA or MPS
torch.backends.cuda.matmul.allow_tf32 = "--allow-tf32" in sys.argv
torch.manual_seed(0)


def wait():
    if CUDA:
        torch.cuda.synchronize()
    elif MPS:
        torch.mps.synchronize()


def seconds(work, tries=5):
    """The shortest of several tries, after one that warms up."""
    work()
    wait()
    best = float("inf")
    for _ in range(tries):
        if CUDA:
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            work()
            end.record()
            wait()
            best = min(best, begin.elapsed_time(end) / 1e3)
        else:
            begin = time.perf_counter()
            work()
            wait()
            best = min(best, time.perf_counter() - begin)
    return best


def host_seconds(work, tries=3):
    """As `seconds`, by the host's clock: data sent and results read back included."""
    best = float("inf")
    for attempt in range(tries + 1):
        wait()
        begin = time.perf_counter()
        work()
        wait()
        if attempt:
            best = min(best, time.perf_counter() - begin)
    return best


def line(name, time_taken, operations, moved):
    print(f"{name:<38} {time_taken * 1e3:>8.3f} ms {operations / time_taken / 1e9:>11.2f} {moved / time_taken / 1e9:>9.2f}", flush=True)


def rand(*shape):
    return torch.rand(*shape, device=DEVICE)


def pick(card, program):
    return card if LARGE else program


def product(m, k, n, half=False):
    a, b = rand(m, k), rand(k, n)
    name = f"product {m} × {k} × {n}"
    moved = 4 * (m * k + k * n + m * n)
    if half:
        # PyTorch has no product of half and single precision: both are half.
        a, b, name, moved = a.half(), b.half(), name + ", both half", moved // 2
    line(name, seconds(lambda: a @ b), 2 * m * k * n, moved)


def mttkrp(shape, components, mode):
    tensor = rand(*shape)
    first, second = [rand(shape[other], components) for other in range(3) if other != mode]
    letters = ["jr,kr->ir", "ir,kr->jr", "ir,jr->kr"][mode]
    work = lambda: torch.einsum("ijk," + letters, tensor, first, second)
    elements = tensor.numel()
    name = f"MTTKRP {' × '.join(map(str, shape))}, {components}, mode {mode}"
    line(name, seconds(work), 2 * elements * components, 4 * (elements + sum(shape) * components))


def ntf(shape, rank, runs, sweeps):
    """The same HALS sweeps, all starts side by side."""
    host = torch.rand(*shape)
    starts = [torch.rand(size, runs, rank) for size in shape]

    def work():
        tensor = host.to(DEVICE)
        factors = [start.to(DEVICE) for start in starts]
        for _ in range(sweeps):
            for mode, letters in enumerate(["jsr,ksr->isr", "isr,ksr->jsr", "isr,jsr->ksr"]):
                first, second = [factors[other] for other in range(3) if other != mode]
                update = torch.einsum("ijk," + letters, tensor, first, second)
                grams = torch.einsum("isr,isq->srq", first, first) * torch.einsum("isr,isq->srq", second, second)
                factor = factors[mode]
                for column in range(rank):
                    model = torch.einsum("isq,sq->is", factor, grams[:, column])
                    step = (update[:, :, column] - model) / grams[:, column, column]
                    factor[:, :, column] = (factor[:, :, column] + step).clamp_min(1e-12)
                if mode < 2:
                    norm = factor.norm(dim=0)
                    factor /= norm
                    factors[1 - mode] *= norm
        return [factor.cpu() for factor in factors]

    elements = host.numel()
    name = f"NTF {' × '.join(map(str, shape))}, {runs} of rank {rank}, {sweeps}"
    line(name, host_seconds(work), 6 * elements * rank * runs * sweeps, 12 * elements * sweeps)


def network(observations, sizes, batch):
    x, labels = torch.rand(observations, sizes[0]), torch.arange(observations) % sizes[-1]

    def work():
        layers = []
        for inputs, outputs in zip(sizes, sizes[1:]):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1]).to(DEVICE)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
        data, truth, order = x.to(DEVICE), labels.to(DEVICE), torch.randperm(observations).to(DEVICE)
        for first in range(0, observations, batch):
            rows = order[first : first + batch]
            optimiser.zero_grad(set_to_none=True)
            F.cross_entropy(model(data[rows]), truth[rows]).backward()
            optimiser.step()
        return [parameter.detach().cpu() for parameter in model.parameters()]

    weights = sum(a * b for a, b in zip(sizes, sizes[1:]))
    steps = -(-observations // batch)
    operations = 2 * observations * (3 * weights - sizes[0] * sizes[1])
    line(f"network {sizes}, {steps} steps", host_seconds(work), operations, 28 * weights * steps)


def permutations(observations, features, classes, count):
    x = torch.rand(observations, features)
    observed = torch.arange(observations) % classes
    labels = torch.stack([observed] + [observed[torch.randperm(observations)] for _ in range(count - 1)])

    def work():
        data = (x - x.mean(0)).to(DEVICE)
        total = data.square().sum(0)
        sizes = torch.bincount(observed).to(DEVICE)
        shares = []
        for part in labels.to(DEVICE).split(max(1, (1 << 24) // (classes * features))):
            one_hot = F.one_hot(part, classes).transpose(1, 2).reshape(-1, observations).float()
            sums = (one_hot @ data).reshape(-1, classes, features)
            shares.append((sums.square() / sizes[:, None]).sum(1) / total)
        shares = torch.cat(shares)
        return (shares >= shares[0]).sum(0).cpu(), shares.amax(1).cpu()

    operations = observations * features * count
    name = f"{count} permutations, {observations} × {features}, {classes}"
    line(name, host_seconds(work), operations, 4 * (observations + features) * count)


def main():
    print(f"PyTorch {torch.__version__} on {torch.cuda.get_device_name() if CUDA else DEVICE}")
    print(f"{'case':<38} {'time':>11} {'GFLOP/s':>11} {'GB/s':>9}")
    size = pick(4096, 512)
    product(size, size, size)
    small = pick(1024, 128)
    product(small, small, small)
    product(64, pick(1 << 18, 1 << 14), 64)
    if DEVICE.type != "cpu":
        product(size, size, size, half=True)
    batches, side = pick(512, 64), pick(128, 32)
    a, b = rand(batches, side, side), rand(batches, side, side)
    line(f"{batches} products {side} × {side} × {side}", seconds(lambda: a @ b), 2 * batches * side**3, 12 * batches * side**2)
    rows, cols = pick(8192, 512), pick(4096, 384)
    a = rand(rows, cols)
    line(f"gram {rows} × {cols}", seconds(lambda: a.T @ a), rows * cols**2, 4 * (rows * cols + cols**2))
    rows, cols = pick(4096, 384), pick(512, 64)
    a = rand(rows, cols)
    distances = lambda: torch.cdist(a, a).square()
    line(f"squared distances {rows} × {cols}", seconds(distances), 3 * rows**2 * cols, 4 * (2 * rows * cols + rows**2))
    shape = (300, 300, 400) if LARGE else (40, 50, 60)
    for mode in range(3):
        mttkrp(shape, pick(160, 16), mode)
    for rows, cols in [(pick(65_536, 1024), 1000), (pick(1 << 20, 1 << 14), 10)]:
        x = rand(rows, cols)
        line(f"softmax {rows} × {cols}", seconds(lambda: torch.softmax(x, 1)), 5 * rows * cols, 8 * rows * cols)
    elements = pick(1 << 26, 1 << 20)
    x = rand(elements)
    line(f"sum of {elements}", seconds(lambda: x.sum()), elements, 4 * elements)
    elements = pick(1 << 25, 1 << 20)
    x, y = rand(elements), rand(elements)
    line(f"x + y of {elements}", seconds(lambda: x + y), elements, 12 * elements)
    ntf(shape, pick(20, 4), pick(8, 4), pick(20, 2))
    network(pick(25_600, 512), [pick(784, 64), pick(512, 32), pick(512, 32), 10], 128)
    permutations(pick(1000, 100), pick(1000, 50), 8, pick(10_000, 200))


main()
