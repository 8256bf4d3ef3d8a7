"""Peak memory and time of upscaling a very large TIFF ×2, plain or on a map, in a process.

    python benchmarks/gigapixel.py                    # 8,192 × 8,192
    python benchmarks/gigapixel.py --side 32768       # a gigapixel: 1 GB in, about 8 GB out
    python benchmarks/gigapixel.py --side 32768 --rows 2048    # as wide: the same memory, sooner
    python benchmarks/gigapixel.py --kind geotiff --layout strips

Memory does not depend on how well the model is trained, so a tiny one stands in by default;
`--model lift-base` takes the real one. The picture is made here, 8-bit RGB.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

TILE = 512
MOTIFS = 16


def motifs() -> list[np.ndarray]:
    """Tiles of soft waves and a little noise, so that they compress about as photographs do."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:TILE, :TILE]
    found = []
    for i in range(MOTIFS):
        waves = np.sin(x / (5 + i)) * np.cos(y / (31 - i))
        colors = waves[..., None] * [90, 70, 50] + 128 + rng.normal(0, 2, (TILE, TILE, 3))
        found.append(np.clip(colors, 0, 255).astype(np.uint8))
    return found


def make(path: Path, side: int, rows: int, kind: str, layout: str) -> None:
    """Write the picture, tile by tile or in strips of 512 rows."""
    tiles = motifs()
    across = side // TILE

    def pieces() -> Iterator[np.ndarray]:
        for row in range(rows // TILE):
            chosen = [tiles[(row * 7 + column * 3) % MOTIFS] for column in range(across)]
            yield from chosen if layout == "tiles" else [np.concatenate(chosen, 1)]

    shape = {"tile": (TILE, TILE)} if layout == "tiles" else {"rowsperstrip": TILE}
    # GeoTIFF: pixel scale, tie point, and keys for UTM zone 18 north.
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32618)
    place = [
        (33550, "d", 3, (10.0, 10.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 500_000.0, 4_200_000.0, 0.0), True),
        (34735, "H", len(keys), keys, True),
    ]
    tifffile.imwrite(
        path,
        pieces(),
        shape=(rows, side, 3),
        dtype=np.uint8,
        bigtiff=True,
        photometric="rgb",
        compression="zlib",
        compressionargs={"level": 1},
        predictor=True,
        metadata=None,
        extratags=place if kind == "geotiff" else (),
        **shape,
    )


def tiny(folder: Path) -> Path:
    """A checkpoint of a model that is almost only its bicubic picture."""
    from reslift.checkpoint import Card, save
    from reslift.models import Lift

    model = Lift(scale=2, width=4, blocks=1, inner_width=4, inner_blocks=1).eval()
    path = folder / "tiny.safetensors"
    save(path, model, Card(name="tiny", model="lift", arguments=model.arguments, scale=2))
    return path


def main() -> None:
    """Make, upscale, print a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=8192, help="a multiple of 512")
    parser.add_argument("--rows", type=int, help="height, a multiple of 512 [default: the side]")
    parser.add_argument("--kind", choices=("plain", "geotiff"), default="plain")
    parser.add_argument("--layout", choices=("tiles", "strips"), default="tiles")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--folder", type=Path, help="where the files lie for a while")
    options = parser.parse_args()
    side = options.side // TILE * TILE
    rows = (options.rows or side) // TILE * TILE
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        source, target = folder / "large.tif", folder / "large-x2.tif"
        make(source, side, rows, options.kind, options.layout)
        model = str(tiny(folder)) if options.model == "tiny" else options.model
        command = [sys.executable, "-m", "reslift", "upscale", str(source), "-o", str(target)]
        command += ["--scale", "2", "--model", model, "--max-file-bytes", "1T", "--quiet"]
        command += ["--max-input-pixels", "100G", "--max-output-pixels", "400G"]
        began = time.monotonic()
        subprocess.run(command, check=True)
        seconds = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        with tifffile.TiffFile(target) as result:
            height, width = result.pages[0].shape[:2]
        assert (width, height) == (2 * side, 2 * rows)
        print(
            f"{options.kind} {options.layout} {side}x{rows} -> {width}x{height}, {options.model}: "
            f"peak {peak / 1e6:.0f} MB, {seconds:.0f} s, "
            f"{source.stat().st_size / 1e9:.2f} GB -> {target.stat().st_size / 1e9:.2f} GB"
        )


if __name__ == "__main__":
    main()
