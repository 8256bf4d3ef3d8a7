"""OME-XML, which microscopes put into the description of a TIFF: sizes that follow the result.

Only the sizes in pixels, the distances of pixels across and down and the name of the file are
touched; the text else stays as it is.
"""

from __future__ import annotations

import re

PIXELS = re.compile(rb"<(?:\w+:)?Pixels\b[^<>]*>")
UUID = re.compile(rb"<(?:\w+:)?UUID\b([^<>]*)>[^<>]*</(?:\w+:)?UUID\s*>")
AXES = (b"X", b"Y")


def is_ome(text: bytes) -> bool:
    """Whether a description is OME-XML."""
    return b"<OME" in text[:4096] and PIXELS.search(text) is not None


def sized(text: bytes, width: int, height: int, *, enlarged: bool) -> bytes:
    """The text of a file whose first picture becomes width × height, others in proportion.

    enlarged: so its pixels lie nearer to each other; else it is cut. Names of the file it was in
    go, so that readers do not look for the rest there; not where a set of files is named.
    """
    first = PIXELS.search(text)
    given = [_value(first[0], b"Size" + axis) if first else None for axis in AXES]
    if not all(given):
        return text
    ratios = [new / (old or 1) for new, old in zip((width, height), given, strict=True)]
    text = PIXELS.sub(lambda found: _resized(found[0], ratios, enlarged), text)
    names = {found[1] for found in UUID.finditer(text)}
    return UUID.sub(b"", text) if len(names) == 1 else text


def _resized(element: bytes, ratios: list[float], enlarged: bool) -> bytes:
    for axis, ratio in zip(AXES, ratios, strict=True):
        side, distance = (_value(element, name + axis) for name in (b"Size", b"PhysicalSize"))
        if side:
            element = _with(element, b"Size" + axis, str(round(side * ratio)))
        if distance and enlarged:
            element = _with(element, b"PhysicalSize" + axis, repr(distance / ratio))
    return element


def _attribute(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(\s" + name + rb"\s*=\s*[\"'])([^\"']*)")


def _value(element: bytes, name: bytes) -> float | None:
    found = _attribute(name).search(element)
    try:
        return float(found[2]) if found else None
    except ValueError:
        return None


def _with(element: bytes, name: bytes, value: str) -> bytes:
    return _attribute(name).sub(lambda found: found[1] + value.encode(), element)
