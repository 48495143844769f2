"""Pudle beside PyTorch: builds `pudle`, runs both in turn on the same inputs and cores, checks that they
agree, and prints medians and ratios as Markdown.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -r crates/pudle-bench/peers/requirements.txt
    /tmp/peers/bin/python crates/pudle-bench/peers/compare.py

A ratio is PyTorch's time (or memory) over ours. `--growth` prints the tables of growth instead.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]

# Name, flags of `pudle bench` that say what is run, and whether there is a step.
CONV = ["--case", "conv"]
SIGNAL = ["--case", "signal"]
CASES = [
    ("conv, batch 1, dec", CONV + ["--gradient", "dec"]),
    ("conv, batch 1, ae-lasso", CONV + ["--gradient", "ae-lasso"]),
    ("conv, batch 1, ae-ls", CONV),
    ("conv, batch 1, ae-ls, random atoms", CONV + ["--atoms", "64"]),
    ("conv, batch 8, dec", CONV + ["--batch", "8", "--gradient", "dec"]),
    ("conv, batch 8, ae-lasso", CONV + ["--batch", "8", "--gradient", "ae-lasso"]),
    ("conv, batch 8, ae-ls", CONV + ["--batch", "8"]),
    ("conv, batch 8, ae-ls, random atoms", CONV + ["--batch", "8", "--atoms", "64"]),
    ("dense, dec", ["--case", "dense", "--gradient", "dec"]),
    ("dense, ae-lasso", ["--case", "dense", "--gradient", "ae-lasso"]),
    ("dense, ae-ls", ["--case", "dense"]),
    ("signal, 10 s, dec", SIGNAL + ["--gradient", "dec"]),
    ("signal, 2 s, ae-ls", SIGNAL + ["--side", "60000"]),
    ("image 481×321", ["--case", "image"]),
    ("image 481×321, 16 shifts", ["--case", "image", "--shifts", "16"]),
]
GROWTH = (
    [(f"signal, T = {t}", SIGNAL + ["--gradient", "dec", "--layers", str(t)]) for t in (50, 100, 200, 400)]
    + [(f"signal, {n} samples", SIGNAL + ["--gradient", "dec", "--side", str(n)]) for n in (30000, 100000, 300000)]
    + [(f"signal, {c} channels", SIGNAL + ["--gradient", "dec", "--side", "60000", "--channels", str(c)]) for c in (1, 4, 16)]
    + [(f"conv, T = {t}", CONV + ["--layers", str(t)]) for t in (5, 15, 30, 50, 100)]
    + [(f"conv, T = {t}, recomputed", CONV + ["--layers", str(t), "--recompute"]) for t in (15, 50, 100)]
    + [(f"conv, {n}×{n} pixels", CONV + ["--side", str(n)]) for n in (65, 129, 257, 513)]
    + [(f"conv, p = {p}, random", CONV + ["--atoms", str(p)]) for p in (16, 32, 64, 128)]
    + [(f"conv, batch {b}", CONV + ["--batch", str(b)]) for b in (1, 2, 4, 8, 16)]
    + [(f"dense, T = {t}", ["--case", "dense", "--layers", str(t)]) for t in (10, 30, 100)]
    + [(f"dense, p = {p}", ["--case", "dense", "--atoms", str(p)]) for p in (500, 1000, 1500)]
    + [(f"dense, batch {b}", ["--case", "dense", "--batch", str(b)]) for b in (10, 50, 200)]
)


def flag(flags, name, default):
    return flags[flags.index(name) + 1] if name in flags else default


def run(command, threads):
    env = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return json.loads(done.stdout)


def median(values):
    return sorted(values)[len(values) // 2]


def measure(pudle, flags, args, file):
    """Medians over the rounds of each side's medians; ours and theirs alternate."""
    ours, theirs = [], []
    for _ in range(args.rounds):
        # Memory where the step is; the case's own repetitions elsewhere.
        slow = "dense" in flags or "signal" in flags or "--shifts" in flags or "16" in flags or "513" in flags
        repetitions = str(max(3, args.repetitions // 5) if slow else args.repetitions)
        ours.append(run(
            [pudle, "bench", *flags, "--json", "--save", file, "--repetitions", repetitions], args.threads))
        case = flag(flags, "--case", "conv")
        theirs.append(run(
            [sys.executable, HERE / "pytorch_pass.py", file, "--case", case,
             "--gradient", flag(flags, "--gradient", "ae-ls"), "--layers", str(ours[-1]["layers"]),
             "--shifts", flag(flags, "--shifts", "1"), "--threads", str(args.threads),
             "--repetitions", repetitions], args.threads))
        for name in ("code", "reconstruction", "gradient"):
            off = theirs[-1].get(name, 0.0)
            # Codes at the edge of the threshold may differ by it, in the two libraries' rounding.
            if not off <= (1e-3 if name == "gradient" else 1e-4):
                sys.exit(f"{flags}: {name} differs by {off:.1e} of its largest entry")
    pick = lambda side, key: median([m[key] for m in side]) if side[0].get(key) is not None else None
    keys = ("forward_ms", "step_ms", "peak_mib", "active")
    off = max(theirs[-1].get(name, 0.0) for name in ("code", "reconstruction", "gradient"))
    return {k: pick(ours, k) for k in keys}, {k: pick(theirs, k) for k in keys}, off


def cell(ours, theirs, key, digits):
    if ours[key] is None or theirs[key] is None:
        return "— | — | —"
    ratio = theirs[key] / max(ours[key], 1e-9)
    return f"{theirs[key]:.{digits}f} | {ours[key]:.{digits}f} | **{ratio:.1f}**"


def build():
    """The path of a pudle binary that is built from these sources."""
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return pathlib.Path(json.loads(metadata)["target_directory"]) / "release" / "pudle"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="threads of each side (2)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side (3)")
    parser.add_argument("--repetitions", type=int, default=20, help="passes in a turn (20)")
    parser.add_argument("--growth", action="store_true", help="growth with T, pixels, p and batch")
    parser.add_argument("--only", help="cases whose name contains this")
    parser.add_argument("--pudle", type=pathlib.Path, help="the pudle binary; without it, one is built")
    args = parser.parse_args()
    pudle = args.pudle or build()
    print(f"{platform.machine()}, {args.threads} threads each, {args.rounds} rounds; PyTorch | Pudle | ratio\n")
    print("| case | active | forward ms | | | step ms | | | memory MiB | | | largest difference |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "pass.safetensors")
        for name, flags in GROWTH if args.growth else CASES:
            if args.only and args.only not in name:
                continue
            ours, theirs, off = measure(pudle, flags, args, file)
            cells = [cell(ours, theirs, "forward_ms", 2), cell(ours, theirs, "step_ms", 2),
                     cell(ours, theirs, "peak_mib", 1)]
            print(f"| {name} | {ours['active']:.1%} | {' | '.join(cells)} | {off:.0e} |", flush=True)


if __name__ == "__main__":
    main()
