"""Denoisers beside PyTorch running the same weights, on the same noisy pictures.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -r crates/pudle-bench/peers/requirements.txt
    /tmp/peers/bin/python crates/pudle-bench/peers/denoisers.py --images BSD68

`pudle evaluate --save` writes the noisy pictures and its estimates. PyTorch runs the network of the checkpoint on every
`--every`-th picture, in one pass and with all shifts, in turn with ours. The script checks that the estimates agree, and prints
the ratio of times as Markdown. `bm3d.py` compares with BM3D.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import tomllib

import numpy as np
from safetensors.numpy import load_file

ROOT = pathlib.Path(__file__).resolve().parents[3]


def evaluate(args, checkpoint, sigma, shifts, folder):
    command = [args.pudle, "evaluate", "--checkpoint", checkpoint, "--images", args.images, "--sigma", f"{sigma:g}",
               "--shifts", str(shifts), "--same-lambda", "--json", "--save", folder]
    env = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def saved(folder, sigma):
    return sorted(pathlib.Path(folder, f"sigma-{sigma:g}").rglob("*.safetensors"))


class Network:
    """A shipped checkpoint in PyTorch: unrolled ISTA over filters, soft thresholds."""

    def __init__(self, checkpoint, sigma):
        import torch
        from safetensors.torch import load_file as load

        folder = pathlib.Path(checkpoint)
        folder = folder if folder.exists() else ROOT / "checkpoints" / checkpoint
        config = tomllib.loads((folder / "config.toml").read_text())
        levels = config["data"]["sigma"]
        low, high = levels if isinstance(levels, list) else (levels, levels)
        # A level that it was not trained for is scaled to the nearest one that it was.
        told = min(max(sigma, low), high)
        self.ratio, sigma = told / sigma, told
        model = config["model"]
        assert model["prox"] == "soft" and model["algorithm"] == "ista", "soft thresholds and ISTA alone"
        weights = load(folder / "model.safetensors")
        self.filters = weights["dictionary.atoms"]
        self.analysis = weights.get("analysis.atoms", self.filters)
        self.decoder = weights.get("decoder.atoms", self.filters)
        if "gain" in weights:
            self.decoder = self.filters * weights["gain"][:, None, None, None]
        self.stride, self.size = model["dictionary"]["stride"], model["dictionary"]["size"]
        self.layers, self.step = model["layers"], model["step"]
        self.offset = model.get("offset", 0.0)
        threshold = model["threshold"]
        if threshold["kind"] == "constant":
            level = torch.full((1, 1), threshold["lambda"])
        else:
            level = weights["threshold.lambda"].reshape(-1, self.filters.shape[0])
            if "threshold.slope" in weights:
                level = level + weights["threshold.slope"].reshape(level.shape) * sigma / threshold["sigma"]
        level = level.clamp(min=0) * self.step
        self.levels = level.expand(self.layers, -1)[:, None, :, None, None]

    def encode(self, x):
        import torch
        import torch.nn.functional as F

        def shrink(z, level):
            return torch.sign(z) * F.relu(z.abs() - level)

        z = shrink(self.step * F.conv2d(x, self.analysis, stride=self.stride), self.levels[0])
        for level in self.levels[1:]:
            r = x - F.conv_transpose2d(z, self.filters, stride=self.stride)
            z = shrink(z + self.step * F.conv2d(r, self.analysis, stride=self.stride), level)
        return F.conv_transpose2d(z, self.decoder, stride=self.stride)

    def covered(self, length):
        return self.size + -(-(length - self.size) // self.stride) * self.stride

    def __call__(self, noisy, every_shift):
        import torch
        import torch.nn.functional as F

        with torch.no_grad():
            x = (torch.from_numpy(noisy)[None] - self.offset) * self.ratio
            height, width = x.shape[2:]
            shifts = range(self.stride if every_shift else 1)
            before = len(shifts) - 1
            tall, wide = self.covered(height + before), self.covered(width + before)
            below, right = tall + before - before - height, wide + before - before - width
            padded = F.pad(x, (before, right, before, below), mode="reflect")
            total = torch.zeros_like(x)
            for top in shifts:
                for left in shifts:
                    whole = self.encode(padded[..., top : top + tall, left : left + wide])
                    total += whole[..., before - top :, before - left :][..., :height, :width]
            estimate = total / len(shifts) ** 2 / self.ratio + self.offset
            return estimate.clamp(0, 1)[0].numpy()


def subset(images, every, folder):
    """A folder with every so many pictures of another one."""
    paths = sorted(p for p in pathlib.Path(images).iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    chosen = pathlib.Path(folder, "subset")
    chosen.mkdir()
    for path in paths[::every]:
        (chosen / path.name).symlink_to(path.resolve())
    return str(chosen)


def beside_torch(args, checkpoint, sigma, folder):
    """Rows of times: PyTorch, ours, ratio, and the largest difference of the estimates."""
    import torch

    torch.set_num_threads(args.threads)
    network = Network(checkpoint, sigma)
    for name, shifts in (("one pass", "1"), ("all shifts", "all")):
        ours, theirs, apart = [], [], 0.0
        for _ in range(args.rounds):
            out = tempfile.mkdtemp(dir=folder)
            scores = evaluate(args, checkpoint, sigma, shifts, out)["images"]
            # The first picture also starts the threads, as the small picture below does for PyTorch.
            ours.append(np.mean([score["seconds"] for score in scores[1:]]))
            spent, files = 0.0, saved(out, sigma)
            for path in files[1:]:
                picture = load_file(path)
                network(picture["noisy"][:, :64, :64].copy(), False)
                began = time.perf_counter()
                estimate = network(picture["noisy"], shifts == "all")
                spent += time.perf_counter() - began
                apart = float(np.maximum(apart, np.abs(estimate - picture["estimate"]).max()))
            theirs.append(spent / len(files[1:]))
        if not apart <= 1e-3:
            sys.exit(f"{checkpoint}, {name}: estimates differ by {apart:.1e}")
        middle = lambda values: sorted(values)[len(values) // 2]
        ours, theirs = middle(ours), middle(theirs)
        print(f"| {checkpoint}, {name} | {1e3 * theirs:.0f} | {1e3 * ours:.0f} | **{theirs / ours:.1f}** | {apart:.0e} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pudle", default="target/release/pudle", help="the pudle binary")
    parser.add_argument("--images", required=True, help="folder of clean pictures")
    parser.add_argument("--checkpoint", action="append", help="name or folder; all that ship for grey pictures by default")
    parser.add_argument("--sigma", default=25.0, type=float)
    parser.add_argument("--every", type=int, default=12, help="takes every so many pictures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    ships = ("denoise-published", "denoise-gray-sigma25", "denoise-gray")
    print("| checkpoint | PyTorch, ms | Pudle, ms | ratio | largest difference |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        args.images = subset(args.images, args.every, folder)
        for checkpoint in args.checkpoint or ships:
            beside_torch(args, checkpoint, args.sigma, folder)


if __name__ == "__main__":
    main()
