"""ONNX Runtime against Pudle, on pictures of ten sizes and levels, on signals and on vectors.

Checks every graph with onnx.checker, and prints the largest difference in x_hat for each network, with the times of both.

    pip install numpy safetensors onnx onnxruntime
    cargo build --release --workspace
    python onnx_networks.py --programs ../../../target/release
"""

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file, save_file

SIZES = [(11, 11), (12, 40), (33, 65), (64, 64), (70, 93), (81, 81), (90, 31), (121, 77), (128, 128), (200, 150)]


def unit(a, axes):
    return a / np.sqrt((a**2).sum(axis=axes, keepdims=True))


def networks(rng):
    """Name, array of atoms, and flags of the import."""
    filters = unit(rng.standard_normal((16, 1, 7, 7)), (1, 2, 3)).astype(np.float32)
    signal = unit(rng.standard_normal((9, 2, 6)), (1, 2)).astype(np.float32)
    matrix = unit(rng.standard_normal((20, 30)), 0).astype(np.float32)
    for prox in ("soft", "relu", "hard", "top-k:3"):
        level = [] if prox.startswith("top") else ["--lambda", "0.1"]
        for algorithm in ("ista", "fista"):
            flags = ["--prox", prox, *level, "--algorithm", algorithm, "--layers", "7"]
            yield f"images {prox} {algorithm}", filters, [*flags, "--step", "0.1", "--stride", "3", "--offset", "0.5"], (1,)
            yield f"signals {prox} {algorithm}", signal, [*flags, "--step", "0.1", "--stride", "2"], (2, 61)
            yield f"vectors {prox} {algorithm}", matrix, [*flags, "--step", "auto"], (20,)


class Comparison:
    def __init__(self, programs, folder):
        self.programs, self.folder, self.worst = programs, folder, 0.0

    def run(self, program, *words):
        subprocess.run([self.programs / program, *map(str, words)], check=True, stdout=subprocess.DEVNULL)

    def data(self, rng, shape):
        if len(shape) > 1 or shape[0] > 1:
            return [rng.random((5, *shape)).astype(np.float32)]
        return [rng.random((1, 1, *size)).astype(np.float32) for size in SIZES]

    def compare(self, name, checkpoint, inputs, sigmas=None, shifts="1"):
        f = self.folder
        self.run("pudle", "export", checkpoint, "--format", "onnx", "-o", f / "n.onnx", "--shifts", shifts, "--force")
        self.run("pudle", "export", checkpoint, "--format", "safetensors", "-o", f / "n.safetensors", "--force")
        onnx.checker.check_model(str(f / "n.onnx"), full_check=True)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(f / "n.onnx"), options, providers=["CPUExecutionProvider"])
        worst, seconds = 0.0, 0.0
        for k, x in enumerate(inputs):
            tensors = {"x": x}
            if any(value.name == "sigma" for value in session.get_inputs()):
                tensors["sigma"] = np.full(len(x), sigmas[k % len(sigmas)], np.float32)
            start = time.perf_counter()
            estimate, _ = session.run(["x_hat", "code"], tensors)
            seconds += time.perf_counter() - start
            save_file(tensors, f / "x.safetensors")
            self.run("reference", f / "n.safetensors", f / "x.safetensors", f / "out.safetensors", *(["all"] if shifts == "all" else []))
            worst = max(worst, np.abs(estimate - load_file(f / "out.safetensors")["x_hat"]).max())
        print(f"{name:<45} largest difference {worst:.1e}, ONNX Runtime {seconds:.3f} s")
        self.worst = max(self.worst, worst)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=Path, required=True, help="folder with pudle and reference")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        comparison = Comparison(args.programs.resolve(), folder)
        for name, atoms, flags, shape in networks(rng):
            np.save(folder / "atoms.npy", atoms)
            comparison.run("pudle", "import", "--dictionary", folder / "atoms.npy", *flags, "-o", folder / "imported", "--force")
            comparison.compare(name, folder / "imported", comparison.data(rng, shape))
        pictures = comparison.data(rng, (1,))
        comparison.compare("denoise-published", "denoise-published", pictures, [25.0])
        comparison.compare("denoise-published, all shifts", "denoise-published", pictures, [25.0], "all")
        # Inside the levels of the training, so that the reference, which does not scale pictures, is the same.
        comparison.compare("denoise-gray", "denoise-gray", pictures, [5.0, 15.0, 25.0, 50.0])
        comparison.compare("denoise-gray, all shifts", "denoise-gray", pictures, [7.0, 30.0], "all")
    print(f"largest difference of all {comparison.worst:.1e}")
    assert comparison.worst < 1e-4


if __name__ == "__main__":
    main()
