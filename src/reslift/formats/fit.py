"""Making a picture fit a format: what will change is told in advance, then done, never silently.

CMYK ──ICC──► sRGB      alpha ──► composited on white      16 bits ──► 8      gray ──► RGB
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reslift.errors import OutputError
from reslift.formats import vips
from reslift.formats.base import CICP, COLOURS, Format, Kind, Picture, Space

WHITE: dict[Space, float] = {"gray": 1.0, "rgb": 1.0, "cmyk": 0.0}
ICC_SPACES: dict[bytes, Space] = {b"GRAY": "gray", b"RGB ": "rgb", b"CMYK": "cmyk"}
GRID: dict[Space, int] = {"gray": 256, "rgb": 9, "cmyk": 5}
ALIKE = 2 * 257


def check_size(into: Format, width: int, height: int, kind: Kind) -> None:
    """OutputError where `into` has no room for a picture of width × height."""
    holds = into.holds
    what = f"{width}×{height} pixels are too large for {into.label}, which ends at"
    advice = "choose another format (PNG, TIFF), a smaller scale or a part of the picture"
    if max(width, height) > holds.longest:
        raise OutputError(f"{what} {holds.longest:,} a side; {advice}")
    bands = COLOURS[space_in(into, kind)] + alpha_in(into, kind)
    if holds.most_bytes is not None and width * height * bands > holds.most_bytes:
        raise OutputError(f"{what} {holds.most_bytes:,} bytes; {advice}")


def space_in(into: Format, kind: Kind) -> Space:
    """The space in which `into` keeps a picture of this kind."""
    holds = into.holds
    wanted = kind.space
    if wanted in holds.spaces and not (kind.alpha and holds.alpha and wanted not in holds.alpha):
        return wanted
    return "rgb"


def alpha_in(into: Format, kind: Kind) -> bool:
    """Whether `into` keeps the alpha of a picture of this kind."""
    return kind.alpha and space_in(into, kind) in into.holds.alpha


def changes(into: Format, kind: Kind) -> tuple[str, ...]:
    """What of a picture of this kind `into` cannot hold, and what it becomes; a sentence each."""
    notes = []
    space = space_in(into, kind)
    if kind.space == "cmyk" and space == "rgb":
        notes.append(f"{into.label} has no CMYK: converted to sRGB")
    if kind.space == "gray" and space == "rgb":
        with_alpha = " with alpha" if "gray" in into.holds.spaces else ""
        notes.append(f"{into.label} has no gray{with_alpha}: written with equal R, G and B")
    if kind.alpha and not alpha_in(into, kind):
        notes.append(f"{into.label} has no alpha: composited on white")
    if kind.bits not in into.holds.bits:
        notes.append(f"{into.label} holds 8 bits a sample: {kind.bits} bits are rounded to 8")
    elif kind.bits > into.holds.depth:
        depth = into.holds.depth
        notes.append(f"{into.label} holds {depth} bits a sample: 16 bits are rounded to {depth}")
    return tuple(notes)


def losses(into: Format, picture: Picture) -> tuple[str, ...]:
    """Metadata of `picture` that `into` has no place for."""
    notes = []
    if picture.exif and not into.holds.exif:
        notes.append(f"{into.label} has no EXIF: it is dropped")
    if picture.xmp and not into.holds.xmp:
        notes.append(f"{into.label} has no XMP: it is dropped")
    if picture.icc and not into.holds.icc:
        done = "converted to sRGB" if _usable(picture) else "it is dropped"
        notes.append(f"{into.label} has no ICC profile: {done}")
    if picture.resolution and not into.holds.resolution:
        notes.append(f"{into.label} has no resolution: it is dropped")
    lost = [name for name, _ in picture.extra if not (name == CICP and into.holds.cicp)]
    if lost and picture.format != into.name:
        notes.append(f"not kept in {into.label}: {', '.join(dict.fromkeys(lost))}")
    return tuple(notes)


def fitted(into: Format, picture: Picture) -> tuple[Any, Picture]:
    """A lazy pyvips image that `into` holds, and the picture with the metadata that goes with it.

    The pixels of the returned picture are those given; `image` is what is to be written.
    """
    image = vips.image_of(picture)
    space, bits = space_in(into, picture), picture.bits
    icc = picture.icc
    if picture.alpha and not alpha_in(into, picture):
        top = 2**bits - 1
        paper = [top * WHITE[picture.space]] * COLOURS[picture.space]
        image = image.flatten(background=paper, max_alpha=top)
    if picture.space != space:
        image, icc = _to_rgb(image, picture, image.bands > COLOURS[picture.space])
    if icc is not None and not into.holds.icc:
        image, icc = _without_profile(image, picture), None
    if bits not in into.holds.bits:
        image = image.linear(1 / 257, 0).rint().cast("uchar")
        bits = 8
    image = image.copy(interpretation=vips.INTERPRETATIONS[space, bits])
    return image, replace(picture, icc=icc)


def _usable(picture: Picture) -> bool:
    """Whether the profile is one for the colours of the picture."""
    return picture.icc is not None and ICC_SPACES.get(picture.icc[16:20]) == picture.space


def _without_profile(image: Any, picture: Picture) -> Any:
    """The colours of an RGB picture as sRGB, where its profile can be used."""
    if picture.space != "rgb" or not _usable(picture):
        return image
    colours = _through_profile(image.extract_band(0, n=3), picture.icc, picture.bits)
    return colours.bandjoin(image.extract_band(3)) if image.bands > 3 else colours


def _to_rgb(image: Any, picture: Picture, alpha: bool) -> tuple[Any, bytes | None]:
    """Three bands (and alpha), and the profile that they are in; None is sRGB."""
    count = COLOURS[picture.space]
    colours = image.extract_band(0, n=count)
    usable = _usable(picture)
    icc = None
    if picture.space == "cmyk" or usable:
        colours = _through_profile(colours, picture.icc if usable else None, picture.bits)
    else:
        colours = colours.bandjoin([colours, colours])
        icc = picture.icc
    return (colours.bandjoin(image.extract_band(count)) if alpha else colours), icc


def _through_profile(colours: Any, icc: bytes | None, bits: int) -> Any:
    """Relative colorimetric, by the generic CMYK profile of libvips where none is given."""
    if icc is not None:
        colours = colours.copy()
        colours.set_type(vips.library().GValue.blob_type, "icc-profile-data", icc)
    return colours.icc_transform(
        "srgb",
        embedded=icc is not None,
        input_profile="cmyk" if colours.bands == 4 else "srgb",
        intent="relative",
        black_point_compensation=True,
        depth=bits,
    )


def same_colours(one: Picture, other: Picture) -> bool:
    """Whether samples of two pictures of one space stand for the same colours, to 2 levels of 255.

    Without a profile, or with one that cannot be used, they stand for sRGB or the generic CMYK.
    """
    if one.icc == other.icc:
        return True
    shown = [
        _shown(picture.icc if _usable(picture) else None, one.space) for picture in (one, other)
    ]
    return bool(abs(shown[0] - shown[1]).max() <= ALIKE)


def _shown(icc: bytes | None, space: Space) -> Any:
    """A grid of samples of `space` as sRGB, in levels of 65535."""
    import numpy as np

    count = COLOURS[space]
    steps = np.linspace(0, 65535, GRID[space]).astype(np.uint16)
    grid = np.stack(np.meshgrid(*[steps] * count, indexing="ij"), -1).reshape(1, -1, count)
    if icc is None and space != "cmyk":
        return np.broadcast_to(grid, (*grid.shape[:2], 3)).astype(np.int32)
    image = vips.image_of(Picture(np.ascontiguousarray(grid), space, False))
    try:
        return _through_profile(image, icc, 16).numpy().astype(np.int32)
    except vips.library().Error:
        return _shown(None, space)


def profile_notes(icc: bytes | None, space: Space) -> tuple[str, ...]:
    """What is odd about an ICC profile that is kept as it is."""
    if icc is None:
        return ()
    if len(icc) < 132 or icc[36:40] != b"acsp" or int.from_bytes(icc[:4], "big") > len(icc):
        return ("the ICC profile is damaged; it is kept as it is",)
    found = ICC_SPACES.get(icc[16:20])
    if found == space:
        return ()
    name = found or icc[16:20].decode("latin-1").strip()
    return (f"the ICC profile is for {name}, the picture is {space}; it is kept as it is",)
