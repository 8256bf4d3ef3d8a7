"""GIF: blocks are read here, frames by Pillow, which lays them over each other; libvips writes.

header, screen ──► (control, image)* ──► trailer        comment, loop count, XMP between them
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from reslift.errors import InputError
from reslift.formats import vips
from reslift.formats.base import Extra, Facts, Format, Holds, Picture, Resolution, damaged, exactly

if TYPE_CHECKING:
    from reslift.limits import Limits

SIGNATURES = (b"GIF87a", b"GIF89a")
EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
CONTROL, COMMENT, APPLICATION = 0xF9, 0xFE, 0xFF
LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
RECORD = "record"
"""Name of a comment that is written whatever the picture was before."""
XMP_ID, XMP_TAIL = b"XMP DataXMP", 257
TABLE = 0x80
KEEP, BACKGROUND, PREVIOUS = 1, 2, 3
MOST_BYTES = 16 * 2**20
COLOURS = 256


@dataclass(frozen=True)
class Frame:
    """One image of the file: where it lies on the screen, how long, and what becomes of it then.

    box: left, top, right, bottom; delay: hundredths of a second.
    """

    box: tuple[int, int, int, int]
    delay: int = 0
    disposal: int = 0
    transparent: bool = False


@dataclass
class Blocks:
    """What the blocks of a file say. `plays` in all, 0 for ever; `raw` is the XMP with its tail."""

    width: int
    height: int
    ratio: int
    frames: list[Frame] = field(default_factory=list)
    plays: int = 1
    comments: list[bytes] = field(default_factory=list)
    raw: bytes = b""

    @property
    def alpha(self) -> bool:
        """Whether a pixel may be see-through in some frame."""
        bare = self.frames[0].box != (0, 0, self.width, self.height)
        cleared = any(frame.disposal in (BACKGROUND, PREVIOUS) for frame in self.frames[:-1])
        return bare or cleared or any(frame.transparent for frame in self.frames)


class Gif(Format):
    """GIF: 256 colours a frame, one of which may be transparent."""

    name = "gif"
    label = "GIF"
    suffixes = (".gif",)
    lossless = False
    holds = Holds(
        spaces=("rgb",),
        alpha=("rgb",),
        longest=65_535,
        exif=False,
        xmp=False,
        icc=False,
        resolution=False,
    )

    def recognises(self, head: bytes) -> bool:
        """By the signature."""
        return head[:6] in SIGNATURES

    def inspect(self, file: BinaryIO) -> Facts:
        """Walk over all blocks, to the end of the file."""
        blocks = walk(file)
        more = len(blocks.frames) > 1
        return Facts(
            blocks.width,
            blocks.height,
            "rgb",
            _is_bare(blocks),
            8,
            xmp=blocks.raw[:-XMP_TAIL] or None,
            resolution=_ratio(blocks.ratio),
            extra=_comments(blocks),
            notes=("animation: only the first picture is used",) if more else (),
            private={"blocks": blocks},
        )

    def decode(self, file: BinaryIO, facts: Facts, limits: Limits) -> tuple[np.ndarray, list[str]]:
        """The picture, or the first one of an animation."""
        canvas = next(canvases(file, facts.private["blocks"]))
        return np.ascontiguousarray(canvas if facts.alpha else canvas[..., :3]), []

    def encode(self, path: Path, picture: Picture, image: Any, quality: int) -> list[str]:
        """Up to 255 colours as they are; more are reduced by libvips, with dithering."""
        image = image.copy()
        image.set_type(vips.library().GValue.gint_type, "loop", 1)
        with open(path, "w+b") as file:
            vips.save(image, "gifsave_target", file, picture)
            if image.bands == 3:
                _clear_transparency(file)
            add_comments(file, picture)
        return written_notes(picture)


def written_notes(picture: Picture) -> list[str]:
    """What a GIF of this picture lacks."""
    notes = [
        f"GIF holds {COLOURS} colours a frame: where there are more, the nearest are mixed; "
        "-o NAME.png keeps them all"
    ]
    if picture.alpha:
        notes.append("GIF holds no half-transparent pixels: each becomes opaque or invisible")
    return notes


def walk(file: BinaryIO) -> Blocks:
    """All blocks of a file, from its beginning. Raises InputError for damage or a missing end."""
    file.seek(0)
    head = exactly(file, 13, "the GIF header")
    width, height, flags, _, ratio = struct.unpack("<HHBBB", head[6:])
    _skip_table(file, flags)
    blocks, control = Blocks(width, height, ratio), Frame((0, 0, 0, 0))
    while (kind := exactly(file, 1, "the GIF blocks")[0]) != TRAILER:
        if kind == EXTENSION:
            control = _extension(file, blocks, control)
        elif kind == IMAGE:
            blocks.frames.append(_image(file, control))
            control = Frame((0, 0, 0, 0))
        else:
            raise damaged(f"a GIF block of the unknown kind {kind}")
    if not blocks.frames:
        raise damaged("a GIF without a picture")
    _, _, right, bottom = blocks.frames[0].box
    blocks.width, blocks.height = max(width, right), max(height, bottom)
    return blocks


def has_several(file: BinaryIO) -> bool:
    """Whether a second image follows the first; looks no further than that."""
    try:
        file.seek(0)
        _skip_table(file, exactly(file, 13, "the GIF header")[10])
        blocks, frame, found = Blocks(0, 0, 0), Frame((0, 0, 0, 0)), 0
        while (kind := exactly(file, 1, "the GIF blocks")[0]) in (EXTENSION, IMAGE):
            found += kind == IMAGE
            if found > 1:
                return True
            if kind == EXTENSION:
                _extension(file, blocks, frame)
            else:
                _image(file, frame)
    except (InputError, OSError, struct.error):
        return False
    return False


def canvases(file: BinaryIO, blocks: Blocks) -> Iterator[np.ndarray]:
    """What is seen in each frame, (height, width, 4) uint8 with straight alpha."""
    from PIL import GifImagePlugin

    file.seek(0)
    plugin: Any = GifImagePlugin
    image = plugin.GifImageFile(file)
    for number in range(len(blocks.frames)):
        image.seek(number)
        seen = np.asarray(image.convert("RGBA"))[: blocks.height, : blocks.width]
        if seen.shape[:2] != (blocks.height, blocks.width):
            raise damaged(f"frame {number + 1} of the GIF has another size")
        yield seen


def add_comments(file: BinaryIO, picture: Picture) -> None:
    """Put the comments of a GIF into another, `file`, before its end."""
    kept = {RECORD, "comment"} if picture.format == "gif" else {RECORD}
    texts = [data for name, data in picture.extra if name in kept]
    if not texts:
        return
    file.seek(-1, io.SEEK_END)
    for text in texts:
        file.write(bytes((EXTENSION, COMMENT)))
        for at in range(0, len(text), 255):
            part = text[at : at + 255]
            file.write(bytes((len(part),)) + part)
        file.write(b"\0")
    file.write(bytes((TRAILER,)))


def _clear_transparency(file: BinaryIO) -> None:
    """libvips names a transparent colour even where no pixel has it."""
    file.seek(0)
    _skip_table(file, exactly(file, 13, "the GIF header")[10])
    at = file.tell()
    block = exactly(file, 4, "the GIF blocks")
    if block[:3] == bytes((EXTENSION, CONTROL, 4)):
        file.seek(at + 3)
        file.write(bytes((block[3] & ~1,)))


def _extension(file: BinaryIO, blocks: Blocks, control: Frame) -> Frame:
    """Read one extension; the control that holds for the next image."""
    kind = exactly(file, 1, "a GIF extension")[0]
    parts = list(_parts(file, kept=kind in (CONTROL, COMMENT, APPLICATION)))
    first = parts[0] if parts else b""
    if kind == CONTROL and len(first) >= 4:
        flags, delay = struct.unpack("<BH", first[:3])
        return Frame((0, 0, 0, 0), delay, flags >> 2 & 7, bool(flags & 1))
    if kind == COMMENT:
        blocks.comments.append(b"".join(parts))
    elif kind == APPLICATION and first in LOOPS and len(parts) > 1 and len(parts[1]) >= 3:
        repeats = int.from_bytes(parts[1][1:3], "little")
        blocks.plays = repeats + 1 if repeats else 0
    elif kind == APPLICATION and first == XMP_ID:
        blocks.raw = b"".join(bytes((len(part),)) + part for part in parts[1:])
    return control


def _image(file: BinaryIO, control: Frame) -> Frame:
    left, top, width, height, flags = struct.unpack("<HHHHB", exactly(file, 9, "a GIF image"))
    _skip_table(file, flags)
    exactly(file, 1, "a GIF image")
    if not width or not height or not sum(1 for _ in _parts(file, kept=False)):
        raise damaged("a GIF image without pixels")
    box = (left, top, left + width, top + height)
    return Frame(box, control.delay, control.disposal, control.transparent)


def _parts(file: BinaryIO, kept: bool) -> Iterator[bytes]:
    """The sub-blocks up to the empty one; empty too where they are not kept."""
    budget = MOST_BYTES
    while length := exactly(file, 1, "a GIF block")[0]:
        data = exactly(file, length, "a GIF block")
        budget -= length
        yield data if kept and budget > 0 else b""


def _skip_table(file: BinaryIO, flags: int) -> None:
    if flags & TABLE:
        exactly(file, 3 * 2 ** ((flags & 7) + 1), "a GIF colour table")


def _is_bare(blocks: Blocks) -> bool:
    """Whether the first frame leaves a part of the screen free."""
    first = blocks.frames[0]
    return first.transparent or first.box != (0, 0, blocks.width, blocks.height)


def _ratio(ratio: int) -> Resolution | None:
    """Of the sides of a pixel: (ratio + 15) / 64 wide for 1 high."""
    return (64.0, ratio + 15.0, "none") if ratio not in (0, 49) else None


def _comments(blocks: Blocks) -> Extra:
    return tuple(("comment", text) for text in blocks.comments if text)
