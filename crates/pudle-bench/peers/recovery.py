"""Recovery of a known dictionary: Pudle, with and without revived atoms, beside one-layer sparse autoencoders in PyTorch.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy safetensors torch
    /tmp/peers/bin/python crates/pudle-bench/peers/recovery.py --seconds 120

Data are x = D z + n in 256 dimensions: 1,024 random atoms of unit norm, 4 to 16 of them in a datum (drawn evenly), codes from 1 to 2, and
Gaussian noise whose norm is on average half of that of D z. `--dim 64` has a quarter of it all: 256 atoms, 1 to 4 of them in a datum. All
methods learn as many atoms as there are from the same file and get the same time of the
processor (user and system, all threads), which other programs on the machine do not change. They take turns.

The table has the mean over true atoms of the best cosine with a learned atom; F1 of atoms, where a pair counts from a cosine of 0.9 (precision:
learned atoms with a true one; recall: true atoms with a learned one); and F1 of supports on held-out data, where the code of a true atom is that of
the nearest learned one, at the threshold on codes that is best for the method.
"""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import numpy as np
import torch
from safetensors.numpy import load_file

HELD_OUT = 1000


def draw(rng, dictionary, count, noise):
    atoms, dim = dictionary.shape
    z = np.zeros((count, atoms), np.float32)
    for row, s in zip(z, rng.integers(max(dim // 64, 1), dim // 16 + 1, count)):
        row[rng.choice(atoms, s, replace=False)] = rng.uniform(1, 2, s)
    x = z @ dictionary
    size = np.sqrt(np.mean(np.sum(x**2, 1)) / dim)
    return (x + noise * size * rng.standard_normal(x.shape)).astype(np.float32), z


def relu(v):
    return np.maximum(v, 0)


CONFIG = """seed = {seed}
[model]
layers = {layers}
algorithm = "{algorithm}"
prox = "relu"
gradient = "{gradient}"
[model.threshold]
kind = "constant"
lambda = {lam}
[model.dictionary]
kind = "dense"
dim = {dim}
atoms = {atoms}
[data]
kind = "matrix"
path = "{path}"
[training]
steps = 1000000
batch = 256
learning_rate = {rate}
epsilon = 1e-8
checkpoint_every = 1000000
valid_every = 1000000
unused_window = {window}
revive = {revive}
update = "{update}"
initialization = {{ kind = "{init}" }}
"""


class Pudle:
    def __init__(self, gradient="ae-ls", lam=0.6, layers=10, algorithm="fista", revive=False, init="random", rate=3e-3, window=50,
                 update="adam"):
        self.settings = dict(gradient=gradient, lam=lam, layers=layers, algorithm=algorithm, revive=str(revive).lower(), init=init,
                             rate=rate, window=window, update=update)

    def train(self, args, path, seconds):
        run = pathlib.Path(tempfile.mkdtemp(dir=path.parent)) / "run"
        config = run.with_suffix(".toml")
        config.write_text(CONFIG.format(seed=args.seed, path=path, dim=args.dim, atoms=4 * args.dim, **self.settings))
        env = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
        child = subprocess.Popen([args.pudle, "train", "--config", config, "--out", run], env=env, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        ticks = os.sysconf("SC_CLK_TCK")
        while child.poll() is None:
            fields = open(f"/proc/{child.pid}/stat").read().rsplit(") ", 1)[1].split()
            if (int(fields[11]) + int(fields[12])) / ticks >= seconds:
                child.send_signal(signal.SIGINT)
                child.wait()
                break
            time.sleep(0.05)
        rows = open(run / "metrics.csv").read().splitlines()
        self.steps, self.unused = int(rows[-1].split(",")[0]), rows[-1].split(",")[-1]
        self.atoms = load_file(run / "model.safetensors")["dictionary.atoms"].T
        shutil.rmtree(run.parent)

    def encode(self, x):
        d, s = self.atoms, self.settings
        alpha = 1 / np.linalg.norm(d, 2) ** 2
        z, before, t = np.zeros((len(x), len(d)), np.float32), None, 1.0
        for _ in range(s["layers"]):
            point, following = z, (1 + np.sqrt(1 + 4 * t * t)) / 2
            if s["algorithm"] == "fista" and before is not None:
                point = z + (t - 1) / following * (z - before)
            before, t = z, following
            z = relu(point + alpha * (x - point @ d) @ d.T - alpha * s["lam"])
        return z


class Autoencoder:
    """z = ReLU((x − b) Wᵀ + c), perhaps only its K largest, x̂ = z D + b, with rows of D of unit norm; Adam, batches of 256.

    With `revive`, every 500 steps atoms without use in these steps start again: D from the data that are reconstructed worst, and the
    encoder along it with a fifth of the usual norm.
    """

    def __init__(self, l1=0.0, k=None, revive=False, rate=1e-3):
        self.l1, self.k, self.revive, self.rate = l1, k, revive, rate

    def forward(self, x):
        z = torch.relu((x - self.b) @ self.w.T + self.c)
        if self.k:
            values, places = z.topk(self.k, 1)
            z = torch.zeros_like(z).scatter(1, places, values)
        return z, z @ self.d + self.b

    def train(self, args, path, seconds):
        torch.manual_seed(args.seed)
        data = torch.from_numpy(np.load(path))
        atoms = 4 * args.dim
        d = torch.nn.functional.normalize(torch.randn(atoms, args.dim))
        weights = self.d, self.w, self.b, self.c = d, d.clone(), data[:1000].mean(0), torch.zeros(atoms)
        for weight in weights:
            weight.requires_grad_(True)
        adam = torch.optim.Adam(weights, lr=self.rate)
        used, self.steps, start = torch.zeros(atoms, dtype=bool), 0, time.process_time()
        order = torch.randperm(len(data))
        while time.process_time() - start < seconds:
            first = self.steps * 256 % (len(data) - 255)
            x = data[order[first:first + 256]]
            z, estimate = self.forward(x)
            loss = 0.5 * ((estimate - x) ** 2).sum(1).mean() + self.l1 * z.sum(1).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            with torch.no_grad():
                self.d /= self.d.norm(dim=1, keepdim=True)
                used |= (z > 0).any(0)
                self.steps += 1
                if self.steps % 500 == 0:
                    if self.revive and not used.all():
                        self.start_again(data, order, adam, used)
                    self.unused, used = int((~used).sum()), torch.zeros(atoms, dtype=bool)
        self.atoms = self.d.detach().numpy()

    def start_again(self, data, order, adam, used):
        dead = (~used).nonzero()[:, 0]
        x = data[order[torch.randint(len(data), (4 * len(dead) + 256,))]]
        residual = x - self.forward(x)[1]
        worst = residual.norm(dim=1).argsort(descending=True)[:len(dead)]
        self.d[dead] = torch.nn.functional.normalize(residual[worst])
        self.w[dead] = 0.2 * self.w[used].norm(dim=1).mean() * self.d[dead] if used.any() else self.d[dead]
        self.c[dead] = 0
        for weight in (self.d, self.w, self.c):
            for moment in ("exp_avg", "exp_avg_sq"):
                adam.state[weight][moment][dead] = 0

    def encode(self, x):
        with torch.no_grad():
            return self.forward(torch.from_numpy(x))[0].numpy()


def scores(method, truth, x, z):
    atoms = method.atoms / np.maximum(np.linalg.norm(method.atoms, axis=1, keepdims=True), 1e-12)
    cosines = truth @ atoms.T
    best = cosines.max(1)
    recall, precision = np.mean(best > 0.9), np.mean(cosines.max(0) > 0.9)
    codes = method.encode(x)[:, cosines.argmax(1)]
    found = 0.0
    for level in np.quantile(codes[codes > 0], np.linspace(0, 0.98, 20)) if (codes > 0).any() else []:
        hit = np.sum((codes > level) & (z > 0))
        found = max(found, 2 * hit / (np.sum(codes > level) + np.sum(z > 0)))
    f1 = 2 * precision * recall / max(precision + recall, 1e-12)
    return best.mean(), f1, found, np.mean((method.encode(x) > 0).sum(1))


METHODS = {
    "Pudle, ae-ls": lambda: Pudle(),
    "Pudle, ae-ls, revived": lambda: Pudle(revive=True),
    "Pudle, ae-ls, from data, revived": lambda: Pudle(revive=True, init="data"),
    "Pudle, ae-lasso, revived": lambda: Pudle("ae-lasso", revive=True),
    "Pudle, dec, revived": lambda: Pudle("dec", revive=True),
    "Pudle, online": lambda: Pudle("dec", rate=1.0, update="online"),
    "Pudle, online, from data, revived": lambda: Pudle("dec", revive=True, init="data", rate=1.0, update="online"),
    "Pudle, 1 layer, ae-ls, revived": lambda: Pudle(layers=1, revive=True),
    "autoencoder, L1": lambda: Autoencoder(l1=0.6),
    "autoencoder, L1, revived": lambda: Autoencoder(l1=0.6, revive=True),
    "autoencoder, top-10": lambda: Autoencoder(k=10),
    "autoencoder, top-10, revived": lambda: Autoencoder(k=10, revive=True),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pudle", default="pudle")
    parser.add_argument("--seconds", type=float, default=120, help="time of the processor for each method")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--data", type=int, default=50_000)
    parser.add_argument("--noise", type=float, default=0.5, help="norm of the noise over that of D z")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="methods whose names have this text")
    parser.add_argument("--try", dest="tried", default="", help="a method as a Python expression, in place of the table's")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rng = np.random.default_rng(args.seed)
    truth = rng.standard_normal((4 * args.dim, args.dim)).astype(np.float32)
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "X.npy"
        np.save(path, draw(rng, truth, args.data, args.noise)[0])
        x, z = draw(rng, truth, HELD_OUT, args.noise)
        methods = {name: make for name, make in METHODS.items() if args.only in name}
        if args.tried:
            methods = {text: (lambda text=text: eval(text)) for text in args.tried.split(";")}
        print("| method | steps | wall | best cosine | F1 of atoms | F1 of supports | codes above 0 | unused atoms |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for name, make in methods.items():
            method, start = make(), time.monotonic()
            method.train(args, path, args.seconds)
            wall = time.monotonic() - start
            cosine, atoms, supports, active = scores(method, truth, x, z)
            print(f"| {name} | {method.steps} | {wall:.0f} s | {cosine:.3f} | {atoms:.3f} | {supports:.3f} | {active:.1f} | {method.unused} |",
                  flush=True)


if __name__ == "__main__":
    main()
