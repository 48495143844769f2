"""Pictures on which `pudle denoise` fails, as a sheet: clean, noisy, denoised. The page on denoising shows it.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy pillow
    /tmp/peers/bin/python crates/pudle-bench/peers/limits.py --pudle target/release/pudle -o docs/denoise-limits.png

Everything is drawn, from fixed seeds. Prints the PSNR of each row before and after.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from drawings import font, page, psnr
from PIL import Image, ImageDraw

SIDE = 180


def blurred(picture, radius):
    """A Gaussian blur of standard deviation `radius`, around the edges."""
    places = np.fft.fftfreq(SIDE) * SIDE
    kernel = np.exp(-(places**2) / (2 * radius**2))
    spectrum = np.fft.fft(kernel / kernel.sum())
    return np.fft.ifft2(np.fft.fft2(picture) * np.outer(spectrum, spectrum)).real


def text():
    return np.asarray(page().convert("L").crop((10, 8, 10 + SIDE, 8 + SIDE)), float)


def gravel(rng):
    """Texture everywhere, of the size of a few pixels."""
    grains = blurred(rng.normal(0, 1, (SIDE, SIDE)), 1.2)
    return np.clip(120 + 45 * grains / grains.std(), 0, 255)


def hills():
    """Smooth surfaces with two edges."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    sky = 200 - 60 * y
    far = np.where(y > 0.55 + 0.08 * np.sin(7 * x), 110 + 30 * x, sky)
    return np.where(y > 0.78 + 0.05 * np.sin(11 * x + 1), 60 + 25 * y, far)


def white(shape, sigma, rng):
    return rng.normal(0, sigma, shape)


def blotches(shape, sigma, rng):
    """Noise that is smeared over eight pixels or so."""
    noise = blurred(rng.normal(0, 1, shape), 4)
    return noise * sigma / noise.std()


def rows():
    yield "small letters, sigma 25", text(), white((SIDE, SIDE), 25, np.random.default_rng(1))
    yield "texture everywhere, sigma 25", gravel(np.random.default_rng(2)), white((SIDE, SIDE), 25, np.random.default_rng(3))
    yield "wide blotches, sigma 12", hills(), blotches((SIDE, SIDE), 12, np.random.default_rng(4))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pudle", default="target/release/pudle", help="the pudle binary")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    made = list(rows())
    sheet = Image.new("L", (3 * SIDE + 40, len(made) * (SIDE + 28) + 10), 255)
    draw = ImageDraw.Draw(sheet)
    with tempfile.TemporaryDirectory() as folder:
        for k, (name, clean, noise) in enumerate(made):
            noisy = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
            before, after = Path(folder) / f"{k}.png", Path(folder) / f"{k}-denoised.png"
            Image.fromarray(noisy).save(before)
            run = subprocess.run([args.pudle, "denoise", before, "-o", after], check=True, capture_output=True, text=True)
            done = np.asarray(Image.open(after).convert("L"), float)
            score = f"{psnr(noisy.astype(float), clean):.1f} dB, then {psnr(done, clean):.1f} dB"
            print(f"{name}: {score}\n    {(run.stdout + run.stderr).strip()}")
            top = 10 + k * (SIDE + 28)
            draw.text((10, top), f"{name}: {score}", fill=0, font=font(13))
            for j, picture in enumerate([clean, noisy, done]):
                tile = Image.fromarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
                sheet.paste(tile, (10 + j * (SIDE + 10), top + 20))
    sheet.save(args.output)


if __name__ == "__main__":
    main()
