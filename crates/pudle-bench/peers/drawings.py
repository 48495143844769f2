"""Pictures that no photograph is: flat saturated drawings, a page of text, a screenshot, in colour and in grey. Scores what
`pudle denoise` makes of them without noise and with some.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy pillow
    /tmp/peers/bin/python crates/pudle-bench/peers/drawings.py --pudle target/release/pudle --sigma 0,10

`flat` is the largest difference of the mean of a flat area, in levels, from its colour. Clipping shifts noisy means at the limits
of the range, so that only colours with all channels from 40 to 215 count. Printed as Markdown.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = (480, 360)
TEXT = ("Learned dictionaries represent a picture by a few atoms. The text of a page is made of thin dark strokes on a light "
        "ground, which no photograph of a landscape has. A denoiser that was trained on photographs alone can blur them. ")


def font(size):
    try:
        return ImageFont.load_default(size)
    except TypeError:
        return ImageFont.load_default()


def drawing(colors, rng):
    """Overlapping discs and bars of saturated colours, smooth at their edges."""
    scale = 3
    picture = Image.new("RGB", tuple(scale * s for s in SIZE), colors[0])
    draw = ImageDraw.Draw(picture)
    for k in range(14):
        x, y, r = (int(v) for v in rng.integers((0, 0, 30), (*SIZE, 110)) * scale)
        color = colors[1 + k % (len(colors) - 1)]
        if k % 2:
            draw.ellipse((x - r, y - r, x + r, y + r), fill=color)
        else:
            draw.rectangle((x - r, y - r // 2, x + r, y + r // 2), fill=color)
    return picture.resize(SIZE, Image.BOX)


def page():
    picture = Image.new("RGB", SIZE, (246, 244, 238))
    draw = ImageDraw.Draw(picture)
    words, line, y = (TEXT * 6).split(), "", 14
    for word in words:
        if draw.textlength(f"{line} {word}", font=font(14)) > SIZE[0] - 40:
            draw.text((20, y), line, fill=(30, 30, 34), font=font(14))
            line, y = word, y + 19
            if y > SIZE[1] - 25:
                break
        else:
            line = f"{line} {word}".strip()
    return picture


def screenshot():
    picture = Image.new("RGB", SIZE, (236, 238, 241))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, SIZE[0], 34), fill=(44, 62, 80))
    draw.text((12, 9), "File   Edit   View   Help", fill=(236, 240, 241), font=font(14))
    draw.rectangle((0, 35, 120, SIZE[1]), fill=(52, 73, 94))
    for k, color in enumerate([(231, 76, 60), (46, 160, 67), (52, 120, 219), (200, 150, 40)]):
        draw.rounded_rectangle((12, 52 + 44 * k, 108, 82 + 44 * k), 6, fill=color)
        draw.text((24, 59 + 44 * k), ["Open", "Save", "Export", "Close"][k], fill=(255, 255, 255), font=font(13))
    for k in range(12):
        y = 50 + 24 * k
        draw.rectangle((140, y, 460, y + 19), fill=(255, 255, 255), outline=(190, 195, 200))
        draw.text((148, y + 3), f"row {k + 1:02d}   {k * 317 % 1000:4d} kB   photo-{k * 91 % 100:02d}.jpg", fill=(40, 44, 52), font=font(12))
    return picture


def pictures():
    saturated = [(230, 30, 40), (30, 180, 60), (40, 70, 230), (240, 210, 30), (200, 40, 190), (40, 200, 210)]
    inner = [(200, 60, 70), (60, 190, 90), (70, 90, 205), (205, 190, 60), (190, 70, 180), (60, 180, 200)]
    bare = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255)]
    made = {
        "saturated": drawing(saturated, np.random.default_rng(1)), "inner": drawing(inner, np.random.default_rng(2)),
        "pure": drawing(bare, np.random.default_rng(3)), "text": page(), "screenshot": screenshot(),
    }
    made |= {f"{name}-grey": picture.convert("L") for name, picture in list(made.items())}
    return {name: np.asarray(picture).astype(float) for name, picture in made.items()}


def psnr(a, b):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((a - b) ** 2)))


def flat_error(clean, result):
    """Largest difference of a flat area's mean from its colour, over areas of at least 2000 pixels that lie inside."""
    pixels = clean.reshape(clean.shape[0], clean.shape[1], -1)
    inside = np.zeros(clean.shape[:2], bool)
    inside[4:-4, 4:-4] = True
    for dy in range(-4, 5):
        for dx in range(-4, 5):
            inside &= (np.roll(pixels, (dy, dx), (0, 1)) == pixels).all(-1)
    colors, counts = np.unique(pixels[inside], axis=0, return_counts=True)
    worst = 0.0
    for color, count in zip(colors, counts):
        if count >= 2000 and color.min() >= 40 and color.max() <= 215:
            area = inside & (pixels == color).all(-1)
            worst = max(worst, np.abs(result.reshape(pixels.shape)[area].mean(0) - color).max())
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pudle", default="target/release/pudle", help="the pudle binary")
    parser.add_argument("--sigma", default="0,10", type=lambda text: [float(s) for s in text.split(",")])
    parser.add_argument("--keep", type=Path, help="folder for the pictures")
    parser.add_argument("rest", nargs="*", help="further flags of `pudle denoise`, after --")
    args = parser.parse_args()
    print("| picture | sigma | before, dB | after, dB | gain | flat, levels |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or Path(folder)
        for sigma in args.sigma:
            noisy, done = folder / f"sigma-{sigma:g}", folder / f"sigma-{sigma:g}-denoised"
            noisy.mkdir(parents=True, exist_ok=True)
            clean = pictures()
            for k, (name, picture) in enumerate(clean.items()):
                made = picture + np.random.default_rng([9, k]).normal(0, 1, picture.shape) * sigma
                Image.fromarray(np.clip(np.rint(made), 0, 255).astype(np.uint8)).save(noisy / f"{name}.png")
            subprocess.run([args.pudle, "denoise", str(noisy), "-o", str(done), "--force", "--json", *args.rest], check=True,
                           stdout=subprocess.DEVNULL)
            for name, picture in clean.items():
                before = np.asarray(Image.open(noisy / f"{name}.png")).astype(float)
                file = next(p for p in done.rglob("*") if p.is_file() and p.stem in (name, f"{name}-denoised"))
                after = np.asarray(Image.open(file)).astype(float)
                b, a = psnr(before, picture), psnr(after, picture)
                print(f"| {name} | {sigma:g} | {min(b, 99):.2f} | {min(a, 99):.2f} | {a - b:+.2f} | {flat_error(picture, after):.2f} |", flush=True)


if __name__ == "__main__":
    main()
