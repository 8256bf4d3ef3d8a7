"""What a picture is between reading and writing, and what a format must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol, get_args

from reslift.errors import InputError, OutputError, UsageError, one_line

if TYPE_CHECKING:
    import numpy as np

    from reslift.limits import Limits

Space = Literal["gray", "rgb", "cmyk"]
Unit = Literal["inch", "cm", "m", "none"]
Resolution = tuple[float, float, Unit]
Extra = tuple[tuple[str, bytes], ...]
COLOURS: dict[Space, int] = {"gray": 1, "rgb": 3, "cmyk": 4}
GAIN_MAP_LOST = "its HDR gain map is left out: the result is what standard screens show"
CICP = "cICP"
SHOWN = frozenset({CICP, "sRGB", "gAMA", "cHRM", "mDCV", "cLLI"})
"""Extras that say which colours the samples stand for. CICP, of a PNG, has the numbers of ITU-T
H.273 for primaries, transfer, matrix and range; HEIF tells them too."""
METRES: dict[str, float] = {"inch": 0.0254, "cm": 0.01, "m": 1.0}


class Kind(Protocol):
    """What is asked of a Header or a Picture to know whether a format can hold it."""

    @property
    def space(self) -> Space: ...
    @property
    def alpha(self) -> bool: ...
    @property
    def bits(self) -> int: ...


@dataclass(frozen=True)
class Header:
    """The Picture that `read` would return, without its pixels.

    width, height: pixels, after the orientation tag is applied. bands: 1 to 5, alpha included.
    bits: 8 or 16 a sample. format: the name of the format found in the content.
    turned: the tag said otherwise than upright.
    """

    width: int
    height: int
    bands: int
    bits: int
    format: str
    space: Space
    alpha: bool
    turned: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """A still picture and everything that goes with it.

    pixels: (height, width, bands) uint8 or uint16, C-contiguous; may be a memory map. Alpha, where
    there is one, is the last band and straight (colours are not multiplied by it). In "cmyk" 0 is
    no ink. exif: a TIFF structure, without the JPEG prefix; the orientation is applied and its tag
    says 1. resolution: pixels a unit, across and down; "none" gives only their ratio. lossless: the
    file it came from kept every pixel. extra: pieces that only the same format can take back.
    notes: what was changed on the way in, a sentence each. turned: the tag was not upright.
    """

    pixels: np.ndarray
    space: Space
    alpha: bool
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    resolution: Resolution | None = None
    format: str = "png"
    notes: tuple[str, ...] = ()
    lossless: bool = False
    extra: Extra = ()
    turned: bool = False

    def __post_init__(self) -> None:
        if self.space not in get_args(Space):
            raise UsageError(f"a picture is {', '.join(get_args(Space))}, not {self.space!r}")
        shape, bands = self.pixels.shape, COLOURS[self.space] + self.alpha
        if len(shape) != 3 or shape[2] != bands or 0 in shape:
            raise UsageError(
                f"pixels of shape {shape} given; a {self.space} picture with alpha={self.alpha} "
                f"is (height, width, {bands})"
            )
        if self.pixels.dtype.name not in ("uint8", "uint16") or not self.pixels.flags.c_contiguous:
            raise UsageError(
                f"{self.pixels.dtype} pixels given; wanted are C-contiguous uint8 or uint16"
            )

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def bits(self) -> int:
        """8 or 16 bits a sample."""
        return int(self.pixels.dtype.itemsize) * 8


@dataclass(frozen=True)
class Facts:
    """All that a file says before its pixels are decoded; width and height as stored."""

    width: int
    height: int
    space: Space
    alpha: bool
    bits: int
    orientation: int = 1
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    resolution: Resolution | None = None
    lossless: bool = False
    extra: Extra = ()
    notes: tuple[str, ...] = ()
    private: dict[str, Any] = field(default_factory=dict)

    @property
    def bands(self) -> int:
        """Colours and alpha."""
        return COLOURS[self.space] + self.alpha


@dataclass(frozen=True)
class Holds:
    """What a format can keep; the rest is converted or dropped, and said so (`fit`).

    depth: bits of a 16-bit sample that are kept. cicp: whether colours may be named by numbers.
    """

    spaces: tuple[Space, ...]
    alpha: tuple[Space, ...]
    bits: tuple[int, ...] = (8,)
    depth: int = 16
    longest: int = 100_000_000
    most_bytes: int | None = None
    exif: bool = True
    xmp: bool = True
    icc: bool = True
    resolution: bool = True
    cicp: bool = False


class Format(ABC):
    """One still-image format. `label` is for people, `suffixes` are lower case with their dot;
    `lossless` is whether it always keeps every sample."""

    name: str
    label: str
    suffixes: tuple[str, ...]
    holds: Holds
    lossless: bool = True

    @abstractmethod
    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with `head` (up to 64 bytes) is of this format."""

    @abstractmethod
    def inspect(self, file: BinaryIO) -> Facts:
        """Read everything but the pixels. Any exception stands for a damaged file."""

    def completed(self, file: BinaryIO, facts: Facts) -> Facts:
        """`facts` with what only the decoder can tell; called after `decode`."""
        return facts

    @abstractmethod
    def decode(self, file: BinaryIO, facts: Facts, limits: Limits) -> tuple[np.ndarray, list[str]]:
        """The pixels as stored, (facts.height, facts.width, facts.bands), and notes on them."""

    @abstractmethod
    def encode(self, path: Path, picture: Picture, image: Any, quality: int) -> list[str]:
        """Write `image` (a pyvips image that this format holds) with the metadata of `picture`.

        Returns notes on metadata that the file could not take.
        """


class ReadOnly(Format):
    """A format that is read and never written; results are PNG, which holds all that it holds."""

    holds = Holds(spaces=(), alpha=(), bits=())

    def encode(self, path: Path, picture: Picture, image: Any, quality: int) -> list[str]:
        """Nothing to be had: OutputError."""
        raise OutputError(f"{self.label} is read, not written; write PNG")


def lacking(label: str, extra: str) -> InputError:
    """The refusal of a file whose decoder is not installed."""
    return InputError(f"reading {label} needs: pip install 'reslift[{extra}]'")


def damaged(why: str) -> InputError:
    """The cause of a refusal; the boundary in `formats` puts the name of the file before it."""
    return InputError(why)


def causes(error: Exception) -> str:
    """One line; pyvips puts each cause on a line below its own and may repeat them."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("unable to"):
        lines = lines[1:]
    return one_line("; ".join(dict.fromkeys(lines)) or error)


def per_metre(resolution: Resolution) -> tuple[int, int] | None:
    """Pixels a metre as whole numbers, or None where only a ratio is known or it is absurd."""
    across, down, unit = resolution
    if unit == "none":
        return None
    values = (round(across / METRES[unit]), round(down / METRES[unit]))
    return values if all(0 < value < 2**31 for value in values) else None


def colours_only(extra: Extra) -> Extra:
    """What is left of extras where metadata is not wanted: without it colours would change."""
    return tuple((name, data) for name, data in extra if name in SHOWN)


def exactly(file: BinaryIO, count: int, what: str) -> bytes:
    """The next `count` bytes; InputError where the file ends before."""
    data = file.read(count)
    if len(data) != count:
        raise damaged(f"truncated: the file ends inside {what}")
    return data


def size_of(file: BinaryIO) -> int:
    """The length of the file in bytes; its position is kept."""
    here = file.tell()
    size = file.seek(0, 2)
    file.seek(here)
    return size
