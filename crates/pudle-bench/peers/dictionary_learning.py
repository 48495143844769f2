"""Dictionary learning by other packages on the data of `pudle experiment baselines`.

Writes the data, runs `pudle experiment baselines` on them unless its folder is there already, then
scikit-learn's MiniBatchDictionaryLearning and SPORCO's BPDNDictLearn from the same start, and prints the
relative error of each dictionary and the time to reach each error.

    pip install -r requirements.txt
    python dictionary_learning.py --pudle ../../../target/release/pudle --sparsity 10 --out runs

scikit-learn replaces atoms that a batch has not used by data, so that its batches must be large enough to use
all of them: `--sklearn-batch`. SPORCO's online learner is convolutional and drops the axes of 1×1 filters, so that a plain matrix cannot be
learned with it; its learner for matrices goes over all data in every iteration, and is given the first
`--sporco-data` of them.
"""

import argparse
import json
import subprocess
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

LEVELS = (1e-1, 3e-2, 1e-2, 1e-3, 1e-4)


def relative_error(dictionary, truth):
    """Atoms are matched by place and sign: all start near the true ones."""
    dictionary = dictionary / np.maximum(np.linalg.norm(dictionary, axis=0), 1e-12)
    signs = np.sign((dictionary * truth).sum(axis=0))
    return float(np.linalg.norm(dictionary * signs - truth) / np.linalg.norm(truth))


def sklearn_curve(data, args):
    from sklearn.decomposition import MiniBatchDictionaryLearning

    x, truth, start = data["x"], data["truth"], data["start"]
    # The penalty of scikit-learn is α‖z‖₁ beside ½‖x − D z‖², as here.
    learner = MiniBatchDictionaryLearning(
        n_components=truth.shape[1],
        alpha=0.2,
        batch_size=args.sklearn_batch,
        fit_algorithm=args.sklearn_algorithm,
        dict_init=np.ascontiguousarray(start.T),
        n_jobs=1,
        random_state=0,
    )
    curve, spent = [[0.0, relative_error(start, truth)]], 0.0
    for first in range(0, len(x), args.sklearn_batch):
        began = time.perf_counter()
        learner.partial_fit(x[first : first + args.sklearn_batch])
        spent += time.perf_counter() - began
        curve.append([spent, relative_error(learner.components_.T, truth)])
        if spent > 60 * args.minutes:
            break
    return curve, f"{len(curve) - 1} batches of {args.sklearn_batch}"


def sporco_curve(data, args):
    from sporco.dictlrn import bpdndl

    x, truth, start = data["x"], data["truth"], data["start"]
    x = np.ascontiguousarray(x[: args.sporco_data].T)
    curve, began = [[0.0, relative_error(start, truth)]], time.perf_counter()
    evaluating = [0.0]

    def callback(learner):
        spent = time.perf_counter() - began - evaluating[0]
        now = time.perf_counter()
        if learner.j % 5 == 0:
            curve.append([spent, relative_error(learner.getdict(), truth)])
        evaluating[0] += time.perf_counter() - now
        return spent > 60 * args.minutes

    options = bpdndl.BPDNDictLearn.Options(
        {
            "Verbose": False,
            "MaxMainIter": args.sporco_iterations,
            "Callback": callback,
            "BPDN": {"rho": 10.0 * 0.2 + 0.1},
            "CMOD": {"rho": x.shape[1] / 1e3},
        }
    )
    learner = bpdndl.BPDNDictLearn(start, x, 0.2, options)
    learner.solve()
    spent = time.perf_counter() - began - evaluating[0]
    curve.append([spent, relative_error(learner.getdict(), truth)])
    return curve, f"{learner.j} iterations over {x.shape[1]} data"


def pudle_curves(run, sparsity):
    for path in sorted((run / "cells").glob(f"s-{sparsity}-*-seed-0.json")):
        curves = json.loads(path.read_text())["curves"]
        pairs = zip(curves["seconds"], curves["error"])
        name = path.stem.removeprefix(f"s-{sparsity}-").removesuffix("-seed-0")
        yield f"pudle {name}", [[t[1], e[1]] for t, e in pairs], f"{int(curves['error'][-1][0])} steps"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pudle", default="pudle", help="the pudle binary")
    parser.add_argument("--sparsity", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of data and results")
    parser.add_argument("--run", type=Path, help="folder of a baselines experiment that has been run")
    parser.add_argument("--sklearn-batch", type=int, default=1000)
    parser.add_argument("--sklearn-algorithm", default="lars", choices=["cd", "lars"])
    parser.add_argument("--minutes", type=float, default=5, help="most time for each package")
    parser.add_argument("--sporco-data", type=int, default=5000)
    parser.add_argument("--sporco-iterations", type=int, default=100)
    args = parser.parse_args()

    experiment = [args.pudle, "experiment", "baselines", "--sparsity", str(args.sparsity)]
    data_file = args.out / f"data-s{args.sparsity}.safetensors"
    if not data_file.exists():
        subprocess.run(experiment + ["--save-data", str(args.out)], check=True)
    run = args.run or args.out / f"baselines-s{args.sparsity}"
    if not args.run:
        subprocess.run(experiment + ["--out", str(run)], check=True)
    data = load_file(data_file)

    results = list(pudle_curves(run, args.sparsity))
    results.append(("scikit-learn", *sklearn_curve(data, args)))
    results.append(("SPORCO", *sporco_curve(data, args)))
    print(f"| s = {args.sparsity} | run | seconds | final error | seconds to " + " | to ".join(map(str, LEVELS)) + " |")
    print("| --- " * (4 + len(LEVELS)) + "|")
    for name, curve, what in results:
        reached = [next((f"{t:.1f}" for t, e in curve if e <= level), "–") for level in LEVELS]
        last = curve[-1]
        print(f"| {name} | {what} | {last[0]:.1f} | {last[1]:.2e} | " + " | ".join(reached) + " |")


if __name__ == "__main__":
    main()
