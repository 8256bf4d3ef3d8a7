"""World files: six lines beside a picture that say where it lies on a map.

::

    x = A·column + B·row + C        lines: A, D, B, E, C, F; (C, F) is the middle of the first pixel
    y = D·column + E·row + F
"""

from __future__ import annotations

import math
from pathlib import Path

from reslift.errors import OutputError, one_line
from reslift.files import atomic_write, check_target

MOST = 1000
ASIDE = ".aux.xml"
ON_A_MAP = (b"<SRS", b"<GeoTransform", b"<GCPList", b'domain="RPC"')
SIDE_BYTES = 2**20
Numbers = tuple[float, ...]


def names(path: Path) -> tuple[Path, ...]:
    """What the world file of a picture may be called: .pgw, .pngw or .wld beside .png."""
    ending = path.suffix[1:].lower()
    short = f".{ending[:1]}{ending[-1:]}w"
    return tuple(path.with_suffix(suffix) for suffix in (short, f".{ending}w", ".wld"))


def read(path: Path) -> Numbers | None:
    """A, D, B, E, C, F from beside the picture at `path`; None where there is no such file."""
    found = beside(path)
    return None if found is None else found[1]


def beside(path: Path) -> tuple[Path, Numbers] | None:
    """The world file of the picture at `path`, and what `read` gives of it."""
    for side in names(path):
        try:
            with side.open(encoding="ascii") as file:
                numbers = tuple(float(word) for word in file.read(MOST).split())
        except (OSError, ValueError):
            continue
        if len(numbers) == 6 and all(math.isfinite(number) for number in numbers):
            return side, numbers
    return None


def is_told_aside(path: Path) -> bool:
    """Whether GDAL's side file of a picture says where it lies on a map."""
    try:
        with Path(f"{path}{ASIDE}").open("rb") as file:
            text = file.read(SIDE_BYTES)
    except OSError:
        return False
    return any(mark in text for mark in ON_A_MAP)


def scaled(
    numbers: Numbers, given: tuple[int, int], wanted: tuple[int, int], corner: tuple[int, int]
) -> Numbers:
    """Those of a part enlarged: given, wanted: its sides before and after; corner: its place."""
    a, d, b, e, c, f = numbers
    across, down = given[0] / wanted[0], given[1] / wanted[1]
    column, row = corner[0] + across / 2 - 0.5, corner[1] + down / 2 - 0.5
    place = c + a * column + b * row, f + d * column + e * row
    return a * across, d * across, b * down, e * down, *place


def target(path: Path, *, overwrite: bool) -> Path:
    """Where the world file of a result goes. Raises OutputExists where it may not."""
    side = names(path)[0]
    check_target(side, overwrite=overwrite)
    return side


def write(side: Path, numbers: Numbers, *, overwrite: bool) -> None:
    """Write the six lines. Raises OutputError where that cannot be."""
    try:
        with atomic_write(side, overwrite=overwrite) as temporary:
            temporary.write_text("".join(f"{number!r}\n" for number in numbers), encoding="ascii")
    except OSError as error:
        raise OutputError(f"cannot write {one_line(side)}: {error.strerror}") from error
