"""Recordings that other packages make: Pudle beside alphacsc on the same objective, and scored by SpikeInterface.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install alphacsc spikeinterface pandas networkx numba safetensors
    /tmp/peers/bin/python crates/pudle-bench/peers/recordings.py --pudle target/release/pudle

`--only alphacsc`: `simulate_data` of alphacsc makes trials with one event of each atom, of one channel, or of several by weights of
unit norm (rank one). Both programs minimise F = 1/2 |x - D z|^2 + lambda |z|_1 with z >= 0 and atoms of unit norm on
the same standardised numbers. F is computed here, in double precision, from the atoms and codes that each of them gives; atoms longer than
1 are first divided by their norm, and their codes multiplied. The time of Pudle is that of the two processes `pudle train` and
`pudle encode`, from start to end. The time of alphacsc is that of its function alone, whose parts are compiled already. alphacsc starts from
`--starts` different seeds, and the best counts. It gets both of its solvers. `--clock wall` is wall time with two threads or jobs for each
program. `--clock processor` is time of the processor (user and system), which other programs on the machine do not change, and alphacsc
has one job, as jobs cost it more than they save.

`--only spikeinterface`: `generate_ground_truth_recording` makes a recording whose spikes are known. `pudle train` and `pudle events` find
its units, and `compare_sorter_to_ground_truth` scores them. Beside them are the peaks of a threshold detector
(`detect_peaks`, "locally_exclusive"), where each channel is a unit, as there is no sorter. A unit is well separated if its largest
sample is at least `--snr` standard deviations of the noise, and its template differs from that of every other unit: at the
best shift, what is left of it after the best multiple of the other is at least half of its norm. Spikes of a unit are of
about one size, so events of less than half the usual size of their atom do not count (`--least-size`).
"""

import argparse
import csv
import functools
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import tomllib
import warnings

THREADS = int(os.environ.get("PEER_THREADS", "2"))
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = str(THREADS)

import numpy as np
from safetensors.numpy import load_file
from scipy.signal import fftconvolve

warnings.filterwarnings("ignore")
os.environ["TQDM_DISABLE"] = "1"


def say(*words):
    print(*words, flush=True)


def run(command, clock="wall"):
    """Runs a program and returns the seconds that it took."""
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    now = used if clock == "processor" else time.perf_counter
    started = now()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return now() - started


def load():
    return os.getloadavg()[0]


# The objective.


def objective(x, atoms, codes, lam):
    """F of trials [n, C, T] with atoms [p, C, k] and codes [n, p, T - k + 1]."""
    norms = np.maximum(np.linalg.norm(atoms.reshape(len(atoms), -1), axis=1), 1)
    atoms, codes = atoms / norms[:, None, None], codes * norms[None, :, None]
    rebuilt = sum(
        fftconvolve(codes[:, j, None, :], atoms[None, j], axes=2) for j in range(len(atoms))
    )
    return 0.5 * np.sum((x - rebuilt) ** 2) + lam * np.sum(np.abs(codes))


def atoms_of(run_dir, shape):
    tensors = load_file(run_dir / "model.safetensors")
    found = [value for value in tensors.values() if value.size == np.prod(shape)]
    return found[0].reshape(shape).astype(np.float64)


def pudle_curve(args, folder, x, truth, lam, steps, flags):
    """Seconds and F for trainings of several lengths, each with the encoding of all trials after it."""
    data = folder / "x.npy"
    np.save(data, x.astype(np.float32))
    atoms, length = truth
    curve = []
    for count in steps:
        out, codes = folder / f"run-{count}", folder / f"codes-{count}.npy"
        # Nothing is held out, as alphacsc holds out nothing.
        seconds = run([args.pudle, "train", "--preset", "signals", "--data", data, "--atoms", atoms, "--length", length,
                       "--lambda", lam, "--validation", 0, "--steps", count, "--out", out, *flags], args.clock)
        settings = tomllib.loads((out / "config.toml").read_text())["data"]
        far = max(abs(v) for v in settings["offset"]), max(abs(v - 1) for v in settings["scale"])
        # It measures them on a part of the samples. Atoms are then learned for a λ that is a little off, to our disadvantage.
        if max(far) > 0.05:
            sys.exit(f"pudle measures other levels and noise than those of the numbers: off by {far}")
        seconds += run([args.pudle, "encode", out, data, "-o", codes, "--layers", args.layers], args.clock)
        z = np.load(codes).astype(np.float64)
        f = objective(x, atoms_of(out, (atoms, x.shape[1], length)), z, lam)
        say(f"    pudle, {count} steps: {seconds:.2f} s, F = {f:.2f}, {np.count_nonzero(z)} codes, load {load():.1f}")
        curve.append((seconds, f))
    return curve


class Enough(Exception):
    """A program has had its time."""


def alphacsc_curve(x, truth, lam, solver, rank1, seed, iterations, most=1e9, clock="wall"):
    """Seconds and F after each iteration; the callback's own time does not count."""
    from alphacsc import learn_d_z, learn_d_z_multi
    from alphacsc.utils.dictionary import get_D

    atoms, length = truth
    time_now = time.process_time if clock == "processor" else time.perf_counter
    curve, spent = [], [time_now(), 0.0]

    def note(d, z):
        now = time_now()
        curve.append((now - spent[0] - spent[1], objective(x, d, z, lam)))
        spent[1] += time_now() - now
        if curve[-1][0] > most:
            raise Enough

    common = dict(n_iter=iterations, random_state=seed, n_jobs=1 if clock == "processor" else THREADS, verbose=0)
    if solver == "learn_d_z":
        callback = lambda x, d, z, reg: note(d[:, None], np.swapaxes(z, 0, 1))
        try:
            learn_d_z(x[:, 0], atoms, length, reg=lam, callback=callback, solver_d_kwargs=dict(factr=100), **common)
        except Enough:
            pass
        return curve
    # This function divides the data by their standard deviation, but not reg.
    deviation = x.std()

    def callback(encoder, pobj):
        if pobj:
            d = encoder.D_hat if encoder.D_hat.ndim == 3 else get_D(encoder.D_hat, x.shape[1])
            note(d, encoder.get_z_hat() * deviation)

    try:
        learn_d_z_multi(x, atoms, length, reg=lam / deviation, rank1=rank1, solver_z=solver,
                        uv_constraint="separate" if rank1 else "auto", D_init="chunk", eps=1e-7, callback=callback,
                        raise_on_increase=False, **common)
    except Enough:
        pass
    return curve


def trials(args, channels, seed):
    """Standardised trials [n, C, T], and the number and length of their atoms."""
    from alphacsc.simulate import simulate_data

    atoms, length = 3, 64
    x, d, z = simulate_data(args.trials, args.times, length, atoms, random_state=seed)
    rng = np.random.default_rng(seed)
    if channels == 1:
        x = x[:, None]
    else:
        weights = rng.standard_normal((atoms, channels))
        weights /= np.linalg.norm(weights, axis=1, keepdims=True)
        x = sum(weights[j][None, :, None] * fftconvolve(z[j], d[j : j + 1], axes=1)[:, None] for j in range(atoms))
    x = x + args.noise * rng.standard_normal(x.shape)
    # As Pudle does it, so that it changes next to nothing: median 0, and 1.4826 times the median distance from it 1, in each channel.
    for channel in range(channels):
        own = x[:, channel]
        own -= np.median(own)
        own /= 1.4826 * np.median(np.abs(own))
    return x.astype(np.float32).astype(np.float64), (atoms, length)


def reached(curve, level):
    return next((seconds for seconds, f in curve if f <= level), None)


def beside_alphacsc(args):
    rank_one = args.rank_one.split()
    for name, channels, flags, solvers in [
        ("univariate", 1, [], [("learn_d_z", False), ("lgcd", False)]),
        (f"{args.channels} channels, rank one", args.channels, rank_one, [("lgcd", True), ("l-bfgs", True)]),
    ]:
        x, truth = trials(args, channels, args.seed)
        lam = args.lam
        say(f"\nalphacsc, {name}: {x.shape[0]} trials of {channels} × {x.shape[2]} samples, {truth[0]} atoms of {truth[1]}, λ = {lam:g}")
        zero = 0.5 * np.sum(x**2)
        with tempfile.TemporaryDirectory() as folder:
            ours = pudle_curve(args, pathlib.Path(folder), x, truth, lam, args.steps, flags)
        theirs = {}
        for solver, rank1 in solvers:
            # What is compiled at the first call is no part of the time.
            alphacsc_curve(x[:2], truth, lam, solver, rank1, 0, 1)
            for start in range(args.starts):
                curve = alphacsc_curve(x, truth, lam, solver, rank1, start, args.iterations, args.most, args.clock)
                say(f"    alphacsc {solver}, start {start}: {curve[-1][0]:.1f} s, {len(curve)} iterations, F = {curve[-1][1]:.2f}, load {load():.1f}")
                if solver not in theirs or curve[-1][1] < theirs[solver][-1][1]:
                    theirs[solver] = curve
        best_of_theirs = min(min(f for _, f in curve) for curve in theirs.values())
        best = min(best_of_theirs, min(f for _, f in ours))
        say(f"F without events {zero:.1f}, best F {best:.2f}, best of alphacsc {best_of_theirs:.2f}")
        levels = [("the best of alphacsc + 10 %", 1.1), ("+ 3 %", 1.03), ("+ 1 %", 1.01), ("+ 0.3 %", 1.003), ("+ 0.1 %", 1.001), ("itself", 1.0)]
        say(f"| {name}: seconds ({args.clock}) to | pudle | " + " | ".join(f"alphacsc {s}" for s in theirs) + " | best of alphacsc / pudle |")
        say("| --- " * (3 + len(theirs)) + "|")
        for label, factor in levels:
            level = factor * best_of_theirs
            own = reached(ours, level)
            other = [reached(curve, level) for curve in theirs.values()]
            first = min((t for t in other if t is not None), default=None)
            ratio = f"**{first / own:.1f}**" if own and first else "–"
            cell = lambda t: "–" if t is None else f"{t:.2f}"
            say(f"| {label} | {cell(own)} | " + " | ".join(map(cell, other)) + f" | {ratio} |")


# Spikes.


def overlaps(templates):
    """The largest cosine of each template [T, C] with every other one, over all shifts, and which one that is."""
    count, taps, _ = templates.shape
    found = np.zeros((count, count))
    norms = np.linalg.norm(templates.reshape(count, -1), axis=1)
    for a in range(count):
        for b in range(count):
            if a != b:
                products = sum(
                    np.correlate(templates[a, :, c], templates[b, :, c], "full") for c in range(templates.shape[2]))
                found[a, b] = products.max() / (norms[a] * norms[b])
    return found


def pudle_spikes(args, folder, recording, units):
    """Times and units of the events that Pudle finds, and seconds of training and of finding."""
    traces = recording.get_traces(segment_index=0).astype(np.float32)
    data, out, table = folder / "recording.npy", folder / "run", folder / "events.csv"
    np.save(data, np.ascontiguousarray(traces.T))
    rate = recording.get_sampling_frequency()
    learning = run([args.pudle, "train", "--preset", "signals", "--data", data, "--rate", rate, "--atoms", units + args.more,
                    "--length", args.length, "--out", out, *args.flags.split()])
    finding = run([args.pudle, "events", out, data, "-o", table, "--least-size", args.least_size])
    with open(table) as file:
        rows = [(int(row["sample"]), int(row["atom"])) for row in csv.DictReader(file)]
    rows.sort()
    samples, labels = (np.array(column, dtype=np.int64) for column in zip(*rows))
    return samples, labels, (learning, finding)


def beside_spikeinterface(args):
    import spikeinterface as si
    from spikeinterface.comparison import compare_sorter_to_ground_truth
    from spikeinterface.core import NumpySorting, generate_ground_truth_recording

    from spikeinterface.core.generate import generate_templates, generate_unit_locations

    for channels, units in args.recordings:
        for seed in range(args.seeds):
            recording, truth = generate_ground_truth_recording(
                durations=[args.seconds], sampling_frequency=30_000.0, num_channels=channels, num_units=units,
                generate_unit_locations_kwargs=dict(
                    margin_um=10.0, minimum_z=5.0, maximum_z=50.0, minimum_distance=20, distance_strict=False),
                seed=seed)
            source = recording
            while not hasattr(source, "templates"):
                source = source.get_parent()
            templates = np.asarray(source.templates)
            noise = 5.0  # noise_levels of the generator
            heights = np.abs(templates).max(axis=(1, 2)) / noise
            cosine = overlaps(templates).max(axis=1)
            with tempfile.TemporaryDirectory() as folder:
                samples, labels, [learning, finding] = pudle_spikes(args, pathlib.Path(folder), recording, units)
            rate = recording.get_sampling_frequency()
            sorted_by_us = NumpySorting.from_samples_and_labels([samples], [labels], rate)
            score = functools.partial(compare_sorter_to_ground_truth, truth, exhaustive_gt=True)
            ours = score(sorted_by_us).get_performance()
            peaks = detector(recording)
            theirs = score(NumpySorting.from_samples_and_labels([peaks[0]], [peaks[1]], rate)).get_performance()
            of_all = detected(truth, peaks[0], rate)
            say(f"\nSpikeInterface {si.__version__}, {channels} channels, {units} units, {args.seconds:g} s, seed {seed}: learned in {learning:.1f} s, "
                f"events in {finding:.1f} s, load {load():.1f}")
            say("| unit | spikes | height / noise | cosine with the nearest | well separated | pudle: accuracy | precision | recall | "
                "detector: accuracy | its peaks near a spike |")
            say("| --- " * 10 + "|")
            good = []
            for k, unit in enumerate(truth.unit_ids):
                separated = heights[k] >= args.snr and np.sqrt(1 - cosine[k] ** 2) >= 0.5
                row = ours.loc[unit]
                if separated:
                    good.append(float(row["accuracy"]))
                count = len(truth.get_unit_spike_train(unit, segment_index=0))
                say(f"| {unit} | {count} | {heights[k]:.1f} | {cosine[k]:.2f} | {'yes' if separated else 'no'} | {row['accuracy']:.3f} | "
                    f"{row['precision']:.3f} | {row['recall']:.3f} | {theirs.loc[unit]['accuracy']:.3f} | {of_all[k]:.3f} |")
            say(f"well separated: {len(good)}, of which {sum(a >= 0.9 for a in good)} with accuracy ≥ 0.9; least {min(good, default=1):.3f}; "
                f"mean of all units: pudle {ours['accuracy'].mean():.3f}, detector {theirs['accuracy'].mean():.3f}")


def detector(recording):
    """Peaks by a threshold: samples and channels. Without its package for detection, the same rule in a few lines."""
    from spikeinterface.sortingcomponents.peak_detection import detect_peaks

    options = dict(peak_sign="neg", detect_threshold=5, exclude_sweep_ms=0.4, radius_um=50.0)
    try:
        peaks = detect_peaks(recording, method="locally_exclusive", method_kwargs=options)
    except TypeError:
        peaks = detect_peaks(recording, method="locally_exclusive", **options)
    order = np.argsort(peaks["sample_index"], kind="stable")
    return peaks["sample_index"][order].astype(np.int64), peaks["channel_index"][order].astype(np.int64)


def detected(truth, peaks, rate):
    """The part of each unit's spikes that have a peak within 0.4 ms."""
    found = []
    for unit in truth.unit_ids:
        spikes = truth.get_unit_spike_train(unit, segment_index=0)
        place = np.searchsorted(peaks, spikes)
        near = [np.abs(spikes - peaks[np.clip(place + shift, 0, len(peaks) - 1)]) for shift in (-1, 0)]
        found.append(float(np.mean(np.minimum(*near) <= 0.4e-3 * rate)))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pudle", default="pudle", help="the pudle binary")
    parser.add_argument("--only", choices=["alphacsc", "spikeinterface"])
    group = parser.add_argument_group("alphacsc")
    group.add_argument("--trials", type=int, default=100)
    group.add_argument("--times", type=int, default=512, help="samples of a trial (512)")
    group.add_argument("--channels", type=int, default=8)
    group.add_argument("--clock", choices=["wall", "processor"], default="wall")
    group.add_argument("--noise", type=float, default=0.01, help="deviation of the noise, before all is standardised (0.01)")
    group.add_argument("--lam", type=float, default=8.0, help="λ in deviations of the noise (8)")
    group.add_argument("--seed", type=int, default=42)
    group.add_argument("--starts", type=int, default=3, help="seeds of alphacsc's first atoms (3)")
    group.add_argument("--iterations", type=int, default=60, help="iterations of alphacsc (60, its default)")
    group.add_argument("--most", type=float, default=300, help="seconds of each start of alphacsc, at most (300)")
    group.add_argument("--steps", type=lambda text: [int(n) for n in text.split(",")], default=[1, 50, 200, 1000], help="steps of `pudle train`")
    group.add_argument("--layers", type=int, default=300, help="layers of `pudle encode` (300)")
    group.add_argument("--rank-one", default="", help="flags of `pudle train` for the data of rank one")
    group = parser.add_argument_group("SpikeInterface")
    group.add_argument("--recordings", type=lambda text: [tuple(map(int, r.split("x"))) for r in text.split(",")], default=[(16, 5), (32, 10)],
                       help="channels x units (16x5,32x10)")
    group.add_argument("--seeds", type=int, default=2, help="recordings of each (2)")
    group.add_argument("--seconds", type=float, default=60.0)
    group.add_argument("--length", default="3ms", help="length of an atom (3ms)")
    group.add_argument("--more", type=int, default=0, help="atoms more than units (0)")
    group.add_argument("--snr", type=float, default=8.0, help="height of a well-separated unit in deviations of the noise (8)")
    group.add_argument("--least-size", type=float, default=0.5, help="`--least-size` of `pudle events` (0.5)")
    group.add_argument("--flags", default="", help="more flags of `pudle train`")
    args = parser.parse_args()
    say(f"{THREADS} threads for each program; one after the other; load at the start {load():.1f}")
    if args.only != "spikeinterface":
        beside_alphacsc(args)
    if args.only != "alphacsc":
        beside_spikeinterface(args)


if __name__ == "__main__":
    main()
