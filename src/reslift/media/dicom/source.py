"""A DICOM file as an image: its elements, what it is, and its frames as stored values.

file ──► opened (elements, refusals, limits) ──► frames
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reslift.errors import InputError, LimitError, ResliftError, one_line
from reslift.limits import Limits
from reslift.media.dicom import loss, palette, refusal
from reslift.media.dicom.apart import PLUGIN, frames_apart
from reslift.media.dicom.geometry import has_embedded_overlays
from reslift.media.dicom.refusal import GRAYS, PALETTE, name_of
from reslift.media.dicom.sniff import (
    DEFLATED,
    MAGIC,
    PREAMBLE,
    Head,
    frames_there,
    head_of_pixels,
    missing_bytes,
    settle_encoding,
)

if TYPE_CHECKING:
    from pydicom import Dataset

EXPLICIT_LITTLE, EXPLICIT_BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
IMPLICIT = "1.2.840.10008.1.2"
NATIVE = {IMPLICIT, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED}
WORDS = {"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}
PLUGINS = ("pylibjpeg", "pillow", "gdcm")
RLE, JPEG_BASELINE = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"
MISSING = 'pydicom is not installed: python -m pip install "reslift[medical]"'


@contextmanager
def damage_named(path: Path, what: str) -> Iterator[None]:
    """Turn whatever the readers raise into one InputError.

    Their own words are left out: they quote values, and a value may be a patient's name.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ResliftError:
        raise
    except MemoryError as error:
        raise InputError(f"{one_line(path)}: out of memory while reading {what}") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{one_line(path)}: cannot be read: {reason}") from error
    except Exception as error:
        raise InputError(
            f"{one_line(path)}: {what} is cut short, damaged or of an unusual kind"
        ) from error


@dataclass(frozen=True)
class Image:
    """A DICOM file that can be enlarged.

    Attributes:
        elements: all of it but the pixels and what follows them; little endian.
        syntax: UID of the transfer syntax of the file.
        rows, columns, count: of a frame; frames.
        seconds: that decoding in another process may take.
        is_lossy: samples were changed when they were saved, now or before.
    """

    path: Path
    elements: Dataset
    syntax: str
    rows: int
    columns: int
    count: int
    seconds: int
    is_lossy: bool

    @property
    def photometric(self) -> str:
        return str(self.elements.PhotometricInterpretation)

    @property
    def is_gray(self) -> bool:
        return self.photometric in GRAYS

    def padding(self, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
        """(h, w), where the file says that nothing was measured; None where it names no such."""
        values = self.padding_values
        if values is None:
            return None
        mask: NDArray[np.bool_] = (stored >= values[0]) & (stored <= values[1])
        return mask

    @cached_property
    def padding_values(self) -> tuple[int, int] | None:
        """The smallest and the largest stored value that stand for padding, if any do."""
        first = _whole(self.elements, "PixelPaddingValue")
        if first is None or not self.is_gray:
            return None
        other = _whole(self.elements, "PixelPaddingRangeLimit")
        pair = [self._as_stored(value) for value in (first, first if other is None else other)]
        return min(pair), max(pair)

    def _as_stored(self, value: int) -> int:
        """Some writers give the padding value in the other sign's 16 bits."""
        bits = int(self.elements.BitsAllocated)
        value &= (1 << bits) - 1
        signed = int(self.elements.get("PixelRepresentation") or 0)
        return value - (1 << bits) if signed and value >> (bits - 1) else value

    def frames(self) -> Iterator[NDArray[Any]]:
        """(h, w) stored values, or (h, w, 3) RGB; palettes and YBR are RGB here.

        Raises InputError where the pixels cannot be decoded or are cut off.
        """
        decoded, count = self._decoded(), 0
        while True:
            with self._decoding():
                frame = next(decoded, None)
                if frame is None:
                    break
                stored = self._as_image(frame)
            count += 1
            yield stored
        if count != self.count:
            raise _other_count(self.path, self.count, count)

    def containers(self) -> NDArray[Any] | None:
        """(frames, h, w) with the overlays beside the values; None without such."""
        if self.syntax not in NATIVE or not has_embedded_overlays(self.elements):
            return None
        with self._decoding():
            return self._raw()

    def _raw(self) -> NDArray[Any]:
        """All containers of a gray image, as they lie in the file."""
        import pydicom

        order = ">" if self.syntax == EXPLICIT_BIG else "<"
        size = int(self.elements.BitsAllocated) // 8
        data = pydicom.dcmread(self.path, force=True).PixelData
        values = np.frombuffer(data, f"{order}u{size}", self.count * self.rows * self.columns)
        return values.reshape(self.count, self.rows, self.columns).astype(f"u{size}")

    @property
    def _shift(self) -> int:
        """How many bits of a native container lie below its value; pydicom takes 0 for granted."""
        stored, high = _whole(self.elements, "BitsStored"), _whole(self.elements, "HighBit")
        if not self.is_gray or self.syntax not in NATIVE or not stored or high is None:
            return 0
        return max(0, min(high, int(self.elements.BitsAllocated) - 1) + 1 - stored)

    def _decoding(self) -> AbstractContextManager[None]:
        return damage_named(self.path, f"its pixel data, {name_of(self.syntax)},")

    def _as_image(self, frame: NDArray[Any]) -> NDArray[Any]:
        wanted = (self.rows, self.columns) + (
            () if self.is_gray or self.photometric == PALETTE else (3,)
        )
        if frame.shape != wanted:
            raise InputError(f"{one_line(self.path)}: a frame has another size than the header")
        if self.photometric == PALETTE:
            return self._coloured(frame)
        native = frame.astype(frame.dtype.newbyteorder("="), copy=False)
        return _shifted(native, self._shift, self.elements) if self._shift else native

    def _coloured(self, indices: NDArray[Any]) -> NDArray[Any]:
        from pydicom.pixels.processing import apply_color_lut

        colours: NDArray[Any] = apply_color_lut(indices, self._palette)[..., :3]
        if colours.dtype == np.uint16 and self._table_shift is not None:
            return (colours >> self._table_shift).astype(np.uint8)
        return colours

    @cached_property
    def _palette(self) -> Dataset:
        return palette.tables_of(self.elements, EXPLICIT_LITTLE)

    @cached_property
    def _table_shift(self) -> int | None:
        """Where 8 bits hold the whole palette: how far its 16-bit entries are shifted for that."""
        from pydicom.pixels.processing import apply_color_lut

        entries, first, depth = self.elements.RedPaletteColorLookupTableDescriptor
        places = np.arange(int(entries) or 2**16, dtype=np.int64) + int(first)
        table = apply_color_lut(places[None], self._palette)
        if depth == 8 and table.max() < 256:
            return 0
        low, high = table & 255, table >> 8
        return 8 if bool(((low == 0) | (low == high)).all()) else None

    def _decoded(self) -> Iterator[NDArray[Any]]:
        from pydicom.pixels.decoders.base import get_decoder
        from pydicom.pixels.utils import iter_pixels

        if self._shift:
            yield from self._raw()
            return
        source = self._with_pixels()
        available = get_decoder(self.syntax).available_plugins
        native = self.syntax in NATIVE
        # pylibjpeg's RLE ends the program on damaged data; pydicom's own raises an error.
        wanted = {RLE: ("pydicom",), JPEG_BASELINE: ("pillow",)}.get(self.syntax, PLUGINS)
        plugins = [""] if native else [name for name in wanted if name in available]
        if not plugins:
            raise InputError(
                f"{one_line(self.path)}: no decoder for {name_of(self.syntax)} is installed: "
                'python -m pip install "reslift[medical]"'
            )
        for number, plugin in enumerate(plugins):
            begun = False
            apart = plugin == PLUGIN
            try:
                for frame in (
                    frames_apart(self.path, self.seconds)
                    if apart
                    else iter_pixels(source, decoding_plugin=plugin)
                ):
                    begun = True
                    yield frame
                return
            except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError):
                if begun or number == len(plugins) - 1:
                    raise

    def _with_pixels(self) -> Any:
        """The file's name, from which frames are streamed, or all of it where that cannot be."""
        with self.path.open("rb") as file:
            whole = file.read(PREAMBLE + 4)[PREAMBLE:] == MAGIC
        named = str(self.elements.file_meta.get("TransferSyntaxUID", ""))
        implicit = self.elements.original_encoding[0]
        if whole and named and self.syntax != DEFLATED and implicit == (named == IMPLICIT):
            return str(self.path)
        import pydicom

        dataset = pydicom.dcmread(self.path, force=True)
        if named != self.syntax:
            dataset.file_meta = pydicom.dataset.FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(self.syntax)
        return dataset


def opened(path: Path, limits: Limits) -> Image:
    """A DICOM file whose pixels can be enlarged, from its header.

    Raises:
        InputError: damaged, no image, or of a kind that must not be enlarged. LimitError: too
        large. Both name the file and no value in it.
    """
    if find_spec("pydicom") is None:
        raise InputError(f"{one_line(path)}: {MISSING}")
    with damage_named(path, "this DICOM file"):
        limits.check("file_bytes", path.stat().st_size, one_line(path))
        elements, head = _read(path, limits)
        syntax = _syntax(elements)
        if reason := refusal.reason(elements, syntax):
            raise InputError(f"{one_line(path)}: {reason}")
        rows, columns = int(elements.Rows), int(elements.Columns)
        count = int(elements.get("NumberOfFrames") or 1)
        if min(rows, columns, count) < 1:
            raise InputError(f"{one_line(path)}: {columns}x{rows} pixels in {count} frames")
        limits.check("input_pixels", rows * columns, one_line(path))
        limits.check("frames", count, one_line(path))
        if wrong := refusal.of_pixels(head, syntax, syntax in NATIVE):
            raise InputError(f"{one_line(path)}: {wrong}")
        if syntax in NATIVE - {DEFLATED} and (lacking := missing_bytes(elements, path)):
            raise InputError(f"{one_line(path)}: truncated, {lacking:,} bytes of pixels lack")
        size = head.size if head else 0
        if syntax in NATIVE and (there := frames_there(elements, size)) > count:
            raise _other_count(path, count, there)
        _as_little_endian(elements)
        lossy = loss.is_lossy(elements, syntax, path, head.begin if head else 0)
        return Image(path, elements, syntax, rows, columns, count, limits.decode_seconds, lossy)


def _other_count(path: Path, said: int, there: int) -> InputError:
    return InputError(
        f"{one_line(path)}: the header says {said:,} frame{'s' * (said > 1)}, {there:,} are there"
    )


def _read(path: Path, limits: Limits) -> tuple[Dataset, Head | None]:
    """All before the pixels, and how these begin."""
    import pydicom
    from pydicom.dataset import FileMetaDataset

    _refuse_bomb(path, limits)
    with path.open("rb") as file:
        dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        if not len(dataset):
            raise InputError(f"{one_line(path)}: no element of DICOM can be read")
        settle_encoding(dataset)
        head = head_of_pixels(file, dataset)
    if getattr(dataset, "file_meta", None) is None:
        dataset.file_meta = FileMetaDataset()
    return dataset, head


def _syntax(dataset: Dataset) -> str:
    """The transfer syntax that a file names, or the one that it was found to be in."""
    implicit, little = dataset.original_encoding
    named = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    if named and not (named in (IMPLICIT, EXPLICIT_LITTLE) and implicit != (named == IMPLICIT)):
        return named
    if implicit:
        return IMPLICIT
    return EXPLICIT_LITTLE if little else EXPLICIT_BIG


def _as_little_endian(dataset: Dataset) -> None:
    """Turn about the words that pydicom keeps as the bytes of the file."""
    if dataset.original_encoding[1] is not False:
        return
    for element in dataset.iterall():
        size = WORDS.get(element.VR)
        if size and isinstance(element.value, bytes) and len(element.value) % size == 0:
            element.value = np.frombuffer(element.value, f"u{size}").byteswap().tobytes()


def _refuse_bomb(path: Path, limits: Limits) -> None:
    """A deflated data set is refused before it fills the memory."""
    with path.open("rb") as file:
        head = file.read(1024)
        if head[PREAMBLE : PREAMBLE + 4] != MAGIC or DEFLATED.encode() not in head:
            return
        start = PREAMBLE + 4 + 12 + int.from_bytes(head[PREAMBLE + 12 : PREAMBLE + 16], "little")
        file.seek(start)
        engine, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while piece := engine.unconsumed_tail or file.read(2**16):
            try:
                size += len(engine.decompress(piece, 2**20))
            except zlib.error as error:
                raise InputError(
                    f"{one_line(path)}: by its transfer syntax it is deflated, and it is not, or "
                    "it is damaged"
                ) from error
            if size > limits.file_bytes:
                raise LimitError(
                    f"{one_line(path)}: unpacked it is larger than the limit file_bytes of "
                    f"{limits.file_bytes:,} bytes; raise it with {limits.option('file_bytes')}"
                )
            if engine.eof:
                return


def _shifted(container: NDArray[Any], shift: int, elements: Dataset) -> NDArray[Any]:
    """The value alone, `shift` bits up in an unsigned container."""
    stored, size = int(elements.BitsStored), container.dtype.itemsize
    bits = (container.astype(np.int64) >> shift) & ((1 << stored) - 1)
    if elements.get("PixelRepresentation") != 1:
        return bits.astype(f"u{size}")
    return (bits - ((bits >> (stored - 1)) << stored)).astype(f"i{size}")


def _whole(elements: Dataset, keyword: str) -> int | None:
    value = elements.get(keyword)
    return value if isinstance(value, int) else None
