"""Shipped denoisers beside BM3D and CBM3D (PyPI bm3d) on the same noisy pictures, with the time per megapixel.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy safetensors bm3d
    /tmp/peers/bin/python crates/pudle-bench/peers/bm3d.py --images CBSD68 --color --every 4 --sigma 2,15,25,50,75

`pudle evaluate --save` writes the noisy pictures, which are not clipped, and its estimates. BM3D gets the same numbers and the
same noise level. PSNR has the peak 1, and estimates are clipped. Printed as Markdown.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

# This file has the name of the package.
sys.path = [entry for entry in sys.path if pathlib.Path(entry or ".").resolve() != pathlib.Path(__file__).resolve().parent]

import bm3d
import numpy as np
from safetensors.numpy import load_file


def psnr(estimate, clean):
    return -10 * np.log10(np.mean((estimate.astype(np.float64) - clean) ** 2))


def evaluate(args, checkpoint, sigma, images, save):
    command = [args.pudle, "evaluate", "--checkpoint", checkpoint, "--images", str(images), "--sigma", f"{sigma:g}",
               "--shifts", args.shifts, "--seed", str(args.seed), "--json", "--save", save]
    command += ["--color"] * args.color + ["--blend"] * args.blend
    done = subprocess.run(command, env={**os.environ, "RAYON_NUM_THREADS": str(args.threads)}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def score_bm3d(files, sigma):
    """Mean PSNR and seconds per megapixel."""
    scores, seconds, pixels = [], 0.0, 0
    for path in files:
        picture = load_file(path)
        noisy = np.ascontiguousarray(picture["noisy"].transpose(1, 2, 0).astype(np.float64))
        began = time.perf_counter()
        estimate = (bm3d.bm3d_rgb if noisy.shape[2] == 3 else bm3d.bm3d)(noisy.squeeze(), sigma / 255)
        seconds += time.perf_counter() - began
        pixels += noisy.shape[0] * noisy.shape[1]
        estimate = np.clip(estimate.reshape(noisy.shape).transpose(2, 0, 1), 0, 1)
        scores.append(psnr(estimate, picture["clean"]))
    return np.mean(scores), 1e6 * seconds / pixels


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pudle", default="target/release/pudle", help="the pudle binary")
    parser.add_argument("--images", required=True, type=pathlib.Path, help="folder of clean pictures")
    parser.add_argument("--every", type=int, default=4, help="take every so many pictures")
    parser.add_argument("--color", action="store_true", help="keep colours")
    parser.add_argument("--blend", action="store_true", help="also blend what ours leaves out back, as `pudle denoise` does")
    parser.add_argument("--checkpoint", action="append", help="name or folder; by default the one for grey or colour pictures")
    parser.add_argument("--sigma", default="15,25,50", type=lambda text: [float(s) for s in text.split(",")])
    parser.add_argument("--shifts", default="all", help="shifts that ours averages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="threads of ours")
    args = parser.parse_args()
    checkpoints = args.checkpoint or ["denoise-color" if args.color else "denoise-gray"]
    files = sorted(p for p in args.images.iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif"))[:: args.every]
    peer = "CBM3D" if args.color else "BM3D"
    print(f"{len(files)} pictures, {args.shifts} shifts, seed {args.seed}; PSNR in dB (seconds per megapixel)\n")
    print("| sigma | noisy | " + " | ".join([peer, *checkpoints]) + " |")
    print("| --- " * (3 + len(checkpoints)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        subset = pathlib.Path(folder, "pictures")
        subset.mkdir()
        for path in files:
            (subset / path.name).symlink_to(path.resolve())
        for sigma in args.sigma:
            cells, saved = [], []
            for checkpoint in checkpoints:
                out = tempfile.mkdtemp(dir=folder)
                result = evaluate(args, checkpoint, sigma, subset, out)
                saved = sorted(pathlib.Path(out).rglob("*.safetensors"))
                pixels = sum(np.prod(load_file(path)["clean"].shape[1:]) for path in saved)
                spent = 1e6 * result["mean_seconds"] * len(saved) / pixels
                cells.append(f"{result['mean_psnr']:.2f} ({spent:.1f})")
            score, spent = score_bm3d(saved, sigma)
            cells = [f"{result['mean_noisy_psnr']:.2f}", f"{score:.2f} ({spent:.1f})", *cells]
            print(f"| {sigma:g} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
