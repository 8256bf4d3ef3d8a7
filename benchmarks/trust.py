"""What `reslift audit` is worth, measured with the truth that it does not see.

    python benchmarks/trust.py DATA/bench [IMAGES]
    python benchmarks/trust.py --picture OUT.png       # that of docs/trust.md

1. Rank correlation of its map of expected error with the true error of lift-base-x4 on BSD100.
2. Planted fakes: glyphs or texture of another picture are pasted into results, once as they are and
   once projected so that the result still shrinks to its input; AUROC of the map of doubt over
   pixels, inside against outside.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from reslift.audit import LUMA, audit
from reslift.datasets.pairs import find_test_set, read_pair
from reslift.degradations import Bicubic
from reslift.pixels import project
from reslift.upscale import load

SCALE, PATCH = 4, 64
PLACE, SHOWN = (60, 80), 320
Gray = NDArray[np.float32]


def auroc(inside: Gray, outside: Gray) -> float:
    """Chance that a pixel inside has the higher value."""
    from scipy.stats import mannwhitneyu

    found = mannwhitneyu(inside, outside).statistic
    return float(found) / (inside.size * outside.size)


def glyphs(rng: np.random.Generator) -> Gray:
    """Letters, dark on light."""
    image = Image.new("L", (PATCH, PATCH), 205)
    draw = ImageDraw.Draw(image)
    for row in range(3):
        text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUXYZ0123456789"), 5))
        draw.text((2, 1 + 20 * row), text, fill=40, font=ImageFont.load_default(17))
    return np.asarray(image, np.float32)


def planted(sr: Gray, patch: Gray, rng: np.random.Generator) -> tuple[Gray, NDArray[np.bool_]]:
    """A patch over a random place of a picture, brought to the brightness there."""
    top, left = (int(rng.integers(8, side - PATCH - 8)) for side in sr.shape)
    where = np.zeros(sr.shape, bool)
    where[top : top + PATCH, left : left + PATCH] = True
    out = sr.copy()
    out[where] = (patch - patch.mean() + sr[where].mean()).ravel().clip(0, 255)
    return out, where


def picture(out: Path) -> None:
    """Letters pasted into a result, and beside it the doubt: a crop of one photograph."""
    from skimage import data

    from reslift.audit import audit_files
    from reslift.audit_page import overlay
    from reslift.pixels.shrink import shrink

    photo = data.rocket()
    height, width = (side // SCALE for side in photo.shape[:2])
    photo = photo[: height * SCALE, : width * SCALE]
    lr = shrink(photo, height, width, "bicubic", 255.0).astype(np.uint8)
    sr = load("lift-base", SCALE, consistent=True)(lr)
    top, left = PLACE
    box = slice(top, top + PATCH), slice(left, left + PATCH)
    patch = glyphs(np.random.default_rng(0))[..., None]
    sr[box] = (patch - patch.mean() + sr[box].mean()).clip(0, 255).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "lr.png"), Path(folder, "sr.png")
        Image.fromarray(lr).save(source)
        Image.fromarray(sr).save(result)
        doubt = overlay(result, audit_files(source, result))
    gap = np.full((SHOWN, 8, 3), 255, np.uint8)
    halves = (sr[:SHOWN, :SHOWN], gap, doubt[:SHOWN, :SHOWN])
    Image.fromarray(np.concatenate(halves, 1)).save(out, optimize=True)


def main(root: Path, most: int) -> None:
    """Print the two tables."""
    from scipy.stats import spearmanr

    rng, upscaler = np.random.default_rng(0), load("lift-base", SCALE, consistent=True)
    ranks, coarse, shares = [], [], []
    scores: dict[tuple[str, str], list[float]] = {}
    last: Gray | None = None
    for files in find_test_set(root / "BSD100", SCALE).files[:most]:
        pair = read_pair(files, Bicubic(SCALE))
        lr = np.ascontiguousarray(pair.lr[0].numpy().transpose(1, 2, 0))
        hr = pair.hr[0].numpy().transpose(1, 2, 0) @ LUMA
        small, sr = lr @ LUMA, upscaler(lr) @ LUMA
        found = audit(small, sr, SCALE)
        error = np.abs(sr - hr)
        blocks = [
            m.reshape(m.shape[0] // 4, 4, -1, 4).mean((1, 3)) for m in (found.expected_error, error)
        ]
        ranks.append(spearmanr(found.expected_error.ravel(), error.ravel())[0])
        coarse.append(spearmanr(*(block.ravel() for block in blocks))[0])
        shares.append(found.share)
        texture = last if last is not None else hr[::-1]
        at = [int(rng.integers(0, side - PATCH)) for side in texture.shape]
        patches = {"glyphs": glyphs(rng), "texture": texture[at[0] :, at[1] :][:PATCH, :PATCH]}
        last = hr
        for name, patch in patches.items():
            fake, where = planted(sr, patch, rng)
            target = project.Target(
                np.ascontiguousarray(small[:, None]), SCALE, 255.0, True, 0.0, 255.0
            )
            hidden = project.bicubic(fake[:, None].copy(), target)[0][:, 0]
            for way, picture in (("pasted", fake), ("consistent", hidden)):
                doubt = audit(small, picture, SCALE).doubt
                scores.setdefault((name, way), []).append(auroc(doubt[where], doubt[~where]))
    print(f"{len(ranks)} images; added share of the energy {np.mean(shares):.2%}")
    print(f"rank correlation with the true error: pixels {np.mean(ranks):.3f}", end="")
    print(f" (least {np.min(ranks):.3f}), 4x4 blocks {np.mean(coarse):.3f}")
    for (name, way), values in scores.items():
        print(f"{name:<8} {way:<11} AUROC {np.mean(values):.3f}, least {np.min(values):.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("images", type=int, nargs="?", default=10**6)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    if given.picture is not None:
        picture(given.picture)
    elif given.data is None:
        parser.error("name the folder of the benchmarks, or --picture")
    else:
        main(given.data, given.images)
