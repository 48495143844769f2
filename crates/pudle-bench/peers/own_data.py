"""Learning and encoding of a user's own data, beside scikit-learn, SPAMS and ONNX Runtime.

    pip install numpy scipy pillow scikit-learn spams-bin safetensors onnxruntime
    cargo build --release --workspace
    python own_data.py --pudle ../../../target/release/pudle --images BSD68 learning encode face onnx

Every part prints a table. Seconds are wall time; "CPU" is the processor time of all threads, which depends less on what else
the machine does. Both programs of a part have the same number of threads. Dictionaries are compared by one function: the mean of
½‖x − D z‖² + λ‖z‖₁ over held-out data, with codes of a FISTA in NumPy.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

HELD_OUT = 8  # pictures at the end of the folder, which no dictionary sees


class Clock:
    """Wall and processor time of the work between `with`, of this process and those that it starts."""

    def __enter__(self):
        self.wall, self.cpu = time.perf_counter(), self.used()
        return self

    def __exit__(self, *_):
        self.wall, self.cpu = time.perf_counter() - self.wall, self.used() - self.cpu

    @staticmethod
    def used():
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in usage)


def gray(path):
    from PIL import Image

    return np.asarray(Image.open(path).convert("L"), np.float32) / 255


def patches(files, size, count, seed):
    """Random patches, each less its mean."""
    rng, images = np.random.default_rng(seed), [gray(file) for file in files]
    x = np.empty((count, size * size), np.float32)
    for row in x:
        image = images[rng.integers(len(images))]
        top, left = (rng.integers(n - size + 1) for n in image.shape)
        row[:] = image[top : top + size, left : left + size].ravel()
    return x - x.mean(axis=1, keepdims=True)


def pictures(args):
    files = sorted(p for p in args.images.iterdir() if p.suffix.lower() in (".png", ".jpg"))
    return files[:-HELD_OUT], files[-HELD_OUT:]


def fista(x, atoms, lam, iterations):
    """Codes of the rows of x for atoms in rows."""
    gram, correlations = atoms @ atoms.T, x @ atoms.T
    step = 1 / np.linalg.eigvalsh(gram)[-1]
    z = y = np.zeros_like(correlations)
    s = 1.0
    for _ in range(iterations):
        v = y + step * (correlations - y @ gram)
        new = np.sign(v) * np.maximum(np.abs(v) - step * lam, 0)
        following = (1 + np.sqrt(1 + 4 * s * s)) / 2
        y, z, s = new + (s - 1) / following * (new - z), new, following
    return z


def objective(x, atoms, lam):
    atoms = np.asarray(atoms, np.float64)
    atoms = atoms / np.maximum(np.linalg.norm(atoms, axis=1, keepdims=True), 1e-12)
    z = fista(np.asarray(x, np.float64), atoms, lam, 300)
    return float((0.5 * ((x - z @ atoms) ** 2).sum(axis=1) + lam * np.abs(z).sum(axis=1)).mean())


def atoms_of(checkpoint):
    """The atoms of a checkpoint of vectors, in rows."""
    from safetensors.numpy import load_file

    return load_file(checkpoint / "model.safetensors")["dictionary.atoms"].T.copy()


def pudle(args, *words, **options):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
    return subprocess.run([args.pudle, *map(str, words)], check=True, env=environment, **options)


# Learning


def sklearn_curve(x, test, args):
    from sklearn.decomposition import MiniBatchDictionaryLearning

    learner = MiniBatchDictionaryLearning(
        n_components=args.atoms, alpha=args.lam, batch_size=256, n_jobs=args.threads, random_state=0
    )
    rng, wall, cpu = np.random.default_rng(0), 0.0, 0.0
    order = rng.permutation(len(x))
    for k in range(10**6):
        first = k * 256 % (len(x) - 256)
        with Clock() as clock:
            learner.partial_fit(x[order[first : first + 256]])
        wall, cpu = wall + clock.wall, cpu + clock.cpu
        if k in (0, 1, 3, 7, 15, 31, 63, 127, 255) or wall > args.seconds:
            yield wall, cpu, objective(test, learner.components_, args.lam)
        if wall > args.seconds:
            return


def spams_curve(x, test, args):
    import spams

    data = np.asfortranarray(x.T, dtype=np.float64)
    model, wall, cpu, dictionary = None, 0.0, 0.0, None
    rounds = 4
    while wall < args.seconds:
        options = dict(K=args.atoms, lambda1=args.lam, mode=2, batchsize=256, numThreads=args.threads, iter=rounds, verbose=False)
        with Clock() as clock:
            if model is None:
                dictionary, model = spams.trainDL(data, return_model=True, **options)
            else:
                dictionary, model = spams.trainDL(data, return_model=True, D=dictionary, model=model, **options)
        wall, cpu = wall + clock.wall, cpu + clock.cpu
        yield wall, cpu, objective(test, dictionary.T, args.lam)
        rounds *= 2


def settings(folder, args):
    """The settings that `pudle train --data` chooses, with a checkpoint every few steps."""
    words = ["--data", folder / "x.npy", "--atoms", args.atoms, "--lambda", args.lam, "--steps", 1, *args.train.split()]
    pudle(args, "train", *words, "--out", folder / "one", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    text = (folder / "one" / "config.toml").read_text()
    changes = {"steps": args.steps, "checkpoint_every": max(1, args.steps // 20), "valid_every": args.steps, "keep": 30}
    for name, value in changes.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
    (folder / "run.toml").write_text(text)
    return folder / "run.toml"


def pudle_curve(x, test, args, folder):
    """Every checkpoint of a run, at the time at which its file was complete."""
    np.save(folder / "x.npy", x)
    config, run = settings(folder, args), folder / "run"
    started = time.time()
    with Clock() as clock:
        pudle(args, "train", "--config", config, "--out", run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    files = sorted((run / "checkpoint").glob("model-*.bpk"), key=lambda file: file.stat().st_mtime)
    for file in files:
        wall = file.stat().st_mtime - started
        out = folder / "at"
        words = ["--transpose=false", "--prox", "soft", "--lambda", args.lam, "--step", "auto", "--layers", 1]
        pudle(args, "import", "--dictionary", file, *words, "-o", out, "--force", stdout=subprocess.DEVNULL)
        yield wall, wall / clock.wall * clock.cpu, objective(test, atoms_of(out), args.lam)


def learning(args, folder):
    trained, held_out = pictures(args)
    x, test = patches(trained, 8, args.rows, 0), patches(held_out, 8, 2000, 1)
    curves = {}
    peers = {"scikit-learn, MiniBatchDictionaryLearning": sklearn_curve, "SPAMS, trainDL": spams_curve}
    for name, peer in peers.items():
        try:
            curves[name] = list(peer(x, test, args))
        except ImportError as error:
            print(f"{name}: {error}")
    curves["Pudle"] = list(pudle_curve(x, test, args, folder))
    print(f"\n{args.rows} patches 8×8, {args.atoms} atoms, λ = {args.lam}, {args.threads} threads; mean objective on 2000 held-out patches\n")
    print("| | objective after seconds of wall time | final | seconds (CPU) | Pudle reaches it after seconds (CPU) | ratio (CPU) |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, curve in curves.items():
        wall, cpu, final = curve[-1]
        path = ", ".join(f"{w:.1f}: {o:.5f}" for w, _, o in curve[:: max(1, len(curve) // 5)])
        ours = next(((w, c) for w, c, o in curves["Pudle"] if o <= final), None)
        reached = f"{ours[0]:.1f} ({ours[1]:.1f}) | {wall / ours[0]:.1f} ({cpu / ours[1]:.1f})" if ours else "– | –"
        print(f"| {name} | {path} | {final:.5f} | {wall:.1f} ({cpu:.1f}) | {reached} |")


# Encoding


def dictionary_16(args, folder):
    """1024 atoms of 16×16 patches: those of --dictionary, or patches themselves."""
    if args.dictionary:
        return atoms_of(args.dictionary)
    from sklearn.decomposition import MiniBatchDictionaryLearning

    x = patches(pictures(args)[0], 16, 20_000, 2)
    learner = MiniBatchDictionaryLearning(n_components=1024, alpha=0.1, batch_size=1024, max_iter=1, n_jobs=args.threads, random_state=0)
    return np.ascontiguousarray(learner.fit(x).components_, np.float32)


def encode(args, folder):
    import scipy.sparse
    from sklearn.decomposition import SparseCoder

    atoms = dictionary_16(args, folder)
    atoms = (atoms / np.linalg.norm(atoms, axis=1, keepdims=True)).astype(np.float32)
    x = patches(pictures(args)[1], 16, args.encode_rows, 3)
    np.save(folder / "d.npy", atoms.T)
    np.save(folder / "x.npy", x)
    words = ["--prox", "soft", "--lambda", args.lam, "--step", "auto", "--layers", args.layers, "--algorithm", "fista"]
    pudle(args, "import", "--dictionary", folder / "d.npy", "--transpose=false", *words, "-o", folder / "d", stdout=subprocess.DEVNULL)
    runs = {}
    for name, flags in ((f"FISTA, {args.layers} layers", []), ("--exact", ["--exact"])):
        with Clock() as ours:
            pudle(args, "encode", folder / "d", folder / "x.npy", "-o", folder / "z.npz", "--force", *flags, stdout=subprocess.DEVNULL)
        runs[name] = ours, scipy.sparse.load_npz(folder / "z.npz").toarray()
    print(f"\n{len(x)} data of 256 numbers, 1024 atoms, λ = {args.lam}, {args.threads} threads\n")
    print("| | non-zeros a datum | objective | seconds (CPU) | a million data, seconds (CPU) | ratio (CPU) | same support | largest difference |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    mean = lambda z, x: (0.5 * ((x - z @ atoms) ** 2).sum(1) + args.lam * np.abs(z).sum(1)).mean()
    for name, (clock, codes) in runs.items():
        line = f"| Pudle, {name} | {(codes != 0).sum(1).mean():.2f} | {mean(codes, x):.6f} | {clock.wall:.1f} ({clock.cpu:.1f}) "
        print(line + f"| {clock.wall / len(x) * 1e6:.0f} ({clock.cpu / len(x) * 1e6:.0f}) | | | |")
    ours, z = runs["--exact"]  # the ratios below are to this one
    for algorithm in ("lasso_lars", "lasso_cd"):
        part = x[: args.peer_rows].astype(np.float64)
        coder = SparseCoder(
            atoms.astype(np.float64), transform_algorithm=algorithm, transform_alpha=args.lam,
            transform_max_iter=10_000 if algorithm == "lasso_cd" else 1000, n_jobs=args.threads,
        )
        with Clock() as theirs:
            codes = coder.transform(part)
        mine = z[: len(part)]
        wall, cpu = theirs.wall / len(part), theirs.cpu / len(part)
        ratios = f"{wall / (ours.wall / len(x)):.1f} ({cpu / (ours.cpu / len(x)):.1f})"
        same = ((codes != 0) == (mine != 0)).mean()
        print(
            f"| scikit-learn, {algorithm}, {len(part)} data | {(codes != 0).sum(1).mean():.2f} | {mean(codes, part):.6f} "
            f"| {theirs.wall:.1f} ({theirs.cpu:.1f}) | {wall * 1e6:.0f} ({cpu * 1e6:.0f}) | {ratios} | {same:.4%} | {np.abs(codes - mine).max():.1e} |"
        )


# The example of scikit-learn


def face(args, folder):
    """scikit-learn's "Image denoising using dictionary learning": half of the picture has noise, and patches of the other half are
    learned. A picture of --images takes the place of the racoon's face if that cannot be fetched."""
    from sklearn.decomposition import MiniBatchDictionaryLearning
    from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d

    try:
        from scipy.datasets import face as racoon

        picture, name = racoon(gray=True), "scipy.datasets.face"
        picture = picture / 255.0
        picture = (picture[::4, ::4] + picture[1::4, ::4] + picture[::4, 1::4] + picture[1::4, 1::4]) / 4
    except Exception:
        file = pictures(args)[1][0]
        picture, name = gray(file).astype(np.float64), file.name
    height, width = picture.shape
    half = width // 2
    noisy = picture.copy()
    noisy[:, half:] += 0.075 * np.random.RandomState(0).randn(height, width - half)
    data = extract_patches_2d(noisy[:, :half], (7, 7)).reshape(-1, 49)
    mean, scale = data.mean(axis=0), data.std(axis=0)
    data = (data - mean) / scale
    test = extract_patches_2d(noisy[:, half:], (7, 7)).reshape(-1, 49)
    intercept = test.mean(axis=0)
    test = test - intercept

    def denoised(codes, atoms):
        estimate = (codes @ atoms + intercept).reshape(-1, 7, 7)
        return reconstruct_from_patches_2d(estimate, (height, width - half))

    psnr = lambda estimate: -10 * np.log10(((estimate - picture[:, half:]) ** 2).mean())
    with Clock() as fit:
        learner = MiniBatchDictionaryLearning(n_components=50, batch_size=200, alpha=1.0, max_iter=10, n_jobs=args.threads, random_state=0).fit(data)
    np.save(folder / "f.npy", data.astype(np.float32))
    with Clock() as ours:
        words = ["--data", folder / "f.npy", "--atoms", 50, "--lambda", 1.0, "--out", folder / "face", *args.train.split()]
        pudle(args, "train", *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atoms = atoms_of(folder / "face")
    print(f"\n{name}, {height}×{width}, half of it with noise 0.075: PSNR {psnr(noisy[:, half:]):.2f} dB\n")
    print("| dictionary | learned in seconds (CPU) | objective | PSNR, OMP with 2 atoms | PSNR, lasso |")
    print("| --- | --- | --- | --- | --- |")
    rows = [("scikit-learn", fit, learner.components_), ("Pudle", ours, atoms)]
    np.save(folder / "t.npy", test.astype(np.float32))
    for name, clock, components in rows:
        components = components / np.linalg.norm(components, axis=1, keepdims=True)
        learner.components_ = components
        learner.set_params(transform_algorithm="omp", transform_n_nonzero_coefs=2)
        pursuit = psnr(denoised(learner.transform(test), components))
        np.save(folder / "fd.npy", components.T.astype(np.float32))
        words = ["--prox", "soft", "--lambda", 0.15, "--step", "auto", "--layers", 200, "--algorithm", "fista", "--transpose=false"]
        pudle(args, "import", "--dictionary", folder / "fd.npy", *words, "-o", folder / "fd", "--force", stdout=subprocess.DEVNULL)
        pudle(args, "encode", folder / "fd", folder / "t.npy", "-o", folder / "tz.npy", "--force", stdout=subprocess.DEVNULL)
        lasso = psnr(denoised(np.load(folder / "tz.npy"), components))
        value = objective(data[:2000], components, 1.0)
        print(f"| {name} | {clock.wall:.1f} ({clock.cpu:.1f}) | {value:.3f} | {pursuit:.2f} | {lasso:.2f} |")


# ONNX Runtime


def onnx(args, folder):
    import onnxruntime

    print("\n481×321 pixels, one pass; medians of 20\n")
    print("| checkpoint | ONNX Runtime, ms | Pudle, ms | ratio |")
    print("| --- | --- | --- | --- |")
    for checkpoint in ("denoise-gray", "denoise-gray-sigma25", "denoise-published"):
        file = folder / f"{checkpoint}.onnx"
        pudle(args, "export", checkpoint, "--format", "onnx", "-o", file, stdout=subprocess.DEVNULL)
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, args.threads
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        noisy = gray(pictures(args)[1][0])
        noisy = noisy if noisy.shape[0] > noisy.shape[1] else noisy.T
        noisy = noisy + np.random.default_rng(0).normal(0, 25 / 255, noisy.shape).astype(np.float32)
        tensors = {"x": np.ascontiguousarray(noisy[None, None])}
        if any(value.name == "sigma" for value in session.get_inputs()):
            tensors["sigma"] = np.full(1, 25.0, np.float32)
        theirs, ours = [], []
        for turn in range(4):
            for _ in range(5):
                began = time.perf_counter()
                session.run(["x_hat"], tensors)
                theirs.append(1e3 * (time.perf_counter() - began))
            words = ["bench", "--case", "image", "--checkpoint", checkpoint, "--repetitions", 5, "--json"]
            report = pudle(args, *words, stdout=subprocess.PIPE, text=True).stdout
            ours.append(json.loads(report)["forward_ms"])
        print(f"| {checkpoint} | {np.median(theirs):.1f} | {np.median(ours):.1f} | {np.median(theirs) / np.median(ours):.1f} |")


def main():
    parts = {"learning": learning, "encode": encode, "face": face, "onnx": onnx}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=parts)
    parser.add_argument("--pudle", default="pudle", help="the pudle binary")
    parser.add_argument("--images", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=100_000, help="patches that are learned")
    parser.add_argument("--atoms", type=int, default=256)
    parser.add_argument("--lam", type=float, default=0.1)
    parser.add_argument("--seconds", type=float, default=60, help="most time of a peer's learning")
    parser.add_argument("--train", default="", help="more flags of `pudle train`")
    parser.add_argument("--steps", type=int, default=2500, help="training steps of `learning`: those of the preset")
    parser.add_argument("--dictionary", type=Path, help="checkpoint of 1024 atoms of 256 numbers for `encode`")
    parser.add_argument("--encode-rows", type=int, default=20_000)
    parser.add_argument("--peer-rows", type=int, default=20_000)
    parser.add_argument("--layers", type=int, default=100)
    args = parser.parse_args()
    args.images = args.images.resolve()
    os.environ.setdefault("OMP_NUM_THREADS", str(args.threads))
    with tempfile.TemporaryDirectory() as folder:
        for part in args.parts:
            parts[part](args, Path(folder))


if __name__ == "__main__":
    main()
