"""A convolutional network as in the literature, written in PyTorch, against the same network imported by Pudle.

Three banks of 175 filters 11x11 with a stride of 8, 12 layers, and one threshold for each filter, a few of them
below zero. The reconstruction is the mean over all 64 shifts of the grid of filters.

    pip install numpy safetensors torch
    cargo build --release --workspace
    python unrolled_network.py --programs ../../../target/release
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

P, K, S, LAYERS = 175, 11, 8, 12


class Unrolled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        bank = torch.randn(P, 1, K, K)
        bank /= bank.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
        self.synthesis = torch.nn.ConvTranspose2d(P, 1, K, S, bias=False)
        self.analysis = torch.nn.Conv2d(1, P, K, S, bias=False)
        self.decoder = torch.nn.ConvTranspose2d(P, 1, K, S, bias=False)
        self.threshold = torch.nn.Parameter(0.02 * torch.rand(1, P, 1, 1) - 0.001)
        self.synthesis.weight.data = bank.clone()
        self.analysis.weight.data = 0.15 * (bank + 0.02 * torch.randn_like(bank))
        self.decoder.weight.data = bank + 0.02 * torch.randn_like(bank)

    def shrink(self, v):
        above, below = (v > self.threshold).float(), (v < -self.threshold).float()
        return above * (v - self.threshold) + below * (v + self.threshold)

    def window(self, x):
        z = self.shrink(self.analysis(x))
        for _ in range(LAYERS - 1):
            z = self.shrink(z - self.analysis(self.synthesis(z) - x))
        return self.decoder(z)

    def forward(self, x):
        """The mean over all shifts. Pictures are reflected, so that every shift sees all of them."""
        height, width = x.shape[2:]
        tall, wide = (K + -(-(n + S - 1 - K) // S) * S for n in (height, width))
        padded = F.pad(x, (S - 1, wide - width, S - 1, tall - height), mode="reflect")
        total = 0
        for down in range(S):
            for across in range(S):
                top, left = S - 1 - down, S - 1 - across
                whole = self.window(padded[..., top : top + tall, left : left + wide])
                total = total + whole[..., down : down + height, across : across + width]
        return total / S**2


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=Path, required=True, help="folder with pudle and reference")
    args = parser.parse_args()
    torch.manual_seed(0)
    network = Unrolled()
    x = torch.rand(1, 1, 70, 93)
    with torch.no_grad():
        expected = network(x)
    print(f"{(network.threshold < 0).sum()} of {P} thresholds are below zero")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        torch.save(network.state_dict(), folder / "network.pt")
        save_file({"x": x}, folder / "x.safetensors")
        pudle, reference = (args.programs / name for name in ("pudle", "reference"))
        names = ["--synthesis", "synthesis.weight", "--analysis", "analysis.weight", "--decoder", "decoder.weight", "--thresholds", "threshold"]
        settings = ["--prox", "soft", "--step", "1", "--layers", str(LAYERS), "--stride", str(S)]
        run = lambda *command: subprocess.run([str(word) for word in command], check=True)
        run(pudle, "import", "--dictionary", folder / "network.pt", *names, *settings, "-o", folder / "imported")
        run(pudle, "export", folder / "imported", "--format", "safetensors", "-o", folder / "network.safetensors")
        run(reference, folder / "network.safetensors", folder / "x.safetensors", folder / "out.safetensors", "all")
        found = load_file(folder / "out.safetensors")["x_hat"]
    distance = (found - expected).abs().max().item()
    print(f"values up to {expected.abs().max():.2f}, largest difference {distance:.1e}")
    assert distance < 1e-4


if __name__ == "__main__":
    main()
