"""Damaged files with a fixed seed: seeds of every kind that is read, mutators, and the judge.

    from fuzz import mutants, judge
    for name, data in mutants(2000): ...

`benchmarks/fuzz.py` runs many of them in worker processes with a time limit; `test_fuzz.py` a few.
"""

from __future__ import annotations

import functools
import random
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

import formats_samples as make
from reslift import formats, media
from reslift.errors import InputError, OutputError
from reslift.limits import Limits

SEED = 20240701
LIMITS = Limits(input_pixels=20_000, output_pixels=10**5, frames=200, decode_seconds=10)
EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE)


class Wrong(Exception):
    """A success that is none: what was written is not what the source says it holds."""


def stills() -> Iterator[tuple[str, bytes]]:
    """A file of every format and kind of compression."""
    pixels = make.smooth(3, 24, 32)
    image = Image.fromarray(pixels)
    noisy = Image.fromarray(make.noise(24, 32, 3))
    for kind in ("png", "jpeg", "webp", "tiff"):
        yield f"{kind} with metadata", make.with_metadata(kind, pixels, 6)
    yield "bmp", make.saved(noisy, "BMP")
    yield "bmp of a palette", make.saved(noisy.quantize(200), "BMP")
    yield "gif", make.saved(noisy, "GIF", comment=b"a comment")
    yield "interlaced gif", make.saved(image, "GIF", interlace=True)
    yield "lossy webp", make.saved(noisy, "WEBP", quality=80)
    yield "progressive jpeg", make.saved(noisy, "JPEG", progressive=True)
    yield "cmyk jpeg", make.saved(noisy.convert("CMYK"), "JPEG")
    yield "palette png", make.saved(noisy.quantize(9), "PNG", bits=4, transparency=3)
    yield "png of 16 bits", make.png(make.noise(24, 32, 4, bits=16), 6, 16)
    yield "avif", make.saved(noisy, "AVIF", exif=make.exif_block(3), icc_profile=make.SRGB)
    for name, options in (
        ("deflate tiff", {"compression": "zlib", "predictor": True, "tile": (16, 16)}),
        ("separate bigtiff", {"bigtiff": True, "planarconfig": "separate"}),
    ):
        samples = make.noise(24, 32, 3, bits=16)
        samples = np.moveaxis(samples, -1, 0) if "planarconfig" in options else samples
        yield name, _tiff([(samples, {"photometric": "rgb", **options})])


def _tiff(pages: list[tuple[np.ndarray, dict[str, object]]]) -> bytes:
    buffer = BytesIO()
    big = bool(pages[0][1].pop("bigtiff", False))
    with tifffile.TiffWriter(buffer, bigtiff=big) as writer:
        for pixels, options in pages:
            writer.write(pixels, metadata=None, contiguous=False, **options)
    return buffer.getvalue()


def several() -> Iterator[tuple[str, bytes]]:
    """Animations, pages, floats."""
    frames = [Image.fromarray(make.noise(16, 20, 4, seed=seed)) for seed in range(4)]
    rest = {"save_all": True, "append_images": frames[1:], "duration": [40, 50, 60, 70], "loop": 2}
    for kind in ("GIF", "PNG", "WEBP"):
        yield f"animated {kind.lower()}", make.saved(frames[0], kind, **rest)
    pages = [(make.noise(12, 16, 3), {"photometric": "rgb"}), (make.noise(9, 5), {})]
    yield "tiff of two pages", _tiff(pages)
    values = np.linspace(-3, 900, 300, dtype=np.float32).reshape(15, 20)
    yield "float tiff", _tiff([(values, {"compression": "zlib"})])


def heic() -> Iterator[tuple[str, bytes]]:
    """By pillow-heif."""
    import pillow_heif

    pixels = make.smooth(3, 32, 40)
    image, buffer = pillow_heif.from_bytes("RGB", (40, 32), pixels.tobytes()), BytesIO()
    image.save(buffer, exif=make.exif_block(6), icc_profile=make.SRGB)
    yield "heic", buffer.getvalue()


def jpeg_xl() -> Iterator[tuple[str, bytes]]:
    """By imagecodecs: 8 bits, lossy; 16 bits, lossless."""
    import imagecodecs

    yield "jxl", imagecodecs.jpegxl_encode(make.smooth(3), level=80)
    yield "lossless jxl", imagecodecs.jpegxl_encode(make.noise(16, 20, 4, bits=16), lossless=True)


def volumes() -> Iterator[tuple[str, bytes]]:
    """NIfTI by nibabel."""
    import nibabel

    values = np.arange(8 * 9 * 3, dtype=np.int16).reshape(8, 9, 3)
    yield "nifti", nibabel.Nifti1Image(values, np.eye(4)).to_bytes()


def scans() -> Iterator[tuple[str, bytes]]:
    """DICOM by pydicom."""
    from pydicom.data import get_testdata_file

    for name in ("MR_small.dcm", "ExplVR_BigEnd.dcm"):
        path = get_testdata_file(name, download=False)
        if path:
            yield f"dicom {name}", Path(str(path)).read_bytes()


def rasters() -> Iterator[tuple[str, bytes]]:
    """GeoTIFF by rasterio."""
    from rasterio.io import MemoryFile
    from rasterio.transform import Affine

    options = {"driver": "GTiff", "width": 20, "height": 16, "count": 3, "dtype": "uint8"}
    options |= {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    with MemoryFile() as memory:
        with memory.open(**options) as target:
            target.write(make.noise(3, 16, 20))
        yield "geotiff", bytes(memory.read())


def clips() -> Iterator[tuple[str, bytes]]:
    """A video by PyAV."""
    import av

    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(make.noise(24, 32, 3, seed=number), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    yield "mp4", buffer.getvalue()


MAKERS = (stills, several, heic, jpeg_xl, volumes, scans, rasters, clips)


@functools.cache
def seeds() -> dict[str, bytes]:
    """Whole files by name; those of extras that are not installed are left out."""
    found: dict[str, bytes] = {}
    for maker in MAKERS:
        with suppress(ImportError):
            found.update(maker())
    return found


def _flip(data: bytearray, rng: random.Random, other: bytes) -> None:
    for _ in range(rng.choice((1, 2, 8, 40))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _flip_head(data: bytearray, rng: random.Random, other: bytes) -> None:
    for _ in range(rng.choice((1, 3))):
        data[rng.randrange(min(len(data), 200))] = rng.randrange(256)


def _number(data: bytearray, rng: random.Random, other: bytes) -> None:
    """A size, a count or an offset that is extreme."""
    code = rng.choice("BHI")
    value = rng.choice(EXTREMES) % 256 ** struct.calcsize(code)
    at = rng.randrange(max(1, len(data) - 4))
    at = min(at, rng.randrange(1, 600))
    packed = struct.pack(rng.choice("<>") + code, value)
    data[at : at + len(packed)] = packed


def _cut(data: bytearray, rng: random.Random, other: bytes) -> None:
    del data[rng.randrange(1, len(data)) :]


def _remove(data: bytearray, rng: random.Random, other: bytes) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 4, 16, 200))]


def _repeat(data: bytearray, rng: random.Random, other: bytes) -> None:
    at, length = rng.randrange(len(data)), rng.choice((1, 4, 30, 300))
    data[at:at] = data[at : at + length]


def _blank(data: bytearray, rng: random.Random, other: bytes) -> None:
    at, length = rng.randrange(len(data)), rng.choice((2, 16, 200))
    stretch = data[at : at + length]
    data[at : at + length] = bytes((rng.choice((0, 255)),)) * len(stretch)


def _splice(data: bytearray, rng: random.Random, other: bytes) -> None:
    at = rng.randrange(len(data))
    data[at:] = other[min(at, len(other) - 1) :]


MUTATORS: tuple[Callable[[bytearray, random.Random, bytes], None], ...] = (
    _flip,
    _flip_head,
    _number,
    _cut,
    _remove,
    _repeat,
    _blank,
    _splice,
)


def mutants(count: int, first: int = 0) -> Iterator[tuple[str, bytes]]:
    """Damaged files `first` … `first + count` - 1; each depends on its number alone."""
    whole = seeds()
    names = sorted(whole)
    for number in range(first, first + count):
        rng = random.Random(SEED + number)
        name = names[number % len(names)]
        data = bytearray(whole[name])
        for _ in range(rng.choice((1, 1, 2))):
            if data:
                rng.choice(MUTATORS)(data, rng, whole[rng.choice(names)])
        yield name, bytes(data)


def shown(path: Path) -> int:
    """Frames that a player shows of a clip."""
    import av

    with av.open(str(path)) as clip:
        return sum(1 for _ in clip.decode(video=0))


def judge(upscale: Callable[[Path, Path], object], data: bytes) -> str:
    """Enlarge a file by 2 with `upscale(source, target)` and look at what was written.

    Returns "done", or "refused" where that was said in one line that names the file.

    Raises:
        Wrong: the result is not twice the source, or a refusal is no such line, or left something
        behind. Anything else that was raised is a fault, too.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "mutant.bin"
        source.write_bytes(data)
        target = None
        try:
            medium = media.of(source)
            given = medium.peek(source, LIMITS) if medium else formats.peek(source, LIMITS)
            frames = getattr(given, "frames", 1)
            endings = (
                medium.endings(source, None)
                if medium
                else formats.result_of(getattr(given, "format", "")).suffixes
            )
            target = Path(folder) / f"result{endings[0]}"
            upscale(source, target)
        except (InputError, OutputError) as error:
            text = str(error)
            if "\n" in text or ("mutant" not in text and "result" not in text):
                raise Wrong(f"a refusal that names nothing: {text!r}") from error
            if target is not None and target.exists():
                raise Wrong("a refusal that left a result behind") from error
            return "refused"
        made = media.of(target)
        wide = Limits().changed(input_pixels=10**9)
        result = made.peek(target, wide) if made else formats.peek(target, wide)
        sides = (result.width, result.height, getattr(result, "frames", 1))
        if medium is not None and medium.name == "video" and sides[2] != frames:
            # An edit list, whole or damaged, may show some of the frames only.
            frames, sides = shown(source), (*sides[:2], shown(target))
        if sides != (2 * given.width, 2 * given.height, frames):
            raise Wrong(f"{given.width}×{given.height}, {frames} frames became {sides}")
        if made is None:
            formats.read(target, wide)
        return "done"
