"""The unrolled pass in PyTorch, on the inputs that `pudle bench --save` wrote.

Prints one JSON object: medians in milliseconds, the memory that a step adds, and how far code,
reconstruction and gradient are from those in the file.
"""

import argparse
import json
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file


def status(field):
    with open("/proc/self/status") as lines:
        for line in lines:
            if line.startswith(field):
                return int(line.split()[1]) / 1024


def forget_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


class Conv:
    """Filters [p, C, k, k], stride 4."""

    alpha, lam = 0.1, 0.16

    @staticmethod
    def analyze(r, d):
        return F.conv2d(r, d, stride=4)

    @staticmethod
    def synthesize(z, d):
        return F.conv_transpose2d(z, d, stride=4)


class Signal:
    """Filters [p, C, k] at every sample."""

    alpha, lam = 0.04, 4.0

    @staticmethod
    def analyze(r, d):
        return F.conv1d(r, d)

    @staticmethod
    def synthesize(z, d):
        return F.conv_transpose1d(z, d)


class Dense:
    """A matrix [m, p]."""

    alpha, lam = 0.2, 0.2

    @staticmethod
    def analyze(r, d):
        return r @ d

    @staticmethod
    def synthesize(z, d):
        return z @ d.T


def encode(kind, x, d, layers):
    theta = kind.alpha * kind.lam
    z = F.softshrink(kind.alpha * kind.analyze(x, d), theta)
    for _ in range(layers - 1):
        r = x - kind.synthesize(z, d)
        z = F.softshrink(z + kind.alpha * kind.analyze(r, d), theta)
    return z


def covered(length):
    return 9 + -(-(length - 9) // 4) * 4


def reflect(x, before, height, width):
    """Reflection around an image, to height by width, `before` pixels of it above and to the left."""
    below = height - before - x.shape[2]
    right = width - before - x.shape[3]
    return F.pad(x, (before, right, before, below), mode="reflect")


def estimate(kind, x, d, layers, shifts):
    """The reconstruction of data of any size, averaged over shifts of the grid."""
    if kind is not Conv:
        return kind.synthesize(encode(kind, x, d, layers), d)
    height, width = x.shape[2:]
    if shifts == 1:
        padded = reflect(x, 0, covered(height), covered(width))
        whole = kind.synthesize(encode(kind, padded, d, layers), d)
        return whole[..., :height, :width]
    tall, wide = covered(height + 3), covered(width + 3)
    padded = reflect(x, 3, tall + 3, wide + 3)
    total = torch.zeros_like(x)
    for top in range(4):
        for left in range(4):
            seen = padded[..., top : top + tall, left : left + wide]
            whole = kind.synthesize(encode(kind, seen, d, layers), d)
            total += whole[..., 3 - top : 3 - top + height, 3 - left : 3 - left + width]
    return total / 16


def step(kind, x, d, layers, gradient):
    d.grad = None
    if gradient == "dec":
        with torch.no_grad():
            z = encode(kind, x, d, layers)
    else:
        z = encode(kind, x, d, layers)
    loss = 0.5 * (kind.synthesize(z, d) - x).square().sum()
    if gradient == "ae-lasso":
        loss = loss + kind.lam * z.abs().sum()
    (loss / x.shape[0]).backward()
    return z.detach()


def median(repetitions, work):
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)[len(times) // 2]


def distance(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inputs")
    parser.add_argument("--case", choices=["conv", "dense", "signal", "image"], required=True)
    parser.add_argument("--gradient", default="ae-ls")
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--shifts", type=int, choices=[1, 16], default=1)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    kind = {"dense": Dense, "signal": Signal}.get(args.case, Conv)

    file = load_file(args.inputs)
    x, d = file["x"], file["atoms"].requires_grad_()
    # What the first call loads is no part of a step.
    small = {
        Dense: (torch.rand(2, 8), torch.rand(8, 9)),
        Signal: (torch.rand(1, 1, 50), torch.rand(3, 1, 9)),
        Conv: (torch.rand(1, 1, 17, 17), torch.rand(3, 1, 9, 9)),
    }[kind]
    step(kind, small[0], small[1].requires_grad_(), 2, args.gradient)

    def forward():
        with torch.no_grad():
            return estimate(kind, x, d, args.layers, args.shifts)

    result = {"torch": torch.__version__}
    forget_peak()
    before = status("VmRSS")
    if args.case == "image":
        forward()
        result["peak_mib"] = status("VmHWM") - before
    else:
        run = lambda: step(kind, x, d, args.layers, args.gradient)
        code = run()
        result["peak_mib"] = status("VmHWM") - before
        result["code"] = distance(code, file["code"])
        result["gradient"] = distance(d.grad, file["gradient"])
        result["step_ms"] = median(args.repetitions, run)
    result["reconstruction"] = distance(forward(), file["reconstruction"])
    result["forward_ms"] = median(args.repetitions, forward)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
