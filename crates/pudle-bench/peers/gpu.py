"""Pudle beside PyTorch on a GPU: both run in turn on the same card and the same inputs, and their results are compared.

    pudle=target/release/pudle    # built with --features wgpu, vulkan or cuda; stripped, it can be carried to the machine
    python3 crates/pudle-bench/peers/gpu.py --pudle $pudle --backend wgpu

PyTorch runs eager and compiled (`torch.compile`, left out with --no-compile or where it does not work). A ratio is
PyTorch's time, or memory, over ours. The script prints the cards and the versions, a table in Markdown, and the
launches of kernels. Without a GPU, `--torch-device cpu --backend flex --quick` shows that the script works.
"""

import argparse
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import load_file

import pytorch_pass as peer

HERE = pathlib.Path(__file__).resolve().parent

# Name and flags of `pudle bench`.
CASES = [
    ("denoiser, batch 1, dec", ["--case", "conv", "--gradient", "dec"]),
    ("denoiser, batch 1", ["--case", "conv"]),
    ("denoiser, batch 16", ["--case", "conv", "--batch", "16"]),
    ("denoiser, batch 64", ["--case", "conv", "--batch", "64"]),
    ("256 filters, batch 64", ["--case", "conv", "--batch", "64", "--atoms", "256"]),
    ("denoiser, batch 16, T = 100", ["--case", "conv", "--batch", "16", "--layers", "100"]),
    ("denoiser, batch 16, T = 100, recomputed",
     ["--case", "conv", "--batch", "16", "--layers", "100", "--recompute"]),
    ("matrix 1000 × 1500, batch 50", ["--case", "dense"]),
    ("matrix 1000 × 1500, batch 1000", ["--case", "dense", "--batch", "1000"]),
]
QUICK = [
    ("denoiser, 33 × 33 pixels, batch 2", ["--case", "conv", "--side", "33", "--batch", "2"]),
    ("matrix 30 × 50", ["--case", "dense", "--side", "30", "--atoms", "50", "--layers", "10"]),
]


def flag(flags, name, default):
    return flags[flags.index(name) + 1] if name in flags else default


def pudle(args, flags, kind, file=None):
    """One run of `pudle bench`, with `--kernels auto` or another kind."""
    command = [args.pudle, "bench", *flags, "--backend", args.backend, *kind, "--json"]
    command += ["--repetitions", str(args.repetitions)]
    if args.device is not None:
        command += ["--device", str(args.device)]
    if file:
        command += ["--save", file]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return json.loads(done.stdout)


def synchronize(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def milliseconds(work, repetitions, device):
    """The median time of `work`, with its launches waited for."""
    times = []
    for _ in range(repetitions):
        synchronize(device)
        start = time.perf_counter()
        work()
        synchronize(device)
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)[len(times) // 2]


def launches(work, device):
    """Kernels that PyTorch launches on a card."""
    if device.type != "cuda":
        return None
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        work()
        synchronize(device)
    return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in profile.events())


def pytorch(args, flags, layers, file, compiled):
    """PyTorch on the numbers of a file."""
    device = torch.device(args.torch_device)
    case, gradient = flag(flags, "--case", "conv"), flag(flags, "--gradient", "ae-ls")
    kind = peer.Dense if case == "dense" else peer.Conv
    x, d = file["x"].to(device), file["atoms"].to(device).requires_grad_()

    def forward():
        with torch.no_grad():
            return peer.estimate(kind, x, d, layers, 1)

    def run():
        return peer.step(kind, x, d, layers, gradient)

    if compiled:
        encode = peer.encode
        peer.encode = torch.compile(encode, dynamic=False)
    try:
        code = run()
        distances = {
            "code": peer.distance(code.cpu(), file["code"]),
            "gradient": peer.distance(d.grad.cpu(), file["gradient"]),
            "reconstruction": peer.distance(forward().cpu(), file["reconstruction"]),
        }
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        run()
        synchronize(device)
        peak = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
        return {
            "step_ms": milliseconds(run, args.repetitions, device),
            "forward_ms": milliseconds(forward, args.repetitions, device),
            "launches": launches(run, device),
            "peak_mib": peak,
            "distance": max(distances.values()),
        }
    finally:
        if compiled:
            peer.encode = encode


def cell(value, form="{:.2f}"):
    return "–" if value is None else form.format(value)


def ratio(theirs, ours):
    return "–" if theirs is None or not ours else f"**{theirs / ours:.1f}**"


def compare(args, name, flags):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "bench.safetensors"
        ours = pudle(args, flags, ["--kernels", "auto"], path)
        file = load_file(path)
        # A matrix has no pass with numbers of 16 bits.
        half = pudle(args, flags, ["--half"], path) if args.half and "dense" not in flags else None
        if half:
            off = peer.distance(load_file(path)["reconstruction"], file["reconstruction"])
            if not off <= 1e-2:
                sys.exit(f"{name}: with 16 bits, results differ by {off:.0e}")
    composed = None if args.no_composed or "--recompute" in flags else pudle(args, flags, ["--kernels", "composed"])
    sides = {"eager": pytorch(args, flags, ours["layers"], file, False)}
    if not args.no_compile:
        try:
            sides["compiled"] = pytorch(args, flags, ours["layers"], file, True)
        except Exception as error:  # torch.compile needs a compiler of its own.
            print(f"{name}: torch.compile: {str(error).splitlines()[0]}", file=sys.stderr)
    device = ours["device"] or {}
    eager, compiled = sides["eager"], sides.get("compiled", {})
    row = [
        name, cell(eager["forward_ms"]), cell(ours["forward_ms"]),
        ratio(eager["forward_ms"], ours["forward_ms"]), cell(half and half["forward_ms"]),
        cell(eager["step_ms"]), cell(compiled.get("step_ms")),
        cell(composed and composed["step_ms"]), cell(ours["step_ms"]),
        ratio(eager["step_ms"], ours["step_ms"]), ratio(compiled.get("step_ms"), ours["step_ms"]),
        cell(eager["launches"], "{}"), cell(device.get("step_launches"), "{}"),
        cell(device.get("layer_launches"), "{}"),
        cell(eager["peak_mib"], "{:.0f}"), cell(device.get("peak_mib"), "{:.0f}"),
        f"{eager['distance']:.0e}",
    ]
    print("| " + " | ".join(row) + " |", flush=True)
    return eager["distance"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pudle", required=True, help="the command, built with the backend")
    parser.add_argument("--backend", choices=["wgpu", "cuda", "flex"], default="wgpu")
    parser.add_argument("--device", type=int, help="number of Pudle's device: see `pudle devices`")
    parser.add_argument("--torch-device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--no-composed", action="store_true", help="leave out Pudle's composed operations")
    parser.add_argument("--quick", action="store_true", help="two small cases")
    args = parser.parse_args()
    args.pudle = str(pathlib.Path(args.pudle).resolve())

    devices = subprocess.run([args.pudle, "devices"], capture_output=True, text=True, check=True)
    print(f"{datetime.date.today()}, PyTorch {torch.__version__} on {args.torch_device}", end="")
    print(f" ({torch.cuda.get_device_name()})" if args.torch_device.startswith("cuda") else "")
    print(devices.stdout)
    known = json.loads(subprocess.run([args.pudle, "devices", "--json"], capture_output=True, text=True, check=True).stdout)
    known = [device for device in known if device["backend"] == args.backend]
    chosen = known if args.device is None else known[args.device : args.device + 1]
    args.half = bool(chosen) and all(16 in device["bits"] for device in chosen)
    print(
        "| case | forward ms: PyTorch | Pudle | ratio | Pudle, 16 bits | step ms: PyTorch | compiled | Pudle, composed | Pudle | ratio"
        " | to compiled | launches: PyTorch | Pudle | of a layer | memory MiB: PyTorch | Pudle | largest difference |"
    )
    print("| " + " | ".join(["---"] * 17) + " |", flush=True)
    off = max(compare(args, name, flags) for name, flags in (QUICK if args.quick else CASES))
    if off > 1e-3:
        sys.exit(f"results differ by {off:.0e}")


if __name__ == "__main__":
    main()
