"""Bytes and messages of a training step on a worker, and its time beside a step on this machine.

    cargo build --release -p pudle-cli --features remote
    python remote.py --pudle ../../../target/release/pudle
    python remote.py --predict

A worker and a training run on this machine. A connection between them counts the bytes and the WebSocket messages in both
directions. The cost of a step is the difference between a short and a longer training, so that the connection and the start do
not count. Needs nothing but Python.
"""

import argparse
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

CASES = {
    "64 filters 9×9, 129×129, batch 1": ["--preset", "denoise", "--batch", "1"],
    "64 filters 9×9, 129×129, batch 8": ["--preset", "denoise", "--batch", "8"],
    "256 filters 11×11 (denoise-blind)": ["--preset", "denoise-blind"],
    "matrix 50×100 (dense)": ["--preset", "dense"],
}


class Counter:
    """Messages and bytes of one direction of a WebSocket."""

    def __init__(self):
        self.bytes = self.messages = 0
        self.buffer, self.skip, self.open = b"", 0, False

    def feed(self, data):
        self.bytes += len(data)
        self.buffer += data
        if not self.open:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self.open, self.buffer = True, rest
        while True:
            if self.skip:
                step = min(self.skip, len(self.buffer))
                self.skip, self.buffer = self.skip - step, self.buffer[step:]
                if self.skip:
                    return
            if len(self.buffer) < 2:
                return
            length, masked, end = self.buffer[1] & 127, self.buffer[1] & 128, self.buffer[0] & 128
            at = 2 + {126: 2, 127: 8}.get(length, 0)
            if len(self.buffer) < at:
                return
            if length > 125:
                length = struct.unpack(">H" if length == 126 else ">Q", self.buffer[2:at])[0]
            self.messages += bool(end)
            self.buffer, self.skip = self.buffer[at:], length + (4 if masked else 0)


class Middle:
    """A connection in the middle."""

    def __init__(self, port):
        self.counters, self.port = [], port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "ws://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.listener.accept()[0]
            server = socket.create_connection(("127.0.0.1", self.port))
            for kind, source, target in (("up", client, server), ("down", server, client)):
                counter = Counter()
                self.counters.append((kind, counter))
                threading.Thread(target=self.forward, args=(source, target, counter), daemon=True).start()

    @staticmethod
    def forward(source, target, counter):
        for end in (source, target):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while data := source.recv(1 << 20):
                counter.feed(data)
                target.sendall(data)
        except OSError:
            pass
        target.close()

    def totals(self):
        return {
            kind: (sum(c.bytes for k, c in self.counters if k == kind), sum(c.messages for k, c in self.counters if k == kind))
            for kind in ("up", "down")
        }


# kB of weights, kB of a datum with its target, milliseconds of a datum on two cores, and on a GPU as docs/backends.md expects it.
MODELS = {
    "64 filters 9×9, 129×129, batch 64": (64, 20.9, 133, 10.2, 0.06),
    "256 filters 11×11, batch 64": (64, 125, 150, 17.2, 0.11),
    "1,024 × 16,384, batch 1,024": (1024, 67109, 8.2, 50, 0.3),
}
MORE = 1.3  # time of a step on a worker over one here: it runs the layers forward once more


def predict():
    """Efficiency of 1 to 64 workers: time here over workers times their time. All data leave by one connection."""
    workers = [1, 2, 4, 8, 16, 32, 64]
    print("| model | worker | Gbit/s | " + " | ".join(map(str, workers)) + " |")
    print("| --- | --- | --- | " + " | ".join(["---"] * len(workers)) + " |")
    for name, (batch, weights, datum, *costs) in MODELS.items():
        for kind, cost in zip(("2 cores", "GPU"), costs):
            for speed in (1, 10, 100):
                row = []
                for k in workers:
                    network = (batch * datum + 2 * k * weights) * 8e-3 / speed
                    step = -(-batch // k) * cost * MORE + network
                    row.append(f"{100 * batch * cost / (k * step):.0f} %")
                print(f"| {name} | {kind} | {speed} | " + " | ".join(row) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pudle", type=Path, default=Path("target/release/pudle"))
    parser.add_argument("--predict", action="store_true", help="print the predicted efficiency instead of measuring")
    parser.add_argument("--steps", type=int, default=40, help="steps between the two trainings")
    parser.add_argument("--backend", default="flex", help="backend of the worker")
    parser.add_argument("--kernels", default="auto")
    args = parser.parse_args()
    if args.predict:
        return predict()
    args.pudle = args.pudle.resolve()
    worker = subprocess.Popen(
        [args.pudle, "worker", "--listen", "127.0.0.1:0", "--backend", args.backend],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    try:
        port = int(worker.stdout.readline().split()[0].rsplit(":", 1)[1])
        threading.Thread(target=worker.stdout.read, daemon=True).start()
        print("| case | kB up | kB down | messages up | messages down | ms here | ms on the worker |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, flags in CASES.items():
            def run(steps, *more):
                with tempfile.TemporaryDirectory() as folder:
                    command = [args.pudle, "train", *flags, "--steps", str(steps), "--kernels", args.kernels]
                    started = time.perf_counter()
                    subprocess.run([*command, "--out", folder + "/run", *more], check=True, capture_output=True)
                    return time.perf_counter() - started

            few, many = 5, 5 + args.steps
            here = (run(many) - run(few)) / args.steps
            seen, took = [], []
            for steps in (few, many):
                middle = Middle(port)
                took.append(run(steps, "--workers", middle.url, "--worker-timeout", "600"))
                seen.append(middle.totals())
            there = (took[1] - took[0]) / args.steps
            rest = [(seen[1][k][i] - seen[0][k][i]) / args.steps for i in (0, 1) for k in ("up", "down")]
            print(f"| {name} | {rest[0] / 1e3:.1f} | {rest[1] / 1e3:.1f} | {rest[2]:.1f} | {rest[3]:.1f} "
                  f"| {here * 1e3:.1f} | {there * 1e3:.1f} |", flush=True)
    finally:
        worker.kill()
    return None


if __name__ == "__main__":
    main()
