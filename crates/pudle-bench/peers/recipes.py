"""Runs the recipes of docs/python.md in a temporary folder, in their order, and compares the network in PyTorch with Pudle.

    pip install numpy scipy safetensors torch scikit-learn onnx onnxruntime matplotlib
    cargo build --release --workspace
    python recipes.py --programs ../../../target/release
"""

import argparse
import os
import re
import subprocess
import tempfile
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "python.md"


def blocks(text):
    """The code of the page: language and lines of each block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def compare(scope, programs):
    """Reconstructions and gradients of Pudle and of the page's class, on the same data."""
    import numpy as np
    import torch
    from safetensors.torch import load_file, save_file

    torch.manual_seed(1)
    subprocess.run(["pudle", "export", "denoise-published", "--format", "safetensors", "-o", "conv.safetensors"], check=True)
    cases = {
        "imported.safetensors": torch.from_numpy(scope["data"][:50]),
        "conv.safetensors": torch.rand(2, 1, 65, 73),
    }
    for file, x in cases.items():
        save_file({"x": x.contiguous()}, "x.safetensors")
        subprocess.run([programs / "reference", file, "x.safetensors", "out.safetensors"], check=True)
        theirs = load_file("out.safetensors")
        network = scope["Network"](file)
        with torch.no_grad():
            distances = {"x_hat": (network(x) - theirs["x_hat"]).abs().max().item()}
        for estimator in ("dec", "ae-lasso", "ae-ls"):
            ours = scope["gradient"](network, x, estimator)
            distances[estimator] = ((ours - theirs[estimator]).abs().max() / ours.abs().max()).item()
        print(file, {name: f"{distance:.1e}" for name, distance in distances.items()})
        assert max(distances.values()) < 1e-5, distances


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=Path, required=True, help="folder with pudle and reference")
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args()
    programs = args.programs.resolve()
    text = args.page.read_text()
    os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    scope = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        count = 0
        for language, code in blocks(text):
            if language == "python":
                exec(compile(code, f"recipe {count}", "exec"), scope)
            elif language == "sh" and not code.startswith("pip"):
                subprocess.run(["sh", "-e", "-c", code], check=True, stdout=subprocess.DEVNULL)
            else:
                continue
            count += 1
            print(f"recipe {count} ({language}) runs")
        compare(scope, programs)
        os.chdir("/")


if __name__ == "__main__":
    main()
