"""Side files of GDAL beside a picture, ``NAME.aux.xml``: what of them says where it lies on a map.

::

    SRS             a coordinate system, as it is
    GeoTransform    x0, across, shear, y0, shear, down: (x0, y0) is the corner of the first pixel
    GCPList         control points: Pixel and Line are counted from that corner
    Metadata RPC    LINE_OFF and SAMP_OFF are counted from the middle of the first pixel
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from reslift.errors import OutputError, one_line
from reslift.files import atomic_write, check_target
from reslift.formats.world import ASIDE, SIDE_BYTES

ROOT = "PAMDataset"
SYSTEM, TRANSFORM, POINTS = "SRS", "GeoTransform", "GCPList"
RPC = ("LINE", "SAMP")
Sides = tuple[int, int]


def side_of(path: Path) -> Path:
    """The name of the side file of the picture at `path`."""
    return Path(f"{path}{ASIDE}")


def read(path: Path) -> Element | None:
    """What the side file of the picture at `path` says of its place; None where that is nothing.

    So it is where it cannot be read, or holds other words where numbers should stand.
    """
    try:
        with side_of(path).open("rb") as file:
            text = file.read(SIDE_BYTES + 1)
        # A document type may make much out of few bytes; GDAL writes none.
        if len(text) > SIDE_BYTES or b"<!" in text.replace(b"<!--", b""):
            return None
        root = ElementTree.fromstring(text)
        kept = Element(ROOT)
        kept.extend(copy.deepcopy(part) for part in root if _says_place(part))
        scaled(kept, (1, 1), (1, 1), (0, 0))
    except (OSError, ElementTree.ParseError, ValueError, KeyError):
        return None
    return kept if len(kept) else None


def _says_place(part: Element) -> bool:
    if part.tag == "Metadata":
        return part.get("domain") == "RPC"
    return part.tag in (SYSTEM, TRANSFORM, POINTS)


def scaled(root: Element, given: Sides, wanted: Sides, corner: Sides) -> Element:
    """The same for a part enlarged: given, wanted: its sides before and after; corner: its place.

    Raises ValueError, KeyError where numbers lack.
    """
    ratios = wanted[0] / given[0], wanted[1] / given[1]
    made = copy.deepcopy(root)
    for part in made:
        if part.tag == TRANSFORM:
            part.text = _transform(part.text or "", ratios, corner)
        elif part.tag == POINTS:
            for point in part.iter("GCP"):
                for name, ratio, first in zip(("Pixel", "Line"), ratios, corner, strict=True):
                    point.set(name, repr((_number(point.attrib[name]) - first) * ratio))
        elif part.tag == "Metadata":
            _move_rpc(part, ratios, corner)
    return made


def _transform(text: str, ratios: tuple[float, float], corner: Sides) -> str:
    numbers = [_number(word) for word in text.split(",")]
    if len(numbers) != 6:
        raise ValueError(TRANSFORM)
    made = []
    for origin, across, down in (numbers[:3], numbers[3:]):
        begin = origin + across * corner[0] + down * corner[1]
        made += [begin, across / ratios[0], down / ratios[1]]
    return ", ".join(map(repr, made))


def _move_rpc(part: Element, ratios: tuple[float, float], corner: Sides) -> None:
    entries = {entry.get("key", ""): entry for entry in part.iter("MDI")}
    for name, ratio, first in zip(RPC, reversed(ratios), reversed(corner), strict=True):
        middle, length = entries[f"{name}_OFF"], entries[f"{name}_SCALE"]
        middle.text = repr((_number(middle.text) + 0.5 - first) * ratio - 0.5)
        length.text = repr(_number(length.text) * ratio)


def _number(text: str | None) -> float:
    number = float(text or "")
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def target(path: Path, *, overwrite: bool) -> Path:
    """Where the side file of a result goes. Raises OutputExists where it may not."""
    side = side_of(path)
    check_target(side, overwrite=overwrite)
    return side


def write(side: Path, root: Element, *, overwrite: bool) -> None:
    """Write the side file. Raises OutputError where that cannot be."""
    try:
        with atomic_write(side, overwrite=overwrite) as temporary:
            temporary.write_bytes(ElementTree.tostring(root, "utf-8"))
    except OSError as error:
        raise OutputError(f"cannot write {one_line(side)}: {error.strerror}") from error
