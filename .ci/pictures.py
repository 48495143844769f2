#!/usr/bin/env python3
"""Denoises every file of a folder of picture formats, and compares with the truth.

pictures.py FOLDER PUDLE    FOLDER has formats/ and truth/format.npz, noisy pictures of many formats and the clean ones; PUDLE is the
                            program. Needs numpy, pillow and tifffile.

Prints a line for each file: the PSNR of the result against the clean picture (in dB, before and after where the file has the known
pixels), or the error; and what the program says is not kept. Exits with 1 if a file gives a panic, no line, a result of another
shape, or a result that is worse than the noisy picture.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageOps

# Values that stand for black and white where the file does not use its whole range.
RANGES = {
    "t-float-gray-counts": (0, 255 * 12),
    "t-float-rgb-hdr": (0, 4),
    "t-int16": (0, 25500),
    "t-uint32": (0, 255e6),
    "t-gray12in16": (0, 4095),
}
ORIENTED = {"t-meta": 6} | {f"orient{k}": k for k in range(1, 9)}


def pixels(path, source):
    """The picture in a file, height x width x channels, 0 black and 1 white."""
    if path.suffix == ".tif":
        image = tifffile.imread(path)
        if image.dtype.kind == "f":
            low, high = RANGES.get(source, (0, 1))
        else:
            low, high = RANGES.get(source, (0, np.iinfo(image.dtype).max))
        image = (image.astype(float) - low) / (high - low)
    else:
        opened = Image.open(path)
        deep = opened.mode.startswith("I")
        if opened.mode not in ("L", "LA", "RGB", "RGBA") and not deep:
            opened = opened.convert("RGB")
        image = np.asarray(opened).astype(float) / (65535 if deep else 255)
    image = image[..., None] if image.ndim == 2 else image
    return image[..., : 1 if image.shape[2] < 3 else 3]


def upright(image, orientation):
    as_picture = Image.fromarray(np.rint(np.clip(image, 0, 255)).astype(np.uint8))
    as_picture.getexif()[0x112] = orientation
    return np.asarray(ImageOps.exif_transpose(as_picture)).astype(float) / 255


def clean_of(source, truth, shape):
    """The clean picture of this shape that the file was made from, if it is known."""
    if source in ("orient6", *ORIENTED):
        return upright(truth["clean"], ORIENTED[source])
    for clean in (truth["clean"] / 255, truth["cleang"][..., None] / 255):
        # Odd sizes are cut from the right and from below.
        part = clean[: shape[0], : shape[1]]
        if part.shape == tuple(shape) and "large-icc" not in source:
            return part
    return None


def psnr(one, other):
    return -10 * np.log10(np.mean((np.clip(one, 0, 1) - np.clip(other, 0, 1)) ** 2))


def main(folder, program):
    truth = np.load(folder / "truth" / "format.npz")
    wrong = 0
    for path in sorted((folder / "formats").iterdir()):
        with tempfile.TemporaryDirectory() as out:
            result = Path(out) / path.name
            done = subprocess.run(
                [program, "denoise", path, "-o", result, "--shifts", "4"], capture_output=True, text=True, timeout=120
            )
            lines = [line.replace(out + "/", "") for line in done.stderr.splitlines()]
            said = " | ".join(line for line in lines if line.strip())
            if "panicked" in done.stderr or done.returncode not in (0, 1) or (done.returncode == 1 and not said):
                wrong += 1
                print(f"WRONG {path.name}: {done.returncode} {said}")
            elif done.returncode == 1:
                print(f"refused {path.name}: {said}")
            else:
                image = pixels(result, path.stem)
                clean = clean_of(path.stem, truth, image.shape)
                score = "no truth" if clean is None else f"{psnr(image, clean):.2f} dB"
                before = truth["rgb" if image.shape[2] == 3 else "gray"] / 255
                before = before if before.ndim == 3 else before[..., None]
                known = clean is not None and before.shape == clean.shape
                noisy = psnr(before, clean) if known else 0
                # JPEG, palettes and bilevel pictures have other noise.
                exact = path.suffix in (".png", ".tif") and not any(
                    word in path.name for word in ("palette", "one-bit", "g4", "bilevel", "premultiplied", "garbage", "jpeg", "uint32")
                )
                if known and exact and not psnr(image, clean) > noisy:
                    wrong += 1
                    print(f"WRONG {path.name}: {score}, {noisy:.2f} dB before")
                print(f"denoised {path.name}: {image.shape} {score}{f', {noisy:.2f} before' if known else ''}; {said}")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1]), sys.argv[2]) else 0)
