"""A look into a latent space on the disk: a page, tables and pictures, each whole or not there."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from reslift.errors import OutputExists, one_line
from reslift.files import atomic_write, make_folder, try_folder
from reslift.latent.drawing import draw_map
from reslift.latent.explore import Exploration
from reslift.latent.page import columns, joined, render
from reslift.latent.strips import Strip
from reslift.report import Bytes, as_csv

PAGE, CSV = "latent.html", "latent.csv"
FRAME_SIDE = 128
BETWEEN, THROUGH = "interpolation.png", "traversal.png"
FILES = (PAGE, CSV, BETWEEN, THROUGH, "map-pca.png", "map-tsne.png", "map-umap.png")


def prepare(folder: Path, *, overwrite: bool) -> None:
    """Refuse, before the work starts, what would be overwritten or cannot be made.

    Raises:
        OutputExists: a result is there and ``overwrite`` is False.
        OutputError: the folder cannot be made.
    """
    try_folder(folder)
    there = next((folder / name for name in FILES if (folder / name).exists()), None)
    if there is not None and not overwrite:
        raise OutputExists(f"{one_line(there)} exists; name another --out or add --overwrite")


def save(
    folder: str | Path, found: Exploration, command: str, *, overwrite: bool = False
) -> list[Path]:
    """Make the folder, write all files and return their paths, the page first.

    What an earlier look left there and this one does not have goes.

    Raises:
        OutputExists, OutputError: a file exists or cannot be written.
    """
    folder = Path(folder)
    make_folder(folder)
    made = f"{datetime.now().astimezone():%Y-%m-%d %H:%M}"
    paths = []
    for name, text in {PAGE: render(found, command, made), CSV: table(found)}.items():
        with atomic_write(folder / name, overwrite=overwrite) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        paths.append(folder / name)
    for name, pixels in pictures(found).items():
        with atomic_write(folder / name, overwrite=overwrite) as temporary:
            Image.fromarray(pixels).save(temporary)
        paths.append(folder / name)
    for name in FILES:  # of the look that was replaced, what this one has none of
        if folder / name not in paths:
            (folder / name).unlink(missing_ok=True)
    return paths


def pictures(found: Exploration) -> dict[str, Bytes]:
    """Every map and strip by file name, (H, W, 3) uint8."""
    ranked = found.ranked_labels
    values = columns(found)
    drawn = {}
    for one in found.projections:
        title = f"{one.label} of {found.source.name}, {len(one.points)} pictures, "
        title += f"trustworthiness {one.trust:.3f}"
        drawn[f"map-{one.key}.png"] = draw_map(one.points, values, ranked, title)
    drawn[BETWEEN] = stacked(found.interpolations)
    if found.traversals:
        drawn[THROUGH] = stacked(found.traversals)
    return drawn


def stacked(strips: list[Strip]) -> Bytes:
    """Strips of one size below each other; small frames enlarged to squares of pixels."""
    sheet = np.concatenate([joined(strip) for strip in strips])
    times = max(1, FRAME_SIDE // max(strips[0].frames[0].shape[:2]))
    return sheet.repeat(times, 0).repeat(times, 1)


def table(found: Exploration) -> str:
    """A line a picture: file, label, numbers, coordinates in every map, nearest pictures."""
    encoded = found.encoded
    head = ["number", "file", "label", "sharpness", "error_rms", "psnr_y", "bicubic_psnr_y"]
    head += ["gain_psnr_y", *(f"{p.key}_{axis}" for p in found.projections for axis in (1, 2))]
    gains = encoded.gain
    rows: list[list[str | int | float]] = []
    for number, name in enumerate(encoded.names):
        rows.append([number, name, encoded.labels[number], encoded.sharpness[number]])
        rows[-1] += [encoded.error[number], encoded.psnr[number], encoded.bicubic_psnr[number]]
        rows[-1] += [
            gains[number],
            *(x for p in found.projections for x in p.points[number].tolist()),
        ]
        rows[-1].append(" ".join(map(str, found.neighbours[number].tolist())))
    return as_csv([*head, "nearest"], rows)
