"""How many faces the detector of `reslift audit` finds, and what it finds where there may be none.

    python benchmarks/faces.py PORTRAITS OTHERS

PORTRAITS holds pictures with one face in the middle, such as LFW's, in folders of any depth; 200 of
them are drawn. Boxes in OTHERS are listed, to be looked at.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
from PIL import Image

from reslift.datasets.folder import find_images
from reslift.faces import find_faces
from reslift.pixels.tiles import Box

DRAWN, SEED = 200, 2


def faces_of(path: Path) -> tuple[tuple[Box, ...], tuple[int, int]]:
    """Boxes in a picture, and its (width, height)."""
    with Image.open(path) as image:
        gray = image.convert("L")
    return find_faces(np.asarray(gray, np.float32)) or (), gray.size


def main(portraits: Path, others: Path) -> None:
    """Print what was found."""
    files = sorted(find_images(portraits))
    some = random.Random(SEED).sample(files, min(DRAWN, len(files)))
    hits = elsewhere = 0
    for path in some:
        boxes, (width, height) = faces_of(path)
        middle = [
            box
            for box in boxes
            if box.left < width / 2 < box.right and box.top < height / 2 < box.bottom
        ]
        hits += bool(middle)
        elsewhere += len(boxes) - len(middle)
    print(f"{hits} of {len(some)} portraits, {elsewhere} boxes elsewhere")
    for path in sorted(find_images(others)):
        for box in faces_of(path)[0]:
            print(f"{path.name}: {box.width}x{box.height} at {box.left},{box.top}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("portraits", type=Path)
    parser.add_argument("others", type=Path)
    given = parser.parse_args()
    main(given.portraits, given.others)
