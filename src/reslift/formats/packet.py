"""What an XMP packet says of the picture it lies in: orientation, sizes, and where faces are.

Values are exchanged in the packet as it stands; nothing else in it is touched. Regions are shares
of the sides of the picture as it is stored (Metadata Working Group, Guidelines 2.0, 2010), so that
they hold for any size, and turn with it. What a packet keeps of other files (`xmpMM:Pantry`) stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from reslift.formats.turn import SWAPS_SIDES, placed

MOST_BYTES = 1 << 18
ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>)\s*)[2-8]")
SIDES = tuple(
    re.compile(rb"((?:" + names + rb")(?:\s*=\s*[\"']|>)\s*)\d{1,9}(?=\s*[\"'<])")
    for names in (
        rb"tiff:ImageWidth|exif:PixelXDimension",
        rb"tiff:ImageLength|exif:PixelYDimension",
    )
)
PANTRY, PANTRY_END = b"<xmpMM:Pantry", b"</xmpMM:Pantry>"
NUMBER = rb"(\s*)(-?\d{0,9}\.?\d{1,20}(?:[eE]-?\d{1,2})?)(?=\s*[\"'<])"
AREA, APPLIED = b"mwg-rs:Area", b"mwg-rs:AppliedToDimensions"
IN_AREA = re.compile(rb"(stArea:([xywh])(?:\s*=\s*[\"']|>))" + NUMBER)
IN_APPLIED = re.compile(rb"(stDim:([wh])(?:\s*=\s*[\"']|>)\s*)(\d{1,9})(?=\s*[\"'<])")
CORNER = re.compile(
    rb"(MPReg:Rectangle(?:\s*=\s*[\"']|>)\s*)([\d.eE+-]{1,20}(?:\s*,\s*[\d.eE+-]{1,20}){3})"
)
Rectangle = tuple[float, float, float, float]


def upright(xmp: bytes, orientation: int = 1) -> bytes:
    """The packet of a picture that was turned: its orientation is 1, its regions turned.

    orientation: that of the pixels before, 1 to 8; 1 where a decoder turned them by other marks.
    """
    xmp = ORIENTATION.sub(rb"\g<1>1", xmp)
    if orientation == 1 or len(xmp) > MOST_BYTES:
        return xmp
    xmp = _changed(xmp, AREA, lambda area: _turned_area(area, orientation))
    if orientation >= SWAPS_SIDES:
        xmp = _changed(xmp, APPLIED, _exchanged)
    return CORNER.sub(lambda found: found[1] + _turned_corner(found[2], orientation), xmp)


def sized(xmp: bytes, width: int, height: int) -> bytes:
    """The packet with the sizes that it has saying `width` × `height` pixels."""
    start = xmp.find(PANTRY)
    start = len(xmp) if start < 0 else start
    end = xmp.rfind(PANTRY_END, start)
    end = len(xmp) if end < 0 else end
    mine, other, rest = xmp[:start], xmp[start:end], xmp[end:]
    for sides, value in zip(SIDES, (width, height), strict=True):
        mine, rest = (sides.sub(rb"\g<1>%d" % value, part) for part in (mine, rest))
    return mine + other + rest


def _changed(xmp: bytes, name: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The packet with each element of this name changed, from its `<` to its last `>`."""
    kept, at = [], 0
    for opening in re.finditer(rb"<" + re.escape(name) + rb"(?=[\s/>])", xmp):
        start = opening.start()
        end = xmp.find(b">", start) + 1
        if end and xmp[end - 2 : end - 1] != b"/":
            closing = b"</" + name + b">"
            place = xmp.find(closing, end)
            end = place + len(closing) if place >= 0 else 0
        if not end:
            break  # nor does one after it
        if start >= at:
            kept += [xmp[at:start], change(xmp[start:end])]
            at = end
    return b"".join(kept) + xmp[at:]


def _turned_area(area: bytes, orientation: int) -> bytes:
    """A region that stands as its middle and its extent."""
    found = {name: float(value) for _, name, _, value in IN_AREA.findall(area)}
    if not {b"x", b"y"} <= set(found):
        return area
    names = (b"x", b"y", b"w", b"h")
    old: Rectangle = tuple(found.get(name, 0.0) for name in names)  # type: ignore[assignment]
    new = dict(zip(names, _turned(old, orientation), strict=True))
    return IN_AREA.sub(lambda one: one[1] + one[3] + _text(new[one[2]]), area)


def _turned_corner(text: bytes, orientation: int) -> bytes:
    """A region that stands as its upper left corner and its extent."""
    try:
        left, top, width, height = (float(value) for value in text.split(b","))
    except ValueError:
        return text
    middle = left + width / 2, top + height / 2, width, height
    x, y, width, height = _turned(middle, orientation)
    return b", ".join(_text(value) for value in (x - width / 2, y - height / 2, width, height))


def _turned(region: Rectangle, orientation: int) -> Rectangle:
    x, y, *extent = region
    width, height = extent[::-1] if orientation >= SWAPS_SIDES else extent
    return *placed(x, y, orientation), width, height


def _exchanged(sides: bytes) -> bytes:
    found = {name: value for _, name, value in IN_APPLIED.findall(sides)}
    other = {b"w": found.get(b"h"), b"h": found.get(b"w")}

    def exchanged(one: re.Match[bytes]) -> bytes:
        return one[1] + (other[one[2]] or one[3])

    return IN_APPLIED.sub(exchanged, sides)


def _text(value: float) -> bytes:
    return f"{value:.6f}".rstrip("0").rstrip(".").encode()
